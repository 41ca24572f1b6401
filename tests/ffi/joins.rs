//! Several hosts that join a pool, through the C ABI.

use std::ffi::{c_char, c_void};
use std::ptr;

use crate::support::world::{Client, World};
use crate::support::{Refusal, borrowed, c, done, json, text};
use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

/// A pool of one host, and two hosts of their own, each with a VM that is off.
fn lab() -> World {
    let alone = |name: &str, address: &str| {
        value!({"hosts": [{"name": name, "address": address}],
                "vms": [{"name": format!("VM of {name}"), "disks": [{"sr": "Local storage", "gib": 5}]}]})
    };
    let mut ember = alone("ember", "10.0.0.3");
    ember["shared_srs"] = value!([{"name": "Ember NFS", "type": "nfs"}]);
    World::new(&value!({"seed": 9, "pools": [
        {"name": "lab", "hosts": [{"name": "phantom", "address": "10.0.0.1"}],
         "shared_srs": [{"name": "NFS", "type": "nfs"}]},
        alone("ignite", "10.0.0.2"),
        ember,
    ]}))
}

/// Joins that free themselves.
struct Joins(*mut xcp_joins);

impl Drop for Joins {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { xcp_joins_free(self.0) }
    }
}

impl Joins {
    fn planned(pool: &Client, hosts: &[&Client], choices: Option<&str>) -> Result<Self, Refusal> {
        let reports: Vec<_> = hosts.iter().map(|host| report(pool, host)).collect();
        let planned = Self::of(&reports, choices);
        for report in reports {
            // SAFETY: it is freed once.
            unsafe { xcp_report_free(report) }
        }
        planned
    }

    fn of(reports: &[*mut xcp_report], choices: Option<&str>) -> Result<Self, Refusal> {
        let reports: Vec<_> = reports.iter().map(|report| report.cast_const()).collect();
        let choices = choices.map(c);
        let choices = choices.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        let mut joins = ptr::null_mut();
        // SAFETY: the reports are alive, and the texts live during the call.
        done(|e| unsafe {
            xcp_plan_join_many(reports.as_ptr(), reports.len(), choices, &mut joins, e)
        })?;
        Ok(Self(joins))
    }

    fn load(saved: &str) -> Result<Self, Refusal> {
        let (saved, mut joins) = (c(saved), ptr::null_mut());
        // SAFETY: the text lives during the call.
        done(|e| unsafe { xcp_joins_from_json(saved.as_ptr(), &mut joins, e) })?;
        Ok(Self(joins))
    }

    fn saved(&self) -> Value {
        // SAFETY: the joins are alive.
        json(|out, e| unsafe { xcp_joins_json(self.0, out, e) }).unwrap()
    }

    fn digest(&self) -> String {
        // SAFETY: the joins are alive.
        text(|out, e| unsafe { xcp_joins_digest(self.0, out, e) }).unwrap()
    }

    fn consent(&self) -> String {
        // SAFETY: the joins are alive.
        text(|out, e| unsafe { xcp_joins_losses_digest(self.0, out, e) }).unwrap()
    }

    fn run(
        &self,
        pool: &Client,
        hosts: &[&Client],
        consent: Option<&str>,
        options: &str,
    ) -> Result<(bool, Value), Refusal> {
        let (consent, options) = (consent.map(c), c(options));
        let consent = consent.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        let hosts: Vec<_> = hosts.iter().map(|host| host.0.cast_const()).collect();
        let (mut all, mut steps) = (false, Vec::<Value>::new());
        // SAFETY: everything lives during the call.
        let told = json(|out, e| unsafe {
            xcp_join_many(
                pool.0,
                hosts.as_ptr(),
                hosts.len(),
                self.0,
                consent,
                options.as_ptr(),
                Some(progress),
                ptr::from_mut(&mut steps).cast(),
                ptr::null(),
                &mut all,
                out,
                e,
            )
        })?;
        assert!(steps.iter().all(|at| at["of"] == steps[0]["of"] && at["summary"] != ""));
        Ok((all, told))
    }
}

unsafe extern "C" fn progress(ctx: *mut c_void, told: *const c_char) {
    // SAFETY: the context is the vector of `run`.
    let steps = unsafe { &mut *ctx.cast::<Vec<Value>>() };
    steps.push(serde_json::from_str(&borrowed(told)).unwrap());
}

fn report(pool: &Client, host: &Client) -> *mut xcp_report {
    let (a, b) = (pool.snapshot(c"preflight", true).unwrap(), host.snapshot(c"preflight", true));
    let (b, mut report) = (b.unwrap(), ptr::null_mut());
    // SAFETY: the snapshots are freed once, afterwards.
    unsafe {
        done(|e| xcp_preflight(a, b, ptr::null(), &mut report, e)).unwrap();
        xcp_snapshot_free(a);
        xcp_snapshot_free(b);
    }
    report
}

fn outcomes(told: &Value) -> Vec<&str> {
    told["hosts"].as_array().unwrap().iter().map(|at| at["outcome"].as_str().unwrap()).collect()
}

#[test]
fn two_hosts_are_planned_saved_loaded_and_join() {
    let world = lab();
    let [pool, ignite, ember] = [c"phantom", c"ignite", c"ember"].map(|name| world.client(name));
    let joins = Joins::planned(&pool, &[&ignite, &ember], None).unwrap();
    let again = Joins::load(&joins.saved().to_string()).unwrap();
    assert_eq!(again.digest(), joins.digest());
    assert_eq!(again.saved(), joins.saved());
    // SAFETY: the joins are alive.
    let losses = unsafe {
        assert_eq!(xcp_joins_count(again.0), 2);
        assert!(xcp_joins_is_complete(again.0));
        let said = text(|out, e| xcp_joins_text(again.0, out, e)).unwrap();
        assert!(said.contains(&again.consent()), "{said}");
        json(|out, e| xcp_joins_losses_json(again.0, out, e)).unwrap()
    };
    assert_eq!(losses["digest"], again.consent());
    let mut plan = ptr::null_mut();
    // SAFETY: the joins are alive; the plan is freed once.
    unsafe {
        done(|e| xcp_joins_plan(again.0, 1, &mut plan, e)).unwrap();
        let said = json(|out, e| xcp_plan_json(plan, out, e)).unwrap();
        assert_eq!(said, again.saved()["plans"][1]);
        xcp_plan_free(plan);
        let beyond = done(|e| xcp_joins_plan(again.0, 2, &mut plan, e)).unwrap_err();
        assert_eq!(beyond.status, XCP_E_INVALID_INPUT);
        assert_eq!(beyond.message, "index: there is no plan 2 of 2");
    }
    let consent = again.consent();
    let (all, told) = again.run(&pool, &[&ignite, &ember], Some(&consent), "{}").unwrap();
    assert!(all, "{told:#}");
    assert_eq!(outcomes(&told), ["done", "done"]);
    assert_eq!(told["hosts"][1]["joined"]["after"]["hosts"].as_array().unwrap().len(), 3);
    assert_eq!(told["hosts"][0]["host"]["name"], "ignite");
    assert_eq!(world.count(c"phantom", c"host"), 3);
    // Once more is no harm.
    let (all, told) = again.run(&pool, &[&ignite, &ember], Some(&consent), "{}").unwrap();
    assert!(all && told["hosts"][0]["joined"]["already_member"] == true);
}

#[test]
fn a_host_that_does_not_join_is_told_with_its_reasons() {
    let world = lab();
    let [pool, ignite, ember] = [c"phantom", c"ignite", c"ember"].map(|name| world.client(name));
    let joins = Joins::planned(&pool, &[&ignite, &ember], None).unwrap();
    world.trouble(&value!({"trouble": "reset", "host": "ignite", "method": "Async.pool.join"}));
    let consent = joins.consent();
    let (all, told) = joins.run(&pool, &[&ignite, &ember], Some(&consent), "{}").unwrap();
    assert!(!all);
    assert_eq!(outcomes(&told), ["not-done", "skipped"]);
    assert_ne!(told["hosts"][0]["evidence"], value!([]));
    assert_eq!(told["hosts"][1]["reason"], "ignite did not join");

    world.trouble(&value!({"trouble": "reset", "host": "ignite", "method": "Async.pool.join"}));
    let (all, told) = joins
        .run(&pool, &[&ignite, &ember], Some(&consent), r#"{"on_failure": "continue"}"#)
        .unwrap();
    assert!(!all);
    assert_eq!(outcomes(&told), ["not-done", "done"]);
}

#[test]
fn what_is_wrong_with_the_arguments_is_said() {
    let world = lab();
    let [pool, ignite, ember] = [c"phantom", c"ignite", c"ember"].map(|name| world.client(name));
    let hosts = [&ignite, &ember];
    let refused = |choices: &str| Joins::planned(&pool, &hosts, Some(choices)).err().unwrap();
    assert_eq!(refused("[null]").message, "choices_json: 1 entries for 2 reports");
    assert_eq!(refused(r#"{"rules": {"no-such": "x"}}"#).status, XCP_E_INVALID_INPUT);
    assert_eq!(refused("7").status, XCP_E_INVALID_INPUT);
    assert_eq!(
        refused(r#"[null, {"rules": {"halted-vms": "destroy"}}]"#).status,
        XCP_E_INVALID_INPUT
    );
    let delete = r#"[null, {"rules": {"halted-vms": "delete"}}]"#;
    let joins = Joins::planned(&pool, &hosts, Some(delete)).unwrap();
    assert!(joins.saved().to_string().contains("vm-destroy"));
    assert_eq!(Joins::of(&[], None).err().unwrap().message, "reports: there are none");

    let mut mixed = [report(&pool, &ignite), report(&ember, &ignite)];
    let other = Joins::of(&mixed, None).err().unwrap();
    assert_eq!(other.message, "reports[1] is of another pool than reports[0]");
    // SAFETY: each is freed once, and the freed one is only compared.
    unsafe { xcp_report_free(mixed[1]) };
    mixed[1] = ptr::null_mut();
    let gone = Joins::of(&mixed, None).err().unwrap();
    assert_eq!((gone.status, gone.message.as_str()), (XCP_E_NULL, "reports[1] is NULL"));
    // SAFETY: freed once.
    unsafe { xcp_report_free(mixed[0]) };
    let mut joins = ptr::null_mut();
    // SAFETY: NULL is what is tested.
    let none = done(|e| unsafe { xcp_plan_join_many(ptr::null(), 1, ptr::null(), &mut joins, e) });
    assert_eq!(none.unwrap_err().message, "reports is NULL");
    // SAFETY: the length is what is tested; nothing is read.
    let endless = done(|e| unsafe {
        let one: [*const xcp_report; 1] = [ptr::null()];
        xcp_plan_join_many(one.as_ptr(), usize::MAX, ptr::null(), &mut joins, e)
    });
    assert_eq!(endless.unwrap_err().status, XCP_E_INVALID_INPUT);

    let joins = Joins::planned(&pool, &hosts, None).unwrap();
    let consent = joins.consent();
    let run = |hosts: &[&Client], consent: &str, options: &str| {
        joins.run(&pool, hosts, Some(consent), options).unwrap_err()
    };
    assert_eq!(run(&[&ignite], &consent, "{}").status, XCP_E_INVALID_INPUT);
    assert_eq!(run(&hosts, "no digest", "{}").status, XCP_E_INVALID_INPUT);
    let other = format!("sha256:{}", "0".repeat(64));
    assert_eq!(run(&hosts, &other, "{}").status, XCP_E_STATE);
    assert_eq!(run(&hosts, &consent, r#"{"on_failure": "panic"}"#).status, XCP_E_INVALID_INPUT);
    assert_eq!(run(&hosts, &consent, r#"{"on_failur": "stop"}"#).status, XCP_E_INVALID_INPUT);
    assert_eq!(world.count(c"phantom", c"host"), 1);

    let mut saved = joins.saved();
    saved["plans"][1]["schema"] = 2.into();
    let newer = Joins::load(&saved.to_string()).err().unwrap();
    assert_eq!(
        (newer.status, newer.message.as_str()),
        (XCP_E_INVALID_INPUT, "json: schema 2, not 1")
    );
    // SAFETY: NULL and another type are what is tested.
    unsafe {
        assert_eq!(xcp_joins_count(ptr::null()), 0);
        assert!(!xcp_joins_is_complete(pool.0.cast()));
        xcp_joins_free(ptr::null_mut());
        xcp_joins_free(pool.0.cast());
    }
}
