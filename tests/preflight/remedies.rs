//! Remedies remove what they are for, and nothing else, on worlds that were made up.
//!
//! The simulator makes the calls; whatever way out of a finding is chosen. `XCP_POOL_CASES` sets how
//! many worlds are tried.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::actions;
use crate::simulated::{JOINER, MASTER, cases, editions, simulated, snapshot};
use crate::support::{Caller, raw};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use xcp_pool::actions::{Action, Argument, Side};
use xcp_pool::model::{Ref, Snapshot, Sr, Vdi, VdiType};
use xcp_pool::plan::{Choices, Plan, Step, Work};
use xcp_pool::preflight::arbitrary::{JoinCase, Offence, Size, join_case};
use xcp_pool::preflight::{Options, Report, evaluate};
use xcp_pool::rules::Policy;
use xcp_pool::simulator::database::{Database, Value};
use xcp_pool::simulator::{self, PoolSpec, Release};

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
        evaluate(self.pool.clone(), self.joiner.clone(), options)
    }

    /// Picks a way for all that stands in the way, or for everything that has one.
    fn plan(report: &Report, pick: usize, everything: bool) -> Plan {
        let mut choices = Choices::new();
        for finding in report.findings() {
            let ways = &finding.remedy.choices;
            let asked = everything || finding.stops() || finding.leaves_open();
            if asked && !ways.is_empty() {
                let way = ways[pick % ways.len()].code;
                choices = choices.choose(finding.rule.as_str(), way).unwrap();
            }
        }
        report.plan(&choices).unwrap()
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

/// Makes a call, and before it those whose results are its parameters.
fn call(world: &simulator::World, side: Side, method: &str, arguments: &[Argument]) -> Json {
    let caller = Caller::login(world, if side == Side::Pool { MASTER } else { JOINER });
    let mut all = vec![json!(caller.session)];
    all.extend(arguments.iter().map(|argument| match argument {
        Argument::ResultOf { side, method, arguments } => call(world, *side, method, arguments),
        argument => json!(argument),
    }));
    raw(&caller.transport, &caller.host, method, Json::Array(all))
        .unwrap_or_else(|failed| panic!("{method} {arguments:?}: {failed:?}"))
}

/// Makes the call of an action, and waits for its effect; both sides afterwards.
fn perform(world: &simulator::World, action: &Action) -> Sides {
    if let Some(method) = action.method() {
        call(world, action.side(), method, &action.arguments());
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

/// What the preflight is asked about a world.
fn options(world: &JoinCase, documented: bool) -> Options {
    let mut options = world.options.clone();
    options.evidence.editions = Some(editions());
    if documented {
        options.policy = Policy::documented();
    }
    options
}

fn check(world: &JoinCase, documented: bool, everything: bool, pick: usize) {
    let simulated = simulated(world);
    let mut options = options(world, documented);
    let evidence = |options: &mut Options| {
        options.evidence.joiner_bridge_backend = simulated.network_backend(JOINER);
    };
    evidence(&mut options);
    let before = Sides::of(&simulated);
    let report = before.report(&options);
    let plan = Sides::plan(&report, pick, everything);
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
    let again = Sides::plan(&second, pick, everything);
    let done: Vec<_> = plan.steps.iter().filter_map(action).collect();
    // A VM that was shut down is one more that is off, for which something else may be asked.
    let more = |action: &&Action| !everything || done.contains(action);
    let acts = again.steps.iter().filter_map(action).filter(more).count();
    assert_eq!(acts, 0, "planned once more after\n{plan}\n{again}");

    let agreed: BTreeSet<_> = plan.losses().map(|loss| loss.object.uuid.clone()).collect();
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
        world in join_case(), documented in any::<bool>(), everything in any::<bool>(),
        pick in 0..4_usize,
    ) {
        check(&world, documented, everything, pick);
    }
}

/// Does what can be taken back, takes it back and does it again; both sides afterwards.
fn to_and_fro(world: &simulator::World, action: &Action) -> Sides {
    let done = perform(world, action);
    let Some(undo) = action.undo() else { return done };
    for condition in undo.preconditions() {
        assert_eq!(condition.holds(done.side(undo.side())), Some(true), "{undo:?}");
    }
    let back = perform(world, &undo);
    let side = back.side(action.side());
    assert_eq!(action.effect().holds(side), Some(false), "{action:?} is not taken back");
    for condition in action.preconditions() {
        assert_eq!(condition.holds(side), Some(true), "{condition:?} after {undo:?}");
    }
    perform(world, action)
}

fn take_back(world: &JoinCase, pick: usize, taken_back: &mut BTreeSet<String>) {
    let simulated = simulated(world);
    // A host goes back only to an edition that it knows.
    let editions = |database: &mut Database| {
        for host in database.refs("host") {
            let own = database.text("host", &host, "edition");
            let known = [own.as_ref(), "xcp-ng"].map(Value::text);
            database.set("host", &host, "editions", Value::Set(known.into()))?;
        }
        Ok(())
    };
    simulated.act(|scene| scene.edit(JOINER, editions)).unwrap();
    let mut options = options(world, false);
    options.evidence.joiner_bridge_backend = simulated.network_backend(JOINER);
    let mut now = Sides::of(&simulated);
    let plan = Sides::plan(&now.report(&options), pick, false);
    let is_new =
        |action: &Action| action.undo().is_some() && !taken_back.contains(&actions::name(action));
    if !plan.steps.iter().filter_map(action).any(is_new) {
        return;
    }
    for action in plan.steps.iter().filter_map(action) {
        if action.effect().holds(now.side(action.side())) == Some(true) {
            continue;
        }
        now = match action {
            // HA is but a flag in these worlds, without storage to keep its state on, and a host is
            // disabled for the reboot without which XAPI does not enable it.
            Action::PoolDisableHa { .. } | Action::HostDisable { .. } => {
                perform(&simulated, action)
            }
            _ => to_and_fro(&simulated, action),
        };
        if action.undo().is_some() {
            taken_back.insert(actions::name(action));
        }
    }
}

#[test]
fn what_is_taken_back_is_as_it_was_and_can_be_done_again() {
    let size = Size { hosts: 2, nics: 2, vms: 2, srs: 1 };
    let mut taken_back = BTreeSet::new();
    for offence in Offence::ALL {
        for pick in 0..4 {
            take_back(&JoinCase::new(size, [*offence]), pick, &mut taken_back);
        }
    }
    let all = actions::samples().into_iter().filter(|action| action.undo().is_some());
    assert_eq!(taken_back, all.map(|action| actions::name(&action)).collect());
}

#[test]
fn a_host_is_enabled_again_and_ha_with_the_storage_and_configuration_that_it_had() {
    let pool = |name, host, address| {
        PoolSpec::new(name, Release::XcpNg83).shared_sr("NFS", "nfs").host(host, address)
    };
    let world = simulator::World::builder()
        .pool(pool("pool", MASTER, "10.0.0.1").host("host-1", "10.0.0.2"))
        .pool(pool("alone", JOINER, "10.0.0.3"))
        .build()
        .unwrap();
    let now = Sides::of(&world);
    let (pool, _) = now.pool.the_pool().unwrap();
    let (nfs, _) = now.pool.sr.iter().find(|(_, sr)| sr.name_label == "NFS").unwrap();
    let (side, pool) = (Side::Pool, pool.clone());
    let (heartbeat_srs, configuration) = (vec![nfs.clone()], BTreeMap::new());
    let on = Action::PoolEnableHa {
        side,
        pool: pool.clone(),
        heartbeat_srs: heartbeat_srs.clone(),
        configuration: configuration.clone(),
    };
    let off = Action::PoolDisableHa { side, pool, heartbeat_srs, configuration };
    assert_eq!(off.undo().as_ref(), Some(&on));
    let (host, _) = now.pool.host.iter().find(|(_, host)| host.hostname == "host-1").unwrap();
    to_and_fro(&world, &Action::HostDisable { side, host: host.clone() });
    let before = perform(&world, &on);
    to_and_fro(&world, &off);
    let after = perform(&world, &on);
    let ha = |sides: &Sides| {
        let pool = sides.pool.the_pool().unwrap().1;
        (pool.ha_enabled, pool.ha_statefiles.len(), pool.ha_configuration.clone())
    };
    assert_eq!(ha(&before), ha(&after));
}

#[test]
fn the_remedies_of_each_offence_remove_it() {
    let size = Size { hosts: 2, nics: 2, vms: 2, srs: 1 };
    let mut wrong = Vec::new();
    for offence in Offence::ALL {
        let asked = [(false, false), (false, true), (true, false)];
        let all =
            (0..4).flat_map(|pick| asked.map(|(documented, every)| (documented, every, pick)));
        for (documented, everything, pick) in all {
            let world = JoinCase::new(size, [*offence]);
            let tried = std::panic::catch_unwind(|| check(&world, documented, everything, pick));
            if let Err(panic) = tried {
                let text = panic.downcast::<String>().map_or_else(|_| String::new(), |text| *text);
                let asked = format!("documented {documented}, everything {everything}, {pick}");
                wrong.push(format!("{offence:?}, {asked}: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
