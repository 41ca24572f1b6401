//! What a person knows an object of XAPI by.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Class, Record, Ref, Snapshot, Uuid, with_class};
use crate::error::Fault;
use crate::text::{plain, quoted};

/// An object of XAPI, with what a person knows it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Object {
    /// XAPI's name of the class.
    pub class: String,
    /// The object's ref, in the database of its side.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The object's uuid; empty if it is not known.
    pub uuid: String,
    /// Its name, or what comes nearest: a device, a tag.
    pub name: String,
}

impl Object {
    /// An object by its ref alone.
    pub fn unnamed(class: Class, reference: impl fmt::Display) -> Self {
        Self::lost(class.as_str(), reference)
    }

    fn lost(class: &str, reference: impl fmt::Display) -> Self {
        Self {
            class: class.to_owned(),
            reference: reference.to_string(),
            uuid: String::new(),
            name: String::new(),
        }
    }

    /// An object of which no more is known than its ref.
    pub(crate) fn at<T: Record>(reference: &Ref<T>) -> Self {
        Self::lost(T::CLASS, reference)
    }

    fn id(&self) -> impl fmt::Display {
        plain(if self.uuid.is_empty() { &self.reference } else { &self.uuid })
    }

    /// Name and uuid of the object, in words that say its class already.
    pub(crate) fn without_class(&self) -> String {
        let word = match self.name.as_str() {
            "" => self.id().to_string(),
            name => quoted(name).to_string(),
        };
        match (self.name.as_str(), self.uuid.as_str()) {
            ("", _) | (_, "") => word,
            (_, uuid) => format!("{word} ({})", plain(uuid)),
        }
    }

    /// The object without its uuid, if it has a name.
    pub(crate) fn label(&self) -> impl fmt::Display {
        Label(self)
    }

    /// The object in a list of its kind: what people named it between quotation marks, what is
    /// named by rule, such as a device, without; else its uuid, or ref.
    pub(crate) fn word(&self) -> impl fmt::Display {
        Word(self)
    }

    /// An object of the model, with the name that a person knows it by.
    pub fn of<T: Record>(reference: &Ref<T>, record: &T, name: impl Into<String>) -> Self {
        Self {
            class: T::CLASS.to_owned(),
            reference: reference.to_string(),
            uuid: record.uuid().to_string(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.label().fmt(f)?;
        match (self.name.as_str(), self.uuid.as_str()) {
            ("", _) | (_, "") => Ok(()),
            (_, uuid) => write!(f, " ({})", plain(uuid)),
        }
    }
}

/// Class and name of an object; its uuid, or ref, in place of a name that it does not have.
struct Label<'a>(&'a Object);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", plain(&self.0.class))?;
        match self.0.name.as_str() {
            "" => self.0.id().fmt(f),
            name => quoted(name).fmt(f),
        }
    }
}

/// The name of an object, or what it goes by without one.
struct Word<'a>(&'a Object);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.name.as_str() {
            "" => self.0.id().fmt(f),
            name if DEVICES.contains(&self.0.class.as_str()) => plain(name).fmt(f),
            name => quoted(name).fmt(f),
        }
    }
}

/// Classes of objects that are named by rule; hosts and they stand in sentences as they are.
const DEVICES: &[&str] = &["Bond", "PCI", "PIF", "VIF", "VLAN", "host", "network_sriov", "tunnel"];

/// An object by the name that a person knows it by.
pub(crate) fn object<T: Named>(reference: &Ref<T>, record: &T) -> Object {
    Object::of(reference, record, record.name())
}

/// The object that a ref leads to; by its ref alone if it is not there.
pub(crate) fn object_at<T: Named>(snapshot: &Snapshot, reference: &Ref<T>) -> Object {
    match snapshot.get(reference) {
        Some(record) => object(reference, record),
        None => Object::at(reference),
    }
}

/// The name of an object, as it may stand in a sentence; what else it is known by if it has none.
pub(crate) fn name_at<T: Named>(snapshot: &Snapshot, reference: &Ref<T>) -> String {
    match object_at(snapshot, reference) {
        Object { name, .. } if !name.is_empty() => plain(name).to_string(),
        object => object.to_string(),
    }
}

/// The names of some objects, as they may stand in a sentence.
pub(crate) fn names_at<T: Named>(snapshot: &Snapshot, references: &[Ref<T>]) -> String {
    references.iter().map(|one| name_at(snapshot, one)).collect::<Vec<_>>().join(", ")
}

/// Class and name of some objects, as they may stand in a sentence.
pub(crate) fn labels_at<T: Named>(snapshot: &Snapshot, references: &[Ref<T>]) -> String {
    references.iter().map(|one| label_at(snapshot, one)).collect::<Vec<_>>().join(", ")
}

/// Class and name of an object, as they may stand in a sentence.
pub(crate) fn label_at<T: Named>(snapshot: &Snapshot, reference: &Ref<T>) -> String {
    object_at(snapshot, reference).label().to_string()
}

/// A fault as the server words it, and the names of the objects that its parameters lead to.
pub(crate) fn fault_with_names(snapshot: &Snapshot, fault: &Fault) -> String {
    match labels_in(snapshot, fault) {
        names if names.is_empty() => fault.to_string(),
        names => format!("{fault}: {}", names.join(", ")),
    }
}

/// Class and name of the objects that a fault's parameters lead to, of those that have a name.
pub(crate) fn labels_in(snapshot: &Snapshot, fault: &Fault) -> Vec<String> {
    let refs = fault.params.iter().filter(|param| param.starts_with("OpaqueRef:"));
    refs.filter_map(|reference| {
        let mut objects =
            Class::ALL.iter().map(|class| object_of_class(snapshot, *class, reference));
        objects.find(|object| !object.name.is_empty())
    })
    .map(|object| object.label().to_string())
    .collect()
}

/// The object that a class and a ref lead to; by its ref alone if it is not there.
pub(crate) fn object_of_class(snapshot: &Snapshot, class: Class, reference: &str) -> Object {
    with_class!(class, T => {
        object_at::<T>(snapshot, &Ref::new(reference))
    })
}

/// An object by its class and uuid, under a name; without a ref if a snapshot does not have it.
pub(crate) fn object_by_uuid(snapshot: &Snapshot, class: Class, uuid: &Uuid, name: &str) -> Object {
    let mut object = Object {
        class: class.as_str().to_owned(),
        reference: String::new(),
        uuid: uuid.to_string(),
        name: name.to_owned(),
    };
    with_class!(class, T => {
        if let Some((reference, _)) = T::table(snapshot).by_uuid(uuid) {
            object.reference = reference.to_string();
        }
    });
    object
}

/// What comes nearest to a name of a record; empty if nothing does.
pub(crate) trait Named: Record {
    fn name(&self) -> &str {
        ""
    }
}

macro_rules! named {
    ($($name:ident $(. $field:ident)?),* $(,)?) => { $(impl Named for super::$name {
        $(fn name(&self) -> &str { &self.$field })?
    })* };
}

named! {
    Bond, Certificate.fingerprint, Cluster, ClusterHost, Feature.name_label, Host.name_label,
    HostMetrics, Network.name_label, NetworkSriov, Pbd, Pci.device_name, Pgpu, Pif.device,
    PifMetrics, Pool.name_label, PoolUpdate.name_label, Pusb.description, SdnController.address,
    Sm.name_label, Sr.name_label, Task.name_label, Tunnel, UsbGroup.name_label, Vbd, Vdi.name_label,
    Vgpu, Vif.device, Vlan, Vm.name_label, VmAppliance.name_label, VmGroup.name_label,
    VmGuestMetrics, VmMetrics, Vusb,
}
