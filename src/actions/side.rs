//! Which of the two pools of a join is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Side {
    /// Both differ from each other.
    Both,
    /// The host that is to join.
    Joiner,
    /// The pool, as its master sees it.
    Pool,
}

impl Side {
    /// The side's name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Joiner => "joiner",
            Self::Pool => "pool",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
