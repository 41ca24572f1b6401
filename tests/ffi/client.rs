//! Clients, transports and the simulator, through the C ABI.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::world::{Client, World, connect};
use crate::support::{Refusal, borrowed, c, done, json, text};
use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

#[test]
fn a_client_reads_the_pool_of_the_story() {
    let world = World::story();
    let client = world.client(c"phantom");
    assert_eq!(client.endpoint(), "https://phantom");
    let snapshot = client.snapshot(c"overview", true).unwrap();
    let mut srs = 0;
    // SAFETY: the snapshot is freed last.
    unsafe {
        done(|e| xcp_snapshot_count(snapshot, c"SR".as_ptr(), &mut srs, e)).unwrap();
        xcp_snapshot_free(snapshot);
    }
    assert_eq!((srs, world.count(c"phantom", c"SR")), (6, 6));
    let hosts = client.call("host.get_by_name_label", &value!(["phantom"])).unwrap();
    assert_eq!(hosts.as_array().unwrap().len(), 1);
    let label = value!([hosts[0], "a host"]);
    assert_eq!(client.call("host.set_name_description", &label).unwrap(), "");
    // SAFETY: the client is alive.
    let uuid = text(|out, e| unsafe { xcp_client_pool_uuid(client.0, ptr::null(), out, e) });
    let pools = client.call("pool.get_all", &value!([])).unwrap();
    assert_eq!(client.call("pool.get_uuid", &value!([pools[0]])).unwrap(), uuid.unwrap());
    let refusal = client.snapshot(c"all", false).unwrap_err();
    assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
}

#[test]
fn a_preflight_on_the_story_names_what_stands_in_the_way() {
    let world = World::story();
    let pool = world.client(c"phantom").snapshot(c"preflight", false).unwrap();
    let host = world.client(c"ignite").snapshot(c"preflight", false).unwrap();
    let mut report = ptr::null_mut();
    // SAFETY: what is used is alive, and freed last.
    unsafe {
        done(|e| xcp_preflight(pool, host, ptr::null(), &mut report, e)).unwrap();
        let said = json(|out, e| xcp_report_json(report, out, e)).unwrap();
        let rules: Vec<_> =
            said["findings"].as_array().unwrap().iter().map(|f| f["rule"].clone()).collect();
        assert!(rules.contains(&value!("running-vms")), "{rules:?}");
        assert_eq!(xcp_report_verdict(report), xcp_verdict::XCP_VERDICT_BLOCKED);
        xcp_report_free(report);
        xcp_snapshot_free(host);
        xcp_snapshot_free(pool);
    }
}

#[test]
fn a_fault_comes_with_its_code_and_parameters() {
    let world = World::story();
    let refusal = world.connect(c"phantom", c"wrong").err().unwrap();
    assert_eq!(refusal.status, XCP_E_FAULT);
    let (code, params) = refusal.fault.unwrap();
    assert_eq!(code, "SESSION_AUTHENTICATION_FAILED");
    assert_eq!(params[0], "root");
    assert!(!refusal.message.contains("wrong"), "{}", refusal.message);
    let refusal =
        world.client(c"phantom").call("host.get_record", &value!(["OpaqueRef:no"])).unwrap_err();
    let fault = ("HANDLE_INVALID".to_owned(), value!(["host", "OpaqueRef:no"]));
    assert_eq!(refusal.fault, Some(fault));
}

#[test]
fn wrong_options_and_parameters_are_refused_by_name() {
    let world = World::story();
    let client = world.client(c"phantom");
    for (options, why) in [
        (c"{\"time\": 1}", "options_json: unknown field `time`"),
        (c"{\"timeout\": -1}", "options_json: -1 is no time in seconds"),
        (c"{\"addresses\": {\"a\": \"b c\"}}", "the address \"b c\""),
    ] {
        let refusal = connect(world.transport, c"phantom", c"xcp-test", Some(options)).err();
        let refusal = refusal.unwrap();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
    let options = c"{\"timeout\": 5.5, \"originator\": \"me\", \"max_reply\": 100}";
    let small = connect(world.transport, c"phantom", c"xcp-test", Some(options));
    let refusal = small.unwrap().call("host.get_all_records", &value!([])).unwrap_err();
    assert_eq!(refusal.status, XCP_E_TOO_LARGE);
    let refusal = client.call("host.get_all", &value!({})).unwrap_err();
    assert!(refusal.message.starts_with("params_json: "), "{}", refusal.message);
    let refusal = client.call("reboot", &value!([])).unwrap_err();
    assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
    let other = c"{\"pool_uuid\": \"00000000-0000-0000-0000-000000000000\"}";
    let refusal = connect(world.transport, c"phantom", c"xcp-test", Some(other)).err().unwrap();
    assert_eq!(refusal.status, XCP_E_STATE);
}

#[test]
fn trouble_befalls_requests_and_hosts() {
    let world = World::story();
    let client = world.client(c"phantom");
    let all = value!([]);
    let host = client.call("host.get_all", &all).unwrap();
    // A write is sent once.
    world.trouble(&value!({"trouble": "lose-reply", "method": "host.disable"}));
    assert_eq!(client.call("host.disable", &host).unwrap_err().status, XCP_E_TRANSPORT);
    assert_eq!(client.call("host.get_enabled", &host).unwrap(), false, "only the reply was lost");
    world.trouble(&value!({"trouble": "silence", "host": "phantom"}));
    assert_eq!(client.call("host.enable", &host).unwrap_err().status, XCP_E_TIMEOUT);
    world.trouble(&value!({"trouble": {"delay": 7}, "host": "phantom", "skip": 1}));
    // SAFETY: the world is alive, and so are the texts.
    unsafe {
        let before = xcp_simulator_now(world.simulator);
        client.call("host.get_all", &all).unwrap();
        assert!(xcp_simulator_now(world.simulator) - before < 7.0);
        client.call("host.get_all", &all).unwrap();
        assert!(xcp_simulator_now(world.simulator) - before >= 7.0);
        done(|e| xcp_simulator_cut(world.simulator, ptr::null(), c"phantom".as_ptr(), e)).unwrap();
        assert!(client.call("host.get_all", &all).is_err());
        done(|e| xcp_simulator_heal(world.simulator, ptr::null(), c"phantom".as_ptr(), e)).unwrap();
        assert!(client.call("host.get_all", &all).is_ok());
        done(|e| xcp_simulator_power_off(world.simulator, c"phantom".as_ptr(), e)).unwrap();
        assert!(client.call("host.get_all", &all).is_err());
        done(|e| xcp_simulator_power_on(world.simulator, c"phantom".as_ptr(), e)).unwrap();
        done(|e| xcp_simulator_advance(world.simulator, 600.0, e)).unwrap();
        assert!(client.call("host.get_all", &all).is_ok());
        let restart = |host: &CStr| {
            done(|e| xcp_simulator_restart_toolstack(world.simulator, host.as_ptr(), e))
        };
        restart(c"phantom").unwrap();
        let refusal = restart(c"nobody").unwrap_err();
        assert_eq!(refusal.message, "the world has no host \"nobody\"");
        let refusal = done(|e| xcp_simulator_advance(world.simulator, f64::NAN, e)).unwrap_err();
        assert_eq!(refusal.message, "seconds: NaN is no time");
    }
}

#[test]
fn a_world_is_told_in_words_or_by_a_database() {
    let spec = value!({
        "seed": 7, "password": "p",
        "pools": [
            {"name": "lab", "release": "8.2", "nics": 3, "memory_gib": 32,
             "hosts": [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}],
             "shared_srs": [{"name": "NFS", "type": "nfs"}], "networks": ["inner"],
             "vlans": [{"name": "v", "nic": 0, "tag": 7}],
             "bonds": [{"name": "fat", "nics": [1, 2]}],
             "vms": [{"name": "web", "power": "running", "host": "b", "memory_gib": 1,
                      "disks": [{"sr": "NFS", "gib": 5}], "networks": ["inner"]},
                     {"name": "off"}]},
            {"hosts": [{"name": "c", "address": "10.0.0.3"}]},
        ],
    });
    let make = |spec: &Value| {
        let (spec, mut simulator) = (c(&spec.to_string()), ptr::null_mut());
        // SAFETY: the text lives during the call.
        done(|e| unsafe { xcp_simulator_new(spec.as_ptr(), &mut simulator, e) })?;
        Ok::<_, Refusal>(simulator)
    };
    let simulator = make(&spec).unwrap();
    // SAFETY: the simulators are freed last.
    unsafe {
        let host = |name: &CStr| {
            json(|out, e| xcp_simulator_host_json(simulator, name.as_ptr(), out, e)).unwrap()
        };
        assert_eq!(host(c"a")["role"], "master");
        assert_eq!(
            (host(c"b")["role"].clone(), host(c"b")["master"].clone()),
            (value!("slave"), value!("10.0.0.1"))
        );
        let database =
            json(|out, e| xcp_simulator_database_json(simulator, c"b".as_ptr(), out, e)).unwrap();
        let running =
            |vm: &&Value| vm["power_state"] == "Running" && vm["is_control_domain"] == false;
        assert_eq!(database["VM"].as_object().unwrap().values().filter(running).count(), 1);
        xcp_simulator_free(simulator);
        let again = make(&value!({"pools": [{"release": "8.2", "database": database}]})).unwrap();
        let copy =
            json(|out, e| xcp_simulator_database_json(again, c"a".as_ptr(), out, e)).unwrap();
        let refs =
            |saved: &Value| saved["SR"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(refs(&copy), refs(&database));
        xcp_simulator_free(again);
    }
    for (spec, why) in [
        (value!({"pools": [{"name": "x"}]}), "has no hosts"),
        (value!({"pools": [{"hosts": [], "vm": []}]}), "unknown field `vm`"),
        (value!({"pools": [{"hosts": [], "release": "9"}]}), "unknown variant `9`"),
        (value!({}), "the world has no pools"),
    ] {
        let refusal = make(&spec).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
}

#[test]
fn a_task_tells_how_far_it_has_come() {
    unsafe extern "C" fn progress(told: *mut c_void, done: f64) {
        // SAFETY: the test gives a place for numbers.
        unsafe { (*told.cast::<Vec<f64>>()).push(done) }
    }
    let world = World::story();
    let client = world.client(c"ignite");
    let vms = client.call("VM.get_by_name_label", &value!(["monitor"])).unwrap();
    let (params, mut told) = (c(&value!([vms[0]]).to_string()), Vec::<f64>::new());
    // SAFETY: everything lives during the call.
    let result = json(|out, e| unsafe {
        xcp_client_task_json(
            client.0,
            c"VM.clean_shutdown".as_ptr(),
            params.as_ptr(),
            Some(progress),
            ptr::from_mut(&mut told).cast(),
            ptr::null(),
            out,
            e,
        )
    });
    assert_eq!(result, Ok(value!("")));
    assert_eq!(told.last(), Some(&1.0), "{told:?}");
    assert_eq!(client.call("VM.get_power_state", &value!([vms[0]])).unwrap(), "Halted");
}

#[test]
fn a_task_that_is_gone_with_a_restart_is_not_said_to_have_failed() {
    unsafe extern "C" fn restart(simulator: *mut c_void, _done: f64) {
        // SAFETY: the test gives a simulator, and the text ends.
        let status = unsafe {
            xcp_simulator_restart_toolstack(simulator.cast(), c"ignite".as_ptr(), ptr::null_mut())
        };
        assert_eq!(status, XCP_OK);
    }
    let world = World::story();
    let client = world.client(c"ignite");
    let vms = client.call("VM.get_by_name_label", &value!(["monitor"])).unwrap();
    let params = c(&value!([vms[0]]).to_string());
    // SAFETY: everything lives during the call.
    let refusal = json(|out, e| unsafe {
        xcp_client_task_json(
            client.0,
            c"VM.clean_shutdown".as_ptr(),
            params.as_ptr(),
            Some(restart),
            world.simulator.cast(),
            ptr::null(),
            out,
            e,
        )
    });
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.status, XCP_E_OUTCOME_UNKNOWN, "{refusal:?}");
}

#[test]
fn what_is_cancelled_ends() {
    let world = World::story();
    let client = world.client(c"phantom");
    let mut cancel = ptr::null_mut();
    // SAFETY: the object is freed last.
    unsafe {
        done(|e| xcp_cancel_new(&mut cancel, e)).unwrap();
        assert!(client.call_under("host.get_all", &value!([]), cancel).is_ok());
        xcp_cancel_cancel(cancel);
        let refusal = client.call_under("host.get_all", &value!([]), cancel).unwrap_err();
        assert_eq!(refusal.status, XCP_E_CANCELLED);
        assert!(client.call("host.get_all", &value!([])).is_ok());
        xcp_cancel_free(cancel);
        let refusal = client.call_under("host.get_all", &value!([]), cancel).unwrap_err();
        assert_eq!(refusal.status, XCP_E_MISUSE);
        xcp_cancel_cancel(ptr::null());
        xcp_client_cancel(ptr::null());
        xcp_client_cancel(client.0);
    }
    assert!(client.call("host.get_all", &value!([])).is_ok(), "only what was going on is ended");
}

/// A transport of callbacks that passes on to a simulator, or does something else.
struct Custom {
    behaviour: Behaviour,
    seen: Mutex<Vec<String>>,
    client: Mutex<usize>,
    refused: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    Answers,
    AnswersInParts,
    CallsBack,
    Fails,
    FailsWithNonsense,
    SaysNothing,
    TalksTooMuch,
    Waits,
}

static RELEASED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn release(_: *mut c_void) {
    RELEASED.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn exchange(
    ctx: *mut c_void,
    request: *const xcp_request,
    reply: *const xcp_reply,
) {
    // SAFETY: the test gives this context, and it lives until the transport is freed.
    let custom = unsafe { &*ctx.cast::<Custom>() };
    // SAFETY: request and reply live until this returns.
    unsafe {
        let mut length = 0;
        let body = xcp_request_body(request, &mut length);
        let body = std::slice::from_raw_parts(body, length);
        let body = std::str::from_utf8(body).unwrap().to_owned();
        let url = borrowed(xcp_request_url(request));
        custom.seen.lock().unwrap().push(format!("{url} {body}"));
        let answer = |text: &str| {
            done(|e| xcp_reply_body(reply, text.as_ptr(), text.len(), e)).unwrap();
        };
        // Logging in and out always works.
        if body.contains("\"session.") {
            assert!(xcp_request_timeout_ms(request) > 0);
            let max = xcp_request_max_reply(request);
            assert!(max == 1000 || body.contains("logout"), "{max}");
            assert!(!xcp_request_is_cancelled(request));
            return answer(r#"{"jsonrpc": "2.0", "result": "OpaqueRef:session", "id": 1}"#);
        }
        if body.contains("pool.get_all_records") {
            return answer(
                r#"{"jsonrpc": "2.0", "result": {"OpaqueRef:p": {"uuid": "u"}}, "id": 1}"#,
            );
        }
        let good = r#"{"jsonrpc": "2.0", "result": ["OpaqueRef:h"], "id": 1}"#;
        match custom.behaviour {
            Behaviour::Answers => answer(good),
            Behaviour::AnswersInParts => good.split_inclusive(',').for_each(answer),
            Behaviour::CallsBack => {
                let client = ptr::with_exposed_provenance_mut(*custom.client.lock().unwrap());
                let refusal = text(|out, e| {
                    xcp_client_call_json(
                        client,
                        c"host.get_all".as_ptr(),
                        ptr::null(),
                        ptr::null(),
                        out,
                        e,
                    )
                });
                assert_eq!(refusal.unwrap_err().status, XCP_E_MISUSE);
                custom.refused.fetch_add(1, Ordering::Relaxed);
                answer(good);
            }
            Behaviour::Fails => {
                done(|e| xcp_reply_error(reply, XCP_E_TIMEOUT as u32, c"too slow".as_ptr(), e))
                    .unwrap();
                let late = done(|e| xcp_reply_body(reply, c"x".as_ptr().cast(), 1, e));
                assert_eq!(late.unwrap_err().status, XCP_E_MISUSE);
            }
            Behaviour::FailsWithNonsense => {
                for code in [0, 3, 77, u32::MAX] {
                    let refusal = done(|e| xcp_reply_error(reply, code, c"x".as_ptr(), e));
                    assert_eq!(refusal.unwrap_err().status, XCP_E_INVALID_INPUT);
                }
                let refusal = done(|e| xcp_reply_error(reply, 200, c"\xff".as_ptr(), e));
                assert_eq!(refusal.unwrap_err().status, XCP_E_UTF8);
                let refusal = done(|e| xcp_reply_body(reply, ptr::null(), 1, e));
                assert_eq!(refusal.unwrap_err().status, XCP_E_NULL);
                let refusal = done(|e| xcp_reply_body(reply, c"".as_ptr().cast(), usize::MAX, e));
                assert_eq!(refusal.unwrap_err().status, XCP_E_INVALID_INPUT);
            }
            Behaviour::SaysNothing => {}
            Behaviour::TalksTooMuch => {
                let refusal = done(|e| xcp_reply_body(reply, [b' '; 1001].as_ptr(), 1001, e));
                assert_eq!(refusal.unwrap_err().status, XCP_E_TOO_LARGE);
            }
            Behaviour::Waits => {
                while !xcp_request_is_cancelled(request) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        }
    }
}

fn custom(behaviour: Behaviour) -> Box<Custom> {
    Box::new(Custom {
        behaviour,
        seen: Mutex::default(),
        client: Mutex::default(),
        refused: AtomicUsize::new(0),
    })
}

fn table(custom: &Custom) -> xcp_transport_callbacks {
    xcp_transport_callbacks {
        size: size_of::<xcp_transport_callbacks>(),
        ctx: ptr::from_ref(custom).cast_mut().cast(),
        exchange: Some(exchange),
        release: Some(release),
    }
}

/// A client over a transport of callbacks, which the client keeps alive.
fn custom_client(custom: &Custom) -> Client {
    let mut transport = ptr::null_mut();
    let table = table(custom);
    // SAFETY: the table lives during the call, its context longer than the client.
    unsafe {
        done(|e| xcp_transport_custom(&table, &mut transport, e)).unwrap();
        let options = c"{\"max_reply\": 1000}";
        let client = connect(transport, c"10.0.0.9:8443", c"secret", Some(options)).unwrap();
        xcp_transport_free(transport);
        client
    }
}

#[test]
fn a_custom_transport_carries_requests() {
    let custom = custom(Behaviour::Answers);
    let client = custom_client(&custom);
    let hosts = value!(["OpaqueRef:h"]);
    assert_eq!(client.call("host.get_all", &value!([])), Ok(hosts.clone()));
    let released = RELEASED.load(Ordering::Relaxed);
    drop(client);
    assert!(RELEASED.load(Ordering::Relaxed) > released);
    let seen = custom.seen.lock().unwrap();
    assert!(seen[0].starts_with("https://10.0.0.9:8443/jsonrpc {\"jsonrpc\":\"2.0\""), "{seen:?}");
    assert!(seen.last().unwrap().contains("session.logout"), "{seen:?}");
    let custom = self::custom(Behaviour::AnswersInParts);
    assert_eq!(custom_client(&custom).call("host.get_all", &value!([])), Ok(hosts));
}

#[test]
fn a_custom_transport_that_fails_has_a_defined_end() {
    for (behaviour, status, why) in [
        (Behaviour::Fails, XCP_E_TIMEOUT, "too slow"),
        (Behaviour::FailsWithNonsense, XCP_E_TRANSPORT, "without an answer"),
        (Behaviour::SaysNothing, XCP_E_TRANSPORT, "without an answer"),
        (Behaviour::TalksTooMuch, XCP_E_TOO_LARGE, "more than 1000 bytes"),
    ] {
        let custom = custom(behaviour);
        let refusal = custom_client(&custom).call("host.get_all", &value!([])).unwrap_err();
        assert_eq!(refusal.status, status, "{}", refusal.message);
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
}

#[test]
fn a_callback_cannot_call_on_its_own_client() {
    let custom = custom(Behaviour::CallsBack);
    let client = custom_client(&custom);
    *custom.client.lock().unwrap() = client.0.expose_provenance();
    assert!(client.call("host.get_all", &value!([])).is_ok());
    assert_eq!(custom.refused.load(Ordering::Relaxed), 1);
}

#[test]
fn a_wait_in_a_custom_transport_is_cancelled_from_another_thread() {
    let custom = custom(Behaviour::Waits);
    let client = &custom_client(&custom);
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        let call = scope.spawn(move || {
            let client = client;
            client.call("host.get_all", &value!([]))
        });
        while !call.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(5));
            // SAFETY: the client is alive.
            unsafe { xcp_client_cancel(client.0) };
        }
        assert_eq!(call.join().unwrap().unwrap_err().status, XCP_E_CANCELLED);
    });
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn a_wrong_table_is_refused_and_not_released() {
    let custom = custom(Behaviour::Answers);
    let mut transport = ptr::null_mut();
    let mut wrong = table(&custom);
    wrong.release = None;
    wrong.size = 8;
    // SAFETY: the tables live during the calls.
    unsafe {
        let refusal = done(|e| xcp_transport_custom(&wrong, &mut transport, e)).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
        wrong.size = size_of::<xcp_transport_callbacks>();
        wrong.exchange = None;
        let refusal = done(|e| xcp_transport_custom(&wrong, &mut transport, e)).unwrap_err();
        assert_eq!(refusal.message, "callbacks: exchange is NULL");
        let refusal = done(|e| xcp_transport_custom(ptr::null(), &mut transport, e)).unwrap_err();
        assert_eq!(refusal.status, XCP_E_NULL);
    }
}

#[test]
fn eight_threads_share_one_client() {
    let world = World::story();
    let client = &world.client(c"phantom");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                for _ in 0..20 {
                    let hosts = client.call("host.get_all", &value!([])).unwrap();
                    assert_eq!(hosts.as_array().unwrap().len(), 1);
                }
            });
        }
    });
}

#[test]
fn trust_stores_are_made_and_asked() {
    let folder = std::env::temp_dir().join(format!("xcp-ffi-trust-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("pins");
    let pin = "SHA256:".to_owned() + &["AB"; 32].join(":");
    std::fs::write(&path, format!("phantom.lan:443 {pin}\n")).unwrap();
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    std::fs::set_permissions(&path, permissions).unwrap();
    let made = |make: &dyn Fn(*mut *mut xcp_trust_store, *mut *mut xcp_error) -> xcp_status| {
        let mut store = ptr::null_mut();
        done(|e| make(&mut store, e)).map(|()| store)
    };
    let (file, pins) = (c(path.to_str().unwrap()), c(&value!([pin]).to_string()));
    // SAFETY: the texts live longer than the calls; every store is freed once.
    unsafe {
        let file = made(&|store, e| xcp_trust_store_file(file.as_ptr(), store, e)).unwrap();
        let known = || json(|out, e| xcp_trust_store_pins_json(file, out, e)).unwrap();
        assert_eq!(known(), value!({"schema": 1, "pins": {"phantom.lan:443": pin}}));
        done(|e| xcp_trust_store_forget(file, c"phantom.lan:443".as_ptr(), e)).unwrap();
        assert_eq!(known()["pins"], value!({}));
        let fixed = made(&|store, e| xcp_trust_store_pins(pins.as_ptr(), store, e)).unwrap();
        let refusal = json(|out, e| xcp_trust_store_pins_json(fixed, out, e)).unwrap_err();
        assert_eq!(refusal.message, "store: it remembers in no file");
        let memory = made(&|store, e| xcp_trust_store_memory(store, e)).unwrap();
        let any = made(&|store, e| xcp_trust_store_danger_accept_any(store, e)).unwrap();
        for store in [file, fixed, memory, any] {
            let mut transport = ptr::null_mut();
            let options = c"{\"connect_timeout\": 1, \"timeout\": 2.5, \"stall_timeout\": 1,
                              \"proxy_from_environment\": false, \"danger_allow_plain_http\": true}";
            done(|e| xcp_transport_https(options.as_ptr(), store, &mut transport, e)).unwrap();
            xcp_trust_store_free(store);
            // Nobody listens there.
            let refusal = connect(transport, c"http://127.0.0.1:9", c"x", None).err().unwrap();
            assert_eq!(refusal.status, XCP_E_TRANSPORT, "{}", refusal.message);
            xcp_transport_free(transport);
        }
        let none = made(&|store, e| xcp_trust_store_authorities(c"".as_ptr(), store, e));
        assert_eq!(none.unwrap_err().message, "pem: the bundle has no certificate in PEM form");
        let bad = made(&|store, e| xcp_trust_store_pins(c"[\"x\"]".as_ptr(), store, e));
        assert_eq!(bad.unwrap_err().status, XCP_E_INVALID_INPUT);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_custom_trust_store_is_released() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn pin(_: *mut c_void, _: *const c_char, _: *const xcp_reply) {}
    unsafe extern "C" fn remember(
        _: *mut c_void,
        _: *const c_char,
        _: *const c_char,
        _: *const xcp_reply,
    ) {
    }
    unsafe extern "C" fn release(_: *mut c_void) {
        ENDED.fetch_add(1, Ordering::Relaxed);
    }
    let table = xcp_trust_callbacks {
        size: size_of::<xcp_trust_callbacks>(),
        ctx: ptr::null_mut(),
        pin: Some(pin),
        remember: Some(remember),
        release: Some(release),
    };
    let mut store = ptr::null_mut();
    // SAFETY: the table lives during the call.
    unsafe {
        done(|e| xcp_trust_store_custom(&table, &mut store, e)).unwrap();
        xcp_trust_store_free(store);
        assert_eq!(ENDED.load(Ordering::Relaxed), 1);
        let wrong = xcp_trust_callbacks { pin: None, ..table };
        let refusal = done(|e| xcp_trust_store_custom(&wrong, &mut store, e)).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
    }
    assert_eq!(ENDED.load(Ordering::Relaxed), 1);
}
