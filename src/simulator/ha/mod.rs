//! HA: hosts that watch each other, fence themselves, elect a master and restart VMs.
//!
//! `pool.enable_ha` starts a daemon on every host of a pool. From then on things happen by
//! themselves, in virtual time and host by host, as they do with the real one:
//!
//! * *Links.* Heartbeats go over the network between hosts ([`Scene::cut`], [`Scene::cut_one_way`]);
//!   the state file is reached over a link of its own ([`Scene::cut_state_file`]). A heartbeat that
//!   gets through one way only counts for neither once a fault is being handled.
//! * *Daemons* (`daemon`, `start`, `fault`). Each keeps its own heartbeat and state-file domain by
//!   the timers of [`Timing`], publishes them in its heartbeats and in its part of the state file
//!   (`statefile`), and handles faults with the others phase by phase. What a host then decides is
//!   [`LocalView::decide`] on the news that this host has received; nobody sees the whole.
//! * *Fencing.* Who loses both survival rules, is asked to by a survivor, or hangs on the state file
//!   for too long, is reset: it boots, and its daemon asks to join again.
//! * *Election* (`agent`). xapi of every member looks every 20 s whether the master is alive. If not
//!   it proposes itself by the [`MasterLock`]: the winner restarts as master with the database
//!   of the highest generation, its own copy or the one that the old master kept on the shared
//!   storage (`redo`); the others follow. A master starts only once it has the lock.
//! * *Restarts* (`restart`). The master writes who is alive, gives up the VMs of the dead, waits after
//!   its own start until all living hosts are enabled again, and restarts protected VMs by the plan
//!   of [`failover`](crate::failover), group by group; then those that are worth an effort.
//!
//! Left out: xapi is not watched by the daemon, weights are all 1, VMs that fail to start are tried
//! once per round and not counted, and a host that cannot reach the state file when HA is disabled
//! learns of it at once.
//!
//! [`LocalView::decide`]: crate::election::partition::LocalView::decide
//! [`MasterLock`]: crate::election::lock::MasterLock
//! [`Scene::cut`]: super::Scene::cut
//! [`Scene::cut_one_way`]: super::Scene::cut_one_way
//! [`Scene::cut_state_file`]: super::Scene::cut_state_file
//! [`Timing`]: crate::election::partition::Timing

mod agent;
mod daemon;
mod daemons;
mod fault;
mod redo;
mod restart;
mod start;
mod statefile;
mod watch;

pub use daemon::FenceCause;
pub use watch::{Fenced, HaState};

pub(super) use agent::{admits, reset_vms};
pub(super) use redo::newer_database;
pub(super) use restart::write_status;
pub(super) use watch::{holds_lock, view};

use std::collections::BTreeSet;
use std::time::Duration;

use self::agent::Agent;
use self::daemon::{Cause, Verdict};
use self::daemons::Daemons;
use self::restart::Duties;
use super::database::Database;
use super::life;
use super::world::{HostId, Peer, State};
use crate::election::lock::Proposal;
use crate::election::partition::Timing;

/// All HA of a world.
#[derive(Default)]
pub(super) struct Ha {
    /// Pools that have it; none where it was disabled.
    pools: Vec<Option<HaPool>>,
    /// Hosts that cannot reach their state file.
    cut: BTreeSet<HostId>,
    fenced: Vec<Fenced>,
}

/// A pool with HA.
struct HaPool {
    daemons: Daemons,
    /// By host index, in the order of uuids.
    members: Vec<Member>,
    /// The copy of the database on the shared storage.
    metadata: Option<Database>,
}

/// A host of an HA pool.
struct Member {
    id: HostId,
    peer: Peer,
    /// Whether its xapi takes HA for enabled (`ha_armed`).
    armed: bool,
    agent: Agent,
    duties: Duties,
}

/// Where a host is: its pool, and its place in it.
#[derive(Clone, Copy)]
struct Place {
    pool: usize,
    host: usize,
}

impl State {
    fn ha_place(&self, id: HostId) -> Option<Place> {
        self.ha.pools.iter().enumerate().find_map(|(pool, it)| {
            let host = it.as_ref()?.members.iter().position(|member| member.id == id)?;
            Some(Place { pool, host })
        })
    }

    fn ha_pool(&self, place: Place) -> Option<&HaPool> {
        self.ha.pools.get(place.pool)?.as_ref()
    }

    fn ha_pool_mut(&mut self, place: Place) -> Option<&mut HaPool> {
        self.ha.pools.get_mut(place.pool)?.as_mut()
    }
}

/// Starts the daemons of these hosts; they form a live set with time.
pub(super) fn begin(state: &mut State, mut hosts: Vec<HostId>, timing: Timing) {
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
pub(super) fn has_formed(state: &mut State, master: HostId) -> bool {
    let Some(place) = state.ha_place(master) else { return false };
    let Some(pool) = state.ha_pool_mut(place) else { return false };
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
pub(super) fn complete(state: &mut State, master: HostId) {
    let now = state.now;
    if let Some(pool) = state.ha_place(master).and_then(|place| state.ha_pool_mut(place)) {
        for member in &mut pool.members {
            member.agent = Agent::Running { look_at: now + agent::MONITOR };
        }
    }
}

/// Ends HA in the pool of a host; nobody is fenced for that.
pub(super) fn end(state: &mut State, id: HostId) {
    let Some(place) = state.ha_place(id) else { return };
    let Some(pool) = state.ha.pools.get_mut(place.pool).and_then(Option::take) else { return };
    for member in pool.members {
        if member.agent.is_waiting() {
            life::begin_xapi(state, member.id);
        }
    }
}

/// Ends HA on one host, whatever the others think (`Host.emergency_ha_disable`).
pub(super) fn disarm(state: &mut State, id: HostId) {
    let Some(place) = state.ha_place(id) else { return };
    let Some(pool) = state.ha_pool_mut(place) else { return };
    pool.daemons.stop(place.host);
    let member = &mut pool.members[place.host];
    member.armed = false;
    let waiting = member.agent.is_waiting();
    member.agent = Agent::Down;
    if waiting {
        life::begin_xapi(state, id);
    }
}

/// Whether a host takes HA for enabled; none if it was never begun in its pool.
pub(super) fn is_armed(state: &State, id: HostId) -> Option<bool> {
    let place = state.ha_place(id)?;
    Some(state.ha_pool(place)?.members[place.host].armed)
}

/// A machine died, and its daemon with it.
pub(super) fn died(state: &mut State, id: HostId) {
    let Some(place) = state.ha_place(id) else { return };
    let agent = state.ha_pool(place).map(|pool| pool.members[place.host].agent);
    if agent.is_some_and(Agent::runs) {
        redo::sync(state, id);
    }
    if let Some(pool) = state.ha_pool_mut(place) {
        pool.daemons.stop(place.host);
        pool.members[place.host].agent = Agent::Down;
    }
}

/// A host is shut down in order: it will not count until it is back (`ha_set_excluded`).
pub(super) fn leave(state: &mut State, id: HostId) {
    let reaches = !state.ha.cut.contains(&id);
    let Some(place) = state.ha_place(id) else { return };
    if let Some(pool) = state.ha_pool_mut(place).filter(|_| reaches) {
        pool.daemons.file.parts[place.host].excluded = true;
    }
}

/// Cuts a host off the state file, or lets it reach that again.
pub(super) fn cut(state: &mut State, id: HostId, cut: bool) {
    if cut {
        redo::sync(state, id);
        state.ha.cut.insert(id);
    } else {
        state.ha.cut.remove(&id);
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
