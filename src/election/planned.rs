//! A planned change of master: the master is up, and hands over.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::decision::{Candidate, Decision, Eligibility, FollowUp, Hazard, Mode, Safety};
use super::evidence::{Confirmation, HostRole, PoolEvidence};
use super::reason::{Reason, Weight, excludes};
use super::survey::{Member, Survey, best};
use crate::error::Result;
use crate::model::{Host, Ref, Snapshot};

/// Whom the master should hand over to (`pool.designate_new_master`).
///
/// The server demands little of the new master and everything of the others: every host must be up,
/// as each gets a copy of the database first. What it does not test (versions, storage,
/// maintenance) is held against a candidate here: a new master older than a member loses that
/// member.
///
/// Ranked by: eligible, fewest warnings, newest version, most shared storage attached, enabled,
/// uuid. A version that is not known has to be confirmed. Other missing evidence does not rule a
/// host out, since the server asks all hosts itself before anything changes; but it keeps the
/// verdict from being safe.
///
/// # Errors
/// `InvalidInput` if the snapshot has no pool record, or more than one.
pub fn planned(snapshot: &Snapshot, evidence: &PoolEvidence) -> Result<Decision> {
    let survey = Survey::new(snapshot, evidence)?;
    let pool_reasons = pool_reasons(&survey);
    let peer_reasons: Vec<Vec<Reason>> =
        survey.members.iter().map(|member| as_peer(&survey, member)).collect();
    let mut ranked: Vec<(Candidate, &Member)> = survey
        .members
        .iter()
        .enumerate()
        .map(|(n, member)| {
            let mut reasons = survey.reasons(member);
            if survey.is_master(member) {
                reasons.push(Reason::AlreadyMaster);
            } else {
                reasons.extend(as_candidate(&survey, member));
                reasons.extend(pool_reasons.iter().cloned());
                let peers = peer_reasons.iter().enumerate().filter(|(peer, _)| *peer != n);
                reasons.extend(peers.flat_map(|(_, reasons)| reasons.iter().cloned()));
            }
            let eligible = eligible(member, &reasons, evidence);
            (Candidate::new(member.reference.clone(), reasons, eligible), member)
        })
        .collect();
    // The sort is stable, and the members come in the order of their uuids.
    ranked.sort_by_cached_key(|(candidate, member)| {
        (
            candidate.eligible,
            candidate.count(Weight::Blocks),
            candidate.count(Weight::Warns),
            Reverse(member.release),
            Reverse(member.attached),
            !member.host.enabled,
        )
    });
    let ranked: Vec<Candidate> = ranked.into_iter().map(|(candidate, _)| candidate).collect();
    let others = survey.other_masters();
    let verdict = match ranked.first() {
        _ if !others.is_empty() || survey.master().is_none() => Safety::Unsafe,
        None => Safety::Unsafe,
        Some(best) if best.eligible == Eligibility::No => Safety::Unsafe,
        Some(best) if best.eligible == Eligibility::IfConfirmed => Safety::NeedsConfirmation,
        Some(best) => {
            let all_answer = survey.members.iter().all(|m| m.evidence.answers() == Some(true));
            let known = best.count(Weight::Unknown) == 0;
            if all_answer && known { Safety::Safe } else { Safety::NeedsConfirmation }
        }
    };
    let recommended = best(&ranked).filter(|_| verdict != Safety::Unsafe);
    let mut confirmations = BTreeSet::new();
    if let Some(best) = ranked.first().filter(|best| best.eligible != Eligibility::No) {
        if survey.members.iter().any(|member| member.evidence.answers().is_none()) {
            confirmations.insert(Confirmation::AllMembersAnswer);
        }
        if best.has(&Reason::VersionUnknown) {
            confirmations.insert(Confirmation::VersionIsNewest { host: best.host.clone() });
        }
    }
    confirmations.retain(|confirmation| !evidence.is_confirmed(confirmation));
    let mut hazards: Vec<Hazard> =
        others.iter().map(|m| Hazard::AnotherMaster { host: m.reference.clone() }).collect();
    if recommended.is_some() {
        hazards.push(Hazard::HandOverMayBreak);
    }
    let follow_up = recommended.map_or_else(Vec::new, |best| {
        let host = best.host.clone();
        vec![
            FollowUp::Designate { host: host.clone() },
            FollowUp::WaitForMaster { host: host.clone() },
            FollowUp::CheckRoles { hosts: all(&survey) },
            FollowUp::IfBroken { host },
        ]
    });
    Ok(Decision {
        mode: Mode::Planned,
        old_master: survey.master().map(|old| old.reference.clone()),
        recommended: recommended.map(|best| best.host.clone()),
        verdict,
        confirmations: confirmations.into_iter().collect(),
        follow_up,
        data_loss: None,
        hazards,
        majority: survey.majority(),
        ranked,
    })
}

fn eligible(member: &Member<'_>, reasons: &[Reason], evidence: &PoolEvidence) -> Eligibility {
    let version = Confirmation::VersionIsNewest { host: member.reference.clone() };
    if reasons.iter().any(|reason| reason.weight() == Weight::Blocks) {
        Eligibility::No
    } else if reasons.contains(&Reason::VersionUnknown) && !evidence.is_confirmed(&version) {
        Eligibility::IfConfirmed
    } else {
        Eligibility::Yes
    }
}

fn all(survey: &Survey<'_>) -> Vec<Ref<Host>> {
    survey.members.iter().map(|member| member.reference.clone()).collect()
}

/// What stands against any change of master (`xapi_pool.ml:2619-2630`, `xapi_pool_helpers.ml`).
fn pool_reasons(survey: &Survey<'_>) -> Vec<Reason> {
    let pool = survey.pool;
    let mut reasons = Vec::new();
    if pool.ha_enabled {
        reasons.push(Reason::HaEnabled);
    }
    if pool.is_psr_pending == Some(true) {
        reasons.push(Reason::SecretRotationPending);
    }
    let operations: BTreeSet<_> = pool.current_operations.values().collect();
    for operation in operations {
        let name = operation.to_string();
        match excludes(operation) {
            Some(true) => reasons.push(Reason::PoolBusy { operation: name }),
            Some(false) => reasons.push(Reason::PoolWaiting { operation: name }),
            None => {}
        }
    }
    let mixed = survey.master().is_some_and(|master| {
        let differs = |member: &Member<'_>| {
            let platform =
                |member: &Member<'_>| member.host.software("platform_version").map(str::to_owned);
            known_to_differ(member.release, master.release)
                || known_to_differ(platform(member), platform(master))
        };
        survey.members.iter().any(differs)
    });
    if mixed || pool.other_config.contains_key("rolling_upgrade_in_progress") {
        reasons.push(Reason::RollingUpgrade);
    }
    reasons
}

fn known_to_differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

/// What stands against a host as the new master, beyond what any tool would say.
fn as_candidate(survey: &Survey<'_>, member: &Member<'_>) -> Vec<Reason> {
    let mut reasons = vec![survey.version_reason(member, |_| true)];
    match member.live {
        Some(true) => {}
        Some(false) => reasons.push(Reason::NotLive),
        None => reasons.push(Reason::LivenessUnknown),
    }
    if member.evidence.role == Some(HostRole::Broken) {
        reasons.push(Reason::RoleBroken);
    }
    reasons
}

/// What a host does to a change of master in which it is only to take part.
fn as_peer(survey: &Survey<'_>, member: &Member<'_>) -> Vec<Reason> {
    let host = || member.reference.clone();
    let mut reasons = Vec::new();
    // The master is never tested for being live.
    if member.live == Some(false) && !survey.is_master(member) {
        reasons.push(Reason::PeerNotLive { member: host() });
    }
    if member.evidence.answers() == Some(false) {
        reasons.push(Reason::PeerUnreachable { member: host() });
    }
    if survey.is_master(member) {
        return reasons;
    }
    if member.evidence.claims_mastership() || survey.follows_another(member).is_some() {
        reasons.push(Reason::PeerFollowsAnother { member: host() });
    }
    let broken = member.evidence.role == Some(HostRole::Broken);
    if broken || member.evidence.emergency_mode == Some(true) {
        reasons.push(Reason::PeerInEmergency { member: host() });
    }
    reasons
}
