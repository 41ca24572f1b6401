//! Which hosts of an HA pool survive when links, storage or hosts fail.
//!
//! The decision is that of `xhad`, the HA daemon: every host looks at whom it hears on the network
//! (its heartbeat domain) and who still writes to the shared state file (its state-file domain),
//! settles on a group with the others, and then survives or fences itself. [`Views`] makes that
//! decision for all hosts from raw views, as recorded from the daemon; [`Scenario`] is the safe way
//! in: hosts by uuid, cuts by name, and input that breaks the daemon's assumptions is refused.
//!
//! ```
//! use xcp_pool::election::partition::Scenario;
//!
//! let mut pool = Scenario::new(["host-a", "host-b", "host-c", "host-d"])?;
//! pool.split(&["host-c", "host-d"])?;
//! let outcome = pool.decide()?;
//! assert_eq!(outcome.survivors, ["host-a", "host-b"]); // equal halves: the lowest uuid wins
//! # Ok::<(), xcp_pool::Error>(())
//! ```

mod local;
mod outcome;
mod scenario;
mod timing;
mod views;

pub use local::HostDecision;
#[cfg(feature = "simulator")]
pub(crate) use local::{Domains, LocalView};
pub use outcome::{Election, Fate, FenceReason, HostSurvival, Survival, SurvivalRule, Wait};
pub use scenario::{Objection, Scenario};
pub(crate) use timing::Timing;
pub use views::Views;
