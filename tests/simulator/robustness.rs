//! No request makes the simulator panic, and a world of thousands answers in time.

use std::time::{Duration, Instant};

use crate::support::Caller;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value as Json, json};
use xcp_pool::simulator::database::{Database, Value};
use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};
use xcp_pool::transport::Cancel;

fn world(release: Release) -> World {
    let pool = PoolSpec::new("lab", release)
        .host("phantom", "10.0.0.1")
        .host("member", "10.0.0.2")
        .nics(3)
        .shared_sr("NFS", "nfs")
        .vlan("vlan", 1, 42)
        .bond("bond", &[1, 2])
        .vm(VmSpec::running("web", "member").disk("NFS", 10))
        .vm(VmSpec::halted("build").disk("NFS", 10));
    let other = PoolSpec::new("", release).host("ignite", "10.0.0.3");
    World::builder().seed(1).pool(pool).pool(other).build().unwrap()
}

/// Every method of a world's hosts.
fn methods(world: &World) -> Vec<String> {
    let call = json!({"method": "system.listMethods", "params": [], "id": 1});
    let reply = post(world, "phantom", &call).unwrap();
    let names = reply["result"].as_array().unwrap().iter();
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// An argument; `Ref(n)` becomes one of the world's refs.
#[derive(Clone, Debug)]
enum Argument {
    Json(Json),
    Ref(prop::sample::Index),
}

fn argument() -> impl Strategy<Value = Argument> {
    let json = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-2_i64..5000).prop_map(Json::from),
        any::<f64>().prop_map(|float| json!(float)),
        "\\PC{0,12}".prop_map(Json::from),
        prop_oneof![
            Just("10.0.0.1"),
            Just("root"),
            Just("xcp-test"),
            Just("OpaqueRef:NULL"),
            Just("true or field \"uuid\" = \"x\""),
            Just("20260101T00:00:00Z"),
            Just("*"),
        ]
        .prop_map(Json::from),
        prop::collection::vec("[a-z*/]{0,6}", 0..4).prop_map(Json::from),
        prop::collection::hash_map("[a-zA-Z_]{0,8}", "[a-z]{0,4}", 0..4).prop_map(|map| json!(map)),
    ];
    prop_oneof![
        3 => any::<prop::sample::Index>().prop_map(Argument::Ref),
        2 => json.prop_map(Argument::Json),
    ]
}

fn post(world: &World, host: &str, body: &Json) -> Option<Json> {
    let reply =
        world.post(host, body.to_string().as_bytes(), Duration::from_secs(200), &Cancel::new());
    reply.ok().and_then(|reply| serde_json::from_slice(&reply.body).ok())
}

fn refs(database: &Database) -> Vec<String> {
    let refs = database.classes().flat_map(|class| database.refs(class));
    refs.map(|reference| reference.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/simulator/robustness.proptest-regressions",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_body_is_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let world = world(Release::Newest);
        let reply = world.post("phantom", &body, Duration::from_secs(1), &Cancel::new()).unwrap();
        prop_assert!(reply.status == 500 || reply.status == 200);
    }

    #[test]
    fn any_call_is_answered(
        release in prop::sample::select(Release::ALL.to_vec()),
        calls in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::collection::vec(argument(), 0..5), 0..8_u8),
            1..60,
        ),
    ) {
        let world = world(release);
        let (methods, refs) = (methods(&world), refs(&world.database("phantom").unwrap()));
        let login = json!({
            "method": "session.login_with_password", "params": ["root", "xcp-test"], "id": 1,
        });
        for (method, arguments, kind) in calls {
            let method = method.get(&methods);
            let host = if kind == 0 { "member" } else { "phantom" };
            let method = if kind == 1 { format!("Async.{method}") } else { method.clone() };
            // Sessions end with restarts; a new one now and then keeps most calls alive.
            let session = post(&world, "phantom", &login).map(|reply| reply["result"].clone());
            let mut params = vec![session.unwrap_or_default()];
            params.extend(arguments.into_iter().map(|argument| match argument {
                Argument::Json(json) => json,
                Argument::Ref(index) => Json::from(index.get(&refs).as_str()),
            }));
            let reply = post(&world, host, &json!({"method": method, "params": params, "id": 2}));
            if let Some(reply) = reply {
                prop_assert!(reply.get("error").is_some(), "{method}: {reply}");
            }
        }
        world.advance(Duration::from_secs(1000));
        world.database("phantom").map(|database| database.save()).ok();
    }
}

/// How many VMs the large pool has: with 10,000 a build without optimisation takes its time.
const VMS: usize = 3_000;

#[test]
fn a_large_pool_is_no_burden() {
    let mut spec = PoolSpec::new("large", Release::XcpNg83).memory(2048).shared_sr("NFS", "nfs");
    for number in 1..=64 {
        spec = spec.host(&format!("host{number}"), &format!("10.0.1.{number}"));
    }
    for number in 0..VMS {
        let host = format!("host{}", number % 64 + 1);
        spec = spec.vm(VmSpec::running(&format!("vm{number}"), &host).disk("NFS", 10));
    }
    let start = Instant::now();
    let world = World::builder().pool(spec).build().unwrap();
    let built = start.elapsed();
    let caller = Caller::login(&world, "host1");
    let start = Instant::now();
    let batch = caller.call("event.from", [json!(["*"]), json!(""), json!(0.0)]);
    assert!(batch["events"].as_array().unwrap().len() > 6 * VMS);
    let snapshot = start.elapsed();
    let start = Instant::now();
    world.advance(Duration::from_secs(3600));
    let hour = start.elapsed();
    let start = Instant::now();
    let host = caller.named("host", "host2");
    let obstacles = caller.call("host.get_vms_which_prevent_evacuation", [host]);
    assert_eq!(obstacles, json!({}));
    let planned = start.elapsed();
    // Generous limits for a slow machine and a build without optimisation.
    for (what, took, limit) in [
        ("building it", built, 60),
        ("one snapshot", snapshot, 60),
        ("an hour of rounds", hour, 60),
        ("planning an evacuation", planned, 30),
    ] {
        println!("{what} took {took:?}");
        assert!(took.as_secs() < limit, "{what} took {took:?}");
    }
}

#[test]
fn a_database_of_thousands_is_written_in_time() {
    let mut database = Database::new(Release::Newest);
    database.create("SR", "OpaqueRef:sr", []).unwrap();
    let start = Instant::now();
    for number in 0..20_000 {
        let sr = [("SR", Value::text("OpaqueRef:sr"))];
        database.create("VDI", &format!("OpaqueRef:{number}"), sr).unwrap();
    }
    for number in 0..20_000 {
        assert!(database.destroy("VDI", &format!("OpaqueRef:{number}")));
    }
    let took = start.elapsed();
    println!("{took:?}");
    assert!(took.as_secs() < 30, "{took:?}");
}
