//! Everything at once, with the planner's oddities named where they bite.

use std::collections::BTreeSet;

use serde::Serialize;

use super::agility::NotAgile;
use super::binpack::{Heuristic, Packing, Verdict};
use super::maximum::Maximum;
use super::plan::{FailurePlan, Obstacle, RestartPlan};
use super::planner::{Change, Planner};
use super::restarting::Restarting;
use super::status::PoolStatus;
use crate::error::{Fault, Result};
use crate::model::{Host, Ref, Snapshot, Vm, label_at, name_at};

/// What HA would say about a pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Assessment {
    /// The protected VMs, in the order of their uuids.
    pub protected: Vec<ProtectedVm>,
    /// All hosts, in the order of their uuids.
    pub hosts: Vec<HostMemory>,
    /// The plan for as many failures as the pool is to tolerate.
    pub wanted: FailurePlan,
    /// The most failures that can be tolerated.
    pub maximum: Maximum,
    /// The start of protected VMs that are off now.
    ///
    /// Missing if the server's planner raises.
    pub restart: Option<RestartPlan>,
    /// The pool's HA fields after the server's next look at its plan.
    pub status: PoolStatus,
    /// Where the planner's peculiarities decide.
    pub oddities: Vec<Oddity>,
}

/// A VM that HA promises to restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProtectedVm {
    /// The VM.
    pub vm: Ref<Vm>,
    /// The live host that it is on, or on its way to.
    ///
    /// Missing if it has to be started.
    pub host: Option<Ref<Host>>,
    /// Bytes that it needs to restart, unless its domain type is unspecified.
    pub memory: Option<i64>,
    /// Why it is not agile, unless it is.
    pub not_agile: Option<NotAgile>,
}

/// A host's memory as the planner counts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostMemory {
    /// The host.
    pub host: Ref<Host>,
    /// Whether the planner uses it: enabled and live.
    pub usable: bool,
    /// Bytes free with every VM at its static maximum, if it has metrics.
    pub free: Option<i64>,
}

/// A peculiarity of the server's planner that changes an answer about this pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "oddity", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Oddity {
    /// A VM is resident on a host and scheduled to one: its memory counts twice.
    CountedTwice {
        /// The VM.
        vm: Ref<Vm>,
    },
    /// Hosts have equal memory, and the order of their uuids decides.
    HostOrder {
        /// The number of failures asked about.
        failures: i64,
        /// The answer that the order gives.
        exists: bool,
    },
    /// The bisection missed that there is a plan for more failures than it found.
    MoreIsPossible {
        /// The largest number of failures with a plan.
        failures: i64,
    },
    /// More capacity, and yet the maximum falls: the planner is not monotone.
    MoreIsLess {
        /// The maximum before.
        before: i64,
        /// The maximum after.
        after: i64,
    },
    /// A VM that is off and tied to a host counts as "no plan".
    ///
    /// The server would start it all the same.
    OfflineTiedVm {
        /// The VM.
        vm: Ref<Vm>,
        /// The host that it would be started on.
        host: Ref<Host>,
    },
    /// The pessimistic count says no, and the failures would be survived.
    ///
    /// Played through, every sequence of them is.
    PessimisticCount {
        /// The number of failures asked about.
        failures: i64,
    },
    /// A VM that is tied to a host keeps the maximum at 0, whatever capacity there is.
    TiedVmForbidsAll {
        /// The VM.
        vm: Ref<Vm>,
    },
    /// A VM is planned as tied to another host than the one it runs on.
    TiedElsewhere {
        /// The VM.
        vm: Ref<Vm>,
        /// The host that it is taken to be tied to.
        host: Ref<Host>,
    },
    /// The maximum is 0, but there is no plan even for 0 failures.
    ///
    /// The server never asks for that.
    ZeroIsUntested,
}

impl Oddity {
    /// What is peculiar, in one line with names from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        match self {
            Self::CountedTwice { vm } => format!(
                "{} is both on a host and on its way to one, and counts twice",
                label_at(pool, vm)
            ),
            Self::HostOrder { failures, exists } => format!(
                "for {failures} failures the answer is {} only because of the order of host uuids",
                if *exists { "yes" } else { "no" }
            ),
            Self::MoreIsPossible { failures } => {
                format!("the search missed a plan for {failures} failures")
            }
            Self::MoreIsLess { before, after } => {
                format!("with more capacity the maximum falls from {before} to {after}")
            }
            Self::OfflineTiedVm { vm, host } => format!(
                "{} is off, which counts as no plan; it would be started on {}",
                label_at(pool, vm),
                name_at(pool, host)
            ),
            Self::PessimisticCount { failures } => format!(
                "{failures} failures are survived in every order, but the server only counts"
            ),
            Self::TiedVmForbidsAll { vm } => {
                format!("{} is tied to a host, which keeps the maximum at 0", label_at(pool, vm))
            }
            Self::TiedElsewhere { vm, host } => format!(
                "{} is planned on {}, where it does not run",
                label_at(pool, vm),
                name_at(pool, host)
            ),
            Self::ZeroIsUntested => {
                "the maximum is 0 though there is no plan for 0 failures either".to_owned()
            }
        }
    }
}

/// Sequences of failures that are played through to check a pessimistic count.
const SECOND_OPINION_LIMIT: u64 = 10_000;

impl<'a> Planner<'a> {
    /// The answer to everything, oddities included.
    pub fn assess(&self) -> Assessment {
        let restarting = self.restart(&self.protected, &BTreeSet::new(), &Change::default());
        let wanted = self.judge(&restarting, self.pool.ha_host_failures_to_tolerate);
        let maximum = self.maximum();
        let mut vms = self.protected.clone();
        vms.sort_by(|(_, a), (_, b)| a.uuid.cmp(&b.uuid));
        let host = |vm: &Vm| {
            [&vm.resident_on, &vm.scheduled_to_be_resident_on]
                .into_iter()
                .find(|host| self.row(host).is_some_and(|row| row.can_plan()))
                .cloned()
        };
        Assessment {
            protected: vms
                .iter()
                .map(|(reference, vm)| ProtectedVm {
                    vm: (*reference).clone(),
                    host: host(vm),
                    memory: self.vm_restart_memory(reference).ok(),
                    not_agile: self.sharing.not_agile(vm),
                })
                .collect(),
            hosts: self
                .hosts
                .iter()
                .map(|row| HostMemory {
                    host: row.reference.clone(),
                    usable: row.can_plan(),
                    free: row.free_dynamic.map(|_| row.free_static),
                })
                .collect(),
            oddities: self.oddities(&restarting, &wanted, &maximum),
            restart: self.restart_plan().ok(),
            status: self.updated_status(),
            wanted,
            maximum,
        }
    }

    fn oddities(
        &self,
        restarting: &Result<Restarting<'a>, Fault>,
        wanted: &FailurePlan,
        maximum: &Maximum,
    ) -> Vec<Oddity> {
        let mut found = Vec::new();
        let Ok(world) = restarting else { return found };
        for (reference, vm) in &self.protected {
            let twice = self.row(&vm.resident_on).is_some()
                && self.row(&vm.scheduled_to_be_resident_on).is_some();
            if twice {
                found.push(Oddity::CountedTwice { vm: (*reference).clone() });
            }
        }
        for tied in &world.tied {
            let vm = tied.vm.clone();
            let runs_on = self.snapshot.vm.get(tied.vm).map(|vm| &vm.resident_on);
            match tied.host {
                Some(host) if tied.offline => {
                    found.push(Oddity::OfflineTiedVm { vm, host: host.clone() });
                }
                Some(host) if runs_on != Some(host) => {
                    found.push(Oddity::TiedElsewhere { vm, host: host.clone() });
                }
                _ => {}
            }
        }
        if let (0, Some(tied)) = (maximum.value, world.tied.first()) {
            found.push(Oddity::TiedVmForbidsAll { vm: tied.vm.clone() });
        }
        if maximum.value == 0 && maximum.limit > 0 && !self.judge(restarting, 0).exists() {
            found.push(Oddity::ZeroIsUntested);
        }
        let more = (maximum.value + 1..=maximum.limit)
            .rev()
            .find(|failures| self.judge(restarting, *failures).exists());
        found.extend(more.map(|failures| Oddity::MoreIsPossible { failures }));
        let asked = BTreeSet::from([wanted.failures, maximum.value, maximum.value + 1]);
        for failures in asked {
            let Some(n) = usize::try_from(failures).ok().filter(|n| *n <= self.hosts.len()) else {
                continue;
            };
            if !world.not_restarted().is_empty() {
                break;
            }
            found.extend(second_opinion(&world.packing, n, failures));
        }
        found
    }
}

/// Whether the packer's answer hangs on its choice of method, or on the order of hosts.
fn second_opinion(packing: &Packing, n: usize, failures: i64) -> Option<Oddity> {
    let verdict = packing.survives(n);
    match Heuristic::choose(packing.total_hosts, n) {
        Heuristic::Approximate => {
            let hosts = packing.free.len() as u64;
            let sequences =
                (0..n as u64).fold(1_u64, |all, k| all.saturating_mul(hosts.saturating_sub(k)));
            let affordable = sequences <= SECOND_OPINION_LIMIT;
            let counted = matches!(verdict, Verdict::TooFewSlots { .. } | Verdict::NoSize);
            (counted && affordable && packing.survives_by(Heuristic::Exhaustive, n).is_possible())
                .then_some(Oddity::PessimisticCount { failures })
        }
        Heuristic::Exhaustive => {
            let exists = verdict.is_possible();
            (packing.reversed().survives(n).is_possible() != exists)
                .then_some(Oddity::HostOrder { failures, exists })
        }
    }
}

impl Assessment {
    /// Protected VMs that the server would leave off or lose, as things stand.
    pub fn at_risk(&self) -> Vec<&Ref<Vm>> {
        match &self.wanted.obstacle {
            Some(Obstacle::NotRestarted { vms }) => vms.iter().map(|left| &left.vm).collect(),
            Some(Obstacle::Unplaced { vms, .. }) => vms.iter().collect(),
            _ => Vec::new(),
        }
    }
}
