//! How many hosts may fail, and which VM restarts where.
//!
//! The planner of XAPI's HA, as pure functions over a [`Snapshot`](crate::model::Snapshot).

mod agility;
mod assess;
pub(crate) mod binpack;
#[cfg(test)]
mod binpack_laws;
#[cfg(test)]
mod binpack_recorded;
mod boot;
mod cpu;
mod evacuation;
mod failure;
mod host_evacuation;
mod maximum;
mod memory;
mod migration;
mod plan;
mod planner;
mod restarting;
mod status;
mod what_if;

pub use agility::NotAgile;
pub use assess::{Assessment, HostMemory, Oddity, ProtectedVm};
pub use evacuation::Target;
pub use failure::{FailureOutcome, Start, StartGroup};
pub use host_evacuation::HostEvacuation;
pub use maximum::Maximum;
pub use plan::{FailurePlan, NotRestarted, Obstacle, Placement, PlanStatus, RestartPlan, WhyNot};
pub use planner::{Change, Planner};
pub use status::PoolStatus;
pub use what_if::{WhatIf, WhatIfOutcome};

use crate::model::Class;

/// The classes that decide how many hosts may fail, and where VMs can go.
pub(crate) const CLASSES: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Vm,
    Class::VmMetrics,
    Class::VmGuestMetrics,
    Class::VmAppliance,
    Class::VmGroup,
    Class::Vbd,
    Class::Vdi,
    Class::Sr,
    Class::Pbd,
    Class::Vif,
    Class::Network,
    Class::Pif,
    // Whether a network is there on another host depends on what lies below it.
    Class::Vlan,
    Class::Bond,
    Class::NetworkSriov,
    Class::Pgpu,
    Class::Vgpu,
    Class::Vusb,
    Class::UsbGroup,
    Class::Pusb,
    // A cluster must keep its quorum.
    Class::Cluster,
    Class::ClusterHost,
];
