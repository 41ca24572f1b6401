//! The arrows between the rooms of `src/` go one way, those between files run in no circles, and the
//! core names nothing impure.

mod arrows;
mod known_circles;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use arrows::{Taken, circles, room};
use known_circles::KNOWN_CIRCLES;
use source::{Source, relative};

/// Each room with the rooms that it names: no others, and all of these.
const ROOMS: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("error", &[]),
    ("log", &["error"]),
    ("model", &["error"]),
    ("actions", &["model"]),
    ("rules", &["error", "model", "actions"]),
    ("preflight", &["error", "model", "actions", "rules"]),
    ("election", &["error", "model"]),
    ("failover", &["error", "model"]),
    ("health", &["error", "model", "election"]),
    ("plan", &["error", "model", "actions", "rules", "preflight", "election", "failover"]),
    ("wire", &["error", "model"]),
    ("transport", &["error", "log", "model", "wire"]),
    (
        "client",
        &["error", "log", "model", "preflight", "election", "failover", "wire", "transport"],
    ),
    (
        "operations",
        &[
            "error",
            "log",
            "model",
            "actions",
            "preflight",
            "election",
            "health",
            "plan",
            "wire",
            "transport",
            "client",
        ],
    ),
    ("simulator", &["error", "model", "preflight", "election", "failover", "wire", "transport"]),
    (
        "ffi",
        &[
            "error",
            "model",
            "actions",
            "rules",
            "preflight",
            "election",
            "failover",
            "health",
            "plan",
            "wire",
            "transport",
            "client",
            "operations",
            "simulator",
        ],
    ),
];

/// The room below all others, which each of them may name.
const GROUND: &str = "text";

/// The rooms that only decide.
const CORE: &[&str] = &[
    "text",
    "error",
    "model",
    "actions",
    "rules",
    "preflight",
    "election",
    "failover",
    "health",
    "plan",
];

/// What the core must not name: JSON, logs, sockets, clocks, threads, files, environment, randomness.
const IMPURE: &[&str] = &[
    "serde_json",
    "log",
    "crate::log",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "ureq",
    "rustls",
    "rand",
];

static SOURCE: LazyLock<Source> = LazyLock::new(|| Source::read(&src()));

static ARROWS: LazyLock<Vec<Taken>> = LazyLock::new(|| SOURCE.arrows());

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every arrow between two rooms, with the files and names behind it.
fn between_rooms() -> BTreeMap<(&'static str, &'static str), Vec<String>> {
    let mut arrows = BTreeMap::<_, Vec<String>>::new();
    for (from, taken) in ARROWS.iter().enumerate() {
        for (to, names) in taken {
            let (from, to) = (&SOURCE.files[from], &SOURCE.files[*to]);
            let (Some(from_room), Some(to_room)) = (room(from), room(to)) else { continue };
            if from_room != to_room && to_room != GROUND {
                let line = format!("{from} -> {to}: {}", list(names));
                arrows.entry((from_room, to_room)).or_default().push(line);
            }
        }
    }
    arrows
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[test]
fn each_room_names_its_neighbours_and_no_others() {
    let arrows = between_rooms();
    let mut wrong = Vec::new();
    for ((from, to), lines) in &arrows {
        match ROOMS.iter().find(|(name, _)| name == from) {
            None => wrong.push(format!("{from}, which names {to}, is no known room")),
            Some((_, neighbours)) if neighbours.contains(to) => {}
            Some(_) => wrong.push(format!("{from} names {to}:\n  {}", lines.join("\n  "))),
        }
    }
    for (from, neighbours) in ROOMS {
        for to in neighbours.iter().filter(|to| !arrows.contains_key(&(*from, **to))) {
            wrong.push(format!("{from} does not name {to}: take that out of the table"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn arrows_between_rooms_go_one_way() {
    // Each room stands below those that name it: the table has an order.
    for (at, (room, neighbours)) in ROOMS.iter().enumerate() {
        for neighbour in *neighbours {
            let below = ROOMS[..at].iter().any(|(name, _)| name == neighbour);
            assert!(below, "{room} names {neighbour}, which does not stand before it");
        }
    }
}

#[test]
fn files_run_in_no_circles_but_the_known_ones() {
    let named = |circle: Vec<usize>| {
        let mut names: Vec<_> = circle.iter().map(|file| SOURCE.files[*file].as_str()).collect();
        names.sort_unstable();
        names
    };
    let found: Vec<Vec<&str>> = circles(&ARROWS).into_iter().map(named).collect();
    let mut wrong = Vec::new();
    for circle in found.iter().filter(|circle| !KNOWN_CIRCLES.contains(&circle.as_slice())) {
        let known = KNOWN_CIRCLES.iter().copied().max_by_key(|known| shared(known, circle));
        let new = without(circle, known.unwrap_or_default());
        // Of a circle that shrank all ties are told, unless it is too large to read.
        let told = if new.is_empty() && circle.len() <= 12 { circle.clone() } else { new };
        let (files, ties) = (circle.len(), ties(circle, &told));
        wrong.push(format!("an unknown circle of {files} files:\n  {circle:?}\n{ties}"));
    }
    for circle in KNOWN_CIRCLES {
        if !found.iter().any(|found| found == circle) {
            wrong.push(format!("no circle any more: take it out of the list\n  {circle:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn shared(one: &[&str], other: &[&str]) -> usize {
    one.iter().filter(|file| other.contains(file)).count()
}

fn without<'a>(circle: &[&'a str], known: &[&str]) -> Vec<&'a str> {
    circle.iter().filter(|file| !known.contains(file)).copied().collect()
}

/// What ties some files to a circle that they are in.
fn ties(circle: &[&str], some: &[&str]) -> String {
    let mut text = String::new();
    for (from, taken) in ARROWS.iter().enumerate() {
        for (to, names) in taken {
            let (from, to) = (SOURCE.files[from].as_str(), SOURCE.files[*to].as_str());
            let is_tie = circle.contains(&from) && circle.contains(&to);
            if is_tie && (some.contains(&from) || some.contains(&to)) {
                text += &format!("  {from} -> {to}: {}\n", list(names));
            }
        }
    }
    text
}

#[test]
fn the_core_names_nothing_impure() {
    let mut wrong = Vec::new();
    for (file, name) in SOURCE.files.iter().enumerate() {
        if !room(name).is_some_and(|room| CORE.contains(&room)) {
            continue;
        }
        for path in SOURCE.paths(file).iter().map(|path| path.join("::")) {
            let is_impure = |impure: &&&str| {
                path.strip_prefix(**impure)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            if IMPURE.iter().any(|impure| is_impure(&impure)) {
                wrong.push(format!("{name}: {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_belongs_to_the_crate() {
    let mut files = Vec::new();
    source_files(&src(), &mut files);
    let files: BTreeSet<_> = files.iter().map(|path| relative(&src(), path)).collect();
    let read: BTreeSet<_> = SOURCE.files.iter().chain(&SOURCE.test_files).cloned().collect();
    assert_eq!(files, read);
}

/// A statement with a line that is too wide is left as it is by rustfmt, silently and as a whole.
#[test]
fn no_line_is_wider_than_rustfmt_makes_it() {
    let mut files = Vec::new();
    source_files(&src(), &mut files);
    let mut wide = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let lines = (1..).zip(text.lines());
        // Tables and hidden lines of examples are one line each.
        let is_one_line = |line: &str| {
            let comment = line.trim_start().trim_start_matches(['/', '!']).trim_start();
            line.trim_start().starts_with("//") && comment.starts_with(['|', '#'])
        };
        let lines = lines.filter(|(_, line)| line.chars().count() > 100 && !is_one_line(line));
        wide.extend(lines.map(|(n, _)| format!("{}:{n}", file.display())));
    }
    assert!(wide.is_empty(), "break these lines:\n{}", wide.join("\n"));
}

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

/// What the reader makes of a text: its paths, those of the crate alone.
fn own_paths(text: &str) -> Vec<String> {
    let source = Source::of(text);
    let paths = source.paths(0).into_iter().filter(|path| path[0] == "crate" || path[0] == "super");
    paths.map(|path| path.join("::")).collect()
}

#[test]
fn the_reader_sees_whatever_is_named() {
    let text = r#"
        use crate::error::{Error, Result as Outcome};
        use crate::{client::Client, model::{self, Host}};
        pub(crate) use crate::seen::Handed;
        #[serde(with = "crate::seen::text")]
        struct Row { host: crate::seen::Field }
        fn body() -> crate::seen::Reply { model::Vm::new(); assert!(crate::seen::in_a_macro()) }
        macro_rules! made { () => { $crate::seen::made() } }
        impl Row { fn method(&self) { use crate::seen::Local; } }
    "#;
    assert_eq!(
        own_paths(text),
        [
            "crate::client::Client",
            "crate::error::Error",
            "crate::error::Result",
            "crate::model",
            "crate::model::Host",
            "crate::model::Vm::new",
            "crate::seen::Field",
            "crate::seen::Handed",
            "crate::seen::Local",
            "crate::seen::Reply",
            "crate::seen::in_a_macro",
            "crate::seen::made",
            "crate::seen::text",
        ]
    );
}

#[test]
fn the_reader_leaves_out_tests_and_no_more() {
    let text = r##"
        #[cfg(test)]
        use crate::left_out::Import;
        #[cfg(test)]
        mod tests { const BRACES: (&str, char) = (r#"{ " {"#, '{'); fn f() { crate::left_out::f() } }
        #[cfg(all(test, feature = "simulator"))]
        fn helper() { crate::left_out::g() /* } */ }
        struct Row { #[cfg(test)] counted: crate::left_out::Counter, all: crate::seen::Field }
        impl Row {
            #[cfg(test)]
            fn counted() { crate::left_out::h() } // }
            fn method(self) {
                #[cfg(test)]
                let x = crate::left_out::X;
                crate::seen::after()
            }
        }
        #[cfg(any(test, feature = "proptest"))]
        mod arbitrary { fn f() { crate::seen::arbitrary() } }
        #[cfg(not(test))]
        fn product() { crate::seen::not_in_tests(); "crate::text::only"; }
    "##;
    let seen =
        ["Field", "after", "arbitrary", "not_in_tests"].map(|name| format!("crate::seen::{name}"));
    assert_eq!(own_paths(text), seen);
}

#[test]
fn circles_are_found_whole_and_apart() {
    let arrows: Vec<Taken> = [&[1][..], &[2], &[0, 3], &[4], &[3], &[0]]
        .map(|to| to.iter().map(|file| (*file, BTreeSet::new())).collect())
        .into();
    assert_eq!(circles(&arrows), [vec![0, 1, 2], vec![3, 4]]);
}

#[test]
fn names_lead_to_the_file_that_defines_them() {
    let taken = |from: &str, to: &str| {
        let place = |name: &str| SOURCE.files.iter().position(|file| file == name).unwrap();
        ARROWS[place(from)].get(&place(to)).map(list).unwrap_or_default()
    };
    // Through what the room and the crate hand on, through a star, and in what a macro writes.
    assert!(taken("client/call.rs", "error.rs").contains("Error"));
    assert!(taken("election/survey.rs", "model/snapshot.rs").contains("Snapshot"));
    assert!(taken("model/host.rs", "model/enums.rs").contains("UpdateGuidance"));
    assert!(taken("model/host.rs", "model/record.rs").contains("record"));
    // A method that stands in another file than its type.
    assert!(taken("operations/hand_over.rs", "client/handle.rs").contains("Client"));
}
