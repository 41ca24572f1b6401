//! A world: hosts, the network between them, and a time of its own.

mod builder;
mod date;
mod exchange;
mod faults;
mod random;
mod records;
mod spec;
mod state;
mod story;

pub use builder::WorldBuilder;
pub use faults::{Peer, Rule, Trouble};
pub use spec::{PoolSpec, VmSpec};

pub(super) use date::{date, seconds_between, unix_seconds};
pub(super) use exchange::{OnTheWay, attend};
pub(super) use random::Random;
pub(super) use state::{HostId, Power, RealTime, State};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::calls;
use super::database::Database;
use super::envelope::HttpReply;
use super::ha::{self, Fenced, HaState};
use super::life;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::transport::{Body, Cancel, Clock, Request, Transport};

/// Hosts that answer XAPI calls, in memory; a clone is another handle on the same world.
///
/// A world is deterministic: the same calls in the same order give the same answers, ids and dates
/// included. Time passes only when somebody waits: each request takes a moment, calls that take
/// time take it, and [sleeping](Clock::sleep) on the world's clock moves it. What becomes due on
/// the way (restarts, heartbeats, background tasks, [acts](Self::after)) happens on the way.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use xcp_pool::simulator::{Rule, Trouble, World};
///
/// let world = World::story(1);
/// assert_eq!(world.count("phantom", "SR"), 6);
///
/// // From here on, the network between tool and Ignite swallows the first reply of all.
/// world.trouble(Rule::new(Trouble::LoseReply).host("ignite"));
/// // In ten minutes somebody trips over a cable.
/// world.after(Duration::from_secs(600), |world| world.power_off("phantom"));
/// let transport = world.transport();
/// ```
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    driven: bool,
}

/// What a host takes itself for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It does not know: `pool.conf` says `broken`.
    Broken,
    /// The master of its pool.
    Master,
    /// A member of a pool.
    Slave {
        /// The master's address, as `pool.conf` has it.
        master: String,
    },
}

/// How long things take in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// From power to the start of xapi.
    pub boot: Duration,
    /// From the decision to restart xapi to its end.
    pub fuse: Duration,
    /// A request and its reply on the wire.
    pub latency: Duration,
    /// The live migration of a VM.
    pub migrate: Duration,
    /// From the end of an ejected host's xapi to the power of its new installation.
    pub reinstall: Duration,
    /// From the end of xapi to its next start.
    pub restart: Duration,
    /// From a member's hello to the end of its emergency mode.
    pub settle: Duration,
    /// The clean shutdown of a VM.
    pub shutdown: Duration,
    /// The start of a VM.
    pub start: Duration,
    /// From the start of a member's xapi to its first hello.
    pub start_member: Duration,
    /// The same for a host that has just joined.
    pub start_new_member: Duration,
    /// Suspending and resuming a VM.
    pub suspend: Duration,
}

impl Default for Timings {
    /// As recorded from real processes; what they could not do is set to the usual.
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(60),
            fuse: Duration::from_secs(10),
            latency: Duration::from_millis(1),
            migrate: Duration::from_secs(10),
            reinstall: Duration::from_secs(120),
            restart: Duration::from_secs(1),
            settle: Duration::from_millis(300),
            shutdown: Duration::from_secs(5),
            start: Duration::from_secs(3),
            start_member: Duration::from_millis(900),
            start_new_member: Duration::from_secs(7),
            suspend: Duration::from_secs(5),
        }
    }
}

impl World {
    /// Begins a world of one's own.
    pub fn builder() -> WorldBuilder {
        WorldBuilder::new()
    }

    /// A transport to the world's hosts, and the clock that they go by.
    ///
    /// Hosts are reached at their names and at their addresses.
    pub fn transport(&self) -> WorldTransport {
        WorldTransport { world: self.clone() }
    }

    /// Posts a body to a host's `/jsonrpc` from outside, as [`transport`](Self::transport) does.
    ///
    /// # Errors
    /// `Transport` for no or a broken connection, `Timeout`, `Cancelled`.
    pub fn post(
        &self,
        host: &str,
        body: &[u8],
        overall: Duration,
        cancel: &Cancel,
    ) -> Result<HttpReply> {
        exchange::post(self, host, body, overall, cancel)
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

    /// Does the next thing that is due by then, and answers whether there was one.
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
    pub fn trouble(&self, rule: Rule) {
        let mut state = self.state();
        let rule = rule.with_host(|host| state.peer(host));
        state.rules.push(rule);
    }

    /// Cuts a host's power.
    pub fn power_off(&self, host: &str) {
        self.act(|scene| scene.power_off(host));
    }

    /// Gives a host power; it boots.
    pub fn power_on(&self, host: &str) {
        self.act(|scene| scene.power_on(host));
    }

    /// Whether a host's xapi runs, in emergency mode or not; false for an unknown host.
    pub fn runs(&self, host: &str) -> bool {
        let state = self.state();
        state.find(host).is_some_and(|id| state.host(id).power == Power::Running)
    }

    /// What a host takes itself for, `None` for an unknown host.
    pub fn role(&self, host: &str) -> Option<Role> {
        let state = self.state();
        state.find(host).map(|id| state.host(id).role.clone())
    }

    /// What a host will take itself for at the next start of its xapi, by its `pool.conf`.
    pub fn configured_role(&self, host: &str) -> Option<Role> {
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

    /// Whether a host's xapi runs.
    pub fn is_running(&self, host: &str) -> bool {
        let state = self.state();
        state.find(host).is_some_and(|id| state.host(id).power == Power::Running)
    }

    /// The uuid of the pool that a host works in; none while it cannot reach its master.
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

    /// What HA is to a host; none if its pool has none, or for an unknown host.
    pub fn ha(&self, host: &str) -> Option<HaState> {
        let state = self.state();
        state.find(host).and_then(|id| ha::view(&state, id))
    }

    /// The hosts that serve as masters now, by name; one for each pool, if all is well.
    pub fn masters(&self) -> Vec<String> {
        let state = self.state();
        let serves = |host: &&state::Host| {
            host.power == Power::Running && host.role == Role::Master && host.emergency.is_none()
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
        self.state().ha.fenced().to_vec()
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

    /// How many objects of a class a host's database has; none if there is no such host.
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
            let pool = host.database.as_ref().filter(|_| host.role == Role::Master);
            let rows = pool.map(|database| database.refs("session")).unwrap_or_default();
            open.extend(rows.iter().map(ToString::to_string));
        }
        open
    }

    /// Lets the clock follow real time, at the speed that the first one asks for.
    pub(super) fn follow_real_time(&self, speed: f64) {
        let mut state = self.state();
        state.followers += 1;
        if state.real.is_none() {
            state.real = Some(RealTime::new(state.now, speed));
        }
        drop(state);
        self.nudge();
    }

    /// Ends what [`follow_real_time`](Self::follow_real_time) began.
    pub(super) fn leave_real_time(&self) {
        let mut state = self.state();
        state.followers = state.followers.saturating_sub(1);
        if state.followers == 0 {
            state.real = None;
        }
        drop(state);
        self.nudge();
    }

    /// Looks at the world.
    pub(super) fn observe<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state())
    }

    /// Looks at the world until there is something to see.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(super) fn watch<T>(
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
    pub(super) fn nudge(&self) {
        self.shared.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.catch_up() {
            self.shared.changed.notify_all();
        }
        state
    }

    /// Waits until a point in time, or with `watch` until anything has happened.
    ///
    /// In a world that nobody drives this moves the clock; in a driven one it waits for
    /// [`advance`](Self::advance), and in one that follows real time for that.
    fn wait<'a>(
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

/// A world while something is done to it.
pub struct Scene<'a> {
    state: &'a mut State,
}

impl Scene<'_> {
    /// Cuts a host's power. Its VMs stay where the database has them.
    pub fn power_off(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            life::power_off(self.state, id);
        }
    }

    /// Gives a host power; it boots.
    pub fn power_on(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            life::power_on(self.state, id);
        }
    }

    /// Restarts a host's xapi, at once.
    pub fn restart_toolstack(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            life::restart_toolstack(self.state, id, Duration::ZERO);
        }
    }

    /// Lets no packet pass from one to the other, but still the other way.
    pub fn cut_one_way(&mut self, from: impl Into<Peer>, to: impl Into<Peer>) {
        let (from, to) = (self.state.peer(from.into()), self.state.peer(to.into()));
        self.state.links.cut(from, to);
    }

    /// Lets no packet pass between two.
    pub fn cut(&mut self, one: impl Into<Peer>, other: impl Into<Peer>) {
        let (one, other) = (self.state.peer(one.into()), self.state.peer(other.into()));
        self.state.links.cut(one.clone(), other.clone());
        self.state.links.cut(other, one);
    }

    /// Lets packets pass again, both ways.
    pub fn heal(&mut self, one: impl Into<Peer>, other: impl Into<Peer>) {
        let (one, other) = (self.state.peer(one.into()), self.state.peer(other.into()));
        self.state.links.heal(&one, &other);
        self.state.links.heal(&other, &one);
    }

    /// Lets a host not get at the state file of HA any more; all else goes on.
    pub fn cut_state_file(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            ha::cut(self.state, id, true);
        }
    }

    /// Lets a host get at the state file of HA again.
    pub fn heal_state_file(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            ha::cut(self.state, id, false);
        }
    }

    /// Changes the backend of a host's network daemon, without a word in its records.
    pub fn set_network_backend(&mut self, host: &str, backend: &str) {
        if let Some(id) = self.state.find(host) {
            backend.clone_into(&mut self.state.host_mut(id).network_backend);
        }
    }

    /// Makes a host unable to rename the bridge of its management VLAN.
    ///
    /// A joiner has to do that whose pool names the bridge otherwise: its `pool.join` fails with
    /// this error when all else is done.
    pub fn break_bridge_change(&mut self, host: &str, fault: Fault) {
        if let Some(id) = self.state.find(host) {
            self.state.host_mut(id).bridge_trouble = Some(fault);
        }
    }

    /// Changes the database that a host works on, past all checks.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host, `Fault` from the change or if the host has no database.
    pub fn edit<T>(
        &mut self,
        host: &str,
        change: impl FnOnce(&mut Database) -> Result<T, Fault>,
    ) -> Result<T> {
        self.change(host, |database| change(database).map_err(Error::from))
    }

    /// Changes the database that a host works on by JSON, past all checks: see [`Database::patch`].
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host and what the database does not have, `Fault` if the host has
    /// no database.
    pub fn patch(&mut self, host: &str, changes: &serde_json::Value) -> Result<()> {
        self.change(host, |database| database.patch(changes))
    }

    fn change<T>(
        &mut self,
        host: &str,
        change: impl FnOnce(&mut Database) -> Result<T>,
    ) -> Result<T> {
        let id = self.state.find(host).ok_or_else(|| unknown(host))?;
        let database = self.state.db_mut(id)?;
        let result = change(database)?;
        calls::operations::refresh_pool(database);
        Ok(result)
    }
}

/// A transport into a [`World`], and its clock.
#[derive(Clone, Debug)]
pub struct WorldTransport {
    world: World,
}

impl Transport for WorldTransport {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        let host = request.endpoint.host();
        let reply = self.world.post(host, request.body, request.limits.overall, request.cancel)?;
        if reply.status != 200 {
            let what = format!("{host} answered with HTTP status {}", reply.status);
            return Err(Error::new(ErrorKind::Transport, what));
        }
        if u64::try_from(reply.body.len()).unwrap_or(u64::MAX) > request.limits.max_reply {
            let what =
                format!("the reply of {host} is larger than {} bytes", request.limits.max_reply);
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        Ok(Body::Bytes(reply.body))
    }

    fn clock(&self) -> &dyn Clock {
        self
    }

    /// One in virtual time: whoever waits moves the clock, so that requests at the same time would
    /// run out of it, and meet hosts at times that depend on the machine.
    fn at_once(&self) -> usize {
        let moves_with_others = self.world.shared.driven || self.world.state().real.is_some();
        if moves_with_others { AT_ONCE } else { 1 }
    }
}

impl Clock for WorldTransport {
    fn now(&self) -> Duration {
        self.world.now()
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        cancel.check()?;
        let state = self.world.state();
        let until = state.now.saturating_add(time);
        self.world.wait(state, until, false, cancel).map(drop)
    }
}

fn unknown(host: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the world has no host {host:?}"))
}

/// As transports have it that do not say.
const AT_ONCE: usize = 8;

/// How often a call that waits in real time looks whether it was cancelled.
const GLANCE_AT_CANCEL: Duration = Duration::from_millis(50);

/// How often a waiting call of a driven world looks whether it was cancelled.
const LOOK_AROUND: Duration = Duration::from_millis(10);
