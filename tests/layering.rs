//! The arrows between the rooms of `src/` go one way, and the core names nothing impure.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms that it may name. `error` is everybody's.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("log", &[]),
    ("model", &[]),
    ("actions", &["model"]),
    ("preflight", &["actions", "model"]),
    ("election", &["model"]),
    ("failover", &["model"]),
    ("plan", &["actions", "model", "preflight", "election", "failover"]),
    ("wire", &["model", "preflight", "election", "failover", "plan"]),
    ("transport", &["log", "model", "wire"]),
    ("client", &["log", "model", "wire", "transport"]),
    (
        "operations",
        &[
            "actions",
            "log",
            "model",
            "preflight",
            "election",
            "failover",
            "plan",
            "wire",
            "transport",
            "client",
        ],
    ),
    (
        "simulator",
        &["actions", "model", "preflight", "election", "failover", "plan", "wire", "transport"],
    ),
    (
        "ffi",
        &[
            "actions",
            "model",
            "preflight",
            "election",
            "failover",
            "plan",
            "wire",
            "transport",
            "client",
            "operations",
            "simulator",
        ],
    ),
];

/// The rooms that only decide.
const CORE: &[&str] = &["error", "model", "actions", "preflight", "election", "failover", "plan"];

/// What the core must not name: JSON, logs, sockets, clocks, threads, files, environment, randomness.
const IMPURE: &[&str] = &[
    "serde_json",
    "log::",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "ureq",
    "rustls",
    "rand::",
];

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Room and product code (no comments, no tests) of every source file.
fn product_code() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    files.sort();
    files
        .into_iter()
        .filter(|path| !path.ends_with("lib.rs"))
        .map(|path| {
            let inside = path.strip_prefix(&src).unwrap();
            let room = inside.components().next().unwrap().as_os_str().to_str().unwrap();
            let room = room.trim_end_matches(".rs").to_owned();
            let code: String = fs::read_to_string(&path)
                .unwrap()
                .lines()
                .take_while(|line| line.trim() != "#[cfg(test)]")
                .filter(|line| !line.trim_start().starts_with("//"))
                .flat_map(|line| [line, "\n"])
                .collect();
            (room, path, code)
        })
        .collect()
}

/// The rooms that a piece of code names after `crate::`, in braces too.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let after = &code[at + found.len()..];
        match after.strip_prefix('{') {
            None => rooms.extend(first_word(after)),
            Some(list) => rooms.extend(items(list).iter().filter_map(|item| first_word(item))),
        }
    }
    rooms
}

fn first_word(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The items of a braced list, up to its closing brace.
fn items(list: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

#[test]
fn arrows_go_one_way() {
    let mut wrong = Vec::new();
    for (room, path, code) in product_code() {
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{} is in no known room", path.display()));
            continue;
        };
        for named in rooms_named(&code) {
            let known = ROOMS.iter().any(|(name, _)| *name == named);
            if known && named != room && named != "error" && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{}: {room} names {named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_names_nothing_impure() {
    let mut wrong = Vec::new();
    for (room, path, code) in product_code() {
        if CORE.contains(&room.as_str()) {
            for name in IMPURE.iter().filter(|name| code.contains(**name)) {
                wrong.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_use_lines_sees_what_is_there() {
    let code = "use crate::error::{Error, Result};\nuse crate::{client::Client, model::{Host, Vm}};\n\
                fn f() -> crate::wire::Reply { $crate::plan::x() }";
    let rooms: Vec<_> = rooms_named(code).into_iter().collect();
    assert_eq!(rooms, ["client", "error", "model", "plan", "wire"]);
}
