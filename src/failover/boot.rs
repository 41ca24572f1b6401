//! Whether one VM could run on one host, memory aside.

use super::cpu::{self, domain_type};
use crate::error::Fault;
use crate::model::{DomainType, Host, PowerState, Ref, Snapshot, Vm};

/// Why a VM cannot start on a host, if it cannot.
///
/// As `Xapi_vm_helpers.assert_can_boot_here`, without memory and CPU checks.
///
/// The order is the server's. Left out, as a snapshot cannot tell: vGPU types and capacity, SR-IOV
/// capacity, crash actions; a VM with a GPU fits where any GPU is.
pub(super) fn obstacle(
    snapshot: &Snapshot,
    vm_ref: &Ref<Vm>,
    vm: &Vm,
    host_ref: &Ref<Host>,
) -> Option<Fault> {
    check(snapshot, vm_ref, vm, host_ref, false)
}

/// Why a VM cannot move to a host: as [`obstacle`], with the CPU checks of a migration.
pub(super) fn obstacle_with_cpu(
    snapshot: &Snapshot,
    vm_ref: &Ref<Vm>,
    vm: &Vm,
    host_ref: &Ref<Host>,
) -> Option<Fault> {
    check(snapshot, vm_ref, vm, host_ref, true)
}

fn check(
    snapshot: &Snapshot,
    vm_ref: &Ref<Vm>,
    vm: &Vm,
    host_ref: &Ref<Host>,
    with_cpu: bool,
) -> Option<Fault> {
    let host = snapshot.host.get(host_ref)?;
    let cpu = || cpu::obstacle(snapshot, vm_ref, vm, host_ref, host);
    parameters(vm)
        .or_else(|| host_is_up(snapshot, vm, host_ref, host))
        .or_else(|| hardware(vm_ref, vm, host_ref, host))
        .or_else(|| with_cpu.then(cpu).flatten())
        .or_else(|| storage(snapshot, vm_ref, vm, host_ref))
        .or_else(|| networks(snapshot, vm_ref, vm, host_ref))
        .or_else(|| devices(snapshot, vm, host_ref, host))
        .or_else(|| processors(snapshot, vm_ref, vm, host))
}

fn parameters(vm: &Vm) -> Option<Fault> {
    let invalid = |field: &str, value: i64| {
        Some(Fault::new("INVALID_VALUE", [field.to_owned(), value.to_string()]))
    };
    if vm.VCPUs_max < 1 {
        return invalid("VCPUs_max", vm.VCPUs_max);
    }
    if vm.VCPUs_at_startup < 1 {
        return invalid("VCPUs-at-startup", vm.VCPUs_at_startup);
    }
    if vm.VCPUs_at_startup > vm.VCPUs_max {
        let value = vm.VCPUs_at_startup.to_string();
        let why = "value greater than VCPUs-max";
        return Some(Fault::new("VALUE_NOT_SUPPORTED", ["VCPUs-at-startup", &value, why]));
    }
    if vm.memory_static_max < vm.memory_static_min || vm.memory_dynamic_max < vm.memory_dynamic_min
    {
        return Some(Fault::bare("MEMORY_CONSTRAINT_VIOLATION"));
    }
    (vm.HVM_shadow_multiplier < 1.0).then(|| {
        let value = vm.HVM_shadow_multiplier.to_string();
        Fault::new("INVALID_VALUE", ["HVM_shadow_multiplier", &value])
    })
}

fn host_is_up(snapshot: &Snapshot, vm: &Vm, host_ref: &Ref<Host>, host: &Host) -> Option<Fault> {
    if snapshot.is_live(host_ref) != Some(true) {
        return Some(Fault::bare("HOST_NOT_LIVE"));
    }
    if vm.is_control_domain {
        let elsewhere = !vm.affinity.is_null() && vm.affinity != *host_ref;
        let why = "Cannot boot a control domain on a host different from its affinity";
        return elsewhere.then(|| Fault::new("OPERATION_NOT_ALLOWED", [why]));
    }
    let runs_there = vm.power_state == PowerState::Running && vm.resident_on == *host_ref;
    (!runs_there && !host.enabled).then(|| Fault::new("HOST_DISABLED", [host_ref.to_string()]))
}

fn hardware(vm_ref: &Ref<Vm>, vm: &Vm, host_ref: &Ref<Host>, host: &Host) -> Option<Fault> {
    let wanted = vm.hardware_platform_version;
    let offered = &host.virtual_hardware_platform_versions;
    (!offered.contains(&wanted)).then(|| {
        let offered: Vec<String> = offered.iter().map(ToString::to_string).collect();
        Fault::new(
            "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION",
            [
                host_ref.to_string(),
                format!("[{}]", offered.join("; ")),
                vm_ref.to_string(),
                wanted.to_string(),
            ],
        )
    })
}

fn storage(snapshot: &Snapshot, vm_ref: &Ref<Vm>, vm: &Vm, host_ref: &Ref<Host>) -> Option<Fault> {
    let suspended = (vm.power_state == PowerState::Suspended && !vm.suspend_VDI.is_null())
        .then_some(&vm.suspend_VDI);
    let disks = vm.VBDs.iter().filter_map(|vbd| snapshot.vbd.get(vbd)).filter(|vbd| !vbd.empty);
    disks.map(|vbd| &vbd.VDI).chain(suspended).find_map(|vdi_ref| {
        let Some(vdi) = snapshot.vdi.get(vdi_ref) else {
            return Some(Fault::new("HANDLE_INVALID", ["VDI".to_owned(), vdi_ref.to_string()]));
        };
        let attached = snapshot.sr.get(&vdi.SR).is_some_and(|sr| {
            sr.PBDs
                .iter()
                .filter_map(|pbd| snapshot.pbd.get(pbd))
                .any(|pbd| pbd.host == *host_ref && pbd.currently_attached)
        });
        (!attached).then(|| Fault::new("VM_REQUIRES_SR", [vm_ref.to_string(), vdi.SR.to_string()]))
    })
}

fn networks(snapshot: &Snapshot, vm_ref: &Ref<Vm>, vm: &Vm, host_ref: &Ref<Host>) -> Option<Fault> {
    vm.VIFs.iter().filter_map(|vif| snapshot.vif.get(vif)).find_map(|vif| {
        let Some(network) = snapshot.network.get(&vif.network) else {
            return Some(Fault::new(
                "HANDLE_INVALID",
                ["network".to_owned(), vif.network.to_string()],
            ));
        };
        let on_host = if network.PIFs.is_empty() {
            let mut running = network
                .VIFs
                .iter()
                .filter_map(|vif| snapshot.vm.get(&snapshot.vif.get(vif)?.VM))
                .filter(|vm| vm.power_state == PowerState::Running)
                .peekable();
            let assumed = network.other_config.get("assume_network_is_shared");
            assumed.is_some_and(|value| value == "true")
                || !network.managed
                || running.peek().is_none()
                || running.any(|vm| vm.resident_on == *host_ref)
        } else {
            let mut pifs = network.PIFs.iter().filter_map(|pif| snapshot.pif.get(pif));
            pifs.any(|pif| pif.host == *host_ref)
        };
        (!on_host).then(|| {
            Fault::new("VM_REQUIRES_NETWORK", [vm_ref.to_string(), vif.network.to_string()])
        })
    })
}

fn devices(snapshot: &Snapshot, vm: &Vm, host_ref: &Ref<Host>, host: &Host) -> Option<Fault> {
    if !vm.VGPUs.is_empty() && host.PGPUs.is_empty() {
        return Some(Fault::new("VM_REQUIRES_GPU", [host_ref.to_string()]));
    }
    vm.VUSBs.iter().find_map(|vusb_ref| {
        let here = || {
            let vusb = snapshot.vusb.get(vusb_ref)?;
            let group = snapshot.usb_group.get(&vusb.USB_group)?;
            Some(snapshot.pusb.get(group.PUSBs.first()?)?.host == *host_ref)
        };
        (here() != Some(true)).then(|| {
            let why = format!("VUSB {vusb_ref} is not available on Host {host_ref}");
            Fault::new("OPERATION_NOT_ALLOWED", [why])
        })
    })
}

fn processors(snapshot: &Snapshot, vm_ref: &Ref<Vm>, vm: &Vm, host: &Host) -> Option<Fault> {
    match domain_type(snapshot, vm) {
        DomainType::Pv => {}
        DomainType::Hvm | DomainType::Pvh | DomainType::PvInPvh => {
            if !host.capabilities.iter().any(|capability| capability.contains("hvm")) {
                return Some(Fault::new("VM_HVM_REQUIRED", [vm_ref.to_string()]));
            }
        }
        _ => return Some(Fault::new("INTERNAL_ERROR", ["unspecified domain type"])),
    }
    let Some(cpus) = host.cpu_info.get("cpu_count").and_then(|text| text.parse::<i64>().ok())
    else {
        return Some(Fault::new("INTERNAL_ERROR", ["Not_found"]));
    };
    let unrestricted =
        vm.platform.get("vcpu-unrestricted").is_some_and(|v| v == "true" || v == "1");
    (vm.VCPUs_max > cpus && !unrestricted)
        .then(|| Fault::new("HOST_NOT_ENOUGH_PCPUS", [vm.VCPUs_max.to_string(), cpus.to_string()]))
}
