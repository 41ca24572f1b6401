//! What no text may hold that a person reads.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;

use serde_json::Value as Json;
use xcp_pool::model::Snapshot;

/// What the objects of some databases are called, by ref; an empty text is an object without a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// For texts about objects that are not at hand; no ref may be shown.
    pub(crate) fn unknown() -> Self {
        Self::default()
    }

    pub(crate) fn of(snapshots: &[&Snapshot]) -> Self {
        let mut names = Self::default();
        for snapshot in snapshots {
            names.add(&serde_json::from_str(&snapshot.to_json()).unwrap());
        }
        names
    }

    /// Adds what the hosts of a world have in their databases now.
    #[cfg(feature = "simulator")]
    pub(crate) fn add_world(&mut self, world: &xcp_pool::simulator::World, hosts: &[String]) {
        for database in hosts.iter().filter_map(|host| world.database(host).ok()) {
            self.add(&database.save());
        }
    }

    /// Adds a database as it is saved.
    pub(crate) fn add(&mut self, database: &Json) {
        for rows in database.as_object().unwrap().values() {
            for (reference, row) in rows.as_object().unwrap() {
                let name = row["name_label"].as_str().unwrap_or_default();
                self.0.insert(reference.clone(), name.to_owned());
            }
        }
    }
}

/// What is wrong with a text; nothing if a person can read it.
pub(crate) fn complaints(text: &str, names: &Names) -> Vec<String> {
    let mut wrong = Vec::new();
    let unseen = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
    };
    if let Some(c) = text.chars().find(|c| unseen(*c)) {
        wrong.push(format!("it holds {c:?}"));
    }
    for line in text.lines() {
        let (rest, faults) = without_faults(line);
        wrong.extend(
            refs(&rest).filter(|one| names.0.is_empty() || names.0.contains_key(*one)).map(|one| {
                match names.0.get(one) {
                    Some(name) if !name.is_empty() => {
                        format!("it shows {one} in place of {name:?}")
                    }
                    _ => format!("it shows {one}"),
                }
            }),
        );
        for one in faults.iter().flat_map(|fault| refs(fault)) {
            let name = names.0.get(one).filter(|name| !name.is_empty());
            // The name stands somewhere beside the fault, perhaps between quotation marks.
            let shown = |name: &&String| text.contains(name.trim().trim_matches('"'));
            if let Some(name) = name.filter(|name| !shown(name)) {
                wrong.push(format!("beside the fault with {one} there is no {name:?}"));
            }
        }
        let rest = without_quotes(&rest, &mut wrong);
        let is_name = |word: &str| names.0.values().any(|name| name == word);
        wrong.extend(
            words_of(&rest).into_iter().filter(|(word, _)| !is_name(word)).map(|(_, what)| what),
        );
    }
    wrong
}

#[track_caller]
pub(crate) fn assert_words(text: &str, names: &Names) {
    let wrong = complaints(text, names);
    assert!(wrong.is_empty(), "{wrong:#?}\nin the text:\n{text}");
}

/// A line without the params of faults, and these.
fn without_faults(line: &str) -> (String, Vec<&str>) {
    let (mut rest, mut faults, mut from) = (String::new(), Vec::new(), 0);
    while let Some(at) = line[from..].find(" [").map(|at| from + at) {
        let before = line[..at].rsplit(|c: char| c.is_whitespace() || "(`".contains(c)).next();
        let is_code = before.is_some_and(|code| {
            code == "Fault"
                || code.len() > 4
                    && code
                        .chars()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        });
        let end = is_code.then(|| closing(line, at + 1)).flatten();
        let Some(end) = end else {
            rest.push_str(&line[from..at + 2]);
            from = at + 2;
            continue;
        };
        rest.push_str(&line[from..at]);
        faults.push(&line[at + 2..end]);
        from = end + 1;
    }
    rest.push_str(&line[from..]);
    (rest, faults)
}

/// Where the bracket closes that opens at a place.
fn closing(line: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    line[open..].char_indices().find_map(|(at, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(open + at)
    })
}

fn refs(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("OpaqueRef:").map(|(at, _)| {
        let end = text[at..].find(|c: char| c.is_whitespace() || "\"'`,;()[]{}".contains(c));
        &text[at..end.map_or(text.len(), |end| at + end)]
    })
}

/// A line with names between quotation marks left out, and what is wrong with the marks.
fn without_quotes(line: &str, wrong: &mut Vec<String>) -> String {
    let (mut rest, mut quoted) = (String::new(), None::<String>);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (&mut quoted, c) {
            (None, '"') => quoted = Some(String::new()),
            (None, c) => rest.push(c),
            (Some(_), '\\') => {
                let escaped = chars.next();
                quoted.as_mut().unwrap().extend(escaped);
            }
            (Some(name), '"') => {
                if name.is_empty() {
                    wrong.push("it has empty quotation marks".to_owned());
                }
                quoted = None;
                rest.push('…');
            }
            (Some(name), c) => name.push(c),
        }
    }
    if quoted.is_some() {
        wrong.push("a quotation is not closed".to_owned());
    }
    rest
}

/// Words that Rust has and people do not, and words twice, each with what is wrong.
fn words_of(line: &str) -> Vec<(&str, String)> {
    let mut wrong = Vec::new();
    for form in ["Some(", "Ok(", "Err(", "Ref(", "[\"", "[…", "{ ", " }", "()", "::"] {
        if line.contains(form) {
            wrong.push((form, format!("it holds {form:?}")));
        }
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    for pair in words.windows(2) {
        let is_word = pair[0].chars().all(char::is_alphabetic);
        if is_word && pair[0].to_lowercase() == pair[1].to_lowercase() {
            wrong.push((pair[0], format!("it says \"{} {}\"", pair[0], pair[1])));
        }
    }
    for word in line.split(|c: char| !c.is_alphanumeric()) {
        if (word == "None" || is_camel_case(word)) && !PROPER_NAMES.contains(&word) {
            wrong.push((word, format!("it says {word}")));
        }
    }
    wrong
}

fn is_camel_case(word: &str) -> bool {
    let starts = word.starts_with(|c: char| c.is_ascii_uppercase());
    let humps = word.chars().zip(word.chars().skip(1));
    let humps = humps.filter(|(a, b)| a.is_ascii_lowercase() && b.is_ascii_uppercase()).count();
    starts && humps > 0
}

/// What vendors write in this way.
const PROPER_NAMES: &[&str] =
    &["AuthenticAMD", "GenuineIntel", "GiB", "MiB", "OpaqueRef", "XenServer"];
