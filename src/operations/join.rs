//! One host joins a pool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::control::{Control, Look, Run, awaited};
use super::outcome::{Outcome, Stage, Stop, Why, told};
use super::readiness::report;
use super::steps::{self, Did, Heard, Sides, same};
use super::verify::{Readiness, differing_versions, not_as_foretold, readiness, vms_left_out};
use crate::client::{Client, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::{Overview, Snapshot, Uuid};
use crate::plan::{Agreed, Plan, Purpose, Step, Work, losses_ahead, losses_of_join};
use crate::preflight::{Options, Report, Verdict};
use crate::text::plain;

/// A host that has become a member, and what the pool made of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Joined {
    /// The member's uuid, the same as before.
    pub host: Uuid,
    /// The member's ref in the pool, which is new.
    pub reference: String,
    /// Whether the host was a member already when the operation began.
    pub already_member: bool,
    /// The pool before the join, unless the host was a member already.
    pub before: Option<Overview>,
    /// The pool after the join.
    pub after: Overview,
    /// What was foretold and is not there, or not as foretold, a line each.
    ///
    /// XAPI imports the joiner's objects as well as it can, and reports success whatever is lost.
    pub missing: Vec<String>,
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.before {
            Some(before) => writeln!(f, "before\n{before}\nafter\n{}", self.after)?,
            None => writeln!(f, "was a member already\n{}", self.after)?,
        }
        match self.missing.as_slice() {
            [] => f.write_str("nothing is missing"),
            missing => write!(f, "missing\n  {}", missing.join("\n  ")),
        }
    }
}

/// How long the pool may take to show a host whose join raised a fault.
///
/// A fault may come after the deed, as one of the last steps; the record of the host is in the
/// pool's database by then, which a master that is just busy shows a little later.
const FAULT_GRACE: Duration = Duration::from_secs(15);

/// How long a host that the pool knows may still be its own master after a join that raised a
/// fault.
///
/// A host that follows is gone from its own pool with the restart of its toolstack. A join that
/// fails in its last steps leaves the host's records behind, and the host never follows.
const HALF_WAY_GRACE: Duration = Duration::from_secs(60);

/// How long a joiner may answer as its own master after a join whose reply was lost.
///
/// A member keeps its old role until its toolstack restarts; a join that waits for unreachable
/// members shows itself in 200 s each, so this is generous.
const SILENCE_GRACE: Duration = Duration::from_secs(300);

/// Makes a host a member of a pool, as planned; sees for itself that it became one.
///
/// `pool` is a client of the pool's master, `joiner` one of the host that joins. Remedies whose
/// effect holds already are skipped; before the join the preflight is asked again. If the host is a
/// member already, only the wait and the comparison are left. Remedies that can be taken back are,
/// in reverse order, if the join does not come about.
///
/// The outcome is `Done` once the host, by its uuid, is live and enabled at the master; `NotDone`
/// if the server refused or the world is not as planned; `Unknown` if the deadline passed while it
/// could not be told.
///
/// # Errors
/// `InvalidInput` if the plan is no join or is of another pool or host, `State` if it leaves
/// something to a person, `Cancelled`; what keeps a server from being asked at all.
pub fn join(
    pool: &Client,
    joiner: &Client,
    agreed: Agreed<'_>,
    control: &mut Control<'_>,
) -> Result<Outcome<Joined>> {
    let Agreed { plan, consent } = agreed;
    let (pool, joiner) = (control.over(pool), control.over(joiner));
    let mut run = control.begin(pool.clock(), plan.steps.len());
    join_in(Sides { pool: &pool, joiner: &joiner, consent }, plan, &mut run)
}

/// Makes a host a member as a part of a longer run.
pub(super) fn join_in(
    sides: Sides<'_>,
    plan: &Plan,
    run: &mut Run<'_, '_>,
) -> Result<Outcome<Joined>> {
    told(plan, || join_as_planned(sides, plan, run))
}

fn join_as_planned(sides: Sides<'_>, plan: &Plan, run: &mut Run<'_, '_>) -> Result<Joined, Stop> {
    plan.check()?;
    let Purpose::Join { options, .. } = &plan.purpose else {
        return Err(steps::other_purpose(plan, "a join").into());
    };
    let joining = Joining { sides, plan, options };
    let before = match joining.stand(run)? {
        Stand::Member => None,
        Stand::Alone { pool, own } => {
            joining.look_ahead(pool, own)?;
            Some(joining.arrive(run)?)
        }
    };
    joining.settle(before, run)
}

/// What is in the way of a host and not what the steps of its plan are for, a line each.
pub(super) fn not_removed(report: &Report, plan: &Plan) -> Vec<String> {
    let planned = |rule: &String| plan.steps.iter().any(|step| step.because.contains(rule));
    let new = report.blockers().filter(|finding| !planned(&finding.rule.to_string()));
    new.map(ToString::to_string).collect()
}

/// A host that joins, stage by stage.
struct Joining<'a> {
    sides: Sides<'a>,
    plan: &'a Plan,
    options: &'a Options,
}

/// How things stand before anything is done.
enum Stand {
    /// The pool knows the host.
    Member,
    /// It does not, and no join is under way.
    Alone { pool: Arc<Snapshot>, own: Arc<Snapshot> },
}

/// What is seen after a call that failed, as far as was heard.
enum Seen {
    /// The pool knows the host all the same.
    Member,
    /// It does not, and the host is master of its own pool.
    Stays,
    /// The pool knows the host, which is master of its own pool and stays so.
    HalfWay,
}

/// What is seen of a member that starts.
enum Settled {
    /// It is as ready as it will be without help.
    Ready(Box<Snapshot>),
    /// It is master of its own pool and stays so.
    HalfWay,
}

impl Joining<'_> {
    /// Waits for a join that somebody else ordered, or this caller before it was interrupted. Two
    /// joins of one host at a time would spoil each other.
    fn stand(&self, run: &mut Run<'_, '_>) -> Result<Stand, Stop> {
        let mut waited = false;
        let first = run.until(|_| {
            let busy = steps::is_joining(self.sides.joiner);
            // Looked at afterwards: a join that has ended is in it.
            let pool = self.sides.pool.settled_snapshot(Scope::Preflight)?;
            if self.is_member(&pool) {
                return Ok(Look::Seen(pool));
            }
            match busy {
                Ok(false) => Ok(Look::Seen(pool)),
                Ok(true) => {
                    waited = true;
                    Ok(Look::Awaited(String::from("another pool.join of the host to end")))
                }
                // It may be the end of that join which keeps the host from answering.
                Err(error) if waited => awaited(error, "the host"),
                Err(error) => Err(error),
            }
        });
        let first = match first {
            Err(error) if error.kind() == ErrorKind::Timeout && run.check().is_err() => {
                let why = Why::new("another pool.join of the host is under way").error(error);
                return Err(Stop::Unknown(why));
            }
            first => first?,
        };
        same("pool", &self.plan.pool.uuid, &first.the_pool()?.1.uuid)?;
        if self.is_member(&first) {
            return Ok(Stand::Member);
        }
        let own = self.sides.joiner.settled_snapshot(Scope::Preflight)?;
        same("host", &self.plan.host.uuid, &own.master()?.1.uuid)?;
        Ok(Stand::Alone { pool: first.into(), own: own.into() })
    }

    /// Stops before anything is done, if something would be lost that nobody agreed to.
    ///
    /// What is lost is told by what is seen, not by what the plan says of itself. What is in the
    /// way may pass by the time of the join, and is told only if nothing comes of it.
    fn look_ahead(&self, pool: Arc<Snapshot>, own: Arc<Snapshot>) -> Result<(), Stop> {
        let Sides { pool: theirs, joiner, consent } = self.sides;
        let report = report((theirs, pool), (joiner, own), self.options)?;
        for (step, losses) in losses_ahead(self.plan, &report) {
            let agreed = steps::check_consent(consent, self.plan, step, &losses);
            agreed.map_err(|error| {
                let why = Why::new("nothing was begun").error(error);
                Stop::NotDone(why.seen(not_removed(&report, self.plan)))
            })?;
        }
        Ok(())
    }

    /// Runs the steps up to the join, and sees the host arrive; takes them back if it does not
    /// join.
    ///
    /// Returns the preflight's report on the databases just before the join.
    fn arrive(&self, run: &mut Run<'_, '_>) -> Result<Report, Stop> {
        let mut done = Vec::new();
        let (before, heard) = self.act(&mut done, run).map_err(|stop| {
            let why = match stop {
                Stop::Error(error) if error.kind() != ErrorKind::Cancelled => {
                    Why::new("a step failed").error(error)
                }
                Stop::NotDone(why) => why,
                stop => return stop,
            };
            Stop::NotDone(why.seen(self.take_back(std::mem::take(&mut done), run)))
        })?;
        self.look(&heard, run)
            .map_err(|stop| stop.after(heard.error(), &[before.pool(), before.joiner()]))?;
        Ok(before)
    }

    /// Runs the steps up to the join; whether that was done is to be seen.
    fn act<'s>(
        &'s self,
        done: &mut Vec<&'s Step>,
        run: &mut Run<'_, '_>,
    ) -> Result<(Report, Heard), Stop> {
        for (n, step) in self.plan.steps.iter().enumerate() {
            run.step(n, &step.summary)?;
            match &step.work {
                Work::Act { action } => {
                    if steps::act(self.sides, self.plan, step, action, run)? == Did::It {
                        done.push(step);
                    }
                }
                Work::Join { force } => return self.call(step, *force, run),
                _ => break,
            }
        }
        Err(Error::new(ErrorKind::InvalidInput, "the plan has no step that joins").into())
    }

    fn call(
        &self,
        step: &Step,
        force: bool,
        run: &mut Run<'_, '_>,
    ) -> Result<(Report, Heard), Stop> {
        let Sides { pool, joiner, consent } = self.sides;
        let before = pool.settled_snapshot(Scope::Preflight)?.into();
        let own = joiner.settled_snapshot(Scope::Preflight)?.into();
        let report = report((pool, before), (joiner, own), self.options)?;
        if report.verdict() != Verdict::Ready && report.blockers().next().is_some() {
            let findings = report.blockers().map(ToString::to_string);
            let why = Why::new("the preflight found what the plan does not remove").seen(findings);
            return Err(Stop::NotDone(why));
        }
        let losses = losses_of_join(report.pool(), report.joiner(), force);
        steps::check_consent(consent, self.plan, step, &losses)?;
        let (_, master) = report.pool().master()?;
        let credentials = pool.credentials();
        let method = if force { "pool.join_force" } else { "pool.join" };
        let params = (master.address.as_str(), credentials.user(), credentials.password());
        // From here on nothing is certain but what the databases show.
        let heard = steps::order(joiner, method, &params, run)?;
        Ok((report, heard))
    }

    /// Sees what became of a call that failed, as far as was heard: that the host joined all the
    /// same, or why not.
    fn look(&self, heard: &Heard, run: &mut Run<'_, '_>) -> Result<(), Stop> {
        let grace = match heard {
            Heard::Done => return Ok(()),
            // A fault may come after the deed: the databases decide.
            Heard::Fault(_) => FAULT_GRACE,
            Heard::Nothing(_) => SILENCE_GRACE,
        };
        let called = run.now();
        let seen = run.until_answered("the pool's master", |run| {
            if self.is_member(&self.sides.pool.snapshot(Scope::Overview)?) {
                return Ok(Look::Seen(Seen::Member));
            }
            let alone = self.answers_alone();
            Ok(match alone && run.since(called) >= grace {
                true => Look::Seen(Seen::Stays),
                false => Look::Awaited(String::from("a sign of whether the host joined")),
            })
        });
        let late = |late: Error| {
            Why::new("it cannot be told whether the host joined").seen([late.to_string()])
        };
        let seen = match seen.or_unknown(late)? {
            // Known at the master, but the host may never follow.
            Seen::Member if matches!(heard, Heard::Fault(_)) => run
                .until(|run| {
                    Ok(match (self.answers_alone(), run.since(called) >= HALF_WAY_GRACE) {
                        (false, _) => Look::Seen(Seen::Member),
                        (true, true) => Look::Seen(Seen::HalfWay),
                        (true, false) => {
                            Look::Awaited(String::from("the host to leave its own pool"))
                        }
                    })
                })
                .or_unknown(late)?,
            seen => seen,
        };
        match seen {
            Seen::Member => Ok(()),
            Seen::Stays => Err(Stop::NotDone(Why::new("the join was not done").seen([
                format!("the pool does not know host {}", self.plan.host.uuid),
                String::from("the host still is the master of its own pool"),
            ]))),
            Seen::HalfWay => {
                let why = Why::new("the join failed half-way").seen(self.left_behind());
                Err(Stop::NotDone(why))
            }
        }
    }

    /// Waits until the member is live and enabled with its storage attached, then compares.
    fn settle(&self, before: Option<Report>, run: &mut Run<'_, '_>) -> Result<Joined, Stop> {
        let (mut ready_since, mut alone_since) = (None, None);
        let settled = run.last_step_of(self.plan).and_then(|()| {
            run.until_answered("the pool's master", |run| {
                let now = self.sides.pool.snapshot(Scope::Preflight)?;
                Ok(match readiness(&now, &self.plan.host.uuid) {
                    Readiness::NotYet(awaited) => {
                        ready_since = None;
                        let now = run.now();
                        alone_since = self.stands_alone().then(|| alone_since.unwrap_or(now));
                        match alone_since {
                            Some(since) if run.since(since) >= SILENCE_GRACE => {
                                Look::Seen(Settled::HalfWay)
                            }
                            _ => Look::Awaited(awaited),
                        }
                    }
                    Readiness::Ready => Look::Seen(Settled::Ready(Box::new(now))),
                    Readiness::Detached(names) => {
                        let since = *ready_since.get_or_insert_with(|| run.now());
                        match run.since(since) >= steps::STORAGE_GRACE {
                            true => Look::Seen(Settled::Ready(Box::new(now))),
                            false => Look::Awaited(format!("storage to be attached: {names}")),
                        }
                    }
                })
            })
        });
        let late = |late| Why::new("the host joined, but is not ready yet").error(late);
        match settled.or_unknown(late)? {
            Settled::Ready(after) => self.compare(before, &after),
            Settled::HalfWay => {
                let why = Why::new("a join of the host failed half-way").seen(self.left_behind());
                Err(Stop::NotDone(why))
            }
        }
    }

    /// What the pool made of the join, beside what was foretold.
    fn compare(&self, before: Option<Report>, after: &Snapshot) -> Result<Joined, Stop> {
        let host = &self.plan.host.uuid;
        let Some((reference, _)) = after.host.by_uuid(host) else {
            return Err(Stop::NotDone(Why::new("the host vanished from the pool")));
        };
        let mut missing = Vec::new();
        if let Readiness::Detached(names) = readiness(after, host) {
            missing.push(format!("storage is not attached: {names}"));
        }
        missing.extend(differing_versions(after, reference));
        if let Some(before) = &before {
            missing.extend(not_as_foretold(&before.changes_once_admitted(), after, reference));
            missing.extend(vms_left_out(before.joiner(), after));
        }
        Ok(Joined {
            host: host.clone(),
            reference: reference.to_string(),
            already_member: before.is_none(),
            before: before.map(|before| Overview::of(before.pool())).transpose()?,
            after: Overview::of(after)?,
            missing,
        })
    }

    fn is_member(&self, pool: &Snapshot) -> bool {
        pool.host.by_uuid(&self.plan.host.uuid).is_some()
    }

    /// Whether the host answers as a master, which is that of its own pool.
    fn answers_alone(&self) -> bool {
        self.sides.joiner.snapshot(Scope::Overview).is_ok()
    }

    /// Whether the host is the master of a pool of its own, and is not about to leave it.
    fn stands_alone(&self) -> bool {
        let joiner = self.sides.joiner;
        let alone = joiner
            .snapshot(Scope::Overview)
            .is_ok_and(|own| own.the_pool().is_ok_and(|(_, own)| own.uuid != self.plan.pool.uuid));
        let joins = |method| steps::is_under_way(joiner, method).unwrap_or(true);
        alone && !joins("pool.join") && !joins("pool.join_force")
    }

    /// What is seen of a join that did not come to its end.
    fn left_behind(&self) -> [String; 3] {
        [
            format!("the pool has records of host {} that it left behind", self.plan.host.uuid),
            String::from("the host still is the master of its own pool"),
            String::from("host.destroy on the pool removes the host's record"),
        ]
    }

    /// Takes back what was done, last first; says what became of it.
    fn take_back(&self, done: Vec<&Step>, run: &mut Run<'_, '_>) -> Vec<String> {
        done.into_iter()
            .rev()
            .filter_map(|step| {
                let action = step.undo()?;
                let (method, done) = (action.method().unwrap_or("a wait"), &step.summary);
                log::info!(operations, "takes back by {method}: {}", plain(done));
                Some(match steps::perform(self.sides, &action, run) {
                    Ok(()) => format!("taken back by {method}: {done}"),
                    Err(error) => format!("not taken back by {method}: {done}: {error}"),
                })
            })
            .collect()
    }
}
