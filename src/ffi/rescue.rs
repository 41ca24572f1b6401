//! Pools without a master: what state they are in, and the way out.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::Credentials;
use crate::election::{self, PoolEvidence};
use crate::ffi::boundary::{Call, Out, call, text};
use crate::ffi::calls::cancellable;
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::control::{Arguments, xcp_progress};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json::{self, seconds};
use crate::ffi::operations::done;
use crate::ffi::plan::xcp_plan;
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status;
use crate::ffi::transport::xcp_transport;
use crate::health::diagnosis::Diagnosis;
use crate::operations::{self, Members};
use crate::plan::{self, Consent};

/// Says in what state a pool is, also when no master answers.
///
/// Every host is asked for itself.
///
/// `hosts_json` is a list of addresses, `["10.0.0.1", ...]`, or with options `{"hosts":
/// [address...], "addresses": {address: real address}, "patience": seconds, "last_age": seconds,
/// "ask_whether_ha_is_armed": bool}`: where hosts really are that others call by an address, how
/// long one may take to say what it is (15), how long ago `last` was taken, and whether members are
/// asked if HA is armed on them (no: XAPI has no question that is one, and the call that comes near
/// refuses or does nothing). `last` is the last snapshot that was taken while a master answered, in
/// scope "failover" or "everything", or NULL: its hosts are asked too. `cancel` may be NULL. A host
/// that is silent costs 15 s; hosts are asked at the same time.
///
/// `*diagnosis_json` is `{"schema": 1, "state", "hosts": [...], ..., "evidence": {...}}`, freed
/// with `xcp_string_free`; "evidence" is what `xcp_election_json` and `xcp_plan_recovery` take, by
/// refs of `last`. `*diagnosis_text` is the same for people, freed likewise.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for addresses that are none, with
/// XCP_E_CANCELLED.
///
/// # Safety
/// `transport` came from this library, `last` and `cancel` or are NULL; the texts end with NUL;
/// both outputs can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_diagnose(
    transport: *const xcp_transport,
    hosts_json: *const c_char,
    user: *const c_char,
    password: *const c_char,
    last: *const xcp_snapshot,
    cancel: *const xcp_cancel,
    diagnosis_json: *mut *mut c_char,
    diagnosis_text: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_diagnose", error, |call| {
            let members = members(call, transport, hosts_json, user, password, last)?;
            let json_out = Out::new(diagnosis_json, "diagnosis_json")?;
            let text_out = Out::new(diagnosis_text, "diagnosis_text")?;
            let diagnosis = cancellable(call, cancel, &[], |token| {
                Ok(operations::diagnose(&members.cancel(token.clone()))?)
            })?;
            let evidence = diagnosis.evidence();
            let json = json::numbered(Told { diagnosis: &diagnosis, evidence })?;
            json_out.write_text(json);
            text_out.write_text(diagnosis.to_string());
            Ok(())
        })
    }
}

/// Plans the recovery of a pool whose master is gone.
///
/// One host is promoted, every member checked.
///
/// `last` is the last snapshot of the pool. `evidence_json` is that of `xcp_diagnose`, to which a
/// person may add what only people know: `{"hosts": {host: {"powered_off": true}}}` of the old
/// master, and "confirmed". What keeps the decision from being safe and is not confirmed is left to
/// a person: `xcp_plan_is_complete` tells.
///
/// `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
/// snapshot has no pool with a master, or not the hosts of the evidence.
///
/// # Safety
/// `last` came from this library; `evidence_json` ends with NUL; `plan` can be written; `error` is
/// NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_plan_recovery(
    last: *const xcp_snapshot,
    evidence_json: *const c_char,
    plan: *mut *mut xcp_plan,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_plan_recovery", error, |call| {
            let last = call.object(last, "last")?;
            let evidence: PoolEvidence =
                json::decode(text(evidence_json, "evidence_json")?, "evidence_json")?;
            let evidence = json::with_refs(evidence, &last.snapshot, "evidence_json")?;
            let out = Out::new(plan, "plan")?;
            let decision = election::emergency(&last.snapshot, &evidence)?;
            out.write_object(xcp_plan {
                plan: plan::recovery(&last.snapshot, &evidence, &decision)?,
            });
            Ok(())
        })
    }
}

/// Recovers a pool as planned: promotes one host, and points the others to it.
///
/// Every host is looked at afterwards.
///
/// `transport`, `hosts_json`, `user`, `password` and `last` as for `xcp_diagnose`, but `last` is
/// needed; `consent`, `options_json`, `progress` with `ctx`, and `cancel` as for `xcp_join`. The
/// hosts are asked once more before anything is done. Calling again goes on where it ended; no
/// second host is promoted while the first may be a master.
///
/// XCP_OK means that the pool has the planned master. `*recovered_json` is then `{"schema": 1,
/// "master": uuid, "address", "already_master", "members": [{"host", "name", "follows",
/// "says"}...], "remaining": [...]}`, freed with `xcp_string_free`; "remaining" is what a person
/// has to see to.
///
/// From any thread. Fails as `xcp_join` does.
///
/// # Safety
/// `transport`, `last` and `plan` came from this library, `cancel` or is NULL; the texts end with
/// NUL, `consent` and `options_json` or are NULL; `progress` can be called with `ctx` until the
/// call returns; `recovered_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_recover(
    transport: *const xcp_transport,
    hosts_json: *const c_char,
    user: *const c_char,
    password: *const c_char,
    last: *const xcp_snapshot,
    plan: *const xcp_plan,
    consent: *const c_char,
    options_json: *const c_char,
    progress: xcp_progress,
    ctx: *mut c_void,
    cancel: *const xcp_cancel,
    recovered_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_recover", error, |call| {
            let members = members(call, transport, hosts_json, user, password, last)?;
            let plan = &call.object(plan, "plan")?.plan;
            let manner = Arguments { consent, options_json, progress, ctx, cancel }.read()?;
            let consent = manner.consent(|digest| Consent::to(plan, digest))?;
            let out = Out::new(recovered_json, "recovered_json")?;
            let recovered = manner.run(call, &[], |control| {
                done(operations::recover(&members, plan.with_consent(&consent), control)?)
            })?;
            out.write_text(json::numbered(recovered)?);
            Ok(())
        })
    }
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
    evidence: PoolEvidence,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of addresses, or an object with hosts")]
enum Hosts {
    List(Vec<String>),
    Where(Where),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    hosts: Vec<String>,
    #[serde(default)]
    addresses: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "seconds")]
    patience: Option<Duration>,
    #[serde(default, deserialize_with = "seconds")]
    last_age: Option<Duration>,
    #[serde(default)]
    ask_whether_ha_is_armed: bool,
}

/// The hosts that the arguments name.
///
/// # Safety
/// `transport` came from this library, `last` or is NULL; the texts end with NUL.
unsafe fn members(
    call: &mut Call,
    transport: *const xcp_transport,
    hosts_json: *const c_char,
    user: *const c_char,
    password: *const c_char,
    last: *const xcp_snapshot,
) -> Result<Members, Failure> {
    let transport = call.object(transport, "transport")?.transport.clone();
    // SAFETY: what the caller promised.
    let (hosts, user, password) = unsafe {
        (text(hosts_json, "hosts_json")?, text(user, "user")?, text(password, "password")?)
    };
    let told = match json::decode_any(hosts, "hosts_json")? {
        Hosts::List(hosts) => Where { hosts, ..Where::default() },
        Hosts::Where(told) => told,
    };
    let credentials = Credentials::new(user, password);
    let mut members = Members::new(transport, &credentials);
    let wrong = |error| Failure::from(error).in_argument("hosts_json");
    for host in &told.hosts {
        members = members.host(host).map_err(wrong)?;
    }
    for (named, real) in told.addresses {
        members = members.address(named, real.parse().map_err(wrong)?);
    }
    if let Some(time) = told.patience {
        members = members.patience(time);
    }
    if told.ask_whether_ha_is_armed {
        members = members.ask_whether_ha_is_armed();
    }
    if !last.is_null() {
        let last = call.object(last, "last")?;
        members = members.snapshot(last.snapshot.as_ref().clone(), told.last_age);
    }
    Ok(members)
}
