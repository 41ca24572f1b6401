//! What the pool will look like after a host has joined.

use std::ffi::c_char;

use super::encode;
use super::preflight::report;
use crate::ffi::boundary::{Out, call, optional_text, text};
use crate::ffi::error::xcp_error;
use crate::ffi::status::xcp_status;

/// Foretells what in the pool appears, merges, is refused or lost by a join.
///
/// Snapshots and `options_json` are those of `xcp_preflight_json`. If the preflight with these
/// options predicts that the call is refused, the consequences say so by "refusal", and nothing
/// changes.
///
/// `*consequences_json` is `{"schema": 1, "call", "refusal": {"code", "params"} | null, "host",
/// "networks", "interfaces", "management", "srs", "sr_count": {"before", "after"}, "pbds", "vdis",
/// "machines", "settings", "cpu", "losses", "left_behind", "swallowed", "after_start", "unknown"}`;
/// a part is null if the snapshots do not suffice for it, and "unknown" says what was missing. It
/// is freed with `xcp_string_free`.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for texts of another form and for unknown
/// options.
///
/// # Safety
/// The texts end with NUL; `consequences_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_consequences_json(
    pool_snapshot_json: *const c_char,
    host_snapshot_json: *const c_char,
    options_json: *const c_char,
    consequences_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_consequences_json", error, |_| {
            let pool = text(pool_snapshot_json, "pool_snapshot_json")?;
            let host = text(host_snapshot_json, "host_snapshot_json")?;
            let options = optional_text(options_json, "options_json")?;
            let out = Out::new(consequences_json, "consequences_json")?;
            out.write_text(encode(&report(pool, host, options)?.consequences())?);
            Ok(())
        })
    }
}
