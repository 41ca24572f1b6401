//! How many hosts may fail, and which VM restarts where.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::questions::{Asked, Told};
use super::{input, numbered};
use crate::error::Fault;
use crate::failover::{Planner, PoolStatus};
use crate::ffi::boundary::{Out, call, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status::{self, XCP_E_FAULT, XCP_E_INVALID_INPUT};
use crate::model::{Ref, Snapshot, Vm};

/// Asks the planner of HA questions, as the server would answer them, and what-ifs.
///
/// `input_json` is `{"snapshot": {class: {ref: record}}, "complete_snapshots": bool, "calls":
/// [{"method", "params": [...]}...], "questions": [{"ask", ...}...]}`, or with `"side": {"objects":
/// {class: {ref: record}}}`, which is always completed, in place of the first two; of calls and
/// questions one may be left out. Other fields are ignored.
///
/// Calls are made as the server answers them. Their methods are those of XAPI without session and
/// pool, and direct questions to the planner:
/// - `pool.ha_failover_plan_exists [n]`: whether every protected VM restarts after n failures;
/// - `pool.ha_compute_max_host_failures_to_tolerate []`, and with other priorities
///   `pool.ha_compute_hypothetical_max_host_failures_to_tolerate [{vm: priority}]`;
/// - `pool.ha_compute_vm_failover_plan [[host...], [vm...]]`: where the VMs of failed hosts would
///   go;
/// - `pool.set_ha_host_failures_to_tolerate [pool, n]`;
/// - `host.get_vms_which_prevent_evacuation [host]`: what keeps each VM that cannot leave a host;
/// - `oracle.plan_for_n_failures [n]`: "all", "excluding_non_agile" or "none";
/// - `oracle.compute_max []`, `oracle.all_protected_vms []`, `oracle.update_pool_status []`;
/// - `oracle.host_free_memory [host]`, `oracle.vm_memory [vm]` (bytes);
/// - `oracle.vm_assert_agile [vm]`: "", or the error that says why it is bound to its host.
///
/// Questions are about the pool as the calls leave it. Hosts and VMs are named by ref, uuid or a
/// name that only one of them has; sizes are bytes, "failures" are numbers of hosts:
/// - `{"ask": "assess"}`: everything at once, `{"protected": [{"vm", "host", "memory",
///   "not_agile"}...], "hosts": [{"host", "usable", "free"}...], "wanted": plan, "maximum",
///   "restart", "status", "oddities"}`;
/// - `{"ask": "plan", "failures": n, "change": change}`: whether any n hosts (what the pool is to
///   tolerate) may fail, after a change if there is one: `{"failures", "status": "all" |
///   "excluding_non_agile" | "none", "obstacle": {"obstacle", ...} | null}`. A change is
///   `{"leaving": [{"vm", "host"}...], "arriving": [{"vm", "host"}...], "disabled": [host...],
///   "failures": n, "protect": [vm...]}`, each optional;
/// - `{"ask": "refusal", "change": change}`: `{"refusal": {"code", "params"} | null}`, the error by
///   which the server refuses a change that would break its plan;
/// - `{"ask": "maximum", "priorities": {vm: priority}}`: `{"value", "limit", "probes": [plan...]}`,
///   the most failures that can be tolerated and the questions that led there; with other
///   priorities if given;
/// - `{"ask": "failure", "hosts": [host...]}`: what HA does if these fail together, `{"failed",
///   "complete", "groups": [{"order", "starts": [{"vm", "host" | null}...], "delay": seconds}...],
///   "not_restarted": [{"vm", "why", ...}...], "best_effort", "stay_off"}`;
/// - `{"ask": "restart"}`: the start of protected VMs that are off now, `{"restarts": [{"vm",
///   "host"}...], "not_restarted": [{"vm", "why", ...}...]}`;
/// - `{"ask": "evacuate", "host": host}`: `{"moves": {vm: host}, "obstacles": {vm: {"code",
///   "params"}}}`;
/// - `{"ask": "place", "vms": [vm...], "hosts": [host...]}`: where these VMs would go on these
///   hosts, `{"moves": {vm: host}, "unplaced": [vm...]}`;
/// - `{"ask": "agile", "vm": vm}`: `{"not_agile": {"reason", ...} | null}`;
/// - `{"ask": "host-memory", "host": host}`: `{"free", "free_in_plan"}`, with VMs squeezed and at
///   their static maximum; `{"ask": "vm-memory", "vm": vm}`: `{"to_evacuate", "to_restart"}`;
/// - what if: `{"ask": "if-host-leaves", "host": host}`, `{"ask": "if-host-disabled", "host":
///   host}`, `{"ask": "if-host-joins", "like": host, "uuid": text}` (a host like one of the pool),
///   `{"ask": "if-vm-starts", "vm": vm, "host": host}`, `{"ask": "if-vm-stops", "vm": vm}` and
///   `{"ask": "if-ha-enabled", "failures": n}`: `{"refusal": {"code", "params"} | null,
///   "maximum_before", "after": as assess}`.
///
/// `*outcome_json` is `{"schema": 1, "results": [{"ok": value} | {"error": [code, param...]}...],
/// "pool_after": {"ha_host_failures_to_tolerate", "ha_plan_exists_for", "ha_overcommitted"},
/// "answers": [{"ok": {...}} | {"error": {"code", "params"}}...]}`, a result for each call and an
/// answer for each question in order; what a call writes to the pool, the next one finds there. A
/// method that is not known results in the error MESSAGE_METHOD_UNKNOWN. It is freed with
/// `xcp_string_free`.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for input of another form, for names that no or
/// two objects have, and if the snapshot has no pool.
///
/// # Safety
/// `input_json` ends with NUL; `outcome_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_failover_json(
    input_json: *const c_char,
    outcome_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_failover_json", error, |_| {
            let input = text(input_json, "input_json")?;
            let out = Out::new(outcome_json, "outcome_json")?;
            out.write_text(failover(input)?);
            Ok(())
        })
    }
}

/// Asks the planner of HA questions of `xcp_failover_json` about a snapshot object.
///
/// `questions_json` is `{"calls": [...], "questions": [...]}`, of which one may be left out. The
/// snapshot should be of scope "failover" or "everything"; it stays as it is. `*outcome_json` is as
/// there, freed with `xcp_string_free`.
///
/// From any thread. Fails as `xcp_failover_json`.
///
/// # Safety
/// `snapshot` came from this library; `questions_json` ends with NUL; `outcome_json` can be
/// written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_failover(
    snapshot: *const xcp_snapshot,
    questions_json: *const c_char,
    outcome_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_failover", error, |call| {
            let held = call.object(snapshot, "snapshot")?;
            let asked = text(questions_json, "questions_json")?;
            let out = Out::new(outcome_json, "outcome_json")?;
            let asked: Everything = input::decode(asked, "questions_json")?;
            out.write_text(asked.answer(Arc::clone(&held.snapshot), "questions_json")?);
            Ok(())
        })
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an object with a snapshot or a side, and calls")]
struct Input<'a> {
    #[serde(borrow, default)]
    snapshot: Option<&'a RawValue>,
    #[serde(borrow, default)]
    side: Option<Side<'a>>,
    #[serde(default)]
    complete_snapshots: bool,
    calls: Option<Vec<Question>>,
    questions: Option<Vec<Asked>>,
}

/// What is asked of one pool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with calls or questions")]
struct Everything {
    calls: Option<Vec<Question>>,
    questions: Option<Vec<Asked>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with objects")]
struct Side<'a> {
    #[serde(borrow)]
    objects: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with method and params")]
struct Question {
    method: String,
    #[serde(default)]
    params: Vec<Value>,
}

#[derive(Serialize)]
struct Answers {
    results: Vec<Answer>,
    pool_after: PoolAfter,
    answers: Vec<Told>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(Value),
    Error(Vec<String>),
}

#[derive(Serialize)]
struct PoolAfter {
    ha_host_failures_to_tolerate: i64,
    ha_plan_exists_for: i64,
    ha_overcommitted: bool,
}

fn failover(json: &str) -> Result<String, Failure> {
    let input: Input<'_> = input::decode(json, "input_json")?;
    let snapshot = match (input.snapshot, &input.side) {
        (Some(snapshot), None) => {
            input::snapshot(snapshot.get(), "input_json.snapshot", input.complete_snapshots)?
        }
        (None, Some(side)) => input::snapshot(side.objects.get(), "input_json.side.objects", true)?,
        _ => {
            return Err(Failure::new(
                XCP_E_INVALID_INPUT,
                "input_json: neither or both of snapshot and side are there",
            ));
        }
    };
    let asked = Everything { calls: input.calls, questions: input.questions };
    asked.answer(Arc::new(snapshot), "input_json")
}

impl Everything {
    fn answer(self, mut snapshot: Arc<Snapshot>, argument: &str) -> Result<String, Failure> {
        if self.calls.is_none() && self.questions.is_none() {
            let message = format!("{argument}: neither calls nor questions are there");
            return Err(Failure::new(XCP_E_INVALID_INPUT, message));
        }
        let mut results = Vec::new();
        for (n, question) in self.calls.iter().flatten().enumerate() {
            let (answer, written) = match question.ask(&Planner::new(&snapshot)?) {
                Ok((answer, written)) => (Answer::Ok(answer), written),
                Err(failure) => (Answer::of(failure, &format!("{argument}.calls[{n}]"))?, None),
            };
            results.push(answer);
            if let Some(status) = written {
                write(Arc::make_mut(&mut snapshot), &status);
            }
        }
        let (_, pool) = snapshot.the_pool()?;
        let pool_after = PoolAfter {
            ha_host_failures_to_tolerate: pool.ha_host_failures_to_tolerate,
            ha_plan_exists_for: pool.ha_plan_exists_for,
            ha_overcommitted: pool.ha_overcommitted,
        };
        let questions = self.questions.iter().flatten().enumerate();
        let answers = questions
            .map(|(n, asked)| {
                let answer = asked.ask(&snapshot);
                answer.map_err(|wrong| wrong.in_argument(&format!("{argument}.questions[{n}]")))
            })
            .collect::<Result<_, _>>()?;
        numbered(Answers { results, pool_after, answers })
    }
}

impl Question {
    /// The answer, and what the call writes to the pool.
    fn ask(&self, planner: &Planner<'_>) -> Result<(Value, Option<PoolStatus>), Failure> {
        let answer = match self.method.as_str() {
            "host.get_vms_which_prevent_evacuation" => {
                let obstacles = planner.host_evacuation(&self.param(0)?)?.obstacles;
                let told = obstacles.into_iter().map(|(vm, fault)| (vm.to_string(), told(fault)));
                json!(told.collect::<BTreeMap<_, _>>())
            }
            "oracle.all_protected_vms" => json!(planner.protected_vms()),
            "oracle.compute_max" => json!(planner.maximum().value),
            "oracle.host_free_memory" => json!(planner.host_free_memory(&self.param(0)?)?),
            "oracle.plan_for_n_failures" => json!(planner.plan_for(self.param(0)?).status),
            "oracle.update_pool_status" => {
                let status = planner.updated_status();
                return Ok((json!(status.changed), Some(status)));
            }
            "oracle.vm_assert_agile" => {
                let vm: Ref<Vm> = self.param(0)?;
                match planner.not_agile(&vm)? {
                    None => json!(""),
                    Some(reason) => return Err(crate::Error::from(reason.fault(&vm)).into()),
                }
            }
            "oracle.vm_memory" => json!(planner.vm_memory(&self.param(0)?)?),
            "pool.ha_compute_hypothetical_max_host_failures_to_tolerate" => {
                json!(planner.hypothetical_maximum(&self.param(0)?)?.value)
            }
            "pool.ha_compute_max_host_failures_to_tolerate" => {
                let (maximum, status) = planner.recomputed_maximum();
                return Ok((json!(maximum), Some(status)));
            }
            "pool.ha_compute_vm_failover_plan" => {
                let hosts: Vec<_> = self.param(0)?;
                let vms: Vec<_> = self.param(1)?;
                let plan = planner.vm_failover_plan(&hosts, &vms)?;
                plan.into_iter().map(|(vm, to)| (vm.to_string(), json!(to))).collect()
            }
            "pool.ha_failover_plan_exists" => json!(planner.plan_for(self.param(0)?).exists()),
            "pool.set_ha_host_failures_to_tolerate" => {
                let status = planner.set_failures_to_tolerate(self.param(1)?)?;
                return Ok((json!(""), Some(status)));
            }
            unknown => {
                let fault = Fault::new("MESSAGE_METHOD_UNKNOWN", [unknown]);
                return Err(crate::Error::from(fault).into());
            }
        };
        Ok((answer, None))
    }

    fn param<T: DeserializeOwned>(&self, n: usize) -> Result<T, Failure> {
        let method = &self.method;
        let wrong = |why: String| {
            Failure::new(XCP_E_INVALID_INPUT, format!("parameter {n} of {method} {why}"))
        };
        let param = self.params.get(n).ok_or_else(|| wrong("is missing".to_owned()))?;
        T::deserialize(param).map_err(|error| wrong(format!("is wrong: {error}")))
    }
}

impl Answer {
    /// What the server would raise; what is wrong with the question fails.
    fn of(failure: Failure, argument: &str) -> Result<Self, Failure> {
        match (failure.status, failure.fault) {
            (XCP_E_FAULT, Some(fault)) => Ok(Self::Error(told(fault))),
            (status, fault) => {
                let message = format!("{argument}: {}", failure.message);
                Err(Failure { fault, ..Failure::new(status, message) })
            }
        }
    }
}

/// An error as the server sends it: its code, then its parameters.
fn told(fault: Fault) -> Vec<String> {
    std::iter::once(fault.code).chain(fault.params).collect()
}

fn write(snapshot: &mut Snapshot, status: &PoolStatus) {
    for (_, pool) in snapshot.pool.iter_mut() {
        pool.ha_host_failures_to_tolerate = status.ha_host_failures_to_tolerate;
        pool.ha_plan_exists_for = status.ha_plan_exists_for;
        pool.ha_overcommitted = status.ha_overcommitted;
    }
}
