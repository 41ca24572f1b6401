//! Moving virtual machines to another pool, disks and all.

use std::collections::BTreeMap;

use super::clone::copy;
use super::operations;
use super::vm::{check, guest_values, remove};
use crate::election::HostRole;
use crate::error::Fault;
use crate::simulator::arguments::Args;
use crate::simulator::database::{Database, Ref, Value};
use crate::simulator::state::{Answer, Call, HostId, Progress, State};

/// What the sender needs to know about the pool that receives (`xapi_host.ml`).
pub(super) fn receive(
    state: &mut State,
    call: &Call,
    host: &str,
    network: &str,
) -> Result<Value, Fault> {
    let database = state.db(call.host)?;
    let row = database.require("host", host)?;
    let pifs = database.require("network", network)?.refs("PIFs");
    let pif = pifs.into_iter().find(|pif| *database.text("PIF", pif, "host") == *host);
    let pif = pif.ok_or_else(|| {
        Fault::new("HOST_CANNOT_ATTACH_NETWORK", [host.to_owned(), network.to_owned()])
    })?;
    let mut address = database.text("PIF", &pif, "IP").to_string();
    if address.is_empty() {
        return Err(Fault::new("INTERFACE_HAS_NO_IP", [&*pif]));
    }
    if !row.flag("enabled") {
        return Err(Fault::new("HOST_DISABLED", [host]));
    }
    address = format!("http://{address}");
    let master = format!("http://{}/", state.host(call.host).address);
    let session = call.session.clone().unwrap_or_default();
    Ok(Value::map([
        ("SM", format!("{address}/services/SM?session_id={session}")),
        ("host", host.to_owned()),
        ("xenops", format!("{address}/services/xenops?session_id={session}")),
        ("session_id", session.to_string()),
        ("master", master),
    ]))
}

/// Where a VM goes and what becomes of its disks and network cards.
struct Journey {
    vm: Ref,
    receiver: HostId,
    host: Ref,
    storage: BTreeMap<Ref, Ref>,
    networks: BTreeMap<Ref, Ref>,
}

/// `VM.migrate_send(vm, dest, live, vdi_map, vif_map, options)` (`xapi_vm_migrate.ml`).
pub(super) fn send(state: &mut State, call: &Call, args: &Args) -> Answer {
    let journey = match plan(state, call, args) {
        Ok(journey) => journey,
        Err(fault) => return Answer::Now(Err(fault)),
    };
    let mut key = None::<Ref>;
    Answer::Later(Box::new(move |state, call| {
        let Some(key) = &key else {
            let begun = state.db_mut(call.host).and_then(|database| {
                operations::begin(database, call, "VM", &journey.vm, "migrate_send")
            });
            return match begun {
                Ok(begun) => {
                    key = Some(begun);
                    Progress::Sleep(state.timings.migrate)
                }
                Err(fault) => Progress::Done(Err(fault)),
            };
        };
        let arrived = arrive(state, call, &journey);
        if let (Err(_), Ok(database)) = (&arrived, state.db_mut(call.host)) {
            operations::end(database, "VM", &journey.vm, key);
        }
        Progress::Done(arrived.map(Value::Text))
    }))
}

/// Looks at both pools before anything moves.
fn plan(state: &State, call: &Call, args: &Args) -> Result<Journey, Fault> {
    let vm: Ref = args.text(0).into();
    let destination = args.value(1);
    let text = |key: &str| destination.at(key).and_then(Value::as_str).unwrap_or_default();
    let address = text("master").trim_start_matches("http://").trim_end_matches('/');
    let host: Ref = text("host").into();
    let database = state.db(call.host)?;
    check(database, &vm, "migrate_send")?;
    let receiver = state.find(address).filter(|receiver| {
        state.talks(call.host, *receiver) && state.host(*receiver).role == HostRole::Master
    });
    let receiver =
        receiver.ok_or_else(|| Fault::new("CANNOT_CONTACT_HOST", [address.to_owned()]))?;
    let remote = state.db(receiver)?;
    if !remote.contains("session", text("session_id")) {
        return Err(Fault::new("SESSION_INVALID", [text("session_id")]));
    }
    if !remote.require("host", &host)?.flag("enabled") {
        return Err(Fault::new("HOST_DISABLED", [&*host]));
    }
    let pairs = |index: usize| -> BTreeMap<Ref, Ref> {
        let map = args.value(index);
        let pairs = map.pairs().iter();
        pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.into()))).collect()
    };
    let (storage, networks) = (pairs(3), pairs(4));
    let row = database.require("VM", &vm)?;
    for vdi in disks(database, &vm) {
        let sr = storage.get(&vdi).ok_or_else(|| Fault::new("VDI_NOT_IN_MAP", [&*vdi]))?;
        remote.require("SR", sr)?;
    }
    for vif in row.refs("VIFs") {
        let network = networks.get(&vif).ok_or_else(|| Fault::new("VIF_NOT_IN_MAP", [&*vif]))?;
        remote.require("network", network)?;
    }
    Ok(Journey { vm, receiver, host, storage, networks })
}

/// The disks of a VM, without the media in its drives.
fn disks(database: &Database, vm: &str) -> Vec<Ref> {
    let vbds = database.object("VM", vm).map(|vm| vm.refs("VBDs")).unwrap_or_default();
    let vbds = vbds.into_iter().filter_map(|vbd| database.object("VBD", &vbd));
    vbds.filter(|vbd| vbd.text("type") != "CD" && !vbd.flag("empty"))
        .filter_map(|vbd| vbd.target("VDI").map(Ref::from))
        .collect()
}

/// Makes the VM at its destination and removes it where it came from.
fn arrive(state: &mut State, call: &Call, journey: &Journey) -> Result<Ref, Fault> {
    if !state.talks(call.host, journey.receiver) {
        let address = state.host(journey.receiver).address.clone();
        return Err(Fault::new("CANNOT_CONTACT_HOST", [address]));
    }
    // A snapshot of where it comes from: rows are shared, so this is cheap.
    let origin = state.db(call.host)?.clone();
    let row = origin.require("VM", &journey.vm)?;
    let running = row.text("power_state") != "Halted";
    let vm = state.random.reference();
    let (metrics, metrics_uuid) = (state.random.reference(), state.random.uuid());
    let (guest, guest_uuid) = (state.random.reference(), state.random.uuid());
    let mut vdis = BTreeMap::new();
    let receiver = journey.receiver;
    for vdi in disks(&origin, &journey.vm) {
        let sr = journey.storage.get(&vdi).cloned().unwrap_or_default();
        let location = state.random.uuid();
        let copy = copy(state, &origin, receiver, "VDI", &vdi, |field, value| match field {
            "SR" => Value::from(&sr),
            "location" => Value::text(location.as_str()),
            _ => value,
        })?;
        vdis.insert(vdi, copy);
    }
    let booted_as = if running { row.get("domain_type") } else { "unspecified".into() };
    let database = state.db_mut(receiver)?;
    database.create(
        "VM_metrics",
        &metrics,
        [
            ("uuid", Value::text(metrics_uuid)),
            ("memory_actual", row.get("memory_target")),
            ("current_domain_type", booted_as),
        ],
    )?;
    if running {
        database.create("VM_guest_metrics", &guest, guest_values(guest_uuid))?;
    }
    let values = row.record();
    let values = values.pairs().iter().map(|(field, value)| {
        let value = match &**field {
            "resident_on" if running => Value::from(&journey.host),
            "affinity" => Value::from(&journey.host),
            "metrics" => Value::from(&metrics),
            "guest_metrics" if running => Value::from(&guest),
            "guest_metrics" | "appliance" | "suspend_SR" | "snapshot_schedule" => Value::null_ref(),
            "current_operations" => Value::Map(Vec::new()),
            _ => value.clone(),
        };
        (&**field, value)
    });
    database.create("VM", &vm, values)?;
    for vbd in row.refs("VBDs") {
        let disk = vdis.get(&origin.text("VBD", &vbd, "VDI")).cloned();
        let disk = disk.map_or_else(Value::null_ref, Value::Text);
        copy(state, &origin, receiver, "VBD", &vbd, |field, value| match field {
            "VM" => Value::from(&vm),
            "VDI" => disk.clone(),
            _ => value,
        })?;
    }
    for vif in row.refs("VIFs") {
        let network = journey.networks.get(&vif).cloned().unwrap_or_default();
        copy(state, &origin, receiver, "VIF", &vif, |field, value| match field {
            "VM" => Value::from(&vm),
            "network" => Value::from(&network),
            _ => value,
        })?;
    }
    operations::refresh_vm(state.db_mut(receiver)?, &vm);
    let database = state.db_mut(call.host)?;
    remove(database, &journey.vm);
    for vdi in vdis.keys() {
        database.destroy("VDI", vdi);
    }
    Ok(vm)
}
