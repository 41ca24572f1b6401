//! How daemons handle a fault: together, phase by phase (`sm.c:923-1022`).
//!
//! Before each phase a daemon waits for all that it hears, and around the agreement also for all
//! that it sees writing, to be as far as itself. So nobody judges before all have settled their
//! views, and nobody acts on a death before the dead have had their time to die.

use std::time::Duration;

use super::daemon::{Cause, Daemon, seconds};
use super::stages::Handling;
use super::statefile::Phase;
use crate::election::partition::Domains;

impl Daemon {
    /// Goes on with a fault for as long as there is something to do.
    pub(super) fn handle_faults(&mut self, now: Duration) -> Option<Cause> {
        if self.is_online() && self.handling.is_none() && std::mem::take(&mut self.trouble) {
            let none = Handling { met: None, view: None, judging: now, extended: false };
            self.handling = Some(none);
            self.enter(Phase::Ready);
            // The others only start by a heartbeat of this phase: it has to go out.
            return None;
        }
        // A daemon goes through each phase once at most.
        for _ in 0..=PHASES {
            match self.proceed(now) {
                Step::Wait => return None,
                Step::Next => self.enter(self.phase.next()),
                Step::End => self.handling = None,
                Step::Fence => return Some(Cause::Lost),
            }
        }
        None
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.urgent = true;
        if let Some(handling) = &mut self.handling {
            handling.met = None;
        }
    }

    fn proceed(&mut self, now: Duration) -> Step {
        let meets = self.meets();
        let Some(handling) = &mut self.handling else { return Step::Wait };
        if meets && handling.met.is_none() {
            handling.met = Some(now);
        }
        let Some(met) = handling.met else { return Step::Wait };
        match self.phase {
            Phase::Stabilising if !self.is_stable(now, met) => Step::Wait,
            Phase::Agreeing => self.agree(now.saturating_sub(met)),
            Phase::Judging => self.judge(met),
            Phase::Fencing => self.fence(now, met),
            Phase::Started => Step::End,
            _ => Step::Next,
        }
    }

    /// Whether all neighbours in the live set are in this phase or the next.
    fn meets(&self) -> bool {
        let near = |phase: Phase| phase == self.phase || phase == self.phase.next();
        let others = self.liveset.without(self.me);
        let on_file = matches!(self.phase, Phase::Stable | Phase::Agreeing);
        (others & self.domains.hb).iter().all(|host| near(self.peers[host].heartbeat.report.phase))
            && (!on_file
                || (others & self.domains.sf)
                    .iter()
                    .all(|host| near(self.peers[host].part.report.phase)))
    }

    /// Whether nobody is so late that he may be lost in a moment (`sm.c:2270-2349`).
    fn is_stable(&self, now: Duration, since: Duration) -> bool {
        let on_time = |at: Option<Duration>, timeout: u32| {
            at.is_none_or(|at| at >= since || now.saturating_sub(at) <= seconds(timeout) / 4)
        };
        let timing = &self.timing;
        let others = |set: crate::election::HostSet| set.without(self.me).iter();
        others(self.domains.hb)
            .all(|host| on_time(self.peers[host].heard_at, timing.heartbeat_timeout))
            && self
                .domains
                .sf
                .iter()
                .all(|host| on_time(self.peers[host].written_at, timing.statefile_timeout))
    }

    fn agree(&mut self, waited: Duration) -> Step {
        let view = self.view(self.liveset);
        let patient = waited < seconds(self.timing.agreement_timeout());
        if patient && !view.agrees().unwrap_or(true) {
            return Step::Wait;
        }
        if let Some(handling) = &mut self.handling {
            handling.view = Some(view);
        }
        Step::Next
    }

    /// Survives or not; survivors strike the others off (`sm.c:1026-1128`).
    fn judge(&mut self, now: Duration) -> Step {
        let Some(view) = self.handling.as_mut().and_then(|handling| handling.view.take()) else {
            return Step::Fence;
        };
        // The daemon makes no view that is malformed.
        let Ok(decision) = view.decide() else { return Step::Fence };
        if !decision.survives {
            return Step::Fence;
        }
        self.rule2 |= decision.by_rule2;
        // What was lost since the view was taken is a fault of its own.
        self.noticed = if decision.views_agreed {
            view.own
        } else {
            Domains { hb: decision.hb_after, sf: decision.sf_after }
        };
        let mut extended = false;
        for host in (0..self.n).filter(|host| !decision.proposed_liveset.contains(*host)) {
            self.proposed.remove(host);
            extended |= self.give_up(host);
        }
        if let Some(handling) = &mut self.handling {
            (handling.judging, handling.extended) = (now, extended);
        }
        Step::Next
    }

    /// Waits until the losers must be dead, then strikes them off the live set (`sm.c:985-1017`).
    fn fence(&mut self, now: Duration, since: Duration) -> Step {
        let Some(handling) = &self.handling else { return Step::Wait };
        if self.liveset.is_subset(self.proposed) {
            return Step::Next;
        }
        self.fence_request = true;
        let elapsed = since.saturating_sub(handling.judging).as_secs();
        let elapsed = u32::try_from(elapsed).unwrap_or(u32::MAX);
        let wait = seconds(self.timing.fence_wait(elapsed, handling.extended));
        if now.saturating_sub(since) < wait {
            return Step::Wait;
        }
        self.fence_request = false;
        self.set_liveset(self.liveset & self.proposed);
        Step::Next
    }
}

enum Step {
    End,
    Fence,
    Next,
    Wait,
}

/// From a fault to its end.
const PHASES: usize = 11;
