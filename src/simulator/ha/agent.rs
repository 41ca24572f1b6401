//! What a host's xapi has to do with HA: it waits for the daemon, and looks after its master.

use std::time::Duration;

use super::pools::{Agent, Place};
use super::restart;
use crate::election::HostRole;
use crate::election::lock::Proposal;
use crate::simulator::life;
use crate::simulator::state::{HostId, Power, State};

/// A daemon could not start; it is tried again (`xapi_ha.ml:1046-1111`).
pub(super) fn retry(state: &mut State, place: Place) {
    let retry_at = state.now + DAEMON_RETRY;
    set(state, place, Agent::Gate { retry_at });
}

/// What the xapi of a host does at its turn.
pub(super) fn turn(state: &mut State, place: Place) {
    let now = state.now;
    let Some(pool) = state.ha.pool_mut(place) else { return };
    let (agent, id) = (pool.members[place.host].agent, pool.members[place.host].id);
    match agent {
        Agent::Down => {}
        Agent::Gate { retry_at } => {
            if pool.daemons.running[place.host].is_none() && now >= retry_at {
                pool.daemons.start(place.host, now);
            }
            if pool.daemons.online(place.host).is_some() {
                match state.host(id).configured.clone() {
                    HostRole::Slave(master) if is_master(state, place, &master) => {
                        admit(state, place, id);
                    }
                    HostRole::Broken => admit(state, place, id),
                    _ => race(state, place, true),
                }
            }
        }
        Agent::Race { at_gate, retry_at } => go_on_racing(state, place, id, at_gate, retry_at),
        Agent::Running { look_at } if now >= look_at => {
            set(state, place, Agent::Running { look_at: now + MONITOR });
            if state.host(id).power == Power::Running {
                match state.host(id).role.clone() {
                    HostRole::Master => restart::duties(state, place, id),
                    HostRole::Slave(master) if !is_master(state, place, &master) => {
                        race(state, place, false);
                    }
                    _ => {}
                }
            }
        }
        Agent::Running { .. } => {}
    }
}

fn set(state: &mut State, place: Place, agent: Agent) {
    if let Some(pool) = state.ha.pool_mut(place) {
        pool.members[place.host].agent = agent;
    }
}

/// Starts a host's xapi in the role that `pool.conf` says by now.
fn admit(state: &mut State, place: Place, id: HostId) {
    let now = state.now;
    set(state, place, Agent::Running { look_at: now + MONITOR });
    if let Some(pool) = state.ha.pool_mut(place) {
        pool.members[place.host].duties.begin(now);
    }
    life::begin_xapi(state, id);
}

/// Whether the host at an address is master and alive, as far as a host's daemon knows.
fn is_master(state: &State, place: Place, address: &str) -> bool {
    living_master(state, place).is_some_and(|master| state.host(master).address == address)
}

/// The master that is in the live set.
fn living_master(state: &State, place: Place) -> Option<HostId> {
    let pool = state.ha.pool(place)?;
    let daemon = pool.daemons.online(place.host)?;
    let master = daemon.master.filter(|master| daemon.liveset.contains(*master))?;
    Some(pool.members[master].id)
}

fn race(state: &mut State, place: Place, at_gate: bool) {
    let Some(pool) = state.ha.pool_mut(place) else { return };
    let Some(daemon) = pool.daemons.online_mut(place.host).filter(|it| it.lock_is_clean) else {
        return;
    };
    daemon.lock.propose();
    let retry_at = state.now + LOCK_RETRY;
    set(state, place, Agent::Race { at_gate, retry_at });
}

/// Wins, follows the winner, or tries again (`xapi_ha.ml:142-204`).
fn go_on_racing(state: &mut State, place: Place, id: HostId, at_gate: bool, retry_at: Duration) {
    let Some(pool) = state.ha.pool_mut(place) else { return };
    let Some(daemon) = pool.daemons.online(place.host) else { return };
    let role = match daemon.lock.proposal() {
        Proposal::Pending => return,
        Proposal::Granted => {
            pool.daemons.crown(place.host);
            HostRole::Master
        }
        Proposal::None | Proposal::Refused => match living_master(state, place) {
            Some(master) if master != id => HostRole::Slave(state.host(master).address.clone()),
            _ if state.now >= retry_at => return race(state, place, at_gate),
            _ => return,
        },
    };
    let same = state.host(id).role == role;
    state.host_mut(id).configured = role;
    if at_gate {
        admit(state, place, id);
    } else if same {
        set(state, place, Agent::Running { look_at: state.now + MONITOR });
    } else {
        set(state, place, Agent::Down);
        let fuse = state.timings.fuse;
        life::restart_toolstack(state, id, fuse);
    }
}

/// How often xapi looks at the live set (`xapi_globs.ml:743`).
pub(super) const MONITOR: Duration = Duration::from_secs(20);

/// Until a daemon that could not start is started again.
const DAEMON_RETRY: Duration = Duration::from_secs(10);

/// Until a host proposes itself again (`xapi_ha.ml:193`).
const LOCK_RETRY: Duration = Duration::from_secs(5);
