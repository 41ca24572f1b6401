//! Whether a host can join a pool, what is in the way, and what the join will do.

mod actions;
mod choices;
mod consequences_joins;
mod consequences_partial;
mod consequences_rules;
mod consequences_views;
mod docs;
mod foretold;
mod left;
mod older;
mod oracle;
#[path = "../support/preflight_cases.rs"]
mod preflight_cases;
#[path = "../support/releases.rs"]
mod releases;
#[cfg(feature = "simulator")]
mod remedies;
mod rules;
#[cfg(feature = "simulator")]
mod simulated;
#[cfg(feature = "simulator")]
#[path = "../support/mod.rs"]
mod support;
mod versions;
mod world;
#[cfg(feature = "simulator")]
mod worlds;
