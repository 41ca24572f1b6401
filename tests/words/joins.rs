//! What is said of a join: reports, consequences, plans, and how they go on.

use std::sync::Arc;

use xcp_pool::actions::Side;
use xcp_pool::model::Snapshot;
use xcp_pool::plan::{self, Choices};
use xcp_pool::preflight::{Options, Preflight, evaluate};
use xcp_pool::rules::Policy;

use crate::words::Names;
use crate::{Reader, pairs};

/// Reads everything that is said of a join.
pub(crate) fn texts(
    pool: &Snapshot,
    joiner: &Snapshot,
    options: &Options,
    read: &mut impl FnMut(String),
) {
    let (pool, joiner) = (Arc::new(pool.clone()), Arc::new(joiner.clone()));
    let report = evaluate(pool.clone(), joiner.clone(), options);
    read(report.to_string());
    read(report.to_markdown());
    for foretold in [report.consequences(), report.consequences_once_admitted()] {
        read(foretold.to_string());
        read(foretold.to_markdown());
    }
    let mut choices = vec![Choices::new()];
    for finding in report.findings() {
        read(finding.to_string());
        choices.extend(
            finding.remedy.choices.iter().skip(1).map(|choice| {
                Choices::new().choose(&finding.rule.to_string(), choice.code).unwrap()
            }),
        );
    }
    for choices in &choices {
        let plan = match report.plan(choices) {
            Ok(plan) => plan,
            Err(error) => {
                read(error.to_string());
                continue;
            }
        };
        read(plan.to_string());
        if let Err(error) = plan.check() {
            read(error.to_string());
        }
        for step in &plan.steps {
            let world = if step.side == Side::Pool { &pool } else { &joiner };
            for condition in step.preconditions().into_iter().chain(step.effect()) {
                read(condition.describe(world));
            }
        }
    }
    match plan::join_many([(&report, &choices[0]), (&report, &choices[0])]) {
        Ok(joins) => read(joins.to_string()),
        Err(error) => read(error.to_string()),
    }
}

#[test]
fn what_is_said_of_joins_is_in_words() {
    let mut reader = Reader::default();
    for pair in pairs() {
        let names = Names::of(&[&pair.pool, &pair.joiner]);
        texts(&pair.pool, &pair.joiner, &pair.options, &mut |text| reader.read(&text, &names));
    }
    reader.finish(1_500);
}

#[test]
fn a_policy_that_is_refused_is_told_in_words() {
    let mut reader = Reader::default();
    for (rule, reason) in [("running-vm", "x"), ("running-vms", ""), ("\u{202e}", "x")] {
        let error = Policy::<Preflight>::default().overriding(rule, reason).unwrap_err();
        reader.read(&error.to_string(), &Names::unknown());
    }
    reader.finish(3);
}
