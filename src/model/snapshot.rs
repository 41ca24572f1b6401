//! One consistent cut of one pool.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::text::plain;

macro_rules! classes {
    ($($(#[$meta:meta])* $name:ident $table:ident $class:literal $lower:literal),* $(,)?) => {
        /// The XAPI classes that this crate models.
        ///
        /// Their `Display` form is XAPI's name of the class.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Class {
            $(#[doc = concat!("`", $class, "`")] $name),*
        }

        impl Class {
            /// All modelled classes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// XAPI's name of the class, such as `PIF`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $class),* }
            }

            /// The class with this name, in XAPI's spelling or lower case as events have it.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($class => Some(Self::$name),)*
                    _ => Self::from_lower(name),
                }
            }

            #[allow(unreachable_patterns, reason = "some names are lower case as they are")]
            fn from_lower(name: &str) -> Option<Self> {
                match name {
                    $($lower => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        /// One near-consistent cut of one pool.
        ///
        /// It holds the records of the classes that were asked for.
        ///
        /// A server reads the records of a batch one after another, so a ref may dangle; that is
        /// data, not an error. Saved as `{"class": {"OpaqueRef:…": {record}}}` in XAPI's own names.
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct Snapshot {
            $(
                #[doc = concat!("The records of class `", $class, "`.")]
                pub $table: Table<$name>,
            )*
            /// Records that could not be decoded; the others are not affected.
            pub problems: Vec<Problem>,
            /// Classes of the source that this crate does not model, by name.
            pub unmodelled: BTreeSet<String>,
        }

        /// Runs code for the table of a class that is known only at run time.
        ///
        /// `with_table!(class, Type => expression)`.
        macro_rules! with_class {
            ($selected:expr, $ty:ident => $body:expr) => {
                match $selected {
                    $($crate::model::Class::$name => { type $ty = $crate::model::$name; $body })*
                }
            };
        }
        pub(crate) use with_class;
    };
}

classes! {
    Pool pool "pool" "pool",
    Host host "host" "host",
    HostMetrics host_metrics "host_metrics" "host_metrics",
    Network network "network" "network",
    Pif pif "PIF" "pif",
    PifMetrics pif_metrics "PIF_metrics" "pif_metrics",
    Vlan vlan "VLAN" "vlan",
    Bond bond "Bond" "bond",
    Tunnel tunnel "tunnel" "tunnel",
    NetworkSriov network_sriov "network_sriov" "network_sriov",
    Sr sr "SR" "sr",
    Pbd pbd "PBD" "pbd",
    Vdi vdi "VDI" "vdi",
    Vbd vbd "VBD" "vbd",
    Vif vif "VIF" "vif",
    Vm vm "VM" "vm",
    VmMetrics vm_metrics "VM_metrics" "vm_metrics",
    VmGuestMetrics vm_guest_metrics "VM_guest_metrics" "vm_guest_metrics",
    VmAppliance vm_appliance "VM_appliance" "vm_appliance",
    VmGroup vm_group "VM_group" "vm_group",
    Sm sm "SM" "sm",
    Certificate certificate "Certificate" "certificate",
    Cluster cluster "Cluster" "cluster",
    ClusterHost cluster_host "Cluster_host" "cluster_host",
    SdnController sdn_controller "SDN_controller" "sdn_controller",
    PoolUpdate pool_update "pool_update" "pool_update",
    Feature feature "Feature" "feature",
    Pci pci "PCI" "pci",
    Pgpu pgpu "PGPU" "pgpu",
    Vgpu vgpu "VGPU" "vgpu",
    Pusb pusb "PUSB" "pusb",
    UsbGroup usb_group "USB_group" "usb_group",
    Vusb vusb "VUSB" "vusb",
    Task task "task" "task",
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// XAPI's names of the fields of a class that this crate knows.
pub fn fields(class: Class) -> &'static [&'static str] {
    with_class!(class, T => T::FIELDS)
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The record's class.
    pub class: Class,
    /// The record's ref.
    pub reference: String,
    /// What is wrong, after the path to it: `power_state: invalid type: integer …`.
    pub message: String,
}

impl Problem {
    /// A problem with one record.
    pub fn new(class: Class, reference: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class, reference: reference.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.class, plain(&self.reference), plain(&self.message))
    }
}

impl Snapshot {
    /// A snapshot that covers nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The record that a ref leads to, unless the ref is null or dangling.
    pub fn get<T: Record>(&self, reference: &Ref<T>) -> Option<&T> {
        T::table(self).get(reference)
    }

    /// All records of a class, in the order of their refs.
    pub fn table<T: Record>(&self) -> &Table<T> {
        T::table(self)
    }

    /// Whether the source covered a class.
    pub fn covers(&self, class: Class) -> bool {
        with_class!(class, T => T::table(self).covered())
    }

    /// How many records there are, of all classes.
    pub fn len(&self) -> usize {
        Class::ALL.iter().map(|class| with_class!(*class, T => T::table(self).len())).sum()
    }

    /// Whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pool that this is a snapshot of.
    ///
    /// # Errors
    /// `InvalidInput` if there is no pool record, or more than one.
    pub fn the_pool(&self) -> Result<(&Ref<Pool>, &Pool)> {
        let mut pools = self.pool.iter();
        match (pools.next(), pools.next()) {
            (Some(pool), None) => Ok(pool),
            (None, _) => {
                Err(Error::new(ErrorKind::InvalidInput, "the snapshot has no record of class pool"))
            }
            (Some((first, _)), Some((second, _))) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the snapshot holds two pools, {first} and {second}"),
            )),
        }
    }

    /// The pool's master.
    ///
    /// # Errors
    /// `InvalidInput` as for [`Self::the_pool`], or if `pool.master` leads nowhere.
    pub fn master(&self) -> Result<(&Ref<Host>, &Host)> {
        let (pool_ref, pool) = self.the_pool()?;
        match self.host.get(&pool.master) {
            Some(host) => Ok((&pool.master, host)),
            None => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("pool {pool_ref}: master {} is no host of the snapshot", pool.master),
            )),
        }
    }

    /// The management interface of a host.
    ///
    /// If several claim to be it, this is the one that the server meets first, which is the last by
    /// ref.
    pub fn management_pif(&self, host: &Ref<Host>) -> Option<(&Ref<Pif>, &Pif)> {
        self.pif.iter().rev().find(|(_, pif)| pif.management && pif.host == *host)
    }

    /// Whether a host was up when the snapshot was made.
    ///
    /// Not known, `None`, without the host's metrics.
    pub fn is_live(&self, host: &Ref<Host>) -> Option<bool> {
        let host = self.host.get(host)?;
        self.host_metrics.get(&host.metrics).map(|metrics| metrics.live)
    }

    /// Whether a VM is the control domain (dom0) of a host (`Helpers.is_domain_zero`).
    pub fn is_domain_zero(&self, vm_ref: &Ref<Vm>, vm: &Vm) -> bool {
        vm.is_control_domain
            && self.get(&vm.resident_on).is_some_and(|host| host.control_domain == *vm_ref)
    }
}
