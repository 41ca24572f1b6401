//! All daemons of a pool, the state file, and a turn of each.

use std::time::Duration;

use super::daemon::{Cause, Daemon, Verdict};
use super::statefile::StateFile;
use crate::election::partition::Timing;

/// The daemons of an HA pool, by host index: hosts in the order of their uuids.
pub(super) struct Daemons {
    pub timing: Timing,
    pub file: StateFile,
    pub running: Vec<Option<Daemon>>,
}

impl Daemons {
    pub(super) fn new(n: usize, timing: Timing) -> Self {
        Self { timing, file: StateFile::new(n), running: (0..n).map(|_| None).collect() }
    }

    pub(super) fn start(&mut self, host: usize, now: Duration) {
        self.running[host] = Daemon::new(host, self.running.len(), self.timing, now);
    }

    /// Takes a daemon away: its machine died, or it was stopped.
    pub(super) fn stop(&mut self, host: usize) {
        self.running[host] = None;
    }

    /// The daemon of a host that is in a live set.
    pub(super) fn online(&self, host: usize) -> Option<&Daemon> {
        self.running[host].as_ref().filter(|daemon| daemon.is_online())
    }

    pub(super) fn online_mut(&mut self, host: usize) -> Option<&mut Daemon> {
        self.running[host].as_mut().filter(|daemon| daemon.is_online())
    }

    /// Writes the winner of the lock into the state file.
    pub(super) fn crown(&mut self, host: usize) {
        self.file.master = Some(host);
        if let Some(daemon) = &mut self.running[host] {
            daemon.master = Some(host);
        }
    }

    /// One turn of a host's daemon: reads, writes, looks, goes on, tells the others.
    ///
    /// `storage` says whether it gets at the state file, `hears` whether packets of the first host
    /// get to the second. Who is to be fenced has no daemon afterwards.
    pub(super) fn turn(
        &mut self,
        host: usize,
        now: Duration,
        storage: bool,
        hears: impl Fn(usize, usize) -> bool,
    ) -> Vec<(usize, Verdict)> {
        let mut verdicts = Vec::new();
        let Some(daemon) = &mut self.running[host] else { return verdicts };
        if storage && daemon.wants_file(now) {
            daemon.access(&mut self.file, now);
        }
        let mut cause = daemon.look(now);
        if let Some(verdict) = daemon.go_on_starting(&mut self.file, now) {
            verdicts.push((host, verdict));
        }
        daemon.consent();
        daemon.leave_rule2();
        if cause.is_none() {
            cause = daemon.handle_faults(now);
        }
        let heartbeat = daemon.heartbeat(now);
        if let Some(cause) = cause {
            verdicts.push((host, Verdict::Fence(cause)));
        } else if let Some(heartbeat) = heartbeat {
            for (other, peer) in self.running.iter_mut().enumerate() {
                let Some(peer) = peer.as_mut().filter(|_| other != host && hears(host, other))
                else {
                    continue;
                };
                if let Some(cause @ Cause::Requested(_)) = peer.receive(host, &heartbeat, now) {
                    verdicts.push((other, Verdict::Fence(cause)));
                }
            }
        }
        for (host, verdict) in &verdicts {
            if !matches!(verdict, Verdict::Joined) {
                self.running[*host] = None;
            }
        }
        verdicts
    }
}
