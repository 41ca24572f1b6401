//! How much memory VMs take and hosts have, as the planner counts it.

use crate::error::{Error, Fault, Result};
use crate::model::{DomainType, Vm};

/// Which of a VM's memory settings counts (`Memory_check.accounting_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// What VMs can be squeezed to: the question "does one more VM fit now?".
    DynamicMin,
    /// What VMs may grow to.
    DynamicMax,
    /// What VMs may ever have: the question "does it still fit after a failure?".
    StaticMax,
}

const MIB: i64 = 1 << 20;

/// Pages of 4 KiB that Xen takes for each virtual CPU, shadow memory aside.
const PAGES_PER_VCPU: i64 = 38;

impl Policy {
    /// The VM's memory setting that counts, in bytes.
    pub(crate) fn memory_of(self, vm: &Vm) -> i64 {
        match self {
            Self::DynamicMin => vm.memory_dynamic_min,
            Self::DynamicMax => vm.memory_dynamic_max,
            Self::StaticMax => vm.memory_static_max,
        }
    }

    /// The policy by which an evacuation counts a VM (`Xapi_ha_vm_failover.vm_memory`).
    ///
    /// # Errors
    /// `Fault` for a VM whose domain type is unspecified or unknown.
    pub(crate) fn of_evacuation(vm: &Vm) -> Result<Self> {
        match vm.domain_type {
            DomainType::Hvm | DomainType::Pv => Ok(Self::DynamicMin),
            DomainType::Pvh | DomainType::PvInPvh => Ok(Self::StaticMax),
            _ => Err(unspecified()),
        }
    }
}

/// The memory models of Xen's domains; PVH counts as HVM.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Domain {
    Hvm,
    Pv,
    PvInPvh,
}

impl Domain {
    fn of(vm: &Vm) -> Result<Self> {
        match vm.domain_type {
            DomainType::Hvm | DomainType::Pvh => Ok(Self::Hvm),
            DomainType::Pv => Ok(Self::Pv),
            DomainType::PvInPvh => Ok(Self::PvInPvh),
            _ => Err(unspecified()),
        }
    }
}

fn unspecified() -> Error {
    Fault::new("INTERNAL_ERROR", ["unspecified domain type"]).into()
}

/// Bytes that a VM needs on a host to start, everything included
/// (`Memory_check.vm_compute_start_memory`).
///
/// The memory that `policy` names, rounded up to MiB, plus Xen's overhead: shadow pages, 38 pages a
/// virtual CPU, and the shim of PV-in-PVH domains.
///
/// # Errors
/// `Fault` for a VM whose domain type is unspecified or unknown: the server has no model for it.
pub(crate) fn to_start(vm: &Vm, policy: Policy) -> Result<i64> {
    let domain = Domain::of(vm)?;
    let max = mib(vm.memory_static_max);
    let multiplier = if domain == Domain::Pv { 1.0 } else { vm.HVM_shadow_multiplier };
    let vcpus = vm.VCPUs_max;
    let resident = max.saturating_mul(2).saturating_add(vcpus.saturating_mul(256));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "truncated as in the server; it saturates where a multiplier makes no sense"
    )]
    let shadow = ((pages(resident) as f64 * multiplier) as i64).max(1);
    let internal = if domain == Domain::Pv { 0 } else { 1 };
    let shim = if domain == Domain::PvInPvh { 23 + max / 90 } else { 0 };
    let overhead = [internal, 1, shadow, pages(vcpus.saturating_mul(PAGES_PER_VCPU)), shim];
    let total = overhead.iter().fold(mib(policy.memory_of(vm)), |sum, n| sum.saturating_add(*n));
    Ok(total.saturating_mul(MIB))
}

/// Bytes that a VM takes on the host it is on.
///
/// As `Memory_check.vm_compute_used_memory`.
pub(crate) fn used(vm: &Vm, policy: Policy) -> i64 {
    policy.memory_of(vm).saturating_add(vm.memory_overhead)
}

/// Bytes that are free on a host, from its parts, all in bytes.
pub(super) fn free_of(total: i64, overhead: i64, taken: i64) -> i64 {
    total.saturating_sub(overhead).saturating_sub(taken).max(0)
}

/// Bytes in MiB, rounded up.
fn mib(bytes: i64) -> i64 {
    bytes.div_euclid(MIB) + i64::from(bytes.rem_euclid(MIB) != 0)
}

/// Pages of 4 KiB in MiB, rounded up.
fn pages(pages: i64) -> i64 {
    pages.div_euclid(256) + i64::from(pages.rem_euclid(256) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(domain: DomainType, mib: i64, vcpus: i64) -> Vm {
        Vm {
            domain_type: domain,
            memory_static_max: mib * MIB,
            memory_dynamic_max: mib * MIB,
            memory_dynamic_min: mib * MIB / 2,
            HVM_shadow_multiplier: 1.0,
            VCPUs_max: vcpus,
            ..Vm::default()
        }
    }

    #[test]
    fn overhead_depends_on_the_domain_type() {
        let size = |domain, policy| to_start(&vm(domain, 1024, 2), policy).unwrap() / MIB - 1024;
        // Shadow (256*2 + 2*1024)/256 = 10, 38*2 pages = 1, external 1.
        assert_eq!(size(DomainType::Pv, Policy::StaticMax), 12);
        assert_eq!(size(DomainType::Hvm, Policy::StaticMax), 13);
        assert_eq!(size(DomainType::Pvh, Policy::StaticMax), 13);
        assert_eq!(size(DomainType::PvInPvh, Policy::StaticMax), 13 + 23 + 1024 / 90);
        assert_eq!(size(DomainType::Pv, Policy::DynamicMin), 12 - 512);
        assert!(to_start(&vm(DomainType::Unspecified, 1024, 2), Policy::StaticMax).is_err());
    }

    #[test]
    fn the_shadow_multiplier_does_not_count_for_pv() {
        let mut big = vm(DomainType::Hvm, 1024, 2);
        big.HVM_shadow_multiplier = 2.55;
        assert_eq!(to_start(&big, Policy::StaticMax).unwrap() / MIB, 1024 + 13 + 25 - 10);
        big.domain_type = DomainType::Pv;
        assert_eq!(to_start(&big, Policy::StaticMax).unwrap() / MIB, 1024 + 12);
    }

    #[test]
    fn part_of_a_mib_counts_as_one() {
        let mut odd = vm(DomainType::Pv, 1, 1);
        odd.memory_static_max = MIB + 1;
        // 2 MiB, shadow ceil((256 + 4)/256) = 2, 1 for the CPU, 1 external.
        assert_eq!(to_start(&odd, Policy::StaticMax).unwrap(), (2 + 2 + 1 + 1) * MIB);
    }

    #[test]
    fn senseless_numbers_do_not_overflow() {
        let mut senseless = vm(DomainType::PvInPvh, 1, i64::MAX);
        senseless.memory_static_max = i64::MAX;
        senseless.HVM_shadow_multiplier = f64::NAN;
        assert!(to_start(&senseless, Policy::StaticMax).unwrap() > 0);
        senseless.memory_static_max = i64::MIN;
        senseless.VCPUs_max = i64::MIN;
        assert!(to_start(&senseless, Policy::StaticMax).is_ok());
    }
}
