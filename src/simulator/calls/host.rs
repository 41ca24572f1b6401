//! Hosts: maintenance, evacuation, death.

use std::time::Duration;

use super::operations::refresh_host;
use super::{Answer, Args, Call, Progress, on_host, vm};
use crate::error::Fault;
use crate::failover::{HostEvacuation, Planner};
use crate::simulator::database::{Database, Object, Ref};
use crate::simulator::value::Value;
use crate::simulator::world::State;
use crate::simulator::{evidence, life};

pub(super) fn call(state: &mut State, call: &Call, args: &Args) -> Option<Answer> {
    let host = args.text(0);
    Some(match call.method.as_str() {
        "host.disable" => {
            let for_good = args.len() > 1 && !args.flag(1);
            on_host(state, call, host, |state, call| disable(state, call, host, for_good))
        }
        "host.enable" => on_host(state, call, host, |state, call| enable(state, call, host)),
        "host.evacuate" => evacuate(state, call, args),
        "host.assert_can_evacuate" => assert_can_evacuate(state, call, host).into(),
        "host.get_vms_which_prevent_evacuation" => state
            .db(call.host)
            .and_then(|database| plan(database, host))
            .map(|plan| {
                Value::map(plan.obstacles.iter().map(|(vm, why)| (vm.as_str(), fault_value(why))))
            })
            .into(),
        "host.get_servertime" | "host.get_server_localtime" => {
            let date = state.date();
            let local = call.method == "host.get_server_localtime";
            let date = if local { date.trim_end_matches('Z').into() } else { date };
            on_host(state, call, host, |_, _| Ok(Value::Date(date)))
        }
        "host.is_in_emergency_mode" => {
            Answer::Now(Ok(Value::Bool(state.host(call.host).emergency.is_some())))
        }
        "host.get_management_interface" => management_interface(state, call, host).into(),
        "host.declare_dead" => declare_dead(state, call, host).into(),
        "host.destroy" => destroy(state, call, host).into(),
        "host.reboot" | "host.shutdown" => power_down(state, call, host),
        "host.restart_agent" => on_host(state, call, host, |state, call| {
            if let Some(machine) = state.machine(call.host, host) {
                life::restart_toolstack(state, machine, Duration::from_secs(1));
            }
            Ok(Value::void())
        }),
        "host.power_on" => power_on(state, call, host),
        "host.set_power_on_mode" => state
            .db_mut(call.host)
            .and_then(|database| {
                database.set("host", host, "power_on_mode", args.value(1))?;
                database.set("host", host, "power_on_config", args.value(2))
            })
            .into(),
        "host.compute_free_memory" => state
            .db(call.host)
            .and_then(|database| {
                Ok(Value::Int(free_memory(database, &database.require("host", host)?)))
            })
            .into(),
        "host.call_plugin" => Answer::fault("XENAPI_MISSING_PLUGIN", [args.text(1)]),
        "host.has_extension" => Answer::Now(Ok(Value::Bool(false))),
        "host.local_assert_healthy" | "host.ha_xapi_healthcheck" => match &state
            .host(call.host)
            .emergency
        {
            Some(fault) => Answer::Now(Err(fault.clone())),
            None if call.method == "host.ha_xapi_healthcheck" => Answer::Now(Ok(Value::Bool(true))),
            None => Answer::done(),
        },
        _ => return None,
    })
}

/// `host.disable`: no new VMs. A host that is disabled already is left alone.
fn disable(state: &mut State, call: &Call, host: &str, for_good: bool) -> Result<Value, Fault> {
    if let Some(machine) = state.machine(call.host, host) {
        let machine = state.host_mut(machine);
        machine.disabled_by_user = true;
        machine.stays_disabled = for_good;
    }
    set_enabled(state.db_mut(call.host)?, host, false)?;
    Ok(Value::void())
}

/// `host.enable` (`xapi_host.ml`).
fn enable(state: &mut State, call: &Call, host: &str) -> Result<Value, Fault> {
    let database = state.db_mut(call.host)?;
    let row = database.require("host", host)?;
    if !row.flag("enabled") {
        if !row.is_empty("pending_guidances") {
            return Err(Fault::new("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", [host]));
        }
        if row.entry("other_config", "host_disabled_until_reboot") == Some("true") {
            return Err(Fault::new("HOST_DISABLED_UNTIL_REBOOT", [host]));
        }
        set_enabled(database, host, true)?;
    }
    if let Some(machine) = state.machine(call.host, host) {
        let machine = state.host_mut(machine);
        machine.disabled_by_user = false;
        machine.stays_disabled = false;
    }
    Ok(Value::void())
}

/// Writes whether a host accepts VMs, if that changes.
pub(in crate::simulator) fn set_enabled(
    database: &mut Database,
    host: &str,
    enabled: bool,
) -> Result<(), Fault> {
    if database.require("host", host)?.flag("enabled") != enabled {
        database.set("host", host, "enabled", enabled)?;
        refresh_host(database, host);
    }
    Ok(())
}

/// The memory that a host has left for VMs, in bytes.
pub(super) fn free_memory(database: &Database, host: &Object<'_>) -> i64 {
    let metrics = database.object("host_metrics", host.text("metrics"));
    let total = metrics.map_or(0, |metrics| metrics.int("memory_total"));
    let used = host.refs("resident_VMs").into_iter().filter_map(|vm| database.object("VM", &vm));
    total - host.int("memory_overhead") - used.map(|vm| needed_memory(&vm)).sum::<i64>()
}

/// The memory that a VM takes while it runs, in bytes.
pub(super) fn needed_memory(vm: &Object<'_>) -> i64 {
    vm.int("memory_dynamic_max").max(vm.int("memory_static_max")) + vm.int("memory_overhead")
}

/// Whether a host can run new VMs at all.
pub(super) fn is_available(database: &Database, host: &Object<'_>) -> bool {
    host.flag("enabled") && database.flag("host_metrics", host.text("metrics"), "live")
}

/// Where each VM of a host would go, and why others cannot.
fn plan(database: &Database, host: &str) -> Result<HostEvacuation, Fault> {
    database.require("host", host)?;
    let broken = || Fault::new("INTERNAL_ERROR", ["the database cannot be read"]);
    let snapshot = evidence::snapshot(database, evidence::FAILOVER).ok_or_else(broken)?;
    let planned = Planner::new(&snapshot).and_then(|planner| planner.host_evacuation(&host.into()));
    planned.map_err(|error| error.fault().cloned().unwrap_or_else(broken))
}

fn fault_value(fault: &Fault) -> Value {
    Value::texts(std::iter::once(&fault.code).chain(&fault.params).map(String::as_str))
}

/// `CANNOT_EVACUATE_HOST` with every obstacle in one text.
fn assert_can_evacuate(state: &State, call: &Call, host: &str) -> Result<(), Fault> {
    let obstacles = plan(state.db(call.host)?, host)?.obstacles;
    if obstacles.is_empty() {
        return Ok(());
    }
    let packed = obstacles.values().map(|fault| {
        let parts = std::iter::once(&fault.code).chain(&fault.params);
        parts.map(String::as_str).collect::<Vec<_>>().join(",")
    });
    Err(Fault::new("CANNOT_EVACUATE_HOST", [packed.collect::<Vec<_>>().join("|")]))
}

/// `host.evacuate`: moves every VM away, one after the other; the host is not disabled.
fn evacuate(state: &mut State, call: &Call, args: &Args) -> Answer {
    let host: Ref = args.text(0).into();
    let planned = state.db(call.host).and_then(|database| plan(database, &host));
    let mut moves = match planned {
        Err(fault) => return Answer::Now(Err(fault)),
        Ok(plan) => match plan.obstacles.into_values().next() {
            Some(fault) => return Answer::Now(Err(fault)),
            None if plan.moves.is_empty() => return Answer::done(),
            None => plan.moves.into_iter(),
        },
    };
    let mut current = None::<vm::Migration>;
    Answer::Later(Box::new(move |state, call| {
        if let Some(migration) = current.take() {
            if let Err(fault) = migration.finish(state, call) {
                return Progress::Done(Err(fault));
            }
        }
        match moves.next() {
            None => Progress::Done(Ok(Value::void())),
            Some((vm, target)) => match vm::Migration::begin(
                state,
                call,
                &vm.as_str().into(),
                &target.as_str().into(),
            ) {
                Ok(migration) => {
                    current = Some(migration);
                    Progress::Sleep(state.timings.migrate)
                }
                Err(fault) => Progress::Done(Err(fault)),
            },
        }
    }))
}

fn management_interface(state: &State, call: &Call, host: &str) -> Result<Value, Fault> {
    let database = state.db(call.host)?;
    let pifs = database.require("host", host)?.refs("PIFs").into_iter();
    pifs.into_iter()
        .find(|pif| database.flag("PIF", pif, "management"))
        .map(Value::Text)
        .ok_or_else(|| Fault::new("INTERNAL_ERROR", ["Not_found"]))
}

/// Whether a host is dead: marked so, or it does not answer (`assert_host_is_dead`).
fn assert_dead(state: &State, call: &Call, host: &str) -> Result<(), Fault> {
    let database = state.db(call.host)?;
    let row = database.require("host", host)?;
    let live = database.flag("host_metrics", row.text("metrics"), "live");
    let answers =
        state.machine(call.host, host).is_some_and(|machine| state.talks(call.host, machine));
    if live && answers { Err(Fault::new("HOST_IS_LIVE", [host])) } else { Ok(()) }
}

/// The VMs that the database takes to run on a host, control domains left out.
fn residents(database: &Database, host: &str) -> Vec<Ref> {
    let resident = database.object("host", host).map(|host| host.refs("resident_VMs"));
    let resident = resident.unwrap_or_default().into_iter();
    resident.filter(|vm| !database.flag("VM", vm, "is_control_domain")).collect()
}

/// `host.declare_dead`: its VMs are halted, it is disabled.
fn declare_dead(state: &mut State, call: &Call, host: &str) -> Result<(), Fault> {
    assert_dead(state, call, host)?;
    for vm in residents(state.db(call.host)?, host) {
        vm::halt(state, call, &vm)?;
    }
    let database = state.db_mut(call.host)?;
    let metrics = database.require("host", host)?.shared_text("metrics");
    if database.flag("host_metrics", &metrics, "live") {
        database.set("host_metrics", &metrics, "live", false)?;
    }
    set_enabled(database, host, false)?;
    refresh_host(database, host);
    Ok(())
}

/// `host.destroy`: forgets a dead host; its PBDs and PIFs are collected later.
fn destroy(state: &mut State, call: &Call, host: &str) -> Result<(), Fault> {
    assert_dead(state, call, host)?;
    let pool = state.pool(call.host);
    let database = state.db_mut(call.host)?;
    if database.flag("pool", &pool, "ha_enabled") {
        return Err(Fault::bare("HA_IS_ENABLED"));
    }
    if !residents(database, host).is_empty() {
        return Err(Fault::new("HOST_HAS_RESIDENT_VMS", [host]));
    }
    remove_record(database, host);
    Ok(())
}

/// Removes a host's record and its control domains.
pub(in crate::simulator) fn remove_record(database: &mut Database, host: &str) {
    let control: Vec<_> = database
        .objects("VM")
        .filter(|vm| vm.flag("is_control_domain") && vm.text("resident_on") == host)
        .map(|vm| vm.reference().clone())
        .collect();
    for domain in control {
        vm::remove(database, &domain);
    }
    database.destroy("host", host);
}

/// `host.reboot` and `host.shutdown`: ten seconds after the return (`xapi_host.ml`).
fn power_down(state: &mut State, call: &Call, host: &str) -> Answer {
    let disabled = state.db(call.host).and_then(|database| {
        if database.require("host", host)?.flag("enabled") {
            return Err(Fault::bare("HOST_NOT_DISABLED"));
        }
        Ok(())
    });
    if let Err(fault) = disabled {
        return Answer::Now(Err(fault));
    }
    let reboot = call.method == "host.reboot";
    on_host(state, call, host, |state, call| {
        let key: Ref = format!("DummyRef:|{}|{}", state.random.uuid(), call.method).into();
        state.db_mut(call.host)?.update("host", host, "current_operations", |operations| {
            if let Value::Map(operations) = operations {
                operations.insert(0, (key, Value::text("shutdown")));
            }
        })?;
        if let Some(machine) = state.machine(call.host, host) {
            let incarnation = state.host(machine).incarnation;
            state.after(SHUTDOWN_DELAY, move |state| {
                if state.host(machine).incarnation == incarnation {
                    life::shut_down(state, machine);
                    if reboot {
                        life::power_on(state, machine);
                    }
                }
            });
        }
        Ok(Value::void())
    })
}

fn power_on(state: &mut State, call: &Call, host: &str) -> Answer {
    let checked = state.db(call.host).and_then(|database| {
        let row = database.require("host", host)?;
        if database.flag("host_metrics", row.text("metrics"), "live") {
            return Err(Fault::new("HOST_IS_LIVE", [host]));
        }
        match row.text("power_on_mode") {
            "" => Err(Fault::bare("HOST_POWER_ON_MODE_DISABLED")),
            _ => Ok(()),
        }
    });
    if checked.is_ok() {
        if let Some(machine) = state.machine(call.host, host) {
            life::power_on(state, machine);
        }
    }
    checked.into()
}

/// From the return of `host.reboot` to the end of xapi (`xapi_host.ml`).
const SHUTDOWN_DELAY: Duration = Duration::from_secs(10);
