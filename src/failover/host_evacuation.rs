//! Whether a host can be emptied: where its VMs would go, and what keeps the others.

use std::collections::BTreeMap;

use serde::Serialize;

use super::planner::{Planner, handle_invalid, is_protected};
use super::{boot, migration};
use crate::error::{Fault, Result};
use crate::model::{Host, Ref, Vm};

/// What becomes of a host's VMs if it is evacuated; each is in one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostEvacuation {
    /// Where each VM goes that can.
    pub moves: BTreeMap<Ref<Vm>, Ref<Host>>,
    /// The error that says why each other VM cannot leave.
    pub obstacles: BTreeMap<Ref<Vm>, Fault>,
}

impl Planner<'_> {
    /// The plan by which a host would be evacuated (`compute_evacuation_plan_no_wlb`).
    ///
    /// Its obstacles are the answer to `host.get_vms_which_prevent_evacuation`. VMs go to any other
    /// enabled host whose software is not older, and must be able to run on each of those. With HA
    /// enabled, a VM that HA does not protect stays. What keeps a VM from migrating at all wins
    /// over what keeps it from those hosts; a lack of memory wins over both.
    ///
    /// Beyond what the planner needs this reads the classes VM_metrics and VM_guest_metrics: a VM
    /// whose guest metrics are not there counts as one without drivers, as on the server.
    ///
    /// # Errors
    /// `Fault` `HANDLE_INVALID` for an unknown host, or if a VM on it is not in the snapshot; else
    /// as for [`Planner::evacuation`].
    pub fn host_evacuation(&self, host: &Ref<Host>) -> Result<HostEvacuation> {
        let record = self.snapshot.host.get(host).ok_or_else(|| handle_invalid("host", host))?;
        let residents: Vec<(&Ref<Vm>, &Vm)> = record
            .resident_VMs
            .iter()
            .map(|vm| Ok((vm, self.vm(vm)?)))
            .filter(|vm| !vm.as_ref().is_ok_and(|(_, vm)| vm.is_control_domain))
            .collect::<Result<_>>()?;
        let targets = self.evacuation_targets(host, record);
        let mut plan = HostEvacuation::default();
        if targets.is_empty() {
            let nowhere = |vm: &Ref<Vm>| Fault::new("NO_HOSTS_AVAILABLE", [vm.to_string()]);
            plan.obstacles = residents.iter().map(|(vm, _)| ((*vm).clone(), nowhere(vm))).collect();
            return Ok(plan);
        }
        let mut movable = Vec::new();
        for (reference, vm) in residents {
            let stays = if self.pool.ha_enabled && !is_protected(vm) {
                Some(Fault::new("HOST_EVACUATE_VM_NOT_HA_PROTECTED", [reference.to_string()]))
            } else {
                let found = targets.iter().find_map(|target| {
                    boot::obstacle_with_cpu(self.snapshot, reference, vm, target)
                });
                if found.is_none() {
                    movable.push(reference.clone());
                }
                found
            };
            if let Some(fault) = migration::obstacle(self.snapshot, reference, vm).or(stays) {
                plan.obstacles.insert(reference.clone(), fault);
            }
        }
        let placed: BTreeMap<_, _> = self.evacuation(&targets, &movable)?.into_iter().collect();
        for vm in movable {
            match placed.get(&vm) {
                None => {
                    let fault = Fault::new("HOST_NOT_ENOUGH_FREE_MEMORY", [vm.to_string()]);
                    plan.obstacles.insert(vm, fault);
                }
                Some(target) if !plan.obstacles.contains_key(&vm) => {
                    plan.moves.insert(vm, target.clone());
                }
                Some(_) => {}
            }
        }
        Ok(plan)
    }

    /// The hosts that may take the VMs: enabled, alive or not, and of no older software.
    fn evacuation_targets(&self, host: &Ref<Host>, record: &Host) -> Vec<Ref<Host>> {
        let hosts = self.snapshot.host.iter().rev();
        hosts
            .filter(|(other, row)| *other != host && row.enabled && !is_older(row, record))
            .map(|(other, _)| other.clone())
            .collect()
    }
}

/// Whether a host has older software than another, by any version that counts
/// (`host_versions_not_decreasing`).
fn is_older(host: &Host, than: &Host) -> bool {
    ["platform_version", "xapi_build", "xen"].iter().any(|key| {
        numbers(host.software_version.get(*key)) < numbers(than.software_version.get(*key))
    })
}

/// The numbers of a version and of what follows its first hyphen; what is no number is left out.
fn numbers(version: Option<&String>) -> Vec<i64> {
    let text = version.map_or("0.0.0", String::as_str);
    let parts = text.split('-').take(2).flat_map(|part| part.split('.'));
    parts.filter_map(|part| part.parse().ok()).collect()
}
