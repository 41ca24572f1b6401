//! High availability, as far as records go: nobody is fenced and nothing is restarted.

use std::time::Duration;

use super::operations::refresh_pool;
use super::{Answer, Args, Call};
use crate::error::Fault;
use crate::simulator::database::{Database, Ref};
use crate::simulator::value::Value;
use crate::simulator::world::State;

pub(super) fn call(state: &mut State, call: &Call, args: &Args) -> Option<Answer> {
    Some(match call.method.as_str() {
        "pool.enable_ha" => {
            let (srs, configuration) = (args.texts(0), args.value(1));
            let checked = state.db(call.host).and_then(|database| check(database, &srs));
            match checked {
                Err(fault) => Answer::Now(Err(fault)),
                Ok(sr) => Answer::once(TAKES, move |state, call| {
                    enable(state, call, &sr, configuration)?;
                    Ok(Value::void())
                }),
            }
        }
        "pool.disable_ha" => {
            let pool = state.pool(call.host);
            match state.db(call.host).map(|database| database.flag("pool", &pool, "ha_enabled")) {
                Err(fault) => Answer::Now(Err(fault)),
                Ok(false) => Answer::Now(Err(Fault::bare("HA_NOT_ENABLED"))),
                Ok(true) => Answer::once(TAKES, |state, call| {
                    disable(state, call)?;
                    Ok(Value::void())
                }),
            }
        }
        _ => return None,
    })
}

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

fn enable(state: &mut State, call: &Call, sr: &str, configuration: Value) -> Result<(), Fault> {
    let pool = state.pool(call.host);
    let (statefile, uuid) = (state.random.reference(), state.random.uuid());
    let database = state.db_mut(call.host)?;
    let values = [
        ("uuid", Value::text(uuid.as_str())),
        ("name_label", Value::text("Statefile for HA")),
        ("SR", Value::text(sr)),
        ("type", Value::text("ha_statefile")),
        ("virtual_size", Value::Int(STATEFILE)),
        ("location", Value::text(uuid.as_str())),
        ("managed", true.into()),
    ];
    database.create("VDI", &statefile, values)?;
    database.set("pool", &pool, "ha_statefiles", Value::texts([statefile]))?;
    database.set("pool", &pool, "ha_configuration", configuration)?;
    database.set("pool", &pool, "ha_enabled", true)?;
    refresh_pool(database);
    Ok(())
}

fn disable(state: &mut State, call: &Call) -> Result<(), Fault> {
    let pool = state.pool(call.host);
    let database = state.db_mut(call.host)?;
    database.set("pool", &pool, "ha_enabled", false)?;
    let statefiles = database.object("pool", &pool).map(|pool| pool.refs("ha_statefiles"));
    for statefile in statefiles.unwrap_or_default() {
        database.destroy("VDI", &statefile);
    }
    database.set("pool", &pool, "ha_statefiles", Value::Set(Vec::new()))?;
    refresh_pool(database);
    Ok(())
}

/// How long HA takes to begin or to end.
const TAKES: Duration = Duration::from_secs(10);

/// The size of a statefile, in bytes.
const STATEFILE: i64 = 4 << 20;
