//! What the real server was recorded to answer, and how to compare with it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use xcp_pool::simulator::database::Database;
use xcp_pool::simulator::{Release, World};

pub(crate) fn exchanges(name: &str) -> Vec<Json> {
    let path = format!("{}/tests/data/oracle/exchanges/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The recorded pool of three, alive.
pub(crate) fn world() -> World {
    let path = "tests/data/oracle/records/pool-of-three.json";
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let recorded: Json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let classes = recorded.as_object().unwrap().iter().filter_map(|(class, answers)| {
        let reply: Json = serde_json::from_str(answers.get("jsonrpc_2.0")?.as_str()?).unwrap();
        let volatile = class == "session" || class == "task";
        (!volatile).then_some(())?;
        Some((class.clone(), reply.get("result")?.clone()))
    });
    let database = Json::Object(classes.collect::<Map<_, _>>());
    // The recorded server is 26.17, whatever its made-up records say.
    let database = Database::load(Release::Newest, &database).unwrap();
    // A recorded call has the master restart; on a busy machine that would come before the last call.
    let fuse = Duration::from_secs(24 * 3600);
    let world = World::builder().seed(3).database(database);
    world.timings(|timings| timings.fuse = fuse).build().unwrap()
}

/// What a run of recorded calls remembers: recorded texts and ours.
#[derive(Default)]
pub(crate) struct Translation(BTreeMap<String, String>);

impl Translation {
    pub(crate) fn learn(&mut self, recorded: &str, ours: &str) {
        self.0.insert(recorded.to_owned(), ours.to_owned());
    }

    pub(crate) fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Learns from a recorded reply and ours: refs as results, tokens of events.
    pub(crate) fn learn_from(&mut self, recorded: &Json, ours: &Json) {
        for path in ["/result", "/result/token"] {
            if let (Some(from), Some(to)) = (
                recorded.pointer(path).and_then(Json::as_str),
                ours.pointer(path).and_then(Json::as_str),
            ) {
                if from.starts_with("OpaqueRef:") && !from.ends_with("NULL")
                    || path.ends_with("token")
                {
                    self.learn(from, to);
                }
            }
        }
    }
}

/// What no two runs have in common, with how it looks: `h` a hexadecimal digit, `d` a digit.
const SHAPES: &[(&str, &str)] = &[
    ("<token>", "dddddddddddddddddddd,dddddddddddddddddddd"),
    ("<uuid>", "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh"),
    ("<date>", "ddddddddTdd:dd:ddZ"),
];

/// Replaces what no two runs have in common: uuids, dates, generations, track ids.
pub(crate) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let token = SHAPES.iter().find(|(_, shape)| fits(rest, shape));
        if let Some((name, shape)) = token {
            masked.push_str(name);
            at += shape.len();
        } else if let Some(hex) = rest.strip_prefix("trackid=") {
            masked.push_str("<track>");
            at += "trackid=".len() + hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        } else {
            let next = rest.chars().next().unwrap();
            masked.push(next);
            at += next.len_utf8();
        }
    }
    masked
}

fn fits(text: &str, shape: &str) -> bool {
    text.len() >= shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'h' => byte.is_ascii_hexdigit(),
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// A reply with everything masked and every set of its result in one order.
pub(crate) fn comparable(reply: &Json) -> Json {
    let mut reply: Json = serde_json::from_str(&mask(&reply.to_string())).unwrap();
    if let Some(result) = reply.get_mut("result") {
        // The counts of sessions and the ids and tokens of events depend on the run.
        for (path, value) in [("/valid_ref_counts/session", json!(0)), ("/token", json!("<token>"))]
        {
            if let Some(found) = result.pointer_mut(path) {
                *found = value;
            }
        }
        let events = if result.is_array() { Some(&mut *result) } else { result.get_mut("events") };
        for event in events.and_then(Json::as_array_mut).into_iter().flatten() {
            if event.get("operation").is_some() {
                event["id"] = json!("<id>");
                let timestamp = event["timestamp"].as_str().unwrap();
                if timestamp != "0.0" {
                    assert!(timestamp.ends_with('.'), "{timestamp}");
                    event["timestamp"] = json!("<timestamp>");
                }
            }
        }
        sort_sets(result);
    }
    reply
}

pub(crate) fn sort_sets(json: &mut Json) {
    match json {
        Json::Array(elements) => {
            elements.iter_mut().for_each(sort_sets);
            if elements.iter().all(Json::is_string) {
                elements.sort_by_key(ToString::to_string);
            }
        }
        Json::Object(pairs) => pairs.values_mut().for_each(sort_sets),
        _ => {}
    }
}
