//! The diagnosis of a pool.

use serde::Serialize;

use super::evidence::of_reports;
use super::report::HostReport;
use super::state::PoolState;
use crate::election::PoolEvidence;
use crate::model::{Host, Ref, Snapshot, Uuid};

/// In what state a pool is, host by host, and what to do about it.
///
/// Prints as text for a person, and serialises to JSON for a program.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What it comes to.
    pub state: PoolState,
    /// The pool's uuid, if it is known.
    pub pool: Option<Uuid>,
    /// The pool's name, or what comes nearest.
    pub name: String,
    /// The master's address: the one that answers, else the one that the records name.
    pub master: Option<String>,
    /// Whether HA is enabled in the pool, by its records.
    ///
    /// Not whether it is armed on a host.
    pub ha_enabled: Option<bool>,
    /// The records that names, versions and HA were read from, and where they are from.
    pub records: Records,
    /// The hosts, those of the pool in the order of its records, then others.
    pub hosts: Vec<HostReport>,
    /// What else is not as it should be, a line each.
    pub notes: Vec<String>,
    /// What to do, a line each, in order.
    pub advice: Vec<String>,
}

/// A pool's records and where they are from, if there are any.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "it is input")]
pub enum Records {
    /// The master, just now.
    Master {
        /// The records.
        #[serde(skip)]
        snapshot: Box<Snapshot>,
    },
    /// Nowhere: hosts are known by their addresses alone.
    None,
    /// The snapshot that was given, so many seconds old if that is known.
    Snapshot {
        /// Its age in seconds.
        age: Option<u64>,
        /// The records.
        #[serde(skip)]
        snapshot: Box<Snapshot>,
    },
}

impl Records {
    /// Whether the master gave them just now.
    pub(super) const fn is_of_master(&self) -> bool {
        matches!(self, Self::Master { .. })
    }

    /// The records.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        match self {
            Self::Master { snapshot } | Self::Snapshot { snapshot, .. } => Some(snapshot),
            Self::None => None,
        }
    }
}

impl Diagnosis {
    /// What the hosts said, to choose a master by ([`election`](crate::election)).
    ///
    /// That a host is off, or that a person takes responsibility for something, is for the caller
    /// to add.
    pub fn evidence(&self) -> PoolEvidence {
        of_reports(&self.hosts, self.records.snapshot())
    }

    /// What was found out of a host, by its ref.
    pub fn host(&self, reference: &Ref<Host>) -> Option<&HostReport> {
        self.hosts.iter().find(|report| report.reference.as_ref() == Some(reference))
    }
}
