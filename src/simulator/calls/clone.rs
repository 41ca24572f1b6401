//! Copies of virtual machines.

use crate::error::Fault;
use crate::simulator::database::{Database, Ref, Value};
use crate::simulator::state::{Call, HostId, State};

/// `VM.clone(vm, new_name)`: a halted VM or template with its disks and network cards.
pub(super) fn clone(state: &mut State, call: &Call, vm: &str, name: &str) -> Result<Ref, Fault> {
    // A snapshot of how it was: rows are shared, so this is cheap.
    let origin = state.db(call.host)?.clone();
    let row = origin.require("VM", vm)?;
    let power = row.text("power_state").to_ascii_lowercase();
    if power != "halted" && !row.flag("is_a_snapshot") {
        return Err(Fault::new("VM_BAD_POWER_STATE", [vm, "halted", &power]));
    }
    let (vbds, vifs) = (row.refs("VBDs"), row.refs("VIFs"));
    let seed = state.random.uuid();
    let clone = copy(state, &origin, call.host, "VM", vm, |field, value| match field {
        "name_label" => Value::text(name),
        "is_default_template" => Value::Bool(false),
        "metrics" | "guest_metrics" | "suspend_VDI" | "appliance" => Value::null_ref(),
        "other_config" => {
            let mut pairs = value.pairs().to_vec();
            pairs.retain(|(key, _)| !["mac_seed", "default_template"].contains(&&**key));
            pairs.push(("mac_seed".into(), Value::text(seed.as_str())));
            Value::Map(pairs)
        }
        _ => value,
    })?;
    for vbd in vbds {
        let disk = origin.text("VBD", &vbd, "VDI");
        let disk = if origin.contains("VDI", &disk) {
            copy(state, &origin, call.host, "VDI", &disk, |_, value| value)?
        } else {
            disk
        };
        copy(state, &origin, call.host, "VBD", &vbd, |field, value| match field {
            "VM" => Value::from(&clone),
            "VDI" => Value::from(&disk),
            "currently_attached" => Value::Bool(false),
            _ => value,
        })?;
    }
    for vif in vifs {
        let mac = state.random.mac();
        copy(state, &origin, call.host, "VIF", &vif, |field, value| match field {
            "VM" => Value::from(&clone),
            "MAC" => Value::text(mac.as_str()),
            "currently_attached" => Value::Bool(false),
            _ => value,
        })?;
    }
    Ok(clone)
}

/// `VM.maximise_memory(vm, total, approximate)`: all of it.
pub(super) fn maximise_memory(
    state: &State,
    call: &Call,
    vm: &str,
    total: Value,
) -> Result<Value, Fault> {
    match state.db(call.host)?.require("VM", vm)?.text("domain_type") {
        "unspecified" => Err(Fault::new("INTERNAL_ERROR", ["unspecified domain type"])),
        _ => Ok(total),
    }
}

/// Copies an object, under a new ref and uuid, into the database that a host works on.
pub(super) fn copy(
    state: &mut State,
    origin: &Database,
    receiver: HostId,
    class: &str,
    object: &str,
    change: impl Fn(&str, Value) -> Value,
) -> Result<Ref, Fault> {
    let (copy, uuid) = (state.random.reference(), state.random.uuid());
    let record = origin.require(class, object)?.record();
    let values = record.pairs().iter().map(|(field, value)| {
        let value = if **field == *"uuid" {
            Value::text(uuid.as_str())
        } else {
            change(field, value.clone())
        };
        (&**field, value)
    });
    state.db_mut(receiver)?.create(class, &copy, values)?;
    Ok(copy)
}
