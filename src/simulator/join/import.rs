//! The joiner's VMs, taken into the pool all together or not at all (`import.ml`).

use std::collections::HashMap;

use super::export::Export;
use super::transfer::{Transfer, copied, with_pair};
use crate::error::Fault;
use crate::simulator::calls::operations::{refresh_device, refresh_vm};
use crate::simulator::database::{Database, Ref, Row, Value};

/// Sends all VMs of the joiner but the default templates, dom0 included.
///
/// # Errors
/// The first objection. Nothing of the import stays then but the `VM_metrics` and
/// `VM_guest_metrics` of those VMs that had not been made yet; and a VM of the pool that was
/// replaced stays destroyed.
pub(super) fn vms(transfer: &mut Transfer<'_>) -> Result<(), Fault> {
    let export = Export::of_all_vms(transfer.joiner);
    assert_mac_seeds_are_free(transfer, &export)?;
    let task = transfer.random.reference();
    let disks = Disks::of(transfer.pool);
    let mut import =
        Import { transfer, export, task, disks, known: HashMap::new(), made: Vec::new() };
    import.run().inspect_err(|_| import.undo())
}

struct Import<'d, 'a> {
    transfer: &'d mut Transfer<'a>,
    export: Export<'a>,
    task: Ref,
    disks: Disks,
    /// The objects of the pool, by the ref of those that they stand for.
    known: HashMap<Ref, Ref>,
    /// What to take away again, in the order in which it was made.
    made: Vec<(&'static str, Ref)>,
}

/// The pool's VDIs by what an import looks for: by SR and location, and by SCSI id.
struct Disks {
    by_place: HashMap<(Ref, Ref), Ref>,
    by_scsi_id: HashMap<Ref, Ref>,
}

impl Disks {
    fn of(pool: &Database) -> Self {
        let (mut by_place, mut by_scsi_id) = (HashMap::new(), HashMap::new());
        // The first in the server's order counts.
        for vdi in pool.objects("VDI").rev() {
            let place = (vdi.shared_text("SR"), vdi.shared_text("location"));
            by_place.insert(place, Ref::clone(vdi.reference()));
            if let Some(id) = vdi.entry("sm_config", "SCSIid") {
                by_scsi_id.insert(id.into(), Ref::clone(vdi.reference()));
            }
        }
        Self { by_place, by_scsi_id }
    }
}

impl<'a> Import<'_, 'a> {
    /// Class after class, so that refs can be followed.
    fn run(&mut self) -> Result<(), Fault> {
        for class in ["host", "SR"] {
            for object in self.exported(class) {
                if let Some(same) = self.transfer.pool.by_uuid(class, object.text("uuid")) {
                    self.knows(&object, same);
                }
            }
        }
        let handlers: [(&str, Handler<'_, 'a>); 8] = [
            ("VDI", Self::vdi),
            ("VM_guest_metrics", Self::metrics),
            ("VM_metrics", Self::metrics),
            ("VM", Self::vm),
            ("network", Self::network),
            ("VBD", Self::vbd),
            ("VIF", Self::vif),
            ("VTPM", Self::vtpm),
        ];
        for (class, handle) in handlers {
            for object in self.exported(class) {
                handle(self, &object)?;
            }
        }
        self.link_snapshots()
    }

    fn undo(&mut self) {
        for (class, object) in std::mem::take(&mut self.made).into_iter().rev() {
            match class {
                "VM" => self.destroy_vm(&object),
                _ => self.destroy_device(class, &object),
            }
        }
    }

    fn exported(&self, class: &str) -> Vec<Row<'a>> {
        self.export.objects(class).collect()
    }

    fn knows(&mut self, object: &Row<'_>, pools: Ref) {
        self.known.insert(Ref::clone(object.reference()), pools);
    }

    /// The pool's object for a ref of the joiner.
    fn found(&self, reference: &str) -> Option<Value> {
        self.known.get(reference).map(Value::from)
    }

    /// The pool's object for a ref of the joiner that must have one.
    fn required(&self, reference: &str) -> Result<Ref, Fault> {
        self.known.get(reference).cloned().ok_or_else(|| {
            Fault::new("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", [self.export.id(reference)])
        })
    }

    /// ISOs are found by name in any SR of ISOs, disks by place or by SCSI id.
    fn vdi(&mut self, vdi: &Row<'a>) -> Result<(), Fault> {
        let pool = &*self.transfer.pool;
        let location = vdi.text("location");
        let sr = self.transfer.joiner.object("SR", vdi.text("SR"));
        if sr.is_some_and(|sr| sr.text("content_type") == "iso") {
            let iso = pool.find("VDI", |vdi| {
                let sr = pool.object("SR", vdi.text("SR"));
                vdi.text("location") == location
                    && sr.is_some_and(|sr| {
                        sr.text("content_type") == "iso" && sr.text("type") != "udev"
                    })
            });
            if let Some(iso) = iso {
                self.knows(vdi, iso);
            }
            return Ok(());
        }
        let sr = self.known.get(vdi.text("SR"));
        let scsi = vdi.entry("sm_config", "SCSIid");
        let same = scsi.and_then(|id| self.disks.by_scsi_id.get(id)).or_else(|| {
            let place = (Ref::clone(sr?), vdi.shared_text("location"));
            self.disks.by_place.get(&place)
        });
        match (same, sr) {
            (Some(same), _) => {
                let same = Ref::clone(same);
                self.knows(vdi, same);
            }
            (None, Some(sr)) => {
                return Err(Fault::new("VDI_LOCATION_MISSING", [&**sr, location]));
            }
            (None, None) => return Err(Fault::bare("VDI_CONTENT_ID_MISSING")),
        }
        Ok(())
    }

    /// A copy with a new uuid, which nobody takes away if the import fails.
    fn metrics(&mut self, metrics: &Row<'a>) -> Result<(), Fault> {
        let fields = metrics.record();
        let kept = fields.pairs().iter().filter(|(name, _)| &**name != "uuid");
        let values = kept.map(|(name, value)| (&**name, value.clone())).collect();
        let made = self.transfer.create(metrics.class(), values)?;
        self.knows(metrics, made);
        Ok(())
    }

    fn vm(&mut self, vm: &Row<'a>) -> Result<(), Fault> {
        if let Some(old) = self.transfer.pool.by_uuid("VM", vm.text("uuid")) {
            self.replace(&old, vm)?;
        }
        let mut values = copied(vm, VM_FIELDS);
        let domain_type = domain_type(vm);
        values.extend([
            ("domain_type", domain_type.into()),
            ("domid", (-1).into()),
            ("version", (vm.int("version") + 1).into()),
            ("memory_overhead", memory_overhead(vm, domain_type).into()),
            ("other_config", self.other_config(vm)),
            ("platform", platform(vm, domain_type)),
            ("parent", self.export.id(vm.text("parent")).into()),
            ("snapshot_of", self.export.id(vm.text("snapshot_of")).into()),
        ]);
        // An empty one stays empty (`fresh_genid`).
        if !vm.flag("is_a_template") && !vm.text("generation_id").is_empty() {
            let (left, right) =
                (self.transfer.random.next() >> 1, self.transfer.random.next() >> 1);
            values.push(("generation_id", format!("{left}:{right}").into()));
        }
        if let Ok(order @ 0..=3) = vm.text("ha_restart_priority").parse::<i64>() {
            values.push(("ha_restart_priority", "restart".into()));
            values.push(("order", order.into()));
        }
        if vm.flag("has_vendor_device") {
            let version = vm.int("hardware_platform_version").max(VENDOR_DEVICE_PLATFORM);
            values.push(("hardware_platform_version", version.into()));
        }
        // Only Suspended outlives the way: what is paused or, as dom0, running arrives halted.
        let suspended = vm.text("power_state") == "Suspended";
        if suspended {
            let image = self.required(vm.text("suspend_VDI"))?;
            values.push(("power_state", "Suspended".into()));
            values.push(("suspend_VDI", image.into()));
        }
        for field in ["resident_on", "affinity", "guest_metrics"] {
            values.extend(self.found(vm.text(field)).map(|target| (field, target)));
        }
        let metrics = match self.known.get(vm.text("metrics")) {
            Some(metrics) => Ref::clone(metrics),
            None => {
                let kind = if suspended { domain_type } else { "unspecified" };
                self.transfer.create("VM_metrics", vec![("current_domain_type", kind.into())])?
            }
        };
        values.push(("metrics", metrics.into()));
        let suspend_sr = vm.text("suspend_SR");
        if self.transfer.pool.contains("SR", suspend_sr) {
            values.push(("suspend_SR", suspend_sr.into()));
        }
        let made = self.transfer.create("VM", values)?;
        refresh_vm(self.transfer.pool, &made);
        self.made.push(("VM", Ref::clone(&made)));
        self.knows(vm, made);
        Ok(())
    }

    /// A halted VM of the pool gives way to a newer version of itself.
    fn replace(&mut self, old: &Ref, vm: &Row<'a>) -> Result<(), Fault> {
        let theirs = self.transfer.pool.require("VM", old)?;
        let state = theirs.text("power_state");
        if state != "Halted" {
            return Err(Fault::new("VM_BAD_POWER_STATE", [&**old, "Halted", state]));
        }
        let (existing, offered) = (theirs.int("version"), vm.int("version"));
        if existing >= offered {
            let params = [old.to_string(), existing.to_string(), offered.to_string()];
            return Err(Fault::new("VM_TO_IMPORT_IS_NOT_NEWER_VERSION", params));
        }
        if let Some(reason) = theirs.entry("blocked_operations", "destroy") {
            return Err(Fault::new("OPERATION_BLOCKED", [old, reason]));
        }
        self.destroy_vm(old);
        Ok(())
    }

    /// The VM's settings, with a trace of the import and with a seed for the MACs of its VIFs.
    fn other_config(&mut self, vm: &Row<'_>) -> Value {
        let settings = vm.get("other_config");
        let dropped = ["grant_guest_api_access", "default_template"];
        let kept = settings.pairs().iter().filter(|(key, _)| !dropped.contains(&&**key));
        let mut settings = Value::Map(kept.cloned().collect());
        if settings.at("mac_seed").is_none() {
            settings = with_pair(&settings, "mac_seed", &self.transfer.random.uuid());
        }
        with_pair(&settings, "import_task", &self.task)
    }

    /// A network of a VIF: found by its label, then by its bridge, else made.
    fn network(&mut self, network: &Row<'a>) -> Result<(), Fault> {
        let pool = &*self.transfer.pool;
        let named = pool.by_name_label("network", network.text("name_label")).into_iter().next();
        let bridge = network.text("bridge");
        let same =
            named.or_else(|| pool.find("network", |network| network.text("bridge") == bridge));
        let same = match same {
            Some(same) => same,
            None => {
                let made = self.transfer.internal_network(network)?;
                let settings = self.transfer.pool.get("network", &made, "other_config");
                let settings = with_pair(&settings, "import_task", &self.task);
                self.transfer.pool.set("network", &made, "other_config", settings)?;
                self.made.push(("network", Ref::clone(&made)));
                made
            }
        };
        self.knows(network, same);
        Ok(())
    }

    fn vbd(&mut self, vbd: &Row<'a>) -> Result<(), Fault> {
        if let Some(known) = self.transfer.pool.by_uuid("VBD", vbd.text("uuid")) {
            self.knows(vbd, known);
            return Ok(());
        }
        let vm = self.required(vbd.text("VM"))?;
        let disk = self.known.get(vbd.text("VDI")).cloned();
        let kind = vbd.text("type");
        let removable = matches!(kind, "CD" | "Floppy");
        let original = self.transfer.joiner.object("VM", vbd.text("VM"));
        let has_qemu = original.is_some_and(|vm| domain_type(&vm) == "hvm");
        if vbd.flag("currently_attached") && disk.is_none() && !(kind == "CD" && has_qemu) {
            return Err(Fault::bare("IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND"));
        }
        if disk.is_none() && !removable {
            return Ok(());
        }
        let empty = disk.is_none() || vbd.flag("empty");
        let mode = vbd.text("mode");
        if kind == "CD" && mode != "RO" {
            return Err(Fault::bare("VBD_CDS_MUST_BE_READONLY"));
        }
        if kind != "CD" && empty {
            return Err(Fault::new("VBD_NOT_REMOVABLE_MEDIA", ["in constructor"]));
        }
        if let Some(disk) = disk.as_ref().filter(|_| mode == "RW") {
            if self.transfer.pool.flag("VDI", disk, "read_only") {
                return Err(Fault::new("VDI_READONLY", [&**disk]));
            }
        }
        let metrics = self.transfer.create("VBD_metrics", Vec::new())?;
        let mut values = copied(vbd, VBD_FIELDS);
        values.extend([
            ("VM", vm.into()),
            ("VDI", disk.map_or_else(Value::null_ref, Value::from)),
            ("empty", empty.into()),
            ("metrics", metrics.into()),
        ]);
        self.device(vbd, values)
    }

    fn vif(&mut self, vif: &Row<'a>) -> Result<(), Fault> {
        if let Some(known) = self.transfer.pool.by_uuid("VIF", vif.text("uuid")) {
            self.knows(vif, known);
            return Ok(());
        }
        let vm = self.required(vif.text("VM"))?;
        let network = self.required(vif.text("network"))?;
        let device = vif.text("device");
        let siblings = self.transfer.pool.require("VM", &vm)?.refs("VIFs");
        if siblings.iter().any(|vif| &*self.transfer.pool.text("VIF", vif, "device") == device) {
            return Err(Fault::new("DEVICE_ALREADY_EXISTS", [device]));
        }
        let metrics = self.transfer.create("VIF_metrics", Vec::new())?;
        let mut values = copied(vif, VIF_FIELDS);
        if vif.text("MAC").is_empty() {
            values.push(("MAC", self.transfer.random.mac().into()));
            values.push(("MAC_autogenerated", true.into()));
        }
        if !self.transfer.licensed("restrict_vif_locking") {
            if vif.text("locking_mode") == "locked" {
                values.push(("locking_mode", "network_default".into()));
            }
            let unlocked = ["ipv4_allowed", "ipv6_allowed"];
            values.extend(unlocked.map(|field| (field, Value::Set(Vec::new()))));
        }
        let halted = &*self.transfer.pool.text("VM", &vm, "power_state") == "Halted";
        let attached = vif.flag("currently_attached") && !halted;
        values.extend([
            ("VM", vm.into()),
            ("network", network.into()),
            ("currently_attached", attached.into()),
            ("metrics", metrics.into()),
        ]);
        self.device(vif, values)
    }

    fn vtpm(&mut self, vtpm: &Row<'a>) -> Result<(), Fault> {
        let uuid = vtpm.text("uuid");
        if self.transfer.pool.by_uuid("VTPM", uuid).is_some() {
            let text = format!("A VTPM with UUID {uuid} already exists");
            return Err(Fault::new("IMPORT_ERROR_GENERIC", [text]));
        }
        let mut values = copied(vtpm, &["uuid", "is_unique", "is_protected"]);
        values.push(("VM", self.required(vtpm.text("VM"))?.into()));
        self.device(vtpm, values)
    }

    fn device(&mut self, original: &Row<'a>, values: Vec<(&str, Value)>) -> Result<(), Fault> {
        let made = self.transfer.create(original.class(), values)?;
        refresh_device(self.transfer.pool, original.class(), &made);
        self.made.push((original.class(), Ref::clone(&made)));
        self.knows(original, made);
        Ok(())
    }

    /// Refs between VMs, now that all of them are there. A parent may be missing, the VM that a
    /// snapshot was taken of may not, unless the export did not know it either.
    fn link_snapshots(&mut self) -> Result<(), Fault> {
        for vm in self.exported("VM") {
            let Some(made) = self.known.get(vm.reference()).cloned() else { continue };
            let origin = vm.text("snapshot_of");
            if vm.flag("is_a_snapshot") && self.export.id(origin).starts_with("Ref:") {
                let origin = self.required(origin)?;
                self.transfer.pool.set("VM", &made, "snapshot_of", origin)?;
            }
            if let Some(parent) = self.found(vm.text("parent")) {
                self.transfer.pool.set("VM", &made, "parent", parent)?;
            }
        }
        Ok(())
    }

    /// `VM.destroy`: the record, and what belongs to it but its disks.
    fn destroy_vm(&mut self, vm: &str) {
        let Some(record) = self.transfer.pool.object("VM", vm) else { return };
        let owned = ["VIF", "VBD", "VTPM", "console"].map(|class| {
            let field = format!("{class}s");
            (class, record.refs(&field))
        });
        let metrics = [("VM_metrics", "metrics"), ("VM_guest_metrics", "guest_metrics")]
            .map(|(class, field)| (class, record.shared_text(field)));
        for (class, objects) in owned {
            for object in objects {
                self.destroy_device(class, &object);
            }
        }
        for (class, object) in metrics {
            self.transfer.pool.destroy(class, &object);
        }
        self.transfer.pool.destroy("VM", vm);
    }

    fn destroy_device(&mut self, class: &str, device: &str) {
        let metrics = self.transfer.pool.text(class, device, "metrics");
        self.transfer.pool.destroy(&format!("{class}_metrics"), &metrics);
        self.transfer.pool.destroy(class, device);
    }
}

type Handler<'d, 'a> = fn(&mut Import<'d, 'a>, &Row<'a>) -> Result<(), Fault>;

/// Refuses the import if a VM of it would draw the same MACs as another VM of the pool.
fn assert_mac_seeds_are_free(transfer: &Transfer<'_>, export: &Export<'_>) -> Result<(), Fault> {
    let seed = |vm: &Row<'_>| vm.entry("other_config", "mac_seed").map(Ref::from);
    let mut existing: HashMap<Ref, Vec<Row<'_>>> = HashMap::new();
    for vm in transfer.pool.objects("VM") {
        if let Some(seed) = seed(&vm) {
            existing.entry(seed).or_default().push(vm);
        }
    }
    for ours in export.objects("VM") {
        let Some(seed) = seed(&ours) else { continue };
        for theirs in existing.get(&seed).into_iter().flatten() {
            let ours =
                lineage(&ours, |vm| Some(transfer.joiner.object("VM", vm)?.shared_text("uuid")));
            let theirs = lineage(theirs, |vm| {
                let origin = transfer.pool.object("VM", vm).map(|vm| vm.shared_text("uuid"));
                origin.or_else(|| {
                    let saved = theirs.text("snapshot_metadata");
                    let (_, rest) = saved.split_once("('uuid' '")?;
                    Some(rest.split_once('\'')?.0.into())
                })
            });
            if ours.is_none() || ours != theirs {
                return Err(Fault::new("DUPLICATE_MAC_SEED", [&*seed]));
            }
        }
    }
    Ok(())
}

/// The uuid of a VM, or of the VM that a snapshot was taken of: those of the same may share a seed.
fn lineage(vm: &Row<'_>, uuid: impl Fn(&str) -> Option<Ref>) -> Option<Ref> {
    if vm.flag("is_a_snapshot") {
        uuid(vm.text("snapshot_of"))
    } else {
        Some(vm.shared_text("uuid"))
    }
}

/// How the VM is virtualised; from its boot policy where it does not say.
fn domain_type<'o>(vm: &Row<'o>) -> &'o str {
    match vm.text("domain_type") {
        "unspecified" | "" if vm.text("HVM_boot_policy").is_empty() => "pv",
        "unspecified" | "" => "hvm",
        other => other,
    }
}

/// The VM's platform, with a device model if it needs one.
fn platform(vm: &Row<'_>, domain_type: &str) -> Value {
    let platform = vm.get("platform");
    let model = platform.at("device-model").and_then(Value::as_str);
    match model {
        _ if vm.flag("is_a_template") => platform,
        Some("qemu-trad") => {
            let pairs = platform.pairs().iter().map(|(key, value)| match &**key {
                "device-model" => (key.clone(), DEVICE_MODEL.into()),
                _ => (key.clone(), value.clone()),
            });
            Value::Map(pairs.collect())
        }
        None if domain_type == "hvm" => with_pair(&platform, "device-model", DEVICE_MODEL),
        _ => platform,
    }
}

/// Bytes of memory that Xen needs for the VM beside the VM's own (`memory_check.ml`, `memory.ml`).
fn memory_overhead(vm: &Row<'_>, domain_type: &str) -> i64 {
    const MIB: i64 = 1 << 20;
    let static_max = (vm.int("memory_static_max") + MIB - 1) / MIB;
    let vcpus = vm.int("VCPUs_max");
    let multiplier = match (domain_type, vm.get("HVM_shadow_multiplier")) {
        ("pv", _) => 1.0,
        (_, Value::Float(multiplier)) => multiplier,
        _ => 1.0,
    };
    let internal = if domain_type == "pv" { 0 } else { 1 };
    let shim = if domain_type == "pv_in_pvh" { 23 + static_max / 90 } else { 0 };
    let shadow = (256 * vcpus + 2 * static_max + 255) / 256;
    #[expect(clippy::cast_possible_truncation, reason = "truncated as in the server")]
    let shadow = ((shadow as f64 * multiplier) as i64).max(1);
    let tables = (38 * vcpus + 255) / 256;
    (internal + 1 + shadow + tables + shim) * MIB
}

const DEVICE_MODEL: &str = "qemu-upstream-compat";

/// The virtual hardware platform version that the vendor device came with.
const VENDOR_DEVICE_PLATFORM: i64 = 2;

/// What of a VM's record an import keeps as it is.
const VM_FIELDS: &[&str] = &[
    "uuid",
    "name_label",
    "name_description",
    "user_version",
    "is_a_template",
    "is_control_domain",
    "is_a_snapshot",
    "snapshot_info",
    "snapshot_time",
    "transportable_snapshot_id",
    "memory_static_max",
    "memory_static_min",
    "memory_dynamic_max",
    "memory_dynamic_min",
    "memory_target",
    "VCPUs_params",
    "VCPUs_max",
    "VCPUs_at_startup",
    "actions_after_softreboot",
    "actions_after_shutdown",
    "actions_after_reboot",
    "actions_after_crash",
    "PV_bootloader",
    "PV_kernel",
    "PV_ramdisk",
    "PV_args",
    "PV_bootloader_args",
    "PV_legacy_args",
    "HVM_boot_policy",
    "HVM_boot_params",
    "HVM_shadow_multiplier",
    "PCI_bus",
    "recommendations",
    "xenstore_data",
    "ha_always_run",
    "ha_restart_priority",
    "tags",
    "bios_strings",
    "start_delay",
    "shutdown_delay",
    "order",
    "generation_id",
    "hardware_platform_version",
    "has_vendor_device",
    "reference_label",
    "NVRAM",
    "last_booted_record",
    "last_boot_CPU_flags",
];

/// What of a VBD's record an import keeps as it is.
const VBD_FIELDS: &[&str] = &[
    "uuid",
    "userdevice",
    "bootable",
    "mode",
    "type",
    "unpluggable",
    "other_config",
    "qos_algorithm_type",
    "qos_algorithm_params",
    "currently_attached",
];

/// What of a VIF's record an import keeps as it is.
const VIF_FIELDS: &[&str] = &[
    "uuid",
    "device",
    "MAC",
    "MTU",
    "other_config",
    "qos_algorithm_type",
    "qos_algorithm_params",
    "locking_mode",
    "ipv4_allowed",
    "ipv6_allowed",
    "ipv4_configuration_mode",
    "ipv4_addresses",
    "ipv4_gateway",
    "ipv6_configuration_mode",
    "ipv6_addresses",
    "ipv6_gateway",
    "trunks",
];
