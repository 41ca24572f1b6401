//! Storage: PBDs, SRs, VDIs.

use crate::error::Fault;
use crate::simulator::arguments::Args;
use crate::simulator::database::{Database, NULL_REF, Ref, Value};
use crate::simulator::state::{Answer, Call, State, on_host};

pub(super) fn create_pbd(state: &mut State, call: &Call, record: &Value) -> Result<Value, Fault> {
    let text = |field: &str| record.at(field).and_then(Value::as_str).unwrap_or_default();
    let (host, sr) = (text("host"), text("SR"));
    let config = record.at("device_config").cloned().unwrap_or(Value::Map(Vec::new()));
    if config.at("SRmaster").is_some() {
        let what = ["device_config", "SRmaster", "This key is for internal use only"];
        return Err(Fault::new("VALUE_NOT_SUPPORTED", what));
    }
    let database = state.db(call.host)?;
    database.require("host", host)?;
    let taken = database.require("SR", sr)?.refs("PBDs").into_iter();
    if let Some(pbd) = taken.into_iter().find(|pbd| *database.text("PBD", pbd, "host") == *host) {
        return Err(Fault::new("PBD_EXISTS", [sr, host, &pbd]));
    }
    add_pbd(state, call, host, sr, config).map(Value::Text)
}

/// Makes a PBD that is not attached; its other_config is always empty (`xapi_pbd.ml`).
pub(in crate::simulator) fn add_pbd(
    state: &mut State,
    call: &Call,
    host: &str,
    sr: &str,
    device_config: Value,
) -> Result<Ref, Fault> {
    let (pbd, uuid) = (state.random.reference(), state.random.uuid());
    state.db_mut(call.host)?.create(
        "PBD",
        &pbd,
        [
            ("uuid", Value::text(uuid)),
            ("host", Value::text(host)),
            ("SR", Value::text(sr)),
            ("device_config", device_config),
        ],
    )?;
    Ok(pbd)
}

pub(super) fn destroy_pbd(state: &mut State, call: &Call, pbd: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    if database.require("PBD", pbd)?.flag("currently_attached") {
        return Err(Fault::new("OPERATION_NOT_ALLOWED", ["PBD is currently attached"]));
    }
    database.destroy("PBD", pbd);
    Ok(())
}

/// Has something done on the host that a PBD belongs to.
pub(super) fn on_pbd_host(
    state: &mut State,
    call: &Call,
    pbd: &str,
    act: fn(&mut State, &Call, &str) -> Result<(), Fault>,
) -> Answer {
    let host = state.db(call.host).and_then(|db| Ok(db.require("PBD", pbd)?.shared_text("host")));
    match host {
        Ok(host) => on_host(state, call, &host, |state, call| {
            act(state, call, pbd)?;
            Ok(Value::void())
        }),
        Err(fault) => Answer::Now(Err(fault)),
    }
}

/// `PBD.plug` (`xapi_pbd.ml`); an attached one is left alone.
pub(in crate::simulator) fn plug(state: &mut State, call: &Call, pbd: &str) -> Result<(), Fault> {
    let database = state.db(call.host)?;
    let row = database.require("PBD", pbd)?;
    if row.flag("currently_attached") {
        return Ok(());
    }
    let (host, sr) = (row.text("host"), row.text("SR"));
    let storage = database.require("SR", sr)?;
    let elsewhere = storage
        .refs("PBDs")
        .into_iter()
        .any(|other| *other != *pbd && database.flag("PBD", &other, "currently_attached"));
    if elsewhere && !storage.flag("shared") {
        return Err(Fault::new("SR_NOT_SHARABLE", [sr, host]));
    }
    let kind = storage.text("type");
    if database.find("SM", |driver| driver.text("type") == kind).is_none() {
        return Err(Fault::new("SR_UNKNOWN_DRIVER", [kind]));
    }
    let sr: Ref = sr.into();
    state.db_mut(call.host)?.set("PBD", pbd, "currently_attached", true)?;
    measure(state, call, &sr)
}

/// `PBD.unplug`; a detached one is left alone.
pub(in crate::simulator) fn unplug(state: &mut State, call: &Call, pbd: &str) -> Result<(), Fault> {
    let database = state.db(call.host)?;
    let row = database.require("PBD", pbd)?;
    if !row.flag("currently_attached") {
        return Ok(());
    }
    let storage = database.require("SR", row.text("SR"))?;
    let in_use: Vec<Ref> = storage
        .refs("VDIs")
        .into_iter()
        .filter(|vdi| {
            let vbds = database.object("VDI", vdi).map(|vdi| vdi.refs("VBDs")).unwrap_or_default();
            vbds.iter().any(|vbd| {
                let Some(vbd) = database.object("VBD", vbd) else { return false };
                let resident = database.text("VM", vbd.text("VM"), "resident_on");
                vbd.flag("currently_attached") && *resident == *row.text("host")
            })
        })
        .collect();
    if !in_use.is_empty() {
        return Err(Fault::new("VDI_IN_USE", in_use.iter().map(ToString::to_string)));
    }
    let statefile = |pool: &crate::simulator::database::Row<'_>| {
        pool.flag("ha_enabled")
            && pool.refs("ha_statefiles").iter().any(|vdi| storage.refs("VDIs").contains(vdi))
    };
    if database.find("pool", statefile).is_some() {
        return Err(Fault::bare("HA_IS_ENABLED"));
    }
    state.db_mut(call.host)?.set("PBD", pbd, "currently_attached", false)
}

/// Reads the sizes of an SR from what lies on its disks.
fn measure(state: &mut State, call: &Call, sr: &str) -> Result<(), Fault> {
    let uuid = state.db(call.host)?.text("SR", sr, "uuid");
    if let Some((size, used)) = state.stores.get(&*uuid).copied() {
        let database = state.db_mut(call.host)?;
        for (field, value) in [("physical_size", size), ("physical_utilisation", used)] {
            if database.get("SR", sr, field) != Value::Int(value) {
                database.set("SR", sr, field, value)?;
            }
        }
    }
    Ok(())
}

/// The PBDs of an SR, and which of them are attached.
fn pbds(database: &Database, sr: &str) -> Result<(Vec<Ref>, Vec<Ref>), Fault> {
    let pbds = database.require("SR", sr)?.refs("PBDs");
    let attached =
        pbds.iter().filter(|pbd| database.flag("PBD", pbd, "currently_attached")).cloned();
    let attached = attached.collect();
    Ok((pbds, attached))
}

/// Removes an SR's record with those of its PBDs and VDIs.
pub(in crate::simulator) fn remove_sr(database: &mut Database, sr: &str) {
    let Some(row) = database.object("SR", sr) else { return };
    let (pbds, vdis) = (row.refs("PBDs"), row.refs("VDIs"));
    pbds.iter().for_each(|pbd| {
        database.destroy("PBD", pbd);
    });
    vdis.iter().for_each(|vdi| {
        database.destroy("VDI", vdi);
    });
    database.destroy("SR", sr);
}

/// `SR.forget`: the records go, the data stays.
pub(in crate::simulator) fn forget(state: &mut State, call: &Call, sr: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    if !pbds(database, sr)?.1.is_empty() {
        return Err(Fault::new("SR_HAS_PBD", [sr]));
    }
    remove_sr(database, sr);
    Ok(())
}

/// `SR.destroy`: the data goes as well (`xapi_sr.ml`).
pub(super) fn destroy(state: &mut State, call: &Call, sr: &str) -> Result<(), Fault> {
    let me = state.me(call.host);
    let database = state.db_mut(call.host)?;
    let (_, attached) = pbds(database, sr)?;
    let row = database.require("SR", sr)?;
    match attached.len() {
        0 => return Err(Fault::new("SR_HAS_NO_PBDS", [sr])),
        1 => {}
        _ => return Err(Fault::new("SR_HAS_PBD", [sr])),
    }
    if row.entry("other_config", "indestructible") == Some("true") {
        return Err(Fault::new("SR_INDESTRUCTIBLE", [sr]));
    }
    if row.refs("VDIs").iter().any(|vdi| database.flag("VDI", vdi, "managed")) {
        return Err(Fault::bare("SR_NOT_EMPTY"));
    }
    if let Some(host) = database.find("host", |host| host.text("local_cache_sr") == sr) {
        let host = if host == me { me } else { host };
        return Err(Fault::new("SR_IS_CACHE_SR", [&*host]));
    }
    let uuid = row.text("uuid").to_owned();
    remove_sr(database, sr);
    state.stores.remove(&uuid);
    Ok(())
}

pub(super) fn introduce(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
    let database = state.db_mut(call.host)?;
    let uuid = args.text(0);
    if database.by_uuid("SR", uuid).is_some() {
        return Err(Fault::new("SR_UUID_EXISTS", [uuid]));
    }
    let kind = args.text(3);
    if database.find("SM", |driver| driver.text("type") == kind).is_none() {
        return Err(Fault::new("SR_UNKNOWN_DRIVER", [kind]));
    }
    let sm_config = if args.len() > 6 { args.value(6) } else { Value::Map(Vec::new()) };
    let values = [
        ("uuid", args.value(0)),
        ("name_label", args.value(1)),
        ("name_description", args.value(2)),
        ("type", args.value(3)),
        ("content_type", args.value(4)),
        ("shared", args.value(5)),
        ("sm_config", sm_config),
        ("physical_size", Value::Int(-1)),
        ("physical_utilisation", Value::Int(-1)),
    ];
    let sr = state.random.reference();
    state.db_mut(call.host)?.create("SR", &sr, values)?;
    Ok(Value::Text(sr))
}

/// `SR.create(host, device_config, physical_size, label, description, type, content_type, shared)`.
pub(super) fn create(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
    let database = state.db(call.host)?;
    database.require("host", args.text(0))?;
    let kind = args.text(5);
    if database.find("SM", |driver| driver.text("type") == kind).is_none() {
        return Err(Fault::new("SR_UNKNOWN_DRIVER", [kind]));
    }
    let (sr, uuid) = (state.random.reference(), state.random.uuid());
    let size = if args.int(2) > 0 { args.int(2) } else { DEFAULT_SIZE };
    state.stores.insert(uuid.clone(), (size, 0));
    let values = [
        ("uuid", Value::text(uuid)),
        ("name_label", args.value(3)),
        ("name_description", args.value(4)),
        ("type", args.value(5)),
        ("content_type", args.value(6)),
        ("shared", args.value(7)),
        ("physical_size", Value::Int(size)),
    ];
    state.db_mut(call.host)?.create("SR", &sr, values)?;
    let hosts = if args.flag(7) {
        state.db(call.host)?.refs("host")
    } else {
        vec![Ref::from(args.text(0))]
    };
    for host in hosts {
        let pbd = add_pbd(state, call, &host, &sr, args.value(1))?;
        plug(state, call, &pbd)?;
    }
    Ok(Value::Text(sr))
}

pub(super) fn assert_attached(state: &State, call: &Call, sr: &str) -> Result<(), Fault> {
    let attached = pbds(state.db(call.host)?, sr)?.1;
    if attached.is_empty() { Err(Fault::new("SR_NOT_ATTACHED", [sr])) } else { Ok(()) }
}

pub(super) fn scan(state: &mut State, call: &Call, sr: &str) -> Result<(), Fault> {
    assert_attached(state, call, sr)?;
    measure(state, call, sr)
}

pub(super) fn set_shared(
    state: &mut State,
    call: &Call,
    sr: &str,
    shared: bool,
) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let pbds = database.require("SR", sr)?.refs("PBDs");
    if let (false, [_, second, ..]) = (shared, pbds.as_slice()) {
        return Err(Fault::new("SR_HAS_MULTIPLE_PBDS", [&**second]));
    }
    database.set("SR", sr, "shared", shared)
}

pub(super) fn create_vdi(state: &mut State, call: &Call, record: &Value) -> Result<Value, Fault> {
    let sr = record.at("SR").and_then(Value::as_str).unwrap_or(NULL_REF);
    assert_attached(state, call, sr)?;
    let (vdi, uuid) = (state.random.reference(), state.random.uuid());
    let values = record.pairs().iter().map(|(field, value)| (&**field, value.clone()));
    let fixed = [
        ("uuid", Value::text(uuid.as_str())),
        ("location", Value::text(uuid.as_str())),
        ("managed", true.into()),
    ];
    state.db_mut(call.host)?.create("VDI", &vdi, values.chain(fixed))?;
    Ok(Value::Text(vdi))
}

pub(super) fn destroy_vdi(state: &mut State, call: &Call, vdi: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let row = database.require("VDI", vdi)?;
    if row.refs("VBDs").iter().any(|vbd| database.flag("VBD", vbd, "currently_attached")) {
        return Err(Fault::new("VDI_IN_USE", [vdi, "destroy"]));
    }
    if pbds(database, row.text("SR"))?.1.is_empty() {
        return Err(Fault::new("SR_NOT_ATTACHED", [row.text("SR")]));
    }
    remove_vdi(database, vdi);
    Ok(())
}

pub(super) fn forget_vdi(state: &mut State, call: &Call, vdi: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let row = database.require("VDI", vdi)?;
    if row.refs("VBDs").iter().any(|vbd| database.flag("VBD", vbd, "currently_attached")) {
        return Err(Fault::new("VDI_IN_USE", [vdi, "forget"]));
    }
    remove_vdi(database, vdi);
    Ok(())
}

/// Removes a disk's record and those of its block devices.
fn remove_vdi(database: &mut Database, vdi: &str) {
    let vbds = database.object("VDI", vdi).map(|vdi| vdi.refs("VBDs")).unwrap_or_default();
    for vbd in vbds {
        database.destroy("VBD", &vbd);
    }
    database.destroy("VDI", vdi);
}

/// The size of a new SR, in bytes, when the caller leaves it to the device: 100 GiB.
const DEFAULT_SIZE: i64 = 100 << 30;
