//! What the preflight of two clients knows, which snapshots alone do not.

use std::time::Duration;

use crate::support::log_in;
use xcp_pool::client::Scope;
use xcp_pool::model::Timestamp;
use xcp_pool::operations;
use xcp_pool::preflight::{self, Evidence, Options};
use xcp_pool::rules::Severity;
use xcp_pool::simulator::{Injection, Trouble, World};
use xcp_pool::transport::Cancel;

#[test]
fn the_first_report_of_the_story_has_nothing_unknown() {
    let world = World::story(1);
    let (pool, host) = (log_in(&world, "phantom"), log_in(&world, "ignite"));
    let unknown = |report: &preflight::Report| -> Vec<String> {
        let unknown = report.findings().iter().filter(|one| one.severity == Severity::Unknown);
        unknown.map(|finding| finding.rule.to_string()).collect()
    };
    let snapshots = [&pool, &host].map(|client| client.snapshot(Scope::Preflight).unwrap());
    let [theirs, own] = snapshots;
    let blind = preflight::evaluate(theirs, own, &Options::default());
    assert_eq!(unknown(&blind), ["clocks-differ", "certificates-out-of-date"]);
    let report = operations::preflight(&pool, &host, &Options::default()).unwrap();
    assert_eq!(unknown(&report), [""; 0]);
    let told = report.to_string();
    assert!(!told.contains("not known"), "{told}");
}

#[test]
fn both_clocks_are_read_as_of_one_moment() {
    let world = World::story(1);
    let (pool, host) = (log_in(&world, "phantom"), log_in(&world, "ignite"));
    let apart =
        |evidence: &Evidence| evidence.joiner_time.unwrap().0 - evidence.master_time.unwrap().0;
    let evidence = operations::join_evidence(&pool, &host).unwrap();
    assert!(apart(&evidence).abs() <= 1, "{evidence:?}");
    assert_eq!(evidence.master_address.as_deref(), Some("10.0.0.1"));
    // The way to either takes 20 s more: it is not told where, but no more than half is in doubt.
    for slow in ["phantom", "ignite"] {
        let delay = Trouble::Delay(Duration::from_secs(20));
        world.trouble(Injection::new(delay).method("host.get_servertime").host(slow));
        let evidence = operations::join_evidence(&pool, &host).unwrap();
        assert!((9..=11).contains(&apart(&evidence).abs()), "{slow}: {evidence:?}");
    }
}

#[test]
fn what_the_caller_knows_is_not_asked_over() {
    let world = World::story(1);
    let (pool, host) = (log_in(&world, "phantom"), log_in(&world, "ignite"));
    let mut evidence = Evidence::default();
    evidence.joiner_time = Some(Timestamp(7));
    evidence.master_address = Some(String::from("172.16.0.1"));
    let options = Options::new().evidence(evidence.clone());
    let report = operations::preflight(&pool, &host, &options).unwrap();
    assert_eq!(report.options().evidence, evidence);
}

#[test]
fn what_keeps_a_host_from_being_asked_is_an_error() {
    let world = World::story(1);
    let (pool, host) = (log_in(&world, "phantom"), log_in(&world, "ignite"));
    let stop = Cancel::new();
    stop.cancel();
    let error = operations::join_evidence(&pool, &host.with_cancel(&stop)).unwrap_err();
    assert_eq!(error.kind(), xcp_pool::ErrorKind::Cancelled);
    world.power_off("ignite");
    assert!(operations::preflight(&pool, &host, &Options::default()).is_err());
}
