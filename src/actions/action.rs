//! Single XAPI calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Condition, Loss, LossKind};
use crate::actions::Side;
use crate::model::Object;
use crate::model::{
    Bond, Certificate, Class, ClusterHost, Host, Network, NetworkPurpose, NetworkSriov, Pbd, Pool,
    PowerState, Ref, SdnController, Snapshot, Sr, Task, Tunnel, Vdi, Vif, Vlan, Vm,
};
use crate::model::{Named, object_at};

/// A call ready to be made, its session left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Call {
    /// Whose server is called.
    pub side: Side,
    /// XAPI's name of the method, such as `VM.clean_shutdown`.
    pub method: &'static str,
    /// The parameters after the session.
    pub params: Vec<Param>,
}

/// A parameter of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Param {
    /// A truth value.
    Bool(bool),
    /// A map.
    Map(BTreeMap<String, String>),
    /// What [`Action::prelude`] answered, whatever it is; written as null.
    Prelude,
    /// A set.
    Set(Vec<String>),
    /// A text, a ref or the name of an enum's value.
    Text(String),
}

macro_rules! actions {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$fmeta:meta])* $field:ident : $ty:ty ),* $(,)? } )*) => {
        /// One call to one server, or one wait for what others do.
        ///
        /// An action is done when its [effect](Self::effect) holds, whoever brought that about: a
        /// repeated run then does nothing.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(tag = "action", rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Action {
            $( $(#[$meta])* $name { $( $(#[$fmeta])* $field: $ty ),* }, )*
        }
    };
}

actions! {
    /// No call: waits until something holds.
    Await {
        /// Whose database.
        side: Side,
        /// The object that is waited for.
        object: Object,
        /// What must hold.
        until: Condition,
    }
    /// `Bond.destroy`: its NICs stand alone again; addresses move to the primary one.
    BondDestroy {
        /// The bond.
        bond: Ref<Bond>,
    }
    /// `Cluster_host.disable`
    ClusterHostDisable {
        /// The host's membership in the cluster.
        cluster_host: Ref<ClusterHost>,
    }
    /// `Cluster_host.enable`
    ClusterHostEnable {
        /// The host's membership in the cluster.
        cluster_host: Ref<ClusterHost>,
    }
    /// `host.apply_edition`
    HostApplyEdition {
        /// The joiner.
        host: Ref<Host>,
        /// The edition.
        edition: String,
        /// The edition that it has, to go back to.
        before: String,
    }
    /// `host.destroy`: the pool forgets a dead host.
    HostDestroy {
        /// The pool's host.
        host: Ref<Host>,
    }
    /// `host.disable`
    HostDisable {
        /// Whose host.
        side: Side,
        /// The host.
        host: Ref<Host>,
    }
    /// `host.disable_external_auth`: leaves the domain.
    HostDisableExternalAuth {
        /// The joiner.
        host: Ref<Host>,
    }
    /// `host.enable`
    HostEnable {
        /// Whose host.
        side: Side,
        /// The host.
        host: Ref<Host>,
    }
    /// `host.reboot`: the host must be disabled.
    HostReboot {
        /// Whose host.
        side: Side,
        /// The host.
        host: Ref<Host>,
    }
    /// `host.restart_agent`: restarts the toolstack; VMs run on.
    HostRestartAgent {
        /// Whose host.
        side: Side,
        /// The host.
        host: Ref<Host>,
    }
    /// `network.add_purpose`
    NetworkAddPurpose {
        /// The joiner's network.
        network: Ref<Network>,
        /// The purpose.
        purpose: NetworkPurpose,
    }
    /// `network.destroy`
    NetworkDestroy {
        /// The joiner's network.
        network: Ref<Network>,
    }
    /// `network.remove_purpose`
    NetworkRemovePurpose {
        /// The joiner's network.
        network: Ref<Network>,
        /// The purpose.
        purpose: NetworkPurpose,
    }
    /// `network_sriov.destroy`
    NetworkSriovDestroy {
        /// The virtual functions' network.
        network_sriov: Ref<NetworkSriov>,
    }
    /// `PBD.plug`
    PbdPlug {
        /// The connection.
        pbd: Ref<Pbd>,
    }
    /// `PBD.unplug`
    PbdUnplug {
        /// The connection.
        pbd: Ref<Pbd>,
    }
    /// `pool.disable_ha`
    PoolDisableHa {
        /// Whose HA.
        side: Side,
        /// The pool record.
        pool: Ref<Pool>,
        /// Where the state files lie, to enable it again.
        heartbeat_srs: Vec<Ref<Sr>>,
        /// Its configuration, to enable it again.
        configuration: BTreeMap<String, String>,
    }
    /// `pool.enable_ha`
    PoolEnableHa {
        /// Whose HA.
        side: Side,
        /// The pool record.
        pool: Ref<Pool>,
        /// Where the state files shall lie.
        heartbeat_srs: Vec<Ref<Sr>>,
        /// Its configuration.
        configuration: BTreeMap<String, String>,
    }
    /// `pool.enable_tls_verification`: cannot be taken back by a call.
    PoolEnableTlsVerification {
        /// Whose pool.
        side: Side,
        /// The pool record.
        pool: Ref<Pool>,
    }
    /// `pool.uninstall_ca_certificate`
    PoolUninstallCaCertificate {
        /// Whose pool.
        side: Side,
        /// The certificate.
        certificate: Ref<Certificate>,
        /// The name that it was installed under.
        name: String,
    }
    /// `pool.uninstall_trusted_certificate`
    PoolUninstallTrustedCertificate {
        /// Whose pool.
        side: Side,
        /// The pool record.
        pool: Ref<Pool>,
        /// The certificate.
        certificate: Ref<Certificate>,
    }
    /// `SDN_controller.forget`
    SdnControllerForget {
        /// The joiner's controller.
        sdn_controller: Ref<SdnController>,
    }
    /// `SR.destroy`: everything on it is gone.
    SrDestroy {
        /// The storage repository.
        sr: Ref<Sr>,
    }
    /// `SR.forget`: the data stays where it is.
    SrForget {
        /// The storage repository.
        sr: Ref<Sr>,
    }
    /// `task.cancel`
    TaskCancel {
        /// The task.
        task: Ref<Task>,
        /// The VM that it works on.
        vm: Ref<Vm>,
    }
    /// `tunnel.destroy`
    TunnelDestroy {
        /// The tunnel.
        tunnel: Ref<Tunnel>,
    }
    /// `VDI.destroy`: its content is gone.
    VdiDestroy {
        /// The disk.
        vdi: Ref<Vdi>,
    }
    /// `VLAN.destroy`
    VlanDestroy {
        /// The VLAN.
        vlan: Ref<Vlan>,
    }
    /// `VM.clean_shutdown`: asks the guest.
    VmCleanShutdown {
        /// The VM.
        vm: Ref<Vm>,
    }
    /// `VM.destroy`: its settings are gone, its disks stay.
    VmDestroy {
        /// The VM.
        vm: Ref<Vm>,
    }
    /// `VM.hard_shutdown`: pulls the plug.
    VmHardShutdown {
        /// The VM.
        vm: Ref<Vm>,
    }
    /// `VM.migrate_send` into the pool, after `host.migrate_receive` there.
    VmMigrateToPool {
        /// The VM.
        vm: Ref<Vm>,
        /// Whether it runs meanwhile; else it is halted.
        live: bool,
        /// The pool's host that will run it.
        host: Ref<Host>,
        /// The pool's network that carries its memory.
        network: Ref<Network>,
        /// Where each of its disks goes.
        vdi_map: BTreeMap<Ref<Vdi>, Ref<Sr>>,
        /// Which network each of its interfaces goes to.
        vif_map: BTreeMap<Ref<Vif>, Ref<Network>>,
    }
    /// `VM.remove_from_other_config`: the VM gets a new seed where it is needed.
    VmRemoveMacSeed {
        /// The VM.
        vm: Ref<Vm>,
        /// The seed that it has.
        seed: String,
    }
    /// `VM.resume`
    VmResume {
        /// The VM.
        vm: Ref<Vm>,
    }
    /// `VM.start`
    VmStart {
        /// The VM.
        vm: Ref<Vm>,
    }
    /// `VM.unpause`
    VmUnpause {
        /// The VM.
        vm: Ref<Vm>,
    }
    /// `VM.suspend`: its memory goes to disk.
    VmSuspend {
        /// The VM.
        vm: Ref<Vm>,
    }
}

impl Action {
    /// Whose server is called.
    pub fn side(&self) -> Side {
        match self {
            Self::Await { side, .. }
            | Self::HostDisable { side, .. }
            | Self::HostEnable { side, .. }
            | Self::HostReboot { side, .. }
            | Self::HostRestartAgent { side, .. }
            | Self::PoolDisableHa { side, .. }
            | Self::PoolEnableHa { side, .. }
            | Self::PoolEnableTlsVerification { side, .. }
            | Self::PoolUninstallCaCertificate { side, .. }
            | Self::PoolUninstallTrustedCertificate { side, .. } => *side,
            Self::HostDestroy { .. } => Side::Pool,
            _ => Side::Joiner,
        }
    }

    /// XAPI's name of the method; none for a wait.
    pub fn method(&self) -> Option<&'static str> {
        Some(match self {
            Self::Await { .. } => return None,
            Self::BondDestroy { .. } => "Bond.destroy",
            Self::ClusterHostDisable { .. } => "Cluster_host.disable",
            Self::ClusterHostEnable { .. } => "Cluster_host.enable",
            Self::HostApplyEdition { .. } => "host.apply_edition",
            Self::HostDestroy { .. } => "host.destroy",
            Self::HostDisable { .. } => "host.disable",
            Self::HostDisableExternalAuth { .. } => "host.disable_external_auth",
            Self::HostEnable { .. } => "host.enable",
            Self::HostReboot { .. } => "host.reboot",
            Self::HostRestartAgent { .. } => "host.restart_agent",
            Self::NetworkAddPurpose { .. } => "network.add_purpose",
            Self::NetworkDestroy { .. } => "network.destroy",
            Self::NetworkRemovePurpose { .. } => "network.remove_purpose",
            Self::NetworkSriovDestroy { .. } => "network_sriov.destroy",
            Self::PbdPlug { .. } => "PBD.plug",
            Self::PbdUnplug { .. } => "PBD.unplug",
            Self::PoolDisableHa { .. } => "pool.disable_ha",
            Self::PoolEnableHa { .. } => "pool.enable_ha",
            Self::PoolEnableTlsVerification { .. } => "pool.enable_tls_verification",
            Self::PoolUninstallCaCertificate { .. } => "pool.uninstall_ca_certificate",
            Self::PoolUninstallTrustedCertificate { .. } => "pool.uninstall_trusted_certificate",
            Self::SdnControllerForget { .. } => "SDN_controller.forget",
            Self::SrDestroy { .. } => "SR.destroy",
            Self::SrForget { .. } => "SR.forget",
            Self::TaskCancel { .. } => "task.cancel",
            Self::TunnelDestroy { .. } => "tunnel.destroy",
            Self::VdiDestroy { .. } => "VDI.destroy",
            Self::VlanDestroy { .. } => "VLAN.destroy",
            Self::VmCleanShutdown { .. } => "VM.clean_shutdown",
            Self::VmDestroy { .. } => "VM.destroy",
            Self::VmHardShutdown { .. } => "VM.hard_shutdown",
            Self::VmMigrateToPool { .. } => "VM.migrate_send",
            Self::VmRemoveMacSeed { .. } => "VM.remove_from_other_config",
            Self::VmResume { .. } => "VM.resume",
            Self::VmStart { .. } => "VM.start",
            Self::VmSuspend { .. } => "VM.suspend",
            Self::VmUnpause { .. } => "VM.unpause",
        })
    }

    /// The parameters of the call, its session left out.
    pub fn params(&self) -> Vec<Param> {
        match self {
            Self::Await { .. } | Self::PoolDisableHa { .. } => vec![],
            Self::PoolEnableTlsVerification { .. } => vec![],
            Self::PoolEnableHa { heartbeat_srs, configuration, .. } => vec![
                Param::Set(heartbeat_srs.iter().map(ToString::to_string).collect()),
                Param::Map(configuration.clone()),
            ],
            Self::NetworkAddPurpose { network, purpose }
            | Self::NetworkRemovePurpose { network, purpose } => {
                vec![Param::text(network), Param::text(purpose)]
            }
            Self::PoolUninstallCaCertificate { name, .. } => {
                vec![Param::text(name), Param::Bool(false)]
            }
            Self::PoolUninstallTrustedCertificate { pool, certificate, .. } => {
                vec![Param::text(pool), Param::text(certificate)]
            }
            Self::HostApplyEdition { host, edition, .. } => {
                vec![Param::text(host), Param::text(edition), Param::Bool(false)]
            }
            Self::HostDisableExternalAuth { host } => {
                vec![Param::text(host), Param::Map(BTreeMap::new()), Param::Bool(false)]
            }
            Self::VmMigrateToPool { vm, live, vdi_map, vif_map, .. } => vec![
                Param::text(vm),
                Param::Prelude,
                Param::Bool(*live),
                Param::map(vdi_map),
                Param::map(vif_map),
                Param::Map(BTreeMap::new()),
            ],
            Self::VmRemoveMacSeed { vm, .. } => vec![Param::text(vm), Param::text(&"mac_seed")],
            Self::VmResume { vm } | Self::VmStart { vm } => {
                vec![Param::text(vm), Param::Bool(false), Param::Bool(false)]
            }
            _ => vec![Param::Text(self.object().1)],
        }
    }

    /// The call that must be made just before, whose answer is a parameter of this one.
    pub fn prelude(&self) -> Option<Call> {
        match self {
            Self::VmMigrateToPool { host, network, .. } => Some(Call {
                side: Side::Pool,
                method: "host.migrate_receive",
                params: vec![Param::text(host), Param::text(network), Param::Map(BTreeMap::new())],
            }),
            _ => None,
        }
    }

    /// The class and ref of the object that is acted on.
    pub fn object(&self) -> (Class, String) {
        match self {
            Self::Await { object, .. } => {
                (Class::from_name(&object.class).unwrap_or(Class::Pool), object.reference.clone())
            }
            Self::BondDestroy { bond } => (Class::Bond, bond.to_string()),
            Self::ClusterHostDisable { cluster_host }
            | Self::ClusterHostEnable { cluster_host } => {
                (Class::ClusterHost, cluster_host.to_string())
            }
            Self::HostApplyEdition { host, .. }
            | Self::HostDestroy { host }
            | Self::HostDisable { host, .. }
            | Self::HostDisableExternalAuth { host }
            | Self::HostEnable { host, .. }
            | Self::HostReboot { host, .. }
            | Self::HostRestartAgent { host, .. } => (Class::Host, host.to_string()),
            Self::NetworkAddPurpose { network, .. }
            | Self::NetworkDestroy { network }
            | Self::NetworkRemovePurpose { network, .. } => (Class::Network, network.to_string()),
            Self::NetworkSriovDestroy { network_sriov } => {
                (Class::NetworkSriov, network_sriov.to_string())
            }
            Self::PbdPlug { pbd } | Self::PbdUnplug { pbd } => (Class::Pbd, pbd.to_string()),
            Self::PoolDisableHa { pool, .. }
            | Self::PoolEnableHa { pool, .. }
            | Self::PoolEnableTlsVerification { pool, .. } => (Class::Pool, pool.to_string()),
            Self::PoolUninstallCaCertificate { certificate, .. }
            | Self::PoolUninstallTrustedCertificate { certificate, .. } => {
                (Class::Certificate, certificate.to_string())
            }
            Self::SdnControllerForget { sdn_controller } => {
                (Class::SdnController, sdn_controller.to_string())
            }
            Self::SrDestroy { sr } | Self::SrForget { sr } => (Class::Sr, sr.to_string()),
            Self::TaskCancel { task, .. } => (Class::Task, task.to_string()),
            Self::TunnelDestroy { tunnel } => (Class::Tunnel, tunnel.to_string()),
            Self::VdiDestroy { vdi } => (Class::Vdi, vdi.to_string()),
            Self::VlanDestroy { vlan } => (Class::Vlan, vlan.to_string()),
            Self::VmCleanShutdown { vm }
            | Self::VmDestroy { vm }
            | Self::VmHardShutdown { vm }
            | Self::VmMigrateToPool { vm, .. }
            | Self::VmRemoveMacSeed { vm, .. }
            | Self::VmResume { vm }
            | Self::VmStart { vm }
            | Self::VmSuspend { vm }
            | Self::VmUnpause { vm } => (Class::Vm, vm.to_string()),
        }
    }

    /// What must hold for the call to be made, beside that its object is there.
    pub fn preconditions(&self) -> Vec<Condition> {
        let power = |vm: &Ref<Vm>, states: &[PowerState]| {
            vec![Condition::VmPower { vm: vm.clone(), states: states.to_vec() }]
        };
        match self {
            Self::HostDestroy { host } => vec![
                Condition::HaEnabled { enabled: false },
                Condition::HostLive { host: host.clone(), live: false },
            ],
            Self::HostReboot { host, .. } => {
                vec![Condition::HostEnabled { host: host.clone(), enabled: false }]
            }
            Self::NetworkDestroy { network } => {
                vec![Condition::NetworkUnused { network: network.clone() }]
            }
            Self::SrDestroy { sr } => vec![
                Condition::SrAttached { sr: sr.clone(), attached: true },
                Condition::SrEmpty { sr: sr.clone() },
            ],
            Self::SrForget { sr } => {
                vec![Condition::SrAttached { sr: sr.clone(), attached: false }]
            }
            Self::VmCleanShutdown { vm }
            | Self::VmSuspend { vm }
            | Self::VmMigrateToPool { vm, live: true, .. } => power(vm, &[PowerState::Running]),
            Self::VmMigrateToPool { vm, live: false, .. } => power(vm, &[PowerState::Halted]),
            Self::VmUnpause { vm } => power(vm, &[PowerState::Paused]),
            Self::VmHardShutdown { vm } => {
                power(vm, &[PowerState::Paused, PowerState::Running, PowerState::Suspended])
            }
            Self::VmDestroy { vm } => power(vm, &[PowerState::Halted, PowerState::Suspended]),
            Self::VmResume { vm } => power(vm, &[PowerState::Suspended]),
            Self::VmStart { vm } => power(vm, &[PowerState::Halted]),
            _ => vec![],
        }
    }

    /// What holds afterwards; if it holds already, there is nothing to do.
    pub fn effect(&self) -> Condition {
        match self {
            Self::Await { until, .. } => until.clone(),
            Self::ClusterHostDisable { cluster_host } => {
                Condition::ClusterHostEnabled { cluster_host: cluster_host.clone(), enabled: false }
            }
            Self::ClusterHostEnable { cluster_host } => {
                Condition::ClusterHostEnabled { cluster_host: cluster_host.clone(), enabled: true }
            }
            Self::HostApplyEdition { host, edition, .. } => {
                Condition::HostEdition { host: host.clone(), edition: edition.clone() }
            }
            Self::HostDisableExternalAuth { host } => {
                Condition::HostNotInDomain { host: host.clone() }
            }
            Self::HostDisable { host, .. } => {
                Condition::HostEnabled { host: host.clone(), enabled: false }
            }
            Self::HostEnable { host, .. } => {
                Condition::HostEnabled { host: host.clone(), enabled: true }
            }
            Self::HostReboot { host, .. } | Self::HostRestartAgent { host, .. } => {
                Condition::NoPendingGuidance { host: host.clone() }
            }
            Self::NetworkAddPurpose { network, purpose } => Condition::NetworkPurpose {
                network: network.clone(),
                purpose: purpose.clone(),
                serves: true,
            },
            Self::NetworkRemovePurpose { network, purpose } => Condition::NetworkPurpose {
                network: network.clone(),
                purpose: purpose.clone(),
                serves: false,
            },
            Self::PbdPlug { pbd } => Condition::PbdAttached { pbd: pbd.clone(), attached: true },
            Self::PbdUnplug { pbd } => Condition::PbdAttached { pbd: pbd.clone(), attached: false },
            Self::PoolDisableHa { .. } => Condition::HaEnabled { enabled: false },
            Self::PoolEnableHa { .. } => Condition::HaEnabled { enabled: true },
            Self::PoolEnableTlsVerification { .. } => Condition::TlsVerification { enabled: true },
            Self::TaskCancel { vm, .. } => Condition::VmIdle { vm: vm.clone() },
            Self::VmCleanShutdown { vm } | Self::VmHardShutdown { vm } => {
                Condition::VmPower { vm: vm.clone(), states: vec![PowerState::Halted] }
            }
            Self::VmMigrateToPool { vm, .. } => Condition::gone(vm),
            Self::VmRemoveMacSeed { vm, .. } => Condition::VmWithoutMacSeed { vm: vm.clone() },
            Self::VmResume { vm } | Self::VmStart { vm } | Self::VmUnpause { vm } => {
                Condition::VmPower { vm: vm.clone(), states: vec![PowerState::Running] }
            }
            Self::VmSuspend { vm } => {
                Condition::VmPower { vm: vm.clone(), states: vec![PowerState::Suspended] }
            }
            Self::BondDestroy { .. }
            | Self::HostDestroy { .. }
            | Self::NetworkDestroy { .. }
            | Self::NetworkSriovDestroy { .. }
            | Self::PoolUninstallCaCertificate { .. }
            | Self::PoolUninstallTrustedCertificate { .. }
            | Self::SdnControllerForget { .. }
            | Self::SrDestroy { .. }
            | Self::SrForget { .. }
            | Self::TunnelDestroy { .. }
            | Self::VdiDestroy { .. }
            | Self::VlanDestroy { .. }
            | Self::VmDestroy { .. } => {
                let (class, reference) = self.object();
                Condition::Gone { class: class.as_str().to_owned(), reference }
            }
        }
    }

    /// What the call destroys for good, as the side's snapshot knows it.
    pub fn destroys(&self, world: &Snapshot) -> Vec<Loss> {
        fn one<T: Named>(kind: LossKind, world: &Snapshot, reference: &Ref<T>) -> Loss {
            Loss::new(kind, object_at(world, reference))
        }
        match self {
            Self::NetworkDestroy { network } => vec![one(LossKind::Network, world, network)],
            Self::PoolUninstallCaCertificate { certificate, .. }
            | Self::PoolUninstallTrustedCertificate { certificate, .. } => {
                vec![one(LossKind::Certificate, world, certificate)]
            }
            Self::SrDestroy { sr } => {
                let bytes = world.get(sr).map_or(-1, |sr| sr.physical_utilisation);
                vec![one(LossKind::SrContent, world, sr).bytes(bytes)]
            }
            Self::VdiDestroy { vdi } => {
                let bytes = world.get(vdi).map_or(-1, |vdi| vdi.virtual_size);
                vec![one(LossKind::Vdi, world, vdi).bytes(bytes)]
            }
            Self::VmDestroy { vm } => vec![one(LossKind::Vm, world, vm)],
            Self::VmHardShutdown { vm } => {
                let bytes = world
                    .get(vm)
                    .and_then(|vm| world.get(&vm.metrics))
                    .map_or(-1, |metrics| metrics.memory_actual);
                vec![one(LossKind::Memory, world, vm).bytes(bytes)]
            }
            _ => vec![],
        }
    }

    /// The action that takes it back, where there is one.
    pub fn undo(&self) -> Option<Self> {
        Some(match self {
            Self::ClusterHostDisable { cluster_host } => {
                Self::ClusterHostEnable { cluster_host: cluster_host.clone() }
            }
            Self::HostApplyEdition { host, edition, before } => Self::HostApplyEdition {
                host: host.clone(),
                edition: before.clone(),
                before: edition.clone(),
            },
            Self::HostDisable { side, host } => {
                Self::HostEnable { side: *side, host: host.clone() }
            }
            Self::NetworkRemovePurpose { network, purpose } => {
                Self::NetworkAddPurpose { network: network.clone(), purpose: purpose.clone() }
            }
            Self::PbdUnplug { pbd } => Self::PbdPlug { pbd: pbd.clone() },
            Self::PoolDisableHa { side, pool, heartbeat_srs, configuration } => {
                Self::PoolEnableHa {
                    side: *side,
                    pool: pool.clone(),
                    heartbeat_srs: heartbeat_srs.clone(),
                    configuration: configuration.clone(),
                }
            }
            Self::VmCleanShutdown { vm } => Self::VmStart { vm: vm.clone() },
            Self::VmSuspend { vm } => Self::VmResume { vm: vm.clone() },
            _ => return None,
        })
    }
}

impl Param {
    fn text(value: &impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    fn map<K: ToString, V: ToString>(map: &BTreeMap<K, V>) -> Self {
        Self::Map(map.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }
}
