//! Complete records of a freshly installed pool.

use super::vm_spec::VmSpec;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::simulator::calls::vm::guest_values;
use crate::simulator::database::{Database, Ref, Value};
use crate::simulator::release::Release;
use crate::simulator::state::Random;
use crate::text::quoted;

/// A database in the making.
pub(super) struct Records<'a> {
    pub database: Database,
    random: &'a mut Random,
    release: Release,
}

type Values = Vec<(&'static str, Value)>;

impl<'a> Records<'a> {
    pub(super) fn new(release: Release, random: &'a mut Random) -> Self {
        Self { database: Database::new(release), random, release }
    }

    fn add(&mut self, class: &str, values: Values) -> Result<Ref, Fault> {
        let reference = self.random.reference();
        let uuid = [("uuid", Value::text(self.random.uuid()))];
        self.database.create(class, &reference, uuid.into_iter().chain(values))?;
        Ok(reference)
    }

    pub(super) fn pool(&mut self, name: &str) -> Result<Ref, Fault> {
        let restrictions = RESTRICTIONS.iter().map(|key| (*key, "false"));
        let restrictions = restrictions.chain([("enable_xha", "true")]);
        self.add(
            "pool",
            vec![
                ("name_label", text(name)),
                ("restrictions", Value::map(restrictions)),
                ("ha_cluster_stack", text("xhad")),
                ("tls_verification_enabled", true.into()),
                ("coordinator_bias", true.into()),
            ],
        )
    }

    /// The storage drivers.
    pub(super) fn drivers(&mut self) -> Result<(), Fault> {
        for (kind, disks) in DRIVERS {
            let mut features: Vec<_> = SR_FEATURES.to_vec();
            if *disks {
                features.extend(VDI_FEATURES);
            }
            let features = features.into_iter().map(|(name, version)| (name, Value::Int(version)));
            let file = format!("/opt/xensource/sm/{kind}SR");
            self.add(
                "SM",
                vec![
                    ("name_label", text(kind)),
                    ("type", text(kind)),
                    ("vendor", text("Citrix Systems Inc")),
                    ("version", text("1.0")),
                    ("required_api_version", text("1.1")),
                    ("features", Value::map(features)),
                    ("driver_filename", Value::text(file)),
                ],
            )?;
        }
        Ok(())
    }

    pub(super) fn network(&mut self, label: &str, bridge: &str) -> Result<Ref, Fault> {
        self.add("network", vec![("name_label", text(label)), ("bridge", text(bridge))])
    }

    /// A network on a bridge of its own.
    pub(super) fn internal_network(&mut self, label: &str) -> Result<Ref, Fault> {
        let bridge = crate::simulator::calls::network::free_bridge(&self.database);
        self.network(label, &bridge)
    }

    pub(super) fn internal_management_network(&mut self) -> Result<(), Fault> {
        let network = self.network("Host internal management network", "xenapi")?;
        let config = Value::map([
            ("is_guest_installer_network", "true"),
            ("is_host_internal_management_network", "true"),
            ("ip_begin", "169.254.0.1"),
            ("ip_end", "169.254.255.254"),
            ("netmask", "255.255.0.0"),
        ]);
        self.database.set("network", &network, "other_config", config)
    }

    pub(super) fn host(&mut self, name: &str, address: &str, memory: i64) -> Result<Ref, Fault> {
        let metrics =
            self.add("host_metrics", vec![("memory_total", memory.into()), ("live", true.into())])?;
        let (major, minor) = self.release.api_version();
        let iqn = format!("iqn.2026-01.example:{name}");
        let version = self.release.software_version().iter().copied();
        let host = self.add(
            "host",
            vec![
                ("name_label", text(name)),
                ("name_description", text("Default install")),
                ("hostname", text(name)),
                ("address", text(address)),
                ("enabled", true.into()),
                ("metrics", Value::from(&metrics)),
                ("API_version_major", major.into()),
                ("API_version_minor", minor.into()),
                ("API_version_vendor", text("XenSource")),
                ("software_version", Value::map(version)),
                ("capabilities", Value::texts(["xen-3.0-x86_64", "hvm-3.0-x86_64"])),
                ("sched_policy", text("credit")),
                ("supported_bootloaders", Value::texts(["pygrub", "eliloader"])),
                ("cpu_info", Value::map(CPU_INFO.iter().copied())),
                ("edition", text("xcp-ng")),
                ("license_params", Value::map([("expiry", "20380101T00:00:00Z")])),
                (
                    "other_config",
                    Value::map([
                        ("agent_start_time", "1767225000."),
                        ("boot_time", "1767224900."),
                        ("iscsi_iqn", iqn.as_str()),
                    ]),
                ),
                ("bios_strings", Value::map([("system-manufacturer", "Simulated Systems")])),
                ("iscsi_iqn", text(&iqn)),
                (
                    "virtual_hardware_platform_versions",
                    Value::Set(vec![0.into(), 1.into(), 2.into()]),
                ),
                ("tls_verification_enabled", true.into()),
                ("ssh_enabled", true.into()),
            ],
        )?;
        let domain = self.add(
            "VM",
            vec![
                ("name_label", Value::text(format!("Control domain on host: {name}"))),
                ("power_state", text("Running")),
                ("is_control_domain", true.into()),
                ("resident_on", Value::from(&host)),
                ("affinity", Value::from(&host)),
                ("memory_static_max", CONTROL_MEMORY.into()),
                ("memory_dynamic_max", CONTROL_MEMORY.into()),
                ("memory_dynamic_min", CONTROL_MEMORY.into()),
                ("memory_target", CONTROL_MEMORY.into()),
                ("VCPUs_max", 4.into()),
                ("VCPUs_at_startup", 4.into()),
                ("domain_type", text("pv")),
            ],
        )?;
        self.database.set("host", &host, "control_domain", &domain)?;
        for kind in ["host", "host_internal"] {
            let fingerprint = self.fingerprint();
            self.add(
                "Certificate",
                vec![
                    ("type", text(kind)),
                    ("host", Value::from(&host)),
                    ("not_before", Value::Date("20251231T00:00:00Z".into())),
                    ("not_after", Value::Date("20351231T00:00:00Z".into())),
                    ("fingerprint", Value::text(fingerprint.as_str())),
                    ("fingerprint_sha256", Value::text(fingerprint)),
                ],
            )?;
        }
        Ok(host)
    }

    fn fingerprint(&mut self) -> String {
        let words = std::iter::repeat_with(|| self.random.next()).take(4);
        let bytes = words.flat_map(u64::to_be_bytes).map(|byte| format!("{byte:02X}"));
        bytes.collect::<Vec<_>>().join(":")
    }

    /// A NIC; the one with an address is the management interface.
    pub(super) fn pif(
        &mut self,
        host: &Ref,
        network: &Ref,
        nic: usize,
        address: Option<&str>,
    ) -> Result<Ref, Fault> {
        let metrics = self.add(
            "PIF_metrics",
            vec![("carrier", true.into()), ("speed", 10_000.into()), ("duplex", true.into())],
        )?;
        let mac = self.random.mac();
        let mut values = vec![
            ("device", Value::text(format!("eth{nic}"))),
            ("network", Value::from(network)),
            ("host", Value::from(host)),
            ("MAC", Value::text(mac)),
            ("MTU", 1500.into()),
            ("VLAN", Value::Int(-1)),
            ("metrics", Value::from(&metrics)),
            ("physical", true.into()),
            ("currently_attached", true.into()),
        ];
        if let Some(address) = address {
            values.extend([
                ("management", true.into()),
                ("ip_configuration_mode", text("Static")),
                ("IP", text(address)),
                ("netmask", text("255.255.255.0")),
                ("gateway", text("10.0.0.254")),
                ("DNS", text("10.0.0.253")),
            ]);
        }
        self.add("PIF", values)
    }

    pub(super) fn vlan(&mut self, base: &Ref, network: &Ref, tag: i64) -> Result<(), Fault> {
        let row = self.database.require("PIF", base)?;
        let values = vec![
            ("device", row.get("device")),
            ("network", Value::from(network)),
            ("host", row.get("host")),
            ("MAC", row.get("MAC")),
            ("MTU", 1500.into()),
            ("VLAN", tag.into()),
            ("metrics", row.get("metrics")),
            ("currently_attached", true.into()),
        ];
        let pif = self.add("PIF", values)?;
        let vlan = self.add(
            "VLAN",
            vec![
                ("tagged_PIF", Value::from(base)),
                ("untagged_PIF", Value::from(&pif)),
                ("tag", tag.into()),
            ],
        )?;
        self.database.set("PIF", &pif, "VLAN_master_of", &vlan)
    }

    pub(super) fn bond(&mut self, slaves: &[Ref], network: &Ref) -> Result<(), Fault> {
        let Some(primary) = slaves.first() else { return Ok(()) };
        let row = self.database.require("PIF", primary)?;
        let values = vec![
            ("device", text("bond0")),
            ("network", Value::from(network)),
            ("host", row.get("host")),
            ("MAC", row.get("MAC")),
            ("MTU", 1500.into()),
            ("VLAN", Value::Int(-1)),
            ("currently_attached", true.into()),
        ];
        let master = self.add("PIF", values)?;
        let bond = self.add(
            "Bond",
            vec![
                ("master", Value::from(&master)),
                ("primary_slave", Value::from(primary)),
                ("links_up", i64::try_from(slaves.len()).unwrap_or(0).into()),
            ],
        )?;
        for slave in slaves {
            self.database.set("PIF", slave, "bond_slave_of", &bond)?;
        }
        Ok(())
    }

    pub(super) fn sr(
        &mut self,
        label: &str,
        kind: &str,
        shared: bool,
        size: i64,
    ) -> Result<Ref, Fault> {
        let content = match kind {
            "iso" => "iso",
            "udev" => "disk",
            _ => "user",
        };
        self.add(
            "SR",
            vec![
                ("name_label", text(label)),
                ("type", text(kind)),
                ("content_type", text(content)),
                ("shared", shared.into()),
                ("physical_size", size.into()),
                ("physical_utilisation", 0.into()),
            ],
        )
    }

    /// The SRs that every host has for itself.
    pub(super) fn local_srs(&mut self, host: &Ref) -> Result<(), Fault> {
        let local = self.sr("Local storage", "ext", false, 500 << 30)?;
        self.pbd(host, &local, &[("device", "/dev/disk/by-id/scsi-1-part3")])?;
        for (label, content) in [("DVD drives", "iso"), ("Removable storage", "disk")] {
            let sr = self.sr(label, "udev", false, 0)?;
            self.database.set("SR", &sr, "content_type", content)?;
            let location = if content == "iso" { "/dev/xapi/cd" } else { "/dev/xapi/block" };
            self.pbd(host, &sr, &[("location", location)])?;
        }
        self.database.set("host", host, "suspend_image_sr", &local)?;
        self.database.set("host", host, "crash_dump_sr", &local)
    }

    pub(super) fn tools_sr(&mut self) -> Result<Ref, Fault> {
        let sr = self.sr("XCP-ng Tools", "iso", true, -1)?;
        self.database.set("SR", &sr, "is_tools_sr", true)?;
        let description = "XCP-ng Tools ISOs";
        self.database.set("SR", &sr, "name_description", description)?;
        let config = Value::map([("xenserver_tools_sr", "true")]);
        self.database.set("SR", &sr, "other_config", config)?;
        self.add(
            "VDI",
            vec![
                ("name_label", text("guest-tools.iso")),
                ("SR", Value::from(&sr)),
                ("type", text("user")),
                ("read_only", true.into()),
                ("sharable", true.into()),
                ("managed", true.into()),
                ("is_tools_iso", true.into()),
                ("location", text("guest-tools.iso")),
            ],
        )?;
        Ok(sr)
    }

    pub(super) fn default_sr(&mut self, pool: &Ref, sr: &Ref) -> Result<(), Fault> {
        for field in ["default_SR", "suspend_image_SR", "crash_dump_SR"] {
            self.database.set("pool", pool, field, sr)?;
        }
        Ok(())
    }

    pub(super) fn pbd(
        &mut self,
        host: &Ref,
        sr: &Ref,
        config: &[(&str, &str)],
    ) -> Result<(), Fault> {
        self.add(
            "PBD",
            vec![
                ("host", Value::from(host)),
                ("SR", Value::from(sr)),
                ("device_config", Value::map(config.iter().copied())),
                ("currently_attached", true.into()),
            ],
        )?;
        Ok(())
    }

    pub(super) fn template(&mut self, label: &str) -> Result<(), Fault> {
        self.add(
            "VM",
            vec![
                ("name_label", text(label)),
                ("is_a_template", true.into()),
                ("is_default_template", true.into()),
                ("domain_type", text("hvm")),
                ("memory_static_max", (2_i64 << 30).into()),
                ("other_config", Value::map([("default_template", "true")])),
            ],
        )?;
        Ok(())
    }

    pub(super) fn vm(&mut self, spec: &VmSpec) -> Result<()> {
        let running = spec.power == "Running";
        let host = match &spec.host {
            None => Value::null_ref(),
            Some(host) => self.named("host", host)?.into(),
        };
        let booted_as = if spec.power == "Halted" { "unspecified" } else { "hvm" };
        let metrics = self.add(
            "VM_metrics",
            vec![("memory_actual", spec.memory.into()), ("current_domain_type", text(booted_as))],
        )?;
        let mut values = vec![
            ("name_label", text(&spec.name)),
            ("power_state", text(spec.power)),
            ("resident_on", host),
            ("metrics", Value::from(&metrics)),
            ("memory_static_max", spec.memory.into()),
            ("memory_dynamic_max", spec.memory.into()),
            ("memory_dynamic_min", spec.memory.into()),
            ("memory_target", spec.memory.into()),
            ("VCPUs_max", 2.into()),
            ("VCPUs_at_startup", 2.into()),
            ("actions_after_reboot", text("restart")),
            ("actions_after_crash", text("restart")),
            ("domain_type", text("hvm")),
            ("domid", if running { 1.into() } else { Value::Int(-1) }),
        ];
        let seed = self.random.uuid();
        values.push(("other_config", Value::map([("mac_seed", seed.as_str())])));
        if running {
            let (guest, uuid) = (self.random.reference(), self.random.uuid());
            self.database.create("VM_guest_metrics", &guest, guest_values(uuid))?;
            values.push(("guest_metrics", Value::Text(guest)));
        }
        if spec.power == "Suspended" {
            if let Some((sr, _)) = spec.disks.first() {
                let sr = self.storage(sr, spec)?;
                let image = vec![
                    ("name_label", text("Suspend image")),
                    ("SR", Value::from(&sr)),
                    ("virtual_size", spec.memory.into()),
                    ("type", text("suspend")),
                    ("managed", true.into()),
                ];
                let image = self.add("VDI", image)?;
                let location = Value::text(&*self.database.text("VDI", &image, "uuid"));
                self.database.set("VDI", &image, "location", location)?;
                values.push(("suspend_VDI", Value::Text(image)));
            }
        }
        let vm = self.add("VM", values)?;
        for (number, (sr, size)) in spec.disks.iter().enumerate() {
            let sr = self.storage(sr, spec)?;
            let vdi = self.add(
                "VDI",
                vec![
                    ("name_label", Value::text(format!("{} disk {number}", spec.name))),
                    ("SR", Value::from(&sr)),
                    ("virtual_size", (*size).into()),
                    ("physical_utilisation", (*size).into()),
                    ("type", text("system")),
                    ("managed", true.into()),
                ],
            )?;
            // Where it lies in its SR: no two disks there have the same place.
            let location = Value::text(&*self.database.text("VDI", &vdi, "uuid"));
            self.database.set("VDI", &vdi, "location", location)?;
            self.add(
                "VBD",
                vec![
                    ("VM", Value::from(&vm)),
                    ("VDI", Value::from(&vdi)),
                    ("userdevice", Value::text(number.to_string())),
                    ("bootable", (number == 0).into()),
                    ("mode", text("RW")),
                    ("type", text("Disk")),
                    ("unpluggable", true.into()),
                    ("currently_attached", running.into()),
                ],
            )?;
        }
        let first = ["Pool-wide network associated with eth0".to_owned()];
        let networks = if spec.networks.is_empty() { &first[..] } else { &spec.networks };
        for (number, label) in networks.iter().enumerate() {
            let network = self.named("network", label)?;
            let mac = self.random.mac();
            self.add(
                "VIF",
                vec![
                    ("VM", Value::from(&vm)),
                    ("network", Value::from(&network)),
                    ("device", Value::text(number.to_string())),
                    ("MAC", Value::text(mac)),
                    ("MTU", 1500.into()),
                    ("currently_attached", running.into()),
                ],
            )?;
        }
        Ok(())
    }

    /// The SR with a label; among several the one of the VM's host, else of the first host.
    fn storage(&self, label: &str, spec: &VmSpec) -> Result<Ref> {
        let host = match &spec.host {
            Some(host) => self.named("host", host)?,
            None => {
                let pool = self.database.objects("pool").next();
                pool.map(|pool| pool.shared_text("master")).unwrap_or_default()
            }
        };
        let near = |sr: &Ref| {
            let pbds = self.database.object("SR", sr).map(|sr| sr.refs("PBDs"));
            let mut pbds = pbds.unwrap_or_default().into_iter();
            pbds.any(|pbd| self.database.text("PBD", &pbd, "host") == host)
        };
        let found = self.database.by_name_label("SR", label).into_iter().find(near);
        found.map_or_else(|| self.named("SR", label), Ok)
    }

    /// The object with a label that a spec names.
    fn named(&self, class: &str, label: &str) -> Result<Ref> {
        self.database.by_name_label(class, label).into_iter().next().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("the pool has no {class} named {}", quoted(label)),
            )
        })
    }
}

/// The memory of a control domain, in bytes.
/// A value that is a text.
fn text(text: &str) -> Value {
    Value::text(text)
}

const CONTROL_MEMORY: i64 = 4 << 30;

/// The processor that all hosts have.
const CPU_INFO: &[(&str, &str)] = &[
    ("cpu_count", "16"),
    ("socket_count", "1"),
    ("threads_per_core", "2"),
    ("vendor", "GenuineIntel"),
    ("speed", "2593.900"),
    ("modelname", "Intel(R) Xeon(R) Silver 4310 CPU @ 2.10GHz"),
    ("family", "6"),
    ("model", "106"),
    ("stepping", "6"),
    ("flags", "fpu de tsc msr pae mce cx8 apic sep mca cmov pat clflush acpi mmx fxsr sse sse2 ht"),
    ("features_pv", "1fc9cbf5-f6f83203-2991cbf5-00000123-00000001-000c0b39"),
    ("features_hvm", "1fcbfbff-f7fa3223-2d93fbff-00000523-00000001-009c6fbf"),
    ("features_hvm_host", "1fcbfbff-f7fa3223-2d93fbff-00000523-00000001-009c6fbf"),
    ("features_pv_host", "1fc9cbf5-f6f83203-2991cbf5-00000123-00000001-000c0b39"),
];

/// Storage drivers, and whether they hold disks of VMs.
const DRIVERS: &[(&str, bool)] = &[
    ("ext", true),
    ("iso", false),
    ("lvm", true),
    ("lvmoiscsi", true),
    ("nfs", true),
    ("udev", false),
];

const SR_FEATURES: &[(&str, i64)] = &[("SR_PROBE", 1), ("SR_UPDATE", 1), ("VDI_ATTACH", 1)];

const VDI_FEATURES: &[(&str, i64)] = &[
    ("VDI_CLONE", 1),
    ("VDI_CREATE", 1),
    ("VDI_DELETE", 1),
    ("VDI_DETACH", 1),
    ("VDI_GENERATE_CONFIG", 1),
    ("VDI_MIRROR", 1),
    ("VDI_RESIZE", 1),
    ("VDI_SNAPSHOT", 1),
    ("VDI_UPDATE", 1),
];

/// What XCP-ng's licence daemon allows: everything (`pool.restrictions`).
const RESTRICTIONS: &[&str] = &[
    "restrict_vswitch_controller",
    "restrict_lab",
    "restrict_stage",
    "restrict_storagelink",
    "restrict_storagelink_site_recovery",
    "restrict_web_selfservice",
    "restrict_web_selfservice_manager",
    "restrict_hotfix_apply",
    "restrict_export_resource_data",
    "restrict_read_caching",
    "restrict_cifs",
    "restrict_health_check",
    "restrict_xcm",
    "restrict_vm_memory_introspection",
    "restrict_batch_hotfix_apply",
    "restrict_management_on_vlan",
    "restrict_ws_proxy",
    "restrict_cloud_management",
    "restrict_vss",
    "restrict_ha",
    "restrict_marathon",
    "restrict_email_alerting",
    "restrict_historical_performance",
    "restrict_wlb",
    "restrict_rbac",
    "restrict_dmc",
    "restrict_checkpoint",
    "restrict_cpu_masking",
    "restrict_connection",
    "platform_filter",
    "restrict_pooling",
    "restrict_ad",
    "restrict_qos",
    "restrict_pool_size",
    "restrict_pool_attached_storage",
    "restrict_pvs_proxy",
];
