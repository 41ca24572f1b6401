//! Resource pools of XCP-ng and XenServer hosts: decide, then act.
//!
//! The *core* decides, as pure functions over typed [snapshots](model::Snapshot): may this host join
//! the pool, what must be done first, what will the join change, who should be master, how many
//! hosts may fail. The *shell* asks and acts over XAPI, through a pluggable
//! [`Transport`](transport::Transport).

#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![cfg_attr(not(feature = "ffi"), forbid(unsafe_code))]
#![cfg_attr(feature = "ffi", deny(unsafe_code))]

pub mod client;
pub mod election;
pub mod error;
pub mod failover;
#[cfg(feature = "ffi")]
#[allow(unsafe_code)]
pub mod ffi;
pub mod model;
pub mod operations;
pub mod plan;
pub mod preflight;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod transport;
pub mod wire;

pub use error::{Error, ErrorKind, Fault};
