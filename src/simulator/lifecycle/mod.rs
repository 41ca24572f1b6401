//! How hosts become members, masters, and hosts of their own again.

pub(super) mod eject;
pub(super) mod emergency;
pub(super) mod handover;
pub(super) mod join;
mod member;
mod operation;

pub(super) use member::bring_up;
