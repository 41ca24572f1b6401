//! What a rule is: its code, what it mirrors, what it reads, and how it is told.

use std::fmt;

use super::engine::{Found, Lost};
use super::facts::Facts;
use super::finding::Severity;
use crate::actions::Side;
use crate::model::{Class, Version};

pub use super::rules::{RULES, RuleCode};

/// One rule of the preflight.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rule {
    /// The stable name of the rule, by which policies and plans refer to it.
    pub code: RuleCode,
    /// The function of XAPI that this mirrors; none for what XAPI does not look at.
    pub check: Option<&'static str>,
    /// The error code that XAPI raises.
    pub error: Option<&'static str>,
    /// The release of XAPI that brought the check.
    pub since: Since,
    /// How much a finding of this rule weighs by default.
    pub severity: Severity,
    /// Whose state the rule objects to.
    pub side: Side,
    /// What is compared, in one sentence.
    pub compares: &'static str,
    /// What helps, in one sentence.
    pub remedy: &'static str,
    /// Whether the vendor's documents demand it, so that `Policy::documented()` makes it a blocker.
    pub documented: bool,
    /// What the rule reads; if any of it is missing, the finding is `Unknown`.
    pub reads: &'static [Reads],
    pub(super) run: fn(&Facts<'_>, &mut Found<'_>) -> Result<(), Lost>,
}

/// Fields that a rule reads of one class on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reads {
    /// Whose database; never `Both`.
    pub side: Side,
    /// The class.
    pub class: Class,
    /// Of which records.
    pub scope: Scope,
    /// XAPI's names of the fields.
    pub fields: &'static [&'static str],
    /// The release of XAPI that brought the youngest of the fields; older sides are not asked.
    pub since: Since,
}

/// Of which records of a class a rule reads fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Of all; an unreadable record leaves the verdict on the others as it is.
    Each,
    /// Of all, and none may be missing, since the answer depends on the whole.
    All,
    /// Of the joiner itself, or of the pool's master.
    Local,
    /// Of the management interface of the joiner, or of the pool's master.
    Management,
}

impl Rule {
    /// A blocker that reads nothing, to be filled in.
    pub(super) const fn of(code: RuleCode) -> Self {
        Self {
            code,
            check: None,
            error: None,
            since: Since::ALWAYS,
            severity: Severity::Blocker,
            side: Side::Both,
            compares: "",
            remedy: "",
            documented: false,
            reads: &[],
            run: |_, _| Ok(()),
        }
    }
}

impl Reads {
    pub(super) const fn joiner(
        class: Class,
        scope: Scope,
        fields: &'static [&'static str],
    ) -> Self {
        Self { side: Side::Joiner, class, scope, fields, since: Since::ALWAYS }
    }

    pub(super) const fn pool(class: Class, scope: Scope, fields: &'static [&'static str]) -> Self {
        Self { side: Side::Pool, class, scope, fields, since: Since::ALWAYS }
    }

    pub(super) const fn since(mut self, major: u64, minor: u64, patch: u64) -> Self {
        self.since = Since::of(major, minor, patch);
        self
    }
}

/// The release of XAPI that brought something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Since([u64; 3]);

impl Since {
    /// Every release that this crate supports has it (8.2 and later).
    pub const ALWAYS: Self = Self([0; 3]);

    pub(super) const fn of(major: u64, minor: u64, patch: u64) -> Self {
        Self([major, minor, patch])
    }

    pub(super) const fn major(self) -> u64 {
        self.0[0]
    }

    /// Whether a release has it.
    pub fn is_in(self, release: &Version) -> bool {
        let mut parts = release.parts().iter().copied().chain(std::iter::repeat(0));
        let release = [(); 3].map(|()| parts.next().unwrap_or(0));
        release >= self.0
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [0, 0, 0] => f.write_str("always"),
            [major, minor, patch] => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

impl RuleCode {
    /// The rule with this code.
    pub fn rule(self) -> &'static Rule {
        RULES[self as usize]
    }
}
