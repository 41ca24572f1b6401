//! Records that a real server emitted decode into the model, and come back with the same values.

use serde_json::{Map, Value};
use xcp_pool::model::{Class, Snapshot};

/// The classes of a recording in `oracle/records`, as the server's JSON-RPC 2.0 replies gave them.
fn recorded(file: &str) -> Map<String, Value> {
    let path = format!("{}/tests/data/oracle/records/{file}", env!("CARGO_MANIFEST_DIR"));
    let recording: Map<String, Value> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    recording
        .into_iter()
        .filter_map(|(class, replies)| {
            let reply: Value = serde_json::from_str(replies.get("jsonrpc_2.0")?.as_str()?).unwrap();
            Some((class, reply.get("result")?.clone()))
        })
        .collect()
}

fn assert_round_trip(source: &Map<String, Value>) -> usize {
    let snapshot = Snapshot::from_json(&serde_json::to_vec(source).unwrap()).unwrap();
    assert_eq!(snapshot.problems, []);
    let saved: Map<String, Value> = serde_json::from_str(&snapshot.to_json()).unwrap();
    let mut records = 0;
    for class in Class::ALL.iter().map(|class| class.as_str()) {
        let Some(table) = source.get(class).and_then(Value::as_object) else { continue };
        let back = saved[class].as_object().unwrap();
        assert_eq!(back.len(), table.len(), "{class}");
        for (reference, record) in table {
            records += 1;
            for (field, value) in back[reference].as_object().unwrap() {
                assert_eq!(value, &record[field], "{class} {reference} {field}");
            }
        }
    }
    records
}

#[test]
fn every_recorded_record_comes_back_with_the_same_values() {
    assert!(assert_round_trip(&recorded("all-classes.json")) > 60);
    assert!(assert_round_trip(&recorded("pool-of-three.json")) > 30);
}

#[test]
fn every_modelled_field_is_one_of_the_real_server() {
    let source = recorded("all-classes.json");
    for class in Class::ALL.iter().map(|class| class.as_str()) {
        let records = source[class].as_object().unwrap();
        let Some((reference, record)) = records.iter().next() else { continue };
        let one = serde_json::json!({ class: { reference: record } }).to_string();
        let snapshot = Snapshot::from_json(one.as_bytes()).unwrap();
        let saved: Value = serde_json::from_str(&snapshot.to_json()).unwrap();
        let known = xcp_pool::model::fields(Class::from_name(class).unwrap());
        let kept = saved[class][reference].as_object().unwrap();
        for field in known {
            assert!(kept.contains_key(*field), "{class}.{field} is not in the server's record");
        }
    }
}

#[test]
fn every_database_around_a_recorded_join_decodes() {
    let folder = format!("{}/tests/data/oracle/joins", env!("CARGO_MANIFEST_DIR"));
    let mut records = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let join: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for side in ["joiner_before", "pool_before", "pool_after"] {
            records += assert_round_trip(join[side].as_object().unwrap());
        }
    }
    assert!(records > 2_900, "{records}");
}
