//! Whether a VM that has started can go on with another host's processors.

use crate::error::Fault;
use crate::model::{DomainType, Host, PowerState, Ref, Snapshot, Vm};

/// Why the processors of a host do not do for a VM (`Cpuid_helpers.assert_vm_is_compatible`).
///
/// A halted VM takes what it finds. Features that cannot be read are not compared.
pub(super) fn obstacle(
    snapshot: &Snapshot,
    vm_ref: &Ref<Vm>,
    vm: &Vm,
    host_ref: &Ref<Host>,
    host: &Host,
) -> Option<Fault> {
    let key = match domain_type(snapshot, vm) {
        DomainType::Pv => "features_pv",
        DomainType::Hvm | DomainType::Pvh | DomainType::PvInPvh => "features_hvm",
        _ => return Some(Fault::new("INTERNAL_ERROR", ["unspecified domain type"])),
    };
    if vm.power_state == PowerState::Halted {
        return None;
    }
    let fault = |why: &str| {
        let params = [vm_ref.to_string(), host_ref.to_string(), why.to_owned()];
        Some(Fault::new("VM_INCOMPATIBLE_WITH_THIS_HOST", params))
    };
    let (Some(vendor), Some(offered)) = (host.cpu_info.get("vendor"), host.cpu_info.get(key))
    else {
        return fault(NO_KEYS);
    };
    if vm.last_boot_CPU_flags.get("vendor").is_some_and(|booted| booted != vendor) {
        return fault(OTHER_VENDOR);
    }
    let wanted = vm.last_boot_CPU_flags.get("features").and_then(|text| words(text))?;
    let offered = words(offered)?;
    let lacks = |(n, word): (usize, &u32)| word & !offered.get(n).copied().unwrap_or(0) != 0;
    if wanted.iter().enumerate().any(lacks) { fault(LACKS_FEATURES) } else { None }
}

/// A feature set: words of hexadecimal digits with hyphens between them.
fn words(text: &str) -> Option<Vec<u32>> {
    text.split('-').map(|word| u32::from_str_radix(word, 16).ok()).collect()
}

/// The type that a running VM has, or that a halted one will have (`Helpers.domain_type`).
pub(super) fn domain_type(snapshot: &Snapshot, vm: &Vm) -> DomainType {
    match vm.power_state {
        PowerState::Halted => vm.domain_type.clone(),
        _ => match snapshot.vm_metrics.get(&vm.metrics) {
            Some(metrics) => metrics.current_domain_type.clone(),
            None => DomainType::Unspecified,
        },
    }
}

// The server's words: they are parameters of the error, by which clients may tell the cases apart.
const LACKS_FEATURES: &str = "VM last booted on a CPU with features this host's CPU does not have.";
const NO_KEYS: &str = "Host does not have new leveling feature keys - not comparing VM's flags";
const OTHER_VENDOR: &str = "VM last booted on a host which had a CPU from a different vendor.";
