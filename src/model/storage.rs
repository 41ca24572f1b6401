//! Storage: repositories, how hosts reach them, disks.

use std::collections::BTreeMap;

use super::record::record;
use super::{Host, Ref, Timestamp, Uuid, VbdType, VdiType, Vm};

record! {
    /// A storage repository.
    Sr, "SR", sr {
        uuid: Uuid,
        name_label: String,
        name_description: String,
        VDIs: Vec<Ref<Vdi>>,
        PBDs: Vec<Ref<Pbd>>,
        /// Bytes promised to disks.
        virtual_allocation: i64,
        /// Bytes; -1 until scanned, as right after a join.
        physical_utilisation: i64,
        /// Bytes; -1 until scanned.
        physical_size: i64,
        /// `ext`, `lvm`, `nfs`, `lvmoiscsi`, `iso`, `udev` and others.
        r#type as "type": String,
        /// `user`, `iso` or `disk`.
        content_type: String,
        shared: bool,
        other_config: BTreeMap<String, String>,
        tags: Vec<String>,
        sm_config: BTreeMap<String, String>,
        local_cache_enabled: bool,
        clustered: bool,
        is_tools_sr: bool,
    }
}

record! {
    /// A host's connection to a storage repository.
    Pbd, "PBD", pbd {
        uuid: Uuid,
        host: Ref<Host>,
        SR: Ref<Sr>,
        /// Keys that end in `_secret` name a `secret` object.
        device_config: BTreeMap<String, String>,
        currently_attached: bool,
        other_config: BTreeMap<String, String>,
    }
}

record! {
    /// A virtual disk.
    Vdi, "VDI", vdi {
        uuid: Uuid,
        name_label: String,
        name_description: String,
        SR: Ref<Sr>,
        VBDs: Vec<Ref<Vbd>>,
        /// Bytes that the VM sees.
        virtual_size: i64,
        /// Bytes on the SR.
        physical_utilisation: i64,
        r#type as "type": VdiType,
        sharable: bool,
        read_only: bool,
        location: String,
        managed: bool,
        missing: bool,
        is_a_snapshot: bool,
        /// Dangles after a join.
        snapshot_of: Ref<Vdi>,
        snapshot_time: Timestamp,
        tags: Vec<String>,
        is_tools_iso: bool,
    }
}

record! {
    /// A VM's disk or drive.
    Vbd, "VBD", vbd {
        uuid: Uuid,
        VM: Ref<Vm>,
        VDI: Ref<Vdi>,
        device: String,
        userdevice: String,
        r#type as "type": VbdType,
        empty: bool,
        currently_attached: bool,
    }
}

record! {
    /// A storage driver.
    Sm, "SM", sm {
        uuid: Uuid,
        name_label: String,
        r#type as "type": String,
        version: String,
        /// Feature to its version.
        features: BTreeMap<String, i64>,
        required_cluster_stack: Vec<String>,
    }
}
