//! Worlds that are told, acted on, watched from above and served on sockets, through the C ABI.

use std::ptr;

use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

use crate::support::world::{World, connect};
use crate::support::{Refusal, c, done, json};

impl World {
    fn act(&self, act: &Value) -> Result<(), Refusal> {
        let act = c(&act.to_string());
        // SAFETY: the world lives until it is dropped.
        done(|e| unsafe { xcp_simulator_act(self.simulator, act.as_ptr(), e) })
    }

    fn advance(&self, seconds: f64) {
        // SAFETY: as above.
        done(|e| unsafe { xcp_simulator_advance(self.simulator, seconds, e) }).unwrap();
    }

    fn state(&self) -> Value {
        // SAFETY: as above.
        json(|out, e| unsafe { xcp_simulator_state_json(self.simulator, out, e) }).unwrap()
    }

    fn host(&self, name: &str) -> Value {
        let name = c(name);
        // SAFETY: as above.
        json(|out, e| unsafe { xcp_simulator_host_json(self.simulator, name.as_ptr(), out, e) })
            .unwrap()
    }

    fn database(&self, host: &str) -> Value {
        let host = c(host);
        // SAFETY: as above.
        json(|out, e| unsafe { xcp_simulator_database_json(self.simulator, host.as_ptr(), out, e) })
            .unwrap()
    }
}

fn made(spec: &Value) -> Result<World, Refusal> {
    let (text, mut simulator) = (c(&spec.to_string()), ptr::null_mut());
    // SAFETY: the place is on this stack.
    done(|e| unsafe { xcp_simulator_new(text.as_ptr(), &mut simulator, e) })?;
    // SAFETY: it is freed once.
    unsafe { xcp_simulator_free(simulator) };
    Ok(World::new(spec))
}

fn three() -> Value {
    value!({"name": "ha", "shared_srs": [{"name": "NFS", "type": "nfs"}], "hosts": [
        {"name": "a", "address": "10.0.0.1"},
        {"name": "b", "address": "10.0.0.2"},
        {"name": "c", "address": "10.0.0.3"},
    ]})
}

/// A pool with HA on, quiet for half a minute.
fn with_ha() -> World {
    let world = World::new(&value!({"seed": 3, "pools": [three()]}));
    world.client(c"a").call("pool.enable_ha", &value!([[], {"timeout": "30"}])).unwrap();
    world.advance(30.0);
    world
}

#[test]
fn ha_is_watched_and_a_host_without_its_state_file_is_fenced() {
    let world = with_ha();
    assert_eq!(world.state()["lock_holders"], value!(["a"]));
    assert_eq!(world.state()["masters"], value!(["a"]));
    let ha = world.host("b")["ha"].clone();
    assert_eq!(
        (&ha["armed"], &ha["online"], &ha["holds_lock"]),
        (&true.into(), &true.into(), &false.into())
    );
    assert_eq!(ha["live_set"].as_array().unwrap().len(), 3);
    assert_eq!(ha["master"], "a");

    world.act(&value!({"act": "cut-state-file", "host": "b"})).unwrap();
    world.advance(120.0);
    let fenced = world.state()["fenced"].clone();
    assert_eq!(fenced.as_array().unwrap().len(), 1, "{fenced}");
    assert_eq!((&fenced[0]["host"], &fenced[0]["cause"]), (&value!("b"), &value!("watchdog")));
    assert!(fenced[0]["at"].as_f64().unwrap() > 30.0);
    world.act(&value!({"act": "heal-state-file", "host": "b"})).unwrap();
    world.advance(600.0);
    assert_eq!(world.host("b")["ha"]["online"], true, "{:#}", world.host("b"));
}

#[test]
fn a_world_is_acted_on_now_and_later() {
    let world = World::story();
    let before = world.state();
    world
        .act(&value!([
            {"act": "power-off", "host": "ignite"},
            {"act": "power-on", "host": "ignite", "after": 30},
            {"act": "set-network-backend", "host": "phantom", "backend": "bridge"},
        ]))
        .unwrap();
    let ignite = world.host("ignite");
    assert_eq!((&ignite["power"], &ignite["running"]), (&false.into(), &false.into()));
    assert_eq!(ignite["configured"], value!({"role": "master", "master": null}));
    assert_eq!(world.host("phantom")["network_backend"], "bridge");
    assert_eq!(world.host("phantom")["address"], "10.0.0.1");
    assert!(world.host("phantom")["pool_uuid"].is_string());
    let (mut done_one, mut steps) = (true, 0);
    while done_one {
        // SAFETY: the world lives until it is dropped.
        done(|e| unsafe { xcp_simulator_step(world.simulator, 200.0, &mut done_one, e) }).unwrap();
        steps += usize::from(done_one);
    }
    assert!(steps > 2, "{steps}");
    assert_eq!(world.host("ignite")["running"], true);

    world.act(&value!({"act": "cut-one-way", "from": "ignite", "to": null})).unwrap();
    assert!(world.connect(c"ignite", c"xcp-test").is_err());
    world.act(&value!([{"act": "heal", "one": "ignite", "other": null}])).unwrap();
    drop(world.client(c"ignite"));
    world.act(&value!({"act": "cut", "one": null, "other": "phantom"})).unwrap();
    assert!(world.connect(c"phantom", c"xcp-test").is_err());
    world.act(&value!({"act": "heal", "one": null, "other": "phantom"})).unwrap();
    world.act(&value!({"act": "restart-toolstack", "host": "phantom"})).unwrap();
    world.advance(0.5);
    assert_eq!(world.host("phantom")["running"], false);
    world.advance(100.0);

    let client = world.client(c"phantom");
    let after = world.state();
    assert_eq!(after["sessions"].as_array().unwrap().len(), 1, "{after}");
    assert!(
        after["requests"]["session.login_with_password"].as_u64()
            > before["requests"]["session.login_with_password"].as_u64()
    );
    assert!(
        after["sent"].as_u64().unwrap() > 2
            && after["writes"].as_u64() >= before["writes"].as_u64()
    );
    assert!(after["now"].as_f64().unwrap() >= 300.0);
    drop(client);
    assert_eq!(world.state()["sessions"], value!([]));
}

#[test]
fn a_database_is_edited_past_all_checks() {
    let world = World::story();
    let saved = world.database("phantom");
    let sr = saved["SR"].as_object().unwrap().keys().next().unwrap().clone();
    let pool = saved["pool"].as_object().unwrap().keys().next().unwrap().clone();
    let edit = |database: Value| {
        world.act(&value!({"act": "edit", "host": "phantom", "database": database}))
    };
    edit(value!({
        "pool": {&pool: {"ha_host_failures_to_tolerate": 3, "other_config": {"a": "b"}}},
        "network": {"OpaqueRef:new": {"name_label": "new", "bridge": "xapi9"}},
        "SR": {&sr: null},
    }))
    .unwrap();
    let after = world.database("phantom");
    assert_eq!(after["pool"][&pool]["ha_host_failures_to_tolerate"], 3);
    assert_eq!(after["pool"][&pool]["other_config"], value!({"a": "b"}));
    assert_eq!(after["pool"][&pool]["name_label"], "Phantom");
    assert_eq!(after["network"]["OpaqueRef:new"]["name_label"], "new");
    assert_eq!(world.count(c"phantom", c"SR"), 5);
    for (database, why) in [
        (value!({"Pool": {}}), "no class \"Pool\""),
        (value!({"pool": {&pool: {"ha": 1}}}), "no field \"ha\""),
        (value!({"pool": {&pool: {"ha_enabled": "yes"}}}), "ha_enabled"),
        (value!({"pool": {&pool: 7}}), "the record is not an object"),
        (value!({"pool": []}), "class pool is not an object"),
        (value!([]), "the database is not an object"),
    ] {
        let refusal = edit(database.clone()).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT, "{database}");
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
    for (act, why) in [
        (value!({"act": "dance"}), "act_json"),
        (value!({"act": "power-off"}), "act_json"),
        (
            value!({"act": "power-off", "host": "nobody"}),
            "act_json: the world has no host \"nobody\"",
        ),
        (
            value!([{"act": "power-off", "host": "ignite"}, {"act": "cut", "one": "nobody", "other": null}]),
            "nobody",
        ),
        (value!({"act": "power-off", "host": "ignite", "when": 3}), "act_json"),
        (value!({"act": "power-off", "host": "ignite", "after": -3}), "act_json"),
    ] {
        let refusal = world.act(&act).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT, "{act}");
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
    assert_eq!(world.host("ignite")["power"], true, "nothing happens if one of the acts cannot be");
}

#[test]
fn hosts_are_known_by_their_addresses_too() {
    let world = World::story();
    world.act(&value!({"act": "cut", "one": "10.0.0.1", "other": null})).unwrap();
    assert!(world.connect(c"phantom", c"xcp-test").is_err());
    world.act(&value!({"act": "heal", "one": null, "other": "phantom"})).unwrap();
    drop(world.client(c"phantom"));
    world.trouble(&value!({"trouble": "refuse", "host": "10.0.0.1"}));
    assert!(world.connect(c"phantom", c"xcp-test").is_err());
    world.act(&value!({"act": "power-off", "host": "10.0.0.1"})).unwrap();
    assert_eq!(world.host("phantom")["power"], false);
}

#[test]
fn a_join_ignores_what_nobody_hears_of() {
    let world = World::story();
    let fault = value!({"code": "BRIDGE_NAME_EXISTS", "params": ["x"]});
    world.act(&value!({"act": "break-bridge-change", "host": "ignite", "fault": fault})).unwrap();
    assert_eq!(world.host("ignite")["ignored_errors"], value!([]));
    let wrong = value!({"act": "break-bridge-change", "host": "ignite", "fault": "x"});
    assert_eq!(world.act(&wrong).unwrap_err().status, XCP_E_INVALID_INPUT);
}

#[test]
fn a_world_is_told_in_full() {
    let world = made(&value!({
        "seed": 4, "password": "secret", "timings": {"boot": 5, "latency": 0.5},
        "story": {"phantom": "10.9.0.1", "ignite": "10.9.0.2"},
        "pools": [{"hosts": [{"name": "ember", "address": "10.9.0.3"}],
                   "edit": {"network": {"OpaqueRef:new": {"name_label": "new"}}}}],
    }))
    .unwrap();
    drop(connect(world.transport, c"10.9.0.2", c"secret", None).unwrap());
    assert_eq!(world.state()["masters"].as_array().unwrap().len(), 3);
    assert_eq!(world.database("ember")["network"]["OpaqueRef:new"]["name_label"], "new");
    assert!(world.state()["now"].as_f64().unwrap() >= 1.0, "a request takes half a second");
    world.power_off(c"ember");
    world.act(&value!({"act": "power-on", "host": "ember"})).unwrap();
    world.advance(10.0);
    assert_eq!(world.host("ember")["running"], true, "it boots in five seconds");

    let mut database = World::story().database("ignite");
    let other = made(&value!({"pools": [{"release": "8.3", "database": database.take(),
        "edit": {"network": {"OpaqueRef:new": {"name_label": "new"}}}}]}))
    .unwrap();
    assert_eq!(other.database("ignite")["network"]["OpaqueRef:new"]["name_label"], "new");
    made(&value!({"story": {}})).unwrap();
    for (spec, why) in [
        (value!({}), "the world has no pools"),
        (value!({"story": {}, "timings": {"coffee": 1}}), "unknown field `coffee`"),
        (value!({"story": {}, "timings": {"boot": -1}}), "-1 is no time in seconds"),
        (value!({"story": {"ember": "10.0.0.1"}}), "unknown field `ember`"),
        (
            value!({"pools": [{"hosts": [{"name": "a", "address": "1.1.1.1"}], "edit": {"x": {}}}]}),
            "no class \"x\"",
        ),
    ] {
        let refusal = made(&spec).map(|_| ()).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT, "{spec}");
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
}

#[test]
fn a_driven_world_waits_for_another_thread() {
    let world = World::new(&value!({"driven": true, "story": {}}));
    std::thread::scope(|scope| {
        let address = world.simulator.expose_provenance();
        let driver = scope.spawn(move || {
            let simulator = ptr::with_exposed_provenance(address);
            for _ in 0..400 {
                // SAFETY: the world outlives the scope.
                done(|e| unsafe { xcp_simulator_advance(simulator, 0.05, e) }).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        drop(world.client(c"phantom"));
        driver.join().unwrap();
    });
    assert!(world.state()["now"].as_f64().unwrap() >= 19.9);
}

#[test]
fn replies_break_off_and_trickle() {
    let world = World::story();
    let client = world.client(c"phantom");
    let write = || client.call("pool.get_all", &value!([]));
    for trouble in [value!("cut-reply"), value!({"slow-reply": 3}), value!({"stall-reply": 3})] {
        let before = world.state()["now"].as_f64().unwrap();
        world.trouble(&value!({"trouble": trouble, "host": "phantom"}));
        write().unwrap();
        if trouble.is_object() {
            assert!(world.state()["now"].as_f64().unwrap() - before >= 3.0, "{trouble}");
        }
    }
}

struct Front(*mut xcp_front);

impl Front {
    fn start(world: &World, options: &Value) -> Result<Self, Refusal> {
        let (options, mut front) = (c(&options.to_string()), ptr::null_mut());
        // SAFETY: the world is alive.
        done(|e| unsafe { xcp_front_start(world.simulator, options.as_ptr(), &mut front, e) })?;
        Ok(Self(front))
    }

    fn hosts(&self) -> Value {
        // SAFETY: the front is alive.
        json(|out, e| unsafe { xcp_front_hosts_json(self.0, out, e) }).unwrap()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { xcp_front_free(self.0) }
    }
}

#[test]
fn a_world_is_served_over_https_and_pinned() {
    let world = World::story();
    let front = Front::start(&world, &value!({"https": 0})).unwrap();
    let told = front.hosts();
    assert_eq!(told["schema"], 1);
    let phantom = &told["hosts"][0];
    assert_eq!((&phantom["name"], &phantom["address"]), (&value!("phantom"), &value!("10.0.0.1")));
    assert_eq!(phantom["http"], Value::Null);
    let url = phantom["url"].as_str().unwrap();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    assert_eq!(told["addresses"]["10.0.0.1"], *url);

    let (mut store, mut transport) = (ptr::null_mut(), ptr::null_mut());
    let pins = c(&value!([phantom["fingerprint"]]).to_string());
    let options = c(&value!({"addresses": told["addresses"]}).to_string());
    // SAFETY: everything is freed once, after its last use.
    unsafe {
        done(|e| xcp_trust_store_pins(pins.as_ptr(), &mut store, e)).unwrap();
        done(|e| xcp_transport_https(ptr::null(), store, &mut transport, e)).unwrap();
        xcp_trust_store_free(store);
        let client = connect(transport, &c(url), c"xcp-test", Some(&options)).unwrap();
        assert_eq!(client.call("host.get_all", &value!([])).unwrap().as_array().unwrap().len(), 1);
        assert!(xcp_front_served(front.0) >= 2);
        assert!(xcp_front_connections(front.0) >= 1);
        drop(client);
        drop(front);
        assert!(connect(transport, &c(url), c"xcp-test", Some(&options)).is_err(), "it has ended");
        xcp_transport_free(transport);
    }
}

#[test]
fn a_front_is_set_up_in_every_way() {
    let world = World::story();
    let front = Front::start(&world, &value!({
        "http": 0, "address": "127.0.0.2", "host_addresses": {"ignite": "127.0.0.3"}, "speed": 50,
        "header_timeout": 5, "total_header_timeout": 6,
    }))
    .unwrap();
    let told = front.hosts();
    assert!(told["hosts"][0]["http"].as_str().unwrap().starts_with("127.0.0.2:"), "{told}");
    assert!(told["hosts"][1]["url"].as_str().unwrap().starts_with("http://127.0.0.3:"), "{told}");
    assert_eq!(told["hosts"][0]["fingerprint"], Value::Null);
    drop(front);
    for (options, why) in [
        (value!({"speed": 0}), "speed"),
        (value!({"header_timeout": 1}), "header_timeout and total_header_timeout"),
        (value!({"host_addresses": {"nobody": "127.0.0.1"}}), "nobody"),
        (value!({"certificate": "x", "https": 0}), "ertificate"),
        (value!({"host_certificates": {"nobody": "x"}}), ""),
        (value!({"address": "here"}), "options_json"),
        (value!({"port": 0}), "unknown field `port`"),
    ] {
        let refusal = Front::start(&world, &options).map(|_| ()).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT, "{options}");
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
    // SAFETY: NULL and another type are what is tested.
    unsafe {
        assert_eq!(xcp_front_served(ptr::null()), 0);
        assert_eq!(xcp_front_connections(world.simulator.cast()), 0);
        xcp_front_free(ptr::null_mut());
        xcp_front_free(world.simulator.cast());
    }
    assert_eq!(world.host("phantom")["running"], true);
}
