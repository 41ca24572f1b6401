//! HA as it can be watched from outside.

use crate::election::HostSet;
use crate::simulator::state::{HostId, State};

/// What HA is to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HaState {
    /// Whether its xapi takes HA for enabled.
    pub armed: bool,
    /// Whether its daemon is in a live set.
    pub online: bool,
    /// Its live set: names of hosts, in the order of their uuids.
    pub live_set: Vec<String>,
    /// The hosts that it hears, itself included.
    pub hears: Vec<String>,
    /// The hosts that it sees writing to the state file.
    pub sees: Vec<String>,
    /// Whether it handles a fault.
    pub handles_fault: bool,
    /// Whether it lives although nobody has storage.
    pub without_storage: bool,
    /// Whether it holds the master lock, as far as it knows.
    pub holds_lock: bool,
    /// Who is master, as the state file said last.
    pub master: Option<String>,
}

/// What HA is to a host, if its pool has it.
pub(in crate::simulator) fn view(state: &State, id: HostId) -> Option<HaState> {
    let place = state.ha.place(id)?;
    let pool = state.ha.pool(place)?;
    let armed = pool.members[place.host].armed;
    let Some(daemon) = &pool.daemons.running[place.host] else {
        return Some(HaState { armed, ..HaState::default() });
    };
    let name = |host: usize| pool.members.get(host).map(|it| state.host(it.id).name.clone());
    let names = |hosts: HostSet| hosts.iter().filter_map(name).collect();
    let online = daemon.is_online();
    Some(HaState {
        armed,
        online,
        live_set: names(daemon.liveset),
        hears: names(daemon.domains.hb),
        sees: names(daemon.domains.sf),
        handles_fault: daemon.handling.is_some(),
        without_storage: daemon.rule2,
        holds_lock: holds_lock(state, id),
        master: daemon.master.and_then(name),
    })
}

/// Whether a host holds the master lock, as far as it knows.
pub(in crate::simulator) fn holds_lock(state: &State, id: HostId) -> bool {
    let Some(place) = state.ha.place(id) else { return false };
    let daemon = state.ha.pool(place).and_then(|pool| pool.daemons.online(place.host));
    daemon.is_some_and(|daemon| daemon.lock.holder() == Some(place.host))
}
