//! Checked-in plans with their digests, and the text that these are of.
//!
//! `BLESS=1` writes the texts anew. A digest that changes is no longer met by consent that was given
//! before: then the version in the text's first line has to change, too.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};
use xcp_pool::actions::Action;
use xcp_pool::plan::{Joins, Plan, Work};

fn plans() -> Vec<(String, Value)> {
    ["actions", "eject", "hand-over", "join", "maintenance", "recovery"]
        .map(|name| (name.to_owned(), read(name)))
        .into()
}

fn read(name: &str) -> Value {
    let json = std::fs::read_to_string(path(&format!("{name}.json"))).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// Compares a text with the checked-in one, or writes that anew.
fn golden(name: &str, told: &str) {
    let file = path(&format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(file).unwrap_or_default(), "{name}");
}

fn path(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plans").join(file)
}

fn load(plan: &Value) -> Option<Plan> {
    serde_json::from_value(plan.clone()).ok()
}

#[test]
fn digests_are_what_they_were() {
    for (name, json) in plans() {
        let plan = load(&json).unwrap();
        let (digest, losses) = (plan.digest(), plan.losses_digest());
        golden(&name, &format!("plan {digest}\nlosses {losses}\n{}", plan.canonical()));
    }
}

#[test]
fn digests_of_several_joins_are_what_they_were() {
    let json = read("joins");
    let joins: Joins = serde_json::from_value(json).unwrap();
    // With all that the form has.
    let json = json!(joins);
    let (digest, losses) = (joins.digest(), joins.losses_digest());
    let text = format!("xcp_pool joins v1\n{}", canonical(&json));
    assert_eq!(digest.to_string(), sha256(&text));
    golden("joins", &format!("joins {digest}\nlosses {losses}\n{text}"));

    let mut places_changed = 0;
    let mut all = Vec::new();
    places(&json, "", &mut all);
    for at in all {
        for other in others(json.pointer(&at).unwrap()) {
            let mut edited = json.clone();
            *edited.pointer_mut(&at).unwrap() = other;
            let Ok(edited) = serde_json::from_value::<Joins>(edited) else { continue };
            if edited != joins {
                assert_ne!(edited.digest(), digest, "{at}");
                places_changed += 1;
            }
        }
    }
    assert!(places_changed > 40, "{places_changed}");
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};

    let digits = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{digits}")
}

#[test]
fn every_action_is_in_a_checked_in_plan() {
    let mut found = BTreeSet::new();
    for (_, json) in plans() {
        for step in &load(&json).unwrap().steps {
            if let Work::Act { action } = &step.work {
                let debug = format!("{action:?}");
                found.insert(debug.split(' ').next().unwrap().to_owned());
            }
        }
    }
    let all: BTreeSet<_> = Action::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, all);
}

/// The canonical form, written by its documentation from the JSON alone.
fn canonical(value: &Value) -> String {
    let string = |text: &str| format!("{}:{text}\n", text.len());
    match value {
        Value::Null | Value::Bool(_) => format!("{value}\n"),
        Value::Number(number) => format!("i{number}\n"),
        Value::String(text) => string(text),
        Value::Array(items) => {
            let parts: String = items.iter().map(canonical).collect();
            format!("[{}\n{parts}", items.len())
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(name, _)| name.as_bytes().to_vec());
            let parts = entries.iter().map(|(name, value)| string(name) + &canonical(value));
            format!("{{{}\n{}", entries.len(), parts.collect::<String>())
        }
    }
}

#[test]
fn the_text_can_be_made_of_the_json_alone() {
    for (name, json) in plans() {
        let plan = load(&json).unwrap();
        let text = format!("xcp_pool plan v1\n{}", canonical(&json!(plan)));
        assert_eq!(plan.canonical(), text, "{name}");
    }
}

#[test]
fn the_order_of_names_in_the_json_says_nothing() {
    fn backwards(value: &Value) -> String {
        match value {
            Value::Array(items) => {
                format!("[{}]", items.iter().map(backwards).collect::<Vec<_>>().join(","))
            }
            Value::Object(entries) => {
                let parts = entries.iter().rev();
                let parts =
                    parts.map(|(name, value)| format!("{}:{}", json!(name), backwards(value)));
                format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
            }
            leaf => leaf.to_string(),
        }
    }
    for (name, json) in plans() {
        let plan: Plan = serde_json::from_str(&backwards(&json)).unwrap();
        assert_eq!(plan.digest(), load(&json).unwrap().digest(), "{name}");
    }
}

/// The places of everything in a value, itself included.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{n}"), found);
            }
        }
        Value::Object(entries) => {
            for (name, value) in entries {
                places(value, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// Other values for a place.
fn others(value: &Value) -> Vec<Value> {
    // Words of which only a few are allowed.
    let words = [
        "both",
        "joiner",
        "pool",
        "vdi",
        "vm",
        "none",
        "stays",
        "await-master",
        "settle",
        "vm-start",
        "vdi-destroy",
        "host-enable",
        "host-disable",
        "network-add-purpose",
        "maintenance",
    ];
    match value {
        Value::Null => vec![json!(1), json!("x"), json!({})],
        Value::Bool(is) => vec![json!(!is)],
        Value::Number(number) => vec![json!(number.as_i64().unwrap() + 1)],
        Value::String(text) => {
            let words = words.iter().filter(|word| *word != text).map(|word| json!(word));
            [json!(format!("{text}x"))].into_iter().chain(words).collect()
        }
        Value::Array(items) => {
            let mut shorter = items.clone();
            let mut others = Vec::new();
            if shorter.pop().is_some() {
                others.push(Value::Array(shorter));
            }
            others
        }
        Value::Object(_) => vec![Value::Null, Value::Object(Map::new())],
    }
}

#[test]
fn whatever_changes_in_a_plan_changes_its_digest() {
    let mut changed = 0;
    for (name, json) in plans() {
        // With all that the form has, left out of the file or not.
        let plan = load(&json).unwrap();
        let json = json!(plan);
        let mut all = Vec::new();
        places(&json, "", &mut all);
        for at in all {
            let before = json.pointer(&at).unwrap();
            let mut tried = false;
            for other in others(before) {
                let mut edited = json.clone();
                *edited.pointer_mut(&at).unwrap() = other;
                let Some(edited) = load(&edited).filter(|edited| *edited != plan) else { continue };
                assert_ne!(edited.digest(), plan.digest(), "{name} {at}");
                tried = true;
            }
            let leaf = !before.is_object() && !before.is_array();
            // No other purpose has these fields, no other action a task's or a disk's, and no other
            // condition a VM's.
            let ends = ["/action", "/condition"].iter().any(|end| at.ends_with(end));
            let alone = before.is_null() || at == "/purpose/kind" || ends;
            assert!(tried || !leaf || alone, "{name} {at}: nothing else was found for {before}");
            changed += usize::from(tried);
        }
    }
    assert!(changed > 150, "only {changed} places were changed");
}
