//! The preflight sees in the simulated story what the story says.

use xcp_pool::model::Snapshot;
use xcp_pool::preflight::{self, Options, Report};
use xcp_pool::simulator::{PoolSpec, Release, World};

fn snapshot(world: &World, host: &str) -> Snapshot {
    let saved = world.database(host).unwrap().save().to_string();
    let snapshot = Snapshot::from_json(saved.as_bytes()).unwrap();
    assert_eq!(snapshot.problems, [], "every record decodes");
    snapshot
}

fn report(world: &World) -> Report {
    preflight::evaluate(snapshot(world, "phantom"), snapshot(world, "ignite"), &Options::new())
}

fn blockers(report: &Report) -> Vec<String> {
    report.blockers().map(|finding| finding.rule.to_string()).collect()
}

#[test]
fn ignite_stands_in_its_own_way_and_in_no_other() {
    let report = report(&World::story(1));
    let names = ["running-vms", "shared-storage", "non-management-vlans"];
    assert_eq!(blockers(&report), names, "{}", report.to_markdown());
    let fault = report.predicted_fault().unwrap();
    assert_eq!(fault.to_string(), "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS");
    let unknown = report.findings().iter().filter(|finding| finding.leaves_open());
    assert_eq!(unknown.count(), 0, "{}", report.to_markdown());
}

#[test]
fn fresh_hosts_of_one_release_may_join_each_other() {
    for release in Release::ALL {
        let pool = |name, host, address| PoolSpec::new(name, release).host(host, address);
        let world = World::builder()
            .pool(pool("Phantom", "phantom", "10.0.0.1"))
            .pool(pool("", "ignite", "10.0.0.2"))
            .build()
            .unwrap();
        let report = report(&world);
        let stops: Vec<_> = report.findings().iter().filter(|finding| finding.stops()).collect();
        assert!(stops.is_empty(), "{release:?}: {}", report.to_markdown());
        assert_eq!(report.predicted_fault(), None);
    }
}
