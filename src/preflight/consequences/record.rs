//! The records of an imported VM and its devices.

use std::collections::HashMap;

use super::change::{Changes, joined, place};
use super::forecast::Forecast;
use super::import::{Plan, domain_type, power_state_after};
use super::network::Landing;
use crate::model::{
    DomainType, Host, Network, PowerState, Record, Ref, Vbd, VbdType, Vif, Vm, VmMetrics,
};

/// Adds what the import makes of one VM (`import.ml`, `VM`, `VBD`, `VIF`; `VM.create`).
pub(super) fn add(
    f: &mut Forecast<'_>,
    plan: &Plan<'_>,
    landings: &HashMap<Ref<Network>, Landing>,
    reference: &Ref<Vm>,
    vm: &Vm,
) {
    let there: Ref<Vm> = joined(reference);
    let mut new = imported(f, plan, vm);
    if f.joiner.vm_metrics.get(&vm.metrics).is_some() {
        new.metrics = joined(&vm.metrics);
    } else if f.joiner.vm_metrics.covered() && vm.has("metrics") {
        new.metrics = joined(reference);
        f.changes.add(new.metrics.clone(), fresh_metrics(vm));
    } else {
        new.absent.insert(place::<Vm>("metrics"));
    }
    if f.joiner.vm_guest_metrics.get(&vm.guest_metrics).is_some() {
        new.guest_metrics = joined(&vm.guest_metrics);
    } else if f.joiner.vm_guest_metrics.covered() && vm.has("guest_metrics") {
        new.guest_metrics = Ref::null();
    } else {
        new.absent.insert(place::<Vm>("guest_metrics"));
    }
    let suspended = new.power_state == PowerState::Suspended;
    f.changes.add(there.clone(), new);
    for (id, vbd) in plan.vbds.iter().filter_map(|vbds| vbds.get(reference)).flatten() {
        if plan.vbd_there(f, vbd).is_none() {
            if let Some(new) = drive(plan, vm, &there, vbd) {
                f.changes.add(joined(id), new);
            }
        }
    }
    for (id, vif) in plan.vifs.iter().filter_map(|vifs| vifs.get(reference)).flatten() {
        if plan.vif_there(f, vif).is_none() {
            let new = interface(landings.get(&vif.network), &there, vif, suspended);
            f.changes.add(joined(id), new);
        }
    }
}

fn imported(f: &Forecast<'_>, plan: &Plan<'_>, vm: &Vm) -> Vm {
    let mut new = vm.clone();
    let mut unknown = vec!["memory_overhead"];
    new.attached_PCIs.clear();
    new.current_operations.clear();
    new.power_state = power_state_after(vm);
    new.domain_type = domain_type(vm);
    new.is_default_template = false;
    new.suspend_VDI = Ref::null();
    if new.power_state == PowerState::Suspended {
        match plan.vdis.get(&vm.suspend_VDI).map(Vec::as_slice) {
            Some([one]) => new.suspend_VDI = one.clone(),
            _ => unknown.push("suspend_VDI"),
        }
    }
    new.suspend_SR = Ref::null();
    match (host(f, &vm.resident_on), host(f, &vm.affinity)) {
        (Some(resident_on), Some(affinity)) => {
            new.resident_on = resident_on;
            new.affinity = affinity;
        }
        _ => unknown.extend(["resident_on", "affinity"]),
    }
    new.scheduled_to_be_resident_on = Ref::null();
    new.VIFs.clear();
    new.VBDs.clear();
    new.VUSBs.clear();
    new.VGPUs.clear();
    if !vm.VGPUs.is_empty() {
        unknown.push("VGPUs");
    }
    new.domid = -1;
    if let "0" | "1" | "2" | "3" = vm.ha_restart_priority.as_str() {
        new.order = vm.ha_restart_priority.parse().unwrap_or_default();
        new.ha_restart_priority = "restart".to_owned();
    }
    if !vm.has("has_vendor_device") {
        unknown.push("hardware_platform_version");
    } else if vm.has_vendor_device {
        new.hardware_platform_version = vm.hardware_platform_version.max(VENDOR_DEVICE_PLATFORM);
    }
    if !vm.is_a_template {
        device_model(&mut new);
        // An empty one stays empty; any other is made anew.
        if !vm.generation_id.is_empty() {
            unknown.push("generation_id");
        }
    }
    new.other_config.remove("default_template");
    new.other_config.remove("grant_api_access");
    new.other_config
        .entry("mac_seed".to_owned())
        .or_insert_with(|| Changes::MADE_AT_JOIN.to_owned());
    new.other_config.insert("import_task".to_owned(), Changes::MADE_AT_JOIN.to_owned());
    new.snapshot_of = Ref::null();
    if vm.is_a_snapshot {
        new.snapshot_of = copy_of(f, &vm.snapshot_of);
    }
    new.parent = copy_of(f, &vm.parent);
    new.blocked_operations.clear();
    new.appliance = Ref::null();
    new.version = vm.version.saturating_add(1);
    new.pending_guidances = new.pending_guidances.map(|_| Vec::new());
    new.groups = new.groups.map(|_| Vec::new());
    for field in unknown {
        new.absent.insert(place::<Vm>(field));
    }
    new
}

/// The virtual hardware platform that the vendor device came with
/// (`update_vm_virtual_hardware_platform_version`).
const VENDOR_DEVICE_PLATFORM: i64 = 2;

/// The emulator's profile, which only VMs that have one need
/// (`ensure_device_model_profile_present`).
fn device_model(vm: &mut Vm) {
    const KEY: &str = "device-model";
    const DEFAULT: &str = "qemu-upstream-compat";
    match vm.platform.get_mut(KEY) {
        Some(model) if model == "qemu-trad" => *model = DEFAULT.to_owned(),
        Some(_) => {}
        None if vm.domain_type == DomainType::Hvm => {
            vm.platform.insert(KEY.to_owned(), DEFAULT.to_owned());
        }
        None => {}
    }
}

/// The pool's counterpart of the joiner's host; of any other, null.
fn host(f: &Forecast<'_>, reference: &Ref<Host>) -> Option<Ref<Host>> {
    if reference.is_null() {
        return Some(Ref::null());
    }
    let (me, _) = f.me?;
    let there = f.host.as_ref()?.as_ref().ok().filter(|_| me == reference);
    Some(there.cloned().unwrap_or_default())
}

/// The imported counterpart of one of the joiner's VMs; null if it is not imported.
fn copy_of(f: &Forecast<'_>, reference: &Ref<Vm>) -> Ref<Vm> {
    match f.joiner.vm.get(reference) {
        Some(vm) if !vm.is_of_installation() => joined(reference),
        _ => Ref::null(),
    }
}

/// What `VM.create` makes for a VM that comes without metrics.
fn fresh_metrics(vm: &Vm) -> VmMetrics {
    let mut new = VmMetrics::default();
    new.absent.insert(place::<VmMetrics>("uuid"));
    if vm.power_state == PowerState::Suspended {
        new.current_domain_type = domain_type(vm);
    }
    new
}

/// A drive, unless it is left out, as a disk that is not found.
fn drive(plan: &Plan<'_>, vm: &Vm, there: &Ref<Vm>, vbd: &Vbd) -> Option<Vbd> {
    let disks = plan.vdis.get(&vbd.VDI).map(Vec::as_slice).unwrap_or_default();
    let mut new = vbd.clone();
    new.VM = there.clone();
    new.device.clear();
    match disks {
        [one] => new.VDI = one.clone(),
        [] if vbd.r#type == VbdType::Disk => return None,
        [] => {
            new.VDI = Ref::null();
            let kept =
                domain_type(vm) != DomainType::Hvm && vm.power_state == PowerState::Suspended;
            new.empty |= !kept;
        }
        _ => new.absent.insert(place::<Vbd>("VDI")),
    }
    Some(new)
}

fn interface(landing: Option<&Landing>, there: &Ref<Vm>, vif: &Vif, suspended: bool) -> Vif {
    let mut new = vif.clone();
    new.VM = there.clone();
    match landing.map(|landing| landing.places.as_slice()) {
        Some([one]) => new.network = one.reference.clone(),
        _ => new.absent.insert(place::<Vif>("network")),
    }
    new.currently_attached &= suspended;
    // It counts as given by hand now, as every VM has a MAC seed.
    new.MAC_autogenerated = false;
    new
}
