//! The course of HA in a pool: it is begun, forms a live set, goes on turn by turn, and ends.

use std::time::Duration;

use super::agent;
use super::daemon::{Cause, FenceCause, Verdict};
use super::daemons::Daemons;
use super::pools::{Agent, Duties, Fenced, HaPool, Member, Place};
use crate::election::lock::Proposal;
use crate::election::partition::Timing;
use crate::simulator::life;
use crate::simulator::state::{HostId, Peer, State};

/// Starts the daemons of these hosts; they form a live set with time.
pub(in crate::simulator) fn begin(state: &mut State, mut hosts: Vec<HostId>, timing: Timing) {
    hosts.sort_by_key(|id| state.host(*id).uuid.replace('-', ""));
    let mut daemons = Daemons::new(hosts.len(), timing);
    let members: Vec<Member> = hosts
        .iter()
        .map(|id| Member {
            id: *id,
            peer: Peer::from(state.host(*id).name.as_str()),
            armed: true,
            agent: Agent::Running { look_at: Duration::MAX },
            duties: Duties::default(),
        })
        .collect();
    let pool = state.ha.pools.len();
    for host in 0..members.len() {
        daemons.start(host, state.now);
        let offset = Duration::from_millis(state.random.next() % TURN_MILLIS);
        state.after(offset, move |state| turn(state, Place { pool, host }));
    }
    state.ha.pools.push(Some(HaPool { daemons, members, metadata: None }));
}

/// Whether the daemons that were begun are all in one live set, with this host as master.
pub(in crate::simulator) fn has_formed(state: &mut State, master: HostId) -> bool {
    let Some(place) = state.ha.place(master) else { return false };
    let Some(pool) = state.ha.pool_mut(place) else { return false };
    if (0..pool.members.len()).any(|host| pool.daemons.online(host).is_none()) {
        return false;
    }
    let Some(daemon) = pool.daemons.online_mut(place.host).filter(|it| it.lock_is_clean) else {
        return false;
    };
    match daemon.lock.proposal() {
        Proposal::Granted => {
            pool.daemons.crown(place.host);
            true
        }
        Proposal::Pending => false,
        _ => {
            daemon.lock.propose();
            false
        }
    }
}

/// HA is enabled: every xapi begins to look after its master.
pub(in crate::simulator) fn complete(state: &mut State, master: HostId) {
    let now = state.now;
    if let Some(pool) = state.ha.place(master).and_then(|place| state.ha.pool_mut(place)) {
        for member in &mut pool.members {
            member.agent = Agent::Running { look_at: now + agent::MONITOR };
        }
    }
}

/// Ends HA in the pool of a host; nobody is fenced for that.
pub(in crate::simulator) fn end(state: &mut State, id: HostId) {
    let Some(place) = state.ha.place(id) else { return };
    let Some(pool) = state.ha.pools.get_mut(place.pool).and_then(Option::take) else { return };
    for member in pool.members {
        if member.agent.is_waiting() {
            life::begin_xapi(state, member.id);
        }
    }
}

/// Ends HA on one host, whatever the others think (`Host.emergency_ha_disable`).
pub(in crate::simulator) fn disarm(state: &mut State, id: HostId) {
    let Some(place) = state.ha.place(id) else { return };
    let Some(pool) = state.ha.pool_mut(place) else { return };
    pool.daemons.stop(place.host);
    let member = &mut pool.members[place.host];
    member.armed = false;
    let waiting = member.agent.is_waiting();
    member.agent = Agent::Down;
    if waiting {
        life::begin_xapi(state, id);
    }
}

/// One turn of a host: of its daemon, then of what its xapi has to do with it.
fn turn(state: &mut State, place: Place) {
    let now = state.now;
    let Some(mut pool) = state.ha.pools.get_mut(place.pool).and_then(Option::take) else { return };
    let storage = !state.ha.cut.contains(&pool.members[place.host].id);
    let members = &pool.members;
    let hears = |from: usize, to: usize| state.links.passes(&members[from].peer, &members[to].peer);
    let verdicts = pool.daemons.turn(place.host, now, storage, hears);
    let ids: Vec<HostId> = pool.members.iter().map(|member| member.id).collect();
    state.ha.pools[place.pool] = Some(pool);
    for (host, verdict) in verdicts {
        let name = |host: usize| state.host(ids[host]).name.clone();
        match verdict {
            Verdict::Joined => {}
            Verdict::NotStarted => agent::retry(state, Place { host, ..place }),
            Verdict::Fence(cause) => {
                let cause = match cause {
                    Cause::Lost => FenceCause::Lost,
                    Cause::Requested(by) => FenceCause::Requested { by: name(by) },
                    Cause::Watchdog => FenceCause::Watchdog,
                };
                let host_name = name(host);
                state.ha.fenced.push(Fenced { at: now, host: host_name, cause });
                life::power_off(state, ids[host]);
                life::power_on(state, ids[host]);
            }
        }
    }
    agent::turn(state, place);
    state.after(Duration::from_millis(TURN_MILLIS), move |state| turn(state, place));
}

/// Between two turns of a host.
const TURN_MILLIS: u64 = 500;
