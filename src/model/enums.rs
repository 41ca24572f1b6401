//! XAPI's enumerations; values that this crate does not know are kept as they are.

use std::fmt;

use super::ident::FromText;
use super::record::{Completed, Written, always_written, completed_by_default};

macro_rules! open_enum {
    ($(
        $(#[$meta:meta])*
        $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $text:literal ),* $(,)? }
    )*) => {
        $(
            $(#[$meta])*
            ///
            /// Enums grow with every release: a value that this crate does not know is `Other`.
            #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
            #[non_exhaustive]
            pub enum $name {
                $(
                    #[doc = concat!("`", $text, "`")]
                    $(#[$vmeta])*
                    $variant,
                )*
                /// Another value, letter for letter.
                Other(Box<str>),
            }

            impl $name {
                /// XAPI's name of the value.
                pub fn as_str(&self) -> &str {
                    match self {
                        $(Self::$variant => $text,)*
                        Self::Other(text) => text,
                    }
                }
            }

            impl From<&str> for $name {
                fn from(text: &str) -> Self {
                    match text {
                        $($text => Self::$variant,)*
                        _ => Self::Other(text.into()),
                    }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.as_str())
                }
            }

            impl serde::Serialize for $name {
                fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
                where
                    S: serde::Serializer,
                {
                    serializer.serialize_str(self.as_str())
                }
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    d.deserialize_str(FromText(stringify!($name), |text: &str| Self::from(text)))
                }
            }

            completed_by_default!($name);
            always_written!($name);

            #[cfg(any(test, feature = "proptest"))]
            impl super::arbitrary::Drawn for $name {
                fn drawn(source: &mut super::arbitrary::Source<'_>) -> Self {
                    Self::from(source.one_of(&[$($text,)* "unheard_of"]))
                }
            }
        )*
    };
}

open_enum! {
    /// How NICs share the load of a bond.
    BondMode {
        #[default]
        BalanceSlb = "balance-slb",
        ActiveBackup = "active-backup",
        Lacp = "lacp",
    }

    /// What a certificate is for.
    CertificatePurpose { Ldaps = "ldaps", #[default] Licensing = "licensing" }

    /// Whose certificate it is.
    CertificateType {
        Ca = "ca",
        #[default] Host = "host",
        HostInternal = "host_internal",
        Pinned = "pinned",
    }

    /// The virtualisation mode of a domain.
    DomainType {
        Hvm = "hvm",
        Pv = "pv",
        PvInPvh = "pv_in_pvh",
        Pvh = "pvh",
        #[default] Unspecified = "unspecified",
    }

    /// What a host may or does.
    HostOperation {
        ApplyUpdates = "apply_updates",
        Enable = "enable",
        Evacuate = "evacuate",
        PowerOn = "power_on",
        #[default] Provision = "provision",
        Reboot = "reboot",
        Shutdown = "shutdown",
        VmMigrate = "vm_migrate",
        VmResume = "vm_resume",
        VmStart = "vm_start",
    }

    /// How an interface gets its IPv4 address.
    IpConfigurationMode { #[default] None = "None", Dhcp = "DHCP", Static = "Static" }

    /// How an interface gets its IPv6 address.
    Ipv6ConfigurationMode {
        #[default]
        None = "None",
        Autoconf = "Autoconf",
        Dhcp = "DHCP",
        Static = "Static",
    }

    /// What a network is used for, beside VM traffic.
    NetworkPurpose { InsecureNbd = "insecure_nbd", #[default] Nbd = "nbd" }

    /// How VMs of a group are placed.
    PlacementPolicy { AntiAffinity = "anti_affinity", #[default] Normal = "normal" }

    /// What a pool may or does; there is no `join`.
    PoolOperation {
        ApplyUpdates = "apply_updates",
        CertRefresh = "cert_refresh",
        ClusterCreate = "cluster_create",
        ConfigureRepositories = "configure_repositories",
        CopyPrimaryHostCerts = "copy_primary_host_certs",
        DesignateNewMaster = "designate_new_master",
        Eject = "eject",
        ExchangeCaCertificatesOnJoin = "exchange_ca_certificates_on_join",
        ExchangeCertificatesOnJoin = "exchange_certificates_on_join",
        ExchangeCrlsOnJoin = "exchange_crls_on_join",
        GetUpdates = "get_updates",
        HaDisable = "ha_disable",
        #[default] HaEnable = "ha_enable",
        SyncBundle = "sync_bundle",
        SyncUpdates = "sync_updates",
        TlsVerificationEnable = "tls_verification_enable",
    }

    /// Whether a VM runs.
    PowerState {
        #[default]
        Halted = "Halted",
        Paused = "Paused",
        Running = "Running",
        Suspended = "Suspended",
    }

    /// The address family of a management interface.
    PrimaryAddressType { #[default] Ipv4 = "IPv4", Ipv6 = "IPv6" }

    /// How a SDN controller is reached.
    SdnProtocol { #[default] Ssl = "ssl", Pssl = "pssl" }

    /// Where a task stands.
    TaskStatus {
        Cancelled = "cancelled",
        Cancelling = "cancelling",
        Failure = "failure",
        #[default] Pending = "pending",
        Success = "success",
    }

    /// How a NIC was made to offer virtual functions.
    SriovConfigurationMode {
        Manual = "manual",
        Modprobe = "modprobe",
        Sysfs = "sysfs",
        #[default] Unknown = "unknown",
    }

    /// How a tunnel carries frames.
    TunnelProtocol { #[default] Gre = "gre", Vxlan = "vxlan" }

    /// What must be done for installed updates to take effect.
    UpdateGuidance {
        #[default] RebootHost = "reboot_host",
        RebootHostOnKernelLivepatchFailure = "reboot_host_on_kernel_livepatch_failure",
        RebootHostOnLivepatchFailure = "reboot_host_on_livepatch_failure",
        RebootHostOnXenLivepatchFailure = "reboot_host_on_xen_livepatch_failure",
        RestartDeviceModel = "restart_device_model",
        RestartToolstack = "restart_toolstack",
        RestartVm = "restart_vm",
    }

    /// What a virtual block device shows its VM.
    VbdType { Cd = "CD", #[default] Disk = "Disk", Floppy = "Floppy" }

    /// What a virtual disk holds.
    VdiType {
        CbtMetadata = "cbt_metadata",
        Crashdump = "crashdump",
        Ephemeral = "ephemeral",
        HaStatefile = "ha_statefile",
        Metadata = "metadata",
        PvsCache = "pvs_cache",
        RedoLog = "redo_log",
        Rrd = "rrd",
        Suspend = "suspend",
        #[default] System = "system",
        User = "user",
    }

    /// What is being done with a VM.
    ///
    /// Only the operations that decisions name have a variant.
    VmOperation {
        CleanReboot = "clean_reboot",
        CleanShutdown = "clean_shutdown",
        Destroy = "destroy",
        Export = "export",
        HardReboot = "hard_reboot",
        HardShutdown = "hard_shutdown",
        MetadataExport = "metadata_export",
        MigrateSend = "migrate_send",
        Pause = "pause",
        PoolMigrate = "pool_migrate",
        Resume = "resume",
        Shutdown = "shutdown",
        Snapshot = "snapshot",
        #[default] Start = "start",
        StartOn = "start_on",
        Suspend = "suspend",
        Unpause = "unpause",
    }
}
