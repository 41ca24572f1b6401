//! What the answers of hosts come to, each written down by hand.

use std::time::Duration;

use serde_json::{Value, json};
use xcp_pool::Fault;
use xcp_pool::election::{self, HostEvidence, HostRole, Safety};
use xcp_pool::health::diagnosis::{
    Contact, Diagnosis, HostAnswer, HostReport, LedPool, PoolState, Records, evidence,
};
use xcp_pool::model::{Host, Ref, Snapshot};

/// The pool's records: master phantom at 10.0.0.1, members alpha and beta.
fn records() -> Snapshot {
    changed(|_| {})
}

fn changed(change: impl Fn(&mut Value)) -> Snapshot {
    let mut pool = json!({
        "pool": {"OpaqueRef:p": {"uuid": "lab-uuid", "name_label": "lab", "master": "OpaqueRef:phantom"}},
        "host": {},
    });
    for (n, name) in ["phantom", "alpha", "beta"].into_iter().enumerate() {
        pool["host"][format!("OpaqueRef:{name}")] = json!({
            "name_label": name, "hostname": format!("{name}.lan"), "address": format!("10.0.0.{}", n + 1),
            "software_version": {"xapi_build": "25.6.0"},
        });
    }
    change(&mut pool);
    let mut snapshot = Snapshot::from_json(pool.to_string().as_bytes()).unwrap();
    assert_eq!(snapshot.problems, []);
    snapshot.complete();
    snapshot
}

fn old(snapshot: Snapshot) -> Records {
    Records::Snapshot { age: Some(60), snapshot: Box::new(snapshot) }
}

fn fresh(snapshot: Snapshot) -> Records {
    Records::Master { snapshot: Box::new(snapshot) }
}

fn with(contact: Contact, n: u8) -> HostAnswer {
    HostAnswer::new(format!("https://10.0.0.{n}"), contact)
}

fn master(n: u8, name: &str, pool: &str) -> HostAnswer {
    let master = format!("OpaqueRef:{name}").as_str().into();
    HostAnswer {
        role: Some(HostRole::Master),
        emergency_mode: Some(false),
        leads: Some(LedPool { uuid: pool.into(), master, ha_enabled: false }),
        ..with(Contact::Answers, n)
    }
}

fn phantom() -> HostAnswer {
    master(1, "phantom", "lab-uuid")
}

fn follows(n: u8, master: &str) -> HostAnswer {
    HostAnswer {
        role: Some(HostRole::Slave(master.into())),
        emergency_mode: Some(false),
        ..with(Contact::Answers, n)
    }
}

fn member(n: u8) -> HostAnswer {
    follows(n, "10.0.0.1")
}

fn silent(n: u8) -> HostAnswer {
    let why = String::from("no reply");
    HostAnswer { took: Duration::from_secs(15), ..with(Contact::Silent { why }, n) }
}

fn refuses(n: u8) -> HostAnswer {
    with(Contact::Refuses { why: String::from("connection refused") }, n)
}

fn starting(n: u8) -> HostAnswer {
    let booting = Some(Fault::bare("HOST_STILL_BOOTING"));
    let emergency_mode = Some(true);
    HostAnswer { emergency_mode, emergency_error: booting, ..with(Contact::Starting, n) }
}

fn emergency(n: u8, code: &str) -> HostAnswer {
    HostAnswer {
        emergency_mode: Some(true),
        role: (code == "HOST_BROKEN").then_some(HostRole::Broken),
        emergency_error: Some(Fault::bare(code)),
        ..with(Contact::Answers, n)
    }
}

fn armed(answer: HostAnswer, armed: bool) -> HostAnswer {
    HostAnswer { ha_armed: Some(armed), ..answer }
}

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(String::from).to_vec()
}

fn phantom_is(state: fn(String) -> PoolState) -> PoolState {
    state("phantom".into())
}

fn re(name: &str) -> Ref<Host> {
    format!("OpaqueRef:{name}").as_str().into()
}

#[track_caller]
fn report<'a>(diagnosis: &'a Diagnosis, name: &str) -> &'a HostReport {
    diagnosis.hosts.iter().find(|host| host.label() == name).expect(name)
}

#[test]
fn every_state_follows_from_answers_and_records() {
    let busy = || with(Contact::Busy { why: "no reply".into() }, 1);
    let forbidden = |n| with(Contact::Forbidden { why: "refused".into() }, n);
    let ha = || old(changed(|pool| pool["pool"]["OpaqueRef:p"]["ha_enabled"] = json!(true)));
    let away = |master| PoolState::MasterAway { master };
    let under_ha = |master| PoolState::MasterAwayUnderHa { master };
    let comes = |master| PoolState::MasterStarting { master };
    let no_master = |followed: &[&str]| PoolState::NoMaster {
        followed: followed.iter().map(|&name| name.into()).collect(),
    };
    let astray = |member: &str| PoolState::Astray { members: names([member]) };
    let broken = || emergency(2, "HOST_BROKEN");
    let cases: &[(&str, Vec<HostAnswer>, Records, PoolState)] = &[
        (
            "all is well",
            vec![phantom(), member(2), member(3)],
            fresh(records()),
            PoolState::Healthy,
        ),
        (
            "a member is silent",
            vec![phantom(), member(2), silent(3)],
            fresh(records()),
            astray("beta"),
        ),
        (
            "a member follows a member",
            vec![phantom(), member(2), follows(3, "10.0.0.2")],
            fresh(records()),
            astray("beta"),
        ),
        (
            "a member is in emergency mode",
            vec![phantom(), member(2), emergency(3, "HOST_UNKNOWN_TO_MASTER")],
            fresh(records()),
            astray("beta"),
        ),
        (
            "the master's records do not have a host that follows it",
            vec![phantom(), member(2), member(3), member(4)],
            fresh(records()),
            astray("10.0.0.4"),
        ),
        ("the master starts", vec![starting(1), member(2)], old(records()), phantom_is(comes)),
        ("the master is busy", vec![busy(), member(2)], old(records()), phantom_is(comes)),
        ("no toolstack listens", vec![refuses(1), member(2)], old(records()), phantom_is(comes)),
        ("the master is silent", vec![silent(1), member(2)], old(records()), phantom_is(away)),
        ("HA is on by the records", vec![silent(1), member(2)], ha(), phantom_is(under_ha)),
        ("but not armed", vec![silent(1), armed(member(2), false)], ha(), phantom_is(away)),
        (
            "HA is armed, whatever the records have",
            vec![silent(1), armed(member(2), true)],
            old(records()),
            phantom_is(under_ha),
        ),
        (
            "who is followed counts more than the records",
            vec![silent(2), follows(3, "10.0.0.2"), follows(1, "10.0.0.2")],
            old(records()),
            PoolState::MasterAway { master: "alpha".into() },
        ),
        (
            "who is followed is no master",
            vec![follows(1, "10.0.0.2"), follows(2, "10.0.0.1"), silent(3)],
            old(records()),
            no_master(&["alpha", "phantom"]),
        ),
        (
            "nobody knows of a master",
            vec![emergency(1, "INTERNAL_ERROR")],
            Records::None,
            no_master(&[]),
        ),
        (
            "a host has lost its role",
            vec![silent(1), broken(), member(3)],
            old(records()),
            PoolState::HalfHandedOver { broken: names(["alpha"]) },
        ),
        (
            "two are master of this pool",
            vec![master(2, "alpha", "lab-uuid"), phantom(), member(3)],
            old(records()),
            PoolState::TwoMasters { masters: names(["alpha", "phantom"]) },
        ),
        (
            "a master of another pool is none of ours",
            vec![phantom(), member(2), member(3), master(9, "stranger", "other")],
            fresh(records()),
            PoolState::Healthy,
        ),
        (
            "nobody lets us in",
            vec![forbidden(1), forbidden(2)],
            old(records()),
            PoolState::NotAsked,
        ),
        ("all refuse", vec![silent(1), refuses(2)], old(records()), PoolState::NotAsked),
        ("all are silent", vec![silent(1), silent(2)], old(records()), PoolState::NobodyAnswers),
        ("nobody was asked", vec![], Records::None, PoolState::NobodyAnswers),
    ];
    for (what, answers, records, state) in cases {
        let diagnosis = Diagnosis::of(answers.clone(), records.clone());
        assert_eq!(diagnosis.state, *state, "{what}\n{diagnosis}");
        if records.snapshot().is_some() {
            let reversed = answers.iter().rev().cloned().collect();
            let again = Diagnosis::of(reversed, records.clone());
            assert!(again == diagnosis, "{what}, asked in another order\n{again}");
        }
    }
}

/// The reasons that XAPI gives for emergency mode (`emergency_mode_error` in `ocaml/xapi`).
const REASONS: [&str; 11] = [
    "HA_HEARTBEAT_DAEMON_STARTUP_FAILED",
    "HA_HOST_CANNOT_ACCESS_STATEFILE",
    "HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED",
    "HOST_BROKEN",
    "HOST_HAS_NO_MANAGEMENT_IP",
    "HOST_ITS_OWN_SLAVE",
    "HOST_MASTER_CANNOT_TALK_BACK",
    "HOST_STILL_BOOTING",
    "HOST_UNKNOWN_TO_MASTER",
    "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR",
    "INTERNAL_ERROR",
];

#[test]
fn every_reason_for_emergency_mode_has_advice_of_its_own() {
    let mut all = std::collections::BTreeSet::new();
    for reason in REASONS {
        let answers = vec![phantom(), emergency(2, reason), member(3)];
        let diagnosis = Diagnosis::of(answers, fresh(records()));
        let [advice] = &diagnosis.advice[..] else { panic!("{reason}: {diagnosis}") };
        assert!(advice.contains("alpha"), "{reason}: {advice}");
        assert!(all.insert(advice.clone()), "{reason} is told as another: {advice}");
        let is_known = !advice.contains("not known");
        assert_eq!(is_known, reason != "INTERNAL_ERROR", "{reason}: {advice}");
    }
}

#[test]
fn every_reason_of_a_master_in_emergency_mode_has_advice_that_comes_first() {
    for reason in REASONS.into_iter().filter(|reason| !reason.starts_with("HOST_BROKEN")) {
        let answers = vec![emergency(1, reason), member(2), member(3)];
        let diagnosis = Diagnosis::of(answers, old(records()));
        assert!(diagnosis.advice[0].contains("phantom"), "{reason}: {diagnosis}");
        let is_known = !diagnosis.advice[0].contains("not known");
        let is_told = !["INTERNAL_ERROR", "HOST_UNKNOWN_TO_MASTER"].contains(&reason);
        assert_eq!(is_known, is_told, "{reason}: {diagnosis}");
    }
    // Who only looks for the host that it follows gives no reason.
    let looking = HostAnswer { role: None, ..emergency(1, "HOST_IS_SLAVE") };
    let diagnosis = Diagnosis::of(vec![looking, member(2), member(3)], old(records()));
    assert!(diagnosis.advice[0].starts_with("Wait two minutes"), "{diagnosis}");
}

#[test]
fn a_host_that_the_master_does_not_have_on_record_is_reinstalled() {
    let forgotten = changed(|pool| {
        pool["host"].as_object_mut().unwrap().remove("OpaqueRef:alpha");
    });
    let answers = vec![phantom(), emergency(2, "HOST_UNKNOWN_TO_MASTER"), member(3)];
    let diagnosis = Diagnosis::of(answers.clone(), fresh(forgotten));
    assert!(diagnosis.advice[0].contains("reinstall it, and let it join anew"), "{diagnosis}");
    // Older records do not decide it.
    let diagnosis = Diagnosis::of(answers, old(records()));
    assert!(diagnosis.advice[0].contains("If there is a record"), "{diagnosis}");
}

#[test]
fn nobody_is_promoted_while_the_master_has_lost_the_storage_of_ha() {
    for records in [Records::None, old(records())] {
        let lost = emergency(1, "HA_HOST_CANNOT_ACCESS_STATEFILE");
        let member_lost = emergency(3, "HA_HEARTBEAT_DAEMON_STARTUP_FAILED");
        let answers = vec![lost, armed(member(2), true), member_lost];
        let diagnosis = Diagnosis::of(answers, records);
        let is_under_ha = matches!(diagnosis.state, PoolState::MasterAwayUnderHa { .. });
        assert!(is_under_ha, "{diagnosis}");
        assert!(diagnosis.advice[0].starts_with("Promote nobody"), "{diagnosis}");
        assert!(diagnosis.advice[0].contains("host-emergency-ha-disable"), "{diagnosis}");
        assert!(diagnosis.advice[1].contains("HA's daemon"), "{diagnosis}");
    }
}

#[test]
fn each_member_that_is_astray_is_given_its_own_advice() {
    let too_new = "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR";
    let cases = [
        (starting(2), "Wait for alpha, which is starting."),
        (
            emergency(2, "HOST_BROKEN"),
            "Point alpha to the master: pool.recover_slaves on the master, or operations::recover.",
        ),
        (
            emergency(2, too_new),
            "Update the master: alpha runs a newer toolstack and refuses to follow it.",
        ),
        (
            emergency(2, "HOST_UNKNOWN_TO_MASTER"),
            "alpha has another pool secret than the master, which has it on record: copy \
             /etc/xensource/ptoken from the master to it and restart its toolstack, or reinstall it.",
        ),
        (
            emergency(2, "HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED"),
            "HA is enabled in the pool, but was disarmed on alpha, which stays out of it: disable HA \
             in the pool (xe pool-ha-disable), restart the toolstack of alpha, and enable HA anew.",
        ),
        (
            emergency(2, "HA_HOST_CANNOT_ACCESS_STATEFILE"),
            "Mend the path of alpha to HA's storage: it cannot read the state file, and tries again \
             every ten seconds. Until then no call changes its master, as HA is armed; if the \
             storage is lost for good: xe host-emergency-ha-disable --force there.",
        ),
        (
            emergency(2, "SR_BACKEND_FAILURE"),
            "alpha is in emergency mode, and what SR_BACKEND_FAILURE means there is not known: it \
             tries again by itself; if that does not help, look into its log \
             (/var/log/xensource.log).",
        ),
        (
            emergency(2, "HOST_MASTER_CANNOT_TALK_BACK"),
            "Mend the network from the master to alpha: it hears the master, but is not heard.",
        ),
        (
            HostAnswer { emergency_mode: Some(true), ..member(2) },
            "Wait for alpha: it is looking for the master.",
        ),
        (
            follows(2, "10.0.0.3"),
            "Point alpha to the master: pool.recover_slaves on the master, or operations::recover.",
        ),
        (
            silent(2),
            "Look at alpha: the master counts it dead ten minutes after it last heard of it.",
        ),
    ];
    for (alpha, advice) in cases {
        let answers = vec![phantom(), alpha, member(3)];
        let diagnosis = Diagnosis::of(answers, fresh(records()));
        assert_eq!(diagnosis.state, PoolState::Astray { members: names(["alpha"]) });
        assert_eq!(diagnosis.advice, [advice]);
    }
}

#[test]
fn notes_tell_what_the_state_does_not() {
    let newer = changed(|pool| {
        let host = &mut pool["host"]["OpaqueRef:beta"];
        host["software_version"] = json!({"xapi_build": "25.33.0"});
    });
    let stranger = master(9, "stranger", "other");
    let answers = vec![phantom(), armed(member(2), true), refuses(3), stranger];
    let diagnosis = Diagnosis::of(answers, fresh(newer));
    assert_eq!(
        diagnosis.notes,
        [
            "10.0.0.9 belongs to another pool, other",
            "HA is armed on alpha, although the pool's records have it disabled",
            "beta refuses connections: something is up at its address, so it may not be off",
            "beta runs a newer toolstack than the master phantom and cannot follow it: update the \
             master first",
        ]
    );
}

#[test]
fn a_person_reads_who_says_what_and_what_to_do() {
    let answers = vec![silent(1), armed(member(2), false), emergency(3, "INTERNAL_ERROR")];
    let diagnosis = Diagnosis::of(answers, old(records()));
    assert_eq!(
        diagnosis.to_string(),
        "\
lab (lab-uuid): the master phantom does not answer: it is dead, or cut off from here
  alpha    https://10.0.0.2: answers, follows 10.0.0.1, HA not armed, toolstack 25.6.0
  beta     https://10.0.0.3: answers, in emergency mode: INTERNAL_ERROR, toolstack 25.6.0
  phantom  https://10.0.0.1: does not answer within 15 s, toolstack 25.6.0
HA is disabled in the pool (by records that are 60 s old)
1. Look at phantom itself (console, management board, a neighbour's network): is it off, or only cut \
         off from here?
2. If it runs, mend the network or restart its toolstack; promote nobody.
3. If it is dead, switch it off and keep it off, then recover: plan::recovery with that confirmation, \
         and operations::recover."
    );
}

#[test]
fn a_host_is_known_by_whatever_address_it_is_called() {
    // The pool is asked through a tunnel; hosts call each other by addresses behind it.
    let tunnel = |port: u16, address: &str, said: HostAnswer| HostAnswer {
        endpoint: format!("https://gate.lan:{port}"),
        addresses: [address.to_owned()].into(),
        ..said
    };
    let answers = vec![tunnel(8001, "10.0.0.1", silent(1)), tunnel(8002, "10.0.0.2", member(2))];
    let diagnosis = Diagnosis::of(answers.clone(), Records::None);
    assert_eq!(diagnosis.state, PoolState::MasterAway { master: "gate.lan".into() });
    let diagnosis = Diagnosis::of(answers, old(records()));
    assert_eq!(diagnosis.state, PoolState::MasterAway { master: "phantom".into() });
    assert_eq!(report(&diagnosis, "alpha").belongs, Some(true));

    // One that was asked by its name and by its address is one host.
    let by_name =
        HostAnswer { endpoint: "https://beta.lan".into(), addresses: [].into(), ..member(3) };
    let answers = vec![phantom(), member(2), by_name, member(3)];
    let diagnosis = Diagnosis::of(answers, fresh(records()));
    assert_eq!((&diagnosis.state, diagnosis.hosts.len()), (&PoolState::Healthy, 3));
    let beta = report(&diagnosis, "beta");
    assert!(beta.said.is_at("10.0.0.3"), "{beta}");
}

#[test]
fn without_records_the_pool_is_that_of_the_master_whom_most_follow() {
    let stranger = || master(9, "stranger", "other");
    for answers in [
        vec![stranger(), phantom(), member(2), member(3), follows(8, "10.0.0.9")],
        vec![follows(8, "10.0.0.9"), member(3), member(2), phantom(), stranger()],
    ] {
        let diagnosis = Diagnosis::of(answers, Records::None);
        assert_eq!(diagnosis.pool, Some("lab-uuid".into()));
        assert_eq!(diagnosis.state, PoolState::Healthy, "{diagnosis}");
        assert_eq!(report(&diagnosis, "10.0.0.8").belongs, Some(false));
    }
}

#[test]
fn evidence_is_what_was_said_and_no_more() {
    let untrusted = with(Contact::Untrusted { why: "another certificate".into() }, 3);
    let said = evidence(vec![phantom(), armed(member(2), true), untrusted], &records());
    let master = HostEvidence {
        reachable: Some(true),
        role: Some(HostRole::Master),
        emergency_mode: Some(false),
        database: Some(election::DatabaseCopy { age: Some(0), ..Default::default() }),
        ..HostEvidence::default()
    };
    assert_eq!(said.of(&re("phantom")), master);
    let alpha = HostEvidence {
        reachable: Some(true),
        role: Some(HostRole::Slave("10.0.0.1".into())),
        emergency_mode: Some(false),
        ha_armed: Some(true),
        ..HostEvidence::default()
    };
    assert_eq!(said.of(&re("alpha")), alpha);
    assert_eq!(said.of(&re("beta")), HostEvidence::default());
    let cases = [
        (silent(3), Some(false), None),
        (refuses(3), Some(false), None),
        (starting(3), Some(true), None),
        (emergency(3, "HOST_BROKEN"), Some(true), Some(HostRole::Broken)),
        (with(Contact::Busy { why: "no reply".into() }, 3), Some(true), None),
        (with(Contact::Strange { why: "no XAPI".into() }, 3), None, None),
    ];
    for (beta, reachable, role) in cases {
        let what = beta.to_string();
        let beta = evidence(vec![beta], &records()).of(&re("beta"));
        assert_eq!((beta.reachable, beta.role), (reachable, role), "{what}");
    }
}

#[test]
fn a_host_that_left_is_no_candidate_and_leaves_its_place_empty() {
    // Beta was ejected: it is master of a pool of its own now, by a ref that the old records lack.
    let left = || master(3, "beta-anew", "other");
    let said = evidence(vec![phantom(), member(2), left()], &records());
    let beta = said.of(&re("beta"));
    assert_eq!((beta.vetoed, beta.reachable, beta.role), (true, Some(false), None));
    assert_eq!(said.hosts.len(), 3, "nobody is in it whom the records do not know");
    let decision = election::planned(&records(), &said).unwrap();
    assert_eq!(decision.verdict, Safety::Unsafe, "a hand-over needs every host");

    let diagnosis = Diagnosis::of(vec![silent(1), member(2), left()], old(records()));
    let decision = election::emergency(&records(), &diagnosis.evidence()).unwrap();
    assert_eq!(decision.verdict, Safety::NeedsConfirmation, "the pool can still be saved");
    assert_eq!(decision.ranked[0].host, re("alpha"));
}
