//! The joiner's objects other than VMs (`create_or_get_*_on_master`).

use super::transfer::{Transfer, copied, own_secrets};
use crate::error::Fault;
use crate::simulator::calls::network::RESERVED_BRIDGES;
use crate::simulator::calls::operations::{refresh_sr, refresh_vdi};
use crate::simulator::database::{Ref, Row, Value};

impl<'a> Transfer<'a> {
    fn local(&self, class: &str, object: &str) -> Result<Row<'a>, Fault> {
        self.joiner.require(class, object)
    }

    /// The joiner's host in the pool: the record of the same uuid, stale or not, else a new one.
    pub(super) fn host(&mut self, host: &str) -> Result<Ref, Fault> {
        let local = self.local("host", host)?;
        if let Some(known) = self.pool.by_uuid("host", local.text("uuid")) {
            return Ok(known);
        }
        let cache = local.target("local_cache_sr").map(|sr| self.sr(sr)).transpose()?;
        let master_of_all = self.pool.count("host") >= RESTRICTED_POOL_SIZE;
        if master_of_all && !self.licensed("restrict_pool_size") {
            return Err(Fault::new("LICENCE_RESTRICTION", ["Pool_size"]));
        }
        let verifies = match &self.pool.refs("pool")[..] {
            [pool] => self.pool.flag("pool", pool, "tls_verification_enabled"),
            _ => false,
        };
        let metrics = [("live", false.into()), ("last_updated", Value::Date(self.now.clone()))];
        let metrics = self.create("host_metrics", metrics.into())?;
        let (major, minor) = self.pool.release().api_version();
        let mut values = copied(&local, HOST_FIELDS);
        values.extend([
            ("uuid", local.get("uuid")),
            ("name_description", "Default install".into()),
            ("API_version_major", major.into()),
            ("API_version_minor", minor.into()),
            ("API_version_vendor", "XenSource".into()),
            ("enabled", false.into()),
            ("sched_policy", "credit".into()),
            ("supported_bootloaders", Value::texts(["pygrub", "eliloader"])),
            ("metrics", metrics.into()),
            ("local_cache_sr", cache.map_or_else(Value::null_ref, Value::from)),
            ("virtual_hardware_platform_versions", Value::Set(vec![Value::Int(0)])),
            ("tls_verification_enabled", verifies.into()),
            ("ssl_legacy", false.into()),
            ("other_config", local.get("other_config")),
        ]);
        let made = self.create("host", values)?;
        // The suspend image SR is filled from the crash dump SR as well: a slip of the server.
        if let Some(sr) = local.target("crash_dump_sr") {
            let sr = self.sr(sr)?;
            self.pool.set("host", &made, "crash_dump_sr", &sr)?;
            self.pool.set("host", &made, "suspend_image_sr", &sr)?;
        }
        Ok(made)
    }

    /// The SR of the same uuid; for a tools SR the pool's; else a new one that is not shared.
    pub(super) fn sr(&mut self, sr: &str) -> Result<Ref, Fault> {
        let local = self.local("SR", sr)?;
        let uuid = local.text("uuid");
        if let Some(known) = self.pool.by_uuid("SR", uuid) {
            return Ok(known);
        }
        if local.flag("is_tools_sr") {
            let tools = self.pool.find("SR", |sr| sr.flag("is_tools_sr"));
            return tools.ok_or_else(|| {
                Fault::new("INTERNAL_ERROR", [format!("can't find SR {uuid} of tools iso")])
            });
        }
        let mut values = copied(&local, SR_FIELDS);
        values.extend([
            ("type", local.text("type").to_ascii_lowercase().into()),
            ("shared", false.into()),
            ("virtual_allocation", 0.into()),
            ("physical_utilisation", (-1).into()),
            ("physical_size", (-1).into()),
        ]);
        let made = self.create("SR", values)?;
        refresh_sr(self.pool, &made);
        Ok(made)
    }

    pub(super) fn pbd(&mut self, pbd: &str) -> Result<Ref, Fault> {
        let local = self.local("PBD", pbd)?;
        if let Some(known) = self.pool.by_uuid("PBD", local.text("uuid")) {
            return Ok(known);
        }
        let host = self.host(local.text("host"))?;
        let sr = self.sr(local.text("SR"))?;
        let pbds = self.pool.require("SR", &sr)?.refs("PBDs").into_iter();
        let mut clashes = pbds.filter(|pbd| self.pool.text("PBD", pbd, "host") == host);
        if let Some(clash) = clashes.next() {
            return Err(Fault::new("PBD_EXISTS", [&*sr, &*host, &*clash]));
        }
        let config = local.get("device_config");
        if let Some(value) = config.at("SRmaster").and_then(Value::as_str) {
            let reason = "This key is for internal use only";
            return Err(Fault::new("VALUE_NOT_SUPPORTED", ["SRmaster", value, reason]));
        }
        // The joiner's secrets are not there, or come too late.
        let config = own_secrets(self.pool, self.random, &config)?;
        let values = vec![("host", host.into()), ("SR", (&sr).into()), ("device_config", config)];
        let made = self.create("PBD", values)?;
        refresh_sr(self.pool, &sr);
        Ok(made)
    }

    pub(super) fn vdi(&mut self, vdi: &str) -> Result<Ref, Fault> {
        let local = self.local("VDI", vdi)?;
        let sr = self.sr(local.text("SR"))?;
        if let Some(known) = self.pool.by_uuid("VDI", local.text("uuid")) {
            return Ok(known);
        }
        let location = local.text("location");
        let pool = &*self.pool;
        let taken = self.locations.entry(Ref::clone(&sr)).or_insert_with(|| {
            let siblings = pool.object("SR", &sr).map(|sr| sr.refs("VDIs"));
            let siblings = siblings.unwrap_or_default().into_iter();
            siblings.map(|vdi| pool.text("VDI", &vdi, "location")).collect()
        });
        if !taken.insert(location.into()) {
            return Err(Fault::new("LOCATION_NOT_UNIQUE", [&*sr, location]));
        }
        // `snapshot_of` is among these: it names an object of the joiner's database, and dangles.
        let mut values = copied(&local, VDI_FIELDS);
        values.push(("SR", sr.into()));
        let made = self.create("VDI", values)?;
        refresh_vdi(self.pool, &made);
        Ok(made)
    }

    /// A physical network merges with the first of the same bridge; an internal one is made anew,
    /// if its bridge may be named by a user.
    pub(super) fn network(&mut self, network: &str) -> Result<Ref, Fault> {
        let local = self.local("network", network)?;
        let bridge = local.text("bridge");
        let first_pif = local.refs("PIFs").into_iter().next();
        let physical = first_pif.is_some_and(|pif| self.joiner.flag("PIF", &pif, "physical"));
        let internal_management =
            local.entry("other_config", "is_host_internal_management_network") == Some("true");
        if physical || internal_management {
            let same = self.pool.find("network", |network| network.text("bridge") == bridge);
            return match same {
                Some(known) => Ok(known),
                None => self.create("network", copied(&local, INTRODUCED_NETWORK_FIELDS)),
            };
        }
        let reserved = RESERVED_BRIDGES.iter().any(|reserved| bridge.starts_with(reserved));
        if !bridge.is_empty() && (reserved || bridge.len() > LONGEST_BRIDGE) {
            return Err(Fault::new("INVALID_VALUE", ["bridge", bridge]));
        }
        self.internal_network(&local)
    }

    /// `Network.create` with the fields of a network of the joiner.
    pub(super) fn internal_network(&mut self, local: &Row<'_>) -> Result<Ref, Fault> {
        let bridge = local.text("bridge");
        let taken = |bridge: &str| {
            self.pool.find("network", |network| network.text("bridge") == bridge).is_some()
        };
        let bridge = if bridge.is_empty() {
            (0..).map(|number| format!("xapi{number}")).find(|bridge| !taken(bridge))
        } else if taken(bridge) {
            return Err(Fault::new("BRIDGE_NAME_EXISTS", [bridge]));
        } else {
            Some(bridge.to_owned())
        };
        let mut values = copied(local, CREATED_NETWORK_FIELDS);
        values.push(("bridge", bridge.unwrap_or_default().into()));
        if local.int("MTU") <= 0 {
            values.push(("MTU", 1500.into()));
        }
        self.create("network", values)
    }

    pub(super) fn pif(&mut self, pif: &str) -> Result<Ref, Fault> {
        let local = self.local("PIF", pif)?;
        let host = self.host(local.text("host"))?;
        let network = if local.int("VLAN") == UNTAGGED {
            self.network(local.text("network"))?
        } else {
            self.management_network()?
        };
        if let Some(known) = self.pool.by_uuid("PIF", local.text("uuid")) {
            return Ok(known);
        }
        let metrics = self.create("PIF_metrics", Vec::new())?;
        let mut values = copied(&local, PIF_FIELDS);
        values.extend([
            ("host", host.into()),
            ("network", network.into()),
            ("metrics", metrics.into()),
            ("currently_attached", false.into()),
            ("igmp_snooping_status", "unknown".into()),
        ]);
        self.create("PIF", values)
    }

    /// The network of the master's management interface.
    fn management_network(&self) -> Result<Ref, Fault> {
        let pool = self.pool.objects("pool").next();
        let master = pool.map(|pool| pool.text("master")).unwrap_or_default();
        let management = |pif: &Row<'_>| pif.flag("management") && pif.text("host") == master;
        let found = self.pool.find("PIF", management);
        let found = found.ok_or_else(|| Fault::new("INTERNAL_ERROR", ["Not_found"]))?;
        Ok(self.pool.text("PIF", &found, "network"))
    }

    /// The management VLAN, with its VLAN PIF, on the master's management network.
    pub(super) fn vlan(&mut self, vlan: &str) -> Result<Ref, Fault> {
        let local = self.local("VLAN", vlan)?;
        let tagged = self.local("PIF", local.text("tagged_PIF"))?;
        let host = self.host(tagged.text("host"))?;
        let untagged = self.pif(local.text("untagged_PIF"))?;
        let network = self.network(tagged.text("network"))?;
        let below = |pif: &Row<'_>| pif.text("network") == &*network && pif.text("host") == &*host;
        let tagged = self.pool.find("PIF", below);
        if let Some(known) = self.pool.by_uuid("VLAN", local.text("uuid")) {
            return Ok(known);
        }
        let mut values = copied(&local, &["tag", "other_config"]);
        let tagged_value = tagged.clone().map_or_else(Value::null_ref, Value::from);
        values.extend([("tagged_PIF", tagged_value), ("untagged_PIF", (&untagged).into())]);
        let vlan = self.create("VLAN", values)?;
        self.pool.set("PIF", &untagged, "VLAN_master_of", &vlan)?;
        // Both PIFs are one device, and share its metrics.
        let own = self.pool.text("PIF", &untagged, "metrics");
        let shared = tagged.map(|pif| self.pool.text("PIF", &pif, "metrics"));
        if let Some(shared) = shared.filter(|shared| *shared != own) {
            self.pool.set("PIF", &untagged, "metrics", shared)?;
            self.pool.destroy("PIF_metrics", &own);
        }
        Ok(vlan)
    }

    pub(super) fn pvs_site(&mut self, site: &str) -> Result<Ref, Fault> {
        let local = self.local("PVS_site", site)?;
        let same = |site: &Row<'_>| site.text("PVS_uuid") == local.text("PVS_uuid");
        if let Some(known) = self.pool.find("PVS_site", same) {
            return Ok(known);
        }
        if !self.licensed("restrict_pvs_proxy") {
            return Err(Fault::new("LICENCE_RESTRICTION", ["PVS_proxy"]));
        }
        let values = copied(&local, &["name_label", "name_description", "PVS_uuid"]);
        let made = self.create("PVS_site", values)?;
        for server in local.refs("servers") {
            let server = self.local("PVS_server", &server)?;
            let mut values = copied(&server, &["addresses", "first_port", "last_port"]);
            values.push(("site", (&made).into()));
            self.create("PVS_server", values)?;
        }
        Ok(made)
    }

    pub(super) fn pvs_cache_storage(&mut self, storage: &str) -> Result<Ref, Fault> {
        let local = self.local("PVS_cache_storage", storage)?;
        let host = self.host(local.text("host"))?;
        let sr = self.sr(local.text("SR"))?;
        let site = self.pvs_site(local.text("site"))?;
        let same =
            |storage: &Row<'_>| storage.text("site") == &*site && storage.text("host") == &*host;
        if let Some(known) = self.pool.find("PVS_cache_storage", same) {
            return Ok(known);
        }
        let mut values = copied(&local, &["size"]);
        values.extend([("host", host.into()), ("SR", sr.into()), ("site", site.into())]);
        self.create("PVS_cache_storage", values)
    }

    pub(super) fn secret(&mut self, secret: &str) -> Result<Ref, Fault> {
        let local = self.local("secret", secret)?;
        match self.pool.by_uuid("secret", local.text("uuid")) {
            Some(known) => Ok(known),
            None => self.create("secret", copied(&local, &["uuid", "value"])),
        }
    }
}

/// `PIF.VLAN` of a PIF without a tag.
const UNTAGGED: i64 = -1;

/// How many hosts a pool may have without a licence for more (`xapi_globs.ml`).
///
/// A second copy of what the preflight says, on purpose: the simulator is a witness of its own.
const RESTRICTED_POOL_SIZE: usize = 3;

/// Linux's limit to the name of an interface.
const LONGEST_BRIDGE: usize = 15;

/// What `Host.create` takes from the joiner's record, `other_config` apart.
const HOST_FIELDS: &[&str] = &[
    "name_label",
    "hostname",
    "address",
    "external_auth_type",
    "external_auth_service_name",
    "external_auth_configuration",
    "license_params",
    "edition",
    "license_server",
    "chipset_info",
    "last_software_update",
    "last_update_hash",
    "ssh_enabled",
    "ssh_enabled_timeout",
    "ssh_expiry",
    "console_idle_timeout",
    "ssh_auto_mode",
    "secure_boot",
    "software_version",
    "https_only",
    "max_cstate",
    "ntp_mode",
    "ntp_custom_servers",
    "timezone",
    "numa_affinity_policy",
    "latest_synced_updates_applied",
    "pending_guidances_full",
    "pending_guidances_recommended",
];

/// What `SR.introduce` takes, and `other_config`, which is set afterwards.
const SR_FIELDS: &[&str] =
    &["uuid", "name_label", "name_description", "content_type", "sm_config", "other_config"];

/// What `VDI.pool_introduce` takes.
const VDI_FIELDS: &[&str] = &[
    "uuid",
    "name_label",
    "name_description",
    "type",
    "sharable",
    "read_only",
    "other_config",
    "location",
    "xenstore_data",
    "sm_config",
    "managed",
    "virtual_size",
    "physical_utilisation",
    "metadata_of_pool",
    "is_a_snapshot",
    "snapshot_time",
    "snapshot_of",
    "cbt_enabled",
];

/// What `Network.pool_introduce` takes.
const INTRODUCED_NETWORK_FIELDS: &[&str] =
    &["name_label", "name_description", "MTU", "other_config", "bridge", "managed", "purpose"];

/// What `Network.create` takes, the bridge apart.
const CREATED_NETWORK_FIELDS: &[&str] =
    &["name_label", "name_description", "MTU", "other_config", "managed", "tags"];

/// What `PIF.pool_introduce` takes.
const PIF_FIELDS: &[&str] = &[
    "device",
    "MAC",
    "MTU",
    "VLAN",
    "physical",
    "ip_configuration_mode",
    "IP",
    "netmask",
    "gateway",
    "DNS",
    "VLAN_master_of",
    "management",
    "other_config",
    "disallow_unplug",
    "ipv6_configuration_mode",
    "IPv6",
    "ipv6_gateway",
    "primary_address_type",
    "managed",
    "properties",
];
