//! Hosts: maintenance, evacuation, death.

use std::time::Duration;

use super::capacity::{free_memory, set_enabled};
use super::operations::refresh_host;
use super::vm;
use crate::error::Fault;
use crate::failover::{self, HostEvacuation, Planner};
use crate::simulator::arguments::Args;
use crate::simulator::database::{Database, Ref, Value};
use crate::simulator::state::{Answer, Call, Progress, State, on_host};
use crate::simulator::{evidence, life};

/// `host.disable`: no new VMs. A host that is disabled already is left alone.
pub(super) fn disable(state: &mut State, call: &Call, args: &Args) -> Answer {
    let (host, for_good) = (args.text(0), args.len() > 1 && !args.flag(1));
    on_host(state, call, host, |state, call| {
        if let Some(machine) = state.machine(call.host, host) {
            let machine = state.host_mut(machine);
            machine.disabled_by_user = true;
            machine.stays_disabled = for_good;
        }
        set_enabled(state.db_mut(call.host)?, host, false)?;
        Ok(Value::void())
    })
}

/// `host.enable` (`xapi_host.ml`).
pub(super) fn enable(state: &mut State, call: &Call, host: &str) -> Answer {
    on_host(state, call, host, |state, call| {
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
    })
}

/// Where each VM of a host would go, and why others cannot.
fn plan(database: &Database, host: &str) -> Result<HostEvacuation, Fault> {
    database.require("host", host)?;
    let broken = || Fault::new("INTERNAL_ERROR", ["the database cannot be read"]);
    let snapshot = evidence::snapshot(database, failover::CLASSES).ok_or_else(broken)?;
    let planned = Planner::new(&snapshot).and_then(|planner| planner.host_evacuation(&host.into()));
    planned.map_err(|error| error.fault().cloned().unwrap_or_else(broken))
}

fn fault_value(fault: &Fault) -> Value {
    Value::texts(std::iter::once(&fault.code).chain(&fault.params).map(String::as_str))
}

/// `CANNOT_EVACUATE_HOST` with every obstacle in one text.
pub(super) fn assert_can_evacuate(state: &State, call: &Call, host: &str) -> Result<(), Fault> {
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

/// `host.get_vms_which_prevent_evacuation`.
pub(super) fn obstacles(state: &State, call: &Call, host: &str) -> Result<Value, Fault> {
    let plan = plan(state.db(call.host)?, host)?;
    let told = plan.obstacles.iter().map(|(vm, why)| (vm.text(), fault_value(why)));
    Ok(Value::map(told))
}

/// `host.evacuate`: moves every VM away, one after the other; the host is not disabled.
pub(super) fn evacuate(state: &mut State, call: &Call, args: &Args) -> Answer {
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
            Some((vm, target)) => {
                match vm::Migration::begin(state, call, &vm.text().into(), &target.text().into()) {
                    Ok(migration) => {
                        current = Some(migration);
                        Progress::Sleep(state.timings.migrate)
                    }
                    Err(fault) => Progress::Done(Err(fault)),
                }
            }
        }
    }))
}

/// `host.get_servertime` and `host.get_server_localtime`, whose date has no zone.
pub(super) fn time(state: &mut State, call: &Call, host: &str) -> Answer {
    let date = state.date();
    let local = call.method == "host.get_server_localtime";
    let date = if local { date.trim_end_matches('Z').into() } else { date };
    on_host(state, call, host, |_, _| Ok(Value::Date(date)))
}

/// `host.is_in_emergency_mode`.
pub(super) fn is_in_emergency(state: &State, call: &Call) -> Answer {
    Answer::Now(Ok(Value::Bool(state.host(call.host).emergency.is_some())))
}

/// `host.local_assert_healthy` and `host.ha_xapi_healthcheck`: the error of emergency mode, if any.
pub(super) fn health(state: &State, call: &Call, healthy: Value) -> Answer {
    Answer::Now(state.host(call.host).emergency.clone().map_or(Ok(healthy), Err))
}

pub(super) fn management_interface(state: &State, call: &Call, host: &str) -> Result<Value, Fault> {
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
pub(super) fn declare_dead(state: &mut State, call: &Call, host: &str) -> Result<(), Fault> {
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
pub(super) fn destroy(state: &mut State, call: &Call, host: &str) -> Result<(), Fault> {
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
pub(super) fn power_down(state: &mut State, call: &Call, host: &str) -> Answer {
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

/// `host.restart_agent`, in a second.
pub(super) fn restart_agent(state: &mut State, call: &Call, host: &str) -> Answer {
    on_host(state, call, host, |state, call| {
        if let Some(machine) = state.machine(call.host, host) {
            life::restart_toolstack(state, machine, Duration::from_secs(1));
        }
        Ok(Value::void())
    })
}

/// `host.set_power_on_mode(host, mode, config)`.
pub(super) fn set_power_on_mode(state: &mut State, call: &Call, args: &Args) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    database.set("host", args.text(0), "power_on_mode", args.value(1))?;
    database.set("host", args.text(0), "power_on_config", args.value(2))
}

/// `host.compute_free_memory`.
pub(super) fn compute_free_memory(state: &State, call: &Call, host: &str) -> Result<Value, Fault> {
    let database = state.db(call.host)?;
    Ok(Value::Int(free_memory(database, &database.require("host", host)?)))
}

pub(super) fn power_on(state: &mut State, call: &Call, host: &str) -> Answer {
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
