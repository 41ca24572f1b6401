//! Two databases with nothing wrong between them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, MapDeserializer};

use crate::model::*;

/// How large a case is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is input")]
pub struct Size {
    /// Hosts of the pool, 1 at least.
    pub hosts: usize,
    /// NICs of each host, each with its network; 1 at least.
    pub nics: usize,
    /// VMs of the pool, each with a disk and an interface; every second one runs.
    pub vms: usize,
    /// Shared storage repositories of the pool.
    pub srs: usize,
}

/// The time in all cases: 2026-01-01.
pub(super) const NOW: Timestamp = Timestamp(1_767_225_600);

pub(super) const SR: &str = "local storage";
const FEATURES: &str = "1fcbfbff-80b82221-00000000";

/// A ref like the server's own, from a name.
pub(super) fn reference<T: Record>(name: &str) -> Ref<T> {
    Ref::new(&format!("OpaqueRef:{}", uuid(T::CLASS, name)))
}

/// A uuid from a class and a name (FNV-1a, twice).
pub(super) fn uuid(class: &str, name: &str) -> String {
    let hash =
        |seed: u64| {
            class.bytes().chain([0]).chain(name.bytes()).fold(seed, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })
        };
    let (high, low) = (hash(0xcbf2_9ce4_8422_2325), hash(0x9ae1_6a3b_2f90_404f));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

/// A MAC address of an owner's own, from a name.
fn mac(name: &str) -> String {
    let digits = uuid("MAC", name);
    let pairs: Vec<_> = (0..5).map(|n| &digits[24 + 2 * n..26 + 2 * n]).collect();
    format!("02:{}", pairs.join(":"))
}

pub(super) fn network(nic: usize) -> String {
    format!("network of eth{nic}")
}

pub(super) fn map<V: Into<String>>(
    entries: impl IntoIterator<Item = (&'static str, V)>,
) -> BTreeMap<String, String> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// Adds a record that has what is written here, and the datamodel's defaults for the rest.
pub(super) fn add<T: Record>(snapshot: &mut Snapshot, name: &str, record: T) -> Ref<T> {
    let (at, uuid) = (reference(name), uuid(T::CLASS, name));
    let mut record = record;
    record.set_uuid(Uuid::new(&uuid));
    T::table_mut(snapshot).insert(at.clone(), record);
    at
}

fn software() -> BTreeMap<String, String> {
    map([
        ("product_version", "8.3.0"),
        ("product_brand", "XCP-ng"),
        ("platform_name", "XCP"),
        ("platform_version", "3.4.0"),
        ("xapi", "26.17"),
        ("xapi_build", "26.17.0"),
        ("git_id", "0"),
        ("db_schema", "5.909"),
        ("network_backend", "openvswitch"),
    ])
}

fn cpu() -> BTreeMap<String, String> {
    map([
        ("vendor", "GenuineIntel"),
        ("cpu_count", "16"),
        ("features_hvm", FEATURES),
        ("features_pv", FEATURES),
    ])
}

/// A record whose optional fields are all there.
fn filled<T: Record + DeserializeOwned>() -> T {
    let nothing = std::iter::empty::<(&str, &str)>();
    let unknown = T::deserialize(MapDeserializer::<_, ValueError>::new(nothing));
    let mut record = unknown.unwrap_or_default();
    record.complete();
    record
}

/// What every database has: the pool, its drivers, the guest tools, the internal network.
fn database(name: &str, master: &str) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for (kind, features) in [("ext", 2), ("nfs", 2), ("iso", 1)] {
        let features = [("SR_PROBE", 1), ("VDI_CREATE", features)];
        let features = features.map(|(feature, version)| (feature.to_owned(), version)).into();
        add(
            &mut snapshot,
            kind,
            Sm { name_label: kind.into(), r#type: kind.into(), features, ..filled() },
        );
    }
    add(
        &mut snapshot,
        "tools",
        Sr {
            name_label: "XCP-ng Tools".into(),
            r#type: "iso".into(),
            content_type: "iso".into(),
            shared: true,
            is_tools_sr: true,
            ..filled()
        },
    );
    add(
        &mut snapshot,
        "internal",
        Network {
            name_label: "Host internal management network".into(),
            bridge: "xenapi".into(),
            other_config: map([("is_host_internal_management_network", "true")]),
            ..filled()
        },
    );
    add(
        &mut snapshot,
        "pool",
        Pool {
            name_label: name.into(),
            master: reference(master),
            restrictions: map([("restrict_pooling", "false"), ("restrict_pool_size", "false")]),
            cpu_info: cpu(),
            tls_verification_enabled: Some(true),
            ..filled()
        },
    );
    snapshot
}

pub(super) fn joiner(size: &Size) -> Snapshot {
    let mut snapshot = database("", "joiner");
    host(&mut snapshot, size, "joiner", 200);
    snapshot
}

pub(super) fn pool(size: &Size) -> Snapshot {
    let mut snapshot = database("prod", "host 0");
    for n in 0..size.hosts {
        host(&mut snapshot, size, &format!("host {n}"), n);
    }
    for n in 0..size.srs {
        let name = format!("shared {n}");
        let sr = add(
            &mut snapshot,
            &name,
            Sr {
                name_label: name.clone(),
                r#type: "nfs".into(),
                content_type: "user".into(),
                shared: true,
                ..filled()
            },
        );
        for host in 0..size.hosts {
            pbd(&mut snapshot, &format!("{name} of host {host}"), &format!("host {host}"), &sr);
        }
    }
    if size.srs > 0 {
        if let Some(pool) = snapshot.pool.get_mut(&reference("pool")) {
            pool.default_SR = reference("shared 0");
        }
    }
    for n in 0..size.vms {
        let name = format!("pool vm {n}");
        vm(&mut snapshot, &name, &format!("{SR} of host 0"), &network(n % size.nics));
        if n % 2 != 0 {
            continue;
        }
        if let Some(vm) = snapshot.vm.get_mut(&reference(&name)) {
            vm.power_state = PowerState::Running;
            vm.resident_on = reference(&format!("host {}", n % size.hosts));
            vm.last_boot_CPU_flags = map([("vendor", "GenuineIntel"), ("features", FEATURES)]);
        }
    }
    snapshot
}

/// A host with its interfaces, storage, control domain and certificate.
pub(super) fn host(snapshot: &mut Snapshot, size: &Size, name: &str, n: usize) {
    let address = |net: usize| format!("10.{net}.{}.{}", n / 250, 1 + n % 250);
    let at = reference::<Host>(name);
    add(
        snapshot,
        name,
        Host {
            name_label: name.into(),
            hostname: name.replace(' ', "-"),
            address: address(0),
            enabled: true,
            API_version_major: 2,
            API_version_minor: 23,
            API_version_vendor: "XenSource".into(),
            software_version: software(),
            cpu_info: cpu(),
            edition: "xcp-ng".into(),
            editions: vec!["xcp-ng".into()],
            control_domain: reference(&format!("dom0 of {name}")),
            metrics: reference(name),
            tls_verification_enabled: Some(true),
            ..filled()
        },
    );
    add(
        snapshot,
        name,
        HostMetrics { live: true, memory_total: 64 << 30, last_updated: NOW, ..filled() },
    );
    add(
        snapshot,
        &format!("dom0 of {name}"),
        Vm {
            name_label: format!("Control domain on host: {name}"),
            is_control_domain: true,
            domain_type: DomainType::Pv,
            power_state: PowerState::Running,
            resident_on: at.clone(),
            ..filled()
        },
    );
    add(
        snapshot,
        name,
        Certificate {
            r#type: Some(CertificateType::HostInternal),
            host: at.clone(),
            not_before: Timestamp(NOW.0 - 86_400),
            not_after: Timestamp(NOW.0 + 86_400),
            fingerprint_sha256: Some(uuid("fingerprint", name)),
            ..filled()
        },
    );
    for nic in 0..size.nics {
        let label = network(nic);
        if snapshot.network.get(&reference(&label)).is_none() {
            add(
                snapshot,
                &label,
                Network {
                    name_label: format!("Pool-wide network associated with eth{nic}"),
                    bridge: format!("xenbr{nic}"),
                    ..filled()
                },
            );
        }
        let name = format!("eth{nic} of {name}");
        let metrics = PifMetrics { carrier: true, speed: 10_000, duplex: true, ..filled() };
        let metrics = add(snapshot, &name, metrics);
        add(
            snapshot,
            &name,
            Pif {
                device: format!("eth{nic}"),
                network: reference(&label),
                host: at.clone(),
                MAC: format!("02:00:00:00:{n:02x}:{nic:02x}"),
                MTU: 1500,
                VLAN: -1,
                metrics,
                physical: true,
                ip_configuration_mode: IpConfigurationMode::Static,
                IP: address(nic),
                netmask: "255.255.0.0".into(),
                management: nic == 0,
                ..filled()
            },
        );
    }
    let local = match name {
        "joiner" => SR.to_owned(),
        _ => format!("{SR} of {name}"),
    };
    let sr = add(
        snapshot,
        &local,
        Sr {
            name_label: "Local storage".into(),
            r#type: "ext".into(),
            content_type: "user".into(),
            other_config: map([("i18n-key", "local-storage")]),
            ..filled()
        },
    );
    pbd(snapshot, &local, name, &sr);
    pbd(snapshot, &format!("tools of {name}"), name, &reference("tools"));
}

pub(super) fn pbd(snapshot: &mut Snapshot, name: &str, host: &str, sr: &Ref<Sr>) {
    add(
        snapshot,
        name,
        Pbd { host: reference(host), SR: sr.clone(), currently_attached: true, ..filled() },
    );
}

/// A halted VM with a disk and an interface.
pub(super) fn vm(snapshot: &mut Snapshot, name: &str, sr: &str, network: &str) {
    let at = add(
        snapshot,
        name,
        Vm {
            name_label: name.into(),
            memory_static_max: 1 << 30,
            domain_type: DomainType::Hvm,
            other_config: map([("mac_seed", uuid("mac_seed", name))]),
            ..filled()
        },
    );
    let vdi = add(
        snapshot,
        name,
        Vdi {
            name_label: format!("disk of {name}"),
            SR: reference(sr),
            virtual_size: 10 << 30,
            ..filled()
        },
    );
    add(snapshot, name, Vbd { VM: at.clone(), VDI: vdi, userdevice: "0".into(), ..filled() });
    add(
        snapshot,
        name,
        Vif { VM: at, network: reference(network), device: "0".into(), MAC: mac(name), ..filled() },
    );
}

/// A network of the joiner that rests on nothing.
pub(super) fn loose_network(snapshot: &mut Snapshot, name: &str, bridge: &str) -> Ref<Network> {
    add(snapshot, name, Network { name_label: name.into(), bridge: bridge.into(), ..filled() })
}

/// A record to be filled in by an offence.
pub(super) fn blank<T: Record + DeserializeOwned>() -> T {
    filled()
}
