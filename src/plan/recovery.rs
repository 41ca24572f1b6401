//! Plans to promote a member after the master died.

use std::fmt::Write as _;

use super::{Plan, Purpose, Step, Subject, Unsolved, Work};
use crate::actions::Side;
use crate::actions::{Loss, LossKind};
use crate::election::{Confirmation, Decision, Eligibility, Mode, PoolEvidence, Safety, Weight};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Object;
use crate::model::{Host, PowerState, Ref, Snapshot, Vm, name_at};

/// Plans the promotion that [`election::emergency`](crate::election::emergency) decided on.
///
/// The snapshot and the evidence are those that the decision was made from. What a person has not
/// confirmed, and what makes the change unsafe, is in [`Plan::unsolved`]; that the old master is
/// off is bound to that very host. The plan promotes the recommended host, else the best that could
/// be eligible, points the members to it and checks each of them. Once the old master is known to
/// be off it also declares it dead if VMs are still shown there: the only step that needs
/// [consent](super::Consent), since it resets their power state.
///
/// # Errors
/// `InvalidInput` if the decision is none for an emergency or of another snapshot, or the snapshot
/// has no single pool with a master.
pub fn recovery(snapshot: &Snapshot, evidence: &PoolEvidence, decision: &Decision) -> Result<Plan> {
    let wrong = |what: &str| Error::new(ErrorKind::InvalidInput, what.to_owned());
    if decision.mode != Mode::Emergency {
        return Err(wrong("the decision is for a planned hand-over, not for an emergency"));
    }
    let (pool_ref, pool) = snapshot.the_pool()?;
    let (_, recorded) = snapshot.master()?;
    let old = match &decision.old_master {
        Some(old) => {
            Some((old, snapshot.get(old).ok_or_else(|| wrong("the decision is of another pool"))?))
        }
        None => None,
    };
    let is_old = |host: &Ref<Host>| old.is_some_and(|(old, _)| old == host);
    let target = decision.recommended.as_ref();
    let target = target.or_else(|| decision.ranked.first().map(|best| &best.host));
    let target = target.ok_or_else(|| wrong("the decision is about no host"))?;
    let host = snapshot.get(target).ok_or_else(|| wrong("the decision is of another pool"))?;
    let name = host.name_label.as_str();
    let is_off = old.is_some_and(|(old, _)| {
        evidence.of(old).powered_off == Some(true)
            || evidence.confirmed.contains(&Confirmation::OldMasterIsOff { host: old.clone() })
    });
    let members = snapshot.host.iter().filter(|(host, _)| *host != target && !is_old(host));
    let members: Vec<String> = members.map(|(_, host)| host.name_label.clone()).collect();
    let members = if members.is_empty() { String::from("nobody else") } else { members.join(", ") };
    let mut steps = vec![
        Step::new(
            Side::Pool,
            Work::Promote { address: host.address.clone() },
            format!("pool.emergency_transition_to_master on {name} at {}", host.address),
        ),
        Step::new(
            Side::Pool,
            Work::AwaitMaster,
            format!("wait until {name} answers as the pool's master"),
        ),
        Step::new(
            Side::Pool,
            Work::RecoverMembers,
            format!("pool.recover_slaves on {name}, for {members}"),
        ),
        Step::new(
            Side::Pool,
            Work::CheckRoles,
            format!("see that every member follows {name}, is live and enabled"),
        ),
    ];
    if let Some((old_ref, old)) = old.filter(|_| is_off) {
        let losses = resets(snapshot, old_ref);
        if !losses.is_empty() {
            let what = format!(
                "host.declare_dead of {}, which is off: its {} VMs are halted in the records",
                old.name_label,
                losses.len()
            );
            let mut declare = Step::new(Side::Pool, Work::DeclareDead, what);
            declare.destroys = losses;
            steps.push(declare);
        }
    }
    Ok(Plan {
        schema: Plan::SCHEMA,
        purpose: Purpose::Recovery {
            old_master: old.map(|(reference, old)| Subject::new(old, reference, &old.name_label)),
            old_master_is_off: is_off,
            confirmed: evidence.confirmed.clone(),
        },
        pool: Subject::pool(pool, pool_ref, recorded),
        host: Subject::new(host, target, name),
        steps,
        unsolved: unsolved(snapshot, decision, target),
    })
}

/// The VMs that the records show on a host, as what is lost when they are said to be halted.
pub(crate) fn resets(snapshot: &Snapshot, host: &Ref<Host>) -> Vec<Loss> {
    let on = |vm: &Vm| {
        vm.resident_on == *host && !vm.is_control_domain && vm.power_state != PowerState::Halted
    };
    let vms = snapshot.vm.iter().filter(|(_, vm)| on(vm));
    vms.map(|(reference, vm)| {
        Loss::new(LossKind::Memory, Object::of(reference, vm, &vm.name_label))
    })
    .collect()
}

fn unsolved(snapshot: &Snapshot, decision: &Decision, target: &Ref<Host>) -> Vec<Unsolved> {
    let mut unsolved: Vec<Unsolved> =
        decision.confirmations.iter().map(|open| in_words(snapshot, open)).collect();
    let candidate = decision.candidate(target);
    if candidate.is_none_or(|candidate| candidate.eligible == Eligibility::No) {
        let mut why = format!("{} must not be master", name_at(snapshot, target));
        let reasons = candidate.map_or(&[][..], |candidate| &candidate.reasons);
        for reason in reasons.iter().filter(|reason| reason.weight() == Weight::Blocks) {
            let _ = write!(why, "; it {}", reason.describe(snapshot));
        }
        unsolved.push(Unsolved::new(
            "no-candidate",
            why,
            "Look at the other hosts: start one, or see why none of them will do.",
        ));
    }
    if decision.verdict == Safety::Unsafe {
        unsolved.push(Unsolved::new(
            "two-masters-possible",
            String::from("the pool may have a master: the old one answers, or another host leads"),
            "Wait for it, or switch it off and keep it off; then diagnose again.",
        ));
    }
    unsolved
}

/// What a person has to take responsibility for.
fn in_words(snapshot: &Snapshot, confirmation: &Confirmation) -> Unsolved {
    let name = |host| name_at(snapshot, host);
    match confirmation {
        Confirmation::AllMembersAnswer => Unsolved::new(
            "all-members-answer",
            String::from("not every member was asked"),
            "Ask them all, or confirm it.",
        ),
        Confirmation::DataMayBeLost { host } => Unsolved::new(
            "data-may-be-lost",
            format!("the newest changes to the pool may be missing in the copy of {}", name(host)),
            "Members get a copy every few minutes. Confirm that what is newer may be lost.",
        ),
        Confirmation::HaNotArmed { host } => Unsolved::new(
            "ha-not-armed",
            format!("whether HA is armed on {} is not known", name(host)),
            "Have it asked with the diagnosis, or confirm that HA is off.",
        ),
        Confirmation::HasDatabase { host } => Unsolved::new(
            "has-database",
            format!("whether {} has a copy of the database is not known", name(host)),
            "A member that has run for ten minutes has one; new members may not. Confirm it.",
        ),
        Confirmation::NoOtherMaster { hosts } => {
            let hosts: Vec<_> = hosts.iter().map(name).collect();
            Unsolved::new(
                "no-other-master",
                format!("whom these follow is not known: {}", hosts.join(", ")),
                "Look at them, and confirm that none of them is, or follows, another master.",
            )
        }
        Confirmation::OldMasterIsOff { host } => Unsolved::new(
            "old-master-is-off",
            format!("the old master {} does not answer, which does not mean it is off", name(host)),
            "Switch it off and make sure that it stays off; then confirm that.",
        ),
        Confirmation::Reachable { host } => Unsolved::new(
            "reachable",
            format!("whether {} answers is not known", name(host)),
            "Ask it.",
        ),
        Confirmation::VersionIsNewest { host } => Unsolved::new(
            "version-is-newest",
            format!("whether a member runs a newer version than {} is not known", name(host)),
            "Members refuse to follow an older master. Confirm that none is newer.",
        ),
    }
}
