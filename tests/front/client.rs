//! This crate's client against the simulator's front: TLS, redirects, faults on real sockets.

use std::time::{Duration, Instant};

use xcp_pool::client::{Client, ClientBuilder, Credentials, Scope};
use xcp_pool::election::HostRole;
use xcp_pool::model::{Pool, Ref};
use xcp_pool::operations::{self, Control, Outcome};
use xcp_pool::plan::{Choices, Consent};
use xcp_pool::preflight::{self, Options};
use xcp_pool::simulator::{Front, Injection, PoolSpec, Release, Trouble, VmSpec, World};
use xcp_pool::transport::{Http, Limits, Mismatch, Trust};
use xcp_pool::{Error, ErrorKind, Result};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A pool of two, with something to read.
fn lab() -> World {
    let pool = PoolSpec::new("lab", Release::XcpNg83)
        .host("phantom", "10.0.0.1")
        .host("member", "10.0.0.2")
        .shared_sr("NFS", "nfs");
    let pool = (0..20).fold(pool, |pool, number| {
        pool.vm(VmSpec::halted(&format!("vm {number}")).disk("NFS", 10))
    });
    World::builder().seed(11).pool(pool).build().unwrap()
}

/// A transport that trusts what a front shows.
fn http(front: &Front) -> Http {
    let pins = front.hosts().iter().filter_map(|host| front.fingerprint(&host.name));
    Http::builder().trust(Trust::pins(pins)).danger_allow_plain_http().build().unwrap()
}

/// A client in the making that knows where the hosts of a front really are.
fn builder(front: &Front) -> ClientBuilder {
    let builder = Client::builder(http(front)).limits(Limits::within(seconds(20)));
    front
        .addresses()
        .fold(builder, |builder, (address, endpoint)| builder.address(address, endpoint))
}

fn log_in(front: &Front, host: &str) -> Client {
    let endpoint = front.endpoint(host).unwrap();
    builder(front).connect_to(&endpoint, &Credentials::new("root", "xcp-test")).unwrap()
}

fn rename(client: &Client, name: &str) -> Result<()> {
    let pools: Vec<Ref<Pool>> = client.call("pool.get_all", &())?;
    client.call("pool.set_name_label", &(&pools[0], name))
}

#[test]
fn a_login_at_a_member_is_led_to_the_master_over_tls() {
    let world = lab();
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "member");
    assert_eq!(client.endpoint(), front.endpoint("phantom").unwrap());
    assert_eq!(world.open_sessions(), 1);
    client.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_snapshot_over_the_wire_is_the_one_in_memory() {
    let world = lab();
    let inside =
        Client::connect(world.transport(), "phantom", &Credentials::new("root", "xcp-test"));
    let inside = inside.unwrap();
    let expected = inside.snapshot(Scope::Overview).unwrap();
    inside.close().unwrap();
    for https in [false, true] {
        let front = Front::builder(&world);
        let front = if https { front.https(0) } else { front.http(0) };
        let front = front.start().unwrap();
        let client = log_in(&front, "phantom");
        let snapshot = client.snapshot(Scope::Overview).unwrap();
        assert!(snapshot == expected, "https: {https}");
        client.close().unwrap();
    }
}

#[test]
fn each_host_can_show_a_certificate_of_its_own() {
    let pem = |name: &str| {
        std::fs::read_to_string(format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR")))
    };
    let world = lab();
    let front = Front::builder(&world)
        .https(0)
        .certificate(&pem("xapi.pem").unwrap())
        .host_certificate("member", &pem("other.pem").unwrap())
        .start()
        .unwrap();
    let (phantom, member) = (front.fingerprint("phantom"), front.fingerprint("member"));
    assert_ne!(phantom, member);
    // Only the master's is trusted.
    let http = Http::builder().trust(Trust::pins(phantom)).build().unwrap();
    let connect = |host: &str| {
        let builder = Client::builder(http.clone());
        let endpoint = front.endpoint(host).unwrap();
        builder.connect_to(&endpoint, &Credentials::new("root", "xcp-test"))
    };
    connect("phantom").unwrap().close().unwrap();
    let error = connect("member").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trust);
    assert_eq!(Some(Mismatch::of(&error).unwrap().actual), member);
    assert_eq!(world.requests().get("session.login_with_password"), Some(&1));

    let broken = Front::builder(&world).https(0).certificate("no certificate");
    assert_eq!(broken.start().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn eight_threads_share_a_few_connections() {
    let world = lab();
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "phantom");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let all: Vec<Ref<Pool>> = client.call("pool.get_all", &()).unwrap();
                    assert_eq!(all.len(), 1);
                }
            });
        }
    });
    assert!(front.connections() <= 8, "{}", front.connections());
    assert!(front.served() >= 400);
}

/// How a write ended under a trouble, how long it took, and whether it was done, how often.
fn write_under(trouble: Trouble) -> (Result<(), Error>, Duration, bool, u64) {
    let world = lab();
    let front = Front::builder(&world).https(0).start().unwrap();
    let endpoint = front.endpoint("phantom").unwrap();
    let client = builder(&front).limits(Limits::within(seconds(1)));
    let client = client.connect_to(&endpoint, &Credentials::new("root", "xcp-test")).unwrap();
    world.trouble(Injection::new(trouble).method("pool.set_name_label"));
    let start = Instant::now();
    let result = rename(&client, "new");
    let took = start.elapsed();
    let database = world.database("phantom");
    let done = database.is_ok_and(|database| {
        let pool = database.refs("pool")[0].clone();
        &*database.text("pool", &pool, "name_label") == "new"
    });
    let times = world.requests().get("pool.set_name_label").copied().unwrap_or(0);
    drop(client);
    (result, took, done, times)
}

#[test]
fn troubles_befall_writes_on_real_sockets_once() {
    use Trouble::*;
    let transport = Some(ErrorKind::Transport);
    let timeout = Some(ErrorKind::Timeout);
    for (trouble, kind, done, times) in [
        (Refuse, transport, false, 0),
        (Reset, transport, false, 0),
        (LoseReply, transport, true, 1),
        (CutReply, transport, true, 1),
        (Silence, timeout, true, 1),
        (Delay(seconds(10)), timeout, false, 0),
        (Delay(Duration::from_millis(300)), None, true, 1),
        (SlowReply(Duration::from_millis(500)), None, true, 1),
        (SlowReply(seconds(10)), timeout, true, 1),
        (StallReply(Duration::from_millis(500)), None, true, 1),
        (StallReply(seconds(10)), timeout, true, 1),
        (KillBefore, transport, false, 0),
        (KillAfter, transport, true, 1),
    ] {
        let (result, took, was_done, requests) = write_under(trouble.clone());
        let actual = result.as_ref().err().map(Error::kind);
        assert_eq!((actual, was_done, requests), (kind, done, times), "{trouble:?}: {result:?}");
        assert!(took < seconds(4), "{trouble:?} took {took:?}");
        if let SlowReply(time) | StallReply(time) | Delay(time) = trouble {
            assert!(took >= time.min(seconds(1)), "{trouble:?} took {took:?}");
        }
    }
}

#[test]
fn a_master_that_dies_takes_its_readers_connections_with_it() {
    let world = lab();
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "phantom");
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        if let Err(error) = client.call::<Vec<Ref<Pool>>>("pool.get_all", &()) {
                            return error;
                        }
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        world.power_off("phantom");
        let start = Instant::now();
        for reader in readers {
            let error = reader.join().unwrap();
            assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        }
        assert!(start.elapsed() < seconds(10), "{:?}", start.elapsed());
    });
}

#[test]
fn ignite_joins_phantom_over_tls() {
    let world = World::story(2);
    let front = Front::builder(&world).https(0).speed(30.0).start().unwrap();
    let (phantom, ignite) = (log_in(&front, "phantom"), log_in(&front, "ignite"));
    let pool = phantom.snapshot(Scope::Preflight).unwrap();
    let host = ignite.snapshot(Scope::Preflight).unwrap();
    let report = preflight::evaluate(pool, host, &Options::new());
    let plan = report.plan(&Choices::default()).unwrap();
    let consent = Consent::to(&plan, plan.losses_digest()).unwrap();
    let outcome =
        operations::join(&phantom, &ignite, plan.with_consent(&consent), &mut Control::new());
    assert!(matches!(outcome, Ok(Outcome::Done(_))), "{:?}", outcome.err());
    assert!(matches!(world.role("ignite"), Some(HostRole::Slave(_))));
    // Whoever is pointed at Ignite is led to Phantom.
    assert_eq!(log_in(&front, "ignite").endpoint(), front.endpoint("phantom").unwrap());
    assert_eq!(world.count("phantom", "SR"), 9);
}
