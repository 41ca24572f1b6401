//! Running the single actions of a plan, each checked before and after.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::control::{Look, Run};
use crate::actions::{Action, Argument, Loss, Side};
use crate::client::{Client, Role, Scope};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::log;
use crate::model::{Ref, Snapshot, Task, TaskStatus, Uuid};
use crate::plan::{Consent, Plan, Step, Work};
use crate::wire::Params;

/// Both ends of a join, and what may be destroyed at them.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) pool: &'a Client,
    pub(super) joiner: &'a Client,
    pub(super) consent: &'a Consent,
}

impl<'a> Sides<'a> {
    /// One pool, which nobody joins.
    pub(super) fn only(pool: &'a Client, consent: &'a Consent) -> Self {
        Self { pool, joiner: pool, consent }
    }

    pub(super) fn client(self, side: Side) -> &'a Client {
        match side {
            Side::Pool => self.pool,
            Side::Both | Side::Joiner => self.joiner,
        }
    }
}

/// Whether an action did anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// Its effect held already.
    Nothing,
    /// It was run, and its effect holds now.
    It,
}

/// Runs one action, unless its effect holds already; stops before it destroys what nobody agreed
/// to.
pub(super) fn act(
    sides: Sides<'_>,
    plan: &Plan,
    step: &Step,
    action: &Action,
    run: &mut Run<'_, '_>,
) -> Result<Did> {
    let (client, effect) = (sides.client(action.side()), action.effect());
    let began = run.now();
    let heard = run.until(|run| {
        let snapshot = client.settled_snapshot(Scope::Preflight)?;
        if effect.holds(&snapshot) == Some(true) {
            return Ok(Look::Seen(None));
        }
        check_preconditions(step, action, &snapshot)?;
        check_consent(sides.consent, plan, step, &action.destroys(&snapshot))?;
        Ok(match call(sides, action, run)? {
            Heard::Fault(error) if is_busy(&error) && run.since(began) < BUSY_GRACE => {
                Look::Awaited(format!("another operation to end before {}", step.summary))
            }
            heard => Look::Seen(Some(heard)),
        })
    })?;
    let lost = match heard {
        None => {
            run.skip();
            return Ok(Did::Nothing);
        }
        Some(Heard::Done) => None,
        Some(Heard::Fault(error)) => return Err(error.context(&step.summary)),
        Some(Heard::Nothing(error)) => Some(error),
    };
    let called = run.now();
    let holds = run.until_answered("the server", |run| {
        Ok(match effect.holds(&client.snapshot(Scope::Preflight)?) {
            Some(true) => Look::Seen(true),
            _ if lost.is_some() && run.since(called) >= SILENCE_GRACE => Look::Seen(false),
            _ => Look::Awaited(format!("the effect of {}", step.summary)),
        })
    })?;
    match lost {
        Some(error) if !holds => Err(Error::new(
            ErrorKind::State,
            format!("{} had no answer and no effect: {error}", step.summary),
        )),
        _ => Ok(Did::It),
    }
}

/// Whether the server does something else with the object, which it may have been told by this
/// caller before it was interrupted.
fn is_busy(error: &Error) -> bool {
    error.is_fault("OTHER_OPERATION_IN_PROGRESS")
}

/// How long something else may go on with the object of an action: the shutdown of a VM, for
/// example, takes minutes.
const BUSY_GRACE: Duration = Duration::from_secs(300);

/// How long the effect of a call that got no answer may take to show.
pub(super) const SILENCE_GRACE: Duration = Duration::from_secs(60);

/// How long a host that was told to change its role, or to leave, answers as ever: the fuse of its
/// toolstack's restart (xen-api `Constants.fuse_time`).
pub(super) const RESTART_FUSE: Duration = Duration::from_secs(10);

/// How long storage may take to be attached once the host is live.
///
/// Members attach their storage before they enable themselves; what is not attached shortly after
/// will not be without help, and is reported as missing.
pub(super) const STORAGE_GRACE: Duration = Duration::from_secs(60);

fn check_preconditions(step: &Step, action: &Action, snapshot: &Snapshot) -> Result<()> {
    for condition in action.preconditions() {
        if condition.holds(snapshot) != Some(true) {
            return Err(Error::new(
                ErrorKind::State,
                format!(
                    "{}: the world changed, it does not hold any more that {}",
                    step.summary,
                    condition.describe(snapshot)
                ),
            ));
        }
    }
    Ok(())
}

/// What would be lost now must be what was shown when consent was given.
pub(super) fn check_consent(
    consent: &Consent,
    plan: &Plan,
    step: &Step,
    losses: &[Loss],
) -> Result<()> {
    let missing = consent.missing(plan, step, losses);
    if missing.is_empty() {
        return Ok(());
    }
    let now: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let planned: Vec<_> = step.destroys.iter().map(ToString::to_string).collect();
    Err(Error::new(
        ErrorKind::State,
        format!(
            "{} would destroy {}, to which nobody agreed (planned: {})",
            step.summary,
            now.join("; "),
            if planned.is_empty() { Cow::Borrowed("nothing") } else { planned.join("; ").into() }
        ),
    ))
}

/// Makes the call of an action, as a task where XAPI has it as one.
pub(super) fn perform(sides: Sides<'_>, action: &Action, run: &mut Run<'_, '_>) -> Result<()> {
    // The task's result is not looked at: what was done is read from the state afterwards.
    call(sides, action, run)?.error().map_or(Ok(()), Err)
}

fn call(sides: Sides<'_>, action: &Action, run: &mut Run<'_, '_>) -> Result<Heard> {
    let Some(method) = action.method() else { return Ok(Heard::Done) };
    let params = values(sides, &action.arguments())?;
    order(sides.client(action.side()), method, &params, run)
}

/// Arguments as JSON; the calls whose results are arguments are made.
fn values(sides: Sides<'_>, arguments: &[Argument]) -> Result<Vec<Value>> {
    let value = |argument: &Argument| {
        Ok(match argument {
            Argument::Bool(value) => Value::from(*value),
            Argument::Map(map) => {
                map.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()
            }
            Argument::ResultOf { side, method, arguments } => {
                let params = values(sides, arguments)?;
                sides.client(*side).call::<Value>(method, &params)?
            }
            Argument::Set(set) => set.iter().map(|text| Value::from(text.as_str())).collect(),
            Argument::Text(text) => Value::from(text.as_str()),
        })
    };
    arguments.iter().map(value).collect()
}

/// How a call that changes the world ended, as far as its caller heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// The server says that it is done.
    Done,
    /// The server raised this; what it had done by then may stay.
    Fault(Error),
    /// Nothing: the call may have been done, may be under way, or never came in.
    Nothing(Error),
}

impl Heard {
    fn of(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Fault => Self::Fault(error),
            _ => Self::Nothing(error),
        }
    }

    /// What was heard instead of success.
    pub(super) fn error(self) -> Option<Error> {
        match self {
            Self::Done => None,
            Self::Fault(error) | Self::Nothing(error) => Some(error),
        }
    }
}

/// Makes a call, once, as a task where XAPI has it as one, and follows it to its end.
///
/// # Errors
/// `Cancelled`, which leaves the call running. Nothing was sent for `InvalidInput` and `Trust`.
pub(super) fn order(
    client: &Client,
    method: &str,
    params: &(impl Params + ?Sized),
    run: &mut Run<'_, '_>,
) -> Result<Heard> {
    let followed = follow(client, method, params, run).map(|(heard, task)| {
        if let Some(task) = task {
            // It would vanish by itself within the day.
            let _ = client.call::<()>("task.destroy", &(task,));
        }
        heard
    });
    told(client, method, followed)
}

/// Makes a call as [`order`] does, but leaves its task in the database: the trace of what was done
/// lately.
pub(super) fn order_and_keep(
    client: &Client,
    method: &str,
    params: &(impl Params + ?Sized),
    run: &mut Run<'_, '_>,
) -> Result<Heard> {
    let followed = follow(client, method, params, run);
    told(client, method, followed.map(|(heard, _)| heard))
}

/// Tells the log how a call that changes the world ended.
fn told(client: &Client, method: &str, heard: Result<Heard>) -> Result<Heard> {
    if !log::is_on!(operations, Warn) {
        return heard;
    }
    let (endpoint, brief) = (client.endpoint(), log::brief);
    match &heard {
        Ok(Heard::Done) => log::info!(operations, "{method} at {endpoint}: done"),
        Ok(Heard::Fault(error)) => {
            log::warning!(operations, "{method} at {endpoint}: failed: {}", brief(error));
        }
        Ok(Heard::Nothing(error)) => {
            let error = brief(error);
            log::warning!(operations, "{method} at {endpoint}: its outcome is unknown: {error}");
        }
        Err(error) => {
            log::warning!(operations, "{method} at {endpoint}: given up: {}", brief(error));
        }
    }
    heard
}

/// How a call ended, and its task if that has ended too.
type Followed = (Heard, Option<Ref<Task>>);

fn follow(
    client: &Client,
    method: &str,
    params: &(impl Params + ?Sized),
    run: &mut Run<'_, '_>,
) -> Result<Followed> {
    let passes = |error: &Error| {
        matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::InvalidInput | ErrorKind::Trust)
    };
    let task = match client.start(method, params) {
        Ok(task) => task,
        Err(error) if passes(&error) => return Err(error),
        Err(error) if has_no_async_form(&error) => {
            return match client.call::<serde::de::IgnoredAny>(method, params) {
                Ok(_) => Ok((Heard::Done, None)),
                Err(error) if passes(&error) => Err(error),
                Err(error) => Ok((Heard::of(error), None)),
            };
        }
        Err(error) => return Ok((Heard::of(error), None)),
    };
    let mut told = None;
    let ended = run.until(|run| {
        let record = match task.record() {
            Ok(record) => record,
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            // Gone, with a master that restarted for example.
            Err(error) => return Ok(Look::Seen(Err(error))),
        };
        if told != Some(record.progress) {
            told = Some(record.progress);
            run.tell(told, None);
        }
        Ok(match record.status {
            TaskStatus::Pending | TaskStatus::Cancelling => {
                Look::Awaited(format!("{method} to end"))
            }
            _ => Look::Seen(Ok(record)),
        })
    });
    let record = match ended {
        Ok(Ok(record)) => record,
        Err(error) if error.kind() != ErrorKind::Timeout => return Err(error),
        Ok(Err(error)) | Err(error) => {
            let lost = error.context(format!("the end of {method} is not known"));
            return Ok((Heard::Nothing(lost), None));
        }
    };
    let heard = match record.status {
        TaskStatus::Success => Heard::Done,
        _ => {
            let mut info = record.error_info.into_iter();
            let fault = match info.next() {
                Some(code) => Fault { code, params: info.collect() },
                None => Fault::bare("TASK_CANCELLED"),
            };
            Heard::Fault(Error::from(fault).context(method))
        }
    };
    Ok((heard, Some(task.reference().clone())))
}

/// The tasks of a method that the master knows of, pending or ended.
pub(super) fn tasks(client: &Client, method: &str) -> Result<Vec<Task>> {
    let mut found = Vec::new();
    for name in [format!("Async.{method}"), method.to_owned()] {
        let expression = format!("field \"name__label\"=\"{name}\"");
        found.extend(client.records_where::<Task>(&expression)?.records().cloned());
    }
    Ok(found)
}

/// Whether a method is being carried out, by whomever's order.
pub(super) fn is_under_way(client: &Client, method: &str) -> Result<bool> {
    let pending = |task: &Task| matches!(task.status, TaskStatus::Pending | TaskStatus::Cancelling);
    Ok(tasks(client, method)?.iter().any(pending))
}

/// Waits until nobody has a method carried out, this caller before it was interrupted included.
pub(super) fn rest(client: &Client, method: &str, run: &mut Run<'_, '_>) -> Result<()> {
    run.until(|_| {
        Ok(match is_under_way(client, method)? {
            true => Look::Awaited(format!("another {method} to end")),
            false => Look::Seen(()),
        })
    })
}

/// What is still awaited of a host until it says that it is a member, of a master that `follows`
/// knows by its address.
pub(super) fn awaited_of_member(
    pool: &Client,
    name: &str,
    address: &str,
    follows: impl Fn(&str) -> bool,
) -> Option<String> {
    match pool.role_of(address) {
        Ok(Role::Member(master)) if follows(&master) => None,
        Ok(Role::Member(master)) => Some(format!("{name} to leave {master}")),
        Ok(Role::Master(_)) => Some(format!("{name} to become a member")),
        // Whom this client cannot ask is seen at the master all the same.
        Err(error) if error.kind() == ErrorKind::Trust => None,
        Err(error) => Some(format!("{name} to answer ({error})")),
    }
}

/// Whether a host is joining a pool, by whomever's order.
pub(super) fn is_joining(joiner: &Client) -> Result<bool> {
    let joins = ["pool.join", "pool.join_force", "Async.pool.join", "Async.pool.join_force"];
    Ok(joiner.records::<Task>()?.records().any(|task| {
        joins.contains(&task.name_label.as_str())
            && matches!(task.status, TaskStatus::Pending | TaskStatus::Cancelling)
    }))
}

/// What a plan that was made anew destroys otherwise than the one that was agreed to.
pub(super) fn difference(planned: &Plan, anew: &Plan) -> Vec<String> {
    let only = |sign: char, here: &Plan, there: &Plan| {
        let there: Vec<_> = there.losses().collect();
        let only = here.losses().filter(|loss| !there.contains(loss));
        only.map(|loss| format!("{sign} {loss}")).collect::<Vec<_>>()
    };
    let mut lines = only('+', anew, planned);
    lines.extend(only('-', planned, anew));
    lines
}

/// Fails unless the plan is of this object.
pub(super) fn same(what: &str, planned: &Uuid, found: &Uuid) -> Result<()> {
    match planned == found {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the plan is for {what} {planned}, the client's is {found}"),
        )),
    }
}

/// What a step of the plan says, which is of no use without it.
pub(super) fn said_in<'p, T>(
    plan: &'p Plan,
    lack: &'static str,
    find: impl Fn(&'p Work) -> Option<T>,
) -> Result<T> {
    let said = plan.steps.iter().find_map(|step| find(&step.work));
    said.ok_or_else(|| Error::new(ErrorKind::InvalidInput, lack))
}

/// The error for a plan that is for something else.
pub(super) fn other_purpose(plan: &Plan, wanted: &str) -> Error {
    let what = format!("the plan is for {}, not for {wanted}", plan.purpose);
    Error::new(ErrorKind::InvalidInput, what)
}

/// XAPI answers with the odd code `Fault` where a method has no `Async` form.
fn has_no_async_form(error: &Error) -> bool {
    error.is_fault("Fault") || error.is_fault("MESSAGE_METHOD_UNKNOWN")
}
