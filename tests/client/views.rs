//! Views of a client: whose calls have other limits, or end with a cancel token, and disturb nobody.

use std::time::{Duration, Instant};

use crate::memory::{State, World, credentials, hosts};
use xcp_pool::client::{Client, OneHost, Scope, TaskEnd};
use xcp_pool::model::Class;
use xcp_pool::transport::{Cancel, Limits};
use xcp_pool::{Error, ErrorKind, Result};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Cancels while `act` hangs in so many requests; it must end at once, with the error of that.
#[track_caller]
fn ends_when_cancelled<T: Send>(
    world: &World,
    requests: usize,
    stop: &Cancel,
    act: impl FnOnce() -> Result<T> + Send,
) {
    std::thread::scope(|scope| {
        let call = scope.spawn(act);
        world.await_waiting(requests);
        let start = Instant::now();
        stop.cancel();
        let error = call.join().unwrap().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(start.elapsed() < millis(800), "{:?}", start.elapsed());
    });
}

/// A world, a client of it that knows all hosts, and a token.
fn client() -> (World, Client, Cancel) {
    let world = World::pool();
    let client = world.connect("a");
    client.snapshot(Scope::Overview).unwrap();
    (world, client, Cancel::new())
}

#[test]
fn a_read_ends_when_its_view_is_cancelled_and_the_client_goes_on() {
    let (world, client, stop) = client();
    let view = client.with_cancel(&stop);
    world.set("a", State::Hangs);
    ends_when_cancelled(&world, 1, &stop, || hosts(&view));
    world.set("a", State::Master);
    assert_eq!(hosts(&client).unwrap().len(), 3);
    let requests = world.with(|inner| inner.requests);
    assert_eq!(hosts(&view).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(world.with(|inner| inner.requests), requests, "nothing is sent any more");
    assert_eq!(hosts(&view.without_cancel()).unwrap().len(), 3);
    drop((client, view));
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn snapshots_end_when_their_view_is_cancelled() {
    type Read = fn(&Client) -> Result<()>;
    let reads: [Read; 4] = [
        |view| view.snapshot(Scope::Overview).map(drop),
        |view| view.settled_snapshot(Scope::Overview).map(drop),
        |view| view.snapshot_by_class(&[Class::Pool]).map(drop),
        |view| view.watch(Scope::Overview).map(drop),
    ];
    for read in reads {
        let (world, client, stop) = client();
        let view = client.with_cancel(&stop);
        world.set("a", State::Hangs);
        ends_when_cancelled(&world, 1, &stop, || read(&view));
        world.set("a", State::Master);
    }
}

#[test]
fn logins_end_when_they_are_cancelled() {
    let (world, client, stop) = client();
    world.set("a", State::Hangs);
    let builder = Client::builder(world.clone()).cancel(stop.clone());
    ends_when_cancelled(&world, 1, &stop, || builder.connect("a", &credentials()));
    let stop = Cancel::new();
    let open = || {
        let (endpoint, limits) = ("a".parse().unwrap(), Limits::default());
        OneHost::new(world.clone(), endpoint, &credentials()).limits(limits).cancel(&stop).session()
    };
    ends_when_cancelled(&world, 1, &stop, open);
    for ask in [
        |view: &Client| view.role_of("a").map(drop),
        |view: &Client| view.beside("a").map(drop),
        |view: &Client| view.local("a").map(drop),
    ] {
        let stop = Cancel::new();
        let view = client.with_cancel(&stop);
        ends_when_cancelled(&world, 1, &stop, || ask(&view));
    }
    // The session is gone, and the login in the middle of a call takes long.
    world.set("a", State::Master);
    let client = world.connect("b");
    world.set("a", State::Master);
    world.set("b", State::Hangs);
    world.turn("a", State::MemberOf("b"));
    let stop = Cancel::new();
    let view = client.with_cancel(&stop);
    ends_when_cancelled(&world, 1, &stop, || hosts(&view));
}

#[test]
fn the_search_for_a_new_master_ends_with_the_call_that_needs_it() {
    let (world, client, stop) = client();
    let first = client.with_cancel(&stop);
    world.set("a", State::Dead);
    world.set("b", State::Hangs);
    world.set("c", State::Hangs);
    ends_when_cancelled(&world, 2, &stop, || hosts(&first));
    // What was found by then is given back.
    let stop = Cancel::new();
    let second = first.without_cancel().with_cancel(&stop);
    world.set("c", State::MemberOf("b"));
    ends_when_cancelled(&world, 1, &stop, || hosts(&second));
    world.set("b", State::Master);
    hosts(&client).unwrap();
    drop((client, first, second));
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn the_pause_between_two_searches_ends_when_it_is_cancelled() {
    let world = World::pool();
    let builder = Client::builder(world.clone()).patience(Duration::from_secs(50));
    let client = builder.connect("a", &credentials()).unwrap();
    client.snapshot(Scope::Overview).unwrap();
    let stop = Cancel::new();
    let view = client.with_cancel(&stop);
    for host in ["a", "b", "c"] {
        world.set(host, State::Dead);
    }
    std::thread::scope(|scope| {
        let call = scope.spawn(|| hosts(&view));
        std::thread::sleep(millis(200));
        let start = Instant::now();
        stop.cancel();
        assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(start.elapsed() < millis(800), "{:?}", start.elapsed());
    });
}

#[test]
fn a_thread_that_waits_for_the_search_of_another_is_cancelled_alone() {
    let (world, client, stop) = client();
    world.set("a", State::Dead);
    world.set("b", State::Hangs);
    world.set("c", State::Hangs);
    std::thread::scope(|scope| {
        let searching = scope.spawn(|| hosts(&client));
        world.await_waiting(2);
        let view = client.with_cancel(&stop);
        let waiting = scope.spawn(move || hosts(&view));
        std::thread::sleep(millis(200));
        assert_eq!(world.with(|inner| inner.waiting), 2, "one searches at a time");
        let start = Instant::now();
        stop.cancel();
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(start.elapsed() < millis(800), "{:?}", start.elapsed());
        assert!(!searching.is_finished());
        world.set("c", State::Master);
        world.set("b", State::Dead);
        assert_eq!(searching.join().unwrap().unwrap().len(), 3);
    });
}

#[test]
fn a_search_that_is_cancelled_does_not_fail_those_that_wait_for_it() {
    let (world, client, stop) = client();
    world.set("a", State::Dead);
    world.set("b", State::Hangs);
    world.set("c", State::Hangs);
    std::thread::scope(|scope| {
        let view = client.with_cancel(&stop);
        let searching = scope.spawn(move || hosts(&view));
        world.await_waiting(2);
        let waiting = scope.spawn(|| hosts(&client));
        std::thread::sleep(millis(100));
        stop.cancel();
        assert_eq!(searching.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        world.set("c", State::Master);
        world.set("b", State::Dead);
        assert_eq!(waiting.join().unwrap().unwrap().len(), 3);
    });
}

#[test]
fn two_threads_with_tokens_of_their_own_do_not_disturb_one_another() {
    let (world, client, _) = client();
    world.turn("a", State::Hangs);
    let stops: Vec<Cancel> = (0..8).map(|_| Cancel::new()).collect();
    std::thread::scope(|scope| {
        let calls: Vec<_> = stops
            .iter()
            .map(|stop| {
                let view = client.with_cancel(stop);
                scope.spawn(move || hosts(&view))
            })
            .collect();
        world.await_waiting(8);
        stops.iter().step_by(2).for_each(Cancel::cancel);
        std::thread::sleep(millis(200));
        let finished: Vec<_> = calls.iter().map(|call| call.is_finished()).collect();
        assert_eq!(finished, [true, false, true, false, true, false, true, false]);
        world.turn("a", State::Master);
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(call.join().unwrap().is_ok(), n % 2 == 1, "{n}");
        }
    });
    assert_eq!(world.with(|inner| inner.logins), 1);
}

#[test]
fn a_watch_ends_with_the_view_that_it_was_made_of() {
    let (world, client, stop) = client();
    let mut watch = client.with_cancel(&stop).watch_of(&[Class::Host]).unwrap();
    world.turn("a", State::Hangs);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || watch.next().is_none());
        world.await_waiting(1);
        stop.cancel();
        assert!(waiting.join().unwrap());
    });
    world.set("a", State::Master);
    hosts(&client).unwrap();
}

#[test]
fn one_wait_of_a_watch_is_cancelled_and_nothing_is_lost() {
    let (world, client, stop) = client();
    let mut watch = client.watch_of(&[Class::Host]).unwrap();
    world.turn("a", State::Hangs);
    ends_when_cancelled(&world, 1, &stop, || watch.poll_under(&stop));
    assert_eq!(watch.next_under(&stop).unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    world.with(|inner| {
        inner.hosts.remove("OpaqueRef:b");
    });
    world.turn("a", State::Master);
    let change = watch.next_under(&Cancel::new()).unwrap().unwrap();
    assert_eq!(change.reference, "OpaqueRef:b");
    watch.canceller().cancel();
    assert!(watch.next_under(&Cancel::new()).is_none());
    // It keeps the session of a client that is gone.
    drop(client);
    assert_eq!(world.open_sessions(), 1);
    drop(watch);
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn the_wait_for_a_task_is_cancelled_and_the_task_is_left_alone() {
    let (world, client, stop) = client();
    // Between two looks, and in one of them.
    for hangs in [false, true] {
        let stop = Cancel::new();
        let task = client.start("host.disable", &("OpaqueRef:a",)).unwrap();
        let waits = task.with_cancel(&stop);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || waits.wait::<()>(&mut |_| {}));
            std::thread::sleep(millis(100));
            if hangs {
                world.turn("a", State::Hangs);
                world.await_waiting(1);
            }
            let start = Instant::now();
            stop.cancel();
            let end = waiting.join().unwrap();
            assert_eq!(end.unwrap_err().kind(), ErrorKind::Cancelled);
            assert!(start.elapsed() < millis(800), "{:?}", start.elapsed());
        });
        world.turn("a", State::Master);
        assert_eq!(task.record().unwrap().uuid.text(), "task");
    }
    stop.cancel();
    let end = client.with_cancel(&stop).task::<()>("host.disable", &("OpaqueRef:a",), &mut |_| {});
    assert_eq!(end.map(TaskEnd::into_result).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_call_in_a_local_session_ends_when_its_view_is_cancelled() {
    let (world, client, stop) = client();
    let local = client.local("a").unwrap();
    world.turn("a", State::Hangs);
    let view = local.with_cancel(&stop);
    ends_when_cancelled(&world, 1, &stop, || view.is_in_emergency_mode());
    let hasty = local.with_limits(Limits::within(millis(50)));
    assert_eq!(hasty.is_in_emergency_mode().unwrap_err().kind(), ErrorKind::Timeout);
    world.turn("a", State::Master);
    local.call::<String>("host.is_in_emergency_mode", &()).unwrap();
    drop(local);
    assert_eq!(view.with_cancel(&stop).endpoint().host(), "a");
    view.without_cancel().call::<String>("host.is_in_emergency_mode", &()).unwrap();
    view.without_cancel().close().unwrap();
    let late = view.without_cancel().call::<String>("host.is_in_emergency_mode", &());
    assert_eq!(late.unwrap_err().kind(), ErrorKind::State);
}

#[test]
fn the_limits_of_a_view_are_those_of_its_calls_and_of_no_others() {
    let (world, client, _) = client();
    let last = || world.with(|inner| *inner.limits.last().unwrap());
    let usual = Limits::default();
    let mut tight = Limits::within(millis(1500));
    tight.max_reply = 4000;
    let view = client.with_limits(tight);
    for _ in 0..2 {
        hosts(&view).unwrap();
        assert!(last().overall <= tight.overall && last().max_reply == tight.max_reply);
        hosts(&client).unwrap();
        assert!(last().overall > tight.overall && last().max_reply == usual.max_reply);
        assert!(last().overall <= usual.overall);
    }
    let wide = view.with_limits(Limits::within(Duration::from_secs(300)));
    hosts(&wide).unwrap();
    assert!(last().overall > usual.overall);
    assert_eq!((client.limits(), view.limits()), (usual, tight));
    world.set("a", State::Hangs);
    let start = Instant::now();
    let hasty = client.with_limits(Limits::within(millis(100)));
    assert_eq!(hosts(&hasty).unwrap_err().kind(), ErrorKind::Timeout);
    assert!(start.elapsed() < millis(800), "{:?}", start.elapsed());
    assert_eq!(world.with(|inner| inner.logins), 1);
    world.set("a", State::Master);
}

#[test]
fn who_has_little_time_does_not_fail_those_that_have_more() {
    let (world, client, _) = client();
    world.set("a", State::Dead);
    // It answers, so that the search does not end for want of time alone.
    world.set("b", State::MemberOf("a"));
    world.set("c", State::Hangs);
    std::thread::scope(|scope| {
        let hasty = client.with_limits(Limits::within(millis(300)));
        let hasty = scope.spawn(move || hosts(&hasty));
        world.await_waiting(1);
        let patient = scope.spawn(|| hosts(&client));
        let error: Error = hasty.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State, "{error}");
        world.set("c", State::Master);
        assert_eq!(patient.join().unwrap().unwrap().len(), 3);
    });
}

#[test]
fn a_view_of_a_view_ends_with_either() {
    for n in 0..3 {
        let world = World::pool();
        let stops = [Cancel::new(), Cancel::new(), Cancel::new()];
        let builder = Client::builder(world.clone()).cancel(stops[0].clone());
        let client = builder.connect("a", &credentials()).unwrap();
        let outer = client.with_cancel(&stops[1]);
        let inner = outer.with_cancel(&stops[2]);
        stops[n].cancel();
        let fails: Vec<_> =
            [&client, &outer, &inner].iter().map(|view| hosts(view).is_err()).collect();
        assert_eq!(fails, [n == 0, n <= 1, true]);
        assert!(hosts(&inner.without_cancel()).is_ok());
    }
}

#[test]
fn the_session_ends_with_the_last_view_or_is_closed_for_all() {
    let (world, client, stop) = client();
    let view = client.with_cancel(&stop).with_limits(Limits::within(millis(900)));
    drop(client);
    assert_eq!((hosts(&view).unwrap().len(), world.open_sessions()), (3, 1));
    let other = view.clone();
    view.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
    let error = hosts(&other).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::State, "the client was closed")
    );
    other.close().unwrap();
    assert_eq!(world.with(|inner| inner.logins), 1);
}

#[test]
fn a_client_that_is_closed_in_the_middle_of_a_search_leaves_no_session() {
    let (world, client, _) = client();
    world.set("a", State::Dead);
    world.set("b", State::Dead);
    world.set("c", State::Hangs);
    std::thread::scope(|scope| {
        let searching = scope.spawn({
            let client = client.clone();
            move || hosts(&client)
        });
        world.await_waiting(1);
        let _ = client.close();
        world.set("c", State::Master);
        assert_eq!(searching.join().unwrap().unwrap_err().kind(), ErrorKind::State);
    });
    assert_eq!(world.open_sessions(), 0);
}
