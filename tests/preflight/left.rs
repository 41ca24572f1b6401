//! What was foretold of a join, held against the database that the join left.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use xcp_pool::Fault;
use xcp_pool::model::{Class, Record, Ref, Snapshot, Table, Vm};
use xcp_pool::preflight::consequences::Changes;

/// Compares every record of every modelled class, every field; returns the refs that the server made
/// of those that were foretold.
///
/// `settled` if the new member may have started in the meantime.
pub(crate) fn compare(
    before: &Snapshot,
    changes: &Changes,
    actual: &Map<String, Value>,
    settled: bool,
) -> BTreeMap<String, String> {
    let mut expected: Map<String, Value> =
        serde_json::from_str(&changes.apply(before).to_json()).unwrap();
    let refs = real_refs(&mut expected, actual);
    for class in Class::ALL.iter().map(|class| class.as_str()) {
        let Some(actual) = actual.get(class).and_then(Value::as_object) else { continue };
        compare_class(settled, class, expected[class].as_object().unwrap(), actual);
    }
    assert_nothing_hidden(changes);
    refs
}

fn compare_class(
    settled: bool,
    class: &str,
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
) {
    let refs = |records: &Map<String, Value>| records.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(refs(expected), refs(actual), "the records of class {class}");
    for (reference, expected) in expected {
        let actual = &actual[reference];
        for (field, expected) in expected.as_object().unwrap() {
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
            *value == actual[key] || (value == Changes::MADE_AT_JOIN && actual[key] != "")
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
    for class in ["VM_metrics", "VM_guest_metrics"] {
        orphans(class, expected, actual, &mut known);
    }
    let text = Value::Object(expected.clone()).to_string();
    let text = known.iter().rev().fold(text, |text, (foretold, real)| {
        text.replace(&format!("\"{foretold}\""), &format!("\"{real}\""))
    });
    *expected = serde_json::from_str(&text).unwrap();
    known
}

/// Metrics without a VM have no key: any with the same contents will do.
fn orphans(
    class: &str,
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
    known: &mut BTreeMap<String, String>,
) {
    let foretold = expected[class].as_object().unwrap();
    for (reference, record) in foretold.iter().filter(|(id, _)| is_new(id)) {
        if known.contains_key(reference) {
            continue;
        }
        let taken: BTreeSet<_> = known.values().collect();
        let same = |other: &Value| {
            record.as_object().unwrap().iter().all(|(field, value)| other[field] == *value)
        };
        let found =
            actual[class].as_object().unwrap().iter().find(|(id, other)| {
                !foretold.contains_key(*id) && !taken.contains(id) && same(other)
            });
        let (real, _) = found.unwrap_or_else(|| panic!("{class} {record} were foretold"));
        known.insert(reference.clone(), real.clone());
    }
}

fn is_new(reference: &str) -> bool {
    Changes::is_new(&Ref::<Vm>::new(reference))
}

/// The fault with the refs that the server made.
pub(crate) fn with_real_refs(fault: &Fault, refs: &BTreeMap<String, String>) -> Fault {
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
