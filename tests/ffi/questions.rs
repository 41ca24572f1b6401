//! Rules, what-ifs, views of one host, the master lock and hand-overs on paper, through the C ABI.

use std::ffi::{CStr, c_char};
use std::ptr;

use serde_json::{Value, json as value};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

use crate::support::world::World;
use crate::support::{Refusal, c, done, json, pure, text};

/// Three hosts with shared storage; HA protects a VM on ignite, another one there is on its own disk.
fn pool() -> World {
    World::new(&value!({"seed": 5, "pools": [{
        "name": "lab",
        "hosts": [
            {"name": "phantom", "address": "10.0.0.1"},
            {"name": "ignite", "address": "10.0.0.2"},
            {"name": "ember", "address": "10.0.0.3"},
        ],
        "shared_srs": [{"name": "NFS", "type": "nfs"}],
        "vms": [
            {"name": "web", "power": "running", "host": "ignite", "memory_gib": 8, "disks": [{"sr": "NFS", "gib": 9}]},
            {"name": "cellar", "power": "running", "host": "ignite", "disks": [{"sr": "Local storage", "gib": 1}]},
        ],
    }]}))
}

/// Its database with HA on and the VM "web" protected.
fn with_ha(world: &World) -> Value {
    // SAFETY: the world is alive.
    let mut saved = json(|out, e| unsafe {
        xcp_simulator_database_json(world.simulator, c"phantom".as_ptr(), out, e)
    })
    .unwrap();
    for pool in saved["pool"].as_object_mut().unwrap().values_mut() {
        pool["ha_enabled"] = true.into();
        pool["ha_host_failures_to_tolerate"] = 1.into();
        pool["ha_plan_exists_for"] = 1.into();
    }
    for vm in saved["VM"].as_object_mut().unwrap().values_mut() {
        if vm["name_label"] == "web" {
            vm["ha_restart_priority"] = "restart".into();
            vm["ha_always_run"] = true.into();
        }
    }
    saved
}

struct Snapshot(*mut xcp_snapshot);

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { xcp_snapshot_free(self.0) }
    }
}

impl Snapshot {
    fn load(json: &Value) -> Self {
        let (json, mut snapshot) = (c(&json.to_string()), ptr::null_mut());
        // SAFETY: the text lives during the call.
        done(|e| unsafe { xcp_snapshot_from_json(json.as_ptr(), false, &mut snapshot, e) })
            .unwrap();
        Self(snapshot)
    }

    fn failover(&self, questions: &Value) -> Result<Value, Refusal> {
        let questions = c(&questions.to_string());
        // SAFETY: the snapshot is alive, the text lives during the call.
        json(|out, e| unsafe { xcp_failover(self.0, questions.as_ptr(), out, e) })
    }

    fn election(&self, mode: &CStr, evidence: Option<&Value>) -> Result<Value, Refusal> {
        let evidence = evidence.map(|evidence| c(&evidence.to_string()));
        let evidence = evidence.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        // SAFETY: as above.
        json(|out, e| unsafe { xcp_election(self.0, mode.as_ptr(), evidence, out, e) })
    }
}

/// The only answer to one question.
#[expect(clippy::needless_pass_by_value, reason = "it is built where it is given")]
fn answer(snapshot: &Snapshot, question: Value) -> Value {
    let told = snapshot.failover(&value!({"questions": [question]})).unwrap();
    assert_eq!(told["schema"], 1);
    assert_eq!(told["answers"].as_array().unwrap().len(), 1, "{told}");
    told["answers"][0].clone()
}

fn asked(snapshot: &Snapshot, question: Value) -> Value {
    let told = answer(snapshot, question);
    assert!(told["ok"].is_object(), "{told}");
    told["ok"].clone()
}

#[test]
fn the_planner_is_asked_in_words_of_our_own() {
    let world = pool();
    let saved = with_ha(&world);
    let snapshot = Snapshot::load(&saved);
    let ask = |question: Value| asked(&snapshot, question);
    let reference = |class: &str, name: &str| {
        let mut rows = saved[class].as_object().unwrap().iter();
        rows.find(|(_, row)| row["name_label"] == name).unwrap().0.clone()
    };
    let [ignite, web, cellar] =
        [("host", "ignite"), ("VM", "web"), ("VM", "cellar")].map(|(c, n)| reference(c, n));

    let all = ask(value!({"ask": "assess"}));
    assert_eq!(all["protected"][0]["vm"], web);
    assert_eq!(all["protected"][0]["host"], ignite);
    assert_eq!(all["wanted"]["status"], "all");
    assert_eq!(all["hosts"].as_array().unwrap().len(), 3);
    let maximum = ask(value!({"ask": "maximum"}));
    assert_eq!(maximum, all["maximum"]);
    assert!(!maximum["probes"].as_array().unwrap().is_empty());
    let other = ask(value!({"ask": "maximum", "priorities": {"cellar": "restart"}}));
    assert_eq!(other["value"], 0, "a VM on a local disk cannot be restarted elsewhere");

    let plan = ask(value!({"ask": "plan"}));
    assert_eq!(plan, all["wanted"]);
    let all_fail = ask(value!({"ask": "plan", "failures": 3}));
    assert_eq!(all_fail["obstacle"]["obstacle"], "too-few-hosts");
    let fewer = value!({"disabled": ["phantom", "ember"]});
    let alone = ask(value!({"ask": "plan", "failures": 1, "change": fewer}));
    assert_eq!(alone["status"], "none");
    let refusal = ask(value!({"ask": "refusal", "change": fewer}))["refusal"].clone();
    assert_eq!(refusal["code"], "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN");
    assert_eq!(ask(value!({"ask": "refusal", "change": {}}))["refusal"], Value::Null);
    let moved = value!({"leaving": [{"vm": "web", "host": "ignite"}],
                        "arriving": [{"vm": "web", "host": "ember"}]});
    assert_eq!(ask(value!({"ask": "plan", "change": moved}))["status"], "all");

    let failed = ask(value!({"ask": "failure", "hosts": ["ignite"]}));
    assert_eq!(failed["failed"], value!([ignite]));
    assert_eq!(failed["groups"][0]["starts"][0]["vm"], web);
    assert!(failed["stay_off"].as_array().unwrap().contains(&value!(cellar)), "{failed}");
    assert_eq!(ask(value!({"ask": "restart"}))["restarts"], value!([]));

    let evacuated = ask(value!({"ask": "evacuate", "host": "ignite"}));
    assert!(evacuated["moves"][&web].is_string(), "{evacuated}");
    assert!(evacuated["obstacles"][&cellar]["code"].is_string(), "{evacuated}");
    let placed = ask(value!({"ask": "place", "vms": ["web"], "hosts": ["ember"]}));
    assert_eq!(placed, value!({"moves": {&web: reference("host", "ember")}, "unplaced": []}));
    assert_eq!(ask(value!({"ask": "agile", "vm": "web"}))["not_agile"], Value::Null);
    assert_eq!(ask(value!({"ask": "agile", "vm": cellar}))["not_agile"]["reason"], "sr-not-shared");
    let memory = ask(value!({"ask": "host-memory", "host": "ignite"}));
    assert!(memory["free"].as_i64() >= memory["free_in_plan"].as_i64());
    let memory = ask(value!({"ask": "vm-memory", "vm": "web"}));
    assert!(memory["to_restart"].as_i64().unwrap() > 8 << 30, "{memory}");
}

#[test]
fn what_ifs_tell_refusal_and_aftermath() {
    let world = pool();
    let snapshot = Snapshot::load(&with_ha(&world));
    let ask = |question: Value| asked(&snapshot, question);
    let before = ask(value!({"ask": "maximum"}))["value"].clone();
    for (question, refusal, hosts) in [
        (value!({"ask": "if-host-leaves", "host": "ember"}), Some("HA_IS_ENABLED"), 2),
        (
            value!({"ask": "if-host-joins", "like": "ember", "uuid": "new"}),
            Some("HA_IS_ENABLED"),
            4,
        ),
        (value!({"ask": "if-host-joins", "like": "ember"}), Some("HA_IS_ENABLED"), 4),
        (value!({"ask": "if-host-disabled", "host": "ember"}), None, 3),
        (value!({"ask": "if-vm-stops", "vm": "web"}), None, 3),
        (value!({"ask": "if-vm-starts", "vm": "web", "host": "ember"}), None, 3),
        (value!({"ask": "if-ha-enabled", "failures": 2}), None, 3),
    ] {
        let told = ask(question.clone());
        assert_eq!(told["refusal"]["code"].as_str(), refusal, "{question}");
        assert_eq!(told["maximum_before"], before, "{question}");
        assert_eq!(told["after"]["hosts"].as_array().unwrap().len(), hosts, "{question}");
    }
    assert_eq!(
        ask(value!({"ask": "if-ha-enabled", "failures": 2}))["after"]["wanted"]["failures"],
        2
    );
}

#[test]
fn questions_follow_the_calls_and_faults_are_answers() {
    let world = pool();
    let saved = with_ha(&world);
    let snapshot = Snapshot::load(&saved);
    let both = value!({
        "calls": [{"method": "pool.set_ha_host_failures_to_tolerate", "params": ["p", 2]}],
        "questions": [{"ask": "plan"}],
    });
    let told = snapshot.failover(&both).unwrap();
    assert_eq!(told["pool_after"]["ha_host_failures_to_tolerate"], 2);
    assert_eq!(told["answers"][0]["ok"]["failures"], 2, "{told}");
    // The snapshot stays as it is.
    assert_eq!(asked(&snapshot, value!({"ask": "plan"}))["failures"], 1);
    // The same from JSON.
    let mut whole = both.clone();
    whole["snapshot"] = saved;
    assert_eq!(pure(xcp_failover_json, &whole.to_string()).unwrap(), told);

    let wrong = answer(&snapshot, value!({"ask": "maximum", "priorities": {"web": "urgent"}}));
    assert_eq!(wrong["error"]["code"], "INVALID_VALUE");
    for (question, why) in [
        (value!({"ask": "evacuate", "host": "nobody"}), "the snapshot has no host \"nobody\""),
        (value!({"ask": "agile", "vm": "nothing"}), "the snapshot has no VM \"nothing\""),
    ] {
        let refusal = snapshot.failover(&value!({"questions": [question]})).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
        assert_eq!(refusal.message, format!("questions_json.questions[0]: {why}"));
    }
    for (input, why) in [
        (value!({}), "questions_json: neither calls nor questions are there"),
        (value!({"questions": [{"ask": "why"}]}), "questions_json: unknown variant `why`"),
        (value!({"questions": [{"ask": "plan", "hosts": []}]}), "unknown field `hosts`"),
        (value!({"question": []}), "questions_json: unknown field `question`"),
        (value!([]), "questions_json: a list"),
    ] {
        let refusal = snapshot.failover(&input).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT, "{input}");
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
}

#[test]
fn a_master_is_chosen_from_a_snapshot_object_and_planned_on_paper() {
    let world = pool();
    let client = world.client(c"phantom");
    let snapshot = Snapshot(client.snapshot(c"everything", true).unwrap());
    let unknown = snapshot.election(c"planned", None).unwrap();
    assert_eq!(unknown["mode"], "planned");
    assert_eq!(unknown["verdict"], "needs-confirmation", "{unknown:#}");
    let answers =
        |name: &str, role: Value| (name.to_owned(), value!({"reachable": true, "role": role}));
    let slave = value!({"slave": "10.0.0.1"});
    let hosts: Value = [
        answers("phantom", value!("master")),
        answers("ignite", slave.clone()),
        answers("ember", slave),
    ]
    .into_iter()
    .collect::<serde_json::Map<_, _>>()
    .into();
    let evidence = value!({"hosts": hosts});
    let known = snapshot.election(c"planned", Some(&evidence)).unwrap();
    assert_eq!(known["verdict"], "safe", "{known:#}");
    assert_eq!(snapshot.election(c"emergency", Some(&evidence)).unwrap()["verdict"], "unsafe");
    let refusal = snapshot.election(c"soon", None).unwrap_err();
    assert_eq!(refusal.message, "mode: \"soon\" is neither planned nor emergency");
    let nobody = snapshot.election(c"planned", Some(&value!({"hosts": {"nobody": {}}})));
    assert_eq!(nobody.unwrap_err().message, "evidence_json: the snapshot has no host \"nobody\"");

    // Known by two names, a host would lose what one of them says.
    let refs = known["ranked"].as_array().unwrap().iter().map(|ranked| ranked["host"].clone());
    let twice = refs.filter_map(|host| {
        let hosts = value!({"ignite": {"vetoed": true}, host.as_str().unwrap(): {}});
        snapshot.election(c"planned", Some(&value!({"hosts": hosts}))).err()
    });
    let twice: Vec<_> = twice.map(|refusal| refusal.message).collect();
    assert_eq!(twice, ["evidence_json: the host \"ignite\" is named twice"]);

    let plan = |evidence: Option<&Value>, host: &CStr| {
        let evidence = evidence.map(|evidence| c(&evidence.to_string()));
        let evidence = evidence.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        let mut plan = ptr::null_mut();
        // SAFETY: the snapshot is alive; the plan is freed once.
        unsafe {
            done(|e| xcp_plan_hand_over_with(snapshot.0, evidence, host.as_ptr(), &mut plan, e))?;
            let complete = xcp_plan_is_complete(plan);
            let told = json(|out, e| xcp_plan_json(plan, out, e)).unwrap();
            xcp_plan_free(plan);
            Ok::<_, Refusal>((complete, told))
        }
    };
    let (complete, told) = plan(Some(&evidence), c"ignite").unwrap();
    assert!(complete, "{told:#}");
    assert_eq!(told["host"]["name"], "ignite");
    let mut broken = evidence.clone();
    broken["hosts"]["ignite"]["role"] = "broken".into();
    assert!(!plan(Some(&broken), c"ignite").unwrap().0);
    assert_eq!(plan(None, c"nobody").unwrap_err().message, "the snapshot has no host \"nobody\"");
}

#[test]
fn all_rules_are_told() {
    // SAFETY: the places are given.
    let told = json(|out, e| unsafe { xcp_rules_json(out, e) }).unwrap();
    assert_eq!(told["schema"], 1);
    let rules = told["rules"].as_array().unwrap();
    assert_eq!(
        rules.len(),
        <xcp_pool::preflight::Preflight as xcp_pool::rules::RuleSet>::rules().len()
    );
    assert_eq!(rules[0]["rule"], "pooling-unlicensed");
    assert_eq!(rules[0]["xapi_check"], "assert_pooling_licensed");
    assert_eq!(rules[0]["since"], Value::Null);
    let of = |code: &str| rules.iter().find(|rule| rule["rule"] == code).unwrap();
    assert_eq!(of("cluster-network-on-vlan")["since"], "25.8.0");
    assert_eq!(of("halted-vms")["severity"], "notice");
    assert_eq!(of("halted-vms")["documented"], true);
    for rule in rules {
        assert_ne!(rule["compares"], "", "{rule}");
        assert_ne!(rule["remedy"], "", "{rule}");
        for reads in rule["reads"].as_array().unwrap() {
            assert!(
                ["each", "all", "local", "management"]
                    .contains(&reads["records"].as_str().unwrap())
            );
        }
    }
    // SAFETY: NULL is what is tested.
    let refusal =
        done(|e| unsafe { xcp_rules_json(ptr::null_mut::<*mut c_char>(), e) }).unwrap_err();
    assert_eq!((refusal.status, refusal.message.as_str()), (XCP_E_NULL, "rules_json is NULL"));
}

#[test]
fn one_host_decides_from_what_it_knows() {
    let domains = |hb: u64, sf: u64| value!({"hb": hb, "sf": sf});
    // Host 0 of two is cut off from the other; both have storage.
    let view = value!({
        "me": 0, "weights": [1, 1], "excluded": 0, "liveset": 3, "own": domains(1, 3),
        "heard": [domains(0, 0), domains(3, 3)], "read": [domains(1, 3), domains(2, 3)],
    });
    let told = pure(xcp_partition_json, &view.to_string()).unwrap();
    assert_eq!(told["decision"]["survives"], true, "{told}");
    assert_eq!(told["is_in_best_group"], true);
    assert_eq!(told["agrees"], false, "the other still publishes that it hears us");
    let mut wrong = view.clone();
    wrong["heard"] = value!([]);
    assert_eq!(
        pure(xcp_partition_json, &wrong.to_string()).unwrap_err().status,
        XCP_E_INVALID_INPUT
    );

    let story = value!({"hosts": ["a", "b"], "ask": "objections"});
    assert_eq!(pure(xcp_partition_json, &story.to_string()).unwrap()["objections"], value!([]));
    let one_way = value!({
        "hosts": ["a", "b"], "n": 2, "weights": [1, 1], "excluded": 0, "liveset": 3, "running": 3,
        "hb": [3, 2], "sf": [3, 3], "stale_view": 3, "ask": "objections",
    });
    let told = pure(xcp_partition_json, &one_way.to_string()).unwrap();
    assert_eq!(told["objections"][0]["objection"], "one-way-heartbeat");
    assert_eq!(told["objections"][0]["message"], "host a hears b, which does not hear it");
    let mut short = one_way.clone();
    short["hb"] = value!([3]);
    assert_eq!(
        pure(xcp_partition_json, &short.to_string()).unwrap_err().status,
        XCP_E_INVALID_INPUT
    );
    let told = pure(xcp_partition_json, r#"{"hosts": ["a", "b"], "base_timeout": 90}"#).unwrap();
    assert_eq!(told["timing"]["heartbeat_timeout"], 90);
}

#[test]
fn the_master_lock_is_played_from_its_events() {
    let alone = value!({"me": 0, "n": 2, "online": 1, "events": ["propose", "update", "update"]});
    let told = pure(xcp_master_lock_json, &alone.to_string()).unwrap();
    assert_eq!((&told["proposal"], &told["holder"]), (&value!("granted"), &value!(0)));
    assert_eq!(told["proposals"][0], "pending");
    let late = value!({"me": 0, "n": 2, "online": 3, "events": [
        {"read": {"host": 1, "request": true, "grants": 2}}, "update", "propose",
    ]});
    let told = pure(xcp_master_lock_json, &late.to_string()).unwrap();
    assert_eq!(told["block"], value!({"request": false, "grants": 2}));
    assert_eq!((&told["proposal"], &told["holder"]), (&value!("refused"), &value!(1)));
    let lost = value!({"me": 1, "n": 2, "online": 3, "events":
        ["propose", {"online": 3}, "lose-state-file"]});
    assert_eq!(pure(xcp_master_lock_json, &lost.to_string()).unwrap()["proposal"], "refused");
    for wrong in [
        r#"{"me": 2, "n": 2, "online": 3}"#,
        r#"{"me": 0, "n": 65, "online": 3}"#,
        r#"{"me": 0, "n": 2, "online": 3, "events": ["win"]}"#,
        r#"{"me": 0, "n": 2, "online": -1}"#,
    ] {
        let refusal = pure(xcp_master_lock_json, wrong).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT, "{wrong}");
    }
}

#[test]
fn the_packer_answers_for_sizes_alone() {
    let pack = |input: Value| pure(xcp_packing_json, &input.to_string());
    let full = value!({"free": [4, 0], "size": [4, 5], "placement": [[0, 1]], "failures": 1, "place": [0, 1]});
    let told = pack(full).unwrap();
    assert_eq!(told["plan"], value!([[0, 0]]), "the larger one fits nowhere");
    assert_eq!((&told["possible"], &told["verdict"]), (&true.into(), &value!("possible")));
    let less = value!({"free": [3, 0], "size": [4], "placement": [[0, 1]], "failures": 1});
    let told = pack(less).unwrap();
    assert_eq!(
        (&told["heuristic"], &told["verdict"]),
        (&value!("exhaustive"), &value!("unplaced"))
    );
    assert_eq!((&told["failures"], &told["vms"]), (&value!([1]), &value!([0])));
    let many = value!({"free": [3, 0], "size": [4], "placement": [[0, 1]], "failures": 1, "total_hosts": 40});
    let told = pack(many).unwrap();
    assert_eq!(
        (&told["heuristic"], &told["verdict"]),
        (&value!("approx"), &value!("too-few-slots"))
    );
    assert_eq!((&told["needed"], &told["capacity"]), (&value!(1), &value!(0)));
    assert_eq!(
        pack(value!({"free": [1], "size": [1], "failures": 1})).unwrap()["verdict"],
        "too-few-hosts"
    );
    for wrong in [
        value!({"free": [1]}),
        value!({"free": [1], "size": [1], "placement": [[0, 1]]}),
        value!({"free": [1], "size": [1], "placement": [[1, 0]]}),
        value!({"free": [1], "size": [1], "place": [1]}),
        value!({"free": [1, 1], "size": [], "total_hosts": 1}),
        value!({"free": [1], "size": [], "failures": -1}),
        value!({"free": [1], "size": [], "heuristic": "exhaustive"}),
    ] {
        assert_eq!(pack(wrong.clone()).unwrap_err().status, XCP_E_INVALID_INPUT, "{wrong}");
    }
}

#[test]
fn the_steps_of_a_plan_are_held_against_the_world() {
    let world = World::story();
    let (pool, host) = (world.client(c"phantom"), world.client(c"ignite"));
    let pool = Snapshot(pool.snapshot(c"preflight", true).unwrap());
    let own = Snapshot(host.snapshot(c"preflight", true).unwrap());
    let (mut report, mut plan) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: what is used is alive, and freed once.
    unsafe {
        done(|e| xcp_preflight(pool.0, own.0, ptr::null(), &mut report, e)).unwrap();
        done(|e| xcp_plan_join(report, ptr::null(), &mut plan, e)).unwrap();
        xcp_report_free(report);
        let steps = |host: *const xcp_snapshot| {
            let told = json(|out, e| xcp_plan_steps_json(plan, pool.0, host, out, e)).unwrap();
            told["steps"].as_array().unwrap().clone()
        };
        let now = steps(own.0);
        assert_eq!(now.len(), xcp_plan_step_count(plan));
        let shutdown = |steps: &[Value]| {
            steps
                .iter()
                .find(|step| step["summary"].as_str().unwrap().contains("monitor"))
                .unwrap()
                .clone()
        };
        assert_eq!(shutdown(&now)["effect"]["holds"], false, "{:#}", shutdown(&now));
        assert_eq!(shutdown(&now)["side"], "joiner");
        assert!(
            shutdown(&now)["preconditions"]
                .as_array()
                .unwrap()
                .iter()
                .all(|it| it["holds"] == true)
        );
        assert_eq!(shutdown(&steps(ptr::null()))["effect"]["holds"], Value::Null);
        let vm = host.call("VM.get_by_name_label", &value!(["monitor"])).unwrap()[0].clone();
        host.call("VM.hard_shutdown", &value!([vm])).unwrap();
        let later = Snapshot(host.snapshot(c"preflight", true).unwrap());
        assert_eq!(shutdown(&steps(later.0))["effect"]["holds"], true);
        xcp_plan_free(plan);
        let none =
            json(|out, e| xcp_plan_steps_json(ptr::null(), pool.0, own.0, out, e)).unwrap_err();
        assert_eq!(none.message, "plan is NULL");
    }
}

#[test]
fn a_pool_is_told_in_numbers_and_as_it_will_be() {
    let world = World::story();
    let (pool, host) = (world.client(c"phantom"), world.client(c"ignite"));
    let pool = Snapshot(pool.snapshot(c"preflight", true).unwrap());
    let host = Snapshot(host.snapshot(c"preflight", true).unwrap());
    let overview = |snapshot: &Snapshot| {
        // SAFETY: the snapshot is alive.
        json(|out, e| unsafe { xcp_snapshot_overview_json(snapshot.0, out, e) })
    };
    let now = overview(&pool).unwrap();
    assert_eq!(now["master"], "phantom");
    assert_eq!(now["srs"].as_array().unwrap().len(), 6);
    let (mut report, mut after) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the snapshots are alive; the report is freed once.
    let after = unsafe {
        done(|e| xcp_preflight(pool.0, host.0, ptr::null(), &mut report, e)).unwrap();
        let markdown = text(|out, e| xcp_report_consequences_markdown(report, out, e)).unwrap();
        assert!(markdown.starts_with('#'), "{markdown}");
        done(|e| xcp_report_pool_after(report, &mut after, e)).unwrap();
        xcp_report_free(report);
        Snapshot(after)
    };
    let then = overview(&after).unwrap();
    assert_eq!(then["hosts"], value!(["phantom", "ignite"]));
    let refusal = overview(&Snapshot::load(&value!({}))).unwrap_err();
    assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
}
