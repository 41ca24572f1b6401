//! The pure functions from JSON to JSON, through the C ABI, on recorded answers.

use crate::preflight_cases::{cases, scenario};
use crate::support::{consequences, preflight, pure};
use serde_json::{Value, json};
use xcp_pool::ffi::{xcp_election_json, xcp_failover_json, xcp_partition_json, xcp_status};

pub(crate) fn oracle(file: &str) -> String {
    let path = format!("{}/tests/data/oracle/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_recorded_survival_decision_is_reproduced_from_its_line() {
    let vectors = oracle("xhad-partition-vectors.jsonl");
    let mut count = 0;
    for line in vectors.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let outcome = pure(xcp_partition_json, line).unwrap();
        assert_eq!(outcome["schema"], 1);
        assert_eq!(outcome["hosts"], vector["expected"], "{}", vector["name"]);
        count += 1;
    }
    assert_eq!(count, 354);
}

#[test]
fn a_partition_is_told_in_words() {
    let outcome = pure(
        xcp_partition_json,
        r#"{"hosts": ["a", "b", "c", "d"], "master": "c", "split": [["c", "d"]]}"#,
    )
    .unwrap();
    assert_eq!(outcome["schema"], 1);
    assert_eq!(outcome["survivors"], json!(["a", "b"]));
    assert_eq!(
        outcome["election"],
        json!({"election": "race", "may_become_master": ["a", "b"], "contention_favourite": "a"})
    );
    let everything = json!({
        "hosts": ["a", "b", "c", "d", "e"], "shut_down": ["e"], "crash": ["d"],
        "lose_storage": ["c"], "cut": [["a", "c"]], "weights": {"b": 2}, "base_timeout": 90,
    });
    let outcome = pure(xcp_partition_json, &everything.to_string()).unwrap();
    assert_eq!(outcome["survivors"], json!(["a", "b"]));
    assert_eq!(outcome["hosts"][4]["fate"]["fate"], "excluded");
    assert_eq!(outcome["wait"]["detection"], 90);
}

#[test]
fn the_hosts_of_a_snapshot_are_named_by_uuid_ref_or_name() {
    let snapshot = json!({
        "pool": {"OpaqueRef:p": {"master": "OpaqueRef:a"}},
        "host": {
            "OpaqueRef:a": {"metrics": "OpaqueRef:ma", "name_label": "phantom"},
            "OpaqueRef:b": {"metrics": "OpaqueRef:mb", "name_label": "ignite"},
            "OpaqueRef:c": {"metrics": "OpaqueRef:mc", "name_label": "twin"},
            "OpaqueRef:d": {"metrics": "OpaqueRef:md", "name_label": "twin"},
        },
        "host_metrics": {
            "OpaqueRef:ma": {"live": true}, "OpaqueRef:mb": {"live": true},
            "OpaqueRef:mc": {"live": true}, "OpaqueRef:md": {"live": true},
        },
    });
    let with = |field: &str, host: &str| {
        let mut question = json!({"snapshot": snapshot, "complete_snapshots": true});
        question[field] = json!([host]);
        pure(xcp_partition_json, &question.to_string())
    };
    for host in ["b", "OpaqueRef:b", "ignite"] {
        assert_eq!(with("crash", host).unwrap()["survivors"], json!(["a", "c", "d"]), "{host}");
    }
    assert_eq!(with("crash", "twin").unwrap_err().message, "two hosts are called \"twin\"");
    assert_eq!(with("crash", "nobody").unwrap_err().message, "the snapshot has no host \"nobody\"");
    assert_eq!(with("crash", "a").unwrap()["election"]["election"], "race");
}

#[test]
fn what_is_no_partition_is_refused_by_name() {
    for (input, why) in [
        ("", "input_json: EOF while parsing"),
        ("7", "input_json: invalid type: integer `7`, expected an object with the hosts"),
        ("[]", "input_json: a list, where an object is expected"),
        ("{}", "input_json: neither or both of hosts and snapshot"),
        (r#"{"hosts": ["a"], "snapshot": {}}"#, "neither or both"),
        (r#"{"hosts": ["a"], "crush": ["a"]}"#, "input_json: unknown field `crush`"),
        (r#"{"hosts": []}"#, "0 hosts: HA knows 1 to 64"),
        (r#"{"hosts": ["a"], "crash": ["b"]}"#, "host b is not configured"),
        (r#"{"n": 2}"#, "input_json: missing field"),
        (r#"{"snapshot": []}"#, "input_json.snapshot: no snapshot: "),
    ] {
        let refusal = pure(xcp_partition_json, input).unwrap_err();
        assert_eq!(refusal.status, xcp_status::XCP_E_INVALID_INPUT, "{input}");
        assert!(refusal.message.contains(why), "{}", refusal.message);
        assert_eq!(refusal.fault, None);
    }
}

/// The options that tell what a recorded scenario tells beside its databases.
fn options(scenario: &Value) -> Value {
    let env = &scenario["env"];
    let editions = if env["v6d"].is_null() { json!("unreachable") } else { env["v6d"].clone() };
    json!({
        "force": scenario["force"], "complete_snapshots": true,
        "evidence": {"joiner_bridge_backend": env["bridge_kind"], "editions": editions},
    })
}

/// An error to compare by: of a list what it holds, not in which order; of an exception only that it
/// was.
fn comparable(code: &Value, params: &[Value]) -> (String, Vec<String>) {
    let code = code.as_str().unwrap().to_owned();
    let mut params: Vec<_> =
        params.iter().map(|param| param.as_str().unwrap().to_owned()).collect();
    match code.as_str() {
        "INTERNAL_ERROR" => params.clear(),
        "POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT" => params.sort(),
        "V6D_FAILURE" => params.iter_mut().for_each(|param| {
            let mut words: Vec<_> = param.split(['[', ']', ';']).map(str::trim).collect();
            words[1..].sort_unstable();
            *param = words.join(" ");
        }),
        _ => {}
    }
    (code, params)
}

fn recorded(error: &Value) -> Option<(String, Vec<String>)> {
    error.as_array().map(|error| comparable(&error[0], &error[1..]))
}

fn predicted(fault: &Value) -> Option<(String, Vec<String>)> {
    (!fault.is_null()).then(|| comparable(&fault["code"], fault["params"].as_array().unwrap()))
}

#[test]
fn every_recorded_join_is_answered_as_it_was() {
    let (baseline, cases) = cases();
    for case in &cases {
        let scenario = scenario(&baseline, case);
        let report = preflight(
            &scenario["pool"]["objects"].to_string(),
            &scenario["joiner"]["objects"].to_string(),
            Some(&options(&scenario).to_string()),
        )
        .unwrap();
        let first = recorded(&case["licensed_error"]).or_else(|| recorded(&case["error"]));
        assert_eq!(predicted(&report["predicted_fault"]), first, "{}", case["id"]);
        let found: Vec<_> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["xapi_check"] != "assert_pooling_licensed")
            .filter_map(|finding| {
                Some((finding["xapi_check"].as_str()?, predicted(&finding["fault"])?))
            })
            .collect();
        let failures: Vec<_> = case["failures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|failure| {
                (failure["check"].as_str().unwrap(), recorded(&failure["error"]).unwrap())
            })
            .collect();
        assert_eq!(found, failures, "{}", case["id"]);
    }
    assert_eq!(cases.len(), 2462);
}

#[test]
fn the_report_is_the_one_that_rust_gives() {
    use xcp_pool::model::Snapshot;
    use xcp_pool::preflight::{Options, evaluate};

    let (baseline, cases) = cases();
    for case in cases.iter().step_by(40) {
        let scenario = scenario(&baseline, case);
        let (pool, host) = (&scenario["pool"]["objects"], &scenario["joiner"]["objects"]);
        let mut options = options(&scenario);
        let report =
            preflight(&pool.to_string(), &host.to_string(), Some(&options.to_string())).unwrap();
        assert_eq!(report["schema"], 1);
        options.as_object_mut().unwrap().remove("complete_snapshots");
        let options: Options = serde_json::from_value(options).unwrap();
        let load = |objects: &Value| {
            let mut snapshot = Snapshot::from_json(objects.to_string().as_bytes()).unwrap();
            snapshot.complete();
            snapshot
        };
        let expected = evaluate(load(pool), load(host), &options);
        assert_eq!(report, serde_json::to_value(expected).unwrap(), "{}", case["id"]);
    }
}

#[test]
fn what_was_not_told_is_unknown_and_what_was_completed_is_not() {
    let (baseline, _) = cases();
    let (pool, host) = (&baseline["pool"]["objects"], &baseline["joiner"]["objects"]);
    let answer = |options: Option<&str>| {
        let report = preflight(&pool.to_string(), &host.to_string(), options).unwrap();
        let findings = report["findings"].as_array().unwrap().iter();
        let unknown = findings.filter(|finding| finding["severity"] == "unknown");
        let rules = unknown.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect();
        (report["verdict"].as_str().unwrap().to_owned(), rules)
    };
    let (verdict, rules): (_, Vec<String>) = answer(None);
    assert_eq!(verdict, "unknown");
    assert!(rules.len() > 10, "{rules:?}");
    // The clocks are evidence, and the recorded hosts have no metrics: no loader makes them up.
    let (verdict, rules) = answer(Some(&options(&baseline).to_string()));
    assert_ne!(verdict, "unknown");
    assert_eq!(rules, ["clocks-differ", "members-dead"]);
}

#[test]
fn wrong_preflight_input_is_refused_by_argument() {
    for (pool, host, options, why) in [
        ("", "{}", None, "pool_snapshot_json: the snapshot ends early"),
        ("{}", "[]", None, "host_snapshot_json: no snapshot: "),
        ("{}", "{}", Some(r#"{"forse": true}"#), "options_json: unknown field `forse`"),
        ("{}", "{}", Some("[]"), "options_json: a list, where an object is expected"),
        (
            "{}",
            "{}",
            Some(r#"{"policy": {"overrides": {"runing-vms": "x"}}}"#),
            "did you mean running-vms?",
        ),
        ("{}", "{}", Some(r#"{"evidence": {"editions": "asleep"}}"#), "options_json: "),
    ] {
        let refusal = preflight(pool, host, options).unwrap_err();
        assert_eq!(refusal.status, xcp_status::XCP_E_INVALID_INPUT);
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
}

#[test]
fn what_a_recorded_join_did_is_foretold() {
    let folder = format!("{}/tests/data/oracle/joins", env!("CARGO_MANIFEST_DIR"));
    let mut refused = 0;
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let force = file["join"]["request"]["method"].as_str().unwrap().ends_with("join_force");
        let (pool, host) = (file["pool_before"].to_string(), file["joiner_before"].to_string());
        let options = json!({"force": force}).to_string();
        let foretold = consequences(&pool, &host, Some(&options)).unwrap();
        assert_eq!(foretold["schema"], 1);
        assert_eq!(foretold["call"], if force { "pool.join_force" } else { "pool.join" });
        let error = &file["join"]["response"]["error"];
        if foretold["refusal"].is_null() {
            let srs = |which: &str| file[which]["SR"].as_object().unwrap().len();
            let expected = json!({"before": srs("pool_before"), "after": srs("pool_after")});
            assert_eq!(foretold["sr_count"], expected, "{}", path.display());
        } else {
            assert_eq!(foretold["refusal"]["code"], error["message"], "{}", path.display());
            assert_eq!(foretold["refusal"]["params"], error["data"], "{}", path.display());
            refused += 1;
        }
        count += 1;
    }
    assert!(count >= 20 && refused >= 1, "{count} {refused}");
}

/// One pool a line: its objects, the calls made and what was answered.
fn planned() -> String {
    use std::io::Read;
    let packed = include_bytes!("../data/oracle/failover.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn every_recorded_answer_of_the_planner_is_reproduced_from_its_line() {
    let (mut pools, mut answers) = (0, 0);
    for line in planned().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let outcome = pure(xcp_failover_json, line).unwrap();
        assert_eq!(outcome["schema"], 1);
        let results = outcome["results"].as_array().unwrap();
        let calls = case["calls"].as_array().unwrap();
        assert_eq!(results.len(), calls.len());
        for ((call, result), expected) in
            calls.iter().zip(results).zip(case["results"].as_array().unwrap())
        {
            assert_eq!(result, expected, "{}: {call}", case["id"]);
            answers += 1;
        }
        let after = &case["dump_after"]["pool"]["OpaqueRef:p"];
        for (field, value) in outcome["pool_after"].as_object().unwrap() {
            assert_eq!(*value, after[field], "{}: {field}", case["id"]);
        }
        pools += 1;
    }
    assert_eq!((pools, answers), (600, 21_874));
}

#[test]
fn a_snapshot_takes_questions_to_the_planner() {
    let snapshot = json!({
        "pool": {"OpaqueRef:p": {"master": "OpaqueRef:a", "ha_enabled": true}},
        "host": {"OpaqueRef:a": {"enabled": true, "metrics": "OpaqueRef:ma"},
                 "OpaqueRef:b": {"enabled": true, "metrics": "OpaqueRef:mb"}},
        "host_metrics": {"OpaqueRef:ma": {"live": true}, "OpaqueRef:mb": {"live": true}},
    });
    let ask = |calls: Value| {
        let input = json!({"snapshot": snapshot, "complete_snapshots": true, "calls": calls});
        pure(xcp_failover_json, &input.to_string())
    };
    let outcome = ask(json!([{"method": "oracle.compute_max"}])).unwrap();
    assert_eq!(outcome["results"], json!([{"ok": 2}]));
    for (calls, why) in [
        (
            json!([{"method": "oracle.vm_memory"}]),
            "calls[0]: parameter 0 of oracle.vm_memory is miss",
        ),
        (
            json!([{"method": "oracle.plan_for_n_failures", "params": ["x"]}]),
            "is wrong: invalid type",
        ),
        (json!([{"methods": 1}]), "input_json: unknown field `methods`"),
        (json!({}), "input_json: invalid type: map"),
    ] {
        let refusal = ask(calls).unwrap_err();
        assert_eq!(refusal.status, xcp_status::XCP_E_INVALID_INPUT);
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
    for input in [r#"{"calls": []}"#, r#"{"calls": [], "snapshot": {}}"#, "{}", "[]"] {
        let refusal = pure(xcp_failover_json, input).unwrap_err();
        assert_eq!(refusal.status, xcp_status::XCP_E_INVALID_INPUT, "{input}");
    }
}

#[test]
fn a_master_is_chosen_for_a_hand_over_and_for_an_emergency() {
    let host = |metrics: &str, name: &str| {
        json!({
            "enabled": true, "metrics": metrics, "name_label": name,
            "software_version": {"xapi_build": "26.1"},
        })
    };
    let snapshot = json!({
        "pool": {"OpaqueRef:p": {"master": "OpaqueRef:a"}},
        "host": {"OpaqueRef:a": host("OpaqueRef:ma", "phantom"), "OpaqueRef:b": host("OpaqueRef:mb", "ignite")},
        "host_metrics": {"OpaqueRef:ma": {"live": true}, "OpaqueRef:mb": {"live": true}},
    });
    let ask = |mode: &str, evidence: Value| {
        let input = json!({"mode": mode, "snapshot": snapshot, "complete_snapshots": true, "evidence": evidence});
        pure(xcp_election_json, &input.to_string())
    };
    let decision = ask("planned", json!({})).unwrap();
    assert_eq!((&decision["schema"], &decision["mode"]), (&json!(1), &json!("planned")));
    assert_eq!(decision["ranked"].as_array().unwrap().len(), 2);
    assert_eq!(decision["recommended"], "OpaqueRef:b");
    let doubtful = ask("emergency", json!({})).unwrap();
    assert_ne!(doubtful["verdict"], "safe", "nobody said that the old master is off");
    // A master that answers makes it unsafe, by whatever name it is told.
    for name in ["OpaqueRef:a", "a", "phantom"] {
        let alive =
            ask("emergency", json!({"hosts": {name: {"reachable": true, "role": "master"}}}));
        assert_eq!(alive.unwrap()["verdict"], "unsafe", "{name}");
    }
    for (mode, evidence, why) in [
        ("sudden", json!({}), "input_json: unknown variant `sudden`"),
        (
            "planned",
            json!({"hosts": {"nobody": {}}}),
            "input_json.evidence: the snapshot has no host",
        ),
    ] {
        let refusal = ask(mode, evidence).unwrap_err();
        assert_eq!(refusal.status, xcp_status::XCP_E_INVALID_INPUT);
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
}
