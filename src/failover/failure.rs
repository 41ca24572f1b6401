//! What happens to the VMs when certain hosts fail.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::plan::NotRestarted;
use super::planner::{Change, Planner, handle_invalid, is_protected};
use crate::error::Result;
use crate::model::{Host, Ref, Vm};

/// What HA does after certain hosts failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailureOutcome {
    /// The hosts that fail.
    pub failed: Vec<Ref<Host>>,
    /// Whether the plan covers every protected VM.
    ///
    /// If it does not, the server drops it: every protected VM that is off is started anywhere,
    /// group after group, for as long as there is room.
    pub complete: bool,
    /// Starts in order: a group waits for all tasks of the one before.
    pub groups: Vec<StartGroup>,
    /// Protected VMs that the plan leaves out, and why.
    pub not_restarted: Vec<NotRestarted>,
    /// VMs of the failed hosts that are started afterwards if there is room.
    pub best_effort: Vec<Ref<Vm>>,
    /// VMs of the failed hosts that nobody starts again.
    pub stay_off: Vec<Ref<Vm>>,
}

/// VMs that are started at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StartGroup {
    /// XAPI's `VM.order`; missing for negative ones, which come last.
    pub order: Option<i64>,
    /// The starts.
    pub starts: Vec<Start>,
    /// The longest `VM.start_delay` among them, in seconds.
    ///
    /// The next group waits for it.
    pub delay: i64,
}

/// A VM that is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Start {
    /// The VM.
    pub vm: Ref<Vm>,
    /// The planned host, unless the VM is started anywhere.
    pub host: Option<Ref<Host>>,
}

impl Planner<'_> {
    /// What HA does if these hosts fail together (`restart_auto_run_vms`).
    ///
    /// VMs that are off already although they should run are started along with those of the failed
    /// hosts. What is on its way to a failed host counts as lost with it.
    ///
    /// # Errors
    /// `Fault` `HANDLE_INVALID` for an unknown host, or where the server's planner raises.
    pub fn failure(&self, hosts: &[Ref<Host>]) -> Result<FailureOutcome> {
        for host in hosts {
            if self.row(host).is_none() {
                return Err(handle_invalid("host", host).into());
            }
        }
        let failed = hosts.iter().collect();
        let restarting = self.restart(&self.protected, &failed, &Change::default())?;
        let not_restarted = restarting.not_restarted();
        let complete = not_restarted.is_empty();
        let starts: Vec<(&Ref<Vm>, Option<&Ref<Host>>)> = if complete {
            restarting.restarts.iter().map(|(vm, host)| (*vm, Some(*host))).collect()
        } else {
            let planned = restarting.restarts.iter().map(|(vm, _)| *vm);
            planned.chain(not_restarted.iter().map(|left| &left.vm)).map(|vm| (vm, None)).collect()
        };
        let mut groups = BTreeMap::<u64, StartGroup>::new();
        let mut started = BTreeSet::new();
        for (vm, host) in starts {
            let Some(record) = self.snapshot.vm.get(vm).filter(|_| started.insert(vm)) else {
                continue;
            };
            let order = u64::try_from(record.order);
            let group = groups.entry(order.unwrap_or(u64::MAX)).or_insert(StartGroup {
                order: order.is_ok().then_some(record.order),
                starts: Vec::new(),
                delay: 0,
            });
            group.starts.push(Start { vm: vm.clone(), host: host.cloned() });
            group.delay = group.delay.max(record.start_delay);
        }
        let (mut best_effort, mut stay_off) = (Vec::new(), Vec::new());
        for (reference, vm) in &self.snapshot.vm {
            let lost = hosts.contains(&vm.resident_on) && !vm.is_control_domain;
            if lost && !is_protected(vm) {
                let again = vm.ha_restart_priority == "best-effort";
                if again { &mut best_effort } else { &mut stay_off }.push(reference.clone());
            }
        }
        Ok(FailureOutcome {
            failed: hosts.to_vec(),
            complete,
            groups: groups.into_values().collect(),
            not_restarted,
            best_effort,
            stay_off,
        })
    }
}

impl FailureOutcome {
    /// Where a VM is started, if it is and the plan says where.
    pub fn host_of(&self, vm: &Ref<Vm>) -> Option<&Ref<Host>> {
        self.groups
            .iter()
            .flat_map(|group| &group.starts)
            .find(|start| start.vm == *vm)?
            .host
            .as_ref()
    }
}
