//! Arguments that several functions take as JSON.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ffi::error::Failure;
use crate::ffi::json::{self, seconds};
use crate::transport::Limits;

/// Parameters of a method as they are written.
pub(super) fn params(json: Option<&str>) -> Result<Vec<Box<RawValue>>, Failure> {
    json.map_or_else(|| Ok(Vec::new()), |json| json::decode_any(json, "params_json"))
}

/// Limits as they are written, the others as given.
pub(super) fn limits(options: Option<&str>, mut limits: Limits) -> Result<Limits, Failure> {
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields, expecting = "an object of options")]
    struct Options {
        #[serde(deserialize_with = "seconds")]
        timeout: Option<Duration>,
        max_reply: Option<u64>,
    }
    let options: Options = json::decode_or_default(options, "options_json")?;
    limits.overall = options.timeout.unwrap_or(limits.overall);
    limits.max_reply = options.max_reply.unwrap_or(limits.max_reply);
    Ok(limits)
}
