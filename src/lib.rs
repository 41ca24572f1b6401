//! Resource pools of XCP-ng and XenServer hosts: decide, then act.
//!
//! The *core* decides, as pure functions over typed [snapshots](model::Snapshot): may this host join
//! the pool, what must be done first, what will the join change, who should be master, how many
//! hosts may fail. The *shell* asks and acts over XAPI, through a pluggable
//! [`Transport`](transport::Transport).
//!
//! # Logging
//! With the feature `log` (default) the shell tells the program's logger, through the crate `log`, what
//! it does, under the targets `xcp_pool::client`, `xcp_pool::operations` and `xcp_pool::transport`:
//! - *warn*: a lost connection, a session that is gone, a call whose outcome is unknown, an operation
//!   that was not done, a certificate that is seen first or is not the expected one;
//! - *info*: logins, the way to the master, renewed sessions, the steps of operations and their ends;
//! - *debug*: each request with its method, host, time, size and end; what is waited for.
//!
//! A line holds methods, addresses, times, names of objects and error codes; never parameters,
//! passwords, refs of sessions, pool secrets, nor the bodies of requests and replies. Without a logger,
//! or below its level, nothing is formatted or measured. The core says nothing: it answers. A logger
//! must not call on the client that tells it something: that client may be waiting for it.
//!
//! The HTTP library is not as careful: at level *trace* `ureq_proto` logs the bytes of requests and
//! replies, **passwords and sessions among them**, and `ureq` and `rustls` tell much at *debug*. A
//! logger that takes in everything at *trace* should leave those three out: for `env_logger`,
//! `RUST_LOG=trace,ureq_proto=info,ureq=info,rustls=info`.

#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![cfg_attr(not(feature = "ffi"), forbid(unsafe_code))]
#![cfg_attr(feature = "ffi", deny(unsafe_code))]

pub mod actions;
pub mod client;
pub mod election;
pub mod error;
pub mod failover;
#[cfg(feature = "ffi")]
#[allow(unsafe_code)]
pub mod ffi;
pub mod health;
mod log;
pub mod model;
pub mod operations;
pub mod plan;
pub mod preflight;
pub mod rules;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod transport;
pub mod wire;

pub use error::{Error, ErrorKind, Fault};
