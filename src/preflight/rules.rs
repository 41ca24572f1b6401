//! The table of all rules, in the order of the report: XAPI's checks in XAPI's order, then the rest.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::checks::*;
use super::hazards;
use super::rule::Rule;

macro_rules! rules {
    ($( $variant:ident $code:literal = $rule:path, )*) => {
        /// The stable name of a rule.
        ///
        /// In the order of reports: XAPI's checks in XAPI's order, then what XAPI does not look at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum RuleCode {
            $( #[doc = concat!("`", $code, "`")] $variant, )*
        }

        /// All rules, in the order of reports.
        pub static RULES: &[&Rule] = &[$(&$rule),*];

        impl RuleCode {
            /// The code as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

rules! {
    PoolingUnlicensed "pooling-unlicensed" = licence::POOLING_UNLICENSED,
    PoolUnreadable "pool-unreadable" = identity::POOL_UNREADABLE,
    PoolSizeRestricted "pool-size-restricted" = licence::POOL_SIZE_RESTRICTED,
    ManagementInterfaceMissing "management-interface-missing" = network::MANAGEMENT_INTERFACE_MISSING,
    JoinerHaEnabled "joiner-ha-enabled" = ha::JOINER_HA_ENABLED,
    JoinerClusteringEnabled "joiner-clustering-enabled" = cluster::JOINER_CLUSTERING_ENABLED,
    ClusterNetworkOnVlan "cluster-network-on-vlan" = cluster::CLUSTER_NETWORK_ON_VLAN,
    ClusterNetworkAddress "cluster-network-address" = cluster::CLUSTER_NETWORK_ADDRESS,
    PoolHaEnabled "pool-ha-enabled" = ha::POOL_HA_ENABLED,
    JoiningItself "joining-itself" = identity::JOINING_ITSELF,
    JoinerHasOtherHosts "joiner-has-other-hosts" = identity::JOINER_HAS_OTHER_HOSTS,
    RunningVms "running-vms" = vms::RUNNING_VMS,
    VmOperations "vm-operations" = vms::VM_OPERATIONS,
    JoinerPendingGuidance "joiner-pending-guidance" = updates::JOINER_PENDING_GUIDANCE,
    MasterPendingGuidance "master-pending-guidance" = updates::MASTER_PENDING_GUIDANCE,
    PlatformDiffers "platform-differs" = software::PLATFORM_DIFFERS,
    SoftwareVersionDiffers "software-version-differs" = software::SOFTWARE_VERSION_DIFFERS,
    CpuVendorDiffers "cpu-vendor-differs" = software::CPU_VENDOR_DIFFERS,
    SharedStorage "shared-storage" = storage::SHARED_STORAGE,
    Bonds "bonds" = network::BONDS,
    Tunnels "tunnels" = network::TUNNELS,
    SriovNetworks "sriov-networks" = network::SRIOV_NETWORKS,
    NonManagementVlans "non-management-vlans" = network::NON_MANAGEMENT_VLANS,
    ManagementVlanDiffers "management-vlan-differs" = network::MANAGEMENT_VLAN_DIFFERS,
    ExternalAuthDiffers "external-auth-differs" = auth::EXTERNAL_AUTH_DIFFERS,
    EditionDiffers "edition-differs" = licence::EDITION_DIFFERS,
    NetworkBackendDiffers "network-backend-differs" = vswitch::NETWORK_BACKEND_DIFFERS,
    SdnControllerDiffers "sdn-controller-differs" = vswitch::SDN_CONTROLLER_DIFFERS,
    ApiVersionDiffers "api-version-differs" = software::API_VERSION_DIFFERS,
    DbSchemaDiffers "db-schema-differs" = software::DB_SCHEMA_DIFFERS,
    UpdatesDiffer "updates-differ" = software::UPDATES_DIFFER,
    PrimaryAddressTypeDiffers "primary-address-type-differs" = network::PRIMARY_ADDRESS_TYPE_DIFFERS,
    NbdPurposeDiffers "nbd-purpose-differs" = vswitch::NBD_PURPOSE_DIFFERS,
    TlsVerificationDiffers "tls-verification-differs" = auth::TLS_VERIFICATION_DIFFERS,
    CaCertificatesConflict "ca-certificates-conflict" = certificates::CA_CERTIFICATES_CONFLICT,
    TrustedCertificatesConflict "trusted-certificates-conflict" = certificates::TRUSTED_CERTIFICATES_CONFLICT,
    JoinerUpdating "joiner-updating" = updates::JOINER_UPDATING,
    PoolUpdating "pool-updating" = updates::POOL_UPDATING,
    StorageDriversDiffer "storage-drivers-differ" = sm::STORAGE_DRIVERS_DIFFER,
    HaltedVms "halted-vms" = hazards::vms::HALTED_VMS,
    SuspendedVms "suspended-vms" = hazards::vms::SUSPENDED_VMS,
    PausedVms "paused-vms" = hazards::vms::PAUSED_VMS,
    VmSnapshots "vm-snapshots" = hazards::vms::VM_SNAPSHOTS,
    CustomTemplates "custom-templates" = hazards::vms::CUSTOM_TEMPLATES,
    BlockedOperationsLost "blocked-operations-lost" = hazards::vms::BLOCKED_OPERATIONS_LOST,
    AppliancesLost "appliances-lost" = hazards::vms::APPLIANCES_LOST,
    VmImportFails "vm-import-fails" = hazards::clashes::VM_IMPORT_FAILS,
    VmReplacesAnother "vm-replaces-another" = hazards::clashes::VM_REPLACES_ANOTHER,
    MacSeedsClash "mac-seeds-clash" = hazards::clashes::MAC_SEEDS_CLASH,
    VifsMove "vifs-move" = hazards::networks::VIFS_MOVE,
    NetworksLost "networks-lost" = hazards::networks::NETWORKS_LOST,
    ExtraNetworks "extra-networks" = hazards::networks::EXTRA_NETWORKS,
    NetworksIntroduced "networks-introduced" = hazards::networks::NETWORKS_INTRODUCED,
    NetworkSettingsLost "network-settings-lost" = hazards::networks::NETWORK_SETTINGS_LOST,
    NicsMissing "nics-missing" = hazards::nics::NICS_MISSING,
    NicBridgesDiffer "nic-bridges-differ" = hazards::nics::NIC_BRIDGES_DIFFER,
    BondsCannotFollow "bonds-cannot-follow" = hazards::nics::BONDS_CANNOT_FOLLOW,
    VlansCannotFollow "vlans-cannot-follow" = hazards::nics::VLANS_CANNOT_FOLLOW,
    NicsWithoutLink "nics-without-link" = hazards::nics::NICS_WITHOUT_LINK,
    NicSpeedsDiffer "nic-speeds-differ" = hazards::nics::NIC_SPEEDS_DIFFER,
    SecondaryAddressesMissing "secondary-addresses-missing" = hazards::nics::SECONDARY_ADDRESSES_MISSING,
    ManagementMtu "management-mtu" = hazards::addresses::MANAGEMENT_MTU,
    ManagementByDhcp "management-by-dhcp" = hazards::addresses::MANAGEMENT_BY_DHCP,
    AddressesClash "addresses-clash" = hazards::addresses::ADDRESSES_CLASH,
    HostNameTaken "host-name-taken" = hazards::addresses::HOST_NAME_TAKEN,
    MasterAddressByName "master-address-by-name" = hazards::addresses::MASTER_ADDRESS_BY_NAME,
    MasterAddressElsewhere "master-address-elsewhere" = hazards::addresses::MASTER_ADDRESS_ELSEWHERE,
    ClocksDiffer "clocks-differ" = hazards::addresses::CLOCKS_DIFFER,
    ExtraLocalStorage "extra-local-storage" = hazards::storage::EXTRA_LOCAL_STORAGE,
    StorageSecretsLost "storage-secrets-lost" = hazards::storage::STORAGE_SECRETS_LOST,
    StorageAlreadyKnown "storage-already-known" = hazards::storage::STORAGE_ALREADY_KNOWN,
    TagsLost "tags-lost" = hazards::settings::TAGS_LOST,
    PoolSettingsLost "pool-settings-lost" = hazards::settings::POOL_SETTINGS_LOST,
    HostSettingsLost "host-settings-lost" = hazards::settings::HOST_SETTINGS_LOST,
    UefiCertificatesOverwritten "uefi-certificates-overwritten" = hazards::settings::UEFI_CERTIFICATES_OVERWRITTEN,
    SshSettingsOverwritten "ssh-settings-overwritten" = hazards::settings::SSH_SETTINGS_OVERWRITTEN,
    PoolCpuLevelDrops "pool-cpu-level-drops" = hazards::cpu::POOL_CPU_LEVEL_DROPS,
    JoinerCpuReduced "joiner-cpu-reduced" = hazards::cpu::JOINER_CPU_REDUCED,
    CertificatesOutOfDate "certificates-out-of-date" = hazards::certificates::CERTIFICATES_OUT_OF_DATE,
    HostCertificatesMissing "host-certificates-missing" = hazards::certificates::HOST_CERTIFICATES_MISSING,
    TlsVerificationUneven "tls-verification-uneven" = hazards::certificates::TLS_VERIFICATION_UNEVEN,
    HostAlreadyInPool "host-already-in-pool" = hazards::members::HOST_ALREADY_IN_POOL,
    PoolSizeLimit "pool-size-limit" = hazards::members::POOL_SIZE_LIMIT,
    MembersDead "members-dead" = hazards::members::MEMBERS_DEAD,
    MembersDisabled "members-disabled" = hazards::members::MEMBERS_DISABLED,
    MembersDiffer "members-differ" = hazards::members::MEMBERS_DIFFER,
    MembersPendingGuidance "members-pending-guidance" = hazards::members::MEMBERS_PENDING_GUIDANCE,
    RollingUpgrade "rolling-upgrade" = hazards::members::ROLLING_UPGRADE,
    PoolOperations "pool-operations" = hazards::members::POOL_OPERATIONS,
    SecretRotationPending "secret-rotation-pending" = hazards::members::SECRET_ROTATION_PENDING,
    RecommendedGuidance "recommended-guidance" = hazards::members::RECOMMENDED_GUIDANCE,
    ReleaseUnstated "release-unstated" = hazards::members::RELEASE_UNSTATED,
}

impl fmt::Display for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for RuleCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RuleCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_stands_in_its_place() {
        for (n, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.code as usize, n, "{}", rule.code);
            assert_eq!(rule.code.as_str().parse::<RuleCode>().unwrap(), rule.code);
        }
    }
}
