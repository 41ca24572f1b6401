//! The failover planner: held against recorded answers of the server for 600 pools.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Value, json};
use xcp_pool::failover::{Planner, PoolStatus};
use xcp_pool::model::{Pool, Ref, Snapshot};
use xcp_pool::{Error, Result};

/// One pool a line: its objects, the calls made and what was answered.
fn recorded() -> Vec<Value> {
    let packed = include_bytes!("../data/oracle/failover.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn snapshot(case: &Value) -> Snapshot {
    let mut snapshot = Snapshot::from_json(case["side"]["objects"].to_string().as_bytes()).unwrap();
    assert!(snapshot.problems.is_empty(), "{:?}", snapshot.problems);
    snapshot.complete();
    snapshot
}

/// An error as it is recorded: `[CODE, params…]`.
fn error(error: &Error) -> Value {
    let fault = error.fault().unwrap_or_else(|| panic!("no fault: {error}"));
    let all: Vec<&String> = std::iter::once(&fault.code).chain(&fault.params).collect();
    json!({"error": all})
}

fn answer<T: serde::Serialize>(result: Result<T>) -> Value {
    match result {
        Ok(value) => json!({"ok": value}),
        Err(fault) => error(&fault),
    }
}

fn apply(snapshot: &mut Snapshot, status: &PoolStatus) {
    let pool = only_pool(snapshot);
    pool.ha_host_failures_to_tolerate = status.ha_host_failures_to_tolerate;
    pool.ha_plan_exists_for = status.ha_plan_exists_for;
    pool.ha_overcommitted = status.ha_overcommitted;
}

fn only_pool(snapshot: &mut Snapshot) -> &mut Pool {
    snapshot.pool.iter_mut().next().unwrap().1
}

/// Calls the planner like the server was called, and keeps what the call writes to the pool.
fn call(snapshot: &mut Snapshot, method: &str, params: &[Value]) -> Value {
    let planner = Planner::new(snapshot).unwrap();
    let text = |n: usize| params[n].as_str().unwrap();
    let number = |n: usize| params[n].as_i64().unwrap();
    let mut written = None;
    let result = match method {
        "host.get_vms_which_prevent_evacuation" => {
            answer(planner.host_evacuation(&text(0).into()).map(|plan| {
                plan.obstacles
                    .into_iter()
                    .map(|(vm, fault)| (vm.to_string(), error(&fault.into())["error"].clone()))
                    .collect::<Value>()
            }))
        }
        "oracle.all_protected_vms" => answer(Ok(planner.protected_vms())),
        "oracle.host_free_memory" => answer(planner.host_free_memory(&text(0).into())),
        "oracle.vm_memory" => answer(planner.vm_memory(&text(0).into())),
        "oracle.vm_assert_agile" => {
            let vm = Ref::from(text(0));
            match planner.not_agile(&vm).unwrap() {
                None => json!({"ok": ""}),
                Some(reason) => error(&reason.fault(&vm).into()),
            }
        }
        "oracle.plan_for_n_failures" => answer(Ok(planner.plan_for(number(0)).status)),
        "pool.ha_failover_plan_exists" => answer(Ok(planner.plan_for(number(0)).exists())),
        "oracle.compute_max" => answer(Ok(planner.maximum().value)),
        "oracle.update_pool_status" => {
            let status = planner.updated_status();
            let changed = status.changed;
            written = Some(status);
            answer(Ok(changed))
        }
        "pool.ha_compute_max_host_failures_to_tolerate" => {
            let (maximum, status) = planner.recomputed_maximum();
            written = Some(status);
            answer(Ok(maximum))
        }
        "pool.ha_compute_hypothetical_max_host_failures_to_tolerate" => {
            let priorities: BTreeMap<Ref<_>, String> =
                serde_json::from_value(params[0].clone()).unwrap();
            answer(planner.hypothetical_maximum(&priorities).map(|maximum| maximum.value))
        }
        "pool.ha_compute_vm_failover_plan" => {
            let hosts: Vec<Ref<_>> = serde_json::from_value(params[0].clone()).unwrap();
            let vms: Vec<Ref<_>> = serde_json::from_value(params[1].clone()).unwrap();
            answer(planner.vm_failover_plan(&hosts, &vms).map(|plan| {
                plan.into_iter().map(|(vm, to)| (vm.to_string(), json!(to))).collect::<Value>()
            }))
        }
        "pool.set_ha_host_failures_to_tolerate" => {
            match planner.set_failures_to_tolerate(number(1)) {
                Ok(status) => {
                    written = Some(status);
                    json!({"ok": ""})
                }
                Err(fault) => error(&fault),
            }
        }
        unknown => panic!("{unknown} is not asked"),
    };
    if let Some(status) = written {
        apply(snapshot, &status);
    }
    result
}

#[test]
fn every_recorded_answer_is_reproduced() {
    let cases = recorded();
    assert_eq!(cases.len(), 600);
    let (mut asked, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for case in &cases {
        let mut world = snapshot(case);
        let id = case["id"].as_str().unwrap();
        let calls = case["calls"].as_array().unwrap();
        let results = case["results"].as_array().unwrap();
        assert_eq!(calls.len(), results.len(), "{id}");
        for (made, expected) in calls.iter().zip(results) {
            let method = made["method"].as_str().unwrap();
            let params = made["params"].as_array().unwrap();
            let got = call(&mut world, method, params);
            if got != *expected {
                wrong.push(format!("{id}: {method} {params:?}: {got} is not {expected}"));
            }
            *asked.entry(method).or_default() += 1;
        }
        let after = &case["dump_after"]["pool"]["OpaqueRef:p"];
        let pool = only_pool(&mut world);
        for (field, got) in [
            ("ha_host_failures_to_tolerate", json!(pool.ha_host_failures_to_tolerate)),
            ("ha_plan_exists_for", json!(pool.ha_plan_exists_for)),
            ("ha_overcommitted", json!(pool.ha_overcommitted)),
        ] {
            if got != after[field] {
                wrong.push(format!("{id}: {field} is {got}, not {}", after[field]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    let counts: Vec<_> = asked.into_iter().collect();
    assert_eq!(
        counts,
        [
            ("host.get_vms_which_prevent_evacuation", 955),
            ("oracle.all_protected_vms", 600),
            ("oracle.compute_max", 600),
            ("oracle.host_free_memory", 2_853),
            ("oracle.plan_for_n_failures", 3_068),
            ("oracle.vm_assert_agile", 3_865),
            ("oracle.vm_memory", 3_865),
            ("pool.ha_compute_hypothetical_max_host_failures_to_tolerate", 1_200),
            ("pool.ha_compute_max_host_failures_to_tolerate", 600),
            ("pool.ha_compute_vm_failover_plan", 600),
            ("pool.ha_failover_plan_exists", 3_068),
            ("pool.set_ha_host_failures_to_tolerate", 600),
        ]
    );
}
