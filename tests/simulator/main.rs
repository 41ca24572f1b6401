//! The simulator behaves as real servers were recorded to behave.
#![cfg(feature = "simulator")]

mod calls;
mod compare;
mod exchanges;
mod faults;
mod ha;
mod ha_laws;
mod ha_support;
mod join_checks;
mod joins;
mod lifecycle;
#[path = "../support/preflight_cases.rs"]
mod preflight_cases;
mod records;
mod robustness;
mod story;
#[path = "../support/mod.rs"]
mod support;
