//! Replies that a real server gave decode as typed values: results, faults in every shape, events,
//! tasks, and what is no reply at all.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Fault};
use crate::model::{Host, Pool, Ref, Snapshot, Task, TaskStatus, Timestamp};
use crate::wire::body::Body;
use crate::wire::{Batch, Event, Reply, decode, decode_task_result};
use serde::Deserialize;
use serde_json::Value;

struct Exchange {
    name: String,
    /// Missing where the request itself was no JSON object.
    request: Option<Value>,
    body: String,
}

fn recorded(file: &str) -> Vec<Exchange> {
    let path = format!("{}/tests/data/oracle/exchanges/{file}", env!("CARGO_MANIFEST_DIR"));
    let list: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let exchanges = list.into_iter().filter_map(|exchange| {
        let request = match &exchange["request"] {
            Value::String(text) => serde_json::from_str(text).ok(),
            other => Some(other.clone()),
        };
        let body = exchange.get("body").or_else(|| exchange.get("response"))?.as_str()?.to_owned();
        Some(Exchange { name: exchange["name"].as_str()?.to_owned(), request, body })
    });
    exchanges.collect()
}

fn all_recorded() -> Vec<Exchange> {
    [
        "calls-and-errors.json",
        "events-and-tasks.json",
        "pool-lifecycle.json",
        "pool-lifecycle-2.json",
    ]
    .into_iter()
    .flat_map(recorded)
    .collect()
}

/// An event of the old `event.next`.
#[derive(Deserialize)]
struct OldEvent {
    class: String,
    snapshot: Pool,
}

#[derive(Deserialize)]
struct Message {
    body: String,
    timestamp: Timestamp,
}

fn events(body: &[u8], snapshot: &mut Snapshot) -> Result<(Batch, Vec<Event>), Error> {
    let mut changes = Vec::new();
    let reply = Reply::new(Body::Bytes(body.to_vec()), u64::MAX);
    let batch = reply.events(snapshot, |change| changes.push(change))?;
    Ok((batch, changes))
}

/// Decodes a reply into what its method returns.
fn decode_as(method: &str, body: &[u8]) -> Result<(), Error> {
    let name = method.rsplit('.').next().unwrap();
    if method.starts_with("Async.") {
        let task: Ref<Task> = decode(body)?;
        assert!(!task.is_null());
        return Ok(());
    }
    match method {
        "event.from" => {
            let mut snapshot = Snapshot::new();
            let (batch, _) = events(body, &mut snapshot)?;
            assert_eq!(snapshot.problems, []);
            assert_eq!(batch.token.len(), 41);
            assert!(batch.valid_ref_counts["host"] > 0);
        }
        "event.next" => {
            let old: Vec<OldEvent> = decode(body)?;
            assert_eq!(
                (old[0].class.as_str(), old[0].snapshot.uuid.to_string().as_str()),
                ("pool", "pool-b")
            );
        }
        "event.get_current_id"
        | "pool.get_ha_host_failures_to_tolerate"
        | "host.get_API_version_major" => {
            decode::<i64>(body)?;
        }
        "VM.get_HVM_shadow_multiplier" => assert_eq!(decode::<f64>(body)?, 1.0),
        "host.get_enabled" | "host.is_in_emergency_mode" => drop(decode::<bool>(body)?),
        "host_metrics.get_last_updated" => {
            assert_eq!(decode::<Timestamp>(body)?.to_string(), "20260101T00:00:00Z");
        }
        "pool.get_other_config" => {
            let map: BTreeMap<String, String> = decode(body)?;
            assert_eq!(map["auto_poweron"], "true");
        }
        "pool.get_tags" | "system.listMethods" => assert!(!decode::<Vec<String>>(body)?.is_empty()),
        "pool.get_crash_dump_SR" => assert!(decode::<Ref<Pool>>(body)?.is_null()),
        "pool.recover_slaves" => drop(decode::<Vec<Ref<Host>>>(body)?),
        "task.get_record" => drop(decode::<Task>(body)?),
        "host.get_all_records" | "host.get_all_records_where" => {
            let hosts: BTreeMap<Ref<Host>, Host> = decode(body)?;
            assert!(hosts.values().all(|host| host.absent.is_empty()));
        }
        "pool.get_all_records" | "pool.get_all_records_where" => {
            assert_eq!(decode::<BTreeMap<Ref<Pool>, Pool>>(body)?.len(), 1);
        }
        "message.get_all_records" | "message.get_since" => {
            let messages: BTreeMap<String, Message> = decode(body)?;
            let message = messages.values().next().unwrap();
            assert_eq!(message.body, "body <x/> é");
            assert!(message.timestamp > Timestamp(0));
        }
        "message.create"
        | "event.inject"
        | "pool.hello"
        | "pool.initial_auth"
        | "session.login_with_password"
        | "session.slave_local_login_with_password"
        | "session.slave_login"
        | "host.get_name_label"
        | "pool.get_name_description" => {
            assert!(!decode::<String>(body)?.is_empty());
        }
        _ if matches!(name, "get_all" | "get_by_name_label") => {
            drop(decode::<Vec<Ref<Host>>>(body)?);
        }
        // All others return nothing, or are only ever recorded as failing.
        _ => decode::<()>(body)?,
    }
    Ok(())
}

/// The fault in a reply, read without the code under test.
fn fault_in(reply: &Value) -> Option<Fault> {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    match reply.get("error")? {
        Value::Null => None,
        Value::Array(list) => {
            let mut params = texts(&Value::Array(list.clone()));
            Some(Fault { code: params.remove(0), params })
        }
        object => Some(Fault {
            code: object["message"].as_str().unwrap().to_owned(),
            params: texts(&object["data"]),
        }),
    }
}

#[test]
fn every_recorded_reply_decodes_as_what_its_method_returns() {
    let (mut results, mut faults, mut arrays) = (0, 0, 0);
    for Exchange { name, request, body } in all_recorded() {
        let Ok(reply) = serde_json::from_str::<Value>(&body) else { continue };
        let method = request.as_ref().and_then(|request| request["method"].as_str());
        let decoded = decode_as(method.unwrap_or("x.y"), body.as_bytes());
        match fault_in(&reply) {
            Some(expected) => {
                let error = decoded.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Fault, "{name}");
                assert_eq!(error.fault(), Some(&expected), "{name}");
                faults += 1;
                arrays += usize::from(reply["error"].is_array() && reply["jsonrpc"].is_string());
            }
            None => {
                decoded.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                results += 1;
            }
        }
    }
    assert!(results > 150 && faults > 100 && arrays > 10, "{results} {faults} {arrays}");
}

#[test]
fn pages_and_xml_are_protocol_errors() {
    let mut pages = 0;
    for Exchange { name, body, .. } in all_recorded() {
        if serde_json::from_str::<Value>(&body).is_ok() {
            continue;
        }
        let error = decode::<Value>(body.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{name}");
        let message = error.to_string();
        assert!(message.contains("markup") || body.is_empty(), "{name}: {message}");
        if body.contains("HTTP 500") {
            assert!(message.contains("HTTP 500 internal server error"), "{message}");
        }
        pages += 1;
    }
    assert!(pages > 50, "{pages}");
}

#[test]
fn recorded_events_keep_a_snapshot_up_to_date() {
    let mut snapshot = Snapshot::new();
    let mut seen = Vec::new();
    for Exchange { name, body, .. } in recorded("events-and-tasks.json") {
        if !name.starts_with("from/") {
            continue;
        }
        let Ok((batch, changes)) = events(body.as_bytes(), &mut snapshot) else { continue };
        assert_eq!(batch.events, changes.len() + unmodelled(&body), "{name}");
        if !changes.is_empty() {
            seen.push((name, changes.len(), snapshot.network.len()));
        }
    }
    let network = |name: &str| seen.iter().find(|(seen, ..)| seen == name).unwrap().2;
    assert_eq!((network("from/initial_all"), network("from/add"), network("from/del")), (2, 3, 2));
    let pool = snapshot.the_pool().unwrap().1;
    assert_eq!(pool.name_description, "legacy");
}

/// How many events of a batch are of classes that the model leaves out.
fn unmodelled(body: &str) -> usize {
    let reply: Value = serde_json::from_str(body).unwrap();
    let is_modelled =
        |event: &&Value| crate::model::Class::from_name(event["class"].as_str().unwrap()).is_none();
    reply["result"]["events"].as_array().unwrap().iter().filter(is_modelled).count()
}

#[test]
fn recorded_tasks_end_in_a_result_or_a_fault() {
    let mut ends = BTreeMap::new();
    for Exchange { name, body, .. } in recorded("events-and-tasks.json") {
        if !name.ends_with("/final_record") {
            continue;
        }
        let task: Task = decode(body.as_bytes()).unwrap();
        let end = match task.status {
            TaskStatus::Success if name.contains("void") => {
                decode_task_result::<()>(&task.result).unwrap();
                "nothing".to_owned()
            }
            TaskStatus::Success => {
                decode_task_result::<Ref<Host>>(&task.result).unwrap().to_string()
            }
            _ => task.error_info.first().cloned().unwrap_or_default(),
        };
        ends.insert(name, end);
    }
    assert_eq!(ends["async/void_ok/final_record"], "nothing");
    assert_eq!(
        ends["async/vm_clone/final_record"],
        "OpaqueRef:baf01d3e-ae21-3d99-f2c2-960aacb5b40e"
    );
    assert_eq!(ends["async/sync_fail_license/final_record"], "LICENCE_RESTRICTION");
    assert_eq!(ends["async/vlan_create/final_record"], "");
}
