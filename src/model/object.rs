//! What a person knows an object of XAPI by.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Class, Record, Ref, Snapshot, with_class};

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
        Self {
            class: class.as_str().to_owned(),
            reference: reference.to_string(),
            uuid: String::new(),
            name: String::new(),
        }
    }

    /// An object of which no more is known than its ref.
    pub(crate) fn at<T: Record>(reference: &Ref<T>) -> Self {
        Self {
            class: T::CLASS.to_owned(),
            reference: reference.to_string(),
            uuid: String::new(),
            name: String::new(),
        }
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
        let Self { class, reference, uuid, name } = self;
        match (name.as_str(), uuid.as_str()) {
            ("", "") => write!(f, "{class} {reference}"),
            ("", uuid) => write!(f, "{class} {uuid}"),
            (name, "") => write!(f, "{class} {name:?} ({reference})"),
            (name, uuid) => write!(f, "{class} {name:?} ({uuid})"),
        }
    }
}

/// What a person knows an object by.
pub(crate) fn object<T: Named>(reference: &Ref<T>, record: &T) -> Object {
    Object::of(reference, record, record.name())
}

/// The object that a ref leads to, by name if it is there.
pub(crate) fn object_at<T: Named>(snapshot: &Snapshot, reference: &Ref<T>) -> Object {
    match snapshot.get(reference) {
        Some(record) => object(reference, record),
        None => Object::at(reference),
    }
}

/// An object by its class and ref, by uuid if it is there.
pub(crate) fn object_of_class(snapshot: &Snapshot, class: Class, reference: &str) -> Object {
    let mut object = Object::unnamed(class, reference);
    with_class!(class, T => {
        if let Some(record) = T::table(snapshot).get(&Ref::new(reference)) {
            object.uuid = record.uuid().to_string();
        }
    });
    object
}

/// Records that have something like a name.
pub(crate) trait Named: Record {
    fn name(&self) -> &str;
}

macro_rules! named {
    ($($name:ident . $field:ident),* $(,)?) => { $(impl Named for super::$name {
        fn name(&self) -> &str { &self.$field }
    })* };
}

named! {
    Certificate.fingerprint, Feature.name_label, Host.name_label, Network.name_label,
    Pif.device, Pool.name_label, PoolUpdate.name_label, SdnController.address, Sm.name_label,
    Sr.name_label, Task.name_label, Vdi.name_label, Vif.device, Vm.name_label, VmAppliance.name_label,
}
