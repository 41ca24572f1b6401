//! One host joins a pool.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::control::{Control, Look, Run};
use super::outcome::{Outcome, Why, told};
use super::steps::{self, Did, Heard, Sides, awaited, same};
use crate::actions::Action;
use crate::client::{Client, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::{Host, Overview, Ref, Snapshot, Uuid};
use crate::plan::{Consent, Plan, Purpose, Step, Work};
use crate::preflight::consequences::{self, Attempt as JoinCall, Changes};
use crate::preflight::{self, Options, Verdict};

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
    /// The pool before the join; none if the host was a member already.
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

/// How long storage may take to be attached once the host is live and enabled.
///
/// Members attach their storage before they enable themselves; what is not attached shortly after
/// will not be without help, and is reported as missing.
const STORAGE_GRACE: Duration = Duration::from_secs(60);

/// How long a joiner may answer as its own master after a join whose reply was lost.
///
/// A member keeps its old role for the 10 s of the restart fuse (`Constants.fuse_time`); a join
/// that waits for unreachable members shows itself in 200 s each, so this is generous.
const ROLE_GRACE: Duration = Duration::from_secs(300);

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
    plan: &Plan,
    consent: &Consent,
    control: &mut Control<'_>,
) -> Result<Outcome<Joined>> {
    let mut run = control.begin(pool.clock(), plan.steps.len());
    join_in(pool, joiner, plan, consent, &mut run)
}

/// The same, as a part of a longer run.
pub(super) fn join_in(
    pool: &Client,
    joiner: &Client,
    plan: &Plan,
    consent: &Consent,
    run: &mut Run<'_, '_>,
) -> Result<Outcome<Joined>> {
    told(plan, || join_as_planned(pool, joiner, plan, consent, run))
}

fn join_as_planned(
    pool: &Client,
    joiner: &Client,
    plan: &Plan,
    consent: &Consent,
    run: &mut Run<'_, '_>,
) -> Result<Outcome<Joined>> {
    plan.check()?;
    let Purpose::Join { options } = &plan.purpose else {
        return steps::other_purpose(plan, "a join");
    };
    let sides = Sides { pool, joiner };
    let first = match wait_for_another(sides, &plan.host.uuid, run) {
        Ok(first) => first,
        Err(error) if error.kind() == ErrorKind::Timeout && run.check().is_err() => {
            let why = Why::new("another pool.join of the host is under way").error(error);
            return Ok(Outcome::Unknown(why));
        }
        Err(error) => return Err(error),
    };
    same("pool", &plan.pool.uuid, &first.the_pool()?.1.uuid)?;
    if first.host.by_uuid(&plan.host.uuid).is_some() {
        return settle(sides, plan, None, run);
    }
    let before = joiner.settled_snapshot(Scope::Preflight)?;
    let (_, host) = before.master()?;
    same("host", &plan.host.uuid, &host.uuid)?;

    let mut undo = Vec::new();
    let attempt = attempt(sides, plan, options, consent, &mut undo, run);
    let (snapshots, heard) = match attempt {
        Ok(Attempt::Joining(snapshots, heard)) => (snapshots, heard),
        Ok(Attempt::Refused(why)) => {
            return Ok(Outcome::NotDone(why.seen(take_back(sides, undo, run))));
        }
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => {
            let taken_back = take_back(sides, undo, run);
            let why = Why::new("a step failed").error(error).seen(taken_back);
            return Ok(Outcome::NotDone(why));
        }
    };
    settle_after(sides, plan, &snapshots, heard, run)
}

/// Waits for a join that somebody else ordered, or this caller before it was interrupted; answers
/// the pool as it is then. Two joins of one host at a time would spoil each other.
fn wait_for_another(sides: Sides<'_>, host: &Uuid, run: &mut Run<'_, '_>) -> Result<Snapshot> {
    let mut waited = false;
    run.until(|_| {
        let busy = steps::is_joining(sides.joiner);
        // Looked at afterwards: a join that has ended is in it.
        let pool = sides.pool.settled_snapshot(Scope::Preflight)?;
        if pool.host.by_uuid(host).is_some() {
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
    })
}

/// The databases just before the join.
struct Before {
    pool: Snapshot,
    joiner: Snapshot,
}

enum Attempt {
    /// The join was called; whether it was done is to be seen.
    Joining(Box<Before>, Heard),
    /// The join was not called.
    Refused(Why),
}

fn attempt(
    sides: Sides<'_>,
    plan: &Plan,
    options: &Options,
    consent: &Consent,
    undo: &mut Vec<Action>,
    run: &mut Run<'_, '_>,
) -> Result<Attempt> {
    for (n, step) in plan.steps.iter().enumerate() {
        run.step(n, &step.summary)?;
        match &step.work {
            Work::Act { action } => {
                if steps::act(sides, step, action, consent, run)? == Did::It {
                    undo.extend(action.undo());
                }
            }
            Work::Join { force } => return call_join(sides, options, *force, run),
            _ => break,
        }
    }
    Err(Error::new(ErrorKind::InvalidInput, "the plan has no step that joins"))
}

fn call_join(
    sides: Sides<'_>,
    options: &Options,
    force: bool,
    run: &mut Run<'_, '_>,
) -> Result<Attempt> {
    let before = Box::new(Before {
        pool: sides.pool.settled_snapshot(Scope::Preflight)?,
        joiner: sides.joiner.settled_snapshot(Scope::Preflight)?,
    });
    let report = preflight::evaluate_with(&before.pool, &before.joiner, options);
    if report.verdict() != Verdict::Ready && report.blockers().next().is_some() {
        let findings = report.blockers().map(ToString::to_string);
        return Ok(Attempt::Refused(
            Why::new("the preflight found what the plan does not remove").seen(findings),
        ));
    }
    let (_, master) = before.pool.master()?;
    let credentials = sides.pool.credentials();
    let method = if force { "pool.join_force" } else { "pool.join" };
    let params = (master.address.as_str(), credentials.user(), credentials.password());
    // From here on nothing is certain but what the databases show.
    let heard = steps::order(sides.joiner, method, &params, run)?;
    Ok(Attempt::Joining(before, heard))
}

/// Waits for the host at the master, unless the join was refused outright.
fn settle_after(
    sides: Sides<'_>,
    plan: &Plan,
    before: &Before,
    heard: Heard,
    run: &mut Run<'_, '_>,
) -> Result<Outcome<Joined>> {
    let certain = matches!(heard, Heard::Fault(_));
    if let Some(error) = heard.error() {
        // A fault may come after the deed: the databases decide.
        let refused_at = run.now();
        let grace = if certain { Duration::from_secs(15) } else { ROLE_GRACE };
        let arrived = run.until(|run| {
            let snapshot = match sides.pool.snapshot(Scope::Overview) {
                Ok(snapshot) => snapshot,
                Err(error) => return awaited(error, "the pool's master"),
            };
            if snapshot.host.by_uuid(&plan.host.uuid).is_some() {
                return Ok(Look::Seen(true));
            }
            let standalone = sides.joiner.snapshot(Scope::Overview).is_ok();
            let waited = run.now().saturating_sub(refused_at);
            Ok(match waited >= grace && standalone {
                true => Look::Seen(false),
                false => Look::Awaited(String::from("a sign of whether the host joined")),
            })
        });
        match arrived {
            Ok(true) => {}
            Ok(false) => {
                let why = Why::new("the join was not done").error(error).seen([
                    format!("the pool does not know host {}", plan.host.uuid),
                    String::from("the host still is the master of its own pool"),
                ]);
                return Ok(Outcome::NotDone(why));
            }
            Err(late) if late.kind() == ErrorKind::Timeout => {
                let why = Why::new("it cannot be told whether the host joined")
                    .error(error)
                    .seen([late.to_string()]);
                return Ok(Outcome::Unknown(why));
            }
            Err(error) => return Err(error),
        }
        // Known at the master, but the host may never follow: a join that fails in its last steps
        // leaves its records behind.
        if certain && sides.joiner.snapshot(Scope::Overview).is_ok() {
            let left = run.until(|run| {
                let alone = sides.joiner.snapshot(Scope::Overview).is_ok();
                let waited = run.now().saturating_sub(refused_at);
                Ok(match (alone, waited >= ROLE_GRACE.min(Duration::from_secs(60))) {
                    (false, _) => Look::Seen(false),
                    (true, true) => Look::Seen(true),
                    (true, false) => Look::Awaited(String::from("the host to leave its own pool")),
                })
            })?;
            if left {
                let why = Why::new("the join failed half-way").error(error).seen(left_behind(plan));
                return Ok(Outcome::NotDone(why));
            }
        }
    }
    settle(sides, plan, Some(before), run)
}

/// Waits until the member is live and enabled with its storage attached, then compares.
fn settle(
    sides: Sides<'_>,
    plan: &Plan,
    before: Option<&Before>,
    run: &mut Run<'_, '_>,
) -> Result<Outcome<Joined>> {
    let last = plan.steps.len().saturating_sub(1);
    let summary = plan.steps.last().map_or("", |step: &Step| step.summary.as_str());
    let pool = sides.pool;
    let (mut ready_since, mut alone_since) = (None, None);
    let waited = run.step(last, summary).and_then(|()| {
        run.until(|run| {
            let snapshot = match pool.snapshot(Scope::Preflight) {
                Ok(snapshot) => snapshot,
                Err(error) => return awaited(error, "the pool's master"),
            };
            Ok(match readiness(&snapshot, &plan.host.uuid) {
                Readiness::NotYet(awaited) => {
                    ready_since = None;
                    let now = run.now();
                    let since = stands_alone(sides, plan).then(|| alone_since.unwrap_or(now));
                    alone_since = since;
                    match since {
                        Some(since) if now.saturating_sub(since) >= ROLE_GRACE => Look::Seen(None),
                        _ => Look::Awaited(awaited),
                    }
                }
                Readiness::Ready(_) => Look::Seen(Some(snapshot)),
                Readiness::Detached(names) => {
                    let since = *ready_since.get_or_insert_with(|| run.now());
                    match run.now().saturating_sub(since) >= STORAGE_GRACE {
                        true => Look::Seen(Some(snapshot)),
                        false => Look::Awaited(format!("storage to be attached: {names}")),
                    }
                }
            })
        })
    });
    let after = match waited {
        Ok(Some(after)) => after,
        Ok(None) => {
            let why = Why::new("a join of the host failed half-way").seen(left_behind(plan));
            return Ok(Outcome::NotDone(why));
        }
        Err(error) if error.kind() == ErrorKind::Timeout => {
            let why = Why::new("the host joined, but is not ready yet").error(error);
            return Ok(Outcome::Unknown(why));
        }
        Err(error) => return Err(error),
    };
    let Some((reference, _)) = after.host.by_uuid(&plan.host.uuid) else {
        return Ok(Outcome::NotDone(Why::new("the host vanished from the pool")));
    };
    let mut missing = Vec::new();
    if let Readiness::Detached(names) = readiness(&after, &plan.host.uuid) {
        missing.push(format!("storage is not attached: {names}"));
    }
    missing.extend(differing_versions(&after, reference));
    if let Some(before) = before {
        let call = JoinCall::join();
        let (_, changes) = consequences::foretell_with_changes(&before.pool, &before.joiner, &call);
        missing.extend(not_as_foretold(&changes, &after, reference));
    }
    Ok(Outcome::Done(Joined {
        host: plan.host.uuid.clone(),
        reference: reference.to_string(),
        already_member: before.is_none(),
        before: before.map(|before| Overview::of(&before.pool)).transpose()?,
        after: Overview::of(&after)?,
        missing,
    }))
}

/// What is seen of a join that did not come to its end.
fn left_behind(plan: &Plan) -> [String; 3] {
    [
        format!("the pool has records of host {} that it left behind", plan.host.uuid),
        String::from("the host still is the master of its own pool"),
        String::from("host.destroy on the pool removes the host's record"),
    ]
}

/// Whether the host is the master of a pool of its own, and is not about to leave it.
fn stands_alone(sides: Sides<'_>, plan: &Plan) -> bool {
    let alone = sides
        .joiner
        .snapshot(Scope::Overview)
        .is_ok_and(|own| own.the_pool().is_ok_and(|(_, own)| own.uuid != plan.pool.uuid));
    let joins = |method| steps::is_under_way(sides.joiner, method).unwrap_or(true);
    alone && !joins("pool.join") && !joins("pool.join_force")
}

enum Readiness {
    /// This is still to come.
    NotYet(String),
    /// Live and enabled, but these storage repositories are not attached.
    Detached(String),
    Ready(()),
}

fn readiness(snapshot: &Snapshot, uuid: &Uuid) -> Readiness {
    let Some((reference, host)) = snapshot.host.by_uuid(uuid) else {
        return Readiness::NotYet(String::from("the host to appear in the pool"));
    };
    if snapshot.is_live(reference) != Some(true) {
        return Readiness::NotYet(format!("{} to be live", host.name_label));
    }
    if !host.enabled {
        return Readiness::NotYet(format!("{} to be enabled", host.name_label));
    }
    let detached: Vec<_> = snapshot
        .pbd
        .records()
        .filter(|pbd| pbd.host == *reference && !pbd.currently_attached)
        .map(|pbd| snapshot.get(&pbd.SR).map_or("?", |sr| sr.name_label.as_str()))
        .collect();
    match detached.is_empty() {
        true => Readiness::Ready(()),
        false => Readiness::Detached(detached.join(", ")),
    }
}

/// The keys of `software_version` that a member shares with its master.
const SAME_VERSIONS: &[&str] = &["product_version", "platform_version", "xapi", "db_schema"];

fn differing_versions(after: &Snapshot, member: &Ref<Host>) -> Vec<String> {
    let (Ok((_, master)), Some(member)) = (after.master(), after.get(member)) else {
        return Vec::new();
    };
    SAME_VERSIONS
        .iter()
        .filter(|key| master.software(key) != member.software(key))
        .map(|key| {
            let of = |host: &Host| host.software(key).unwrap_or("none").to_owned();
            format!("{key} is {} and {} at the master", of(member), of(master))
        })
        .collect()
}

/// What was to arrive with the host and is not there.
fn not_as_foretold(changes: &Changes, after: &Snapshot, member: &Ref<Host>) -> Vec<String> {
    let mut missing = Vec::new();
    for sr in changes.added.sr.records().filter(|sr| after.sr.by_uuid(&sr.uuid).is_none()) {
        missing.push(format!("SR {:?} ({})", sr.name_label, sr.uuid));
    }
    for vdi in changes.added.vdi.records().filter(|vdi| after.vdi.by_uuid(&vdi.uuid).is_none()) {
        missing.push(format!("disk {:?} ({})", vdi.name_label, vdi.uuid));
    }
    for vm in changes.added.vm.records().filter(|vm| after.vm.by_uuid(&vm.uuid).is_none()) {
        missing.push(format!("VM {:?} ({})", vm.name_label, vm.uuid));
    }
    for pif in changes.added.pif.records() {
        let what = match pif.VLAN {
            -1 => pif.device.clone(),
            tag => format!("{} VLAN {tag}", pif.device),
        };
        let found = after.pif.records().find(|found| {
            found.host == *member && found.device == pif.device && found.VLAN == pif.VLAN
        });
        let bridge = |snapshot: &Snapshot, network| {
            snapshot.get(network).map(|network: &crate::model::Network| network.bridge.clone())
        };
        let foretold = bridge(after, &pif.network).or_else(|| bridge(&changes.added, &pif.network));
        match found {
            None => missing.push(format!("interface {what}")),
            Some(found) if foretold.is_some() && bridge(after, &found.network) != foretold => {
                missing.push(format!("interface {what} is on another network than foretold"));
            }
            Some(_) => {}
        }
    }
    missing
}

/// Takes back what was done, last first; says what became of it.
fn take_back(sides: Sides<'_>, undo: Vec<Action>, run: &mut Run<'_, '_>) -> Vec<String> {
    undo.into_iter()
        .rev()
        .map(|action| {
            let (class, reference) = action.object();
            let what = format!("{} of {class} {reference}", action.method().unwrap_or("wait"));
            log::info!(operations, "takes back by {what}");
            match steps::perform(sides, &action, run) {
                Ok(()) => format!("taken back by {what}"),
                Err(error) => format!("could not be taken back by {what}: {error}"),
            }
        })
        .collect()
}
