//! What a snapshot does not say is not known, and never guessed.

use serde_json::{Map, Value};
use xcp_pool::model::{Class, Host, Pool, Record, Snapshot, Vm};
use xcp_pool::preflight::consequences::Consequences;

use crate::foretold::Foretold;

type Database = Map<String, Value>;

fn world(name: &str) -> (Database, Database) {
    let path = format!("{}/tests/data/oracle/joins/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut take = |which: &str| match file[which].take() {
        Value::Object(database) => database,
        other => panic!("{other}"),
    };
    (take("pool_before"), take("joiner_before"))
}

fn load(database: &Database) -> Snapshot {
    let snapshot = Snapshot::from_json(&serde_json::to_vec(database).unwrap()).unwrap();
    assert_eq!(snapshot.problems, []);
    snapshot
}

const WORLDS: [&str; 6] = [
    "03-extra-local-srs",
    "06-suspended-vm",
    "10-vm-same-uuid-newer",
    "13-joiner-settings",
    "19-host-record-already-in-pool",
    "26-management-vlan-bridge-renamed",
];

/// Asserts that what is foretold of less is part of what is foretold of everything.
fn assert_part(part: &Foretold, whole: &Foretold, what: &str) {
    macro_rules! tables {
        ($($table:ident)*) => {$(
            for (reference, record) in &part.changes().added.$table {
                let same = whole.changes().added.$table.get(reference);
                let Some(same) = same else { panic!("{what}: {record:?} is a guess") };
                assert_known_fields(record, same, what);
            }
        )*};
    }
    tables!(host host_metrics network pif pif_metrics vlan sr pbd vdi vbd vif vm vm_metrics);
    for (class, removed) in &part.changes().removed {
        assert!(removed.is_subset(&whole.changes().removed[class]), "{what}: {class}");
    }
    if part.unknown.is_empty() {
        let (part, whole) = (json(part), json(whole));
        for (section, value) in &whole {
            assert_eq!(&part[section], value, "{what}: {section}");
        }
    }
}

fn json(consequences: &Consequences) -> Map<String, Value> {
    match serde_json::to_value(consequences).unwrap() {
        Value::Object(sections) => sections,
        other => panic!("{other}"),
    }
}

/// Each field is absent or says the same.
fn assert_known_fields<T: Record + serde::Serialize>(part: &T, whole: &T, what: &str) {
    let (part, whole) = (serde_json::to_value(part).unwrap(), serde_json::to_value(whole).unwrap());
    for (field, value) in part.as_object().unwrap() {
        assert_eq!(Some(value), whole.get(field), "{what}: {} {field}", T::CLASS);
    }
}

/// Tries one of the databases with less in it, against the other as it is.
fn assert_less_is_part(name: &str, less: impl Fn(&Database) -> Vec<(String, Database)>) -> usize {
    let (pool, joiner) = world(name);
    let (whole_pool, whole_joiner) = (load(&pool), load(&joiner));
    let whole = Foretold::of(&whole_pool, &whole_joiner);
    assert_eq!(whole.unknown, []);
    let mut tried = 0;
    for (what, pool) in less(&pool) {
        assert_part(
            &Foretold::of(&load(&pool), &whole_joiner),
            &whole,
            &format!("{name}: pool {what}"),
        );
        tried += 1;
    }
    for (what, joiner) in less(&joiner) {
        assert_part(
            &Foretold::of(&whole_pool, &load(&joiner)),
            &whole,
            &format!("{name}: joiner {what}"),
        );
        tried += 1;
    }
    tried
}

#[test]
fn without_a_class_nothing_is_guessed() {
    for name in WORLDS {
        assert_less_is_part(name, |database| {
            let without = |class: &&str| {
                let mut less = database.clone();
                less.remove(*class).map(|_| (format!("without {class}"), less))
            };
            Class::ALL.iter().map(|class| class.as_str()).filter_map(|c| without(&c)).collect()
        });
    }
}

/// Whether a server may do without: such a field is left out of a new record.
fn some_release_lacks(class: Class, field: &str) -> bool {
    let new = match class {
        Class::Pool => serde_json::to_value(Pool::default()),
        Class::Host => serde_json::to_value(Host::default()),
        Class::Vm => serde_json::to_value(Vm::default()),
        _ => return false,
    };
    new.unwrap().get(field).is_none()
}

#[test]
fn without_a_field_nothing_is_guessed() {
    for name in ["10-vm-same-uuid-newer", "26-management-vlan-bridge-renamed"] {
        let tried = assert_less_is_part(name, without_each_field);
        assert!(tried > 500, "{tried}");
    }
}

fn without_each_field(database: &Database) -> Vec<(String, Database)> {
    let mut all = Vec::new();
    for class in Class::ALL {
        for field in xcp_pool::model::fields(*class) {
            if some_release_lacks(*class, field) {
                continue;
            }
            let mut less = database.clone();
            let records = less.get_mut(class.as_str()).and_then(Value::as_object_mut);
            let records = records.into_iter().flat_map(|records| records.values_mut());
            let removed = records.filter_map(|record| record.as_object_mut()?.remove(*field));
            if removed.count() > 0 {
                all.push((format!("without {class}.{field}"), less));
            }
        }
    }
    all
}

#[test]
fn what_is_missing_is_named_with_what_it_hides() {
    let (pool, mut joiner) = world("13-joiner-settings");
    joiner.remove("VIF");
    for vm in joiner["VM"].as_object_mut().unwrap().values_mut() {
        vm.as_object_mut().unwrap().remove("version");
    }
    let foretold = Foretold::of(&load(&pool), &load(&joiner));
    assert!(foretold.machines.is_none() && foretold.networks.is_some());
    let text = foretold.to_string();
    let known = text.split("Not known\n").nth(1).unwrap();
    assert_eq!(
        known,
        "  the joiner's VM.version: missing from the snapshot; therefore not known:\n    which VMs arrive\n"
    );
    let nothing = Foretold::of(&Snapshot::new(), &Snapshot::new());
    assert!(nothing.changes().is_empty() && nothing.host.is_none() && nothing.cpu.is_none());
    assert!(nothing.to_string().contains("the pool's records of class pool: missing"));
}
