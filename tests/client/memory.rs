//! Some hosts in memory, which die, hang, move and are of one pool or another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xcp_pool::client::{Client, Credentials};
use xcp_pool::model::{Host, Ref};
use xcp_pool::transport::{Body, Limits, Request, Transport};
use xcp_pool::{Error, ErrorKind};

/// What a host is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    Dead,
    /// Does not answer until it is something else, the request's time is over, or it is cancelled.
    Hangs,
    Master,
    MemberOf(&'static str),
    /// Raises this for every call, as an array.
    Emergency(&'static [&'static str]),
    Untrusted,
}

pub(crate) struct Machine {
    pub state: State,
    /// Which physical host it is: one may have several addresses.
    pub host: &'static str,
    pub pool: &'static str,
    pub sessions: Vec<String>,
}

/// Some hosts in memory, by address.
#[derive(Clone, Default)]
pub(crate) struct World(pub Arc<Mutex<Inner>>);

#[derive(Default)]
pub(crate) struct Inner {
    pub machines: BTreeMap<&'static str, Machine>,
    pub logins: usize,
    pub writes: Vec<String>,
    /// The database that the masters serve: hosts by ref, with their address.
    pub hosts: BTreeMap<String, Value>,
    pub generation: usize,
    pub requests: usize,
    /// How many requests wait for a host that hangs.
    pub waiting: usize,
    /// The limits of the requests, newest last.
    pub limits: Vec<Limits>,
}

pub(crate) const POOL: &str = "pool-1";

impl World {
    /// A pool of three: a is the master.
    pub(crate) fn pool() -> Self {
        let world = Self::default();
        for (address, host, state) in [
            ("a", "OpaqueRef:a", State::Master),
            ("b", "OpaqueRef:b", State::MemberOf("a")),
            ("c", "OpaqueRef:c", State::MemberOf("a")),
        ] {
            world.add(address, host, POOL, state);
            let record = json!({"uuid": host, "address": address, "name_label": address});
            world.with(|inner| drop(inner.hosts.insert(host.to_owned(), record)));
        }
        world
    }

    pub(crate) fn add(
        &self,
        address: &'static str,
        host: &'static str,
        pool: &'static str,
        state: State,
    ) {
        let machine = Machine { state, host, pool, sessions: Vec::new() };
        self.with(|inner| drop(inner.machines.insert(address, machine)));
    }

    pub(crate) fn set(&self, address: &str, state: State) {
        self.with(|inner| {
            let machine = inner.machines.get_mut(address).unwrap();
            machine.state = state;
            // A toolstack that restarts forgets its sessions.
            machine.sessions.clear();
        });
    }

    /// As [`Self::set`], but the sessions are remembered.
    pub(crate) fn turn(&self, address: &str, state: State) {
        self.with(|inner| inner.machines.get_mut(address).unwrap().state = state);
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub(crate) fn open_sessions(&self) -> usize {
        self.with(|inner| inner.machines.values().map(|machine| machine.sessions.len()).sum())
    }

    /// Waits until so many requests wait for hosts that hang.
    pub(crate) fn await_waiting(&self, count: usize) {
        let start = Instant::now();
        while self.with(|inner| inner.waiting) < count {
            assert!(start.elapsed() < Duration::from_secs(10), "nobody waits");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until a host does not hang any more, and returns what it is then.
    fn outlast(&self, address: &str, request: &Request<'_>) -> Result<State, Error> {
        let start = Instant::now();
        self.with(|inner| inner.waiting += 1);
        let state = loop {
            let state = self.with(|inner| inner.machines[address].state.clone());
            if state != State::Hangs {
                break Ok(state);
            }
            if request.cancel.wait(Duration::from_millis(2)) {
                break Err(request.cancel.check().unwrap_err());
            }
            if start.elapsed() >= request.limits.overall {
                break Err(Error::new(ErrorKind::Timeout, format!("{address} took too long")));
            }
        };
        self.with(|inner| inner.waiting -= 1);
        state
    }

    pub(crate) fn connect(&self, address: &str) -> Client {
        Client::connect(self.clone(), address, &credentials()).unwrap()
    }
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new("root", "hunter2")
}

pub(crate) fn fault(code: &str, params: &[&str]) -> Value {
    json!({"jsonrpc": "2.0", "error": {"code": 1, "message": code, "data": params}, "id": 1})
}

#[expect(clippy::needless_pass_by_value, reason = "it is built where it is given")]
pub(crate) fn result(value: Value) -> Value {
    json!({"jsonrpc": "2.0", "result": value, "id": 1})
}

impl Inner {
    fn answer(&mut self, address: &str, method: &str, params: &[Value]) -> Value {
        let machine = self.machines.get_mut(address).unwrap();
        match &machine.state {
            State::Emergency(error) => {
                return json!({"jsonrpc": "2.0", "error": error, "id": 0});
            }
            State::MemberOf(master) => return fault("HOST_IS_SLAVE", &[master]),
            _ => {}
        }
        let session = params[0].as_str().unwrap();
        if method.ends_with("login_with_password") {
            self.logins += 1;
            let session = format!("OpaqueRef:{address}-{}", self.logins);
            machine.sessions.push(session.clone());
            return result(json!(session));
        }
        let Some(n) = machine.sessions.iter().position(|known| known == session) else {
            return fault("SESSION_INVALID", &[session]);
        };
        match method {
            "session.logout" | "session.local_logout" => {
                machine.sessions.remove(n);
                result(json!(""))
            }
            "session.get_this_host" => result(json!(machine.host)),
            "pool.get_all_records" => {
                result(json!({"OpaqueRef:p": {"uuid": machine.pool, "master": machine.host}}))
            }
            "host.get_all" => result(json!(self.hosts.keys().collect::<Vec<_>>())),
            method if method.starts_with("Async.") => result(json!("OpaqueRef:task")),
            "task.get_record" => result(json!({"uuid": "task", "status": "pending"})),
            "event.from" => {
                let token = params[2].as_str().unwrap();
                let mut events = Vec::new();
                if token.is_empty() {
                    events.push(json!({"class": "pool", "operation": "add", "ref": "OpaqueRef:p",
                                       "snapshot": {"uuid": machine.pool}}));
                    for (reference, record) in &self.hosts {
                        events.push(json!({"class": "host", "operation": "add", "ref": reference,
                                           "snapshot": record}));
                    }
                }
                result(
                    json!({"events": events, "valid_ref_counts": {"pool": 1, "host": self.hosts.len()},
                              "token": format!("{},0", self.generation)}),
                )
            }
            _ => {
                self.writes.push(format!("{address} {method}"));
                result(json!(""))
            }
        }
    }
}

impl Transport for World {
    fn exchange(&self, request: &Request<'_>) -> Result<Body, Error> {
        request.cancel.check()?;
        let address = request.endpoint.host();
        let state = self.with(|inner| {
            inner.requests += 1;
            inner.limits.push(request.limits);
            inner.machines.get(address).map(|machine| machine.state.clone())
        });
        let state = match state {
            Some(State::Hangs) => Some(self.outlast(address, request)?),
            state => state,
        };
        match state {
            None | Some(State::Dead) => {
                let message = format!("{address} refuses connections");
                return Err(Error::new(ErrorKind::Transport, message));
            }
            Some(State::Untrusted) => {
                return Err(Error::new(ErrorKind::Trust, format!("{address} is not trusted")));
            }
            Some(_) => {}
        }
        let call: Value = serde_json::from_slice(request.body).unwrap();
        let params = call["params"].as_array().unwrap();
        let reply =
            self.with(|inner| inner.answer(address, call["method"].as_str().unwrap(), params));
        Ok(Body::Bytes(reply.to_string().into_bytes()))
    }
}

pub(crate) fn hosts(client: &Client) -> Result<Vec<Ref<Host>>, Error> {
    client.call("host.get_all", &())
}
