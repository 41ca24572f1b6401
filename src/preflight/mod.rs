//! May this host join this pool? Everything that speaks against it, at once, and the way out.
//!
//! [`evaluate`] looks at a snapshot of the pool and one of the joiner and answers a [`Report`]: one
//! [`Finding`] for each [`Rule`] that objects, in the order in which XAPI's `pool.join` would, none
//! left out. XAPI itself stops at its first objection, and four of its error codes hide thirteen
//! different causes; a finding names its cause, its objects, both values, the error that XAPI would
//! raise, and the [`Remedy`](remedy::Remedy).
//!
//! Evaluation is pure: no clock, no network; the same snapshots give the same report. What the
//! snapshots do not tell is a finding of severity [`Unknown`](Severity::Unknown), never a silent pass.

mod checks;
pub mod consequences;
mod engine;
mod facts;
mod finding;
mod policy;
pub mod remedy;
mod report;
mod rule;
mod rules;

pub use finding::{Finding, Object, Severity, Side};
pub use policy::{Edition, Editions, Evidence, Options, Policy};
pub use report::{Report, Verdict};
pub use rule::{RULES, Reads, Rule, RuleCode, Scope, Since};

use crate::model::Snapshot;

/// Evaluates all rules for a join, with the defaults for what the snapshots do not tell.
///
/// Both snapshots come from the masters' databases: the pool's, and the joiner's own. Never fails;
/// what cannot be read is a finding.
pub fn evaluate(pool: &Snapshot, joiner: &Snapshot, policy: &Policy) -> Report {
    let options = Options { policy: policy.clone(), ..Options::default() };
    engine::evaluate(pool, joiner, &options)
}

/// Evaluates all rules for a join, with evidence from outside the databases.
pub fn evaluate_with(pool: &Snapshot, joiner: &Snapshot, options: &Options) -> Report {
    engine::evaluate(pool, joiner, options)
}
