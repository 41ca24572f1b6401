//! What actions make of snapshots, as far as a join that comes after them depends on it.

use std::sync::Arc;

use super::carried::losses_of_join;
use super::{Plan, Step, Work};
use crate::actions::{Action, Loss, Side};
use crate::model::{PowerState, Record, Ref, Snapshot, Table, Vm};
use crate::preflight::Report;

/// Both sides as they will be once some actions are done.
///
/// Copied only once something changes.
pub(super) struct Ahead {
    pub pool: Arc<Snapshot>,
    pub joiner: Arc<Snapshot>,
}

impl Ahead {
    /// Both sides as a report saw them.
    pub(super) fn of(report: &Report) -> Self {
        Self { pool: Arc::clone(report.pool()), joiner: Arc::clone(report.joiner()) }
    }

    /// Does what an action will do; whether all of that is known.
    pub(super) fn foretell(&mut self, action: &Action) -> bool {
        foretell(Arc::make_mut(&mut self.pool), Arc::make_mut(&mut self.joiner), action)
    }

    /// What an action destroys; nothing, if its effect holds already.
    fn destroyed_by(&self, action: &Action) -> Vec<Loss> {
        let world = match action.side() {
            Side::Pool => &self.pool,
            Side::Both | Side::Joiner => &self.joiner,
        };
        match action.effect().holds(world) {
            Some(true) => Vec::new(),
            _ => action.destroys(world),
        }
    }
}

/// What each step of the plan of a join destroys as things stand, if those before it are done.
pub(crate) fn losses_ahead<'p>(plan: &'p Plan, report: &Report) -> Vec<(&'p Step, Vec<Loss>)> {
    let mut ahead = Ahead::of(report);
    let steps = plan.steps.iter().map(|step| {
        let losses = match &step.work {
            Work::Act { action } => {
                let losses = ahead.destroyed_by(action);
                ahead.foretell(action);
                losses
            }
            Work::Join { force } => losses_of_join(&ahead.pool, &ahead.joiner, *force),
            _ => Vec::new(),
        };
        (step, losses)
    });
    steps.collect()
}

fn foretell(pool: &mut Snapshot, joiner: &mut Snapshot, action: &Action) -> bool {
    match action {
        Action::PbdPlug { pbd } | Action::PbdUnplug { pbd } => {
            if let Some(record) = joiner.pbd.get_mut(pbd) {
                record.currently_attached = matches!(action, Action::PbdPlug { .. });
            }
        }
        Action::SrDestroy { sr } | Action::SrForget { sr } => {
            joiner.sr.remove(sr);
            remove_where(&mut joiner.pbd, |pbd| pbd.SR == *sr);
            remove_where(&mut joiner.vdi, |vdi| vdi.SR == *sr);
        }
        Action::VdiDestroy { vdi } => {
            joiner.vdi.remove(vdi);
        }
        Action::VlanDestroy { vlan } => {
            if let Some(vlan) = joiner.vlan.remove(vlan) {
                joiner.pif.remove(&vlan.untagged_PIF);
            }
        }
        Action::NetworkDestroy { network } => {
            joiner.network.remove(network);
        }
        Action::NetworkSriovDestroy { network_sriov } => {
            if let Some(sriov) = joiner.network_sriov.remove(network_sriov) {
                joiner.pif.remove(&sriov.logical_PIF);
            }
        }
        Action::TunnelDestroy { tunnel } => {
            if let Some(tunnel) = joiner.tunnel.remove(tunnel) {
                joiner.pif.remove(&tunnel.access_PIF);
            }
        }
        Action::VmCleanShutdown { vm } | Action::VmHardShutdown { vm } => {
            stop(joiner, vm, PowerState::Halted);
        }
        // Where its memory will lie is not known; as a disk of a SR it comes along like others.
        Action::VmSuspend { vm } => {
            stop(joiner, vm, PowerState::Halted);
            return false;
        }
        Action::VmResume { vm } | Action::VmStart { vm } | Action::VmUnpause { vm } => {
            stop(joiner, vm, PowerState::Running);
        }
        Action::VmDestroy { vm } => forget_vm(joiner, vm),
        Action::VmRemoveMacSeed { vm, seed: _ } => {
            if let Some(record) = joiner.vm.get_mut(vm) {
                record.other_config.remove("mac_seed");
            }
        }
        Action::HostDestroy { host } => {
            pool.host.remove(host);
            remove_where(&mut pool.pbd, |pbd| pbd.host == *host);
            remove_where(&mut pool.pif, |pif| pif.host == *host);
        }
        Action::VmMigrateToPool { vm, vdi_map, .. } => {
            forget_vm(joiner, vm);
            for vdi in vdi_map.keys() {
                joiner.vdi.remove(vdi);
            }
            // What the pool has then is left out.
            return false;
        }
        Action::Await { .. }
        | Action::HostEnable { .. }
        | Action::HostDisable { .. }
        | Action::PoolEnableTlsVerification { .. }
        | Action::TaskCancel { .. } => {}
        Action::BondDestroy { .. }
        | Action::ClusterHostDisable { .. }
        | Action::ClusterHostEnable { .. }
        | Action::HostApplyEdition { .. }
        | Action::HostDisableExternalAuth { .. }
        | Action::HostReboot { .. }
        | Action::HostRestartAgent { .. }
        | Action::NetworkAddPurpose { .. }
        | Action::NetworkRemovePurpose { .. }
        | Action::PoolDisableHa { .. }
        | Action::PoolEnableHa { .. }
        | Action::PoolUninstallCaCertificate { .. }
        | Action::PoolUninstallTrustedCertificate { .. }
        | Action::SdnControllerForget { .. } => return false,
    }
    true
}

/// Lets a VM go to another power state, in which no memory of it lies on a disk.
fn stop(joiner: &mut Snapshot, vm: &Ref<Vm>, state: PowerState) {
    let Some(record) = joiner.vm.get_mut(vm) else { return };
    let memory = std::mem::take(&mut record.suspend_VDI);
    if state == PowerState::Halted {
        for (_, vbd) in joiner.vbd.iter_mut().filter(|(_, vbd)| vbd.VM == *vm) {
            vbd.currently_attached = false;
        }
    }
    record.power_state = state;
    joiner.vdi.remove(&memory);
}

fn forget_vm(joiner: &mut Snapshot, vm: &Ref<Vm>) {
    joiner.vm.remove(vm);
    remove_where(&mut joiner.vbd, |vbd| vbd.VM == *vm);
    remove_where(&mut joiner.vif, |vif| vif.VM == *vm);
}

fn remove_where<T: Record>(table: &mut Table<T>, wanted: impl Fn(&T) -> bool) {
    let rows = table.iter().filter(|(_, record)| wanted(record));
    let refs: Vec<_> = rows.map(|(reference, _)| reference.clone()).collect();
    for reference in refs {
        table.remove(&reference);
    }
}
