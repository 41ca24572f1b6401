//! What the caller knows and wants: evidence from outside the databases, and overrides by rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rule::{RULES, RuleCode};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Host, Ref, Timestamp};

/// Everything that an evaluation takes beside the two snapshots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// Whether the call will be `pool.join_force`.
    ///
    /// Forceable findings stay, but stand in nobody's way. Overriding the single rule by name in the
    /// policy says more, and leaves a reason.
    pub force: bool,
    /// Which rules are overridden, and why.
    pub policy: Policy,
    /// What the databases do not tell.
    pub evidence: Evidence,
}

/// What neither database tells, as far as the caller knows it.
///
/// What is absent is `Unknown` where it matters, and never taken for granted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Evidence {
    /// The bridge backend that the joiner's network daemon uses: `openvswitch` or `bridge`.
    ///
    /// Default: what the joiner's `software_version` says.
    pub joiner_bridge_backend: Option<String>,
    /// What the joiner's licence daemon answers when it is asked for its editions.
    pub editions: Option<Editions>,
    /// The joiner's own host record.
    ///
    /// Default: the master of its pool, which a host that may join is.
    pub joiner_host: Option<Ref<Host>>,
    /// The joiner's clock (`host.get_servertime`), read at the same moment as the master's.
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
pub struct Edition {
    /// Its name, as in `host.edition`.
    pub title: String,
    /// Its rank; the lowest in a pool is the pool's.
    pub order: i64,
}

/// Which rules are overridden, and why; and whether the vendor's documents are binding.
///
/// There is no blanket override: each rule is named, with a reason that stays with the finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Policy {
    documented: bool,
    overrides: BTreeMap<RuleCode, String>,
}

impl Policy {
    /// The policy that asks for what XAPI asks for.
    pub fn new() -> Self {
        Self::default()
    }

    /// The policy that also asks for what the vendor's documents ask for.
    ///
    /// The documents want a joiner without VMs, with the default networks and storage only; XAPI
    /// does not look, and what it makes of such objects often surprises. The rules of this kind are
    /// blockers under this policy; [`Rule::documented`](super::Rule::documented) marks them.
    pub fn documented() -> Self {
        Self { documented: true, overrides: BTreeMap::new() }
    }

    /// Overrides the rule with this code, for a reason that stays with the finding.
    ///
    /// # Errors
    /// `InvalidInput` if there is no such rule (with the codes that come near), or no reason.
    pub fn overriding(mut self, code: &str, reason: &str) -> Result<Self> {
        let rule = code.parse::<RuleCode>()?;
        if reason.trim().is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("overriding rule {rule} needs a reason"),
            ));
        }
        self.overrides.insert(rule, reason.trim().to_owned());
        Ok(self)
    }

    /// Why a rule is overridden, if it is.
    pub fn reason(&self, rule: RuleCode) -> Option<&str> {
        self.overrides.get(&rule).map(String::as_str)
    }

    /// Whether the vendor's documents are binding.
    pub fn is_documented(&self) -> bool {
        self.documented
    }
}

/// A policy as it is written.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Written {
    documented: bool,
    overrides: BTreeMap<String, String>,
}

impl TryFrom<Written> for Policy {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let policy = Self { documented: written.documented, overrides: BTreeMap::new() };
        written
            .overrides
            .iter()
            .try_fold(policy, |policy, (code, reason)| policy.overriding(code, reason))
    }
}

impl From<Policy> for Written {
    fn from(policy: Policy) -> Self {
        Self {
            documented: policy.documented,
            overrides: policy
                .overrides
                .into_iter()
                .map(|(rule, reason)| (rule.as_str().to_owned(), reason))
                .collect(),
        }
    }
}

impl std::str::FromStr for RuleCode {
    type Err = Error;

    /// # Errors
    /// `InvalidInput` that names the codes that come near.
    fn from_str(code: &str) -> Result<Self> {
        if let Some(rule) = RULES.iter().find(|rule| rule.code.as_str() == code) {
            return Ok(rule.code);
        }
        let mut near: Vec<_> = RULES
            .iter()
            .map(|rule| (distance(code, rule.code.as_str()), rule.code.as_str()))
            .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
            .collect();
        near.sort_unstable();
        let near: Vec<_> = near.into_iter().take(3).map(|(_, known)| known).collect();
        let code: String = code.chars().take(64).collect();
        let hint = match near.is_empty() {
            true => String::new(),
            false => format!(": did you mean {}?", near.join(" or ")),
        };
        Err(Error::new(ErrorKind::InvalidInput, format!("there is no rule {code:?}{hint}")))
    }
}

/// How many letters must change to make one text the other; what both have in common counts less
/// than where they stand, so whole words in another order are near, too.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 128 {
        return usize::MAX;
    }
    let words = |text: &str| {
        let mut words: Vec<_> = text.split(['-', '_', ' ']).map(str::to_ascii_lowercase).collect();
        words.sort_unstable();
        words.join("-")
    };
    levenshtein(&a.to_ascii_lowercase(), b).min(levenshtein(&words(a), &words(b)))
}

fn levenshtein(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (n, letter) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = n + 1;
        for (m, other) in b.iter().enumerate() {
            let change = corner + usize::from(letter != *other);
            corner = row[m + 1];
            row[m + 1] = change.min(corner + 1).min(row[m] + 1);
        }
    }
    row[b.len()]
}
