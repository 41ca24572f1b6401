//! The checks that `pool.join` makes, one file a family.

pub(super) mod auth;
pub(super) mod certificates;
pub(super) mod cluster;
pub(super) mod ha;
pub(super) mod identity;
pub(super) mod licence;
pub(super) mod network;
pub(super) mod sm;
pub(super) mod software;
pub(super) mod storage;
pub(super) mod updates;
pub(super) mod vms;
pub(super) mod vswitch;
