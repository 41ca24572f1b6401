//! Resource pools of XCP-ng and XenServer hosts: decide, then act.
//!
//! # Example
//! May *Ignite* join *Phantom*'s pool, and what must be done first? Here on the simulator; for real
//! hosts the transport is an [`Http`](transport::Http).
//! ```
//! # #[cfg(feature = "simulator")] {
//! use xcp_pool::client::{Client, Credentials};
//! use xcp_pool::operations;
//! use xcp_pool::plan::Choices;
//! use xcp_pool::preflight::Options;
//! use xcp_pool::simulator::World;
//!
//! let world = World::story(1);
//! let root = Credentials::new("root", "xcp-test");
//! let phantom = Client::connect(world.transport(), "phantom", &root)?;
//! let ignite = Client::connect(world.transport(), "ignite", &root)?;
//!
//! let report = operations::preflight(&phantom, &ignite, &Options::new())?;
//! println!("{report}\n{}", report.consequences());
//!
//! let plan = report.plan(&Choices::new())?;
//! println!("{plan}");
//! assert_eq!(report.predicted_fault().unwrap().code, "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS");
//! assert!(plan.is_complete(), "each finding that stands in the way has a remedy");
//! # }
//! # Ok::<(), xcp_pool::Error>(())
//! ```
//! [`operations`] carries the plan out and sees for itself that the host is a member.
//!
//! # Map
//! The *core* decides, as pure functions over typed snapshots; the *shell* asks and acts over XAPI.
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`model`] | XAPI's records, typed; [`Snapshot`](model::Snapshot): one near-cut of one pool |
//! | [`actions`] | single calls as data, with what they need, bring about and destroy |
//! | [`rules`] | what every check is made of: rules, findings, policies |
//! | [`preflight`] | may this host join that pool, and what will the join change |
//! | [`health`] | what the answers of all hosts of a pool mean, a dead master's too |
//! | [`election`] | who may be master; who survives a cut of the network |
//! | [`failover`] | how many hosts may fail, and where VMs can go |
//! | [`plan`] | what to do, as data: printed, reviewed, hashed, replayed |
//! | [`client`], [`transport`], [`wire`] | sessions, snapshots, events; the seam; JSON-RPC |
//! | [`operations`] | plans carried out, awaited and verified |
//! | `simulator` | pools of XAPI hosts in memory, itself a transport |
//! | `ffi` | the C ABI, on which Python and Go stand |
//!
//! The [`manual`] shows how they hang together and how to add to them.
//!
//! # Logging
//! With the feature `log` (default) the shell tells the program's logger, through the crate `log`,
//! what it does, under the targets `xcp_pool::client`, `xcp_pool::operations` and
//! `xcp_pool::transport`:
//! - *warn*: a lost connection, a session that is gone, a call whose outcome is unknown, an
//!   operation that was not done, a certificate that is seen first or is not the expected one;
//! - *info*: logins, the way to the master, renewed sessions, the steps of operations and their
//!   ends;
//! - *debug*: each request with its method, host, time, size and end; what is waited for.
//!
//! A line holds methods, addresses, times, names of objects and error codes; never parameters,
//! passwords, refs of sessions, pool secrets, nor the bodies of requests and replies. Without a
//! logger, or below its level, nothing is formatted or measured. The core logs nothing. A logger
//! must not call on the client that tells it something: that client may be waiting for it.
//!
//! The HTTP library is not as careful: at level *trace* `ureq_proto` logs the bytes of requests and
//! replies, **passwords and sessions among them**, and `ureq` and `rustls` tell much at *debug*. A
//! logger that takes in everything at *trace* should leave those three out: for `env_logger`,
//! `RUST_LOG=trace,ureq_proto=info,ureq=info,rustls=info`.

#![cfg_attr(not(feature = "ffi"), forbid(unsafe_code))]
#![cfg_attr(feature = "ffi", deny(unsafe_code))]

pub mod actions;
pub mod client;
pub mod election;
mod error;
pub mod failover;
#[cfg(feature = "ffi")]
#[allow(unsafe_code, reason = "C passes pointers")]
pub mod ffi;
pub mod health;
mod log;
pub mod manual;
pub mod model;
pub mod operations;
pub mod plan;
pub mod preflight;
pub mod rules;
#[cfg(feature = "simulator")]
pub mod simulator;
mod text;
pub mod transport;
pub mod wire;

pub use error::{Error, ErrorKind, Fault, Result};
