//! What a diagnosis says of pools in trouble, from what each host answers for itself.

use std::time::Duration;

use crate::support::{log_in_locally, root};
use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::election::{self, HostRole, Safety};
use xcp_pool::health::diagnosis::{Contact, Diagnosis, HostReport, PoolState, Records};
use xcp_pool::model::Snapshot;
use xcp_pool::operations::{self, Members};
use xcp_pool::simulator::{Injection, Peer, PoolSpec, Release, Trouble, VmSpec, World};

fn lab() -> World {
    let lab = PoolSpec::new("lab", Release::XcpNg83)
        .host("phantom", "10.0.0.1")
        .host("alpha", "10.0.0.2")
        .host("beta", "10.0.0.3")
        .shared_sr("NFS", "nfs")
        .vm(VmSpec::running("web", "phantom").disk("NFS", 10));
    let other = PoolSpec::new("", Release::XcpNg83).host("stranger", "10.0.0.9");
    World::builder().seed(5).pool(lab).pool(other).build().unwrap()
}

fn snapshot(world: &World) -> Snapshot {
    let client = Client::connect(world.transport(), "10.0.0.1", &root()).unwrap();
    client.snapshot(Scope::Failover).unwrap()
}

fn members(world: &World) -> Members {
    Members::new(world.transport(), &root())
}

/// Diagnoses with the snapshot that was taken before, and sees that no session is left.
fn diagnose(world: &World, last: &Snapshot) -> Diagnosis {
    let age = Some(Duration::from_secs(3_600));
    let members = members(world).snapshot(last.clone(), age).ask_whether_ha_is_armed();
    let before = world.open_sessions();
    let diagnosis = operations::diagnose(&members).unwrap();
    assert_eq!(world.open_sessions(), before, "a session is left behind");
    diagnosis
}

#[track_caller]
fn host<'a>(diagnosis: &'a Diagnosis, name: &str) -> &'a HostReport {
    diagnosis.hosts.iter().find(|host| host.label() == name).expect(name)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_healthy_pool_is_found_from_any_one_of_its_hosts() {
    let world = lab();
    let writes = world.writes();
    for first in ["10.0.0.1", "10.0.0.3"] {
        let diagnosis = operations::diagnose(&members(&world).host(first).unwrap()).unwrap();
        assert_eq!(diagnosis.state, PoolState::Healthy, "{diagnosis}");
        assert_eq!(diagnosis.hosts.len(), 3);
        assert!(matches!(diagnosis.records, Records::Master { .. }));
        assert_eq!((diagnosis.name.as_str(), diagnosis.ha_enabled), ("lab", Some(false)));
        assert!(diagnosis.advice.is_empty() && diagnosis.notes.is_empty());
        assert_eq!(host(&diagnosis, "phantom").said.role, Some(HostRole::Master));
        let beta = host(&diagnosis, "beta");
        assert_eq!(beta.said.role, Some(HostRole::Slave("10.0.0.1".into())));
        assert_eq!((beta.said.emergency_mode, beta.belongs), (Some(false), Some(true)));
        assert!(beta.version.is_some() && beta.uuid.is_some());
        let json = serde_json::to_value(&diagnosis).unwrap();
        assert_eq!(json["state"]["state"], "healthy");
        assert_eq!(json["hosts"][0]["contact"]["contact"], "answers");
    }
    assert_eq!(world.writes(), writes, "it only looks");
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn one_host_at_two_addresses_is_one_host() {
    let world = lab();
    let members = members(&world).host("phantom").unwrap().host("10.0.0.1").unwrap();
    let diagnosis = operations::diagnose(&members).unwrap();
    assert_eq!((&diagnosis.state, diagnosis.hosts.len()), (&PoolState::Healthy, 3));
}

#[test]
fn a_dead_master_is_told_with_what_is_left_and_what_to_do() {
    let world = lab();
    let last = snapshot(&world);
    world.power_off("phantom");
    let diagnosis = diagnose(&world, &last);
    assert_eq!(diagnosis.state, PoolState::MasterAway { master: "phantom".into() });
    let snapshot = Box::new(last.clone());
    assert_eq!(diagnosis.records, Records::Snapshot { age: Some(3_600), snapshot });
    assert!(matches!(host(&diagnosis, "phantom").said.contact, Contact::Silent { .. }));
    let alpha = host(&diagnosis, "alpha");
    assert_eq!((alpha.said.emergency_mode, alpha.said.ha_armed), (Some(false), Some(false)));
    let text = diagnosis.to_string();
    for told in
        ["dead, or cut off", "follows 10.0.0.1", "60 min old", "keep it off", "HA not armed"]
    {
        assert!(text.contains(told), "{told:?} is missing in\n{text}");
    }

    let evidence = diagnosis.evidence();
    let decision = election::emergency(&last, &evidence).unwrap();
    assert_eq!(decision.verdict, Safety::NeedsConfirmation);
    assert_eq!((decision.majority.answering, decision.majority.members), (2, 3));
    assert!(decision.ranked[2].host == last.master().unwrap().0.clone(), "the dead one is last");
}

#[test]
fn a_dead_master_is_known_by_its_members_even_without_a_snapshot() {
    let world = lab();
    world.power_off("phantom");
    let diagnosis = operations::diagnose(&members(&world).host("10.0.0.2").unwrap()).unwrap();
    assert_eq!(diagnosis.state, PoolState::MasterAway { master: "10.0.0.1".into() });
    assert_eq!((&diagnosis.records, diagnosis.ha_enabled), (&Records::None, None));
}

#[test]
fn a_master_that_is_cut_off_looks_like_a_dead_one() {
    let world = lab();
    let last = snapshot(&world);
    world.act(|scene| scene.cut_one_way("phantom", Peer::Tool));
    let diagnosis = diagnose(&world, &last);
    assert_eq!(diagnosis.state, PoolState::MasterAway { master: "phantom".into() });
}

#[test]
fn a_master_that_boots_or_is_busy_is_waited_for() {
    let world = lab();
    let last = snapshot(&world);
    world.power_off("phantom");
    world.power_on("phantom");
    let diagnosis = diagnose(&world, &last);
    let starting = PoolState::MasterStarting { master: "phantom".into() };
    assert_eq!(diagnosis.state, starting);
    assert!(matches!(host(&diagnosis, "phantom").said.contact, Contact::Refuses { .. }));
    assert!(diagnosis.notes[0].contains("may not be off"), "{diagnosis}");
    world.advance(seconds(120));
    assert_eq!(diagnose(&world, &last).state, PoolState::Healthy);

    let silence = Injection::new(Trouble::Silence).host("phantom").method("pool.get_all_records");
    world.trouble(silence);
    let members = members(&world).snapshot(last.clone(), None);
    let diagnosis = operations::diagnose(&members).unwrap();
    assert_eq!(diagnosis.state, starting);
    assert!(matches!(host(&diagnosis, "phantom").said.contact, Contact::Busy { .. }));
    let verdict = election::emergency(&last, &diagnosis.evidence()).unwrap().verdict;
    assert_eq!(verdict, Safety::Unsafe, "a busy master is not replaced");
}

#[test]
fn two_masters_are_told_as_a_split() {
    let world = lab();
    let last = snapshot(&world);
    world.act(|scene| {
        scene.cut("phantom", "alpha");
        scene.cut(Peer::Tool, "phantom");
    });
    promote(&world, "alpha");
    world.act(|scene| scene.heal(Peer::Tool, "phantom"));
    let diagnosis = diagnose(&world, &last);
    let masters = vec![String::from("phantom"), String::from("alpha")];
    let PoolState::TwoMasters { masters: mut found } = diagnosis.state.clone() else {
        panic!("{diagnosis}")
    };
    found.sort_by(|a, b| b.cmp(a));
    assert_eq!(found, masters);
    assert!(diagnosis.to_string().contains("SPLIT"));
    let verdict = election::emergency(&last, &diagnosis.evidence()).unwrap().verdict;
    assert_eq!(verdict, Safety::Unsafe);
}

fn promote(world: &World, host: &str) {
    let local = log_in_locally(world, host);
    local.call::<()>("pool.emergency_transition_to_master", &()).unwrap();
    world.advance(seconds(30));
}

#[test]
fn members_that_still_follow_the_dead_master_are_named() {
    let world = lab();
    let last = snapshot(&world);
    world.power_off("phantom");
    promote(&world, "alpha");
    let diagnosis = diagnose(&world, &last);
    let PoolState::Astray { members } = &diagnosis.state else { panic!("{diagnosis}") };
    assert_eq!(members.len(), 2, "phantom and beta: {diagnosis}");
    assert_eq!(diagnosis.master.as_deref(), Some("10.0.0.2"));
    assert!(diagnosis.advice.iter().any(|line| line.starts_with("Point beta")), "{diagnosis}");
}

#[test]
fn a_member_in_emergency_mode_says_why() {
    let world = lab();
    let last = snapshot(&world);
    world.power_off("phantom");
    world.act(|scene| scene.restart_toolstack("beta"));
    world.advance(seconds(30));
    let diagnosis = diagnose(&world, &last);
    assert_eq!(diagnosis.state, PoolState::MasterAway { master: "phantom".into() });
    let beta = host(&diagnosis, "beta");
    assert_eq!((beta.said.emergency_mode, &beta.said.role), (Some(true), &None));
    assert!(beta.said.emergency_error.as_ref().unwrap().to_string().contains("connection refused"));
}

#[test]
fn armed_ha_is_told_from_enabled_ha() {
    let world = lab();
    let set = |enabled: bool| {
        world
            .act(|scene| {
                scene.edit("phantom", |database| {
                    let pool = database.refs("pool")[0].clone();
                    database.set("pool", &pool, "ha_enabled", enabled)
                })
            })
            .unwrap();
    };
    set(true);
    let last = snapshot(&world);
    // The members' own flags are as of their last copy of the database.
    world.advance(seconds(700));
    world.power_off("phantom");
    let diagnosis = diagnose(&world, &last);
    assert_eq!(diagnosis.state, PoolState::MasterAwayUnderHa { master: "phantom".into() });
    assert_eq!(host(&diagnosis, "alpha").said.ha_armed, Some(true));
    assert!(diagnosis.advice[1].starts_with("Do not promote"), "{diagnosis}");

    let world = lab();
    let mut last = snapshot(&world);
    for (_, pool) in last.pool.iter_mut() {
        pool.ha_enabled = true;
    }
    world.power_off("phantom");
    let diagnosis = diagnose(&world, &last);
    assert_eq!(diagnosis.state, PoolState::MasterAway { master: "phantom".into() });
    assert!(diagnosis.notes.iter().any(|note| note.contains("not armed on alpha")), "{diagnosis}");
}

#[test]
fn a_failed_hand_over_is_recognised_by_its_broken_host() {
    let world = lab();
    let last = snapshot(&world);
    let client = Client::connect(world.transport(), "10.0.0.1", &root()).unwrap();
    let alpha = last.host.iter().find(|(_, host)| host.name_label == "alpha").unwrap().0;
    // After the proposals, before the commits.
    world.after(Duration::from_millis(450), |scene| scene.cut("alpha", "beta"));
    let end = client.task::<()>("pool.designate_new_master", &(alpha,), &mut |_| {}).unwrap();
    end.into_result().unwrap_err();
    drop(client);
    world.advance(seconds(60));
    let diagnosis = diagnose(&world, &last);
    // The old master follows the broken one, and raises its error.
    let broken = vec!["phantom".into(), "alpha".into()];
    assert_eq!(diagnosis.state, PoolState::HalfHandedOver { broken });
    assert_eq!(host(&diagnosis, "alpha").said.role, Some(HostRole::Broken));
    assert!(diagnosis.advice[1].contains("promote phantom or alpha"), "{diagnosis}");
}

#[test]
fn a_host_of_another_pool_is_told_apart_and_never_a_candidate() {
    let world = lab();
    let last = snapshot(&world);
    let members = members(&world).snapshot(last, None).host("10.0.0.9").unwrap();
    let diagnosis = operations::diagnose(&members).unwrap();
    assert_eq!(diagnosis.state, PoolState::Healthy);
    assert_eq!(diagnosis.hosts.last().unwrap().belongs, Some(false));
    assert!(diagnosis.notes[0].contains("10.0.0.9 belongs to another pool"), "{diagnosis}");
}

#[test]
fn a_wrong_password_is_no_dead_pool() {
    let world = lab();
    let members = Members::new(world.transport(), &Credentials::new("root", "wrong"))
        .snapshot(snapshot(&world), None);
    let diagnosis = operations::diagnose(&members).unwrap();
    assert!(matches!(host(&diagnosis, "phantom").said.contact, Contact::Forbidden { .. }));
    assert!(!matches!(diagnosis.state, PoolState::MasterAway { .. }), "{diagnosis}");
}

#[test]
fn a_pool_of_which_nobody_answers_is_asked_in_bounded_time() {
    let world = lab();
    let last = snapshot(&world);
    for host in ["phantom", "alpha", "beta"] {
        world.power_off(host);
    }
    let before = world.now();
    let diagnosis = diagnose(&world, &last);
    assert_eq!(diagnosis.state, PoolState::NobodyAnswers);
    assert!(world.now() - before <= seconds(46), "{:?}", world.now() - before);
}

#[test]
fn a_member_of_a_member_is_not_taken_for_a_member_of_the_master() {
    let world = lab();
    let last = snapshot(&world);
    // Somebody points beta to alpha, which is no master.
    let local = log_in_locally(&world, "10.0.0.3");
    local.call::<()>("pool.emergency_reset_master", &("10.0.0.2",)).unwrap();
    world.advance(seconds(60));
    let diagnosis = diagnose(&world, &last);
    assert_eq!(diagnosis.state, PoolState::Astray { members: vec!["beta".into()] });
    let beta = host(&diagnosis, "beta");
    assert_eq!((beta.said.emergency_mode, &beta.said.role), (Some(true), &None));
    assert_eq!(beta.said.emergency_error.as_ref().unwrap().to_string(), "HOST_IS_SLAVE [10.0.0.1]");
    let slave = HostRole::Slave("10.0.0.2".into());
    assert_eq!(world.role("beta"), Some(slave), "the questions change nothing");
}

#[test]
fn asking_after_ha_never_touches_a_host_that_becomes_master() {
    for delay in (0..16_000).step_by(97) {
        let world = lab();
        let last = snapshot(&world);
        world.power_off("phantom");
        let local = log_in_locally(&world, "10.0.0.2");
        local.call::<()>("pool.emergency_transition_to_master", &()).unwrap();
        world.advance(Duration::from_millis(delay));
        let members = members(&world).snapshot(last, None).ask_whether_ha_is_armed();
        operations::diagnose(&members).unwrap();
        world.advance(seconds(60));
        assert_eq!(world.role("alpha"), Some(HostRole::Master), "{delay} ms");
    }
}
