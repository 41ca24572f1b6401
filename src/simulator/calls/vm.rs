//! Virtual machines: their power states, migration, removal.

use std::time::Duration;

use super::capacity::{free_memory, is_available, needed_memory};
use super::operations::{self, has_tools, refresh_vm};
use crate::error::Fault;
use crate::simulator::database::{Database, NULL_REF, Ref, Row, Value};
use crate::simulator::state::{Answer, Call, Progress, State};

/// What an operation asks of a VM (`xapi_vm_lifecycle.ml`).
pub(super) fn check(database: &Database, vm: &str, operation: &str) -> Result<(), Fault> {
    let row = database.require("VM", vm)?;
    if let Some(code) = row.entry("blocked_operations", operation) {
        return Err(Fault::new("OPERATION_BLOCKED", [vm, code]));
    }
    if row.flag("is_a_snapshot") && operation != "destroy" {
        return Err(Fault::new("VM_IS_SNAPSHOT", [vm, operation]));
    }
    if row.flag("is_a_template") && (operation != "destroy" || row.flag("is_default_template")) {
        return Err(Fault::new("VM_IS_TEMPLATE", [vm, operation]));
    }
    if row.flag("is_control_domain") {
        let what = "This operation is not allowed on the control domain";
        return Err(Fault::new("OPERATION_NOT_ALLOWED", [what]));
    }
    let expected: &[&str] = match operation {
        "start" | "start_on" => &["halted"],
        "clean_shutdown" | "suspend" | "pause" | "pool_migrate" => &["running"],
        "hard_shutdown" => &["paused", "suspended", "running"],
        "resume" => &["suspended"],
        "unpause" => &["paused"],
        "destroy" => &["halted", "suspended"],
        "migrate_send" => &["halted", "running"],
        _ => &[],
    };
    let actual = row.text("power_state").to_ascii_lowercase();
    if !expected.contains(&actual.as_str()) {
        let expected = expected.join(", ");
        return Err(Fault::new("VM_BAD_POWER_STATE", [vm, &expected, &actual]));
    }
    if let Some(appliance) = row.target("appliance").filter(|_| operation == "start") {
        if !database.object("VM_appliance", appliance).is_none_or(|it| it.is_empty("VMs")) {
            return Err(Fault::new("VM_IS_PART_OF_AN_APPLIANCE", [vm, appliance]));
        }
    }
    if ["clean_shutdown", "suspend", "pool_migrate"].contains(&operation)
        && !has_tools(database, &row)
    {
        return Err(Fault::new("VM_LACKS_FEATURE", [vm]));
    }
    Ok(())
}

/// Runs an operation on a VM: checked, marked on it, done after its time.
fn operation(
    state: &mut State,
    call: &Call,
    vm: Ref,
    name: &'static str,
    time: Duration,
    act: impl Fn(&mut State, &Call, &str) -> Result<(), Fault> + Send + 'static,
) -> Answer {
    if let Err(fault) = state.db(call.host).and_then(|database| check(database, &vm, name)) {
        return Answer::Now(Err(fault));
    }
    let mut key = None::<Ref>;
    Answer::Later(Box::new(move |state, call| {
        let Some(key) = &key else {
            let begun = state
                .db_mut(call.host)
                .and_then(|database| operations::begin(database, call, "VM", &vm, name));
            return match begun {
                Ok(begun) => {
                    key = Some(begun);
                    Progress::Sleep(time)
                }
                Err(fault) => Progress::Done(Err(fault)),
            };
        };
        let result = act(state, call, &vm).map(|()| Value::void());
        if let Ok(database) = state.db_mut(call.host) {
            operations::end(database, "VM", &vm, key);
        }
        Progress::Done(result)
    }))
}

fn set_power(database: &mut Database, vm: &str, power: &str) -> Result<(), Fault> {
    database.set("VM", vm, "power_state", power)
}

/// `VM.start` and `VM.start_on`.
pub(super) fn start(
    state: &mut State,
    call: &Call,
    vm: Ref,
    on: Option<&str>,
    paused: bool,
) -> Answer {
    let name = if on.is_some() { "start_on" } else { "start" };
    let placed = state.db(call.host).and_then(|database| {
        check(database, &vm, name)?;
        let host = match on {
            Some(host) => {
                assert_can_run(database, &database.require("VM", &vm)?, host)?;
                host.into()
            }
            None => choose_host(database, &database.require("VM", &vm)?)?,
        };
        Ok(host)
    });
    let host = match placed {
        Ok(host) => host,
        Err(fault) => return Answer::Now(Err(fault)),
    };
    let time = state.timings.start;
    operation(state, call, vm, name, time, move |state, call, vm| {
        run_on(state, call, vm, &host, if paused { "Paused" } else { "Running" })
    })
}

/// Starts a VM at once, on this host or on the best, as HA does.
pub(in crate::simulator) fn start_now(
    state: &mut State,
    call: &Call,
    vm: &str,
    on: Option<Ref>,
) -> Result<(), Fault> {
    let database = state.db(call.host)?;
    check(database, vm, "start_on")?;
    let row = database.require("VM", vm)?;
    let host = match on {
        Some(host) => assert_can_run(database, &row, &host).map(|()| host)?,
        None => choose_host(database, &row)?,
    };
    run_on(state, call, vm, &host, "Running")?;
    refresh_vm(state.db_mut(call.host)?, vm);
    Ok(())
}

/// Makes a VM run on a host: its devices are attached, its tools report.
fn run_on(state: &mut State, call: &Call, vm: &str, host: &str, power: &str) -> Result<(), Fault> {
    let (guest, uuid) = (state.random.reference(), state.random.uuid());
    let domid = i64::try_from(state.random.next() % 1000).unwrap_or(0) + 1;
    let date = Value::Date(state.date());
    let database = state.db_mut(call.host)?;
    let row = database.require("VM", vm)?;
    let (metrics, old_guest) = (row.shared_text("metrics"), row.shared_text("guest_metrics"));
    let kind = row.get("domain_type");
    set_attached(database, vm, true)?;
    database.set("VM", vm, "resident_on", host)?;
    database.set("VM", vm, "domid", domid)?;
    set_power(database, vm, power)?;
    if database.contains("VM_metrics", &metrics) {
        database.set("VM_metrics", &metrics, "start_time", date)?;
        database.set("VM_metrics", &metrics, "current_domain_type", kind)?;
    }
    database.destroy("VM_guest_metrics", &old_guest);
    database.create("VM_guest_metrics", &guest, guest_values(uuid))?;
    database.set("VM", vm, "guest_metrics", &guest)
}

/// What a VM with working tools reports.
pub(in crate::simulator) fn guest_values(uuid: String) -> [(&'static str, Value); 4] {
    let features = [
        ("feature-shutdown", "1"),
        ("feature-reboot", "1"),
        ("feature-suspend", "1"),
        ("feature-vcpu-hotplug", "1"),
    ];
    [
        ("uuid", Value::text(uuid)),
        ("other", Value::map(features)),
        ("live", true.into()),
        ("PV_drivers_detected", true.into()),
    ]
}

/// Writes whether the devices of a VM are attached.
fn set_attached(database: &mut Database, vm: &str, attached: bool) -> Result<(), Fault> {
    let row = database.require("VM", vm)?;
    let devices = [("VBD", row.refs("VBDs")), ("VIF", row.refs("VIFs"))];
    for (class, objects) in devices {
        for object in objects {
            if database.flag(class, &object, "currently_attached") != attached {
                database.set(class, &object, "currently_attached", attached)?;
            }
        }
    }
    Ok(())
}

pub(super) fn shutdown(state: &mut State, call: &Call, vm: Ref, name: &'static str) -> Answer {
    let time = if name == "clean_shutdown" { state.timings.shutdown } else { Duration::ZERO };
    operation(state, call, vm, name, time, halt)
}

/// `VM.shutdown`: a clean one, if its system obeys.
pub(super) fn shutdown_somehow(state: &mut State, call: &Call, vm: Ref) -> Answer {
    let obeys = state.db(call.host).is_ok_and(|database| {
        let vm = database.object("VM", &vm);
        vm.is_some_and(|vm| vm.text("power_state") == "Running" && has_tools(database, &vm))
    });
    shutdown(state, call, vm, if obeys { "clean_shutdown" } else { "hard_shutdown" })
}

/// `VM.pause` and `VM.unpause`.
pub(super) fn pause(
    state: &mut State,
    call: &Call,
    vm: Ref,
    name: &'static str,
    power: &'static str,
) -> Answer {
    operation(state, call, vm, name, Duration::ZERO, move |state, call, vm| {
        set_power(state.db_mut(call.host)?, vm, power)
    })
}

/// `VM.suspend`.
pub(super) fn suspend(state: &mut State, call: &Call, vm: Ref) -> Answer {
    let time = state.timings.suspend;
    operation(state, call, vm, "suspend", time, write_image)
}

/// `VM.set_is_a_template`.
pub(super) fn set_is_a_template(
    state: &mut State,
    call: &Call,
    vm: &str,
    is_a_template: bool,
) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    database.set("VM", vm, "is_a_template", is_a_template)?;
    refresh_vm(database, vm);
    Ok(())
}

/// Halts a VM: what it had on its host goes.
pub(in crate::simulator) fn halt(state: &mut State, call: &Call, vm: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let row = database.require("VM", vm)?;
    let (guest, suspended) = (row.shared_text("guest_metrics"), row.shared_text("suspend_VDI"));
    set_attached(database, vm, false)?;
    for (field, value) in [
        ("power_state", Value::text("Halted")),
        ("resident_on", Value::null_ref()),
        ("domid", Value::Int(-1)),
        ("guest_metrics", Value::null_ref()),
        ("suspend_VDI", Value::null_ref()),
    ] {
        if database.get("VM", vm, field) != value {
            database.set("VM", vm, field, value)?;
        }
    }
    database.destroy("VM_guest_metrics", &guest);
    database.destroy("VDI", &suspended);
    refresh_vm(database, vm);
    Ok(())
}

/// Writes a VM's memory to a disk of its suspend SR.
fn write_image(state: &mut State, call: &Call, vm: &str) -> Result<(), Fault> {
    let (vdi, uuid) = (state.random.reference(), state.random.uuid());
    let pool = state.pool(call.host);
    let database = state.db_mut(call.host)?;
    let row = database.require("VM", vm)?;
    let host = row.text("resident_on");
    let candidates = [
        row.shared_text("suspend_SR"),
        database.text("pool", &pool, "suspend_image_SR"),
        database.text("host", host, "suspend_image_sr"),
        database.text("pool", &pool, "default_SR"),
    ];
    let sr = candidates.into_iter().find(|sr| sees(database, host, sr));
    let sr = sr.ok_or_else(|| Fault::new("VM_NO_SUSPEND_SR", [vm]))?;
    let values = [
        ("uuid", Value::text(uuid.as_str())),
        ("name_label", Value::text("Suspend image")),
        ("SR", Value::from(&sr)),
        ("virtual_size", Value::Int(needed_memory(&row))),
        ("type", Value::text("suspend")),
        ("location", Value::text(uuid.as_str())),
        ("managed", true.into()),
    ];
    database.create("VDI", &vdi, values)?;
    database.set("VM", vm, "suspend_VDI", &vdi)?;
    database.set("VM", vm, "resident_on", NULL_REF)?;
    database.set("VM", vm, "domid", -1)?;
    set_power(database, vm, "Suspended")
}

pub(super) fn resume(state: &mut State, call: &Call, vm: Ref) -> Answer {
    let host = state.db(call.host).and_then(|database| {
        check(database, &vm, "resume")?;
        choose_host(database, &database.require("VM", &vm)?)
    });
    let host = match host {
        Ok(host) => host,
        Err(fault) => return Answer::Now(Err(fault)),
    };
    let time = state.timings.suspend;
    operation(state, call, vm, "resume", time, move |state, call, vm| {
        let image = state.db(call.host)?.text("VM", vm, "suspend_VDI");
        run_on(state, call, vm, &host, "Running")?;
        let database = state.db_mut(call.host)?;
        database.set("VM", vm, "suspend_VDI", NULL_REF)?;
        database.destroy("VDI", &image);
        Ok(())
    })
}

/// `VM.destroy`: the record and its devices; the disks stay.
pub(super) fn destroy(state: &mut State, call: &Call, vm: &str) -> Answer {
    let checked = state.db(call.host).and_then(|database| {
        let row = database.require("VM", vm)?;
        if row.flag("is_a_template") && row.flag("is_default_template") {
            return Err(Fault::bare("VM_CANNOT_DELETE_DEFAULT_TEMPLATE"));
        }
        check(database, vm, "destroy")?;
        operations::assert_idle(database, "VM", vm)
    });
    let removed = checked.and_then(|()| {
        remove(state.db_mut(call.host)?, vm);
        Ok(())
    });
    removed.into()
}

/// Removes a VM's record and everything that is only its own.
pub(in crate::simulator) fn remove(database: &mut Database, vm: &str) {
    let Some(row) = database.object("VM", vm) else { return };
    let own = [
        ("VBD", row.refs("VBDs")),
        ("VIF", row.refs("VIFs")),
        ("VGPU", row.refs("VGPUs")),
        ("VUSB", row.refs("VUSBs")),
        ("VTPM", row.refs("VTPMs")),
        ("console", row.refs("consoles")),
        ("VM_metrics", vec![row.shared_text("metrics")]),
        ("VM_guest_metrics", vec![row.shared_text("guest_metrics")]),
    ];
    for (class, objects) in own {
        for object in objects {
            database.destroy(class, &object);
        }
    }
    database.destroy("VM", vm);
}

pub(super) fn power_state_reset(state: &mut State, call: &Call, vm: &str) -> Result<(), Fault> {
    if state.db(call.host)?.require("VM", vm)?.flag("is_control_domain") {
        return Err(Fault::new("CANNOT_RESET_CONTROL_DOMAIN", [vm]));
    }
    halt(state, call, vm)
}

/// A VM on its way from one host to another.
pub(super) struct Migration {
    vm: Ref,
    target: Ref,
    key: Ref,
}

impl Migration {
    /// Checks a migration and marks it on the VM.
    pub(super) fn begin(
        state: &mut State,
        call: &Call,
        vm: &Ref,
        target: &Ref,
    ) -> Result<Self, Fault> {
        let database = state.db_mut(call.host)?;
        check(database, vm, "pool_migrate")?;
        assert_can_run(database, &database.require("VM", vm)?, target)?;
        let key = operations::begin(database, call, "VM", vm, "pool_migrate")?;
        Ok(Self { vm: vm.clone(), target: target.clone(), key })
    }

    /// Lands the VM on its target, if that still lives.
    pub(super) fn finish(self, state: &mut State, call: &Call) -> Result<(), Fault> {
        let alive = state
            .machine(call.host, &self.target)
            .is_some_and(|machine| state.talks(call.host, machine));
        let database = state.db_mut(call.host)?;
        if alive {
            database.set("VM", &self.vm, "resident_on", &self.target)?;
        }
        operations::end(database, "VM", &self.vm, &self.key);
        if alive { Ok(()) } else { Err(Fault::new("CANNOT_CONTACT_HOST", [&*self.target])) }
    }
}

pub(super) fn pool_migrate(state: &mut State, call: &Call, vm: Ref, target: Ref) -> Answer {
    if let Err(fault) =
        state.db(call.host).and_then(|database| check(database, &vm, "pool_migrate"))
    {
        return Answer::Now(Err(fault));
    }
    let time = state.timings.migrate;
    let mut migration = None::<Migration>;
    Answer::Later(Box::new(move |state, call| match migration.take() {
        None => match Migration::begin(state, call, &vm, &target) {
            Ok(begun) => {
                migration = Some(begun);
                Progress::Sleep(time)
            }
            Err(fault) => Progress::Done(Err(fault)),
        },
        Some(migration) => Progress::Done(migration.finish(state, call).map(|()| Value::void())),
    }))
}

pub(super) fn possible_hosts(state: &State, call: &Call, vm: &str) -> Result<Value, Fault> {
    let database = state.db(call.host)?;
    let row = database.require("VM", vm)?;
    let hosts = database.refs("host").into_iter();
    Ok(Value::texts(hosts.filter(|host| assert_can_run(database, &row, host).is_ok())))
}

/// The host that a VM starts on: its affinity if that can, else the one with the most memory left.
fn choose_host(database: &Database, vm: &Row<'_>) -> Result<Ref, Fault> {
    let able = |host: &Ref| assert_can_run(database, vm, host).is_ok();
    if let Some(host) = vm.target("affinity").map(Ref::from).filter(able) {
        return Ok(host);
    }
    let hosts = database.objects("host").filter(|host| able(host.reference()));
    hosts
        .max_by_key(|host| free_memory(database, host))
        .map(|host| host.reference().clone())
        .ok_or_else(|| Fault::bare("NO_HOSTS_AVAILABLE"))
}

/// Whether a VM can run on a host (`assert_can_boot_here`, `xapi_vm_helpers.ml`).
fn assert_can_run(database: &Database, vm: &Row<'_>, host: &str) -> Result<(), Fault> {
    let row = database.require("host", host)?;
    if !database.flag("host_metrics", row.text("metrics"), "live") {
        return Err(Fault::bare("HOST_NOT_LIVE"));
    }
    if !is_available(database, &row) {
        return Err(Fault::new("HOST_DISABLED", [host]));
    }
    if vm.text("domain_type") == "unspecified" {
        return Err(Fault::new("INTERNAL_ERROR", ["unspecified domain type"]));
    }
    if let Some((code, object)) = missing(database, vm, host) {
        return Err(Fault::new(code, [&**vm.reference(), &object]));
    }
    if vm.text("resident_on") != host {
        let (needed, free) = (needed_memory(vm), free_memory(database, &row));
        if needed > free {
            let amounts = [needed.to_string(), free.to_string()];
            return Err(Fault::new("HOST_NOT_ENOUGH_FREE_MEMORY", amounts));
        }
    }
    Ok(())
}

/// The first SR or network of a VM that a host does not see, and the error that says so.
pub(super) fn missing(
    database: &Database,
    vm: &Row<'_>,
    host: &str,
) -> Option<(&'static str, Ref)> {
    for vbd in vm.refs("VBDs") {
        let Some(vbd) = database.object("VBD", &vbd).filter(|vbd| !vbd.flag("empty")) else {
            continue;
        };
        let sr = database.text("VDI", vbd.text("VDI"), "SR");
        if !sees(database, host, &sr) {
            return Some(("VM_REQUIRES_SR", sr));
        }
    }
    for vif in vm.refs("VIFs") {
        let network = database.text("VIF", &vif, "network");
        let Some(row) = database.object("network", &network) else { continue };
        let pifs = row.refs("PIFs");
        // A network without PIFs exists on whichever host a VM needs it.
        if !pifs.is_empty() && !pifs.iter().any(|pif| *database.text("PIF", pif, "host") == *host) {
            return Some(("VM_REQUIRES_NETWORK", network));
        }
    }
    None
}

/// Whether a host has an SR attached.
fn sees(database: &Database, host: &str, sr: &str) -> bool {
    let pbds = database.object("SR", sr).map(|sr| sr.refs("PBDs")).unwrap_or_default();
    pbds.iter().any(|pbd| {
        *database.text("PBD", pbd, "host") == *host
            && database.flag("PBD", pbd, "currently_attached")
    })
}
