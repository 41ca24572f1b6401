//! What was foretold of a join is what the recorded join did: no more, no less.
//!
//! Each recording holds the databases before and after. The changes foretold are applied to the
//! pool's database before, and the result is compared with the one after: every record of every
//! modelled class, every field. What the recordings cannot show is listed in their README, under
//! "Artefacts of the harness".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use xcp_pool::Fault;
use xcp_pool::model::{Class, Record, Snapshot, Table, Uuid};
use xcp_pool::preflight::consequences::{
    Attempt, Changes, Consequences, MADE_AT_JOIN, NetworkOutcome, Outcome, PifOutcome, SrOutcome,
    foretell, foretell_with_changes,
};
use xcp_pool::preflight::{Policy, evaluate};

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

    /// The call, with what the preflight predicts of it.
    fn attempt(&self, pool: &Snapshot, joiner: &Snapshot) -> Attempt {
        let report = evaluate(pool, joiner, &Policy::default());
        let method = self.file["join"]["request"]["method"].as_str().unwrap();
        if method.ends_with("join_force") {
            Attempt::join_force().refused(report.predicted_fault_of_join_force().cloned())
        } else {
            Attempt::join().refused(report.predicted_fault().cloned())
        }
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
    let attempt = recording.attempt(&before, &joiner);
    let (foretold, changes) = foretell_with_changes(&before, &joiner, &attempt);
    assert_eq!(foretell(&before, &joiner, &attempt), foretold, "with or without the changes");
    assert_eq!(foretold.unknown, [], "the recordings cover everything");
    let actual = recording.file["pool_after"].as_object().unwrap();

    let mut expected: Map<String, Value> =
        serde_json::from_str(&changes.apply(&before).to_json()).unwrap();
    let refs = real_refs(&mut expected, actual);
    for class in Class::ALL.iter().map(|class| class.as_str()) {
        let Some(actual) = actual.get(class).and_then(Value::as_object) else { continue };
        compare_class(&recording, class, expected[class].as_object().unwrap(), actual);
    }
    assert_nothing_hidden(&changes);
    if foretold.refusal.is_some() {
        assert_eq!(foretold.refusal, recording.error());
        assert!(changes.is_empty());
    } else {
        let swallowed: Vec<_> =
            foretold.swallowed.iter().map(|fault| with_real_refs(fault, &refs)).collect();
        assert_eq!(swallowed, recording.swallowed());
        compare_fates(&recording, &joiner, &foretold, &refs);
        let (after, srs) = (actual["SR"].as_object().unwrap(), foretold.sr_count.unwrap());
        assert_eq!((srs.before, srs.after), (before.sr.len(), after.len()));
    }
}

fn compare_class(
    recording: &Recording,
    class: &str,
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
) {
    let refs = |records: &Map<String, Value>| records.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(refs(expected), refs(actual), "the records of class {class}");
    for (reference, expected) in expected {
        let actual = &actual[reference];
        for (field, expected) in expected.as_object().unwrap() {
            let settled = recording.error().is_none();
            let started = settled
                && matches!(
                    (class, field.as_str()),
                    ("host", "enabled") | ("host_metrics", "live")
                );
            let (expected, actual) =
                (plain(class, field, expected), plain(class, field, &actual[field]));
            if started && actual == Value::Bool(true) {
                // Artefact 4: the recording goes on to the new member's start.
                continue;
            }
            if field == "allowed_operations" {
                continue;
            }
            let made_up = made_at_join(&expected, &actual);
            assert!(
                expected == actual || made_up,
                "{class} {reference} {field}\nforetold {expected}\nrecorded {actual}"
            );
        }
    }
}

/// Equal but for the values that the server makes up, which must be there.
fn made_at_join(expected: &Value, actual: &Value) -> bool {
    let (Value::Object(expected), Value::Object(actual)) = (expected, actual) else { return false };
    let keys = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
    keys(expected) == keys(actual)
        && expected.iter().all(|(key, value)| {
            *value == actual[key] || (value == MADE_AT_JOIN && actual[key] != "")
        })
}

/// Lists as sets; the refs that the export makes of null refs (`Ref:12`) as null.
fn plain(class: &str, field: &str, value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items = items.clone();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::String(text) if class == "VM" && text.starts_with("Ref:") => {
            assert!(field == "parent" || field == "snapshot_of");
            Value::String("OpaqueRef:NULL".to_owned())
        }
        _ => value.clone(),
    }
}

/// Puts the refs that the server made in the place of those that were foretold.
fn real_refs(
    expected: &mut Map<String, Value>,
    actual: &Map<String, Value>,
) -> BTreeMap<String, String> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    // First what has a uuid, then what is known by those: the metrics by who has them.
    let order = [
        ("host", &["uuid"][..]),
        ("SR", &["uuid"]),
        ("VDI", &["uuid"]),
        ("VM", &["uuid"]),
        ("VBD", &["uuid"]),
        ("VIF", &["uuid"]),
        ("network", &["bridge"]),
        ("PIF", &["host", "device", "VLAN"]),
        ("PBD", &["host", "SR"]),
        ("VLAN", &["untagged_PIF"]),
    ];
    for (class, keys) in order {
        let foretold = expected[class].as_object().unwrap();
        let old = foretold
            .keys()
            .filter(|reference| !is_new(reference))
            .cloned()
            .collect::<BTreeSet<_>>();
        for (reference, record) in foretold.iter().filter(|(reference, _)| is_new(reference)) {
            let real = |value: &Value| match value.as_str().and_then(|text| known.get(text)) {
                Some(real) => Value::String(real.clone()),
                None => value.clone(),
            };
            let same = |other: &Value| keys.iter().all(|key| real(&record[*key]) == other[*key]);
            let candidates = actual[class].as_object().unwrap().iter();
            let found: Vec<_> =
                candidates.filter(|(id, other)| !old.contains(*id) && same(other)).collect();
            assert_eq!(found.len(), 1, "{class} {record} was foretold");
            known.insert(reference.clone(), found[0].0.clone());
        }
    }
    for (class, field, metrics) in [
        ("host", "metrics", "host_metrics"),
        ("PIF", "metrics", "PIF_metrics"),
        ("VM", "metrics", "VM_metrics"),
        ("VM", "guest_metrics", "VM_guest_metrics"),
    ] {
        for (reference, record) in expected[class].as_object().unwrap() {
            let id = record[field].as_str().unwrap();
            let owner = known.get(reference).unwrap_or(reference);
            if is_new(id) {
                let real = actual[class][owner][field].as_str().unwrap();
                assert!(actual[metrics].get(real).is_some());
                known.insert(id.to_owned(), real.to_owned());
            }
        }
    }
    orphans(expected, actual, &mut known);
    let text = Value::Object(expected.clone()).to_string();
    let text = known.iter().rev().fold(text, |text, (foretold, real)| {
        text.replace(&format!("\"{foretold}\""), &format!("\"{real}\""))
    });
    *expected = serde_json::from_str(&text).unwrap();
    known
}

/// Metrics without a VM have no key: any with the same contents will do.
fn orphans(
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
    known: &mut BTreeMap<String, String>,
) {
    let foretold = expected["VM_metrics"].as_object().unwrap();
    for (reference, record) in foretold.iter().filter(|(id, _)| is_new(id)) {
        if known.contains_key(reference) {
            continue;
        }
        let taken: BTreeSet<_> = known.values().collect();
        let same = |other: &Value| {
            record.as_object().unwrap().iter().all(|(field, value)| other[field] == *value)
        };
        let found =
            actual["VM_metrics"].as_object().unwrap().iter().find(|(id, other)| {
                !foretold.contains_key(*id) && !taken.contains(id) && same(other)
            });
        let (real, _) = found.unwrap_or_else(|| panic!("metrics {record} were foretold"));
        known.insert(reference.clone(), real.clone());
    }
}

fn is_new(reference: &str) -> bool {
    Changes::is_new(&xcp_pool::model::Ref::<xcp_pool::model::Vm>::new(reference))
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
        became("PBD", &pbd.uuid, pbd.outcome == Outcome::Created);
    }
    for vdi in foretold.vdis.as_ref().unwrap() {
        became("VDI", &vdi.uuid, vdi.outcome == Outcome::Created);
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
                    assert_eq!((told, appears), (None, false))
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

fn with_real_refs(fault: &Fault, refs: &BTreeMap<String, String>) -> Fault {
    Fault::new(
        &*fault.code,
        fault.params.iter().map(|param| refs.get(param).unwrap_or(param).as_str()),
    )
}

/// What was not foretold is what nobody can know.
fn assert_nothing_hidden(changes: &Changes) {
    fn hidden<T: Record>(table: &Table<T>, allowed: &[&str]) {
        for (reference, record) in table {
            let hidden: Vec<_> = T::FIELDS
                .iter()
                .filter(|field| !record.has(field) && !allowed.contains(field))
                .collect();
            assert!(hidden.is_empty(), "{} {reference} does not say {hidden:?}", T::CLASS);
        }
    }
    let added = &changes.added;
    hidden(&added.host, &["allowed_operations"]);
    hidden(&added.host_metrics, &["uuid", "last_updated"]);
    hidden(&added.network, &["uuid"]);
    hidden(&added.pif, &["uuid"]);
    hidden(&added.pif_metrics, &["uuid"]);
    hidden(&added.vlan, &["uuid"]);
    hidden(&added.sr, &[]);
    hidden(&added.pbd, &["uuid"]);
    hidden(&added.vdi, &[]);
    hidden(&added.vbd, &[]);
    hidden(&added.vif, &[]);
    hidden(&added.vm, &["memory_overhead", "generation_id"]);
    hidden(&added.vm_metrics, &["uuid"]);
    hidden(&added.vm_guest_metrics, &["uuid"]);
    let looked_at = added.host.len()
        + added.host_metrics.len()
        + added.network.len()
        + added.pif.len()
        + added.pif_metrics.len()
        + added.vlan.len()
        + added.sr.len()
        + added.pbd.len()
        + added.vdi.len()
        + added.vbd.len()
        + added.vif.len()
        + added.vm.len()
        + added.vm_metrics.len()
        + added.vm_guest_metrics.len();
    assert_eq!(looked_at, added.len());
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
