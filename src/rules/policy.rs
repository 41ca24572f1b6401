//! What the caller accepts: overrides by rule, each with a reason.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::code::{RuleCode, RuleSet};
use super::finding::Finding;
use super::severity::Severity;
use crate::error::{Error, ErrorKind, Result};

/// Which rules of a set are overridden, and why.
///
/// Also whether the vendor's documents are binding.
///
/// There is no blanket override: each rule is named, with a reason that stays with the finding.
///
/// As JSON: `{"documented": bool, "overrides": {rule: reason}}`, both optional.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written", bound = "")]
pub struct Policy<S: RuleSet> {
    documented: bool,
    overrides: BTreeMap<RuleCode, String>,
    set: PhantomData<fn() -> S>,
}

impl<S: RuleSet> Policy<S> {
    /// The policy that asks for what XAPI asks for.
    pub fn new() -> Self {
        Self { documented: false, overrides: BTreeMap::new(), set: PhantomData }
    }

    /// The policy that also asks for what the vendor's documents ask for.
    ///
    /// The rules of this kind are blockers under this policy;
    /// [`Rule::documented`](super::Rule::documented) marks them.
    pub fn documented() -> Self {
        Self { documented: true, ..Self::new() }
    }

    /// Overrides the rule with this code, for a reason that stays with the finding.
    ///
    /// # Errors
    /// `InvalidInput` if the set has no such rule (with the codes that come near), or for no
    /// reason.
    pub fn overriding(mut self, code: &str, reason: &str) -> Result<Self> {
        let rule = RuleCode::of::<S>(code)?;
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

    /// Marks findings as this policy has it.
    pub(super) fn apply(&self, findings: &mut [Finding]) {
        for finding in findings {
            if self.documented && finding.rule.rule().documented {
                finding.binding = true;
                if finding.severity > Severity::Unknown {
                    finding.severity = Severity::Blocker;
                }
            }
            finding.overridden = self.reason(finding.rule).map(str::to_owned);
        }
    }
}

impl<S: RuleSet> Default for Policy<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: RuleSet> Clone for Policy<S> {
    fn clone(&self) -> Self {
        let Self { documented, overrides, set } = self;
        Self { documented: *documented, overrides: overrides.clone(), set: *set }
    }
}

impl<S: RuleSet> PartialEq for Policy<S> {
    fn eq(&self, other: &Self) -> bool {
        self.documented == other.documented && self.overrides == other.overrides
    }
}

impl<S: RuleSet> Eq for Policy<S> {}

impl<S: RuleSet> fmt::Debug for Policy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("documented", &self.documented)
            .field("overrides", &self.overrides)
            .finish()
    }
}

/// A policy as it is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    documented: bool,
    overrides: BTreeMap<String, String>,
}

impl<S: RuleSet> TryFrom<Written> for Policy<S> {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let policy = Self { documented: written.documented, ..Self::new() };
        let mut overrides = written.overrides.iter();
        overrides.try_fold(policy, |policy, (code, reason)| policy.overriding(code, reason))
    }
}

impl<S: RuleSet> From<Policy<S>> for Written {
    fn from(policy: Policy<S>) -> Self {
        let overrides = policy.overrides.into_iter();
        let overrides = overrides.map(|(rule, reason)| (rule.to_string(), reason)).collect();
        Self { documented: policy.documented, overrides }
    }
}
