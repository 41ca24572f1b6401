//! The marker of this set of rules.

/// The rules of a join: what stands against it, and what people regret of it.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a marker has no value")]
pub enum Preflight {}
