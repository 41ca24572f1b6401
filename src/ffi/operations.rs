//! Operations on real pools.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ffi::boundary::{Out, c_text, call, optional_text};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::{on, xcp_client};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json::{self, seconds};
use crate::ffi::plan::xcp_plan;
use crate::ffi::status::xcp_status::{
    self, XCP_E_INVALID_INPUT, XCP_E_NOT_DONE, XCP_E_OUTCOME_UNKNOWN,
};
use crate::operations::{self, Control, Outcome, Progress};
use crate::plan::{Consent, Digest, Plan, Purpose};
use crate::transport::Cancel;

/// Tells where an operation stands: `progress_json` is `{"schema": 1, "step", "of", "summary", "done":
/// 0 to 1 | null, "awaited": text | null, "elapsed": seconds}`.
///
/// The text lives until the callback returns. Called on the thread of the operation, between requests.
/// The callback must not call on the operation's clients (it gets XCP_E_MISUSE), nor let an exception of
/// C++ pass. To end the operation from inside use `xcp_cancel_cancel`.
pub type xcp_progress =
    Option<unsafe extern "C" fn(ctx: *mut c_void, progress_json: *const c_char)>;

/// Makes a host a member of a pool, as planned; sees for itself that it became one.
///
/// `pool` is a client of the pool, `host` one of the host that joins. Steps whose effect holds already
/// are skipped; the preflight is asked again before the join; what can be taken back is, if the join does
/// not come about. If the host is a member already, only the wait and the comparison are left: calling
/// again is safe.
///
/// `consent` is the digest of what the plan destroys (`xcp_plan_losses_digest`), which a person has
/// seen; NULL consents to no loss. `options_json` may be NULL; it is `{"deadline": seconds}`, how long all
/// of it may take (3600). `progress` may be NULL; it is called with `ctx`. `cancel` may be NULL.
///
/// XCP_OK means that the host is a live, enabled member. `*joined_json` is then `{"schema": 1, "host":
/// uuid, "reference", "already_member", "before": {"master", "master_address", "hosts", "srs",
/// "networks", "vms"} | null, "after": {...}, "missing": [line...]}`, freed with `xcp_string_free`;
/// "missing" tells what was foretold and is not there.
///
/// From any thread. Fails with XCP_E_NOT_DONE if the host is no member and nothing is under way that
/// would make it one, and with XCP_E_OUTCOME_UNKNOWN if the deadline passed while that could not be told;
/// `xcp_error_evidence_json` has what was seen. Fails with XCP_E_INVALID_INPUT if the plan is of another
/// pool or host, with XCP_E_STATE if it leaves something to a person or destroys something else than
/// `consent` stands for, with XCP_E_CANCELLED, and with what keeps a server from being asked at all.
///
/// # Safety
/// The objects came from this library, `cancel` or is NULL; `consent` and `options_json` are NULL or end
/// with NUL; `progress` can be called with `ctx` until the call returns; `joined_json` can be written;
/// `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_join(
    pool: *const xcp_client,
    host: *const xcp_client,
    plan: *const xcp_plan,
    consent: *const c_char,
    options_json: *const c_char,
    progress: xcp_progress,
    ctx: *mut c_void,
    cancel: *const xcp_cancel,
    joined_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_join", error, |call| {
            let pool = call.object(pool, "pool")?;
            let host = call.object(host, "host")?;
            let plan = &call.object(plan, "plan")?.plan;
            let consent = consent_to(plan, optional_text(consent, "consent")?)?;
            let options = optional_text(options_json, "options_json")?;
            let options: Options = json::decode_or_default(options, "options_json")?;
            let out = Out::new(joined_json, "joined_json")?;
            let tell = observer(progress, ctx);
            let joined = on(call, &[&pool, &host], cancel, |token| {
                let mut control = options.control(token).observer(tell);
                let (pool, host) = (&pool.client, &host.client);
                done(operations::join(pool, host, plan, &consent, &mut control)?)
            })?;
            out.write_text(json::numbered(joined)?);
            Ok(())
        })
    }
}

/// Runs the plan of an ejection, a hand-over or a maintenance; sees for itself that it came about.
///
/// `pool` is a client of the pool. `consent`, `options_json`, `progress` with `ctx`, and `cancel` are those
/// of `xcp_join`; only an ejection destroys anything. What is done already is seen, and not done again:
/// calling again is safe.
///
/// XCP_OK means that what was planned is the case. `*result_json` is then {"schema": 1, "host": uuid, ...},
/// freed with `xcp_string_free`; what else it has depends on the plan.
///
/// From any thread. Fails as `xcp_join` does, and with XCP_E_INVALID_INPUT for other plans.
///
/// # Safety
/// The objects came from this library, `cancel` or is NULL; `consent` and `options_json` are NULL or end
/// with NUL; `progress` can be called with `ctx` until the call returns; `result_json` can be written;
/// `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_run(
    pool: *const xcp_client,
    plan: *const xcp_plan,
    consent: *const c_char,
    options_json: *const c_char,
    progress: xcp_progress,
    ctx: *mut c_void,
    cancel: *const xcp_cancel,
    result_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_run", error, |call| {
            let pool = call.object(pool, "pool")?;
            let plan = &call.object(plan, "plan")?.plan;
            let consent = consent_to(plan, optional_text(consent, "consent")?)?;
            let options = optional_text(options_json, "options_json")?;
            let options: Options = json::decode_or_default(options, "options_json")?;
            let out = Out::new(result_json, "result_json")?;
            let tell = observer(progress, ctx);
            let result = on(call, &[&pool], cancel, |token| {
                let mut control = options.control(token).observer(tell);
                let (pool, control) = (&pool.client, &mut control);
                match &plan.purpose {
                    Purpose::Eject { .. } => {
                        json::numbered(done(operations::eject(pool, plan, &consent, control)?)?)
                    }
                    Purpose::HandOver { .. } => {
                        json::numbered(done(operations::hand_over(pool, plan, control)?)?)
                    }
                    Purpose::Maintenance { .. } => {
                        json::numbered(done(operations::maintenance(pool, plan, control)?)?)
                    }
                    other => {
                        let message = format!("plan: {other} is run by a function of its own");
                        Err(Failure::new(XCP_E_INVALID_INPUT, message))
                    }
                }
            })?;
            out.write_text(result);
            Ok(())
        })
    }
}

/// Options of an operation.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of options")]
pub(super) struct Options {
    #[serde(deserialize_with = "seconds")]
    deadline: Option<Duration>,
}

impl Options {
    pub(super) fn control<'a>(&self, cancel: &Cancel) -> Control<'a> {
        let control = Control::new().cancel(cancel.clone());
        match self.deadline {
            Some(deadline) => control.deadline(deadline),
            None => control,
        }
    }
}

/// Consent to what a plan destroys, by the digest that was shown.
pub(super) fn consent_to(plan: &Plan, digest: Option<&str>) -> Result<Consent, Failure> {
    let Some(digest) = digest else { return Ok(Consent::to_nothing()) };
    let digest: Digest = digest
        .parse()
        .map_err(|error| Failure::new(XCP_E_INVALID_INPUT, format!("consent: {error}")))?;
    Ok(Consent::to(plan, digest)?)
}

/// Tells a callback of progress.
///
/// # Safety
/// The callback can be called with its context as long as the answer lives.
pub(super) unsafe fn observer(
    progress: xcp_progress,
    ctx: *mut c_void,
) -> impl FnMut(&Progress<'_>) {
    move |told| {
        let Some(progress) = progress else { return };
        if let Ok(json) = json::numbered(ProgressText::from(told)) {
            let json = c_text(json);
            // SAFETY: the caller of this function promised that it can be called; the text is alive.
            unsafe { progress(ctx, json.as_ptr()) }
        }
    }
}

pub(super) fn done<T>(outcome: Outcome<T>) -> Result<T, Failure> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::NotDone(why) => Err((XCP_E_NOT_DONE, why).into()),
        Outcome::Unknown(why) => Err((XCP_E_OUTCOME_UNKNOWN, why).into()),
    }
}

#[derive(Serialize)]
struct ProgressText<'a> {
    step: usize,
    of: usize,
    summary: &'a str,
    done: Option<f64>,
    awaited: Option<&'a str>,
    elapsed: f64,
}

impl<'a> From<&'a Progress<'_>> for ProgressText<'a> {
    fn from(progress: &'a Progress<'_>) -> Self {
        Self {
            step: progress.step,
            of: progress.of,
            summary: progress.summary,
            done: progress.done,
            awaited: progress.awaited,
            elapsed: progress.elapsed.as_secs_f64(),
        }
    }
}
