//! Another host becomes master.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::control::{Control, Look, Run};
use super::diagnose::evidence;
use super::outcome::{Outcome, Stage, Stop, Why, told};
use super::steps::{self, Heard, same};
use crate::client::{Client, LoginFailure, Role, Scope};
use crate::election::{self, Confirmation};
use crate::error::Result;
use crate::model::{Overview, Snapshot, TaskStatus, Timestamp, Uuid};
use crate::plan::{self, Member, Plan, Purpose, Work};
use crate::text::quoted;

/// A host that is master, and the pool that follows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HandedOver {
    /// The master's uuid.
    pub host: Uuid,
    /// The master's address.
    pub address: String,
    /// Whether it was master when the operation began: nothing was called then.
    pub already_master: bool,
    /// The pool before, unless it was master already.
    pub before: Option<Overview>,
    /// The pool after.
    pub after: Overview,
    /// What is worth knowing, a line each.
    pub notes: Vec<String>,
}

impl fmt::Display for HandedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.before {
            Some(before) => write!(f, "{} handed over to ", before.master)?,
            None => f.write_str("was master already: ")?,
        }
        write!(f, "{}\n{}", self.after.master, self.after)?;
        self.notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}

/// How long after a hand-over that was said to be done the hosts may still have their old roles.
///
/// They change them when their toolstacks restart, after ten seconds; a second hand-over in between
/// breaks pools. In seconds, by the master's clock.
const FRESH: i64 = 60;

/// How long hosts that start are waited for before the call: their toolstack restarts in less.
const RESTART_GRACE: Duration = Duration::from_secs(300);

/// How long the old master may still rule after a call that failed, before it counts as not done.
///
/// A call that fails in its second phase leaves hosts behind that change their roles afterwards.
const FAULT_GRACE: Duration = Duration::from_secs(30);

/// How long the old master may still rule after a call that got no answer.
const SILENCE_GRACE: Duration = Duration::from_secs(90);

/// Has a host become master, as planned.
///
/// Sees for itself that it did, and that all others follow.
///
/// `pool` is a client of the pool. If the host is master already nothing is called. Before the call
/// every host is asked what it is, and [`election::planned`] decides anew; while another hand-over
/// is under way, or so fresh that the hosts still have their old roles, it is waited for. The call
/// is made once: what became of it is seen, at the new master.
///
/// The outcome is `Done` once the host is master, answers logins, and all members that the plan
/// lists follow it, live and enabled; `NotDone` if the old master stays, or if the hand-over left
/// the pool without a master (`HOST_BROKEN`), with what each host says and how to recover;
/// `Unknown` if the deadline passed before.
///
/// # Errors
/// `InvalidInput` if the plan is for something else or of another pool, `State` if it leaves
/// something to a person, `Cancelled`; what keeps a server from being asked at all.
pub fn hand_over(
    pool: &Client,
    plan: &Plan,
    control: &mut Control<'_>,
) -> Result<Outcome<HandedOver>> {
    let pool = control.over(pool);
    told(plan, || hand_over_as_planned(&pool, plan, control))
}

fn hand_over_as_planned(
    pool: &Client,
    plan: &Plan,
    control: &mut Control<'_>,
) -> Result<HandedOver, Stop> {
    plan.check()?;
    let Purpose::HandOver { members, confirmed, .. } = &plan.purpose else {
        return Err(steps::other_purpose(plan, "a hand-over").into());
    };
    let lack = "the plan does not say where the new master is";
    let address = steps::said_in(plan, lack, |work| match work {
        Work::Follow { address } => Some(address.as_str()),
        _ => None,
    })?;
    let mut run = control.begin(pool.clock(), plan.steps.len());
    run.step(0, "see who is master, and whether that is about to change")?;
    let hand = HandOver { pool, plan, members, confirmed, address };
    let before = match hand.stand(&mut run)? {
        Stand::Master => None,
        Stand::Free(now) => Some(hand.designate(&now, &mut run)?),
    };
    hand.settle(before, &mut run)
}

/// A change of master, stage by stage.
struct HandOver<'a> {
    pool: &'a Client,
    plan: &'a Plan,
    members: &'a [Member],
    confirmed: &'a BTreeSet<Confirmation>,
    address: &'a str,
}

/// How things stand before anything is done.
enum Stand {
    /// The host is master.
    Master,
    /// Another host is, and no hand-over is under way.
    Free(Box<Snapshot>),
}

/// What is seen after the call.
enum Seen {
    /// The host is master.
    Master,
    /// The old master still is.
    Stays,
    /// Nobody is, and the host is broken.
    Broken,
}

impl HandOver<'_> {
    /// Waits until no hand-over is under way.
    fn stand(&self, run: &mut Run<'_, '_>) -> Result<Stand, Stop> {
        let (began, mut fresh) = (run.now(), false);
        let stand = run.until_answered("the pool's master", |run| {
            let now = match self.pool.settled_snapshot(Scope::Failover) {
                Err(error) if self.is_lost() => return Ok(Look::Seen(Err(error))),
                now => now?,
            };
            same("pool", &self.plan.pool.uuid, &now.the_pool()?.1.uuid)?;
            if self.is_master(&now) {
                return Ok(Look::Seen(Ok(Stand::Master)));
            }
            if let Some(awaited) = self.fresh(&now)? {
                fresh = true;
                return Ok(Look::Awaited(awaited));
            }
            let patient = run.since(began) < RESTART_GRACE;
            Ok(match self.starting(fresh).filter(|_| patient) {
                Some(name) => Look::Awaited(format!("{name} to have started")),
                None => Look::Seen(Ok(Stand::Free(Box::new(now)))),
            })
        });
        let stand =
            stand.or_unknown(|late| Why::new("no master could be seen at rest").error(late))?;
        stand.map_err(|error| Stop::NotDone(self.broken().error(error)))
    }

    /// What is awaited of a hand-over that somebody ordered, if there is one.
    fn fresh(&self, now: &Snapshot) -> Result<Option<String>> {
        let tasks = steps::tasks(self.pool, METHOD)?;
        let pending = |status| matches!(status, TaskStatus::Pending | TaskStatus::Cancelling);
        if tasks.iter().any(|task| pending(task.status.clone())) {
            return Ok(Some(String::from("a hand-over to end")));
        }
        let done = tasks.iter().filter(|task| task.status == TaskStatus::Success);
        let Some(last) = done.map(|task| task.finished).max() else { return Ok(None) };
        let (master, _) = now.master()?;
        let time: Timestamp = self.pool.call("host.get_servertime", &(master,))?;
        let fresh = time.0.saturating_sub(last.0) < FRESH;
        Ok(fresh.then(|| String::from("the hosts to change their roles after a hand-over")))
    }

    /// A host that will be back by itself: it says that it starts, or the roles have just changed.
    fn starting(&self, fresh: bool) -> Option<&str> {
        let starts = |member: &&Member| match self.pool.role_of(&member.address) {
            Ok(_) => false,
            Err(error) => fresh || LoginFailure::of(&error) == LoginFailure::StillBooting,
        };
        self.members.iter().find(starts).map(|member| member.name.as_str())
    }

    /// Asks every host what it is, and hands over if nothing stands against it; returns the pool as
    /// it was.
    fn designate(&self, now: &Snapshot, run: &mut Run<'_, '_>) -> Result<Overview, Stop> {
        let mut evidence = evidence(self.pool, now)?;
        run.check()?;
        evidence.confirmed.clone_from(self.confirmed);
        let Some((target, _)) = now.host.by_uuid(&self.plan.host.uuid) else {
            return Err(Stop::NotDone(Why::new("the pool does not know the host any more")));
        };
        let anew = plan::hand_over(now, &evidence, target)?;
        let open = election::planned(now, &evidence)?.confirmations;
        if !anew.unsolved.is_empty() || !open.is_empty() {
            let refusals = anew.unsolved.iter().map(ToString::to_string);
            let open = open
                .iter()
                .map(|confirm| format!("not known, to be confirmed: {}", confirm.describe(now)));
            let why = Why::new("the pool cannot be handed over as things stand").seen(refusals);
            return Err(Stop::NotDone(why.seen(open)));
        }
        let before = Overview::of(now)?;
        run.step_of(self.plan, 0)?;
        // The task stays, for others to see that the hosts are about to change their roles.
        let heard = steps::order_and_keep(self.pool, METHOD, &(target,), run)?;
        self.look(&heard, run).map_err(|stop| stop.after(heard.error(), &[now]))?;
        Ok(before)
    }

    /// Sees what became of the call: that the host is master, or why not.
    fn look(&self, heard: &Heard, run: &mut Run<'_, '_>) -> Result<(), Stop> {
        let called = run.now();
        let grace = match heard {
            Heard::Done => Duration::MAX,
            Heard::Fault(_) => FAULT_GRACE,
            Heard::Nothing(_) => SILENCE_GRACE,
        };
        let seen = run.until_answered("the pool's new master", |run| {
            let waited = run.since(called);
            match self.pool.snapshot(Scope::Overview) {
                Ok(now) if self.is_master(&now) => Ok(Look::Seen(Seen::Master)),
                Ok(_) if waited >= grace && self.is_at_rest() => Ok(Look::Seen(Seen::Stays)),
                Ok(_) => Ok(Look::Awaited(format!("{} to be master", self.plan.host.name))),
                Err(_) if waited >= FAULT_GRACE && self.is_broken() => Ok(Look::Seen(Seen::Broken)),
                Err(error) => Err(error),
            }
        });
        let seen = seen.or_unknown(|late| {
            let why = Why::new("it cannot be told who is master").seen([late.to_string()]);
            why.seen(self.roles())
        })?;
        match seen {
            Seen::Master => Ok(()),
            Seen::Broken => Err(Stop::NotDone(self.broken())),
            Seen::Stays => {
                let why = Why::new("the old master still is master");
                let left = if self.is_broken() { self.left_broken() } else { Vec::new() };
                Err(Stop::NotDone(why.seen(left)))
            }
        }
    }

    /// Waits until all members follow the new master.
    fn settle(&self, before: Option<Overview>, run: &mut Run<'_, '_>) -> Result<HandedOver, Stop> {
        let settled = run.last_step_of(self.plan).and_then(|()| {
            run.until_answered("the pool's new master", |_| {
                let now = self.pool.snapshot(Scope::Overview)?;
                match self.straggler(&now) {
                    Some(awaited) => Ok(Look::Awaited(awaited)),
                    None => self.pool.snapshot(Scope::Failover).map(Look::Seen),
                }
            })
        });
        let after = settled.or_unknown(|late| {
            let why = Why::new("the master has changed, but the pool is not ready yet");
            why.error(late).seen(self.roles())
        })?;
        let (_, master) = after.master()?;
        let mut notes = Vec::new();
        for pbd in after.pbd.records().filter(|pbd| !pbd.currently_attached) {
            if let (Some(host), Some(sr)) = (after.get(&pbd.host), after.get(&pbd.SR)) {
                notes.push(format!(
                    "SR {} is not attached on {}",
                    quoted(&sr.name_label),
                    host.name_label
                ));
            }
        }
        let gone = self.members.iter().filter(|member| after.host.by_uuid(&member.uuid).is_none());
        notes.extend(gone.map(|member| format!("{} is no member any more", member.name)));
        Ok(HandedOver {
            host: master.uuid.clone(),
            address: master.address.clone(),
            already_master: before.is_none(),
            before,
            after: Overview::of(&after)?,
            notes,
        })
    }

    /// What is still awaited of the new master's pool.
    fn straggler(&self, now: &Snapshot) -> Option<String> {
        if !self.is_master(now) {
            return Some(format!("{} to be master", self.plan.host.name));
        }
        for member in self.members {
            let Some((reference, host)) = now.host.by_uuid(&member.uuid) else { continue };
            let name = &host.name_label;
            if now.is_live(reference) == Some(false) {
                return Some(format!("{name} to be live"));
            }
            if member.enabled && !host.enabled {
                return Some(format!("{name} to be enabled"));
            }
        }
        let others = self.members.iter().filter(|member| member.uuid != self.plan.host.uuid);
        let others = others.filter(|member| now.host.by_uuid(&member.uuid).is_some());
        others.into_iter().find_map(|member| {
            let follows = |master: &str| self.is_at(master);
            steps::awaited_of_member(self.pool, &member.name, &member.address, follows)
        })
    }

    fn is_at(&self, address: &str) -> bool {
        let here = self.pool.locate(self.address).ok();
        here.is_some() && self.pool.locate(address).ok() == here
    }

    fn is_master(&self, now: &Snapshot) -> bool {
        now.master().is_ok_and(|(_, master)| master.uuid == self.plan.host.uuid)
    }

    /// Whether the host lost its role in a hand-over that failed half-way.
    fn is_broken(&self) -> bool {
        self.pool.role_of(self.address).is_err_and(|error| error.is_fault("HOST_BROKEN"))
    }

    /// Whether the host lost its role, and nobody else is master.
    fn is_lost(&self) -> bool {
        let rules = |member: &Member| {
            let role = self.pool.role_of(&member.address);
            role.is_ok_and(|role| role == Role::Master(self.plan.pool.uuid.clone()))
        };
        self.is_broken() && !self.members.iter().any(rules)
    }

    /// Whether no hand-over is under way, as far as can be seen.
    fn is_at_rest(&self) -> bool {
        steps::is_under_way(self.pool, METHOD).is_ok_and(|under_way| !under_way)
    }

    /// The pool has no master: what each host says, and the way out.
    fn broken(&self) -> Why {
        let name = &self.plan.host.name;
        let why = Why::new(format!(
            "the hand-over failed half-way: {name} is broken (HOST_BROKEN), and nobody is master"
        ));
        why.seen(self.roles()).seen([
            String::from("to recover: diagnose, plan the recovery, and recover; or by hand"),
            String::from("to recover: 1. make sure that no other host is, or becomes, master"),
            format!(
                "to recover: 2. pool.emergency_transition_to_master on {name} at {}, in a local \
                 session; it has the database from just before",
                self.address
            ),
            format!("to recover: 3. wait until {name} answers, then pool.recover_slaves there"),
            String::from("to recover: 4. see that every host follows it"),
        ])
    }

    /// The pool has a master, but the host is broken: the way out.
    fn left_broken(&self) -> Vec<String> {
        let name = &self.plan.host.name;
        let mut lines = self.roles();
        lines.push(format!("{name} is broken (HOST_BROKEN)"));
        lines.push(format!(
            "to recover: pool.emergency_reset_master with the master's address on {name} at {}, in \
             a local session",
            self.address
        ));
        lines
    }

    /// What each host says of itself.
    fn roles(&self) -> Vec<String> {
        let role = |member: &Member| match self.pool.role_of(&member.address) {
            Ok(Role::Master(_)) => format!("{} says that it is master", member.name),
            Ok(Role::Member(master)) => format!("{} follows {master}", member.name),
            Err(error) => format!("{}: {error}", member.name),
        };
        self.members.iter().map(role).collect()
    }
}

const METHOD: &str = "pool.designate_new_master";
