//! The recorded scenarios of joins, and the answers of the server's checks.

use serde_json::{Value, json};

/// The baseline and the cases.
pub(crate) fn cases() -> (Value, Vec<Value>) {
    let path = format!("{}/tests/data/oracle/preflight.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let baseline = lines.next().unwrap()["baseline"].clone();
    (baseline, lines.collect())
}

/// The scenario of a case: what it removes from the baseline, then what it sets.
pub(crate) fn scenario(baseline: &Value, case: &Value) -> Value {
    let mut scenario = baseline.clone();
    let place = |pointer: &str| {
        let mut keys: Vec<_> =
            pointer[1..].split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
        (keys.pop().unwrap(), keys)
    };
    for pointer in case["remove"].as_array().unwrap() {
        let (last, path) = place(pointer.as_str().unwrap());
        let mut at = &mut scenario;
        for key in path {
            at = at.get_mut(&key).unwrap();
        }
        at.as_object_mut().unwrap().remove(&last);
    }
    for (pointer, value) in case["set"].as_object().unwrap() {
        let (last, path) = place(pointer);
        let mut at = &mut scenario;
        for key in path {
            at = at.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({}));
        }
        at.as_object_mut().unwrap().insert(last, value.clone());
    }
    scenario
}
