//! How a daemon starts: with all others, or into a live set that is there (`sm.c:1139-1660`).

use std::time::Duration;

use super::daemon::{Daemon, Verdict, seconds};
use super::stages::{Stage, Start};
use super::statefile::{Phase, PoolState, StateFile};
use crate::election::HostSet;
use crate::election::partition::Domains;

impl Daemon {
    /// Goes on with the start; what it came to, if it is over.
    pub(super) fn go_on_starting(
        &mut self,
        file: &mut StateFile,
        now: Duration,
    ) -> Option<Verdict> {
        let Start { since, stage } = *self.start.as_ref()?;
        let waited = now.saturating_sub(since);
        let patience = seconds(match file.pool {
            PoolState::Init => self.timing.enable_join_timeout,
            PoolState::Active => self.timing.boot_join_timeout,
        });
        let all = HostSet::first(self.n);
        let next = match stage {
            Stage::Looking => {
                let timing = &self.timing;
                let hears = self.domains.hb == all || waited >= seconds(timing.heartbeat_timeout);
                let sees = self.domains.sf == all || waited >= seconds(timing.statefile_timeout);
                (hears && sees).then_some(Stage::Forgotten)
            }
            Stage::Forgotten if self.is_remembered() => {
                return (waited >= patience).then_some(Verdict::NotStarted);
            }
            Stage::Forgotten => Some(Stage::Ready),
            Stage::Ready => return self.start_with(file, now, waited >= patience),
            Stage::Asking { since } => {
                let others = self.liveset.without(self.me);
                let consent =
                    |host: usize| self.peers[host].heartbeat.report.proposed.contains(self.me);
                if others.iter().all(consent) {
                    return Some(self.join(file, self.liveset));
                }
                return (now.saturating_sub(since) >= patience).then_some(Verdict::NotStarted);
            }
        };
        if let (Some(next), Some(start)) = (next, &mut self.start) {
            start.stage = next;
            self.joining = next == Stage::Ready;
        }
        None
    }

    /// Whether somebody that it hears or sees still has it in its live set.
    fn is_remembered(&self) -> bool {
        let others = |set: HostSet| set.without(self.me).iter();
        others(self.domains.hb)
            .any(|host| self.peers[host].heartbeat.report.liveset.contains(self.me))
            || others(self.domains.sf)
                .any(|host| self.peers[host].part.report.liveset.contains(self.me))
    }

    /// The start criteria (`test_Start_Criteria`).
    fn start_with(&mut self, file: &mut StateFile, now: Duration, late: bool) -> Option<Verdict> {
        if !self.has_storage {
            return Some(Verdict::NotStarted);
        }
        let (all, excluded) = (HostSet::first(self.n), self.excluded());
        let Domains { hb, sf } = self.domains;
        let running: HostSet = sf.iter().filter(|host| !self.peers[*host].part.starting).collect();
        let exists = !running.is_empty() || (self.rule2 && all.is_subset(hb | excluded));
        if exists {
            if file.pool == PoolState::Init {
                return Some(Verdict::NotStarted);
            }
            // Somebody may have formed a live set with this host in it.
            let formed = running.lowest().map(|host| self.peers[host].part.report.liveset);
            if let Some(liveset) = formed.filter(|liveset| liveset.contains(self.me)) {
                return Some(self.join(file, liveset));
            }
            if sf.is_subset(hb) {
                self.set_liveset(running);
                self.proposed = running | HostSet::only(self.me);
                if let Some(start) = &mut self.start {
                    start.stage = Stage::Asking { since: now };
                }
                return None;
            }
            return late.then_some(Verdict::NotStarted);
        }
        if hb == all && sf == all {
            self.proposed = all;
            let ready = |host: usize| self.peers[host].heartbeat.report.proposed == all;
            if all.without(self.me).iter().all(ready) {
                return Some(self.join(file, all));
            }
            return None;
        }
        if !late {
            return None;
        }
        let blocked =
            file.pool == PoolState::Init || (excluded.contains(self.me) && excluded != all);
        if blocked || !self.view(all).is_in_best_group().unwrap_or(false) {
            return Some(Verdict::NotStarted);
        }
        let joining = |host: &usize| *host == self.me || self.peers[*host].heartbeat.joining;
        Some(self.join(file, hb.iter().filter(joining).collect()))
    }

    fn join(&mut self, file: &mut StateFile, liveset: HostSet) -> Verdict {
        let liveset = liveset | HostSet::only(self.me);
        self.proposed = liveset;
        self.set_liveset(liveset);
        self.start = None;
        self.joining = false;
        self.phase = Phase::Started;
        file.pool = PoolState::Active;
        file.parts[self.me].excluded = false;
        Verdict::Joined
    }

    /// Consents to those who ask to join, and takes in those to whom all consented
    /// (`process_join_request`).
    pub(super) fn consent(&mut self) {
        if self.liveset.is_empty() || !self.is_online() {
            return;
        }
        let mut joined = HostSet::EMPTY;
        for host in self.domains.hb.without(self.me).iter() {
            let theirs = self.peers[host].heartbeat.report;
            if theirs.liveset.contains(host) {
                if !self.liveset.contains(host) {
                    self.proposed.insert(host);
                    joined.insert(host);
                }
            } else if theirs.proposed.contains(host) {
                if self.handling.is_none() && (self.domains.sf.contains(host) || self.rule2) {
                    self.urgent |= !self.proposed.contains(host);
                    self.proposed.insert(host);
                }
                let consents = |other: usize| match other {
                    other if other == self.me => self.proposed.contains(host),
                    other => self.peers[other].heartbeat.report.proposed.contains(host),
                };
                if !self.liveset.contains(host) && self.liveset.iter().all(consents) {
                    joined.insert(host);
                }
            }
        }
        if !joined.is_empty() {
            self.set_liveset(self.liveset | joined);
        }
    }
}
