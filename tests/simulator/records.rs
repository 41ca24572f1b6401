//! The simulator's records against those that the real server emitted.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value as Json};
use xcp_pool::simulator::database::Database;
use xcp_pool::simulator::{PoolSpec, Release, World};
use xcp_pool::transport::Cancel;

fn oracle(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oracle").join(path)
}

fn read(path: &Path) -> Json {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The two recorded databases, `{class: {ref: record}}`; a session is a record without its ref.
fn recorded_databases() -> Vec<(String, Json)> {
    ["all-classes", "pool-of-three"]
        .into_iter()
        .map(|name| {
            let mut database = Map::new();
            for (class, answers) in
                read(&oracle(&format!("records/{name}.json"))).as_object().unwrap()
            {
                let records = if let Some(first) = answers.get("json2_parsed_first3") {
                    first.clone()
                } else {
                    let reply: Json =
                        serde_json::from_str(answers["jsonrpc_2.0"].as_str().unwrap()).unwrap();
                    match reply.get("result") {
                        Some(record) if class == "session" => {
                            serde_json::json!({"OpaqueRef:session": record})
                        }
                        Some(records) => records.clone(),
                        None => continue,
                    }
                };
                database.insert(class.clone(), records);
            }
            (name.to_owned(), Json::Object(database))
        })
        .collect()
}

/// The databases before and after every recorded join.
fn join_databases() -> Vec<(String, Json)> {
    let mut databases = Vec::new();
    for entry in fs::read_dir(oracle("joins")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let join = read(&path);
            for side in ["joiner_before", "pool_before", "pool_after"] {
                databases.push((format!("{side} of {}", path.display()), join[side].clone()));
            }
        }
    }
    databases
}

/// Sets of the server are in no particular order once it made objects of its own.
fn sort_sets(json: &mut Json) {
    match json {
        Json::Array(elements) => elements.sort_by_key(ToString::to_string),
        Json::Object(pairs) => pairs.values_mut().for_each(sort_sets),
        _ => {}
    }
}

fn without_empty_classes(database: &Json) -> Json {
    let classes = database.as_object().unwrap().iter();
    classes
        .filter(|(_, records)| records.as_object().is_some_and(|records| !records.is_empty()))
        .map(|(class, records)| (class.clone(), records.clone()))
        .collect::<Map<_, _>>()
        .into()
}

#[test]
fn recorded_databases_come_back_value_by_value() {
    for (name, recorded) in recorded_databases() {
        let database = Database::load(Release::Newest, &recorded).unwrap();
        let expected = without_empty_classes(&recorded);
        let saved = without_empty_classes(&database.save());
        for (class, records) in expected.as_object().unwrap() {
            for (object, record) in records.as_object().unwrap() {
                for (field, value) in record.as_object().unwrap() {
                    let ours = &saved[class][object][field];
                    assert_eq!(ours, value, "{name}: {class} {object} {field}");
                }
            }
        }
        assert_eq!(saved, expected, "{name}");
    }
}

#[test]
fn databases_of_recorded_joins_come_back_value_by_value() {
    let databases = join_databases();
    assert_eq!(databases.len(), 60);
    for (name, recorded) in databases {
        let database = Database::load(Release::Newest, &recorded).unwrap();
        let mut saved = without_empty_classes(&database.save());
        let mut expected = without_empty_classes(&recorded);
        sort_sets(&mut saved);
        sort_sets(&mut expected);
        for (class, records) in expected.as_object().unwrap() {
            for (object, record) in records.as_object().unwrap() {
                assert_eq!(saved[class][object], *record, "{name}: {class} {object}");
            }
        }
        assert_eq!(saved, expected, "{name}");
    }
}

#[test]
fn classes_fields_and_their_order_are_those_of_the_server() {
    let database = Database::new(Release::Newest);
    let mut classes = 0;
    for (class, answers) in read(&oracle("records/all-classes.json")).as_object().unwrap() {
        let Some(reply) = answers.get("jsonrpc_2.0").and_then(Json::as_str) else { continue };
        let Some(record) = reply.find("{\"uuid\":") else { continue };
        classes += 1;
        let mut rest = &reply[record..];
        for field in database.fields(class) {
            let key = format!("\"{field}\":");
            let at = rest.find(&key).unwrap_or_else(|| panic!("{class} has no {key} in its place"));
            rest = &rest[at + key.len()..];
        }
        let parsed: Json = serde_json::from_str(reply).unwrap();
        let records = &parsed["result"];
        let record = if class == "session" {
            records
        } else {
            records.as_object().unwrap().values().next().unwrap()
        };
        assert_eq!(record.as_object().unwrap().len(), database.fields(class).len());
    }
    assert_eq!(classes, 59);
}

#[test]
fn every_recorded_method_is_known_and_no_other() {
    let exchanges = read(&oracle("exchanges/calls-and-errors.json"));
    let listed = exchanges
        .as_array()
        .unwrap()
        .iter()
        .find(|exchange| exchange["name"] == "system_listMethods/json2")
        .unwrap();
    let reply: Json = serde_json::from_str(listed["body"].as_str().unwrap()).unwrap();
    let listed: Vec<&str> =
        reply["result"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let pool = PoolSpec::new("", Release::Newest).host("phantom", "10.0.0.1");
    let world = World::builder().pool(pool).build().unwrap();
    let ask = br#"{"method": "system.listMethods", "params": [], "id": 1}"#;
    let reply = world.post("phantom", ask, Duration::from_secs(1), &Cancel::new()).unwrap();
    let reply: Json = serde_json::from_slice(&reply.body).unwrap();
    let ours: Vec<&str> =
        reply["result"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let missing: Vec<_> = listed.iter().filter(|name| !ours.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(ours.len(), listed.len());
}
