//! The simulator's `pool.join` against every join that was recorded from the real server.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::compare::{Before, Exception, differences};
use crate::support::{Caller, Failed, raw};
use serde_json::{Value as Json, json};
use xcp_pool::Fault;
use xcp_pool::election::HostRole;
use xcp_pool::simulator::database::Database;
use xcp_pool::simulator::{Injection, PoolSpec, Release, Trouble, World, WorldTransport};
use xcp_pool::transport::{Cancel, Clock, Endpoint, Limits, Request, Transport};

/// One recorded join.
struct Recording {
    name: String,
    json: Json,
}

impl Recording {
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oracle/joins");
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        let recordings = paths.iter().map(|path| Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            json: serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap(),
        });
        recordings.collect()
    }

    fn joiner(&self) -> &str {
        self.json["joiner_address"].as_str().unwrap()
    }

    fn master(&self) -> &str {
        self.json["master_address"].as_str().unwrap()
    }

    /// The world before the join.
    fn world(&self) -> World {
        let load = |side: &str| Database::load(Release::Newest, &self.json[side]).unwrap();
        let builder =
            World::builder().database(load("joiner_before")).database(load("pool_before"));
        let world = builder.build().unwrap();
        let hosts = self.json["pool_before"]["host"].as_object().unwrap();
        let joiner = &self.json["joiner_before"]["host"].as_object().unwrap();
        let joiner = joiner.values().next().unwrap();
        // A member that is not there costs the join 200 s.
        let silent = self.json["join"]["seconds"].as_f64().unwrap() > 200.0;
        let members = hosts.values().filter(|host| silent && host["uuid"] != joiner["uuid"]);
        for host in members {
            let address = host["address"].as_str().unwrap();
            if address != self.master() {
                world.power_off(address);
            }
        }
        if let Some(text) = self.late_error() {
            let fault = Fault::new("INTERNAL_ERROR", [text]);
            world.act(|scene| scene.break_bridge_change(self.joiner(), fault));
        }
        world
    }

    /// The error of the set-up that ended joins with a renamed bridge.
    fn late_error(&self) -> Option<&str> {
        let error = &self.json["join"]["response"]["error"];
        (error["message"] == "INTERNAL_ERROR").then(|| error["data"][0].as_str().unwrap())
    }

    /// Makes the recorded call and waits for its end.
    fn join(&self, world: &World) -> Joined {
        let caller = Caller::login(world, self.joiner());
        let start = world.now();
        let request = &self.json["join"]["request"];
        let mut params = request["params"].clone();
        params[0] = json!(caller.session);
        let method = request["method"].as_str().unwrap();
        let mut answer = raw(&caller.transport, self.joiner(), method, params);
        let mut task = None;
        if let (true, Ok(reference)) = (method.starts_with("Async."), &answer) {
            let mut records = Vec::new();
            loop {
                let record = caller.call("task.get_record", [reference.clone()]);
                let ended = record["status"] != "pending";
                if records.last() != Some(&record) {
                    records.push(record);
                }
                if ended {
                    break;
                }
                caller.transport.sleep(Duration::from_millis(100), &Cancel::new()).unwrap();
            }
            task = Some(records);
            answer = Ok(json!(""));
        }
        let seconds = (world.now() - start).as_secs_f64();
        Joined { answer: envelope(answer), seconds, task, caller }
    }

    /// What the recorded call came to.
    fn answer(&self) -> Json {
        let response = &self.json["join"]["response"];
        match &response["error"] {
            Json::Null if self.json["join"]["task_records"].is_array() => json!(""),
            Json::Null => response["result"].clone(),
            error => json!([error["message"], error["data"]]),
        }
    }

    /// Whether the recording goes on until the joiner is a member.
    fn settles(&self) -> bool {
        let timeline = self.json["timeline"].as_array().unwrap();
        timeline.iter().any(|entry| entry["what"] == "settled" && entry["answer"] == true)
    }

    /// Whether the joiner was killed after it had answered.
    fn dies(&self) -> bool {
        self.answer() == json!("") && !self.settles()
    }

    /// What logins at the joiner came to after the join, and when after its answer.
    fn logins(&self) -> Vec<(f64, String)> {
        let timeline = self.json["timeline"].as_array().unwrap();
        let at = |entry: &Json| entry["t"].as_f64().unwrap();
        let logins = timeline.iter().filter(|entry| entry["what"] == "joiner: login");
        let mut logins = logins.peekable();
        let Some(start) = logins.peek().map(|login| at(login)) else { return Vec::new() };
        let seen = |answer: &Json| match &answer["error"] {
            Json::Null if answer["exception"].is_string() => "no reply".to_owned(),
            Json::Null => "a session".to_owned(),
            Json::Array(early) => format!("early {}", early[0].as_str().unwrap()),
            error => format!("{} {}", error["message"].as_str().unwrap(), error["data"]),
        };
        let mut changes: Vec<(f64, String)> = Vec::new();
        for login in logins {
            let seen = seen(&login["answer"]);
            if changes.last().is_none_or(|(_, last)| *last != seen) {
                changes.push((at(login) - start, seen));
            }
        }
        changes
    }
}

/// What a join came to.
struct Joined {
    /// `""`, or the code and the parameters of the error.
    answer: Json,
    seconds: f64,
    /// The different states of its task.
    task: Option<Vec<Json>>,
    caller: Caller,
}

fn envelope(answer: Result<Json, Failed>) -> Json {
    match answer {
        Ok(result) => result,
        Err(Failed::Fault(fault)) => json!([fault.code, fault.params]),
        Err(Failed::Lost(error)) => panic!("no reply: {error}"),
    }
}

/// Where the recording shows its set-up rather than the server, or a later moment.
const EXCEPTIONS: &[Exception] = &[
    Exception { class: "host", field: "enabled", reason: AFTER_THE_START },
    Exception { class: "host", field: "allowed_operations", reason: AFTER_THE_START },
    Exception { class: "host_metrics", field: "live", reason: AFTER_THE_START },
];

/// Artefact 4 of the recordings' README.
const AFTER_THE_START: &str =
    "recorded when the member had started; what its start writes is held back here";

#[test]
fn the_masters_database_after_a_join_is_the_recorded_one() {
    let mut found = Vec::new();
    for recording in Recording::all() {
        let world = recording.world();
        let joined = recording.join(&world);
        assert_eq!(joined.answer, recording.answer(), "{}", recording.name);
        let after = world.database(recording.master()).unwrap().save();
        let json = &recording.json;
        let before = Before { joiner: &json["joiner_before"], pool: &json["pool_before"] };
        let recorded = if json["pool_after"].is_null() { before.pool } else { &json["pool_after"] };
        let exceptions = if recording.settles() { EXCEPTIONS } else { &[] };
        let lines = differences(&before, recorded, &after, exceptions);
        found.extend(lines.into_iter().map(|line| format!("{}: {line}", recording.name)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_exception_is_needed() {
    let recordings = Recording::all();
    let recording = &recordings[0];
    let world = recording.world();
    recording.join(&world);
    let after = world.database(recording.master()).unwrap().save();
    let json = &recording.json;
    let before = Before { joiner: &json["joiner_before"], pool: &json["pool_before"] };
    let lines = differences(&before, &json["pool_after"], &after, &[]);
    assert_eq!(lines.len(), EXCEPTIONS.len(), "{lines:?}");
    for Exception { class, field, reason } in EXCEPTIONS {
        let line = lines.iter().find(|line| line.starts_with(class) && line.contains(field));
        assert!(line.is_some(), "{class}.{field} does not differ: {reason}");
    }
}

#[test]
fn a_join_ignores_the_errors_that_the_recorded_one_ignored() {
    for recording in Recording::all() {
        let world = recording.world();
        recording.join(&world);
        let ignored = world.ignored_errors(recording.joiner());
        let log = recording.json["swallowed_errors_in_the_joiners_log"].as_array().unwrap();
        let log: Vec<_> = log.iter().map(|line| line.as_str().unwrap()).collect();
        for fault in &ignored {
            let found = log
                .iter()
                .any(|line| line.contains(&fault.code) && line.contains(&fault.params.join("; ")));
            assert!(found, "{}: {fault} was not recorded", recording.name);
        }
        let recorded = log.iter().filter(|line| line.contains("Server_error("));
        assert_eq!(ignored.len(), recorded.count(), "{}: {ignored:?}", recording.name);
    }
}

#[test]
fn a_join_takes_about_as_long_as_recorded() {
    for recording in Recording::all() {
        let joined = recording.join(&recording.world());
        let recorded = recording.json["join"]["seconds_until_task_ended"].as_f64();
        let recorded = recorded.or(recording.json["join"]["seconds"].as_f64()).unwrap();
        let ratio = joined.seconds / recorded;
        assert!((0.7..1.4).contains(&ratio), "{}: {} s", recording.name, joined.seconds);
    }
}

#[test]
fn an_async_join_shows_the_recorded_task_until_the_joiner_restarts() {
    let recordings = Recording::all();
    let recording = recordings.iter().find(|recording| recording.name.starts_with("15")).unwrap();
    let world = recording.world();
    let joined = recording.join(&world);
    let made_up = |record: &Json| {
        let mut record = record.clone();
        for field in ["uuid", "created", "finished"] {
            record[field] = json!(record[field] == "19700101T00:00:00Z");
        }
        record
    };
    let seen: Vec<_> = joined.task.unwrap().iter().map(made_up).collect();
    let recorded = recording.json["join"]["task_records"].as_array().unwrap();
    assert_eq!(seen, recorded.iter().map(made_up).collect::<Vec<_>>());
    // The task lives in the old database, as long as that lives.
    joined.caller.sleep(9);
    assert_eq!(joined.caller.call("task.get_all", []).as_array().unwrap().len(), 1);
    joined.caller.sleep(20);
    let fault = joined.caller.fault("task.get_all", []);
    assert_eq!(fault, format!("SESSION_INVALID [{}]", joined.caller.session));
}

#[test]
fn a_joiner_is_seen_as_recorded_until_it_is_a_member() {
    for recording in Recording::all() {
        let world = recording.world();
        let joined = recording.join(&world);
        let recorded = recording.logins();
        let (transport, start) = (&joined.caller.transport, world.now());
        let Some((end, _)) = recorded.last() else { continue };
        if recording.dies() {
            let joiner = recording.joiner().to_owned();
            let end = Duration::from_secs_f64(*end);
            world.after(end, move |scene| scene.power_off(&joiner));
        }
        let mut seen: Vec<(f64, String)> = Vec::new();
        while world.now() - start < Duration::from_secs(30) {
            let at = (world.now() - start).as_secs_f64();
            let login = login(transport, recording.joiner());
            if seen.last().is_none_or(|(_, last)| *last != login) {
                seen.push((at, login));
            }
            transport.sleep(Duration::from_millis(250), &Cancel::new()).unwrap();
        }
        let answers = |logins: &[(f64, String)]| -> Vec<String> {
            logins.iter().map(|(_, answer)| answer.clone()).collect()
        };
        assert_eq!(answers(&seen), answers(&recorded), "{}", recording.name);
        for ((seen, answer), (recorded, _)) in seen.iter().zip(&recorded) {
            let close = (seen - recorded).abs() < 2.0;
            assert!(close, "{}: {answer} at {seen} s, recorded {recorded} s", recording.name);
        }
        let master = Caller::login(&world, recording.master());
        let uuid = recording.json["joiner_before"]["host"].as_object().unwrap();
        let uuid = uuid.values().next().unwrap()["uuid"].clone();
        if recording.settles() {
            let host = master.call("host.get_by_uuid", [uuid]);
            assert_eq!(master.field("host", &host, "enabled"), json!(true));
            let metrics = master.field("host", &host, "metrics");
            assert_eq!(master.field("host_metrics", &metrics, "live"), json!(true));
        }
        let session = if recording.settles() { "HOST_IS_SLAVE" } else { "SESSION_INVALID" };
        let elsewhere = Caller { host: recording.joiner().to_owned(), ..master };
        if !recording.dies() {
            assert!(elsewhere.fault("host.get_all", []).starts_with(session), "{}", recording.name);
        }
    }
}

/// What a login comes to, in words.
fn login(transport: &WorldTransport, host: &str) -> String {
    let body = json!({
        "jsonrpc": "2.0",
        "method": "session.login_with_password",
        "params": ["root", "xcp-test"],
        "id": 1,
    });
    let (body, endpoint, cancel) = (body.to_string(), Endpoint::https(host), Cancel::new());
    let limits = Limits::within(Duration::from_secs(60));
    let request = Request::new(&endpoint, body.as_bytes(), limits, &cancel);
    let Ok(reply) = transport.exchange(&request) else { return "no reply".to_owned() };
    let reply: Json = serde_json::from_slice(&reply.into_bytes().unwrap()).unwrap();
    match &reply["error"] {
        Json::Null => "a session".to_owned(),
        Json::Array(early) => format!("early {}", early[0].as_str().unwrap()),
        error => format!("{} {}", error["message"].as_str().unwrap(), error["data"]),
    }
}

/// The recorded world of a join by its number.
fn recorded(number: &str) -> Recording {
    let mut all = Recording::all().into_iter();
    all.find(|recording| recording.name.starts_with(number)).unwrap()
}

/// A pool of one, and two hosts that may join it.
fn three_hosts(release: Release) -> World {
    let host = |name: &str, address: &str| PoolSpec::new("", release).host(name, address);
    let pool = PoolSpec::new("pool", release).host("phantom", "10.0.0.1").shared_sr("NFS", "nfs");
    let builder = World::builder().pool(pool);
    let builder = builder.pool(host("ignite", "10.0.0.2")).pool(host("ember", "10.0.0.3"));
    builder.build().unwrap()
}

fn join_params() -> [Json; 3] {
    [json!("10.0.0.1"), json!("root"), json!("xcp-test")]
}

/// The only object of a class that has a value in a field.
fn one_with<'a>(saved: &'a Json, class: &str, field: &str, value: &Json) -> &'a Json {
    let rows = saved[class].as_object().unwrap().values();
    let found: Vec<_> = rows.filter(|row| row[field] == *value).collect();
    assert_eq!(found.len(), 1, "{class} with {field} {value}");
    found[0]
}

#[test]
fn a_members_start_brings_what_the_recordings_lack() {
    let recording = recorded("12");
    let world = recording.world();
    let own = world.database(recording.joiner()).unwrap().save();
    recording.join(&world);
    world.advance(Duration::from_secs(30));
    let pool = world.database(recording.master()).unwrap().save();
    let address = json!(recording.joiner());
    let host = one_with(&pool, "host", "address", &address);
    let host_ref = pool["host"].as_object().unwrap().iter().find(|(_, row)| *row == host);
    let host_ref = json!(host_ref.unwrap().0);
    assert_eq!(host["enabled"], json!(true));
    assert_eq!(host["cpu_info"], own["host"]["OpaqueRef:host-a1"]["cpu_info"]);
    let metrics = &pool["host_metrics"][host["metrics"].as_str().unwrap()];
    assert_eq!(metrics["memory_total"], json!(34_359_738_368_i64));
    let domain = &pool["VM"][host["control_domain"].as_str().unwrap()];
    assert_eq!((&domain["power_state"], &domain["domid"]), (&json!("Running"), &json!(0)));
    assert_eq!(host["certificates"].as_array().unwrap().len(), 2);

    let mine = |class: &str| -> Vec<&Json> {
        let rows = pool[class].as_object().unwrap().values();
        rows.filter(|row| row["host"] == host_ref).collect()
    };
    // eth0 to eth2, the bond of the last two, the VLAN on it.
    let mut pifs: Vec<_> = mine("PIF").iter().map(|pif| (&pif["device"], &pif["VLAN"])).collect();
    pifs.sort_by_key(|pif| format!("{pif:?}"));
    let expected = [("bond0", -1), ("bond0", 10), ("eth0", -1), ("eth1", -1), ("eth2", -1)];
    let expected = expected.map(|(device, tag)| (json!(device), json!(tag)));
    assert!(pifs.into_iter().eq(expected.iter().map(|(device, tag)| (device, tag))));
    assert_eq!(pool["Bond"].as_object().unwrap().len(), 2);
    assert_eq!(pool["VLAN"].as_object().unwrap().len(), 2);

    // The four of its own and the two that the master has; not the ISO library without a PBD.
    let pbds = mine("PBD");
    assert_eq!(pbds.len(), 6);
    let attached: Vec<_> = pbds.iter().filter(|pbd| pbd["currently_attached"] == true).collect();
    assert_eq!(attached.len(), 5, "no driver knows lvmoiscsi");
    let iscsi = pbds.iter().find(|pbd| pbd["device_config"]["target"] == "10.0.0.101").unwrap();
    assert!(iscsi["device_config"].get("SRmaster").is_none());
    let local = one_with(&pool, "SR", "uuid", &own["SR"]["OpaqueRef:sr-a-local"]["uuid"]);
    assert_eq!(local["physical_size"], own["SR"]["OpaqueRef:sr-a-local"]["physical_size"]);
    assert_eq!(pool["pool"]["OpaqueRef:pool-b"]["cpu_info"]["cpu_count"], "16");
}

#[test]
fn a_host_whose_vms_did_not_arrive_makes_its_control_domain_itself() {
    let recording = recorded("08");
    let world = recording.world();
    recording.join(&world);
    let domain = json!("25676d53-ee91-5d3f-9314-dfc3e8342c2a");
    let count = |world: &World| {
        let saved = world.database(recording.master()).unwrap().save();
        let rows = saved["VM"].as_object().unwrap().values();
        rows.filter(|row| row["uuid"] == domain).count()
    };
    assert_eq!(count(&world), 0);
    world.advance(Duration::from_secs(30));
    assert_eq!(count(&world), 1);
}

#[test]
fn a_second_joiner_comes_into_a_pool_of_two() {
    for release in Release::ALL {
        let world = three_hosts(release);
        for joiner in ["ignite", "ember"] {
            Caller::login(&world, joiner).call("pool.join", join_params());
            world.advance(Duration::from_secs(30));
        }
        assert_eq!(world.count("phantom", "host"), 3);
        let saved = world.database("phantom").unwrap().save();
        for host in saved["host"].as_object().unwrap().values() {
            assert_eq!(host["enabled"], json!(true), "{release:?} {}", host["name_label"]);
        }
        let nfs = one_with(&saved, "SR", "name_label", &json!("NFS"));
        let tools = one_with(&saved, "SR", "is_tools_sr", &json!(true));
        for sr in [nfs, tools] {
            let pbds = sr["PBDs"].as_array().unwrap();
            assert_eq!(pbds.len(), 3, "{release:?}");
            for pbd in pbds {
                assert_eq!(saved["PBD"][pbd.as_str().unwrap()]["currently_attached"], json!(true));
            }
        }
        assert_eq!(world.role("ember"), Some(HostRole::Slave("10.0.0.1".to_owned())));
        assert_eq!(world.open_sessions(), 0, "{release:?}");
    }
}

#[test]
fn two_joins_at_once_take_turns_where_certificates_are_exchanged() {
    let world = three_hosts(Release::Newest);
    let (ignite, ember) = (Caller::login(&world, "ignite"), Caller::login(&world, "ember"));
    ignite.call("Async.pool.join", join_params());
    ember.call("Async.pool.join", join_params());
    let master = Caller::login(&world, "phantom");
    let pool = master.call("pool.get_all", [])[0].clone();
    let mut seen = Vec::new();
    for _ in 0..800 {
        let running = master.field("pool", &pool, "current_operations");
        let running: Vec<_> = running.as_object().unwrap().values().cloned().collect();
        assert!(running.len() <= 1, "{running:?}");
        if seen.last() != running.first() {
            seen.extend(running.first().cloned());
        }
        master.transport.sleep(Duration::from_millis(10), &Cancel::new()).unwrap();
    }
    let names = ["exchange_certificates_on_join", "exchange_ca_certificates_on_join"];
    for name in names {
        assert!(seen.contains(&json!(name)), "{seen:?}");
    }
    world.advance(Duration::from_secs(30));
    assert_eq!(world.count("phantom", "host"), 3);
    assert_eq!(world.count("phantom", "task"), 0);
}

#[test]
fn a_join_that_fails_late_leaves_everything_behind() {
    let recording = recorded("14");
    let world = recording.world();
    let joined = recording.join(&world);
    world.advance(Duration::from_secs(60));
    assert_eq!(world.role(recording.joiner()), Some(HostRole::Master));
    assert_eq!(joined.caller.call("host.get_all", []).as_array().unwrap().len(), 1);
    let master = Caller::login(&world, recording.master());
    let host = master.named("host", "joiner");
    assert_eq!(master.field("host", &host, "enabled"), json!(false));
    // The way out: the master forgets it.
    master.call("host.destroy", [host]);
    assert_eq!(world.count(recording.master(), "host"), 1);
}

#[test]
fn a_joiner_whose_reply_is_lost_joins_all_the_same() {
    let world = three_hosts(Release::XcpNg83);
    world.trouble(Injection::new(Trouble::LoseReply).host("ignite").method("pool.join"));
    let lost = Caller::login(&world, "ignite").try_call("pool.join", join_params());
    assert_eq!(lost.unwrap_err().lost().kind(), xcp_pool::ErrorKind::Transport);
    world.advance(Duration::from_secs(30));
    let master = Caller::login(&world, "phantom");
    let host = master.named("host", "ignite");
    assert_eq!(master.field("host", &host, "enabled"), json!(true));
}

#[test]
fn a_joiner_that_dies_after_the_answer_leaves_a_disabled_host() {
    let world = three_hosts(Release::Newest);
    let before = world.count("phantom", "SR");
    Caller::login(&world, "ignite").call("pool.join", join_params());
    world.power_off("ignite");
    world.advance(Duration::from_secs(60));
    let master = Caller::login(&world, "phantom");
    let host = master.named("host", "ignite");
    assert_eq!(master.field("host", &host, "enabled"), json!(false));
    let metrics = master.field("host", &host, "metrics");
    assert_eq!(master.field("host_metrics", &metrics, "live"), json!(false));
    assert_eq!(world.count("phantom", "SR"), before + 3);
}

#[test]
fn a_join_fails_when_its_master_dies_on_the_way() {
    for (millis, arrived) in [(1000, false), (3500, true)] {
        let world = three_hosts(Release::Newest);
        let ignite = Caller::login(&world, "ignite");
        world.after(Duration::from_millis(millis), |scene| scene.power_off("phantom"));
        let fault = ignite.fault("pool.join", join_params());
        assert_eq!(fault, "INTERNAL_ERROR [Connection failed: connection refused.]");
        world.advance(Duration::from_secs(60));
        assert_eq!(world.role("ignite"), Some(HostRole::Master));
        world.power_on("phantom");
        world.advance(Duration::from_secs(120));
        assert_eq!(world.count("phantom", "host") == 2, arrived, "after {millis} ms");
    }
}

#[test]
fn a_master_that_restarts_on_the_way_knows_the_session_no_more() {
    let world = three_hosts(Release::Newest);
    let ignite = Caller::login(&world, "ignite");
    // It is back before the joiner asks again.
    world.after(Duration::from_millis(300), |scene| scene.restart_toolstack("phantom"));
    assert!(ignite.fault("pool.join", join_params()).starts_with("SESSION_INVALID"));
}

#[test]
fn a_joiner_that_dies_during_the_exchange_does_not_keep_the_pool_busy() {
    let world = three_hosts(Release::Newest);
    let ignite = Caller::login(&world, "ignite");
    world.after(Duration::from_millis(1600), |scene| {
        let begun = scene.edit("phantom", |database| {
            let pool = database.refs("pool")[0].clone();
            assert!(!database.object("pool", &pool).unwrap().is_empty("current_operations"));
            Ok(())
        });
        begun.unwrap();
        scene.power_off("ignite");
    });
    ignite.try_call("pool.join", join_params()).unwrap_err().lost();
    let master = Caller::login(&world, "phantom");
    let pool = master.call("pool.get_all", [])[0].clone();
    assert_eq!(master.field("pool", &pool, "current_operations"), json!({}));
    Caller::login(&world, "ember").call("pool.join", join_params());
}
