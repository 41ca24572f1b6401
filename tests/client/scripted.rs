//! What the client asks, whom, and how often: against a script.

use std::time::Duration;

use xcp_pool::client::{Client, Credentials, LoginFailure, Scope, TaskEnd};
use xcp_pool::model::{Class, Host, Pool, Ref, Uuid};
use xcp_pool::transport::{Cancel, Endpoint, Scripted};
use xcp_pool::{Error, ErrorKind, Fault};

const LOGIN: &str = "session.login_with_password";
const VOID: &str = r#"{"jsonrpc":"2.0","result":"","id":1}"#;
const POOL: &str =
    r#"{"jsonrpc":"2.0","result":{"OpaqueRef:p":{"uuid":"pool-1","master":"OpaqueRef:h"}},"id":1}"#;
const OTHER_POOL: &str = r#"{"jsonrpc":"2.0","result":{"OpaqueRef:q":{"uuid":"pool-2"}},"id":1}"#;

fn text(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","result":"{result}","id":1}}"#)
}

fn raised(code: &str, params: &[&str]) -> String {
    let data = params.iter().map(|param| format!("\"{param}\"")).collect::<Vec<_>>().join(",");
    format!(r#"{{"jsonrpc":"2.0","error":{{"code":1,"message":"{code}","data":[{data}]}},"id":1}}"#)
}

fn credentials() -> Credentials {
    Credentials::new("root", "hunter2-hunter2")
}

fn connect(script: &Scripted, address: &str) -> Result<Client, Error> {
    Client::connect(script.clone(), address, &credentials())
}

/// A client that is logged in at phantom as OpaqueRef:s1.
fn connected(script: &Scripted) -> Client {
    script.expect("phantom", LOGIN, &text("OpaqueRef:s1"));
    connect(script, "phantom").unwrap()
}

/// A client that knows which pool it is connected to.
fn bound(script: &Scripted) -> Client {
    let client = connected(script);
    script.expect("phantom", "pool.get_all_records", POOL);
    assert_eq!(client.pool_uuid().unwrap(), Uuid::new("pool-1"));
    client
}

#[test]
fn a_client_logs_in_with_an_originator_and_out_when_it_is_dropped() {
    let script = Scripted::new();
    drop(connected(&script.clone()));
    let error = script.verify().unwrap_err();
    assert!(error.to_string().contains("session.logout"), "{error}");

    let script = Scripted::new();
    let client = connected(&script);
    script.expect("phantom", r#""session.logout","params":["OpaqueRef:s1"]"#, VOID);
    client.close().unwrap();
    script.verify().unwrap();
    let login = &script.requests()[0];
    assert!(login.contains(r#"["root","hunter2-hunter2","1.0","xcp_pool/"#), "{login}");
}

#[test]
fn a_member_leads_to_the_master_at_the_same_port() {
    for (address, named, asked) in [
        ("ignite", "10.0.0.1", "https://10.0.0.1"),
        ("ignite:8443", "10.0.0.1", "https://10.0.0.1:8443"),
        ("http://ignite:8080", "fd00::1", "http://[fd00::1]:8080"),
    ] {
        let script = Scripted::new();
        script.expect("ignite", LOGIN, &raised("HOST_IS_SLAVE", &[named]));
        script.expect(asked, LOGIN, &text("OpaqueRef:s1"));
        script.expect(asked, "session.logout", VOID);
        let client = connect(&script, address).unwrap();
        assert_eq!(client.endpoint().to_string(), asked);
        drop(client);
        script.verify().unwrap();
    }
}

#[test]
fn addresses_are_translated_as_the_caller_says() {
    let script = Scripted::new();
    script.expect("https://tunnel:2002", LOGIN, &raised("HOST_IS_SLAVE", &["10.0.0.1"]));
    script.expect("https://tunnel:2001", LOGIN, &text("OpaqueRef:s1"));
    script.expect("https://tunnel:2001", "session.logout", VOID);
    let client = Client::builder(script.clone())
        .address("10.0.0.1", Endpoint::https("tunnel").with_port(2001))
        .connect("tunnel:2002", &credentials())
        .unwrap();
    drop(client);
    script.verify().unwrap();
}

#[test]
fn hosts_that_name_each_other_are_no_master() {
    let script = Scripted::new();
    script.expect("a", LOGIN, &raised("HOST_IS_SLAVE", &["b"]));
    script.expect("b", LOGIN, &raised("HOST_IS_SLAVE", &["a"]));
    let error = connect(&script, "a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert_eq!(
        error.to_string(),
        "no host says that it is the master: https://a -> https://b -> https://a"
    );
    assert_eq!(LoginFailure::of(&error), LoginFailure::Slave);
    script.verify().unwrap();

    let script = Scripted::new();
    for (host, next) in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f")] {
        script.expect(host, LOGIN, &raised("HOST_IS_SLAVE", &[next]));
    }
    assert_eq!(connect(&script, "a").unwrap_err().kind(), ErrorKind::State);
    script.verify().unwrap();
}

#[test]
fn a_member_whose_master_is_dead_is_told_from_a_dead_host() {
    let script = Scripted::new();
    script.expect("ignite", LOGIN, &raised("HOST_IS_SLAVE", &["10.0.0.1"]));
    script.fail("10.0.0.1", LOGIN, ErrorKind::Transport, "connection refused");
    let error = connect(&script, "ignite").unwrap_err();
    assert_eq!(
        error.to_string(),
        "https://ignite is a member, and its master https://10.0.0.1 does not answer"
    );
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(LoginFailure::of(&error), LoginFailure::Slave);

    script.fail("ignite", LOGIN, ErrorKind::Transport, "connection refused");
    let error = connect(&script, "ignite").unwrap_err();
    assert_eq!(LoginFailure::of(&error), LoginFailure::Unreachable);
}

#[test]
fn neither_password_nor_session_is_in_an_error_or_in_debug() {
    let script = Scripted::new();
    let client = bound(&script);
    script.expect("phantom", "host.x", &raised("INTERNAL_ERROR", &["got 'S(OpaqueRef:s1)'"]));
    let error = client.call::<()>("host.x", &()).unwrap_err();
    assert_eq!(error.fault().unwrap().params, ["got 'S((secret))'"]);
    let shown = format!("{error} {error:?} {client:?} {:?}", client.credentials());
    assert!(!shown.contains("OpaqueRef:s1") && !shown.contains("hunter2"), "{shown}");

    script.expect("ignite", LOGIN, &raised("X", &["hunter2-hunter2"]));
    let error = connect(&script, "ignite").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
fn a_snapshot_is_one_request() {
    let script = Scripted::new();
    let client = connected(&script);
    script.expect(
        "phantom",
        r#""event.from","params":["OpaqueRef:s1",["pool","host","host_metrics","SR","PBD","PIF","network"],"",0.0]"#,
        r#"{"jsonrpc":"2.0","result":{"events":[
            {"id":"1","timestamp":"0.0","class":"pool","operation":"add","ref":"OpaqueRef:p","snapshot":{"uuid":"pool-1","master":"OpaqueRef:h"}},
            {"id":"1","timestamp":"0.0","class":"host","operation":"add","ref":"OpaqueRef:h","snapshot":{"uuid":"h","name_label":"phantom"}}],
            "valid_ref_counts":{"pool":1,"host":1,"host_metrics":1,"sr":0,"pbd":0,"pif":0},"token":"5,0"},"id":1}"#,
    );
    let snapshot = client.snapshot(Scope::Overview).unwrap();
    assert_eq!(snapshot.master().unwrap().1.name_label, "phantom");
    assert!(snapshot.covers(Class::Sr) && !snapshot.covers(Class::Network));
    // It is known from the snapshot.
    assert_eq!(client.pool_uuid().unwrap(), Uuid::new("pool-1"));
    script.expect("phantom", "session.logout", VOID);
    drop(client);
    script.verify().unwrap();
}

fn batch(token: &str, events: &str) -> String {
    format!(
        r#"{{"result":{{"events":[{events}],"valid_ref_counts":{{"pool":1,"host":1}},"token":"{token}"}}}}"#
    )
}

#[test]
fn a_settled_snapshot_asks_until_nothing_changes() {
    let script = Scripted::new();
    let client = connected(&script);
    let host = |operation: &str, name: &str| {
        format!(
            r#"{{"class":"host","operation":"{operation}","ref":"OpaqueRef:h","snapshot":{{"uuid":"h","name_label":"{name}"}}}}"#
        )
    };
    script.expect("phantom", r#","",0.0]"#, &batch("1", &host("add", "a")));
    script.expect("phantom", r#","1",0.0]"#, &batch("2", &host("mod", "b")));
    script.expect("phantom", r#","2",0.0]"#, &batch("3", ""));
    let snapshot = client.settled_snapshot(Scope::Overview).unwrap();
    assert_eq!(snapshot.host.records().next().unwrap().name_label, "b");
    script.verify().unwrap();

    script.expect("phantom", "event.from", &batch("1", &host("add", "a")));
    for _ in 0..20 {
        script.expect("phantom", "event.from", &batch("1", &host("mod", "a")));
    }
    let error = client.settled_snapshot(Scope::Overview).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    script.verify().unwrap();
}

#[test]
fn without_events_a_snapshot_is_read_class_by_class() {
    let script = Scripted::new();
    let client = connected(&script);
    script.expect("phantom", "event.from", &raised("RBAC_PERMISSION_DENIED", &["event.from", "x"]));
    script.expect("phantom", "pool.get_all_records", POOL);
    script.expect(
        "phantom",
        "Cluster.get_all_records",
        &raised("MESSAGE_METHOD_UNKNOWN", &["Cluster.get_all_records"]),
    );
    script.expect("phantom", "host.get_all_records", r#"{"result":{}}"#);
    let classes = [Class::Pool, Class::Cluster, Class::Host];
    let snapshot = client.snapshot_of(&classes).unwrap();
    assert!(snapshot.covers(Class::Host) && !snapshot.covers(Class::Cluster));
    assert_eq!(snapshot.pool.len(), 1);
    script.verify().unwrap();
}

#[test]
fn a_lost_session_is_renewed_once_and_the_read_repeated() {
    let script = Scripted::new();
    let client = bound(&script);
    script.expect("phantom", "host.get_all", &raised("SESSION_INVALID", &["OpaqueRef:s1"]));
    script.expect("phantom", LOGIN, &text("OpaqueRef:s2"));
    script.expect("phantom", r#"pool.get_all_records","params":["OpaqueRef:s2"]"#, POOL);
    script.expect("phantom", r#"host.get_all","params":["OpaqueRef:s2"]"#, r#"{"result":[]}"#);
    assert_eq!(client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap(), []);

    // A server that never knows its own sessions ends in its error, not in a loop.
    script.expect("phantom", "host.get_all", &raised("SESSION_INVALID", &["OpaqueRef:s2"]));
    script.expect("phantom", LOGIN, &text("OpaqueRef:s3"));
    script.expect("phantom", "pool.get_all_records", POOL);
    script.expect("phantom", "host.get_all", &raised("SESSION_INVALID", &["OpaqueRef:s3"]));
    let error = client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap_err();
    assert!(error.is_fault("SESSION_INVALID"));

    // Of somebody else's session nothing is concluded.
    script.expect("phantom", "host.get_all", &raised("SESSION_INVALID", &["OpaqueRef:x"]));
    client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap_err();

    script.expect("phantom", r#"session.logout","params":["OpaqueRef:s3"]"#, VOID);
    drop(client);
    script.verify().unwrap();
}

#[test]
fn a_write_is_sent_once() {
    let script = Scripted::new();
    let client = bound(&script);
    for kind in [ErrorKind::Transport, ErrorKind::Timeout] {
        script.fail("phantom", "pool.eject", kind, "the reply broke off");
        let error = client.call::<()>("pool.eject", &("OpaqueRef:h",)).unwrap_err();
        assert_eq!(error.kind(), kind);
        // The next write asks first whether this is still the master.
        script.expect("phantom", "pool.get_all_records", POOL);
        script.fail("phantom", "Async.pool.eject", kind, "the reply broke off");
        client.start("pool.eject", &("OpaqueRef:h",)).unwrap_err();
        script.expect("phantom", "host.get_all", r#"{"result":[]}"#);
        client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap();
    }
    // The session is new afterwards, but the call was not made again.
    script.expect("phantom", "pool.eject", &raised("SESSION_INVALID", &["OpaqueRef:s1"]));
    script.expect("phantom", LOGIN, &text("OpaqueRef:s2"));
    script.expect("phantom", "pool.get_all_records", POOL);
    let error = client.call::<()>("pool.eject", &("OpaqueRef:h",)).unwrap_err();
    assert!(error.is_fault("SESSION_INVALID"));
    // What pool.join raises about the other side is no redirect.
    script.expect("phantom", "pool.join", &raised("HOST_IS_SLAVE", &["10.0.0.9"]));
    let error = client.call::<()>("pool.join", &("ignite", "root", "x")).unwrap_err();
    assert_eq!(error.fault(), Some(&Fault::new("HOST_IS_SLAVE", ["10.0.0.9"])));
    // A read is sent once more.
    script.fail("phantom", "host.get_all", ErrorKind::Transport, "reset");
    script.expect("phantom", "host.get_all", r#"{"result":[]}"#);
    client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap();
    script.verify().unwrap();
}

#[test]
fn a_client_follows_its_pool_to_a_new_master_but_not_into_another_pool() {
    let script = Scripted::new();
    let client = bound(&script);
    script.expect("phantom", "host.get_all", &raised("HOST_IS_SLAVE", &["10.0.0.2"]));
    script.expect("phantom", LOGIN, &raised("HOST_IS_SLAVE", &["10.0.0.2"]));
    script.expect("10.0.0.2", LOGIN, &text("OpaqueRef:s2"));
    script.expect("10.0.0.2", "pool.get_all_records", POOL);
    script.expect("10.0.0.2", "host.get_all", r#"{"result":[]}"#);
    client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap();
    assert_eq!(client.endpoint().host(), "10.0.0.2");

    // The host was ejected and joined another pool: its session is closed, and its data not read.
    script.expect("10.0.0.2", "host.get_all", &raised("SESSION_INVALID", &["OpaqueRef:s2"]));
    script.expect("10.0.0.2", LOGIN, &raised("HOST_IS_SLAVE", &["10.0.0.9"]));
    script.expect("10.0.0.9", LOGIN, &text("OpaqueRef:s9"));
    script.expect("10.0.0.9", "pool.get_all_records", OTHER_POOL);
    script.expect("10.0.0.9", r#"session.logout","params":["OpaqueRef:s9"]"#, VOID);
    let error = client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert_eq!(error.to_string(), "https://10.0.0.9 is of another pool");
    assert_eq!(LoginFailure::of(&error), LoginFailure::OtherPool);
    // The pool may still have the first session, and whatever was done with it is over now.
    script.expect("10.0.0.2", r#"session.logout","params":["OpaqueRef:s2"]"#, VOID);
    script.expect("10.0.0.2", r#"session.logout","params":["OpaqueRef:s1"]"#, VOID);
    client.close().unwrap();
    script.verify().unwrap();
}

#[test]
fn a_pool_that_was_not_asked_for_is_refused_and_logged_out() {
    let script = Scripted::new();
    script.expect("phantom", LOGIN, &text("OpaqueRef:s1"));
    script.expect("phantom", "pool.get_all_records", OTHER_POOL);
    script.expect("phantom", "session.logout", VOID);
    let error = Client::builder(script.clone())
        .pool_uuid(Uuid::new("pool-1"))
        .connect("phantom", &credentials())
        .unwrap_err();
    assert_eq!(LoginFailure::of(&error), LoginFailure::OtherPool);
    script.verify().unwrap();
}

#[test]
fn threads_that_lose_their_session_share_one_new_login() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use xcp_pool::transport::{Body, Request, Transport};

    /// A host that knows only its latest session.
    #[derive(Default)]
    struct Forgetful {
        logins: AtomicUsize,
        sessions_known: AtomicUsize,
    }
    impl Transport for &'static Forgetful {
        fn exchange(&self, request: &Request<'_>) -> Result<Body, Error> {
            let body = String::from_utf8_lossy(request.body).into_owned();
            let answer = if body.contains(LOGIN) {
                std::thread::sleep(Duration::from_millis(20));
                let n = self.logins.fetch_add(1, Ordering::SeqCst) + 1;
                self.sessions_known.store(n, Ordering::SeqCst);
                text(&format!("OpaqueRef:s{n}"))
            } else {
                let known =
                    format!("\"OpaqueRef:s{}\"", self.sessions_known.load(Ordering::SeqCst));
                match body.contains(&known) {
                    true if body.contains("pool.get_all_records") => POOL.to_owned(),
                    true => r#"{"result":[]}"#.to_owned(),
                    false => {
                        let start = body.find("OpaqueRef:").unwrap();
                        let end = body[start..].find('"').unwrap() + start;
                        raised("SESSION_INVALID", &[&body[start..end]])
                    }
                }
            };
            Ok(Body::Bytes(answer.into_bytes()))
        }
    }

    let host: &'static Forgetful = Box::leak(Box::default());
    let client = Client::connect(host, "phantom", &credentials()).unwrap();
    client.pool_uuid().unwrap();
    host.sessions_known.store(99, Ordering::SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap());
        }
    });
    assert_eq!(host.logins.load(Ordering::SeqCst), 2);
}

fn task(status: &str, progress: &str, result: &str, error: &str) -> String {
    format!(
        r#"{{"result":{{"uuid":"t","status":"{status}","progress":{progress},"result":"{result}","error_info":[{error}]}}}}"#
    )
}

#[test]
fn a_task_is_awaited_decoded_and_removed() {
    let script = Scripted::new();
    let client = bound(&script);
    script.expect("phantom", "Async.VM.clone", &text("OpaqueRef:t"));
    script.expect("phantom", "task.get_record", &task("pending", "0.0", "", ""));
    script.expect("phantom", "task.get_record", &task("pending", "0.0", "", ""));
    script.expect("phantom", "task.get_record", &task("pending", "0.5", "", ""));
    let done = task("success", "1.0", "<value>OpaqueRef:v</value>", "");
    script.expect("phantom", "task.get_record", &done);
    script.expect("phantom", "task.destroy", VOID);
    let mut seen = Vec::new();
    let end = client
        .task::<Ref<Host>>("VM.clone", &("OpaqueRef:x", "copy"), &mut |done| seen.push(done))
        .unwrap();
    assert_eq!(end.into_result().unwrap(), Ref::new("OpaqueRef:v"));
    assert_eq!(seen, [0.0, 0.5, 1.0]);
    assert!(client.clock().now() > Duration::from_millis(150));
    script.verify().unwrap();
}

#[test]
fn every_end_of_a_task_is_told() {
    let script = Scripted::new();
    let client = bound(&script);
    let run = |records: &[&str]| {
        script.expect("phantom", "Async.pool.join", &text("OpaqueRef:t"));
        for record in records {
            script.expect("phantom", "task.get_record", record);
        }
        if !records[records.len() - 1].contains("HANDLE_INVALID") {
            script.expect("phantom", "task.destroy", VOID);
        }
        let end = client.task::<()>("pool.join", &("x", "root", "y"), &mut |_| {}).unwrap();
        script.verify().unwrap();
        end
    };
    let done = task("success", "1.0", "<value></value>", "");
    assert!(matches!(run(&[&done]), TaskEnd::Done(())));
    let failed = task("failure", "1.0", "", r#""HANDLE_INVALID ","VM""#).replace("INVALID ", "IN");
    match run(&[&failed]) {
        TaskEnd::Failed(error) => {
            assert_eq!(error.fault(), Some(&Fault::new("HANDLE_IN", ["VM"])));
        }
        other => panic!("{other:?}"),
    }
    let cancelled = task("cancelled", "0.1", "", r#""TASK_CANCELLED","OpaqueRef:t""#);
    assert!(matches!(run(&[&cancelled]), TaskEnd::Cancelled));
    let wrong = task("success", "1.0", "<value>x</value>", "");
    assert!(matches!(run(&[&wrong]), TaskEnd::Unknown(_)));
    let gone = raised("HANDLE_INVALID", &["task", "OpaqueRef:t"]);
    match run(&[&task("pending", "0.1", "", ""), &gone]) {
        TaskEnd::Unknown(error) => assert!(error.is_fault("HANDLE_INVALID"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cancelled_client_stops_and_still_logs_out() {
    let script = Scripted::new();
    let cancel = Cancel::new();
    script.expect("phantom", LOGIN, &text("OpaqueRef:s1"));
    let client = Client::builder(script.clone())
        .cancel(cancel.clone())
        .connect("phantom", &credentials())
        .unwrap();
    cancel.cancel();
    let error = client.snapshot(Scope::Overview).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    script.expect("phantom", "session.logout", VOID);
    drop(client);
    script.verify().unwrap();
}

#[test]
fn records_are_typed_by_their_class() {
    let script = Scripted::new();
    let client = connected(&script);
    script.expect("phantom", "pool.get_all_records", POOL);
    script.expect(
        "phantom",
        "pool.get_record\",\"params\":[\"OpaqueRef:s1\",\"OpaqueRef:p\"]",
        r#"{"result":{"uuid":"pool-1","ha_enabled":true}}"#,
    );
    assert!(client.record(&Ref::<Pool>::new("OpaqueRef:p")).unwrap().ha_enabled);
    script.expect("phantom", "host.get_by_uuid", &text("OpaqueRef:h"));
    assert_eq!(client.by_uuid::<Host>(&"h".into()).unwrap(), Ref::new("OpaqueRef:h"));
    script.expect(
        "phantom",
        "host.get_all_records_where",
        r#"{"result":{"OpaqueRef:h":{"enabled":7}}}"#,
    );
    let error = client.records_where::<Host>("true").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("host OpaqueRef:h: enabled: invalid type"), "{error}");
    script.verify().unwrap();
}
