//! Whether a host may join: all findings, and what follows from them.

use std::fmt::{self, Write as _};

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::facts::World;
use super::options::Options;
use super::set::Preflight;
use crate::error::Fault;
use crate::model::Snapshot;
use crate::rules::{self, Finding, Severity, push_markdown, write_findings};

/// What an evaluation found, in XAPI's order first.
///
/// As JSON: `{"schema": 1, "verdict", "predicted_fault": {"code", "params"} | null, "findings": […]}`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Whether the call will be `pool.join_force`.
    pub force: bool,
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
    /// The number of the JSON form; it changes when a field changes its meaning or goes.
    pub const SCHEMA: u32 = 1;

    pub(super) fn new(force: bool, findings: Vec<Finding>) -> Self {
        Self { force, findings }
    }

    /// All findings: those of XAPI's checks in XAPI's order, then the others.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings that stand in the way, overridden ones left out.
    pub fn blockers(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| match finding.severity {
            Severity::Forceable => !self.force && finding.stops(),
            _ => finding.stops(),
        })
    }

    /// The error that `pool.join` would raise, or `pool.join_force` if that is what will be called.
    ///
    /// An override changes nothing here: XAPI does not know of it.
    pub fn predicted_fault(&self) -> Option<&Fault> {
        self.predicted(self.force)
    }

    /// The error that `pool.join_force` would raise.
    pub fn predicted_fault_of_join_force(&self) -> Option<&Fault> {
        self.predicted(true)
    }

    fn predicted(&self, force: bool) -> Option<&Fault> {
        self.findings
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
        let unknown = self.findings.iter().any(Finding::leaves_open);
        match verdict {
            Verdict::Ready if unknown => Verdict::Unknown,
            verdict => verdict,
        }
    }

    /// Whether the join takes `pool.join_force`: all that only this call passes is accepted, by the
    /// policy rule by rule, or by [`Options::force`](super::Options).
    pub fn needs_force(&self) -> bool {
        let mut forceable = self
            .findings
            .iter()
            .filter(|finding| finding.rule.rule().severity == Severity::Forceable)
            .peekable();
        forceable.peek().is_some()
            && forceable.all(|finding| self.force || finding.overridden.is_some())
    }

    /// The report as Markdown: a summary, a table, then the details of each finding.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# Preflight: {}\n", self.verdict());
        if let Some(fault) = self.predicted_fault() {
            let _ = write!(text, "\n`{}` would answer `{fault}`.\n", self.call());
        }
        push_markdown(&mut text, &self.findings);
        text
    }

    fn call(&self) -> &'static str {
        if self.force { "pool.join_force" } else { "pool.join" }
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

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 5)?;
        report.serialize_field("schema", &Self::SCHEMA)?;
        report.serialize_field("verdict", &self.verdict())?;
        report.serialize_field("force", &self.force)?;
        report.serialize_field("predicted_fault", &self.predicted_fault())?;
        report.serialize_field("findings", &self.findings)?;
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
        write_findings(&self.findings, f)
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
