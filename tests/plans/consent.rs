//! Consent covers the losses that were shown, by the steps of the plan that it was given to.

use serde_json::{Value, json};
use xcp_pool::ErrorKind;
use xcp_pool::actions::Loss;
use xcp_pool::plan::{Consent, Plan};

/// Deletes a VM with its disk before a join.
fn plan() -> Value {
    let object = |class: &str, name: &str, n: u32| json!({"class": class, "ref": format!("OpaqueRef:{n}"), "uuid": format!("uuid-{n}"), "name": name});
    let act = |action: Value, destroys: Value| json!({"side": "joiner", "work": {"work": "act", "action": action}, "summary": "", "because": ["running-vms"], "destroys": destroys});
    json!({
        "schema": 1,
        "purpose": {"kind": "join", "options": {}},
        "pool": {"uuid": "uuid-pool", "name": "lab"},
        "host": {"uuid": "uuid-host", "name": "ignite"},
        "steps": [
            act(json!({"action": "vm-hard-shutdown", "vm": "OpaqueRef:1"}),
                json!([{"kind": "memory", "object": object("VM", "web", 1), "bytes": 1000}])),
            act(json!({"action": "vm-destroy", "vm": "OpaqueRef:1"}),
                json!([{"kind": "vm", "object": object("VM", "web", 1), "bytes": null}])),
            act(json!({"action": "vdi-destroy", "vdi": "OpaqueRef:2"}),
                json!([{"kind": "vdi", "object": object("VDI", "root", 2), "bytes": 1000}])),
        ],
        "unsolved": [],
    })
}

fn load(plan: &Value) -> Plan {
    serde_json::from_value(plan.clone()).unwrap()
}

fn given(plan: &Plan) -> Consent {
    Consent::to(plan, plan.losses_digest()).unwrap()
}

/// Whether a consent covers what a plan would destroy.
fn covers(consent: &Consent, plan: &Plan) -> bool {
    plan.steps.iter().all(|step| consent.missing(plan, step, &step.destroys).is_empty())
}

/// The plan with another value somewhere.
fn with(at: &str, value: Value) -> Value {
    let mut plan = plan();
    *plan.pointer_mut(at).unwrap_or_else(|| panic!("no {at}")) = value;
    plan
}

#[test]
fn a_plan_that_is_run_again_needs_no_new_consent() {
    let first = load(&plan());
    let consent = given(&first);
    assert!(covers(&consent, &first));
    assert!(covers(&consent, &load(&serde_json::to_value(&first).unwrap())));
    assert!(!covers(&Consent::to_nothing(), &first));
}

#[test]
fn what_is_left_after_a_part_was_done_is_covered() {
    let mut rest = plan();
    rest["steps"].as_array_mut().unwrap().remove(0);
    assert!(covers(&given(&load(&plan())), &load(&rest)));
}

#[test]
fn words_around_the_losses_do_not_ask_for_new_consent() {
    let consent = load(&plan()).losses_digest();
    for other in [with("/steps/0/summary", json!("else")), with("/host/name", json!("else"))] {
        assert_eq!(load(&other).losses_digest(), consent);
        assert_ne!(load(&other).digest(), load(&plan()).digest());
    }
}

#[test]
fn other_losses_and_other_deeds_are_not_covered() {
    let mut others = vec![
        with("/pool/uuid", json!("uuid-other")),
        with("/host/uuid", json!("uuid-other")),
        with("/purpose", json!({"kind": "maintenance", "moves": []})),
        with("/steps/2/side", json!("pool")),
        with("/steps/2/work/action/vdi", json!("OpaqueRef:3")),
        with("/steps/1/work/action", json!({"action": "vm-hard-shutdown", "vm": "OpaqueRef:1"})),
        with("/steps/2/destroys/0/kind", json!("sr-content")),
        with("/steps/2/destroys/0/bytes", json!(1001)),
        with("/steps/2/destroys/0/bytes", json!(null)),
        with("/steps/1/destroys/0/bytes", json!(0)),
    ];
    for field in ["class", "ref", "uuid", "name"] {
        others.push(with(&format!("/steps/2/destroys/0/object/{field}"), json!("else")));
    }
    let (first, consent) = (load(&plan()), given(&load(&plan())));
    for other in others {
        let other = load(&other);
        assert!(!covers(&consent, &other), "{other}");
        assert_ne!(first.losses_digest(), other.losses_digest(), "{other}");
        let error = Consent::to(&other, first.losses_digest()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
    }
}

#[test]
fn a_loss_that_grew_is_not_covered_and_one_that_shrank_is() {
    let consent = given(&load(&plan()));
    let disk = |bytes: u64| load(&with("/steps/2/destroys/0/bytes", json!(bytes)));
    assert!(!covers(&consent, &disk(1001)));
    assert!(covers(&consent, &disk(999)));
}

#[test]
fn how_much_memory_a_vm_uses_says_nothing_of_what_it_would_lose() {
    let consent = given(&load(&plan()));
    for bytes in [json!(1), json!(1_i64 << 40), json!(null)] {
        assert!(covers(&consent, &load(&with("/steps/0/destroys/0/bytes", bytes))));
    }
}

#[test]
fn no_choice_of_names_makes_one_loss_pass_for_another() {
    // The words of one loss, put together otherwise, with whatever might separate them.
    let step = plan()["steps"][2].clone();
    let loss = |class: &str, reference: &str, uuid: &str, name: &str| -> Loss {
        let object = json!({"class": class, "ref": reference, "uuid": uuid, "name": name});
        serde_json::from_value(json!({"kind": "vdi", "object": object, "bytes": 1})).unwrap()
    };
    let mut losses = Vec::new();
    for gap in ["", " ", ",", ":", "\n", "\0", "\u{ff}", "1:", "\n3:"] {
        let two = |a: &str, b: &str| format!("{a}{gap}{b}");
        losses.push(loss(&two("a", "b"), "c", "d", "e"));
        losses.push(loss("a", &two("b", "c"), "d", "e"));
        losses.push(loss("a", "b", &two("c", "d"), "e"));
        losses.push(loss("a", "b", "c", &two("d", "e")));
        losses.push(loss(&two("a", &two("b", "c")), "", "d", "e"));
        losses.push(loss("a", "", &two("b", "c"), &two("d", "e")));
    }
    for (n, loss) in losses.iter().enumerate() {
        let mut step = step.clone();
        step["destroys"] = json!([loss]);
        let plan = load(&with("/steps", json!([step])));
        let consent = given(&plan);
        for (other_n, other) in losses.iter().enumerate() {
            let missing = consent.missing(&plan, &plan.steps[0], std::slice::from_ref(other));
            assert_eq!(missing.is_empty(), n == other_n, "{loss:?} {other:?}");
        }
    }
}
