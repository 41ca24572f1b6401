//! What is known of the hosts beyond the database, each piece of it optional.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Host, Ref, Snapshot, name_at};

/// What a person or a tool found out about the hosts of a pool.
///
/// What was not found out is missing, and never counts as "no".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "it is input, written over its default")]
pub struct PoolEvidence {
    /// What is known of each host.
    pub hosts: BTreeMap<Ref<Host>, HostEvidence>,
    /// What a person takes responsibility for although it is not known.
    pub confirmed: BTreeSet<Confirmation>,
}

/// What is known of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "it is input, written over its default")]
pub struct HostEvidence {
    /// Whether its toolstack answers whoever asks.
    pub reachable: Option<bool>,
    /// Whether it can reach other hosts of the pool.
    pub reaches: BTreeMap<Ref<Host>, bool>,
    /// The role that it says it has.
    pub role: Option<HostRole>,
    /// Whether it is in emergency mode (`host.is_in_emergency_mode`).
    pub emergency_mode: Option<bool>,
    /// Whether HA is armed on it.
    ///
    /// That is the local flag `ha_armed`, not the pool's `ha_enabled`.
    pub ha_armed: Option<bool>,
    /// Its own copy of the pool's database.
    pub database: Option<DatabaseCopy>,
    /// Whether it is proven to be off.
    ///
    /// By its management board, or by someone who looked.
    pub powered_off: Option<bool>,
    /// Whether a person rules it out.
    pub vetoed: bool,
}

/// The role of a host, as its `pool.conf` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "XAPI has three")]
pub enum HostRole {
    /// It lost its role in a change of master that failed.
    Broken,
    /// It is a master.
    Master,
    /// It follows the master at this address.
    Slave(String),
}

/// A host's copy of the pool's database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "it is input, written over its default")]
pub struct DatabaseCopy {
    /// Whether there is none: promoted, the host would start with an empty pool.
    pub absent: bool,
    /// The generation count of its newest file.
    pub generation: Option<u64>,
    /// Major and minor number of its schema.
    pub schema: Option<(u64, u64)>,
    /// How old it is, in seconds.
    pub age: Option<u64>,
    /// A name for the history it belongs to, if a split gave the pool two.
    pub lineage: Option<String>,
}

/// Something that a person takes responsibility for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "confirm", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Confirmation {
    /// That every member answers although nobody asked them all.
    AllMembersAnswer,
    /// That data newer than the host's copy may be lost.
    DataMayBeLost {
        /// The host.
        host: Ref<Host>,
    },
    /// That HA is not armed on the host.
    HaNotArmed {
        /// The host.
        host: Ref<Host>,
    },
    /// That the host has a usable copy of the database.
    HasDatabase {
        /// The host.
        host: Ref<Host>,
    },
    /// That the members which do not answer follow no other master.
    NoOtherMaster {
        /// The members.
        hosts: Vec<Ref<Host>>,
    },
    /// That the old master is off and stays off.
    OldMasterIsOff {
        /// The old master.
        host: Ref<Host>,
    },
    /// That the host is up and can be called.
    Reachable {
        /// The host.
        host: Ref<Host>,
    },
    /// That no member runs a newer version than the host.
    VersionIsNewest {
        /// The host.
        host: Ref<Host>,
    },
}

impl Confirmation {
    /// What is confirmed, as what follows "that", with names from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        self.in_words(|host| name_at(pool, host))
    }

    /// The words, with names from wherever hosts have them.
    pub(crate) fn in_words(&self, name: impl Fn(&Ref<Host>) -> String) -> String {
        match self {
            Self::AllMembersAnswer => "every member answers".to_owned(),
            Self::DataMayBeLost { host } => {
                format!("data newer than the copy of {} may be lost", name(host))
            }
            Self::HaNotArmed { host } => format!("HA is not armed on {}", name(host)),
            Self::HasDatabase { host } => {
                format!("{} has a usable copy of the database", name(host))
            }
            Self::NoOtherMaster { hosts } => {
                let hosts: Vec<_> = hosts.iter().map(name).collect();
                format!("none of these is, or follows, another master: {}", hosts.join(", "))
            }
            Self::OldMasterIsOff { host } => {
                format!("the old master {} is off, and stays off", name(host))
            }
            Self::Reachable { host } => format!("{} is up and can be called", name(host)),
            Self::VersionIsNewest { host } => {
                format!("no member runs a newer version than {}", name(host))
            }
        }
    }
}

impl PoolEvidence {
    /// No evidence at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// What is known of a host, to add to.
    pub fn host(&mut self, host: &Ref<Host>) -> &mut HostEvidence {
        self.hosts.entry(host.clone()).or_default()
    }

    /// What is known of a host, if anything.
    pub fn of(&self, host: &Ref<Host>) -> HostEvidence {
        self.hosts.get(host).cloned().unwrap_or_default()
    }

    pub(super) fn is_confirmed(&self, confirmation: &Confirmation) -> bool {
        if let Confirmation::NoOtherMaster { hosts } = confirmation {
            // Said of more hosts, it is said of these.
            let covers = |said: &Confirmation| {
                matches!(said, Confirmation::NoOtherMaster { hosts: said }
                    if hosts.iter().all(|host| said.contains(host)))
            };
            return self.confirmed.iter().any(covers);
        }
        self.confirmed.contains(confirmation)
    }
}

impl HostEvidence {
    /// Whether the host is known to answer: a host that claims a role did.
    pub fn answers(&self) -> Option<bool> {
        if self.powered_off == Some(true) && self.reachable != Some(true) {
            return Some(false);
        }
        self.reachable
    }

    /// Whether it says that it is a master.
    pub fn claims_mastership(&self) -> bool {
        self.role == Some(HostRole::Master)
    }
}
