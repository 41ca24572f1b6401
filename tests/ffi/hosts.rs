//! Single hosts, tasks, certificates and the rest of a client's options, through the C ABI.

use std::ffi::{CStr, c_void};
use std::ptr;

use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

use crate::support::world::{Client, World, connect};
use crate::support::{Refusal, borrowed, c, done, json, text};

fn pool() -> World {
    World::new(&value!({"seed": 7, "pools": [{"name": "lab", "hosts": [
        {"name": "phantom", "address": "10.0.0.1"},
        {"name": "ignite", "address": "10.0.0.2"},
    ]}]}))
}

fn probe(world: &World, address: &CStr, password: &CStr, options: &str) -> Result<Value, Refusal> {
    let options = c(options);
    // SAFETY: everything lives during the call.
    json(|out, e| unsafe {
        xcp_probe_json(
            world.transport,
            address.as_ptr(),
            c"root".as_ptr(),
            password.as_ptr(),
            options.as_ptr(),
            ptr::null(),
            out,
            e,
        )
    })
}

struct Local(*mut xcp_local_session);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { xcp_local_session_free(self.0) }
    }
}

impl Local {
    fn open(world: &World, address: &CStr, password: &CStr) -> Result<Self, Refusal> {
        let mut session = ptr::null_mut();
        // SAFETY: everything lives during the call.
        done(|e| unsafe {
            let (user, none) = (c"root".as_ptr(), ptr::null());
            let (address, password) = (address.as_ptr(), password.as_ptr());
            xcp_local_session_open(
                world.transport,
                address,
                user,
                password,
                none,
                ptr::null(),
                &mut session,
                e,
            )
        })?;
        Ok(Self(session))
    }

    fn call(&self, method: &CStr, params: &Value) -> Result<Value, Refusal> {
        let params = c(&params.to_string());
        // SAFETY: the session is alive, the texts live during the call.
        json(|out, e| unsafe {
            xcp_local_session_call_json(
                self.0,
                method.as_ptr(),
                params.as_ptr(),
                ptr::null(),
                out,
                e,
            )
        })
    }

    fn is_in_emergency_mode(&self) -> bool {
        let mut emergency = true;
        // SAFETY: the session is alive.
        done(|e| unsafe {
            xcp_local_session_is_in_emergency_mode(self.0, ptr::null(), &mut emergency, e)
        })
        .unwrap();
        emergency
    }
}

fn sessions(world: &World) -> usize {
    // SAFETY: the world is alive.
    let state = json(|out, e| unsafe { xcp_simulator_state_json(world.simulator, out, e) });
    state.unwrap()["sessions"].as_array().unwrap().len()
}

/// What an error said about a login, before it was freed.
fn login_failure(call: impl FnOnce(*mut *mut xcp_error) -> xcp_status) -> Option<String> {
    let mut error = ptr::null_mut();
    assert_ne!(call(&mut error), XCP_OK);
    // SAFETY: the error is alive until it is freed.
    unsafe {
        let failure = xcp_error_login_failure(error);
        let failure = (!failure.is_null()).then(|| borrowed(failure));
        assert!(xcp_error_mismatch_json(error).is_null());
        xcp_error_free(error);
        failure
    }
}

#[test]
fn one_host_is_asked_what_it_is() {
    let world = pool();
    let master = probe(&world, c"phantom", c"xcp-test", "{}").unwrap();
    assert_eq!(master["role"], "master");
    assert!(master["pool"].is_string());
    let member = probe(&world, c"10.0.0.2", c"xcp-test", r#"{"timeout": 5, "max_reply": 100000}"#);
    assert_eq!(
        member.unwrap(),
        value!({"schema": 1, "role": "member", "pool": null, "master": "10.0.0.1"})
    );
    assert_eq!(sessions(&world), 0);
    let refused = probe(&world, c"phantom", c"wrong", "{}").unwrap_err();
    assert_eq!(refused.fault.unwrap().0, "SESSION_AUTHENTICATION_FAILED");
    assert_eq!(probe(&world, c":::", c"x", "{}").unwrap_err().status, XCP_E_INVALID_INPUT);
    assert_eq!(
        probe(&world, c"phantom", c"x", r#"{"patience": 1}"#).unwrap_err().status,
        XCP_E_INVALID_INPUT
    );

    let client = world.client(c"phantom");
    let role = |address: &CStr| {
        // SAFETY: everything lives during the call.
        json(|out, e| unsafe {
            xcp_client_role_json(client.0, address.as_ptr(), ptr::null(), out, e)
        })
    };
    assert_eq!(role(c"10.0.0.2").unwrap()["master"], "10.0.0.1");
    assert_eq!(role(c"10.0.0.1").unwrap(), master);
    let locate = |address: &CStr| {
        // SAFETY: everything lives during the call.
        text(|out, e| unsafe { xcp_client_locate(client.0, address.as_ptr(), out, e) })
    };
    assert_eq!(locate(c"10.0.0.2").unwrap(), "https://10.0.0.2");
    assert_eq!(locate(c"no address").unwrap_err().status, XCP_E_PROTOCOL);
}

#[test]
fn a_failed_login_says_what_it_means() {
    let world = pool();
    let why = |address: &CStr, password: &CStr| {
        // SAFETY: everything lives during the call.
        login_failure(|e| unsafe {
            let (user, none) = (c"root".as_ptr(), ptr::null());
            let mut client = ptr::null_mut();
            let (address, password) = (address.as_ptr(), password.as_ptr());
            xcp_client_connect(
                world.transport,
                address,
                user,
                password,
                none,
                ptr::null(),
                &mut client,
                e,
            )
        })
    };
    assert_eq!(why(c"phantom", c"wrong").as_deref(), Some("bad-password"));
    assert_eq!(why(c"10.0.0.99", c"xcp-test").as_deref(), Some("unreachable"));
    world.power_off(c"phantom");
    assert_eq!(why(c"ignite", c"xcp-test").as_deref(), Some("slave"));
    // SAFETY: NULLs are what is tested.
    let other = login_failure(|e| unsafe { xcp_partition_json(ptr::null(), ptr::null_mut(), e) });
    assert_eq!(other, None);
    // SAFETY: NULL is what is tested.
    unsafe {
        assert!(xcp_error_login_failure(ptr::null()).is_null());
        assert!(xcp_error_mismatch_json(ptr::null()).is_null());
    }
}

#[test]
fn a_member_without_its_master_is_asked_alone_and_promoted() {
    let world = pool();
    let session = Local::open(&world, c"10.0.0.2", c"xcp-test").unwrap();
    assert!(!session.is_in_emergency_mode());
    // SAFETY: the session is alive.
    let url = text(|out, e| unsafe { xcp_local_session_endpoint(session.0, out, e) }).unwrap();
    assert_eq!(url, "https://10.0.0.2");
    assert_eq!(sessions(&world), 1);
    drop(session);
    assert_eq!(sessions(&world), 0);
    let refused = Local::open(&world, c"10.0.0.2", c"wrong").map(|_| ()).unwrap_err();
    assert_eq!(refused.fault.unwrap().0, "SESSION_AUTHENTICATION_FAILED");

    world.power_off(c"phantom");
    // SAFETY: the world is alive.
    done(|e| unsafe { xcp_simulator_restart_toolstack(world.simulator, c"ignite".as_ptr(), e) })
        .unwrap();
    // SAFETY: the world is alive.
    done(|e| unsafe { xcp_simulator_advance(world.simulator, 600.0, e) }).unwrap();
    let session = Local::open(&world, c"10.0.0.2", c"xcp-test").unwrap();
    assert!(session.is_in_emergency_mode());
    let unknown = session.call(c"host.no_such_call", &value!([])).unwrap_err();
    assert_eq!(unknown.status, XCP_E_FAULT);
    session.call(c"pool.emergency_transition_to_master", &value!([])).unwrap();
    drop(session);
    // SAFETY: the world is alive.
    done(|e| unsafe { xcp_simulator_advance(world.simulator, 600.0, e) }).unwrap();
    assert_eq!(world.client(c"ignite").endpoint(), "https://ignite");
}

#[test]
fn hosts_are_reached_beside_a_client() {
    let world = World::story();
    let client = world.client(c"phantom");
    let (mut other, mut session) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: everything is freed once, after its last use.
    unsafe {
        done(|e| xcp_client_beside(client.0, c"10.0.0.2".as_ptr(), ptr::null(), &mut other, e))
            .unwrap();
        let other = Client(other);
        assert_eq!(other.endpoint(), "https://10.0.0.2");
        done(|e| xcp_client_local(client.0, c"10.0.0.2".as_ptr(), ptr::null(), &mut session, e))
            .unwrap();
        drop(client);
        drop(Local(session));
        assert_eq!(other.call("host.get_all", &value!([])).unwrap().as_array().unwrap().len(), 1);
    }
    assert_eq!(sessions(&world), 0);
}

#[test]
fn evidence_is_asked_of_all_hosts_and_passed_on() {
    let world = pool();
    let client = world.client(c"phantom");
    let snapshot = client.snapshot(c"election", false).unwrap();
    let mut plan = ptr::null_mut();
    // SAFETY: everything is freed once, after its last use.
    unsafe {
        let told =
            text(|out, e| xcp_evidence_json(client.0, snapshot, ptr::null(), out, e)).unwrap();
        let hosts = serde_json::from_str::<Value>(&told).unwrap()["hosts"].clone();
        let roles: Vec<_> =
            hosts.as_object().unwrap().values().map(|host| host["role"].clone()).collect();
        assert!(
            roles.contains(&value!("master")) && roles.contains(&value!({"slave": "10.0.0.1"}))
        );
        let told = c(&told);
        let chosen =
            json(|out, e| xcp_election(snapshot, c"planned".as_ptr(), told.as_ptr(), out, e));
        assert_eq!(chosen.unwrap()["verdict"], "safe");
        done(|e| {
            xcp_plan_hand_over_with(snapshot, told.as_ptr(), c"ignite".as_ptr(), &mut plan, e)
        })
        .unwrap();
        assert!(xcp_plan_is_complete(plan));
        xcp_plan_free(plan);
        xcp_snapshot_free(snapshot);
    }
}

struct Task(*mut xcp_task);

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { xcp_task_free(self.0) }
    }
}

impl Task {
    fn start(client: &Client, method: &str, params: &Value) -> Result<Self, Refusal> {
        let (method, params, mut task) = (c(method), c(&params.to_string()), ptr::null_mut());
        // SAFETY: everything lives during the call.
        done(|e| unsafe {
            xcp_client_start(client.0, method.as_ptr(), params.as_ptr(), ptr::null(), &mut task, e)
        })?;
        Ok(Self(task))
    }

    fn record(&self) -> Result<Value, Refusal> {
        // SAFETY: the task is alive.
        json(|out, e| unsafe { xcp_task_record_json(self.0, ptr::null(), out, e) })
    }

    fn wait(&self, cancel: *const xcp_cancel) -> Result<(Value, Vec<f64>), Refusal> {
        let mut told = Vec::<f64>::new();
        // SAFETY: the task is alive.
        let result = json(|out, e| unsafe {
            xcp_task_wait_json(
                self.0,
                Some(progress),
                ptr::from_mut(&mut told).cast(),
                cancel,
                out,
                e,
            )
        })?;
        Ok((result, told))
    }
}

unsafe extern "C" fn progress(ctx: *mut c_void, done: f64) {
    // SAFETY: the context is the vector of `wait`.
    unsafe { &mut *ctx.cast::<Vec<f64>>() }.push(done);
}

fn monitor(client: &Client) -> Value {
    client.call("VM.get_by_name_label", &value!(["monitor"])).unwrap()[0].clone()
}

#[test]
fn a_task_is_started_looked_at_and_awaited() {
    let world = World::story();
    let client = world.client(c"ignite");
    let vm = monitor(&client);
    let task = Task::start(&client, "VM.clean_shutdown", &value!([vm])).unwrap();
    // SAFETY: the task is alive.
    let reference = borrowed(unsafe { xcp_task_ref(task.0) });
    assert!(reference.starts_with("OpaqueRef:"), "{reference}");
    let record = task.record().unwrap();
    assert_eq!((&record["schema"], &record["status"]), (&value!(1), &value!("pending")));

    let mut cancel = ptr::null_mut();
    // SAFETY: the cancel is freed once.
    unsafe {
        done(|e| xcp_cancel_new(&mut cancel, e)).unwrap();
        xcp_cancel_cancel(cancel);
        assert_eq!(task.wait(cancel).unwrap_err().status, XCP_E_CANCELLED);
        xcp_cancel_free(cancel);
    }
    let (_, told) = task.wait(ptr::null()).unwrap();
    assert!(told.last() == Some(&1.0), "{told:?}");
    assert_eq!(task.record().unwrap_err().fault.unwrap().0, "HANDLE_INVALID");
    assert_eq!(task.wait(ptr::null()).unwrap_err().status, XCP_E_OUTCOME_UNKNOWN);
    // It keeps its client.
    let again = Task::start(&client, "VM.clean_shutdown", &value!([vm])).unwrap();
    drop(client);
    let failed = again.wait(ptr::null()).unwrap_err();
    assert_eq!(
        (failed.status, failed.fault.unwrap().0.as_str()),
        (XCP_E_FAULT, "VM_BAD_POWER_STATE")
    );
}

#[test]
fn a_task_is_cancelled_on_the_server() {
    let world = World::story();
    let client = world.client(c"ignite");
    let task = Task::start(&client, "VM.clean_shutdown", &value!([monitor(&client)])).unwrap();
    // SAFETY: the task is alive.
    let asked = done(|e| unsafe { xcp_task_cancel(task.0, ptr::null(), e) });
    let end = task.wait(ptr::null());
    match asked {
        Ok(()) => assert_eq!(end.unwrap_err().fault.unwrap().0, "TASK_CANCELLED"),
        Err(refusal) => {
            assert_eq!(refusal.fault.unwrap().0, "OPERATION_NOT_ALLOWED");
            assert!(end.is_ok());
        }
    }
    // SAFETY: NULL and another type are what is tested.
    unsafe {
        assert!(xcp_task_ref(ptr::null()).is_null() && xcp_task_ref(client.0.cast()).is_null());
        let none = done(|e| xcp_task_cancel(ptr::null(), ptr::null(), e)).unwrap_err();
        assert_eq!(none.status, XCP_E_NULL);
        xcp_task_free(client.0.cast());
    }
}

#[test]
fn classes_are_read_one_by_one_and_limits_are_given() {
    let world = World::story();
    let client = world.client(c"phantom");
    let snapshot = client.snapshot(c"[\"pool\", \"SR\"]", false).unwrap();
    let mut count = 0;
    // SAFETY: the snapshot is freed once.
    unsafe {
        done(|e| xcp_snapshot_count(snapshot, c"SR".as_ptr(), &mut count, e)).unwrap();
        assert_eq!(count, 6);
        let other =
            done(|e| xcp_snapshot_count(snapshot, c"VM".as_ptr(), &mut count, e)).unwrap_err();
        assert_eq!(other.status, XCP_E_STATE);
        xcp_snapshot_free(snapshot);
    }
    for (scope, settled) in
        [(c"[\"Pool\"]", false), (c"[]", false), (c"[7]", false), (c"[\"pool\"]", true)]
    {
        let refusal = client.snapshot(scope, settled).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT, "{scope:?}");
    }
}

#[test]
fn a_watch_counts_what_it_has_and_holds_as_long_as_told() {
    let world = World::story();
    let client = world.client(c"phantom");
    let (mut watch, mut count) = (ptr::null_mut(), 77);
    let now = || {
        // SAFETY: the world is alive.
        unsafe { xcp_simulator_now(world.simulator) }
    };
    // SAFETY: everything lives during the calls; the watch is freed once.
    unsafe {
        let scope = c"[\"host\"]".as_ptr();
        let start = |options: &CStr, watch: &mut *mut xcp_watch| {
            done(|e| {
                xcp_client_watch_with(client.0, scope, options.as_ptr(), ptr::null(), watch, e)
            })
        };
        assert_eq!(start(c"{\"hold\": -1}", &mut watch).unwrap_err().status, XCP_E_INVALID_INPUT);
        start(c"{\"hold\": 2}", &mut watch).unwrap();
        let began = now();
        done(|e| xcp_watch_poll(watch, ptr::null(), &mut count, e)).unwrap();
        assert_eq!(count, 0);
        assert!(now() - began < 10.0, "{} s", now() - began);
        let hosts = client.call("host.get_all", &value!([])).unwrap();
        client.call("host.set_name_label", &value!([hosts[0], "Poltergeist"])).unwrap();
        done(|e| xcp_watch_poll(watch, ptr::null(), &mut count, e)).unwrap();
        assert!(count > 0);
        let change = json(|out, e| xcp_watch_next(watch, ptr::null(), out, e)).unwrap();
        assert_eq!(change["class"], "host");
        xcp_watch_free(watch);
    }
}

#[test]
fn members_are_told_with_options() {
    let world = pool();
    let diagnose = |hosts: &Value| {
        let hosts = c(&hosts.to_string());
        let mut told = ptr::null_mut();
        // SAFETY: everything lives during the call; the text is freed once.
        unsafe {
            let said = json(|out, e| {
                let (user, password) = (c"root".as_ptr(), c"xcp-test".as_ptr());
                xcp_diagnose(
                    world.transport,
                    hosts.as_ptr(),
                    user,
                    password,
                    ptr::null(),
                    ptr::null(),
                    out,
                    &mut told,
                    e,
                )
            });
            xcp_string_free(told);
            said
        }
    };
    let member = |told: &Value| {
        let mut hosts = told["hosts"].as_array().unwrap().iter();
        hosts.find(|host| host["endpoint"] == "https://10.0.0.2").unwrap().clone()
    };
    let options = value!({"hosts": ["10.0.0.2"], "patience": 3, "ask_whether_ha_is_armed": true});
    assert_eq!(member(&diagnose(&options).unwrap())["ha_armed"], false);
    assert_eq!(member(&diagnose(&value!(["10.0.0.2"])).unwrap())["ha_armed"], Value::Null);
    // The member's master is asked where it is said to be, and nobody is there.
    let told = |real: &str| {
        let told = value!({"hosts": ["10.0.0.2"], "addresses": {"10.0.0.1": real}, "patience": 1});
        diagnose(&told).unwrap()["state"]["state"].clone()
    };
    assert_ne!(told("10.0.0.99"), told("10.0.0.1"));
    assert_eq!(
        diagnose(&value!(["10.0.0.1", "10.0.0.2"])).unwrap()["hosts"].as_array().unwrap().len(),
        2
    );
    for wrong in [
        value!({"host": []}),
        value!({"hosts": [":::"]}),
        value!({"hosts": [], "patience": -1}),
        value!(7),
    ] {
        assert_eq!(diagnose(&wrong).unwrap_err().status, XCP_E_INVALID_INPUT, "{wrong}");
    }
}

#[test]
fn certificates_are_told_apart_and_vouched_for() {
    let world = World::story();
    let (mut front, mut store, mut transport) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let mut count = 77;
    // SAFETY: everything is freed once, after its last use.
    unsafe {
        done(|e| xcp_front_start(world.simulator, c"{\"https\": 0}".as_ptr(), &mut front, e))
            .unwrap();
        let hosts = json(|out, e| xcp_front_hosts_json(front, out, e)).unwrap();
        let shown = hosts["hosts"][0]["fingerprint"].as_str().unwrap().to_owned();
        let url = c(hosts["hosts"][0]["url"].as_str().unwrap());
        let other = format!("[\"{}\"]", "AB".repeat(32));
        done(|e| xcp_trust_store_pins(c(&other).as_ptr(), &mut store, e)).unwrap();
        done(|e| xcp_transport_https(ptr::null(), store, &mut transport, e)).unwrap();
        let mut error = ptr::null_mut();
        let (user, password, mut client) =
            (c"root".as_ptr(), c"xcp-test".as_ptr(), ptr::null_mut());
        let (none, no_cancel) = (ptr::null(), ptr::null());
        let status = xcp_client_connect(
            transport,
            url.as_ptr(),
            user,
            password,
            none,
            no_cancel,
            &mut client,
            &mut error,
        );
        assert_eq!(status, XCP_E_TRUST);
        assert_eq!(borrowed(xcp_error_login_failure(error)), "certificate");
        let mismatch: Value =
            serde_json::from_str(&borrowed(xcp_error_mismatch_json(error))).unwrap();
        assert_eq!(mismatch["actual"], shown);
        assert_eq!(mismatch["expected"].as_array().unwrap().len(), 1);
        xcp_error_free(error);
        xcp_transport_free(transport);
        xcp_trust_store_free(store);
        xcp_front_free(front);

        // The master vouches for its members, once, in a store that remembers.
        let pool = world.client(c"phantom").snapshot(c"preflight", false).unwrap();
        done(|e| xcp_trust_store_memory(&mut store, e)).unwrap();
        done(|e| xcp_transport_https(ptr::null(), store, &mut transport, e)).unwrap();
        done(|e| xcp_transport_remember_members(transport, pool, 443, &mut count, e)).unwrap();
        assert_eq!(count, 1);
        xcp_transport_free(transport);
        xcp_trust_store_free(store);
        done(|e| xcp_transport_remember_members(world.transport, pool, 443, &mut count, e))
            .unwrap();
        assert_eq!(count, 0, "the simulator has no certificates");
        xcp_snapshot_free(pool);

        let print = text(|out, e| xcp_fingerprint(b"abc".as_ptr(), 3, out, e)).unwrap();
        assert!(print.starts_with("SHA256:BA:78:16:BF"), "{print}");
        let null = text(|out, e| xcp_fingerprint(ptr::null(), 3, out, e)).unwrap_err();
        assert_eq!(null.message, "certificate is NULL");
        let path = c("/nonexistent/ca.pem");
        let none =
            done(|e| xcp_trust_store_authorities_file(path.as_ptr(), &mut store, e)).unwrap_err();
        assert_eq!(none.status, XCP_E_INVALID_INPUT);
        let path = c(&format!(
            "{}/src/simulator/front/test-key-not-secret.pem",
            env!("CARGO_MANIFEST_DIR")
        ));
        done(|e| xcp_trust_store_authorities_file(path.as_ptr(), &mut store, e)).unwrap();
        xcp_trust_store_free(store);
    }
}

#[test]
fn a_transport_that_calls_back_is_not_waited_for() {
    struct Ctx(*mut xcp_transport, Option<Refusal>);
    unsafe extern "C" fn exchange(
        ctx: *mut c_void,
        _: *const xcp_request,
        reply: *const xcp_reply,
    ) {
        // SAFETY: the context is that of the test, and the objects are alive.
        unsafe {
            let ctx = &mut *ctx.cast::<Ctx>();
            let (user, none, mut session) = (c"root".as_ptr(), ptr::null(), ptr::null_mut());
            let again = done(|e| {
                let address = c"10.0.0.1".as_ptr();
                xcp_local_session_open(
                    ctx.0,
                    address,
                    user,
                    user,
                    none,
                    ptr::null(),
                    &mut session,
                    e,
                )
            });
            ctx.1 = again.err();
            done(|e| xcp_reply_error(reply, XCP_E_TRANSPORT as u32, c"no".as_ptr(), e)).unwrap();
        }
    }
    let mut ctx = Ctx(ptr::null_mut(), None);
    let table = xcp_transport_callbacks {
        size: size_of::<xcp_transport_callbacks>(),
        ctx: ptr::from_mut(&mut ctx).cast(),
        exchange: Some(exchange),
        release: None,
    };
    // SAFETY: the context outlives the transport.
    unsafe {
        done(|e| xcp_transport_custom(&table, &mut ctx.0, e)).unwrap();
        assert!(connect(ctx.0, c"10.0.0.1", c"x", None).is_err());
        assert_eq!(ctx.1.take().unwrap().status, XCP_E_MISUSE);
        xcp_transport_free(ctx.0);
    }
}
