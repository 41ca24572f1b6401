//! Settings of pools and hosts: authentication, editions, certificates, controllers, clustering.

use crate::error::Fault;
use crate::simulator::arguments::Args;
use crate::simulator::database::{Database, Row, Value};
use crate::simulator::state::{Answer, Call, State, on_host};

/// `host.disable_external_auth`.
pub(super) fn disable_external_auth(state: &mut State, call: &Call, host: &str) -> Answer {
    on_host(state, call, host, |state, call| {
        forget_external_auth(state.db_mut(call.host)?, host)?;
        Ok(Value::void())
    })
}

/// `pool.disable_external_auth`.
pub(super) fn disable_all_external_auth(state: &mut State, call: &Call) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let hosts = database.refs("host");
    hosts.iter().try_for_each(|host| forget_external_auth(database, host))
}

fn forget_external_auth(database: &mut Database, host: &str) -> Result<(), Fault> {
    database.set("host", host, "external_auth_type", "")?;
    database.set("host", host, "external_auth_service_name", "")?;
    database.set("host", host, "external_auth_configuration", Value::Map(Vec::new()))
}

/// `host.apply_edition`: the host must know the edition, its own is always known.
pub(super) fn apply_edition(state: &mut State, call: &Call, host: &str, edition: &str) -> Answer {
    on_host(state, call, host, |state, call| {
        let database = state.db_mut(call.host)?;
        let row = database.require("host", host)?;
        let known = row.text("edition") == edition
            || row.refs("editions").iter().any(|known| **known == *edition);
        if !known {
            return Err(Fault::new("INVALID_EDITION", [edition]));
        }
        database.set("host", host, "edition", edition)?;
        Ok(Value::void())
    })
}

/// `pool.uninstall_ca_certificate(name)`.
pub(super) fn uninstall_ca(state: &mut State, call: &Call, name: &str) -> Result<(), Fault> {
    let named = |row: &Row<'_>| row.text("type") == "ca" && row.text("name") == name;
    uninstall(state.db_mut(call.host)?, named, name)
}

/// `pool.uninstall_trusted_certificate(self, certificate)`.
pub(super) fn uninstall_trusted(
    state: &mut State,
    call: &Call,
    certificate: &str,
) -> Result<(), Fault> {
    uninstall(state.db_mut(call.host)?, |row| **row.reference() == *certificate, certificate)
}

fn uninstall(
    database: &mut Database,
    wanted: impl Fn(&Row<'_>) -> bool,
    name: &str,
) -> Result<(), Fault> {
    let certificate = database
        .find("Certificate", wanted)
        .ok_or_else(|| Fault::new("CERTIFICATE_DOES_NOT_EXIST", [name]))?;
    database.destroy("Certificate", &certificate);
    Ok(())
}

/// `SDN_controller.introduce(protocol, address, port)`; a pool has one at most.
pub(super) fn introduce_controller(
    state: &mut State,
    call: &Call,
    args: &Args,
) -> Result<Value, Fault> {
    if state.db(call.host)?.count("SDN_controller") > 0 {
        return Err(Fault::bare("SDN_CONTROLLER_ALREADY_EXISTS"));
    }
    let (controller, uuid) = (state.random.reference(), state.random.uuid());
    let protocol = if args.text(0).is_empty() { "ssl" } else { args.text(0) };
    let port = if protocol == "pssl" { 0 } else { args.int(2) };
    let values = [
        ("uuid", Value::text(uuid)),
        ("protocol", Value::text(protocol)),
        ("address", Value::text(args.text(1))),
        ("port", Value::Int(port)),
    ];
    state.db_mut(call.host)?.create("SDN_controller", &controller, values)?;
    Ok(Value::Text(controller))
}

/// `SDN_controller.forget`.
pub(super) fn forget_controller(
    state: &mut State,
    call: &Call,
    controller: &str,
) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    database.require("SDN_controller", controller)?;
    database.destroy("SDN_controller", controller);
    Ok(())
}

/// `Cluster_host.enable` and `Cluster_host.disable`.
pub(super) fn set_clustering(
    state: &mut State,
    call: &Call,
    host: &str,
    enabled: bool,
) -> Result<(), Fault> {
    state.db_mut(call.host)?.set("Cluster_host", host, "enabled", enabled)
}
