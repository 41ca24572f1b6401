//! What holds for each rule of any set, as functions for its tests (feature `proptest`).
//!
//! A rule set that brings a world for each of its rules, in which that rule objects, proves with
//! them that no missing fact is taken for a pass, and that no rule reads what it does not declare.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::rule::Rule;
use super::severity::Severity;
use crate::actions::Side;
use crate::model::{Class, Snapshot};

/// A world for one rule, by its databases.
pub type Sides = BTreeMap<Side, Snapshot>;

/// The evaluation of a rule set on such a world.
pub type Evaluation<'a> = &'a dyn Fn(&Sides) -> Vec<Finding>;

/// Takes away each field that a rule reads, and looks at the finding.
///
/// It must be `Unknown`, and name field and object.
///
/// Returns how many fields were tried; classes without records are left out.
///
/// # Errors
/// What was taken for a pass.
pub fn a_missing_field_is_told(
    rule: &'static Rule,
    world: &Sides,
    evaluate: Evaluation<'_>,
) -> Result<usize, String> {
    let mut tried = 0;
    // What only checks of older releases read is not asked for by that of the world.
    for reads in rule.reads.iter().filter(|reads| reads.until.is_none()) {
        for field in reads.fields {
            let mut poorer = world.clone();
            let Some(snapshot) = poorer.get_mut(&reads.side) else { continue };
            let whole = snapshot.clone();
            snapshot.lose_fields(reads.class, |known| known == *field);
            if *snapshot == whole {
                continue;
            }
            let findings = of_rule(rule, evaluate(&poorer));
            let is_told = findings.iter().any(|finding| {
                let mut objects =
                    finding.objects.iter().filter(|object| object.class == reads.class.as_str());
                finding.severity == Severity::Unknown
                    && finding.message.contains(field)
                    && objects.any(|object| finding.message.contains(&object.label().to_string()))
            });
            // Without `pool.master` nothing tells which records are meant: other rules say so.
            if !is_told && *field != "master" {
                let (side, class) = (reads.side, reads.class);
                return Err(format!(
                    "{} without {class}.{field} of the {side}: {findings:?}",
                    rule.code
                ));
            }
            tried += 1;
        }
    }
    Ok(tried)
}

/// Takes away each class that a rule reads, and looks at the finding.
///
/// It must be `Unknown`, of the rule or of one that ends all checks.
///
/// # Errors
/// What was taken for a pass.
pub fn a_missing_class_is_told(
    rule: &'static Rule,
    world: &Sides,
    evaluate: Evaluation<'_>,
) -> Result<(), String> {
    for reads in rule.reads.iter().filter(|reads| reads.until.is_none()) {
        let mut poorer = world.clone();
        let Some(snapshot) = poorer.get_mut(&reads.side) else { continue };
        snapshot.lose_class(reads.class);
        let (side, class) = (reads.side, reads.class);
        let is_told = evaluate(&poorer).iter().any(|finding| {
            let named = format!("of the {side} has no class {class}");
            finding.severity == Severity::Unknown
                && (finding.rule == rule.code && finding.message.contains(&named)
                    || finding.rule.rule().ends_checks)
        });
        if !is_told {
            return Err(format!("{} without class {class} of the {side}", rule.code));
        }
    }
    Ok(())
}

/// Takes away all that a rule does not declare to read: its finding stays as it is.
///
/// # Errors
/// What a rule read without a word.
pub fn nothing_undeclared_is_read(
    rule: &'static Rule,
    world: &Sides,
    evaluate: Evaluation<'_>,
) -> Result<(), String> {
    let mut poorer = world.clone();
    for (side, snapshot) in &mut poorer {
        for class in Class::ALL {
            let reads = rule.reads.iter();
            let reads = reads.filter(|reads| reads.side == *side && reads.class == *class);
            let declared: BTreeSet<_> = reads.flat_map(|reads| reads.fields).copied().collect();
            snapshot.lose_fields(*class, |field| {
                !(declared.contains(field)
                    || READ_BY_ALL.contains(&(*class, field))
                    || QUOTED.contains(&field))
            });
        }
    }
    let told = |world: &Sides| {
        let first = of_rule(rule, evaluate(world)).into_iter().next();
        first.map(|finding| (finding.severity, finding.fault, finding.objects.len()))
    };
    match (told(world), told(&poorer)) {
        (whole, poor) if whole == poor => Ok(()),
        (whole, poor) => Err(format!("{}: {whole:?}, with less {poor:?}", rule.code)),
    }
}

/// What tells which host is meant, and which release it runs: read for all rules.
const READ_BY_ALL: [(Class, &str); 5] = [
    (Class::Pool, "master"),
    (Class::Host, "software_version"),
    (Class::Pif, "host"),
    (Class::Pif, "management"),
    (Class::Host, "uuid"),
];

/// Fields that findings quote, so that people know what is meant.
const QUOTED: [&str; 5] = ["name_label", "uuid", "device", "tag", "VLAN"];

fn of_rule(rule: &Rule, findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().filter(|finding| finding.rule == rule.code).collect()
}
