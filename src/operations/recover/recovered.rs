//! What a recovery comes to.

use std::fmt;

use serde::Serialize;

use crate::model::{Object, Uuid};

/// A pool that has a master again, and what is left to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Recovered {
    /// The new master's uuid.
    pub master: Uuid,
    /// The new master's address.
    pub address: String,
    /// Whether it was the master already when the operation began.
    pub already_master: bool,
    /// Every other host of the pool, and whether it follows.
    pub members: Vec<Follower>,
    /// What a person has to see to, in order.
    pub remaining: Vec<Remaining>,
}

/// A host that should follow the new master.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Follower {
    /// Its uuid.
    pub host: Uuid,
    /// Its name.
    pub name: String,
    /// Whether it follows the new master, and is live and enabled there.
    pub follows: bool,
    /// If not, what it says.
    pub says: String,
}

/// What is left to do after a recovery.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "remaining", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Remaining {
    /// A host does not follow the new master.
    Astray {
        /// The host's name.
        host: String,
        /// What it says.
        says: String,
    },
    /// The records still show VMs on the old master.
    ///
    /// They cannot be started elsewhere so.
    VmsOnOldMaster {
        /// The old master's name.
        host: String,
        /// The VMs.
        vms: Vec<Object>,
        /// Why they were not reset.
        why: String,
    },
    /// The old master may come back.
    OldMasterReturns {
        /// The old master's name.
        host: String,
    },
    /// The old master is a member again.
    OldMasterIsBack {
        /// The old master's name.
        host: String,
    },
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Astray { host, says } => write!(
                f,
                "{host} does not follow the new master: it {says}. When it is back, recover again."
            ),
            Self::VmsOnOldMaster { host, vms, why } => {
                let names: Vec<_> = vms.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "the records show VMs on {host}: {}. {why}. Once {host} is surely off: \
                     host.declare_dead, then start them elsewhere.",
                    names.join(", ")
                )
            }
            Self::OldMasterReturns { host } => write!(
                f,
                "{host} takes itself for the master when it is back, until it sees the new one: \
                 power it on only with the network to all members in order, or not at all \
                 (host.destroy forgets it)."
            ),
            Self::OldMasterIsBack { host } => write!(f, "{host} is back, as a member."),
        }
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is master", self.address)?;
        if self.already_master {
            f.write_str(" (and was before)")?;
        }
        for member in &self.members {
            match member.follows {
                true => write!(f, "\n  {} follows, live and enabled", member.name)?,
                false => write!(f, "\n  {} does not follow: it {}", member.name, member.says)?,
            }
        }
        if !self.remaining.is_empty() {
            f.write_str("\nwhat is left to do:")?;
        }
        self.remaining.iter().try_for_each(|remaining| write!(f, "\n  - {remaining}"))
    }
}
