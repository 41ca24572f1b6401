//! High availability: enabling and disabling it, and the questions to its planner.

use std::time::Duration;

use super::operations::refresh_pool;
use crate::election::partition::Timing;
use crate::error::Fault;
use crate::failover::{self, Planner, Target};
use crate::simulator::arguments::Args;
use crate::simulator::database::{Database, Ref, Value};
use crate::simulator::state::{Answer, Call, Progress, State};
use crate::simulator::{evidence, ha};

/// What HA needs: a licence, every host alive, a shared SR that all of them have attached.
fn check(database: &Database, wanted: &[Ref]) -> Result<Ref, Fault> {
    let pool = database.objects("pool").next().ok_or_else(|| Fault::bare("INTERNAL_ERROR"))?;
    if pool.entry("restrictions", "enable_xha") != Some("true") {
        return Err(Fault::new("LICENCE_RESTRICTION", ["HA"]));
    }
    if pool.flag("ha_enabled") {
        return Err(Fault::bare("HA_IS_ENABLED"));
    }
    for host in database.objects("host") {
        if !database.flag("host_metrics", host.text("metrics"), "live") {
            return Err(Fault::new("HOST_OFFLINE", [&**host.reference()]));
        }
    }
    for sr in wanted {
        if !database.require("SR", sr)?.flag("shared") {
            return Err(Fault::new("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", [&**sr]));
        }
    }
    let everywhere = |sr: &Ref| {
        let pbds = database.object("SR", sr).map(|sr| sr.refs("PBDs")).unwrap_or_default();
        let attached = pbds.iter().filter(|pbd| database.flag("PBD", pbd, "currently_attached"));
        attached.count() == database.count("host")
    };
    let able = |sr: &Ref| {
        let row = database.object("SR", sr);
        let holds_disks = row.is_some_and(|sr| sr.flag("shared") && sr.text("type") != "iso");
        holds_disks && everywhere(sr)
    };
    let candidates = if wanted.is_empty() { database.refs("SR") } else { wanted.to_vec() };
    candidates.into_iter().find(able).ok_or_else(|| Fault::bare("CANNOT_CREATE_STATE_FILE"))
}

/// `pool.enable_ha`: the daemons start and form a live set, the master takes the lock.
pub(super) fn enable(state: &mut State, call: &Call, args: &Args) -> Answer {
    let (srs, configuration) = (args.texts(0), args.value(1));
    let checked = state.db(call.host).and_then(|database| {
        let timing =
            Timing::from_base(base_timeout(database, &configuration)).map_err(|error| {
                Fault::new("INVALID_VALUE", ["timeout".to_owned(), error.to_string()])
            })?;
        Ok((check(database, &srs)?, timing))
    });
    let (sr, timing) = match checked {
        Ok(checked) => checked,
        Err(fault) => return Answer::Now(Err(fault)),
    };
    let mut begun = None::<Duration>;
    Answer::Later(Box::new(move |state, call| {
        let since = match begun {
            Some(since) => since,
            None => {
                if let Err(fault) = begin(state, call, &sr, &configuration, timing) {
                    return Progress::Done(Err(fault));
                }
                *begun.insert(state.now)
            }
        };
        let patience = Duration::from_secs(timing.enable_join_timeout.into()) + GRACE;
        if ha::has_formed(state, call.host) {
            ha::complete(state, call.host);
            return Progress::Done(set_enabled(state, call).map(|()| Value::void()));
        }
        if state.now.saturating_sub(since) >= patience {
            ha::end(state, call.host);
            let fault = forget(state, call).err();
            let fault = fault.unwrap_or_else(|| Fault::bare("HA_FAILED_TO_FORM_LIVESET"));
            return Progress::Done(Err(fault));
        }
        Progress::Sleep(Duration::from_secs(1))
    }))
}

/// The base timeout that HA would have (`xapi_ha.ml:269-284`).
fn base_timeout(database: &Database, configuration: &Value) -> u32 {
    let pool = database.objects("pool").next();
    let default = pool.and_then(|pool| pool.entry("other_config", "default_ha_timeout"));
    let wanted = configuration.at("timeout").and_then(Value::as_str);
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse().ok());
    number(wanted).or_else(|| number(default)).unwrap_or(Timing::DEFAULT_BASE)
}

/// Makes the volumes, sends everybody the database, and starts the daemons.
fn begin(
    state: &mut State,
    call: &Call,
    sr: &str,
    configuration: &Value,
    timing: Timing,
) -> Result<(), Fault> {
    let pool = state.pool(call.host);
    let mut statefiles = Vec::new();
    for (label, kind, size) in
        [("Statefile for HA", "ha_statefile", STATEFILE), ("Metadata for HA", "redo_log", METADATA)]
    {
        let (volume, uuid) = (state.random.reference(), state.random.uuid());
        let values = [
            ("uuid", Value::text(uuid.as_str())),
            ("name_label", Value::text(label)),
            ("SR", Value::text(sr)),
            ("type", Value::text(kind)),
            ("virtual_size", Value::Int(size)),
            ("location", Value::text(uuid.as_str())),
            ("managed", true.into()),
        ];
        state.db_mut(call.host)?.create("VDI", &volume, values)?;
        if kind == "ha_statefile" {
            statefiles.push(volume);
        }
    }
    let database = state.db_mut(call.host)?;
    database.set("pool", &pool, "ha_statefiles", Value::texts(statefiles))?;
    database.set("pool", &pool, "ha_configuration", configuration.clone())?;
    let copy = database.clone();
    let records = copy.refs("host");
    let hosts: Vec<_> =
        records.iter().filter_map(|record| state.machine(call.host, record)).collect();
    for host in hosts.iter().filter(|host| **host != call.host) {
        state.host_mut(*host).backup = Some(copy.clone());
    }
    ha::begin(state, hosts, timing);
    Ok(())
}

fn set_enabled(state: &mut State, call: &Call) -> Result<(), Fault> {
    let pool = state.pool(call.host);
    let database = state.db_mut(call.host)?;
    database.set("pool", &pool, "ha_enabled", true)?;
    refresh_pool(database);
    Ok(())
}

/// `pool.disable_ha`.
pub(super) fn disable(state: &mut State, call: &Call) -> Answer {
    let pool = state.pool(call.host);
    match state.db(call.host).map(|database| database.flag("pool", &pool, "ha_enabled")) {
        Err(fault) => Answer::Now(Err(fault)),
        Ok(false) => Answer::Now(Err(Fault::bare("HA_NOT_ENABLED"))),
        Ok(true) => Answer::once(TAKES, |state, call| {
            end(state, call)?;
            Ok(Value::void())
        }),
    }
}

/// `host.emergency_ha_disable(soft)`: also where HA is off already, unless it shall be told.
pub(super) fn disarm(state: &mut State, call: &Call, soft: bool) -> Answer {
    if soft && ha::is_armed(state, call.host) != Some(true) {
        return Answer::Now(Err(Fault::bare("HA_NOT_ENABLED")));
    }
    ha::disarm(state, call.host);
    Answer::done()
}

fn end(state: &mut State, call: &Call) -> Result<(), Fault> {
    let pool = state.pool(call.host);
    ha::end(state, call.host);
    state.db_mut(call.host)?.set("pool", &pool, "ha_enabled", false)?;
    forget(state, call)
}

/// Removes the volumes of HA.
fn forget(state: &mut State, call: &Call) -> Result<(), Fault> {
    let pool = state.pool(call.host);
    let database = state.db_mut(call.host)?;
    for kind in ["ha_statefile", "redo_log"] {
        while let Some(volume) = database.find("VDI", |vdi| vdi.text("type") == kind) {
            database.destroy("VDI", &volume);
        }
    }
    database.set("pool", &pool, "ha_statefiles", Value::Set(Vec::new()))?;
    refresh_pool(database);
    Ok(())
}

/// `pool.ha_compute_max_host_failures_to_tolerate`, written to the pool as well.
pub(super) fn maximum(state: &mut State, call: &Call) -> Result<Value, Fault> {
    let (maximum, status) = ask(state, call, |planner| Ok(planner.recomputed_maximum()))?;
    ha::write_status(state, call.host, &status);
    Ok(Value::Int(maximum))
}

/// `pool.ha_compute_hypothetical_max_host_failures_to_tolerate(configuration)`.
pub(super) fn hypothetical_maximum(
    state: &State,
    call: &Call,
    priorities: &Value,
) -> Result<Value, Fault> {
    let wanted = priorities.pairs().iter().map(|(vm, priority)| {
        (vm.as_ref().into(), priority.as_str().unwrap_or_default().to_owned())
    });
    let wanted = wanted.collect();
    let maximum = ask(state, call, |planner| planner.hypothetical_maximum(&wanted))?;
    Ok(Value::Int(maximum.value))
}

/// `pool.ha_compute_vm_failover_plan(failed_hosts, failed_vms)`.
pub(super) fn failover_plan(
    state: &State,
    call: &Call,
    hosts: &[Ref],
    vms: &[Ref],
) -> Result<Value, Fault> {
    let hosts: Vec<_> = hosts.iter().map(|host| host.as_ref().into()).collect();
    let vms: Vec<_> = vms.iter().map(|vm| vm.as_ref().into()).collect();
    let plan = ask(state, call, |planner| planner.vm_failover_plan(&hosts, &vms))?;
    let told = plan.iter().map(|(vm, to)| {
        let pair = match to {
            Target::Host(host) => ("host", host.to_string()),
            Target::Error(code) => ("error_code", code.clone()),
        };
        (vm.text(), Value::map([pair]))
    });
    Ok(Value::map(told))
}

/// `pool.ha_failover_plan_exists(n)`.
pub(super) fn plan_exists(state: &State, call: &Call, failures: i64) -> Result<Value, Fault> {
    ask(state, call, |planner| Ok(Value::Bool(planner.plan_for(failures).exists())))
}

/// `pool.set_ha_host_failures_to_tolerate(self, n)`.
pub(super) fn set_failures_to_tolerate(
    state: &mut State,
    call: &Call,
    failures: i64,
) -> Result<(), Fault> {
    let status = ask(state, call, |planner| planner.set_failures_to_tolerate(failures))?;
    ha::write_status(state, call.host, &status);
    Ok(())
}

/// Asks the planner of HA about the pool as it is.
fn ask<T>(
    state: &State,
    call: &Call,
    question: impl FnOnce(&Planner<'_>) -> crate::error::Result<T>,
) -> Result<T, Fault> {
    let broken = || Fault::new("INTERNAL_ERROR", ["the database cannot be read"]);
    let database = state.db(call.host)?;
    let snapshot = evidence::snapshot(database, failover::CLASSES).ok_or_else(broken)?;
    let answer = Planner::new(&snapshot).and_then(|planner| question(&planner));
    answer.map_err(|error| error.fault().cloned().unwrap_or_else(broken))
}

/// What forming a live set may take beyond the time to join it.
const GRACE: Duration = Duration::from_secs(30);

/// The size of the volume with the database, in bytes (`redo_log.ml:53-60`).
const METADATA: i64 = 3_988_783_104;

/// How long HA takes to end.
const TAKES: Duration = Duration::from_secs(10);

/// The size of a statefile, in bytes.
const STATEFILE: i64 = 4 << 20;
