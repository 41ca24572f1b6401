//! The promotion: looked at twice, sent once, awaited.

use std::time::Duration;

use super::recovery::Recovery;
use crate::election::{self, HostRole, Safety};
use crate::error::{Error, ErrorKind, Result};
use crate::health::diagnosis::{Contact, Diagnosis, HostReport};
use crate::operations::ask::ask_one;
use crate::operations::control::{Look, Run};
use crate::operations::diagnose::diagnose;
use crate::operations::outcome::{Stop, Why};
use crate::operations::steps::RESTART_FUSE;
use crate::plan::Purpose;

/// How long nothing may change before the promotion is sent.
///
/// A host that was told to change its role keeps the old one until its toolstack restarts: a
/// promotion by somebody else, or by this caller before it was interrupted, shows itself only after
/// that.
const SETTLED: Duration = RESTART_FUSE.saturating_add(Duration::from_secs(2));

/// How long a host may take to come up; hosts with much memory test it.
const BOOT: Duration = Duration::from_secs(900);

/// How long a host may go on as a member after a promotion that got no answer.
const ROLE_GRACE: Duration = Duration::from_secs(60);

/// How often a promotion that surely was not sent is tried again.
const TRIES: usize = 5;

/// What the hosts show before the promotion.
enum Scene {
    /// The host is the master.
    Promoted,
    /// It must not be promoted, for this reason.
    Forbidden(Why),
    /// This may still change.
    Unclear(String),
    /// It may be promoted.
    Ready,
}

impl Recovery<'_> {
    /// Makes the host master; returns whether it was before anything was sent.
    pub(super) fn promote(&self, run: &mut Run<'_, '_>) -> Result<bool, Stop> {
        let mut tries = 0;
        loop {
            match self.look_until_settled(run)? {
                Scene::Promoted => return Ok(tries == 0),
                Scene::Forbidden(why) => return Err(Stop::NotDone(why)),
                Scene::Unclear(what) => {
                    let why = Why::new(format!("it cannot be told whether {what}"));
                    return Err(Stop::Unknown(why));
                }
                Scene::Ready => {}
            }
            tries += 1;
            // Without a session nothing was sent, and it may be tried again.
            let local = match self.members.one(&self.endpoint).session() {
                Ok(local) => local,
                Err(error) if tries < TRIES && may_pass(&error) => continue,
                Err(error) => {
                    let why = Why::new("no login at the host was possible, so it was not promoted");
                    return Err(Stop::NotDone(why.error(error)));
                }
            };
            // From here on nothing is certain but what the hosts show. The session goes with the
            // toolstack, which restarts.
            let answer = local.call::<()>("pool.emergency_transition_to_master", &()).err();
            drop(local);
            if let Some(error) = answer.as_ref().filter(|error| error.kind() == ErrorKind::Fault) {
                let why = Why::new(match error.is_fault("HA_IS_ENABLED") {
                    true => "HA is armed on the host, so it must not be promoted by hand",
                    false => "the host refuses to become master",
                });
                return Err(Stop::NotDone(why.after(answer, &[self.last])));
            }
            run.step_of(self.plan, 1)?;
            self.await_master(answer.is_some(), run)
                .map_err(|stop| stop.after(answer, &[self.last]))?;
            return Ok(false);
        }
    }

    /// Looks at all hosts until nothing has changed for a while.
    fn look_until_settled(&self, run: &mut Run<'_, '_>) -> Result<Scene> {
        let began = run.now();
        let mut ready_since: Option<(Duration, Vec<(String, bool)>)> = None;
        run.until(|run| {
            let looked_at = run.now();
            let diagnosis = diagnose(self.members)?;
            Ok(match self.scene(&diagnosis)? {
                Scene::Unclear(what) => {
                    ready_since = None;
                    match run.since(began) >= BOOT {
                        true => Look::Seen(Scene::Unclear(what)),
                        false => Look::Awaited(what),
                    }
                }
                Scene::Ready => {
                    let now: Vec<_> = diagnosis
                        .hosts
                        .iter()
                        .map(|host| {
                            (host.said.endpoint.clone(), host.said.contact == Contact::Answers)
                        })
                        .collect();
                    match &ready_since {
                        Some((since, before)) if *before == now => {
                            // Between the ends of two looks the hosts were as they are.
                            match looked_at.saturating_sub(*since) >= SETTLED {
                                true => Look::Seen(Scene::Ready),
                                false => Look::Awaited(String::from("a sign of another promotion")),
                            }
                        }
                        _ => {
                            ready_since = Some((run.now(), now));
                            Look::Awaited(String::from("a sign of another promotion"))
                        }
                    }
                }
                scene => Look::Seen(scene),
            })
        })
    }

    fn scene(&self, diagnosis: &Diagnosis) -> Result<Scene> {
        let said = || {
            let lines = diagnosis.hosts.iter();
            lines.map(|host| format!("{} {host}", host.label())).collect::<Vec<_>>()
        };
        let forbid = |why: String| Ok(Scene::Forbidden(Why::new(why).seen(said())));
        let ours = || diagnosis.hosts.iter().filter(|host| host.belongs != Some(false));
        let is = |host: &HostReport, which| host.reference.as_ref() == Some(which);
        let is_old = |host: &HostReport| self.old.as_ref().is_some_and(|old| is(host, old));
        let claims = |host: &&HostReport| host.said.role == Some(HostRole::Master);
        let target = ours().find(|host| is(host, &self.target));
        if let Some(other) = ours().filter(claims).find(|host| !is(host, &self.target)) {
            return forbid(match is_old(other) {
                true => {
                    format!("the old master {} answers as master: it is not dead", other.label())
                }
                false => format!("{} says that it is the master", other.label()),
            });
        }
        let Some(target) = target else {
            return forbid(format!("{} was not found in the pool", self.name()));
        };
        if target.said.role == Some(HostRole::Master)
            && matches!(target.said.contact, Contact::Answers)
        {
            return Ok(Scene::Promoted);
        }
        // It follows the new master already, or would be master again.
        if let Some(old) = ours().find(|host| is_old(host) && host.said.answers()) {
            let follows = old.said.follows().and_then(|address| self.members.locate(address));
            if follows.as_ref() != Some(&self.endpoint) {
                return forbid(format!("the old master {} answers: it is not off", old.label()));
            }
        }
        match &target.said.contact {
            Contact::Answers => {}
            Contact::Busy { .. } | Contact::Starting | Contact::Refuses { .. } => {
                return Ok(Scene::Unclear(format!("{} comes up, and as what", self.name())));
            }
            Contact::Silent { .. } => {
                return Ok(Scene::Unclear(format!("{} answers, and as what", self.name())));
            }
            _ => return forbid(format!("{} cannot be asked", self.name())),
        }
        self.may_be_promoted(diagnosis).map(|open| match open {
            None => Scene::Ready,
            Some(why) => Scene::Forbidden(why.seen(said())),
        })
    }

    /// Decides anew, by what is known now and what the plan has confirmed; returns why not, if so.
    fn may_be_promoted(&self, diagnosis: &Diagnosis) -> Result<Option<Why>> {
        let Purpose::Recovery { confirmed, old_master_is_off, .. } = &self.plan.purpose else {
            return Err(Error::new(ErrorKind::InvalidInput, "the plan is for no recovery"));
        };
        let mut evidence = diagnosis.evidence();
        evidence.confirmed.clone_from(confirmed);
        if let Some(old) = self.old.as_ref().filter(|_| *old_master_is_off) {
            evidence.host(old).powered_off = Some(true);
        }
        // The choice was made with the plan; here it is only asked whether it still may be made.
        for (host, _) in self.last.host.iter().filter(|(host, _)| **host != self.target) {
            evidence.host(host).vetoed = true;
        }
        let decision = election::emergency(self.last, &evidence)?;
        let open = &decision.confirmations;
        if decision.verdict != Safety::Unsafe
            && decision.recommended.as_ref() == Some(&self.target)
            && open.is_empty()
        {
            return Ok(None);
        }
        let reasons =
            decision.candidate(&self.target).map(|candidate| candidate.describe(self.last));
        let open = open
            .iter()
            .map(|open| format!("nobody has confirmed that {}", open.describe(self.last)));
        let why = Why::new(format!("{} may not be promoted as things stand now", self.name()));
        Ok(Some(why.seen(open).seen(reasons)))
    }

    /// Waits until the host says that it is master.
    fn await_master(&self, unheard: bool, run: &mut Run<'_, '_>) -> Result<(), Stop> {
        let sent = run.now();
        let seen = run.until(|run| {
            let answer = ask_one(self.members, &self.endpoint)?;
            Ok(match (&answer.contact, &answer.role) {
                (Contact::Answers, Some(HostRole::Master)) => Look::Seen(None),
                (Contact::Answers, role) if run.since(sent) >= ROLE_GRACE => {
                    Look::Seen(Some(match (role, unheard) {
                        (Some(HostRole::Slave(master)), false) => {
                            format!("it agreed, and follows {master} still or again")
                        }
                        (Some(HostRole::Slave(master)), true) => format!(
                            "the call got no answer, and it follows {master} still or again"
                        ),
                        (_, true) => String::from("the call did not arrive"),
                        (_, false) => String::from("it agreed, and is in emergency mode still"),
                    }))
                }
                (Contact::Answers, _) => Look::Awaited(String::from("the host to change its role")),
                _ => Look::Awaited(format!("the host to answer (it {answer})")),
            })
        })?;
        match seen {
            None => Ok(()),
            Some(why) => {
                let why = Why::new(format!("{} did not become master: {why}", self.name()));
                Err(Stop::NotDone(why))
            }
        }
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Transport | ErrorKind::Timeout)
}
