//! Networks and what they are made of: PIFs, VLANs, bonds, tunnels, SR-IOV.

use crate::error::Fault;
use crate::simulator::arguments::Args;
use crate::simulator::database::{Database, NULL_REF, Ref, Row, Value};
use crate::simulator::state::{Call, State};

/// Makes a network; a bridge name is made up when none is given (`xapi_network.ml`).
pub(super) fn create(state: &mut State, call: &Call, record: &Value) -> Result<Value, Fault> {
    let bridge = record.at("bridge").and_then(Value::as_str).unwrap_or_default();
    let database = state.db(call.host)?;
    let bridge = if bridge.is_empty() {
        free_bridge(database)
    } else {
        let reserved = RESERVED_BRIDGES.iter().any(|prefix| bridge.starts_with(prefix));
        if reserved || bridge.len() > LONGEST_BRIDGE {
            return Err(Fault::new("INVALID_VALUE", ["bridge", bridge]));
        }
        if database.find("network", |network| network.text("bridge") == bridge).is_some() {
            return Err(Fault::new("BRIDGE_NAME_EXISTS", [bridge]));
        }
        bridge.to_owned()
    };
    let (network, uuid) = (state.random.reference(), state.random.uuid());
    let values = record.pairs().iter().map(|(field, value)| (&**field, value.clone()));
    let fixed = [("uuid", Value::text(uuid)), ("bridge", Value::text(bridge))];
    state.db_mut(call.host)?.create("network", &network, values.chain(fixed))?;
    Ok(Value::Text(network))
}

/// The first of `xapi0`, `xapi1`, … that no network has.
pub(in crate::simulator) fn free_bridge(database: &Database) -> String {
    let taken: std::collections::BTreeSet<_> =
        database.objects("network").map(|network| network.text("bridge")).collect();
    let mut names = (0..=taken.len()).map(|number| format!("xapi{number}"));
    names.find(|name| !taken.contains(name.as_str())).unwrap_or_default()
}

pub(super) fn destroy(state: &mut State, call: &Call, network: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let row = database.require("network", network)?;
    let (vifs, pifs) = (row.refs("VIFs"), row.refs("PIFs"));
    let attached: Vec<_> = vifs
        .iter()
        .filter(|vif| database.flag("VIF", vif, "currently_attached"))
        .map(ToString::to_string)
        .collect();
    if !attached.is_empty() {
        return Err(Fault::new("NETWORK_CONTAINS_VIF", attached));
    }
    if !pifs.is_empty() {
        return Err(Fault::new("NETWORK_CONTAINS_PIF", pifs.iter().map(ToString::to_string)));
    }
    let system = ["is_guest_installer_network", "is_host_internal_management_network"];
    if system.iter().any(|key| row.entry("other_config", key) == Some("true")) {
        return Err(Fault::new("CANNOT_DESTROY_SYSTEM_NETWORK", [network]));
    }
    for vif in vifs {
        database.destroy("VIF", &vif);
    }
    database.destroy("network", network);
    Ok(())
}

/// Why a PIF cannot carry another network, if it cannot.
fn assert_usable(pif: &Row<'_>) -> Result<(), Fault> {
    if pif.int("VLAN") >= 0 {
        return Err(Fault::new("PIF_IS_VLAN", [&**pif.reference()]));
    }
    if pif.target("bond_slave_of").is_some() {
        return Err(Fault::new("CANNOT_ADD_VLAN_TO_BOND_SLAVE", [&**pif.reference()]));
    }
    Ok(())
}

/// Makes the PIF of a network that exists only in software.
pub(in crate::simulator) fn add_logical_pif(
    state: &mut State,
    call: &Call,
    base: &str,
    network: &str,
    tag: i64,
    attached: bool,
) -> Result<Ref, Fault> {
    let (pif, uuid, mac) = (state.random.reference(), state.random.uuid(), state.random.mac());
    let database = state.db_mut(call.host)?;
    let base = database.require("PIF", base)?;
    // A VLAN's PIF has its parent's address; all others have one of their own.
    let mac = if tag >= 0 { base.get("MAC") } else { Value::text(mac) };
    let values = [
        ("uuid", Value::text(uuid)),
        ("device", base.get("device")),
        ("network", Value::text(network)),
        ("host", base.get("host")),
        ("MAC", mac),
        ("MTU", database.get("network", network, "MTU")),
        ("VLAN", Value::Int(tag)),
        ("metrics", if tag >= 0 { base.get("metrics") } else { Value::null_ref() }),
        ("currently_attached", attached.into()),
    ];
    database.create("PIF", &pif, values)?;
    Ok(pif)
}

/// `VLAN.create(tagged_PIF, tag, network)` (`xapi_vlan.ml`).
pub(in crate::simulator) fn create_vlan(
    state: &mut State,
    call: &Call,
    tagged: &str,
    tag: i64,
    network: &str,
) -> Result<Ref, Fault> {
    let database = state.db(call.host)?;
    let base = database.require("PIF", tagged)?;
    assert_usable(&base)?;
    if !(0..4095).contains(&tag) {
        return Err(Fault::new("VLAN_TAG_INVALID", [tag.to_string()]));
    }
    let (host, device) = (base.text("host"), base.text("device"));
    let connected = database.require("network", network)?.refs("PIFs");
    if let Some(pif) = connected.iter().find(|pif| *database.text("PIF", pif, "host") == *host) {
        return Err(Fault::new("NETWORK_ALREADY_CONNECTED", [host, pif]));
    }
    let same = |pif: &Row<'_>| {
        pif.text("host") == host && pif.text("device") == device && pif.int("VLAN") == tag
    };
    if database.find("PIF", same).is_some() {
        return Err(Fault::new("PIF_VLAN_EXISTS", [device]));
    }
    let untagged = add_logical_pif(state, call, tagged, network, tag, false)?;
    let (vlan, uuid) = (state.random.reference(), state.random.uuid());
    let database = state.db_mut(call.host)?;
    database.create(
        "VLAN",
        &vlan,
        [
            ("uuid", Value::text(uuid)),
            ("tagged_PIF", Value::text(tagged)),
            ("untagged_PIF", Value::from(&untagged)),
            ("tag", Value::Int(tag)),
        ],
    )?;
    database.set("PIF", &untagged, "VLAN_master_of", &vlan)?;
    database.set("PIF", &untagged, "currently_attached", true)?;
    Ok(vlan)
}

pub(super) fn destroy_vlan(state: &mut State, call: &Call, vlan: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let untagged = database.require("VLAN", vlan)?.shared_text("untagged_PIF");
    if let Some(pif) = database.object("PIF", &untagged) {
        if pif.int("VLAN") < 0 {
            return Err(Fault::bare("PIF_IS_PHYSICAL"));
        }
        if pif.target("bond_slave_of").is_some() {
            return Err(Fault::new("PIF_ALREADY_BONDED", [&*untagged]));
        }
        if pif.flag("management") {
            return Err(Fault::new("PIF_IS_MANAGEMENT_INTERFACE", [&*untagged]));
        }
    }
    database.destroy("VLAN", vlan);
    database.destroy("PIF", &untagged);
    Ok(())
}

/// The VLAN on each host's PIF of the same network (`xapi_pool.ml`); answers the new PIFs.
pub(super) fn create_pool_vlan(
    state: &mut State,
    call: &Call,
    pif: &str,
    network: &str,
    tag: i64,
) -> Result<Value, Fault> {
    let database = state.db(call.host)?;
    let base = database.require("PIF", pif)?.shared_text("network");
    let mut pifs = database.require("network", &base)?.refs("PIFs");
    pifs.sort();
    let mut made = Vec::new();
    for pif in pifs {
        let vlan = create_vlan(state, call, &pif, tag, network)?;
        made.push(state.db(call.host)?.text("VLAN", &vlan, "untagged_PIF"));
    }
    Ok(Value::texts(made))
}

/// `pool.create_VLAN(device, network, VLAN)`.
pub(super) fn create_vlan_by_device(
    state: &mut State,
    call: &Call,
    args: &Args,
) -> Result<Value, Fault> {
    let me = state.me(call.host);
    let database = state.db(call.host)?;
    let wanted = |pif: &Row<'_>| {
        *pif.text("host") == *me && pif.text("device") == args.text(0) && pif.flag("physical")
    };
    let pif =
        database.find("PIF", wanted).ok_or_else(|| Fault::new("INTERNAL_ERROR", ["Not_found"]))?;
    create_pool_vlan(state, call, &pif, args.text(1), args.int(2))
}

/// `Bond.create(network, members, MAC, mode, properties)` (`xapi_bond.ml`).
pub(super) fn create_bond(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
    let properties = if args.len() > 4 { args.value(4) } else { Value::Map(Vec::new()) };
    let members = args.texts(1);
    make_bond(state, call, args.text(0), &members, args.text(2), args.text(3), properties)
        .map(Value::Text)
}

/// Bonds PIFs of one host; their MAC is the first one's if none is given.
pub(in crate::simulator) fn make_bond(
    state: &mut State,
    call: &Call,
    network: &str,
    members: &[Ref],
    mac: &str,
    mode: &str,
    properties: Value,
) -> Result<Ref, Fault> {
    let database = state.db(call.host)?;
    database.require("network", network)?;
    let Some(primary) = members.first() else {
        return Err(Fault::bare("PIF_BOND_NEEDS_MORE_MEMBERS"));
    };
    let mut hosts = std::collections::BTreeSet::new();
    for member in members {
        let pif = database.require("PIF", member)?;
        if pif.target("bond_slave_of").is_some() {
            return Err(Fault::new("PIF_ALREADY_BONDED", [&**member]));
        }
        if !pif.flag("physical") {
            return Err(Fault::new("PIF_IS_NOT_PHYSICAL", [&**member]));
        }
        hosts.insert(pif.text("host"));
    }
    if hosts.len() > 1 {
        return Err(Fault::bare("PIF_BOND_MEMBERS_ON_DIFFERENT_HOSTS"));
    }
    let management = members.iter().find(|pif| database.flag("PIF", pif, "management")).cloned();
    let primary = management.clone().unwrap_or_else(|| primary.clone());
    let mac = if mac.is_empty() { database.get("PIF", &primary, "MAC") } else { Value::text(mac) };
    let mode = Value::text(if mode.is_empty() { "balance-slb" } else { mode });

    let master = add_logical_pif(state, call, &primary, network, -1, true)?;
    let (bond, uuid) = (state.random.reference(), state.random.uuid());
    let database = state.db_mut(call.host)?;
    let device = free_device(database, &master, "bond");
    database.set("PIF", &master, "device", device)?;
    database.set("PIF", &master, "MAC", mac)?;
    database.create(
        "Bond",
        &bond,
        [
            ("uuid", Value::text(uuid)),
            ("master", Value::from(&master)),
            ("primary_slave", Value::from(&primary)),
            ("mode", mode),
            ("properties", properties),
            ("links_up", Value::Int(i64::try_from(members.len()).unwrap_or(0))),
        ],
    )?;
    for member in members {
        database.set("PIF", member, "bond_slave_of", &bond)?;
    }
    move_addresses(database, &primary, &master)?;
    for member in members {
        database.set("PIF", member, "currently_attached", false)?;
    }
    Ok(bond)
}

/// `Bond.destroy`: address and management go back to the primary slave.
pub(super) fn destroy_bond(state: &mut State, call: &Call, bond: &str) -> Result<(), Fault> {
    let pool = state.pool(call.host);
    let database = state.db_mut(call.host)?;
    let row = database.require("Bond", bond)?;
    let (master, slaves) = (row.shared_text("master"), row.refs("slaves"));
    let primary = row.target("primary_slave").map(Ref::from).or_else(|| slaves.first().cloned());
    if database.flag("pool", &pool, "ha_enabled") && database.flag("PIF", &master, "management") {
        return Err(Fault::bare("HA_CANNOT_CHANGE_BOND_STATUS_OF_MGMT_IFACE"));
    }
    let vlans = database.object("PIF", &master).map(|pif| pif.refs("VLAN_slave_of"));
    for slave in &slaves {
        database.set("PIF", slave, "bond_slave_of", NULL_REF)?;
        database.set("PIF", slave, "currently_attached", true)?;
    }
    if let Some(primary) = primary {
        move_addresses(database, &master, &primary)?;
        for vlan in vlans.unwrap_or_default() {
            database.set("VLAN", &vlan, "tagged_PIF", &primary)?;
        }
    }
    database.destroy("Bond", bond);
    database.destroy("PIF", &master);
    Ok(())
}

/// Moves the IP configuration and the management from one PIF to another.
fn move_addresses(database: &mut Database, from: &str, to: &str) -> Result<(), Fault> {
    for field in ADDRESS_FIELDS {
        let value = database.get("PIF", from, field);
        database.set("PIF", to, field, value)?;
    }
    for (field, value) in [
        ("management", false.into()),
        ("ip_configuration_mode", Value::text("None")),
        ("IP", Value::void()),
        ("netmask", Value::void()),
        ("gateway", Value::void()),
        ("DNS", Value::void()),
    ] {
        database.set("PIF", from, field, value)?;
    }
    Ok(())
}

pub(super) fn create_tunnel(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
    let (transport, network) = (args.text(0), args.text(1));
    let database = state.db(call.host)?;
    let base = database.require("PIF", transport)?;
    if base.target("bond_slave_of").is_some() {
        return Err(Fault::new("CANNOT_ADD_TUNNEL_TO_BOND_SLAVE", [transport]));
    }
    database.require("network", network)?;
    let protocol = if args.text(2).is_empty() { "gre" } else { args.text(2) };
    let access = add_logical_pif(state, call, transport, network, -1, false)?;
    let (tunnel, uuid) = (state.random.reference(), state.random.uuid());
    let database = state.db_mut(call.host)?;
    let device = free_device(database, &access, "tunnel");
    database.set("PIF", &access, "device", device)?;
    database.create(
        "tunnel",
        &tunnel,
        [
            ("uuid", Value::text(uuid)),
            ("access_PIF", Value::from(&access)),
            ("transport_PIF", Value::text(transport)),
            ("protocol", Value::text(protocol)),
        ],
    )?;
    Ok(Value::Text(tunnel))
}

pub(super) fn create_sriov(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
    let (physical, network) = (args.text(0), args.text(1));
    let database = state.db(call.host)?;
    let base = database.require("PIF", physical)?;
    if !base.refs("capabilities").iter().any(|capability| **capability == *"sriov") {
        return Err(Fault::new("PIF_IS_NOT_SRIOV_CAPABLE", [physical]));
    }
    if !base.is_empty("sriov_physical_PIF_of") {
        return Err(Fault::new("NETWORK_SRIOV_ALREADY_ENABLED", [physical]));
    }
    database.require("network", network)?;
    let logical = add_logical_pif(state, call, physical, network, -1, true)?;
    let (sriov, uuid) = (state.random.reference(), state.random.uuid());
    state.db_mut(call.host)?.create(
        "network_sriov",
        &sriov,
        [
            ("uuid", Value::text(uuid)),
            ("physical_PIF", Value::text(physical)),
            ("logical_PIF", Value::from(&logical)),
            ("configuration_mode", Value::text("sysfs")),
        ],
    )?;
    Ok(Value::Text(sriov))
}

/// Removes an object of software networking with the PIF that exists only for it.
pub(super) fn destroy_logical(
    state: &mut State,
    call: &Call,
    class: &str,
    object: &str,
    pif: &str,
) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let pif = database.require(class, object)?.shared_text(pif);
    database.destroy(class, object);
    database.destroy("PIF", &pif);
    Ok(())
}

/// What keeps a PIF from being unplugged or forgotten (`xapi_pif.ml`).
fn assert_idle(database: &Database, pif: &str) -> Result<(), Fault> {
    let row = database.require("PIF", pif)?;
    let refuse = |code: &str| Err(Fault::new(code, [pif]));
    if row.target("bond_slave_of").is_some() {
        return refuse("PIF_ALREADY_BONDED");
    }
    if row.flag("management") {
        return refuse("PIF_IS_MANAGEMENT_INTERFACE");
    }
    if !row.is_empty("tunnel_transport_PIF_of") {
        return refuse("PIF_TUNNEL_STILL_EXISTS");
    }
    Ok(())
}

/// `PIF.plug`.
pub(super) fn plug(state: &mut State, call: &Call, pif: &str) -> Result<(), Fault> {
    state.db_mut(call.host)?.set("PIF", pif, "currently_attached", true)
}

pub(super) fn unplug(state: &mut State, call: &Call, pif: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    assert_idle(database, pif)?;
    if database.flag("PIF", pif, "disallow_unplug") {
        return Err(Fault::new("PIF_DOES_NOT_ALLOW_UNPLUG", [pif]));
    }
    database.set("PIF", pif, "currently_attached", false)
}

pub(super) fn forget_pif(state: &mut State, call: &Call, pif: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    assert_idle(database, pif)?;
    let row = database.require("PIF", pif)?;
    if !row.is_empty("VLAN_slave_of") {
        return Err(Fault::new("PIF_VLAN_STILL_EXISTS", [pif]));
    }
    if !row.flag("physical") {
        return Err(Fault::new("PIF_IS_NOT_PHYSICAL", [pif]));
    }
    database.destroy("PIF", pif);
    Ok(())
}

/// The first device name `<prefix>N` that the PIF's host does not have.
fn free_device(database: &Database, pif: &str, prefix: &str) -> String {
    let host = database.text("PIF", pif, "host");
    let taken: std::collections::BTreeSet<_> = database
        .objects("PIF")
        .filter(|pif| *pif.text("host") == *host)
        .map(|pif| pif.text("device"))
        .collect();
    let mut names = (0..=taken.len()).map(|number| format!("{prefix}{number}"));
    names.find(|name| !taken.contains(name.as_str())).unwrap_or_default()
}

/// How bridges may not be called by users (`xapi_network.ml`).
///
/// A second copy of what the core says, on purpose: the simulator is a witness of its own, and
/// could not be one if it read the list of those whom it is to refute.
pub(in crate::simulator) const RESERVED_BRIDGES: &[&str] = &["xen", "xapi", "vif", "tap", "eth"];

/// The kernel's limit on interface names.
const LONGEST_BRIDGE: usize = 15;

/// What makes a PIF the one that its host is reached by.
const ADDRESS_FIELDS: &[&str] = &[
    "management",
    "ip_configuration_mode",
    "IP",
    "netmask",
    "gateway",
    "DNS",
    "ipv6_configuration_mode",
    "IPv6",
    "ipv6_gateway",
    "primary_address_type",
];
