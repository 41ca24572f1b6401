//! The packer of HA's planner, by itself.

use std::ffi::c_char;

use serde::{Deserialize, Serialize};

use super::{input, numbered};
use crate::failover::binpack::{Heuristic, Packing, Verdict};
use crate::ffi::boundary::{Out, call, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};

/// Tells whether VMs keep a place when hosts fail, by their sizes alone.
///
/// As the packer of HA's planner decides.
///
/// `input_json` is `{"free": [bytes...], "size": [bytes...], "placement": [[vm, host]...],
/// "total_hosts": number, "failures": number, "place": [vm...]}`: memory free on each live host,
/// the size of each VM, which VM is on which host, by index; how many hosts the pool has, dead ones
/// too (as many as are live), how many fail (0), and which VMs are to be placed as things are
/// (none). All but the first two are optional.
///
/// `*outcome_json` is `{"schema": 1, "heuristic": "approx" | "exhaustive" (how the server decides),
/// "possible": bool, "verdict": "possible" | "too-few-hosts" | "too-few-slots" | "no-size" |
/// "unplaced", "needed", "capacity", "failures": [host...] | null, "vms": [vm...] | null, "plan":
/// [[vm, host]...]}`, freed with `xcp_string_free`: "needed" and "capacity" are counts of VMs and
/// not null for "too-few-slots"; "failures" and "vms" are not null for "unplaced": if these hosts
/// fail in this order, these VMs find no place. "plan" is where the VMs of "place" go, the last
/// placed first.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for input of another form, and for hosts and VMs
/// that there are not.
///
/// # Safety
/// `input_json` ends with NUL; `outcome_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_packing_json(
    input_json: *const c_char,
    outcome_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_packing_json", error, |_| {
            let input = text(input_json, "input_json")?;
            let out = Out::new(outcome_json, "outcome_json")?;
            out.write_text(pack(input)?);
            Ok(())
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with free and size")]
struct Sizes {
    free: Vec<i64>,
    size: Vec<i64>,
    #[serde(default)]
    placement: Vec<(usize, usize)>,
    total_hosts: Option<usize>,
    #[serde(default)]
    failures: usize,
    #[serde(default)]
    place: Vec<usize>,
}

#[derive(Serialize)]
struct Packed {
    heuristic: Heuristic,
    possible: bool,
    verdict: &'static str,
    needed: Option<i64>,
    capacity: Option<i64>,
    failures: Option<Vec<usize>>,
    vms: Option<Vec<usize>>,
    plan: Vec<(usize, usize)>,
}

fn pack(json: &str) -> Result<String, Failure> {
    let told: Sizes = input::decode(json, "input_json")?;
    let (hosts, vms) = (told.free.len(), told.size.len());
    let vm_is_there = |vm: &usize| *vm < vms;
    let is_there = |(vm, host): &(usize, usize)| vm_is_there(vm) && *host < hosts;
    if !told.placement.iter().all(is_there) || !told.place.iter().all(vm_is_there) {
        let message = format!("input_json: there are {hosts} hosts and {vms} VMs, counted from 0");
        return Err(Failure::new(XCP_E_INVALID_INPUT, message));
    }
    let total_hosts = told.total_hosts.unwrap_or(hosts);
    if total_hosts < hosts {
        let message = format!("input_json: {hosts} hosts are live, of {total_hosts} in all");
        return Err(Failure::new(XCP_E_INVALID_INPUT, message));
    }
    let Sizes { free, size, placement, .. } = told;
    let packing = Packing { free, size, placement, total_hosts };
    // It keeps the number of sequences that are played through small.
    let heuristic = Heuristic::choose(total_hosts, told.failures);
    let verdict = packing.survives_by(heuristic, told.failures);
    let mut packed = Packed {
        heuristic,
        possible: verdict.is_possible(),
        verdict: "possible",
        needed: None,
        capacity: None,
        failures: None,
        vms: None,
        plan: packing.plan(&told.place),
    };
    match verdict {
        Verdict::Possible => {}
        Verdict::TooFewHosts => packed.verdict = "too-few-hosts",
        Verdict::TooFewSlots { needed, capacity } => {
            packed.verdict = "too-few-slots";
            (packed.needed, packed.capacity) = (Some(needed), Some(capacity));
        }
        Verdict::NoSize => packed.verdict = "no-size",
        Verdict::Unplaced { failures, vms } => {
            packed.verdict = "unplaced";
            (packed.failures, packed.vms) = (Some(failures), Some(vms));
        }
    }
    numbered(packed)
}
