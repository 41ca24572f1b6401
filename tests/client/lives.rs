//! The client in the recorded lives of a real pool of three hosts: what it concludes at each step.
//!
//! The conclusions are in `tests/data/lives`; `BLESS=1` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use xcp_pool::client::{Client, Credentials, LoginFailure, OneHost, Role, Scope};
use xcp_pool::model::{Host, Ref};
use xcp_pool::transport::{Body, Cancel, Clock, Endpoint, Limits, Request, Transport};
use xcp_pool::{Error, ErrorKind};

/// The hosts of the recordings.
const MASTER: &str = "127.0.7.1";
const FIRST_JOINER: &str = "127.0.7.4";
const SECOND_JOINER: &str = "127.0.7.5";

/// How a host answers a login, from a step on.
#[derive(Clone, Debug, PartialEq)]
enum Answers {
    /// With a session.
    Master,
    /// With this text, whatever is asked.
    Text(String),
    /// Nobody is there.
    Nothing,
}

/// A recorded life, and how far it is.
#[derive(Clone)]
struct Life(Arc<Mutex<State>>);

struct State {
    steps: Vec<Json>,
    now: usize,
    hosts: BTreeMap<&'static str, Answers>,
    /// Open sessions, with their host.
    sessions: BTreeMap<String, String>,
    opened: usize,
    /// Which hosts are in the pool, and not in one of their own.
    joined: BTreeSet<&'static str>,
    /// How often the step's own call was asked for.
    asked: usize,
    time: Duration,
}

fn read_life(name: &str) -> Vec<Json> {
    let path = format!("{}/tests/data/oracle/exchanges/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut steps: Vec<Json> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for step in &mut steps {
        if let Json::String(text) = &step["request"] {
            step["request"] = serde_json::from_str(text).unwrap();
        }
    }
    steps
}

fn known(address: &str) -> &'static str {
    [MASTER, FIRST_JOINER, SECOND_JOINER].into_iter().find(|known| *known == address).unwrap()
}

fn member_of(master: &str) -> Answers {
    let error = json!({"code": 1, "message": "HOST_IS_SLAVE", "data": [master]});
    Answers::Text(json!({"jsonrpc": "2.0", "error": error, "id": 1}).to_string())
}

/// From now on a host answers like this.
type Unseen = (&'static str, fn() -> Answers);

/// What a recording knows but does not show with a login: hosts that nobody asks at that time.
fn unseen(step: &str) -> &'static [Unseen] {
    match step {
        "hosts_after_two_joins" => &[(SECOND_JOINER, || member_of(MASTER))],
        "old_master_after_designate_5" => &[(SECOND_JOINER, || member_of(FIRST_JOINER))],
        // The new master's process was killed.
        "member_login_master_dead" => &[(FIRST_JOINER, || Answers::Nothing)],
        // Its xapi has restarted as what it was told to be.
        "hosts_after_emergency" => &[(MASTER, || Answers::Master)],
        _ => &[],
    }
}

impl Life {
    fn new(name: &str) -> Self {
        let hosts = [MASTER, FIRST_JOINER, SECOND_JOINER].map(|host| (host, Answers::Master));
        Self(Arc::new(Mutex::new(State {
            steps: read_life(name),
            now: 0,
            hosts: hosts.into(),
            sessions: BTreeMap::new(),
            opened: 0,
            joined: BTreeSet::from([MASTER]),
            asked: 0,
            time: Duration::ZERO,
        })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// Goes on to a step: every host is as the recording shows it then.
    fn go_to(&self, now: usize) {
        self.with(|state| {
            state.now = now;
            state.asked = 0;
            let step = state.steps[now].clone();
            let name = step["name"].as_str().unwrap();
            let mut changes: Vec<_> =
                unseen(name).iter().map(|(host, answers)| (*host, answers())).collect();
            let host = known(step["host"].as_str().unwrap());
            let text = step["response"].as_str();
            if step["request"]["method"] == "session.login_with_password" {
                let reply: Json = serde_json::from_str(text.unwrap()).unwrap();
                changes.push(match reply["result"] {
                    Json::Null => (host, Answers::Text(text.unwrap().to_owned())),
                    _ => (host, Answers::Master),
                });
            } else if let Some(text) = text.filter(|text| text.contains(r#""error":["#)) {
                // Raised before dispatch: whatever is asked.
                changes.push((host, Answers::Text(text.to_owned())));
            }
            for (host, answers) in changes {
                let before = state.hosts.insert(host, answers.clone());
                if before != Some(answers) {
                    // It has restarted, and forgotten its sessions.
                    state.sessions.retain(|_, at| at != host);
                    state.joined.insert(host);
                }
            }
        });
    }

    fn client(&self, address: &str) -> Client {
        Client::builder(self.clone())
            .limits(Limits::within(Duration::from_secs(150)))
            .connect(address, &credentials())
            .unwrap()
    }
}

fn credentials() -> Credentials {
    Credentials::new("root", "xcp-test")
}

fn result(value: &Json) -> String {
    json!({"jsonrpc": "2.0", "result": value, "id": 1}).to_string()
}

fn fault(code: &str, params: &[&str]) -> String {
    let error = json!({"code": 1, "message": code, "data": params});
    json!({"jsonrpc": "2.0", "error": error, "id": 1}).to_string()
}

impl State {
    /// The reply of a host, unless the connection breaks.
    fn answer(&mut self, host: &'static str, method: &str, params: &[Json]) -> Option<String> {
        let session = params.first().and_then(Json::as_str).unwrap_or_default();
        if method == "session.logout" || method == "session.local_logout" {
            self.sessions.remove(session);
            return Some(result(&json!("")));
        }
        let step = &self.steps[self.now];
        let is_step = step["host"] == host && step["request"]["method"] == method;
        if method == "session.slave_local_login_with_password" {
            let refused = step["response"].as_str().filter(|text| text.contains("error"));
            return match refused.filter(|_| is_step) {
                Some(refused) => Some(refused.to_owned()),
                None => Some(self.open(host)),
            };
        }
        if is_step && method != "session.login_with_password" {
            self.asked += 1;
            self.time += Duration::from_secs_f64(step["seconds"].as_f64().unwrap());
            let recorded = step["request"]["params"][0].as_str();
            return step["response"].as_str().map(|text| match recorded {
                Some(recorded) if !recorded.is_empty() => text.replace(recorded, session),
                _ => text.to_owned(),
            });
        }
        match &self.hosts[host] {
            Answers::Nothing => return None,
            Answers::Text(text) => return Some(text.clone()),
            Answers::Master => {}
        }
        if method == "session.login_with_password" {
            return Some(self.open(host));
        }
        if !self.sessions.contains_key(session) {
            return Some(fault("SESSION_INVALID", &[session]));
        }
        let pool = if self.joined.contains(host) { "pool-b" } else { host };
        Some(match method {
            "session.get_this_host" => result(&json!(format!("OpaqueRef:{host}"))),
            "pool.get_all_records" => {
                result(&json!({"OpaqueRef:p": {"uuid": pool, "master": "OpaqueRef:h"}}))
            }
            "host.get_all" => result(&json!(["OpaqueRef:h"])),
            "event.from" => {
                let event = |class: &str, reference: &str, record: Json| {
                    json!({"id": "1", "timestamp": "0.0", "class": class, "operation": "add",
                           "ref": reference, "snapshot": record})
                };
                let mut events = vec![event("pool", "OpaqueRef:p", json!({"uuid": pool}))];
                for (number, host) in self.joined.iter().enumerate() {
                    let reference = format!("OpaqueRef:h{number}");
                    events.push(event("host", &reference, json!({"address": host})));
                }
                let counts = json!({"pool": 1, "host": self.joined.len()});
                result(&json!({"events": events, "valid_ref_counts": counts, "token": "1,0"}))
            }
            other => panic!("{host} {other}"),
        })
    }

    fn open(&mut self, host: &str) -> String {
        self.opened += 1;
        let session = format!("OpaqueRef:session-{}", self.opened);
        self.sessions.insert(session.clone(), host.to_owned());
        result(&json!(session))
    }
}

impl Transport for Life {
    fn exchange(&self, request: &Request<'_>) -> Result<Body, Error> {
        let host = known(request.endpoint.host());
        let call: Json = serde_json::from_slice(request.body).unwrap();
        let params = call["params"].as_array().unwrap();
        let until = self.now().saturating_add(request.limits.overall);
        let reply = self.with(|state| {
            let reply = state.answer(host, call["method"].as_str().unwrap(), params);
            if state.time > until { Err(ErrorKind::Timeout) } else { Ok(reply) }
        });
        match reply {
            Ok(Some(text)) => Ok(Body::Bytes(text.into_bytes())),
            Ok(None) => {
                Err(Error::new(ErrorKind::Transport, format!("{host} broke the connection")))
            }
            Err(kind) => Err(Error::new(kind, format!("{host} took too long"))),
        }
    }

    fn clock(&self) -> &dyn Clock {
        self
    }

    fn at_once(&self) -> usize {
        1
    }
}

impl Clock for Life {
    fn now(&self) -> Duration {
        self.with(|state| state.time)
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<(), Error> {
        cancel.check()?;
        self.with(|state| state.time += time);
        Ok(())
    }
}

/// What an error says to who decides by it.
fn verdict(error: &Error) -> String {
    match (error.fault(), error.kind()) {
        (Some(fault), _) => {
            let params: Vec<_> = fault.params.iter().map(|param| short(param)).collect();
            format!("{} [{}]", fault.code, params.join(", "))
        }
        (None, kind) => format!("{kind:?}: {error}"),
    }
}

/// The beginning of a text, without refs, which differ from life to life.
fn short(text: &str) -> String {
    match text.strip_prefix("OpaqueRef:") {
        Some(_) => "<ref>".to_owned(),
        None => text.chars().take(60).collect(),
    }
}

fn what_a_host_is(life: &Life, host: &str) -> String {
    let limits = Limits::within(Duration::from_secs(20));
    match OneHost::new(life.clone(), Endpoint::https(host), &credentials()).limits(limits).role() {
        Ok(Role::Master(pool)) => format!("master of {pool}"),
        Ok(Role::Member(master)) => format!("member of {master}"),
        Ok(other) => panic!("{other:?}"),
        Err(error) => match LoginFailure::of(&error) {
            LoginFailure::Emergency(fault) => {
                let why = fault.params.first().map(|text| short(text)).unwrap_or_default();
                format!("emergency, {} {why:?}", fault.code)
            }
            failure => format!("{failure:?}"),
        },
    }
}

/// Where a client ends that logs in at a host.
fn where_a_login_leads(life: &Life, host: &str) -> String {
    let client = Client::builder(life.clone()).connect(host, &credentials());
    match client.and_then(|client| Ok((client.endpoint(), client.pool_uuid()?))) {
        Ok((endpoint, pool)) => format!("leads to {} of {pool}", endpoint.host()),
        Err(error) => match LoginFailure::of(&error) {
            LoginFailure::Emergency(_) => "an emergency".to_owned(),
            failure => format!("{failure:?}"),
        },
    }
}

/// How a client's own read goes, and where it is then.
fn how_a_client_fares(client: &Client) -> String {
    match client.call::<Vec<Ref<Host>>>("host.get_all", &()) {
        Ok(_) => format!("at {}", client.endpoint().host()),
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(" ({source})"));
            let text = format!("{}{}", verdict(&error), source.unwrap_or_default());
            without_the_request(text.replace("https://", ""))
        }
    }
}

/// Without the request that the server says was rejected, which is long.
fn without_the_request(mut text: String) -> String {
    while let Some(start) = text.find("(\"{ frame") {
        let end = text[start..].find(" ]]").map_or(text.len(), |end| start + end);
        text.replace_range(start..end, " …");
    }
    text
}

/// Has the step's own call made by whoever is logged in at its host.
fn conclusion(life: &Life, clients: &BTreeMap<&str, Client>, step: &Json) -> String {
    let host = step["host"].as_str().unwrap();
    let method = step["request"]["method"].as_str().unwrap();
    if method == "session.login_with_password" {
        return format!("{}; {}", what_a_host_is(life, host), where_a_login_leads(life, host));
    }
    if method == "session.slave_local_login_with_password" {
        let limits = Limits::default();
        let endpoint = Endpoint::https(host);
        let session =
            OneHost::new(life.clone(), endpoint.clone(), &credentials()).limits(limits).session();
        return session.map_or_else(|error| verdict(&error), |_| "a local session".to_owned());
    }
    let params = &step["request"]["params"].as_array().unwrap()[1..];
    let answered = |result: Result<Json, Error>| match result {
        Err(error) => verdict(&error),
        Ok(Json::String(text)) if text.is_empty() => "done".to_owned(),
        Ok(Json::Object(records)) => format!("{} records", records.len()),
        Ok(Json::Array(refs)) => format!("{} refs", refs.len()),
        Ok(value) => value.to_string(),
    };
    let by_client = clients.values().find(|client| client.endpoint().host() == host);
    let said = match by_client.filter(|_| !step["name"].as_str().unwrap().contains("slave_")) {
        Some(client) => answered(client.call(method, params)),
        None => {
            let (endpoint, limits) = (Endpoint::https(host), Limits::default());
            let session = OneHost::new(life.clone(), endpoint.clone(), &credentials())
                .limits(limits)
                .session()
                .unwrap();
            answered(session.call(method, params))
        }
    };
    let asked = life.with(|state| state.asked);
    assert!(asked == 1 || method.contains("get_"), "{method} was sent {asked} times");
    said
}

/// Plays a life to its end and says what was concluded at each step.
fn play(name: &str) -> String {
    let life = Life::new(name);
    let mut text = String::new();
    // Each host's own client, from the time when each was a pool of its own.
    let hosts = [MASTER, FIRST_JOINER, SECOND_JOINER];
    let clients: BTreeMap<&str, Client> =
        hosts.into_iter().map(|host| (host, life.client(host))).collect();
    for client in clients.values() {
        client.snapshot(Scope::Overview).unwrap();
    }
    let mut fared = BTreeMap::new();
    let steps = life.with(|state| state.steps.clone());
    for (number, step) in steps.iter().enumerate() {
        life.go_to(number);
        let (step_name, host) = (step["name"].as_str().unwrap(), step["host"].as_str().unwrap());
        let said = conclusion(&life, &clients, step);
        text.push_str(&format!("{step_name} at {host}: {said}\n"));
        for (home, client) in &clients {
            let now = how_a_client_fares(client);
            if fared.get(home) != Some(&now) {
                text.push_str(&format!("    client of {home}: {now}\n"));
                fared.insert(*home, now);
            }
            // Once it knows all three, it can find whichever is master.
            if step_name == "hosts_after_two_joins" && *home == MASTER {
                client.snapshot(Scope::Overview).unwrap();
            }
        }
    }
    drop(clients);
    life.with(|state| {
        let alive: Vec<_> = state.sessions.iter().collect();
        assert!(alive.is_empty(), "sessions are left open: {alive:?}");
    });
    text
}

fn compare(name: &str) {
    let path = format!("{}/tests/data/lives/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = play(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (now, then)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(now, then, "line {} of {path}; BLESS=1 if it should", number + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count());
}

#[test]
fn each_step_of_the_first_recorded_life_is_understood() {
    compare("pool-lifecycle");
}

#[test]
fn each_step_of_the_second_recorded_life_is_understood() {
    compare("pool-lifecycle-2");
}
