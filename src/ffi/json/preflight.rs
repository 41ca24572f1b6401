//! May this host join this pool?

use std::ffi::c_char;

use serde::Deserialize;

use super::{encode, input};
use crate::ffi::boundary::{Out, call, optional_text, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::status::xcp_status;
use crate::preflight::{self, Evidence, Options, Preflight, Report};
use crate::rules::Policy;

/// Tells whether a host may join a pool, with all that is in the way.
///
/// Each finding comes with its way out. Both snapshots are `{class: {ref: record}}` in XAPI's
/// names: the pool's from its master, the host's own from itself. Nothing is invented: what a
/// snapshot lacks shows as findings of severity "unknown".
///
/// `options_json` may be NULL. It is `{"force": bool, "policy": {"documented": bool, "overrides":
/// {rule: reason}}, "evidence": {...}, "complete_snapshots": bool}`, all optional: `force` asks
/// about `pool.join_force`; `policy` overrides rules by code, and `documented` makes the vendor's
/// documents binding; `complete_snapshots` first fills in what hand-written snapshots leave out
/// with defaults. `evidence` is what the databases do not tell: `"joiner_bridge_backend"`
/// ("openvswitch" or "bridge"), `"editions"` (what the host's licence daemon answers: `[{"title",
/// "order"}...]`, "unreachable", "v6d_failure", "api_v6d_failure", or null if that is not known),
/// `"joiner_host"` (ref), `"joiner_time"`, `"master_time"` (XAPI's datetimes), `"master_address"`.
///
/// `*report_json` is `{"schema": 1, "verdict": "ready" | "blocked" | "needs-force" | "unknown",
/// "force", "predicted_fault": {"code", "params"} | null, "findings": [{"rule", "severity", "side",
/// "xapi_check", "fault", "objects", "expected", "actual", "message", "remedy",
/// "overridden"}...]}`, findings in the order of XAPI's own checks first. Free it with
/// `xcp_string_free`.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for texts of another form and for unknown
/// options.
///
/// # Safety
/// The texts end with NUL; `report_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_preflight_json(
    pool_snapshot_json: *const c_char,
    host_snapshot_json: *const c_char,
    options_json: *const c_char,
    report_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_preflight_json", error, |_| {
            let pool = text(pool_snapshot_json, "pool_snapshot_json")?;
            let host = text(host_snapshot_json, "host_snapshot_json")?;
            let options = optional_text(options_json, "options_json")?;
            let out = Out::new(report_json, "report_json")?;
            out.write_text(encode(&report(pool, host, options)?)?);
            Ok(())
        })
    }
}

/// The report on two snapshots, with options, all as texts.
pub(super) fn report(pool: &str, host: &str, options: Option<&str>) -> Result<Report, Failure> {
    let written: Written = input::decode_or_default(options, "options_json")?;
    let complete = written.complete_snapshots;
    let pool = input::snapshot(pool, "pool_snapshot_json", complete)?;
    let host = input::snapshot(host, "host_snapshot_json", complete)?;
    Ok(preflight::evaluate(pool, host, &written.into_options()))
}

/// The options of a preflight on snapshots that are loaded already.
pub(in crate::ffi) fn options(json: Option<&str>) -> Result<Options, Failure> {
    Ok(input::decode_or_default::<Written>(json, "options_json")?.into_options())
}

/// Options as they are written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of options")]
struct Written {
    force: bool,
    policy: Policy<Preflight>,
    evidence: Evidence,
    complete_snapshots: bool,
}

impl Written {
    fn into_options(self) -> Options {
        Options { force: self.force, policy: self.policy, evidence: self.evidence }
    }
}
