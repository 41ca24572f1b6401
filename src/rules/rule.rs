//! What a rule is: its code, what it mirrors, what it reads, and how it is told.

use serde::Serialize;

use super::reads::Reads;
use super::severity::Severity;
use crate::actions::Side;
use crate::model::since::Since;

/// One rule of a set, as data.
///
/// As JSON: `{"rule", "compares", "remedy", "severity", "side", "xapi_check", "formerly", "error",
/// "since", "documented", "reads": [{"side", "class", "records", "fields", "since", "until",
/// "by_call"}…]}`; `formerly` is `[name, release]` or null, `since` null where every supported
/// release has it, `until` null where the newest has it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Rule {
    /// The stable name of the rule, by which policies and plans refer to it.
    #[serde(rename = "rule")]
    pub code: &'static str,
    /// What is compared, in one sentence.
    pub compares: &'static str,
    /// What helps, in one sentence.
    pub remedy: &'static str,
    /// How much a finding of this rule weighs by default.
    pub severity: Severity,
    /// Whose state the rule objects to.
    pub side: Side,
    /// The function of XAPI that this mirrors, if XAPI looks at it at all.
    #[serde(rename = "xapi_check")]
    pub check: Option<&'static str>,
    /// What the check was called before a release, if it had another name.
    pub formerly: Option<(&'static str, Since)>,
    /// The error code that XAPI raises.
    pub error: Option<&'static str>,
    /// The release of XAPI that brought the check.
    pub since: Since,
    /// Whether the vendor's documents demand it.
    ///
    /// `Policy::documented()` makes it a blocker then.
    pub documented: bool,
    /// Whether the server checks nothing more once this check objects or cannot tell.
    #[serde(skip)]
    pub ends_checks: bool,
    /// What the rule reads; if any of it is missing, the finding is `Unknown`.
    pub reads: &'static [Reads],
    /// The set that the rule is of, and its place there.
    #[serde(skip)]
    pub(crate) place: (&'static str, u16),
}

impl Rule {
    /// A blocker that reads nothing, to be filled in.
    pub(crate) const fn of(code: &'static str) -> Self {
        Self {
            code,
            check: None,
            formerly: None,
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

    /// Whether some releases that have the check read this, and some do not.
    pub(super) fn reads_by_release(&self, reads: &Reads) -> bool {
        self.check.is_some() && (reads.since > self.since || reads.until.is_some())
    }
}
