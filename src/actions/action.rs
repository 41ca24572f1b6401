//! Single XAPI calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Condition, Side};
use crate::model::{
    Bond, Certificate, ClusterHost, Host, Network, NetworkPurpose, NetworkSriov, Object, Pbd, Pool,
    Ref, SdnController, Sr, Task, Tunnel, Vdi, Vif, Vlan, Vm,
};

macro_rules! actions {
    ($(
        $(#[$meta:meta])*
        $name:ident { $( $(#[$fmeta:meta])* $field:ident : $ty:ty ),* $(,)? }
    )*) => {
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

        impl Action {
            /// The names of all actions, as the variants are called.
            pub const NAMES: &[&str] = &[$( stringify!($name) ),*];
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
    /// `VM.clean_shutdown`: asks the VM's operating system.
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
