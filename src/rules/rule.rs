//! What a rule is: its code, what it mirrors, what it reads, and how it is told.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::reads::{Reads, Since};
use super::severity::Severity;
use crate::actions::Side;

/// One rule of a set, as data.
///
/// As JSON: `{"rule", "compares", "remedy", "severity", "side", "xapi_check", "error", "since",
/// "documented", "reads": [{"side", "class", "records", "fields", "since"}…]}`; `since` is null where
/// every supported release has it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rule {
    /// The stable name of the rule, by which policies and plans refer to it.
    pub code: &'static str,
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
    /// Whether the server checks nothing more once this check objects or cannot tell.
    pub ends_checks: bool,
    /// What the rule reads; if any of it is missing, the finding is `Unknown`.
    pub reads: &'static [Reads],
    /// The set that the rule is of, and its place there.
    pub(crate) place: (&'static str, u16),
}

impl Rule {
    /// A blocker that reads nothing, to be filled in.
    pub(crate) const fn of(code: &'static str) -> Self {
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
            ends_checks: false,
            reads: &[],
            place: ("", 0),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rule = serializer.serialize_struct("Rule", 10)?;
        rule.serialize_field("rule", self.code)?;
        rule.serialize_field("compares", self.compares)?;
        rule.serialize_field("remedy", self.remedy)?;
        rule.serialize_field("severity", &self.severity)?;
        rule.serialize_field("side", &self.side)?;
        rule.serialize_field("xapi_check", &self.check)?;
        rule.serialize_field("error", &self.error)?;
        rule.serialize_field("since", &self.since)?;
        rule.serialize_field("documented", &self.documented)?;
        rule.serialize_field("reads", self.reads)?;
        rule.end()
    }
}
