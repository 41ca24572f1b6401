//! Worlds of the preflight's strategies, played by the simulator.

use std::time::Duration;

use proptest::test_runner::Config;
use serde_json::Value as Json;
use xcp_pool::model::Snapshot;
use xcp_pool::preflight::arbitrary::JoinCase;
use xcp_pool::preflight::{Edition, Editions};
use xcp_pool::simulator::database::{Database, Value};
use xcp_pool::simulator::{self, Release, Scene};

/// How many cases a law is tried on.
pub(crate) fn cases() -> Config {
    let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|cases| cases.parse().ok());
    Config { cases: cases.unwrap_or(400), failure_persistence: None, ..Config::default() }
}

/// The master of a world's pool.
pub(crate) const MASTER: &str = "host-0";
/// The host that is to join.
pub(crate) const JOINER: &str = "joiner";

/// What the licence daemon of a simulated host knows.
pub(crate) fn editions() -> Editions {
    Editions::Known(vec![Edition { title: "xcp-ng".to_owned(), order: 100 }])
}

/// The hosts of a world, as far as its snapshots tell of them.
pub(crate) fn simulated(world: &JoinCase) -> simulator::World {
    let load = |snapshot: &Snapshot| {
        let json: Json = serde_json::from_str(&snapshot.to_json()).unwrap();
        Database::load(Release::Newest, &json).unwrap()
    };
    let pool = load(&world.pool);
    let simulated =
        simulator::World::builder().database(load(&world.joiner)).database(pool).build().unwrap();
    if let Some(backend) = &world.options.evidence.joiner_bridge_backend {
        simulated.act(|scene| scene.set_network_backend(JOINER, backend));
    }
    for host in [MASTER, JOINER] {
        let host = host.to_owned();
        simulated.after(Duration::from_secs(300), move |scene| end_of_operations(scene, &host));
    }
    for host in world.pool.host.records() {
        let metrics = world.pool.host_metrics.get(&host.metrics);
        if metrics.is_some_and(|metrics| !metrics.live) {
            simulated.power_off(&host.hostname);
        }
    }
    simulated
}

/// Whatever somebody is doing on a host comes to its end.
fn end_of_operations(scene: &mut Scene<'_>, host: &str) {
    let ended = scene.edit(host, |database| {
        for class in ["pool", "VM"] {
            for object in database.refs(class) {
                database.set(class, &object, "current_operations", Value::Map(Vec::new()))?;
            }
        }
        Ok(())
    });
    ended.unwrap();
}

/// What a host's server shows.
pub(crate) fn snapshot(world: &simulator::World, host: &str) -> Snapshot {
    let saved = world.database(host).unwrap().save().to_string();
    let snapshot = Snapshot::from_json(saved.as_bytes()).unwrap();
    assert_eq!(snapshot.problems, []);
    snapshot
}
