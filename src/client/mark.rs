//! Marks on errors that only their source tells apart.

use crate::error::Error;
use crate::model::Uuid;

/// Marks the error of a login that a member led to a master that does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct MasterIsAway(pub(super) Error);

/// Marks the error of an answer for another pool.
#[derive(Clone, Debug, thiserror::Error)]
#[error("it belongs to pool {found}, and this client to pool {expected}")]
pub(super) struct OtherPool {
    pub(super) found: Uuid,
    pub(super) expected: Uuid,
}
