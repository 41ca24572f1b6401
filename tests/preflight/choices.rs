//! Whatever way out of a finding is chosen, of any rule, its steps are in the plan, or it is
//! refused.

use crate::world::cases;
use xcp_pool::ErrorKind;
use xcp_pool::actions::Action;
use xcp_pool::plan::{Choices, Plan, Work};
use xcp_pool::rules::Finding;

fn acts(plan: &Plan) -> Vec<&Action> {
    let actions = plan.steps.iter().filter_map(|step| match &step.work {
        Work::Act { action } => Some(action),
        _ => None,
    });
    actions.collect()
}

/// What a choice does for an object.
fn wanted<'a>(finding: &'a Finding, code: &str, object: Option<&str>) -> Vec<&'a Action> {
    let choice = finding.remedy.choice(code).unwrap();
    let serves = choice.actions.iter().zip(&choice.serves);
    serves
        .filter(|(_, serves)| object.is_none_or(|object| *serves == object))
        .map(|(action, _)| action)
        .collect()
}

#[test]
fn each_choice_that_a_report_names_is_in_the_plan() {
    let (mut rules, mut tried) = (0, 0);
    for case in cases() {
        let report = case.world().evaluate();
        let finding = report.findings().iter().find(|one| one.rule.as_str() == case.code).unwrap();
        let Ok(plain) = report.plan(&Choices::new()) else {
            // Without one pool on each side there are no plans.
            assert!(finding.remedy.choices.is_empty(), "{}", case.code);
            continue;
        };
        for (n, choice) in finding.remedy.choices.iter().enumerate() {
            let chosen = Choices::new().choose(&case.code, choice.code).unwrap();
            let plan = report.plan(&chosen).unwrap();
            let acts = acts(&plan);
            let wanted_all = wanted(finding, choice.code, None);
            assert!(!wanted_all.is_empty(), "{} {}", case.code, choice.code);
            for action in wanted_all {
                assert!(
                    acts.contains(&action),
                    "{} {}: {action:?}\n{plan}",
                    case.code,
                    choice.code
                );
            }
            let by_default = n == 0 && (finding.stops() || finding.leaves_open());
            assert_eq!(
                plan.digest() == plain.digest(),
                by_default,
                "{} {}",
                case.code,
                choice.code
            );
            for loss in &choice.destroys {
                assert!(plan.losses().any(|one| one == loss), "{loss}\n{plan}");
            }
            tried += 1;
        }
        rules += usize::from(!finding.remedy.choices.is_empty());
    }
    assert!(rules > 25 && tried > 40, "{rules} rules, {tried} choices");
}

#[test]
fn a_choice_for_one_object_is_for_no_other() {
    for case in cases() {
        let report = case.world().evaluate();
        let finding = report.findings().iter().find(|one| one.rule.as_str() == case.code).unwrap();
        if finding.stops() || finding.leaves_open() {
            continue;
        }
        for choice in &finding.remedy.choices {
            for object in &finding.objects {
                let serves = wanted(finding, choice.code, Some(&object.reference));
                let chosen =
                    Choices::new().choose_for(&case.code, &object.reference, choice.code).unwrap();
                let plan = report.plan(&chosen).unwrap();
                if serves.is_empty() {
                    // It is left to a person, since it was asked for.
                    assert!(!plan.is_complete(), "{} {}\n{plan}", case.code, choice.code);
                }
                let because = plan.steps.iter().filter(|step| step.because.contains(&case.code));
                assert_eq!(because.count(), serves.len(), "{} {}\n{plan}", case.code, choice.code);
            }
        }
    }
}

#[test]
fn a_choice_that_no_finding_of_its_rule_has_is_refused() {
    for case in cases() {
        let report = case.world().evaluate();
        let finding = report.findings().iter().find(|one| one.rule.as_str() == case.code).unwrap();
        let chosen = Choices::new().choose(&case.code, "pray").unwrap();
        let error = report.plan(&chosen).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        if report.plan(&Choices::new()).is_err() {
            continue;
        }
        for word in [case.code.as_str(), "\"pray\""] {
            assert!(error.to_string().contains(word), "{error}");
        }
        for choice in &finding.remedy.choices {
            assert!(error.to_string().contains(choice.code), "{error}");
        }
        let nobody = Choices::new().choose_for(&case.code, "OpaqueRef:nobody", "pray").unwrap();
        let error = report.plan(&nobody).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("OpaqueRef:nobody"), "{error}");
    }
}
