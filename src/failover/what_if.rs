//! A pool with one thing changed.

use serde::Serialize;

use super::assess::{Assessment, Oddity};
use super::plan::Placement;
use super::planner::{Change, Planner, handle_invalid};
use crate::error::{Fault, Result};
use crate::model::{Host, PowerState, Ref, Snapshot, Uuid, Vm};

/// Something that may happen to a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what_if", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WhatIf {
    /// HA is enabled and shall tolerate so many failures.
    HaEnabled {
        /// How many.
        failures: i64,
    },
    /// A host is disabled; its VMs stay.
    HostDisabled {
        /// The host.
        host: Ref<Host>,
    },
    /// A host joins that is like one of the pool.
    ///
    /// It has its memory, its shared storage, its networks.
    HostJoins {
        /// The host that it is like.
        like: Ref<Host>,
        /// Its uuid, which has a say where hosts tie; any text will do.
        uuid: String,
    },
    /// A host leaves for good; its VMs are off then.
    HostLeaves {
        /// The host.
        host: Ref<Host>,
    },
    /// A VM starts.
    VmStarts {
        /// The VM.
        vm: Ref<Vm>,
        /// The host that it starts on.
        host: Ref<Host>,
    },
    /// A VM is shut down, for good if it was protected.
    VmStops {
        /// The VM.
        vm: Ref<Vm>,
    },
}

/// What HA would say after something happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WhatIfOutcome {
    /// The error by which the server refuses it for the sake of HA, if it does.
    pub refusal: Option<Fault>,
    /// The most failures that could be tolerated before.
    pub maximum_before: i64,
    /// Everything afterwards, as if it was not refused.
    ///
    /// A planner that is not monotone where it should be is named among the oddities.
    pub after: Assessment,
}

impl WhatIf {
    /// What HA would say about the pool of a snapshot after this.
    ///
    /// # Errors
    /// `InvalidInput` if the snapshot has no pool record, or more than one; `Fault`
    /// `HANDLE_INVALID` for an unknown host or VM.
    pub fn ask(&self, snapshot: &Snapshot) -> Result<WhatIfOutcome> {
        let planner = Planner::new(snapshot)?;
        let before = planner.maximum().value;
        let mut after = Planner::new(&self.happened(snapshot)?)?.assess();
        let maximum = after.maximum.value;
        if self.adds_capacity() && maximum < before {
            after.oddities.push(Oddity::MoreIsLess { before, after: maximum });
        }
        Ok(WhatIfOutcome { refusal: self.refusal(&planner), maximum_before: before, after })
    }

    /// The snapshot as it would be after this.
    ///
    /// # Errors
    /// `Fault` `HANDLE_INVALID` for an unknown host or VM.
    pub fn happened(&self, snapshot: &Snapshot) -> Result<Snapshot> {
        let mut after = snapshot.clone();
        match self {
            Self::HaEnabled { failures } => {
                for (_, pool) in after.pool.iter_mut() {
                    pool.ha_enabled = true;
                    pool.ha_host_failures_to_tolerate = *failures;
                }
            }
            Self::HostDisabled { host } => {
                let record = after.host.get_mut(host);
                record.ok_or_else(|| handle_invalid("host", host))?.enabled = false;
            }
            Self::HostJoins { like, uuid } => join(&mut after, like, uuid)?,
            Self::HostLeaves { host } => leave(&mut after, host)?,
            Self::VmStarts { vm, host } => {
                if snapshot.host.get(host).is_none() {
                    return Err(handle_invalid("host", host).into());
                }
                let record = after.vm.get_mut(vm).ok_or_else(|| handle_invalid("VM", vm))?;
                record.power_state = PowerState::Running;
                record.resident_on = host.clone();
                record.scheduled_to_be_resident_on = Ref::null();
                record.ha_always_run |= record.ha_restart_priority == "restart";
            }
            Self::VmStops { vm } => {
                let record = after.vm.get_mut(vm).ok_or_else(|| handle_invalid("VM", vm))?;
                stop(record);
                record.ha_always_run = false;
            }
        }
        Ok(after)
    }

    /// Whether nothing gets scarcer by this, so that the maximum should not fall.
    fn adds_capacity(&self) -> bool {
        matches!(self, Self::HostJoins { .. } | Self::VmStops { .. })
    }

    /// `Host.disable`, `VM.start`, `pool.eject` and `pool.join` each ask HA first.
    fn refusal(&self, planner: &Planner<'_>) -> Option<Fault> {
        match self {
            Self::HaEnabled { .. } | Self::VmStops { .. } => None,
            Self::HostJoins { .. } | Self::HostLeaves { .. } => {
                planner.pool.ha_enabled.then(|| Fault::bare("HA_IS_ENABLED"))
            }
            Self::HostDisabled { host } => {
                planner.refusal(&Change { disabled: vec![host.clone()], ..Change::default() })
            }
            Self::VmStarts { vm, host } => {
                let record = planner.snapshot.vm.get(vm)?;
                let newly = record.ha_restart_priority == "restart" && !record.ha_always_run;
                planner.refusal(&if newly {
                    Change { protect: vec![vm.clone()], ..Change::default() }
                } else {
                    let arriving = Placement { vm: vm.clone(), host: host.clone() };
                    Change { arriving: vec![arriving], ..Change::default() }
                })
            }
        }
    }
}

fn stop(vm: &mut Vm) {
    vm.power_state = PowerState::Halted;
    vm.resident_on = Ref::null();
    vm.scheduled_to_be_resident_on = Ref::null();
}

fn leave(snapshot: &mut Snapshot, host: &Ref<Host>) -> Result<()> {
    let record = snapshot.host.remove(host).ok_or_else(|| handle_invalid("host", host))?;
    snapshot.host_metrics.remove(&record.metrics);
    let own: Vec<Ref<Vm>> = snapshot
        .vm
        .iter()
        .filter(|(_, vm)| vm.is_control_domain && vm.resident_on == *host)
        .map(|(reference, _)| reference.clone())
        .collect();
    for control_domain in &own {
        snapshot.vm.remove(control_domain);
    }
    for (_, vm) in snapshot.vm.iter_mut() {
        if vm.resident_on == *host {
            stop(vm);
        } else if vm.scheduled_to_be_resident_on == *host {
            vm.scheduled_to_be_resident_on = Ref::null();
        }
    }
    for pbd in &record.PBDs {
        snapshot.pbd.remove(pbd);
    }
    for pif in &record.PIFs {
        snapshot.pif.remove(pif);
    }
    for (_, sr) in snapshot.sr.iter_mut() {
        sr.PBDs.retain(|pbd| !record.PBDs.contains(pbd));
    }
    for (_, network) in snapshot.network.iter_mut() {
        network.PIFs.retain(|pif| !record.PIFs.contains(pif));
    }
    Ok(())
}

fn join(snapshot: &mut Snapshot, like: &Ref<Host>, uuid: &str) -> Result<()> {
    let mut host = snapshot.host.get(like).ok_or_else(|| handle_invalid("host", like))?.clone();
    let name = |what: &str| format!("OpaqueRef:joining-{what}-{uuid}");
    let reference = Ref::from(name("host").as_str());
    host.uuid = Uuid::new(uuid);
    host.enabled = true;
    if let Some(mut metrics) = snapshot.host_metrics.get(&host.metrics).cloned() {
        metrics.uuid = Uuid::default();
        metrics.live = true;
        host.metrics = Ref::from(name("metrics").as_str());
        snapshot.host_metrics.insert(host.metrics.clone(), metrics);
    }
    if let Some(mut domain) = snapshot.vm.get(&host.control_domain).cloned() {
        domain.uuid = Uuid::default();
        domain.resident_on = reference.clone();
        domain.affinity = Ref::null();
        host.control_domain = Ref::from(name("dom0").as_str());
        snapshot.vm.insert(host.control_domain.clone(), domain);
    }
    host.resident_VMs = vec![host.control_domain.clone()];
    let mut pbds = Vec::new();
    for old in std::mem::take(&mut host.PBDs) {
        let Some(mut pbd) = snapshot.pbd.get(&old).cloned() else { continue };
        if let Some(sr) = snapshot.sr.get_mut(&pbd.SR).filter(|sr| sr.shared) {
            let new = Ref::from(format!("{old}-of-{uuid}").as_str());
            sr.PBDs.push(new.clone());
            pbd.uuid = Uuid::default();
            pbd.host = reference.clone();
            pbds.push(new.clone());
            snapshot.pbd.insert(new, pbd);
        }
    }
    host.PBDs = pbds;
    let mut pifs = Vec::new();
    for old in std::mem::take(&mut host.PIFs) {
        let Some(mut pif) = snapshot.pif.get(&old).cloned() else { continue };
        let new = Ref::from(format!("{old}-of-{uuid}").as_str());
        if let Some(network) = snapshot.network.get_mut(&pif.network) {
            network.PIFs.push(new.clone());
        }
        pif.uuid = Uuid::default();
        pif.host = reference.clone();
        pifs.push(new.clone());
        snapshot.pif.insert(new, pif);
    }
    host.PIFs = pifs;
    snapshot.host.insert(reference, host);
    Ok(())
}
