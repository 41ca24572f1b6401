//! What a snapshot covers.

use crate::model::{Class, Overview};
use crate::{election, failover, preflight};

/// Which classes a snapshot covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Hosts, storage and networks of a pool, without its VMs.
    Overview,
    /// Whatever decides whether and how a host joins a pool.
    Preflight,
    /// Whatever decides who can become master, planned or in an emergency.
    Election,
    /// Whatever decides how many hosts may fail, and where VMs can go.
    Failover,
    /// All classes that the model has.
    Everything,
}

impl Scope {
    /// The classes, the pool first.
    pub fn classes(self) -> &'static [Class] {
        match self {
            Self::Overview => Overview::CLASSES,
            Self::Preflight => preflight::CLASSES,
            Self::Election => election::CLASSES,
            Self::Failover => failover::CLASSES,
            Self::Everything => Class::ALL,
        }
    }
}
