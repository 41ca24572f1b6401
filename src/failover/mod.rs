//! How many hosts may fail, and which VM restarts where.
//!
//! The planner of XAPI's HA, as pure functions over a [`Snapshot`](crate::model::Snapshot).

pub mod binpack;
