//! Whether a VM can migrate at all, wherever to.

use crate::error::Fault;
use crate::model::{DomainType, PowerState, Ref, Snapshot, Vm, VmMetrics};

/// Why `VM.pool_migrate` is not allowed now, if it is not.
///
/// As `Xapi_vm_lifecycle.get_operation_error`.
///
/// The order is the server's. Left out, as a snapshot cannot tell: disks that are reset on boot and
/// cached, and vGPUs that can migrate (none does here).
pub(super) fn obstacle(snapshot: &Snapshot, reference: &Ref<Vm>, vm: &Vm) -> Option<Fault> {
    let name = reference.to_string();
    if let Some(code) = vm.blocked_operations.get(OPERATION) {
        return Some(Fault::new("OPERATION_BLOCKED", [&name, code]));
    }
    if vm.power_state != PowerState::Running {
        let actual = vm.power_state.as_str().to_ascii_lowercase();
        return Some(Fault::new("VM_BAD_POWER_STATE", [name.as_str(), "running", &actual]));
    }
    if !vm.current_operations.is_empty() {
        return Some(busy(&name, vm));
    }
    if vm.is_a_snapshot {
        return Some(Fault::new("VM_IS_SNAPSHOT", [&name, OPERATION]));
    }
    if vm.is_a_template {
        return Some(Fault::new("VM_IS_TEMPLATE", [&name, OPERATION]));
    }
    let metrics = snapshot.vm_metrics.get(&vm.metrics);
    if is_immobile(vm, metrics) {
        return Some(Fault::new("VM_IS_IMMOBILE", [name]));
    }
    if let Some(fault) = drivers(snapshot, &name, vm, metrics) {
        return Some(fault);
    }
    if !vm.attached_PCIs.is_empty() {
        return Some(Fault::new("VM_HAS_PCI_ATTACHED", [name]));
    }
    if !vm.VGPUs.is_empty() {
        return Some(Fault::new("VM_HAS_VGPU", [name]));
    }
    (!vm.VUSBs.is_empty()).then(|| Fault::new("VM_HAS_VUSBS", [name]))
}

fn busy(name: &str, vm: &Vm) -> Fault {
    let tasks: Vec<&str> = vm.current_operations.keys().map(String::as_str).collect();
    let operations: Vec<&str> = vm.current_operations.values().map(|op| op.as_str()).collect();
    let text = |list: &[&str]| match list {
        [only] => (*only).to_owned(),
        several => format!("{{{}}}", several.join(",")),
    };
    let params = ["VM".to_owned(), name.to_owned(), text(&operations), text(&tasks)];
    Fault::new("OTHER_OPERATION_IN_PROGRESS", params)
}

/// Whether it runs with nested virtualisation, or is told not to migrate.
///
/// What it was started with counts, which its metrics know; without them, its settings.
fn is_immobile(vm: &Vm, metrics: Option<&VmMetrics>) -> bool {
    let set = |key: &str| {
        let value = vm.platform.get(key);
        value.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    };
    match metrics {
        Some(metrics) => metrics.nomigrate || metrics.nested_virt,
        None => set("nomigrate") || set("nested-virt"),
    }
}

/// An HVM VM must say that it can be suspended, or have drivers; any VM can say that it cannot.
fn drivers(snapshot: &Snapshot, name: &str, vm: &Vm, metrics: Option<&VmMetrics>) -> Option<Fault> {
    let guest = snapshot.vm_guest_metrics.get(&vm.guest_metrics);
    let says = |key: &str| guest.and_then(|guest| guest.other.get(key));
    if let Some(reason) = says("data-cant-suspend-reason") {
        return Some(Fault::new("VM_NON_SUSPENDABLE", [name, reason]));
    }
    let is_pv = metrics.is_some_and(|metrics| {
        use DomainType::{Pv, PvInPvh, Pvh};
        matches!(metrics.current_domain_type, Pv | PvInPvh | Pvh)
    });
    let has_drivers = guest.is_some_and(|guest| {
        let number = |key: &str| {
            guest.PV_drivers_version.get(key).is_some_and(|text| text.parse::<i64>().is_ok())
        };
        let is_number_if_there =
            |key: &str| !guest.PV_drivers_version.contains_key(key) || number(key);
        number("major") && number("minor") && ["micro", "build"].into_iter().all(is_number_if_there)
    });
    let can_suspend = says("feature-suspend").is_some_and(|value| value == "1");
    (!is_pv && !has_drivers && !can_suspend).then(|| Fault::new("VM_LACKS_FEATURE", [name]))
}

/// XAPI's name of what is asked about.
const OPERATION: &str = "pool_migrate";
