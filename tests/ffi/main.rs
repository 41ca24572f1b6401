//! The library through its C ABI.
#![cfg(feature = "ffi")]

mod cancel;
mod client;
mod header;
mod hosts;
mod joins;
mod json;
mod odd_input;
mod operations;
mod planned;
#[path = "../support/preflight_cases.rs"]
mod preflight_cases;
mod questions;
mod simulator;
mod support;
