//! The simulator's answers against those that the real server gave, case by case.

use std::fs;
use std::time::Duration;

use crate::support::recorded::{Translation, comparable, exchanges, world};
use serde_json::{Value as Json, json};
use xcp_pool::simulator::World;
use xcp_pool::simulator::database::{Database, Value};
use xcp_pool::transport::Cancel;

/// Recorded calls that the simulator answers otherwise, each with why.
const NOT_REPRODUCED: &[(&str, &str)] = &[
    // Other paths and verbs than POST /jsonrpc, and XML-RPC: an HTTP front's business.
    ("raw/get_jsonrpc", "not a POST"),
    ("raw/get_root", "not a POST"),
    ("raw/options_jsonrpc", "not a POST"),
    ("raw/put_jsonrpc", "not a POST"),
    ("raw/unknown_path", "not /jsonrpc"),
    ("raw/json_path", "XML-RPC"),
    ("raw/RPC2", "XML-RPC"),
    ("raw/json_to_root", "XML-RPC"),
    ("raw/http_basic_wrong", "not /jsonrpc"),
    ("raw/rrd_no_auth", "not /jsonrpc"),
];

/// Recorded bodies of HTTP errors whose text is that of the server's JSON library.
const OWN_WORDS: &[&str] = &["raw/not_json", "raw/lone_surrogate", "raw/xml_to_jsonrpc"];

/// Recorded events and tasks that the simulator answers otherwise, each with why.
const NOT_REPRODUCED_EVENTS: &[(&str, &str)] = &[
    ("from/timeout_negative", "the recording has no answer; the simulator waits for a day as well"),
    ("async/vlan_create/final_record", "hung in the recording for lack of a network daemon"),
];

const MASTER: &str = "127.0.7.1";

fn post(world: &World, body: &[u8]) -> (u16, String) {
    let reply = world.post(MASTER, body, Duration::from_secs(3600), &Cancel::new()).unwrap();
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
}

/// A new session at the master, `local` or of the pool.
fn log_in(world: &World, local: bool) -> String {
    let method = if local {
        "session.slave_local_login_with_password"
    } else {
        "session.login_with_password"
    };
    let params = json!(["root", "xcp-test"]);
    let body = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1});
    let reply: Json = serde_json::from_str(&post(world, body.to_string().as_bytes()).1).unwrap();
    reply["result"].as_str().unwrap().to_owned()
}

/// The members of a reply in the order in which they come, which parsing forgets.
fn order_of_members(reply: &str) -> Vec<&str> {
    let at = |member: &'static str| {
        // Only the last member may be named in the result as well.
        let found = if member == "\"id\":" { reply.rfind(member) } else { reply.find(member) };
        found.map(|at| (at, member))
    };
    let members = ["\"jsonrpc\":", "\"result\":", "\"error\":", "\"id\":"];
    let mut found: Vec<_> = members.into_iter().filter_map(at).collect();
    found.sort();
    found.into_iter().map(|(_, member)| member).collect()
}

#[test]
fn calls_and_errors_are_answered_as_recorded() {
    let world = world();
    let mut translation = Translation::default();
    // Sessions that the recording used without showing how they began.
    translation.learn("OpaqueRef:790495ea-e10f-8d16-5ec4-c5e5b3be8eed", &log_in(&world, false));
    translation.learn("OpaqueRef:d13b1d52-acd3-ba67-550a-76604837f7c1", &log_in(&world, true));
    let recorded = exchanges("calls-and-errors.json");
    let logged_out: Vec<String> = recorded
        .iter()
        .filter(|exchange| exchange["name"].as_str().unwrap().starts_with("logout/json"))
        .filter_map(|exchange| {
            let request: Json = serde_json::from_str(exchange["request"].as_str()?).ok()?;
            Some(request["params"][0].as_str()?.to_owned())
        })
        .collect();
    for session in logged_out {
        translation.learn(&session, &log_in(&world, false));
    }
    let mut compared = 0;
    let mut wrong = Vec::new();
    for exchange in &recorded {
        let name = exchange["name"].as_str().unwrap();
        if name.ends_with("/xml") || NOT_REPRODUCED.iter().any(|(known, _)| *known == name) {
            continue;
        }
        compared += 1;
        let request = exchange["request"].as_str().unwrap();
        let request = if name == "raw/invalid_utf8" {
            let request = request.strip_prefix("b'").unwrap().strip_suffix('\'').unwrap();
            let (before, after) = request.split_once(r"\xff\xfe").unwrap();
            [translation.apply(before).as_bytes(), b"\xff\xfe", after.as_bytes()].concat()
        } else {
            translation.apply(request).into_bytes()
        };
        let before = world.now();
        let (status, body) = post(&world, &request);
        let expected = exchange["body"].as_str().unwrap();
        assert_eq!(u64::from(status), exchange["status"].as_u64().unwrap(), "{name}: {body}");
        if status != 200 {
            if OWN_WORDS.contains(&name) {
                let start = expected.split("Additional information").next().unwrap();
                assert!(body.starts_with(start), "{name}: {body}");
            } else {
                assert_eq!(body, expected, "{name}");
            }
            continue;
        }
        let expected_json: Json = serde_json::from_str(expected).unwrap();
        let ours: Json = serde_json::from_str(&body).unwrap();
        translation.learn_from(&expected_json, &ours);
        if name.starts_with("system_listMethods") {
            assert!(ours == expected_json, "{name}: not the methods of the server, in its order");
        } else if comparable(&ours) != comparable(&expected_json) {
            wrong.push(format!("{name}\n  ours     {body:.600}\n  recorded {expected:.600}"));
        }
        assert_eq!(order_of_members(&body), order_of_members(expected), "{name}");
        // A wrong password takes seconds, everything else next to nothing.
        let slow = exchange["seconds"].as_f64().unwrap() > 1.0;
        assert_eq!(world.now() - before > Duration::from_secs(1), slow, "{name}");
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(compared, 154);
}

#[test]
fn records_are_asked_for_and_answered_as_recorded() {
    let world = world();
    let session = log_in(&world, false);
    let path = "tests/data/oracle/records/pool-of-three.json";
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let recorded: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut compared = 0;
    for (class, answers) in recorded.as_object().unwrap() {
        for (version, answer) in answers.as_object().unwrap() {
            let mut request = json!({
                "method": format!("{class}.get_all_records"), "params": [session], "id": 1,
            });
            match version.as_str() {
                "jsonrpc_2.0" => request["jsonrpc"] = json!("2.0"),
                "jsonrpc_1.0" => {}
                _ => continue,
            }
            if class == "session" {
                // Sessions are not listed; the recording asked for its own.
                request["method"] = json!("session.get_record");
                request["params"] = json!([session, session]);
            }
            compared += 1;
            let (status, body) = post(&world, request.to_string().as_bytes());
            let answer = answer.as_str().unwrap();
            let (ours, expected): (Json, Json) =
                (serde_json::from_str(&body).unwrap(), serde_json::from_str(answer).unwrap());
            let (mut ours, mut expected) = (comparable(&ours), comparable(&expected));
            if class == "session" {
                for reply in [&mut ours, &mut expected] {
                    assert!(reply["result"]["originator"].is_string());
                    reply["result"]["originator"] = json!("");
                }
            }
            assert_eq!((status, ours), (200, expected), "{class} in {version}");
            assert_eq!(order_of_members(&body), order_of_members(answer), "{class}");
        }
    }
    assert_eq!(compared, 126);
}

/// What the recording changed between two calls, without showing it.
fn change_before(world: &World, name: &str) {
    let at_half_a_second = Duration::from_millis(450);
    let describe = |text: &'static str| {
        world.after(at_half_a_second, move |scene| {
            let set = |database: &mut Database| {
                database.set("pool", "OpaqueRef:pool-b", "name_description", text)
            };
            scene.edit(MASTER, set).unwrap();
        });
    };
    let edit = |change: &dyn Fn(&mut Database)| {
        world.act(|scene| {
            let change = |database: &mut Database| {
                change(database);
                Ok(())
            };
            scene.edit(MASTER, change).unwrap();
        });
    };
    let add = |database: &mut Database, name: &str| {
        let values = [("name_label", Value::text("new")), ("bridge", Value::text("xapi9"))];
        database.create("network", name, values).unwrap();
    };
    match name {
        "from/mod_while_waiting" => describe("changed"),
        "legacy/next" => describe("legacy"),
        "from/mod_of_other_class_only" => edit(&|database| {
            database.set("host", "OpaqueRef:host-b2", "name_description", "other").unwrap();
            database.set("host", "OpaqueRef:host-b2", "name_description", "").unwrap();
        }),
        "from/add" => edit(&|database| add(database, "OpaqueRef:net-new")),
        "from/two_mods_coalesced" => edit(&|database| {
            database.set("network", "OpaqueRef:net-new", "name_label", "new2").unwrap();
            database.set("network", "OpaqueRef:net-new", "name_label", "new3").unwrap();
        }),
        "from/del" => edit(&|database| assert!(database.destroy("network", "OpaqueRef:net-new"))),
        "from/add_and_del_between" => edit(&|database| {
            add(database, "OpaqueRef:brief");
            assert!(database.destroy("network", "OpaqueRef:brief"));
        }),
        "from/host_metrics_live_false" => edit(&|database| {
            database.set("host_metrics", "OpaqueRef:hm-b2", "live", false).unwrap();
        }),
        _ => {}
    }
}

#[test]
fn events_and_tasks_are_answered_as_recorded() {
    let world = world();
    let mut translation = Translation::default();
    translation.learn("OpaqueRef:9e604a33-a689-39e7-8eab-bcda622baa01", &log_in(&world, false));
    translation.learn("OpaqueRef:60f866ba-89e6-6be1-f205-3653efa74b8a", &log_in(&world, false));
    let (mut compared, mut wrong) = (0, Vec::new());
    for exchange in exchanges("events-and-tasks.json") {
        let name = exchange["name"].as_str().unwrap();
        if NOT_REPRODUCED_EVENTS.iter().any(|(known, _)| *known == name) {
            continue;
        }
        compared += 1;
        if name.ends_with("/final_record") {
            world.advance(Duration::from_secs(20));
        }
        if let Some((task, label)) = match name {
            "task/created_record" => {
                Some(("OpaqueRef:98f42302-3530-e783-4c98-11ecd66a0fc7", "my task"))
            }
            "task/cancel" => Some(("OpaqueRef:ba420c3f-d2ff-3fdb-1b2b-2abb8093c8f2", "my task 2")),
            _ => None,
        } {
            let session = translation.apply("OpaqueRef:9e604a33-a689-39e7-8eab-bcda622baa01");
            let params = json!([session, label, "d"]);
            let body =
                json!({"jsonrpc": "2.0", "method": "task.create", "params": params, "id": 1});
            let reply: Json =
                serde_json::from_str(&post(&world, body.to_string().as_bytes()).1).unwrap();
            translation.learn(task, reply["result"].as_str().unwrap());
        }
        change_before(&world, name);
        let before = world.now();
        let request = translation.apply(&exchange["request"].to_string());
        let (status, body) = post(&world, request.as_bytes());
        assert_eq!(status, 200, "{name}: {body}");
        let expected = match &exchange["response"] {
            Json::String(text) => serde_json::from_str(text).unwrap(),
            other => other.clone(),
        };
        let ours: Json = serde_json::from_str(&body).unwrap();
        translation.learn_from(&expected, &ours);
        let (mut ours, mut expected) = (comparable(&ours), comparable(&expected));
        if name.ends_with("/first_record") {
            // How far a task has come at first is a matter of luck.
            for reply in [&mut ours, &mut expected] {
                let record = reply["result"].as_object_mut().unwrap();
                for field in OF_PROGRESS {
                    assert!(record.remove(*field).is_some(), "{name} {field}");
                }
            }
        }
        if ours != expected {
            let expected = expected.to_string();
            wrong.push(format!(
                "{name}\n  ours     {:.900}\n  recorded {expected:.900}",
                ours.to_string()
            ));
        }
        let (took, recorded) =
            ((world.now() - before).as_secs_f64(), exchange["seconds"].as_f64().unwrap());
        assert!((took - recorded).abs() < 0.1, "{name} took {took} s, recorded {recorded} s");
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(compared, 76);
}

/// Fields of a task that tell how far it has come.
const OF_PROGRESS: &[&str] =
    &["allowed_operations", "error_info", "finished", "progress", "result", "status", "subtasks"];
