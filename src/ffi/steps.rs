//! The steps of a plan against the world as it is.

use std::ffi::c_char;

use serde::Serialize;

use crate::actions::Side;
use crate::actions::{Action, Condition};
use crate::ffi::boundary::{Out, call};
use crate::ffi::error::xcp_error;
use crate::ffi::json;
use crate::ffi::plan::xcp_plan;
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status;
use crate::model::Snapshot;

/// Tells what each step of a plan needs and brings about, and whether it is done.
///
/// `pool` and `host` are snapshots of the two sides as they are now; either may be NULL, and then
/// nothing is known of it. `*steps_json` is `{"schema": 1, "steps": [{"side": "pool" | "joiner" |
/// "both", "summary", "preconditions": [{"condition": {...}, "holds": bool | null}...], "effect":
/// {"condition": {...}, "holds": bool | null} | null, "undo": {...} | null}...]}`, freed with
/// `xcp_string_free`. "holds" is null if the snapshot cannot tell. A step whose effect holds is
/// skipped when the plan runs; an effect is null where it is more than one object's state. "undo"
/// is the action that takes the step back, where there is one.
///
/// From any thread.
///
/// # Safety
/// `plan` came from this library, `pool` and `host` too or are NULL; `steps_json` can be written;
/// `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_steps_json(
    plan: *const xcp_plan,
    pool: *const xcp_snapshot,
    host: *const xcp_snapshot,
    steps_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_steps_json", error, |call| {
            let held = call.object(plan, "plan")?;
            let mut side = |pointer: *const xcp_snapshot, name| match pointer.is_null() {
                true => Ok(None),
                false => call.object(pointer, name).map(Some),
            };
            let (pool, host) = (side(pool, "pool")?, side(host, "host")?);
            let out = Out::new(steps_json, "steps_json")?;
            let steps = held.plan.steps.iter().map(|step| {
                let snapshot = match step.side {
                    Side::Joiner => host.as_ref(),
                    Side::Both | Side::Pool => pool.as_ref(),
                };
                let snapshot = snapshot.map(|held| &*held.snapshot);
                let told = |condition| Told::of(condition, snapshot);
                StepText {
                    side: step.side,
                    summary: &step.summary,
                    preconditions: step.preconditions().into_iter().map(told).collect(),
                    effect: step.effect().map(told),
                    undo: step.undo(),
                }
            });
            out.write_text(json::numbered(Steps { steps: steps.collect() })?);
            Ok(())
        })
    }
}

#[derive(Serialize)]
struct Steps<'a> {
    steps: Vec<StepText<'a>>,
}

#[derive(Serialize)]
struct StepText<'a> {
    side: Side,
    summary: &'a str,
    preconditions: Vec<Told>,
    effect: Option<Told>,
    undo: Option<Action>,
}

#[derive(Serialize)]
struct Told {
    condition: Condition,
    holds: Option<bool>,
}

impl Told {
    fn of(condition: Condition, snapshot: Option<&Snapshot>) -> Self {
        let holds = snapshot.and_then(|snapshot| condition.holds(snapshot));
        Self { condition, holds }
    }
}
