//! The checked-in header is the one that the source makes. `BLESS=1` writes it.

use std::fs;
use std::path::Path;

fn made() -> String {
    fs::read_to_string(env!("XCP_POOL_HEADER")).unwrap()
}

#[test]
fn the_checked_in_header_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/xcp_pool.h");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, made()).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    let difference = checked_in
        .lines()
        .chain(std::iter::repeat("(end)"))
        .zip(made().lines().map(str::to_owned).chain(["(end)".to_owned()]))
        .position(|(old, new)| old != new);
    assert_eq!(
        difference.map(|line| line + 1),
        None,
        "line of {}; BLESS=1 updates",
        path.display()
    );
    assert_eq!(checked_in, made());
}

#[test]
fn every_declaration_is_explained() {
    let mut undocumented = Vec::new();
    let header = made();
    let lines: Vec<&str> = header.lines().collect();
    for (n, line) in lines.iter().enumerate().filter(|(_, line)| {
        let declares = line.contains("xcp_") && line.contains('(') && !line.starts_with(' ');
        declares || line.starts_with("typedef") || line.starts_with("#define XCP_ABI")
    }) {
        if lines[n - 1] != " */" {
            undocumented.push(*line);
        }
    }
    assert!(undocumented.is_empty(), "{undocumented:#?}");
}

#[test]
fn nothing_is_declared_twice() {
    let header = made();
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|line| line.contains("xcp_") && line.contains('(') && !line.starts_with([' ', 't']))
        .map(|line| line.split('(').next().unwrap())
        .collect();
    let count = declared.len();
    declared.sort_unstable();
    declared.dedup();
    assert_eq!(declared.len(), count);
}

#[test]
fn the_header_is_plain_ascii() {
    assert!(made().is_ascii());
}

/// Python is what CI needs anyway; whoever has none is told.
#[test]
fn the_checked_in_schema_is_what_the_types_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut make = std::process::Command::new("python3");
    make.arg("-B").arg(root.join("tests/schema/make.py"));
    if std::env::var_os("BLESS").is_some() {
        make.arg("--bless");
    }
    match make.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "python3: {error}");
            eprintln!("SKIPPED: the schema was not compared, for lack of python3: {error}");
        }
    }
}
