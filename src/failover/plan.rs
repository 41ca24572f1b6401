//! What the planner finds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::agility::NotAgile;
use crate::error::Fault;
use crate::model::{Host, Ref, Snapshot, Vm, fault_with_names, label_at, labels_at, names_at};

/// Whether all protected VMs would be running after some failures (`plan_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the server's own three")]
pub enum PlanStatus {
    /// Yes, all of them.
    All,
    /// All but those that are tied to a host.
    ExcludingNonAgile,
    /// No.
    None,
}

/// What the planner finds for a number of failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailurePlan {
    /// How many hosts fail.
    pub failures: i64,
    /// Whether that can be survived.
    pub status: PlanStatus,
    /// What stands against it, if the status is none.
    pub obstacle: Option<Obstacle>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "obstacle", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Obstacle {
    /// All protected VMs together have no size: the server divides by zero.
    NoSize,
    /// Even before any failure these VMs are off and the plan does not start them.
    NotRestarted {
        /// The VMs, with reasons.
        vms: Vec<NotRestarted>,
    },
    /// The number of failures is negative, or larger than the number of hosts.
    OutOfRange {
        /// How many hosts the pool has.
        hosts: usize,
    },
    /// The planner itself raises this.
    Raised {
        /// The error.
        fault: Fault,
    },
    /// Too few hosts are up, or none would be left for the VMs.
    TooFewHosts {
        /// Hosts that are enabled and live.
        live: usize,
    },
    /// Counted pessimistically, the hosts that are left have too few places.
    TooFewSlots {
        /// VMs that would have to move at worst.
        needed: i64,
        /// VMs, each as large as the largest, that fit at worst.
        capacity: i64,
    },
    /// If these hosts fail in this order, these VMs find no place.
    Unplaced {
        /// Hosts that fail, in order.
        hosts: Vec<Ref<Host>>,
        /// VMs of the last one that fit nowhere.
        vms: Vec<Ref<Vm>>,
    },
}

/// A VM on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "it is input, written over its default")]
pub struct Placement {
    /// The VM.
    pub vm: Ref<Vm>,
    /// The host.
    pub host: Ref<Host>,
}

/// The restart of VMs that are off and should run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestartPlan {
    /// Which VM starts where, in the server's order.
    pub restarts: Vec<Placement>,
    /// Which are not (fully) covered by the plan, and why.
    pub not_restarted: Vec<NotRestarted>,
}

/// A VM that the plan leaves out, or that the server counts so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NotRestarted {
    /// The VM.
    pub vm: Ref<Vm>,
    /// Why.
    #[serde(flatten)]
    pub why: WhyNot,
}

/// Why a VM is not restarted by the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WhyNot {
    /// It fits on no host that is left.
    NoRoom {
        /// Bytes that it needs.
        needed: i64,
        /// Bytes that are free on the host with most, once the others are placed.
        largest_free: i64,
    },
    /// It cannot run on every host.
    NotAgile {
        /// The reason for that.
        #[serde(rename = "not_agile")]
        reason: NotAgile,
        /// The one host that the server takes it to be tied to, and where it is started.
        tied_to: Option<Ref<Host>>,
    },
}

impl Obstacle {
    /// Why there is no plan, in one line with names from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        match self {
            Self::NoSize => {
                "the protected VMs have no size, and the server divides by zero".to_owned()
            }
            Self::NotRestarted { vms } => {
                let vms: Vec<_> = vms.iter().map(|left| label_at(pool, &left.vm)).collect();
                format!("off, and not started by the plan: {}", vms.join(", "))
            }
            Self::OutOfRange { hosts } => {
                format!(
                    "the number of failures is not between 0 and {hosts}, the hosts of the pool"
                )
            }
            Self::Raised { fault } => {
                format!("the server's planner raises {}", fault_with_names(pool, fault))
            }
            Self::TooFewHosts { live } => format!("only {live} hosts are enabled and live"),
            Self::TooFewSlots { needed, capacity } => format!(
                "at worst {needed} VMs would have to move, and {capacity} of the largest size fit"
            ),
            Self::Unplaced { hosts, vms } => format!(
                "if these hosts fail in this order: {}; there is no room for {}",
                names_at(pool, hosts),
                labels_at(pool, vms)
            ),
        }
    }
}

impl WhyNot {
    /// Why the VM is not restarted, in one line with names from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        match self {
            Self::NoRoom { needed, largest_free } => format!(
                "it needs {} MiB, and no host that is left has more than {} MiB free",
                needed >> 20,
                largest_free >> 20
            ),
            Self::NotAgile { reason, .. } => reason.describe(pool),
        }
    }
}

impl PlanStatus {
    /// The server's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::ExcludingNonAgile => "excluding_non_agile",
            Self::None => "none",
        }
    }
}

impl fmt::Display for PlanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FailurePlan {
    /// Whether every protected VM would run.
    ///
    /// The server takes nothing else for a yes.
    pub fn exists(&self) -> bool {
        self.status == PlanStatus::All
    }
}
