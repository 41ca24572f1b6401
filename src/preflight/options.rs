//! What the caller knows and wants: evidence from outside the databases, and a policy.

use serde::{Deserialize, Serialize};

use super::set::Preflight;
use crate::model::{Host, Ref, Timestamp};
use crate::rules::Policy;

/// Everything that an evaluation takes beside the two snapshots.
///
/// # Example
/// ```
/// use xcp_pool::preflight::Options;
/// use xcp_pool::rules::Policy;
///
/// let policy = Policy::documented().overriding("halted-vms", "they move on purpose")?;
/// let options = Options::new().policy(policy).force(true);
/// assert!(options.force && options.policy.is_documented());
/// # Ok::<(), xcp_pool::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// Whether the call will be `pool.join_force`.
    ///
    /// Forceable findings stay, but stand in nobody's way. Overriding the single rule by name in
    /// the policy says more, and leaves a reason.
    pub force: bool,
    /// Which rules are overridden, and why.
    pub policy: Policy<Preflight>,
    /// What the databases do not tell.
    pub evidence: Evidence,
}

impl Options {
    /// Asks about `pool.join`, with no policy and no evidence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to ask about `pool.join_force`.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Which rules are overridden, and why.
    #[must_use]
    pub fn policy(mut self, policy: Policy<Preflight>) -> Self {
        self.policy = policy;
        self
    }

    /// What the databases do not tell.
    #[must_use]
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }
}

/// What neither database tells, as far as the caller knows it.
///
/// What is absent is `Unknown` where it matters, and never taken for granted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Evidence {
    /// The backend of the joiner's network daemon: `openvswitch` or `bridge`.
    ///
    /// Default: what the joiner's `software_version` says.
    pub joiner_bridge_backend: Option<String>,
    /// What the joiner's licence daemon answers when it is asked for its editions.
    pub editions: Option<Editions>,
    /// The joiner's own host record.
    ///
    /// Default: the master of its pool, which a host that may join is.
    pub joiner_host: Option<Ref<Host>>,
    /// The joiner's clock (`host.get_servertime`).
    ///
    /// Read at the same moment as the master's.
    pub joiner_time: Option<Timestamp>,
    /// The master's clock (`host.get_servertime`).
    pub master_time: Option<Timestamp>,
    /// The address of the master that will be given to `pool.join`.
    pub master_address: Option<String>,
}

/// What a licence daemon (v6d) answers when it is asked for its editions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Editions {
    /// It fails with `V6D_FAILURE`.
    ApiV6dFailure,
    /// It cannot be reached.
    Unreachable,
    /// It fails with an exception of its own.
    V6dFailure,
    // Last, as serde wants it.
    /// The editions that it knows.
    #[serde(untagged)]
    Known(Vec<Edition>),
}

/// An edition that a licence daemon knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "it is what the licence daemon answers")]
pub struct Edition {
    /// Its name, as in `host.edition`.
    pub title: String,
    /// Its rank; the lowest in a pool is the pool's.
    pub order: i64,
}
