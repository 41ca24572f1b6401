//! Maintenance, hand-over, ejection, diagnosis and recovery, through the C ABI.

use std::ffi::CStr;
use std::ptr;

use crate::support::world::{Client, World};
use crate::support::{Refusal, c, done, json, text};
use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

/// A pool of three hosts; phantom is master.
fn pool() -> World {
    World::new(&value!({"seed": 7, "pools": [{
        "name": "lab",
        "hosts": [
            {"name": "phantom", "address": "10.0.0.1"},
            {"name": "ignite", "address": "10.0.0.2"},
            {"name": "ember", "address": "10.0.0.3"},
        ],
        "shared_srs": [{"name": "NFS", "type": "nfs"}],
    }]}))
}

/// A plan that frees itself.
struct Plan(*mut xcp_plan);

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { xcp_plan_free(self.0) }
    }
}

type Planner = unsafe extern "C" fn(
    *const xcp_snapshot,
    *const std::ffi::c_char,
    *mut *mut xcp_plan,
    *mut *mut xcp_error,
) -> xcp_status;

impl Plan {
    /// Plans something from a snapshot.
    fn from(planner: Planner, pool: &Client, text: &CStr) -> Result<Self, Refusal> {
        let snapshot = pool.snapshot(c"everything", true).unwrap();
        let mut plan = ptr::null_mut();
        // SAFETY: the snapshot is freed afterwards, the text lives during the call.
        let planned = done(|e| unsafe { planner(snapshot, text.as_ptr(), &mut plan, e) });
        // SAFETY: it is freed once.
        unsafe { xcp_snapshot_free(snapshot) };
        planned.map(|()| Self(plan))
    }

    fn hand_over(pool: &Client, host: &CStr) -> Result<Self, Refusal> {
        let mut plan = ptr::null_mut();
        // SAFETY: the client is alive.
        done(|e| unsafe { xcp_plan_hand_over(pool.0, host.as_ptr(), ptr::null(), &mut plan, e) })?;
        Ok(Self(plan))
    }

    fn run(&self, pool: &Client, consent: Option<&str>) -> Result<Value, Refusal> {
        let consent = consent.map(c);
        let consent = consent.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        // SAFETY: everything lives during the call.
        json(|out, e| unsafe {
            xcp_run(
                pool.0,
                self.0,
                consent,
                ptr::null(),
                None,
                ptr::null_mut(),
                ptr::null(),
                out,
                e,
            )
        })
    }

    fn digest(&self) -> String {
        // SAFETY: the plan is alive.
        text(|out, e| unsafe { xcp_plan_losses_digest(self.0, out, e) }).unwrap()
    }
}

#[test]
fn a_host_is_rebooted_another_becomes_master_and_one_leaves() {
    let world = pool();
    let client = world.client(c"10.0.0.1");

    let plan = Plan::from(xcp_plan_maintenance, &client, c"ignite").unwrap();
    let done = plan.run(&client, None).unwrap();
    assert_eq!((&done["schema"], &done["already_rebooted"]), (&value!(1), &value!(false)));

    let plan = Plan::hand_over(&client, c"ember").unwrap();
    plan.run(&client, None).unwrap();
    assert_eq!(client.call("pool.get_all", &value!([])).unwrap().as_array().unwrap().len(), 1);
    assert_eq!(client.endpoint(), "https://10.0.0.3");

    let plan = Plan::from(xcp_plan_eject, &client, c"ignite").unwrap();
    let refused = plan.run(&client, None).unwrap_err();
    assert_eq!(refused.status, XCP_E_NOT_DONE, "nobody agreed to the loss: {}", refused.message);
    assert!(refused.message.contains("agreed"), "{}", refused.message);
    assert_eq!(world.count(c"ember", c"host"), 3);
    plan.run(&client, Some(&plan.digest())).unwrap();
    assert_eq!(world.count(c"ember", c"host"), 2);
}

#[test]
fn what_cannot_be_planned_is_refused_by_name() {
    let world = pool();
    let client = world.client(c"10.0.0.1");
    for planner in [xcp_plan_eject as Planner, xcp_plan_maintenance] {
        let refused = Plan::from(planner, &client, c"nobody").err().unwrap();
        assert_eq!(refused.status, XCP_E_INVALID_INPUT);
        assert!(refused.message.contains("no host \"nobody\""), "{}", refused.message);
    }
    assert_eq!(Plan::hand_over(&client, c"nobody").err().unwrap().status, XCP_E_INVALID_INPUT);
    let story = World::story();
    let stranger = story.client(c"phantom");
    let plan = Plan::from(xcp_plan_maintenance, &client, c"ignite").unwrap();
    assert_eq!(plan.run(&stranger, None).unwrap_err().status, XCP_E_INVALID_INPUT);
}

/// The diagnosis of the pool, as JSON and as text.
fn diagnose(
    world: &World,
    hosts: &Value,
    last: *const xcp_snapshot,
) -> Result<(Value, String), Refusal> {
    let hosts = c(&hosts.to_string());
    let mut told = ptr::null_mut();
    // SAFETY: the world is alive, the texts live during the call, and the second output is freed.
    let diagnosis = json(|out, e| unsafe {
        xcp_diagnose(
            world.transport,
            hosts.as_ptr(),
            c"root".as_ptr(),
            c"xcp-test".as_ptr(),
            last,
            ptr::null(),
            out,
            &mut told,
            e,
        )
    })?;
    // SAFETY: it was written, and is freed once.
    let text = unsafe {
        let text = CStr::from_ptr(told).to_str().unwrap().to_owned();
        xcp_string_free(told);
        text
    };
    Ok((diagnosis, text))
}

#[test]
fn a_pool_without_a_master_gets_another_one_when_the_old_one_is_known_to_be_off() {
    let world = pool();
    let last = {
        let client = world.client(c"10.0.0.1");
        client.snapshot(c"everything", true).unwrap()
    };
    world.power_off(c"phantom");
    let hosts = value!(["10.0.0.2", "10.0.0.3"]);
    let (diagnosis, text) = diagnose(&world, &hosts, last).unwrap();
    assert_eq!(diagnosis["schema"], 1);
    assert_eq!(diagnosis["hosts"].as_array().unwrap().len(), 3);
    assert!(text.contains("phantom"), "{text}");

    let plan = |evidence: &Value| {
        let (evidence, mut plan) = (c(&evidence.to_string()), ptr::null_mut());
        // SAFETY: the snapshot is alive.
        done(|e| unsafe { xcp_plan_recovery(last, evidence.as_ptr(), &mut plan, e) }).unwrap();
        Plan(plan)
    };
    let mut evidence = diagnosis["evidence"].clone();
    // SAFETY: the plan is alive.
    let complete = |plan: &Plan| unsafe { xcp_plan_is_complete(plan.0) };
    assert!(!complete(&plan(&evidence)), "nobody said that phantom is off");
    // SAFETY: the snapshot is alive.
    let records = json(|out, e| unsafe { xcp_snapshot_to_json(last, out, e) }).unwrap();
    let master = records["pool"].as_object().unwrap().values().next().unwrap()["master"].clone();
    evidence["hosts"][master.as_str().unwrap()]["powered_off"] = value!(true);
    let chosen = xcp_pool_decision(&records, &evidence);
    evidence["confirmed"] = chosen["confirmations"].clone();
    let plan = plan(&evidence);
    assert!(complete(&plan), "{chosen}");

    let hosts = c(&hosts.to_string());
    let digest = c(&plan.digest());
    // SAFETY: everything lives during the call.
    let recovered = json(|out, e| unsafe {
        xcp_recover(
            world.transport,
            hosts.as_ptr(),
            c"root".as_ptr(),
            c"xcp-test".as_ptr(),
            last,
            plan.0,
            digest.as_ptr(),
            ptr::null(),
            None,
            ptr::null_mut(),
            ptr::null(),
            out,
            e,
        )
    })
    .unwrap();
    assert_eq!(recovered["already_master"], false);
    let follows = |member: &&Value| member["follows"] == true;
    assert_eq!(
        recovered["members"].as_array().unwrap().iter().filter(follows).count(),
        1,
        "{recovered}"
    );
    // SAFETY: it is freed once.
    unsafe { xcp_snapshot_free(last) };
}

/// What a person would be asked to confirm.
fn xcp_pool_decision(records: &Value, evidence: &Value) -> Value {
    let input = value!({"mode": "emergency", "snapshot": records, "evidence": evidence});
    crate::support::pure(xcp_election_json, &input.to_string()).unwrap()
}

#[test]
fn wrong_hosts_are_refused_by_argument() {
    let world = pool();
    for (hosts, why) in [
        (value!({}), "hosts_json: "),
        (value!([1]), "hosts_json: "),
        (value!(["no address "]), "hosts_json: "),
    ] {
        let refused = diagnose(&world, &hosts, ptr::null()).unwrap_err();
        assert_eq!(refused.status, XCP_E_INVALID_INPUT, "{hosts}");
        assert!(refused.message.starts_with(why), "{}", refused.message);
    }
}
