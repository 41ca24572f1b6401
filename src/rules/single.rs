//! A rule set over one snapshot with evidence, as a test: nothing of this room is about joins.

use std::collections::BTreeMap;

use super::proofs::{self, Sides};
use super::{
    Check, Evaluate, Finding, Policy, Reads, Rule, RuleCode, RuleSet, Sees, Severity, View, Which,
    evaluate, numbered, rules_of,
};
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{Class, Host, Pool, Record, Ref, Sr, Timestamp, object};
use crate::model::{HostMetrics, Snapshot};

/// Is this pool well?
#[derive(Debug)]
enum Health {}

#[derive(Clone, Copy)]
struct World<'a> {
    pool: &'a Snapshot,
    now: Option<Timestamp>,
}

struct Facts<'a> {
    pool: View<'a>,
    now: Option<Timestamp>,
}

impl<'a> Sees<'a> for Facts<'a> {
    fn view(&self, _: Side) -> View<'a> {
        self.pool
    }
}

const CHECKS: &[Check<Health>] = &numbered([NO_POOL, HA_ENABLED, DISABLED, STALE, DEFAULT_SR]);

static RULES: &[&Rule] = &rules_of::<_, { CHECKS.len() }>(CHECKS);

impl RuleSet for Health {
    const NAME: &'static str = "health";

    fn rules() -> &'static [&'static Rule] {
        RULES
    }
}

impl Evaluate for Health {
    type World<'a> = World<'a>;
    type Facts<'a> = Facts<'a>;

    const CHECKED_BY: Side = Side::Pool;

    fn checks() -> &'static [Check<Self>] {
        CHECKS
    }

    fn facts<'a>(world: Self::World<'a>, rule: &'static Rule) -> Self::Facts<'a> {
        Facts { pool: View::of_pool(world.pool, rule), now: world.now }
    }
}

/// Ends the checks, so that the next two say nothing where there is no pool.
const NO_POOL: Check<Health> = Rule {
    check: Some("get_pool"),
    error: Some("INTERNAL_ERROR"),
    side: Side::Pool,
    ends_checks: true,
    reads: &[Reads::pool(Class::Pool, Which::All, &[])],
    ..Rule::of("no-pool")
}
.run::<Health>(|facts, found| {
    if facts.pool.snapshot.pool.is_empty() {
        found.push(facts.pool.finding("there is no pool").refused());
    }
    Ok(())
});

/// Two causes in one check, which stops at its first.
const HA_ENABLED: Check<Health> = Rule {
    check: Some("assert_ready"),
    error: Some("HA_IS_ENABLED"),
    side: Side::Pool,
    reads: &[Reads::pool(Class::Pool, Which::All, &["ha_enabled"])],
    ..Rule::of("ha-is-on")
}
.run::<Health>(|facts, found| {
    let (reference, pool) = facts.pool.pool()?;
    let finding = || facts.pool.finding("HA is on").refused().objects([object(reference, pool)]);
    found.extend(pool.ha_enabled.then(finding));
    Ok(())
});

/// A check that older releases of the pool do not make.
const DISABLED: Check<Health> = Rule {
    check: Some("assert_ready"),
    error: Some("HOST_DISABLED"),
    since: super::Since::of(25, 1, 0),
    side: Side::Pool,
    reads: &[Reads::pool(Class::Host, Which::Each, &["enabled"])],
    ..Rule::of("host-disabled")
}
.run::<Health>(|facts, found| {
    let disabled = facts.pool.each::<Host>().filter(|(_, host)| !host.enabled);
    found.extend(disabled.map(|(reference, host)| {
        let fault = Fault::new("HOST_DISABLED", [reference.to_string()]);
        facts.pool.finding("a host is disabled").fault(fault).objects([object(reference, host)])
    }));
    Ok(())
});

/// Needs evidence that no database tells.
const STALE: Check<Health> = Rule {
    severity: Severity::Hazard,
    side: Side::Pool,
    reads: &[Reads::pool(Class::HostMetrics, Which::Each, &["last_updated"])],
    ..Rule::of("metrics-stale")
}
.run::<Health>(|facts, found| {
    let now = facts.now.ok_or_else(|| super::Lost::unknown("what time it is"))?;
    let all = facts.pool.each::<HostMetrics>();
    let stale = all.filter(|(_, metrics)| metrics.last_updated.0 + 600 < now.0);
    found.extend(stale.map(|_| facts.pool.finding("a host has not been heard of")));
    Ok(())
});

/// Follows a ref, which may lead nowhere.
const DEFAULT_SR: Check<Health> = Rule {
    severity: Severity::Notice,
    side: Side::Pool,
    documented: true,
    reads: &[
        Reads::pool(Class::Pool, Which::All, &["default_SR"]),
        Reads::pool(Class::Sr, Which::Each, &["shared"]),
    ],
    ..Rule::of("default-sr-local")
}
.run::<Health>(|facts, found| {
    let (_, pool) = facts.pool.pool()?;
    let sr: &Sr = facts.pool.read(&pool.default_SR)?;
    let finding = || {
        let local = facts.pool.finding("the default SR is local");
        local.objects([object(&pool.default_SR, sr)])
    };
    found.extend((!sr.shared).then(finding));
    Ok(())
});

/// A pool of one host that runs a release, with all that the rules object to.
fn ill(release: &str) -> Snapshot {
    let host_ref: Ref<Host> = "OpaqueRef:host".into();
    let mut pool = Snapshot::new();
    let mut host = Host { metrics: "OpaqueRef:metrics".into(), ..Host::default() };
    host.software_version.insert("xapi".into(), release.into());
    pool.host.insert(host_ref.clone(), host);
    pool.host_metrics.insert("OpaqueRef:metrics".into(), HostMetrics::default());
    pool.sr.insert("OpaqueRef:sr".into(), Sr::default());
    let default_sr = "OpaqueRef:sr".into();
    let record =
        Pool { master: host_ref, ha_enabled: true, default_SR: default_sr, ..Pool::default() };
    pool.pool.insert("OpaqueRef:pool".into(), record);
    pool
}

const NOW: Option<Timestamp> = Some(Timestamp(1_767_225_600));

fn told(pool: &Snapshot, now: Option<Timestamp>, policy: &Policy<Health>) -> Vec<String> {
    let findings = evaluate(World { pool, now }, policy);
    let line = |finding: &Finding| {
        let fault =
            finding.fault.as_ref().map_or(String::new(), |fault| format!(" {}", fault.code));
        format!("{} {}{fault}", finding.severity, finding.rule)
    };
    findings.iter().map(line).collect()
}

#[test]
fn all_rules_run_and_a_check_raises_one_error() {
    let found = told(&ill("25.6.0"), NOW, &Policy::new());
    let expected = [
        "blocker ha-is-on HA_IS_ENABLED",
        "blocker host-disabled",
        "hazard metrics-stale",
        "notice default-sr-local",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_the_pools_release_does_not_check_refuses_nothing() {
    let found = evaluate(World { pool: &ill("24.9.0"), now: NOW }, &Policy::<Health>::new());
    assert_eq!(found[1].severity, Severity::Hazard);
    let message =
        "a host is disabled (xapi 24.9.0 of the pool does not check this, 25.1.0 and later do)";
    assert_eq!(found[1].message, message);
}

#[test]
fn what_ends_the_checks_leaves_the_other_rules() {
    let mut pool = ill("25.6.0");
    pool.pool.clear();
    let found = told(&pool, NOW, &Policy::new());
    let expected =
        ["blocker no-pool INTERNAL_ERROR", "hazard metrics-stale", "unknown default-sr-local"];
    assert_eq!(found, expected);
}

#[test]
fn missing_evidence_and_dangling_refs_are_unknown() {
    let mut pool = ill("25.6.0");
    pool.sr.clear();
    let found = told(&pool, None, &Policy::new());
    assert_eq!(found[2..], ["unknown metrics-stale", "unknown default-sr-local"]);
}

#[test]
fn a_policy_names_rules_of_its_set_only() {
    let policy = Policy::<Health>::documented().overriding("ha-is-on", "meant so").unwrap();
    let found = evaluate(World { pool: &ill("25.6.0"), now: NOW }, &policy);
    assert_eq!(found[0].overridden.as_deref(), Some("meant so"));
    assert!(!found[0].stops());
    assert_eq!((found[3].severity, found[3].stops()), (Severity::Blocker, true));
    let unknown = Policy::<Health>::new().overriding("shared-storage", "of another set");
    assert_eq!(unknown.unwrap_err().to_string(), "there is no rule \"shared-storage\"");
    let mistyped = RuleCode::of::<Health>("ha-is-onn").unwrap_err();
    assert_eq!(mistyped.to_string(), "there is no rule \"ha-is-onn\": did you mean ha-is-on?");
}

#[test]
fn the_proofs_hold_for_each_rule() {
    let evaluation = |sides: &Sides| {
        evaluate(World { pool: &sides[&Side::Pool], now: NOW }, &Policy::<Health>::new())
    };
    let mut tried = 0;
    for rule in RULES {
        let mut pool = ill("25.6.0");
        // Alone in its check, since the second cause of one raises nothing.
        let of_pool = pool.pool.get_mut(&"OpaqueRef:pool".into()).unwrap();
        of_pool.ha_enabled = rule.code == "ha-is-on";
        let world: Sides = BTreeMap::from([(Side::Pool, pool)]);
        tried += proofs::a_missing_field_is_told(rule, &world, &evaluation).unwrap();
        proofs::a_missing_class_is_told(rule, &world, &evaluation).unwrap();
        proofs::nothing_undeclared_is_read(rule, &world, &evaluation).unwrap();
    }
    assert_eq!(tried, 5);
}

#[test]
fn the_proofs_fail_where_a_rule_does_not_keep_its_word() {
    // As if each rule read what the others do, or took what is missing for a pass.
    let world: Sides = BTreeMap::from([(Side::Pool, ill("25.6.0"))]);
    let silent = |_: &Sides| Vec::new();
    let greedy = |sides: &Sides| {
        let findings =
            evaluate(World { pool: &sides[&Side::Pool], now: NOW }, &Policy::<Health>::new());
        let whole = sides[&Side::Pool].sr.records().all(|sr| sr.has("shared"));
        findings.into_iter().filter(|_| whole).collect()
    };
    let rule = RuleCode::of::<Health>("ha-is-on").unwrap().rule();
    assert!(proofs::a_missing_field_is_told(rule, &world, &silent).is_err());
    assert!(proofs::a_missing_class_is_told(rule, &world, &silent).is_err());
    assert!(proofs::nothing_undeclared_is_read(rule, &world, &greedy).is_err());
}
