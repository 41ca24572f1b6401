//! A world as its user holds it: a lock around its state, and how time passes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::scene::{Scene, unknown};
use crate::election::HostRole;
use crate::error::{Fault, Result};
use crate::simulator::calls;
use crate::simulator::database::Database;
use crate::simulator::ha::{self, Fenced, HaState};
use crate::simulator::state::{Host, HostId, Injection, Power, RealTime, State};
use crate::transport::Cancel;

/// Hosts that answer XAPI calls, in memory.
///
/// A clone is another handle on the same world. A world is deterministic: the same calls in the
/// same order give the same answers, ids and dates included. Time passes only when somebody waits:
/// each request takes a moment, calls that take time take it, and
/// [sleeping](crate::transport::Clock::sleep) on the world's clock moves it. What becomes due on
/// the way (restarts, heartbeats, background tasks, [acts](Self::after)) happens on the way.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use xcp_pool::simulator::{Injection, Trouble, World};
///
/// let world = World::story(1);
/// assert_eq!(world.count("phantom", "SR"), 6);
///
/// // From here on, the network between tool and Ignite swallows the first reply of all.
/// world.trouble(Injection::new(Trouble::LoseReply).host("ignite"));
/// // In ten minutes somebody trips over a cable.
/// world.after(Duration::from_secs(600), |world| world.power_off("phantom"));
/// let transport = world.transport();
/// ```
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
}

/// What all handles on a world share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether time passes only by [`World::advance`].
    driven: bool,
}

impl World {
    /// A world that begins in a state; a driven one goes on by [`advance`](Self::advance) alone.
    pub(super) fn begin(state: State, driven: bool) -> Self {
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new(), driven };
        Self { shared: Arc::new(shared) }
    }

    /// The methods that hosts carry out, each with what it does.
    ///
    /// What every class has comes on top: records, getters, setters, queries. All other methods of
    /// the datamodel raise `NOT_IMPLEMENTED [method]`.
    pub fn methods() -> impl Iterator<Item = (&'static str, &'static str)> {
        calls::methods()
    }

    /// The time since the world began.
    pub fn now(&self) -> Duration {
        self.state().now
    }

    /// Lets time pass; everything that becomes due happens.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        if let Some(real) = &mut state.real {
            real.leap(time);
        }
        let until = state.now.saturating_add(time);
        state.run_until(until);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Does the next thing that is due by then, and returns whether there was one.
    ///
    /// `while world.step(until) { … }` looks at the world after every single event.
    pub fn step(&self, until: Duration) -> bool {
        let any = self.state().step(until);
        self.shared.changed.notify_all();
        any
    }

    /// Has something done after a time, whatever else is going on then.
    pub fn after(&self, delay: Duration, act: impl FnOnce(&mut Scene<'_>) + Send + 'static) {
        self.state().after(delay, move |state| act(&mut Scene { state }));
    }

    /// Does something to the world now.
    pub fn act<T>(&self, act: impl FnOnce(&mut Scene<'_>) -> T) -> T {
        let result = act(&mut Scene { state: &mut self.state() });
        self.shared.changed.notify_all();
        result
    }

    /// Adds a rule by which requests go wrong.
    pub fn trouble(&self, rule: Injection) {
        let mut state = self.state();
        let rule = rule.with_host(|host| state.peer(host));
        state.injections.push(rule);
    }

    /// Drops all rules by which requests go wrong.
    pub fn calm(&self) {
        self.state().injections.clear();
    }

    /// Cuts a host's power.
    pub fn power_off(&self, host: &str) {
        self.act(|scene| scene.power_off(host));
    }

    /// Gives a host power; it boots.
    pub fn power_on(&self, host: &str) {
        self.act(|scene| scene.power_on(host));
    }

    /// What a host takes itself for, `None` for an unknown host.
    pub fn role(&self, host: &str) -> Option<HostRole> {
        let state = self.state();
        state.find(host).map(|id| state.host(id).role.clone())
    }

    /// What a host will take itself for when its xapi starts, by its `pool.conf`.
    pub fn configured_role(&self, host: &str) -> Option<HostRole> {
        let state = self.state();
        state.find(host).map(|id| state.host(id).configured.clone())
    }

    /// A host's management address.
    pub fn address(&self, host: &str) -> Option<String> {
        let state = self.state();
        state.find(host).map(|id| state.host(id).address.clone())
    }

    /// Whether a host's machine has power.
    pub fn has_power(&self, host: &str) -> bool {
        let state = self.state();
        state.find(host).is_some_and(|id| state.host(id).power != Power::Off)
    }

    /// Whether a host's xapi runs, in emergency mode or not; false for an unknown host.
    pub fn is_running(&self, host: &str) -> bool {
        let state = self.state();
        state.find(host).is_some_and(|id| state.host(id).power == Power::Running)
    }

    /// The uuid of the pool that a host works in, if it can reach its master.
    pub fn pool_uuid(&self, host: &str) -> Option<String> {
        let state = self.state();
        let id = state.find(host)?;
        let pool = state.db(id).ok()?.objects("pool").next()?.text("uuid").to_owned();
        Some(pool)
    }

    /// The error of a host in emergency mode.
    pub fn emergency(&self, host: &str) -> Option<Fault> {
        let state = self.state();
        state.find(host).and_then(|id| state.host(id).emergency.clone())
    }

    /// What HA is to a host, if its pool has it; `None` for an unknown host.
    pub fn ha(&self, host: &str) -> Option<HaState> {
        let state = self.state();
        state.find(host).and_then(|id| ha::view(&state, id))
    }

    /// The hosts that serve as masters now, by name; one for each pool, if all is well.
    pub fn masters(&self) -> Vec<String> {
        let state = self.state();
        let serves = |host: &&Host| {
            host.power == Power::Running
                && host.role == HostRole::Master
                && host.emergency.is_none()
        };
        state.hosts.iter().filter(serves).map(|host| host.name.clone()).collect()
    }

    /// The hosts that take themselves for holders of the master lock of HA, by name.
    pub fn lock_holders(&self) -> Vec<String> {
        let state = self.state();
        let holds = |id: &HostId| ha::holds_lock(&state, *id);
        state.ids().filter(holds).map(|id| state.host(id).name.clone()).collect()
    }

    /// Every host that HA fenced, in order.
    pub fn fenced(&self) -> Vec<Fenced> {
        self.state().ha.fenced.clone()
    }

    /// The errors that a host's last `pool.join` ignored.
    ///
    /// Its caller hears nothing of them; each stands for an object that did not make it into the
    /// pool.
    pub fn ignored_errors(&self, host: &str) -> Vec<Fault> {
        let state = self.state();
        state.find(host).map(|id| state.host(id).ignored.clone()).unwrap_or_default()
    }

    /// A copy of the database that a host works on: its own, or its master's.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host, `Fault` if its master cannot be reached.
    pub fn database(&self, host: &str) -> Result<Database> {
        let state = self.state();
        let id = state.find(host).ok_or_else(|| unknown(host))?;
        Ok(state.db(id)?.clone())
    }

    /// How many objects of a class a host's database has; 0 for an unknown host.
    pub fn count(&self, host: &str, class: &str) -> usize {
        let state = self.state();
        let database = state.find(host).and_then(|id| state.db(id).ok());
        database.map_or(0, |database| database.count(class))
    }

    /// The backend of a host's network daemon, `openvswitch` or `bridge`.
    pub fn network_backend(&self, host: &str) -> Option<String> {
        let state = self.state();
        state.find(host).map(|id| state.host(id).network_backend.clone())
    }

    /// How many requests reached a host, by method.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.state().counters.requests.clone()
    }

    /// How many requests were sent, those that reached nobody included.
    pub fn sent(&self) -> u64 {
        self.state().counters.sent
    }

    /// How often objects were written in all databases, sessions and tasks left out.
    pub fn writes(&self) -> u64 {
        let state = self.state();
        state.hosts.iter().filter_map(|host| host.database.as_ref()).map(Database::writes).sum()
    }

    /// How many sessions are open in the whole world, local ones included.
    pub fn open_sessions(&self) -> usize {
        self.sessions().len()
    }

    /// The refs of all sessions that are open in the whole world, local ones included.
    pub fn sessions(&self) -> Vec<String> {
        let state = self.state();
        let mut open = Vec::new();
        for host in &state.hosts {
            open.extend(host.local_sessions.iter().map(ToString::to_string));
            let pool = host.database.as_ref().filter(|_| host.role == HostRole::Master);
            let rows = pool.map(|database| database.refs("session")).unwrap_or_default();
            open.extend(rows.iter().map(ToString::to_string));
        }
        open
    }

    /// Lets the clock follow real time, at the speed that the first one asks for.
    pub(in crate::simulator) fn follow_real_time(&self, speed: f64) {
        let mut state = self.state();
        state.followers += 1;
        if state.real.is_none() {
            state.real = Some(RealTime::new(state.now, speed));
        }
        drop(state);
        self.nudge();
    }

    /// Ends what [`follow_real_time`](Self::follow_real_time) began.
    pub(in crate::simulator) fn leave_real_time(&self) {
        let mut state = self.state();
        state.followers = state.followers.saturating_sub(1);
        if state.followers == 0 {
            state.real = None;
        }
        drop(state);
        self.nudge();
    }

    /// Looks at the world.
    pub(in crate::simulator) fn observe<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state())
    }

    /// Looks at the world until there is something to see.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(in crate::simulator) fn watch<T>(
        &self,
        cancel: &Cancel,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> Result<T> {
        let mut state = self.state();
        loop {
            if let Some(seen) = look(&state) {
                return Ok(seen);
            }
            state = self.wait(state, Duration::MAX, true, cancel)?;
        }
    }

    /// Has everybody who waits look around: somebody may have been cancelled.
    pub(in crate::simulator) fn nudge(&self) {
        self.shared.changed.notify_all();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.catch_up() {
            self.shared.changed.notify_all();
        }
        state
    }

    /// Whether time passes only by [`advance`](Self::advance).
    pub(super) fn is_driven(&self) -> bool {
        self.shared.driven
    }

    /// Waits until a point in time, or with `watch` until anything has happened.
    ///
    /// In a world that nobody drives this moves the clock; in a driven one it waits for
    /// [`advance`](Self::advance), and in one that follows real time for that.
    pub(super) fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Duration,
        watch: bool,
        cancel: &Cancel,
    ) -> Result<MutexGuard<'a, State>> {
        if state.real.is_some() {
            return self.wait_really(state, until, watch, cancel);
        }
        if !self.shared.driven {
            if watch {
                state.step(until);
            } else {
                state.run_until(until);
            }
            drop(state);
            self.shared.changed.notify_all();
            cancel.check()?;
            return Ok(self.state());
        }
        let seen = state.version();
        while state.now < until && !(watch && state.version() != seen) {
            cancel.check()?;
            let pause = self.shared.changed.wait_timeout(state, LOOK_AROUND);
            state = pause.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }

    /// Waits in real time. What becomes due happens by the hand of whoever waits.
    fn wait_really<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Duration,
        watch: bool,
        cancel: &Cancel,
    ) -> Result<MutexGuard<'a, State>> {
        let seen = state.version();
        loop {
            cancel.check()?;
            if state.catch_up() {
                self.shared.changed.notify_all();
            }
            if state.now >= until || (watch && state.version() != seen) {
                return Ok(state);
            }
            let Some(real) = state.real else {
                return self.wait(state, until, watch, cancel);
            };
            let next = state.next_due().map_or(until, |due| due.min(until));
            let pause = real.until(next).min(GLANCE_AT_CANCEL);
            let woken = self.shared.changed.wait_timeout(state, pause);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// How often a call that waits in real time looks whether it was cancelled.
const GLANCE_AT_CANCEL: Duration = Duration::from_millis(50);

/// How often a waiting call of a driven world looks whether it was cancelled.
const LOOK_AROUND: Duration = Duration::from_millis(10);
