//! How many hosts may fail, and which VM restarts where.
//!
//! The planner of XAPI's HA, as pure functions over a [`Snapshot`](crate::model::Snapshot).

pub mod agility;
pub mod binpack;
mod boot;
mod evacuation;
mod maximum;
pub mod memory;
mod plan;
mod planner;
mod status;

pub use evacuation::Target;
pub use maximum::{Maximum, RESTART_PRIORITIES};
pub use plan::{FailurePlan, NotRestarted, Obstacle, PlanStatus, Restart, RestartPlan, WhyNot};
pub use planner::{Change, Placement, Planner, is_protected};
pub use status::PoolStatus;
