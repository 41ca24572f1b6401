//! A member becomes master in place of one that died.

mod follow;
mod promote;
mod recovered;
mod recovery;

pub use recovered::{Follower, Recovered, Remaining};

use super::Members;
use super::control::{Control, Run};
use super::outcome::{Outcome, Stage, Stop, Why, told};
use super::steps;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Agreed, Consent, Plan, Purpose, Work};
use recovery::Recovery;

/// Makes a member the master in place of one that died, as planned.
///
/// Sees to it that all follow.
///
/// It also leads out of a hand-over that failed half-way, which leaves a pool without a master.
///
/// Everything is looked at anew, host by host. The promotion is not sent if any host says that it
/// is master, if the old master answers at all, if somebody else's promotion is under way, or if
/// what the plan's confirmations cover is not all that is unknown now. It is sent once, to the host
/// of the plan. If that is the master already, the members are seen to, and nothing else: after an
/// interruption, call it again with the same plan.
///
/// The VMs that the records show on the old master are reset only if the plan has it off and
/// that was agreed to.
///
/// The outcome is `Done` once the host answers as the pool's master and all members that answer
/// follow it, with what [remains](Recovered::remaining); `NotDone` if it was not promoted, or
/// another master is there; `Unknown` if it could not be told in time.
///
/// # Errors
/// `InvalidInput` if the plan is for something else, or no [snapshot](Members::snapshot) of its
/// pool was given; `State` if it leaves something to a person; `Cancelled`.
pub fn recover(
    members: &Members,
    agreed: Agreed<'_>,
    control: &mut Control<'_>,
) -> Result<Outcome<Recovered>> {
    let Agreed { plan, consent } = agreed;
    let members = control.over_members(members);
    told(plan, || recover_as_planned(&members, plan, consent, control))
}

fn recover_as_planned(
    members: &Members,
    plan: &Plan,
    consent: &Consent,
    control: &mut Control<'_>,
) -> Result<Recovered, Stop> {
    plan.check()?;
    let Purpose::Recovery { old_master, .. } = &plan.purpose else {
        return Err(steps::other_purpose(plan, "a recovery").into());
    };
    let wrong = |what: &str| Error::new(ErrorKind::InvalidInput, what.to_owned());
    let last = members.last.as_deref();
    let last = last.ok_or_else(|| wrong("a recovery needs the last snapshot of the pool"))?;
    steps::same("pool", &plan.pool.uuid, &last.the_pool()?.1.uuid)?;
    let known = |uuid| last.host.by_uuid(uuid).map(|(reference, host)| (reference.clone(), host));
    let (target, host) = known(&plan.host.uuid)
        .ok_or_else(|| wrong("the snapshot does not have the plan's host"))?;
    let old = match old_master {
        Some(old) => Some(
            known(&old.uuid)
                .ok_or_else(|| wrong("the snapshot does not have the plan's old master"))?
                .0,
        ),
        None => None,
    };
    let address = plan.steps.iter().find_map(|step| match &step.work {
        Work::Promote { address } => Some(address.clone()),
        _ => None,
    });
    let address = address.unwrap_or_else(|| host.address.clone());
    let endpoint =
        members.locate(&address).ok_or_else(|| wrong("the plan's host has no usable address"))?;
    let recovery = Recovery { members, plan, consent, last, target, old, address, endpoint };
    let mut run = control.begin(members.clock(), plan.steps.len());
    recovery.run(&mut run)
}

impl Recovery<'_> {
    fn run(&self, run: &mut Run<'_, '_>) -> Result<Recovered, Stop> {
        let name = self.name();
        let open = format!("it cannot be told whether {name} is master");
        run.step_of(self.plan, 0)?;
        let already_master = self.promote(run).or_unknown(|late| Why::new(open).error(late))?;
        let open = format!("{name} is master, but it cannot be told whether all members follow it");
        self.follow(already_master, run).or_unknown(|late| Why::new(open).error(late))
    }
}
