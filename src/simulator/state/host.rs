//! A host: a machine, and the xapi that runs on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::legacy::Legacy;
use crate::election::HostRole;
use crate::error::Fault;
use crate::simulator::database::{Database, Ref};
use crate::simulator::release::Release;

/// A host of the world, by its place in [`State::hosts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::simulator) struct HostId(pub usize);

/// A machine and the xapi that runs on it.
pub(in crate::simulator) struct Host {
    /// The name to speak of it by, and to reach it by.
    pub name: String,
    /// The management address.
    pub address: String,
    /// The uuid of its host record, wherever that is.
    pub uuid: String,
    /// What it runs.
    pub release: Release,
    /// What of it runs.
    pub power: Power,
    /// What the running xapi takes itself for; read from `configured` when it starts.
    pub role: HostRole,
    /// What `pool.conf` says, for the next start.
    pub configured: HostRole,
    /// The database that it is master of, or was last.
    pub database: Option<Database>,
    /// The last copy of its master's database that it was sent.
    pub backup: Option<Database>,
    /// The error that every call but the emergency calls raises.
    pub emergency: Option<Fault>,
    /// Passwords by user name.
    pub users: BTreeMap<String, String>,
    /// Sessions that only this xapi knows.
    pub local_sessions: BTreeSet<Ref>,
    /// How often its xapi ended: calls of an earlier one are lost.
    pub incarnation: u64,
    /// What proves that it belongs to its pool.
    pub pool_secret: String,
    /// `host.disable` by a user: until it is enabled or its xapi restarts.
    pub disabled_by_user: bool,
    /// `host.disable` that outlives restarts, until it is enabled.
    pub stays_disabled: bool,
    /// Whether its machine has started since its xapi last did.
    pub rebooted: bool,
    /// As master: the generation at which it last looked for orphans.
    pub collected: Option<u64>,
    /// The backend of its network daemon, `openvswitch` or `bridge`.
    ///
    /// Whatever its record says.
    pub network_backend: String,
    /// As master: when each slave was last heard of.
    pub heartbeats: BTreeMap<Ref, Duration>,
    /// The address that it agreed to take as its new master, and when.
    ///
    /// By `propose_new_master`.
    pub proposal: Option<(String, Duration)>,
    /// The errors that its last `pool.join` ignored.
    pub ignored: Vec<Fault>,
    /// Why it cannot rename the bridge of its management VLAN, as a joiner may have to.
    pub bridge_trouble: Option<Fault>,
    /// Whether it has joined a pool and not yet been a member of it.
    pub is_new_member: bool,
    /// Subscriptions to the old `event.next`, by session.
    pub legacy: BTreeMap<Ref, Legacy>,
}

/// What of a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Power {
    /// Nothing: no packet is answered.
    Off,
    /// The machine and its xapi.
    Running,
    /// The machine without xapi: connections are refused.
    Stopped,
}
