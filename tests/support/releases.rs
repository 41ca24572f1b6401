//! The recorded scenarios of joins as older releases would have them, and serve them.
//!
//! How is told in `tests/data/oracle/README.md`.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

/// The older releases whose answers are recorded.
pub(crate) const RELEASES: [&str; 7] =
    ["v1.249.42", "v24.11.0", "v24.19.2", "v24.39.1", "v25.6.0", "v25.33.1", "v26.1.3"];

fn path(name: &str) -> String {
    format!("{}/tests/data/oracle/older/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Recorded answers, one a line.
pub(crate) fn answers(name: &str) -> Vec<Value> {
    let mut text = String::new();
    let file = File::open(path(&format!("{name}.jsonl.gz"))).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a host's `software_version` says, by key and by the newest release's value; null takes it away.
fn stated(release: &str) -> Value {
    let newer = |xapi: [&str; 3], build: [&str; 2], schema: [&str; 3]| {
        json!({
            "xapi": {"26.1": xapi[0], "26.2": xapi[1], "26.10": xapi[2]},
            "xapi_build": {"26.1.3": build[0], "26.1.4": build[1]},
            "db_schema": {"5.790": schema[0], "5.789": schema[1], "5.7900": schema[2]},
        })
    };
    match release {
        "v26.1.3" => json!({"db_schema": {"5.790": "5.793", "5.789": "5.792", "5.7900": "5.7930"}}),
        "v25.33.1" => newer(
            ["25.33", "25.34", "25.330"],
            ["25.33.1", "25.33.2"],
            ["5.791", "5.790", "5.7910"],
        ),
        "v25.6.0" => {
            newer(["25.6", "25.7", "25.60"], ["25.6.0", "25.6.1"], ["5.786", "5.785", "5.7860"])
        }
        "v24.39.1" => newer(
            ["24.39", "24.40", "24.390"],
            ["24.39.1", "24.39.2"],
            ["5.785", "5.784", "5.7850"],
        ),
        "v24.19.2" => newer(
            ["24.19", "24.20", "24.190"],
            ["24.19.2", "24.19.3"],
            ["5.779", "5.778", "5.7790"],
        ),
        "v24.11.0" => newer(
            ["24.11", "24.12", "24.110"],
            ["24.11.0", "24.11.1"],
            ["5.775", "5.774", "5.7750"],
        ),
        "v1.249.42" => json!({
            "xapi": {"26.1": "1.20", "26.2": "1.21", "26.10": "1.200"},
            "xapi_build": {"26.1.3": null, "26.1.4": null},
            "git_id": {"0": null},
            "db_schema": {"5.790": "5.603", "5.789": "5.602", "5.7900": "5.6030"},
            "platform_version":
                {"3.4.0": "3.2.1", "3.3.0": "3.1.1", "3.4": "3.2", "3.4.0 ": "3.2.1 "},
            "product_version": {"8.3.0": "8.2.1", "8.2.1": "8.1.0"},
            "product_version_text": {"8.3": "8.2"},
            "product_version_text_short": {"8.3": "8.2"},
            "build_number": {"cloud": "release/yangtze/master/58"},
            "xen": {"4.17.5-13": "4.13.5-9.49.1"},
        }),
        other => panic!("{other} is not recorded"),
    }
}

/// A release's datamodel: classes with fields and defaults, and the relations between them.
pub(crate) struct Release {
    name: &'static str,
    classes: BTreeMap<String, BTreeMap<String, (String, Value)>>,
    relations: Vec<[String; 4]>,
    /// The sides of relations that follow from the other side, as (class, field).
    many: BTreeSet<(String, String)>,
}

/// What is in the database and is not served.
const INTERNAL: &[(&str, &str)] = &[
    ("SM", "host_pending_features"),
    ("VM", "recommended_guidances"),
    ("host", "recommended_guidances"),
    ("host", "boot_free_mem"),
    ("SR", "default_vdi_visibility"),
    ("PIF", "device_name"),
    ("pool", "wlb_password"),
];

/// Classes of the moment, which no database of a recording has.
const VOLATILE: &[&str] = &[
    "session",
    "task",
    "event",
    "message",
    "user",
    "blob",
    "secret",
    "role",
    "console",
    "data_source",
];

impl Release {
    pub(crate) fn new(name: &'static str) -> Self {
        let text = fs::read_to_string(path(&format!("fields-{name}.json"))).unwrap();
        let fields: Value = serde_json::from_str(&text).unwrap();
        let classes: BTreeMap<String, BTreeMap<String, (String, Value)>> =
            serde_json::from_value(fields["classes"].clone()).unwrap();
        let relations: Vec<[String; 4]> =
            serde_json::from_value(fields["relations"].clone()).unwrap();
        let kind = |class: &str, field: &str| Some(classes.get(class)?.get(field)?.0.as_str());
        let mut many = BTreeSet::new();
        for [a, f, b, g] in &relations {
            let (Some(one), Some(other)) = (kind(a, f), kind(b, g)) else { continue };
            if one.starts_with("ref ") && other.starts_with("set ref") {
                many.insert((b.clone(), g.clone()));
            }
            if other.starts_with("ref ") && one.starts_with("set ref") {
                many.insert((a.clone(), f.clone()));
            }
        }
        Self { name, classes, relations, many }
    }

    /// A side's objects of the newest release as this release would hold them.
    pub(crate) fn transform(&self, objects: &Value) -> Value {
        let stated = stated(self.name);
        let mut objects = objects.clone();
        let classes = objects.as_object_mut().unwrap();
        for host in classes.get_mut("host").and_then(Value::as_object_mut).into_iter().flatten() {
            let version = host.1.get_mut("software_version").and_then(Value::as_object_mut);
            if let Some(version) = version {
                for (key, values) in stated.as_object().unwrap() {
                    let value = version.get(key).and_then(Value::as_str);
                    match value.and_then(|value| values.get(value)) {
                        None => {}
                        Some(Value::Null) => drop(version.remove(key)),
                        Some(value) => drop(version.insert(key.clone(), value.clone())),
                    }
                }
            }
            if self.name == "v1.249.42" {
                if let Some(minor) = host.1.get_mut("API_version_minor") {
                    let older = [(21, 15), (20, 14), (210, 150)];
                    if let Some((_, older)) = older.iter().find(|(newer, _)| *minor == *newer) {
                        *minor = json!(older);
                    }
                }
            }
        }
        classes.retain(|class, _| self.classes.contains_key(class));
        for (class, records) in classes {
            let known = &self.classes[class];
            for (_, record) in records.as_object_mut().unwrap() {
                record.as_object_mut().unwrap().retain(|field, _| known.contains_key(field));
            }
        }
        objects
    }

    /// A side's objects as the release would serve them: all classes, all fields, both sides of relations.
    pub(crate) fn complete(&self, objects: &Value) -> Value {
        let mut served = Map::new();
        for (class, fields) in &self.classes {
            let given = objects.get(class).and_then(Value::as_object);
            let records = given.into_iter().flatten().map(|(reference, record)| {
                let fields = fields
                    .iter()
                    .filter(|(field, _)| !INTERNAL.contains(&(class.as_str(), field.as_str())));
                let fields = fields.map(|(field, (kind, default))| {
                    let given = record.get(field).filter(|_| {
                        !kind.starts_with("set ref")
                            || !self.many.contains(&(class.clone(), field.clone()))
                    });
                    let value = match given {
                        Some(value) => value.clone(),
                        None if field == "uuid" => {
                            json!(reference.strip_prefix("OpaqueRef:").unwrap_or(reference))
                        }
                        None => default_of(field, kind, default),
                    };
                    (field.clone(), value)
                });
                (reference.clone(), Value::Object(fields.collect()))
            });
            served.insert(class.clone(), Value::Object(records.collect()));
        }
        for [a, f, b, g] in &self.relations {
            if !served.contains_key(a) || !served.contains_key(b) {
                continue;
            }
            let kinds = (self.classes[a][f].0.as_str(), self.classes[b][g].0.as_str());
            let lists = (kinds.0.starts_with("set ref"), kinds.1.starts_with("set ref"));
            match lists {
                (false, true) if kinds.0.starts_with("ref ") => relate(&mut served, [a, f, b, g]),
                (true, true) => {
                    relate(&mut served, [a, f, b, g]);
                    relate(&mut served, [b, g, a, f]);
                }
                _ => {}
            }
        }
        served.retain(|class, _| !VOLATILE.contains(&class.as_str()));
        Value::Object(served)
    }
}

fn default_of(field: &str, kind: &str, default: &Value) -> Value {
    let text = || default.as_str().unwrap_or_default();
    match kind {
        "bool" => json!(text() == "true"),
        "int" => json!(text().parse::<i64>().unwrap_or_default()),
        "float" => json!(text().parse::<f64>().unwrap_or_default()),
        _ if field == "virtual_hardware_platform_versions" => {
            let numbers = default.as_array().unwrap().iter();
            numbers.map(|number| json!(number.as_str().unwrap().parse::<i64>().unwrap())).collect()
        }
        _ => default.clone(),
    }
}

/// Enters in one class what another one's field says.
fn relate(served: &mut Map<String, Value>, [a, f, b, g]: [&String; 4]) {
    let pairs: Vec<(String, String)> = served[a]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(reference, record)| {
            let others = match &record[f] {
                Value::Array(list) => list.clone(),
                one => vec![one.clone()],
            };
            let others = others.into_iter().filter_map(|one| Some(one.as_str()?.to_owned()));
            others.map(|other| (reference.clone(), other)).collect::<Vec<_>>()
        })
        .collect();
    for (reference, other) in pairs {
        let list = served.get_mut(b).and_then(|records| records.get_mut(&other));
        if let Some(Value::Array(list)) = list.and_then(|record| record.get_mut(g)) {
            if !list.contains(&json!(reference)) {
                list.push(json!(reference));
            }
        }
    }
}
