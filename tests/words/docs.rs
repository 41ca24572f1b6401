//! How comments speak: the words of the field, in lines that stand alone.

use std::fs;
use std::path::{Path, PathBuf};

/// How wide the first line of a public item's documentation may be, in a list of rustdoc's.
const WIDTH: usize = 80;

#[test]
fn documentation_is_in_plain_words() {
    let mut wrong = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap();
        // What only tests and examples see stands in no list.
        let width = if name.starts_with("src") { WIDTH } else { usize::MAX };
        wrong.extend(
            complaints(&text, width)
                .into_iter()
                .map(|(line, what)| format!("{}:{line}: {what}", name.display())),
        );
    }
    assert!(wrong.is_empty(), "{} complaints\n{}", wrong.len(), wrong.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        ["benches", "examples", "src", "tests"].map(|folder| root().join(folder)).into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                // It holds the very words.
                && !path.ends_with("tests/words/docs.rs")
            {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    assert!(found.len() > 400, "{}", found.len());
    found
}

/// What is wrong with the comments of a file, each with its line.
fn complaints(text: &str, widest: usize) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let mut wrong = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut complain = |what: &str| wrong.push((at + 1, format!("{what}: {line}")));
        if let Some(word) =
            words(line).find(|word| METAPHORS.contains(&word.to_lowercase().as_str()))
        {
            complain(&format!("what is a {word}?"));
        }
        let Some(comment) = comment(line) else { continue };
        if let Some(word) = METAPHORS_IN_COMMENTS.iter().find(|word| says_guest(comment, word)) {
            complain(&format!("whose {word}?"));
        }
        for nothing in NOTHING {
            if comment.to_lowercase().contains(nothing) {
                complain(&format!("no what? {nothing:?}"));
            }
        }
        let is_first = at == 0 || self::comment(lines[at - 1]).is_none();
        let is_doc = line.starts_with("///") || line.starts_with("//!");
        if !is_first || !is_doc {
            continue;
        }
        if comment.starts_with("The same") || comment.starts_with("As above") {
            complain("the same as what?");
        }
        let item =
            lines[at..].iter().find(|line| !line.starts_with("//") && !line.starts_with("#["));
        let item = item.copied().unwrap_or_default();
        let is_function = item.split(['(', '<']).next().is_some_and(|head| head.contains("fn "));
        if is_function && ANSWERS.iter().any(|form| comment.contains(form)) {
            complain("a function returns");
        }
        let is_public =
            item.starts_with("pub ") || item.starts_with(|c: char| c.is_ascii_uppercase());
        let width = without_links(comment).chars().count();
        if line.starts_with("///") && is_public && width > widest {
            complain(&format!("{width} columns"));
        }
    }
    wrong
}

/// What a line of comment says.
fn comment(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("//")?;
    Some(rest.trim_start_matches(['/', '!']).trim())
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty())
}

/// Whether guests are spoken of that are not XAPI's: a VM's tools, agent and metrics are.
fn says_guest(comment: &str, word: &str) -> bool {
    comment.match_indices(word).any(|(at, _)| {
        let (before, after) = (&comment[..at], &comment[at + word.len()..]);
        let is_word = !before.ends_with(|c: char| c.is_alphanumeric() || "_-`".contains(c))
            && !after.starts_with(|c: char| c.is_alphanumeric() || "_-".contains(c));
        let of_xapi = [" tools", " agent", " metrics"].iter().any(|what| after.starts_with(what));
        is_word && !of_xapi
    })
}

/// A line without the targets of its links.
fn without_links(line: &str) -> String {
    let (mut text, mut rest) = (String::new(), line);
    while let Some(at) = rest.find("](") {
        text.push_str(&rest[..=at]);
        let end = rest[at..].find(')').map_or(rest.len(), |end| at + end + 1);
        rest = &rest[end..];
    }
    text.push_str(rest);
    text.retain(|c| !"[]".contains(c));
    text
}

/// Pictures of this crate's own, which nobody else would look for.
const METAPHORS: &[&str] = &["desk", "desks", "door", "doors", "doorman", "house", "houses"];

const METAPHORS_IN_COMMENTS: &[&str] = &["guest", "guests", "Guest", "Guests"];

/// What is missing must be named.
const NOTHING: &[&str] = &[
    "; none for",
    "; none if",
    "; none of",
    "; none until",
    "; none where",
    "; none while",
    "; none without",
    ": none if",
    ": none of",
    "none if ",
    "none where ",
    "none while ",
];

/// A server answers; a function does not.
const ANSWERS: &[&str] = &["Answers ", "; answers", "and answers"];

#[test]
fn the_reader_of_comments_finds_what_it_looks_for() {
    for (text, wanted) in [
        ("/// The name of a host.\npub fn name() {}", ""),
        ("/// Waits until the master answers.\npub fn wait() {}", ""),
        ("/// The guest tools of a VM, and its VM_guest_metrics.\nfn tools() {}", ""),
        ("/// The same, from a file.\npub fn load() {}", "the same as what?"),
        ("/// The address; none if there is no host.\npub address: Option<String>,", "no what? "),
        ("/// Remembers a name; answers the old one.\nfn remember() {}", "a function returns"),
        ("/// Answers a question.\npub fn ask() {}", "a function returns"),
        ("/// Lets guests in.\nfn admit() {}", "whose guest"),
        ("struct Door {}", "what is a Door?"),
    ] {
        let found =
            complaints(text, WIDTH).into_iter().next().map_or(String::new(), |(_, what)| what);
        assert!(
            found.starts_with(wanted) && found.is_empty() == wanted.is_empty(),
            "{text}: {found}"
        );
    }
    let long = format!("/// {}\npub fn long() {{}}", "word ".repeat(17));
    assert_eq!(complaints(&long, WIDTH).len(), 1);
    assert!(complaints(&long.replace("pub fn", "fn"), WIDTH).is_empty());
    let linked =
        format!("/// {} [here](crate::model::Snapshot)\npub fn long() {{}}", "word ".repeat(14));
    assert!(complaints(&linked, WIDTH).is_empty());
}
