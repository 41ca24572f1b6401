//! Each rule: a clean world, one thing broken, the exact finding.
//!
//! `tests/data/preflight/clean.json` says what the clean world is, and `rules/<code>.json` what breaks
//! it for one rule, with the finding and the codes of the other rules that object as well. With
//! `BLESS=1` the answers in these files are rewritten; read the difference before you
//! commit it.

use std::collections::BTreeSet;

use crate::world::{World, blessing, cases, clean, rule};
use serde_json::{Map, Value, json};
use xcp_pool::actions::Side;
use xcp_pool::model::{Snapshot, fields};
use xcp_pool::preflight::{self, Options, Preflight, Verdict};
use xcp_pool::rules::proofs::{self, Sides};
use xcp_pool::rules::{Finding, Policy, RuleSet, Severity, Which};

#[test]
fn the_clean_world_has_no_findings() {
    let report = clean().evaluate();
    assert_eq!(report.findings(), []);
    assert_eq!(report.verdict(), Verdict::Ready);
    assert_eq!(report.predicted_fault(), None);
}

#[test]
fn every_rule_has_a_case_with_its_exact_finding() {
    let cases = cases();
    let known: BTreeSet<_> = Preflight::rules().iter().map(|rule| rule.code).collect();
    let tried: BTreeSet<_> = cases.iter().map(|case| case.code.as_str()).collect();
    assert_eq!(tried, known, "one file in tests/data/preflight/rules for each rule, and no other");
    let mut wrong = Vec::new();
    for case in &cases {
        let report = case.world().evaluate();
        let (own, others): (Vec<_>, Vec<_>) =
            report.findings().iter().partition(|finding| finding.rule.as_str() == case.code);
        let own: Vec<_> = own.iter().map(|finding| json!(finding)).collect();
        let others: Vec<_> = others.iter().map(|finding| json!(finding.rule)).collect();
        let finding = match own.len() {
            1 => own[0].clone(),
            _ => json!(own),
        };
        assert_eq!(own.len(), 1, "{}: {own:#?}", case.code);
        if (case.file["finding"] != finding || case.file["also"] != json!(others))
            && !case.bless([("finding", finding.clone()), ("also", json!(others))])
        {
            wrong.push(format!(
                "{}\n  recorded {} also {}\n  found    {finding} also {}",
                case.code,
                case.file["finding"],
                case.file["also"],
                json!(others)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn findings_weigh_and_raise_what_their_rule_says() {
    for case in cases() {
        let report = case.world().evaluate();
        let rule = rule(&case.code);
        let finding = report.findings().iter().find(|finding| finding.rule == rule.code).unwrap();
        assert_eq!(finding.severity, rule.severity, "{}", case.code);
        assert_eq!(finding.xapi_check, rule.check, "{}", case.code);
        assert_eq!(
            finding.fault.as_ref().map(|fault| fault.code.as_str()),
            rule.error,
            "{}",
            case.code
        );
        let refuses = matches!(finding.severity, Severity::Blocker | Severity::Forceable);
        assert_eq!(refuses, rule.check.is_some(), "{}", case.code);
        if refuses {
            let remedy = &finding.remedy;
            assert!(
                !remedy.choices.is_empty() || remedy.by_person.is_some(),
                "{} knows no way out",
                case.code
            );
        }
    }
}

/// The evaluation of other databases with the evidence of a world.
fn evaluation(world: &World) -> impl Fn(&Sides) -> Vec<Finding> {
    let options = world.options();
    move |sides| {
        let [pool, joiner] = [Side::Pool, Side::Joiner].map(|side| sides[&side].clone());
        preflight::evaluate(pool, joiner, &options).findings().to_vec()
    }
}

#[test]
fn a_missing_field_is_unknown_and_never_a_silent_pass() {
    let clean = clean();
    let mut tried = 0;
    for case in cases() {
        // With its own case broken in, so that rules which look at nothing else have records.
        let world = case.world();
        let rule = rule(&case.code);
        let told = proofs::a_missing_field_is_told(rule, &world.sides(), &evaluation(&world));
        tried += told.unwrap_or_else(|error| panic!("{error}"));
        proofs::a_missing_class_is_told(rule, &clean.sides(), &evaluation(&clean)).unwrap();
    }
    assert!(tried > 250, "{tried}");
}

#[test]
fn rules_read_nothing_that_they_do_not_declare() {
    for case in cases() {
        let world = case.world();
        let rule = rule(&case.code);
        proofs::nothing_undeclared_is_read(rule, &world.sides(), &evaluation(&world)).unwrap();
    }
}

#[test]
fn an_unreadable_record_is_named_and_hides_no_other() {
    let mut world = cases().into_iter().find(|case| case.code == "running-vms").unwrap().world();
    world.0["joiner"]["VM"]["OpaqueRef:odd"] = json!({"uuid": "odd", "power_state": 7});
    let report = world.evaluate();
    let of_rule: Vec<_> = report
        .findings()
        .iter()
        .filter(|finding| finding.rule == "running-vms")
        .map(|finding| (finding.severity, finding.message.clone()))
        .collect();
    assert_eq!(
        of_rule,
        [
            (
                Severity::Unknown,
                "not known: a record of the joiner cannot be read: VM OpaqueRef:odd: power_state: \
                 invalid type: integer `7`, expected PowerState"
                    .to_owned()
            ),
            (Severity::Blocker, "a VM runs on the joiner: \"web\"".to_owned()),
        ]
    );
}

#[test]
fn a_dangling_master_is_what_the_server_would_stumble_on() {
    let mut world = clean();
    world.0["pool"]["pool"]["OpaqueRef:pool-b"]["master"] = json!("OpaqueRef:gone");
    let report = world.evaluate();
    let fault = report.predicted_fault().unwrap();
    assert_eq!(fault.to_string(), "HANDLE_INVALID [host, OpaqueRef:gone]");
    assert_eq!(report.verdict(), Verdict::Blocked);
}

#[test]
fn what_the_installation_brings_stays_behind_whatever_else_it_claims_to_be() {
    let mut world = cases().into_iter().find(|case| case.code == "halted-vms").unwrap().world();
    for vm in world.0["joiner"]["VM"].as_object_mut().unwrap().values_mut() {
        if vm["is_a_template"] == json!(false) && vm["is_control_domain"] == json!(false) {
            vm["is_default_template"] = json!(true);
        }
    }
    assert_eq!(world.evaluate().findings(), []);
}

#[test]
fn evidence_that_is_missing_is_named() {
    let mut world = clean();
    world.0["options"] = json!({});
    world.0["joiner"]["host"]["OpaqueRef:host-a1"]["edition"] = json!("enterprise");
    let version = &mut world.0["joiner"]["host"]["OpaqueRef:host-a1"]["software_version"];
    version.as_object_mut().unwrap().remove("network_backend");
    let report = world.evaluate();
    let unknown: Vec<_> = report
        .findings()
        .iter()
        .map(|finding| {
            assert_eq!(finding.severity, Severity::Unknown, "{finding}");
            let named = finding.message.rsplit(['(', ':']).next().unwrap_or_default();
            (finding.rule.as_str(), named.trim().to_owned())
        })
        .collect();
    assert_eq!(report.verdict(), Verdict::Unknown);
    let rules: Vec<_> = unknown.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(rules, ["edition-differs", "network-backend-differs", "clocks-differ"]);
}

#[test]
fn an_override_marks_the_finding_and_changes_no_prediction() {
    let world = cases().into_iter().find(|case| case.code == "cpu-vendor-differs").unwrap().world();
    let policy =
        Policy::<Preflight>::new().overriding("cpu-vendor-differs", "the lab mixes").unwrap();
    let report = world.evaluate_with(|options| options.policy = policy.clone());
    assert_eq!(report.findings()[0].overridden.as_deref(), Some("the lab mixes"));
    assert_eq!(report.verdict(), Verdict::Ready);
    assert!(report.needs_force());
    let fault = report.predicted_fault().unwrap().to_string();
    assert_eq!(fault, "HOSTS_NOT_HOMOGENEOUS [CPUs differ]");
    assert_eq!(report.predicted_fault_of_join_force(), None);
    assert_eq!(world.evaluate().verdict(), Verdict::NeedsForce);
    assert_eq!(world.evaluate_with(|options| options.force = true).verdict(), Verdict::Ready);
}

#[test]
fn unknown_rules_are_refused_with_those_that_come_near() {
    let error = |code: &str| {
        Policy::<Preflight>::new().overriding(code, "because").unwrap_err().to_string()
    };
    assert_eq!(error("runing-vms"), "there is no rule \"runing-vms\": did you mean running-vms?");
    assert!(error("vms-running").contains("did you mean running-vms"), "{}", error("vms-running"));
    assert_eq!(error("zzzzzzzzzzzzzzzzzzzz"), "there is no rule \"zzzzzzzzzzzzzzzzzzzz\"");
    let no_reason = Policy::<Preflight>::new().overriding("running-vms", " ").unwrap_err();
    assert_eq!(no_reason.to_string(), "overriding rule running-vms needs a reason");
    let options = serde_json::from_value::<Options>(json!({
        "policy": {"documented": true, "overrides": {"no-such": "x"}},
    }));
    assert!(options.unwrap_err().to_string().contains("there is no rule \"no-such\""));
}

#[test]
fn documented_requirements_are_blockers_only_where_the_policy_says_so() {
    let documented: Vec<_> =
        Preflight::rules().iter().filter(|rule| rule.documented).map(|rule| rule.code).collect();
    assert_eq!(
        documented,
        [
            "halted-vms",
            "suspended-vms",
            "paused-vms",
            "vm-snapshots",
            "extra-networks",
            "extra-local-storage",
        ]
    );
    for code in documented {
        let world = cases().into_iter().find(|case| case.code == code).unwrap().world();
        assert_eq!(world.evaluate().verdict(), Verdict::Ready, "{code}");
        let strict = world.evaluate_with(|options| options.policy = Policy::documented());
        assert_eq!(strict.verdict(), Verdict::Blocked, "{code}");
        assert_eq!(strict.predicted_fault(), None, "{code}");
        let blocker = strict.blockers().next().unwrap();
        assert_eq!(blocker.rule.as_str(), code);
        assert!(!blocker.remedy.choices.is_empty(), "{code}");
    }
}

#[test]
fn reports_have_one_shape_in_json_and_read_well() {
    let world = cases().into_iter().find(|case| case.code == "shared-storage").unwrap().world();
    let report = world.evaluate();
    let value = json!(report);
    assert_eq!(value["schema"], 1);
    assert_eq!(value["verdict"], "blocked");
    assert_eq!(
        value["predicted_fault"],
        json!({"code": "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS", "params": []})
    );
    let finding: &Map<String, Value> = value["findings"][0].as_object().unwrap();
    let keys: Vec<_> = finding.keys().map(String::as_str).collect();
    assert_eq!(
        keys.into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([
            "rule",
            "severity",
            "side",
            "xapi_check",
            "fault",
            "objects",
            "expected",
            "actual",
            "message",
            "remedy",
            "overridden",
        ])
    );
    let text = report.to_string();
    crate::world::golden("shared-storage.txt", &text);
    crate::world::golden("shared-storage.md", &report.to_markdown());
    assert!(!blessing() || std::env::var_os("CI").is_none(), "blessing in CI proves nothing");
}

#[test]
fn reads_name_fields_that_the_model_has() {
    for rule in Preflight::rules() {
        for reads in rule.reads {
            assert_ne!(reads.side, Side::Both, "{}", rule.code);
            for field in reads.fields {
                assert!(fields(reads.class).contains(field), "{}: {field}", rule.code);
            }
            let of_one = matches!(reads.records, Which::Local | Which::Management);
            assert!(!(of_one && reads.fields.is_empty()), "{}", rule.code);
        }
    }
    let empty = Snapshot::new();
    let report = preflight::evaluate(empty.clone(), empty, &Options::new());
    assert_eq!(report.verdict(), Verdict::Unknown);
    assert_eq!(report.predicted_fault(), None);
}
