//! Running the single actions of a plan, each checked before and after.

use std::borrow::Cow;

use serde_json::Value;

use super::control::{Look, Run};
use crate::client::{Client, Scope, TaskEnd};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Snapshot;
use crate::plan::{Consent, Step};
use crate::preflight::Side;
use crate::preflight::remedy::{Action, Param};
use crate::wire::Params;

/// Both ends of a join.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) pool: &'a Client,
    pub(super) joiner: &'a Client,
}

impl<'a> Sides<'a> {
    pub(super) fn client(self, side: Side) -> &'a Client {
        match side {
            Side::Pool => self.pool,
            _ => self.joiner,
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

/// Runs one action, unless its effect holds already; stops before it destroys what nobody agreed to.
pub(super) fn act(
    sides: Sides<'_>,
    step: &Step,
    action: &Action,
    consent: &Consent,
    run: &mut Run<'_, '_>,
) -> Result<Did> {
    let client = sides.client(action.side());
    let snapshot = client.settled_snapshot(Scope::Preflight)?;
    if action.effect().holds(&snapshot) == Some(true) {
        return Ok(Did::Nothing);
    }
    check_preconditions(step, action, &snapshot)?;
    check_consent(step, action, &snapshot, consent)?;
    if action.method().is_some() {
        perform(sides, action, run)?;
    }
    let effect = action.effect();
    run.until(|_| {
        let snapshot = client.snapshot(Scope::Preflight)?;
        Ok(match effect.holds(&snapshot) {
            Some(true) => Look::Seen(()),
            _ => Look::Awaited(format!("the effect of {}", step.summary)),
        })
    })?;
    Ok(Did::It)
}

fn check_preconditions(step: &Step, action: &Action, snapshot: &Snapshot) -> Result<()> {
    for condition in action.preconditions() {
        if condition.holds(snapshot) != Some(true) {
            return Err(Error::new(
                ErrorKind::State,
                format!("{}: the world changed: {condition:?} does not hold", step.summary),
            ));
        }
    }
    Ok(())
}

/// What would be lost now must be what was shown when consent was given.
fn check_consent(
    step: &Step,
    action: &Action,
    snapshot: &Snapshot,
    consent: &Consent,
) -> Result<()> {
    let losses = action.destroys(snapshot);
    let missing = consent.missing(&losses);
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
    let Some(method) = action.method() else { return Ok(()) };
    let prelude = match action.prelude() {
        Some(call) => {
            let params: Vec<_> = call.params.iter().map(|param| value(param, None)).collect();
            Some(sides.client(call.side).call::<Value>(call.method, &params)?)
        }
        None => None,
    };
    let params: Vec<_> =
        action.params().iter().map(|param| value(param, prelude.as_ref())).collect();
    call_as_task(sides.client(action.side()), method, &params, run)
}

fn call_as_task(
    client: &Client,
    method: &str,
    params: &(impl Params + ?Sized),
    run: &mut Run<'_, '_>,
) -> Result<()> {
    match client.start(method, params) {
        // The task's result is not looked at: what was done is read from the state afterwards.
        Ok(task) => match task.wait::<String>(&mut |done| run.tell(Some(done), None))? {
            TaskEnd::Done(_) => Ok(()),
            end => end.into_result().map(drop),
        },
        Err(error) if has_no_async_form(&error) => {
            client.call::<serde::de::IgnoredAny>(method, params).map(drop)
        }
        Err(error) => Err(error),
    }
}

/// XAPI answers with the odd code `Fault` where a method has no `Async` form.
fn has_no_async_form(error: &Error) -> bool {
    error.is_fault("Fault") || error.is_fault("MESSAGE_METHOD_UNKNOWN")
}

fn value(param: &Param, prelude: Option<&Value>) -> Value {
    match param {
        Param::Bool(value) => Value::from(*value),
        Param::Map(map) => map.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect(),
        Param::Set(set) => set.iter().map(|text| Value::from(text.as_str())).collect(),
        Param::Text(text) => Value::from(text.as_str()),
        Param::Prelude => prelude.cloned().unwrap_or_default(),
        // A parameter of a kind that this crate does not make.
        #[allow(unreachable_patterns)]
        _ => Value::Null,
    }
}
