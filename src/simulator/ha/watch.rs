//! HA as it can be watched from outside.

use std::time::Duration;

use super::daemon::FenceCause;
use crate::election::HostSet;
use crate::simulator::world::{HostId, State};

/// A host that was fenced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fenced {
    /// When, since the world began.
    pub at: Duration,
    /// The host's name.
    pub host: String,
    /// Why.
    pub cause: FenceCause,
}

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

/// What HA is to a host; none if its pool has none.
pub(in crate::simulator) fn view(state: &State, id: HostId) -> Option<HaState> {
    let place = state.ha_place(id)?;
    let pool = state.ha_pool(place)?;
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
    let Some(place) = state.ha_place(id) else { return false };
    let daemon = state.ha_pool(place).and_then(|pool| pool.daemons.online(place.host));
    daemon.is_some_and(|daemon| daemon.lock.holder() == Some(place.host))
}

impl super::Ha {
    /// All hosts that were fenced, in order.
    pub fn fenced(&self) -> &[Fenced] {
        &self.fenced
    }
}
