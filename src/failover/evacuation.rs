//! Where VMs go when hosts are emptied or fail, anti-affinity groups respected.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::binpack::Packing;
use super::planner::{Planner, fault_of, handle_invalid};
use crate::error::{Fault, Result};
use crate::model::{Host, PlacementPolicy, PowerState, Ref, Vm, VmGroup};

/// Where a VM would go, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "the server knows these two keys")]
pub enum Target {
    /// The host that it would start on.
    #[serde(rename = "host")]
    Host(Ref<Host>),
    /// The error code that says why there is none.
    #[serde(rename = "error_code")]
    Error(String),
}

/// A VM of an anti-affinity group, with its size in bytes.
struct Separated<'a> {
    vm: usize,
    size: i64,
    group: &'a Ref<VmGroup>,
}

/// The hosts of the plan as one group sees them: index to VMs of the group there and bytes free.
type Queue = BTreeMap<usize, (usize, i64)>;

impl Planner<'_> {
    /// Where these VMs would restart if these hosts failed.
    ///
    /// As `pool.ha_compute_vm_failover_plan`.
    ///
    /// Every VM may be asked about, protected or not. Hosts need not be enabled to be a target,
    /// only live, and VMs count as squeezed. A VM that finds no place has the reason why it is not
    /// agile, or `HOST_NOT_ENOUGH_FREE_MEMORY`.
    ///
    /// # Errors
    /// `Fault` `HANDLE_INVALID` for an unknown VM; `INTERNAL_ERROR` for one of an unspecified
    /// domain type, and where the server gives up over anti-affinity groups: see
    /// [`Planner::evacuation`].
    pub fn vm_failover_plan(
        &self,
        failed_hosts: &[Ref<Host>],
        failed_vms: &[Ref<Vm>],
    ) -> Result<BTreeMap<Ref<Vm>, Target>> {
        let targets: Vec<Ref<Host>> = self
            .snapshot
            .host
            .refs()
            .rev()
            .filter(|host| !failed_hosts.contains(host))
            .filter(|host| self.row(host).is_some_and(|row| row.live))
            .cloned()
            .collect();
        let mut answer = BTreeMap::new();
        for vm in failed_vms {
            let code = match self.not_agile(vm)? {
                Some(reason) => reason.fault(vm).code,
                None => "HOST_NOT_ENOUGH_FREE_MEMORY".to_owned(),
            };
            answer.insert(vm.clone(), Target::Error(code));
        }
        for (vm, host) in self.evacuation(&targets, failed_vms)? {
            answer.insert(vm, Target::Host(host));
        }
        Ok(answer)
    }

    /// Which VM goes to which of these hosts (`compute_evacuation_plan`).
    ///
    /// VMs that fit nowhere are missing.
    ///
    /// With three hosts or more and VM groups licensed, it first tries to spread the VMs of each
    /// anti-affinity group evenly, then at least over two hosts, then forgets about groups.
    ///
    /// # Errors
    /// `Fault` as for [`Planner::vm_failover_plan`]. The server has a flaw here: if spreading
    /// evenly fails for any but the last (largest) VM of the groups, it raises `INTERNAL_ERROR`
    /// instead of going on with the second plan.
    pub fn evacuation(
        &self,
        targets: &[Ref<Host>],
        vms: &[Ref<Vm>],
    ) -> Result<Vec<(Ref<Vm>, Ref<Host>)>> {
        let free =
            targets.iter().map(|host| self.host_free_memory(host)).collect::<Result<Vec<_>>>()?;
        let size = vms.iter().map(|vm| self.vm_memory(vm)).collect::<Result<Vec<_>>>()?;
        let packing = Packing { free, size, placement: Vec::new(), total_hosts: self.hosts.len() };
        let plan = self.spread(&packing, targets, vms).map_err(crate::Error::from)?;
        Ok(plan.into_iter().map(|(vm, host)| (vms[vm].clone(), targets[host].clone())).collect())
    }

    fn spread(
        &self,
        packing: &Packing,
        targets: &[Ref<Host>],
        vms: &[Ref<Vm>],
    ) -> Result<Vec<(usize, usize)>, Fault> {
        let all: Vec<usize> = (0..vms.len()).collect();
        if self.hosts.len() < 3 || !self.has_vm_groups() {
            return Ok(packing.plan(&all));
        }
        let mut separated = Vec::new();
        let mut others = Vec::new();
        for vm in all.iter().copied() {
            match self.anti_affinity_group(&vms[vm])? {
                Some(group) => separated.push(Separated { vm, size: packing.size[vm], group }),
                None => others.push(vm),
            }
        }
        separated.sort_by_key(|vm| vm.size);
        let mut queues = BTreeMap::new();
        for vm in &separated {
            if !queues.contains_key(vm.group) {
                queues.insert(vm.group, self.queue(vm.group, targets, &packing.free));
            }
        }
        let refs = |host: usize| &targets[host];
        let plan = evenly(queues.clone(), &separated, &refs)?;
        if let Some(plan) = finish(packing, plan, &others) {
            return Ok(plan);
        }
        let (plan, rest) = without_breach(queues, &separated, &refs);
        others.extend(rest);
        Ok(finish(packing, plan, &others).unwrap_or_else(|| packing.plan(&all)))
    }

    /// Whether the licence has VM groups; a missing key forbids them.
    fn has_vm_groups(&self) -> bool {
        self.pool.restrictions.get("restrict_vm_groups").is_some_and(|value| value == "false")
    }

    fn anti_affinity_group(&self, vm: &Ref<Vm>) -> Result<Option<&Ref<VmGroup>>, Fault> {
        let record = self.vm(vm).map_err(fault_of)?;
        for group in record.groups.iter().flatten() {
            let found = self.snapshot.vm_group.get(group);
            let group_record = found.ok_or_else(|| handle_invalid("VM_group", group))?;
            if group_record.placement == PlacementPolicy::AntiAffinity {
                return Ok(Some(group));
            }
        }
        Ok(None)
    }

    /// Where the VMs of a group are: a VM on its way counts where it goes, a paused one nowhere
    /// (`host_to_vm_count_map`).
    fn queue(&self, group: &Ref<VmGroup>, targets: &[Ref<Host>], free: &[i64]) -> Queue {
        let members = self.snapshot.vm_group.get(group).map_or(&[][..], |group| &group.VMs);
        let mut counts = BTreeMap::<&Ref<Host>, usize>::new();
        for vm in members.iter().filter_map(|vm| self.snapshot.vm.get(vm)) {
            if !vm.scheduled_to_be_resident_on.is_null() {
                *counts.entry(&vm.scheduled_to_be_resident_on).or_default() += 1;
            } else if vm.power_state == PowerState::Running && !vm.resident_on.is_null() {
                *counts.entry(&vm.resident_on).or_default() += 1;
            }
        }
        let count = |host| counts.get(host).copied().unwrap_or(0);
        targets.iter().zip(free).map(|(host, free)| (count(host), *free)).enumerate().collect()
    }
}

/// The plan for the groups and a packing of all other VMs; none unless everything has a place.
fn finish(
    packing: &Packing,
    plan: Vec<(usize, usize)>,
    others: &[usize],
) -> Option<Vec<(usize, usize)>> {
    if plan.is_empty() {
        return None;
    }
    let rest = packing.apply(&plan).plan(others);
    (rest.len() == others.len()).then(|| [plan, rest].concat())
}

/// The host with fewest VMs of the group, then with least memory that is enough, then first by ref.
///
/// Hosts that are too small for this VM are too small for the group's later ones, and leave.
fn pick<'a>(queue: &mut Queue, size: i64, refs: &impl Fn(usize) -> &'a Ref<Host>) -> Option<usize> {
    loop {
        let (&host, &(_, free)) = queue.iter().min_by(|(a, rank_a), (b, rank_b)| {
            rank_a.cmp(rank_b).then_with(|| refs(**a).cmp(refs(**b)))
        })?;
        if size <= free {
            return Some(host);
        }
        queue.remove(&host);
    }
}

/// Spreads each group evenly; no plan at all if the last VM fits nowhere
/// (`compute_spread_evenly_plan`).
fn evenly<'a>(
    mut queues: BTreeMap<&Ref<VmGroup>, Queue>,
    vms: &[Separated<'_>],
    refs: &impl Fn(usize) -> &'a Ref<Host>,
) -> Result<Vec<(usize, usize)>, Fault> {
    let mut plan = Vec::new();
    for (n, vm) in vms.iter().enumerate() {
        let Some(host) = queues.get_mut(vm.group).and_then(|queue| pick(queue, vm.size, refs))
        else {
            if n + 1 < vms.len() {
                let what = "Data corrupted during host evacuation.";
                return Err(Fault::new("INTERNAL_ERROR", [what]));
            }
            return Ok(Vec::new());
        };
        plan.push((vm.vm, host));
        for (group, queue) in &mut queues {
            if let Some((count, free)) = queue.get_mut(&host) {
                *free = free.saturating_sub(vm.size);
                *count += usize::from(*group == vm.group);
            }
        }
    }
    Ok(plan)
}

/// Spreads each group over two hosts at least; the plan, and the VMs that it leaves open
/// (`compute_no_breach_plan`).
fn without_breach<'a>(
    queues: BTreeMap<&Ref<VmGroup>, Queue>,
    vms: &[Separated<'_>],
    refs: &impl Fn(usize) -> &'a Ref<Host>,
) -> (Vec<(usize, usize)>, Vec<usize>) {
    let mut state: BTreeMap<&Ref<VmGroup>, (Queue, usize)> = queues
        .into_iter()
        .map(|(group, queue)| {
            let hosts = queue.len();
            let empty: Queue = queue.into_iter().filter(|(_, (count, _))| *count == 0).collect();
            let used = hosts - empty.len();
            (group, (empty, used))
        })
        .collect();
    let (mut plan, mut open) = (Vec::new(), Vec::new());
    for vm in vms {
        let found = state.get_mut(vm.group).filter(|(_, used)| *used < 2).and_then(|(empty, _)| {
            // A failed search leaves the queue as it was.
            let mut queue = empty.clone();
            let host = pick(&mut queue, vm.size, refs)?;
            *empty = queue;
            Some(host)
        });
        let Some(host) = found else {
            open.push(vm.vm);
            continue;
        };
        plan.push((vm.vm, host));
        for (group, (empty, used)) in &mut state {
            if *group == vm.group {
                empty.remove(&host);
                *used += 1;
            } else if let Some((_, free)) = empty.get_mut(&host) {
                *free = free.saturating_sub(vm.size);
            }
        }
    }
    open.reverse();
    (plan, open)
}
