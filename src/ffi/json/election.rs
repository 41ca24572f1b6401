//! Whom to make master.

use std::collections::BTreeMap;
use std::ffi::c_char;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::input::{self, Given};
use super::numbered;
use crate::election::{self, Mode, PoolEvidence};
use crate::ffi::boundary::{Out, call, optional_text, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};
use crate::model::{Host, Ref, Snapshot};
use crate::text::quoted;

/// Chooses a master: for a hand-over, or for a promotion after the master died.
///
/// `input_json` is `{"mode": "planned" | "emergency", "snapshot": {class: {ref: record}},
/// "complete_snapshots": bool, "evidence": {"hosts": {host: {"reachable", "reaches": {host: bool},
/// "role": "master" | "broken" | {"slave": address}, "emergency_mode", "ha_armed", "database":
/// {"absent", "generation", "schema": [major, minor], "age", "lineage"}, "powered_off", "vetoed"}},
/// "confirmed": [{"confirm": ..., "host": ref}...]}}`; everything in the evidence is optional, and
/// what is left out is not known, which never counts as "no". Hosts are named by ref, uuid or a
/// name that only one of them has; in "confirmed" as the decision named them under "confirmations".
///
/// `*decision_json` is `{"schema": 1, "mode", "ranked": [{"host", "eligible": "yes" |
/// "if-confirmed" | "no", "reasons"}...], "recommended": ref | null, "verdict": "safe" |
/// "needs-confirmation" | "unsafe", "confirmations", "follow_up", "data_loss", "hazards",
/// "majority"}`, freed with `xcp_string_free`.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for input of another form, and if the snapshot
/// has no single pool.
///
/// # Safety
/// `input_json` ends with NUL; `decision_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_election_json(
    input_json: *const c_char,
    decision_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_election_json", error, |_| {
            let input = text(input_json, "input_json")?;
            let out = Out::new(decision_json, "decision_json")?;
            out.write_text(elect(input)?);
            Ok(())
        })
    }
}

/// Chooses a master as `xcp_election_json` does, from a snapshot object.
///
/// `mode` is "planned" or "emergency"; `evidence_json` may be NULL; it is the "evidence" of
/// `xcp_election_json`, and what `xcp_evidence_json` and `xcp_diagnose` find out. `*decision_json`
/// is as there, freed with `xcp_string_free`.
///
/// From any thread. Fails as `xcp_election_json`.
///
/// # Safety
/// `snapshot` came from this library; `mode` ends with NUL, `evidence_json` too or is NULL;
/// `decision_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_election(
    snapshot: *const xcp_snapshot,
    mode: *const c_char,
    evidence_json: *const c_char,
    decision_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_election", error, |call| {
            let held = call.object(snapshot, "snapshot")?;
            let mode = match text(mode, "mode")? {
                "emergency" => Mode::Emergency,
                "planned" => Mode::Planned,
                other => {
                    let message =
                        format!("mode: {} is neither planned nor emergency", quoted(other));
                    return Err(Failure::new(XCP_E_INVALID_INPUT, message));
                }
            };
            let evidence = optional_text(evidence_json, "evidence_json")?;
            let evidence = input::decode_or_default(evidence, "evidence_json")?;
            let out = Out::new(decision_json, "decision_json")?;
            out.write_text(decide(mode, &held.snapshot, evidence, "evidence_json")?);
            Ok(())
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a mode and a snapshot")]
struct Question<'a> {
    mode: Mode,
    #[serde(borrow)]
    snapshot: &'a RawValue,
    #[serde(default)]
    complete_snapshots: bool,
    #[serde(default)]
    evidence: PoolEvidence,
}

fn elect(json: &str) -> Result<String, Failure> {
    let Question { mode, snapshot, complete_snapshots, evidence } =
        input::decode(json, "input_json")?;
    let snapshot = Given { snapshot, complete_snapshots }.load()?;
    decide(mode, &snapshot, evidence, "input_json.evidence")
}

fn decide(
    mode: Mode,
    snapshot: &Snapshot,
    evidence: PoolEvidence,
    argument: &str,
) -> Result<String, Failure> {
    let evidence = with_refs(evidence, snapshot, argument)?;
    numbered(match mode {
        Mode::Planned => election::planned(snapshot, &evidence)?,
        Mode::Emergency => election::emergency(snapshot, &evidence)?,
    })
}

/// The evidence with the refs of the hosts that it names.
pub(in crate::ffi) fn with_refs(
    mut evidence: PoolEvidence,
    snapshot: &Snapshot,
    argument: &str,
) -> Result<PoolEvidence, Failure> {
    evidence.hosts = named(evidence.hosts, snapshot, argument)?;
    for host in evidence.hosts.values_mut() {
        host.reaches = named(std::mem::take(&mut host.reaches), snapshot, argument)?;
    }
    Ok(evidence)
}

fn named<T>(
    hosts: BTreeMap<Ref<Host>, T>,
    snapshot: &Snapshot,
    argument: &str,
) -> Result<BTreeMap<Ref<Host>, T>, Failure> {
    let mut by_ref = BTreeMap::new();
    for (name, known) in hosts {
        let (reference, host) = input::named_host(snapshot, &name.text())
            .map_err(|failure| failure.in_argument(argument))?;
        if by_ref.insert(reference.clone(), known).is_some() {
            let message = format!("the host {} is named twice", quoted(&host.name_label));
            return Err(Failure::new(XCP_E_INVALID_INPUT, message).in_argument(argument));
        }
    }
    Ok(by_ref)
}
