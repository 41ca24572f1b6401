//! The client in a pool whose master dies, moves, restarts or splits: against hosts in memory, and
//! against the recorded life of a real pool.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::memory::{POOL, State, World, credentials, hosts, result};
use serde_json::{Value, json};
use xcp_pool::client::{Client, LoginFailure, OneHost, Role, Scope};
use xcp_pool::model::{Class, Uuid};
use xcp_pool::transport::{Body, Endpoint, Limits, Request, Transport};
use xcp_pool::wire::Operation;
use xcp_pool::{Error, ErrorKind, Fault};

#[test]
fn a_dead_masters_pool_is_found_at_the_survivor_that_is_master_now() {
    let world = World::pool();
    let client = world.connect("b");
    assert_eq!(client.endpoint().host(), "a");
    client.snapshot(Scope::Overview).unwrap();
    world.set("a", State::Dead);
    world.set("b", State::MemberOf("c"));
    world.set("c", State::Master);
    assert_eq!(hosts(&client).unwrap().len(), 3);
    assert_eq!(client.endpoint().host(), "c");
    assert_eq!(world.open_sessions(), 1);
    drop(client);
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_member_that_was_never_seen_is_found_through_another_that_names_it() {
    let world = World::pool();
    let client = world.connect("b");
    client.pool_uuid().unwrap();
    // Only a and b are known; b names c.
    world.set("a", State::Dead);
    world.set("b", State::MemberOf("c"));
    world.set("c", State::Master);
    hosts(&client).unwrap();
    assert_eq!(client.endpoint().host(), "c");
}

#[test]
fn hosts_that_do_not_answer_do_not_hold_up_the_search() {
    let world = World::pool();
    let client = Client::builder(world.clone())
        .limits(Limits::within(Duration::from_secs(20)))
        .connect("a", &credentials())
        .unwrap();
    client.snapshot(Scope::Overview).unwrap();
    world.set("a", State::Dead);
    world.set("b", State::Hangs);
    world.set("c", State::Master);
    let start = Instant::now();
    hosts(&client).unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn another_pool_is_never_followed_and_its_session_is_closed() {
    let world = World::pool();
    let client = world.connect("a");
    client.snapshot(Scope::Overview).unwrap();
    world.set("a", State::Dead);
    world.set("b", State::MemberOf("c"));
    // c was ejected, and is a pool of its own now.
    world.add("c", "OpaqueRef:c", "pool-2", State::Master);
    let error = hosts(&client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    let answers = std::error::Error::source(&error).unwrap().to_string();
    assert!(answers.contains("a refuses connections"), "{answers}");
    assert!(answers.contains("https://b is a member of https://c"), "{answers}");
    assert!(
        answers.contains("https://c is of another pool (it belongs to pool pool-2, and"),
        "{answers}"
    );
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_client_that_has_read_nothing_yet_stays_where_it_logged_in() {
    let world = World::pool();
    let client = Client::builder(world.clone())
        .member(Endpoint::https("c"))
        .connect("a", &credentials())
        .unwrap();
    world.set("a", State::Dead);
    world.add("c", "OpaqueRef:c", "pool-2", State::Master);
    assert_eq!(hosts(&client).unwrap_err().kind(), ErrorKind::Transport);
    world.set("a", State::Master);
    hosts(&client).unwrap();
    assert_eq!(client.pool_uuid().unwrap(), Uuid::new(POOL));
}

#[test]
fn two_masters_are_an_error_but_two_addresses_of_one_are_not() {
    let world = World::pool();
    let client = world.connect("a");
    client.snapshot(Scope::Overview).unwrap();
    world.set("a", State::Dead);
    world.set("b", State::Master);
    world.set("c", State::Master);
    let error = hosts(&client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    let message = error.to_string();
    assert!(message.contains("https://b") && message.contains("https://c"), "{message}");
    assert!(message.ends_with("both say that they are the pool's master"), "{message}");
    assert_eq!(world.open_sessions(), 0);
    // The same host under two addresses.
    world.add("c", "OpaqueRef:b", POOL, State::Master);
    hosts(&client).unwrap();
    assert_eq!(world.open_sessions(), 1);
}

#[test]
fn a_pool_without_a_master_is_told_with_what_each_host_said() {
    let world = World::pool();
    let client = world.connect("a");
    client.snapshot(Scope::Overview).unwrap();
    for host in ["a", "b", "c"] {
        world.set(host, State::Dead);
    }
    let error = hosts(&client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(error.to_string(), "no host of the pool says that it is the master");
    world.set("b", State::Emergency(&["HOST_STILL_BOOTING"]));
    let error = hosts(&client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    let answers = std::error::Error::source(&error).unwrap().to_string();
    assert!(answers.contains("HOST_STILL_BOOTING"), "{answers}");
    // It is not for the client to try passwords or trust strangers.
    world.set("b", State::Untrusted);
    assert_eq!(hosts(&client).unwrap_err().kind(), ErrorKind::Trust);
}

#[test]
fn patience_waits_for_a_master_that_restarts() {
    let world = World::pool();
    let client = Client::builder(world.clone())
        .patience(Duration::from_secs(20))
        .connect("a", &credentials())
        .unwrap();
    client.snapshot(Scope::Overview).unwrap();
    world.set("a", State::Dead);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            world.set("a", State::Emergency(&["HOST_STILL_BOOTING"]));
            std::thread::sleep(Duration::from_millis(1200));
            world.set("a", State::Master);
        });
        hosts(&client).unwrap();
    });
    assert_eq!(client.endpoint().host(), "a");
    // Not longer than it was told.
    let client = Client::builder(world.clone())
        .patience(Duration::from_millis(1500))
        .connect("a", &credentials())
        .unwrap();
    client.snapshot(Scope::Overview).unwrap();
    world.set("a", State::Dead);
    let start = Instant::now();
    hosts(&client).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn threads_that_read_when_the_master_dies_share_one_search() {
    let world = World::pool();
    let client = world.connect("a");
    client.snapshot(Scope::Overview).unwrap();
    world.set("a", State::Dead);
    world.set("b", State::MemberOf("c"));
    world.set("c", State::Master);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| hosts(&client).unwrap());
        }
    });
    assert_eq!(client.endpoint().host(), "c");
    assert_eq!(world.open_sessions(), 1);
}

#[test]
fn no_thread_waits_beyond_its_deadline_for_a_pool_that_hangs() {
    let world = World::pool();
    let client = Client::builder(world.clone())
        .limits(Limits::within(Duration::from_secs(1)))
        .connect("a", &credentials())
        .unwrap();
    client.snapshot(Scope::Overview).unwrap();
    for host in ["a", "b", "c"] {
        world.set(host, State::Hangs);
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let error = hosts(&client).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Transport));
            });
        }
    });
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn writes_follow_the_master_but_are_never_repeated() {
    let world = World::pool();
    let client = world.connect("a");
    client.snapshot(Scope::Overview).unwrap();
    client.call::<()>("pool.eject", &("OpaqueRef:b",)).unwrap();
    world.set("a", State::Dead);
    world.set("b", State::MemberOf("c"));
    world.set("c", State::Master);
    let error = client.call::<()>("pool.eject", &("OpaqueRef:a",)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(world.with(|inner| inner.writes.clone()), ["a pool.eject"]);
    // The next one looks first.
    client.call::<()>("host.destroy", &("OpaqueRef:a",)).unwrap();
    assert_eq!(world.with(|inner| inner.writes.clone()), ["a pool.eject", "c host.destroy"]);
}

#[test]
fn a_client_may_start_at_any_of_several_hosts() {
    let world = World::pool();
    world.set("a", State::Dead);
    let connect = |pool: Option<&str>| {
        let builder = Client::builder(world.clone()).member(Endpoint::https("b"));
        let builder = match pool {
            Some(uuid) => builder.pool_uuid(Uuid::new(uuid)),
            None => builder,
        };
        builder.connect("a", &credentials())
    };
    let error = connect(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    world.set("b", State::Master);
    let client = connect(Some(POOL)).unwrap();
    assert_eq!(client.endpoint().host(), "b");
    drop(client);
    connect(Some("pool-2")).unwrap_err();
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_watch_reads_again_what_it_missed_when_the_master_changed() {
    let world = World::pool();
    let client = world.connect("a");
    let mut watch = client.watch_of(&[Class::Pool, Class::Host]).unwrap();
    assert_eq!(watch.snapshot().host.len(), 3);
    world.with(|inner| {
        inner.hosts.remove("OpaqueRef:a");
        inner.hosts.get_mut("OpaqueRef:b").unwrap()["name_label"] = json!("renamed");
        let new = json!({"uuid": "d", "address": "d"});
        inner.hosts.insert("OpaqueRef:d".to_owned(), new);
    });
    world.set("a", State::Dead);
    world.set("b", State::MemberOf("c"));
    world.set("c", State::Master);
    let changes: Vec<_> = watch
        .by_ref()
        .take(3)
        .map(|change| change.map(|change| (change.operation, change.reference)).unwrap())
        .collect();
    assert_eq!(
        changes,
        [
            (Operation::Modified, "OpaqueRef:b".to_owned()),
            (Operation::Added, "OpaqueRef:d".to_owned()),
            (Operation::Deleted, "OpaqueRef:a".to_owned()),
        ]
    );
    assert_eq!(client.endpoint().host(), "c");
    let names: Vec<_> =
        watch.snapshot().host.records().map(|host| host.name_label.as_str()).collect();
    assert_eq!(names, ["renamed", "c", ""]);
}

#[test]
fn a_watch_notices_deletions_that_the_server_forgot() {
    let world = World::pool();
    let client = world.connect("a");
    let mut watch = client.watch_of(&[Class::Host]).unwrap();
    // The counts say so; the events do not.
    world.with(|inner| inner.hosts.remove("OpaqueRef:b"));
    let change = watch.next().unwrap().unwrap();
    assert_eq!((change.operation, change.reference.as_str()), (Operation::Deleted, "OpaqueRef:b"));
    assert_eq!(watch.snapshot().host.len(), 2);
}

#[test]
fn a_watch_ends_as_soon_as_it_is_told() {
    let world = World::pool();
    let client = world.connect("a");
    let mut watch = client.watch_of(&[Class::Host]).unwrap();
    world.set("a", State::Hangs);
    let stop = watch.canceller();
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            stop.cancel();
        });
        assert!(watch.next().is_none());
    });
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // The client itself is not cancelled.
    world.set("a", State::Master);
    hosts(&client).unwrap();
}

#[test]
fn a_watch_goes_on_after_errors() {
    let world = World::pool();
    let client = world.connect("a");
    let mut watch = client.watch_of(&[Class::Host]).unwrap();
    for host in ["a", "b", "c"] {
        world.set(host, State::Dead);
    }
    assert_eq!(watch.next().unwrap().unwrap_err().kind(), ErrorKind::Transport);
    world.set("c", State::Master);
    world.with(|inner| inner.hosts.remove("OpaqueRef:b"));
    assert_eq!(watch.next().unwrap().unwrap().operation, Operation::Deleted);
}

/// Answers one login as it was recorded.
struct Recorded(Value);

impl Transport for Recorded {
    fn exchange(&self, request: &Request<'_>) -> Result<Body, Error> {
        let call: Value = serde_json::from_slice(request.body).unwrap();
        let reply = match call["method"].as_str().unwrap() {
            "pool.get_all_records" => {
                result(json!({"OpaqueRef:p": {"uuid": "pool-b"}})).to_string()
            }
            "session.logout" | "session.local_logout" => result(json!("")).to_string(),
            _ => match self.0["response"].as_str() {
                Some(reply) => reply.to_owned(),
                None => return Err(Error::new(ErrorKind::Transport, "it broke the connection")),
            },
        };
        Ok(Body::Bytes(reply.into_bytes()))
    }
}

#[test]
fn every_recorded_login_in_the_life_of_a_pool_is_understood() {
    let mut seen = BTreeMap::new();
    for file in ["pool-lifecycle.json", "pool-lifecycle-2.json"] {
        let path = format!("{}/tests/data/oracle/exchanges/{file}", env!("CARGO_MANIFEST_DIR"));
        let steps: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for step in steps {
            let request = match &step["request"] {
                Value::String(text) => serde_json::from_str(text).unwrap(),
                other => other.clone(),
            };
            if request["method"] != "session.login_with_password" {
                continue;
            }
            let host = Endpoint::https(step["host"].as_str().unwrap());
            let limits = Limits::default();
            let name = step["name"].as_str().unwrap().to_owned();
            let said =
                OneHost::new(Recorded(step), host.clone(), &credentials()).limits(limits).role();
            let said = match said {
                Ok(Role::Master(pool)) => format!("master of {pool}"),
                Ok(Role::Member(master)) => format!("member of {master}"),
                Err(error) => match LoginFailure::of(&error) {
                    LoginFailure::Emergency(fault) => format!("emergency {}", fault.code),
                    failure => format!("{failure:?}"),
                },
                other => format!("{other:?}"),
            };
            seen.insert(format!("{file} {name}"), said);
        }
    }
    let said = |name: &str| seen[name].as_str();
    let first = |name: &str| seen[&format!("pool-lifecycle.json {name}")].as_str();
    // The joiner goes on as a master of its own, starts again, and is a member.
    assert_eq!(first("joiner_login_during_restart_8"), "master of pool-b");
    assert_eq!(first("joiner_login_during_restart_14"), "StillBooting");
    assert_eq!(first("joiner_login_during_restart_18"), "member of 127.0.7.1");
    // A hand-over: for seconds both roles are the old ones, then both are masters of a kind.
    assert_eq!(first("old_master_after_designate_0"), "master of pool-b");
    assert_eq!(first("new_master_after_designate_0"), "member of 127.0.7.1");
    assert_eq!(first("old_master_after_designate_3"), "emergency INTERNAL_ERROR");
    assert_eq!(first("new_master_after_designate_3"), "master of pool-b");
    assert_eq!(first("old_master_after_designate_5"), "member of 127.0.7.4");
    // Members name a master that is dead.
    assert_eq!(first("member_login_master_dead"), "member of 127.0.7.4");
    assert_eq!(first("member_login_after_recover"), "member of 127.0.7.1");
    assert_eq!(said("pool-lifecycle-2.json member_after_recover"), "member of 127.0.7.1");
    assert!(seen.len() > 30, "{}", seen.len());
}

#[test]
fn the_recorded_hand_over_is_followed_to_the_new_master() {
    // As recorded: the old master raises what it cannot reach; the new one answers; a read that
    // comes meanwhile ends at the new master.
    let world = World::pool();
    let client = world.connect("a");
    client.snapshot(Scope::Overview).unwrap();
    world.set(
        "a",
        State::Emergency(&[
            "INTERNAL_ERROR",
            "INTERNAL_ERROR: [ Connection failed: connection refused. ]",
        ]),
    );
    world.set("b", State::Master);
    world.set("c", State::MemberOf("a"));
    hosts(&client).unwrap();
    assert_eq!(client.endpoint().host(), "b");
    // Then the old one is a member, and a client that starts there is led on.
    world.set("a", State::MemberOf("b"));
    assert_eq!(world.connect("a").endpoint().host(), "b");
}

#[test]
fn a_local_session_stays_at_its_host_and_is_closed() {
    let replies = |text: &str| Recorded(json!({ "response": text }));
    let local =
        r#"{"jsonrpc":"2.0","result":"OpaqueRef:93d4f640-c262-8961-8ef3-bac006d5bd9a","id":1}"#;
    let host = Endpoint::https("127.0.7.1");
    let open = |text: &str| OneHost::new(replies(text), host.clone(), &credentials()).session();
    let session = open(local).unwrap();
    assert!(!format!("{session:?}").contains("93d4f640"));
    session.close().unwrap();
    let refused = r#"{"jsonrpc":"2.0","error":{"code":1,"message":"SESSION_AUTHENTICATION_FAILED","data":["root","Authentication failure"]},"id":1}"#;
    let error = open(refused).unwrap_err();
    assert_eq!(LoginFailure::of(&error), LoginFailure::BadPassword);
    assert_eq!(
        error.fault(),
        Some(&Fault::new("SESSION_AUTHENTICATION_FAILED", ["root", "Authentication failure"]))
    );
}
