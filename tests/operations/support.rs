//! What the tests of several operations have in common.

use std::fmt::Debug;

use crate::words::{Names, assert_words};
use xcp_pool::client::{Client, LocalSession, OneHost};
use xcp_pool::model::{Host, Ref, Snapshot};
use xcp_pool::operations::{Outcome, Why};
use xcp_pool::plan::Plan;
use xcp_pool::simulator::{World, WorldTransport};
use xcp_pool::transport::{Body, Clock, Request, Transport};
use xcp_pool::{Error, ErrorKind, Result};

pub(crate) use crate::campaign::cases::{phantoms_pool, root, three_hosts};

pub(crate) fn log_in(world: &World, host: &str) -> Client {
    Client::connect(world.transport(), host, &root()).unwrap()
}

/// A session with one host alone.
pub(crate) fn log_in_locally(world: &World, address: &str) -> LocalSession {
    OneHost::new(world.transport(), address.parse().unwrap(), &root()).session().unwrap()
}

/// The way to the hosts, but for one whose certificate nobody vouches for.
struct Wary(WorldTransport);

impl Transport for Wary {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        match request.endpoint.host() {
            "10.0.0.3" => Err(Error::new(ErrorKind::Trust, "a certificate that nobody knows")),
            _ => self.0.exchange(request),
        }
    }

    fn clock(&self) -> &dyn Clock {
        self.0.clock()
    }
}

/// A client of alpha that does not trust gamma.
pub(crate) fn log_in_wary(world: &World) -> Client {
    Client::connect(Wary(world.transport()), "alpha", &root()).unwrap()
}

pub(crate) fn named(snapshot: &Snapshot, name: &str) -> Ref<Host> {
    let host = snapshot.host.iter().find(|(_, host)| host.name_label == name);
    host.unwrap().0.clone()
}

/// How often a method was called, of whomever.
pub(crate) fn requests(world: &World, method: &str) -> u64 {
    world.requests().get(method).copied().unwrap_or(0)
}

#[track_caller]
pub(crate) fn done<T>(outcome: Result<Outcome<T>>) -> T {
    match outcome.unwrap() {
        Outcome::Done(done) => done,
        Outcome::NotDone(why) => panic!("not done: {why}"),
        Outcome::Unknown(why) => panic!("unknown: {why}"),
    }
}

#[track_caller]
pub(crate) fn not_done<T: Debug>(outcome: Result<Outcome<T>>) -> String {
    match outcome.unwrap() {
        Outcome::NotDone(why) => read(&why),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn unknown<T: Debug>(outcome: Result<Outcome<T>>) -> String {
    match outcome.unwrap() {
        Outcome::Unknown(why) => read(&why),
        other => panic!("{other:?}"),
    }
}

/// What a person reads of it, which must be in words.
#[track_caller]
fn read(why: &Why) -> String {
    let text = why.to_string();
    assert_words(&text, &Names::unknown());
    text
}

/// The rules that keep a plan from being complete.
pub(crate) fn rules(plan: &Plan) -> Vec<&str> {
    plan.unsolved.iter().map(|unsolved| unsolved.rule.as_str()).collect()
}
