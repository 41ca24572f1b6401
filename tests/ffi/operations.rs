//! Plans, operations and watches, through the C ABI.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use crate::support::world::{Client, World};
use crate::support::{Refusal, borrowed, c, done, json, text};
use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

/// Phantom and Ignite with a plan for Ignite to join; freed in the end.
struct Story {
    world: World,
    phantom: Client,
    ignite: Client,
    report: *mut xcp_report,
    plan: *mut xcp_plan,
}

impl Story {
    fn new() -> Self {
        let world = World::story();
        let (phantom, ignite) = (world.client(c"phantom"), world.client(c"ignite"));
        let pool = phantom.snapshot(c"preflight", true).unwrap();
        let host = ignite.snapshot(c"preflight", true).unwrap();
        let (mut report, mut plan) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: what is used is alive.
        unsafe {
            done(|e| xcp_preflight(pool, host, ptr::null(), &mut report, e)).unwrap();
            xcp_snapshot_free(pool);
            xcp_snapshot_free(host);
            done(|e| xcp_plan_join(report, ptr::null(), &mut plan, e)).unwrap();
        }
        Self { world, phantom, ignite, report, plan }
    }

    fn digest(&self) -> String {
        // SAFETY: the plan is alive.
        text(|out, e| unsafe { xcp_plan_losses_digest(self.plan, out, e) }).unwrap()
    }

    fn join(&self, consent: Option<&CStr>, observer: &mut Observer) -> Result<Value, Refusal> {
        self.join_with(consent, ptr::null(), observer)
    }

    fn join_with(
        &self,
        consent: Option<&CStr>,
        options: *const c_char,
        observer: &mut Observer,
    ) -> Result<Value, Refusal> {
        let cancel = observer.cancel;
        // SAFETY: everything lives during the call.
        json(|out, e| unsafe {
            xcp_join(
                self.phantom.0,
                self.ignite.0,
                self.plan,
                consent.map_or(ptr::null(), CStr::as_ptr),
                options,
                Some(observe),
                ptr::from_mut(observer).cast(),
                cancel,
                out,
                e,
            )
        })
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        // SAFETY: they are freed once.
        unsafe {
            xcp_plan_free(self.plan);
            xcp_report_free(self.report);
        }
    }
}

/// What is told of progress, and what is done about it.
struct Observer {
    told: Vec<Value>,
    /// Cancelled at the first step, if it is there.
    cancel: *mut xcp_cancel,
    /// Called back, if it is there; with what came of it.
    client: *mut xcp_client,
    refused: Option<Refusal>,
}

impl Default for Observer {
    fn default() -> Self {
        let (cancel, client) = (ptr::null_mut(), ptr::null_mut());
        Self { told: Vec::new(), cancel, client, refused: None }
    }
}

unsafe extern "C" fn observe(ctx: *mut c_void, progress: *const c_char) {
    // SAFETY: the test gives its observer.
    let observer = unsafe { &mut *ctx.cast::<Observer>() };
    observer.told.push(serde_json::from_str(&borrowed(progress)).unwrap());
    // SAFETY: both are alive, or NULL.
    unsafe {
        xcp_cancel_cancel(observer.cancel);
        if !observer.client.is_null() {
            let refusal = text(|out, e| xcp_client_pool_uuid(observer.client, ptr::null(), out, e));
            observer.refused = refusal.err();
        }
    }
}

#[test]
fn ignite_joins_the_pool_of_phantom() {
    let story = Story::new();
    assert_eq!(story.world.count(c"phantom", c"SR"), 6);
    let mut observer = Observer { client: story.ignite.0, ..Observer::default() };
    let joined = story.join(Some(&c(&story.digest())), &mut observer).unwrap();
    assert_eq!(joined["schema"], 1);
    assert_eq!(joined["missing"], value!([]));
    assert_eq!(joined["already_member"], false);
    assert_eq!(joined["after"]["srs"].as_array().unwrap().len(), 9);
    assert_eq!(story.world.count(c"phantom", c"SR"), 9);
    let told = observer.told.last().unwrap();
    assert_eq!((&told["schema"], &told["step"]), (&value!(1), &told["of"]));
    assert_eq!(observer.refused.unwrap().status, XCP_E_MISUSE);
    assert_eq!(story.world.client(c"ignite").endpoint(), "https://10.0.0.1");
    let again = story.join(None, &mut Observer::default()).unwrap();
    assert_eq!((&again["already_member"], &again["before"]), (&value!(true), &Value::Null));
}

#[test]
fn a_join_that_is_not_done_says_what_was_seen() {
    let story = Story::new();
    story
        .world
        .trouble(&value!({"trouble": "reset", "host": "ignite", "method": "Async.pool.join"}));
    let consent = c(&story.digest());
    let mut error = ptr::null_mut();
    let mut out = ptr::null_mut();
    // SAFETY: everything lives during the calls.
    unsafe {
        let status = xcp_join(
            story.phantom.0,
            story.ignite.0,
            story.plan,
            consent.as_ptr(),
            ptr::null(),
            None,
            ptr::null_mut(),
            ptr::null(),
            &mut out,
            &mut error,
        );
        assert_eq!(status, XCP_E_NOT_DONE);
        let evidence = borrowed(xcp_error_evidence_json(error));
        assert!(evidence.contains("still is the master"), "{evidence}");
        assert!(borrowed(xcp_error_message(error)).starts_with("the join was not done: "));
        xcp_error_free(error);
        assert_eq!(borrowed(xcp_error_evidence_json(ptr::null())), "[]");
    }
    assert_eq!(story.world.count(c"phantom", c"host"), 1);
}

#[test]
fn a_join_whose_end_cannot_be_told_can_be_asked_about_again() {
    let story = Story::new();
    let consent = c(&story.digest());
    let short = c"{\"deadline\": 1.5}";
    let refusal =
        story.join_with(Some(&consent), short.as_ptr(), &mut Observer::default()).unwrap_err();
    assert!(
        [XCP_E_OUTCOME_UNKNOWN, XCP_E_NOT_DONE].contains(&refusal.status),
        "{}: {}",
        refusal.status as u32,
        refusal.message
    );
}

#[test]
fn an_observer_can_cancel() {
    let story = Story::new();
    let mut observer = Observer::default();
    // SAFETY: the object is freed last.
    unsafe {
        done(|e| xcp_cancel_new(&mut observer.cancel, e)).unwrap();
        let consent = c(&story.digest());
        let refusal = story.join(Some(&consent), &mut observer).unwrap_err();
        assert_eq!(refusal.status, XCP_E_CANCELLED);
        xcp_cancel_free(observer.cancel);
    }
    assert_eq!(observer.told.len(), 1);
    assert_eq!(story.world.count(c"phantom", c"host"), 1);
}

#[test]
fn consent_is_given_to_what_was_shown() {
    let story = Story::new();
    let join = |consent: &CStr| story.join(Some(consent), &mut Observer::default()).unwrap_err();
    assert_eq!(
        join(c"yes").message,
        "consent: \"yes\" is no digest, which is sha256: and 64 hexadecimal digits"
    );
    let other = c(&format!("sha256:{}", "0".repeat(64)));
    assert_eq!(join(&other).status, XCP_E_STATE);
    // SAFETY: the plan is alive.
    let losses = json(|out, e| unsafe { xcp_plan_losses_json(story.plan, out, e) }).unwrap();
    assert_eq!(losses["digest"], story.digest());
    assert!(losses["losses"].is_array());
}

#[test]
fn a_plan_is_counted_saved_and_loaded() {
    let story = Story::new();
    // SAFETY: the plans are alive until they are freed.
    unsafe {
        let saved = json(|out, e| xcp_plan_json(story.plan, out, e)).unwrap();
        let steps = saved["steps"].as_array().unwrap().len();
        assert_eq!(xcp_plan_step_count(story.plan), steps);
        assert!(xcp_plan_is_complete(story.plan));
        let lines = text(|out, e| xcp_plan_text(story.plan, out, e)).unwrap();
        assert!(lines.contains("plan "), "{lines}");
        let digest = |plan| text(|out, e| xcp_plan_digest(plan, out, e)).unwrap();
        let load = |saved: &Value| {
            let (saved, mut plan) = (c(&saved.to_string()), ptr::null_mut());
            done(|e| xcp_plan_from_json(saved.as_ptr(), &mut plan, e)).map(|()| plan)
        };
        let again = load(&saved).unwrap();
        assert_eq!(digest(again), digest(story.plan));
        xcp_plan_free(again);
        let mut other = saved;
        other["schema"] = value!(2);
        assert_eq!(load(&other).unwrap_err().message, "json: schema 2, not 1");
        assert_eq!(load(&value!({})).unwrap_err().status, XCP_E_INVALID_INPUT);
        assert_eq!(xcp_plan_step_count(ptr::null()), 0);
        assert!(!xcp_plan_is_complete(ptr::null()));
        xcp_plan_free(ptr::null_mut());
    }
}

#[test]
fn choices_are_made_by_rule_and_by_object() {
    let story = Story::new();
    let plan = |choices: &Value| {
        let (choices, mut plan) = (c(&choices.to_string()), ptr::null_mut());
        // SAFETY: the report is alive, the plan is freed here.
        unsafe {
            done(|e| xcp_plan_join(story.report, choices.as_ptr(), &mut plan, e))?;
            let saved = json(|out, e| xcp_plan_json(plan, out, e));
            xcp_plan_free(plan);
            saved
        }
    };
    // SAFETY: the report is alive.
    let report = json(|out, e| unsafe { xcp_report_json(story.report, out, e) }).unwrap();
    let finding = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["remedy"]["choices"].as_array().unwrap().len() > 1)
        .unwrap();
    let rule = finding["rule"].as_str().unwrap();
    let last = finding["remedy"]["choices"].as_array().unwrap().last().unwrap()["code"].clone();
    let default = plan(&value!({})).unwrap();
    let by_rule = plan(&value!({"rules": {rule: last}})).unwrap();
    assert_ne!(default["steps"], by_rule["steps"]);
    let object = &finding["objects"][0]["ref"].as_str().unwrap();
    let by_object = plan(&value!({"objects": {rule: {*object: last}}})).unwrap();
    assert_ne!(default["steps"], by_object["steps"]);
    for wrong in [
        value!({"rules": {"no-rule": "x"}}),
        value!({"rules": {rule: "no-choice"}}),
        value!({"rule": {}}),
    ] {
        assert_eq!(plan(&wrong).unwrap_err().status, XCP_E_INVALID_INPUT, "{wrong}");
    }
}

#[test]
fn a_report_foretells_the_join() {
    let story = Story::new();
    // SAFETY: the report is alive.
    let foretold =
        json(|out, e| unsafe { xcp_report_consequences_json(story.report, out, e) }).unwrap();
    assert_eq!(foretold["call"], "pool.join");
    assert!(!foretold["refusal"].is_null(), "the story's Ignite is refused as it is");
}

fn watch(client: &Client) -> *mut xcp_watch {
    let mut watch = ptr::null_mut();
    // SAFETY: the client is alive.
    done(|e| unsafe {
        xcp_client_watch(client.0, c"everything".as_ptr(), ptr::null(), &mut watch, e)
    })
    .unwrap();
    watch
}

fn next(watch: *const xcp_watch) -> Result<Value, Refusal> {
    // SAFETY: the watch is alive.
    json(|out, e| unsafe { xcp_watch_next(watch, ptr::null(), out, e) })
}

#[test]
fn a_watch_tells_changes_and_keeps_the_snapshot() {
    let world = World::story();
    let client = world.client(c"phantom");
    let hosts = client.call("host.get_all", &value!([])).unwrap();
    let watch = watch(&client);
    client.call("host.set_name_label", &value!([hosts[0], "Poltergeist"])).unwrap();
    loop {
        let change = next(watch).unwrap();
        assert_eq!(change["schema"], 1);
        if change["class"] == "host" && change["ref"] == hosts[0] {
            assert_eq!(change["operation"], "modified");
            break;
        }
    }
    // The watch keeps what it needs of the client.
    drop(client);
    // SAFETY: both are freed last.
    unsafe {
        let mut snapshot = ptr::null_mut();
        done(|e| xcp_watch_snapshot(watch, &mut snapshot, e)).unwrap();
        let saved = json(|out, e| xcp_snapshot_to_json(snapshot, out, e)).unwrap();
        assert_eq!(saved["host"][hosts[0].as_str().unwrap()]["name_label"], "Poltergeist");
        xcp_snapshot_free(snapshot);
        xcp_watch_cancel(watch);
        assert_eq!(next(watch).unwrap_err().status, XCP_E_CANCELLED);
        xcp_watch_free(watch);
        xcp_watch_free(ptr::null_mut());
        xcp_watch_cancel(ptr::null());
    }
    assert_eq!(next(watch).unwrap_err().status, XCP_E_MISUSE);
}
