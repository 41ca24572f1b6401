//! The example `join` as an administrator runs it: what it prints, and its exit codes.

#![cfg(feature = "simulator")]

#[path = "support/example.rs"]
mod example;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use example::example;

fn join(arguments: &[&str]) -> Output {
    Command::new(example("join"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn on_snapshots(pool: &str, host: &str) -> (Option<i32>, String, String) {
    let output = join(&["--pool-snapshot", pool, "--host-snapshot", host]);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A snapshot that a real server emitted, or a broken one made for this test.
fn snapshot(name: &str) -> String {
    format!("tests/data/snapshots/{name}.json")
}

fn scratch(name: &str, content: &[u8]) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_story_is_told_to_its_end() {
    let output = join(&[]);
    let story = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{story}");
    for told in [
        "shared-storage",
        "remedy forget",
        "pool.join to phantom at 10.0.0.1",
        "SRs       6: ",
        "SRs       9: ",
        "nothing is missing",
        "is led to https://10.0.0.1",
    ] {
        assert!(story.contains(told), "{told:?} is missing in\n{story}");
    }
}

#[test]
fn the_exit_code_says_whether_the_host_may_join() {
    let (code, out, _) = on_snapshots(&snapshot("may-join.pool"), &snapshot("may-join.host"));
    assert_eq!(code, Some(0), "{out}");
    let (code, out, _) = on_snapshots(&snapshot("running-vm.pool"), &snapshot("running-vm.host"));
    assert_eq!(code, Some(2));
    assert!(out.contains("JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"), "{out}");
    assert!(out.contains("VM \"app1\""), "{out}");
}

#[test]
fn a_host_that_is_its_own_target_is_told_so() {
    let host = snapshot("may-join.host");
    let (code, out, _) = on_snapshots(&host, &host);
    assert_eq!(code, Some(2));
    assert!(out.contains("Host cannot become slave of itself"), "{out}");
}

#[test]
fn bad_files_end_in_an_error_that_names_them() {
    let host = snapshot("may-join.host");
    let good = fs::read(snapshot("may-join.pool")).unwrap();
    let two = br#"{"pool": {"OpaqueRef:p": {}, "OpaqueRef:q": {}}}"#;
    for (file, why) in [
        (String::from("no/such/file.json"), "no/such/file.json: "),
        (scratch("truncated", &good[..good.len() / 2]), "truncated.json: the snapshot ends early"),
        (scratch("no-json", b"<xml/>"), "no-json.json: no snapshot"),
        (scratch("wrong-type", br#"{"pool": [1]}"#), "wrong-type.json: no snapshot"),
        (scratch("two-pools", two), "two-pools.json: the snapshot holds two pools"),
        (scratch("no-pool", b"{}"), "no-pool.json: the snapshot has no record of class pool"),
    ] {
        let (code, _, error) = on_snapshots(&file, &host);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("panicked"), "{error}");
    }
    let output = join(&["--pool-snapshot", &host]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_wrong_type_in_one_record_is_told_by_class_ref_and_field() {
    let good = fs::read_to_string(snapshot("may-join.host")).unwrap();
    let wrong = good.replacen("\"power_state\":\"Halted\"", "\"power_state\":7", 1);
    assert_ne!(wrong, good);
    let host = scratch("wrong-field", wrong.as_bytes());
    let (code, out, error) = on_snapshots(&snapshot("may-join.pool"), &host);
    assert_eq!(code, Some(2));
    assert!(error.contains("VM OpaqueRef:") && error.contains("power_state"), "{error}");
    assert!(out.contains("unknown running-vms"), "{out}");
}

#[test]
fn a_ref_that_dangles_is_told_by_class_and_ref() {
    let mut pool: serde_json::Value =
        serde_json::from_slice(&fs::read(snapshot("may-join.pool")).unwrap()).unwrap();
    for pool in pool["pool"].as_object_mut().unwrap().values_mut() {
        pool["master"] = "OpaqueRef:nowhere".into();
    }
    let pool = scratch("dangling", pool.to_string().as_bytes());
    let (code, out, _) = on_snapshots(&pool, &snapshot("may-join.host"));
    assert_eq!(code, Some(2));
    assert!(out.contains("HANDLE_INVALID [host, OpaqueRef:nowhere]"), "{out}");
}
