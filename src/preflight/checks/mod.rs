//! The checks that `pool.join` makes, one file a family.

pub(super) mod ha;
pub(super) mod identity;
pub(super) mod licence;
pub(super) mod storage;
pub(super) mod vms;
