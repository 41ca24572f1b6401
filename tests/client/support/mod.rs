//! A simulated pool of three, its front, and clients that know where its hosts really are.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::time::Duration;

use xcp_pool::client::{Client, ClientBuilder, Credentials};
use xcp_pool::simulator::{Front, PoolSpec, Release, VmSpec, World};
use xcp_pool::transport::{Endpoint, Http, Limits, Trust};

/// The pool's hosts, the master first.
pub(crate) const HOSTS: [&str; 3] = ["phantom", "ignite", "ember"];

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new("root", "xcp-test")
}

/// A pool of three, with something to read.
pub(crate) fn lab(seed: u64) -> World {
    let pool = HOSTS
        .iter()
        .enumerate()
        .fold(PoolSpec::new("lab", Release::XcpNg83), |pool, (number, host)| {
            pool.host(host, &format!("10.0.0.{}", number + 1))
        });
    let pool = pool
        .shared_sr("NFS", "nfs")
        .vm(VmSpec::running("web", "ignite").disk("NFS", 10))
        .vm(VmSpec::halted("spare").disk("NFS", 10));
    World::builder().seed(seed).pool(pool).build().unwrap()
}

/// A transport that trusts what a front shows.
pub(crate) fn http(front: &Front) -> Http {
    let pins = front.hosts().iter().filter_map(|host| front.fingerprint(&host.name));
    Http::builder().trust(Trust::pins(pins)).danger_allow_plain_http().build().unwrap()
}

/// A client in the making that knows where the hosts of a front really are.
pub(crate) fn builder(front: &Front, overall: Duration) -> ClientBuilder {
    let builder = Client::builder(http(front)).limits(Limits::within(overall));
    front
        .addresses()
        .fold(builder, |builder, (address, endpoint)| builder.address(address, endpoint))
}

pub(crate) fn log_in(front: &Front, host: &str, overall: Duration) -> Client {
    builder(front, overall).connect_to(&endpoint(front, host), &credentials()).unwrap()
}

pub(crate) fn endpoint(front: &Front, host: &str) -> Endpoint {
    front.endpoint(host).unwrap()
}

/// How often a method reached a host.
pub(crate) fn times(world: &World, method: &str) -> u64 {
    world.requests().get(method).copied().unwrap_or(0)
}
