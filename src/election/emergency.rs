//! An emergency promotion: the master is gone, there is no HA, and a person has to choose.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::decision::{Candidate, DataLoss, Decision, Eligibility, FollowUp, Hazard, Mode, Safety};
use super::evidence::{Confirmation, HostRole, PoolEvidence};
use super::reason::{Reason, Weight};
use super::survey::{Member, Survey, best, eligibility};
use crate::error::Result;
use crate::model::{Host, Ref, Snapshot, Version};

/// Seconds that the master pauses before it sends the database to the next member
/// (`pool_db_backup.ml:316-361`).
const COPY_PAUSE: u64 = 300;

/// Whom to promote if the pool's master is gone.
///
/// The call is `pool.emergency_transition_to_master`.
///
/// The snapshot is the last one that was taken: members cannot read the database without a master,
/// so everything newer comes as evidence. The server checks nothing but the local `ha_armed`; that
/// the old master is really off, only a person can say.
///
/// What hosts say of themselves counts more than the snapshot: if the recorded master follows
/// another host, that one is the master that is gone; if it has lost its role, a hand-over failed
/// half-way, nobody is master, and every member is a candidate, the old master included.
///
/// Ranked by: eligible, without a role after a hand-over (others follow it already), highest known
/// generation of the database (unless the pool had two masters and generations mean nothing),
/// newest version, most shared storage attached, most members reached, enabled, no guidance
/// pending, uuid.
///
/// # Errors
/// `InvalidInput` if the snapshot has no pool record, or more than one.
pub fn emergency(snapshot: &Snapshot, evidence: &PoolEvidence) -> Result<Decision> {
    let survey = Survey::new(snapshot, evidence)?.by_their_word();
    let comparable = comparable(&survey);
    let newest = survey
        .members
        .iter()
        .filter(|member| !survey.is_master(member) && comparable)
        .filter_map(generation)
        .max();
    let mut ranked: Vec<(Candidate, &Member)> = survey
        .members
        .iter()
        .map(|member| {
            let reasons = reasons(&survey, member, newest, comparable);
            let eligible = eligibility(member.reference, &reasons, evidence);
            (Candidate::new(member.reference.clone(), reasons, eligible), member)
        })
        .collect();
    // The sort is stable, and the members come in the order of their uuids.
    ranked.sort_by_cached_key(|(candidate, member)| {
        let guidance = candidate.has(&Reason::GuidancePending);
        (
            candidate.eligible,
            candidate.count(Weight::Blocks),
            member.evidence.role != Some(HostRole::Broken),
            Reverse(generation(member).filter(|_| comparable)),
            Reverse(member.release),
            Reverse(member.attached),
            Reverse(member.evidence.reaches.values().filter(|reaches| **reaches).count()),
            !member.host.enabled,
            guidance,
        )
    });
    let ranked: Vec<Candidate> = ranked.into_iter().map(|(candidate, _)| candidate).collect();
    let verdict = verdict(&survey, &ranked, comparable);
    let recommended =
        best(&ranked).filter(|_| verdict != Safety::Unsafe).map(|best| best.host.clone());
    Ok(Decision {
        mode: Mode::Emergency,
        old_master: survey.master().map(|old| old.reference.clone()),
        confirmations: confirmations(&survey, &ranked, evidence, comparable),
        follow_up: recommended
            .as_ref()
            .map_or_else(|| disarming(&ranked), |host| follow_up(&survey, host)),
        data_loss: ranked.first().and_then(|best| data_loss(&survey, &best.host, comparable)),
        hazards: hazards(&survey, &ranked),
        majority: survey.majority(),
        recommended,
        verdict,
        ranked,
    })
}

fn generation(member: &Member<'_>) -> Option<u64> {
    member.evidence.database.as_ref().filter(|copy| !copy.absent)?.generation
}

/// Whether all copies belong to one history, so that the higher generation is the newer state.
fn comparable(survey: &Survey<'_>) -> bool {
    let copies = survey.members.iter().filter_map(|member| member.evidence.database.as_ref());
    let lineages: BTreeSet<_> = copies.filter_map(|copy| copy.lineage.as_ref()).collect();
    lineages.len() < 2 && survey.other_masters().is_empty()
}

fn reasons<'a>(
    survey: &Survey<'a>,
    member: &Member<'a>,
    newest: Option<u64>,
    comparable: bool,
) -> Vec<Reason> {
    let mut reasons = survey.reasons(member);
    if survey.is_master(member) {
        reasons.push(Reason::OldMaster);
    }
    if member.evidence.ha_armed.is_none() {
        reasons.push(Reason::HaArmedUnknown);
    }
    // The old master, and who does not answer, need not follow at once.
    let follows =
        |other: &Member<'a>| other.evidence.answers() != Some(false) && !survey.is_master(other);
    reasons.push(survey.version_reason(member, follows));
    let absent = survey.newest(|other| !follows(other));
    if let Some(absent) = absent.filter(|absent| absent.release > member.release) {
        reasons.push(Reason::OlderThanAbsentMember { member: absent.reference.clone() });
    }
    match &member.evidence.database {
        None => reasons.push(Reason::DatabaseUnknown),
        Some(copy) if copy.absent => reasons.push(Reason::DatabaseAbsent),
        Some(copy) => {
            let own = member.host.software("db_schema").and_then(|text| text.parse().ok());
            let own = own.map(|version: Version| (version.major(), version.minor()));
            if copy.schema.zip(own).is_some_and(|(schema, own)| schema > own) {
                reasons.push(Reason::DatabaseTooNew);
            }
            if let (Some(generation), Some(newest), true) = (copy.generation, newest, comparable) {
                reasons.push(match newest.saturating_sub(generation) {
                    0 => Reason::NewestDatabase,
                    generations => Reason::DatabaseBehind { generations },
                });
            }
        }
    }
    reasons
}

fn verdict(survey: &Survey<'_>, ranked: &[Candidate], comparable: bool) -> Safety {
    let old = survey.master();
    let answers =
        |old: &Member<'_>| old.evidence.reachable == Some(true) || old.evidence.claims_mastership();
    // Without knowing who failed, it might be the failed host that is promoted.
    let is_unknown = old.is_none() && !survey.leaderless;
    if is_unknown || old.is_some_and(answers) || !survey.other_masters().is_empty() {
        return Safety::Unsafe;
    }
    let Some(best) = best(ranked) else {
        let some = ranked.iter().any(|candidate| candidate.eligible == Eligibility::IfConfirmed);
        return if some { Safety::NeedsConfirmation } else { Safety::Unsafe };
    };
    let old_is_off = old.is_none_or(|old| old.evidence.powered_off == Some(true));
    let certain = best.count(Weight::Unknown) == 0
        && open_roles(survey).is_empty()
        && is_newest(survey, &best.host, comparable);
    if old_is_off && certain { Safety::Safe } else { Safety::NeedsConfirmation }
}

/// Members that may, for all that is known, follow another master.
fn open_roles(survey: &Survey<'_>) -> Vec<Ref<Host>> {
    survey
        .members
        .iter()
        .filter(|member| !survey.is_master(member) && member.evidence.powered_off != Some(true))
        .filter(|m| m.evidence.answers() != Some(true) || m.evidence.role.is_none())
        .map(|member| member.reference.clone())
        .collect()
}

/// Whether the copies of all members are known, and none is newer than this host's.
fn is_newest(survey: &Survey<'_>, host: &Ref<Host>, comparable: bool) -> bool {
    let copies = survey.members.iter().filter(|member| !survey.is_master(member));
    let own = survey.members.iter().find(|m| m.reference == host).and_then(generation);
    let known = |member: &Member<'_>| match &member.evidence.database {
        Some(copy) => copy.absent || copy.generation.is_some() && copy.generation <= own,
        None => false,
    };
    comparable && own.is_some() && copies.into_iter().all(known)
}

fn confirmations(
    survey: &Survey<'_>,
    ranked: &[Candidate],
    evidence: &PoolEvidence,
    comparable: bool,
) -> Vec<Confirmation> {
    let mut needed = BTreeSet::new();
    let candidate = ranked.first().filter(|best| best.eligible != Eligibility::No);
    let Some(candidate) = candidate else { return Vec::new() };
    needed.extend(candidate.reasons.iter().filter_map(|why| why.confirmation(&candidate.host)));
    if let Some(old) = survey.master().filter(|old| old.evidence.powered_off != Some(true)) {
        needed.insert(Confirmation::OldMasterIsOff { host: old.reference.clone() });
    }
    let hosts = open_roles(survey);
    if !hosts.is_empty() {
        needed.insert(Confirmation::NoOtherMaster { hosts });
    }
    if !is_newest(survey, &candidate.host, comparable) {
        needed.insert(Confirmation::DataMayBeLost { host: candidate.host.clone() });
    }
    needed.retain(|confirmation| !evidence.is_confirmed(confirmation));
    needed.into_iter().collect()
}

/// Nobody can be promoted: HA may be what stands against it.
fn disarming(ranked: &[Candidate]) -> Vec<FollowUp> {
    let armed = ranked.iter().filter(|candidate| candidate.has(&Reason::HaArmed));
    armed.map(|candidate| FollowUp::DisableHa { host: candidate.host.clone() }).collect()
}

fn follow_up(survey: &Survey<'_>, host: &Ref<Host>) -> Vec<FollowUp> {
    let others = survey.members.iter().filter(|member| !survey.is_master(member));
    let others: Vec<&Member> = others.collect();
    let armed = others.iter().filter(|m| m.evidence.ha_armed == Some(true));
    let mut steps: Vec<FollowUp> =
        armed.map(|member| FollowUp::DisableHa { host: member.reference.clone() }).collect();
    let old = survey.master();
    if let Some(old) = old.filter(|old| old.evidence.powered_off != Some(true)) {
        steps.push(FollowUp::ProveOff { host: old.reference.clone() });
    }
    steps.extend([
        FollowUp::Transition { host: host.clone() },
        FollowUp::WaitForMaster { host: host.clone() },
        FollowUp::RecoverMembers { master: host.clone() },
        FollowUp::CheckRoles { hosts: others.iter().map(|m| m.reference.clone()).collect() },
    ]);
    if let Some(old) = old {
        steps.push(FollowUp::DeclareDead { host: old.reference.clone() });
        let vms = survey.vms_on(old.reference);
        if !vms.is_empty() {
            steps.push(FollowUp::RestartVms { vms });
        }
    }
    steps
}

fn data_loss(survey: &Survey<'_>, host: &Ref<Host>, comparable: bool) -> Option<DataLoss> {
    let member = survey.members.iter().find(|member| member.reference == host)?;
    let own = generation(member);
    let newest_known = survey.members.iter().filter_map(generation).max();
    let behind = match (own, newest_known) {
        (Some(own), Some(newest)) if comparable => Some(newest.saturating_sub(own)),
        _ => None,
    };
    let upgrade = survey.pool.other_config.contains_key("rolling_upgrade_in_progress");
    let others = survey.members.len().saturating_sub(1) as u64;
    Some(DataLoss {
        generation: own,
        newest_known,
        behind,
        comparable,
        age: member.evidence.database.as_ref().and_then(|copy| copy.age),
        usual_age: (!upgrade).then_some(COPY_PAUSE * others),
        also_on_storage: survey.pool.ha_enabled || survey.pool.redo_log_enabled,
    })
}

fn hazards(survey: &Survey<'_>, ranked: &[Candidate]) -> Vec<Hazard> {
    let mut hazards: Vec<Hazard> = survey
        .other_masters()
        .iter()
        .map(|member| Hazard::AnotherMaster { host: member.reference.clone() })
        .collect();
    if let Some(old) = survey.master() {
        let host = old.reference.clone();
        let is_off = old.evidence.powered_off == Some(true);
        if old.evidence.reachable == Some(true) || old.evidence.claims_mastership() {
            hazards.push(Hazard::OldMasterAnswers { host: host.clone() });
        } else if !is_off {
            hazards.push(Hazard::OldMasterMayRun { host: host.clone() });
        }
        hazards.push(Hazard::OldMasterMayReturn { host: host.clone() });
        let vms = survey.vms_on(&host);
        if !is_off && !vms.is_empty() {
            hazards.push(Hazard::VmsMayRunTwice { vms });
        }
    }
    let hosts: Vec<Ref<Host>> = survey
        .members
        .iter()
        .filter(|member| !survey.is_master(member) && member.evidence.powered_off != Some(true))
        .filter(|member| member.evidence.answers() != Some(true))
        .map(|member| member.reference.clone())
        .collect();
    if !hosts.is_empty() {
        hazards.push(Hazard::MembersOutOfSight { hosts });
    }
    let armed: Vec<Ref<Host>> = survey
        .members
        .iter()
        .filter(|member| member.evidence.ha_armed == Some(true))
        .map(|member| member.reference.clone())
        .collect();
    if !armed.is_empty() && armed.len() < survey.members.len() {
        hazards.push(Hazard::HaHalfOff { armed });
    }
    if ranked.iter().filter(|candidate| candidate.eligible != Eligibility::No).count() > 1 {
        hazards.push(Hazard::AnotherPromotion);
    }
    hazards
}
