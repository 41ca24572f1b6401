//! Whom to make master: one healthy pool, one thing wrong at a time, and the exact reason for it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use xcp_pool::election::{
    Confirmation, DatabaseCopy, Decision, Eligibility, FollowUp, Hazard, HostEvidence, HostRole,
    Mode, PoolEvidence, Reason, Safety, Weight, emergency, planned,
};
use xcp_pool::model::{Host, Ref, Snapshot, Version};

/// Master `a` and members `b`, `c`, `d`, all alike, with one shared SR.
fn pool() -> Value {
    let mut pool = json!({
        "pool": {"OpaqueRef:p": {"master": "OpaqueRef:a"}},
        "SR": {"OpaqueRef:nfs": {"shared": true}},
        "VM": {"OpaqueRef:vm": {"resident_on": "OpaqueRef:a", "power_state": "Running"}},
    });
    for (n, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        pool["host"][r(name)] = json!({
            "address": format!("10.0.0.{}", n + 1), "enabled": true, "metrics": r(&format!("{name}-m")),
            "software_version": {"xapi_build": "25.6.0", "db_schema": "5.789", "platform_version": "3.4.0"}
        });
        pool["host_metrics"][r(&format!("{name}-m"))] = json!({"live": true});
        pool["PBD"][r(&format!("{name}-nfs"))] =
            json!({"host": r(name), "SR": "OpaqueRef:nfs", "currently_attached": true});
        pool["PIF"][r(&format!("{name}-eth0"))] =
            json!({"host": r(name), "management": true, "ip_configuration_mode": "Static"});
    }
    pool
}

/// Everything that can be known of the pool after `a` was switched off.
fn after_death() -> PoolEvidence {
    let mut evidence = PoolEvidence::none();
    for name in ["b", "c", "d"] {
        let host = evidence.host(&re(name));
        host.reachable = Some(true);
        host.role = Some(HostRole::Slave("10.0.0.1".into()));
        host.ha_armed = Some(false);
        host.database = Some(DatabaseCopy { generation: Some(100), ..DatabaseCopy::default() });
    }
    evidence.host(&re("a")).powered_off = Some(true);
    evidence.host(&re("a")).reachable = Some(false);
    evidence
}

/// Everybody answers.
fn all_up() -> PoolEvidence {
    let mut evidence = PoolEvidence::none();
    for name in ["a", "b", "c", "d"] {
        evidence.host(&re(name)).reachable = Some(true);
    }
    evidence
}

fn r(name: &str) -> String {
    format!("OpaqueRef:{name}")
}

fn re(name: &str) -> Ref<Host> {
    Ref::from(r(name).as_str())
}

fn snapshot(pool: &Value) -> Snapshot {
    let mut snapshot = Snapshot::from_json(pool.to_string().as_bytes()).unwrap();
    assert_eq!(snapshot.problems, []);
    snapshot.complete();
    snapshot
}

fn decide(mode: Mode, pool: &Value, evidence: &PoolEvidence) -> Decision {
    let decide = match mode {
        Mode::Planned => planned,
        Mode::Emergency => emergency,
    };
    decide(&snapshot(pool), evidence).unwrap()
}

fn order(decision: &Decision) -> Vec<String> {
    decision.ranked.iter().map(|candidate| candidate.host.short().into_owned()).collect()
}

type Breakage = fn(&mut Value, &mut PoolEvidence);

/// One thing wrong, and the reason that a host gets for it and did not have before.
struct Case(Mode, &'static str, Reason, Breakage);

fn cases() -> Vec<Case> {
    use Mode::{Emergency, Planned};
    let a = || re("a");
    let version = |text: &str| text.parse::<Version>().unwrap();
    vec![
        Case(Planned, "a", Reason::AlreadyMaster, |_, _| ()),
        Case(Planned, "b", Reason::ClaimsMastership, |_, e| {
            e.host(&re("b")).role = Some(HostRole::Master);
        }),
        Case(Planned, "b", Reason::FollowsAnother { address: "10.0.0.3".into() }, |_, e| {
            e.host(&re("b")).role = Some(HostRole::Slave("10.0.0.3".into()));
        }),
        Case(Planned, "b", Reason::HaArmed, |_, e| e.host(&re("b")).ha_armed = Some(true)),
        Case(Planned, "b", Reason::HaEnabled, |p, _| p["pool"][r("p")]["ha_enabled"] = json!(true)),
        Case(Planned, "b", Reason::NotLive, |p, _| {
            p["host_metrics"][r("b-m")]["live"] = json!(false);
        }),
        Case(Planned, "b", Reason::Off, |_, e| {
            e.host(&re("b")).powered_off = Some(true);
            e.host(&re("b")).reachable = Some(false);
        }),
        Case(
            Planned,
            "b",
            Reason::OlderThanMember {
                member: re("d"),
                newest: version("25.7"),
                own: version("25.6"),
            },
            |p, _| p["host"][r("d")]["software_version"]["xapi_build"] = json!("25.7.0"),
        ),
        Case(Planned, "b", Reason::PeerFollowsAnother { member: re("c") }, |_, e| {
            e.host(&re("c")).role = Some(HostRole::Master);
        }),
        Case(Planned, "b", Reason::PeerInEmergency { member: re("c") }, |_, e| {
            e.host(&re("c")).emergency_mode = Some(true);
        }),
        Case(Planned, "b", Reason::PeerNotLive { member: re("c") }, |p, _| {
            p["host_metrics"][r("c-m")]["live"] = json!(false);
        }),
        Case(Planned, "b", Reason::PeerUnreachable { member: a() }, |_, e| {
            e.host(&re("a")).reachable = Some(false);
        }),
        Case(Planned, "b", Reason::PoolBusy { operation: "apply_updates".into() }, |p, _| {
            p["pool"][r("p")]["current_operations"] = json!({"OpaqueRef:task": "apply_updates"});
        }),
        Case(Planned, "b", Reason::PoolWaiting { operation: "eject".into() }, |p, _| {
            p["pool"][r("p")]["current_operations"] = json!({"OpaqueRef:task": "eject"});
        }),
        Case(Planned, "b", Reason::RoleBroken, |_, e| {
            e.host(&re("b")).role = Some(HostRole::Broken);
        }),
        Case(Planned, "b", Reason::RollingUpgrade, |p, _| {
            p["pool"][r("p")]["other_config"] = json!({"rolling_upgrade_in_progress": "true"});
        }),
        Case(Planned, "b", Reason::SecretRotationPending, |p, _| {
            p["pool"][r("p")]["is_psr_pending"] = json!(true);
        }),
        Case(Planned, "b", Reason::Unreachable, |_, e| e.host(&re("b")).reachable = Some(false)),
        Case(Planned, "b", Reason::Vetoed, |_, e| e.host(&re("b")).vetoed = true),
        Case(Planned, "b", Reason::LivenessUnknown, |p, _| {
            p["host"][r("b")]["metrics"] = json!("OpaqueRef:NULL");
        }),
        Case(Planned, "b", Reason::ReachabilityUnknown, |_, e| {
            e.host(&re("b")).reachable = None;
        }),
        Case(Planned, "b", Reason::VersionUnknown, |p, _| {
            p["host"][r("c")]["software_version"] = json!({});
        }),
        Case(Planned, "b", Reason::AddressMayChange, |p, _| {
            p["PIF"][r("b-eth0")]["ip_configuration_mode"] = json!("DHCP");
        }),
        Case(Planned, "b", Reason::Busy, |p, _| {
            p["host"][r("b")]["current_operations"] = json!({"OpaqueRef:task": "evacuate"});
        }),
        Case(Planned, "b", Reason::Disabled, |p, _| p["host"][r("b")]["enabled"] = json!(false)),
        Case(Planned, "b", Reason::GuidancePending, |p, _| {
            p["host"][r("b")]["pending_guidances"] = json!(["reboot_host"]);
        }),
        Case(Planned, "b", Reason::PeersOutOfReach { members: vec![re("d")] }, |_, e| {
            e.host(&re("b")).reaches = [(re("c"), true), (re("d"), false)].into();
        }),
        Case(
            Planned,
            "b",
            Reason::StorageDetached { srs: vec![Ref::from("OpaqueRef:nfs")] },
            |p, _| {
                p["PBD"][r("b-nfs")]["currently_attached"] = json!(false);
            },
        ),
        Case(Emergency, "a", Reason::OldMaster, |_, _| ()),
        Case(Emergency, "b", Reason::DatabaseAbsent, |_, e| {
            e.host(&re("b")).database = Some(DatabaseCopy { absent: true, ..Default::default() });
        }),
        Case(Emergency, "b", Reason::DatabaseTooNew, |_, e| {
            let copy = e.host(&re("b")).database.as_mut().unwrap();
            copy.schema = Some((5, 790));
        }),
        Case(Emergency, "b", Reason::DatabaseUnknown, |_, e| e.host(&re("b")).database = None),
        Case(Emergency, "b", Reason::DatabaseBehind { generations: 7 }, |_, e| {
            e.host(&re("c")).database.as_mut().unwrap().generation = Some(107);
        }),
        Case(Emergency, "b", Reason::HaArmedUnknown, |_, e| e.host(&re("b")).ha_armed = None),
        Case(Emergency, "b", Reason::OlderThanAbsentMember { member: re("d") }, |p, e| {
            p["host"][r("d")]["software_version"]["xapi_build"] = json!("25.7.0");
            e.host(&re("d")).reachable = Some(false);
        }),
        Case(Emergency, "b", Reason::AllStorageAttached, |_, _| ()),
        Case(Emergency, "b", Reason::NewestDatabase, |_, _| ()),
        Case(Emergency, "b", Reason::NewestVersion, |_, _| ()),
    ]
}

#[test]
fn each_reason_has_its_cause() {
    for Case(mode, host, reason, breakage) in cases() {
        let (mut pool, mut evidence) =
            (pool(), if mode == Mode::Planned { all_up() } else { after_death() });
        let before = decide(mode, &pool, &evidence);
        breakage(&mut pool, &mut evidence);
        let after = decide(mode, &pool, &evidence);
        let host = re(host);
        let candidate = after.candidate(&host).unwrap();
        assert!(candidate.has(&reason), "{mode:?} {reason:?}: {candidate:?}");
        let always = matches!(
            reason,
            Reason::AlreadyMaster
                | Reason::OldMaster
                | Reason::AllStorageAttached
                | Reason::NewestDatabase
                | Reason::NewestVersion
        );
        assert_eq!(before.candidate(&host).unwrap().has(&reason), always, "{reason:?}");
        match reason.weight() {
            Weight::Blocks => assert_eq!(candidate.eligible, Eligibility::No, "{reason:?}"),
            Weight::Unknown => {
                let safe = after.verdict == Safety::Safe && after.recommended == Some(host);
                assert!(!safe, "{reason:?}");
            }
            _ => {}
        }
        assert_eq!(after.ranked.len(), 4);
    }
}

#[test]
fn no_reason_lacks_a_case() {
    let source = include_str!("../../src/election/reason.rs");
    let list = source.split("pub enum Reason {").nth(1).unwrap();
    let list = list.split("\n}").next().unwrap();
    let all: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.trim_end_matches([',', '{', ' ']))
        .collect();
    let debug: Vec<String> = cases().iter().map(|case| format!("{:?}", case.2)).collect();
    let tried: BTreeSet<&str> =
        debug.iter().map(|text| text.split([' ', '{']).next().unwrap()).collect();
    assert_eq!(all, tried);
}

#[test]
fn a_healthy_pool_hands_over_safely_to_the_lowest_uuid() {
    let decision = decide(Mode::Planned, &pool(), &all_up());
    assert_eq!(order(&decision), ["b", "c", "d", "a"]);
    assert_eq!(decision.recommended, Some(re("b")));
    assert_eq!(decision.verdict, Safety::Safe);
    assert_eq!(decision.confirmations, []);
    assert_eq!(decision.follow_up[0], FollowUp::Designate { host: re("b") });
    assert_eq!(decision.follow_up.last(), Some(&FollowUp::IfBroken { host: re("b") }));
    assert_eq!(decision.hazards, [Hazard::HandOverMayBreak]);
    assert!(decision.majority.is_strict());
}

#[test]
fn doing_what_was_recommended_makes_it_the_master_already() {
    let mut pool = pool();
    let first = decide(Mode::Planned, &pool, &all_up());
    pool["pool"][r("p")]["master"] = json!(first.recommended.unwrap().to_string());
    let again = decide(Mode::Planned, &pool, &all_up());
    assert!(again.candidate(&re("b")).unwrap().has(&Reason::AlreadyMaster));
    assert_ne!(again.recommended, Some(re("b")));
}

#[test]
fn one_dead_member_keeps_everybody_from_a_hand_over() {
    let mut pool = pool();
    pool["host_metrics"][r("c-m")]["live"] = json!(false);
    let decision = decide(Mode::Planned, &pool, &all_up());
    assert_eq!(decision.recommended, None);
    assert_eq!(decision.verdict, Safety::Unsafe);
    let reason = Reason::PeerNotLive { member: re("c") };
    assert_eq!(reason.fault(&re("b")).unwrap().to_string(), "HOST_OFFLINE [OpaqueRef:c]");
    assert!(decision.candidate(&re("d")).unwrap().has(&reason));
}

#[test]
fn what_nobody_asked_needs_a_confirmation_for_a_hand_over() {
    let decision = decide(Mode::Planned, &pool(), &PoolEvidence::none());
    assert_eq!(decision.recommended, Some(re("b")));
    assert_eq!(decision.verdict, Safety::NeedsConfirmation);
    assert_eq!(decision.confirmations, [Confirmation::AllMembersAnswer]);
    let mut confirmed = PoolEvidence::none();
    confirmed.confirmed.insert(Confirmation::AllMembersAnswer);
    let decision = decide(Mode::Planned, &pool(), &confirmed);
    assert_eq!(decision.confirmations, []);
    assert_eq!(decision.verdict, Safety::NeedsConfirmation, "a word is no proof");
}

#[test]
fn ranks_for_a_hand_over_by_warnings_then_version_storage_and_uuid() {
    let mut pool = pool();
    pool["host"][r("b")]["pending_guidances"] = json!(["reboot_host"]);
    pool["PBD"][r("c-nfs")]["currently_attached"] = json!(false);
    pool["host"][r("c")]["enabled"] = json!(false);
    assert_eq!(order(&decide(Mode::Planned, &pool, &all_up())), ["d", "b", "c", "a"]);
}

#[test]
fn a_dead_masters_best_copy_is_promoted_in_ordered_steps() {
    let mut evidence = after_death();
    evidence.host(&re("c")).database.as_mut().unwrap().generation = Some(105);
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!(order(&decision), ["c", "b", "d", "a"]);
    assert_eq!(decision.recommended, Some(re("c")));
    assert_eq!(decision.verdict, Safety::Safe);
    assert_eq!(decision.confirmations, []);
    let members = vec![re("b"), re("c"), re("d")];
    assert_eq!(
        decision.follow_up,
        [
            FollowUp::Transition { host: re("c") },
            FollowUp::WaitForMaster { host: re("c") },
            FollowUp::RecoverMembers { master: re("c") },
            FollowUp::CheckRoles { hosts: members },
            FollowUp::DeclareDead { host: re("a") },
            FollowUp::RestartVms { vms: vec![Ref::from("OpaqueRef:vm")] },
        ]
    );
    let loss = decision.data_loss.unwrap();
    assert_eq!((loss.generation, loss.behind, loss.usual_age), (Some(105), Some(0), Some(900)));
    assert_eq!(decision.majority.answering, 3);
}

#[test]
fn an_old_master_that_is_merely_silent_needs_a_confirmation() {
    let mut evidence = after_death();
    evidence.host(&re("a")).powered_off = None;
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!(decision.verdict, Safety::NeedsConfirmation);
    assert_eq!(decision.recommended, Some(re("b")));
    assert_eq!(decision.confirmations, [Confirmation::OldMasterIsOff { host: re("a") }]);
    assert_eq!(decision.follow_up[0], FollowUp::ProveOff { host: re("a") });
    assert!(decision.hazards.contains(&Hazard::OldMasterMayRun { host: re("a") }));
    let vms = vec![Ref::from("OpaqueRef:vm")];
    assert!(decision.hazards.contains(&Hazard::VmsMayRunTwice { vms }));
}

#[test]
fn a_second_master_is_refused() {
    let mut evidence = after_death();
    evidence.host(&re("a")).powered_off = None;
    evidence.host(&re("a")).reachable = Some(true);
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!((decision.verdict, decision.recommended.as_ref()), (Safety::Unsafe, None));
    assert!(decision.hazards.contains(&Hazard::OldMasterAnswers { host: re("a") }));
    assert_eq!(decision.follow_up, []);

    let mut evidence = after_death();
    evidence.host(&re("d")).role = Some(HostRole::Master);
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!((decision.verdict, decision.recommended.as_ref()), (Safety::Unsafe, None));
    assert!(decision.hazards.contains(&Hazard::AnotherMaster { host: re("d") }));
    assert!(!decision.data_loss.unwrap().comparable, "two masters, two histories");
}

/// What the hosts say after a hand-over from `a` to `b` that `d` did not agree to.
fn half_handed_over() -> PoolEvidence {
    let mut evidence = after_death();
    *evidence.host(&re("a")) = evidence.of(&re("c"));
    evidence.host(&re("a")).role = Some(HostRole::Slave("10.0.0.2".into()));
    evidence.host(&re("b")).role = Some(HostRole::Broken);
    evidence.host(&re("c")).role = Some(HostRole::Slave("10.0.0.2".into()));
    evidence
}

#[test]
fn nobody_is_master_after_a_hand_over_that_failed_half_way() {
    let evidence = half_handed_over();
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    // d still follows a, which leads nobody; the others follow b already.
    assert_eq!(decision.old_master, None);
    assert_eq!(decision.verdict, Safety::Safe, "{decision:#?}");
    assert_eq!(decision.recommended, Some(re("b")));
    assert_eq!(order(&decision), ["b", "a", "c", "d"]);
    assert!(decision.candidate(&re("a")).unwrap().eligible == Eligibility::Yes);
    let dead =
        |step: &FollowUp| matches!(step, FollowUp::DeclareDead { .. } | FollowUp::ProveOff { .. });
    assert!(!decision.follow_up.iter().any(dead), "a runs its VMs");
    // Later the followers raise what the broken host answered them, and the choice is among all.
    let mut later = evidence.clone();
    later.host(&re("a")).role = Some(HostRole::Broken);
    later.host(&re("c")).role = Some(HostRole::Broken);
    let decision = decide(Mode::Emergency, &pool(), &later);
    assert_eq!((decision.old_master, decision.verdict), (None, Safety::Safe));
}

#[test]
fn a_hand_over_that_failed_half_way_is_no_reason_to_overlook_a_master() {
    let mut evidence = half_handed_over();
    evidence.host(&re("d")).role = Some(HostRole::Master);
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!((decision.verdict, decision.recommended), (Safety::Unsafe, None));
    let mut evidence = half_handed_over();
    evidence.host(&re("d")).role = Some(HostRole::Slave("10.0.0.9".into()));
    assert_eq!(decide(Mode::Emergency, &pool(), &evidence).verdict, Safety::Unsafe);
    // The host that should have become master is silent: it may have become it.
    let mut evidence = half_handed_over();
    *evidence.host(&re("b")) = HostEvidence::default();
    evidence.host(&re("b")).reachable = Some(false);
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!(decision.old_master, Some(re("b")));
    assert_ne!(decision.verdict, Safety::Safe);
    // The old master fell silent before it agreed: it may come back as master.
    let mut evidence = half_handed_over();
    *evidence.host(&re("a")) = HostEvidence::default();
    evidence.host(&re("a")).reachable = Some(false);
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!(decision.old_master, Some(re("a")));
    assert_eq!(decision.verdict, Safety::NeedsConfirmation);
    assert!(decision.confirmations.contains(&Confirmation::OldMasterIsOff { host: re("a") }));
    assert_eq!(order(&decision)[0], "b");
    // Those who follow each other in a circle have a master, who knows which.
    let mut evidence = half_handed_over();
    evidence.host(&re("b")).role = Some(HostRole::Slave("10.0.0.1".into()));
    assert_eq!(decide(Mode::Emergency, &pool(), &evidence).verdict, Safety::Unsafe);
}

#[test]
fn whom_the_recorded_master_follows_is_the_master_that_died() {
    let mut evidence = half_handed_over();
    *evidence.host(&re("b")) = HostEvidence::default();
    evidence.host(&re("b")).powered_off = Some(true);
    evidence.host(&re("b")).reachable = Some(false);
    evidence.host(&re("d")).role = Some(HostRole::Slave("10.0.0.2".into()));
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!(decision.old_master, Some(re("b")));
    assert_eq!((decision.verdict, decision.recommended), (Safety::Safe, Some(re("a"))));
    assert!(decision.follow_up.contains(&FollowUp::DeclareDead { host: re("b") }));
}

#[test]
fn whom_a_member_follows_may_be_on_the_way_to_become_master() {
    // For the ten seconds before it restarts, a host that was promoted shows its old role.
    let mut evidence = after_death();
    evidence.host(&re("c")).role = Some(HostRole::Slave("10.0.0.2".into()));
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!((decision.verdict, decision.recommended), (Safety::Unsafe, None));
}

#[test]
fn two_histories_are_not_ranked_by_generation() {
    let mut evidence = after_death();
    evidence.host(&re("b")).database.as_mut().unwrap().lineage = Some("left".into());
    let copy = evidence.host(&re("c")).database.as_mut().unwrap();
    (copy.lineage, copy.generation) = (Some("right".into()), Some(900));
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!(order(&decision), ["b", "c", "d", "a"]);
    assert_eq!(decision.verdict, Safety::NeedsConfirmation);
    assert_eq!(decision.confirmations, [Confirmation::DataMayBeLost { host: re("b") }]);
    let loss = decision.data_loss.unwrap();
    assert_eq!((loss.comparable, loss.behind), (false, None));
}

#[test]
fn without_evidence_nobody_is_promoted_and_the_gaps_are_named() {
    let decision = decide(Mode::Emergency, &pool(), &PoolEvidence::none());
    assert_eq!(decision.recommended, None);
    assert_eq!(decision.verdict, Safety::NeedsConfirmation);
    assert_eq!(decision.candidate(&re("b")).unwrap().eligible, Eligibility::IfConfirmed);
    let mut evidence = PoolEvidence::none();
    evidence.confirmed.extend(decision.confirmations.clone());
    let confirmed = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!(confirmed.confirmations, []);
    assert_eq!(confirmed.recommended, Some(re("b")));
    assert_eq!(confirmed.verdict, Safety::NeedsConfirmation);
}

#[test]
fn armed_hosts_are_not_promoted_but_disarming_is_offered() {
    let mut evidence = after_death();
    for name in ["b", "c", "d"] {
        evidence.host(&re(name)).ha_armed = Some(true);
    }
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!((decision.verdict, decision.recommended), (Safety::Unsafe, None));
    let steps: Vec<FollowUp> =
        ["b", "c", "d"].map(|name| FollowUp::DisableHa { host: re(name) }).into();
    assert_eq!(decision.follow_up, steps);
    evidence.host(&re("d")).ha_armed = Some(false);
    let decision = decide(Mode::Emergency, &pool(), &evidence);
    assert_eq!(decision.recommended, Some(re("d")));
    assert!(decision.hazards.contains(&Hazard::HaHalfOff { armed: vec![re("b"), re("c")] }));
}

#[test]
fn a_pool_whose_master_is_not_known_is_left_alone() {
    let mut pool = pool();
    pool["pool"][r("p")]["master"] = json!("OpaqueRef:gone");
    let mut evidence = after_death();
    evidence.host(&re("a")).ha_armed = Some(false);
    for mode in [Mode::Planned, Mode::Emergency] {
        let decision = decide(mode, &pool, &evidence);
        assert_eq!((decision.verdict, decision.recommended), (Safety::Unsafe, None));
    }
    assert!(planned(&Snapshot::new(), &evidence).is_err());
    assert!(emergency(&Snapshot::new(), &evidence).is_err());
}

#[test]
fn decisions_and_evidence_can_be_saved() {
    let mut evidence = after_death();
    evidence.confirmed.insert(Confirmation::OldMasterIsOff { host: re("a") });
    let json = serde_json::to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<PoolEvidence>(&json).unwrap(), evidence);
    let partial: PoolEvidence =
        serde_json::from_str(r#"{"hosts": {"OpaqueRef:b": {"role": {"slave": "10.0.0.1"}}}}"#)
            .unwrap();
    assert_eq!(partial.of(&re("b")).role, Some(HostRole::Slave("10.0.0.1".into())));
    let decision = serde_json::to_value(decide(Mode::Emergency, &pool(), &evidence)).unwrap();
    assert_eq!(decision["verdict"], "safe");
    assert_eq!(decision["ranked"][0]["reasons"][0]["reason"], "all-storage-attached");
    assert_eq!(decision["follow_up"][0]["step"], "transition");
}
