//! What a snapshot covers.

use crate::model::Class;

/// Which classes a snapshot covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Hosts, storage and networks of a pool, without its VMs.
    Overview,
    /// Whatever decides whether and how a host joins a pool.
    Preflight,
    /// Whatever decides who can become master, planned or in an emergency.
    Election,
    /// Whatever decides how many hosts may fail, and where VMs can go.
    Failover,
    /// All classes that the model has.
    Everything,
}

impl Scope {
    /// The classes, the pool first.
    pub fn classes(self) -> &'static [Class] {
        match self {
            Self::Overview => OVERVIEW,
            Self::Preflight => PREFLIGHT,
            Self::Election => ELECTION,
            Self::Failover => FAILOVER,
            Self::Everything => Class::ALL,
        }
    }
}

const OVERVIEW: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Sr,
    Class::Pbd,
    Class::Pif,
    Class::Network,
];

const PREFLIGHT: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Pif,
    Class::PifMetrics,
    Class::Network,
    Class::Vlan,
    Class::Bond,
    Class::Tunnel,
    Class::NetworkSriov,
    Class::Sr,
    Class::Pbd,
    Class::Sm,
    Class::Certificate,
    Class::Cluster,
    Class::ClusterHost,
    Class::SdnController,
    Class::PoolUpdate,
    Class::Feature,
    // The joiner's VMs and disks are what a join imports; the pool's are what they can clash with.
    Class::Vm,
    Class::Vif,
    Class::Vbd,
    Class::Vdi,
    // What goes with a VM, or does not.
    Class::VmMetrics,
    Class::VmGuestMetrics,
    Class::VmAppliance,
    Class::VmGroup,
    Class::Vgpu,
    Class::Pgpu,
];

const ELECTION: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Sr,
    Class::Pbd,
    Class::Pif,
    // Those that the database shows on a master that died may have to be told off first.
    Class::Vm,
];

const FAILOVER: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Vm,
    Class::VmMetrics,
    Class::VmGuestMetrics,
    Class::VmAppliance,
    Class::VmGroup,
    Class::Vbd,
    Class::Vdi,
    Class::Sr,
    Class::Pbd,
    Class::Vif,
    Class::Network,
    Class::Pif,
    // Whether a network is there on another host depends on what lies below it.
    Class::Vlan,
    Class::Bond,
    Class::NetworkSriov,
    Class::Pgpu,
    Class::Vgpu,
    Class::Vusb,
    Class::UsbGroup,
    Class::Pusb,
    // A cluster must keep its quorum.
    Class::Cluster,
    Class::ClusterHost,
];
