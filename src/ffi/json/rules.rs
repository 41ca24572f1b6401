//! What the preflight checks.

use std::ffi::c_char;

use serde::Serialize;

use super::numbered;
use crate::ffi::boundary::{Out, call};
use crate::ffi::error::xcp_error;
use crate::ffi::status::xcp_status;
use crate::preflight::Preflight;
use crate::rules::{Rule, RuleSet};

/// Tells all rules of the preflight, in the order of reports.
///
/// XAPI's checks come first, in XAPI's order.
///
/// `*rules_json` is `{"schema": 1, "rules": [{"rule", "compares", "remedy", "severity", "side",
/// "xapi_check", "formerly", "error", "since", "documented", "reads": [{"side", "class",
/// "records", "fields", "since", "until", "by_call"}...]}...]}`, freed with `xcp_string_free`.
/// "rule" is the code that policies and choices name; "compares" and "remedy" are sentences;
/// "xapi_check" is the function of XAPI that is mirrored and "error" the code that it raises, null
/// for what XAPI does not look at; "formerly" is the check's older name and the release that
/// renamed it, or null; "since" is the release of XAPI that brought the check ("25.8.0"), null if
/// every supported one has it;
/// "documented" says that a policy with "documented" makes the rule binding; "reads" are the fields
/// without which a finding is of severity "unknown", "records" being "each", "all", "local" (the
/// joiner or the pool's master) or "management" (its interface), "since" and "until" the releases
/// between which a check reads them, "by_call" whether an older pool refuses to be asked.
///
/// From any thread.
///
/// # Safety
/// `rules_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_rules_json(
    rules_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_rules_json", error, |_| {
            let out = Out::new(rules_json, "rules_json")?;
            out.write_text(numbered(Rules { rules: Preflight::rules() })?);
            Ok(())
        })
    }
}

#[derive(Serialize)]
struct Rules {
    rules: &'static [&'static Rule],
}
