//! The planner: what a snapshot says about restarting its protected VMs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::agility::{NotAgile, Sharing};
use super::binpack::{Packing, Verdict};
use super::memory::{self, Policy};
use super::plan::{Obstacle, Placement, PlanStatus, RestartPlan};
use super::restarting::{Restarting, TiedVm};
use super::{boot, plan};
use crate::error::{Error, Fault, Result};
use crate::model::{Host, Pool, Ref, Snapshot, Vm};

/// A change that the server asks "and then?" about (`configuration_change`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "it is input, written over its default")]
pub struct Change {
    /// VMs that leave their host.
    pub leaving: Vec<Placement>,
    /// VMs that come to a host.
    pub arriving: Vec<Placement>,
    /// Hosts that are taken for disabled.
    pub disabled: Vec<Ref<Host>>,
    /// Another number of failures.
    pub failures: Option<i64>,
    /// VMs to protect beside the protected ones.
    pub protect: Vec<Ref<Vm>>,
}

/// XAPI's HA planner over a snapshot.
///
/// It needs the classes pool, host, host_metrics, VM, VBD, VDI, SR, PBD, VIF, network and PIF, and
/// takes what is not there for empty; what a real pool has beyond that (VLANs, bonds, SR-IOV, GPUs,
/// USB, clusters, VM groups) counts if the snapshot has it.
///
/// # Example
/// ```
/// use xcp_pool::failover::Planner;
/// use xcp_pool::model::Snapshot;
///
/// # let json = br#"{"pool": {"OpaqueRef:p": {}}, "host": {"OpaqueRef:h": {"enabled": true}}}"#;
/// let mut snapshot = Snapshot::from_json(json)?;
/// snapshot.complete(); // only for snapshots written by hand
/// let assessment = Planner::new(&snapshot)?.assess();
/// println!("{} host failures can be tolerated", assessment.maximum.value);
/// # Ok::<(), xcp_pool::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Planner<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) pool: &'a Pool,
    pub(super) sharing: Sharing<'a>,
    /// All hosts, by uuid: the server's planning order.
    pub(super) hosts: Vec<HostRow<'a>>,
    /// By ref, into `hosts`.
    pub(super) index: BTreeMap<&'a Ref<Host>, usize>,
    pub(super) protected: Vec<(&'a Ref<Vm>, &'a Vm)>,
}

/// A host with what the planner needs of it.
#[derive(Clone, Debug)]
pub(super) struct HostRow<'a> {
    pub reference: &'a Ref<Host>,
    pub enabled: bool,
    pub live: bool,
    /// Bytes, with every VM at its static maximum.
    pub free_static: i64,
    /// Bytes, with every VM squeezed, if the host has metrics.
    pub free_dynamic: Option<i64>,
}

impl HostRow<'_> {
    pub(super) fn can_plan(&self) -> bool {
        self.enabled && self.live
    }
}

impl<'a> Planner<'a> {
    /// Reads a snapshot; everything that is asked often is computed once.
    ///
    /// # Errors
    /// `InvalidInput` if the snapshot has no pool record, or more than one.
    pub fn new(snapshot: &'a Snapshot) -> Result<Self> {
        let (_, pool) = snapshot.the_pool()?;
        let mut taken: BTreeMap<&Ref<Host>, (i64, i64)> = BTreeMap::new();
        for vm in snapshot.vm.records() {
            for host in [&vm.resident_on, &vm.scheduled_to_be_resident_on] {
                if !host.is_null() {
                    let (max, min) = taken.entry(host).or_default();
                    *max = max.saturating_add(memory::used(vm, Policy::StaticMax));
                    *min = min.saturating_add(memory::used(vm, Policy::DynamicMin));
                }
            }
        }
        let mut rows: Vec<(&Host, HostRow)> = snapshot
            .host
            .iter()
            .map(|(reference, host)| {
                let metrics = snapshot.host_metrics.get(&host.metrics);
                let (max, min) = taken.get(reference).copied().unwrap_or_default();
                let free = |taken| {
                    let total = metrics?.memory_total;
                    Some(memory::free_of(total, host.memory_overhead, taken))
                };
                let row = HostRow {
                    reference,
                    enabled: host.enabled,
                    live: metrics.is_some_and(|metrics| metrics.live),
                    free_static: free(max).unwrap_or(0),
                    free_dynamic: free(min),
                };
                (host, row)
            })
            .collect();
        rows.sort_by(|(a, _), (b, _)| a.uuid.cmp(&b.uuid));
        let hosts: Vec<HostRow> = rows.into_iter().map(|(_, row)| row).collect();
        let index = hosts.iter().enumerate().map(|(n, host)| (host.reference, n)).collect();
        let protected = snapshot.vm.iter().rev().filter(|(_, vm)| is_protected(vm)).collect();
        Ok(Self { snapshot, pool, sharing: Sharing::new(snapshot), hosts, index, protected })
    }

    /// The VMs that HA restarts, in the server's order.
    ///
    /// They have `ha_always_run` and the priority `restart`.
    pub fn protected_vms(&self) -> Vec<Ref<Vm>> {
        self.protected.iter().map(|(reference, _)| (*reference).clone()).collect()
    }

    /// Bytes free on a host with every VM squeezed to its dynamic minimum
    /// (`host_compute_free_memory_with_maximum_compression`).
    ///
    /// # Errors
    /// `Fault` `HANDLE_INVALID` for an unknown host, or one without metrics.
    pub fn host_free_memory(&self, host: &Ref<Host>) -> Result<i64> {
        self.row(host)
            .and_then(|row| row.free_dynamic)
            .ok_or_else(|| handle_invalid("host", host).into())
    }

    /// Bytes free on a host as the planner counts: every VM at its static maximum.
    ///
    /// # Errors
    /// `Fault` `HANDLE_INVALID` for an unknown host, or one without metrics.
    pub fn host_planning_memory(&self, host: &Ref<Host>) -> Result<i64> {
        self.row(host)
            .filter(|row| row.free_dynamic.is_some())
            .map(|row| row.free_static)
            .ok_or_else(|| handle_invalid("host", host).into())
    }

    /// Bytes that a VM counts for in an evacuation (`Xapi_ha_vm_failover.vm_memory`).
    ///
    /// # Errors
    /// `Fault` for an unknown VM, or one of an unspecified domain type.
    pub fn vm_memory(&self, vm: &Ref<Vm>) -> Result<i64> {
        let record = self.vm(vm)?;
        memory::to_start(record, Policy::of_evacuation(record)?)
    }

    /// Bytes that a VM needs to be restarted: at its static maximum.
    ///
    /// # Errors
    /// `Fault` for an unknown VM, or one of an unspecified domain type.
    pub fn vm_restart_memory(&self, vm: &Ref<Vm>) -> Result<i64> {
        memory::to_start(self.vm(vm)?, Policy::StaticMax)
    }

    /// Why a VM is not agile, unless it is.
    ///
    /// # Errors
    /// `Fault` `HANDLE_INVALID` for an unknown VM.
    pub fn not_agile(&self, vm: &Ref<Vm>) -> Result<Option<NotAgile>> {
        Ok(self.sharing.not_agile(self.vm(vm)?))
    }

    /// The restart of all offline protected VMs, as things stand.
    ///
    /// # Errors
    /// `Fault` where the server's planner raises, as for a VM of an unspecified domain type.
    pub fn restart_plan(&self) -> Result<RestartPlan> {
        let restarting = self.restart(&self.protected, &BTreeSet::new(), &Change::default())?;
        Ok(RestartPlan {
            restarts: restarting
                .restarts
                .iter()
                .map(|(vm, host)| Placement { vm: (*vm).clone(), host: (*host).clone() })
                .collect(),
            not_restarted: restarting.not_restarted(),
        })
    }

    /// Whether the failure of any `failures` hosts can be survived.
    ///
    /// As `plan_for_n_failures`.
    pub fn plan_for(&self, failures: i64) -> plan::FailurePlan {
        self.plan_after(&Change::default(), failures)
    }

    /// Whether failures can be survived after a change.
    ///
    /// `change.failures` wins over `failures`.
    pub fn plan_after(&self, change: &Change, failures: i64) -> plan::FailurePlan {
        let failures = change.failures.unwrap_or(failures);
        let restart = self.restart(&self.protected, &BTreeSet::new(), change);
        self.judge(&restart, failures)
    }

    pub(super) fn vm(&self, reference: &Ref<Vm>) -> Result<&'a Vm> {
        self.snapshot.vm.get(reference).ok_or_else(|| handle_invalid("VM", reference).into())
    }

    pub(super) fn row(&self, host: &Ref<Host>) -> Option<&HostRow<'a>> {
        self.index.get(host).and_then(|n| self.hosts.get(*n))
    }

    /// Places the offline ones of these VMs, without the hosts in `failed`
    /// (`compute_restart_plan`).
    pub(super) fn restart(
        &self,
        vms: &[(&'a Ref<Vm>, &'a Vm)],
        failed: &BTreeSet<&Ref<Host>>,
        change: &Change,
    ) -> Result<Restarting<'a>, Fault> {
        let mut vms = vms.to_vec();
        for extra in &change.protect {
            let found = self.snapshot.vm.iter().find(|(reference, _)| *reference == extra);
            vms.push(found.ok_or_else(|| handle_invalid("VM", extra))?);
        }
        vms.sort_by(|(_, a), (_, b)| a.uuid.cmp(&b.uuid));
        let live: Vec<usize> = (0..self.hosts.len())
            .filter(|n| {
                let row = &self.hosts[*n];
                row.can_plan()
                    && !failed.contains(row.reference)
                    && !change.disabled.contains(row.reference)
            })
            .collect();
        let mut slot = vec![None; self.hosts.len()];
        for (n, host) in live.iter().enumerate() {
            slot[*host] = Some(n);
        }
        let live_slot =
            |host: &Ref<Host>| self.index.get(host).and_then(|n| slot.get(*n).copied().flatten());
        let placed = |reference: &Ref<Vm>, vm: &Vm| {
            let find = |list: &'_ [Placement]| {
                list.iter().find(|placement| placement.vm == *reference).map(|p| p.host.clone())
            };
            let resident_on = match (find(&change.arriving), find(&change.leaving)) {
                (Some(host), _) => host,
                (None, Some(_)) => Ref::null(),
                (None, None) => vm.resident_on.clone(),
            };
            live_slot(&resident_on).or_else(|| live_slot(&vm.scheduled_to_be_resident_on))
        };
        let mut free: Vec<i64> = live.iter().map(|host| self.hosts[*host].free_static).collect();
        for (list, sign) in [(&change.leaving, 1), (&change.arriving, -1)] {
            for placement in list {
                if let Some(n) = live_slot(&placement.host) {
                    let size = self.change_size(&placement.vm)?;
                    free[n] = free[n].saturating_add(size.saturating_mul(sign));
                }
            }
        }
        let mut restarting = Restarting {
            packing: Packing { free, total_hosts: self.hosts.len(), ..Packing::default() },
            live: live.iter().map(|host| self.hosts[*host].reference).collect(),
            agile: Vec::new(),
            tied: Vec::new(),
            restarts: Vec::new(),
            unplaced: Vec::new(),
        };
        let mut offline = Vec::new();
        for (reference, vm) in vms {
            let size = memory::to_start(vm, Policy::StaticMax).map_err(fault_of)?;
            let on = placed(reference, vm);
            if let Some(reason) = self.sharing.not_agile(vm) {
                let pinned = self.pin(reference, vm);
                let offline = on.is_none();
                restarting.tied.push(TiedVm { vm: reference, reason, host: pinned, offline, size });
                continue;
            }
            let n = restarting.agile.len();
            restarting.agile.push(reference);
            restarting.packing.size.push(size);
            match on {
                Some(host) => restarting.packing.placement.push((n, host)),
                None => offline.push(n),
            }
        }
        for tied in &restarting.tied {
            let Some(host) = tied.host.filter(|_| tied.offline) else { continue };
            if let Some(n) = live_slot(host) {
                restarting.packing.free[n] = restarting.packing.free[n].saturating_sub(tied.size);
            }
            restarting.restarts.push((tied.vm, host));
        }
        let plan = restarting.packing.plan(&offline);
        for &(vm, host) in &plan {
            restarting.restarts.push((restarting.agile[vm], restarting.live[host]));
        }
        let done: BTreeSet<usize> = plan.iter().map(|(vm, _)| *vm).collect();
        restarting.unplaced = offline.into_iter().filter(|vm| !done.contains(vm)).collect();
        restarting.packing = restarting.packing.apply(&plan);
        Ok(restarting)
    }

    /// Whether failures can be survived once the restarts are done.
    pub(super) fn judge(
        &self,
        restarting: &Result<Restarting<'a>, Fault>,
        failures: i64,
    ) -> plan::FailurePlan {
        let status = |status, obstacle| plan::FailurePlan { failures, status, obstacle };
        let no = |obstacle| status(PlanStatus::None, Some(obstacle));
        let restarting = match restarting {
            Ok(restarting) => restarting,
            Err(fault) => return no(Obstacle::Raised { fault: fault.clone() }),
        };
        let hosts = self.hosts.len();
        let Some(n) = usize::try_from(failures).ok().filter(|n| *n <= hosts) else {
            return no(Obstacle::OutOfRange { hosts });
        };
        let not_restarted = restarting.not_restarted();
        if !not_restarted.is_empty() {
            return no(Obstacle::NotRestarted { vms: not_restarted });
        }
        match restarting.packing.survives(n) {
            Verdict::Possible if restarting.tied.is_empty() => status(PlanStatus::All, None),
            Verdict::Possible => status(PlanStatus::ExcludingNonAgile, None),
            Verdict::TooFewHosts => no(Obstacle::TooFewHosts { live: restarting.live.len() }),
            Verdict::TooFewSlots { needed, capacity } => {
                no(Obstacle::TooFewSlots { needed, capacity })
            }
            Verdict::NoSize => no(Obstacle::NoSize),
            Verdict::Unplaced { failures, vms } => no(Obstacle::Unplaced {
                hosts: failures.into_iter().map(|n| restarting.live[n].clone()).collect(),
                vms: vms.into_iter().map(|n| restarting.agile[n].clone()).collect(),
            }),
        }
    }

    /// The host that a VM which is not agile is taken to be tied to (`host_of_non_agile_vm`).
    fn pin(&self, reference: &Ref<Vm>, vm: &Vm) -> Option<&'a Ref<Host>> {
        self.hosts
            .iter()
            .map(|row| row.reference)
            .find(|host| boot::obstacle(self.snapshot, reference, vm, host).is_none())
    }

    fn change_size(&self, vm: &Ref<Vm>) -> Result<i64, Fault> {
        let record = self.snapshot.vm.get(vm).ok_or_else(|| handle_invalid("VM", vm))?;
        let policy = if record.is_control_domain { Policy::DynamicMax } else { Policy::StaticMax };
        memory::to_start(record, policy).map_err(fault_of)
    }
}

/// Whether HA promises to restart a VM (`Helpers.vm_should_always_run`).
pub(super) fn is_protected(vm: &Vm) -> bool {
    vm.ha_always_run && vm.ha_restart_priority == "restart"
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(super) fn fault_of(error: Error) -> Fault {
    error.fault().cloned().unwrap_or_else(|| Fault::new("INTERNAL_ERROR", [error.to_string()]))
}

pub(super) fn handle_invalid<T>(class: &str, reference: &Ref<T>) -> Fault {
    Fault::new("HANDLE_INVALID", [class.to_owned(), reference.to_string()])
}
