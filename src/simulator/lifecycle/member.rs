//! What a member writes into the pool's database when its xapi starts (`dbsync_slave.ml`,
//! `sync_networking.ml`, `create_storage.ml`).

use crate::simulator::calls::operations::refresh_vm;
use crate::simulator::calls::{network, storage};
use crate::simulator::database::{Database, Ref, Row, Value};
use crate::simulator::join::own_secrets;
use crate::simulator::state::{Call, HostId, State};

/// Brings a member's objects up to date: what the machine is made of, the pool's bonds and VLANs,
/// the pool's shared storage. All of it is best effort.
///
/// What the machine is made of is known from the database that a new member had of its own; of
/// others the pool knows it already.
pub(in crate::simulator) fn bring_up(state: &mut State, id: HostId, record: &Ref) {
    if std::mem::take(&mut state.host_mut(id).is_new_member) {
        if let Some(own) = state.host(id).database.clone() {
            describe_host(state, id, record, &own);
        }
    }
    let Ok(database) = state.db(id) else { return };
    let pool = database.objects("pool").next();
    let Some(master) = pool.map(|pool| pool.shared_text("master")) else { return };
    if master == *record {
        return;
    }
    let call = Call::own(state, id, "host.sync_networking");
    copy_bonds(state, &call, record, &master);
    copy_vlans(state, &call, record, &master);
    connect_storage(state, &call, record, &master);
    if let Ok(database) = state.db_mut(id) {
        level_cpus(database);
    }
}

/// The machine itself: processors, memory, control domain, NICs, certificates.
fn describe_host(state: &mut State, id: HostId, record: &Ref, own: &Database) {
    let Some(host) = own.by_uuid("host", &state.host(id).uuid) else { return };
    let Some(host) = own.object("host", &host) else { return };
    let (now, home) = (state.date(), state.home(id));
    let State { hosts, random, .. } = state;
    let Some(pool) = home.and_then(|home| hosts[home.0].database.as_mut()) else { return };
    for field in HOST_FIELDS {
        set(pool, "host", record, field, host.get(field));
    }
    let metrics = pool.text("host", record, "metrics");
    if let Some(measured) = own.object("host_metrics", host.text("metrics")) {
        for field in ["memory_total", "memory_free"] {
            set(pool, "host_metrics", &metrics, field, measured.get(field));
        }
        set(pool, "host_metrics", &metrics, "last_updated", Value::Date(now));
    }
    describe_nics(pool, record, own, &host);
    for class in OWNED_CLASSES {
        let has_some = pool.find(class, |row| row.text("host") == &**record).is_some();
        let rows = own.objects(class).filter(|row| row.text("host") == &**host.reference());
        for row in rows.filter(|_| !has_some) {
            let (reference, uuid) = (random.reference(), random.uuid());
            let fields = row.record();
            let values = fields.pairs().iter().map(|(field, value)| (&**field, value.clone()));
            let values = values.chain([("uuid", uuid.into()), ("host", record.into())]);
            pool.create(class, &reference, values).ok();
        }
    }
    let Some(domain) = own.object("VM", host.text("control_domain")) else { return };
    let there = pool.by_uuid("VM", domain.text("uuid")).or_else(|| {
        // The import failed: the host makes the record of its control domain itself.
        let (reference, metrics) = (random.reference(), random.reference());
        let measured = own.object("VM_metrics", domain.text("metrics"))?.record();
        let fields = domain.record();
        let copied = |fields: &Value| fields.pairs().to_vec();
        let (fields, measured) = (copied(&fields), copied(&measured));
        let values = fields.iter().map(|(field, value)| (&**field, value.clone()));
        let none = ["guest_metrics", "affinity", "suspend_VDI", "suspend_SR", "parent"];
        let none = none.map(|field| (field, Value::null_ref()));
        pool.create("VM", &reference, values.chain(none)).ok()?;
        let uuid = [("uuid", Value::text(random.uuid()))];
        let values = measured.iter().map(|(field, value)| (&**field, value.clone()));
        pool.create("VM_metrics", &metrics, values.chain(uuid)).ok()?;
        pool.set("VM", &reference, "metrics", metrics).ok()?;
        Some(reference)
    });
    let Some(there) = there else { return };
    for (field, value) in [
        ("power_state", "Running".into()),
        ("domid", 0.into()),
        ("resident_on", record.into()),
        ("is_control_domain", true.into()),
        ("memory_overhead", domain.get("memory_overhead")),
    ] {
        set(pool, "VM", &there, field, value);
    }
    set(pool, "host", record, "control_domain", (&there).into());
    refresh_vm(pool, &there);
}

/// What each NIC is and whether it is up.
fn describe_nics(pool: &mut Database, record: &Ref, own: &Database, host: &Row<'_>) {
    for nic in host.refs("PIFs").iter().filter_map(|pif| own.object("PIF", pif)) {
        let same = |pif: &Row<'_>| {
            pif.text("host") == &**record
                && pif.text("device") == nic.text("device")
                && pif.int("VLAN") == nic.int("VLAN")
        };
        let pifs: Vec<_> =
            pool.objects("PIF").filter(same).map(|pif| Ref::clone(pif.reference())).collect();
        for pif in pifs {
            for field in ["currently_attached", "capabilities"] {
                set(pool, "PIF", &pif, field, nic.get(field));
            }
            let metrics = pool.text("PIF", &pif, "metrics");
            let measured = own.object("PIF_metrics", nic.text("metrics")).map(|row| row.record());
            for (field, value) in measured.iter().flat_map(Value::pairs) {
                if &**field != "uuid" {
                    set(pool, "PIF_metrics", &metrics, field, value.clone());
                }
            }
        }
    }
}

/// Bonds of the same NICs as the master's, as far as the member has them.
fn copy_bonds(state: &mut State, call: &Call, record: &Ref, master: &Ref) {
    let Ok(database) = state.db(call.host) else { return };
    let mut wanted = Vec::new();
    for bond in database.objects("Bond") {
        let Some(logical) = database.object("PIF", bond.text("master")) else { continue };
        if logical.text("host") != &**master {
            continue;
        }
        let mut slaves = bond.refs("slaves");
        slaves.sort_by_key(|slave| **slave != *bond.text("primary_slave"));
        let members: Vec<_> = slaves
            .iter()
            .filter_map(|slave| {
                let device = database.text("PIF", slave, "device");
                database.find("PIF", |pif| {
                    pif.text("host") == &**record
                        && pif.text("device") == &*device
                        && pif.flag("physical")
                        && pif.target("bond_slave_of").is_none()
                })
            })
            .collect();
        let connected = database.find("PIF", |pif| {
            pif.text("host") == &**record && pif.text("network") == logical.text("network")
        });
        if connected.is_none() && !members.is_empty() {
            let network = logical.shared_text("network");
            wanted.push((network, members, bond.get("mode"), bond.get("properties")));
        }
    }
    for (network, members, mode, properties) in wanted {
        let mode = mode.as_str().unwrap_or_default();
        network::make_bond(state, call, &network, &members, "", mode, properties).ok();
    }
}

/// VLANs on the same networks as the master's.
fn copy_vlans(state: &mut State, call: &Call, record: &Ref, master: &Ref) {
    let Ok(database) = state.db(call.host) else { return };
    let mine_on = |network: &str| {
        database.find("PIF", |pif| pif.text("host") == &**record && pif.text("network") == network)
    };
    let mut wanted = Vec::new();
    for vlan in database.objects("VLAN") {
        let tagged = database.object("PIF", vlan.text("tagged_PIF"));
        let untagged = database.object("PIF", vlan.text("untagged_PIF"));
        let (Some(tagged), Some(untagged)) = (tagged, untagged) else { continue };
        if tagged.text("host") != &**master || mine_on(untagged.text("network")).is_some() {
            continue;
        }
        if let Some(base) = mine_on(tagged.text("network")) {
            wanted.push((base, vlan.int("tag"), untagged.shared_text("network")));
        }
    }
    for (base, tag, network) in wanted {
        network::create_vlan(state, call, &base, tag, &network).ok();
    }
}

/// A PBD for each shared SR that the master has one for, with the master's settings.
fn connect_storage(state: &mut State, call: &Call, record: &Ref, master: &Ref) {
    let Ok(database) = state.db(call.host) else { return };
    let mut wanted = Vec::new();
    for sr in database.objects("SR").filter(|sr| sr.flag("shared")) {
        let pbds: Vec<_> =
            sr.refs("PBDs").iter().filter_map(|pbd| database.object("PBD", pbd)).collect();
        if pbds.iter().any(|pbd| pbd.text("host") == &**record) {
            continue;
        }
        if let Some(theirs) = pbds.iter().find(|pbd| pbd.text("host") == &**master) {
            let config = theirs.get("device_config");
            let kept = config.pairs().iter().filter(|(key, _)| &**key != "SRmaster").cloned();
            wanted.push((Ref::clone(sr.reference()), Value::Map(kept.collect())));
        }
    }
    for (sr, config) in wanted {
        let mut random = state.random.clone();
        let config = match state.db_mut(call.host) {
            Ok(database) => own_secrets(database, &mut random, &config),
            Err(_) => return,
        };
        state.random = random;
        if let Ok(config) = config {
            storage::add_pbd(state, call, record, &sr, config).ok();
        }
    }
}

/// The pool's processors: as many as all hosts have, with the features that all have in common
/// (`create_misc.ml`).
pub(super) fn level_cpus(database: &mut Database) {
    let Some(pool) = database.refs("pool").into_iter().next() else { return };
    let hosts: Vec<Value> = database.objects("host").map(|host| host.get("cpu_info")).collect();
    let known: Vec<&Value> = hosts.iter().filter(|info| info.at("vendor").is_some()).collect();
    let Some(first) = known.first() else { return };
    let text = |info: &Value, key: &str| {
        info.at(key).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
    };
    let pairs = first.pairs().iter().map(|(key, value)| {
        let all = known.iter().map(|info| text(info, key));
        let leveled = match &**key {
            "cpu_count" | "socket_count" => {
                let sum: i64 = all.filter_map(|count| count.parse::<i64>().ok()).sum();
                sum.to_string()
            }
            key if key.starts_with("features") => {
                all.reduce(|left, right| common_features(&left, &right)).unwrap_or_default()
            }
            _ => return (key.clone(), value.clone()),
        };
        (key.clone(), leveled.into())
    });
    let leveled = Value::Map(pairs.collect());
    set(database, "pool", &pool, "cpu_info", leveled);
}

/// The bits that two sets of features have in common, word by word.
fn common_features(left: &str, right: &str) -> String {
    let words = left.split('-').zip(right.split('-'));
    let common = words.map(|(left, right)| {
        let word = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        format!("{:0width$x}", word(left) & word(right), width = left.len())
    });
    common.collect::<Vec<_>>().join("-")
}

/// Writes a field, if that changes it and the object is there.
fn set(database: &mut Database, class: &str, object: &str, field: &str, value: Value) {
    let differs = database.object(class, object).is_some_and(|row| row.get(field) != value);
    if differs {
        database.set(class, object, field, value).ok();
    }
}

/// What a host's record says of the machine and its software.
const HOST_FIELDS: [&str; 9] = [
    "software_version",
    "cpu_configuration",
    "cpu_info",
    "capabilities",
    "bios_strings",
    "chipset_info",
    "memory_overhead",
    "supported_bootloaders",
    "virtual_hardware_platform_versions",
];

/// Classes whose rows a host makes for itself.
const OWNED_CLASSES: [&str; 4] = ["Certificate", "Feature", "PCI", "host_cpu"];
