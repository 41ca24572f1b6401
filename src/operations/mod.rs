//! Operations that end in a known state: observe, compare, act, wait, verify.
//!
//! Each is idempotent and can be resumed by calling it again: what is done already is seen, not
//! remembered. The outcome is read from the state of the hosts, never from a reply: a lost reply
//! after `pool.join` says nothing. A call that must not be made twice is made once; before another
//! caller makes it, it looks whether one is under way.
//!
//! Every wait ends at the [`Control`]'s deadline or when it is cancelled. [`Outcome::Unknown`] says
//! that calling again later will look again; [`Why`] has what was seen.

mod control;
mod eject;
mod join;
mod outcome;
mod overview;
mod steps;

pub use control::{Control, Progress};
pub use eject::{Ejected, eject};
pub use join::{Joined, join};
pub use outcome::{Outcome, Why};
pub use overview::Overview;
