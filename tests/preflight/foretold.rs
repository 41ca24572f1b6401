//! What is foretold of a join.

use xcp_pool::model::Snapshot;
use xcp_pool::preflight::consequences::{Changes, Consequences};
use xcp_pool::preflight::{Options, Report, evaluate};

/// The report on a join by either call.
pub(crate) fn report(pool: &Snapshot, joiner: &Snapshot, force: bool) -> Report {
    evaluate(pool.clone(), joiner.clone(), &Options::new().force(force))
}

/// What `pool.join` would do, whatever refuses it.
pub(crate) fn admitted(pool: &Snapshot, joiner: &Snapshot) -> Consequences {
    report(pool, joiner, false).consequences_once_admitted()
}

/// Consequences, with the changes that they mean.
pub(crate) struct Foretold(Consequences, Changes);

impl Foretold {
    pub(crate) fn of(pool: &Snapshot, joiner: &Snapshot) -> Self {
        let report = report(pool, joiner, false);
        Self(report.consequences_once_admitted(), report.changes_once_admitted())
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.1
    }
}

impl std::ops::Deref for Foretold {
    type Target = Consequences;

    fn deref(&self) -> &Consequences {
        &self.0
    }
}
