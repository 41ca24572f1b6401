//! The HA daemon of one host: whom it hears, whom it sees, and when it looks.

use std::time::Duration;

use super::stages::{Handling, Start};
use super::statefile::{Heartbeat, Part, Phase, Report, StateFile};
use crate::election::HostSet;
use crate::election::lock::MasterLock;
use crate::election::partition::{Domains, LocalView, Timing};

/// The daemon of one host (`xhad`).
pub(super) struct Daemon {
    pub me: usize,
    pub n: usize,
    pub timing: Timing,
    pub phase: Phase,
    pub liveset: HostSet,
    pub proposed: HostSet,
    pub domains: Domains,
    pub peers: Vec<Peer>,
    /// It lives by rule 2: everybody visible, nobody with storage.
    pub rule2: bool,
    pub has_storage: bool,
    /// It asks to join the live set.
    pub joining: bool,
    pub fence_request: bool,
    /// Who is master, as the state file said last.
    pub master: Option<usize>,
    /// Its side of the master lock.
    pub lock: MasterLock,
    /// Whether the lock's rules were applied since it joined.
    pub lock_is_clean: bool,
    /// How far its start has come; none once it has joined.
    pub start: Option<Start>,
    /// How far the handling of a fault has come, if one is handled.
    pub handling: Option<Handling>,
    /// A fault was noticed that is not being handled yet.
    pub trouble: bool,
    /// The domains when it last looked for losses.
    pub noticed: Domains,
    sequence: u64,
    /// When the state-file watchdog was last fed.
    fed: Duration,
    heartbeat_due: Duration,
    file_due: Duration,
    /// Whether something changed that the others wait for.
    pub urgent: bool,
}

/// What a daemon knows of another one, or of itself.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub heard_at: Option<Duration>,
    pub heartbeat: Heartbeat,
    /// The sequence number at the last look; the first one proves nothing.
    sequence: Option<u64>,
    /// When that number was seen to change.
    changed_at: Option<Duration>,
    /// When that number was seen to change, as a sign of life.
    pub written_at: Option<Duration>,
    pub part: Part,
}

/// Why a host fences itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FenceCause {
    /// It lost both survival rules.
    Lost,
    /// A survivor asked it to, as it is not in the next live set.
    Requested {
        /// The survivor.
        by: String,
    },
    /// Its state-file thread hung for so long that the hypervisor stepped in.
    Watchdog,
}

/// What a daemon comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It joined the live set.
    Joined,
    /// It cannot start now.
    NotStarted,
    /// Its host is to be reset.
    Fence(Cause),
}

/// [`FenceCause`] with hosts by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Lost,
    Requested(usize),
    Watchdog,
}

impl Daemon {
    pub(super) fn new(me: usize, n: usize, timing: Timing, now: Duration) -> Option<Self> {
        let part = StateFile::new(1).parts.pop()?;
        let peer = Peer {
            heard_at: None,
            heartbeat: Heartbeat::default(),
            sequence: None,
            changed_at: None,
            written_at: None,
            part,
        };
        Some(Self {
            me,
            n,
            timing,
            phase: Phase::Starting,
            liveset: HostSet::EMPTY,
            proposed: HostSet::EMPTY,
            domains: Domains { hb: HostSet::only(me), sf: HostSet::EMPTY },
            peers: vec![peer; n],
            rule2: false,
            has_storage: false,
            joining: false,
            fence_request: false,
            master: None,
            lock: MasterLock::new(me, n, HostSet::EMPTY).ok()?,
            lock_is_clean: false,
            start: Some(Start::new(now)),
            handling: None,
            trouble: false,
            noticed: Domains::default(),
            sequence: 0,
            fed: now,
            heartbeat_due: now,
            file_due: now,
            urgent: false,
        })
    }

    pub(super) fn is_online(&self) -> bool {
        self.start.is_none()
    }

    /// Whether it has waited long enough to write and read the state file again.
    pub(super) fn wants_file(&self, now: Duration) -> bool {
        // Whoever waits for others looks at every turn (`hb_SF_accelerate`).
        let lock = self.lock.block();
        let hurry = self.handling.is_some() || self.start.is_some() || lock.request;
        hurry || self.peers.iter().any(|peer| peer.part.lock.request) || now >= self.file_due
    }

    /// Writes the own part of the state file and reads all.
    pub(super) fn access(&mut self, file: &mut StateFile, now: Duration) {
        self.file_due = now + seconds(self.timing.statefile_interval);
        self.fed = now;
        self.has_storage = true;
        self.master = file.master;
        if self.peers[self.me].sequence.is_some() {
            self.sequence += 1;
            let part = &mut file.parts[self.me];
            part.sequence = self.sequence;
            part.report = self.report();
            part.starting = self.start.is_some();
            part.lock = self.lock.block();
        }
        for (host, part) in file.parts.iter().enumerate() {
            let peer = &mut self.peers[host];
            match peer.sequence.replace(part.sequence) {
                None if host == self.me => self.sequence = part.sequence,
                Some(before) if before != part.sequence => peer.changed_at = Some(now),
                _ => {}
            }
            // Who starts anew is not alive to those who have not noticed its death yet.
            if part.report.liveset.contains(host) || !self.liveset.contains(host) {
                peer.written_at = peer.changed_at;
            }
            peer.part = part.clone();
            self.lock.read(host, part.lock);
        }
        if self.is_online() {
            self.lock.update();
            self.lock_is_clean = true;
        }
    }

    /// Loses sight of those who were silent for too long.
    ///
    /// Fault handling and the watchdog follow.
    pub(super) fn look(&mut self, now: Duration) -> Option<Cause> {
        if self.rule2 {
            self.fed = now;
        }
        if now.saturating_sub(self.fed) >= seconds(self.timing.statefile_watchdog_timeout) {
            return Some(Cause::Watchdog);
        }
        self.look_at_heartbeats(now);
        self.look_at_file(now);
        self.notice_losses();
        None
    }

    /// The heartbeat domain (`heartbeat.c:904-982`).
    fn look_at_heartbeats(&mut self, now: Duration) {
        let timeout = seconds(self.timing.heartbeat_timeout);
        for host in (0..self.n).filter(|host| *host != self.me) {
            let peer = &self.peers[host];
            let theirs = &peer.heartbeat.report;
            let heard = peer.heard_at.is_some_and(|at| now.saturating_sub(at) < timeout);
            let deaf = self.phase >= Phase::Ready
                && theirs.phase >= Phase::Ready
                && !theirs.domains.hb.contains(self.me);
            if !heard || (deaf && self.domains.hb.contains(host)) {
                self.domains.hb.remove(host);
            } else if self.handling.is_none() {
                self.domains.hb.insert(host);
            }
        }
    }

    /// The state-file domain (`sm.c:1877-1970`).
    fn look_at_file(&mut self, now: Duration) {
        let timeout = seconds(self.timing.statefile_timeout);
        for (host, peer) in self.peers.iter().enumerate() {
            let written = peer.written_at.is_some_and(|at| now.saturating_sub(at) < timeout);
            if !written {
                self.domains.sf.remove(host);
                // The own entry grows old when nothing can be written or read.
                if host == self.me && peer.written_at.is_some() {
                    self.has_storage = false;
                    self.lock.lose_state_file();
                }
            } else if self.handling.is_none() {
                self.domains.sf.insert(host);
            }
        }
    }

    /// Losses in the live set are faults, but storage counts for nothing under rule 2
    /// (`sm.c:1745-1826`).
    fn notice_losses(&mut self) {
        let lost_hb = (self.noticed.hb - self.domains.hb) & self.liveset;
        let lost_sf = (self.noticed.sf - self.domains.sf) & self.liveset;
        self.noticed = self.domains;
        if !lost_hb.is_empty() || (!self.rule2 && !lost_sf.is_empty()) {
            self.note_fault();
        }
    }

    /// Domains that are given up deliberately are no fault.
    pub(super) fn give_up(&mut self, host: usize) -> bool {
        let visible = self.domains.hb.contains(host) || self.domains.sf.contains(host);
        for domains in [&mut self.domains, &mut self.noticed] {
            domains.hb.remove(host);
            domains.sf.remove(host);
        }
        visible
    }

    /// A fault is handled at once, or with the one that is being handled, or after it.
    fn note_fault(&mut self) {
        if !(Phase::Ready..=Phase::Agreed).contains(&self.phase) {
            self.trouble = true;
        }
    }

    /// Takes in a heartbeat (`heartbeat.c:1250-1394`).
    pub(super) fn receive(
        &mut self,
        from: usize,
        heartbeat: &Heartbeat,
        now: Duration,
    ) -> Option<Cause> {
        let theirs = &heartbeat.report;
        if !theirs.liveset.contains(from) && self.liveset.contains(from) {
            return None;
        }
        let asks = heartbeat.fence_request && theirs.liveset.contains(from);
        if asks && self.is_online() && !theirs.proposed.contains(self.me) {
            return Some(Cause::Requested(from));
        }
        let peer = &mut self.peers[from];
        peer.heard_at = Some(now);
        peer.heartbeat = *heartbeat;
        self.rule2 |= heartbeat.rule2;
        if theirs.phase == Phase::Ready && self.phase == Phase::Started {
            self.note_fault();
        }
        None
    }

    /// The heartbeat to send, if it is time or others wait for news.
    pub(super) fn heartbeat(&mut self, now: Duration) -> Option<Heartbeat> {
        let due = now >= self.heartbeat_due || std::mem::take(&mut self.urgent);
        if !due && self.handling.is_none() && self.start.is_none() {
            return None;
        }
        self.heartbeat_due = now + seconds(self.timing.heartbeat_interval);
        Some(Heartbeat {
            report: self.report(),
            joining: self.joining,
            rule2: self.rule2,
            fence_request: self.fence_request,
        })
    }

    fn report(&self) -> Report {
        Report {
            phase: self.phase,
            domains: self.domains,
            liveset: self.liveset,
            proposed: self.proposed,
        }
    }

    pub(super) fn set_liveset(&mut self, liveset: HostSet) {
        self.liveset = liveset;
        self.lock.set_online(liveset);
        self.urgent = true;
    }

    pub(super) fn excluded(&self) -> HostSet {
        (0..self.n).filter(|host| self.peers[*host].part.excluded).collect()
    }

    /// What the survival rules work on.
    pub(super) fn view(&self, liveset: HostSet) -> LocalView {
        LocalView {
            me: self.me,
            weights: self.peers.iter().map(|peer| peer.part.weight).collect(),
            excluded: self.excluded(),
            liveset,
            own: self.domains,
            heard: self.peers.iter().map(|peer| peer.heartbeat.report.domains).collect(),
            read: self.peers.iter().map(|peer| peer.part.report.domains).collect(),
        }
    }

    /// Ends rule 2 once every visible host has storage and others are excluded.
    ///
    /// See `sm.c:1690-1741`.
    pub(super) fn leave_rule2(&mut self) {
        let excluded = self.excluded();
        let back = |host: usize| match host {
            host if host == self.me => self.has_storage,
            host if self.domains.hb.contains(host) => {
                self.peers[host].heartbeat.report.domains.sf.contains(host)
            }
            host => excluded.contains(host),
        };
        if self.rule2 && (0..self.n).all(back) {
            self.rule2 = false;
        }
    }
}

pub(super) fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}
