//! What is said before hosts leave, restart, or take over.

use xcp_pool::election::{self, PoolEvidence, Reason};
use xcp_pool::model::{Overview, Snapshot};
use xcp_pool::plan::{self, Plan};

use crate::elections::evidence;
use crate::words::Names;
use crate::{Reader, pairs};

/// Reads the plans for each host of a pool.
pub(crate) fn texts(pool: &Snapshot, read: &mut impl FnMut(String)) {
    if let Ok(overview) = Overview::of(pool) {
        read(overview.to_string());
    }
    let mut planned = Vec::new();
    for host in pool.host.refs() {
        planned.extend([plan::eject(pool, host), plan::maintenance(pool, host)]);
    }
    for evidence in evidence(pool) {
        planned.extend(pool.host.refs().map(|host| plan::hand_over(pool, &evidence, host)));
        planned.push(recovery(pool, &evidence));
    }
    for plan in planned {
        match plan {
            Ok(plan) => text(&plan, pool, read),
            Err(error) => read(error.to_string()),
        }
    }
}

fn text(plan: &Plan, pool: &Snapshot, read: &mut impl FnMut(String)) {
    read(plan.to_string());
    if let Err(error) = plan.check() {
        read(error.to_string());
    }
    for step in &plan.steps {
        for condition in step.preconditions().into_iter().chain(step.effect()) {
            read(condition.describe(pool));
        }
    }
    // A plan is also told from a file, where no snapshot is at hand.
    let saved = serde_json::to_string(plan).unwrap();
    let loaded: Plan = serde_json::from_str(&saved).unwrap();
    assert_eq!(loaded.to_string(), plan.to_string());
}

fn recovery(pool: &Snapshot, evidence: &PoolEvidence) -> xcp_pool::Result<Plan> {
    plan::recovery(pool, evidence, &election::emergency(pool, evidence)?)
}

#[test]
fn what_is_planned_is_told_in_words() {
    let mut reader = Reader::default();
    for pair in pairs().into_iter().step_by(2) {
        for mut pool in [pair.pool, pair.joiner] {
            let names = Names::of(&[&pool]);
            texts(&pool, &mut |text| reader.read(&text, &names));
            for (_, record) in pool.pool.iter_mut() {
                record.ha_enabled = !record.ha_enabled;
            }
            for (_, vm) in pool.vm.iter_mut().filter(|(_, vm)| !vm.is_control_domain) {
                vm.ha_restart_priority = "restart".to_owned();
            }
            texts(&pool, &mut |text| reader.read(&text, &names));
        }
    }
    reader.finish(1_000);
}

#[test]
fn what_was_confirmed_stands_in_the_plan() {
    let pair = pairs().remove(1);
    let names = Names::of(&[&pair.pool]);
    let host = pair.pool.host.refs().next().unwrap();
    let mut evidence = PoolEvidence::none();
    evidence.confirmed.extend(Reason::VersionUnknown.confirmation(host));
    let plan = plan::hand_over(&pair.pool, &evidence, host).unwrap().to_string();
    let name = &pair.pool.get(host).unwrap().name_label;
    let wanted = format!("confirmed: no member runs a newer version than {name}\n");
    assert!(plan.contains(&wanted), "{plan}");
    crate::words::assert_words(&plan, &names);
}
