//! What a world consists of: hosts, time, and what is due.

mod call;
mod date;
mod faults;
mod host;
mod legacy;
mod random;
mod real_time;
mod timings;

pub use faults::{Injection, Peer, Trouble};
pub use timings::Timings;

pub(super) use call::{Answer, Call, FORWARDING_PATIENCE, Job, Progress, is_master, on_host};
pub(super) use date::{date, seconds_between, unix_seconds};
pub(super) use host::{Host, HostId, Power};
pub(super) use legacy::{Legacy, Subscription};
pub(super) use random::Random;
pub(super) use real_time::RealTime;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::faults::Links;
use super::database::{Database, Ref};
use super::ha::Ha;
use crate::election::HostRole;
use crate::error::Fault;

/// Everything in a world, behind its lock.
pub(in crate::simulator) struct State {
    pub now: Duration,
    /// What the clock follows by itself, if the world is served to the outside.
    pub real: Option<RealTime>,
    /// How many want it to follow real time.
    pub followers: usize,
    pub random: Random,
    pub hosts: Vec<Host>,
    pub links: Links,
    pub injections: Vec<Injection>,
    pub counters: Counters,
    pub timings: Timings,
    /// Size and utilisation of what lies on disks, by the uuid of the SR.
    pub stores: BTreeMap<String, (i64, i64)>,
    /// The HA of pools that have it.
    pub ha: Ha,
    timers: BTreeMap<(Duration, u64), Timer>,
    next_timer: u64,
}

/// Something to do at a point in time.
pub(in crate::simulator) type Timer = Box<dyn FnOnce(&mut State) + Send>;

/// What was asked of the world.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct Counters {
    /// Requests that reached a host, by method.
    pub requests: BTreeMap<String, u64>,
    /// Requests that were sent, whatever became of them.
    pub sent: u64,
}

impl State {
    pub(super) fn new(seed: u64, timings: Timings) -> Self {
        Self {
            now: Duration::ZERO,
            real: None,
            followers: 0,
            random: Random::new(seed),
            hosts: Vec::new(),
            links: Links::default(),
            injections: Vec::new(),
            counters: Counters::default(),
            timings,
            stores: BTreeMap::new(),
            ha: Ha::default(),
            timers: BTreeMap::new(),
            next_timer: 0,
        }
    }

    /// Has something done after a delay.
    pub(super) fn after(
        &mut self,
        delay: Duration,
        timer: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        self.timers.insert((self.now + delay, self.next_timer), Box::new(timer));
        self.next_timer += 1;
    }

    /// Runs the next timer that is due by `until`, else moves the clock there.
    ///
    /// Returns whether a timer ran.
    pub(super) fn step(&mut self, until: Duration) -> bool {
        match self.timers.first_entry().filter(|entry| entry.key().0 <= until) {
            Some(entry) => {
                let ((due, _), timer) = entry.remove_entry();
                self.now = self.now.max(due);
                timer(self);
                true
            }
            None => {
                self.now = self.now.max(until);
                false
            }
        }
    }

    /// Moves the clock, doing everything that becomes due.
    pub(super) fn run_until(&mut self, until: Duration) {
        while self.step(until) {}
    }

    /// Brings the clock to where real time is; returns whether anything was due.
    pub(super) fn catch_up(&mut self) -> bool {
        let Some(real) = self.real else { return false };
        let (until, mut any) = (real.now(), false);
        while self.step(until) {
            any = true;
        }
        any
    }

    /// Differs from an earlier one if anything happened that somebody may watch for.
    ///
    /// Writes to databases, sessions, hosts that come and go.
    pub(super) fn version(&self) -> [u64; 4] {
        let mut version = [0; 4];
        for host in &self.hosts {
            version[0] += host.database.as_ref().map_or(0, Database::generation);
            version[1] += host.incarnation;
            version[2] += u64::from(host.power == Power::Running);
            version[3] += u64::try_from(host.local_sessions.len()).unwrap_or(0);
        }
        version
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.timers.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0]
    }

    pub(super) fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id.0]
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts.len()).map(HostId)
    }

    /// The host at a name or an address.
    pub(super) fn find(&self, name: &str) -> Option<HostId> {
        let known = |host: &Host| host.address == name || host.name.eq_ignore_ascii_case(name);
        self.hosts.iter().position(known).map(HostId)
    }

    /// Somebody on the network by the name that links know.
    ///
    /// Hosts may be given by their address.
    pub(super) fn peer(&self, peer: Peer) -> Peer {
        match &peer {
            Peer::Host(name) => match self.find(name) {
                Some(id) => Peer::from(self.host(id).name.as_str()),
                None => peer,
            },
            Peer::Tool => peer,
        }
    }

    /// Now, as a XAPI date.
    pub(super) fn date(&self) -> Arc<str> {
        date(self.now).into()
    }

    /// Whether a host's machine can exchange packets with a peer.
    pub(super) fn reaches(&self, from: impl Into<Peer>, to: HostId) -> bool {
        self.links.open(&from.into(), &Peer::from(self.host(to).name.as_str()))
            && self.host(to).power != Power::Off
    }

    /// Whether two hosts' xapis can talk to each other.
    pub(super) fn talks(&self, from: HostId, to: HostId) -> bool {
        let runs = |id| self.host(id).power == Power::Running;
        from == to || (runs(from) && runs(to) && self.reaches(self.host(from).name.as_str(), to))
    }

    /// The host whose database a host works on.
    ///
    /// Itself, or its master if that can be reached.
    pub(super) fn home(&self, id: HostId) -> Option<HostId> {
        match &self.host(id).role {
            HostRole::Master => Some(id),
            HostRole::Slave(master) => {
                let master = self.find(master)?;
                let home = self.host(master);
                (home.role == HostRole::Master && home.database.is_some() && self.talks(id, master))
                    .then_some(master)
            }
            HostRole::Broken => None,
        }
    }

    /// The database that a host works on.
    ///
    /// # Errors
    /// The error of a host whose master cannot be reached.
    pub(super) fn db(&self, id: HostId) -> Result<&Database, Fault> {
        self.home(id).and_then(|home| self.host(home).database.as_ref()).ok_or_else(no_database)
    }

    /// The database that a host works on, to write.
    ///
    /// # Errors
    /// As [`db`](Self::db).
    pub(super) fn db_mut(&mut self, id: HostId) -> Result<&mut Database, Fault> {
        let home = self.home(id).ok_or_else(no_database)?;
        self.host_mut(home).database.as_mut().ok_or_else(no_database)
    }

    /// The ref of a host's record in the database that it works on, else empty.
    pub(super) fn me(&self, id: HostId) -> Ref {
        let database = self.db(id).ok();
        database
            .and_then(|database| database.by_uuid("host", &self.host(id).uuid))
            .unwrap_or_else(|| "".into())
    }

    /// The machine behind a host record of the database that `id` works on.
    pub(super) fn machine(&self, id: HostId, record: &str) -> Option<HostId> {
        let uuid = self.db(id).ok()?.text("host", record, "uuid");
        self.hosts.iter().position(|host| *host.uuid == *uuid).map(HostId)
    }

    /// The pool record of the database that a host works on.
    pub(super) fn pool(&self, id: HostId) -> Ref {
        let database = self.db(id).ok();
        let pool = database.and_then(|database| database.refs("pool").into_iter().next());
        pool.unwrap_or_else(|| "".into())
    }
}

/// What a host answers that cannot reach its master's database.
fn no_database() -> Fault {
    Fault::new(
        "INTERNAL_ERROR",
        ["Db_remote_cache_access_v1.Remote_db_server_returned_unknown_exception"],
    )
}
