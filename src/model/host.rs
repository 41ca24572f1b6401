//! Hosts and what belongs to one: metrics, updates, features, certificates.

use std::collections::BTreeMap;

use super::record::record;
use super::{
    CertificatePurpose, CertificateType, HostOperation, Network, Pbd, Pci, Pgpu, Pif, Pusb, Ref,
    Sr, Timestamp, UpdateGuidance, Uuid, Vm,
};

record! {
    /// A physical host.
    Host, "host", host {
        uuid: Uuid,
        name_label: String,
        name_description: String,
        /// Memory that Xen itself takes, in bytes.
        memory_overhead: i64,
        allowed_operations: Vec<HostOperation>,
        /// Task ref to operation.
        current_operations: BTreeMap<String, HostOperation>,
        API_version_major: i64,
        API_version_minor: i64,
        API_version_vendor: String,
        /// Whether it accepts new VMs; not whether it is up: that is `host_metrics.live`.
        enabled: bool,
        /// `product_version`, `platform_version`, `xapi`, `db_schema` and others; any may miss.
        software_version: BTreeMap<String, String>,
        other_config: BTreeMap<String, String>,
        capabilities: Vec<String>,
        /// Includes the control domain.
        resident_VMs: Vec<Ref<Vm>>,
        logging: BTreeMap<String, String>,
        PIFs: Vec<Ref<Pif>>,
        suspend_image_sr: Ref<Sr>,
        crash_dump_sr: Ref<Sr>,
        updates: Vec<Ref<PoolUpdate>>,
        PBDs: Vec<Ref<Pbd>>,
        /// `vendor`, `cpu_count`, `socket_count`, `features_hvm`, `features_pv` and others.
        cpu_info: BTreeMap<String, String>,
        hostname: String,
        /// The management interface's IP address, IPv6 without brackets.
        address: String,
        metrics: Ref<HostMetrics>,
        license_params: BTreeMap<String, String>,
        tags: Vec<String>,
        external_auth_type: String,
        external_auth_service_name: String,
        external_auth_configuration: BTreeMap<String, String>,
        edition: String,
        license_server: BTreeMap<String, String> =
            [("address", "localhost"), ("port", "27000")]
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
        power_on_mode: String,
        power_on_config: BTreeMap<String, String>,
        local_cache_sr: Ref<Sr>,
        chipset_info: BTreeMap<String, String>,
        PCIs: Vec<Ref<Pci>>,
        PGPUs: Vec<Ref<Pgpu>>,
        PUSBs: Vec<Ref<Pusb>>,
        /// `[0]` right after a join, until the member has started.
        virtual_hardware_platform_versions: Vec<i64> = [0],
        control_domain: Ref<Vm>,
        updates_requiring_reboot: Vec<Ref<PoolUpdate>>,
        features: Vec<Ref<Feature>>,
        iscsi_iqn: String,
        multipathing: bool,
        uefi_certificates: String,
        certificates: Vec<Ref<Certificate>>,
        editions: Vec<String>,
        pending_guidances: Option<Vec<UpdateGuidance>>,
        tls_verification_enabled: Option<bool>,
        last_software_update: Option<Timestamp>,
        https_only: Option<bool>,
        latest_synced_updates_applied: Option<String> = String::from("unknown"),
        pending_guidances_recommended: Option<Vec<UpdateGuidance>>,
        pending_guidances_full: Option<Vec<UpdateGuidance>>,
        last_update_hash: Option<String>,
        ssh_enabled: Option<bool> = true,
        ssh_enabled_timeout: Option<i64>,
        console_idle_timeout: Option<i64>,
        ssh_auto_mode: Option<bool>,
        secure_boot: Option<bool>,
        ntp_mode: Option<String> = String::from("Factory"),
        timezone: Option<String> = String::from("UTC"),
    }
}

record! {
    /// A host's measurements, and whether it is up.
    HostMetrics, "host_metrics", host_metrics {
        uuid: Uuid,
        /// Bytes.
        memory_total: i64,
        /// Up to 10 minutes stale for a host that lost power.
        live: bool,
        last_updated: Timestamp,
    }
}

record! {
    /// An update that was uploaded to the pool.
    PoolUpdate, "pool_update", pool_update {
        uuid: Uuid,
        name_label: String,
        version: String,
        hosts: Vec<Ref<Host>>,
        /// Whether all hosts of a pool must have it.
        enforce_homogeneity: bool,
    }
}

record! {
    /// An optional feature of a host.
    Feature, "Feature", feature {
        uuid: Uuid,
        name_label: String,
        enabled: bool,
        experimental: bool,
        version: String = "1.0",
        host: Ref<Host>,
    }
}

record! {
    /// An X.509 certificate that hosts show or trust.
    Certificate, "Certificate", certificate {
        uuid: Uuid,
        /// Set for legacy CA certificates only.
        name: Option<String>,
        r#type as "type": Option<CertificateType>,
        host: Ref<Host>,
        not_before: Timestamp,
        not_after: Timestamp,
        fingerprint: String,
        fingerprint_sha256: Option<String>,
        fingerprint_sha1: Option<String>,
        purpose: Option<Vec<CertificatePurpose>>,
    }
}

impl Host {
    /// A value of `software_version`, unless it is missing or empty.
    pub fn software(&self, key: &str) -> Option<&str> {
        self.software_version.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// XAPI's release: `xapi_build` if it is there, else `xapi` (always "1.20" in 8.2).
    pub fn xapi_version(&self) -> Option<super::Version> {
        self.software("xapi_build").or_else(|| self.software("xapi"))?.parse().ok()
    }

    /// The release that decides what the host's server has and does.
    ///
    /// 8.2 and older say "1.20" or less, whatever they are; they are taken for 1.249.
    pub(crate) fn release(&self) -> Option<super::Version> {
        let stated = self.xapi_version()?;
        match stated.parts() {
            [1, minor, ..] if *minor <= 20 => Some(super::Version::of(1, 249)),
            _ => Some(stated),
        }
    }
}

impl Network {
    /// Whether its bridge has a name that only the server itself may give (`Xapi_network.create`).
    pub(crate) fn has_reserved_bridge(&self) -> bool {
        const RESERVED: [&str; 5] = ["xen", "xapi", "vif", "tap", "eth"];
        RESERVED.iter().any(|prefix| self.bridge.starts_with(prefix))
    }

    /// Whether it is the host-internal management network (`xenapi`).
    pub fn is_host_internal_management(&self) -> bool {
        self.other_config.get("is_host_internal_management_network").is_some_and(|v| v == "true")
    }
}
