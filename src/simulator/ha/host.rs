//! What happens to a host, as far as HA has to know: its start, its end, the storage it reaches.

use super::pools::Agent;
use super::redo;
use crate::election::HostRole;
use crate::error::Fault;
use crate::simulator::calls::vm;
use crate::simulator::database::Ref;
use crate::simulator::state::{Call, HostId, Power, State};

/// Whether a host takes HA for enabled, if it was ever begun in its pool.
pub(in crate::simulator) fn is_armed(state: &State, id: HostId) -> Option<bool> {
    let place = state.ha.place(id)?;
    Some(state.ha.pool(place)?.members[place.host].armed)
}

/// Whether a host's xapi may start now; with HA it waits for the daemon, and its turns start it.
pub(in crate::simulator) fn admits(state: &mut State, id: HostId) -> bool {
    let now = state.now;
    let Some(place) = state.ha.place(id) else { return true };
    let Some(pool) = state.ha.pool_mut(place) else { return true };
    let member = &mut pool.members[place.host];
    if !member.armed {
        return true;
    }
    let ran = member.agent.runs();
    member.agent = Agent::Gate { retry_at: now };
    if ran {
        redo::sync(state, id);
    }
    let host = state.host_mut(id);
    host.power = Power::Running;
    host.role = HostRole::Broken;
    host.emergency = Some(Fault::bare("HOST_STILL_BOOTING"));
    false
}

/// A machine died, and its daemon with it.
pub(in crate::simulator) fn died(state: &mut State, id: HostId) {
    let Some(place) = state.ha.place(id) else { return };
    let agent = state.ha.pool(place).map(|pool| pool.members[place.host].agent);
    if agent.is_some_and(Agent::runs) {
        redo::sync(state, id);
    }
    if let Some(pool) = state.ha.pool_mut(place) {
        pool.daemons.stop(place.host);
        pool.members[place.host].agent = Agent::Down;
    }
}

/// A host is shut down in order: it will not count until it is back (`ha_set_excluded`).
pub(in crate::simulator) fn leave(state: &mut State, id: HostId) {
    let reaches = !state.ha.cut.contains(&id);
    let Some(place) = state.ha.place(id) else { return };
    if let Some(pool) = state.ha.pool_mut(place).filter(|_| reaches) {
        pool.daemons.file.parts[place.host].excluded = true;
    }
}

/// Cuts a host off the state file, or lets it reach that again.
pub(in crate::simulator) fn cut(state: &mut State, id: HostId, cut: bool) {
    if cut {
        redo::sync(state, id);
        state.ha.cut.insert(id);
    } else {
        state.ha.cut.remove(&id);
    }
}

/// A host is back after a reboot: nothing runs on it any more.
pub(in crate::simulator) fn reset_vms(state: &mut State, id: HostId, record: &str) {
    if !state.host(id).rebooted || is_armed(state, id) != Some(true) {
        return;
    }
    let call = Call::own(state, id, "VM.power_state_reset");
    for vm in residents(state, id, record) {
        vm::halt(state, &call, &vm).ok();
    }
}

/// The VMs that the database takes to run on a host, control domains left out.
pub(super) fn residents(state: &State, id: HostId, record: &str) -> Vec<Ref> {
    let Ok(database) = state.db(id) else { return Vec::new() };
    let resident = database.object("host", record).map(|host| host.refs("resident_VMs"));
    let resident = resident.unwrap_or_default().into_iter();
    resident.filter(|vm| !database.flag("VM", vm, "is_control_domain")).collect()
}
