//! The examples, as `cargo test` builds them beside the tests.

use std::env::{self, consts::EXE_EXTENSION};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The program of an example, of the same build as this test.
///
/// A test that is run alone finds what an earlier build left. What is not there, or is older than
/// its sources, fails and says how to build it: building it here would build the library once more
/// if the test has other features.
#[track_caller]
pub(crate) fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name).with_extension(EXE_EXTENSION);
    let build = format!(
        "all of `cargo test` builds it; for this test alone run `cargo build --example {name}` \
         before, with the test's features"
    );
    let Ok(built) = changed(&program) else {
        panic!("{} is not there: {build}", program.display());
    };
    // "program: source source…", with all sources of the library; spaces in names have a backslash.
    let told = fs::read_to_string(program.with_extension("d")).unwrap();
    let (_, sources) = told.trim_end().split_once(": ").unwrap();
    let sources = sources.replace("\\ ", "\0");
    let mut seen = 0;
    for source in sources.split(' ').map(|source| PathBuf::from(source.replace('\0', " "))) {
        let is_older = changed(&source).is_ok_and(|changed| changed <= built);
        assert!(is_older, "{name} is older than {}: {build}", source.display());
        seen += 1;
    }
    assert!(seen > 100, "the sources of the library are not among the {seen} of {name}");
    program
}

fn changed(file: &Path) -> std::io::Result<SystemTime> {
    fs::metadata(file)?.modified()
}
