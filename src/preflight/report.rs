//! Whether a host may join: all findings, and what follows from them.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::consequences::{Attempt, Changes, Consequences, foretell, foretell_with_changes};
use super::facts::World;
use super::options::Options;
use super::set::Preflight;
use crate::error::Fault;
use crate::model::Snapshot;
use crate::rules::{self, Finding, Severity, push_markdown, write_findings};

/// What an evaluation found, in XAPI's order first.
///
/// It keeps what it was made from, and whatever follows is asked of it: its
/// [`consequences`](Self::consequences), the [plan](Report::plan) of the join, the [pool
/// afterwards](Self::pool_after). Cheap to clone.
///
/// As JSON: `{"schema": 1, "verdict", "force", "predicted_fault": {"code", "params"} | null,
/// "findings": […]}`.
#[derive(Clone, PartialEq)]
pub struct Report {
    evaluated: Arc<Evaluated>,
}

#[derive(PartialEq)]
struct Evaluated {
    pool: Arc<Snapshot>,
    joiner: Arc<Snapshot>,
    options: Options,
    findings: Vec<Finding>,
}

/// Whether a host may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// Something stands in the way.
    Blocked,
    /// Only `pool.join_force` would pass.
    NeedsForce,
    /// Nothing stands in the way.
    Ready,
    /// Nothing that is known stands in the way, but what could is not all known.
    Unknown,
}

impl Report {
    /// The number of the JSON form.
    ///
    /// It changes when a field changes its meaning or goes.
    pub const SCHEMA: u32 = 1;

    pub(super) fn new(pool: Arc<Snapshot>, joiner: Arc<Snapshot>, options: Options) -> Self {
        let findings = findings(&pool, &joiner, &options);
        Self { evaluated: Arc::new(Evaluated { pool, joiner, options, findings }) }
    }

    /// The pool's snapshot that was looked at.
    pub fn pool(&self) -> &Arc<Snapshot> {
        &self.evaluated.pool
    }

    /// The joiner's snapshot that was looked at.
    pub fn joiner(&self) -> &Arc<Snapshot> {
        &self.evaluated.joiner
    }

    /// The options that the evaluation was given.
    pub fn options(&self) -> &Options {
        &self.evaluated.options
    }

    /// All findings: those of XAPI's checks in XAPI's order, then the others.
    pub fn findings(&self) -> &[Finding] {
        &self.evaluated.findings
    }

    /// The findings that stand in the way, overridden ones left out.
    pub fn blockers(&self) -> impl Iterator<Item = &Finding> {
        self.findings().iter().filter(|finding| match finding.severity {
            Severity::Forceable => !self.options().force && finding.stops(),
            _ => finding.stops(),
        })
    }

    /// The error that `pool.join` would raise.
    ///
    /// Or `pool.join_force`, if that is what will be called.
    ///
    /// An override changes nothing here: XAPI does not know of it.
    pub fn predicted_fault(&self) -> Option<&Fault> {
        self.predicted(self.options().force)
    }

    /// The error that `pool.join_force` would raise.
    pub fn predicted_fault_of_join_force(&self) -> Option<&Fault> {
        self.predicted(true)
    }

    fn predicted(&self, force: bool) -> Option<&Fault> {
        self.findings()
            .iter()
            .filter(|finding| finding.severity != Severity::Forceable || !force)
            .find_map(|finding| finding.fault.as_ref())
    }

    /// Whether the host may join.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::Ready;
        for finding in self.blockers() {
            match finding.severity {
                Severity::Forceable => verdict = Verdict::NeedsForce,
                _ => return Verdict::Blocked,
            }
        }
        let unknown = self.findings().iter().any(Finding::leaves_open);
        match verdict {
            Verdict::Ready if unknown => Verdict::Unknown,
            verdict => verdict,
        }
    }

    /// Whether the join takes `pool.join_force`.
    ///
    /// So it does if all that only this call passes is accepted, by the policy rule by rule, or by
    /// [`Options::force`](super::Options).
    pub fn needs_force(&self) -> bool {
        let mut forceable = self
            .findings()
            .iter()
            .filter(|finding| finding.rule.rule().severity == Severity::Forceable)
            .peekable();
        forceable.peek().is_some()
            && forceable.all(|finding| self.options().force || finding.overridden.is_some())
    }

    /// What the join will do to the pool: what appears, merges, is refused or lost.
    ///
    /// If the call is predicted to be refused, the consequences say so, and nothing changes:
    /// [`Self::consequences_once_admitted`] tells what it would do then.
    pub fn consequences(&self) -> Consequences {
        foretell(self.pool(), self.joiner(), &self.attempt(self.predicted_fault()))
    }

    /// What the join would do if nothing of what was found refused it.
    ///
    /// Objects that remedies would move or delete are still where they are.
    pub fn consequences_once_admitted(&self) -> Consequences {
        foretell(self.pool(), self.joiner(), &self.attempt(None))
    }

    /// What has changed in the pool's database, by record, when the join returns.
    ///
    /// Nothing, if the call is predicted to be refused.
    pub fn changes(&self) -> Changes {
        let attempt = self.attempt(self.predicted_fault());
        foretell_with_changes(self.pool(), self.joiner(), &attempt).1
    }

    /// What would change if nothing of what was found refused the join.
    pub fn changes_once_admitted(&self) -> Changes {
        foretell_with_changes(self.pool(), self.joiner(), &self.attempt(None)).1
    }

    /// The pool as it will be once the host has been admitted.
    ///
    /// As far as that is foretold. It can be asked further questions, such as how many host
    /// failures the larger pool tolerates. Refs of new objects are told by [`Changes::is_new`].
    pub fn pool_after(&self) -> Snapshot {
        self.changes_once_admitted().apply(self.pool())
    }

    fn attempt(&self, refusal: Option<&Fault>) -> Attempt {
        Attempt { force: self.options().force, refusal: refusal.cloned() }
    }

    /// The report as Markdown: a summary, a table, then the details of each finding.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# Preflight: {}\n", self.verdict());
        if let Some(fault) = self.predicted_fault() {
            let _ = write!(text, "\n`{}` would answer `{fault}`.\n", self.call());
        }
        if let Some(cause) = self.cause_in_versions() {
            let _ = write!(text, "\nWhat is behind it: {}.\n", cause.message);
        }
        push_markdown(&mut text, self.findings());
        text
    }

    /// What tells that the versions differ, where the server stumbles before it compares them.
    fn cause_in_versions(&self) -> Option<&Finding> {
        const STUMBLES: [&str; 2] = ["MESSAGE_METHOD_UNKNOWN", "INTERNAL_ERROR"];
        const VERSIONS: [&str; 4] = [
            "platform-differs",
            "software-version-differs",
            "api-version-differs",
            "db-schema-differs",
        ];
        let fault = self.predicted_fault()?;
        let mut findings = self.findings().iter();
        findings
            .find(|finding| VERSIONS.iter().any(|rule| finding.rule == *rule))
            .filter(|_| STUMBLES.contains(&fault.code.as_str()))
    }

    fn call(&self) -> &'static str {
        if self.options().force { "pool.join_force" } else { "pool.join" }
    }
}

/// What the rules find.
pub(super) fn findings(pool: &Snapshot, joiner: &Snapshot, options: &Options) -> Vec<Finding> {
    let world = World { pool, joiner, options };
    let mut findings = rules::evaluate::<Preflight>(world, &options.policy);
    let forced = |finding: &&mut Finding| finding.severity == Severity::Forceable;
    if options.force {
        for finding in findings.iter_mut().filter(forced) {
            finding.fault = None;
        }
    }
    findings
}

impl fmt::Debug for Report {
    /// Without the snapshots, which may be large.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("options", self.options())
            .field("findings", &self.findings())
            .finish_non_exhaustive()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 5)?;
        report.serialize_field("schema", &Self::SCHEMA)?;
        report.serialize_field("verdict", &self.verdict())?;
        report.serialize_field("force", &self.options().force)?;
        report.serialize_field("predicted_fault", &self.predicted_fault())?;
        report.serialize_field("findings", self.findings())?;
        report.end()
    }
}

impl fmt::Display for Report {
    /// One line for the verdict, one for each finding, then the details of each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict())?;
        if let Some(fault) = self.predicted_fault() {
            write!(f, ": {} would answer {fault}", self.call())?;
        }
        if let Some(cause) = self.cause_in_versions() {
            write!(f, "; {}", cause.message)?;
        }
        write_findings(self.findings(), f)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "blocked",
            Self::NeedsForce => "needs force",
            Self::Ready => "ready",
            Self::Unknown => "not known",
        })
    }
}
