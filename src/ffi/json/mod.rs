//! Pure functions: JSON in, JSON out.

mod consequences;
mod election;
mod failover;
mod input;
mod lock;
mod packing;
mod partition;
mod preflight;
mod questions;
mod rules;

pub use consequences::xcp_consequences_json;
pub(super) use election::with_refs;
pub use election::{xcp_election, xcp_election_json};
pub use failover::{xcp_failover, xcp_failover_json};
pub(super) use input::{
    decode, decode_any, decode_or_default, duration, named_host, seconds, snapshot,
};
pub use lock::xcp_master_lock_json;
pub use packing::xcp_packing_json;
pub use partition::xcp_partition_json;
pub(super) use preflight::options;
pub use preflight::xcp_preflight_json;
pub use rules::xcp_rules_json;

use serde::Serialize;

use crate::ffi::error::Failure;
use crate::ffi::status::xcp_status::XCP_E_INTERNAL;

/// The number of the JSON form of outcomes that have none of their own.
const SCHEMA: u32 = 1;

/// A result under its schema number.
#[derive(Serialize)]
struct Numbered<T> {
    schema: u32,
    #[serde(flatten)]
    result: T,
}

/// A result as JSON, under its schema number.
pub(super) fn numbered<T: Serialize>(result: T) -> Result<String, Failure> {
    encode(&Numbered { schema: SCHEMA, result })
}

/// A result as JSON.
pub(super) fn encode<T: Serialize>(result: &T) -> Result<String, Failure> {
    serde_json::to_string(result)
        .map_err(|error| Failure::new(XCP_E_INTERNAL, format!("the result is no JSON: {error}")))
}
