//! A member becomes master in place of one that died.

mod follow;
mod promote;

use std::fmt;

use serde::Serialize;

use super::Members;
use super::control::{Control, Run};
use super::outcome::{Outcome, Why, told};
use super::steps;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Object;
use crate::model::{Host, Ref, Snapshot, Uuid};
use crate::plan::{Consent, Plan, Purpose, Work};
use crate::transport::Endpoint;

/// A pool that has a master again, and what is left to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Recovered {
    /// The new master's uuid.
    pub master: Uuid,
    /// The new master's address.
    pub address: String,
    /// Whether it was the master already when the operation began.
    pub already_master: bool,
    /// Every other host of the pool, and whether it follows.
    pub members: Vec<Follower>,
    /// What a person has to see to, in order.
    pub remaining: Vec<Remaining>,
}

/// A host that should follow the new master.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Follower {
    /// Its uuid.
    pub host: Uuid,
    /// Its name.
    pub name: String,
    /// Whether it follows the new master, and is live and enabled there.
    pub follows: bool,
    /// If not, what it says.
    pub says: String,
}

/// What is left to do after a recovery.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "remaining", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Remaining {
    /// A host does not follow the new master.
    Astray {
        /// The host's name.
        host: String,
        /// What it says.
        says: String,
    },
    /// The records still show VMs on the old master, which cannot be started elsewhere so.
    VmsOnOldMaster {
        /// The old master's name.
        host: String,
        /// The VMs.
        vms: Vec<Object>,
        /// Why they were not reset.
        why: String,
    },
    /// The old master may come back.
    OldMasterReturns {
        /// The old master's name.
        host: String,
    },
    /// The old master is a member again.
    OldMasterIsBack {
        /// The old master's name.
        host: String,
    },
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Astray { host, says } => write!(
                f,
                "{host} does not follow the new master: it {says}. When it is back, recover again."
            ),
            Self::VmsOnOldMaster { host, vms, why } => {
                let names: Vec<_> = vms.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "the records show VMs on {host}: {}. {why}. Once {host} is surely off: \
                     host.declare_dead, then start them elsewhere.",
                    names.join(", ")
                )
            }
            Self::OldMasterReturns { host } => write!(
                f,
                "{host} takes itself for the master when it is back, until it sees the new one: \
                 power it on only with the network to all members in order, or not at all \
                 (host.destroy forgets it)."
            ),
            Self::OldMasterIsBack { host } => write!(f, "{host} is back, as a member."),
        }
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is master", self.address)?;
        if self.already_master {
            f.write_str(" (and was before)")?;
        }
        for member in &self.members {
            match member.follows {
                true => write!(f, "\n  {} follows, live and enabled", member.name)?,
                false => write!(f, "\n  {} does not follow: it {}", member.name, member.says)?,
            }
        }
        if !self.remaining.is_empty() {
            f.write_str("\nwhat is left to do:")?;
        }
        self.remaining.iter().try_for_each(|remaining| write!(f, "\n  - {remaining}"))
    }
}

/// Makes a member the master in place of one that died, as planned; sees to it that all follow.
///
/// The same leads out of a hand-over that failed half-way, which leaves a pool without a master.
///
/// Everything is looked at anew, host by host. The promotion is not sent if any host says that it is
/// master, if the old master answers at all, if somebody else's promotion is under way, or if what
/// the plan's confirmations cover is not all that is unknown now. It is sent once, to the host of the
/// plan. If that is the master already, the members are seen to, and nothing else: after an
/// interruption, call it again with the same plan.
///
/// The VMs that the records show on the old master are reset only if the plan has it off and
/// `consent` covers them.
///
/// The outcome is `Done` once the host answers as the pool's master and all members that answer
/// follow it, with what [remains](Recovered::remaining); `NotDone` if it was not promoted, or
/// another master is there; `Unknown` if it could not be told in time.
///
/// # Errors
/// `InvalidInput` if the plan is for something else, or no [snapshot](Members::snapshot) of its pool
/// was given; `State` if it leaves something to a person; `Cancelled`.
pub fn recover(
    members: &Members,
    plan: &Plan,
    consent: &Consent,
    control: &mut Control<'_>,
) -> Result<Outcome<Recovered>> {
    told(plan, || recover_as_planned(members, plan, consent, control))
}

fn recover_as_planned(
    members: &Members,
    plan: &Plan,
    consent: &Consent,
    control: &mut Control<'_>,
) -> Result<Outcome<Recovered>> {
    plan.check()?;
    let Purpose::Recovery { old_master, .. } = &plan.purpose else {
        return steps::other_purpose(plan, "a recovery");
    };
    let wrong = |what: &str| Error::new(ErrorKind::InvalidInput, what.to_owned());
    let last = members.last.as_ref();
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
    let recovery = Recovery { members, plan, last, target, old, address, endpoint };
    let mut run = control.begin(members.clock(), plan.steps.len());
    recovery.run(consent, &mut run)
}

/// A recovery that runs.
struct Recovery<'a> {
    members: &'a Members,
    plan: &'a Plan,
    /// The records from before the death.
    last: &'a Snapshot,
    target: Ref<Host>,
    /// The master that died; none if nobody was master.
    old: Option<Ref<Host>>,
    address: String,
    endpoint: Endpoint,
}

impl Recovery<'_> {
    fn run(&self, consent: &Consent, run: &mut Run<'_, '_>) -> Result<Outcome<Recovered>> {
        self.step(0, run)?;
        let already_master = match self.promote(run) {
            Ok(Promotion::Done { before }) => before,
            Ok(Promotion::Ended(outcome)) => return Ok(outcome),
            Err(error) if error.kind() == ErrorKind::Timeout => {
                let why = Why::new(format!("it cannot be told whether {} is master", self.name()));
                return Ok(Outcome::Unknown(why.error(error)));
            }
            Err(error) => return Err(error),
        };
        match self.follow(already_master, consent, run) {
            Err(error) if error.kind() == ErrorKind::Timeout => {
                let why = Why::new(format!(
                    "{} is master, but it cannot be told whether all members follow it",
                    self.name()
                ));
                Ok(Outcome::Unknown(why.error(error)))
            }
            outcome => outcome,
        }
    }

    fn step(&self, n: usize, run: &mut Run<'_, '_>) -> Result<()> {
        run.step(n, self.plan.steps.get(n).map_or("", |step| step.summary.as_str()))
    }

    fn name(&self) -> &str {
        &self.plan.host.name
    }

    fn old_name(&self) -> &str {
        match &self.plan.purpose {
            Purpose::Recovery { old_master: Some(old), .. } => &old.name,
            _ => "",
        }
    }

    fn client(&self) -> Result<Client> {
        self.members.client(&self.endpoint, &self.plan.pool.uuid)
    }
}

/// How the promotion ended.
enum Promotion {
    /// The host is master; whether it was before anything was sent.
    Done {
        before: bool,
    },
    Ended(Outcome<Recovered>),
}
