//! The states that a pool can be in.

use std::fmt;

use serde::Serialize;

/// What a diagnosis comes to.
///
/// Variants are ordered from well to ill; hosts are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PoolState {
    /// One master answers, and every member follows it.
    Healthy,
    /// One master answers, but these members do not answer, or do not follow it.
    Astray {
        /// The members.
        members: Vec<String>,
    },
    /// The master's toolstack is starting or busy: it should be back in minutes.
    MasterStarting {
        /// The master.
        master: String,
    },
    /// No master answers, and HA is enabled: the survivors choose one by themselves.
    MasterAwayUnderHa {
        /// The master.
        master: String,
    },
    /// The master does not answer: it is dead, or cut off from here.
    MasterAway {
        /// The master.
        master: String,
    },
    /// Hosts answer, but none of them is the master, nor is the host that they follow.
    NoMaster {
        /// The host that members follow, which is no master.
        followed: Vec<String>,
    },
    /// A hand-over failed half-way, and a host has lost its role (`HOST_BROKEN`).
    HalfHandedOver {
        /// The host, and those that follow it: they raise what it answered them.
        broken: Vec<String>,
    },
    /// These hosts all say that they are the pool's master.
    TwoMasters {
        /// The hosts.
        masters: Vec<String>,
    },
    /// Hosts are there, but none of them could be asked: see why.
    NotAsked,
    /// No host answers at all.
    NobodyAnswers,
}

impl fmt::Display for PoolState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy: one master, and every member follows it"),
            Self::Astray { members } => {
                write!(f, "the master answers, but not all is well with {}", members.join(", "))
            }
            Self::MasterStarting { master } => {
                write!(f, "the toolstack of the master {master} is starting, busy or stopped")
            }
            Self::MasterAwayUnderHa { master } => {
                write!(f, "the master {master} does not answer calls, and HA is on")
            }
            Self::MasterAway { master } => {
                write!(f, "the master {master} does not answer: it is dead, or cut off from here")
            }
            Self::NoMaster { followed } => match followed.as_slice() {
                [] => f.write_str("hosts answer, but none of them is the master"),
                [followed] => write!(f, "members follow {followed}, which is no master"),
                followed => {
                    write!(f, "members follow {}, which are no masters", followed.join(" and "))
                }
            },
            Self::HalfHandedOver { broken } => write!(
                f,
                "a hand-over failed half-way: nobody is master; {} lost the role, or follow who \
                 did",
                broken.join(", ")
            ),
            Self::TwoMasters { masters } => {
                write!(f, "SPLIT: {} all say that they are the master", masters.join(" and "))
            }
            Self::NotAsked => f.write_str("hosts are there, but they could not be asked"),
            Self::NobodyAnswers => f.write_str("no host answers"),
        }
    }
}
