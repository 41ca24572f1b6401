//! Who is master and who survives, decided beforehand.
//!
//! Without HA nobody elects a master: a person chooses, and the server checks almost nothing.
//! [`planned`] ranks the hosts for a hand-over, [`emergency`] for a promotion after the master
//! died. With HA two stages decide, one after the other: [`partition`] says which hosts stay alive,
//! then the survivors race for one lock in the state file. Everything here is a pure function of
//! what it is given: time, evidence and uncertainty come in as values.

mod decision;
mod emergency;
mod evidence;
mod hostset;
#[cfg(any(test, feature = "simulator"))]
pub(crate) mod lock;
#[cfg(test)]
mod lock_states;
pub mod partition;
mod planned;
mod reason;
mod survey;

pub use decision::{
    Candidate, DataLoss, Decision, Eligibility, FollowUp, Hazard, Majority, Mode, Safety,
};
pub use emergency::emergency;
pub use evidence::{Confirmation, DatabaseCopy, HostEvidence, HostRole, PoolEvidence};
pub use hostset::HostSet;
pub use planned::planned;
pub use reason::{Reason, Weight};

use crate::model::Class;

/// The classes that decide who can become master, planned or in an emergency.
pub(crate) const CLASSES: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Sr,
    Class::Pbd,
    Class::Pif,
    // Those that the database shows on a master that died may have to be told off first.
    Class::Vm,
];
