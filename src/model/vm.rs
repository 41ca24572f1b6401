//! Virtual machines.

use std::collections::BTreeMap;

use super::record::record;
use super::{
    DomainType, Host, Pci, PlacementPolicy, PowerState, Ref, Sr, Timestamp, UpdateGuidance, Uuid,
    Vbd, Vdi, Vgpu, Vif, VmOperation, Vusb,
};

record! {
    /// A virtual machine, a template, a snapshot or a control domain.
    Vm, "VM", vm {
        uuid: Uuid,
        /// Task ref to operation.
        current_operations: BTreeMap<String, VmOperation>,
        name_label: String,
        name_description: String,
        power_state: PowerState,
        user_version: i64,
        is_a_template: bool,
        is_default_template: bool,
        suspend_VDI: Ref<Vdi>,
        resident_on: Ref<Host>,
        scheduled_to_be_resident_on: Ref<Host>,
        affinity: Ref<Host>,
        /// Bytes.
        memory_overhead: i64,
        /// Bytes.
        memory_static_max: i64,
        /// Bytes.
        memory_dynamic_max: i64,
        /// Bytes.
        memory_dynamic_min: i64,
        /// Bytes.
        memory_static_min: i64,
        VCPUs_max: i64,
        VCPUs_at_startup: i64,
        VIFs: Vec<Ref<Vif>>,
        VBDs: Vec<Ref<Vbd>>,
        VUSBs: Vec<Ref<Vusb>>,
        VGPUs: Vec<Ref<Vgpu>>,
        PV_bootloader: String,
        PV_kernel: String,
        HVM_boot_policy: String,
        HVM_shadow_multiplier: f64 = 1.0,
        platform: BTreeMap<String, String>,
        /// `mac_seed` must be the VM's alone in its pool.
        other_config: BTreeMap<String, String>,
        /// Physical devices passed through to it while it runs.
        attached_PCIs: Vec<Ref<Pci>>,
        domid: i64,
        /// CPU features of its last boot: `vendor`, `features`.
        last_boot_CPU_flags: BTreeMap<String, String>,
        is_control_domain: bool,
        metrics: Ref<VmMetrics>,
        guest_metrics: Ref<VmGuestMetrics>,
        ha_always_run: bool,
        /// `restart`, `best-effort` or empty.
        ha_restart_priority: String,
        is_a_snapshot: bool,
        snapshot_of: Ref<Vm>,
        snapshot_time: Timestamp,
        tags: Vec<String>,
        /// Operation to the error code that it is refused with.
        blocked_operations: BTreeMap<String, String>,
        parent: Ref<Vm>,
        appliance: Ref<VmAppliance>,
        /// Seconds to wait after its start.
        start_delay: i64,
        order: i64,
        suspend_SR: Ref<Sr>,
        version: i64,
        generation_id: String = "0:0",
        hardware_platform_version: i64,
        has_vendor_device: bool = true,
        domain_type: DomainType,
        pending_guidances: Option<Vec<UpdateGuidance>>,
        groups: Option<Vec<Ref<VmGroup>>>,
    }
}

record! {
    /// What is measured of a VM.
    VmMetrics, "VM_metrics", vm_metrics {
        uuid: Uuid,
        /// Bytes.
        memory_actual: i64,
        VCPUs_number: i64,
        hvm: bool,
        nested_virt: bool,
        nomigrate: bool,
        current_domain_type: DomainType,
    }
}

record! {
    /// What the guest tools in a VM report.
    VmGuestMetrics, "VM_guest_metrics", vm_guest_metrics {
        uuid: Uuid,
        /// `major`, `minor`, `micro`, `build`; empty without drivers.
        PV_drivers_version: BTreeMap<String, String>,
        /// `feature-suspend`, `feature-shutdown` and others: `1` if the VM's operating system can
        /// do it.
        other: BTreeMap<String, String>,
    }
}

record! {
    /// VMs that are started and stopped together.
    VmAppliance, "VM_appliance", vm_appliance {
        uuid: Uuid,
        name_label: String,
        VMs: Vec<Ref<Vm>>,
    }
}

record! {
    /// VMs that are placed by one policy.
    VmGroup, "VM_group", vm_group {
        uuid: Uuid,
        name_label: String,
        placement: PlacementPolicy = PlacementPolicy::Normal,
        VMs: Vec<Ref<Vm>>,
    }
}

impl Vm {
    /// Whether it is a template that every installation has, which an export of all leaves out
    /// (`Export.export_all`).
    pub(crate) fn is_of_installation(&self) -> bool {
        let marked = || self.other_config.get("default_template").is_some_and(|v| v == "true");
        self.is_default_template || self.is_a_template && marked()
    }

    /// Whether it is a VM to a user: no template, snapshot or control domain.
    pub fn is_user_vm(&self) -> bool {
        !self.is_a_template && !self.is_a_snapshot && !self.is_control_domain
    }

    /// The seed that its MAC addresses are made from.
    pub fn mac_seed(&self) -> Option<&str> {
        self.other_config.get("mac_seed").map(String::as_str)
    }
}
