//! The life of a pool of three hosts, step by step as it was recorded, twice.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{Caller, Failed, raw};
use serde_json::{Map, Value as Json, json};
use xcp_pool::election::HostRole;
use xcp_pool::simulator::database::{Database, Value};
use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};
use xcp_pool::transport::Cancel;

/// Steps that the simulator does not repeat, and why.
const NOT_REPEATED: &[(&str, &str, &str)] = &[
    ("pool-lifecycle-2", "ejected_host_login", EJECTED_HOSTS_DO_NOT_REBOOT),
    ("pool-lifecycle-2", "member_after_recover", EJECTED_HOSTS_DO_NOT_REBOOT),
];

/// A limit of the recordings (their README): the process of an ejected host went on as it was.
const EJECTED_HOSTS_DO_NOT_REBOOT: &str =
    "the host was ejected long before, and is being reinstalled";

/// Fields of host records that differ, and why.
const NOT_COMPARED: &[(&str, &str)] = &[
    ("PBDs", "the recorded hosts make none for shared storage (artefact 2)"),
    ("allowed_operations", "worked out before the set-up enabled the hosts (artefact 4)"),
    ("capabilities", "the recorded members do not describe themselves (artefact 1)"),
    ("certificates", "the recorded members make none (artefact 6)"),
    ("control_domain", "the recorded members do not describe themselves (artefact 1)"),
    ("cpu_info", "the recorded members do not describe themselves (artefact 1)"),
    ("enabled", "the set-up enables all hosts, dead ones too (artefact 4)"),
    ("other_config", "set at each start"),
    ("restrictions", "no licence daemon ran in the second recording"),
    ("virtual_hardware_platform_versions", "the members do not describe themselves (artefact 1)"),
];

#[test]
fn the_first_recorded_life_is_repeated() {
    replay("pool-lifecycle");
}

#[test]
fn the_second_recorded_life_is_repeated() {
    replay("pool-lifecycle-2");
}

/// Repeats a recording call by call, in virtual time.
fn replay(name: &str) {
    let recorded: Vec<Json> = read(&format!("exchanges/{name}.json"));
    let mut life = Life::new(&recorded);
    let mut wrong = Vec::new();
    for step in &recorded {
        let step_name = step["name"].as_str().unwrap();
        life.wait_for(step_name);
        let skipped =
            NOT_REPEATED.iter().any(|(file, step, _)| (*file, *step) == (name, step_name));
        if !skipped {
            wrong.extend(life.repeat(step));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The recorded hosts again, and what they are called now.
struct Life {
    world: World,
    /// What recorded refs stand for here.
    refs: HashMap<String, String>,
    /// At which host each recorded session was opened before the recording shows it.
    hidden_logins: HashMap<String, String>,
    /// When the last join was answered.
    joined: Duration,
}

impl Life {
    fn new(recorded: &[Json]) -> Self {
        let join: Json = read("joins/01-minimal-fresh-joiner.json");
        let pool = prepared(&join["pool_before"], "master", '1', 'b');
        let joiner = prepared(&join["joiner_before"], "joiner", '4', 'a');
        let joiner2 = prepared(&join["joiner_before"], "joiner2", '5', 'c');
        let world = [pool, joiner, joiner2].iter().fold(World::builder(), |builder, database| {
            builder.database(Database::load(Release::Newest, database).unwrap())
        });
        let mut hidden_logins = HashMap::new();
        for step in recorded {
            let session = step["request"]["params"][0].as_str().unwrap_or_default();
            let served = !step["response"].to_string().contains("SESSION_INVALID")
                && !step["response"].to_string().contains("HOST_IS_SLAVE");
            let shown = recorded.iter().any(|step| {
                step["response"].as_str().unwrap_or_default().contains(&format!("\"{session}\""))
                    && step["request"]["method"].as_str().unwrap().contains("login")
            });
            if served && !shown && session.starts_with("OpaqueRef:") {
                let host = step["host"].as_str().unwrap().to_owned();
                hidden_logins.entry(session.to_owned()).or_insert(host);
            }
        }
        Self {
            world: world.build().unwrap(),
            refs: HashMap::new(),
            hidden_logins,
            joined: Duration::ZERO,
        }
    }

    /// Lets the time pass, and does what was done, between the recorded calls.
    fn wait_for(&mut self, step: &str) {
        let number = step.rsplit('_').next().and_then(|text| text.parse::<u64>().ok());
        match (step, number) {
            (_, Some(seconds)) if step.starts_with("joiner_login_during_restart") => {
                // It was polled; the number is of the second before the answer changed.
                let until = self.joined + Duration::from_millis(seconds * 1000 + 700);
                self.world.advance(until.saturating_sub(self.world.now()));
            }
            (_, Some(1..)) if step.starts_with("old_master_after_designate") => self.sleep(4),
            ("hosts_after_two_joins", _) => self.sleep(30),
            ("member_login_master_dead", _) => self.world.power_off("127.0.7.4"),
            ("hosts_after_emergency" | "member_login_after_recover", _) => self.sleep(25),
            _ => {}
        }
    }

    fn sleep(&self, seconds: u64) {
        self.world.advance(Duration::from_secs(seconds));
    }

    /// Makes a recorded call again; returns how its outcome differs.
    fn repeat(&mut self, step: &Json) -> Vec<String> {
        let name = step["name"].as_str().unwrap();
        let mut request = step["request"].clone();
        for param in request["params"].as_array_mut().unwrap() {
            let Some(text) = param.as_str().map(str::to_owned) else { continue };
            if let Some(host) = self.hidden_logins.remove(&text) {
                self.refs.insert(text.clone(), Caller::login(&self.world, &host).session);
            }
            if let Some(now) = self.refs.get(&text) {
                *param = json!(now);
            }
        }
        let start = self.world.now();
        let host = step["host"].as_str().unwrap();
        let body = request.to_string();
        let patience = Duration::from_secs(600);
        let reply = self.world.post(host, body.as_bytes(), patience, &Cancel::new());
        let seconds = (self.world.now() - start).as_secs_f64();
        if request["method"] == "pool.join" && seconds > 1.0 {
            self.joined = self.world.now();
        }
        let mut wrong = self.compare(step, reply.ok().map(|reply| reply.body));
        let recorded = step["seconds"].as_f64().unwrap();
        if recorded > 0.5 && !(0.3..3.0).contains(&(seconds / recorded)) {
            wrong.push(format!("took {seconds} s, recorded {recorded} s"));
        }
        wrong.iter().map(|line| format!("{name}: {line}")).collect()
    }

    fn compare(&mut self, step: &Json, reply: Option<Vec<u8>>) -> Vec<String> {
        let parse = |text: &[u8]| serde_json::from_slice::<Json>(text).unwrap();
        let recorded = step["response"].as_str().map(|text| parse(text.as_bytes()));
        let (recorded, now) = match (recorded, reply) {
            (None, None) => return Vec::new(),
            (None, Some(_)) => return vec!["got a reply, recorded none".to_owned()],
            (Some(recorded), None) => return vec![format!("got no reply, recorded {recorded}")],
            (Some(recorded), Some(reply)) => (recorded, parse(&reply)),
        };
        let method = step["request"]["method"].as_str().unwrap();
        if let (true, Some(then), Some(now)) =
            (method.contains("login"), recorded["result"].as_str(), now["result"].as_str())
        {
            self.refs.insert(then.to_owned(), now.to_owned());
        }
        if let (Some(then), Some(now)) = (recorded["result"].as_object(), now["result"].as_object())
        {
            return self.compare_records(then, now);
        }
        let recorded = self.translated(&recorded);
        if recorded == now { Vec::new() } else { vec![format!("{now}, recorded {recorded}")] }
    }

    /// Compares records by uuid, and learns their refs.
    fn compare_records(
        &mut self,
        then: &Map<String, Json>,
        now: &Map<String, Json>,
    ) -> Vec<String> {
        let uuid = |record: &Json| record["uuid"].as_str().unwrap().to_owned();
        for (reference, record) in then {
            let same = now.iter().find(|(_, other)| uuid(other) == uuid(record));
            if let Some((now, _)) = same {
                self.refs.insert(reference.clone(), now.clone());
            }
        }
        let mut wrong = Vec::new();
        if then.len() != now.len() {
            wrong.push(format!("{} records, recorded {}", now.len(), then.len()));
        }
        for (reference, record) in then {
            let here = self.refs.get(reference).and_then(|reference| now.get(reference));
            let Some(here) = here else {
                wrong.push(format!("{} is missing", record["name_label"]));
                continue;
            };
            for (field, then) in record.as_object().unwrap() {
                if NOT_COMPARED.iter().any(|(known, _)| known == field) {
                    continue;
                }
                let (then, now) = (self.shape(then), self.shape(&here[field]));
                if then != now {
                    wrong.push(format!("{}.{field}: {now}, recorded {then}", record["name_label"]));
                }
            }
        }
        wrong
    }

    /// A field, with refs of objects that were made up by how many they are.
    fn shape(&self, value: &Json) -> Json {
        let made_up = |json: &Json| {
            let text = json.as_str().unwrap_or_default();
            text.starts_with("OpaqueRef:") && text.len() == 46
        };
        match value {
            Json::Array(elements) if elements.iter().any(made_up) => json!(elements.len()),
            value if made_up(value) => match self.refs.get(value.as_str().unwrap()) {
                Some(now) => json!(now),
                None if self.refs.values().any(|known| value == known) => value.clone(),
                None => json!("(made up)"),
            },
            other => other.clone(),
        }
    }

    fn translated(&self, json: &Json) -> Json {
        match json {
            Json::String(text) => json!(self.refs.get(text).unwrap_or(text)),
            Json::Array(elements) => {
                elements.iter().map(|element| self.translated(element)).collect()
            }
            Json::Object(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| (key.clone(), self.translated(value)));
                Json::Object(pairs.collect())
            }
            other => other.clone(),
        }
    }
}

/// A recorded database as the hosts of this recording had it: at another address, without drives,
/// and with uuids of its own.
fn prepared(database: &Json, name: &str, address: char, letter: char) -> Json {
    let text = database.to_string().replace("127.0.9.", "127.0.7.");
    let text = text.replace("127.0.7.4", &format!("127.0.7.{address}"));
    let text = text.replace("-4000-8000-0000000000a1", &format!("-4000-8000-0000000000{letter}1"));
    let mut database: Json = serde_json::from_str(&text).unwrap();
    for (class, rows) in database.as_object_mut().unwrap() {
        let rows = rows.as_object_mut().unwrap();
        rows.retain(|reference, _| !reference.ends_with("-dvd") && !reference.ends_with("-usb"));
        for (reference, row) in rows {
            match class.as_str() {
                "host" => {
                    row["name_label"] = json!(name);
                    row["hostname"] = json!(name);
                    row["ssl_legacy"] = json!(letter == 'b');
                    row["API_version_minor"] = json!(21);
                    if letter == 'b' {
                        row["sched_policy"] = json!("");
                        row["supported_bootloaders"] = json!([]);
                    }
                }
                "pool" => {
                    row["uuid"] = json!(reference.trim_start_matches("OpaqueRef:"));
                    row["other_config"] = json!({"auto_poweron": "true"});
                    row["restrictions"].as_object_mut().unwrap().remove("restrict_pvs_proxy");
                }
                _ if letter == 'c' => {
                    let uuid = row["uuid"].as_str().unwrap();
                    row["uuid"] = json!(format!("cccccccc{}", &uuid[8..]));
                }
                _ => {}
            }
        }
    }
    database
}

fn read<T: serde::de::DeserializeOwned>(path: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oracle").join(path);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A pool of three with an NFS SR and a halted VM; names are those of a story told elsewhere.
fn pool_of_three() -> World {
    let pool = PoolSpec::new("pool", Release::Newest)
        .host("phantom", "10.0.0.1")
        .host("ignite", "10.0.0.2")
        .host("ember", "10.0.0.3")
        .shared_sr("NFS", "nfs")
        .vm(VmSpec::halted("db").disk("NFS", 10));
    World::builder().seed(3).pool(pool).build().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn slave_of(master: &str) -> Option<HostRole> {
    Some(HostRole::Slave(master.to_owned()))
}

fn local_session(world: &World, host: &str) -> Caller {
    let params = json!(["root", "xcp-test"]);
    let transport = world.transport();
    let session = raw(&transport, host, "session.slave_local_login_with_password", params).unwrap();
    Caller { transport, host: host.to_owned(), session: session.as_str().unwrap().to_owned() }
}

#[test]
fn a_hand_over_moves_the_mastership_and_nothing_else() {
    let world = pool_of_three();
    let before = world.database("phantom").unwrap().save();
    let phantom = Caller::login(&world, "phantom");
    let ignite = phantom.named("host", "ignite");
    phantom.call("pool.designate_new_master", [ignite.clone()]);
    assert_eq!(world.role("ignite"), slave_of("10.0.0.1"));
    world.advance(seconds(60));
    for (host, role) in [
        ("phantom", slave_of("10.0.0.2")),
        ("ignite", Some(HostRole::Master)),
        ("ember", slave_of("10.0.0.2")),
    ] {
        assert_eq!(world.role(host), role, "{host}");
        assert_eq!(world.emergency(host), None, "{host}");
    }
    let master = Caller::login(&world, "ignite");
    let elsewhere = Caller { host: "ignite".to_owned(), ..phantom };
    assert!(elsewhere.fault("host.get_all", []).starts_with("SESSION_INVALID"));
    let pool = master.call("pool.get_all", [])[0].clone();
    assert_eq!(master.field("pool", &pool, "master"), ignite);
    let mut after = world.database("ignite").unwrap().save();
    for field in ["master", "cpu_info"] {
        // The processors are counted at each start.
        let pool = pool.as_str().unwrap();
        after["pool"][pool][field] = before["pool"][pool][field].clone();
    }
    for class in ["host", "SR", "PBD", "VM", "VDI", "network", "PIF", "pool"] {
        assert_eq!(before[class], after[class], "{class}");
    }
}

#[test]
fn a_hand_over_needs_every_host() {
    let world = pool_of_three();
    let phantom = Caller::login(&world, "phantom");
    let (ignite, ember) = (phantom.named("host", "ignite"), phantom.named("host", "ember"));
    let designate = || phantom.fault("pool.designate_new_master", [ignite.clone()]);
    world.power_off("ember");
    let start = world.now();
    assert_eq!(designate(), format!("CANNOT_CONTACT_HOST [{}]", ember.as_str().unwrap()));
    assert!(world.now() - start >= seconds(100));
    world.advance(seconds(600));
    assert_eq!(designate(), format!("HOST_OFFLINE [{}]", ember.as_str().unwrap()));
    let pool = phantom.call("pool.get_all", [])[0].clone();
    assert_eq!(phantom.field("pool", &pool, "current_operations"), json!({}));
    phantom.call("host.destroy", [ember]);
    phantom.call("pool.designate_new_master", [ignite]);
}

#[test]
fn a_host_agrees_to_one_new_master_at_a_time() {
    let world = pool_of_three();
    let ember = local_session(&world, "ember");
    ember.call("host.propose_new_master", [json!("10.0.0.9"), json!(true)]);
    let phantom = Caller::login(&world, "phantom");
    let ignite = phantom.named("host", "ignite");
    let fault = phantom.fault("pool.designate_new_master", [ignite.clone()]);
    assert!(
        fault.starts_with("HA_ABORT_NEW_MASTER [Already agreed to commit host address '10.0.0.9'")
    );
    let fault = ember.fault("host.commit_new_master", [json!("10.0.0.2")]);
    assert!(fault.starts_with("HA_ABORT_NEW_MASTER [Received commit_new_master(10.0.0.2) but"));
    world.advance(seconds(60));
    assert_eq!(world.role("phantom"), Some(HostRole::Master));
    // Those who had agreed were told, so that somebody else may ask.
    let told = local_session(&world, "phantom");
    let fault = told.fault("host.commit_new_master", [json!("10.0.0.2")]);
    assert!(fault.ends_with("but never received a proposal]"), "{fault}");
    world.advance(seconds(600));
    phantom.call("pool.designate_new_master", [ignite]);
}

#[test]
fn a_hand_over_that_fails_between_its_phases_leaves_no_master() {
    let world = pool_of_three();
    let phantom = Caller::login(&world, "phantom");
    let ignite = phantom.named("host", "ignite");
    world.after(Duration::from_millis(450), |scene| scene.power_off("ember"));
    let fault = phantom.fault("pool.designate_new_master", [ignite.clone()]);
    assert_eq!(fault, format!("CANNOT_CONTACT_HOST [{}]", ignite.as_str().unwrap()));
    world.advance(seconds(60));
    assert_eq!(world.role("ignite"), Some(HostRole::Broken));
    assert_eq!(world.emergency("ignite").unwrap().code, "HOST_BROKEN");
    assert_eq!(world.role("phantom"), slave_of("10.0.0.2"));
    // The way out of it.
    local_session(&world, "ignite").call("pool.emergency_transition_to_master", []);
    world.advance(seconds(60));
    assert_eq!(world.role("ignite"), Some(HostRole::Master));
    assert_eq!(world.count("ignite", "host"), 3);
    assert_eq!(world.emergency("phantom"), None);
}

#[test]
fn one_hand_over_at_a_time() {
    let world = pool_of_three();
    let phantom = Caller::login(&world, "phantom");
    phantom.call("Async.pool.designate_new_master", [phantom.named("host", "ignite")]);
    let pool = phantom.call("pool.get_all", [])[0].clone();
    let running = phantom.field("pool", &pool, "current_operations");
    assert!(running.as_object().unwrap().values().eq(["designate_new_master"].iter()));
    assert_eq!(phantom.field("pool", &pool, "allowed_operations"), json!([]));
    let ember = phantom.named("host", "ember");
    let fault = phantom.fault("pool.designate_new_master", [ember.clone()]);
    assert_eq!(fault, "DESIGNATE_NEW_MASTER_IN_PROGRESS");
    // What may wait does so.
    let start = world.now();
    phantom.call("pool.eject", [ember]);
    assert!(world.now() - start > seconds(1));
}

#[test]
fn an_emergency_promotion_loses_what_the_last_copy_does_not_have() {
    let world = pool_of_three();
    let phantom = Caller::login(&world, "phantom");
    let vm = phantom.named("VM", "db");
    let rename = |name: &str| phantom.call("VM.set_name_label", [vm.clone(), json!(name)]);
    rename("copied");
    world.advance(seconds(301));
    rename("lost");
    let generation = world.database("phantom").unwrap().generation();
    world.power_off("phantom");
    let ignite = local_session(&world, "ignite");
    ignite.call("pool.emergency_transition_to_master", []);
    world.advance(seconds(30));
    assert_eq!(world.role("ignite"), Some(HostRole::Master));
    assert!(world.database("ignite").unwrap().generation() < generation + 20);
    let master = Caller::login(&world, "ignite");
    assert_eq!(master.field("VM", &vm, "name_label"), json!("copied"));
    // Ember still points to the dead master, and nobody has told it.
    assert_eq!(world.role("ember"), slave_of("10.0.0.1"));
    let recovered = master.call("pool.recover_slaves", []);
    assert_eq!(recovered, json!([master.named("host", "ember")]));
    world.advance(seconds(60));
    assert_eq!(world.role("ember"), slave_of("10.0.0.2"));
    assert_eq!(world.emergency("ember"), None);
}

#[test]
fn sync_database_saves_what_was_just_written() {
    let world = pool_of_three();
    let phantom = Caller::login(&world, "phantom");
    let vm = phantom.named("VM", "db");
    phantom.call("VM.set_name_label", [vm.clone(), json!("kept")]);
    phantom.call("pool.sync_database", []);
    world.power_off("phantom");
    local_session(&world, "ember").call("pool.emergency_transition_to_master", []);
    world.advance(seconds(30));
    assert_eq!(Caller::login(&world, "ember").field("VM", &vm, "name_label"), json!("kept"));
}

#[test]
fn an_old_master_that_returns_sees_that_its_time_is_over() {
    let world = pool_of_three();
    world.power_off("phantom");
    local_session(&world, "ignite").call("pool.emergency_transition_to_master", []);
    world.advance(seconds(30));
    world.power_on("phantom");
    world.advance(seconds(120));
    assert_eq!(world.role("phantom"), slave_of("10.0.0.2"));
    assert_eq!(world.emergency("phantom"), None);
    // But not if it cannot reach the new one.
    let world = pool_of_three();
    world.power_off("phantom");
    local_session(&world, "ignite").call("pool.emergency_transition_to_master", []);
    world.advance(seconds(30));
    world.act(|scene| {
        scene.cut("phantom", "ignite");
        scene.power_on("phantom");
    });
    world.advance(seconds(120));
    assert_eq!(world.role("phantom"), Some(HostRole::Master));
    assert_eq!(world.role("ignite"), Some(HostRole::Master));
}

#[test]
fn reset_master_makes_a_member_of_a_healthy_master() {
    let world = pool_of_three();
    let phantom = Caller::login(&world, "phantom");
    let fault = phantom.fault("pool.emergency_reset_master", [json!("nowhere.invalid")]);
    assert_eq!(fault, "INTERNAL_ERROR [Couldn't resolve hostname: nowhere.invalid]");
    // By its name: what is written down is the address.
    phantom.call("pool.emergency_reset_master", [json!("ember")]);
    world.advance(seconds(60));
    assert_eq!(world.role("phantom"), slave_of("10.0.0.3"));
    // Both point to each other: there is no master any more.
    assert_eq!(world.emergency("phantom").unwrap().to_string(), "HOST_IS_SLAVE [10.0.0.1]");
}

#[test]
fn an_ejected_host_comes_back_as_a_fresh_one() {
    let world = pool_of_three();
    let phantom = Caller::login(&world, "phantom");
    let ember = phantom.named("host", "ember");
    let uuid = phantom.field("host", &ember, "uuid");
    let nic = |world: &World, host: &str, uuid: &Json| {
        let saved = world.database(host).unwrap().save();
        let hosts = saved["host"].as_object().unwrap();
        let (reference, _) = hosts.iter().find(|(_, host)| host["uuid"] == *uuid).unwrap();
        let pifs = saved["PIF"].as_object().unwrap().values();
        let mut macs: Vec<_> = pifs
            .filter(|pif| pif["host"] == json!(reference))
            .map(|pif| (pif["device"].to_string(), pif["MAC"].to_string()))
            .collect();
        macs.sort();
        macs
    };
    let macs = nic(&world, "phantom", &uuid);
    let srs = world.count("phantom", "SR");
    phantom.call("pool.eject", [ember.clone()]);
    assert_eq!(world.count("phantom", "host"), 2);
    assert_eq!(world.count("phantom", "SR"), srs - 3);
    let left = |world: &World| {
        let saved = world.database("phantom").unwrap().save();
        ["PIF", "PBD", "VM"].map(|class| {
            let rows = saved[class].as_object().unwrap().values();
            let field = if class == "VM" { "resident_on" } else { "host" };
            rows.filter(|row| row[field] == ember).count()
        })
    };
    // Its NICs and PBDs are collected later.
    assert_eq!(left(&world), [2, 2, 0]);
    world.advance(seconds(31));
    assert_eq!(left(&world), [0, 0, 0]);

    // For ten seconds it answers as before, then not at all for minutes.
    let transport = world.transport();
    let login =
        || raw(&transport, "ember", "session.login_with_password", json!(["root", "xcp-test"]));
    assert!(matches!(login(), Err(Failed::Lost(_))));
    world.advance(seconds(240));
    let fresh = Caller::login(&world, "ember");
    let host = fresh.named("host", "ember");
    assert_eq!(fresh.field("host", &host, "uuid"), uuid);
    let pool = |caller: &Caller, field: &str| {
        let pool = caller.call("pool.get_all", [])[0].clone();
        caller.field("pool", &pool, field)
    };
    assert_ne!(pool(&fresh, "uuid"), pool(&phantom, "uuid"));
    assert_eq!(pool(&fresh, "tls_verification_enabled"), json!(false));
    assert_eq!(nic(&world, "ember", &uuid), macs);
    assert_eq!(fresh.field("host", &host, "enabled"), json!(true));
    let local = fresh.named("SR", "Local storage");
    assert_eq!(fresh.field("SR", &local, "VDIs"), json!([]));
    // The pool still verifies certificates.
    let params = [json!("10.0.0.1"), json!("root"), json!("xcp-test")];
    let fault = fresh.fault("pool.join", params.clone());
    assert_eq!(fault, "POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH");
    fresh.call("pool.enable_tls_verification", []);
    fresh.call("pool.join", params);
    world.advance(seconds(60));
    assert_eq!(world.role("ember"), slave_of("10.0.0.1"));
    assert_eq!(world.count("phantom", "SR"), srs);
}

#[test]
fn a_host_with_vms_or_disks_in_use_is_not_ejected() {
    let spec = PoolSpec::new("pool", Release::XcpNg82)
        .host("phantom", "10.0.0.1")
        .host("ember", "10.0.0.3")
        .shared_sr("NFS", "nfs")
        .vm(VmSpec::running("web", "ember").disk("NFS", 10));
    let world = World::builder().pool(spec).build().unwrap();
    let phantom = Caller::login(&world, "phantom");
    let ember = phantom.named("host", "ember");
    let fault = phantom.fault("pool.eject", [ember.clone()]);
    assert_eq!(fault, "OPERATION_NOT_ALLOWED [VM resident on host]");
    let halt = |database: &mut Database| {
        let vm = database.by_name_label("VM", "web")[0].clone();
        database.set("VM", &vm, "power_state", "Halted")
    };
    world.act(|scene| scene.edit("phantom", halt)).unwrap();
    let fault = phantom.fault("pool.eject", [ember.clone()]);
    assert!(fault.starts_with("VDI_IN_USE ["), "{fault}");
    let updates = Value::map([("OpaqueRef:task", "apply_updates")]);
    for (field, value, fault) in [
        ("current_operations", updates, "NOT_SUPPORTED_DURING_UPGRADE"),
        ("ha_enabled", true.into(), "HA_IS_ENABLED"),
    ] {
        let set = |database: &mut Database| {
            let pool = database.refs("pool")[0].clone();
            database.set("pool", &pool, field, value)
        };
        world.act(|scene| scene.edit("phantom", set)).unwrap();
        assert_eq!(phantom.fault("pool.eject", [ember.clone()]), fault);
    }
    assert_eq!(world.count("phantom", "host"), 2);
}
