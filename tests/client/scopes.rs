//! Each scope has what is needed for what it is named after: decisions from a snapshot of the scope
//! are those from a snapshot of everything.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Read;

use serde_json::Value as Json;
use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::election::{self, PoolEvidence};
use xcp_pool::failover::{Planner, WhatIf};
use xcp_pool::model::{Class, Snapshot};
use xcp_pool::plan;
use xcp_pool::preflight::{self, Options};
use xcp_pool::simulator::database::Database;
use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};

/// A snapshot without the classes that a scope leaves out.
fn restricted(everything: &Snapshot, scope: Scope) -> Snapshot {
    let names: Vec<&str> = scope.classes().iter().map(|class| class.as_str()).collect();
    let mut json: Json = serde_json::from_str(&everything.to_json()).unwrap();
    json.as_object_mut().unwrap().retain(|class, _| names.contains(&class.as_str()));
    let snapshot = Snapshot::from_json(json.to_string().as_bytes()).unwrap();
    for class in Class::ALL {
        assert_eq!(snapshot.covers(*class), names.contains(&class.as_str()), "{class}");
    }
    snapshot
}

/// All classes covered, as a server covers them.
fn completed(objects: &Json) -> Snapshot {
    let mut all = objects.clone();
    for class in Class::ALL {
        let map = all.as_object_mut().unwrap();
        map.entry(class.as_str()).or_insert_with(|| Json::Object(serde_json::Map::new()));
    }
    let mut snapshot = Snapshot::from_json(all.to_string().as_bytes()).unwrap();
    snapshot.complete();
    snapshot
}

/// Every decision that a kind of question leads to, as text.
type Answers = BTreeMap<String, String>;

fn note(answers: &mut Answers, name: impl Into<String>, answer: impl Debug) {
    answers.insert(name.into(), format!("{answer:?}"));
}

fn preflight_answers(pool: &Snapshot, joiner: &Snapshot) -> Answers {
    let mut answers = Answers::new();
    for force in [false, true] {
        let options = serde_json::json!({"force": force});
        let options: Options = serde_json::from_value(options).unwrap();
        let report = preflight::evaluate(pool.clone(), joiner.clone(), &options);
        note(&mut answers, format!("report, force: {force}"), &report);
        let plan = report.plan(&plan::Choices::default());
        note(&mut answers, format!("plan, force: {force}"), plan);
        let foretold = report.consequences_once_admitted();
        note(&mut answers, format!("consequences, force: {force}"), foretold);
    }
    answers
}

fn failover_answers(snapshot: &Snapshot) -> Answers {
    let mut answers = Answers::new();
    let planner = Planner::new(snapshot).unwrap();
    note(&mut answers, "assessment", planner.assess());
    note(&mut answers, "restart plan", planner.restart_plan());
    for failures in 0..3 {
        note(&mut answers, format!("plan for {failures}"), planner.plan_for(failures));
    }
    let first = snapshot.host.refs().next().cloned().unwrap_or_default();
    for vm in snapshot.vm.refs() {
        note(&mut answers, format!("agility of {vm}"), planner.not_agile(vm));
        note(&mut answers, format!("memory of {vm}"), planner.vm_restart_memory(vm));
    }
    let what_if = WhatIf::HostJoins { like: first, uuid: "new".to_owned() };
    note(&mut answers, "a host more", what_if.ask(snapshot));
    for host in snapshot.host.refs() {
        note(&mut answers, format!("evacuation of {host}"), planner.host_evacuation(host));
        note(&mut answers, format!("ejection of {host}"), plan::eject(snapshot, host));
        let what_if = WhatIf::HostLeaves { host: host.clone() };
        note(&mut answers, format!("loss of {host}"), what_if.ask(snapshot));
    }
    answers
}

fn election_answers(snapshot: &Snapshot) -> Answers {
    let mut answers = Answers::new();
    let mut evidence = PoolEvidence::default();
    for silent in std::iter::once(None).chain(snapshot.host.refs().map(Some)) {
        for host in snapshot.host.refs() {
            evidence.host(host).reachable = Some(Some(host) != silent);
        }
        let name = silent.map_or("nobody".to_owned(), ToString::to_string);
        let planned = election::planned(snapshot, &evidence);
        note(&mut answers, format!("planned while {name} is silent"), planned);
        let emergency = election::emergency(snapshot, &evidence);
        note(&mut answers, format!("emergency while {name} is silent"), emergency);
        for host in snapshot.host.refs() {
            let plan = plan::hand_over(snapshot, &evidence, host);
            note(&mut answers, format!("hand-over to {host} while {name} is silent"), plan);
        }
    }
    answers
}

#[track_caller]
fn assert_same(name: &str, everything: &Answers, scope: &Answers) {
    assert_eq!(everything.len(), scope.len());
    for (what, answer) in everything {
        let other = &scope[what];
        let start = answer.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let shown = |text: &str| -> String {
            String::from_utf8_lossy(&text.as_bytes()[start.saturating_sub(80)..])
                .chars()
                .take(400)
                .collect()
        };
        assert!(
            answer == other,
            "{name}, {what}:\n  {}\nby the scope:\n  {}",
            shown(answer),
            shown(other)
        );
    }
}

#[test]
fn a_preflight_needs_no_more_than_its_scope() {
    let (baseline, cases) = crate::preflight_cases::cases();
    for case in cases.iter().step_by(23) {
        let scenario = crate::preflight_cases::scenario(&baseline, case);
        let pool = completed(&scenario["pool"]["objects"]);
        let joiner = completed(&scenario["joiner"]["objects"]);
        let all = preflight_answers(&pool, &joiner);
        let scope = preflight_answers(
            &restricted(&pool, Scope::Preflight),
            &restricted(&joiner, Scope::Preflight),
        );
        assert_same(&case["id"].to_string(), &all, &scope);
    }
}

/// The recorded pools of the failover planner.
fn failover_pools() -> Vec<Json> {
    let packed = include_bytes!("../data/oracle/failover.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_rule_of_the_preflight_needs_no_more_than_its_scope() {
    for case in crate::rule_cases::cases() {
        let world = case.world();
        let full = |side: &str| completed(&world.0[side]);
        let (pool, joiner) = (full("pool"), full("joiner"));
        let all = preflight_answers(&pool, &joiner);
        let scope = preflight_answers(
            &restricted(&pool, Scope::Preflight),
            &restricted(&joiner, Scope::Preflight),
        );
        assert_same(&case.code, &all, &scope);
    }
}

#[test]
fn failover_planning_needs_no_more_than_its_scope() {
    for (number, case) in failover_pools().iter().enumerate().step_by(24) {
        let everything = completed(&case["side"]["objects"]);
        let all = failover_answers(&everything);
        let scope = failover_answers(&restricted(&everything, Scope::Failover));
        assert_same(&number.to_string(), &all, &scope);
    }
}

#[test]
fn the_choice_of_a_master_needs_no_more_than_its_scope() {
    for (number, case) in failover_pools().iter().enumerate().step_by(10) {
        let everything = completed(&case["side"]["objects"]);
        let all = election_answers(&everything);
        let scope = election_answers(&restricted(&everything, Scope::Election));
        assert_same(&number.to_string(), &all, &scope);
    }
}

fn connect(world: &World, address: &str) -> Client {
    let credentials = Credentials::new("root", "xcp-test");
    Client::connect(world.transport(), address, &credentials).unwrap()
}

/// What a client reads of a simulated pool leads to the same decisions.
fn compare_as_read(name: &str, pool: &Client, joiner: Option<&Client>) {
    let everything = pool.snapshot(Scope::Everything).unwrap();
    let read = |scope: Scope| {
        let snapshot = pool.snapshot(scope).unwrap();
        assert!(snapshot.problems.is_empty(), "{name}");
        snapshot
    };
    let failover = failover_answers(&read(Scope::Failover));
    assert_same(name, &failover_answers(&everything), &failover);
    let election = election_answers(&read(Scope::Election));
    assert_same(name, &election_answers(&everything), &election);
    let overview = read(Scope::Overview);
    assert_eq!(overview.host, everything.host, "{name}");
    assert_eq!(overview.sr, everything.sr, "{name}");
    assert_eq!(overview.network, everything.network, "{name}");
    if let Some(joiner) = joiner {
        let all = joiner.snapshot(Scope::Everything).unwrap();
        let scope = joiner.snapshot(Scope::Preflight).unwrap();
        let answers = preflight_answers(&read(Scope::Preflight), &scope);
        assert_same(name, &preflight_answers(&everything, &all), &answers);
    }
}

#[test]
fn what_is_read_of_a_simulated_pool_suffices_as_well() {
    for seed in 0..3 {
        let world = World::story(seed);
        let (phantom, ignite) = (connect(&world, "phantom"), connect(&world, "ignite"));
        compare_as_read("the story", &phantom, Some(&ignite));
    }
    for release in [Release::XcpNg82, Release::XcpNg83, Release::Newest] {
        let pool = PoolSpec::new("lab", release)
            .nics(4)
            .host("phantom", "10.0.0.1")
            .host("ember", "10.0.0.2")
            .host("spark", "10.0.0.3")
            .shared_sr("NFS", "nfs")
            .bond("bond", &[2, 3])
            .vlan("storage", 1, 20)
            .vm(VmSpec::running("web", "ember").disk("NFS", 10).network("storage"))
            .vm(VmSpec::halted("spare").disk("NFS", 10));
        let alone = PoolSpec::new("", release)
            .nics(4)
            .host("ignite", "10.0.0.9")
            .vlan("other", 1, 30)
            .vm(VmSpec::halted("old"));
        let world = World::builder().seed(5).pool(pool).pool(alone).build().unwrap();
        let (phantom, ignite) = (connect(&world, "phantom"), connect(&world, "ignite"));
        compare_as_read(&format!("{release:?}"), &phantom, Some(&ignite));
    }
}

#[test]
fn what_is_read_of_the_recorded_databases_suffices_as_well() {
    let folder = format!("{}/tests/data/oracle/joins", env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let recorded: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let load = |side: &str| Database::load(Release::Newest, &recorded[side]);
        let (pool, joiner) = (load("pool_before").unwrap(), load("joiner_before").unwrap());
        let world = World::builder().seed(5).database(pool).database(joiner).build();
        let Ok(world) = world else {
            // The joiner is in the pool's database already: two machines of one address.
            assert!(name.starts_with("19-"), "{name}");
            continue;
        };
        let at = |side: &str| connect(&world, recorded[side].as_str().unwrap());
        let (pool, joiner) = (at("master_address"), at("joiner_address"));
        compare_as_read(&name, &pool, Some(&joiner));
        seen += 1;
    }
    assert!(seen >= 19, "{seen}");
}

/// The sources of a room, a folder or a file of it.
fn sources(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
    if path.is_file() {
        return std::fs::read_to_string(path).unwrap();
    }
    let entries = std::fs::read_dir(&path).unwrap();
    entries.map(|entry| sources(entry.unwrap().path().to_str().unwrap())).collect()
}

/// Databases that were recorded or generated do not have everything: there is no cluster in any, and
/// hardly a bond. So the tables that the code names are looked up in its text, too.
#[test]
fn a_scope_has_every_table_that_its_code_names() {
    let serves: [(Scope, &[&str]); 3] = [
        (
            Scope::Preflight,
            &[
                "preflight/checks",
                "preflight/hazards",
                "preflight/facts.rs",
                "preflight/consequences",
                "actions",
                "plan/join.rs",
                "plan/join_many.rs",
            ],
        ),
        (Scope::Failover, &["failover", "plan/eject.rs", "plan/impact.rs"]),
        (Scope::Election, &["election", "plan/hand_over.rs"]),
    ];
    let reads = ["get", "iter", "records", "refs", "len", "is_empty", "by_uuid", "covered"];
    for (scope, rooms) in serves {
        // Without white space, a chain that is broken into lines is one.
        let text: String = rooms.iter().map(|room| sources(room)).collect();
        let text: String = text.split_whitespace().collect();
        let mut seen = 0;
        for class in Class::ALL {
            let table = class.as_str().to_ascii_lowercase();
            let names = |read: &&str| text.contains(&format!(".{table}.{read}("));
            if reads.iter().any(names) {
                seen += 1;
                assert!(scope.classes().contains(class), "{scope:?} lacks {class}");
            }
        }
        assert!(seen > 4, "{scope:?}: the names of tables are not found any more");
    }
}

#[test]
fn scopes_name_a_class_once_and_the_pool_first() {
    let named =
        |scope: Scope| scope.classes().iter().copied().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(named(Scope::Everything).len(), Class::ALL.len());
    for scope in [Scope::Overview, Scope::Preflight, Scope::Failover, Scope::Election] {
        assert_eq!(named(scope).len(), scope.classes().len(), "a class is named twice");
        assert_eq!(scope.classes()[0], Class::Pool, "the pool says at once whose it is");
        assert!(!scope.classes().contains(&Class::Task));
    }
}
