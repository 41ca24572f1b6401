//! One finding: which rule, how bad, about what, and the way out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rule::{Rule, RuleCode};
use crate::actions::{Remedy, Side};
use crate::error::Fault;
use crate::model::Object;

/// What a rule has to say about one join.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: RuleCode,
    /// How much it weighs.
    pub severity: Severity,
    /// Whose state it objects to.
    pub side: Side,
    /// The check of XAPI that the rule mirrors.
    pub xapi_check: Option<&'static str>,
    /// The error that this check would raise.
    ///
    /// None if XAPI does not object, for the second cause in a check that stops at its first, and for
    /// a check that `pool.join_force` skips, if that is what will be called.
    pub fault: Option<Fault>,
    /// The objects that offend, by name.
    pub objects: Vec<Object>,
    /// What the pool has, or what would be needed.
    pub expected: Option<String>,
    /// What the joiner has, or what is there.
    pub actual: Option<String>,
    /// What is wrong, what it means, in one line.
    pub message: String,
    /// What can be done.
    pub remedy: Remedy,
    /// Why the policy overrides this finding, if it does.
    pub overridden: Option<String>,
    /// Whether XAPI or the policy can refuse the join for this rule.
    #[serde(skip)]
    pub(super) binding: bool,
}

/// How much a finding weighs, heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// XAPI refuses the join, or the policy does.
    Blocker,
    /// `pool.join` refuses, `pool.join_force` does not.
    Forceable,
    /// Evidence is missing: it may be a blocker, it may be nothing.
    Unknown,
    /// XAPI accepts, and something is lost or fails later.
    Hazard,
    /// Good to know.
    Notice,
}

impl Finding {
    pub(super) fn new(rule: &Rule, message: impl Into<String>) -> Self {
        Self {
            rule: rule.code,
            severity: rule.severity,
            side: rule.side,
            xapi_check: rule.check,
            fault: None,
            objects: Vec::new(),
            expected: None,
            actual: None,
            message: message.into(),
            remedy: Remedy::default(),
            overridden: None,
            binding: rule.check.is_some(),
        }
    }

    /// Whether it stands in the way: a blocker, or a forceable one, that no policy overrides.
    pub fn stops(&self) -> bool {
        matches!(self.severity, Severity::Blocker | Severity::Forceable)
            && self.overridden.is_none()
    }

    /// Whether it may stand in the way or not: what a check of XAPI's needs is not known, or what the
    /// policy demands.
    pub fn leaves_open(&self) -> bool {
        self.severity == Severity::Unknown && self.binding && self.overridden.is_none()
    }

    pub(super) fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    pub(super) fn objects(mut self, objects: impl IntoIterator<Item = Object>) -> Self {
        self.objects.extend(objects);
        self
    }

    pub(super) fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.expected = Some(expected.to_string());
        self
    }

    pub(super) fn actual(mut self, actual: impl fmt::Display) -> Self {
        self.actual = Some(actual.to_string());
        self
    }

    pub(super) fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    pub(super) fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}): {}", self.severity, self.rule, self.side, self.message)?;
        match &self.overridden {
            Some(reason) => write!(f, " [overridden: {reason}]"),
            None => Ok(()),
        }
    }
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
