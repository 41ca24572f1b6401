//! Single XAPI calls as data: what must hold before, what holds after, what is lost, how to go
//! back.
//!
//! An [`Action`] is one call to one server, or one wait; it says of itself what it needs and what
//! it does, as [`Condition`]s that a snapshot can confirm, and what it destroys, as [`Loss`]es: one
//! row each, of which no column has a default. A [`Remedy`] is what can be done about a finding:
//! [`Choice`]s of actions, or advice to a person. Plans, operations and all sets of rules share
//! them.

mod action;
mod condition;
mod host;
mod loss;
mod network;
mod pool;
mod remedy;
mod row;
mod side;
mod storage;
mod table;
mod vm;

pub use action::Action;
pub use condition::Condition;
pub use loss::{Loss, LossKind};
pub use remedy::{Choice, Remedy};
pub use row::Argument;
pub use side::Side;
