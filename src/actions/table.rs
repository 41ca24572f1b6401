//! The table of actions: the row of each.

use super::row::{Argument, Row};
use super::{Action, Condition, Loss, Side, host, network, pool, storage, vm};
use crate::model::{Object, Snapshot};

impl Action {
    /// All that this crate knows of the action.
    fn row(&self) -> Row {
        match self {
            Self::Await { side, object, until } => pool::wait(*side, object, until),
            Self::BondDestroy { bond } => network::destroy_bond(bond),
            Self::ClusterHostDisable { cluster_host } => host::disable_cluster_host(cluster_host),
            Self::ClusterHostEnable { cluster_host } => host::enable_cluster_host(cluster_host),
            Self::HostApplyEdition { host, edition, before } => {
                host::apply_edition(host, edition, before)
            }
            Self::HostDestroy { host } => host::destroy(host),
            Self::HostDisable { side, host } => host::disable(*side, host),
            Self::HostDisableExternalAuth { host } => host::disable_external_auth(host),
            Self::HostEnable { side, host } => host::enable(*side, host),
            Self::HostReboot { side, host } => host::reboot(*side, host),
            Self::HostRestartAgent { side, host } => host::restart_agent(*side, host),
            Self::NetworkAddPurpose { network, purpose } => network::add_purpose(network, purpose),
            Self::NetworkDestroy { network } => network::destroy(network),
            Self::NetworkRemovePurpose { network, purpose } => {
                network::remove_purpose(network, purpose)
            }
            Self::NetworkSriovDestroy { network_sriov } => network::destroy_sriov(network_sriov),
            Self::PbdPlug { pbd } => storage::plug(pbd),
            Self::PbdUnplug { pbd } => storage::unplug(pbd),
            Self::PoolDisableHa { side, pool, heartbeat_srs, configuration } => {
                pool::disable_ha(*side, pool, heartbeat_srs, configuration)
            }
            Self::PoolEnableHa { side, pool, heartbeat_srs, configuration } => {
                pool::enable_ha(*side, pool, heartbeat_srs, configuration)
            }
            Self::PoolEnableTlsVerification { side, pool } => {
                pool::enable_tls_verification(*side, pool)
            }
            Self::PoolUninstallCaCertificate { side, certificate, name } => {
                pool::uninstall_ca_certificate(*side, certificate, name)
            }
            Self::PoolUninstallTrustedCertificate { side, pool, certificate } => {
                pool::uninstall_trusted_certificate(*side, pool, certificate)
            }
            Self::SdnControllerForget { sdn_controller } => {
                network::forget_sdn_controller(sdn_controller)
            }
            Self::SrDestroy { sr } => storage::destroy(sr),
            Self::SrForget { sr } => storage::forget(sr),
            Self::TaskCancel { task, vm } => vm::cancel_task(task, vm),
            Self::TunnelDestroy { tunnel } => network::destroy_tunnel(tunnel),
            Self::VdiDestroy { vdi } => storage::destroy_vdi(vdi),
            Self::VlanDestroy { vlan } => network::destroy_vlan(vlan),
            Self::VmCleanShutdown { vm } => vm::clean_shutdown(vm),
            Self::VmDestroy { vm } => vm::destroy(vm),
            Self::VmHardShutdown { vm } => vm::hard_shutdown(vm),
            Self::VmMigrateToPool { vm, live, host, network, vdi_map, vif_map } => {
                vm::migrate_to_pool(vm, *live, host, network, vdi_map, vif_map)
            }
            Self::VmRemoveMacSeed { vm, seed: _ } => vm::remove_mac_seed(vm),
            Self::VmResume { vm } => vm::resume(vm),
            Self::VmStart { vm } => vm::start(vm),
            Self::VmSuspend { vm } => vm::suspend(vm),
            Self::VmUnpause { vm } => vm::unpause(vm),
        }
    }

    /// Whose server is called.
    pub fn side(&self) -> Side {
        self.row().side
    }

    /// XAPI's name of the method; a wait has none.
    pub fn method(&self) -> Option<&'static str> {
        self.row().method
    }

    /// The arguments of the call, its session left out.
    pub fn arguments(&self) -> Vec<Argument> {
        self.row().arguments
    }

    /// The object that is acted on, by class and ref.
    pub fn object(&self) -> Object {
        self.row().object
    }

    /// What must hold for the call to be made, beside that its object is there.
    pub fn preconditions(&self) -> Vec<Condition> {
        self.row().before
    }

    /// What holds afterwards; if it holds already, there is nothing to do.
    pub fn effect(&self) -> Condition {
        self.row().after
    }

    /// What the call destroys for good, as the side's snapshot knows it.
    pub fn destroys(&self, world: &Snapshot) -> Vec<Loss> {
        let row = self.row();
        row.destroys.map(|kind| Loss::of(kind, world, &row.object)).into_iter().collect()
    }

    /// The action that takes it back, where there is one.
    pub fn undo(&self) -> Option<Self> {
        self.row().undo
    }
}
