//! The life of a pool of three hosts, step by step as it was recorded, twice.
#![cfg(feature = "simulator")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use support::Caller;
use xcp_pool::simulator::{Database, Release, World};
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

    /// Makes a recorded call again; answers how its outcome differs.
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
