//! A host leaves its pool.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::control::{Control, Look, Run, awaited};
use super::outcome::{Outcome, Stage, Stop, Why, told};
use super::steps::{self, Heard, same};
use crate::client::{Client, LoginFailure, Role, Scope};
use crate::error::{Error, Result};
use crate::model::{Host, Overview, Pbd, Ref, Snapshot, Uuid};
use crate::plan::{self, Agreed, Consent, Plan, Purpose, Step, Work};
use crate::text::quoted;

/// A host that has left its pool, and what is left of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ejected {
    /// The host's uuid, the same as before.
    pub host: Uuid,
    /// Whether the pool did not know the host any more when the operation began.
    pub already_gone: bool,
    /// The uuid of the pool of its own that the host has now.
    ///
    /// Unknown if what answers there is of no use to this client: see [`Self::notes`].
    pub alone: Option<Uuid>,
    /// The pool before, unless the host had left already.
    pub before: Option<Overview>,
    /// The pool after.
    pub after: Overview,
    /// What is worth knowing, a line each.
    pub notes: Vec<String>,
}

impl fmt::Display for Ejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.before {
            Some(before) => writeln!(f, "before\n{before}\nafter\n{}", self.after)?,
            None => writeln!(f, "had left already\n{}", self.after)?,
        }
        match &self.alone {
            Some(pool) => write!(f, "the host is alone in pool {pool}")?,
            None => f.write_str("the host has left")?,
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}

/// How long a host may take to say whether it left, after a call that failed.
const ROLE_GRACE: Duration = Duration::from_secs(300);

/// Has a host leave its pool, as planned.
///
/// Sees for itself that the host left, and that it is back alone.
///
/// `pool` is a client of the pool's master. Just before the call everything is looked at anew: what
/// would be refused is not tried, and if something else would be destroyed than was agreed to,
/// nothing is done and the difference is told. If the host has left already, only the wait is left.
/// Storage that a failed attempt detached is attached again.
///
/// The outcome is `Done` once the pool does not know the host and the host answers as a pool of its
/// own; `NotDone` if it stays a member; `Unknown` if the deadline passed before, with what was
/// seen.
///
/// # Errors
/// `InvalidInput` if the plan is for something else or of another pool, `State` if it leaves
/// something to a person, `Cancelled`; what keeps a server from being asked at all.
pub fn eject(
    pool: &Client,
    agreed: Agreed<'_>,
    control: &mut Control<'_>,
) -> Result<Outcome<Ejected>> {
    let Agreed { plan, consent } = agreed;
    let pool = control.over(pool);
    told(plan, || eject_as_planned(&pool, plan, consent, control))
}

fn eject_as_planned(
    pool: &Client,
    plan: &Plan,
    consent: &Consent,
    control: &mut Control<'_>,
) -> Result<Ejected, Stop> {
    plan.check()?;
    let Purpose::Eject { .. } = &plan.purpose else {
        return Err(steps::other_purpose(plan, "an ejection").into());
    };
    let lack = "the plan does not say where the host will be";
    let address = steps::said_in(plan, lack, |work| match work {
        Work::Alone { address } => Some(address.as_str()),
        _ => None,
    })?;
    let mut run = control.begin(pool.clock(), plan.steps.len());
    let first = pool.settled_snapshot(Scope::Failover)?;
    same("pool", &plan.pool.uuid, &first.the_pool()?.1.uuid)?;
    let leaving = Leaving { pool, plan, consent, address };
    let mut before = None;
    if first.host.by_uuid(&plan.host.uuid).is_some() {
        before = Some(Overview::of(&first)?);
        run.step_of(plan, 0)?;
        leaving.leave(&mut run)?;
    }
    leaving.come_back(before, &mut run)
}

/// A host that leaves, stage by stage.
struct Leaving<'a> {
    pool: &'a Client,
    plan: &'a Plan,
    consent: &'a Consent,
    address: &'a str,
}

/// What the host says of itself.
enum Stand {
    /// Still, or again, a member.
    Member,
    /// The master of another pool.
    Alone(Uuid),
    /// Somebody answers who is of no use.
    ///
    /// It does not trust or take the client, or does not come up by itself.
    Stranger(Error),
    /// Nobody answers, or not yet.
    Silent(Error),
}

impl Leaving<'_> {
    /// Has the host leave; it has once this returns.
    fn leave(&self, run: &mut Run<'_, '_>) -> Result<(), Stop> {
        let now = steps::rest(self.pool, METHOD, run)
            .and_then(|()| self.pool.settled_snapshot(Scope::Failover))
            .or_unknown(|late| Why::new("another pool.eject is under way").error(late))?;
        let Some((reference, _)) = now.host.by_uuid(&self.plan.host.uuid) else { return Ok(()) };
        self.check(&now, reference)?;
        let attached: Vec<_> = attached(&now, reference).cloned().collect();
        if attached.is_empty() {
            self.may_be_leaving(run)?;
        }
        let heard = steps::order(self.pool, METHOD, &(reference,), run)?;
        self.look(&heard, &attached, run).map_err(|stop| stop.after(heard.error(), &[&now]))
    }

    /// Whether the host may leave as things stand now, and destroy no more than was agreed to.
    fn check(&self, now: &Snapshot, host: &Ref<Host>) -> Result<(), Stop> {
        let anew = plan::eject(now, host)?;
        if !anew.unsolved.is_empty() {
            let refusals = anew.unsolved.iter().map(ToString::to_string);
            let why = Why::new("the host cannot leave as things stand").seen(refusals);
            return Err(Stop::NotDone(why));
        }
        let lacks = |step: &Step| !self.consent.missing(&anew, step, &step.destroys).is_empty();
        if anew.steps.iter().any(lacks) {
            let why = Why::new("other things would be destroyed than were agreed to");
            return Err(Stop::NotDone(why.seen(steps::difference(self.plan, &anew))));
        }
        Ok(())
    }

    /// Asks a host without attached storage whether it is leaving already, as one does that a call
    /// of somebody else has detached.
    ///
    /// The master may have died in between, and know nothing of that call.
    fn may_be_leaving(&self, run: &mut Run<'_, '_>) -> Result<(), Stop> {
        let why = || Why::new("it cannot be told whether the host is leaving already");
        let began = run.now();
        let stand = run.until(|run| {
            let waited = run.since(began);
            // Until its restart it answers as ever.
            if waited < UNTIL_RESTART {
                return Ok(Look::Awaited(String::from("the host to leave, if it is to")));
            }
            Ok(self.stand_after(waited, "is leaving"))
        });
        match stand.or_unknown(|late| why().seen([late.to_string()]))? {
            Stand::Member => Ok(()),
            Stand::Alone(own) => Err(self.left_its_record(&own)),
            Stand::Stranger(other) | Stand::Silent(other) => {
                Err(Stop::Unknown(why().seen([self.says(&other)])))
            }
        }
    }

    fn left_its_record(&self, own: &Uuid) -> Stop {
        let why = Why::new("the host left, but the pool still has its record");
        Stop::NotDone(why.seen([
            format!("{} is the master of pool {own}", self.plan.host.name),
            String::from("host.destroy removes its record once it is not live any more"),
        ]))
    }

    /// Sees what became of the call: that the host has left, or why not.
    fn look(
        &self,
        heard: &Heard,
        attached: &[Ref<Pbd>],
        run: &mut Run<'_, '_>,
    ) -> Result<(), Stop> {
        let why = || Why::new("it cannot be told whether the host left");
        let called = run.now();
        let seen = run.until_answered("the pool's master", |run| {
            let under_way = steps::is_under_way(self.pool, METHOD)?;
            let snapshot = self.pool.snapshot(Scope::Overview)?;
            if snapshot.host.by_uuid(&self.plan.host.uuid).is_none() {
                return Ok(Look::Seen(None));
            }
            let waited = run.since(called);
            let may_come = match heard {
                Heard::Done => true,
                Heard::Fault(_) => false,
                Heard::Nothing(_) => waited < steps::SILENCE_GRACE,
            };
            if under_way || may_come {
                return Ok(Look::Awaited(String::from("the pool to forget the host")));
            }
            Ok(self.stand_after(waited, "left").map(Some))
        });
        match seen.or_unknown(|late| why().seen([late.to_string()]))? {
            None => Ok(()),
            Some(Stand::Member) => {
                let again = self.attach_again(attached, run);
                Err(Stop::NotDone(Why::new("the host is still a member").seen(again)))
            }
            Some(Stand::Alone(own)) => Err(self.left_its_record(&own)),
            Some(Stand::Stranger(other) | Stand::Silent(other)) => {
                Err(Stop::Unknown(why().seen([self.says(&other)])))
            }
        }
    }

    /// What the host says of itself, once it says anything, or after a while all the same.
    fn stand_after(&self, waited: Duration, what: &str) -> Look<Stand> {
        match self.stand() {
            Stand::Silent(error) if waited < ROLE_GRACE => {
                Look::Awaited(format!("the host to say whether it {what} ({error})"))
            }
            stand => Look::Seen(stand),
        }
    }

    /// What answers where the host was.
    fn says(&self, error: &Error) -> String {
        format!("{} at {}: {error}", self.plan.host.name, self.address)
    }

    /// Waits until the host is back as a pool of its own.
    fn come_back(&self, before: Option<Overview>, run: &mut Run<'_, '_>) -> Result<Ejected, Stop> {
        let name = &self.plan.host.name;
        let back = run.last_step_of(self.plan).and_then(|()| {
            run.until_answered("the pool's master", |_| {
                let (alone, notes) = match self.stand() {
                    Stand::Member => return Ok(Look::Awaited(format!("{name} to leave"))),
                    Stand::Silent(error) => {
                        let whom = format!("{name} at {} ({error})", self.address);
                        return Ok(Look::Awaited(whom));
                    }
                    Stand::Stranger(error) => (None, vec![stranger(name, &error)]),
                    Stand::Alone(pool) => {
                        let host = self.pool.beside(self.address);
                        match host.and_then(|host| host.snapshot(Scope::Overview)) {
                            Ok(own) => self.recognise(pool, &own),
                            Err(error) => return awaited(error, name),
                        }
                    }
                };
                Ok(Look::Seen((alone, notes, self.pool.snapshot(Scope::Failover)?)))
            })
        });
        let (alone, notes, after) = back.or_unknown(|late| {
            Why::new("the host left the pool, but is not back on its own yet").error(late)
        })?;
        let after = Overview::of(&after)?;
        let (host, already_gone) = (self.plan.host.uuid.clone(), before.is_none());
        Ok(Ejected { host, already_gone, alone, before, after, notes })
    }

    /// Whether this is the host, and what is to be known of it.
    fn recognise(&self, pool: Uuid, own: &Snapshot) -> (Option<Uuid>, Vec<String>) {
        if own.host.by_uuid(&self.plan.host.uuid).is_none() {
            let note = format!("at {} there is another host now", self.address);
            return (None, vec![note]);
        }
        let unverified =
            |(_, pool): (_, &crate::model::Pool)| pool.tls_verification_enabled == Some(false);
        let mut notes = Vec::new();
        if own.the_pool().is_ok_and(unverified) {
            let how = "pool.enable_tls_verification before it joins a pool that has it";
            notes.push(format!("it does not verify certificates: {how}"));
        }
        (Some(pool), notes)
    }

    fn stand(&self) -> Stand {
        let error = match self.pool.role_of(self.address) {
            Ok(Role::Member(_)) => return Stand::Member,
            Ok(Role::Master(pool)) if pool == self.plan.pool.uuid => return Stand::Member,
            Ok(Role::Master(pool)) => return Stand::Alone(pool),
            Err(error) => error,
        };
        let failure = LoginFailure::of(&error);
        match failure {
            LoginFailure::Certificate | LoginFailure::BadPassword | LoginFailure::NotXapi => {
                Stand::Stranger(error)
            }
            // Its power failed as it was being set up anew, for example.
            LoginFailure::Emergency(_) if !failure.may_pass() => Stand::Stranger(error),
            _ => Stand::Silent(error),
        }
    }

    /// Attaches what a failed attempt detached; says what became of it.
    fn attach_again(&self, attached: &[Ref<Pbd>], run: &mut Run<'_, '_>) -> Vec<String> {
        let Ok(now) = self.pool.snapshot(Scope::Overview) else {
            return vec![String::from("storage that was detached stays so")];
        };
        let detached = attached.iter().filter_map(|pbd| Some((pbd, now.get(pbd)?)));
        let detached = detached.filter(|(_, record)| !record.currently_attached);
        detached
            .map(|(pbd, record)| {
                let name = quoted(now.get(&record.SR).map_or("?", |sr| sr.name_label.as_str()));
                let plugged = steps::order(self.pool, "PBD.plug", &(pbd,), run);
                match plugged.map(Heard::error) {
                    Ok(None) => format!("{name} is attached again"),
                    Ok(Some(error)) | Err(error) => {
                        format!("{name} was detached and could not be attached again: {error}")
                    }
                }
            })
            .collect()
    }
}

fn attached<'a>(snapshot: &'a Snapshot, host: &'a Ref<Host>) -> impl Iterator<Item = &'a Ref<Pbd>> {
    let own = snapshot.pbd.iter().filter(|(_, pbd)| pbd.host == *host && pbd.currently_attached);
    own.map(|(reference, _)| reference)
}

fn stranger(name: &str, error: &Error) -> String {
    format!("what answers where {name} was is of no use: {error}")
}

const METHOD: &str = "pool.eject";

/// How long a host that leaves may answer as a member: until its toolstack restarts, and some more.
const UNTIL_RESTART: Duration = steps::RESTART_FUSE.saturating_add(Duration::from_secs(5));
