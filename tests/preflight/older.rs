//! The preflight against the answers of older releases, case by case.
//!
//! `tests/data/oracle/older` holds what the code of seven older releases answered to the recorded
//! scenarios, and what that of two answered as joiners of masters of others.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xcp_pool::model::Snapshot;
use xcp_pool::preflight::Report;
use xcp_pool::rules::Finding;

use crate::oracle::{Answer, LICENSED, evaluate_sides};
use crate::preflight_cases::{cases, scenario};
use crate::releases::{RELEASES, Release, answers};

/// How a side's snapshot is made of its objects.
type Load = fn(&Release, &Value) -> Snapshot;

/// As the release serves it.
fn served(release: &Release, objects: &Value) -> Snapshot {
    let objects = release.complete(objects).to_string();
    let snapshot = Snapshot::from_json(objects.as_bytes()).unwrap();
    assert_eq!(snapshot.problems, []);
    snapshot
}

/// As a person writes it, who leaves out what has its default.
fn written(_: &Release, objects: &Value) -> Snapshot {
    let mut snapshot = Snapshot::from_json(objects.to_string().as_bytes()).unwrap();
    assert_eq!(snapshot.problems, []);
    snapshot.complete();
    snapshot
}

/// The checks that object, with what they raise, and whether that is the test of the licence.
fn raised(report: &Report, licensed: bool) -> Vec<(String, Answer)> {
    let findings = report.findings().iter();
    findings
        .filter(|finding| (finding.xapi_check == Some(LICENSED)) == licensed)
        .filter_map(|finding| {
            Some((finding.xapi_check?.to_owned(), Answer::predicted(finding.fault.as_ref())?))
        })
        .collect()
}

/// Compares the first errors and the lists of all cases; those that differ, by what was changed.
fn compare(name: &str, [master, joiner]: [&'static str; 2], offset: usize, load: Load) {
    let own = match joiner.strip_prefix('v').unwrap().rsplit_once('.').unwrap().0 {
        "1.249" => String::from("1.20"),
        own => own.to_owned(),
    };
    let (master, joiner) = (Release::new(master), Release::new(joiner));
    let answers: BTreeMap<String, Value> = answers(name)
        .into_iter()
        .map(|answer| (answer["id"].as_str().unwrap().to_owned(), answer))
        .collect();
    let (baseline, cases) = cases();
    let mut compared = 0;
    let mut wrong = BTreeMap::<String, Vec<String>>::new();
    for case in cases.iter().skip(offset).step_by(step()) {
        let Some(answer) = answers.get(case["id"].as_str().unwrap()) else { continue };
        compared += 1;
        let scenario = scenario(&baseline, case);
        let [pool, joiner] = [(&master, "pool"), (&joiner, "joiner")]
            .map(|(release, side)| load(release, &release.transform(&scenario[side]["objects"])));
        let states = joiner.host.records().find_map(|host| host.software_version.get("xapi"));
        let is_misstated = states != Some(&own) && !joiner.host.is_empty();
        let report = evaluate_sides(&scenario, pool, joiner);
        let failures: Vec<_> = answer["failures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|failure| {
                let check = failure["check"].as_str().unwrap().to_owned();
                (check, Answer::recorded(&failure["error"]).unwrap())
            })
            .collect();
        let licensed = answer.get("licensed_error").and_then(Answer::recorded);
        let error = licensed.or_else(|| Answer::recorded(&answer["error"]));
        let first = Answer::predicted(report.predicted_fault());
        let mut differs = Vec::new();
        if first != error {
            differs.push(format!("predicted {first:?}, recorded {error:?}"));
        }
        let list = raised(&report, false);
        let only = |these: &[(String, Answer)], those: &[(String, Answer)]| {
            these.iter().filter(|one| !those.contains(one)).cloned().collect::<Vec<_>>()
        };
        if list != failures {
            let (ours, theirs) = (only(&list, &failures), only(&failures, &list));
            differs.push(format!("only listed {ours:?}, only recorded {theirs:?}"));
        }
        // Who states another release than it has is not known, and that is said.
        let is_open = report.findings().iter().any(Finding::leaves_open);
        if !(differs.is_empty() || is_misstated && is_open) {
            let id = case["id"].as_str().unwrap();
            wrong.entry(case["muts"].to_string()).or_default().push(format!(
                "{id} {}\n    {}",
                scenario["force"],
                differs.join("\n    ")
            ));
        }
    }
    assert!(compared >= 2_400 / step(), "{compared}");
    let count: usize = wrong.values().map(Vec::len).sum();
    let shown: Vec<_> = wrong
        .iter()
        .take(12)
        .map(|(muts, what)| format!("{muts} ({})\n  {}", what.len(), what[0]))
        .collect();
    assert!(
        wrong.is_empty(),
        "{name}: {count} cases of {} kinds differ:\n{}",
        wrong.len(),
        shown.join("\n")
    );
}

/// Every how many cases one is tried.
///
/// In unoptimised builds each release is tried on a part of the cases, a different one each; with
/// `XCP_POOL_CASES` set on all.
fn step() -> usize {
    if std::env::var_os("XCP_POOL_CASES").is_some() { 1 } else { 8 }
}

macro_rules! releases {
    ($($test:ident: $n:literal),* $(,)?) => { $(
        #[test]
        fn $test() {
            let release = RELEASES[$n];
            compare(&format!("answers-{release}"), [release, release], $n, served);
            compare(&format!("answers-{release}"), [release, release], $n, written);
        }
    )* };
}

releases! {
    every_answer_of_1_249_42: 0,
    every_answer_of_24_11_0: 1,
    every_answer_of_24_19_2: 2,
    every_answer_of_24_39_1: 3,
    every_answer_of_25_6_0: 4,
    every_answer_of_25_33_1: 5,
    every_answer_of_26_1_3: 6,
}

#[test]
fn every_answer_of_25_6_0_to_a_master_of_24_19_2() {
    compare("mixed-v25.6.0-on-v24.19.2", ["v24.19.2", "v25.6.0"], 1, served);
}

#[test]
fn every_answer_of_26_1_3_to_a_master_of_1_249_42() {
    compare("mixed-v26.1.3-on-v1.249.42", ["v1.249.42", "v26.1.3"], 2, served);
}

#[test]
fn all_recorded_releases_are_tried() {
    let names = std::fs::read_dir(crate::world::data("oracle/older")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let answers = names.filter(|name| name.starts_with("answers-")).count();
    assert_eq!(json!(answers), json!(RELEASES.len()));
}
