//! What the master does with the live set: who is alive, and which VMs are started again.

use std::collections::VecDeque;
use std::time::Duration;

use super::host::residents;
use super::pools::Place;
use crate::error::Fault;
use crate::failover::{self, Planner, PoolStatus, StartGroup};
use crate::simulator::calls::{capacity, vm};
use crate::simulator::database::{Database, Ref, Value};
use crate::simulator::evidence;
use crate::simulator::state::{Call, HostId, State};

/// A look of the master at the live set (`xapi_ha.ml:510-817`).
pub(super) fn duties(state: &mut State, place: Place, id: HostId) {
    if state.host(id).emergency.is_some() || state.db(id).is_err() {
        return;
    }
    let Some(pool) = state.ha.pool(place) else { return };
    let Some(daemon) = pool.daemons.online(place.host) else { return };
    let living: Vec<(HostId, bool)> = pool
        .members
        .iter()
        .enumerate()
        .map(|(host, member)| (member.id, daemon.liveset.contains(host)))
        .collect();
    let mut waits = false;
    for (host, alive) in living {
        let uuid = state.host(host).uuid.clone();
        let Ok(database) = state.db_mut(id) else { return };
        let Some(record) = database.by_uuid("host", &uuid) else { continue };
        let was = database.flag("host_metrics", &database.text("host", &record, "metrics"), "live");
        capacity::set_live(database, &record, alive);
        waits |= alive && !database.flag("host", &record, "enabled");
        if !alive {
            if was {
                tell(state, id, "HA_HOST_FAILED", "Host", &uuid);
            }
            give_up_vms(state, place, id, &record);
        }
    }
    let now = state.now;
    let Some(pool) = state.ha.pool_mut(place) else { return };
    let duties = &mut pool.members[place.host].duties;
    waits &= duties.patience.is_some_and(|patience| now < patience);
    if waits || duties.starting {
        return;
    }
    duties.patience = None;
    let generation = state.db(id).map(Database::generation).ok();
    if let Some(pool) = state.ha.pool_mut(place) {
        let duties = &mut pool.members[place.host].duties;
        if std::mem::replace(&mut duties.planned, generation) == generation {
            return;
        }
    }
    plan(state, place, id);
}

/// The VMs of a dead host are off.
fn give_up_vms(state: &mut State, place: Place, id: HostId, record: &str) {
    let call = Call::own(state, id, "VM.power_state_reset");
    for lost in residents(state, id, record) {
        let effort = state.db(id).is_ok_and(|database| {
            *database.text("VM", &lost, "ha_restart_priority") == *"best-effort"
        });
        if vm::halt(state, &call, &lost).is_ok() && effort {
            if let Some(pool) = state.ha.pool_mut(place) {
                pool.members[place.host].duties.best_effort.insert(lost);
            }
        }
    }
}

/// Plans for what is off and should run, and for the next failure.
fn plan(state: &mut State, place: Place, id: HostId) {
    let Ok(database) = state.db(id) else { return };
    let Some(snapshot) = evidence::snapshot(database, failover::CLASSES) else { return };
    let Ok(planner) = Planner::new(&snapshot) else { return };
    let status = planner.updated_status();
    // A planner that raises plans nothing.
    let groups = planner.failure(&[]).map(|outcome| outcome.groups).unwrap_or_default();
    let mut groups: VecDeque<StartGroup> = groups.into();
    groups.retain(|group| !group.starts.is_empty());
    write_status(state, id, &status);
    if let Some(pool) = state.ha.pool_mut(place) {
        pool.members[place.host].duties.starting = true;
    }
    let call = Call::own(state, id, "VM.start");
    start_group(state, place, call, groups);
}

/// Writes what the planner found to the pool.
pub(in crate::simulator) fn write_status(state: &mut State, id: HostId, status: &PoolStatus) {
    let pool = state.pool(id);
    let Ok(database) = state.db_mut(id) else { return };
    for (field, value) in [
        ("ha_host_failures_to_tolerate", Value::Int(status.ha_host_failures_to_tolerate)),
        ("ha_plan_exists_for", Value::Int(status.ha_plan_exists_for)),
        ("ha_overcommitted", Value::Bool(status.ha_overcommitted)),
    ] {
        if database.get("pool", &pool, field) != value {
            database.set("pool", &pool, field, value).ok();
        }
    }
}

/// Starts a group of VMs together, then the next, then those that are worth an effort
/// (`xapi_ha_vm_failover.ml:1500-1689`).
fn start_group(state: &mut State, place: Place, call: Call, mut groups: VecDeque<StartGroup>) {
    let Some(group) = groups.pop_front() else {
        return start_best_effort(state, place, &call);
    };
    let time = state.timings.start;
    let delay = Duration::from_secs(u64::try_from(group.delay).unwrap_or(0));
    state.after(time, move |state| {
        if state.host(call.host).incarnation != call.incarnation {
            return;
        }
        for start in &group.starts {
            let host = start.host.as_ref().map(|host| Ref::from(host.text()));
            let vm = Ref::from(start.vm.text());
            if vm::start_now(state, &call, &vm, host).is_err() {
                let uuid = state.db(call.host).map(|database| database.text("VM", &vm, "uuid"));
                let uuid = uuid.unwrap_or_default();
                tell(state, call.host, "HA_PROTECTED_VM_RESTART_FAILED", "VM", &uuid);
            }
        }
        state.after(delay, move |state| {
            if state.host(call.host).incarnation == call.incarnation {
                start_group(state, place, call, groups);
            }
        });
    });
}

fn start_best_effort(state: &mut State, place: Place, call: &Call) {
    let Some(pool) = state.ha.pool_mut(place) else { return };
    let duties = &mut pool.members[place.host].duties;
    duties.starting = false;
    for lost in std::mem::take(&mut duties.best_effort) {
        vm::start_now(state, call, &lost, None).ok();
    }
}

/// Leaves a message to the administrator.
fn tell(state: &mut State, id: HostId, name: &str, class: &str, uuid: &str) {
    let (message, own) = (state.random.reference(), state.random.uuid());
    let values = [
        ("uuid", Value::text(own)),
        ("name", Value::text(name)),
        ("priority", Value::Int(3)),
        ("cls", Value::text(class)),
        ("obj_uuid", Value::text(uuid)),
        ("timestamp", Value::Date(state.date())),
        ("body", Value::text("")),
    ];
    let told: Result<(), Fault> =
        state.db_mut(id).and_then(|database| database.create("message", &message, values));
    // A master without a database tells nobody.
    told.ok();
}
