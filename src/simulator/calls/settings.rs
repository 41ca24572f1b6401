//! Settings of pools and hosts: authentication, editions, certificates, controllers, clustering.

use super::{Answer, Args, Call, on_host};
use crate::error::Fault;
use crate::simulator::database::{Database, Object};
use crate::simulator::value::Value;
use crate::simulator::world::State;

pub(super) fn call(state: &mut State, call: &Call, args: &Args) -> Option<Answer> {
    let object = args.text(0);
    Some(match call.method.as_str() {
        "host.disable_external_auth" => on_host(state, call, object, |state, call| {
            disable_external_auth(state.db_mut(call.host)?, object)?;
            Ok(Value::void())
        }),
        "pool.disable_external_auth" => state
            .db_mut(call.host)
            .and_then(|database| {
                let hosts = database.refs("host");
                hosts.iter().try_for_each(|host| disable_external_auth(database, host))
            })
            .into(),
        "host.apply_edition" => apply_edition(state, call, object, args.text(1)),
        "pool.uninstall_ca_certificate" => state
            .db_mut(call.host)
            .and_then(|database| {
                let named =
                    |row: &Object<'_>| row.text("type") == "ca" && row.text("name") == object;
                uninstall(database, named, object)
            })
            .into(),
        "pool.uninstall_trusted_certificate" => state
            .db_mut(call.host)
            .and_then(|database| {
                let certificate = args.text(1);
                uninstall(database, |row| **row.reference() == *certificate, certificate)
            })
            .into(),
        "SDN_controller.introduce" => introduce_controller(state, call, args).into(),
        "SDN_controller.forget" => state
            .db_mut(call.host)
            .and_then(|database| {
                database.require("SDN_controller", object)?;
                database.destroy("SDN_controller", object);
                Ok(())
            })
            .into(),
        "Cluster_host.enable" | "Cluster_host.disable" => {
            let enabled = call.method.ends_with("enable");
            state
                .db_mut(call.host)
                .and_then(|database| database.set("Cluster_host", object, "enabled", enabled))
                .into()
        }
        _ => return None,
    })
}

fn disable_external_auth(database: &mut Database, host: &str) -> Result<(), Fault> {
    database.set("host", host, "external_auth_type", "")?;
    database.set("host", host, "external_auth_service_name", "")?;
    database.set("host", host, "external_auth_configuration", Value::Map(Vec::new()))
}

/// `host.apply_edition`: the host must know the edition, its own is always known.
fn apply_edition(state: &mut State, call: &Call, host: &str, edition: &str) -> Answer {
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

fn uninstall(
    database: &mut Database,
    wanted: impl Fn(&Object<'_>) -> bool,
    name: &str,
) -> Result<(), Fault> {
    let certificate = database
        .find("Certificate", wanted)
        .ok_or_else(|| Fault::new("CERTIFICATE_DOES_NOT_EXIST", [name]))?;
    database.destroy("Certificate", &certificate);
    Ok(())
}

/// `SDN_controller.introduce(protocol, address, port)`; a pool has one at most.
fn introduce_controller(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
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
