//! Who survives a partition: held against recorded decisions of the HA daemon.

use std::collections::BTreeMap;

use serde::Deserialize;
use xcp_pool::ErrorKind;
use xcp_pool::election::HostSet;
use xcp_pool::election::partition::{
    Election, Fate, FenceReason, HostDecision, Objection, Scenario, SurvivalRule, Views,
};

#[derive(Deserialize)]
struct Vector {
    name: String,
    #[serde(flatten)]
    views: Views,
    expected: BTreeMap<usize, HostDecision>,
}

/// Recorded from the unmodified daemon, one scenario a line.
fn vectors() -> Vec<Vector> {
    let text = include_str!("../data/oracle/xhad-partition-vectors.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|host| format!("host-{host}")).collect()
}

fn pool(n: usize) -> Scenario {
    Scenario::new(names(n)).unwrap()
}

fn survivors(scenario: &Scenario) -> Vec<String> {
    scenario.decide().unwrap().survivors
}

#[test]
fn every_recorded_decision_is_reproduced() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 354);
    let mut decisions = 0;
    for vector in vectors {
        assert_eq!(vector.views.decide().unwrap(), vector.expected, "{}", vector.name);
        decisions += vector.expected.len();
    }
    assert_eq!(decisions, 1491);
}

#[test]
fn a_scenario_of_recorded_views_ends_as_recorded() {
    for vector in vectors() {
        let hosts = names(vector.views.n);
        let outcome = Scenario::from_views(hosts.clone(), vector.views).unwrap().decide().unwrap();
        let expected: Vec<&String> = vector
            .expected
            .iter()
            .filter(|(_, decision)| decision.survives)
            .map(|(host, _)| &hosts[*host])
            .collect();
        assert_eq!(outcome.survivors.iter().collect::<Vec<_>>(), expected, "{}", vector.name);
        if !expected.is_empty() {
            assert_eq!(outcome.next_live_set, outcome.survivors, "{}", vector.name);
        }
        assert_eq!(outcome.hosts.len(), hosts.len());
    }
}

#[test]
fn the_lower_uuid_survives_when_two_hosts_lose_each_other() {
    let mut pair = pool(2);
    pair.cut("host-0", "host-1").unwrap();
    pair.set_master("host-1").unwrap();
    let outcome = pair.decide().unwrap();
    assert_eq!(outcome.survivors, ["host-0"]);
    assert_eq!(outcome.fenced, ["host-1"]);
    assert_eq!(outcome.rule, Some(SurvivalRule::HasStorage));
    assert_eq!(
        outcome.hosts[1].fate,
        Fate::Fences { reason: FenceReason::OutsideBestGroup { winner: Some("host-0".into()) } }
    );
    assert_eq!(
        outcome.election,
        Election::Race {
            may_become_master: vec!["host-0".into()],
            contention_favourite: Some("host-0".into())
        }
    );
    // Views disagree (60 s), and the peer is still seen in the state file (78 s instead of 18).
    let wait = outcome.wait.unwrap();
    assert_eq!((wait.detection, wait.agreement, wait.fence, wait.extended), (60, 60, 78, true));
    assert_eq!(wait.earliest, 198);
}

#[test]
fn a_pair_beats_an_isolated_host_with_the_lowest_uuid() {
    let mut three = pool(3);
    three.split(&["host-0"]).unwrap();
    assert_eq!(survivors(&three), ["host-1", "host-2"]);
}

#[test]
fn weights_outweigh_order() {
    let mut four = pool(4);
    four.split(&["host-2", "host-3"]).unwrap();
    assert_eq!(survivors(&four), ["host-0", "host-1"]);
    four.set_weight("host-3", 2).unwrap();
    assert_eq!(survivors(&four), ["host-2", "host-3"]);
}

#[test]
fn one_host_with_storage_outlives_a_crowd_without() {
    let mut five = pool(5);
    for host in &names(4) {
        five.lose_storage(host).unwrap();
    }
    five.split(&["host-4"]).unwrap();
    let outcome = five.decide().unwrap();
    assert_eq!(outcome.survivors, ["host-4"]);
    assert_eq!(
        outcome.hosts[0].fate,
        Fate::Fences {
            reason: FenceReason::LostStorage { holders: vec![], missing: vec!["host-4".into()] }
        }
    );
}

#[test]
fn the_only_host_with_storage_fences_its_neighbours() {
    let mut three = pool(3);
    three.lose_storage("host-0").unwrap().lose_storage("host-2").unwrap();
    let outcome = three.decide().unwrap();
    assert_eq!(outcome.survivors, ["host-1"]);
    assert_eq!(
        outcome.hosts[0].fate,
        Fate::Fences {
            reason: FenceReason::LostStorage { holders: vec!["host-1".into()], missing: vec![] }
        }
    );
}

#[test]
fn all_live_on_without_storage_while_all_see_each_other() {
    let mut three = pool(3);
    for host in &names(3) {
        three.lose_storage(host).unwrap();
    }
    three.set_master("host-2").unwrap();
    let outcome = three.decide().unwrap();
    assert_eq!(outcome.survivors, names(3));
    assert_eq!(outcome.rule, Some(SurvivalRule::NobodyHasStorage));
    assert_eq!(outcome.election, Election::MasterStays { master: "host-2".into() });
    assert_eq!(outcome.wait, None);
}

#[test]
fn without_storage_one_crashed_host_fences_everybody() {
    let mut three = pool(3);
    for host in &names(3) {
        three.lose_storage(host).unwrap();
    }
    three.crash("host-1").unwrap();
    let outcome = three.decide().unwrap();
    assert!(outcome.survivors.is_empty());
    assert_eq!(outcome.election, Election::NobodyLeft);
    assert_eq!(outcome.hosts[1].fate, Fate::Crashed);
    assert_eq!(
        outcome.hosts[0].fate,
        Fate::Fences {
            reason: FenceReason::HostsMissingWithoutStorage { missing: vec!["host-1".into()] }
        }
    );
}

#[test]
fn without_storage_a_host_that_was_shut_down_does_not_count() {
    let mut three = pool(3);
    three.shut_down("host-1").unwrap();
    for host in ["host-0", "host-2"] {
        three.lose_storage(host).unwrap();
    }
    three.set_master("host-1").unwrap();
    let outcome = three.decide().unwrap();
    assert_eq!(outcome.survivors, ["host-0", "host-2"]);
    assert_eq!(outcome.hosts[1].fate, Fate::Excluded);
    // The lock lies in the state file that nobody reaches.
    let waiting = vec!["host-0".into(), "host-2".into()];
    assert_eq!(outcome.election, Election::Impossible { waiting });
}

#[test]
fn a_line_of_three_keeps_the_two_with_the_lowest_uuids() {
    let mut three = pool(3);
    three.cut("host-0", "host-2").unwrap();
    assert_eq!(survivors(&three), ["host-0", "host-1"]);
}

#[test]
fn the_greedy_repair_is_not_the_largest_clique() {
    let all = HostSet::first(7);
    let hears = [111, 15, 55, 107, 116, 125, 121].map(HostSet::from_bits);
    let views = Views {
        n: 7,
        weights: vec![1; 7],
        excluded: HostSet::EMPTY,
        liveset: all,
        running: all,
        hb: hears.to_vec(),
        sf: vec![all; 7],
        stale_view: all,
    };
    let outcome = Scenario::from_views(names(7), views).unwrap().decide().unwrap();
    assert_eq!(outcome.survivors, ["host-0", "host-1", "host-2"]);
    let clique: HostSet = [3, 0, 5, 6].into_iter().collect();
    assert!(clique.iter().all(|host| clique.is_subset(hears[host])), "a group of four exists");
}

#[test]
fn a_dead_host_is_acted_on_after_78_seconds_with_default_timers() {
    let mut three = pool(3);
    three.crash("host-0").unwrap().set_master("host-0").unwrap();
    let outcome = three.decide().unwrap();
    assert_eq!(outcome.wait.unwrap().earliest, 60 + 18);
    assert_eq!(
        outcome.election,
        Election::Race {
            may_become_master: vec!["host-1".into(), "host-2".into()],
            contention_favourite: Some("host-1".into())
        }
    );
}

#[test]
fn a_healthy_pool_stays_as_it_is() {
    let outcome = pool(64).decide().unwrap();
    assert_eq!(outcome.survivors.len(), 64);
    assert_eq!(outcome.wait, None);
    assert!(matches!(outcome.election, Election::MasterUnknown { .. }));
}

#[test]
fn uuids_are_ordered_without_their_dashes_whatever_the_input_order() {
    let uuids = ["b0000000-0000", "a0000000-0001", "a0000000-0000"];
    let mut reversed = uuids;
    reversed.reverse();
    let scenario = Scenario::new(uuids).unwrap();
    assert_eq!(scenario.hosts(), ["a0000000-0000", "a0000000-0001", "b0000000-0000"]);
    assert_eq!(scenario, Scenario::new(reversed).unwrap());
}

/// The views of two healthy hosts, broken in one point, and the only objections to them.
#[track_caller]
fn assert_refused(breakage: impl Fn(&mut Views), expected: &[Objection]) {
    let mut views = pool(2).views().clone();
    breakage(&mut views);
    let scenario = Scenario::from_views(names(2), views).unwrap();
    assert_eq!(scenario.objections(), expected);
    let error = scenario.decide().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains(&expected[0].to_string()), "{error}");
}

#[test]
fn refuses_what_breaks_the_daemons_assumptions() {
    let (host, other) = (|| "host-0".to_owned(), || "host-1".to_owned());
    assert_refused(
        |views| views.hb[1] = HostSet::only(1),
        &[Objection::OneWayHeartbeat { host: host(), deaf: other() }],
    );
    assert_refused(
        |views| views.excluded.insert(1),
        &[Objection::ExcludedHostRuns { host: other() }],
    );
    assert_refused(
        |views| views.sf[0] = HostSet::only(0),
        &[Objection::TwoViewsOfStateFile { host: host() }],
    );
    assert_refused(
        |views| views.liveset = HostSet::only(0),
        &[Objection::RunsOutsideLiveSet { host: other() }],
    );
    assert_refused(
        |views| views.hb = vec![HostSet::EMPTY, HostSet::only(1)],
        &[Objection::DeafToItself { host: host() }],
    );
    assert_refused(
        |views| {
            views.running = HostSet::only(0);
            views.hb[1] = HostSet::EMPTY;
            views.sf = vec![HostSet::only(0), HostSet::EMPTY];
        },
        &[Objection::HearsStoppedHost { host: host(), stopped: other() }],
    );
    assert_refused(
        |views| {
            views.running = HostSet::only(0);
            views.hb = vec![HostSet::only(0), HostSet::only(1)];
            views.sf = vec![HostSet::only(0), HostSet::EMPTY];
        },
        &[Objection::StoppedHostHasViews { host: other() }],
    );
    assert_refused(
        |views| views.weights = vec![1 << 22, 1 << 22],
        &[Objection::TooHeavy { weight: 1 << 23 }],
    );
}

#[test]
fn refuses_malformed_input() {
    let none: [&str; 0] = [];
    assert!(Scenario::new(none).is_err());
    assert!(Scenario::new(names(65)).is_err());
    assert!(Scenario::new(["a", "b", "a"]).is_err());
    assert!(Scenario::new(["a-b", "ab"]).is_err());
    assert!(Scenario::from_views(["b", "a"], pool(2).views().clone()).is_err());
    assert!(Scenario::from_views(["a"], pool(2).views().clone()).is_err());
    assert!(pool(2).cut("host-0", "host-0").is_err());
    assert!(pool(2).crash("host-2").is_err());
    assert!(pool(2).set_base_timeout(5).decide().is_err());
    let mut views = pool(2).views().clone();
    views.hb.pop();
    assert!(views.decide().is_err());
    views = pool(2).views().clone();
    views.sf[0].insert(2);
    assert!(views.decide().is_err());
}

#[test]
fn a_scenario_survives_being_saved() {
    let mut three = pool(3);
    three.split(&["host-1"]).unwrap().set_master("host-1").unwrap().set_base_timeout(90);
    let json = serde_json::to_string(&three).unwrap();
    let back: Scenario = serde_json::from_str(&json).unwrap();
    assert_eq!(back, three);
    let broken = serde_json::from_str::<Scenario>(&json.replace("\"n\":3", "\"n\":4"));
    assert_eq!(broken.unwrap_err().to_string(), "weights has 3 entries for 4 hosts");
}

#[test]
fn a_snapshot_gives_a_scenario_of_its_live_hosts() {
    let json = br#"{
        "pool": {"OpaqueRef:p": {"master": "OpaqueRef:b", "ha_configuration": {"timeout": "90"}}},
        "host": {
            "OpaqueRef:a": {"metrics": "OpaqueRef:ma"}, "OpaqueRef:b": {"metrics": "OpaqueRef:mb"},
            "OpaqueRef:c": {"metrics": "OpaqueRef:mc"}
        },
        "host_metrics": {
            "OpaqueRef:ma": {"live": true}, "OpaqueRef:mb": {"live": true},
            "OpaqueRef:mc": {"live": false}
        }
    }"#;
    let mut snapshot = xcp_pool::model::Snapshot::from_json(json).unwrap();
    snapshot.complete();
    let mut scenario = Scenario::from_snapshot(&snapshot).unwrap();
    assert_eq!(scenario.master(), Some("b"));
    assert_eq!(scenario.base_timeout(), 90);
    assert_eq!(scenario.decide().unwrap().wait, None, "c was gone before");
    scenario.crash("b").unwrap();
    let outcome = scenario.decide().unwrap();
    assert_eq!(outcome.survivors, ["a"]);
    assert_eq!(outcome.hosts[2].fate, Fate::Crashed);
}
