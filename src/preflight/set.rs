//! The marker of this set of rules.

/// The rules of a join: what stands against it, and what people regret of it.
#[derive(Debug)]
pub enum Preflight {}

/// Which rules of a join are overridden, and why.
pub type Policy = crate::rules::Policy<Preflight>;
