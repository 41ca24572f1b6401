//! May this host join this pool? Everything that speaks against it, at once, and the way out.
//!
//! [`evaluate`] looks at a snapshot of the pool and one of the joiner and returns a [`Report`]: one
//! [`Finding`](crate::rules::Finding) for each [`Rule`](crate::rules::Rule) that objects, in the
//! order in which XAPI's `pool.join` would, none left out. XAPI itself stops at its first
//! objection, and four of its error codes hide thirteen different causes; a finding names its
//! cause, its objects, both values, the error that XAPI would raise, and the
//! [`Remedy`](crate::actions::Remedy).
//!
//! Evaluation is pure: no clock, no network; the same snapshots give the same report. What the
//! snapshots do not tell is a finding of severity [`Unknown`](crate::rules::Severity::Unknown),
//! never a silent pass.
//!
//! # Example
//! ```
//! use xcp_pool::model::Snapshot;
//! use xcp_pool::preflight::{self, Options, Verdict};
//! use xcp_pool::rules::Severity;
//!
//! // Hand-written records are completed; those of real servers are complete as they are.
//! let mut pool = Snapshot::from_json(br#"{
//!     "pool": {"OpaqueRef:p": {"master": "OpaqueRef:phantom"}},
//!     "host": {"OpaqueRef:phantom": {"name_label": "Phantom"}}}"#)?;
//! let mut joiner = Snapshot::from_json(br#"{
//!     "pool": {"OpaqueRef:q": {"master": "OpaqueRef:ignite"}},
//!     "host": {"OpaqueRef:ignite": {"name_label": "Ignite"}},
//!     "SR": {"OpaqueRef:nfs": {"name_label": "NFS", "shared": true}}}"#)?;
//! pool.complete();
//! joiner.complete();
//!
//! let report = preflight::evaluate(pool, joiner, &Options::default());
//! assert_eq!(report.verdict(), Verdict::Blocked);
//! let storage = report.findings().iter().find(|f| f.rule == "shared-storage").unwrap();
//! assert_eq!(storage.severity, Severity::Blocker);
//! assert_eq!(storage.objects[0].name, "NFS");
//! assert_eq!(storage.fault.as_ref().unwrap().code, "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS");
//! assert_eq!(storage.remedy.choices[0].code, "forget");
//! # Ok::<(), xcp_pool::Error>(())
//! ```
//!
#![doc = include_str!("rules.md")]

#[cfg(any(test, feature = "proptest"))]
pub mod arbitrary;
mod checks;
pub mod consequences;
mod facts;
mod hazards;
mod laws;
mod options;
mod report;
mod set;
mod table;

pub use options::{Edition, Editions, Evidence, Options};
pub use report::{Report, Verdict};
pub use set::Preflight;
pub(crate) use table::CLASSES;
#[cfg(feature = "simulator")]
pub(crate) use table::RULES;

use std::sync::Arc;

use crate::model::Snapshot;

/// Evaluates all rules for a join.
///
/// Both snapshots come from the masters' databases: the pool's, and the joiner's own. Owned ones
/// and shared ones (`Arc`) do alike; the report keeps them. Never fails; what cannot be read is a
/// finding.
pub fn evaluate(
    pool: impl Into<Arc<Snapshot>>,
    joiner: impl Into<Arc<Snapshot>>,
    options: &Options,
) -> Report {
    Report::new(pool.into(), joiner.into(), options.clone())
}
