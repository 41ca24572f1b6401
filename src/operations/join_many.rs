//! Several hosts join a pool, one after the other.

use std::fmt;
use std::sync::Arc;

use super::control::{Control, Look, OnFailure, Run};
use super::join::{Joined, join_in, not_removed};
use super::outcome::{Outcome, Why};
use super::readiness::report;
use super::steps::{self, Sides, same};
use crate::client::{Client, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Snapshot, Uuid};
use crate::plan::{Agreed, Joins, Plan, Purpose, Subject};

/// What became of each host, in the order of the plans.
#[derive(Debug)]
#[non_exhaustive]
#[must_use]
pub struct JoinedMany {
    /// The hosts.
    pub hosts: Vec<JoinAttempt>,
}

/// What became of one host.
#[derive(Debug)]
#[non_exhaustive]
pub struct JoinAttempt {
    /// The host.
    pub host: Subject,
    /// How its join ended, if it was tried.
    pub outcome: Option<Outcome<Joined>>,
    /// Why it was not tried; empty if it was.
    pub skipped: String,
}

impl JoinedMany {
    /// Whether all hosts are members now.
    pub fn is_done(&self) -> bool {
        self.hosts.iter().all(|host| matches!(host.outcome, Some(Outcome::Done(_))))
    }
}

impl fmt::Display for JoinedMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, host) in self.hosts.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{host}")?;
        }
        Ok(())
    }
}

impl fmt::Display for JoinAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.host.name;
        match &self.outcome {
            Some(Outcome::Done(joined)) => {
                f.write_str(name)?;
                f.write_str(if joined.already_member { " was a member" } else { " joined" })?;
                joined.missing.iter().try_for_each(|missing| write!(f, "\n  missing: {missing}"))
            }
            Some(Outcome::NotDone(why)) => write!(f, "{name} did not join: {why}"),
            Some(Outcome::Unknown(why)) => write!(f, "{name} may have joined: {why}"),
            None => write!(f, "{name} was not tried: {}", self.skipped),
        }
    }
}

/// Makes hosts members of a pool, one after the other, as planned.
///
/// Never two at once.
///
/// `joiners` are clients of the hosts, in the order of the plans. All are looked at before the
/// first one joins. Before each further join the pool has to be at rest: nothing is under way, the
/// last host is live and enabled. A host that is a member already only waits for that. The deadline
/// is that of all joins together.
///
/// After a join of which it is not known whether it was done nobody else joins, whatever
/// the [control](Control::on_failure) says. Calling again goes on where this ended.
///
/// # Errors
/// `InvalidInput` if the clients are not those of the plans, `State` if a plan leaves something to
/// a person, `Cancelled`; what keeps the pool from being asked at all.
pub fn join_many(
    pool: &Client,
    joiners: &[&Client],
    agreed: Agreed<'_, Joins>,
    control: &mut Control<'_>,
) -> Result<JoinedMany> {
    let Agreed { plan: joins, consent } = agreed;
    let on_failure = control.on_failure;
    joins.check()?;
    if joiners.len() != joins.plans.len() {
        let what = format!("{} clients for {} plans", joiners.len(), joins.plans.len());
        return Err(Error::new(ErrorKind::InvalidInput, what));
    }
    let pool = &control.over(pool);
    let joiners: Vec<_> = joiners.iter().map(|joiner| control.over(joiner)).collect();
    let of = joins.plans.iter().map(|plan| plan.steps.len() + 1).sum::<usize>().saturating_sub(1);
    let mut run = control.begin(pool.clock(), of);
    let first = Arc::new(pool.settled_snapshot(Scope::Preflight)?);
    for plan in &joins.plans {
        same("pool", &plan.pool.uuid, &first.the_pool()?.1.uuid)?;
    }
    let mut refusals = Vec::new();
    for (joiner, plan) in joiners.iter().zip(&joins.plans) {
        run.check()?;
        refusals.push(refusal((pool, &first), joiner, plan)?);
    }
    let refused = refusals.iter().any(Option::is_some);
    let mut stop = (refused && on_failure == OnFailure::Stop)
        .then(|| String::from("another host would not be able to join"));
    let mut at_rest = Rest::of(&first);
    let (mut hosts, mut before) = (Vec::new(), 0);
    for ((joiner, plan), refusal) in joiners.iter().zip(&joins.plans).zip(refusals) {
        run.part(before);
        before += plan.steps.len() + 1;
        let name = &plan.host.name;
        let mut skipped = String::new();
        let outcome = match (refusal, &stop) {
            (Some(why), _) => Some(Outcome::NotDone(why)),
            (None, Some(reason)) => {
                skipped.clone_from(reason);
                None
            }
            (None, None) => match at_rest.wait(pool, name, &mut run) {
                Ok(()) => {
                    let sides = Sides { pool, joiner, consent };
                    Some(match join_in(sides, plan, &mut run) {
                        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                        // What went wrong where is not known.
                        Err(error) => Outcome::Unknown(Why::new("the join broke off").error(error)),
                        Ok(outcome) => outcome,
                    })
                }
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    skipped = format!("the pool did not come to rest: {error}");
                    stop = Some(skipped.clone());
                    None
                }
            },
        };
        match &outcome {
            Some(Outcome::Done(_)) => at_rest.expect(&plan.host.uuid),
            Some(Outcome::Unknown(_)) => {
                let what = "it is not known whether it joined, and no two hosts may join at once";
                stop = Some(format!("{name}: {what}"));
            }
            Some(Outcome::NotDone(_)) if on_failure == OnFailure::Stop && stop.is_none() => {
                stop = Some(format!("{name} did not join"));
            }
            _ => {}
        }
        hosts.push(JoinAttempt { host: plan.host.clone(), outcome, skipped });
    }
    Ok(JoinedMany { hosts })
}

/// What is new in the way of a host, if anything is, as things stand.
fn refusal(
    (pool, known): (&Client, &Arc<Snapshot>),
    joiner: &Client,
    plan: &Plan,
) -> Result<Option<Why>> {
    let Purpose::Join { options, .. } = &plan.purpose else {
        return Err(steps::other_purpose(plan, "a join"));
    };
    if known.host.by_uuid(&plan.host.uuid).is_some() {
        return Ok(None);
    }
    let own = match joiner.settled_snapshot(Scope::Preflight) {
        Ok(own) => own,
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => return Ok(Some(Why::new("the host cannot be looked at").error(error))),
    };
    same("host", &plan.host.uuid, &own.master()?.1.uuid)?;
    let seen = ((pool, Arc::clone(known)), (joiner, Arc::new(own)));
    let report = match report(seen.0, seen.1, options) {
        Ok(report) => report,
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => return Ok(Some(Why::new("the clocks cannot be compared").error(error))),
    };
    let new = not_removed(&report, plan);
    let why = "the preflight found what the plan does not remove";
    Ok((!new.is_empty()).then(|| Why::new(why).seen(new)))
}

/// Who has to be well for the pool to be at rest: who was at first, and who has joined since.
struct Rest {
    well: Vec<Uuid>,
    is_first: bool,
}

impl Rest {
    fn of(first: &Snapshot) -> Self {
        let well = first
            .host
            .iter()
            .filter(|(reference, host)| host.enabled && first.is_live(reference) == Some(true));
        Self { well: well.map(|(_, host)| host.uuid.clone()).collect(), is_first: true }
    }

    fn expect(&mut self, host: &Uuid) {
        self.well.push(host.clone());
    }

    /// Waits until the pool is at rest; not for the first host, which found it as it is.
    fn wait(&mut self, pool: &Client, next: &str, run: &mut Run<'_, '_>) -> Result<()> {
        if std::mem::take(&mut self.is_first) {
            return Ok(());
        }
        run.gate(&format!("wait until the pool is at rest before {next} joins"))?;
        run.until_answered("the pool's master", |_| {
            Ok(match self.restless(&pool.snapshot(Scope::Overview)?) {
                Some(what) => Look::Awaited(what),
                None => Look::Seen(()),
            })
        })
    }

    fn restless(&self, now: &Snapshot) -> Option<String> {
        let (_, pool) = now.the_pool().ok()?;
        if let Some(operation) = pool.current_operations.values().next() {
            return Some(format!("{operation} to end"));
        }
        self.well.iter().find_map(|uuid| {
            let (reference, host) = now.host.by_uuid(uuid)?;
            let well = host.enabled && now.is_live(reference) == Some(true);
            (!well).then(|| format!("{} to be live and enabled", host.name_label))
        })
    }
}
