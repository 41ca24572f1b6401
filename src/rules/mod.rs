//! What every check is made of: rules as data, findings, policies, and the engine that runs them.
//!
//! A [`Rule`] says in data what it compares, what it reads and since which release, what it mirrors
//! of XAPI and how much it weighs. A [`RuleSet`] is an ordered table of rules about one question,
//! such as [`Preflight`](crate::preflight::Preflight): may this host join that pool? Evaluating a
//! set runs all its rules, never stops at the first that objects, and collects what each has to say
//! as a [`Finding`]: which objects offend, what was expected and what is there, the error that XAPI
//! would raise, and the [`Remedy`](crate::actions::Remedy).
//!
//! A rule sees only the fields that it declares to read. Where one of them is missing, the finding
//! has the severity [`Unknown`](Severity::Unknown); it is never taken for a pass.
//!
//! A [`Policy`] overrides single rules of its set by code, with a reason that stays with the
//! finding.
//!
//! # Example
//! ```
//! use xcp_pool::preflight::Preflight;
//! use xcp_pool::rules::{Policy, RuleCode, RuleSet};
//!
//! let code = RuleCode::of::<Preflight>("shared-storage")?;
//! assert_eq!(code.rule().check, Some("assert_no_shared_srs_on_me"));
//! assert!(Preflight::rules().iter().any(|rule| code == rule.code));
//!
//! let policy = Policy::<Preflight>::new();
//! let policy = policy.overriding("cpu-vendor-differs", "the lab mixes vendors")?;
//! assert!(policy.overriding("cpu-vendor-difers", "…").is_err(), "a mistyped code is refused");
//! # Ok::<(), xcp_pool::Error>(())
//! ```

mod code;
mod engine;
mod finding;
mod policy;
#[cfg(any(test, feature = "proptest"))]
pub mod proofs;
mod reads;
mod render;
mod rule;
mod severity;
#[cfg(test)]
mod single;
mod view;

pub use crate::model::since::Since;
pub use code::{RuleCode, RuleSet};
pub use finding::Finding;
pub use policy::Policy;
pub use reads::{Reads, Which};
pub use render::rules_table;
pub use rule::Rule;
pub use severity::Severity;

pub(crate) use engine::{Check, Evaluate, Found, Sees, evaluate, numbered, rules_of};
pub(crate) use render::{push_markdown, write_findings};
pub(crate) use view::{Lost, View};
