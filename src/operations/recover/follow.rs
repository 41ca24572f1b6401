//! After the promotion: all members follow, and what remains is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::recovered::{Follower, Recovered, Remaining};
use super::recovery::Recovery;
use crate::election::HostRole;
use crate::error::{ErrorKind, Result};
use crate::health::diagnosis::{Contact, Diagnosis, HostReport, Records};
use crate::model::{Host, Ref, Snapshot, Uuid};
use crate::operations::control::{Look, Run};
use crate::operations::diagnose::{CLASSES, diagnose};
use crate::operations::outcome::{Stop, Why};
use crate::operations::steps::{self, Heard};
use crate::plan::{Purpose, Work, resets};
use crate::transport::Limits;

/// How long a member may take to follow: it restarts its toolstack, and looks for the master.
const MEMBER_GRACE: Duration = Duration::from_secs(300);

/// How long a member may take to enable itself once it follows.
const ENABLE_GRACE: Duration = Duration::from_secs(120);

/// How long a member is left alone after it was pointed to the new master: the fuse and a restart.
const RESET_GRACE: Duration = Duration::from_secs(45);

/// How long the new master tries to reach one silent host (`pool.recover_slaves`).
const SILENT_HOST: Duration = Duration::from_secs(40);

/// What one look at the members showed.
struct Members {
    snapshot: Snapshot,
    followers: Vec<Follower>,
    /// Members that answer and do not follow, with where they are.
    astray: Vec<(Ref<Host>, HostReport)>,
    /// Whether the old master answers.
    old_answers: bool,
}

enum Seen {
    Members(Box<Members>),
    TwoMasters(Why),
}

impl Recovery<'_> {
    pub(super) fn follow(
        &self,
        already_master: bool,
        run: &mut Run<'_, '_>,
    ) -> Result<Recovered, Stop> {
        run.step_of(self.plan, 2)?;
        let members = match self.gather(run)? {
            Seen::Members(members) => *members,
            Seen::TwoMasters(why) => return Err(Stop::NotDone(why)),
        };
        let mut remaining: Vec<Remaining> = members
            .followers
            .iter()
            .filter(|member| !member.follows && Some(&member.host) != self.old_uuid())
            .map(|member| Remaining::Astray {
                host: member.name.clone(),
                says: member.says.clone(),
            })
            .collect();
        if let Some(old) = &self.old {
            let host = self.old_name().to_owned();
            remaining.extend(self.declare_dead(old, &members, run)?);
            remaining.push(match members.old_answers {
                true => Remaining::OldMasterIsBack { host },
                false => Remaining::OldMasterReturns { host },
            });
        }
        Ok(Recovered {
            master: self.plan.host.uuid.clone(),
            address: self.address.clone(),
            already_master,
            members: members.followers,
            remaining,
        })
    }

    fn old_uuid(&self) -> Option<&Uuid> {
        match &self.plan.purpose {
            Purpose::Recovery { old_master, .. } => old_master.as_ref().map(|old| &old.uuid),
            _ => None,
        }
    }

    /// Points all members to the new master, until every one that answers follows it.
    fn gather(&self, run: &mut Run<'_, '_>) -> Result<Seen> {
        let began = run.now();
        let mut asked_all = false;
        let mut reset: BTreeMap<Ref<Host>, Duration> = BTreeMap::new();
        let mut answered: BTreeSet<Ref<Host>> = BTreeSet::new();
        let mut all_follow_since = None;
        run.until(|run| {
            let diagnosis = diagnose(self.members)?;
            let members = match self.look(&diagnosis) {
                Some(Seen::Members(members)) => members,
                Some(two) => return Ok(Look::Seen(two)),
                None => {
                    return Ok(Look::Awaited(format!("{} to answer as master", self.name())));
                }
            };
            let waited = run.since(began);
            let hosts = diagnosis.hosts.iter().filter(|host| host.said.answers());
            answered.extend(hosts.filter_map(|host| host.reference.clone()));
            if !members.astray.is_empty() && !asked_all {
                asked_all = true;
                self.recover_slaves(&members.snapshot);
                let now = run.now();
                reset.extend(members.astray.iter().map(|(host, _)| (host.clone(), now)));
                return Ok(Look::Awaited(String::from("the members to follow the new master")));
            }
            for (host, report) in &members.astray {
                let last = reset.get(host).copied().unwrap_or_default();
                if run.since(last) >= RESET_GRACE && may_be_reset(report) {
                    self.point(report);
                    reset.insert(host.clone(), run.now());
                }
            }
            if asked_all {
                self.step_checks(run)?;
            }
            // Who has not been heard of since the beginning is not waited for.
            let awaited: Vec<&str> = members
                .followers
                .iter()
                .filter(|member| !member.follows)
                .filter(|member| {
                    let found = members.snapshot.host.by_uuid(&member.host);
                    found.is_some_and(|(host, _)| answered.contains(host))
                })
                .map(|member| member.name.as_str())
                .collect();
            if awaited.is_empty() || waited >= MEMBER_GRACE {
                return Ok(Look::Seen(Seen::Members(members)));
            }
            // A host that a person disabled stays so.
            if members.astray.is_empty() {
                let since = *all_follow_since.get_or_insert(run.now());
                if run.since(since) >= ENABLE_GRACE {
                    return Ok(Look::Seen(Seen::Members(members)));
                }
            } else {
                all_follow_since = None;
            }
            Ok(Look::Awaited(format!("{} to follow the new master", awaited.join(", "))))
        })
    }

    fn step_checks(&self, run: &mut Run<'_, '_>) -> Result<()> {
        if run.step_number() < 4 {
            run.step_of(self.plan, 3)?;
        }
        Ok(())
    }

    /// What all hosts say of themselves, unless the new master does not answer now.
    fn look(&self, diagnosis: &Diagnosis) -> Option<Seen> {
        let ours = || diagnosis.hosts.iter().filter(|host| host.belongs != Some(false));
        let other = ours().find(|host| {
            host.said.role == Some(HostRole::Master)
                && host.reference.as_ref() != Some(&self.target)
        });
        if let Some(other) = other {
            let why = Why::new(format!("{} says that it is master, too", other.label()));
            let said = diagnosis.hosts.iter().map(|host| format!("{} {host}", host.label()));
            return Some(Seen::TwoMasters(why.seen(said)));
        }
        let snapshot = diagnosis.records.snapshot()?;
        let is_fresh = matches!(diagnosis.records, Records::Master { .. });
        let (master, _) = snapshot.master().ok()?;
        if !is_fresh || *master != self.target {
            return None;
        }
        let (mut followers, mut astray) = (Vec::new(), Vec::new());
        for (reference, host) in snapshot.host.iter().filter(|(host, _)| **host != self.target) {
            let report = ours().find(|report| report.reference.as_ref() == Some(reference));
            let follows = report.is_some_and(|report| self.is_followed_by(report));
            let settled = follows && snapshot.is_live(reference) == Some(true) && host.enabled;
            let says = match report {
                Some(report) if follows && settled => report.to_string(),
                Some(report) if follows => format!("{report}, but is not live and enabled yet"),
                Some(report) => report.to_string(),
                None => String::from("was not asked"),
            };
            followers.push(Follower {
                host: host.uuid.clone(),
                name: host.name_label.clone(),
                follows: settled,
                says,
            });
            if let Some(report) = report.filter(|report| report.said.answers() && !follows) {
                astray.push((reference.clone(), report.clone()));
            }
        }
        let old_answers = ours().any(|host| {
            self.old.is_some()
                && host.reference == self.old
                && !matches!(host.said.contact, Contact::Silent { .. } | Contact::Refuses { .. })
        });
        let snapshot = snapshot.clone();
        Some(Seen::Members(Box::new(Members { snapshot, followers, astray, old_answers })))
    }

    fn is_followed_by(&self, report: &HostReport) -> bool {
        let master = report.said.follows().and_then(|address| self.members.locate(address));
        master.as_ref() == Some(&self.endpoint)
            && report.said.contact == Contact::Answers
            && report.said.emergency_mode != Some(true)
    }

    /// `pool.recover_slaves`: what it answers is not looked at, but what the members say then.
    fn recover_slaves(&self, snapshot: &Snapshot) {
        let hosts = u32::try_from(snapshot.host.len()).unwrap_or(u32::MAX);
        let limits = Limits::within(SILENT_HOST.saturating_mul(hosts.saturating_add(1)));
        let _ = self.client().and_then(|client| {
            let client = client.with_limits(limits);
            client.call::<Vec<Ref<Host>>>("pool.recover_slaves", &())
        });
    }

    /// `pool.emergency_reset_master` on one member; what becomes of it is seen at the next look.
    fn point(&self, report: &HostReport) {
        let Ok(endpoint) = report.said.endpoint.parse() else { return };
        let _ = self.members.one(&endpoint).session().and_then(|local| {
            local.call::<()>("pool.emergency_reset_master", &(self.address.as_str(),))
        });
    }

    /// Declares the old master dead if the plan has it so; what is left of it otherwise.
    fn declare_dead(
        &self,
        old: &Ref<Host>,
        members: &Members,
        run: &mut Run<'_, '_>,
    ) -> Result<Option<Remaining>> {
        let losses = resets(&members.snapshot, old);
        if losses.is_empty() {
            return Ok(None);
        }
        let left = |why: &str| {
            let vms = losses.iter().map(|loss| loss.object.clone()).collect();
            let (host, why) = (self.old_name().to_owned(), why.to_owned());
            Ok(Some(Remaining::VmsOnOldMaster { host, vms, why }))
        };
        let planned = self.plan.steps.iter().position(|step| step.work == Work::DeclareDead);
        let Some(planned) = planned else {
            return left("The plan does not reset them: the host was not known to be off");
        };
        if members.old_answers {
            return left("They were not reset, since the host answers");
        }
        if !self.consent.missing(self.plan, &self.plan.steps[planned], &losses).is_empty() {
            return left("They were not reset, since nobody agreed to it");
        }
        run.step_of(self.plan, planned)?;
        let client = match self.client() {
            Ok(client) => client,
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => return left(&format!("They were not reset: {error}")),
        };
        let heard = steps::order(&client, "host.declare_dead", &(old,), run)?;
        let fault = match &heard {
            Heard::Fault(error) => Some(error.to_string()),
            _ => None,
        };
        let sent = run.now();
        let done = run.until_answered("the new master", |run| {
            let snapshot = client.snapshot_of(CLASSES)?;
            Ok(match resets(&snapshot, old).is_empty() {
                true => Look::Seen(true),
                false if fault.is_some() || run.since(sent) >= SILENT_HOST => Look::Seen(false),
                false => Look::Awaited(String::from("the records to show its VMs halted")),
            })
        })?;
        match done {
            true => Ok(None),
            false => left(&format!(
                "They were not reset: {}",
                fault.as_deref().unwrap_or("the call did not come through")
            )),
        }
    }
}

/// Whether a host may be told whom to follow: a master must not be, it would obey.
fn may_be_reset(report: &HostReport) -> bool {
    report.said.contact == Contact::Answers && report.said.role != Some(HostRole::Master)
}
