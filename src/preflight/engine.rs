//! Runs the rules: what they read is there, what they find is kept, nothing stops at the first.

use crate::model::object_of_class;

use super::facts::{Facts, field_bits};
use super::finding::{Finding, Severity};
use super::policy::Options;
use super::report::Report;
use super::rule::{RULES, Reads, Rule, Scope};
use crate::actions::Side;
use crate::error::Fault;
use crate::model::Object;
use crate::model::{Class, Problem, Record, Ref, Snapshot, Version, with_class};

/// What a rule has found so far.
pub(super) struct Found<'a> {
    findings: &'a mut Vec<Finding>,
}

impl Found<'_> {
    pub(super) fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }
}

/// Why a rule came to no verdict of its own.
pub(super) enum Lost {
    /// The server's own check would fail in this way.
    Fault { fault: Fault, message: String },
    /// A fact is missing.
    Unknown { message: String, objects: Vec<Object> },
}

impl Lost {
    pub(super) fn fault(fault: Fault, message: impl Into<String>) -> Self {
        Self::Fault { fault, message: message.into() }
    }

    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self::Unknown { message: message.into(), objects: Vec::new() }
    }

    /// The ref leads nowhere, and the server would say so.
    pub(super) fn dangling<T: Record>(reference: &Ref<T>) -> Self {
        Self::fault(
            Fault::new("HANDLE_INVALID", [T::CLASS.to_owned(), reference.to_string()]),
            format!("{} {reference} does not exist", T::CLASS),
        )
    }

    pub(super) fn unreadable(whose: &str, problem: &Problem) -> Self {
        Self::Unknown {
            message: format!("a record of {whose} cannot be read: {problem}"),
            objects: vec![Object::unnamed(problem.class, &problem.reference)],
        }
    }

    pub(super) fn because(mut self, reason: String) -> Self {
        match &mut self {
            Self::Fault { message, .. } | Self::Unknown { message, .. } => *message = reason,
        }
        self
    }
}

/// Evaluates all rules on two snapshots.
pub(super) fn evaluate(pool: &Snapshot, joiner: &Snapshot, options: &Options) -> Report {
    let absent = [Absences::of(pool, Side::Pool), Absences::of(joiner, Side::Joiner)];
    let mut findings = Vec::new();
    // The release that decides which checks run, taken through a rule that reads nothing.
    let release = Facts::new(pool, joiner, options, RULES[0]).joiner.release();
    let mut reachable = true;
    for rule in RULES {
        if rule.check.is_some() && !reachable {
            continue;
        }
        let facts = Facts::new(pool, joiner, options, rule);
        let start = findings.len();
        let unchecked =
            release.as_ref().filter(|release| rule.check.is_some() && !runs(rule, release, &facts));
        run(rule, &facts, &absent, unchecked.is_none(), &mut findings);
        if let Some(release) = unchecked {
            not_checked(rule, release, &mut findings[start..]);
        }
        only_first_fault(&mut findings, start);
        reachable &= rule.check != Some("get_pool") || findings.len() == start;
    }
    for finding in &mut findings {
        if options.force && finding.severity == Severity::Forceable {
            finding.fault = None;
        }
        if options.policy.is_documented() && finding.rule.rule().documented {
            finding.binding = true;
            if finding.severity > Severity::Unknown {
                finding.severity = Severity::Blocker;
            }
        }
        finding.overridden = options.policy.reason(finding.rule).map(str::to_owned);
    }
    Report::new(options.force, findings)
}

/// Runs a rule as far as what it reads is there.
///
/// A side that is older than a field cannot have it: that matters only to a check that will run.
fn run(
    rule: &'static Rule,
    facts: &Facts<'_>,
    absent: &[Absences; 2],
    will_run: bool,
    out: &mut Vec<Finding>,
) {
    let mut missing = Vec::new();
    let mut whole = true;
    for reads in rule.reads {
        let view = facts.side(reads.side);
        let before = missing.len();
        lacking(reads, facts, &absent[usize::from(reads.side == Side::Joiner)], &mut missing);
        if missing.len() == before {
            continue;
        }
        let too_old = view.release().is_some_and(|release| !reads.since.is_in(&release));
        if too_old && !(will_run && rule.check.is_some()) {
            return;
        }
        whole &= reads.scope == Scope::Each;
    }
    if !missing.is_empty() {
        let unknown = unknown(rule, &missing[0].0);
        let objects = missing.into_iter().filter_map(|(_, object)| object);
        out.push(unknown.objects(objects.take(MOST_OBJECTS)));
    }
    if !whole {
        return;
    }
    match (rule.run)(facts, &mut Found { findings: out }) {
        Ok(()) => {}
        // Where no check stumbles on it, it is a gap like any other.
        Err(Lost::Fault { message, .. }) if rule.check.is_none() => {
            out.push(unknown(rule, &message));
        }
        Err(Lost::Fault { fault, message }) => out.push(Finding::new(rule, message).fault(fault)),
        Err(Lost::Unknown { message, objects }) => {
            out.push(unknown(rule, &message).objects(objects))
        }
    }
}

/// How many unreadable objects a finding names; beyond that the list helps nobody.
const MOST_OBJECTS: usize = 20;

fn unknown(rule: &Rule, why: &str) -> Finding {
    Finding { severity: Severity::Unknown, ..Finding::new(rule, format!("not known: {why}")) }
}

/// Whether the joiner's server has the check of a rule.
///
/// Its release says so; or, within one major release, its records do, since packagers take changes
/// in without taking the number: who has the field that came with the check has the check.
fn runs(rule: &Rule, release: &Version, facts: &Facts<'_>) -> bool {
    let has_its_fields = |reads: &Reads| {
        let bits = field_bits(reads.class, reads.fields);
        with_class!(reads.class, T => {
            let mut records = facts.joiner.snapshot.table::<T>().records().peekable();
            records.peek().is_some() && records.all(|record| record.absent().bits() & bits == 0)
        })
    };
    rule.since.is_in(release)
        || rule.since.major() == release.major()
            && rule.reads.iter().any(|reads| {
                reads.side == Side::Joiner && reads.since == rule.since && has_its_fields(reads)
            })
}

/// The joiner's server lets pass what newer ones refuse: the reason why they do remains.
fn not_checked(rule: &Rule, release: &Version, findings: &mut [Finding]) {
    for finding in findings {
        finding.fault = None;
        // What nobody asks need not be known.
        finding.severity = match finding.severity {
            Severity::Unknown => Severity::Notice,
            _ => Severity::Hazard,
        };
        finding.message = format!(
            "{} (xapi {release} of the joiner does not check this, {} and later do)",
            finding.message, rule.since
        );
    }
}

/// A check of XAPI stops at its first objection: what a later rule of it finds raises nothing.
fn only_first_fault(findings: &mut [Finding], start: usize) {
    for n in start..findings.len() {
        let (before, this) = findings.split_at_mut(n);
        let this = &mut this[0];
        if this.fault.is_some()
            && before
                .iter()
                .rev()
                .take_while(|other| other.xapi_check == this.xapi_check)
                .any(|other| other.fault.is_some())
        {
            this.fault = None;
        }
    }
}

/// Which fields some record of a class lacks, so that most rules need not look again.
struct Absences(Vec<(Class, u128)>);

impl Absences {
    fn of(snapshot: &Snapshot, side: Side) -> Self {
        let mut classes: Vec<_> = RULES
            .iter()
            .flat_map(|rule| rule.reads)
            .filter(|reads| reads.side == side)
            .map(|reads| reads.class)
            .collect();
        classes.sort_unstable();
        classes.dedup();
        let union = |class| {
            with_class!(class, T => {
                T::table(snapshot).records().fold(0, |bits, record| bits | record.absent().bits())
            })
        };
        Self(classes.into_iter().map(|class| (class, union(class))).collect())
    }

    fn any(&self, class: Class, bits: u128) -> bool {
        self.0.iter().any(|(known, absent)| *known == class && absent & bits != 0)
    }
}

/// What is missing of what a rule reads, with the object that lacks it.
fn lacking(
    reads: &Reads,
    facts: &Facts<'_>,
    absent: &Absences,
    missing: &mut Vec<(String, Option<Object>)>,
) {
    let view = facts.side(reads.side);
    let snapshot = view.snapshot;
    let whose = view.whose();
    let class = reads.class;
    if !snapshot.covers(class) {
        missing.push((format!("the snapshot of {whose} has no class {class}"), None));
        return;
    }
    let local = view.local().ok().map(|(host, _)| host);
    for problem in snapshot.problems.iter().filter(|problem| problem.class == class) {
        let concerned = match reads.scope {
            Scope::Local => local.is_none_or(|local| problem.reference == local.as_str()),
            _ => true,
        };
        if concerned {
            missing.push((
                format!("a record of {whose} cannot be read: {problem}"),
                Some(Object::unnamed(class, &problem.reference)),
            ));
        }
    }
    let bits = field_bits(class, reads.fields);
    if !absent.any(class, bits) {
        return;
    }
    let only = match reads.scope {
        Scope::Each | Scope::All => None,
        Scope::Local => match local {
            Some(local) => Some(local.to_string()),
            None => return,
        },
        Scope::Management => match view.management_pif() {
            Some((pif, _)) => Some(pif.to_string()),
            None => return,
        },
    };
    with_class!(class, T => {
        for (reference, record) in T::table(snapshot) {
            let lacks = record.absent().bits() & bits;
            if lacks == 0 || only.as_ref().is_some_and(|only| reference.as_str() != *only) {
                continue;
            }
            let fields: Vec<_> = T::FIELDS
                .iter()
                .enumerate()
                .filter(|(n, _)| lacks & (1 << n) != 0)
                .map(|(_, field)| *field)
                .collect();
            missing.push((
                format!("{class} {reference} of {whose} has no {}", fields.join(", ")),
                Some(object_of_class(snapshot, class, &reference.as_str())),
            ));
        }
    });
}
