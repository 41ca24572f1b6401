//! Remedies remove what they are for, and nothing else, on worlds that were made up.
//!
//! The simulator makes the calls; whatever way out of a finding is chosen. `XCP_POOL_CASES` sets how
//! many worlds are tried.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::simulated::{JOINER, MASTER, cases, editions, simulated, snapshot};
use crate::support::{Caller, raw};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use xcp_pool::actions::Side;
use xcp_pool::actions::{Action, Param};
use xcp_pool::model::{Ref, Snapshot, Sr, Vdi, VdiType};
use xcp_pool::plan::{self, Choices, Plan, Step, Work};
use xcp_pool::preflight::arbitrary::{Offence, Size, World, world};
use xcp_pool::preflight::{Options, Policy, Report, evaluate_with};
use xcp_pool::simulator;

/// Both sides as their servers show them.
#[derive(Clone)]
struct Sides {
    pool: Snapshot,
    joiner: Snapshot,
}

impl Sides {
    fn of(world: &simulator::World) -> Self {
        Self { pool: snapshot(world, MASTER), joiner: snapshot(world, JOINER) }
    }

    fn side(&self, side: Side) -> &Snapshot {
        if side == Side::Pool { &self.pool } else { &self.joiner }
    }

    fn report(&self, options: &Options) -> Report {
        evaluate_with(&self.pool, &self.joiner, options)
    }

    fn plan(&self, options: &Options, report: &Report, pick: usize) -> Plan {
        let mut choices = Choices::new();
        for finding in report.findings() {
            let ways = &finding.remedy.choices;
            if !ways.is_empty() {
                let way = ways[pick % ways.len()].code;
                choices = choices.choose(finding.rule.as_str(), way).unwrap();
            }
        }
        plan::join(&self.pool, &self.joiner, options, report, &choices).unwrap()
    }

    /// What would be missed: VMs, disks, storage, networks and certificates, by uuid.
    fn belongings(&self) -> BTreeSet<(&'static str, String)> {
        let mut all = BTreeSet::new();
        for side in [&self.pool, &self.joiner] {
            all.extend(side.vm.records().map(|vm| ("VM", vm.uuid.to_string())));
            all.extend(side.vdi.records().map(|vdi| ("VDI", vdi.uuid.to_string())));
            all.extend(side.sr.records().map(|sr| ("SR", sr.uuid.to_string())));
            all.extend(side.network.records().map(|network| ("network", network.uuid.to_string())));
            let certificates = side.certificate.records();
            all.extend(certificates.map(|one| ("Certificate", one.uuid.to_string())));
        }
        all
    }
}

fn action(step: &Step) -> Option<&Action> {
    match &step.work {
        Work::Act { action } => Some(action),
        _ => None,
    }
}

/// Makes the call of an action, and waits for its effect; both sides afterwards.
fn perform(world: &simulator::World, action: &Action) -> Sides {
    let at = |side: Side| Caller::login(world, if side == Side::Pool { MASTER } else { JOINER });
    let call = |caller: &Caller, method: &str, params: &[Param], prelude: Json| {
        let mut all = vec![json!(caller.session)];
        all.extend(params.iter().map(|param| match param {
            Param::Prelude => prelude.clone(),
            param => json!(param),
        }));
        raw(&caller.transport, &caller.host, method, Json::Array(all))
            .unwrap_or_else(|failed| panic!("{action:?}: {failed:?}"))
    };
    let prelude = action.prelude().map_or(Json::Null, |prelude| {
        call(&at(prelude.side), prelude.method, &prelude.params, Json::Null)
    });
    if let Some(method) = action.method() {
        call(&at(action.side()), method, &action.params(), prelude);
    }
    for _ in 0..100 {
        let now = Sides::of(world);
        if action.effect().holds(now.side(action.side())) == Some(true) {
            return now;
        }
        world.advance(Duration::from_secs(10));
    }
    panic!("{action:?} had no effect");
}

fn check(world: &World, documented: bool, pick: usize) {
    let simulated = simulated(world);
    let mut options = world.options.clone();
    options.evidence.editions = Some(editions());
    if documented {
        options.policy = Policy::documented();
    }
    let evidence = |options: &mut Options| {
        options.evidence.joiner_bridge_backend = simulated.network_backend(JOINER);
    };
    evidence(&mut options);
    let before = Sides::of(&simulated);
    let report = before.report(&options);
    let plan = before.plan(&options, &report, pick);
    let mut after = before.clone();
    for action in plan.steps.iter().filter_map(action) {
        let side = after.side(action.side());
        if action.effect().holds(side) == Some(true) {
            continue;
        }
        for condition in action.preconditions() {
            assert_eq!(condition.holds(side), Some(true), "{action:?} needs {condition:?}");
        }
        after = perform(&simulated, action);
    }

    evidence(&mut options);
    let second = after.report(&options);
    let by_person: BTreeSet<_> = plan.unsolved.iter().map(|left| left.rule.as_str()).collect();
    for left in second.blockers() {
        assert!(by_person.contains(left.rule.as_str()), "{left}\nis left after\n{plan}");
    }
    let again = after.plan(&options, &second, pick);
    let acts = again.steps.iter().filter_map(action).count();
    assert_eq!(acts, 0, "planned once more after\n{plan}\n{again}");

    let agreed: BTreeSet<_> = plan.losses().map(|loss| loss.object.uuid.to_string()).collect();
    let acts: Vec<_> = plan.steps.iter().filter_map(action).collect();
    let joiner = &before.joiner;
    let forgotten = |sr: &Ref<Sr>| {
        acts.iter().any(|act| matches!(act, Action::SrForget { sr: gone } if gone == sr))
    };
    let moved = |vdi: &Ref<Vdi>| {
        acts.iter().any(|act| match act {
            Action::VmMigrateToPool { vdi_map, .. } => vdi_map.contains_key(vdi),
            _ => false,
        })
    };
    // Storage that is forgotten keeps its disks; disks that move get new names; the memory of a VM
    // that resumes needs no disk.
    let excused = |uuid: &str| {
        let sr = joiner.sr.by_uuid(&uuid.into());
        let vdi = joiner.vdi.by_uuid(&uuid.into());
        sr.is_some_and(|(sr, _)| forgotten(sr))
            || vdi.is_some_and(|(reference, vdi)| {
                forgotten(&vdi.SR) || moved(reference) || vdi.r#type == VdiType::Suspend
            })
    };
    let kept = after.belongings();
    for (class, uuid) in before.belongings() {
        let there = kept.contains(&(class, uuid.clone()));
        let excused = agreed.contains(&uuid) || excused(&uuid);
        assert!(there || excused, "{class} {uuid} is gone without consent after\n{plan}");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn remedies_remove_what_they_are_for_and_nothing_else(
        world in world(), documented in any::<bool>(), pick in 0..4_usize,
    ) {
        check(&world, documented, pick);
    }
}

#[test]
fn the_remedies_of_each_offence_remove_it() {
    let size = Size { hosts: 2, nics: 2, vms: 2, srs: 1 };
    let mut wrong = Vec::new();
    for offence in Offence::ALL {
        for (documented, pick) in (0..4).flat_map(|pick| [(false, pick), (true, pick)]) {
            let world = World::new(size, [*offence]);
            let tried = std::panic::catch_unwind(|| check(&world, documented, pick));
            if let Err(panic) = tried {
                let text = panic.downcast::<String>().map_or_else(|_| String::new(), |text| *text);
                wrong.push(format!("{offence:?}, documented {documented}, {pick}: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
