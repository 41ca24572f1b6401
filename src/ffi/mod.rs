//! The C ABI: what `include/xcp_pool.h` declares.
//!
//! The header is the documentation for C; it is made from this module. Whoever changes a function
//! here keeps four rules: arguments are checked before anything is done, outputs are written last
//! and only on success, no panic crosses, and nothing is read through a pointer that the registry
//! of living objects does not know.

#![allow(non_camel_case_types, reason = "types are named as in C")]
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "what C has compiled in cannot grow; structs say their size"
)]

mod arguments;
mod boundary;
mod callback;
mod calls;
mod cancel;
mod client;
mod control;
mod error;
mod hosts;
mod joins;
mod json;
mod log;
mod operations;
mod plan;
mod registry;
mod reply;
mod report;
mod rescue;
mod simulator;
mod snapshot;
mod status;
mod steps;
mod task;
mod text;
mod transport;
mod trust;
mod version;
mod watch;

pub use cancel::*;
pub use client::*;
pub use control::xcp_progress;
pub use error::*;
pub use hosts::*;
pub use joins::*;
pub use json::{
    xcp_consequences_json, xcp_election, xcp_election_json, xcp_failover, xcp_failover_json,
    xcp_master_lock_json, xcp_packing_json, xcp_partition_json, xcp_preflight_json, xcp_rules_json,
};
pub use log::*;
pub use operations::*;
pub use plan::*;
pub use reply::*;
pub use report::*;
pub use rescue::*;
pub use simulator::*;
pub use snapshot::*;
pub use status::*;
pub use steps::*;
pub use task::*;
pub use text::*;
pub use transport::*;
pub use trust::*;
pub use version::*;
pub use watch::*;
