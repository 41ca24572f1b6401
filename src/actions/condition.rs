//! What must hold before an action, and what holds after it, as data.

use serde::{Deserialize, Serialize};

use crate::model::{
    Class, ClusterHost, Host, Network, NetworkPurpose, Pbd, PowerState, Record, Ref, Snapshot, Sr,
    Vm, label_at, object_of_class, with_class,
};
use crate::text::quoted;

/// A fact about one side's database that a snapshot can confirm.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "condition", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Condition {
    /// Whether a host's membership in a cluster is enabled; false too if it is gone.
    ClusterHostEnabled {
        /// The membership.
        cluster_host: Ref<ClusterHost>,
        /// Enabled or not.
        enabled: bool,
    },
    /// An object is not there (any more).
    Gone {
        /// XAPI's name of the class.
        class: String,
        /// The object's ref.
        #[serde(rename = "ref")]
        reference: String,
    },
    /// Whether HA is enabled.
    HaEnabled {
        /// Enabled or not.
        enabled: bool,
    },
    /// A host has an edition.
    HostEdition {
        /// The host.
        host: Ref<Host>,
        /// The edition.
        edition: String,
    },
    /// No VM is on a host but its control domain.
    HostEmpty {
        /// The host.
        host: Ref<Host>,
    },
    /// Whether a host is up, as its metrics say.
    HostLive {
        /// The host.
        host: Ref<Host>,
        /// Up or not.
        live: bool,
    },
    /// A host has no external authentication.
    HostNotInDomain {
        /// The host.
        host: Ref<Host>,
    },
    /// Whether a host accepts VMs.
    HostEnabled {
        /// The host.
        host: Ref<Host>,
        /// Enabled or not.
        enabled: bool,
    },
    /// A host has no mandatory guidance left.
    NoPendingGuidance {
        /// The host.
        host: Ref<Host>,
    },
    /// No update is being applied.
    NotUpdating,
    /// No VM is on a network, no interface of a host either.
    NetworkUnused {
        /// The network.
        network: Ref<Network>,
    },
    /// Whether a network serves a purpose.
    NetworkPurpose {
        /// The network.
        network: Ref<Network>,
        /// The purpose.
        purpose: NetworkPurpose,
        /// Whether it does.
        serves: bool,
    },
    /// Whether a host is connected to a storage repository.
    ///
    /// Not so, too, if the connection is gone.
    PbdAttached {
        /// The connection.
        pbd: Ref<Pbd>,
        /// Up or not.
        attached: bool,
    },
    /// Nothing is being done with the pool.
    PoolIdle,
    /// An object is there.
    Present {
        /// XAPI's name of the class.
        class: String,
        /// The object's ref.
        #[serde(rename = "ref")]
        reference: String,
    },
    /// Whether some connection to a storage repository is up.
    SrAttached {
        /// The storage repository.
        sr: Ref<Sr>,
        /// Some, or none.
        attached: bool,
    },
    /// No disk is on a storage repository.
    SrEmpty {
        /// The storage repository.
        sr: Ref<Sr>,
    },
    /// Whether the pool verifies certificates.
    TlsVerification {
        /// Verifies or not.
        enabled: bool,
    },
    /// Nothing is being done with a VM.
    VmIdle {
        /// The VM.
        vm: Ref<Vm>,
    },
    /// A VM is in one of some power states.
    VmPower {
        /// The VM.
        vm: Ref<Vm>,
        /// The states.
        states: Vec<PowerState>,
    },
    /// A VM has no MAC seed, or is gone.
    VmWithoutMacSeed {
        /// The VM.
        vm: Ref<Vm>,
    },
}

impl Condition {
    /// An object is there.
    pub fn present<T: Record>(reference: &Ref<T>) -> Self {
        Self::Present { class: T::CLASS.to_owned(), reference: reference.to_string() }
    }

    /// An object is not there.
    pub fn gone<T: Record>(reference: &Ref<T>) -> Self {
        Self::Gone { class: T::CLASS.to_owned(), reference: reference.to_string() }
    }

    /// Whether it holds in a snapshot of the side in question.
    ///
    /// Not known, `None`, if the snapshot does not tell.
    pub fn holds(&self, snapshot: &Snapshot) -> Option<bool> {
        match self {
            Self::ClusterHostEnabled { cluster_host, enabled } => {
                match gone(snapshot, cluster_host)? {
                    true => Some(!enabled),
                    false => field(snapshot, cluster_host, "enabled")
                        .map(|cluster_host| cluster_host.enabled == *enabled),
                }
            }
            Self::Gone { class, reference } => {
                there(snapshot, class, reference).map(|there| !there)
            }
            Self::Present { class, reference } => there(snapshot, class, reference),
            Self::HaEnabled { enabled } => {
                the_pool(snapshot, "ha_enabled").map(|pool| pool.ha_enabled == *enabled)
            }
            Self::HostEdition { host, edition } => {
                field(snapshot, host, "edition").map(|host| host.edition == *edition)
            }
            Self::HostEmpty { host } => {
                let world = covered(snapshot, Class::Vm)?;
                let on = |(reference, vm): (&Ref<Vm>, &Vm)| {
                    vm.resident_on == *host
                        && vm.power_state != PowerState::Halted
                        && !world.is_domain_zero(reference, vm)
                };
                Some(!world.vm.iter().any(on))
            }
            Self::HostLive { host, live } => snapshot.is_live(host).map(|is| is == *live),
            Self::HostNotInDomain { host } => field(snapshot, host, "external_auth_type")
                .map(|host| host.external_auth_type.is_empty()),
            Self::HostEnabled { host, enabled } => {
                field(snapshot, host, "enabled").map(|host| host.enabled == *enabled)
            }
            Self::NoPendingGuidance { host } => field(snapshot, host, "pending_guidances")?
                .pending_guidances
                .as_ref()
                .map(Vec::is_empty),
            Self::NotUpdating => the_pool(snapshot, "current_operations").map(|pool| {
                !pool
                    .current_operations
                    .values()
                    .any(|operation| *operation == crate::model::PoolOperation::ApplyUpdates)
            }),
            Self::NetworkUnused { network } => {
                let on_it =
                    covered(snapshot, Class::Pif)?.pif.records().any(|pif| pif.network == *network);
                let vms = covered(snapshot, Class::Vif)?
                    .vif
                    .records()
                    .any(|vif| vif.network == *network && vif.currently_attached);
                Some(!on_it && !vms)
            }
            Self::NetworkPurpose { network, purpose, serves } => {
                let network = field(snapshot, network, "purpose")?;
                Some(network.purpose.contains(purpose) == *serves)
            }
            Self::PbdAttached { pbd, attached } => match gone(snapshot, pbd)? {
                true => Some(!attached),
                false => field(snapshot, pbd, "currently_attached")
                    .map(|pbd| pbd.currently_attached == *attached),
            },
            Self::PoolIdle => the_pool(snapshot, "current_operations")
                .map(|pool| pool.current_operations.is_empty()),
            Self::SrAttached { sr, attached } => {
                let up = covered(snapshot, Class::Pbd)?
                    .pbd
                    .records()
                    .any(|pbd| pbd.SR == *sr && pbd.currently_attached);
                Some(up == *attached)
            }
            Self::SrEmpty { sr } => {
                Some(!covered(snapshot, Class::Vdi)?.vdi.records().any(|vdi| vdi.SR == *sr))
            }
            Self::TlsVerification { enabled } => the_pool(snapshot, "tls_verification_enabled")?
                .tls_verification_enabled
                .map(|verifies| verifies == *enabled),
            Self::VmIdle { vm } => match gone(snapshot, vm)? {
                true => Some(true),
                false => field(snapshot, vm, "current_operations")
                    .map(|vm| vm.current_operations.is_empty()),
            },
            Self::VmPower { vm, states } => {
                field(snapshot, vm, "power_state").map(|vm| states.contains(&vm.power_state))
            }
            Self::VmWithoutMacSeed { vm } => match gone(snapshot, vm)? {
                true => Some(true),
                false => field(snapshot, vm, "other_config").map(|vm| vm.mac_seed().is_none()),
            },
        }
    }
}

impl Condition {
    /// What must hold, as what follows "that".
    ///
    /// Names come from a snapshot of the side in question.
    pub fn describe(&self, snapshot: &Snapshot) -> String {
        let object = |class: &str, reference: &str| match Class::from_name(class) {
            Some(class) => object_of_class(snapshot, class, reference).label().to_string(),
            None => format!("{class} {reference}"),
        };
        let not = |yes: bool| if yes { "" } else { "not " };
        match self {
            Self::ClusterHostEnabled { cluster_host, enabled } => {
                let host =
                    snapshot.get(cluster_host).map(|member| label_at(snapshot, &member.host));
                let host = host.unwrap_or_else(|| "a host that is gone".to_owned());
                format!("clustering is {}enabled on {host}", not(*enabled))
            }
            Self::Gone { class, reference } => format!("{} is gone", object(class, reference)),
            Self::HaEnabled { enabled } => format!("HA is {}", if *enabled { "on" } else { "off" }),
            Self::HostEmpty { host } => format!("no VM is on {}", label_at(snapshot, host)),
            Self::HostEdition { host, edition } => {
                format!("{} has the edition {}", label_at(snapshot, host), quoted(edition))
            }
            Self::HostLive { host, live } => {
                format!("{} is {}live", label_at(snapshot, host), not(*live))
            }
            Self::HostNotInDomain { host } => {
                format!("{} has no external authentication", label_at(snapshot, host))
            }
            Self::HostEnabled { host, enabled } => {
                format!("{} is {}", label_at(snapshot, host), ability(*enabled))
            }
            Self::NoPendingGuidance { host } => {
                format!("{} has no mandatory guidance left", label_at(snapshot, host))
            }
            Self::NotUpdating => "no update is being applied".to_owned(),
            Self::NetworkUnused { network } => {
                format!("no VM and no interface is on {}", label_at(snapshot, network))
            }
            Self::NetworkPurpose { network, purpose, serves } => format!(
                "{} is {}for the purpose {}",
                label_at(snapshot, network),
                not(*serves),
                quoted(purpose)
            ),
            Self::PbdAttached { pbd, attached } => match snapshot.get(pbd) {
                Some(record) => format!(
                    "{} is {}attached on {}",
                    label_at(snapshot, &record.SR),
                    not(*attached),
                    label_at(snapshot, &record.host)
                ),
                None => format!("{} is {}attached", label_at(snapshot, pbd), not(*attached)),
            },
            Self::PoolIdle => "nothing is being done with the pool".to_owned(),
            Self::Present { class, reference } => format!("{} is there", object(class, reference)),
            Self::SrAttached { sr, attached } => {
                format!("{} is {}attached", label_at(snapshot, sr), not(*attached))
            }
            Self::SrEmpty { sr } => format!("no disk is on {}", label_at(snapshot, sr)),
            Self::TlsVerification { enabled } => {
                format!("the verification of certificates is {}", ability(*enabled))
            }
            Self::VmIdle { vm } => {
                format!("nothing is being done with {}", label_at(snapshot, vm))
            }
            Self::VmPower { vm, states } => {
                let states: Vec<_> = states.iter().map(ToString::to_string).collect();
                format!("{} is {}", label_at(snapshot, vm), states.join(" or "))
            }
            Self::VmWithoutMacSeed { vm } => {
                format!("{} has no MAC seed", label_at(snapshot, vm))
            }
        }
    }
}

fn ability(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

fn there(snapshot: &Snapshot, class: &str, reference: &str) -> Option<bool> {
    let class = Class::from_name(class)?;
    covered(snapshot, class)?;
    let found = with_class!(class, T => snapshot.get::<T>(&Ref::new(reference)).is_some());
    let unreadable = snapshot
        .problems
        .iter()
        .any(|problem| problem.class == class && problem.reference == reference);
    Some(found || unreadable)
}

fn gone<T: Record>(snapshot: &Snapshot, reference: &Ref<T>) -> Option<bool> {
    there(snapshot, T::CLASS, &reference.text()).map(|there| !there)
}

fn covered(snapshot: &Snapshot, class: Class) -> Option<&Snapshot> {
    snapshot.covers(class).then_some(snapshot)
}

fn the_pool<'a>(snapshot: &'a Snapshot, field: &str) -> Option<&'a crate::model::Pool> {
    snapshot.the_pool().ok().map(|(_, pool)| pool).filter(|pool| pool.has(field))
}

fn field<'a, T: Record>(snapshot: &'a Snapshot, reference: &Ref<T>, field: &str) -> Option<&'a T> {
    snapshot.get(reference).filter(|record| record.has(field))
}
