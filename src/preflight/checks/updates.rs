//! Updates: none half done, none being applied.

use super::vms::names;
use crate::actions::Side;
use crate::actions::{Action, Choice, Condition, Remedy};
use crate::error::Fault;
use crate::model::object;
use crate::model::{Class, Host, Pool, PoolOperation, PowerState, Ref, UpdateGuidance};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Finding, Found, Lost, Reads, Rule, Since, View, Which};

pub(in crate::preflight) const JOINER_PENDING_GUIDANCE: Check = Rule {
    check: Some("assert_no_host_pending_mandatory_guidance"),
    error: Some("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY"),
    since: Since::of(24, 31, 0),
    side: Side::Joiner,
    compares: "the joiner has no mandatory guidance pending after updates",
    remedy: "restart the joiner's toolstack, or reboot the joiner, as the guidance asks",
    reads: &[Reads::joiner(Class::Host, Which::Local, &["pending_guidances"]).since(1, 303, 0)],
    ..Rule::of("joiner-pending-guidance")
}
.run::<Preflight>(joiner_pending_guidance);

fn joiner_pending_guidance(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, host) = facts.joiner.local()?;
    if let Some(finding) = pending_guidance(facts, facts.joiner, reference, host) {
        found.push(finding);
    }
    Ok(())
}

pub(in crate::preflight) const MASTER_PENDING_GUIDANCE: Check = Rule {
    check: Some("assert_no_host_pending_mandatory_guidance"),
    error: Some("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY"),
    since: Since::of(24, 31, 0),
    side: Side::Pool,
    compares: "the pool's master has no mandatory guidance pending after updates",
    remedy: "restart the master's toolstack, as the guidance asks; by hand: reboot the master",
    reads: &[
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Local, &["pending_guidances"]).since(1, 303, 0).by_call(),
    ],
    ..Rule::of("master-pending-guidance")
}
.run::<Preflight>(master_pending_guidance);

fn master_pending_guidance(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    facts.pool.called::<Host>("pending_guidances")?;
    let (reference, host) = facts.pool.local()?;
    if let Some(finding) = pending_guidance(facts, facts.pool, reference, host) {
        found.push(finding);
    }
    Ok(())
}

fn pending_guidance(
    facts: &Facts<'_>,
    view: View<'_>,
    reference: &Ref<Host>,
    host: &Host,
) -> Option<Finding> {
    let guidance = host.pending_guidances.as_deref().filter(|guidance| !guidance.is_empty())?;
    let told: Vec<_> = guidance.iter().map(ToString::to_string).collect();
    let told = told.join(", ");
    let about = object(reference, host);
    let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
    let (side, host) = (view.side, reference.clone());
    let paused: Vec<_> = view
        .snapshot
        .vm
        .iter()
        .filter(|(_, vm)| vm.power_state == PowerState::Paused && vm.resident_on == *reference)
        .map(|(vm_ref, vm)| object(vm_ref, vm))
        .collect();
    let mut remedy = Remedy::default();
    if guidance.iter().all(|guidance| *guidance == UpdateGuidance::RestartToolstack) {
        let restart = Action::HostRestartAgent { side, host: host.clone() };
        remedy = remedy.or(Choice::new(
            "restart-toolstack",
            "restart the toolstack; VMs run on, the API is away for a minute",
        )
        .with(&about, pool, joiner, [restart]));
    }
    match side {
        Side::Pool if remedy.choices.is_empty() => {
            remedy.by_person = Some(
                "put the pool's master into maintenance, move its VMs away, and reboot it: the \
                 pool has no API meanwhile"
                    .to_owned(),
            );
        }
        Side::Pool => {}
        // A check for running VMs removes those that run, and none the paused ones.
        _ if !paused.is_empty() => {
            remedy.by_person = Some(format!(
                "reboot the joiner once no VM is on it: {} is paused there, and no rule asks to \
                 stop it",
                names(paused.into_iter())
            ));
        }
        _ => {
            let reboot = [
                Action::HostDisable { side, host: host.clone() },
                Action::HostReboot { side, host },
            ];
            remedy = remedy.or(Choice::new("reboot", "reboot the joiner, once no VM runs on it")
                .with(&about, pool, joiner, reboot));
        }
    }
    let whose = match side {
        Side::Pool => "the pool's master",
        _ => "the joiner",
    };
    Some(
        facts
            .finding(format!("updates of {whose} are not in force yet: {told} is pending"))
            .fault(Fault::new("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", [reference.to_string()]))
            .objects([about])
            .expected("no pending guidance")
            .actual(told)
            .remedy(remedy),
    )
}

pub(in crate::preflight) const JOINER_UPDATING: Check = Rule {
    check: Some("assert_not_in_updating_on_me"),
    error: Some("NOT_SUPPORTED_DURING_UPGRADE"),
    since: Since::of(1, 301, 0),
    side: Side::Joiner,
    compares: "no updates are being applied on the joiner",
    remedy: "wait until the updates are applied",
    reads: &[Reads::joiner(Class::Pool, Which::All, &["current_operations"])],
    ..Rule::of("joiner-updating")
}
.run::<Preflight>(joiner_updating);

fn joiner_updating(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, pool) = facts.joiner.pool()?;
    if let Some(finding) = updating(facts, facts.joiner, reference, pool) {
        found.push(finding);
    }
    Ok(())
}

pub(in crate::preflight) const POOL_UPDATING: Check = Rule {
    check: Some("assert_no_hosts_in_updating"),
    error: Some("NOT_SUPPORTED_DURING_UPGRADE"),
    since: Since::of(1, 301, 0),
    side: Side::Pool,
    compares: "no updates are being applied in the pool",
    remedy: "wait until the updates are applied",
    reads: &[Reads::pool(Class::Pool, Which::All, &["current_operations"])],
    ..Rule::of("pool-updating")
}
.run::<Preflight>(pool_updating);

fn pool_updating(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, pool) = facts.pool.pool()?;
    if let Some(finding) = updating(facts, facts.pool, reference, pool) {
        found.push(finding);
    }
    Ok(())
}

fn updating(
    facts: &Facts<'_>,
    view: View<'_>,
    reference: &Ref<Pool>,
    pool: &Pool,
) -> Option<Finding> {
    if !pool.current_operations.values().any(|operation| *operation == PoolOperation::ApplyUpdates)
    {
        return None;
    }
    let object = object(reference, pool);
    let wait =
        Action::Await { side: view.side, object: object.clone(), until: Condition::NotUpdating };
    let choice = Choice::new("wait", "wait until the updates are applied").with(
        &object,
        facts.pool.snapshot,
        facts.joiner.snapshot,
        [wait],
    );
    Some(
        facts
            .finding(match view.side {
                Side::Pool => "updates are being applied in the pool",
                _ => "updates are being applied on the joiner",
            })
            .refused()
            .objects([object])
            .expected("no apply_updates in progress")
            .actual("apply_updates in progress")
            .remedy(Remedy::default().or(choice)),
    )
}
