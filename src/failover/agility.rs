//! Whether a VM can run on every enabled host, and why not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::error::Fault;
use crate::model::{
    Class, Host, Network, NetworkSriov, Pif, Ref, Snapshot, Sr, SriovConfigurationMode, Vm,
    label_at, names_at,
};

/// Why a VM is not agile: it cannot run on every enabled host.
///
/// As `Agility.vm_assert_agile`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NotAgile {
    /// Something that the VM refers to does not exist.
    Broken {
        /// XAPI's name of the class.
        class: &'static str,
        /// The ref that leads nowhere.
        reference: String,
    },
    /// It has a virtual GPU.
    HasVgpu,
    /// It has a USB device.
    HasVusb,
    /// Not every enabled host is on a network that it uses.
    NetworkNotShared {
        /// The network.
        network: Ref<Network>,
        /// Enabled hosts without an interface on it.
        missing_on: Vec<Ref<Host>>,
    },
    /// Not every enabled host reaches a disk's storage.
    SrNotShared {
        /// The storage repository.
        sr: Ref<Sr>,
        /// Whether it is a shared one at all.
        shared: bool,
        /// Enabled hosts without an attached PBD.
        missing_on: Vec<Ref<Host>>,
    },
    /// It is on a network of SR-IOV functions.
    SriovNetwork {
        /// The network.
        network: Ref<Network>,
    },
}

impl NotAgile {
    /// The error by which the server says so.
    pub fn fault(&self, vm: &Ref<Vm>) -> Fault {
        match self {
            Self::Broken { class, reference } => {
                Fault::new("HANDLE_INVALID", [*class, reference.as_str()])
            }
            Self::HasVgpu => Fault::new("VM_HAS_VGPU", [vm.to_string()]),
            Self::HasVusb => Fault::new("VM_HAS_VUSBS", [vm.to_string()]),
            Self::NetworkNotShared { network, .. } => {
                Fault::new("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", [network.to_string()])
            }
            Self::SrNotShared { sr, .. } => {
                Fault::new("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", [sr.to_string()])
            }
            Self::SriovNetwork { .. } => Fault::new("VM_HAS_SRIOV_VIF", [vm.to_string()]),
        }
    }
}

impl NotAgile {
    /// What ties the VM, in one line with names from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        match self {
            Self::Broken { class, reference } => format!("{class} {reference} does not exist"),
            Self::HasVgpu => "it has a virtual GPU".to_owned(),
            Self::HasVusb => "it has a USB device".to_owned(),
            Self::NetworkNotShared { network, missing_on } => {
                format!("{} is missing on {}", label_at(pool, network), names_at(pool, missing_on))
            }
            Self::SrNotShared { sr, shared: false, .. } => {
                format!("{} is not shared", label_at(pool, sr))
            }
            Self::SrNotShared { sr, missing_on, .. } => {
                format!("{} is not attached on {}", label_at(pool, sr), names_at(pool, missing_on))
            }
            Self::SriovNetwork { network } => {
                format!("{} is one of SR-IOV functions", label_at(pool, network))
            }
        }
    }
}

/// Which storage and which networks every enabled host has.
///
/// Made once for a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Sharing<'a> {
    snapshot: &'a Snapshot,
    /// Enabled hosts, dead ones too.
    enabled: BTreeSet<&'a Ref<Host>>,
    /// Enabled hosts with an attached PBD, for each SR.
    attached: BTreeMap<&'a Ref<Sr>, BTreeSet<&'a Ref<Host>>>,
    /// Enabled hosts with a usable interface, for each network.
    wired: BTreeMap<&'a Ref<Network>, BTreeSet<&'a Ref<Host>>>,
}

impl<'a> Sharing<'a> {
    /// Looks at all PBDs and PIFs of a snapshot.
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let enabled: BTreeSet<_> =
            snapshot.host.iter().filter(|(_, host)| host.enabled).map(|(r, _)| r).collect();
        let mut attached = BTreeMap::<_, BTreeSet<_>>::new();
        for pbd in snapshot.pbd.records() {
            if pbd.currently_attached && enabled.contains(&pbd.host) {
                attached.entry(&pbd.SR).or_default().insert(&pbd.host);
            }
        }
        let mut wired = BTreeMap::<_, BTreeSet<_>>::new();
        for pif in snapshot.pif.records() {
            if enabled.contains(&pif.host) && is_usable(snapshot, pif) {
                wired.entry(&pif.network).or_default().insert(&pif.host);
            }
        }
        Self { snapshot, enabled, attached, wired }
    }

    /// Why a VM is not agile, unless it is.
    ///
    /// Like the server this stops at the first reason: GPUs, USB, disks, then networks. A PIF need
    /// not be attached. Dead hosts count while they are enabled.
    pub(super) fn not_agile(&self, vm: &Vm) -> Option<NotAgile> {
        if !vm.VGPUs.is_empty() {
            return Some(NotAgile::HasVgpu);
        }
        if !vm.VUSBs.is_empty() {
            return Some(NotAgile::HasVusb);
        }
        vm.VBDs
            .iter()
            .find_map(|reference| {
                let Some(vbd) = self.snapshot.vbd.get(reference) else {
                    return broken("VBD", reference);
                };
                if vbd.empty {
                    return None;
                }
                match self.snapshot.vdi.get(&vbd.VDI) {
                    None => broken("VDI", &vbd.VDI),
                    Some(vdi) => self.sr_not_shared(&vdi.SR),
                }
            })
            .or_else(|| {
                vm.VIFs.iter().find_map(|reference| match self.snapshot.vif.get(reference) {
                    None => broken("VIF", reference),
                    Some(vif) => self.network_not_shared(&vif.network),
                })
            })
    }

    /// Why an SR is not properly shared (`Agility.is_sr_properly_shared`).
    pub(super) fn sr_not_shared(&self, reference: &Ref<Sr>) -> Option<NotAgile> {
        let Some(sr) = self.snapshot.sr.get(reference) else { return broken("SR", reference) };
        let missing_on = self.missing(self.attached.get(reference));
        (!sr.shared || !missing_on.is_empty()).then(|| NotAgile::SrNotShared {
            sr: reference.clone(),
            shared: sr.shared,
            missing_on,
        })
    }

    /// Why a network is not properly shared (`Agility.is_network_properly_shared`).
    pub(super) fn network_not_shared(&self, reference: &Ref<Network>) -> Option<NotAgile> {
        let missing_on = self.missing(self.wired.get(reference));
        if !missing_on.is_empty() {
            return Some(NotAgile::NetworkNotShared { network: reference.clone(), missing_on });
        }
        let first_pif = self.snapshot.network.get(reference)?.PIFs.first()?;
        sriov_below(self.snapshot, self.snapshot.pif.get(first_pif)?)
            .map(|_| NotAgile::SriovNetwork { network: reference.clone() })
    }

    fn missing(&self, on: Option<&BTreeSet<&'a Ref<Host>>>) -> Vec<Ref<Host>> {
        self.enabled
            .iter()
            .filter(|host| on.is_none_or(|on| !on.contains(*host)))
            .map(|host| (*host).clone())
            .collect()
    }
}

fn broken<T>(class: &'static str, reference: &Ref<T>) -> Option<NotAgile> {
    Some(NotAgile::Broken { class, reference: reference.to_string() })
}

/// No bond slave, and no SR-IOV interface that needs a reboot first.
fn is_usable(snapshot: &Snapshot, pif: &Pif) -> bool {
    let in_bond = !pif.bond_slave_of.is_null()
        && (!snapshot.covers(Class::Bond) || snapshot.bond.get(&pif.bond_slave_of).is_some());
    !in_bond && sriov_below(snapshot, pif).is_none_or(|sriov| comes_up(snapshot, sriov))
}

/// The SR-IOV network that an interface is, or is a VLAN on.
fn sriov_below<'a>(snapshot: &'a Snapshot, pif: &'a Pif) -> Option<&'a Ref<NetworkSriov>> {
    pif.sriov_logical_PIF_of.first().or_else(|| {
        let vlan = snapshot.vlan.get(&pif.VLAN_master_of)?;
        snapshot.pif.get(&vlan.tagged_PIF)?.sriov_logical_PIF_of.first()
    })
}

/// Whether SR-IOV works without a reboot (`can_be_up_without_reboot`).
///
/// The server also asks for idle functions of an interface that is down; a snapshot has no such
/// count, so that interface counts as unusable here.
fn comes_up(snapshot: &Snapshot, sriov: &Ref<NetworkSriov>) -> bool {
    let Some(sriov) = snapshot.network_sriov.get(sriov) else { return false };
    match sriov.configuration_mode {
        SriovConfigurationMode::Sysfs => true,
        SriovConfigurationMode::Modprobe | SriovConfigurationMode::Manual => {
            snapshot.pif.get(&sriov.logical_PIF).is_some_and(|pif| pif.currently_attached)
        }
        _ => false,
    }
}
