//! Snapshots as objects.

use std::ffi::c_char;
use std::sync::Arc;

use serde::Serialize;

use crate::ffi::boundary::{self, Out, call, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::Object;
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT, XCP_E_STATE};
use crate::model::{Class, Overview, Problem, Snapshot, with_class};
use crate::text::quoted;

/// The records of one pool at one moment.
///
/// Made by `xcp_snapshot_from_json`, freed by `xcp_snapshot_free`. Threads: immutable; may be used
/// by many at once.
pub struct xcp_snapshot {
    pub(super) snapshot: Arc<Snapshot>,
}

impl Object for xcp_snapshot {
    const NAME: &'static str = "xcp_snapshot";
}

impl From<Snapshot> for xcp_snapshot {
    fn from(snapshot: Snapshot) -> Self {
        Self { snapshot: Arc::new(snapshot) }
    }
}

/// Loads a snapshot from its JSON, `{class: {ref: record}}` in XAPI's names.
///
/// Unknown classes, fields and values are tolerated; a record that cannot be read is left out and
/// told by `xcp_snapshot_problems_json`. `complete` is for what people write by hand: fields,
/// relations and classes that are left out get XAPI's defaults. Records of real servers are loaded
/// without it.
///
/// `*snapshot` is freed with `xcp_snapshot_free`. From any thread. Fails with XCP_E_INVALID_INPUT
/// if the text is no object of objects.
///
/// # Safety
/// `json` ends with NUL; `snapshot` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_snapshot_from_json(
    json: *const c_char,
    complete: bool,
    snapshot: *mut *mut xcp_snapshot,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_snapshot_from_json", error, |_| {
            let json = text(json, "json")?;
            let out = Out::new(snapshot, "snapshot")?;
            out.write_object(json::snapshot(json, "json", complete)?.into());
            Ok(())
        })
    }
}

/// Saves a snapshot as JSON that `xcp_snapshot_from_json` loads.
///
/// Records are in the order of their refs. `*json` is freed with `xcp_string_free`. From any
/// thread.
///
/// # Safety
/// `snapshot` came from this library; `json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_snapshot_to_json(
    snapshot: *const xcp_snapshot,
    json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_snapshot_to_json", error, |call| {
            let held = call.object(snapshot, "snapshot")?;
            let out = Out::new(json, "json")?;
            out.write_text(held.snapshot.to_json());
            Ok(())
        })
    }
}

/// Counts the records of a class, such as "SR".
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for a class that the library does not know, and
/// with XCP_E_STATE if the snapshot does not cover the class, so that nobody knows how many there
/// are.
///
/// # Safety
/// `snapshot` came from this library; `class_name` ends with NUL; `count` can be written; `error`
/// is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_snapshot_count(
    snapshot: *const xcp_snapshot,
    class_name: *const c_char,
    count: *mut usize,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_snapshot_count", error, |call| {
            let held = call.object(snapshot, "snapshot")?;
            let name = text(class_name, "class_name")?;
            let out = Out::new(count, "count")?;
            let class = Class::from_name(name).ok_or_else(|| {
                Failure::new(XCP_E_INVALID_INPUT, format!("class_name: no class {}", quoted(name)))
            })?;
            if !held.snapshot.covers(class) {
                let message = format!("the snapshot does not cover class {class}");
                return Err(Failure::new(XCP_E_STATE, message));
            }
            out.write(with_class!(class, T => held.snapshot.table::<T>().len()));
            Ok(())
        })
    }
}

/// Tells which records of a snapshot's source could not be read, and why.
///
/// `*problems_json` is `{"schema": 1, "problems": [{"class", "ref", "message"}...]}`, freed with
/// `xcp_string_free`. From any thread.
///
/// # Safety
/// `snapshot` came from this library; `problems_json` can be written; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_snapshot_problems_json(
    snapshot: *const xcp_snapshot,
    problems_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_snapshot_problems_json", error, |call| {
            let held = call.object(snapshot, "snapshot")?;
            let out = Out::new(problems_json, "problems_json")?;
            let problems = held.snapshot.problems.iter().map(ProblemText::from).collect();
            out.write_text(json::numbered(Problems { problems })?);
            Ok(())
        })
    }
}

/// Tells a pool in a few numbers and names, to compare before and after.
///
/// `*overview_json` is `{"schema": 1, "master", "master_address", "hosts": [name...], "srs":
/// [name...], "networks": [name...], "vms": [name...]}`, the master first among the hosts, freed
/// with `xcp_string_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the snapshot has no
/// single pool with a master.
///
/// # Safety
/// `snapshot` came from this library; `overview_json` can be written; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_snapshot_overview_json(
    snapshot: *const xcp_snapshot,
    overview_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_snapshot_overview_json", error, |call| {
            let held = call.object(snapshot, "snapshot")?;
            let out = Out::new(overview_json, "overview_json")?;
            out.write_text(json::numbered(Overview::of(&held.snapshot)?)?);
            Ok(())
        })
    }
}

/// Frees a snapshot. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `snapshot` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_snapshot_free(snapshot: *mut xcp_snapshot) {
    boundary::free(snapshot);
}

#[derive(Serialize)]
struct Problems<'a> {
    problems: Vec<ProblemText<'a>>,
}

#[derive(Serialize)]
struct ProblemText<'a> {
    class: &'static str,
    #[serde(rename = "ref")]
    reference: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Problem> for ProblemText<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            class: problem.class.as_str(),
            reference: &problem.reference,
            message: &problem.message,
        }
    }
}
