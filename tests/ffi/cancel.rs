//! Calls that end early, and views with other limits, through the C ABI.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::world::Client;
use crate::support::{Refusal, c, done, json};
use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

/// Hosts whose requests do not come back until they are cancelled or answered after all.
#[derive(Default)]
struct Lab(Mutex<State>);

#[derive(Default)]
struct State {
    /// What hangs: methods, or hosts.
    hangs: Vec<&'static str>,
    /// Hosts that refuse connections.
    dead: Vec<&'static str>,
    /// How many requests hang.
    waiting: usize,
    /// How long requests may take, in milliseconds, newest last.
    timeouts: Vec<u64>,
    ended: Vec<String>,
}

impl Lab {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    fn await_waiting(&self, count: usize) {
        let start = Instant::now();
        while self.with(|state| state.waiting) < count {
            assert!(start.elapsed() < Duration::from_secs(10), "nothing hangs");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn client(&self) -> Client {
        self.connect(ptr::null()).unwrap()
    }

    /// A client of host a, with b and c as others to look for the pool at.
    fn connect(&self, cancel: *const xcp_cancel) -> Result<Client, Refusal> {
        let table = xcp_transport_callbacks {
            size: size_of::<xcp_transport_callbacks>(),
            ctx: ptr::from_ref(self).cast_mut().cast(),
            exchange: Some(exchange),
            release: None,
        };
        let (mut transport, mut client) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the table and the texts live during the calls, the context longer than the client.
        unsafe {
            done(|e| xcp_transport_custom(&table, &mut transport, e)).unwrap();
            let connected = done(|e| {
                xcp_client_connect(
                    transport,
                    c"a".as_ptr(),
                    c"root".as_ptr(),
                    c"secret".as_ptr(),
                    c"{\"members\": [\"b\", \"c\"], \"pool_uuid\": \"u\"}".as_ptr(),
                    cancel,
                    &mut client,
                    e,
                )
            });
            xcp_transport_free(transport);
            connected.map(|()| Client(client))
        }
    }
}

unsafe extern "C" fn exchange(
    ctx: *mut c_void,
    request: *const xcp_request,
    reply: *const xcp_reply,
) {
    // SAFETY: the lab lives until its clients are gone; request and reply live until this returns.
    unsafe {
        let lab = &*ctx.cast::<Lab>();
        let mut length = 0;
        let body = xcp_request_body(request, &mut length);
        let body: Value = serde_json::from_slice(std::slice::from_raw_parts(body, length)).unwrap();
        let method = body["method"].as_str().unwrap();
        let url = CStr::from_ptr(xcp_request_url(request)).to_str().unwrap();
        let host = url.strip_prefix("https://").unwrap().strip_suffix("/jsonrpc").unwrap();
        lab.with(|state| state.timeouts.push(xcp_request_timeout_ms(request)));
        let hangs =
            || lab.with(|state| state.hangs.contains(&method) || state.hangs.contains(&host));
        if hangs() {
            lab.with(|state| state.waiting += 1);
            while hangs() && !xcp_request_is_cancelled(request) {
                std::thread::sleep(Duration::from_millis(1));
            }
            lab.with(|state| state.waiting -= 1);
        }
        if xcp_request_is_cancelled(request) {
            return lab.with(|state| state.ended.push(method.to_owned()));
        }
        if lab.with(|state| state.dead.contains(&host)) {
            let why = c"it refuses connections".as_ptr();
            return done(|e| xcp_reply_error(reply, XCP_E_TRANSPORT as u32, why, e)).unwrap();
        }
        let result = match method {
            "session.login_with_password" | "session.slave_local_login_with_password" => {
                value!("OpaqueRef:session")
            }
            "session.get_this_host" => value!(format!("OpaqueRef:{host}")),
            "pool.get_all_records" => value!({"OpaqueRef:p": {"uuid": "u"}}),
            "host.get_all" => value!(["OpaqueRef:h"]),
            "task.get_record" => value!({"uuid": "t", "status": "pending"}),
            "event.from" => value!({
                "events": [{"class": "host", "operation": "add", "ref": "OpaqueRef:h",
                            "snapshot": {"uuid": "h"}}],
                "valid_ref_counts": {"host": 1}, "token": "1"}),
            method if method.starts_with("Async.") => value!("OpaqueRef:task"),
            _ => value!(""),
        };
        let reply_text = value!({"jsonrpc": "2.0", "result": result, "id": 1}).to_string();
        // It may be larger than the call allows.
        let _ = done(|e| xcp_reply_body(reply, reply_text.as_ptr(), reply_text.len(), e));
    }
}

struct Stop(*mut xcp_cancel);

// SAFETY: the header says that they may be used by many threads.
unsafe impl Sync for Stop {}

impl Stop {
    fn new() -> Self {
        let mut cancel = ptr::null_mut();
        // SAFETY: the place is on this stack.
        done(|e| unsafe { xcp_cancel_new(&mut cancel, e) }).unwrap();
        Self(cancel)
    }

    fn cancel(&self) {
        // SAFETY: it is alive until it is dropped.
        unsafe { xcp_cancel_cancel(self.0) }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { xcp_cancel_free(self.0) }
    }
}

/// Cancels while a call hangs in so many requests: it must end at once.
#[track_caller]
fn ends<T>(lab: &Lab, requests: usize, call: impl FnOnce(&Stop) -> Result<T, Refusal> + Send) {
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| call(&stop).err().map(|refusal| refusal.status));
        lab.await_waiting(requests);
        let start = Instant::now();
        stop.cancel();
        assert_eq!(call.join().unwrap(), Some(XCP_E_CANCELLED));
        assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
    });
}

fn hosts(client: &Client, cancel: *const xcp_cancel) -> Result<Value, Refusal> {
    client.call_under("host.get_all", &value!([]), cancel)
}

fn beside(client: &Client, stop: &Stop) -> Result<Client, Refusal> {
    let (address, mut other) = (c"b".as_ptr(), ptr::null_mut());
    // SAFETY: everything lives during the call.
    done(|e| unsafe { xcp_client_beside(client.0, address, stop.0, &mut other, e) })?;
    Ok(Client(other))
}

fn local(client: &Client, stop: &Stop) -> Result<*mut xcp_local_session, Refusal> {
    let (address, mut session) = (c"b".as_ptr(), ptr::null_mut());
    // SAFETY: everything lives during the call.
    done(|e| unsafe { xcp_client_local(client.0, address, stop.0, &mut session, e) })?;
    Ok(session)
}

#[test]
fn a_read_is_cancelled_from_another_thread() {
    let lab = Lab::default();
    let client = lab.client();
    lab.with(|state| state.hangs = vec!["host.get_all"]);
    ends(&lab, 1, |stop| hosts(&client, stop.0));
    lab.with(|state| state.hangs.clear());
    assert!(hosts(&client, ptr::null()).is_ok());
}

#[test]
fn logins_are_cancelled_from_another_thread() {
    let lab = Lab::default();
    let client = lab.client();
    let methods = ["session.login_with_password", "session.slave_local_login_with_password"];
    lab.with(|state| state.hangs = methods.to_vec());
    ends(&lab, 1, |stop| lab.connect(stop.0));
    ends(&lab, 1, |stop| beside(&client, stop));
    ends(&lab, 1, |stop| local(&client, stop));
}

#[test]
fn what_came_of_a_call_is_not_ended_with_it() {
    let (lab, stop) = (Lab::default(), Stop::new());
    let client = lab.connect(stop.0).unwrap();
    let (session, other) = (local(&client, &stop).unwrap(), beside(&client, &stop).unwrap());
    let (mut watch, mut task) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: everything lives during the calls, and is freed once.
    unsafe {
        let (scope, method) = (c"[\"host\"]".as_ptr(), c"host.disable".as_ptr());
        done(|e| xcp_client_watch(client.0, scope, stop.0, &mut watch, e)).unwrap();
        done(|e| xcp_client_start(client.0, method, ptr::null(), stop.0, &mut task, e)).unwrap();
        stop.cancel();
        let mut emergency = false;
        let asked = done(|e| {
            xcp_local_session_is_in_emergency_mode(session, ptr::null(), &mut emergency, e)
        });
        assert_eq!(asked.unwrap_err().status, XCP_E_PROTOCOL, "it was asked");
        let mut count = 0;
        done(|e| xcp_watch_poll(watch, ptr::null(), &mut count, e)).unwrap();
        let record = json(|out, e| xcp_task_record_json(task, ptr::null(), out, e)).unwrap();
        assert_eq!(record["status"], "pending");
        assert!(hosts(&client, ptr::null()).is_ok() && hosts(&other, ptr::null()).is_ok());
        xcp_task_free(task);
        xcp_watch_free(watch);
        xcp_local_session_free(session);
    }
}

#[test]
fn the_search_for_the_master_is_cancelled_from_another_thread() {
    let lab = Lab::default();
    let client = lab.client();
    lab.with(|state| (state.dead, state.hangs) = (vec!["a"], vec!["b", "c"]));
    ends(&lab, 2, |stop| hosts(&client, stop.0));
    // The client's own cancel ends what goes on, and nothing later.
    std::thread::scope(|scope| {
        let client = &client;
        let call = scope.spawn(move || hosts(client, ptr::null()));
        lab.await_waiting(2);
        // SAFETY: the client is alive.
        unsafe { xcp_client_cancel(client.0) };
        assert_eq!(call.join().unwrap().unwrap_err().status, XCP_E_CANCELLED);
    });
    lab.with(|state| (state.dead, state.hangs) = (vec!["a", "b"], vec![]));
    assert!(hosts(&client, ptr::null()).is_ok());
}

#[test]
fn a_wait_for_changes_is_cancelled_from_another_thread() {
    let lab = Lab::default();
    let (client, mut watch) = (lab.client(), ptr::null_mut());
    // SAFETY: everything lives during the calls; the watch is freed once.
    unsafe {
        let scope = c"[\"host\"]".as_ptr();
        done(|e| xcp_client_watch(client.0, scope, ptr::null(), &mut watch, e)).unwrap();
        lab.with(|state| state.hangs = vec!["event.from"]);
        let at = watch.expose_provenance();
        let next = move |cancel| {
            let watch = ptr::with_exposed_provenance(at);
            json(|out, e| xcp_watch_next(watch, cancel, out, e))
        };
        ends(&lab, 1, |stop| next(stop.0));
        // Who waits for another thread that waits is cancelled alone.
        std::thread::scope(|scope| {
            let first = scope.spawn(move || next(ptr::null()));
            lab.await_waiting(1);
            ends(&lab, 1, |stop| next(stop.0));
            assert!(!first.is_finished());
            lab.with(|state| state.hangs.clear());
            assert_eq!(first.join().unwrap().unwrap()["class"], "host");
        });
        lab.with(|state| state.hangs = vec!["event.from"]);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || next(ptr::null()));
            lab.await_waiting(1);
            xcp_watch_cancel(watch);
            assert_eq!(waiting.join().unwrap().unwrap_err().status, XCP_E_CANCELLED);
        });
        xcp_watch_free(watch);
    }
}

#[test]
fn the_wait_for_a_task_is_cancelled_from_another_thread() {
    let lab = Lab::default();
    let (client, mut task) = (lab.client(), ptr::null_mut());
    // SAFETY: everything lives during the calls; the task is freed once.
    unsafe {
        let method = c"host.disable".as_ptr();
        done(|e| xcp_client_start(client.0, method, ptr::null(), ptr::null(), &mut task, e))
            .unwrap();
        let at = task.expose_provenance();
        for hangs in [vec![], vec!["task.get_record"]] {
            let requests = hangs.len();
            lab.with(|state| state.hangs = hangs);
            ends(&lab, requests, |stop| {
                let task = ptr::with_exposed_provenance(at);
                json(|out, e| xcp_task_wait_json(task, None, ptr::null_mut(), stop.0, out, e))
            });
        }
        lab.with(|state| state.hangs.clear());
        let record = json(|out, e| xcp_task_record_json(task, ptr::null(), out, e)).unwrap();
        assert_eq!(record["status"], "pending");
        xcp_task_free(task);
    }
}

#[test]
fn two_threads_with_cancels_of_their_own_do_not_disturb_one_another() {
    let lab = Lab::default();
    let client = lab.client();
    lab.with(|state| state.hangs = vec!["host.get_all"]);
    let other = Stop::new();
    std::thread::scope(|scope| {
        let (client, other) = (&client, &other);
        let goes_on = scope.spawn(move || hosts(client, other.0));
        lab.await_waiting(1);
        ends(&lab, 2, |stop| hosts(client, stop.0));
        assert!(!goes_on.is_finished());
        lab.with(|state| state.hangs.clear());
        assert_eq!(goes_on.join().unwrap(), Ok(value!(["OpaqueRef:h"])));
    });
}

#[test]
fn a_session_is_closed_though_the_call_was_cancelled() {
    let lab = Lab::default();
    lab.with(|state| state.hangs = vec!["pool.get_all_records"]);
    // The login came through; what was asked over the session did not.
    ends(&lab, 1, |stop| lab.connect(stop.0));
    lab.with(|state| {
        assert_eq!(state.ended, ["pool.get_all_records"], "what was cancelled");
        assert_eq!(state.timeouts.len(), 3, "a login, a question, a logout");
    });
}

#[test]
fn the_limits_of_a_view_are_those_of_its_calls_and_of_no_others() {
    let lab = Lab::default();
    let client = lab.client();
    let view = |of: &Client, options: &str| {
        let (options, mut view) = (c(options), ptr::null_mut());
        // SAFETY: everything lives during the call.
        done(|e| unsafe { xcp_client_view(of.0, options.as_ptr(), &mut view, e) })?;
        Ok::<_, Refusal>(Client(view))
    };
    let short = view(&client, r#"{"timeout": 5}"#).unwrap();
    let tight = view(&short, r#"{"max_reply": 9}"#).unwrap();
    let last = || lab.with(|state| *state.timeouts.last().unwrap());
    for _ in 0..2 {
        assert!(hosts(&short, ptr::null()).is_ok());
        assert!((4000..=5000).contains(&last()), "{}", last());
        assert!(hosts(&client, ptr::null()).is_ok());
        assert!((50_000..=60_000).contains(&last()), "{}", last());
        assert_eq!(hosts(&tight, ptr::null()).unwrap_err().status, XCP_E_TOO_LARGE);
        assert!((4000..=5000).contains(&last()), "{}", last());
    }
    for wrong in [r#"{"time": 9}"#, r#"{"timeout": -1}"#, "[]"] {
        assert_eq!(view(&client, wrong).err().unwrap().status, XCP_E_INVALID_INPUT);
    }
    // The cancel of a client is that of its views, and the session ends with the last of them.
    lab.with(|state| state.hangs = vec!["host.get_all"]);
    std::thread::scope(|scope| {
        let short = &short;
        let call = scope.spawn(move || hosts(short, ptr::null()));
        lab.await_waiting(1);
        // SAFETY: the client is alive.
        unsafe { xcp_client_cancel(client.0) };
        assert_eq!(call.join().unwrap().unwrap_err().status, XCP_E_CANCELLED);
    });
    lab.with(|state| state.hangs.clear());
    drop((client, short));
    let requests = lab.with(|state| state.timeouts.len());
    drop(tight);
    assert_eq!(lab.with(|state| state.timeouts.len()), requests + 1, "the logout");
}

#[test]
fn a_callback_cannot_call_on_a_view_of_the_client_that_it_works_for() {
    unsafe extern "C" fn progress(view: *mut c_void, _: f64) {
        // SAFETY: the view lives as long as the call that this is for.
        let refusal = json(|out, e| unsafe {
            let (method, none) = (c"host.get_all".as_ptr(), ptr::null());
            xcp_client_call_json(view.cast(), method, none, ptr::null(), out, e)
        });
        assert_eq!(refusal.unwrap_err().status, XCP_E_MISUSE);
    }
    let lab = Lab::default();
    let client = lab.client();
    let (mut view, stop) = (ptr::null_mut(), Stop::new());
    // SAFETY: everything lives during the calls, and is freed once.
    unsafe {
        done(|e| xcp_client_view(client.0, ptr::null(), &mut view, e)).unwrap();
        std::thread::scope(|scope| {
            let (client, stop, at) = (&client, &stop, view.expose_provenance());
            let call = scope.spawn(move || {
                let view = ptr::with_exposed_provenance_mut(at);
                let (method, none) = (c"host.disable".as_ptr(), ptr::null());
                json(|out, e| {
                    xcp_client_task_json(
                        client.0,
                        method,
                        none,
                        Some(progress),
                        view,
                        stop.0,
                        out,
                        e,
                    )
                })
            });
            std::thread::sleep(Duration::from_millis(150));
            stop.cancel();
            assert_eq!(call.join().unwrap().unwrap_err().status, XCP_E_CANCELLED);
        });
        xcp_client_free(view);
    }
}
