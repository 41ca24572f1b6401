//! What the program's own logger hears, and what it never hears. One process has one logger.
#![cfg(all(feature = "log", feature = "simulator"))]

use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use log::Level::{Debug, Info, Warn};
use log::{Level, LevelFilter, Log, Metadata, Record};
use xcp_pool::Result;
use xcp_pool::client::{Client, Credentials, OneHost, Scope};
use xcp_pool::election;
use xcp_pool::model::Ref;
use xcp_pool::operations::{self, Control, Members, Outcome};
use xcp_pool::plan::{self, Choices, Consent};
use xcp_pool::preflight::{self, Options};
use xcp_pool::rules;
use xcp_pool::simulator::{Injection, PoolSpec, Release, Trouble, VmSpec, World, WorldTransport};
use xcp_pool::transport::{Body, Clock, Limits, Request, Transport};

struct Heard {
    thread: ThreadId,
    level: Level,
    target: String,
    message: String,
}

struct Ear;

static HEARD: Mutex<Vec<Heard>> = Mutex::new(Vec::new());

fn heard() -> MutexGuard<'static, Vec<Heard>> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        heard().push(Heard {
            thread: thread::current().id(),
            level: record.level(),
            target: record.target().to_owned(),
            message: record.args().to_string(),
        });
    }

    fn flush(&self) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Ear).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}

/// Fails unless this thread heard a line with these words.
#[track_caller]
fn assert_told(level: Level, room: &str, words: &str) {
    let me = thread::current().id();
    let heard = heard();
    let told = heard.iter().any(|line| {
        line.thread == me
            && line.level == level
            && line.target == format!("xcp_pool::{room}")
            && line.message.contains(words)
    });
    let of_room = |line: &&Heard| line.thread == me && line.target.ends_with(room);
    let lines: Vec<_> = heard.iter().filter(of_room).map(|line| line.message.as_str()).collect();
    assert!(told, "{level} {room} {words:?} is not among\n{}", lines.join("\n"));
}

/// No text has such a word by chance.
const PASSWORD: &str = "correct-horse-battery";
const WRONG: &str = "wrong-horse-battery";

fn root() -> Credentials {
    Credentials::new("root", PASSWORD)
}

/// Every session that was ever opened, as the replies tell.
static SESSIONS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The way to a world, which notes the sessions that are opened on it.
#[derive(Clone)]
struct Spy(WorldTransport);

impl Transport for Spy {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        let body = self.0.exchange(request)?.into_bytes().unwrap();
        let asked = String::from_utf8_lossy(request.body);
        if asked.contains("login_with_password") {
            let reply: serde_json::Value = serde_json::from_slice(&body).unwrap();
            if let Some(session) = reply["result"].as_str() {
                SESSIONS.lock().unwrap().push(session.to_owned());
            }
        }
        Ok(Body::Bytes(body))
    }

    fn clock(&self) -> &dyn Clock {
        self.0.clock()
    }

    fn at_once(&self) -> usize {
        self.0.at_once()
    }
}

fn lab() -> World {
    let spec = PoolSpec::new("lab", Release::XcpNg83)
        .host("phantom", "10.0.0.1")
        .host("alpha", "10.0.0.2")
        .host("beta", "10.0.0.3")
        .shared_sr("NFS", "nfs")
        .vm(VmSpec::running("web", "phantom").disk("NFS", 10));
    let alone = PoolSpec::new("", Release::XcpNg83).host("ignite", "10.0.1.1");
    World::builder().seed(3).password(PASSWORD).pool(spec).pool(alone).build().unwrap()
}

#[test]
fn neither_passwords_nor_sessions_nor_pool_secrets_are_told() {
    listen();
    let world = lab();
    let way = Spy(world.transport());
    let mut secrets = vec![PASSWORD.to_owned(), WRONG.to_owned()];

    Client::connect(way.clone(), "phantom", &Credentials::new("root", WRONG)).unwrap_err();
    assert_told(Debug, "client", "session.login_with_password at https://phantom: failed after");
    assert_told(Debug, "client", "SESSION_AUTHENTICATION_FAILED");
    Client::connect(way.clone(), "nowhere", &root()).unwrap_err();
    let limits = Limits::within(Duration::from_secs(300));
    let builder = Client::builder(way.clone()).limits(limits);
    let pool = builder.connect("alpha", &root()).unwrap();
    assert_told(Info, "client", "https://alpha is a member, and its master is https://10.0.0.1");
    assert_told(Info, "client", "logged in at https://10.0.0.1");
    secrets.push(pool.call("pool.initial_auth", &()).unwrap());

    // Errors of reads and writes, with refs that are sessions among their parameters.
    let session = Ref::<xcp_pool::model::Host>::new(&world.sessions()[0]);
    pool.record(&session).unwrap_err();
    pool.call::<()>("session.logout", &(&session,)).unwrap_err();
    pool.call::<()>("host.no_such_call", &(PASSWORD,)).unwrap_err();
    let rule = |trouble| Injection::new(trouble).host("phantom");
    world.trouble(rule(Trouble::Reset));
    pool.snapshot(Scope::Overview).unwrap();
    assert_told(Warn, "client", "no answer; sent once more");
    world.trouble(rule(Trouble::LoseReply).method("pool.set_name_description"));
    let pools: Vec<Ref<xcp_pool::model::Pool>> = pool.call("pool.get_all", &()).unwrap();
    pool.call::<()>("pool.set_name_description", &(&pools[0], PASSWORD)).unwrap_err();
    assert_told(Warn, "client", "pool.set_name_description at https://10.0.0.1: no answer");

    // The server forgets all sessions.
    world.act(|scene| scene.restart_toolstack("phantom"));
    world.advance(Duration::from_secs(300));
    pool.snapshot(Scope::Overview).unwrap();
    assert_told(Warn, "client", "https://10.0.0.1 does not know the session any more");
    assert_told(Info, "client", "session renewed at https://10.0.0.1");

    // A join, whose call has the password of the pool's root among its parameters.
    let host = Client::connect(way.clone(), "ignite", &root()).unwrap();
    secrets.push(host.call("pool.initial_auth", &()).unwrap());
    let snapshot = |client: &Client| client.snapshot(Scope::Preflight).unwrap();
    let (of_pool, of_host) = (snapshot(&pool), snapshot(&host));
    let report = preflight::evaluate(of_pool, of_host, &Options::new());
    let plan = report.plan(&Choices::new()).unwrap();
    let consent = Consent::to(&plan, plan.losses_digest()).unwrap();
    for trouble in [Trouble::Reset, Trouble::LoseReply] {
        world.trouble(Injection::new(trouble).host("ignite").method("Async.pool.join"));
        let _ = operations::join(&pool, &host, plan.with_consent(&consent), &mut Control::new())
            .unwrap();
    }
    assert_told(Warn, "operations", "pool.join at https://ignite: its outcome is unknown");
    assert_told(Info, "operations", "begins, ");
    assert_told(Info, "operations", &format!("step {0} of {0} begins", plan.steps.len()));
    assert_told(Warn, "operations", "is not done: ");
    assert_told(Info, "operations", " is done");
    let joined =
        operations::join(&pool, &host, plan.with_consent(&consent), &mut Control::new()).unwrap();
    assert!(matches!(joined, Outcome::Done(_)), "{joined:?}");
    drop(host);

    // The master dies; a member is asked for itself, and takes over.
    let last = pool.snapshot(Scope::Everything).unwrap();
    world.power_off("phantom");
    pool.snapshot(Scope::Overview).unwrap_err();
    assert_told(Warn, "client", "https://10.0.0.1 does not answer: another session is needed");
    assert_told(Warn, "client", "no other session: ");
    assert_told(Debug, "client", "asks 5 of its hosts which is the master");
    let alpha = "10.0.0.2".parse().unwrap();
    OneHost::new(way.clone(), alpha, &root()).limits(limits).session().unwrap().close().unwrap();
    let members = Members::new(way, &root()).snapshot(last.clone(), None);
    let mut evidence = operations::diagnose(&members).unwrap().evidence();
    let decision = election::emergency(&last, &evidence).unwrap();
    evidence.confirmed.extend(decision.confirmations);
    let decision = election::emergency(&last, &evidence).unwrap();
    let plan = plan::recovery(&last, &evidence, &decision).unwrap();
    let consent = Consent::to(&plan, plan.losses_digest()).unwrap();
    let done =
        operations::recover(&members, plan.with_consent(&consent), &mut Control::new()).unwrap();
    assert!(matches!(done, Outcome::Done(_)), "{done:?}");
    pool.snapshot(Scope::Overview).unwrap();
    assert_told(Info, "client", "the master was found at https://alpha");
    drop(pool);
    drop(members);

    secrets.extend(SESSIONS.lock().unwrap().iter().cloned());
    assert!(secrets.len() > 10, "{secrets:?}");
    assert!(secrets.iter().all(|secret| secret.len() > 12), "{secrets:?}");
    let heard = heard();
    let lines = heard.iter().filter(|line| line.target.starts_with("xcp_pool"));
    assert!(lines.clone().count() > 100);
    for line in lines {
        let told = secrets.iter().find(|secret| line.message.contains(secret.as_str()));
        assert_eq!(told, None, "{}", line.message);
        assert!(!line.message.contains(char::is_control), "{:?}", line.message);
    }
}

#[test]
fn records_that_cannot_be_decoded_are_told() {
    struct Garbled(WorldTransport);

    impl Transport for Garbled {
        fn exchange(&self, request: &Request<'_>) -> Result<Body> {
            let body = String::from_utf8(self.0.exchange(request)?.into_bytes().unwrap()).unwrap();
            Ok(Body::Bytes(body.replace("\"enabled\":true", "\"enabled\":7").into_bytes()))
        }

        fn clock(&self) -> &dyn Clock {
            self.0.clock()
        }
    }

    listen();
    let world = lab();
    let client = Client::connect(Garbled(world.transport()), "phantom", &root()).unwrap();
    let problems = client.snapshot(Scope::Overview).unwrap().problems;
    let told = format!("host {} and 2 others cannot be decoded", problems[0].reference);
    assert_told(Warn, "client", &told);
}

#[test]
fn a_step_whose_effect_holds_already_is_told_as_skipped() {
    listen();
    let world = World::story(5);
    let root = Credentials::new("root", "xcp-test");
    let connect = |host| Client::connect(world.transport(), host, &root).unwrap();
    let (pool, host) = (connect("phantom"), connect("ignite"));
    let snapshot = |client: &Client| client.snapshot(Scope::Preflight).unwrap();
    let (of_pool, of_host) = (snapshot(&pool), snapshot(&host));
    let options = Options::new().policy(rules::Policy::documented());
    let plan = preflight::evaluate(of_pool, of_host, &options).plan(&Choices::new()).unwrap();
    let consent = Consent::to(&plan, plan.losses_digest()).unwrap();
    world.trouble(Injection::new(Trouble::Reset).host("ignite").method("Async.pool.join"));
    for _ in 0..2 {
        let _ = operations::join(&pool, &host, plan.with_consent(&consent), &mut Control::new())
            .unwrap();
    }
    assert_told(Info, "operations", "step 1 of ");
    assert_told(Info, "operations", " ended after ");
    assert_told(Info, "operations", "nothing to do, its effect holds already");
    assert_told(Debug, "operations", "waits for ");
}

#[cfg(feature = "http")]
mod https {
    use super::*;
    use xcp_pool::simulator::Front;
    use xcp_pool::transport::{Http, MemoryPins, Trust};

    #[test]
    fn certificates_that_are_new_or_wrong_are_told_with_their_fingerprints() {
        listen();
        let world = lab();
        let front = Front::builder(&world).https(0).start().unwrap();
        let shown = front.fingerprint("phantom").unwrap();
        let endpoint = front.endpoint("phantom").unwrap();
        let connect = |trust| {
            let http = Http::builder().trust(trust).build().unwrap();
            Client::builder(http).connect_to(&endpoint, &root())
        };
        connect(Trust::first_use(MemoryPins::default())).unwrap().close().unwrap();
        let place = format!("127.0.0.1:{}", endpoint.port());
        let words = format!("{place} is seen first, and is remembered by {shown}");
        assert_told(Warn, "transport", &words);
        let other = xcp_pool::transport::Fingerprint::of(b"other");
        connect(Trust::pins([other])).unwrap_err();
        assert_told(Warn, "transport", &format!("{place} shows {shown}, expected was {other}"));
        let authority =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/authority.crt"));
        connect(Trust::authorities(&authority.unwrap()).unwrap()).unwrap_err();
        assert_told(Warn, "transport", "no trusted authority vouches for the certificate of");
        assert_told(Warn, "transport", &shown.to_string());
    }
}

#[cfg(feature = "ffi")]
#[test]
fn the_c_logger_does_not_push_out_the_programs_own() {
    use std::ffi::{c_char, c_void};
    use std::ptr;
    use xcp_pool::ffi::*;

    unsafe extern "C" fn never(_: *mut c_void, _: u32, _: *const c_char, _: *const c_char) {
        std::process::abort();
    }
    unsafe extern "C" fn not_released(_: *mut c_void) {
        std::process::abort();
    }
    listen();
    let mut error = ptr::null_mut();
    // SAFETY: the callbacks ignore their context; the place is on this stack.
    unsafe {
        let status = xcp_log_set(5, Some(never), ptr::null_mut(), Some(not_released), &mut error);
        assert_eq!(status, xcp_status::XCP_E_STATE);
        xcp_error_free(error);
        assert_eq!(
            xcp_log_set(0, None, ptr::null_mut(), None, ptr::null_mut()),
            xcp_status::XCP_OK,
            "nothing is listening, which is what was asked for"
        );
    }
    assert_eq!(log::max_level(), LevelFilter::Trace);
    World::story(1);
}
