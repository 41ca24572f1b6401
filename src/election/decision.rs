//! What a choice of master looks like: a ranking, a verdict, and what has to follow.

use serde::{Deserialize, Serialize};

use super::evidence::Confirmation;
use super::reason::{Reason, Weight};
use crate::model::{Host, Ref, Snapshot, Vm, labels_at, name_at, names_at};

/// Whom to make master, how safe that is, and what has to follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Decision {
    /// The way in which the master is to change.
    pub mode: Mode,
    /// The master that goes or is gone, by the records and what hosts say.
    ///
    /// Missing if nobody is master.
    pub old_master: Option<Ref<Host>>,
    /// Every host of the pool once, best first; those that are not eligible come last.
    pub ranked: Vec<Candidate>,
    /// The host to make master.
    ///
    /// Missing if no host is eligible, or if the verdict is unsafe.
    pub recommended: Option<Ref<Host>>,
    /// How safe the change is.
    pub verdict: Safety,
    /// What a person has to take responsibility for before anything is done.
    pub confirmations: Vec<Confirmation>,
    /// What to do, in order.
    pub follow_up: Vec<FollowUp>,
    /// What the new master would not know, if anything is lost.
    pub data_loss: Option<DataLoss>,
    /// How the pool may end up with two masters, or worse.
    pub hazards: Vec<Hazard>,
    /// How much of the pool answers. XAPI has no quorum: this is advice.
    pub majority: Majority,
}

/// How the master is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Mode {
    /// The master is gone, and a member is promoted.
    ///
    /// The call is `pool.emergency_transition_to_master`.
    Emergency,
    /// The master hands over (`pool.designate_new_master`).
    Planned,
}

/// How safe a change of master is; doubt never makes it safer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "callers compare by it")]
pub enum Safety {
    /// Everything that matters is known, and good.
    Safe,
    /// A person has to take responsibility for what is not known.
    NeedsConfirmation,
    /// It would be refused, or split the pool.
    Unsafe,
}

/// A host as a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The host.
    pub host: Ref<Host>,
    /// Whether it may be made master.
    pub eligible: Eligibility,
    /// Why, the weightiest first.
    pub reasons: Vec<Reason>,
}

/// Whether a host may be made master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "callers sort by it")]
pub enum Eligibility {
    /// Yes.
    Yes,
    /// Yes, once a person confirms what is not known.
    IfConfirmed,
    /// No.
    No,
}

/// A step after the decision; each needs the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FollowUp {
    /// See which role every member has: exactly one may be master.
    CheckRoles {
        /// The members.
        hosts: Vec<Ref<Host>>,
    },
    /// Declare a host dead (`host.declare_dead`).
    ///
    /// Its VMs can be started elsewhere then.
    DeclareDead {
        /// The host.
        host: Ref<Host>,
    },
    /// Have the master hand over (`pool.designate_new_master`).
    Designate {
        /// The new master.
        host: Ref<Host>,
    },
    /// Switch HA off on a host (`host.emergency_ha_disable`).
    ///
    /// Never without a person, as other hosts may still act on HA.
    DisableHa {
        /// The host.
        host: Ref<Host>,
    },
    /// If the hand-over breaks: promote the new master by emergency.
    ///
    /// The rest is then recovered from there.
    IfBroken {
        /// The host to promote.
        host: Ref<Host>,
    },
    /// Prove that a host is off, and keep it off.
    ProveOff {
        /// The host.
        host: Ref<Host>,
    },
    /// Point all members to the new master (`pool.recover_slaves`).
    ///
    /// The call tells which of them did not answer.
    RecoverMembers {
        /// The new master.
        master: Ref<Host>,
    },
    /// Start the VMs that were lost.
    RestartVms {
        /// VMs that the database still shows on the old master.
        vms: Vec<Ref<Vm>>,
    },
    /// Promote a member (`pool.emergency_transition_to_master`).
    Transition {
        /// The new master.
        host: Ref<Host>,
    },
    /// Wait until the new master answers logins, which takes minutes.
    WaitForMaster {
        /// The new master.
        host: Ref<Host>,
    },
}

/// What the new master's copy of the database may lack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DataLoss {
    /// The generation of the recommended host's copy.
    pub generation: Option<u64>,
    /// The newest generation that any host is known to have.
    pub newest_known: Option<u64>,
    /// How many generations the copy is behind that, if they can be compared.
    pub behind: Option<u64>,
    /// Whether generations can be compared at all: not if the pool had two masters.
    pub comparable: bool,
    /// How old the copy is, in seconds, if that is known.
    pub age: Option<u64>,
    /// How old copies of such a pool get by themselves, in seconds.
    ///
    /// Missing while an upgrade stops the copies.
    pub usual_age: Option<u64>,
    /// Whether a newer state lies on shared storage, and is found there.
    ///
    /// HA and the redo log keep one.
    pub also_on_storage: bool,
}

/// How a change of master may end badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "hazard", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Hazard {
    /// Another host says that it is a master: two masters, two histories.
    AnotherMaster {
        /// The host.
        host: Ref<Host>,
    },
    /// More than one host could be promoted: make sure that nobody else does it now.
    AnotherPromotion,
    /// HA is off on some hosts and armed on others, which may still elect a master.
    HaHalfOff {
        /// The hosts on which it is armed.
        armed: Vec<Ref<Host>>,
    },
    /// Members that do not answer may follow, or be, another master.
    MembersOutOfSight {
        /// The members.
        hosts: Vec<Ref<Host>>,
    },
    /// The old master answers.
    ///
    /// The promoted host would step back as it starts, or fight over storage.
    OldMasterAnswers {
        /// The old master.
        host: Ref<Host>,
    },
    /// The old master does not answer, and may be running.
    ///
    /// It may still run VMs and manage the storage.
    OldMasterMayRun {
        /// The old master.
        host: Ref<Host>,
    },
    /// If the old master returns while it cannot see the new one, it stays master.
    OldMasterMayReturn {
        /// The old master.
        host: Ref<Host>,
    },
    /// The second half of a hand-over can fail.
    ///
    /// Members then follow the new master, which is broken.
    HandOverMayBreak,
    /// VMs that the database shows on the old master.
    ///
    /// Started elsewhere while they still run there, they destroy their disks.
    VmsMayRunTwice {
        /// The VMs.
        vms: Vec<Ref<Vm>>,
    },
}

/// How many members answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Majority {
    /// Members that are known to answer.
    pub answering: usize,
    /// All members.
    pub members: usize,
}

impl Majority {
    /// Whether more than half of the pool answers.
    ///
    /// Never so after a death in a pool of two.
    pub fn is_strict(&self) -> bool {
        self.answering * 2 > self.members
    }
}

impl FollowUp {
    /// What to do, in one line with names from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        let name = |host: &Ref<Host>| name_at(pool, host);
        match self {
            Self::CheckRoles { hosts } => {
                format!(
                    "see which role each host has, exactly one is master: {}",
                    names_at(pool, hosts)
                )
            }
            Self::DeclareDead { host } => {
                format!("declare {} dead (host.declare_dead)", name(host))
            }
            Self::Designate { host } => {
                format!("hand the pool over to {} (pool.designate_new_master)", name(host))
            }
            Self::DisableHa { host } => {
                format!("switch HA off on {} (host.emergency_ha_disable)", name(host))
            }
            Self::IfBroken { host } => format!(
                "if the hand-over leaves a host broken: promote {} by emergency, and recover the \
                 rest",
                name(host)
            ),
            Self::ProveOff { host } => {
                format!("make sure that {} is off, and stays off", name(host))
            }
            Self::RecoverMembers { master } => {
                format!("point all members to {} (pool.recover_slaves)", name(master))
            }
            Self::RestartVms { vms } => {
                format!("start the VMs that were lost: {}", labels_at(pool, vms))
            }
            Self::Transition { host } => {
                format!("promote {} (pool.emergency_transition_to_master)", name(host))
            }
            Self::WaitForMaster { host } => format!("wait until {} answers as master", name(host)),
        }
    }
}

impl Hazard {
    /// How it may end badly, in one line with names from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        let name = |host: &Ref<Host>| name_at(pool, host);
        match self {
            Self::AnotherMaster { host } => {
                format!("{} says that it is a master: the pool may have two", name(host))
            }
            Self::AnotherPromotion => {
                "another host could be promoted too: make sure that nobody does it now".to_owned()
            }
            Self::HaHalfOff { armed } => format!(
                "HA is off on some hosts, but armed on {}, which may still elect a master",
                names_at(pool, armed)
            ),
            Self::MembersOutOfSight { hosts } => {
                format!("these may follow, or be, another master: {}", names_at(pool, hosts))
            }
            Self::OldMasterAnswers { host } => {
                format!("the old master {} answers: it is not off", name(host))
            }
            Self::OldMasterMayRun { host } => format!(
                "the old master {} does not answer, but may still run VMs and manage the storage",
                name(host)
            ),
            Self::OldMasterMayReturn { host } => format!(
                "the old master {} stays master if it returns and cannot see the new one",
                name(host)
            ),
            Self::HandOverMayBreak => {
                "a hand-over that fails half-way leaves the new master broken".to_owned()
            }
            Self::VmsMayRunTwice { vms } => format!(
                "VMs that may still run on the old master, and destroy their disks if they are \
                 started elsewhere: {}",
                labels_at(pool, vms)
            ),
        }
    }
}

impl Decision {
    /// The candidate that a host is, if it is in the pool.
    pub fn candidate(&self, host: &Ref<Host>) -> Option<&Candidate> {
        self.ranked.iter().find(|candidate| candidate.host == *host)
    }
}

impl Candidate {
    pub(super) fn new(host: Ref<Host>, mut reasons: Vec<Reason>, eligible: Eligibility) -> Self {
        reasons.sort_by(|a, b| b.weight().cmp(&a.weight()).then_with(|| a.cmp(b)));
        Self { host, eligible, reasons }
    }

    /// How many reasons weigh so much.
    pub fn count(&self, weight: Weight) -> usize {
        self.reasons.iter().filter(|reason| reason.weight() == weight).count()
    }

    /// The host, whether it may be master, and each reason, in one line.
    ///
    /// Names come from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        let eligible = match self.eligible {
            Eligibility::Yes => "eligible",
            Eligibility::IfConfirmed => "eligible if confirmed",
            Eligibility::No => "not eligible",
        };
        let mut line = format!("{}: {eligible}", name_at(pool, &self.host));
        for reason in &self.reasons {
            line.push_str("; ");
            line.push_str(&reason.describe(pool));
        }
        line
    }

    /// Whether it has this very reason.
    pub fn has(&self, reason: &Reason) -> bool {
        self.reasons.contains(reason)
    }
}
