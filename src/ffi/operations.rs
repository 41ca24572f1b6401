//! Operations on real pools.

use std::ffi::{c_char, c_void};

use crate::ffi::boundary::{Out, call};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::xcp_client;
use crate::ffi::control::{Arguments, xcp_progress};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::plan::xcp_plan;
use crate::ffi::status::xcp_status::{
    self, XCP_E_INVALID_INPUT, XCP_E_NOT_DONE, XCP_E_OUTCOME_UNKNOWN,
};
use crate::operations::{self, Outcome};
use crate::plan::{Consent, Purpose};

/// Makes a host a member of a pool, as planned; sees for itself that it became one.
///
/// `pool` is a client of the pool, `host` one of the host that joins. Steps whose effect holds
/// already are skipped; the preflight is asked again before the join; what can be taken back is, if
/// the join does not come about. If the host is a member already, only the wait and the comparison
/// are left: calling again is safe.
///
/// `consent` is the digest of what the plan destroys (`xcp_plan_losses_digest`), which a person has
/// seen; NULL consents to no loss. `options_json` may be NULL; it is `{"deadline": seconds}`, how
/// long all of it may take (3600). `progress` may be NULL; it is called with `ctx`. `cancel` may be
/// NULL.
///
/// XCP_OK means that the host is a live, enabled member. `*joined_json` is then `{"schema": 1,
/// "host": uuid, "reference", "already_member", "before": {"master", "master_address", "hosts",
/// "srs", "networks", "vms"} | null, "after": {...}, "missing": [line...]}`, freed with
/// `xcp_string_free`; "missing" tells what was foretold and is not there.
///
/// From any thread. Fails with XCP_E_NOT_DONE if the host is no member and nothing is under way
/// that would make it one, and with XCP_E_OUTCOME_UNKNOWN if the deadline passed while that could
/// not be told; `xcp_error_evidence_json` has what was seen. Fails with XCP_E_INVALID_INPUT if the
/// plan is of another pool or host, with XCP_E_STATE if it leaves something to a person or destroys
/// something else than `consent` stands for, with XCP_E_CANCELLED, and with what keeps a server
/// from being asked at all.
///
/// # Safety
/// The objects came from this library, `cancel` or is NULL; `consent` and `options_json` are NULL
/// or end with NUL; `progress` can be called with `ctx` until the call returns; `joined_json` can
/// be written; `error` is NULL or can be written.
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
            let manner = Arguments { consent, options_json, progress, ctx, cancel }.read()?;
            let consent = manner.consent(|digest| Consent::to(plan, digest))?;
            let out = Out::new(joined_json, "joined_json")?;
            let joined = manner.run(call, &[&pool, &host], |control| {
                done(operations::join(
                    &pool.client,
                    &host.client,
                    plan.with_consent(&consent),
                    control,
                )?)
            })?;
            out.write_text(json::numbered(joined)?);
            Ok(())
        })
    }
}

/// Runs the plan of an ejection, a hand-over or a maintenance.
///
/// Sees for itself that it came about.
///
/// `pool` is a client of the pool. `consent`, `options_json`, `progress` with `ctx`, and `cancel`
/// are those of `xcp_join`; only an ejection destroys anything. What is done already is seen, and
/// not done again: calling again is safe.
///
/// XCP_OK means that what was planned is the case. `*result_json` is then {"schema": 1, "host":
/// uuid, ...}, freed with `xcp_string_free`; what else it has depends on the plan.
///
/// From any thread. Fails as `xcp_join` does, and with XCP_E_INVALID_INPUT for other plans.
///
/// # Safety
/// The objects came from this library, `cancel` or is NULL; `consent` and `options_json` are NULL
/// or end with NUL; `progress` can be called with `ctx` until the call returns; `result_json` can
/// be written; `error` is NULL or can be written.
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
            let manner = Arguments { consent, options_json, progress, ctx, cancel }.read()?;
            let consent = manner.consent(|digest| Consent::to(plan, digest))?;
            let out = Out::new(result_json, "result_json")?;
            let result = manner.run(call, &[&pool], |control| {
                let pool = &pool.client;
                match &plan.purpose {
                    Purpose::Eject { .. } => json::numbered(done(operations::eject(
                        pool,
                        plan.with_consent(&consent),
                        control,
                    )?)?),
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

pub(super) fn done<T>(outcome: Outcome<T>) -> Result<T, Failure> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::NotDone(why) => Err((XCP_E_NOT_DONE, why).into()),
        Outcome::Unknown(why) => Err((XCP_E_OUTCOME_UNKNOWN, why).into()),
    }
}
