//! What the manual names is there: files, tests, rooms.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The manual's pages by name.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = fs::read_dir(root().join("src/manual"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    pages.sort();
    assert!(pages.len() >= 4, "the manual has its pages");
    pages
}

/// What stands between backticks, over line ends too.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    let outside_blocks: Vec<_> = text.split("```").step_by(2).collect();
    let spans: Vec<String> = outside_blocks
        .iter()
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .map(join)
        .collect();
    spans.into_iter()
}

fn join(span: &str) -> String {
    span.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn files_that_it_names_exist() {
    let starts = ["src/", "tests/", "examples/", "include/", "benches/", ".ci/"];
    let mut seen = 0;
    for (page, text) in pages() {
        let mut folder = PathBuf::new();
        for name in quoted(&text) {
            let alone = name.ends_with(".rs") && !name.contains([' ', '/']);
            let path = match name.split(" ").next() {
                Some(path) if starts.iter().any(|start| path.starts_with(start)) => {
                    root().join(path)
                }
                // A file beside the one that was named before.
                Some(path) if alone && !root().join(path).exists() => folder.join(path),
                _ => continue,
            };
            seen += 1;
            // A placeholder stands for any file.
            if !name.contains('<') {
                assert!(path.exists(), "{page} names {name}: {} is not there", path.display());
            }
            folder = path.parent().unwrap().to_owned();
        }
    }
    assert!(seen >= 25, "only {seen} files were found in the manual");
}

#[test]
fn tests_that_it_runs_exist() {
    let mut seen = 0;
    for (page, text) in pages() {
        for words in text.match_indices("--test ").map(|(at, found)| &text[at + found.len()..]) {
            let mut words = words.split([' ', '\n', '`']).filter(|word| !word.is_empty());
            let name = words.next().unwrap();
            let folder = root().join("tests").join(name);
            let file = folder.with_extension("rs");
            assert!(folder.is_dir() || file.is_file(), "{page}: there is no test {name}");
            if let Some(module) = words.next().and_then(|word| word.strip_suffix("::")) {
                let module = folder.join(module).with_extension("rs");
                assert!(module.is_file(), "{page}: {} is not there", module.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} commands were found in the manual");
}

#[test]
fn its_map_has_every_room() {
    let (_, map) = pages().into_iter().find(|(page, _)| page.ends_with("architecture.md")).unwrap();
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rooms = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for room in rooms.filter(|room| !["error", "manual"].contains(room)) {
        let (linked, plain) = (format!("\n| [`{room}`]"), format!("\n| `{room}`"));
        assert!(map.contains(&linked) || map.contains(&plain), "the map has no line for {room}");
    }
    let there = |name: &str| Path::new(&root()).join("src").join(name).exists();
    for line in map.lines().filter(|line| line.starts_with("| [`") || line.starts_with("| `")) {
        let room = line.split('`').nth(1).unwrap();
        assert!(there(room), "the map has {room}, which is not there");
    }
}
