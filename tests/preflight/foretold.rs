//! What is foretold of a join.

use xcp_pool::model::Snapshot;
use xcp_pool::preflight::consequences::{Attempt, Changes, Consequences, foretell_with_changes};

/// Consequences, with the changes that they mean.
pub struct Foretold(Consequences, Changes);

impl Foretold {
    pub fn of(pool: &Snapshot, joiner: &Snapshot) -> Self {
        let (consequences, changes) = foretell_with_changes(pool, joiner, &Attempt::join());
        Self(consequences, changes)
    }

    pub fn changes(&self) -> &Changes {
        &self.1
    }
}

impl std::ops::Deref for Foretold {
    type Target = Consequences;

    fn deref(&self) -> &Consequences {
        &self.0
    }
}
