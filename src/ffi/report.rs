//! Preflight reports as objects.

use std::ffi::c_char;

use crate::client::Client;
use crate::ffi::boundary::{self, Call, Out, call, optional_text, quiet};
use crate::ffi::calls::on_all;
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::xcp_client;
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::Object;
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status;
use crate::operations;
use crate::preflight::{self, Report, Verdict};
use crate::transport::Cancel;

/// What a preflight found.
///
/// Made by `xcp_preflight` or `xcp_preflight_live`, freed by `xcp_report_free`. Threads: immutable;
/// may be used by many at once.
pub struct xcp_report {
    pub(super) report: Report,
}

impl Object for xcp_report {
    const NAME: &'static str = "xcp_report";
}

/// Whether a host may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum xcp_verdict {
    /// There is no report: the pointer is NULL or leads to none.
    XCP_VERDICT_NONE = 0,
    /// Nothing stands in the way.
    XCP_VERDICT_READY = 1,
    /// Nothing that is known stands in the way, but evidence is missing.
    XCP_VERDICT_UNKNOWN = 2,
    /// Only `pool.join_force` would pass.
    XCP_VERDICT_NEEDS_FORCE = 3,
    /// Something stands in the way.
    XCP_VERDICT_BLOCKED = 4,
}

impl From<Verdict> for xcp_verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ready => Self::XCP_VERDICT_READY,
            Verdict::Unknown => Self::XCP_VERDICT_UNKNOWN,
            Verdict::NeedsForce => Self::XCP_VERDICT_NEEDS_FORCE,
            Verdict::Blocked => Self::XCP_VERDICT_BLOCKED,
        }
    }
}

/// Tells as `xcp_preflight_json` whether a host may join a pool, from snapshots.
///
/// `options_json` may be NULL; it is as for `xcp_preflight_json`, except that
/// "complete_snapshots" changes nothing here: snapshots are completed when they are loaded.
///
/// `*report` is freed with `xcp_report_free`. From any thread. Fails with XCP_E_INVALID_INPUT for
/// unknown options.
///
/// # Safety
/// `pool` and `host` came from this library; `options_json` is NULL or ends with NUL; `report` can
/// be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_preflight(
    pool: *const xcp_snapshot,
    host: *const xcp_snapshot,
    options_json: *const c_char,
    report: *mut *mut xcp_report,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_preflight", error, |call| {
            let pool = call.object(pool, "pool")?;
            let host = call.object(host, "host")?;
            let options = json::options(optional_text(options_json, "options_json")?)?;
            let out = Out::new(report, "report")?;
            let (pool, host) = (pool.snapshot.clone(), host.snapshot.clone());
            out.write_object(xcp_report { report: preflight::evaluate(pool, host, &options) });
            Ok(())
        })
    }
}

/// Reads a pool and a host, and tells whether the host may join.
///
/// The evidence that no database has is read, too.
///
/// `pool` is a client of the pool, `host` one of the host that is to join. `options_json` is as for
/// `xcp_preflight`; what it has of the evidence stays as it is, the rest is that of
/// `xcp_join_evidence_json`. `cancel` may be NULL.
///
/// `*report` is freed with `xcp_report_free`. From any thread. Fails as `xcp_client_snapshot`, and
/// with XCP_E_INVALID_INPUT for unknown options.
///
/// # Safety
/// The objects came from this library, `cancel` or is NULL; `options_json` is NULL or ends with
/// NUL; `report` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_preflight_live(
    pool: *const xcp_client,
    host: *const xcp_client,
    options_json: *const c_char,
    cancel: *const xcp_cancel,
    report: *mut *mut xcp_report,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_preflight_live", error, |call| {
            let pool = call.object(pool, "pool")?;
            let host = call.object(host, "host")?;
            let options = json::options(optional_text(options_json, "options_json")?)?;
            let out = Out::new(report, "report")?;
            let report = on_both(call, &pool, &host, cancel, |pool, host| {
                Ok(operations::preflight(pool, host, &options)?)
            })?;
            out.write_object(xcp_report { report });
            Ok(())
        })
    }
}

/// Reads what the preflight of a join wants and no database tells.
///
/// As far as a call tells it.
///
/// `pool` and `host` as for `xcp_preflight_live`, `cancel` may be NULL. `*evidence_json` is the
/// "evidence" of `xcp_preflight_json`, with "schema" beside it: both clocks at one moment
/// ("master_time", "joiner_time"; each counts as read in the middle of its round trip) and the
/// address that the pool knows its master by ("master_address"). What is not told by any call is
/// null: the editions of the licence daemon, which only its own host may ask, and the bridge
/// backend, which snapshots have. Freed with `xcp_string_free`.
///
/// From any thread. Fails as `xcp_client_snapshot`.
///
/// # Safety
/// The objects came from this library, `cancel` or is NULL; `evidence_json` can be written; `error`
/// is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_join_evidence_json(
    pool: *const xcp_client,
    host: *const xcp_client,
    cancel: *const xcp_cancel,
    evidence_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_join_evidence_json", error, |call| {
            let pool = call.object(pool, "pool")?;
            let host = call.object(host, "host")?;
            let out = Out::new(evidence_json, "evidence_json")?;
            let evidence = on_both(call, &pool, &host, cancel, |pool, host| {
                Ok(operations::join_evidence(pool, host)?)
            })?;
            out.write_text(json::numbered(evidence)?);
            Ok(())
        })
    }
}

/// Runs something on two clients, through views that their own cancels and the given one end.
///
/// # Safety
/// `cancel` is NULL or came from this library.
unsafe fn on_both<T>(
    call: &mut Call,
    pool: &xcp_client,
    host: &xcp_client,
    cancel: *const xcp_cancel,
    body: impl FnOnce(&Client, &Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let calls = [&*pool.calls, &*host.calls];
    let body =
        |token: &Cancel| body(&pool.client.with_cancel(token), &host.client.with_cancel(token));
    // SAFETY: the same promise.
    unsafe { on_all(call, &calls, &[], cancel, body) }
}

/// Returns whether the host may join.
///
/// XCP_VERDICT_NONE for NULL and for what is no report. From any thread.
///
/// # Safety
/// `report` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_verdict(report: *const xcp_report) -> xcp_verdict {
    quiet(xcp_verdict::XCP_VERDICT_NONE, |call| {
        Ok(call.object(report, "report")?.report.verdict().into())
    })
}

/// Returns how many findings stand in the way.
///
/// 0 for NULL and for what is no report; 0 alone does not mean that the host may join: ask
/// `xcp_report_verdict`. From any thread.
///
/// # Safety
/// `report` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_blocking_count(report: *const xcp_report) -> usize {
    quiet(0, |call| Ok(call.object(report, "report")?.report.blockers().count()))
}

/// Returns how many findings there are; 0 for NULL and for what is no report.
///
/// From any thread.
///
/// # Safety
/// `report` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_finding_count(report: *const xcp_report) -> usize {
    quiet(0, |call| Ok(call.object(report, "report")?.report.findings().len()))
}

/// Tells the report as JSON, in the form that `xcp_preflight_json` describes.
///
/// `*json` is freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `report` came from this library; `json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_json(
    report: *const xcp_report,
    json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_report_json", error, |call| {
            let held = call.object(report, "report")?;
            let out = Out::new(json, "json")?;
            out.write_text(json::encode(&held.report)?);
            Ok(())
        })
    }
}

/// Tells the report as text for people.
///
/// The verdict, a line for each finding, then the details. `*text` is freed with `xcp_string_free`.
/// From any thread.
///
/// # Safety
/// `report` came from this library; `text` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_text(
    report: *const xcp_report,
    text: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_report_text", error, |call| {
            let held = call.object(report, "report")?;
            let out = Out::new(text, "text")?;
            out.write_text(held.report.to_string());
            Ok(())
        })
    }
}

/// Tells the report as Markdown.
///
/// The verdict, a table, then the details of each finding. `*markdown` is freed with
/// `xcp_string_free`. From any thread.
///
/// # Safety
/// `report` came from this library; `markdown` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_markdown(
    report: *const xcp_report,
    markdown: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_report_markdown", error, |call| {
            let held = call.object(report, "report")?;
            let out = Out::new(markdown, "markdown")?;
            out.write_text(held.report.to_markdown());
            Ok(())
        })
    }
}

/// Foretells what the join will do that the report was made for.
///
/// As `xcp_consequences_json` does. `*consequences_json` is freed with `xcp_string_free`. From any
/// thread.
///
/// # Safety
/// `report` came from this library; `consequences_json` can be written; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_consequences_json(
    report: *const xcp_report,
    consequences_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_report_consequences_json", error, |call| {
            let held = call.object(report, "report")?;
            let out = Out::new(consequences_json, "consequences_json")?;
            out.write_text(json::encode(&held.report.consequences())?);
            Ok(())
        })
    }
}

/// Foretells the same as Markdown, for a ticket or a wiki.
///
/// `*markdown` is freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `report` came from this library; `markdown` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_consequences_markdown(
    report: *const xcp_report,
    markdown: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_report_consequences_markdown", error, |call| {
            let held = call.object(report, "report")?;
            let out = Out::new(markdown, "markdown")?;
            out.write_text(held.report.consequences().to_markdown());
            Ok(())
        })
    }
}

/// Makes a snapshot of the pool as it will be once the host has joined.
///
/// As far as that is foretold. It can be asked further questions, such as how many host failures
/// the larger pool tolerates. What the report says to stand in the way is taken to be removed, and
/// not the objects that a remedy would move. Refs of new objects begin with "Joined:". `*pool` is
/// freed with `xcp_snapshot_free`. From any thread.
///
/// # Safety
/// `report` came from this library; `pool` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_pool_after(
    report: *const xcp_report,
    pool: *mut *mut xcp_snapshot,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_report_pool_after", error, |call| {
            let held = call.object(report, "report")?;
            let out = Out::new(pool, "pool")?;
            out.write_object(xcp_snapshot::from(held.report.pool_after()));
            Ok(())
        })
    }
}

/// Frees a report. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `report` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_report_free(report: *mut xcp_report) {
    boundary::free(report);
}
