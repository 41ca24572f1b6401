//! The most host failures that can be tolerated, found as the server finds it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::plan::FailurePlan;
use super::planner::{Change, Planner, handle_invalid};
use super::restarting::Restarting;
use crate::error::{Fault, Result};
use crate::model::{Ref, Vm};

/// The values of `VM.ha_restart_priority` that the server takes.
///
/// As `ha_valid_restart_priorities`.
const RESTART_PRIORITIES: [&str; 3] = ["restart", "best-effort", ""];

/// The most failures that can be tolerated, with the questions that led there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Maximum {
    /// The server's answer.
    pub value: i64,
    /// The largest number it considers.
    ///
    /// That is all hosts, or what a Corosync cluster's quorum allows.
    pub limit: i64,
    /// What it asked, in order. It never asks about 0 unless that is the limit.
    pub probes: Vec<FailurePlan>,
}

impl<'a> Planner<'a> {
    /// The most host failures that can be tolerated.
    ///
    /// As `compute_max_host_failures_to_tolerate`.
    ///
    /// Found by bisection as in the server, so it is neither certain that a plan exists for the
    /// answer 0 nor that none exists for more: see [`Maximum::probes`].
    pub fn maximum(&self) -> Maximum {
        self.maximum_for(&self.protected)
    }

    /// The maximum if these VMs had these restart priorities, and no other VM any
    /// (`pool.ha_compute_hypothetical_max_host_failures_to_tolerate`).
    ///
    /// # Errors
    /// `Fault` `INVALID_VALUE` for a priority other than `restart`, `best-effort` and the
    /// empty one, `HANDLE_INVALID` for an unknown VM that would be protected.
    pub fn hypothetical_maximum(&self, priorities: &BTreeMap<Ref<Vm>, String>) -> Result<Maximum> {
        for priority in priorities.values() {
            if !RESTART_PRIORITIES.contains(&priority.as_str()) {
                return Err(Fault::new("INVALID_VALUE", ["ha_restart_priority", priority]).into());
            }
        }
        let mut vms = Vec::new();
        for (reference, _) in priorities.iter().filter(|(_, priority)| *priority == "restart") {
            let found = self.snapshot.vm.iter().find(|(vm, _)| *vm == reference);
            vms.push(found.ok_or_else(|| handle_invalid("VM", reference))?);
        }
        Ok(self.maximum_for(&vms))
    }

    pub(super) fn maximum_for(&self, vms: &[(&'a Ref<Vm>, &'a Vm)]) -> Maximum {
        let restarting = self.restart(vms, &BTreeSet::new(), &Change::default());
        let limit = self.failure_limit();
        let mut probes = Vec::new();
        let value = self.bisect(&restarting, 0, limit, &mut probes);
        Maximum { value, limit, probes }
    }

    /// The halving search of `Helpers.bisect`, which is taken for exact where the question is
    /// monotone.
    fn bisect(
        &self,
        restarting: &Result<Restarting<'a>, Fault>,
        mut low: i64,
        mut high: i64,
        probes: &mut Vec<FailurePlan>,
    ) -> i64 {
        let mut exists = |failures| {
            let plan = self.judge(restarting, failures);
            let exists = plan.exists();
            probes.push(plan);
            exists
        };
        while high - low >= 2 {
            let middle = low + (high - low) / 2;
            if exists(middle) { low = middle } else { high = middle }
        }
        if exists(high) { high } else { low }
    }

    /// All hosts, or with a Corosync cluster what leaves a quorum
    /// (`compute_corosync_max_host_failures`).
    pub(super) fn failure_limit(&self) -> i64 {
        let hosts = self.hosts.len() as i64;
        if self.snapshot.cluster.is_empty() {
            return hosts;
        }
        let clustered: BTreeSet<_> = self
            .snapshot
            .cluster_host
            .records()
            .filter(|member| member.enabled && self.index.contains_key(&member.host))
            .map(|member| &member.host)
            .collect();
        let without = hosts - clustered.len() as i64;
        (hosts - without - 1) / 2 + without
    }
}
