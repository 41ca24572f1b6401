//! Operations that end in a known state: observe, compare, act, wait, verify.
//!
//! Each is idempotent and can be resumed by calling it again: what is done already is seen, not
//! remembered. The outcome is read from the state of the hosts, never from a reply: a lost reply
//! after `pool.join` says nothing.

mod control;
mod join;
mod outcome;
mod overview;
mod steps;

pub use control::{Control, Progress};
pub use join::{Joined, join};
pub use outcome::{Outcome, Why};
pub use overview::Overview;
