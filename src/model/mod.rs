//! What a pool is made of: XAPI's records, typed.
//!
//! Records carry XAPI's own class and field names ([`Host::API_version_major`], [`Pif::VLAN`]), so
//! that whoever knows XAPI finds everything. A field that some supported release lacks (8.2 up to
//! today) is an `Option`; whatever else a source left out is told by the record's `absent` set.

#[cfg(any(test, feature = "proptest"))]
pub mod arbitrary;
mod complete;
mod enums;
mod ident;
mod object;
mod overview;
mod record;
pub(crate) mod since;
mod snapshot;
mod table;
mod timestamp;
mod version;

mod gpu;
mod host;
mod network;
mod pool;
mod storage;
mod vm;

pub use enums::*;
pub use gpu::{Pci, Pgpu, Pusb, UsbGroup, Vgpu, Vusb};
pub use host::{Certificate, Feature, Host, HostMetrics, PoolUpdate};
pub use ident::{Ref, Uuid};
pub use network::{Bond, Network, NetworkSriov, Pif, PifMetrics, SdnController, Tunnel, Vif, Vlan};
pub use object::Object;
pub(crate) use object::{
    fault_with_names, label_at, labels_at, labels_in, name_at, names_at, object, object_at,
    object_by_uuid, object_of_class,
};
pub use overview::Overview;
pub use pool::{Cluster, ClusterHost, Pool, Task};
pub use record::{Absent, Record};
pub(crate) use since::newer_than_8_2;
pub(crate) use snapshot::with_class;
pub use snapshot::{Class, Problem, Snapshot, fields};
pub use storage::{Pbd, Sm, Sr, Vbd, Vdi};
pub use table::{Table, TableIter};
pub use timestamp::Timestamp;
pub use version::Version;
pub use vm::{Vm, VmAppliance, VmGroup, VmGuestMetrics, VmMetrics};
