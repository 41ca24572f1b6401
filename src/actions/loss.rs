//! What an action destroys.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Object;

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
    /// What programs in a VM had not written to disk.
    Memory,
    /// A network: its name, settings and place in VMs.
    Network,
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

    /// The same with the amount of data, if it is known.
    #[must_use]
    pub fn bytes(mut self, bytes: i64) -> Self {
        self.bytes = (bytes >= 0).then_some(bytes);
        self
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            LossKind::Certificate => "the certificate ",
            LossKind::Memory => "unsaved memory of ",
            LossKind::Network => "the network ",
            LossKind::SrContent => "everything on ",
            LossKind::Vdi => "the disk ",
            LossKind::Vm => "the settings of ",
        })?;
        write!(f, "{}", self.object)?;
        match self.bytes {
            Some(bytes) => write!(f, " ({bytes} bytes)"),
            None => Ok(()),
        }
    }
}
