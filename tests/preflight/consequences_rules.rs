//! The rules of a join that no recording in this repository shows, or not alone.

use std::collections::BTreeSet;

use xcp_pool::Fault;
use xcp_pool::model::{
    Network, PowerState, Record, Ref, Snapshot, Sr, Uuid, Vbd, VbdType, Vdi, Vif, Vm,
};
use xcp_pool::preflight::consequences::{
    Cause, Changes, Consequences, CopyOutcome, Import, LandedBy, Landing, Machines, Management,
    NetworkFate, NetworkOutcome, PifOutcome, SrOutcome, VmFate,
};

use crate::foretold::{Foretold, admitted, report};

/// Both databases before a recorded join, to change one thing in.
fn world(name: &str) -> (Snapshot, Snapshot) {
    let path = format!("{}/tests/data/oracle/joins/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let load = |which: &str| Snapshot::from_json(file[which].to_string().as_bytes()).unwrap();
    (load("pool_before"), load("joiner_before"))
}

const MINIMAL: &str = "01-minimal-fresh-joiner";
const THREE_VMS: &str = "10-vm-same-uuid-newer";
const ONE_VM: &str = "13-joiner-settings";

fn foretold(pool: &Snapshot, joiner: &Snapshot) -> Foretold {
    let foretold = Foretold::of(pool, joiner);
    assert_eq!(foretold.unknown, []);
    foretold
}

fn machines(consequences: &Consequences) -> &Machines {
    consequences.machines.as_ref().unwrap()
}

fn vm<'a>(consequences: &'a Consequences, name: &str) -> &'a VmFate {
    machines(consequences).vms.iter().find(|vm| vm.name_label == name).unwrap()
}

fn network<'a>(consequences: &'a Consequences, bridge: &str) -> &'a NetworkFate {
    let mut networks = consequences.networks.iter().flatten();
    networks.find(|network| network.bridge == bridge).unwrap()
}

/// The bridges that it may be, how it was found, and whether it is another one than before.
fn landed(landing: &Landing) -> (Vec<&str>, LandedBy, Option<bool>) {
    let bridges = landing.places.iter().map(|place| place.bridge.as_deref().unwrap()).collect();
    (bridges, landing.by, landing.moved)
}

fn undone(consequences: &Consequences) -> &Fault {
    match &machines(consequences).import {
        Import::Undone(clash) => &clash.fault,
        other => panic!("the import is {other:?}"),
    }
}

/// Changes a record, whose uuid may change with it.
fn change<T: Record>(snapshot: &mut Snapshot, reference: &str, change: impl FnOnce(&mut T)) {
    let reference = Ref::new(&format!("OpaqueRef:{reference}"));
    let mut record = T::table_mut(snapshot).remove(&reference).unwrap();
    change(&mut record);
    T::table_mut(snapshot).insert(reference, record);
}

/// Adds a complete record, with the uuid of its ref.
fn add<T: Record>(snapshot: &mut Snapshot, reference: &str, change: impl FnOnce(&mut T)) {
    let mut record = T::default();
    record.set_uuid(Uuid::new(reference));
    change(&mut record);
    T::table_mut(snapshot).insert(Ref::new(&format!("OpaqueRef:{reference}")), record);
}

fn add_network(snapshot: &mut Snapshot, reference: &str, label: &str, bridge: &str) {
    add::<Network>(snapshot, reference, |network| {
        network.name_label = label.to_owned();
        network.bridge = bridge.to_owned();
        network.MTU = 1500;
        network.managed = true;
    });
}

fn add_vif(snapshot: &mut Snapshot, reference: &str, vm: &str, network: &str) {
    add::<Vif>(snapshot, reference, |vif| {
        vif.VM = Ref::new(&format!("OpaqueRef:{vm}"));
        vif.network = Ref::new(&format!("OpaqueRef:{network}"));
        vif.device = "5".to_owned();
    });
}

#[test]
fn internal_networks_are_refused_by_their_bridge_and_vms_land_where_the_bridge_is() {
    let (mut pool, mut joiner) = world(ONE_VM);
    add_network(&mut pool, "net-b-internal", "pool internal", "xapi0");
    add_network(&mut pool, "net-b-clash", "another", "br-clash");
    add_network(&mut joiner, "net-a-lab", "lab", "xapi0");
    add_network(&mut joiner, "net-a-unused", "unused internal", "xapi1");
    add_network(&mut joiner, "net-a-storage", "storage", "xapi2");
    add_network(&mut joiner, "net-a-clash", "clash", "br-clash");
    add_network(&mut joiner, "net-a-custom", "custom", "br-custom");
    add_network(&mut joiner, "net-a-long", "long", "br-of-sixteen-le");
    add_vif(&mut joiner, "vif-lab", "vm-a-app1", "net-a-lab");
    add_vif(&mut joiner, "vif-storage", "vm-a-app1", "net-a-storage");
    add_vif(&mut joiner, "vif-custom", "vm-a-app1", "net-a-custom");
    let foretold = foretold(&pool, &joiner);

    let refused = |code: &str, params: &[&str]| {
        NetworkOutcome::Refused(Some(Fault::new(code, params.iter().copied())))
    };
    let invalid = |bridge| refused("INVALID_VALUE", &["bridge", bridge]);
    assert_eq!(network(&foretold, "xapi0").outcome, invalid("xapi0"));
    assert_eq!(network(&foretold, "xapi1").outcome, invalid("xapi1"));
    assert_eq!(network(&foretold, "xapi2").outcome, invalid("xapi2"));
    assert_eq!(network(&foretold, "br-of-sixteen-le").outcome, invalid("br-of-sixteen-le"));
    assert_eq!(
        network(&foretold, "br-clash").outcome,
        refused("BRIDGE_NAME_EXISTS", &["br-clash"])
    );
    assert_eq!(network(&foretold, "br-custom").outcome, NetworkOutcome::Created);

    let landing = |bridge| network(&foretold, bridge).landing.as_ref().map(landed);
    assert_eq!(landing("xapi0"), Some((vec!["xapi0"], LandedBy::Bridge, Some(true))));
    assert_eq!(landing("xapi2"), Some((vec!["xenbr1"], LandedBy::Label, Some(true))));
    assert_eq!(landing("br-custom"), Some((vec!["br-custom"], LandedBy::Label, Some(false))));
    assert_eq!(landing("xapi1"), None);
    let moved: Vec<_> = foretold.moved().map(|(_, vif)| vif.network.as_str()).collect();
    assert_eq!(BTreeSet::from_iter(moved), BTreeSet::from(["lab", "storage"]));

    let lost = foretold.losses.iter().filter(|loss| loss.class.as_str() == "network");
    let lost: BTreeSet<_> = lost.map(|loss| loss.name.as_str()).collect();
    assert_eq!(lost, BTreeSet::from(["clash", "lab", "long", "storage", "unused internal"]));
}

#[test]
fn of_two_networks_with_one_name_the_import_makes_one() {
    let (pool, mut joiner) = world(ONE_VM);
    add_network(&mut joiner, "net-a-lab1", "lab", "xapi7");
    add_network(&mut joiner, "net-a-lab2", "lab", "xapi8");
    add_vif(&mut joiner, "vif-lab1", "vm-a-app1", "net-a-lab1");
    add_vif(&mut joiner, "vif-lab2", "vm-a-app1", "net-a-lab2");
    let foretold = foretold(&pool, &joiner);
    // The last of the refs is the first to be made.
    let landing = |bridge| network(&foretold, bridge).landing.as_ref().map(landed);
    assert_eq!(landing("xapi8"), Some((vec!["xapi8"], LandedBy::Created, Some(false))));
    assert_eq!(landing("xapi7"), Some((vec!["xapi8"], LandedBy::Label, Some(true))));
    assert_eq!(foretold.changes().added.network.len(), 1);
}

#[test]
fn between_an_old_and_a_new_network_of_one_name_chance_decides() {
    let (mut pool, joiner) = world("07-name-clashes");
    let storage = Ref::new("OpaqueRef:net-b1");
    let record = pool.network.remove(&storage).unwrap();
    let random = Ref::new("OpaqueRef:790495ea-e10f-8d16-5ec4-c5e5b3be8eed");
    pool.network.insert(random.clone(), record);
    for (_, pif) in pool.pif.iter_mut().filter(|(_, pif)| pif.network == storage) {
        pif.network = random.clone();
    }
    let foretold = foretold(&pool, &joiner);
    let landing = network(&foretold, "xenbr2").landing.as_ref().unwrap();
    assert_eq!(landed(landing), (vec!["xenbr1", "xenbr2"], LandedBy::Label, None));
    let vif = foretold.changes().added.vif.records().find(|vif| !vif.has("network"));
    assert!(vif.is_some(), "the record does not say which");
    assert!(foretold.to_string().contains("chance decides"));
}

#[test]
fn a_vm_that_is_not_newer_than_the_pools_undoes_the_import() {
    let (pool, mut joiner) = world(THREE_VMS);
    change::<Vm>(&mut joiner, "vm-a-two", |vm| vm.version = 0);
    let foretold = foretold(&pool, &joiner);
    let fault = Fault::new("VM_TO_IMPORT_IS_NOT_NEWER_VERSION", ["OpaqueRef:vm-b-2", "0", "0"]);
    assert_eq!(undone(&foretold), &fault);
    assert_eq!(foretold.swallowed.last(), Some(&fault));
    assert!(machines(&foretold).vms.iter().all(|vm| !vm.arrives));
    assert_eq!(machines(&foretold).orphan_metrics, Some(4));
    let added = &foretold.changes().added;
    assert_eq!((added.vm.len(), added.vif.len(), added.vbd.len()), (0, 0, 0));
    assert_eq!((added.vdi.len(), added.vm_metrics.len()), (3, 4));
    assert!(foretold.changes().removed.is_empty());
}

#[test]
fn a_vm_that_was_replaced_before_another_clash_is_destroyed_for_nothing() {
    let (pool, mut joiner) = world(THREE_VMS);
    let running = pool.vm.get(&Ref::new("OpaqueRef:vm-b-1")).unwrap().uuid.clone();
    change::<Vm>(&mut joiner, "vm-a-one", |vm| vm.uuid = running);
    let foretold = foretold(&pool, &joiner);
    assert_eq!(undone(&foretold).code, "VM_BAD_POWER_STATE");
    let replaced = &machines(&foretold).replaced[0];
    assert_eq!((replaced.destroyed, replaced.by_another, replaced.vifs), (true, false, Some(1)));
    // Only those that were not made yet leave their metrics: this one and the control domain.
    assert_eq!(machines(&foretold).orphan_metrics, Some(2));
    let after = foretold.changes().apply(&pool);
    assert!(after.vm.get(&replaced.reference).is_none());
    assert!(after.vif.get(&Ref::new("OpaqueRef:vif-b-db1")).is_none());
    let network = after.network.get(&Ref::new("OpaqueRef:net-b0")).unwrap();
    assert!(!network.VIFs.contains(&Ref::new("OpaqueRef:vif-b-db1")));
    assert!(foretold.to_string().contains("IS DESTROYED, for nothing"));
}

#[test]
fn a_protected_vm_stays_without_its_devices_and_undoes_the_import() {
    let (mut pool, joiner) = world(THREE_VMS);
    change::<Vm>(&mut pool, "vm-b-2", |vm| {
        vm.blocked_operations.insert("destroy".to_owned(), "keep".to_owned());
    });
    let foretold = foretold(&pool, &joiner);
    assert_eq!(undone(&foretold), &Fault::new("OPERATION_BLOCKED", ["OpaqueRef:vm-b-2", "keep"]));
    let after = foretold.changes().apply(&pool);
    let vm = after.vm.get(&Ref::new("OpaqueRef:vm-b-2")).unwrap();
    assert!(vm.VIFs.is_empty() && after.vm_metrics.get(&vm.metrics).is_some());
}

#[test]
fn children_and_snapshots_of_a_replaced_vm_are_orphaned() {
    let (mut pool, joiner) = world(THREE_VMS);
    let (old, web1) = (Ref::<Vm>::new("OpaqueRef:vm-b-2"), Ref::new("OpaqueRef:vm-b-1"));
    change::<Vm>(&mut pool, "vm-b-2", |vm| vm.parent = web1.clone());
    add::<Vm>(&mut pool, "vm-b-snapshot", |vm| {
        vm.is_a_snapshot = true;
        vm.snapshot_of = old.clone();
    });
    add::<Vm>(&mut pool, "vm-b-child", |vm| vm.parent = old.clone());
    let foretold = foretold(&pool, &joiner);
    assert_eq!(machines(&foretold).replaced[0].snapshots, 1);
    let after = foretold.changes().apply(&pool);
    assert_eq!(after.vm.get(&Ref::new("OpaqueRef:vm-b-child")).unwrap().parent, web1);
}

#[test]
fn a_mac_seed_may_be_shared_by_a_vm_and_its_snapshots_alone() {
    let (pool, joiner) = world(THREE_VMS);
    let seed = |snapshot: &mut Snapshot, reference: &str| {
        change::<Vm>(snapshot, reference, |vm| {
            vm.other_config.insert("mac_seed".to_owned(), "seed".to_owned());
        });
    };
    // The same VM on both sides, newer on the joiner.
    let (mut same_pool, mut same_joiner) = (pool.clone(), joiner.clone());
    seed(&mut same_pool, "vm-b-2");
    seed(&mut same_joiner, "vm-a-two");
    assert_eq!(machines(&foretold(&same_pool, &same_joiner)).import, Import::Complete);
    // A snapshot in the pool of that very VM.
    add::<Vm>(&mut same_pool, "vm-b-snapshot", |vm| {
        vm.is_a_snapshot = true;
        vm.snapshot_of = Ref::new("OpaqueRef:vm-b-2");
    });
    seed(&mut same_pool, "vm-b-snapshot");
    assert_eq!(machines(&foretold(&same_pool, &same_joiner)).import, Import::Complete);
    // A snapshot in the pool of another VM.
    change::<Vm>(&mut same_pool, "vm-b-snapshot", |vm| {
        vm.snapshot_of = Ref::new("OpaqueRef:vm-b-1");
    });
    let clash = Fault::new("DUPLICATE_MAC_SEED", ["seed"]);
    assert_eq!(undone(&foretold(&same_pool, &same_joiner)), &clash);
    // A snapshot in the pool of a VM that is gone: the server knows whose it was, we do not.
    change::<Vm>(&mut same_pool, "vm-b-snapshot", |vm| vm.snapshot_of = Ref::new("OpaqueRef:gone"));
    let consequences = admitted(&same_pool, &same_joiner);
    assert_eq!(consequences.unknown[0].field, Some("snapshot_metadata"));
    // A template in the pool counts like any VM, before anything is made.
    let (mut other_pool, mut other_joiner) = (pool, joiner);
    seed(&mut other_pool, "tmpl-b-1");
    seed(&mut other_joiner, "vm-a-one");
    let foretold = foretold(&other_pool, &other_joiner);
    assert_eq!(undone(&foretold), &clash);
    assert_eq!(foretold.changes().added.vm_metrics.len(), 0);
}

#[test]
fn a_paused_vm_is_halted_and_its_drives_follow_their_disks() {
    let (pool, mut joiner) = world(ONE_VM);
    change::<Vm>(&mut joiner, "vm-a-app1", |vm| {
        vm.power_state = PowerState::Paused;
        vm.resident_on = Ref::new("OpaqueRef:host-a1");
        vm.domid = 3;
    });
    let owner = Ref::<Vm>::new("OpaqueRef:vm-a-app1");
    let drive = |snapshot: &mut Snapshot, reference: &str, vdi: &str| {
        add::<Vbd>(snapshot, reference, |vbd| {
            vbd.VM = owner.clone();
            vbd.VDI = Ref::new(&format!("OpaqueRef:{vdi}"));
            vbd.r#type = VbdType::Cd;
            vbd.userdevice = reference.to_owned();
            vbd.currently_attached = true;
        });
    };
    drive(&mut joiner, "vbd-tools", "vdi-a-toolsiso");
    add::<Vdi>(&mut joiner, "vdi-a-disc", |vdi| {
        vdi.SR = Ref::new("OpaqueRef:sr-a1-dvd");
        vdi.location = "/dev/sr0".to_owned();
    });
    drive(&mut joiner, "vbd-disc", "vdi-a-disc");
    change::<Sr>(&mut joiner, "sr-a1-dvd", |sr| sr.content_type = "iso".to_owned());
    let foretold = foretold(&pool, &joiner);

    let fate = vm(&foretold, "app1");
    assert_eq!(fate.power_state_after, PowerState::Halted);
    assert_eq!(fate.emptied, ["vbd-disc"], "the import ignores real drives");
    let added = &foretold.changes().added;
    let (_, new) = added.vm.by_uuid(&fate.uuid).unwrap();
    assert_eq!((new.power_state.as_str(), new.domid), ("Halted", -1));
    assert!(added.host.get(&new.resident_on).is_some());
    let drive = |uuid| added.vbd.by_uuid(&Uuid::new(uuid)).unwrap().1;
    assert_eq!(drive("vbd-tools").VDI, Ref::new("OpaqueRef:vdi-b-toolsiso"));
    assert!(drive("vbd-disc").VDI.is_null() && drive("vbd-disc").empty);
    let lost = foretold.losses.iter().find(|loss| loss.field == Some("power_state")).unwrap();
    assert_eq!((lost.name.as_str(), lost.value.as_str()), ("app1", "Paused"));
}

#[test]
fn a_disk_whose_uuid_the_pool_has_elsewhere_undoes_the_import() {
    let (mut pool, joiner) = world(ONE_VM);
    let (_, disk) = joiner.vdi.iter().find(|(_, vdi)| !vdi.is_tools_iso).unwrap();
    let (uuid, location) = (disk.uuid.clone(), disk.location.clone());
    change::<Vdi>(&mut pool, "vdi-b-1", |vdi| vdi.uuid = uuid);
    let foretold = foretold(&pool, &joiner);
    let known = foretold.vdis.iter().flatten().find(|vdi| vdi.outcome == CopyOutcome::Known);
    assert!(known.is_some());
    let fault = undone(&foretold);
    assert_eq!((fault.code.as_str(), &fault.params[1]), ("VDI_LOCATION_MISSING", &location));
    assert!(Changes::is_new(&Ref::<Sr>::new(&fault.params[0])), "the new SR has no ref yet");
    assert_eq!(machines(&foretold).orphan_metrics, Some(0));
}

type Break = fn(&mut Snapshot);

#[test]
fn what_has_lost_its_disk_or_its_vm_undoes_the_import() {
    let (pool, joiner) = world("06-suspended-vm");
    let cases: [(&str, Break, &str); 3] = [
        (
            "a suspended VM without its image",
            |joiner| change::<Vm>(joiner, "vm-a-app1", |vm| vm.suspend_VDI = Ref::null()),
            "IMPORT_ERROR_FAILED_TO_FIND_OBJECT",
        ),
        (
            "a snapshot of nothing",
            |joiner| change::<Vm>(joiner, "snap-a-app1", |vm| vm.snapshot_of = Ref::null()),
            "IMPORT_ERROR_FAILED_TO_FIND_OBJECT",
        ),
        (
            "an attached disk that does not exist",
            |joiner| {
                change::<Vbd>(joiner, "vbd-a-app1-0", |vbd| {
                    vbd.VDI = Ref::null();
                    vbd.empty = true;
                });
            },
            "IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND",
        ),
    ];
    assert_eq!(machines(&foretold(&pool, &joiner)).import, Import::Complete);
    for (what, break_it, code) in cases {
        let mut joiner = joiner.clone();
        break_it(&mut joiner);
        let foretold = foretold(&pool, &joiner);
        assert_eq!(undone(&foretold).code, code, "{what}");
    }
    // A ref to a VM that is gone does no harm.
    let mut joiner = joiner;
    change::<Vm>(&mut joiner, "snap-a-app1", |vm| vm.snapshot_of = Ref::new("OpaqueRef:gone"));
    assert_eq!(machines(&foretold(&pool, &joiner)).import, Import::Complete);
}

#[test]
fn a_second_try_after_a_join_that_failed_late_brings_no_vm() {
    let path = "tests/data/oracle/joins/14-management-vlan.json";
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let pool = Snapshot::from_json(file["pool_after"].to_string().as_bytes()).unwrap();
    let joiner = Snapshot::from_json(file["joiner_before"].to_string().as_bytes()).unwrap();
    let foretold = foretold(&pool, &joiner);
    assert_eq!(foretold.host.as_ref().unwrap().outcome, CopyOutcome::Known);
    assert_eq!(foretold.sr_count.map(|count| (count.before, count.after)), Some((8, 8)));
    let pbds = foretold.pbds.iter().flatten();
    let codes: BTreeSet<_> = pbds
        .map(|pbd| match &pbd.outcome {
            CopyOutcome::Refused(Some(fault)) => fault.code.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, BTreeSet::from(["PBD_EXISTS"]));
    assert!(foretold.interfaces.iter().flatten().all(|pif| pif.twin.is_some()));
    // The control domain is there from the first try, one version newer.
    assert_eq!(undone(&foretold).code, "VM_TO_IMPORT_IS_NOT_NEWER_VERSION");
    assert_eq!(undone(&foretold).params[1..], ["1", "0"]);
}

#[test]
fn a_third_host_joins_as_the_second_did() {
    let path = "tests/data/oracle/joins/01-minimal-fresh-joiner.json";
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let pool = Snapshot::from_json(file["pool_after"].to_string().as_bytes()).unwrap();
    let second = Snapshot::from_json(file["joiner_before"].to_string().as_bytes()).unwrap();
    // Another host of the same make: other uuids.
    let text = second.to_json();
    let uuids = [
        second.host.records().map(|r| r.uuid.to_string()).collect::<Vec<_>>(),
        second.sr.records().map(|r| r.uuid.to_string()).collect(),
        second.vdi.records().map(|r| r.uuid.to_string()).collect(),
        second.vm.records().map(|r| r.uuid.to_string()).collect(),
    ];
    let text = uuids.iter().flatten().fold(text, |text, uuid| {
        text.replace(uuid.as_str(), &format!("{}c", &uuid[..uuid.len() - 1]))
    });
    let third = Snapshot::from_json(text.as_bytes()).unwrap();
    let foretold = foretold(&pool, &third);
    assert_eq!(foretold.sr_count.map(|count| (count.before, count.after)), Some((8, 11)));
    let after = foretold.changes().apply(&pool);
    assert_eq!((after.host.len(), after.pbd.len(), after.network.len()), (3, 13, 3));
    let tools = after.sr.records().find(|sr| sr.is_tools_sr).unwrap();
    assert_eq!(tools.PBDs.len(), 3);
    assert_eq!(machines(&foretold).import, Import::Complete);
}

#[test]
fn a_host_that_the_master_refuses_leaves_its_storage_and_vms_in_the_pool() {
    let (mut pool, joiner) = world(ONE_VM);
    let (reference, host) = pool.host.iter().next().unwrap();
    let (reference, mut host) = (reference.clone(), host.clone());
    for n in 2..4 {
        host.uuid = Uuid::new(&format!("host {n}"));
        pool.host.insert(Ref::new(&format!("{reference}-{n}")), host.clone());
    }
    let (pool_ref, _) = pool.the_pool().unwrap();
    let pool_ref = pool_ref.clone();
    let restrictions = &mut pool.pool.get_mut(&pool_ref).unwrap().restrictions;
    restrictions.insert("restrict_pool_size".to_owned(), "true".to_owned());
    let foretold = foretold(&pool, &joiner);
    let fault = Fault::new("LICENCE_RESTRICTION", ["Pool_size"]);
    assert_eq!(foretold.host.as_ref().unwrap().outcome, CopyOutcome::Refused(Some(fault.clone())));
    assert!(foretold.srs.iter().flatten().any(|sr| sr.outcome == SrOutcome::Introduced));
    let refused = CopyOutcome::Refused(Some(fault.clone()));
    assert!(foretold.pbds.iter().flatten().all(|pbd| pbd.outcome == refused));
    let refused = PifOutcome::Refused(Some(fault));
    assert!(foretold.interfaces.iter().flatten().all(|pif| pif.outcome == refused));
    let added = &foretold.changes().added;
    assert!(added.host.is_empty() && added.pbd.is_empty() && added.pif.is_empty());
    assert!(added.vm.records().all(|vm| vm.resident_on.is_null()));
    assert_eq!(foretold.after_start, None);
}

#[test]
fn a_pool_without_tools_sr_refuses_the_joiners() {
    let (mut pool, joiner) = world(MINIMAL);
    for (_, sr) in pool.sr.iter_mut() {
        sr.is_tools_sr = false;
    }
    let foretold = foretold(&pool, &joiner);
    let tools = foretold.srs.iter().flatten().find(|sr| sr.name_label == "XCP-ng Tools").unwrap();
    let SrOutcome::Refused(fault) = &tools.outcome else { panic!("{tools:?}") };
    assert_eq!(fault.params, [format!("can't find SR {} of tools iso", tools.uuid)]);
    // Raised again for its PBD and for its disk.
    assert_eq!(foretold.swallowed.iter().filter(|other| *other == fault).count(), 3);
}

#[test]
fn settings_follow_the_joiners_release() {
    let (pool, joiner) = world(ONE_VM);
    let release = |release: &str| {
        let mut joiner = joiner.clone();
        for (_, host) in joiner.host.iter_mut() {
            host.software_version.insert("xapi".to_owned(), release.to_owned());
            host.software_version.remove("xapi_build");
        }
        foretold(&pool, &joiner)
    };
    let names = |consequences: &Consequences| -> Vec<&str> {
        consequences.settings.iter().flatten().map(|setting| setting.name).collect()
    };
    let (old, new) = (release("1.20"), release("26.16"));
    assert_eq!(names(&old), ["pool.default_SR", "pool.tls_verification_enabled"]);
    assert!(names(&new).contains(&"host.ssh_enabled"));
    assert!(names(&new).contains(&"host.external_auth_configuration:ldaps"));
    assert!(!names(&release("26.15")).contains(&"host.external_auth_configuration:ldaps"));
    // An old release copies the host's own settings.
    let timeout = |consequences: &Foretold| {
        consequences.changes().added.host.records().next().unwrap().console_idle_timeout
    };
    assert_eq!((timeout(&old), timeout(&new)), (Some(600), Some(0)));
    let inherited = |consequences: &Foretold| {
        let changes = &consequences.host.as_ref().unwrap().changes;
        changes.iter().any(|change| change.cause == Cause::Inherited)
    };
    assert!(!inherited(&old) && inherited(&new));
}

#[test]
fn management_on_a_vlan_is_told_with_its_risk() {
    let (pool, joiner) = world("26-management-vlan-bridge-renamed");
    let foretold = foretold(&pool, &joiner);
    let Some(Management::Vlan { tag, network: Some(there), bridge, renamed }) =
        &foretold.management
    else {
        panic!("{:?}", foretold.management);
    };
    assert_eq!((*tag, there.name_label.as_str()), (42, "mgmt"));
    assert_eq!((bridge.as_str(), renamed.as_deref()), ("xapi3", Some("xapi0")));
    // The VM was on the management network, and is on one without interfaces now.
    let landing = network(&foretold, "xapi3").landing.as_ref().unwrap();
    assert_eq!(landed(landing), (vec!["xapi3"], LandedBy::Created, Some(true)));
    assert_eq!(foretold.left_behind, ["subject"]);

    let (pool, joiner) = world("22-management-vlan-same-bridge");
    let foretold = self::foretold(&pool, &joiner);
    assert!(matches!(&foretold.management, Some(Management::Vlan { renamed: None, .. })));
    let landing = network(&foretold, "xapi0").landing.as_ref().unwrap();
    assert_eq!(landed(landing), (vec!["xapi0"], LandedBy::Label, Some(false)));
}

#[test]
fn a_refused_call_changes_nothing() {
    let (mut pool, joiner) = world(ONE_VM);
    pool.pool.iter_mut().for_each(|(_, pool)| pool.ha_enabled = true);
    let report = report(&pool, &joiner, false);
    let (foretold, changes) = (report.consequences(), report.changes());
    assert!(changes.is_empty() && foretold.host.is_none());
    assert_eq!(changes.apply(&pool), pool);
    let text = foretold.to_string();
    assert_eq!(text, "pool.join is refused with HA_IS_ENABLED: nothing changes\n");
}
