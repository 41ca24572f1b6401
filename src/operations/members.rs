//! Where the hosts of a pool are, and how they are asked one by one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, Credentials, OneHost, PROBE};
use crate::error::Result;
use crate::model::{Snapshot, Uuid};
use crate::transport::{Cancel, Clock, Endpoint, Limits, Transport};

/// Where the hosts of a pool are, and what was last known of it.
///
/// Also who asks them.
///
/// For what has to work when no master answers: every host is asked for itself. The
/// [snapshot](Self::snapshot) should be the last one that was taken while a master answered, as
/// members cannot read the database without it.
#[derive(Clone)]
pub struct Members {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) credentials: Credentials,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) addresses: BTreeMap<String, Endpoint>,
    pub(super) patience: Duration,
    pub(super) last: Option<Arc<Snapshot>>,
    pub(super) age: Option<Duration>,
    pub(super) asks_whether_ha_is_armed: bool,
    pub(super) cancel: Cancel,
}

impl Members {
    /// No hosts yet, asked over a transport in somebody's name.
    pub fn new(transport: impl Transport + 'static, credentials: &Credentials) -> Self {
        Self {
            transport: Arc::new(transport),
            credentials: credentials.clone(),
            endpoints: Vec::new(),
            addresses: BTreeMap::new(),
            patience: PROBE,
            last: None,
            age: None,
            asks_whether_ha_is_armed: false,
            cancel: Cancel::new(),
        }
    }

    /// The hosts beside a client's master, as the client reaches them; not one of them is known
    /// yet.
    pub(super) fn beside(pool: &Client) -> Self {
        let way = pool.way();
        let mut members = Self::new(way.transport, way.credentials).host_at(way.endpoint);
        members.addresses.clone_from(way.addresses);
        members.patience(way.limits.overall.min(PROBE)).cancel(way.cancel.clone())
    }

    /// Adds a host by its address.
    ///
    /// # Errors
    /// `InvalidInput` for an address that is none.
    pub fn host(self, address: &str) -> Result<Self> {
        Ok(self.host_at(address.parse()?))
    }

    /// Adds a host.
    #[must_use]
    pub fn host_at(mut self, endpoint: Endpoint) -> Self {
        if !self.endpoints.contains(&endpoint) {
            self.endpoints.push(endpoint);
        }
        self
    }

    /// Says where a host really is that others call by this address.
    ///
    /// For NAT and tunnels.
    #[must_use]
    pub fn address(mut self, named: impl Into<String>, real: Endpoint) -> Self {
        self.addresses.insert(named.into(), real);
        self
    }

    /// How long one host may take to say what it is; 15 s if not given.
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// The last snapshot that was taken, and how long ago; its hosts are asked too.
    ///
    /// It should cover pool, hosts, storage, PIFs and VMs ([`Scope::Failover`] does).
    ///
    /// [`Scope::Failover`]: crate::client::Scope::Failover
    #[must_use]
    pub fn snapshot(mut self, snapshot: Snapshot, age: Option<Duration>) -> Self {
        self.last = Some(Arc::new(snapshot));
        self.age = age;
        self
    }

    /// Asks members whether HA is armed on them.
    ///
    /// XAPI has no call that tells. The one that comes near is `pool.emergency_reset_master` with
    /// the master that the host has just said it follows: it refuses with `HA_IS_ENABLED` if HA is
    /// armed, and else does nothing, since nothing is to be changed
    /// (`Xapi_pool_transition.become_another_masters_slave`). Because it is no pure question it is
    /// asked only if wanted, and in a way that no change of roles can come in between.
    #[must_use]
    pub fn ask_whether_ha_is_armed(mut self) -> Self {
        self.asks_whether_ha_is_armed = true;
        self
    }

    /// Cancels whatever is asked, from another thread.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// The clock that waits go by.
    pub fn clock(&self) -> &dyn Clock {
        self.transport.clock()
    }

    /// All hosts that are known, those that were given first.
    pub(super) fn known(&self) -> Vec<Endpoint> {
        let mut known = self.endpoints.clone();
        for host in self.last.iter().flat_map(|last| last.host.records()) {
            if let Some(endpoint) = self.locate(&host.address) {
                if !known.contains(&endpoint) {
                    known.push(endpoint);
                }
            }
        }
        known
    }

    /// Where the host is that others call by this address, if that is an address.
    pub(super) fn locate(&self, named: &str) -> Option<Endpoint> {
        if let Some(real) = self.addresses.get(named) {
            return Some(real.clone());
        }
        let parsed: Endpoint = named.parse().ok()?;
        Some(match self.endpoints.first() {
            Some(like) => like.with_host(parsed.host()),
            None => parsed,
        })
    }

    /// One host alone.
    pub(super) fn one(&self, endpoint: &Endpoint) -> OneHost {
        OneHost::new(self.transport.clone(), endpoint.clone(), &self.credentials)
            .limits(Limits::within(self.patience))
            .cancel(&self.cancel)
    }

    /// A client of the pool's master, which is at this endpoint.
    pub(super) fn client(&self, endpoint: &Endpoint, pool: &Uuid) -> Result<Client> {
        let builder = Client::builder(self.transport.clone())
            .cancel(self.cancel.clone())
            .pool_uuid(pool.clone());
        let addresses = self.addresses.iter();
        addresses
            .fold(builder, |builder, (named, real)| builder.address(named, real.clone()))
            .connect_to(endpoint, &self.credentials)
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("endpoints", &self.endpoints)
            .field("user", &self.credentials.user())
            .finish_non_exhaustive()
    }
}
