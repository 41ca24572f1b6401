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
    /// Whatever decides how many hosts may fail.
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
    Class::Pgpu,
    Class::Vgpu,
    Class::Vusb,
];
