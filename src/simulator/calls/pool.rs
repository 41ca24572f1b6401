//! The pool: questions about roles, distribution of the database, settings.

use crate::error::Fault;
use crate::simulator::arguments::Args;
use crate::simulator::database::Value;
use crate::simulator::life;
use crate::simulator::state::{Answer, Call, State, is_master};

/// `pool.is_slave`.
pub(super) fn is_slave(state: &State, call: &Call) -> Result<Value, Fault> {
    let slave = !is_master(state, call.host);
    state.db(call.host).map(|_| Value::Bool(slave))
}

/// `pool.initial_auth`: the pool secret.
pub(super) fn secret(state: &State, call: &Call) -> Answer {
    Answer::Now(Ok(Value::text(state.host(call.host).pool_secret.as_str())))
}

/// What a member says when it starts: the master marks it live (`xapi_pool.ml`, `hello`).
pub(super) fn hello(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
    let (uuid, address) = (args.text(0), args.text(1));
    let Some(host) = state.db(call.host)?.by_uuid("host", uuid) else {
        return Ok(Value::text("unknown_host"));
    };
    let machine = state.machine(call.host, &host);
    if !machine.is_some_and(|machine| state.talks(call.host, machine)) {
        return Ok(Value::text("cannot_talk_back"));
    }
    life::welcome(state, call.host, &host, address)?;
    Ok(Value::text("ok"))
}

/// Sends every member a copy of the database (`pool_db_backup.ml`).
pub(in crate::simulator) fn sync_database(state: &mut State, call: &Call) -> Result<(), Fault> {
    let database = state.db(call.host)?.clone();
    for host in database.refs("host") {
        let live = database.flag("host_metrics", &database.text("host", &host, "metrics"), "live");
        let machine = state.machine(call.host, &host);
        let machine = machine.filter(|machine| live && state.talks(call.host, *machine));
        let machine = machine.ok_or_else(|| Fault::new("HOST_OFFLINE", [&*host]))?;
        if machine != call.host {
            state.host_mut(machine).backup = Some(database.clone());
        }
    }
    Ok(())
}

pub(super) fn enable_tls_verification(state: &mut State, call: &Call) -> Result<(), Fault> {
    let pool = state.pool(call.host);
    let database = state.db_mut(call.host)?;
    if database.flag("pool", &pool, "ha_enabled") {
        return Err(Fault::bare("HA_IS_ENABLED"));
    }
    database.set("pool", &pool, "tls_verification_enabled", true)?;
    for host in database.refs("host") {
        database.set("host", &host, "tls_verification_enabled", true)?;
    }
    Ok(())
}
