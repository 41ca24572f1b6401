//! The example `operations` as an administrator runs it, embedded and over HTTPS.

#![cfg(all(feature = "http", feature = "simulator"))]

#[path = "support/example.rs"]
mod example;

use std::process::Command;

use example::example;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(example("operations")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What an administrator reads, whatever the way to the hosts.
fn assert_told(arguments: &[&str]) {
    let (code, out, error) = run(arguments);
    assert_eq!(code, Some(0), "{out}\n{error}");
    for told in [
        // Join.
        "consent to all losses: ",
        "wait until the pool is at rest before epsilon joins",
        "delta joined\nepsilon joined",
        // Maintenance.
        "alpha, the master, could not be: host-is-master",
        "VM \"web\" (",
        "host.evacuate: 1 VM leaves gamma",
        "waits for gamma to boot",
        "gamma rebooted, and is back\n  web is on ",
        // Hand-over.
        "pool.designate_new_master to beta; alpha becomes a member",
        "alpha handed over to beta",
        "a second time there is nothing to do",
        "beta is at https://",
        // Eject.
        "-  host-is-master: beta is the pool's master",
        "with 1 disk of 50 GiB; what lies on it is destroyed",
        "VM \"archive\"",
        "the host is alone in pool ",
        "0 sessions are left open",
    ] {
        assert!(out.contains(told), "{told:?} is missing in\n{out}");
    }
}

#[test]
fn all_operations_run_on_the_embedded_simulator() {
    assert_told(&[]);
}

#[test]
fn all_operations_run_over_https() {
    assert_told(&["--https"]);
}

#[test]
fn each_operation_runs_alone() {
    for name in ["join", "maintenance", "hand-over", "eject"] {
        let (code, out, error) = run(&[name]);
        assert_eq!(code, Some(0), "{out}\n{error}");
        assert_eq!(out.lines().filter(|line| line.starts_with("# ")).count(), 1, "{out}");
        assert!(out.contains("0 sessions are left open"), "{out}");
    }
    let (code, _, error) = run(&["dance"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("unknown argument \"dance\"") && error.contains("usage"), "{error}");
}
