//! The client against a simulated pool on real sockets that fails in every way: nobody waits beyond
//! the deadline, no session is left open, no write is sent twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{
    HOSTS, builder, credentials, endpoint, http, lab, log_in, millis, seconds, times,
};
use xcp_pool::client::{Client, LoginFailure, OneHost, Scope, TaskEnd};
use xcp_pool::election::HostRole;
use xcp_pool::model::{Host, Pool, Ref};
use xcp_pool::simulator::{Front, Injection, Trouble, World};
use xcp_pool::transport::{Body, Cancel, Clock, Limits, Request, SystemClock, Transport};
use xcp_pool::{Error, ErrorKind, Result};

const LOGIN: &str = "session.login_with_password";
const READ: &str = "host.get_all";

/// A call's whole time in these tests; ten times that is what the slow ones would take.
const LIMIT: Duration = Duration::from_millis(800);

/// What a busy machine may add, and the second in which a session is closed.
const SLACK: Duration = Duration::from_millis(1700);

fn read(client: &Client) -> Result<usize> {
    client.call::<Vec<Ref<Host>>>(READ, &()).map(|hosts| hosts.len())
}

fn the_pool(client: &Client) -> Result<Ref<Pool>> {
    client.call::<Vec<Ref<Pool>>>("pool.get_all", &()).map(|mut pools| pools.remove(0))
}

/// Every trouble, and whether the host still does what it was asked for.
fn troubles() -> Vec<(Trouble, bool)> {
    use Trouble::*;
    let long = LIMIT * 10;
    vec![
        (Refuse, false),
        (Reset, false),
        (LoseReply, true),
        (CutReply, true),
        (Silence, true),
        (Delay(long), false),
        (SlowReply(long), true),
        (StallReply(long), true),
        (KillBefore, false),
        (KillAfter, true),
    ]
}

fn is_slow(trouble: &Trouble) -> bool {
    use Trouble::*;
    matches!(trouble, Silence | Delay(_) | SlowReply(_) | StallReply(_))
}

fn kills(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::KillBefore | Trouble::KillAfter)
}

/// Runs and takes the time.
fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = run();
    (value, start.elapsed())
}

#[test]
fn a_login_ends_in_time_and_its_failure_says_unreachable() {
    for (trouble, done) in troubles() {
        let world = lab(1);
        let front = Front::builder(&world).https(0).start().unwrap();
        world.trouble(Injection::new(trouble.clone()).method(LOGIN));
        let connect =
            || builder(&front, LIMIT).connect_to(&endpoint(&front, "phantom"), &credentials());
        let (result, took) = timed(connect);
        let error = result.unwrap_err();
        assert_eq!(LoginFailure::of(&error), LoginFailure::Unreachable, "{trouble:?}: {error}");
        let kind = if is_slow(&trouble) { ErrorKind::Timeout } else { ErrorKind::Transport };
        assert_eq!(error.kind(), kind, "{trouble:?}: {error}");
        assert!(took < LIMIT + SLACK, "{trouble:?} took {took:?}");
        assert_eq!(times(&world, LOGIN), u64::from(done), "{trouble:?}");
        // A session whose ref was lost on its way cannot be closed: that is the documented limit.
        let lost = usize::from(done && !kills(&trouble));
        assert_eq!(world.open_sessions(), lost, "{trouble:?}");
    }
}

#[test]
fn a_read_survives_what_breaks_once_and_ends_in_time_whatever_it_is() {
    for (trouble, _) in troubles() {
        let world = lab(2);
        let front = Front::builder(&world).https(0).start().unwrap();
        let client = log_in(&front, "phantom", LIMIT);
        assert_eq!(read(&client).unwrap(), 3);
        world.trouble(Injection::new(trouble.clone()).method(READ));
        let (result, took) = timed(|| read(&client));
        assert!(took < LIMIT + SLACK, "{trouble:?} took {took:?}");
        match result {
            Ok(3) => assert!(!is_slow(&trouble) && !kills(&trouble), "{trouble:?}"),
            Err(error) if is_slow(&trouble) => assert_eq!(error.kind(), ErrorKind::Timeout),
            Err(error) if kills(&trouble) => assert_eq!(error.kind(), ErrorKind::Transport),
            other => panic!("{trouble:?}: {other:?}"),
        }
        if !kills(&trouble) {
            assert_eq!(read(&client).unwrap(), 3, "{trouble:?}");
            client.close().unwrap();
        }
        assert_eq!(world.open_sessions(), 0, "{trouble:?}");
    }
}

/// Breaks a connection in each way, in a fresh lab each time, and sees that no session is left open.
fn each_break(seed: u64, act: impl Fn(&World, &Front, &Trouble)) {
    for trouble in [Trouble::Reset, Trouble::LoseReply, Trouble::CutReply, Trouble::Refuse] {
        let world = lab(seed);
        let front = Front::builder(&world).https(0).start().unwrap();
        act(&world, &front, &trouble);
        assert_eq!(world.open_sessions(), 0, "{trouble:?}");
    }
}

#[test]
fn a_connection_that_breaks_again_costs_a_new_session_and_none_is_left_open() {
    each_break(3, |world, front, trouble| {
        let client = log_in(front, "phantom", seconds(5));
        read(&client).unwrap();
        // The repetition fails too, so that the master is looked for, and found where it was.
        world.trouble(Injection::new(trouble.clone()).method(READ).times(2));
        assert_eq!(read(&client).unwrap(), 3, "{trouble:?}");
        assert_eq!(times(world, LOGIN), 2, "{trouble:?}");
        client.close().unwrap();
    });
}

#[test]
fn a_logout_is_said_again_when_its_connection_breaks() {
    each_break(4, |world, front, trouble| {
        let client = log_in(front, "phantom", seconds(5));
        world.trouble(Injection::new(trouble.clone()).method("session.logout"));
        client.close().unwrap();
    });
}

#[test]
fn a_local_session_is_closed_though_its_connection_breaks() {
    each_break(17, |world, front, trouble| {
        let (at, limits) = (endpoint(front, "ignite"), Limits::within(seconds(5)));
        let local =
            OneHost::new(http(front), at.clone(), &credentials()).limits(limits).session().unwrap();
        assert!(!local.is_in_emergency_mode().unwrap());
        assert_eq!(world.open_sessions(), 1);
        world.trouble(Injection::new(trouble.clone()).method("session.local_logout"));
        local.close().unwrap();
    });
}

#[test]
fn closing_ends_though_the_host_is_silent() {
    let world = lab(5);
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "phantom", seconds(60));
    world.trouble(Injection::new(Trouble::Silence).method("session.logout"));
    let (result, took) = timed(|| client.close());
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(took < seconds(7), "{took:?}");
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_task_is_started_once_and_its_end_is_known_or_said_to_be_unknown() {
    for (trouble, done) in troubles() {
        let world = lab(6);
        let front = Front::builder(&world).https(0).start().unwrap();
        let client = log_in(&front, "phantom", LIMIT);
        let host = client.call::<Vec<Ref<Host>>>("host.get_by_name_label", &("ember",)).unwrap();
        // The reply to the start is lost: nothing is known, and nothing is sent again.
        world.trouble(Injection::new(trouble.clone()).method("Async.host.disable"));
        let (result, took) = timed(|| client.task::<()>("host.disable", &(&host[0],), &mut |_| {}));
        let error = result.map(|end| format!("{end:?}")).unwrap_err();
        assert!(took < LIMIT + SLACK, "{trouble:?} took {took:?}");
        let kind = if is_slow(&trouble) { ErrorKind::Timeout } else { ErrorKind::Transport };
        assert_eq!(error.kind(), kind, "{trouble:?}: {error}");
        assert_eq!(times(&world, "Async.host.disable"), u64::from(done), "{trouble:?}");
        if kills(&trouble) {
            continue;
        }
        // Started, but the looks at it fail: its end is not known.
        world.trouble(Injection::new(trouble.clone()).method("task.get_record").times(u64::MAX));
        let (end, took) = timed(|| client.task::<()>("host.enable", &(&host[0],), &mut |_| {}));
        assert!(matches!(end, Ok(TaskEnd::Unknown(_))), "{trouble:?}: {end:?}");
        assert!(took < LIMIT + SLACK, "{trouble:?} took {took:?}");
        assert_eq!(times(&world, "Async.host.enable"), 1, "{trouble:?}");
        client.close().unwrap();
        assert_eq!(world.open_sessions(), 0, "{trouble:?}");
    }
}

#[test]
fn a_task_that_is_lost_with_a_restarting_master_ends_unknown() {
    let world = lab(7);
    let front = Front::builder(&world).https(0).speed(20.0).start().unwrap();
    let client = log_in(&front, "phantom", seconds(20));
    let client = &client;
    client.snapshot(Scope::Overview).unwrap();
    let host = client.call::<Vec<Ref<Host>>>("host.get_by_name_label", &("ignite",)).unwrap();
    let task = client.start("host.evacuate", &(&host[0],)).unwrap();
    world.act(|scene| scene.restart_toolstack("phantom"));
    let end = task.wait::<()>(&mut |_| {}).unwrap();
    let TaskEnd::Unknown(error) = end else { panic!("{end:?}") };
    assert!(error.to_string().contains("the end of host.evacuate is not known"), "{error}");
    assert_eq!(times(&world, "Async.host.evacuate"), 1);
}

/// Readers that go on until they are told to stop, and say how it went.
struct Readers {
    stop: AtomicBool,
    /// How often each has read.
    reads: [AtomicUsize; 8],
    failures: AtomicUsize,
    slowest: std::sync::Mutex<Duration>,
}

impl Readers {
    fn new() -> Self {
        Self {
            stop: AtomicBool::new(false),
            reads: Default::default(),
            failures: AtomicUsize::new(0),
            slowest: std::sync::Mutex::default(),
        }
    }

    fn run(&self, client: &Client, number: usize) {
        while !self.stop.load(Ordering::Relaxed) {
            let (result, took) = timed(|| read(client));
            let mut slowest = self.slowest.lock().unwrap();
            *slowest = took.max(*slowest);
            drop(slowest);
            match result {
                Ok(count) => {
                    assert_eq!(count, 3);
                    self.reads[number].fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    let kinds = [ErrorKind::Transport, ErrorKind::Timeout, ErrorKind::State];
                    let passing = kinds.contains(&error.kind()) || error.fault().is_some();
                    assert!(passing, "{error:?}");
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(millis(20));
                }
            }
        }
    }

    /// Waits until each reader has begun and ended a read.
    fn wait_for_reads(&self, patience: Duration) {
        let start = Instant::now();
        for reads in &self.reads {
            // One may have been on its way.
            let enough = reads.load(Ordering::Relaxed) + 2;
            while reads.load(Ordering::Relaxed) < enough {
                assert!(start.elapsed() < patience, "the readers do not read any more");
                std::thread::sleep(millis(10));
            }
        }
    }
}

/// Runs something while eight threads read through one client.
fn while_eight_read(client: &Client, act: impl FnOnce(&Readers)) -> Readers {
    let readers = Readers::new();
    std::thread::scope(|scope| {
        let readers = &readers;
        let all: Vec<_> = (0..readers.reads.len())
            .map(|number| scope.spawn(move || readers.run(client, number)))
            .collect();
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            readers.wait_for_reads(seconds(10));
            act(readers);
        }));
        readers.stop.store(true, Ordering::Relaxed);
        for reader in all {
            reader.join().unwrap();
        }
        acted.unwrap();
    });
    readers
}

#[test]
fn eight_readers_survive_the_death_of_the_master() {
    let world = lab(8);
    let front = Front::builder(&world).https(0).speed(30.0).start().unwrap();
    let limit = seconds(3);
    let client = log_in(&front, "phantom", limit);
    // From here on the client knows the others.
    client.snapshot(Scope::Overview).unwrap();
    world.advance(seconds(600));
    let readers = while_eight_read(&client, |readers| {
        world.power_off("phantom");
        std::thread::sleep(millis(500));
        let transport = http(&front);
        let limits = Limits::within(seconds(5));
        let ignite = endpoint(&front, "ignite");
        let local = OneHost::new(transport, ignite.clone(), &credentials())
            .limits(limits)
            .session()
            .unwrap();
        local.call::<()>("pool.emergency_transition_to_master", &()).unwrap();
        drop(local);
        readers.wait_for_reads(seconds(30));
    });
    assert_eq!(world.role("ignite"), Some(HostRole::Master));
    assert_eq!(client.endpoint(), endpoint(&front, "ignite"));
    assert!(readers.failures.into_inner() > 0);
    let slowest = readers.slowest.into_inner().unwrap();
    assert!(slowest < limit + SLACK, "{slowest:?}");
    client.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn readers_and_a_writer_follow_a_hand_over() {
    let world = lab(9);
    let front = Front::builder(&world).https(0).speed(30.0).start().unwrap();
    let limit = seconds(5);
    let client = log_in(&front, "phantom", limit);
    client.snapshot(Scope::Overview).unwrap();
    let pool = the_pool(&client).unwrap();
    let mut sent = 0;
    let readers = while_eight_read(&client, |readers| {
        let ember = client.call::<Vec<Ref<Host>>>("host.get_by_name_label", &("ember",)).unwrap();
        client.call::<()>("pool.designate_new_master", &(&ember[0],)).unwrap();
        let start = Instant::now();
        // Both hosts keep their old roles for a while; then nobody is master; then Ember is.
        while world.role("ember") != Some(HostRole::Master)
            || client.endpoint() != endpoint(&front, "ember")
        {
            assert!(start.elapsed() < seconds(40), "the new master is not found");
            let key = format!("key-{sent}");
            sent += 1;
            let (_, took) =
                timed(|| client.call::<()>("pool.add_to_other_config", &(&pool, &key, "x")));
            assert!(took < limit + SLACK, "{took:?}");
            std::thread::sleep(millis(50));
        }
        readers.wait_for_reads(seconds(30));
    });
    assert!(times(&world, "pool.add_to_other_config") <= sent);
    assert_eq!(times(&world, "pool.designate_new_master"), 1);
    let slowest = readers.slowest.into_inner().unwrap();
    assert!(slowest < limit + SLACK, "{slowest:?}");
    client.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_session_that_the_server_drops_is_renewed_once_for_all_readers() {
    let world = lab(10);
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "phantom", seconds(10));
    let pool = the_pool(&client).unwrap();
    let drop_sessions = || {
        world.act(|scene| {
            let dropped = scene.edit("phantom", |database| {
                for session in database.refs("session") {
                    database.destroy("session", &session);
                }
                Ok(())
            });
            dropped.unwrap();
        });
    };
    let readers = while_eight_read(&client, |readers| {
        for _ in 0..3 {
            drop_sessions();
            readers.wait_for_reads(seconds(10));
        }
    });
    assert_eq!(readers.failures.into_inner(), 0);
    assert_eq!(times(&world, LOGIN), 4);
    // A change of one field is repeated, since it was surely not done; a call that may call on with
    // its session is not.
    drop_sessions();
    client.call::<()>("pool.set_name_label", &(&pool, "new")).unwrap();
    drop_sessions();
    let error = client.call::<()>("pool.sync_database", &()).unwrap_err();
    assert!(error.is_fault("SESSION_INVALID"), "{error}");
    assert_eq!(times(&world, "pool.sync_database"), 1);
    client.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_world_whose_clock_leaps_ahead_is_followed() {
    let world = lab(11);
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "phantom", seconds(10));
    let mut watch = client.watch(Scope::Overview).unwrap();
    let readers = while_eight_read(&client, |readers| {
        for _ in 0..3 {
            // After a day without a call the server drops a session.
            world.advance(seconds(25 * 3600));
            readers.wait_for_reads(seconds(10));
        }
    });
    assert_eq!(readers.failures.into_inner(), 0);
    let pool = the_pool(&client).unwrap();
    client.call::<()>("pool.set_name_label", &(&pool, "after the leap")).unwrap();
    let start = Instant::now();
    while watch.snapshot().the_pool().unwrap().1.name_label != "after the leap" {
        watch.poll().unwrap();
        assert!(start.elapsed() < seconds(20));
    }
    drop(watch);
    client.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}

/// A transport on a machine that is suspended now and then: its clock leaps.
struct Suspended<T> {
    inner: T,
    leaps: AtomicUsize,
    exchanges: AtomicUsize,
}

impl<T: Transport> Transport for Suspended<T> {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        let count = self.exchanges.fetch_add(1, Ordering::Relaxed);
        let reply = self.inner.exchange(request);
        if count % 3 == 2 {
            self.leaps.fetch_add(1, Ordering::Relaxed);
        }
        reply
    }

    fn clock(&self) -> &dyn Clock {
        self
    }
}

impl<T: Transport> Clock for Suspended<T> {
    fn now(&self) -> Duration {
        let leaps = u64::try_from(self.leaps.load(Ordering::Relaxed)).unwrap();
        SystemClock.now() + seconds(leaps * 3600)
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        SystemClock.sleep(time, cancel)
    }
}

#[test]
fn a_caller_whose_clock_leaps_gets_its_answer_or_a_timeout_but_nothing_twice() {
    let world = lab(12);
    let front = Front::builder(&world).https(0).start().unwrap();
    let transport = Suspended {
        inner: http(&front),
        leaps: AtomicUsize::new(0),
        exchanges: AtomicUsize::new(0),
    };
    let client = Client::builder(transport).limits(Limits::within(seconds(10)));
    let client = client.connect_to(&endpoint(&front, "phantom"), &credentials()).unwrap();
    let pool = the_pool(&client).unwrap();
    let mut timeouts = 0;
    for number in 0..40 {
        let drops = number % 4 == 1;
        if drops {
            world.trouble(Injection::new(Trouble::Reset).method(READ));
        }
        let (result, took) = timed(|| read(&client));
        assert!(took < seconds(2), "{took:?}");
        match result {
            Ok(count) => assert_eq!(count, 3),
            Err(error) => {
                // The leap came between the broken connection and the second try.
                assert!(drops, "{error}");
                timeouts += 1;
            }
        }
        let key = format!("key-{number}");
        client.call::<()>("pool.add_to_other_config", &(&pool, &key, "x")).unwrap();
    }
    assert!(timeouts > 0);
    assert_eq!(times(&world, "pool.add_to_other_config"), 40);
    client.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_redirect_and_a_renewal_share_the_time_of_the_call() {
    let world = lab(13);
    let front = Front::builder(&world).https(0).start().unwrap();
    // A member answers at once; the master that it names does not.
    world.trouble(Injection::new(Trouble::Silence).host("phantom").method(LOGIN));
    let connect = || builder(&front, LIMIT).connect_to(&endpoint(&front, "ignite"), &credentials());
    let (error, took) = timed(connect);
    assert_eq!(LoginFailure::of(&error.unwrap_err()), LoginFailure::Slave);
    assert!(took < LIMIT + SLACK, "{took:?}");

    // The session is lost; the new login takes most of the time, and the rest is silence.
    let client = log_in(&front, "phantom", LIMIT);
    read(&client).unwrap();
    for silent in ["pool.get_all_records", READ] {
        world.act(|scene| {
            let edit = scene.edit("phantom", |database| {
                for session in database.refs("session") {
                    database.destroy("session", &session);
                }
                Ok(())
            });
            edit.unwrap();
        });
        world.trouble(Injection::new(Trouble::SlowReply(LIMIT / 2)).method(LOGIN));
        let skip = u64::from(silent == READ);
        world.trouble(Injection::new(Trouble::Silence).method(silent).skip(skip));
        let (result, took) = timed(|| read(&client));
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout, "{silent}");
        assert!(took < LIMIT + millis(900), "{silent}: {took:?}");
        read(&client).unwrap();
    }
}

#[test]
fn a_watch_that_searches_the_master_is_ended_at_once() {
    let world = lab(14);
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = builder(&front, seconds(60)).patience(Duration::MAX);
    let client = client.connect_to(&endpoint(&front, "phantom"), &credentials()).unwrap();
    let mut watch = client.watch(Scope::Overview).unwrap();
    let stop = watch.canceller();
    world.power_off("phantom");
    let ((), took) = timed(|| {
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(millis(700));
                stop.cancel();
            });
            assert!(watch.by_ref().all(|item| item.is_err()));
        });
    });
    assert!(took < seconds(3), "{took:?}");
    // The client itself was not cancelled.
    world.power_on("phantom");
    world.advance(seconds(120));
    assert_eq!(read(&client).unwrap(), 3);
}

#[test]
fn a_watch_goes_on_under_every_trouble_and_agrees_with_the_pool() {
    let world = lab(15);
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "phantom", LIMIT);
    let other = log_in(&front, "phantom", seconds(10));
    let pool = the_pool(&other).unwrap();
    let hold = millis(300);
    let mut watch = client.watch(Scope::Overview).unwrap().hold(hold);
    let list = troubles().into_iter().filter(|(trouble, _)| !kills(trouble));
    for (number, (trouble, _)) in list.enumerate() {
        world.trouble(Injection::new(trouble.clone()).method("event.from"));
        let name = format!("name {number}");
        other.call::<()>("pool.set_name_label", &(&pool, &name)).unwrap();
        let start = Instant::now();
        while watch.snapshot().the_pool().unwrap().1.name_label != name {
            let (result, took) = timed(|| watch.poll());
            if let Err(error) = result {
                let kinds = [ErrorKind::Transport, ErrorKind::Timeout];
                assert!(kinds.contains(&error.kind()), "{trouble:?}: {error}");
            }
            // The pause after errors is longest after the second.
            assert!(took < hold + LIMIT + SLACK + seconds(2), "{trouble:?}: {took:?}");
            assert!(start.elapsed() < seconds(30), "{trouble:?}");
        }
    }
    drop(watch);
    client.close().unwrap();
    other.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}

/// A generator of its own, so that a failing seed is all that is needed to see it again.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from((self.0 >> 33) % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// One life of a client among random troubles.
///
/// # Panics
/// If it breaks a law: time, sessions, writes.
fn live(seed: u64, world: &World, client: Client, clock: &dyn Clock, limit: Duration) {
    let mut dice = Dice(seed);
    let limit_and_more = limit + seconds(2);
    let methods =
        [READ, "event.from", "pool.get_all_records", "pool.add_to_other_config", "pool.get_all"];
    let pool = the_pool(&client).unwrap();
    let known = client.snapshot(Scope::Overview).unwrap();
    assert_eq!(known.host.len(), 3);
    let mut issued = 0;
    for step in 0..12 {
        for _ in 0..dice.throw(3) {
            let (trouble, _) = troubles().swap_remove(dice.throw(8));
            let method = methods[dice.throw(methods.len())];
            let rule = Injection::new(trouble).method(method).skip(dice.throw(2) as u64);
            world.trouble(rule.times(1 + dice.throw(3) as u64));
        }
        match dice.throw(8) {
            0 => world.act(|scene| scene.restart_toolstack("phantom")),
            1 => world.advance(seconds(25 * 3600)),
            _ => {}
        }
        let start = clock.now();
        let what = match dice.throw(4) {
            0 => read(&client).map(drop),
            1 => client.snapshot(Scope::Overview).map(drop),
            2 => client.settled_snapshot(Scope::Overview).map(drop),
            _ => {
                issued += 1;
                let key = format!("key-{step}");
                client.call::<()>("pool.add_to_other_config", &(&pool, &key, "x"))
            }
        };
        let took = clock.now() - start;
        assert!(took <= limit_and_more, "seed {seed}, step {step}: {took:?}: {what:?}");
        if let Err(error) = what {
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Transport | ErrorKind::Timeout | ErrorKind::State | ErrorKind::Fault
                ),
                "seed {seed}, step {step}: {error:?}"
            );
        }
        // A write that was refused because of its session comes once more, and was not done then.
        let database = world.database("phantom").unwrap();
        let pool_ref = database.refs("pool")[0].clone();
        let config = database.get("pool", &pool_ref, "other_config");
        let keys = config.pairs().iter().filter(|(key, _)| key.starts_with("key-")).count();
        assert!(keys <= issued, "seed {seed}");
    }
    // From here on all is well, and whatever is to be closed can be.
    world.act(|scene| scene.restart_toolstack("ember"));
    drop(client);
}

#[test]
fn whatever_fails_in_whatever_order_the_laws_hold_in_memory() {
    let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|cases| cases.parse().ok());
    for seed in 0..cases.unwrap_or(40) {
        let world = lab(seed);
        let transport = world.transport();
        let limit = seconds(8);
        let client = Client::builder(world.transport()).limits(Limits::within(limit));
        let client = client.connect("10.0.0.1", &credentials()).unwrap();
        live(seed, &world, client, transport.clock(), limit);
        assert_eq!(world.open_sessions(), 0, "seed {seed}");
    }
}

#[test]
fn whatever_fails_in_whatever_order_the_laws_hold_on_sockets() {
    for seed in 1000..1004 {
        let world = lab(seed);
        let front = Front::builder(&world).http(0).speed(20.0).start().unwrap();
        let client = log_in(&front, "phantom", LIMIT);
        live(seed, &world, client, &SystemClock, LIMIT);
        assert_eq!(world.open_sessions(), 0, "seed {seed}");
    }
}

#[test]
fn the_longest_durations_are_no_overflow() {
    let world = lab(16);
    let front = Front::builder(&world).https(0).start().unwrap();
    let transport = http(&front);
    let client = Client::builder(transport).limits(Limits::within(Duration::MAX));
    let client = front
        .addresses()
        .fold(client, |client, (address, endpoint)| client.address(address, endpoint))
        .patience(Duration::MAX)
        .connect_to(&endpoint(&front, "ignite"), &credentials())
        .unwrap();
    client.snapshot(Scope::Overview).unwrap();
    world.trouble(Injection::new(Trouble::Reset).method(READ).times(2));
    assert_eq!(read(&client).unwrap(), HOSTS.len());
    let error: Error = client.call::<()>("host.nonsense", &()).unwrap_err();
    assert!(error.is_fault("MESSAGE_METHOD_UNKNOWN"), "{error}");
}
