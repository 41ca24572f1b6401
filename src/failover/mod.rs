//! How many hosts may fail, and which VM restarts where.
//!
//! The planner of XAPI's HA, as pure functions over a [`Snapshot`](crate::model::Snapshot).

pub mod agility;
mod assess;
pub mod binpack;
mod boot;
mod cpu;
mod evacuation;
mod failure;
mod host_evacuation;
mod maximum;
pub mod memory;
mod migration;
mod plan;
mod planner;
mod restarting;
mod status;
mod what_if;

pub use assess::{Assessment, HostMemory, Oddity, ProtectedVm, assess};
pub use evacuation::Target;
pub use failure::{FailureOutcome, Start, StartGroup};
pub use host_evacuation::HostEvacuation;
pub use maximum::{Maximum, RESTART_PRIORITIES};
pub use plan::{FailurePlan, NotRestarted, Obstacle, PlanStatus, Restart, RestartPlan, WhyNot};
pub use planner::{Change, Placement, Planner, is_protected};
pub use status::PoolStatus;
pub use what_if::{WhatIf, WhatIfOutcome};
