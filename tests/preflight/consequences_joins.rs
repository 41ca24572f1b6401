//! What was foretold of a join is what the recorded join did: no more, no less.
//!
//! Each recording holds the databases before and after. The changes foretold are applied to the
//! pool's database before, and the result is compared with the one after: every record of every
//! modelled class, every field. What the recordings cannot show is listed in their README, under
//! "Artefacts of the harness".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use xcp_pool::Fault;
use xcp_pool::model::{Snapshot, Uuid};
use xcp_pool::preflight::Report;
use xcp_pool::preflight::consequences::{
    Consequences, CopyOutcome, NetworkOutcome, PifOutcome, SrOutcome,
};

use crate::foretold::report;

struct Recording {
    file: Map<String, Value>,
}

impl Recording {
    fn load(name: &str) -> Self {
        let path = format!("{}/tests/data/oracle/joins/{name}.json", env!("CARGO_MANIFEST_DIR"));
        Self { file: serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() }
    }

    fn snapshot(&self, which: &str) -> Snapshot {
        let snapshot = Snapshot::from_json(self.file[which].to_string().as_bytes()).unwrap();
        assert_eq!(snapshot.problems, []);
        snapshot
    }

    /// The error that the call answered with.
    fn error(&self) -> Option<Fault> {
        let error = self.file["join"]["response"].get("error")?;
        let params = error["data"].as_array().unwrap().iter().map(|p| p.as_str().unwrap());
        Some(Fault::new(error["message"].as_str().unwrap(), params))
    }

    /// What the preflight says of the call.
    fn report(&self, pool: &Snapshot, joiner: &Snapshot) -> Report {
        let method = self.file["join"]["request"]["method"].as_str().unwrap();
        report(pool, joiner, method.ends_with("join_force"))
    }

    /// The errors of the import, in the order of the joiner's log.
    fn swallowed(&self) -> Vec<Fault> {
        let lines = self.file["swallowed_errors_in_the_joiners_log"].as_array().unwrap();
        let lines = lines.iter().map(|line| line.as_str().unwrap());
        let raised = lines.filter_map(|line| line.split_once("Server_error("));
        raised
            .map(|(_, raised)| {
                let (code, params) = raised.trim_end_matches(')').split_once(", [").unwrap();
                let params = params.trim_end_matches(']').split(';').map(str::trim);
                Fault::new(code, params.filter(|param| !param.is_empty()))
            })
            .collect()
    }
}

/// Holds what is foretold against one recording.
fn check(name: &str) {
    let recording = Recording::load(name);
    let before = recording.snapshot("pool_before");
    let joiner = recording.snapshot("joiner_before");
    let report = recording.report(&before, &joiner);
    let (foretold, changes) = (report.consequences(), report.changes());
    assert_eq!(foretold.unknown, [], "the recordings cover everything");
    let actual = recording.file["pool_after"].as_object().unwrap();

    let refs = crate::left::compare(&before, &changes, actual, recording.error().is_none());
    if foretold.refusal.is_some() {
        assert_eq!(foretold.refusal, recording.error());
        assert!(changes.is_empty());
    } else {
        let swallowed: Vec<_> = foretold
            .swallowed
            .iter()
            .map(|fault| crate::left::with_real_refs(fault, &refs))
            .collect();
        assert_eq!(swallowed, recording.swallowed());
        compare_fates(&recording, &joiner, &foretold, &refs);
        let (after, srs) = (actual["SR"].as_object().unwrap(), foretold.sr_count.unwrap());
        assert_eq!((srs.before, srs.after), (before.sr.len(), after.len()));
    }
}

/// What is told of each object of the joiner's is what became of it.
///
/// The recordings say of every object which of the pool's it became, if any.
fn compare_fates(
    recording: &Recording,
    joiner: &Snapshot,
    foretold: &Consequences,
    refs: &BTreeMap<String, String>,
) {
    let real = |reference: String| refs.get(&reference).cloned().unwrap_or(reference);
    let mut fates: BTreeMap<(&str, String), bool> = BTreeMap::new();
    let mut became = |class, uuid: &Uuid, appears| {
        fates.insert((class, uuid.to_string()), appears);
    };
    let host = foretold.host.as_ref().unwrap();
    became("host", &host.uuid, true);
    for sr in foretold.srs.as_ref().unwrap() {
        became("SR", &sr.uuid, !matches!(sr.outcome, SrOutcome::Refused(_)));
    }
    for pbd in foretold.pbds.as_ref().unwrap() {
        became("PBD", &pbd.uuid, pbd.outcome == CopyOutcome::Created);
    }
    for vdi in foretold.vdis.as_ref().unwrap() {
        became("VDI", &vdi.uuid, vdi.outcome == CopyOutcome::Created);
    }
    for network in foretold.networks.as_ref().unwrap() {
        let landed = network.landing.is_some();
        let copied = !matches!(network.outcome, NetworkOutcome::Refused(_));
        became("network", &network.uuid, copied || landed);
    }
    for pif in foretold.interfaces.as_ref().unwrap() {
        became("PIF", &pif.uuid, matches!(pif.outcome, PifOutcome::Introduced(_)));
    }
    let machines = foretold.machines.as_ref().unwrap();
    for vm in &machines.vms {
        became("VM", &vm.uuid, vm.arrives);
        for vif in vm.vifs.iter().flatten() {
            became("VIF", &vif.uuid, true);
            let (reference, _) = joiner.vif.by_uuid(&vif.uuid).unwrap();
            let fate = &recording.file["fate_of_joiner_objects"]["VIF"][reference.to_string()];
            let there = &vif.landing.as_ref().unwrap().places;
            let there = real(there.iter().next().unwrap().reference.to_string());
            let actual = &recording.file["pool_after"]["VIF"][fate["pool_ref"].as_str().unwrap()];
            assert_eq!(actual["network"], there);
        }
    }
    for (class, objects) in recording.file["fate_of_joiner_objects"].as_object().unwrap() {
        for (reference, fate) in objects.as_object().unwrap() {
            let before = &recording.file["joiner_before"][class][reference];
            let uuid = before["uuid"].as_str().unwrap().to_owned();
            // A VM of the pool's with the same uuid is not what became of the joiner's.
            let how = fate["how"].as_str().unwrap();
            let other = class == "VM" && how == "same uuid (was in the pool before)";
            let appears = !other && !fate["pool_ref"].is_null();
            let told = fates.remove(&(class.as_str(), uuid));
            match class.as_str() {
                "VM" if before["is_default_template"] == true => {
                    assert_eq!((told, appears), (None, false));
                }
                "VIF" => assert_eq!(told.unwrap_or(false), appears),
                "host" | "SR" | "PBD" | "VDI" | "network" | "PIF" | "VM" => {
                    assert_eq!(told, Some(appears), "{class} {reference} {how}");
                }
                _ => assert_eq!(told, None),
            }
        }
    }
    assert!(fates.is_empty(), "{fates:?}");
}

macro_rules! recordings {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                check($name);
            }
        )*

        #[test]
        fn every_recording_has_its_test() {
            let folder = format!("{}/tests/data/oracle/joins", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
            let files = files.filter_map(|file| Some(file.to_str()?.strip_suffix(".json")?.to_owned()));
            let tests = BTreeSet::from([$($name.to_owned()),*]);
            assert_eq!(files.collect::<BTreeSet<_>>(), tests);
        }
    };
}

recordings! {
    minimal_fresh_joiner "01-minimal-fresh-joiner"
    halted_vm_template_snapshot "02-halted-vm-template-snapshot"
    extra_local_srs "03-extra-local-srs"
    extra_nics "04-extra-nics"
    suspended_vm "06-suspended-vm"
    name_clashes "07-name-clashes"
    vm_with_the_mac_seed_of_another "08-vm-same-mac-seed"
    vm_with_the_uuid_of_an_older_one "10-vm-same-uuid-newer"
    vm_with_the_uuid_of_a_running_one "11-vm-same-uuid-running"
    pool_with_nfs_vlan_and_bond "12-pool-nfs-vlan-bond"
    settings_of_the_joiner "13-joiner-settings"
    management_on_a_vlan "14-management-vlan"
    asynchronous_call "15-async-join"
    refused_call "16-refused-running-vm"
    host_that_the_pool_knows "19-host-record-already-in-pool"
    vif_on_an_internal_network_that_the_pool_lacks "20-vif-on-internal-network-the-pool-lacks"
    management_on_a_vlan_with_the_same_bridge "22-management-vlan-same-bridge"
    pool_with_an_unreachable_member "23-pool-with-unreachable-member"
    forced_with_another_cpu_vendor "24-join-force-other-cpu-vendor"
    management_on_a_vlan_with_another_bridge "26-management-vlan-bridge-renamed"
}
