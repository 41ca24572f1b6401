//! Runs the rules: what they read is there, what they find is kept, nothing stops at the first.

use super::code::RuleSet;
use super::finding::Finding;
use super::policy::Policy;
use super::reads::{Reads, Which};
use super::rule::Rule;
use super::severity::Severity;
use super::view::{Lost, View, field_bits};
use crate::actions::Side;
use crate::model::{Class, Object, Record, Snapshot, Version, object_of_class, with_class};

/// A set of rules that can be run.
pub(crate) trait Evaluate: RuleSet + Sized {
    /// All that there is to see.
    type World<'a>: Copy;

    /// What one rule sees of it.
    type Facts<'a>: Sees<'a>;

    /// Whose server makes the checks that rules mirror: its release decides which there are.
    const CHECKED_BY: Side;

    /// All rules of the set with what runs them, in the order of reports.
    fn checks() -> &'static [Check<Self>];

    /// What a rule sees.
    fn facts<'a>(world: Self::World<'a>, rule: &'static Rule) -> Self::Facts<'a>;
}

/// What one rule sees: a database for each side that it may declare to read, evidence beside.
pub(crate) trait Sees<'a> {
    /// What the rule sees of the database of a side.
    fn view(&self, side: Side) -> View<'a>;
}

/// A rule with what runs it.
pub(crate) struct Check<S: Evaluate> {
    rule: Rule,
    run: Run<S>,
}

/// Looks at the facts, adds what is to be said, and comes to an end, or tells why it cannot.
type Run<S> = for<'a> fn(&<S as Evaluate>::Facts<'a>, &mut Found<'_>) -> Result<(), Lost>;

impl Rule {
    /// The rule with what runs it.
    pub(crate) const fn run<S: Evaluate>(self, run: Run<S>) -> Check<S> {
        Check { rule: self, run }
    }
}

/// Gives the rules of a set their places.
pub(crate) const fn numbered<S: Evaluate, const N: usize>(
    mut checks: [Check<S>; N],
) -> [Check<S>; N] {
    let mut n = 0;
    while n < N {
        #[expect(clippy::cast_possible_truncation, reason = "no set has 65,536 rules")]
        let place = n as u16;
        checks[n].rule.place = (S::NAME, place);
        n += 1;
    }
    checks
}

/// The rules of a set without what runs them.
pub(crate) const fn rules_of<S: Evaluate, const N: usize>(
    checks: &'static [Check<S>],
) -> [&'static Rule; N] {
    let mut rules = [&checks[0].rule; N];
    let mut n = 0;
    while n < N {
        rules[n] = &checks[n].rule;
        n += 1;
    }
    rules
}

/// What a rule has found so far.
pub(crate) struct Found<'a> {
    findings: &'a mut Vec<Finding>,
}

impl Found<'_> {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }
}

/// Evaluates all rules of a set.
pub(crate) fn evaluate<S: Evaluate>(world: S::World<'_>, policy: &Policy<S>) -> Vec<Finding> {
    let checks = S::checks();
    let mut findings = Vec::new();
    let Some(first) = checks.first() else { return findings };
    // Which host is meant and what it runs does not depend on the rule that looks.
    let first = S::facts(world, &first.rule);
    let absent = Absences::of::<S>(&first);
    let release = first.view(S::CHECKED_BY).release();
    let mut checking = true;
    for Check { rule, run } in checks {
        if rule.check.is_some() && !checking {
            continue;
        }
        let facts = S::facts(world, rule);
        let server = facts.view(S::CHECKED_BY);
        let start = findings.len();
        let unchecked =
            release.as_ref().filter(|_| rule.check.is_some() && !server.is_as_of(rule.since));
        let checked_by = Checker { server, runs: unchecked.is_none() };
        if is_readable(rule, &facts, &absent, checked_by, &mut findings) {
            conclude(rule, run(&facts, &mut Found { findings: &mut findings }), &mut findings);
        }
        if let Some(release) = unchecked {
            not_checked(rule, release, server.whose(), &mut findings[start..]);
        }
        let check = match rule.formerly {
            Some((name, renamed)) if !server.is_as_of(renamed) => Some(name),
            _ => rule.check,
        };
        findings[start..].iter_mut().for_each(|finding| finding.xapi_check = check);
        only_first_fault(&mut findings, start);
        checking &= !rule.ends_checks || unchecked.is_some() || findings.len() == start;
    }
    policy.apply(&mut findings);
    findings
}

/// The server that makes the check of a rule, or does not.
#[derive(Clone, Copy)]
struct Checker<'a> {
    server: View<'a>,
    runs: bool,
}

impl Checker<'_> {
    /// Whether its check looks at this: it may be younger than what the rule reads today, or older
    /// than what it read once.
    fn reads(&self, rule: &Rule, reads: &Reads) -> bool {
        rule.check.is_none()
            || (reads.since <= rule.since || self.server.is_as_of(reads.since))
                && reads.until.is_none_or(|until| !self.server.is_as_of(until))
    }
}

/// Looks whether what a rule reads is there, and tells what is missing; whether the rule can run.
///
/// A side that is older than a field cannot have it: that matters only to a check that will run.
fn is_readable<'a>(
    rule: &'static Rule,
    facts: &impl Sees<'a>,
    absent: &Absences,
    checker: Checker<'_>,
    out: &mut Vec<Finding>,
) -> bool {
    let mut missing = Vec::new();
    let mut whole = true;
    for reads in rule.reads.iter().filter(|reads| checker.reads(rule, reads)) {
        let view = facts.view(reads.side);
        let before = missing.len();
        lacking(reads, &view, absent, &mut missing);
        if missing.len() == before {
            continue;
        }
        let checks = checker.runs && rule.check.is_some();
        let too_old = view.release().is_some_and(|release| !reads.since.is_in(&release));
        if too_old && !checks {
            return false;
        }
        if checks && view.lacks_call(reads) {
            missing.truncate(before);
            continue;
        }
        whole &= reads.records == Which::Each;
    }
    if !missing.is_empty() {
        let unknown = unknown(rule, &missing[0].0);
        let objects = missing.into_iter().filter_map(|(_, object)| object);
        out.push(unknown.objects(objects.take(MOST_OBJECTS)));
    }
    whole
}

/// Tells why a rule came to no end, if it did not.
fn conclude(rule: &'static Rule, end: Result<(), Lost>, out: &mut Vec<Finding>) {
    match end {
        Ok(()) => {}
        // Where no check stumbles on it, it is a gap like any other.
        Err(Lost::Fault { message, .. }) if rule.check.is_none() => {
            out.push(unknown(rule, &message));
        }
        Err(Lost::Fault { fault, message }) => out.push(Finding::new(rule, message).fault(fault)),
        Err(Lost::Unknown { message, objects }) => {
            out.push(unknown(rule, &message).objects(objects));
        }
    }
}

/// How many unreadable objects a finding names; beyond that the list helps nobody.
const MOST_OBJECTS: usize = 20;

fn unknown(rule: &'static Rule, why: &str) -> Finding {
    Finding { severity: Severity::Unknown, ..Finding::new(rule, format!("not known: {why}")) }
}

/// The server lets pass what newer ones refuse: the reason why they do remains.
fn not_checked(rule: &Rule, release: &Version, whose: &str, findings: &mut [Finding]) {
    for finding in findings {
        finding.fault = None;
        // What nobody asks need not be known.
        finding.severity = match finding.severity {
            Severity::Unknown => Severity::Notice,
            _ => Severity::Hazard,
        };
        finding.message = format!(
            "{} (xapi {release} of {whose} does not check this, {} and later do)",
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
struct Absences(Vec<(Side, Class, u128)>);

impl Absences {
    fn of<'a, S: Evaluate>(facts: &S::Facts<'a>) -> Self {
        let reads = S::checks().iter().flat_map(|check| check.rule.reads);
        let mut classes: Vec<_> = reads.map(|reads| (reads.side, reads.class)).collect();
        classes.sort_unstable();
        classes.dedup();
        let union = |snapshot: &Snapshot, class| {
            with_class!(class, T => {
                T::table(snapshot).records().fold(0, |bits, record| bits | record.absent().bits())
            })
        };
        let lacks = |(side, class)| (side, class, union(facts.view(side).snapshot, class));
        Self(classes.into_iter().map(lacks).collect())
    }

    fn any(&self, side: Side, class: Class, bits: u128) -> bool {
        self.0
            .iter()
            .any(|(of, known, absent)| (*of, *known) == (side, class) && absent & bits != 0)
    }
}

/// What is missing of what a rule reads, with the object that lacks it.
fn lacking(
    reads: &Reads,
    view: &View<'_>,
    absent: &Absences,
    missing: &mut Vec<(String, Option<Object>)>,
) {
    let snapshot = view.snapshot;
    let whose = view.whose();
    let class = reads.class;
    if !snapshot.covers(class) {
        missing.push((format!("the snapshot of {whose} has no class {class}"), None));
        return;
    }
    let local = view.local().ok().map(|(host, _)| host);
    for problem in snapshot.problems.iter().filter(|problem| problem.class == class) {
        let concerned = match reads.records {
            Which::Local => local.is_none_or(|local| problem.reference == local.text()),
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
    if !absent.any(reads.side, class, bits) {
        return;
    }
    let only = match reads.records {
        Which::Each | Which::All => None,
        Which::Local => match local {
            Some(local) => Some(local.to_string()),
            None => return,
        },
        Which::Management => match view.management_pif() {
            Some((pif, _)) => Some(pif.to_string()),
            None => return,
        },
    };
    with_class!(class, T => {
        for (reference, record) in T::table(snapshot) {
            let lacks = record.absent().bits() & bits;
            if lacks == 0 || only.as_ref().is_some_and(|only| reference.text() != *only) {
                continue;
            }
            let fields: Vec<_> = T::FIELDS
                .iter()
                .enumerate()
                .filter(|(n, _)| lacks & (1 << n) != 0)
                .map(|(_, field)| *field)
                .collect();
            let object = object_of_class(snapshot, class, &reference.text());
            let message = format!("{} of {whose} has no {}", object.label(), fields.join(", "));
            missing.push((message, Some(object)));
        }
    });
}
