//! The joiner's release decides which checks run.

use std::collections::BTreeMap;

use crate::releases::Release;
use crate::world::{World, cases, clean, data, rule};
use serde_json::{Value, json};
use xcp_pool::preflight::{Preflight, Verdict};

use xcp_pool::rules::{Finding, RuleSet, Severity};

/// The list of checks in each release, as its sources have it.
fn recorded() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(data("oracle/checks-by-version.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A check by its newest name.
fn newest_name(check: &str) -> &str {
    match check.strip_prefix("noforce:").unwrap_or(check) {
        "assert_ca_certificates_compatible" => "assert_legacy_ca_certificates_compatible",
        check => check,
    }
}

/// Makes both sides state a release of XAPI.
fn state_release(world: &mut World, release: &str) {
    let mut parts = release.splitn(3, '.');
    let (major, minor) = (parts.next().unwrap(), parts.next().unwrap());
    let stated = match major {
        // 8.2 is 1.249, and says so nowhere.
        "1" => json!({"xapi": "1.20", "xapi_build": null}),
        _ => json!({"xapi": format!("{major}.{minor}"), "xapi_build": release}),
    };
    for (side, host) in [("joiner", "OpaqueRef:host-a1"), ("pool", "OpaqueRef:host-b1")] {
        let version = world.0[side]["host"][host]["software_version"].as_object_mut().unwrap();
        for (key, value) in stated.as_object().unwrap() {
            match value {
                Value::Null => version.remove(key),
                value => version.insert(key.clone(), value.clone()),
            };
        }
    }
}

/// A world as 8.2 has it on both sides.
fn of_8_2(mut world: World) -> World {
    let release = Release::new("v1.249.42");
    for side in ["joiner", "pool"] {
        world.0[side] = release.transform(&world.0[side]);
    }
    state_release(&mut world, "1.249.42");
    world
}

#[test]
fn all_checks_of_the_newest_release_have_rules_in_the_same_order() {
    let newest: Vec<_> =
        recorded()["v26.13.0"].iter().map(|check| newest_name(check).to_owned()).collect();
    let mut ours: Vec<_> = Preflight::rules().iter().filter_map(|rule| rule.check).collect();
    ours.dedup();
    assert_eq!(ours[..2], ["assert_pooling_licensed", "get_pool"]);
    assert_eq!(ours[2..], newest);
    assert_eq!(newest.len(), 33);
    for rule in Preflight::rules() {
        let skipped = recorded()["v26.13.0"].iter().any(|check| {
            check.strip_prefix("noforce:").is_some_and(|check| rule.check == Some(check))
        });
        assert_eq!(rule.severity == Severity::Forceable, skipped, "{}", rule.code);
    }
}

#[test]
fn each_release_runs_the_checks_that_it_has() {
    for (release, checks) in recorded() {
        let checks: Vec<_> = checks.iter().map(|check| newest_name(check)).collect();
        for case in cases() {
            let rule = rule(&case.code);
            let Some(check) = rule.check.filter(|check| *check != "get_pool") else { continue };
            let mut world = case.world();
            // The case is about the releases themselves.
            if matches!(rule.code, "software-version-differs" | "platform-differs") {
                continue;
            }
            state_release(&mut world, release.trim_start_matches('v'));
            let report = world.evaluate();
            let finding =
                report.findings().iter().find(|finding| finding.rule == rule.code).unwrap();
            let runs = check == "assert_pooling_licensed" || checks.contains(&check);
            assert_eq!(finding.fault.is_some(), runs, "{} on {release}", rule.code);
            assert_eq!(
                finding.severity,
                if runs { rule.severity } else { Severity::Hazard },
                "{} on {release}",
                rule.code
            );
            assert_eq!(finding.message.contains("does not check this"), !runs);
        }
    }
}

#[test]
fn a_joiner_of_8_2_compares_platforms_where_newer_ones_compare_xapi() {
    let mut world = of_8_2(clean());
    world.0["pool"]["host"]["OpaqueRef:host-b1"]["software_version"]["xapi"] = json!("1.19");
    let rules = |world: &World| -> Vec<_> {
        world.evaluate().findings().iter().map(|finding| finding.rule.as_str()).collect()
    };
    assert_eq!(rules(&world), [] as [&str; 0]);
    world.0["joiner"]["host"]["OpaqueRef:host-a1"]["software_version"]["platform_version"] =
        json!("3.2.0");
    assert_eq!(rules(&world), ["platform-differs", "software-version-differs"]);
}

#[test]
fn what_an_old_release_does_not_have_is_no_gap() {
    let world = of_8_2(clean());
    assert_eq!(world.evaluate().findings(), []);
    // A newer joiner asks such a pool for what it does not have.
    let mut mixed = clean();
    mixed.0["pool"] = world.0["pool"].clone();
    let report = mixed.evaluate();
    let asked = report.findings().iter().filter_map(|finding| finding.fault.as_ref());
    let asked: Vec<_> = asked.map(ToString::to_string).collect();
    assert_eq!(asked[0], "MESSAGE_METHOD_UNKNOWN [host.get_pending_guidances]");
    assert_eq!(report.predicted_fault().unwrap().to_string(), asked[0]);
    assert!(
        asked.contains(&"MESSAGE_METHOD_UNKNOWN [pool.get_tls_verification_enabled]".to_owned())
    );
    // The first line says what is behind it.
    let text = report.to_string();
    let first = text.lines().next().unwrap();
    assert!(first.contains("the products differ"), "{first}");
    assert!(report.to_markdown().contains("What is behind it: the products differ"));
    let unknown = report.findings().iter().filter(|finding| finding.severity == Severity::Unknown);
    let unknown: Vec<_> = unknown.map(|finding| finding.rule.as_str()).collect();
    assert_eq!(unknown, ["ca-certificates-conflict", "trusted-certificates-conflict"]);
}

#[test]
fn who_states_another_release_than_its_records_are_of_is_not_trusted() {
    let mut world = clean();
    state_release(&mut world, "1.249.1");
    let report = world.evaluate();
    assert_eq!(report.verdict(), Verdict::Unknown);
    let findings: Vec<_> = report.findings().iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(findings, ["release-unstated"]);
}

/// What a check compares is what the records have, an empty text too (`xapi_pool.ml`, up to v24.18.0
/// `fingerprint`, then `fingerprint_sha256`).
#[test]
fn fingerprints_are_compared_as_they_are() {
    let conflict = |release: &str, theirs: [&str; 2], mine: [&str; 2]| {
        let mut world = clean();
        state_release(&mut world, release);
        for (side, [old, sha256]) in [("pool", theirs), ("joiner", mine)] {
            world.0[side]["Certificate"]["OpaqueRef:sdn"] = json!({
                "uuid": "sdn", "name": "sdn.pem", "type": "ca", "host": "OpaqueRef:NULL",
                "not_before": "20200101T00:00:00Z", "not_after": "20400101T00:00:00Z",
                "fingerprint": old, "fingerprint_sha256": sha256, "fingerprint_sha1": "",
                "purpose": [],
            });
            if release == "24.11.0" {
                let record = world.0[side]["Certificate"]["OpaqueRef:sdn"].as_object_mut().unwrap();
                record.remove("fingerprint_sha256");
            }
        }
        let report = world.evaluate();
        let mut findings = report.findings().iter();
        let finding = findings.find(|finding| finding.rule == "ca-certificates-conflict");
        finding.filter(|finding| finding.fault.is_some()).cloned()
    };
    for release in ["24.19.2", "25.6.0", "26.13.0"] {
        let finding = conflict(release, ["AA", ""], ["AA", "AA"]).unwrap();
        assert!(finding.message.contains("install the certificate there anew"), "{finding}");
        assert_eq!(finding.expected.unwrap(), "sdn.pem without fingerprint_sha256");
        assert_eq!(finding.actual.unwrap(), "sdn.pem AA");
        // Two different ones, unseen.
        assert_eq!(conflict(release, ["AA", ""], ["BB", ""]), None);
    }
    assert_eq!(conflict("24.11.0", ["AA", ""], ["AA", "AA"]), None);
    let finding = conflict("24.11.0", ["AA", ""], ["BB", ""]).unwrap();
    assert!(!finding.message.contains("anew"), "{finding}");
}

/// Before 24.17 a storage appliance's control domain lifted the limit of pool sizes.
#[test]
fn a_second_control_domain_of_a_storage_appliance_lifts_the_limit_in_old_releases() {
    let limited = cases().into_iter().find(|case| case.code == "pool-size-restricted").unwrap();
    let refused = |name: &str, old: bool| {
        let mut world = if old { of_8_2(limited.world()) } else { limited.world() };
        let vms = world.0["joiner"]["VM"].as_object_mut().unwrap();
        let dom0 = vms.values().find(|vm| vm["is_control_domain"] == json!(true)).unwrap();
        let mut appliance = dom0.clone();
        appliance["name_label"] = json!(name);
        appliance["uuid"] = json!("appliance");
        vms.insert("OpaqueRef:appliance".into(), appliance);
        let report = world.evaluate();
        let finding = |finding: &&Finding| finding.rule == "pool-size-restricted";
        report.findings().iter().any(|one| finding(&one) && one.fault.is_some())
    };
    assert!(!refused("storage-CVM", true));
    assert!(refused("storage-CVM-2", true));
    assert!(refused("storage-CVM", false));
}
