//! What an action destroys.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Certificate, Host, Network, Object, Ref, Snapshot, Sr, Vdi, Vm, object_at};

/// Something that is gone for good after an action.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Loss {
    /// What kind of thing.
    pub kind: LossKind,
    /// The object.
    pub object: Object,
    /// How much data, in bytes, where that is known.
    pub bytes: Option<i64>,
}

/// Kinds of things that can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LossKind {
    /// A trusted certificate: it can be installed again by who has it.
    Certificate,
    /// A host: it belongs to no pool, and has to be installed anew.
    Host,
    /// What programs in a VM had not written to disk.
    Memory,
    /// A network: its name, settings and place in VMs.
    Network,
    /// What a database says of an object, such as the drive of a VM.
    ///
    /// What it stands for, such as the disk, stays as it is.
    Record,
    /// All that lies on a storage repository.
    SrContent,
    /// A virtual disk with its content.
    Vdi,
    /// A VM: its settings, not its disks.
    Vm,
}

impl Loss {
    /// The loss of an object.
    pub fn new(kind: LossKind, object: Object) -> Self {
        Self { kind, object, bytes: None }
    }

    /// The loss of an object, as a snapshot knows it.
    pub(super) fn of(kind: LossKind, world: &Snapshot, object: &Object) -> Self {
        let reference = object.reference.as_str();
        let (object, bytes) = match kind {
            LossKind::Certificate => (object_at(world, &Ref::<Certificate>::new(reference)), None),
            LossKind::Host => (object_at(world, &Ref::<Host>::new(reference)), None),
            LossKind::Memory => {
                let vm = Ref::<Vm>::new(reference);
                let metrics = world.get(&vm).and_then(|vm| world.get(&vm.metrics));
                (object_at(world, &vm), metrics.map(|metrics| metrics.memory_actual))
            }
            LossKind::Network => (object_at(world, &Ref::<Network>::new(reference)), None),
            LossKind::Record => (object.clone(), None),
            LossKind::SrContent => {
                let sr = Ref::<Sr>::new(reference);
                let used = world.get(&sr).map(|sr| sr.physical_utilisation);
                (object_at(world, &sr), used)
            }
            LossKind::Vdi => {
                let vdi = Ref::<Vdi>::new(reference);
                (object_at(world, &vdi), world.get(&vdi).map(|vdi| vdi.virtual_size))
            }
            LossKind::Vm => (object_at(world, &Ref::<Vm>::new(reference)), None),
        };
        match bytes {
            Some(bytes) => Self::new(kind, object).bytes(bytes),
            None => Self::new(kind, object),
        }
    }

    /// Adds the amount of data, in bytes; negative if it is not known.
    #[must_use]
    pub fn bytes(mut self, bytes: i64) -> Self {
        self.bytes = (bytes >= 0).then_some(bytes);
        self
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match self.kind {
            LossKind::Certificate => write!(f, "the certificate {}", object.without_class()),
            LossKind::Host => write!(f, "the membership in any pool of {object}"),
            LossKind::Memory => write!(f, "unsaved memory of {object}"),
            LossKind::Network => write!(f, "the network {}", object.without_class()),
            LossKind::Record => write!(f, "the record of {object}"),
            LossKind::SrContent => write!(f, "everything on {object}"),
            LossKind::Vdi => write!(f, "the disk {}", object.without_class()),
            LossKind::Vm => write!(f, "the settings of {object}"),
        }?;
        match self.bytes {
            Some(bytes) => write!(f, " ({bytes} bytes)"),
            None => Ok(()),
        }
    }
}
