//! The preflight against the answers of the real server, case by case.
//!
//! `tests/data/oracle/preflight.jsonl` holds join scenarios and what the server's own checks answered
//! to each; its form is told in `tests/data/oracle/README.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::preflight_cases::{cases, scenario};
use serde_json::{Map, Value, json};
use xcp_pool::Fault;
use xcp_pool::model::Snapshot;
use xcp_pool::preflight::{self, Options, Preflight, Report};
use xcp_pool::rules::RuleSet;
use xcp_pool::rules::Severity;

fn snapshot(side: &Value) -> Snapshot {
    let mut snapshot = Snapshot::from_json(side["objects"].to_string().as_bytes()).unwrap();
    assert_eq!(snapshot.problems, []);
    snapshot.complete();
    snapshot
}

fn evaluate(scenario: &Value) -> Report {
    evaluate_sides(scenario, snapshot(&scenario["pool"]), snapshot(&scenario["joiner"]))
}

/// The preflight of two snapshots in a scenario's circumstances.
pub(crate) fn evaluate_sides(scenario: &Value, pool: Snapshot, joiner: Snapshot) -> Report {
    let env = &scenario["env"];
    let editions = match &env["v6d"] {
        Value::Null => json!("unreachable"),
        given => given.clone(),
    };
    let options: Options = serde_json::from_value(json!({
        "force": scenario["force"],
        "evidence": {"joiner_bridge_backend": env["bridge_kind"], "editions": editions},
    }))
    .unwrap();
    preflight::evaluate(pool, joiner, &options)
}

/// An error to compare by: what a list holds, not in which order; of an exception only that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer(String, Vec<String>);

impl Answer {
    fn new(code: &str, mut params: Vec<String>) -> Self {
        match code {
            "INTERNAL_ERROR" => params.clear(),
            "POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT" => params.sort(),
            "V6D_FAILURE" => params.iter_mut().for_each(|param| {
                let mut words: Vec<_> = param.split(['[', ']', ';']).map(str::trim).collect();
                words[1..].sort_unstable();
                *param = words.join(" ");
            }),
            _ => {}
        }
        Self(code.to_owned(), params)
    }

    pub(crate) fn recorded(error: &Value) -> Option<Self> {
        let mut texts = error.as_array()?.iter().map(|text| text.as_str().unwrap().to_owned());
        let code = texts.next()?;
        Some(Self::new(&code, texts.collect()))
    }

    pub(crate) fn predicted(fault: Option<&Fault>) -> Option<Self> {
        fault.map(|fault| Self::new(&fault.code, fault.params.clone()))
    }
}

/// The test that comes before the checks.
pub(crate) const LICENSED: &str = "assert_pooling_licensed";

#[test]
fn every_recorded_answer_is_predicted() {
    let checks: BTreeSet<_> = Preflight::rules().iter().filter_map(|rule| rule.check).collect();
    let (baseline, cases) = cases();
    assert!(cases.len() >= 2_462, "{}", cases.len());
    let mut wrong = BTreeMap::<String, Vec<String>>::new();
    for case in &cases {
        let report = evaluate(&scenario(&baseline, case));
        let raised = |licensed: bool| {
            report
                .findings()
                .iter()
                .filter(|finding| (finding.xapi_check == Some(LICENSED)) == licensed)
                .filter_map(|finding| {
                    Some((finding.xapi_check?, Answer::predicted(finding.fault.as_ref())?))
                })
                .collect::<Vec<_>>()
        };
        let recorded: Vec<_> = case["failures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|failure| {
                (failure["check"].as_str().unwrap(), Answer::recorded(&failure["error"]).unwrap())
            })
            .filter(|(check, _)| checks.contains(check))
            .collect();
        let mut differs = |what: &str, predicted: String, recorded: String| {
            if predicted != recorded {
                wrong
                    .entry(case["muts"].to_string())
                    .or_default()
                    .push(format!("{what}\n    predicted {predicted}\n    recorded  {recorded}"));
            }
        };
        differs("failures", format!("{:?}", raised(false)), format!("{recorded:?}"));
        let licensed = raised(true).first().map(|(_, answer)| answer.clone());
        let recorded_licensed = Answer::recorded(&case["licensed_error"]);
        differs("licensed", format!("{licensed:?}"), format!("{recorded_licensed:?}"));
        let error = recorded_licensed.or_else(|| Answer::recorded(&case["error"]));
        if checks.len() > 33 {
            let predicted = Answer::predicted(report.predicted_fault());
            differs("error", format!("{predicted:?}"), format!("{error:?}"));
        }
        let unknown = report
            .findings()
            .iter()
            .find(|finding| finding.severity == Severity::Unknown && finding.xapi_check.is_some());
        differs("unknown", format!("{unknown:?}"), "None".to_owned());
    }
    let count = wrong.len();
    let shown: Vec<_> = wrong
        .iter()
        .take(12)
        .map(|(muts, what)| format!("{muts}\n  {}", what.join("\n  ")))
        .collect();
    assert!(wrong.is_empty(), "{count} kinds of cases differ:\n{}", shown.join("\n"));
}

#[test]
fn the_order_of_keys_changes_nothing() {
    fn reversed(value: &Value) -> String {
        match value {
            Value::Object(map) => {
                let entries: Vec<_> = map
                    .iter()
                    .rev()
                    .map(|(key, value)| format!("{}:{}", json!(key), reversed(value)))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }
            other => other.to_string(),
        }
    }
    let (baseline, cases) = cases();
    for case in cases.iter().step_by(20) {
        let scenario = scenario(&baseline, case);
        let load = |text: String| {
            let mut snapshot = Snapshot::from_json(text.as_bytes()).unwrap();
            snapshot.complete();
            snapshot
        };
        let sides = |write: &dyn Fn(&Value) -> String| {
            preflight::evaluate(
                load(write(&scenario["pool"]["objects"])),
                load(write(&scenario["joiner"]["objects"])),
                &Options::new(),
            )
        };
        assert_eq!(sides(&|value| value.to_string()), sides(&reversed), "{}", case["id"]);
    }
    assert_eq!(reversed(&Value::Object(Map::new())), "{}");
}
