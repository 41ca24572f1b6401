//! What comes of a fault: fates, reasons, the next live set and the next master.

use serde::{Deserialize, Serialize};

use super::local::Ruling;
use super::{HostDecision, Scenario, Timing};
use crate::election::HostSet;
use crate::error::{Error, ErrorKind, Result};

/// What comes of a fault in an HA pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Survival {
    /// Every configured host with its fate, in the daemon's order.
    pub hosts: Vec<HostSurvival>,
    /// The rule by which the survivors live, if there are any.
    pub rule: Option<SurvivalRule>,
    /// The survivors' uuids.
    pub survivors: Vec<String>,
    /// The uuids of the hosts that fence themselves.
    pub fenced: Vec<String>,
    /// The live set afterwards.
    pub next_live_set: Vec<String>,
    /// Who may be master afterwards.
    pub election: Election,
    /// When the survivors may act on the deaths, if a host leaves the live set.
    pub wait: Option<Wait>,
}

/// A host's fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostSurvival {
    /// The host's uuid.
    pub host: String,
    /// What becomes of it.
    pub fate: Fate,
    /// What it decided itself, if it runs.
    pub decision: Option<HostDecision>,
}

/// What becomes of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fate {
    /// It died in this fault, or before it.
    Crashed,
    /// It was shut down cleanly and does not count.
    Excluded,
    /// It fences itself: the hypervisor resets it.
    Fences {
        /// Why.
        reason: FenceReason,
    },
    /// It stays alive.
    Survives {
        /// By which rule.
        rule: SurvivalRule,
    },
}

/// Why a host fences itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FenceReason {
    /// Nobody has storage, and these hosts are neither visible nor excluded.
    HostsMissingWithoutStorage {
        /// The hosts that would have to be visible.
        missing: Vec<String>,
    },
    /// It lost the storage while other hosts still have it, or may have.
    LostStorage {
        /// Visible hosts that still have storage.
        holders: Vec<String>,
        /// Hosts that are neither visible nor excluded, and may have storage.
        missing: Vec<String>,
    },
    /// Another group of hosts with storage is better.
    ///
    /// It is heavier, larger, or has a lower uuid.
    OutsideBestGroup {
        /// The host around which that group was found.
        winner: Option<String>,
    },
}

/// The rule by which a host survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "the daemon has two")]
pub enum SurvivalRule {
    /// Rule 1: in the best group of those who have storage.
    HasStorage,
    /// Rule 2: everybody is visible, and nobody has storage.
    NobodyHasStorage,
}

/// Who may be master after a fault.
///
/// The lock in the state file decides among the candidates, and any of them may win.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "election", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Election {
    /// There is no storage, so no lock to win.
    ///
    /// Nobody can become master until it is back.
    Impossible {
        /// The hosts that stay alive without a master.
        waiting: Vec<String>,
    },
    /// It was not told who was master: if it does not survive, this is the race.
    MasterUnknown {
        /// Survivors, any of which may win.
        may_become_master: Vec<String>,
        /// The winner if all ask at the same time.
        contention_favourite: Option<String>,
    },
    /// The master survives and stays master.
    MasterStays {
        /// The master's uuid.
        master: String,
    },
    /// Nobody survives; the hosts start anew and elect then.
    NobodyLeft,
    /// The master is lost, and the survivors race for the lock.
    Race {
        /// Survivors, any of which may win.
        may_become_master: Vec<String>,
        /// The winner if all ask at the same time.
        contention_favourite: Option<String>,
    },
}

/// How long it takes until survivors may act on a death, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Wait {
    /// From the last sign of life until a host counts as lost.
    pub detection: u32,
    /// Until views that do not agree are repaired; 0 if they agree.
    pub agreement: u32,
    /// From the decision until the losers' watchdogs must have fired.
    pub fence: u32,
    /// Whether the last is extended.
    ///
    /// So it is where a host is removed that is still visible somewhere.
    pub extended: bool,
    /// The sum: from the last sign of life until anyone may act, at the earliest.
    pub earliest: u32,
}

impl Scenario {
    /// Who survives, who is fenced and why, and what comes next.
    ///
    /// # Errors
    /// `InvalidInput` if the scenario cannot be ([`Scenario::objections`]), or if the base timeout
    /// is not one that HA takes.
    pub fn decide(&self) -> Result<Survival> {
        let objections = self.objections();
        if !objections.is_empty() {
            let list: Vec<String> = objections.iter().map(ToString::to_string).collect();
            return Err(Error::new(ErrorKind::InvalidInput, list.join("; ")));
        }
        Survival::of(self, Timing::from_base(self.base_timeout())?)
    }
}

impl Survival {
    /// The outcome of a scenario without objections.
    fn of(scenario: &Scenario, timing: Timing) -> Result<Self> {
        let views = scenario.views();
        let rulings = views.rulings();
        let names = |hosts: HostSet| -> Vec<String> {
            hosts.iter().filter_map(|host| scenario.hosts().get(host).cloned()).collect()
        };
        let survivors: HostSet =
            rulings.iter().filter(|(_, r)| r.decision.survives).map(|(host, _)| *host).collect();
        let living = || rulings.values().filter(|ruling| ruling.decision.survives);
        let next =
            living().next().map_or(HostSet::EMPTY, |ruling| ruling.decision.proposed_liveset);
        if living().any(|ruling| ruling.decision.proposed_liveset != next) {
            return Err(Error::new(ErrorKind::Internal, "survivors disagree on the live set"));
        }
        let rule = living().next().map(rule_of);
        let hosts = scenario.hosts().iter().enumerate().map(|(host, uuid)| {
            let ruling = rulings.get(&host);
            let fate = match ruling {
                None if views.excluded.contains(host) => Fate::Excluded,
                None => Fate::Crashed,
                Some(ruling) if ruling.decision.survives => {
                    Fate::Survives { rule: rule_of(ruling) }
                }
                Some(ruling) => {
                    Fate::Fences { reason: fence_reason(scenario, host, ruling, &names) }
                }
            };
            HostSurvival {
                host: uuid.clone(),
                fate,
                decision: ruling.map(|ruling| ruling.decision),
            }
        });
        Ok(Self {
            hosts: hosts.collect(),
            rule,
            survivors: names(survivors),
            fenced: names(views.running - survivors),
            next_live_set: names(next),
            election: election(scenario, rule, names(survivors)),
            wait: (!survivors.is_empty() && next != views.liveset).then(|| wait(&timing, living())),
        })
    }
}

fn rule_of(ruling: &Ruling) -> SurvivalRule {
    if ruling.decision.by_rule2 { SurvivalRule::NobodyHasStorage } else { SurvivalRule::HasStorage }
}

fn fence_reason(
    scenario: &Scenario,
    host: usize,
    ruling: &Ruling,
    names: &dyn Fn(HostSet) -> Vec<String>,
) -> FenceReason {
    let views = scenario.views();
    if !views.sf[host].is_empty() {
        let winner = ruling.winner.and_then(|winner| scenario.hosts().get(winner).cloned());
        return FenceReason::OutsideBestGroup { winner };
    }
    let missing = ruling.against_rule2 - views.hb[host];
    if views.sf.iter().all(|domain| domain.is_empty()) {
        return FenceReason::HostsMissingWithoutStorage { missing: names(missing) };
    }
    let holders: HostSet = views.hb[host].iter().filter(|h| !views.sf[*h].is_empty()).collect();
    FenceReason::LostStorage { holders: names(holders), missing: names(missing) }
}

fn election(scenario: &Scenario, rule: Option<SurvivalRule>, survivors: Vec<String>) -> Election {
    let Some(rule) = rule else { return Election::NobodyLeft };
    if let Some(master) = scenario.master().filter(|master| survivors.iter().any(|s| s == master)) {
        return Election::MasterStays { master: master.to_owned() };
    }
    let contention_favourite = survivors.first().cloned();
    match (rule, scenario.master()) {
        (SurvivalRule::NobodyHasStorage, _) => Election::Impossible { waiting: survivors },
        (SurvivalRule::HasStorage, Some(_)) => {
            Election::Race { may_become_master: survivors, contention_favourite }
        }
        (SurvivalRule::HasStorage, None) => {
            Election::MasterUnknown { may_become_master: survivors, contention_favourite }
        }
    }
}

/// The earliest survivor's wait: a lower bound, measured from the last sign of life.
fn wait<'a>(timing: &Timing, living: impl Iterator<Item = &'a Ruling>) -> Wait {
    let detection = timing.heartbeat_timeout.min(timing.statefile_timeout);
    living
        .map(|ruling| {
            let agreement =
                if ruling.decision.views_agreed { 0 } else { timing.agreement_timeout() };
            let extended = ruling.removes_visible;
            let fence = timing.fence_wait(0, extended);
            Wait { detection, agreement, fence, extended, earliest: detection + agreement + fence }
        })
        .min_by_key(|wait| wait.earliest)
        // There is a survivor, or nobody would ask; the longest wait is the safe answer otherwise.
        .unwrap_or(Wait {
            detection,
            agreement: timing.agreement_timeout(),
            fence: timing.fence_wait(0, true),
            extended: true,
            earliest: detection + timing.agreement_timeout() + timing.fence_wait(0, true),
        })
}
