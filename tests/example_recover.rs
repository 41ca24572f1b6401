//! The example `recover`, in memory and over TLS.
#![cfg(all(feature = "http", feature = "simulator"))]

#[path = "support/example.rs"]
mod example;

use std::process::Command;

use example::example;

#[test]
fn a_dead_master_is_replaced_in_memory_and_over_tls() {
    let example = example("recover");
    for arguments in [&[][..], &["--https"]] {
        let output = Command::new(&example).args(arguments).output().unwrap();
        let story = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{story}\n{error}");
        for told in [
            "healthy: one master, and every member follows it",
            "old-master-is-off: the old master phantom does not answer",
            "host.declare_dead of phantom",
            "follows, live and enabled",
            "takes itself for the master when it is back",
        ] {
            assert!(story.contains(told), "{told:?} is missing in\n{story}");
        }
        let end = story.rsplit("# The pool").next().unwrap();
        assert!(end.contains("the master answers, but not all is well with phantom"), "{end}");
        assert!(!end.contains("Wait for ember"), "{end}");
    }
}
