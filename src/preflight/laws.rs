//! Laws that every evaluation obeys, as property tests.
//!
//! `XCP_POOL_CASES` sets how many cases each law is tried on.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use proptest::prelude::*;
    use proptest::test_runner::Config;

    use crate::error::Fault;
    use crate::model::arbitrary::snapshot;
    use crate::model::{Class, Record, Snapshot, with_class};
    use crate::preflight::arbitrary::{JoinCase, Offence, clean_case, join_case};
    use crate::preflight::consequences::{Attempt, foretell, foretell_with_changes};
    use crate::preflight::{Options, Preflight, Report, Verdict, evaluate};
    use crate::rules::{Policy, RuleSet, Severity};

    fn cases() -> Config {
        let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|cases| cases.parse().ok());
        Config { cases: cases.unwrap_or(2_000), failure_persistence: None, ..Config::default() }
    }

    fn report(case: &JoinCase) -> Report {
        evaluate(case.pool.clone(), case.joiner.clone(), &case.options)
    }

    fn rules(report: &Report) -> BTreeSet<&'static str> {
        report.findings().iter().map(|finding| finding.rule.as_str()).collect()
    }

    /// Puts the records of a snapshot in from the last to the first.
    fn reversed(snapshot: &Snapshot) -> Snapshot {
        let mut reversed = Snapshot::new();
        for class in Class::ALL {
            with_class!(*class, T => {
                if T::table(snapshot).covered() {
                    T::table_mut(&mut reversed).cover();
                }
                let rows = T::table(snapshot).iter().rev();
                let rows = rows.map(|(reference, record)| (reference.clone(), record.clone()));
                T::table_mut(&mut reversed).extend(rows.collect::<Vec<_>>());
            });
        }
        reversed.problems = snapshot.problems.clone();
        reversed
    }

    /// What XAPI would answer: the first of its checks that objects.
    fn first_objection(report: &Report) -> Option<&Fault> {
        let mut first = None;
        for rule in Preflight::rules().iter().rev() {
            for finding in report.findings().iter().rev() {
                if finding.rule == rule.code && finding.fault.is_some() {
                    first = finding.fault.as_ref();
                }
            }
        }
        first
    }

    /// What holds for every report, however odd the snapshots are.
    fn holds_for(report: &Report) -> Result<(), TestCaseError> {
        prop_assert_eq!(report.predicted_fault(), first_objection(report));
        let order: Vec<_> = report.findings().iter().map(|finding| finding.rule).collect();
        prop_assert!(order.is_sorted(), "{:?}", order);
        let mut checks: Vec<_> = report
            .findings()
            .iter()
            .filter(|finding| finding.fault.is_some())
            .filter_map(|finding| finding.xapi_check)
            .collect();
        let raised = checks.len();
        checks.dedup();
        prop_assert_eq!(checks.len(), raised, "each check raises one error");
        for finding in report.findings() {
            let refuses = matches!(finding.severity, Severity::Blocker | Severity::Forceable);
            let rule = finding.rule.rule();
            prop_assert!(!refuses || rule.check.is_some(), "{}", finding);
            prop_assert!(finding.fault.is_none() || refuses, "{}", finding);
            prop_assert!(!finding.message.contains('\n') && !finding.message.is_empty());
            for choice in &finding.remedy.choices {
                prop_assert!(!choice.actions.is_empty(), "{} does nothing", choice.code);
                prop_assert_eq!(choice.actions.len(), choice.serves.len());
            }
        }
        let verdict = report.verdict();
        prop_assert_eq!(
            verdict == Verdict::Blocked || verdict == Verdict::NeedsForce,
            report.blockers().next().is_some()
        );
        let _ = (report.to_string(), report.to_markdown());
        Ok(())
    }

    /// Consequences are foretold without the records of changes, of which there may be many.
    fn records_change_nothing_of_what_is_told(report: &Report) {
        for refusal in [None, report.predicted_fault().cloned()] {
            let attempt = Attempt { force: report.options().force, refusal };
            let (pool, joiner) = (report.pool(), report.joiner());
            let (foretold, _) = foretell_with_changes(pool, joiner, &attempt);
            assert_eq!(foretell(pool, joiner, &attempt), foretold);
        }
    }

    #[test]
    fn recorded_joins_are_foretold_with_and_without_their_records() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/oracle/joins");
        let mut tried = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let file: serde_json::Value =
                serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let snapshot =
                |which: &str| Snapshot::from_json(file[which].to_string().as_bytes()).unwrap();
            let report =
                evaluate(snapshot("pool_before"), snapshot("joiner_before"), &Options::new());
            records_change_nothing_of_what_is_told(&report);
            tried += 1;
        }
        assert!(tried >= 20, "{tried}");
    }

    #[test]
    fn each_offence_alone_is_found_by_its_rule() {
        let size = crate::preflight::arbitrary::Size { hosts: 2, nics: 2, vms: 2, srs: 1 };
        let mut codes = BTreeSet::new();
        for offence in Offence::ALL {
            let report = report(&JoinCase::new(size, [*offence]));
            let found = rules(&report).contains(&offence.rule());
            assert!(found, "{offence:?} is not found:\n{report}");
            codes.insert(offence.rule());
        }
        let checks: BTreeSet<_> = Preflight::rules()
            .iter()
            .filter(|rule| codes.contains(&rule.code))
            .filter_map(|rule| rule.check)
            .collect();
        assert!(checks.len() >= 32, "{}: {checks:?}", checks.len());
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn nothing_is_found_where_nothing_is_wrong(case in clean_case()) {
            let report = report(&case);
            prop_assert_eq!(report.findings(), []);
        }

        #[test]
        fn the_order_of_records_changes_nothing(case in join_case()) {
            let again =
                evaluate(reversed(&case.pool), reversed(&case.joiner), &case.options);
            prop_assert_eq!(report(&case), again);
        }

        #[test]
        fn each_offence_is_found_and_its_removal_adds_no_finding(
            case in join_case(), which in any::<prop::sample::Index>(),
        ) {
            let report = report(&case);
            holds_for(&report)?;
            records_change_nothing_of_what_is_told(&report);
            let found = rules(&report);
            for offence in &case.offences {
                prop_assert!(found.contains(&offence.rule()), "{:?}", offence);
            }
            if !case.offences.is_empty() {
                let offence = *which.get(&case.offences);
                let left = rules(&self::report(&case.without(offence)));
                let added: Vec<_> = left.difference(&found).collect();
                prop_assert!(added.is_empty(), "without {:?}: {:?}", offence, added);
            }
        }

        #[test]
        fn the_documents_only_ever_ask_for_more(case in join_case()) {
            let mut strict = case.clone();
            strict.options.policy = Policy::documented();
            let (report, strict) = (report(&case), report(&strict));
            prop_assert_eq!(rules(&report), rules(&strict));
            prop_assert_eq!(report.predicted_fault(), strict.predicted_fault());
            let stopping: Vec<_> = report.blockers().map(|finding| finding.rule).collect();
            let strictly: Vec<_> = strict.blockers().map(|finding| finding.rule).collect();
            prop_assert!(stopping.iter().all(|rule| strictly.contains(rule)));
        }

        #[test]
        fn overriding_every_finding_leaves_nothing_that_stops(case in join_case()) {
            let policy = Preflight::rules().iter().try_fold(Policy::new(), |policy, rule| {
                policy.overriding(rule.code, "tried out")
            });
            let mut eased = case.clone();
            eased.options.policy = policy.unwrap();
            let (report, eased) = (report(&case), report(&eased));
            prop_assert_eq!(eased.verdict(), Verdict::Ready);
            prop_assert_eq!(eased.findings().len(), report.findings().len());
            prop_assert_eq!(eased.predicted_fault(), report.predicted_fault());
        }

        #[test]
        fn odd_snapshots_are_judged_without_a_panic(
            pool in snapshot(), joiner in snapshot(), force in any::<bool>(),
        ) {
            let mut options = Options::new().force(force);
            let (pool, joiner) = (Arc::new(pool), Arc::new(joiner));
            let report = evaluate(Arc::clone(&pool), Arc::clone(&joiner), &options);
            if !force {
                holds_for(&report)?;
            }
            prop_assert_eq!(&report, &evaluate(Arc::clone(&pool), Arc::clone(&joiner), &options));
            let again = evaluate(reversed(&pool), reversed(&joiner), &options);
            prop_assert_eq!(&report, &again);
            options.policy = Policy::documented();
            let report = evaluate(pool, joiner, &options);
            let _ = report.to_markdown();
            records_change_nothing_of_what_is_told(&report);
        }
    }
}
