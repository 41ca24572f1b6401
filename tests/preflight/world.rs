//! Worlds for tests of the preflight: a clean one, and what breaks it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::PathBuf;

use serde_json::{Value, json};
use xcp_pool::actions::Side;
use xcp_pool::model::Snapshot;
use xcp_pool::preflight::{self, Options, Preflight, Report};
use xcp_pool::rules::{Rule, RuleCode, proofs::Sides};

/// `{"joiner": {class: {ref: record}}, "pool": …, "options": …}`
#[derive(Clone)]
pub(crate) struct World(pub Value);

/// A file of `tests/data/preflight/rules`.
pub(crate) struct Case {
    pub code: String,
    pub file: Value,
}

pub(crate) fn data(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data", path].iter().collect()
}

fn read(path: &str) -> Value {
    let text =
        std::fs::read_to_string(data(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rule of the preflight with a code.
pub(crate) fn rule(code: &str) -> &'static Rule {
    RuleCode::of::<Preflight>(code).unwrap().rule()
}

/// Whether answers are rewritten rather than compared.
pub(crate) fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Compares a text with a file of `tests/data/preflight`, or rewrites that.
pub(crate) fn golden(name: &str, text: &str) {
    let path = data("preflight").join(name);
    let text = format!("{}\n", text.trim_end());
    if blessing() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}");
}

/// The world without findings.
pub(crate) fn clean() -> World {
    let clean = read("preflight/clean.json");
    let recording = read(clean["from"].as_str().unwrap());
    let mut world = World(json!({
        "joiner": recording["joiner_before"],
        "pool": recording["pool_before"],
        "options": clean["options"],
    }));
    world.change(&clean);
    world
}

/// All rule cases, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let mut codes: Vec<_> = std::fs::read_dir(data("preflight/rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    codes.sort();
    codes
        .into_iter()
        .map(|code| Case { file: read(&format!("preflight/rules/{code}.json")), code })
        .collect()
}

impl Case {
    pub(crate) fn world(&self) -> World {
        let mut world = clean();
        world.change(&self.file);
        world
    }

    /// Rewrites answers, if that is wanted.
    pub(crate) fn bless<'a>(&self, answers: impl IntoIterator<Item = (&'a str, Value)>) -> bool {
        if !blessing() {
            return false;
        }
        let mut file = self.file.clone();
        for (key, value) in answers {
            file[key] = value;
        }
        let text = serde_json::to_string_pretty(&file).unwrap();
        let path = data("preflight/rules").join(format!("{}.json", self.code));
        std::fs::write(path, format!("{text}\n")).unwrap();
        true
    }
}

impl World {
    /// Applies `remove`, `set` and `options` of a file, in that order.
    pub(crate) fn change(&mut self, file: &Value) {
        for pointer in file["remove"].as_array().into_iter().flatten() {
            let pointer = pointer.as_str().unwrap();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let removed = self.0.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
            assert!(removed.is_some(), "{pointer} is not there");
        }
        for (pointer, value) in file["set"].as_object().into_iter().flatten() {
            let mut at = &mut self.0;
            for key in pointer[1..].split('/') {
                at = &mut at[key];
            }
            *at = value.clone();
        }
        for (key, value) in file["options"].as_object().into_iter().flatten() {
            for (name, value) in value.as_object().unwrap() {
                self.0["options"][key][name] = value.clone();
            }
        }
    }

    pub(crate) fn options(&self) -> Options {
        serde_json::from_value(self.0["options"].clone()).unwrap()
    }

    pub(crate) fn snapshot(&self, side: &str) -> Snapshot {
        Snapshot::from_json(self.0[side].to_string().as_bytes()).unwrap()
    }

    /// Both databases, as proofs about rules take them.
    pub(crate) fn sides(&self) -> Sides {
        [(Side::Pool, "pool"), (Side::Joiner, "joiner")]
            .map(|(side, name)| (side, self.snapshot(name)))
            .into()
    }

    pub(crate) fn evaluate(&self) -> Report {
        self.evaluate_with(|_| {})
    }

    pub(crate) fn evaluate_with(&self, change: impl FnOnce(&mut Options)) -> Report {
        let mut options = self.options();
        change(&mut options);
        preflight::evaluate(self.snapshot("pool"), self.snapshot("joiner"), &options)
    }
}
