//! The table of all rules, in the order of the report: XAPI's checks in XAPI's order, then the
//! rest.

use super::checks::*;
use super::facts::{Check, Facts, World};
use super::hazards;
use super::set::Preflight;
use crate::actions::Side;
use crate::model::Class;
use crate::rules::{Evaluate, Rule, RuleSet, numbered, rules_of};

const CHECKS: &[Check] = &numbered([
    licence::POOLING_UNLICENSED,
    identity::POOL_UNREADABLE,
    licence::POOL_SIZE_RESTRICTED,
    network::MANAGEMENT_INTERFACE_MISSING,
    ha::JOINER_HA_ENABLED,
    cluster::JOINER_CLUSTERING_ENABLED,
    cluster::CLUSTER_NETWORK_ON_VLAN,
    cluster::CLUSTER_NETWORK_ADDRESS,
    ha::POOL_HA_ENABLED,
    identity::JOINING_ITSELF,
    identity::JOINER_HAS_OTHER_HOSTS,
    vms::RUNNING_VMS,
    vms::VM_OPERATIONS,
    updates::JOINER_PENDING_GUIDANCE,
    updates::MASTER_PENDING_GUIDANCE,
    software::PLATFORM_DIFFERS,
    software::SOFTWARE_VERSION_DIFFERS,
    software::CPU_VENDOR_DIFFERS,
    storage::SHARED_STORAGE,
    network::BONDS,
    network::TUNNELS,
    network::SRIOV_NETWORKS,
    network::NON_MANAGEMENT_VLANS,
    network::MANAGEMENT_VLAN_DIFFERS,
    auth::EXTERNAL_AUTH_DIFFERS,
    licence::EDITION_DIFFERS,
    vswitch::NETWORK_BACKEND_DIFFERS,
    vswitch::SDN_CONTROLLER_DIFFERS,
    software::API_VERSION_DIFFERS,
    software::DB_SCHEMA_DIFFERS,
    software::UPDATES_DIFFER,
    network::PRIMARY_ADDRESS_TYPE_DIFFERS,
    vswitch::NBD_PURPOSE_DIFFERS,
    auth::TLS_VERIFICATION_DIFFERS,
    certificates::CA_CERTIFICATES_CONFLICT,
    certificates::TRUSTED_CERTIFICATES_CONFLICT,
    updates::JOINER_UPDATING,
    updates::POOL_UPDATING,
    sm::STORAGE_DRIVERS_DIFFER,
    hazards::vms::HALTED_VMS,
    hazards::vms::SUSPENDED_VMS,
    hazards::vms::PAUSED_VMS,
    hazards::vms::VM_SNAPSHOTS,
    hazards::vms::CUSTOM_TEMPLATES,
    hazards::vms::BLOCKED_OPERATIONS_LOST,
    hazards::vms::APPLIANCES_LOST,
    hazards::clashes::VM_IMPORT_FAILS,
    hazards::clashes::VM_REPLACES_ANOTHER,
    hazards::clashes::MAC_SEEDS_CLASH,
    hazards::networks::VIFS_MOVE,
    hazards::networks::NETWORKS_LOST,
    hazards::networks::EXTRA_NETWORKS,
    hazards::networks::NETWORKS_INTRODUCED,
    hazards::networks::NETWORK_SETTINGS_LOST,
    hazards::nics::NICS_MISSING,
    hazards::nics::NIC_BRIDGES_DIFFER,
    hazards::nics::BONDS_CANNOT_FOLLOW,
    hazards::nics::VLANS_CANNOT_FOLLOW,
    hazards::nics::NICS_WITHOUT_LINK,
    hazards::nics::NIC_SPEEDS_DIFFER,
    hazards::nics::SECONDARY_ADDRESSES_MISSING,
    hazards::addresses::MANAGEMENT_MTU,
    hazards::addresses::MANAGEMENT_BY_DHCP,
    hazards::addresses::ADDRESSES_CLASH,
    hazards::addresses::HOST_NAME_TAKEN,
    hazards::addresses::MASTER_ADDRESS_BY_NAME,
    hazards::addresses::MASTER_ADDRESS_ELSEWHERE,
    hazards::addresses::CLOCKS_DIFFER,
    hazards::storage::EXTRA_LOCAL_STORAGE,
    hazards::storage::STORAGE_SECRETS_LOST,
    hazards::storage::STORAGE_ALREADY_KNOWN,
    hazards::settings::TAGS_LOST,
    hazards::settings::POOL_SETTINGS_LOST,
    hazards::settings::HOST_SETTINGS_LOST,
    hazards::settings::UEFI_CERTIFICATES_OVERWRITTEN,
    hazards::settings::SSH_SETTINGS_OVERWRITTEN,
    hazards::cpu::POOL_CPU_LEVEL_DROPS,
    hazards::cpu::JOINER_CPU_REDUCED,
    hazards::certificates::CERTIFICATES_OUT_OF_DATE,
    hazards::certificates::HOST_CERTIFICATES_MISSING,
    hazards::certificates::TLS_VERIFICATION_UNEVEN,
    hazards::members::HOST_ALREADY_IN_POOL,
    hazards::members::POOL_SIZE_LIMIT,
    hazards::members::MEMBERS_DEAD,
    hazards::members::MEMBERS_DISABLED,
    hazards::members::MEMBERS_DIFFER,
    hazards::members::MEMBERS_PENDING_GUIDANCE,
    hazards::members::ROLLING_UPGRADE,
    hazards::members::POOL_OPERATIONS,
    hazards::members::SECRET_ROTATION_PENDING,
    hazards::members::RECOMMENDED_GUIDANCE,
    hazards::members::RELEASE_UNSTATED,
]);

/// All rules, in the order of reports.
pub(crate) static RULES: &[&Rule] = &rules_of::<_, { CHECKS.len() }>(CHECKS);

/// The classes that decide whether and how a host joins: those that rules, remedies and
/// consequences read.
pub(crate) const CLASSES: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Pif,
    Class::PifMetrics,
    Class::Network,
    Class::Vlan,
    Class::Bond,
    Class::Tunnel,
    Class::NetworkSriov,
    Class::Sr,
    Class::Pbd,
    Class::Sm,
    Class::Certificate,
    Class::Cluster,
    Class::ClusterHost,
    Class::SdnController,
    Class::PoolUpdate,
    Class::Feature,
    // The joiner's VMs and disks are what a join imports; the pool's are what they can clash with.
    Class::Vm,
    Class::Vif,
    Class::Vbd,
    Class::Vdi,
    // What goes with a VM, or does not.
    Class::VmMetrics,
    Class::VmGuestMetrics,
    Class::VmAppliance,
    Class::VmGroup,
    Class::Vgpu,
    Class::Pgpu,
];

impl RuleSet for Preflight {
    const NAME: &'static str = "preflight";

    fn rules() -> &'static [&'static Rule] {
        RULES
    }
}

impl Evaluate for Preflight {
    type World<'a> = World<'a>;
    type Facts<'a> = Facts<'a>;

    /// `pool.join` runs on the host that joins.
    const CHECKED_BY: Side = Side::Joiner;

    fn checks() -> &'static [Check] {
        CHECKS
    }

    fn facts<'a>(world: Self::World<'a>, rule: &'static Rule) -> Self::Facts<'a> {
        Facts::new(world, rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleCode;

    #[test]
    fn the_classes_are_those_that_rules_read_at_least() {
        for reads in RULES.iter().flat_map(|rule| rule.reads) {
            assert!(CLASSES.contains(&reads.class), "{}", reads.class);
        }
    }

    #[test]
    fn every_rule_stands_in_its_place() {
        let codes: Vec<_> = RULES.iter().map(|rule| RuleCode::from(*rule)).collect();
        assert!(codes.is_sorted_by(|one, next| one < next));
        for (rule, code) in RULES.iter().zip(codes) {
            assert_eq!(RuleCode::of::<Preflight>(rule.code).unwrap(), code);
        }
    }
}
