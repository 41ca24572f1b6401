//! Who is master and who survives, decided beforehand.
//!
//! Without HA nobody elects a master: a person chooses, and the server checks almost nothing. With
//! HA two stages decide, one after the other: [`partition`] says which hosts stay alive, then the
//! survivors race for one lock in the state file. Everything here is a pure function of what it is
//! given: time, evidence and uncertainty come in as values.

mod hostset;
pub mod lock;
pub mod partition;

pub use hostset::HostSet;
