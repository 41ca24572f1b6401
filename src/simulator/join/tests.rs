use std::path::Path;

use serde_json::Value as Json;

use super::*;
use crate::simulator::Release;
use crate::simulator::database::{Row, Value};

/// The databases of the plainest recorded join: a fresh host, and a pool of one.
fn fresh_joiner_and_pool() -> (Database, Database) {
    let path = "tests/data/oracle/joins/01-minimal-fresh-joiner.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let join: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let load = |side: &str| Database::load(Release::Newest, &join[side]).unwrap();
    (load("joiner_before"), load("pool_before"))
}

/// Runs a whole merge; returns what was swallowed beside what every join swallows.
fn merge(joiner: &Database, pool: &mut Database) -> Vec<String> {
    let mut merge = Merge::new(joiner);
    let mut random = Random::new(1);
    while merge.step(pool, &mut random, &"20260101T00:00:05Z".into()).is_some() {}
    let usual = "LOCATION_NOT_UNIQUE [OpaqueRef:sr-b-tools, guest-tools.iso]";
    merge.swallowed().iter().map(ToString::to_string).filter(|fault| fault != usual).collect()
}

fn add(database: &mut Database, class: &str, name: &str, values: &[(&'static str, Value)]) -> Ref {
    let reference: Ref = format!("OpaqueRef:{name}").into();
    database.create(class, &reference, values.iter().cloned()).unwrap();
    reference
}

fn add_network(database: &mut Database, name: &str, label: &str, bridge: &str) -> Ref {
    add(database, "network", name, &[("name_label", label.into()), ("bridge", bridge.into())])
}

/// A halted VM; one VIF for each of the networks.
fn add_vm(database: &mut Database, name: &str, networks: &[&Ref]) -> Ref {
    let seed = Value::map([("mac_seed", format!("seed of {name}"))]);
    let vm = add(
        database,
        "VM",
        name,
        &[
            ("name_label", name.into()),
            ("power_state", "Halted".into()),
            ("other_config", seed),
            ("memory_static_max", (1 << 30).into()),
            ("VCPUs_max", 1.into()),
        ],
    );
    let metrics = add(database, "VM_metrics", &format!("metrics-of-{name}"), &[]);
    database.set("VM", &vm, "metrics", metrics).unwrap();
    for (device, network) in networks.iter().copied().enumerate() {
        let vif = format!("vif-{name}-{device}");
        add(
            database,
            "VIF",
            &vif,
            &[
                ("VM", (&vm).into()),
                ("network", network.into()),
                ("device", device.to_string().into()),
                ("MAC", format!("02:00:00:00:00:{device:02x}").into()),
            ],
        );
    }
    vm
}

fn vm_named(pool: &Database, label: &str) -> Option<Ref> {
    pool.by_name_label("VM", label).into_iter().next()
}

fn label_of_network(pool: &Database, vm: &str, device: &str) -> String {
    let vm = vm_named(pool, vm).unwrap();
    let vif = |vif: &Row<'_>| vif.text("VM") == &*vm && vif.text("device") == device;
    let vif = pool.find("VIF", vif).unwrap();
    pool.text("network", &pool.text("VIF", &vif, "network"), "name_label").to_string()
}

#[test]
fn internal_networks_cross_only_under_bridge_names_that_users_may_give() {
    let (mut joiner, mut pool) = fresh_joiner_and_pool();
    add_network(&mut pool, "n1", "pool internal", "xapi0");
    add_network(&mut pool, "n2", "taken", "br-clash");
    let lab = add_network(&mut joiner, "n1", "lab", "xapi0");
    add_network(&mut joiner, "n2", "unused internal", "xapi1");
    let storage = add_network(&mut joiner, "n3", "storage", "xapi2");
    add_network(&mut joiner, "n4", "clash", "br-clash");
    let custom = add_network(&mut joiner, "n5", "custom", "br-custom");
    joiner.set("network", &custom, "tags", Value::texts(["kept"])).unwrap();
    add_vm(&mut joiner, "app", &[&lab, &storage]);

    let mut swallowed = merge(&joiner, &mut pool);
    swallowed.sort();
    assert_eq!(
        swallowed,
        [
            "BRIDGE_NAME_EXISTS [br-clash]",
            "INVALID_VALUE [bridge, xapi0]",
            "INVALID_VALUE [bridge, xapi1]",
            "INVALID_VALUE [bridge, xapi2]",
        ]
    );
    // The label decides, then the bridge, however unrelated the network.
    assert_eq!(label_of_network(&pool, "app", "0"), "pool internal");
    assert_eq!(label_of_network(&pool, "app", "1"), "storage");
    let storage = pool.by_name_label("network", "storage");
    assert_eq!(&*pool.text("network", &storage[0], "bridge"), "xenbr1");
    assert_eq!(pool.by_name_label("network", "unused internal"), Vec::<Ref>::new());
    let custom = pool.by_name_label("network", "custom");
    assert_eq!(pool.get("network", &custom[0], "tags"), Value::texts(["kept"]));
    assert_ne!(&*pool.text("network", &custom[0], "uuid"), "n5");
}

#[test]
fn a_vm_that_is_not_newer_than_the_pools_keeps_all_vms_out() {
    let (mut joiner, mut pool) = fresh_joiner_and_pool();
    let ours = add_vm(&mut joiner, "ours", &[]);
    add_vm(&mut joiner, "innocent", &[]);
    let theirs = vm_named(&pool, "db1").unwrap();
    joiner.set("VM", &ours, "uuid", pool.text("VM", &theirs, "uuid")).unwrap();
    let (vms, metrics) = (pool.count("VM"), pool.count("VM_metrics"));

    let swallowed = merge(&joiner, &mut pool);
    assert_eq!(swallowed, [format!("VM_TO_IMPORT_IS_NOT_NEWER_VERSION [{theirs}, 0, 0]")]);
    assert_eq!(pool.count("VM"), vms);
    // One for each of the three VMs of the export, dom0 included.
    assert_eq!(pool.count("VM_metrics"), metrics + 3);
    assert_eq!(pool.count("host"), 2);
}

#[test]
fn vms_made_before_the_objection_are_taken_away_again() {
    let (mut joiner, mut pool) = fresh_joiner_and_pool();
    // VMs are sent by descending ref: this one comes first.
    let lonely = add_network(&mut joiner, "lonely", "lonely", "xapi9");
    add_vm(&mut joiner, "zzz", &[&lonely]);
    let clash = add_vm(&mut joiner, "aaa", &[]);
    let theirs = vm_named(&pool, "web1").unwrap();
    joiner.set("VM", &clash, "uuid", pool.text("VM", &theirs, "uuid")).unwrap();
    let (vms, metrics) = (pool.count("VM"), pool.count("VM_metrics"));

    let swallowed = merge(&joiner, &mut pool);
    assert!(swallowed.contains(&format!("VM_BAD_POWER_STATE [{theirs}, Halted, Running]")));
    assert_eq!(pool.count("VM"), vms);
    assert_eq!(vm_named(&pool, "zzz"), None);
    // Those of zzz and dom0 went with their VMs, that of aaa never had one.
    assert_eq!(pool.count("VM_metrics"), metrics + 1);
    assert_eq!(pool.by_name_label("network", "lonely"), Vec::<Ref>::new());
}

#[test]
fn a_paused_vm_arrives_halted_with_its_tools_iso_from_the_pools_sr() {
    let (mut joiner, mut pool) = fresh_joiner_and_pool();
    let paused = add_vm(&mut joiner, "paused", &[]);
    let host = joiner.refs("host")[0].clone();
    joiner.set("VM", &paused, "power_state", "Paused").unwrap();
    joiner.set("VM", &paused, "domid", 7).unwrap();
    joiner.set("VM", &paused, "resident_on", host).unwrap();
    let iso = joiner.find("VDI", |vdi| vdi.flag("is_tools_iso")).unwrap();
    add(
        &mut joiner,
        "VBD",
        "drive",
        &[
            ("VM", paused.into()),
            ("VDI", iso.into()),
            ("type", "CD".into()),
            ("mode", "RO".into()),
            ("currently_attached", true.into()),
        ],
    );
    assert_eq!(merge(&joiner, &mut pool), Vec::<String>::new());
    let vm = pool.object("VM", &vm_named(&pool, "paused").unwrap()).unwrap();
    assert_eq!((vm.text("power_state"), vm.int("domid")), ("Halted", -1));
    let joined = pool.by_uuid("host", "00000000-0000-4000-8000-0000000000a1").unwrap();
    assert_eq!(vm.text("resident_on"), &*joined);
    let drive = pool.object("VBD", &vm.refs("VBDs")[0]).unwrap();
    let iso = pool.object("VDI", drive.text("VDI")).unwrap();
    assert_eq!(iso.text("SR"), "OpaqueRef:sr-b-tools");
}

#[test]
fn a_snapshot_without_its_vm_keeps_all_vms_out() {
    let (mut joiner, mut pool) = fresh_joiner_and_pool();
    let snapshot = add_vm(&mut joiner, "snapshot", &[]);
    joiner.set("VM", &snapshot, "is_a_snapshot", true).unwrap();
    joiner.set("VM", &snapshot, "snapshot_of", crate::simulator::database::NULL_REF).unwrap();
    let vms = pool.count("VM");
    let swallowed = merge(&joiner, &mut pool);
    assert_eq!(swallowed, ["IMPORT_ERROR_FAILED_TO_FIND_OBJECT [Ref:2]"]);
    assert_eq!(pool.count("VM"), vms);
}

#[test]
fn a_snapshot_may_share_the_mac_seed_of_its_vm() {
    let (mut joiner, mut pool) = fresh_joiner_and_pool();
    let ours = add_vm(&mut joiner, "ours", &[]);
    let snapshot = add_vm(&mut joiner, "snapshot", &[]);
    let theirs = vm_named(&pool, "db1").unwrap();
    let seed = Value::map([("mac_seed", "one seed")]);
    pool.set("VM", &theirs, "other_config", seed.clone()).unwrap();
    joiner.set("VM", &ours, "uuid", pool.text("VM", &theirs, "uuid")).unwrap();
    joiner.set("VM", &ours, "version", 1).unwrap();
    joiner.set("VM", &snapshot, "is_a_snapshot", true).unwrap();
    joiner.set("VM", &snapshot, "snapshot_of", ours).unwrap();
    joiner.set("VM", &snapshot, "other_config", seed.clone()).unwrap();
    assert_eq!(merge(&joiner, &mut pool.clone()), Vec::<String>::new());

    let stranger = add_vm(&mut joiner, "stranger", &[]);
    joiner.set("VM", &stranger, "other_config", seed).unwrap();
    assert_eq!(merge(&joiner, &mut pool), ["DUPLICATE_MAC_SEED [one seed]"]);
}

#[test]
fn a_fourth_host_without_the_licence_for_it_brings_only_what_hangs_on_no_host() {
    let (joiner, mut pool) = fresh_joiner_and_pool();
    add(&mut pool, "host", "h2", &[]);
    add(&mut pool, "host", "h3", &[]);
    let master = pool.refs("pool")[0].clone();
    pool.set("pool", &master, "restrictions", Value::Map(Vec::new())).unwrap();
    let swallowed = merge(&joiner, &mut pool);
    assert_eq!(swallowed.len(), 1 + joiner.count("PBD") + joiner.count("PIF"));
    assert!(swallowed.iter().all(|fault| fault == "LICENCE_RESTRICTION [Pool_size]"));
    assert_eq!((pool.count("host"), pool.count("SR")), (3, 8));
}

#[test]
fn merging_twice_adds_only_what_has_no_uuid_to_find_it_by() {
    let (joiner, mut pool) = fresh_joiner_and_pool();
    assert_eq!(merge(&joiner, &mut pool), Vec::<String>::new());
    let once = pool.clone();
    let swallowed = merge(&joiner, &mut pool);
    assert_eq!(swallowed.len(), 5);
    assert_eq!(swallowed.iter().filter(|fault| fault.starts_with("PBD_EXISTS")).count(), 4);
    assert!(swallowed[4].starts_with("VM_TO_IMPORT_IS_NOT_NEWER_VERSION"));
    for class in ["host", "SR", "PBD", "VDI", "network", "VM"] {
        assert_eq!(pool.count(class), once.count(class), "{class}");
    }
    assert_eq!(pool.count("PIF"), once.count("PIF") + 1);
}
