//! Operations that end in a known state: observe, compare, act, wait, verify.
//!
//! Each is idempotent and can be resumed by calling it again: what is done already is seen, not
//! remembered. The outcome is read from the state of the hosts, never from a reply: a lost reply
//! after `pool.join` says nothing. A call that must not be made twice is made once; before another
//! caller makes it, it looks whether one is under way.
//!
//! Every wait ends at the [`Control`]'s deadline or when it is cancelled. [`Outcome::Unknown`] says
//! that calling again later will look again; [`Why`] has what was seen.
//!
//! [`diagnose`] says in what state a pool is, also when no master answers: each of its
//! [`Members`] is asked for itself.

mod ask;
mod control;
mod diagnose;
mod eject;
mod hand_over;
mod join;
mod join_many;
mod maintenance;
mod members;
mod outcome;
mod readiness;
mod recover;
mod steps;
mod verify;

pub use control::{Control, OnFailure, Progress};
pub use diagnose::{diagnose, evidence};
pub use eject::{Ejected, eject};
pub use hand_over::{HandedOver, hand_over};
pub use join::{Joined, join};
pub use join_many::{JoinAttempt, JoinedMany, join_many};
pub use maintenance::{Maintained, maintenance};
pub use members::Members;
pub use outcome::{Outcome, Why};
pub use readiness::{join_evidence, preflight};
pub use recover::{Follower, Recovered, Remaining, recover};
