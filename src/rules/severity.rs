//! How much a finding weighs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a finding weighs, heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// XAPI refuses, or the policy does.
    Blocker,
    /// XAPI refuses, but for the forced form of the call, such as `pool.join_force`.
    Forceable,
    /// Evidence is missing: it may be a blocker, it may be nothing.
    Unknown,
    /// XAPI accepts, and something is lost or fails later.
    Hazard,
    /// Good to know.
    Notice,
}

impl Severity {
    /// The severity's name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocker => "blocker",
            Self::Forceable => "forceable",
            Self::Unknown => "unknown",
            Self::Hazard => "hazard",
            Self::Notice => "notice",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
