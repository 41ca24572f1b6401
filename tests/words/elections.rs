//! What is said of candidates: reasons, hazards, what follows and what is to be confirmed.

use std::collections::BTreeSet;

use xcp_pool::election::{
    self, Confirmation, DatabaseCopy, Decision, HostEvidence, HostRole, PoolEvidence,
};
use xcp_pool::model::{HostOperation, IpConfigurationMode, PoolOperation, Snapshot};

use crate::words::Names;
use crate::{Reader, pairs};

/// What may be known of the hosts, from nothing to too much.
pub(crate) fn evidence(pool: &Snapshot) -> Vec<PoolEvidence> {
    let role = |n: usize| match n % 5 {
        0 => Some(HostRole::Master),
        1 => Some(HostRole::Slave("10.0.0.1".into())),
        2 => Some(HostRole::Slave("10.9.9.9".into())),
        3 => Some(HostRole::Broken),
        _ => None,
    };
    let yes = |n: usize| [None, Some(true), Some(false)][n % 3];
    let mut all = vec![PoolEvidence::none()];
    for turn in 0..6 {
        let mut evidence = PoolEvidence::none();
        for (n, host) in pool.host.refs().enumerate() {
            let n = n + turn;
            *evidence.host(host) = HostEvidence {
                reachable: yes(n),
                reaches: pool.host.refs().map(|other| (other.clone(), n % 2 == 0)).collect(),
                role: role(n),
                emergency_mode: yes(n / 2),
                ha_armed: yes(n / 3 + 1),
                database: (n % 4 > 0).then(|| DatabaseCopy {
                    absent: n % 4 == 1,
                    generation: Some(100 * n as u64),
                    schema: Some((5, n as u64 * 500)),
                    age: Some(60),
                    lineage: None,
                }),
                powered_off: yes(n / 2 + 2),
                vetoed: n % 6 == 5,
            };
        }
        all.push(evidence);
    }
    // What everything is well with, and what is left to confirm.
    let mut calm = PoolEvidence::none();
    for host in pool.host.refs() {
        let master = pool.master().ok().filter(|(master, _)| *master == host);
        let reachable = Some(master.is_none());
        *calm.host(host) =
            HostEvidence { reachable, ha_armed: Some(false), ..HostEvidence::default() };
    }
    all.push(calm);
    all
}

fn decisions(pool: &Snapshot) -> Vec<Decision> {
    let mut decided = Vec::new();
    for evidence in evidence(pool) {
        decided.extend(election::planned(pool, &evidence));
        let Ok(open) = election::emergency(pool, &evidence) else { continue };
        let mut confirmed = evidence;
        confirmed.confirmed.extend(open.confirmations.iter().cloned());
        decided.push(open);
        decided.extend(election::emergency(pool, &confirmed));
    }
    decided
}

/// Reads all decisions about a pool.
pub(crate) fn texts(pool: &Snapshot, read: &mut impl FnMut(String)) {
    for decision in decisions(pool) {
        for candidate in &decision.ranked {
            read(candidate.describe(pool));
            candidate.reasons.iter().for_each(|reason| read(reason.describe(pool)));
        }
        decision.hazards.iter().for_each(|hazard| read(hazard.describe(pool)));
        decision.follow_up.iter().for_each(|step| read(step.describe(pool)));
        decision.confirmations.iter().for_each(|open| read(open.describe(pool)));
    }
}

/// The kinds of what was said, by their names in JSON.
fn kinds(decision: &Decision, seen: &mut BTreeSet<String>) {
    let json = serde_json::to_value(decision).unwrap();
    let mut note = |list: &serde_json::Value, tag: &str| {
        for one in list.as_array().unwrap() {
            seen.insert(format!("{tag} {}", one[tag].as_str().unwrap()));
        }
    };
    for candidate in json["ranked"].as_array().unwrap() {
        note(&candidate["reasons"], "reason");
    }
    note(&json["hazards"], "hazard");
    note(&json["follow_up"], "step");
    note(&json["confirmations"], "confirm");
}

#[test]
fn what_is_said_of_candidates_is_in_words() {
    let mut reader = Reader::default();
    let mut seen = BTreeSet::new();
    for pair in pairs().into_iter().step_by(2) {
        let mut pool = pair.pool;
        let names = Names::of(&[&pool]);
        for turn in 0..4 {
            spoil(&mut pool, turn);
            texts(&pool, &mut |text| reader.read(&text, &names));
            decisions(&pool).iter().for_each(|decision| kinds(decision, &mut seen));
        }
    }
    reader.finish(1_000);
    let (all, unseen) = (KINDS.len(), KINDS.iter().filter(|kind| !seen.contains(**kind)));
    let unseen: Vec<_> = unseen.collect();
    assert!(unseen.is_empty(), "{} of {all} were never said: {unseen:?}", unseen.len());
    let unknown: Vec<_> = seen.iter().filter(|kind| !KINDS.contains(&kind.as_str())).collect();
    assert!(unknown.is_empty(), "not in the list of this test: {unknown:?}");
}

/// What may be wrong with a pool whose master is to change.
fn spoil(pool: &mut Snapshot, turn: usize) {
    for (_, record) in pool.pool.iter_mut() {
        record.ha_enabled = turn == 1;
        record.is_psr_pending = Some(turn == 2);
        record.current_operations.clear();
        let operation = [None, Some(PoolOperation::ApplyUpdates), Some(PoolOperation::Eject), None];
        record
            .current_operations
            .extend(operation[turn].clone().map(|one| ("task".to_owned(), one)));
    }
    for (n, (_, host)) in pool.host.iter_mut().enumerate() {
        host.enabled = n != turn;
        if turn == 3 {
            host.software_version.insert("xapi_build".into(), format!("26.{n}.0"));
            host.software_version.insert("product_version".into(), format!("8.{n}.0"));
        }
        if turn == 2 && n == 0 {
            host.software_version.clear();
        }
    }
    for (n, (_, metrics)) in pool.host_metrics.iter_mut().enumerate() {
        metrics.live = n != turn;
    }
    if turn == 3 {
        pool.host_metrics.clear();
        for (_, pif) in pool.pif.iter_mut() {
            pif.ip_configuration_mode = IpConfigurationMode::Dhcp;
        }
        for (_, host) in pool.host.iter_mut() {
            host.current_operations.insert("task".to_owned(), HostOperation::Evacuate);
        }
    }
    for (n, (_, pbd)) in pool.pbd.iter_mut().enumerate() {
        pbd.currently_attached = n % 3 != turn;
    }
}

/// Everything that a decision may say.
const KINDS: &[&str] = &[
    "reason already-master",
    "reason claims-mastership",
    "reason database-absent",
    "reason database-too-new",
    "reason follows-another",
    "reason ha-armed",
    "reason ha-enabled",
    "reason not-live",
    "reason off",
    "reason old-master",
    "reason older-than-member",
    "reason peer-follows-another",
    "reason peer-in-emergency",
    "reason peer-not-live",
    "reason peer-unreachable",
    "reason pool-busy",
    "reason role-broken",
    "reason rolling-upgrade",
    "reason secret-rotation-pending",
    "reason unreachable",
    "reason vetoed",
    "reason database-unknown",
    "reason ha-armed-unknown",
    "reason liveness-unknown",
    "reason reachability-unknown",
    "reason version-unknown",
    "reason address-may-change",
    "reason busy",
    "reason database-behind",
    "reason disabled",
    "reason guidance-pending",
    "reason older-than-absent-member",
    "reason peers-out-of-reach",
    "reason pool-waiting",
    "reason storage-detached",
    "reason all-storage-attached",
    "reason newest-database",
    "reason newest-version",
    "hazard another-master",
    "hazard another-promotion",
    "hazard ha-half-off",
    "hazard members-out-of-sight",
    "hazard old-master-answers",
    "hazard old-master-may-run",
    "hazard old-master-may-return",
    "hazard hand-over-may-break",
    "hazard vms-may-run-twice",
    "step check-roles",
    "step declare-dead",
    "step designate",
    "step disable-ha",
    "step if-broken",
    "step prove-off",
    "step recover-members",
    "step restart-vms",
    "step transition",
    "step wait-for-master",
    "confirm all-members-answer",
    "confirm data-may-be-lost",
    "confirm ha-not-armed",
    "confirm has-database",
    "confirm no-other-master",
    "confirm old-master-is-off",
    "confirm reachable",
    "confirm version-is-newest",
];

#[test]
fn confirmations_are_in_words() {
    let pair = pairs().remove(0);
    let host = pair.pool.host.refs().next().unwrap().clone();
    let hosts: Vec<_> = pair.pool.host.refs().cloned().collect();
    let mut reader = Reader::default();
    for confirmation in [
        Confirmation::AllMembersAnswer,
        Confirmation::DataMayBeLost { host: host.clone() },
        Confirmation::HaNotArmed { host: host.clone() },
        Confirmation::HasDatabase { host: host.clone() },
        Confirmation::NoOtherMaster { hosts },
        Confirmation::OldMasterIsOff { host: host.clone() },
        Confirmation::Reachable { host: host.clone() },
        Confirmation::VersionIsNewest { host },
    ] {
        reader.read(&confirmation.describe(&pair.pool), &Names::of(&[&pair.pool]));
    }
    reader.finish(8);
}
