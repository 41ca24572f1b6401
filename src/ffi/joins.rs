//! Joins of several hosts: planned together, run one after the other.

use std::ffi::{c_char, c_void};

use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::ffi::boundary::{self, Out, call, optional_text, quiet, text};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::xcp_client;
use crate::ffi::control::{Arguments, xcp_progress};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::operations::done;
use crate::ffi::plan::{Chosen, Losses, known_schema, xcp_plan};
use crate::ffi::registry::Object;
use crate::ffi::report::xcp_report;
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT, XCP_E_NOT_DONE};
use crate::operations::{self, JoinAttempt, Joined};
use crate::plan::{self, Choices, Consent, Joins, Subject};

/// Plans of several joins, each for the pool as it will be after those before it.
///
/// Made by `xcp_plan_join_many` or `xcp_joins_from_json`, freed by `xcp_joins_free`. Threads:
/// immutable; may be used by many at once.
pub struct xcp_joins {
    joins: Joins,
}

impl Object for xcp_joins {
    const NAME: &'static str = "xcp_joins";
}

/// Plans that hosts join a pool, one after the other.
///
/// `reports` is an array of `count` reports (`xcp_preflight`), one for each host in the order of
/// the joins, all of the same pool. Each host is held against the pool as it will be by then, with
/// the hosts before it as members; so two hosts that clash with each other, and not with the pool,
/// are found before the first one joins. `choices_json` may be NULL; it is an object as for
/// `xcp_plan_join`, for all hosts, or a list of such objects or nulls, one for each host.
///
/// `*joins` is freed with `xcp_joins_free`; the reports may be freed at once. From any thread.
/// Fails with XCP_E_INVALID_INPUT if the reports are of different pools, if there are none, and as
/// `xcp_plan_join`.
///
/// # Safety
/// `count` pointers can be read from `reports`, and each came from this library; `choices_json` is
/// NULL or ends with NUL; `joins` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_join_many(
    reports: *const *const xcp_report,
    count: usize,
    choices_json: *const c_char,
    joins: *mut *mut xcp_joins,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_join_many", error, |call| {
            let reports = call.objects(reports, count, "reports")?;
            let choices = choices(optional_text(choices_json, "choices_json")?, count)?;
            let out = Out::new(joins, "joins")?;
            let Some(first) = reports.first() else {
                return Err(Failure::new(XCP_E_INVALID_INPUT, "reports: there are none"));
            };
            let pool = &first.report.pool().the_pool()?.1.uuid;
            for (n, held) in reports.iter().enumerate() {
                if held.report.pool().the_pool()?.1.uuid != *pool {
                    let message = format!("reports[{n}] is of another pool than reports[0]");
                    return Err(Failure::new(XCP_E_INVALID_INPUT, message));
                }
            }
            let joiners =
                reports.iter().zip(&choices).map(|(held, choices)| (&held.report, choices));
            out.write_object(xcp_joins { joins: plan::join_many(joiners)? });
            Ok(())
        })
    }
}

/// Loads plans that `xcp_joins_json` saved.
///
/// `*joins` is freed with `xcp_joins_free`. From any thread. Fails with XCP_E_INVALID_INPUT for
/// what is no such plans, or plans of another schema.
///
/// # Safety
/// `json` ends with NUL; `joins` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_from_json(
    json: *const c_char,
    joins: *mut *mut xcp_joins,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_joins_from_json", error, |_| {
            let loaded: Joins = json::decode(text(json, "json")?, "json")?;
            let out = Out::new(joins, "joins")?;
            known_schema(loaded.schema)?;
            loaded.plans.iter().try_for_each(|plan| known_schema(plan.schema))?;
            out.write_object(xcp_joins { joins: loaded });
            Ok(())
        })
    }
}

/// Saves the plans as JSON.
///
/// `*json` is `{"schema": 1, "plans": [...], "notes": [line...]}`, freed with `xcp_string_free`;
/// the plans are as `xcp_plan_json` tells them, and "notes" is what is found only because of the
/// hosts that join before, and what could not be foretold. From any thread.
///
/// # Safety
/// `joins` came from this library; `json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_json(
    joins: *const xcp_joins,
    json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_joins_json", error, |call| {
            let held = call.object(joins, "joins")?;
            let out = Out::new(json, "json")?;
            out.write_text(json::encode(&held.joins)?);
            Ok(())
        })
    }
}

/// Tells the plans as text for people, with the notes and the digest of all losses.
///
/// `*text` is freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `joins` came from this library; `text` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_text(
    joins: *const xcp_joins,
    text: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_joins_text", error, |call| {
            let held = call.object(joins, "joins")?;
            let out = Out::new(text, "text")?;
            out.write_text(held.joins.to_string());
            Ok(())
        })
    }
}

/// Returns how many hosts join; 0 for NULL and for what is no joins.
///
/// From any thread.
///
/// # Safety
/// `joins` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_count(joins: *const xcp_joins) -> usize {
    quiet(0, |call| Ok(call.object(joins, "joins")?.joins.plans.len()))
}

/// Returns whether nothing is left to a person in any of the plans.
///
/// False for NULL and for what is no joins. From any thread.
///
/// # Safety
/// `joins` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_is_complete(joins: *const xcp_joins) -> bool {
    quiet(false, |call| Ok(call.object(joins, "joins")?.joins.is_complete()))
}

/// Copies the plan of one host, counted from 0.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT beyond
/// `xcp_joins_count`.
///
/// # Safety
/// `joins` came from this library; `plan` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_plan(
    joins: *const xcp_joins,
    index: usize,
    plan: *mut *mut xcp_plan,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_joins_plan", error, |call| {
            let held = call.object(joins, "joins")?;
            let out = Out::new(plan, "plan")?;
            let plans = &held.joins.plans;
            let plan = plans.get(index).cloned().ok_or_else(|| {
                let message = format!("index: there is no plan {index} of {}", plans.len());
                Failure::new(XCP_E_INVALID_INPUT, message)
            })?;
            out.write_object(xcp_plan { plan });
            Ok(())
        })
    }
}

/// Tells what is gone for good once all have joined, with the digest for consent.
///
/// `*losses_json` is as for `xcp_plan_losses_json`, freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `joins` came from this library; `losses_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_losses_json(
    joins: *const xcp_joins,
    losses_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_joins_losses_json", error, |call| {
            let held = call.object(joins, "joins")?;
            let out = Out::new(losses_json, "losses_json")?;
            let (digest, losses) = (held.joins.losses_digest(), held.joins.losses().collect());
            out.write_text(json::numbered(Losses { digest, losses })?);
            Ok(())
        })
    }
}

/// Tells the digest of what all joins destroy, by which consent is given.
///
/// `*digest` is `sha256:` and 64 hexadecimal digits, freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `joins` came from this library; `digest` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_losses_digest(
    joins: *const xcp_joins,
    digest: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_joins_losses_digest", error, |call| {
            let held = call.object(joins, "joins")?;
            let out = Out::new(digest, "digest")?;
            out.write_text(held.joins.losses_digest().to_string());
            Ok(())
        })
    }
}

/// Tells the digest of all plans in their order.
///
/// `*digest` is `sha256:` and 64 hexadecimal digits, freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `joins` came from this library; `digest` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_digest(
    joins: *const xcp_joins,
    digest: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_joins_digest", error, |call| {
            let held = call.object(joins, "joins")?;
            let out = Out::new(digest, "digest")?;
            out.write_text(held.joins.digest().to_string());
            Ok(())
        })
    }
}

/// Makes hosts members of a pool, one after the other, as planned.
///
/// `hosts` is an array of `count` clients, those of the hosts in the order of the plans. All are
/// looked at before the first one joins, and before each further join the pool has to be at rest.
/// `consent` is the digest of what all joins destroy (`xcp_joins_losses_digest`), NULL for no loss;
/// `options_json` may be NULL; it is `{"deadline": seconds, "on_failure": "stop" | "continue"}`:
/// how long all joins together may take (3600), and whether the hosts after one that did not join
/// are tried ("stop": they are not, and nobody joins if it shows beforehand that one will not).
/// `progress` with `ctx` and `cancel` are as for `xcp_join`. After a join of which it is not known
/// whether it was done nobody else joins.
///
/// XCP_OK means that it is known what became of each host: `*all_joined` says whether all are
/// members, and `*joined_json` is `{"schema": 1, "hosts": [{"host": {"uuid", "name"}, "outcome":
/// "done" | "not-done" | "unknown" | "skipped", "joined": as xcp_join tells | null, "reason": text
/// | null, "fault": {"code", "params"} | null, "evidence": [line...]}...]}`, freed with
/// `xcp_string_free`. Calling again goes on where this ended.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT if the clients are not those of the plans, with
/// XCP_E_STATE if a plan leaves something to a person or other losses than those of `consent`, with
/// XCP_E_CANCELLED, and with what keeps the pool from being asked at all.
///
/// # Safety
/// `count` pointers can be read from `hosts`; they and the other objects came from this library,
/// `cancel` or is NULL; `consent` and `options_json` are NULL or end with NUL; `progress` can be
/// called with `ctx` until the call returns; the outputs can be written; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_join_many(
    pool: *const xcp_client,
    hosts: *const *const xcp_client,
    count: usize,
    joins: *const xcp_joins,
    consent: *const c_char,
    options_json: *const c_char,
    progress: xcp_progress,
    ctx: *mut c_void,
    cancel: *const xcp_cancel,
    all_joined: *mut bool,
    joined_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_join_many", error, |call| {
            let pool = call.object(pool, "pool")?;
            let hosts = call.objects(hosts, count, "hosts")?;
            let joins = &call.object(joins, "joins")?.joins;
            let manner =
                Arguments { consent, options_json, progress, ctx, cancel }.read_for_many()?;
            let consent = manner.consent(|digest| Consent::to_all(joins, digest))?;
            let all_out = Out::new(all_joined, "all_joined")?;
            let json_out = Out::new(joined_json, "joined_json")?;
            let clients: Vec<_> =
                std::iter::once(&*pool).chain(hosts.iter().map(|host| &**host)).collect();
            let joiners: Vec<_> = hosts.iter().map(|host| &host.client).collect();
            let joined = manner.run(call, &clients, |control| {
                let pool = &pool.client;
                Ok(operations::join_many(pool, &joiners, joins.with_consent(&consent), control)?)
            })?;
            let all = joined.is_done();
            let hosts = joined.hosts.into_iter().map(Attempt::from).collect();
            let json = json::numbered(Attempts { hosts })?;
            all_out.write(all);
            json_out.write_text(json);
            Ok(())
        })
    }
}

/// Frees joins. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `joins` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_joins_free(joins: *mut xcp_joins) {
    boundary::free(joins);
}

/// The choices for each of so many hosts.
fn choices(json: Option<&str>, count: usize) -> Result<Vec<Choices>, Failure> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an object of choices, or a list of such objects")]
    enum Written {
        Each(Vec<Option<Chosen>>),
        All(Chosen),
    }
    match json.map(|json| json::decode_any(json, "choices_json")).transpose()? {
        None => Ok(vec![Choices::new(); count]),
        Some(Written::All(chosen)) => Ok(vec![chosen.choices()?; count]),
        Some(Written::Each(each)) if each.len() != count => {
            let message = format!("choices_json: {} entries for {count} reports", each.len());
            Err(Failure::new(XCP_E_INVALID_INPUT, message))
        }
        Some(Written::Each(each)) => {
            each.into_iter().map(|chosen| chosen.unwrap_or_default().choices()).collect()
        }
    }
}

#[derive(Serialize)]
struct Attempts {
    hosts: Vec<Attempt>,
}

#[derive(Serialize)]
struct Attempt {
    host: Subject,
    outcome: &'static str,
    joined: Option<Joined>,
    reason: Option<String>,
    fault: Option<Fault>,
    evidence: Vec<String>,
}

impl From<JoinAttempt> for Attempt {
    fn from(attempt: JoinAttempt) -> Self {
        let failed = |outcome, failure: Failure| Self {
            host: attempt.host.clone(),
            outcome,
            joined: None,
            reason: Some(failure.message),
            fault: failure.fault,
            evidence: failure.evidence,
        };
        match attempt.outcome.map(done) {
            None => failed("skipped", Failure::new(XCP_E_NOT_DONE, attempt.skipped)),
            Some(Err(failure)) if failure.status == XCP_E_NOT_DONE => failed("not-done", failure),
            Some(Err(failure)) => failed("unknown", failure),
            Some(Ok(joined)) => Self {
                host: attempt.host,
                outcome: "done",
                joined: Some(joined),
                reason: None,
                fault: None,
                evidence: Vec::new(),
            },
        }
    }
}
