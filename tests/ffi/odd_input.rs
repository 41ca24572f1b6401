//! Whatever a caller writes ends in a result or in a refusal with a reason: inputs with a few parts replaced.
//!
//! `XCP_POOL_CASES` sets how many variants of each input are tried; a failure names the one that it was.

use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

use crate::json::oracle;
use crate::support::world::World;
use crate::support::{Refusal, c, consequences, done, json, preflight, pure, text};

/// Numbers that look random and are the same each time (Steele and others: SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }
}

fn odd(random: &mut Random) -> Value {
    let all = [
        value!(null),
        value!(true),
        value!(-1),
        value!(0),
        value!(65),
        value!(i64::MAX),
        value!(i64::MIN),
        value!(u64::MAX),
        value!(1e300),
        value!(0.5),
        value!(""),
        value!("\u{0}\n\u{202e}"),
        value!("OpaqueRef:NULL"),
        value!("20260101T00:00:00Z"),
        value!("99999999999999999999.1"),
        value!("host"),
        value!([]),
        value!({}),
        value!([null, [1], {"a": "b"}]),
        value!(["OpaqueRef:x", "OpaqueRef:x"]),
    ];
    all[random.below(all.len())].clone()
}

/// Replaces, removes or doubles one part, deeper down more often than not.
fn change(value: &mut Value, random: &mut Random) {
    let descend = random.below(8) != 0;
    match value {
        Value::Object(map) if !map.is_empty() && descend => {
            let nth = random.below(map.len());
            let key = map.keys().nth(nth).unwrap().clone();
            match random.below(12) {
                0 => drop(map.remove(&key)),
                1 => {
                    let other = map.values().nth(random.below(map.len())).unwrap().clone();
                    map.insert(key, other);
                }
                _ => change(&mut map[&key], random),
            }
        }
        Value::Array(list) if !list.is_empty() && descend => {
            let nth = random.below(list.len());
            match random.below(8) {
                0 => drop(list.remove(nth)),
                1 => list.push(list[nth].clone()),
                _ => change(&mut list[nth], random),
            }
        }
        _ => *value = odd(random),
    }
}

fn variants(input: &Value, mut try_one: impl FnMut(&Value) -> Result<(), Refusal>) {
    let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|text| text.parse().ok());
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..cases.unwrap_or(250) {
        let mut random = Random(seed);
        let mut changed = input.clone();
        for _ in 0..=random.below(4) {
            change(&mut changed, &mut random);
        }
        match try_one(&changed) {
            Ok(()) => taken += 1,
            Err(refusal) => {
                refused += 1;
                let Refusal { status, message, .. } = &refusal;
                assert!(
                    !matches!(status, XCP_E_PANIC | XCP_E_INTERNAL | XCP_E_MISUSE | XCP_E_NULL),
                    "variant {seed}: {refusal:?}\n{changed}"
                );
                assert!(message.len() > 8, "variant {seed} says nothing: {refusal:?}");
            }
        }
    }
    // Both ends are worth a look: else the input says too little, or the changes say too much.
    assert!(taken > 0 && refused > 0, "{taken} were taken, {refused} refused");
}

/// Inputs of one function that are fine.
fn inputs(function: crate::support::Pure, inputs: &[Value]) {
    for input in inputs {
        pure(function, &input.to_string()).unwrap();
        variants(input, |changed| pure(function, &changed.to_string()).map(drop));
    }
}

fn world() -> World {
    World::new(&value!({"seed": 5, "pools": [{
        "name": "lab", "nics": 3,
        "hosts": [
            {"name": "phantom", "address": "10.0.0.1"},
            {"name": "ignite", "address": "10.0.0.2"},
            {"name": "ember", "address": "10.0.0.3"},
        ],
        "shared_srs": [{"name": "NFS", "type": "nfs"}],
        "vlans": [{"name": "lab", "nic": 0, "tag": 7}],
        "bonds": [{"name": "pair", "nics": [1, 2]}],
        "vms": [
            {"name": "web", "power": "running", "host": "ignite", "memory_gib": 8, "disks": [{"sr": "NFS", "gib": 9}]},
            {"name": "cellar", "power": "running", "host": "ignite", "disks": [{"sr": "Local storage", "gib": 1}]},
        ],
    }]}))
}

fn database(world: &World, host: &str) -> Value {
    let host = c(host);
    // SAFETY: the world is alive, the text ends.
    json(|out, e| unsafe { xcp_simulator_database_json(world.simulator, host.as_ptr(), out, e) })
        .unwrap()
}

/// The classes that a question reads, so that the changes hit what counts.
fn of(database: &Value, classes: &[&str]) -> Value {
    classes.iter().map(|class| ((*class).to_owned(), database[*class].clone())).collect()
}

#[test]
fn partitions_with_odd_parts_end_in_a_result_or_a_reason() {
    let vectors = oracle("xhad-partition-vectors.jsonl");
    inputs(
        xcp_partition_json,
        &[
            value!({"hosts": ["a", "b", "c", "d"], "master": "c", "split": [["c", "d"]], "ask": "outcome",
                "shut_down": ["a"], "crash": ["b"], "lose_storage": ["c"], "cut": [["a", "c"]],
                "weights": {"b": 2}, "base_timeout": 90}),
            serde_json::from_str(vectors.lines().nth(100).unwrap()).unwrap(),
            value!({"me": 0, "weights": [1, 1], "excluded": 0, "liveset": 3, "own": {"hb": 3, "sf": 3},
                "heard": [{"hb": 3, "sf": 3}, {"hb": 3, "sf": 3}],
                "read": [{"hb": 3, "sf": 3}, {"hb": 3, "sf": 3}]}),
        ],
    );
    inputs(
        xcp_master_lock_json,
        &[value!({"me": 1, "n": 3, "online": 7, "events": ["propose", "update",
            {"read": {"host": 0, "request": true, "grants": 7}}, {"online": 3}, "lose-state-file"]})],
    );
}

#[test]
fn elections_with_odd_parts_end_in_a_result_or_a_reason() {
    let all = database(&world(), "phantom");
    let snapshot = of(&all, &["pool", "host", "host_metrics", "PBD", "SR", "PIF"]);
    let host = |role: Value| {
        value!({"reachable": true, "reaches": {"ember": false}, "role": role, "emergency_mode": true,
            "ha_armed": false, "database": {"absent": false, "generation": 7, "schema": [5, 789], "age": 60,
            "lineage": "x"}, "powered_off": false, "vetoed": false})
    };
    let evidence = value!({"hosts": {"phantom": host(value!("master")), "ignite": host(value!("broken")),
        "ember": host(value!({"slave": "10.0.0.1"}))}});
    inputs(
        xcp_election_json,
        &[
            value!({"mode": "emergency", "snapshot": snapshot, "evidence": evidence}),
            value!({"mode": "planned", "snapshot": snapshot, "evidence": evidence}),
        ],
    );
}

#[test]
fn questions_to_the_planner_with_odd_parts_end_in_a_result_or_a_reason() {
    let mut all = database(&world(), "phantom");
    for vm in all["VM"].as_object_mut().unwrap().values_mut() {
        vm["ha_restart_priority"] = "restart".into();
        vm["ha_always_run"] = true.into();
    }
    let snapshot = of(&all, &["pool", "host", "host_metrics", "PBD", "SR", "VM", "VBD", "VDI"]);
    inputs(
        xcp_failover_json,
        &[value!({"snapshot": snapshot, "calls": [
            {"method": "pool.ha_failover_plan_exists", "params": [1]},
            {"method": "pool.ha_compute_max_host_failures_to_tolerate", "params": []},
            {"method": "pool.set_ha_host_failures_to_tolerate", "params": ["", 1]},
        ], "questions": [
            {"ask": "assess"}, {"ask": "plan", "failures": 2, "change": {"disabled": ["ember"], "failures": 1}},
            {"ask": "maximum"}, {"ask": "failure", "hosts": ["ignite"]}, {"ask": "restart"},
            {"ask": "evacuate", "host": "ignite"}, {"ask": "place", "vms": ["web"], "hosts": ["ember"]},
            {"ask": "vm-memory", "vm": "web"}, {"ask": "if-host-leaves", "host": "ignite"},
            {"ask": "if-host-joins", "like": "ember", "uuid": "new"}, {"ask": "if-ha-enabled", "failures": 1},
        ]})],
    );
}

#[test]
fn preflights_with_odd_parts_end_in_a_result_or_a_reason() {
    let story = World::story();
    let mut input = value!([database(&story, "phantom"), database(&story, "ignite"),
        {"force": false, "policy": {"documented": true, "overrides": {"shared-storage": "we know"}},
         "evidence": {"joiner_bridge_backend": "openvswitch", "editions": [{"title": "free", "order": 1}],
         "joiner_time": "20260101T00:00:00Z"}}]);
    for side in 0..2 {
        // Templates are many, and alike.
        input[side]["VM"].as_object_mut().unwrap().retain(|_, vm| vm["is_a_template"] != true);
    }
    let parts = |input: &Value| [0, 1, 2].map(|n| input[n].to_string());
    variants(&input, |changed| {
        let [pool, host, options] = parts(changed);
        preflight(&pool, &host, Some(&options))?;
        consequences(&pool, &host, Some(&options)).map(drop)
    });
}

#[test]
fn plans_and_snapshots_with_odd_parts_end_in_a_result_or_a_reason() {
    let world = world();
    let pool = database(&world, "phantom");
    variants(&pool, |changed| {
        let (source, mut snapshot) = (c(&changed.to_string()), std::ptr::null_mut());
        let mut plan = std::ptr::null_mut();
        let host = c"ignite".as_ptr();
        // SAFETY: the text ends, the places are on this stack, objects are freed once.
        unsafe {
            done(|e| xcp_snapshot_from_json(source.as_ptr(), true, &mut snapshot, e))?;
            let problems = json(|out, e| xcp_snapshot_problems_json(snapshot, out, e));
            let saved = text(|out, e| xcp_snapshot_to_json(snapshot, out, e));
            let made = done(|e| xcp_plan_eject(snapshot, host, &mut plan, e)).and_then(|()| {
                xcp_plan_free(plan);
                done(|e| xcp_plan_maintenance(snapshot, host, &mut plan, e))
            });
            xcp_snapshot_free(snapshot);
            made?;
            let saved_plan = json(|out, e| xcp_plan_json(plan, out, e));
            xcp_plan_free(plan);
            problems.and(saved).and(saved_plan).map(drop)
        }
    });
    let source = c(&pool.to_string());
    let (mut snapshot, mut plan) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: as above.
    let saved = unsafe {
        done(|e| xcp_snapshot_from_json(source.as_ptr(), false, &mut snapshot, e)).unwrap();
        done(|e| xcp_plan_eject(snapshot, c"ignite".as_ptr(), &mut plan, e)).unwrap();
        let saved = json(|out, e| xcp_plan_json(plan, out, e)).unwrap();
        xcp_plan_free(plan);
        xcp_snapshot_free(snapshot);
        saved
    };
    variants(&saved, |changed| {
        let (saved, mut plan) = (c(&changed.to_string()), std::ptr::null_mut());
        // SAFETY: as above.
        unsafe {
            done(|e| xcp_plan_from_json(saved.as_ptr(), &mut plan, e))?;
            let told = text(|out, e| xcp_plan_text(plan, out, e));
            let lost = json(|out, e| xcp_plan_losses_json(plan, out, e));
            xcp_plan_free(plan);
            told.and(lost.map(drop).map(|()| String::new())).map(drop)
        }
    });
}

#[test]
fn simulated_worlds_with_odd_parts_end_in_a_result_or_a_reason() {
    let spec = value!({"seed": 1, "password": "p", "pools": [{"name": "a", "release": "8.2", "nics": 2,
        "hosts": [{"name": "h", "address": "10.0.0.1"}, {"name": "i", "address": "10.0.0.2"}],
        "memory_gib": 64, "shared_srs": [{"name": "NFS", "type": "nfs"}], "networks": ["n"],
        "vlans": [{"name": "v", "nic": 0, "tag": 9}], "bonds": [],
        "vms": [{"name": "m", "power": "running", "host": "h", "memory_gib": 2,
                 "disks": [{"sr": "NFS", "gib": 4}], "networks": ["n"]}]}]});
    variants(&spec, |changed| {
        let (spec, mut simulator) = (c(&changed.to_string()), std::ptr::null_mut());
        // SAFETY: the text ends, the simulator is freed once.
        unsafe {
            done(|e| xcp_simulator_new(spec.as_ptr(), &mut simulator, e))?;
            xcp_simulator_free(simulator);
        }
        Ok(())
    });
    let acts = value!([{"act": "power-off", "host": "ignite"}, {"act": "cut", "one": "phantom", "other": null},
        {"act": "power-on", "host": "ignite", "after": 9},
        {"act": "edit", "host": "phantom", "database": {"SR": {"OpaqueRef:new": {"name_label": "x", "shared": true}}}}]);
    let story = World::story();
    variants(&acts, |changed| {
        let acts = c(&changed.to_string());
        // SAFETY: the world is alive, the text ends.
        unsafe { done(|e| xcp_simulator_act(story.simulator, acts.as_ptr(), e))? };
        // SAFETY: the world is alive.
        unsafe { done(|e| xcp_simulator_advance(story.simulator, 20.0, e)) }
    });
}
