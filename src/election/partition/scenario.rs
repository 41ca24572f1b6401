//! A pool and its cuts, told in words, and refused where they cannot be.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Timing, Views};
use crate::election::hostset::{HostSet, MAX_HOSTS};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Snapshot;

/// An HA pool at the moment of a fault.
///
/// [`Scenario::new`] starts with a healthy pool: all hosts run, hear each other and see the state
/// file. Then break it. Hosts are named by uuid and kept in the daemon's order, which breaks ties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Scenario {
    hosts: Vec<String>,
    master: Option<String>,
    base_timeout: u32,
    #[serde(flatten)]
    views: Views,
}

/// An HA pool at the moment of a fault, as it was saved or written.
#[derive(Deserialize)]
struct Saved {
    hosts: Vec<String>,
    #[serde(default)]
    master: Option<String>,
    #[serde(default = "default_base")]
    base_timeout: u32,
    #[serde(flatten)]
    views: Views,
}

impl TryFrom<Saved> for Scenario {
    type Error = Error;

    fn try_from(Saved { hosts, master, base_timeout, views }: Saved) -> Result<Self> {
        let scenario = Self { hosts, master, base_timeout, views };
        scenario.check_shape()?;
        Ok(scenario)
    }
}

fn default_base() -> u32 {
    Timing::DEFAULT_BASE
}

impl Scenario {
    /// A healthy pool of these hosts, each of weight 1, in any order.
    ///
    /// # Errors
    /// `InvalidInput` if there is no host, more than 64, or one twice.
    pub fn new<U: Into<String>>(uuids: impl IntoIterator<Item = U>) -> Result<Self> {
        let mut hosts: Vec<String> = uuids.into_iter().map(Into::into).collect();
        hosts.sort_by_cached_key(|uuid| without_dashes(uuid));
        let n = hosts.len();
        let all = HostSet::first(n);
        let views = Views {
            n,
            weights: vec![1; n],
            excluded: HostSet::EMPTY,
            liveset: all,
            running: all,
            hb: vec![all; n],
            sf: vec![all; n],
            stale_view: all,
        };
        Self::from_views(hosts, views)
    }

    /// A pool in any state, as the views of its hosts in the order of their uuids.
    ///
    /// Whether the views can be is asked by [`Scenario::decide`] and [`Scenario::objections`].
    ///
    /// # Errors
    /// `InvalidInput` if the views are malformed, or if the uuids are not as many as the views, not
    /// in order or not all different.
    pub fn from_views<U: Into<String>>(
        uuids: impl IntoIterator<Item = U>,
        views: Views,
    ) -> Result<Self> {
        let hosts: Vec<String> = uuids.into_iter().map(Into::into).collect();
        let scenario = Self { hosts, master: None, base_timeout: Timing::DEFAULT_BASE, views };
        scenario.check_shape()?;
        Ok(scenario)
    }

    /// A healthy pool of the hosts of a snapshot that are live.
    ///
    /// The others are crashed before the fault: configured, silent and not in the live set. Master
    /// and base timeout are the pool's. Who is excluded is not in the database: say it by
    /// [`Scenario::shut_down`].
    ///
    /// # Errors
    /// `InvalidInput` if the snapshot has no pool or no master, or hosts that HA cannot have.
    pub fn from_snapshot(snapshot: &Snapshot) -> Result<Self> {
        let (_, pool) = snapshot.the_pool()?;
        let (_, master) = snapshot.master()?;
        let mut scenario = Self::new(snapshot.host.records().map(|host| host.uuid.to_string()))?;
        for (reference, host) in &snapshot.host {
            if snapshot.is_live(reference) != Some(true) {
                let uuid = host.uuid.to_string();
                scenario.crash(&uuid)?;
                let index = scenario.index(&uuid)?;
                scenario.views.liveset.remove(index);
            }
        }
        scenario.views.stale_view = scenario.views.liveset;
        scenario.set_master(&master.uuid.to_string())?;
        scenario.set_base_timeout(Timing::base_of(pool));
        Ok(scenario)
    }

    /// The uuids of the configured hosts, in the daemon's order.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// What each host knows.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The uuid of the master before the fault, if it was told.
    pub fn master(&self) -> Option<&str> {
        self.master.as_deref()
    }

    /// The base timeout, in seconds.
    pub fn base_timeout(&self) -> u32 {
        self.base_timeout
    }

    /// Cuts the network between two hosts.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host, or if both are the same.
    pub fn cut(&mut self, one: &str, other: &str) -> Result<&mut Self> {
        let (a, b) = (self.index(one)?, self.index(other)?);
        if a == b {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("host {one} always hears itself"),
            ));
        }
        self.views.hb[a].remove(b);
        self.views.hb[b].remove(a);
        Ok(self)
    }

    /// Cuts the network between these hosts and all others.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host.
    pub fn split(&mut self, group: &[&str]) -> Result<&mut Self> {
        let inside: HostSet = group.iter().map(|uuid| self.index(uuid)).collect::<Result<_>>()?;
        for host in 0..self.views.n {
            let side =
                if inside.contains(host) { inside } else { HostSet::first(self.views.n) - inside };
            self.views.hb[host] = self.views.hb[host] & side;
        }
        Ok(self)
    }

    /// Takes the shared storage away from a host.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host.
    pub fn lose_storage(&mut self, uuid: &str) -> Result<&mut Self> {
        let host = self.index(uuid)?;
        self.views.sf[host] = HostSet::EMPTY;
        for domain in &mut self.views.sf {
            domain.remove(host);
        }
        Ok(self)
    }

    /// Lets a host die.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host.
    pub fn crash(&mut self, uuid: &str) -> Result<&mut Self> {
        let host = self.index(uuid)?;
        self.lose_storage(uuid)?;
        self.views.running.remove(host);
        self.views.hb[host] = HostSet::EMPTY;
        for domain in &mut self.views.hb {
            domain.remove(host);
        }
        Ok(self)
    }

    /// Shuts a host down cleanly, before the fault: it is excluded and does not count.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host.
    pub fn shut_down(&mut self, uuid: &str) -> Result<&mut Self> {
        self.crash(uuid)?;
        let host = self.index(uuid)?;
        self.views.excluded.insert(host);
        self.views.liveset.remove(host);
        self.views.stale_view = self.views.liveset;
        Ok(self)
    }

    /// Gives a host another weight than 1.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host.
    pub fn set_weight(&mut self, uuid: &str, weight: u32) -> Result<&mut Self> {
        let host = self.index(uuid)?;
        self.views.weights[host] = weight;
        Ok(self)
    }

    /// Says who was master before the fault.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host.
    pub fn set_master(&mut self, uuid: &str) -> Result<&mut Self> {
        self.index(uuid)?;
        self.master = Some(uuid.to_owned());
        Ok(self)
    }

    /// Sets the base timeout, in seconds.
    pub fn set_base_timeout(&mut self, seconds: u32) -> &mut Self {
        self.base_timeout = seconds;
        self
    }

    /// Why the daemon's rules cannot be trusted on this input; empty if they can.
    ///
    /// The rules keep one group alive at most, and only if heartbeats are mutual, if all who see
    /// the state file see the same, and if no excluded host runs; with less, recorded runs of the
    /// daemon ended in two groups.
    pub fn objections(&self) -> Vec<Objection> {
        let Views { n, weights, excluded, liveset, running, hb, sf, .. } = &self.views;
        let name = |host: usize| self.hosts.get(host).cloned().unwrap_or_default();
        let mut found = Vec::new();
        let holders: HostSet = (0..*n).filter(|host| !sf[*host].is_empty()).collect();
        for host in 0..*n {
            if !running.contains(host) {
                if !hb[host].is_empty() || !sf[host].is_empty() {
                    found.push(Objection::StoppedHostHasViews { host: name(host) });
                }
                continue;
            }
            if excluded.contains(host) {
                found.push(Objection::ExcludedHostRuns { host: name(host) });
            }
            if !liveset.contains(host) {
                found.push(Objection::RunsOutsideLiveSet { host: name(host) });
            }
            if !hb[host].contains(host) {
                found.push(Objection::DeafToItself { host: name(host) });
            }
            for other in hb[host].iter() {
                if !running.contains(other) {
                    found.push(Objection::HearsStoppedHost {
                        host: name(host),
                        stopped: name(other),
                    });
                } else if !hb[other].contains(host) {
                    found.push(Objection::OneWayHeartbeat { host: name(host), deaf: name(other) });
                }
            }
            if !sf[host].is_empty() && sf[host] != holders {
                found.push(Objection::TwoViewsOfStateFile { host: name(host) });
            }
        }
        let weight: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        if weight >= WEIGHT_LIMIT {
            found.push(Objection::TooHeavy { weight });
        }
        found
    }

    pub(super) fn index(&self, uuid: &str) -> Result<usize> {
        self.hosts.iter().position(|host| host == uuid).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("host {uuid} is not configured"))
        })
    }

    fn check_shape(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        if self.hosts.is_empty() || self.hosts.len() > MAX_HOSTS {
            return wrong(format!("{} hosts: HA knows 1 to {MAX_HOSTS}", self.hosts.len()));
        }
        self.views.check_shape()?;
        if self.hosts.len() != self.views.n {
            return wrong(format!("{} uuids for {} hosts", self.hosts.len(), self.views.n));
        }
        for pair in self.hosts.windows(2) {
            let (before, after) = (without_dashes(&pair[0]), without_dashes(&pair[1]));
            if before == after {
                return wrong(format!("host {} is there twice", pair[0]));
            }
            if before > after {
                return wrong(format!("host {} is not in the order of uuids", pair[1]));
            }
        }
        if let Some(master) = &self.master {
            self.index(master)?;
        }
        Ok(())
    }
}

/// Why a scenario is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "objection", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Objection {
    /// A running host does not hear itself.
    DeafToItself {
        /// The host.
        host: String,
    },
    /// A host that is excluded, so "runs nothing", runs.
    ExcludedHostRuns {
        /// The host.
        host: String,
    },
    /// A host hears one that does not run.
    HearsStoppedHost {
        /// The host that hears.
        host: String,
        /// The host that it cannot hear.
        stopped: String,
    },
    /// A host hears another that does not hear it.
    ///
    /// The daemon drops such links on both sides.
    OneWayHeartbeat {
        /// The host that hears.
        host: String,
        /// The host that does not.
        deaf: String,
    },
    /// A host runs outside the live set: it is still starting, and takes no part.
    RunsOutsideLiveSet {
        /// The host.
        host: String,
    },
    /// A host that does not run has domains.
    StoppedHostHasViews {
        /// The host.
        host: String,
    },
    /// The weights are so large that the daemon's 32-bit sums overflow.
    TooHeavy {
        /// The sum of all weights.
        weight: u64,
    },
    /// A host sees other writers in the state file than those who have storage.
    TwoViewsOfStateFile {
        /// The host.
        host: String,
    },
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeafToItself { host } => write!(f, "host {host} runs but does not hear itself"),
            Self::ExcludedHostRuns { host } => write!(f, "host {host} is excluded but runs"),
            Self::HearsStoppedHost { host, stopped } => {
                write!(f, "host {host} hears {stopped}, which does not run")
            }
            Self::OneWayHeartbeat { host, deaf } => {
                write!(f, "host {host} hears {deaf}, which does not hear it")
            }
            Self::RunsOutsideLiveSet { host } => {
                write!(f, "host {host} runs outside the live set")
            }
            Self::StoppedHostHasViews { host } => {
                write!(f, "host {host} does not run but hears or sees hosts")
            }
            Self::TooHeavy { weight } => {
                write!(f, "the weights add up to {weight}, more than the daemon can count")
            }
            Self::TwoViewsOfStateFile { host } => {
                write!(f, "host {host} sees other writers in the state file than have storage")
            }
        }
    }
}

/// Where the daemon's 32-bit sums of `1 + 256 * weight` overflow.
const WEIGHT_LIMIT: u64 = 1 << 23;

fn without_dashes(uuid: &str) -> String {
    uuid.chars().filter(|c| *c != '-').collect()
}
