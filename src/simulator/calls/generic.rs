//! What every class has: records, getters, setters.

use std::sync::Arc;

use super::filter::Filter;
use super::operations::refresh_vm;
use crate::error::Fault;
use crate::simulator::arguments::Args;
use crate::simulator::database::{Class, Message, Type, Value, accessed_field};
use crate::simulator::state::{Answer, Call, State};

/// What a setter does to a stored value.
type Change = Box<dyn FnOnce(&mut Value) -> Result<(), Fault>>;

pub(super) fn perform(
    state: &mut State,
    call: &Call,
    class: &'static Class,
    message: &'static Message,
    args: &Args,
) -> Option<Answer> {
    let name = message.name();
    if let Some(answer) = query(state, call, class.name(), name, args) {
        return Some(answer.into());
    }
    if message.is_implicit() && PLAIN.contains(&class.name()) {
        match name {
            "create" => return Some(create(state, call, class.name(), &args.value(0)).into()),
            "destroy" => return Some(destroy(state, call, class.name(), args.text(0)).into()),
            _ => {}
        }
    }
    let field = class.field(accessed_field(name)?)?;
    let (object, field_name) = (args.text(0), field.name());
    if name.starts_with("get_") {
        let object = state
            .db(call.host)
            .and_then(|database| Ok(database.require(class.name(), object)?.get(field_name)));
        return Some(object.into());
    }
    // Setters that the datamodel lists by themselves do no more, unless a file of calls says so.
    let change: Change = match (name, field.kind()) {
        (name, _) if name == format!("set_{field_name}") && args.len() == 2 => {
            let value = args.value(1);
            Box::new(move |stored| {
                *stored = value;
                Ok(())
            })
        }
        (name, Type::Map(..)) if name.starts_with("add_to_") => {
            let (key, value) = (args.text(1).to_owned(), args.value(2));
            let clash = [class.name(), field_name, object, &key].map(str::to_owned);
            Box::new(move |stored| {
                let Value::Map(pairs) = stored else { return Ok(()) };
                if pairs.iter().any(|(known, _)| **known == *key) {
                    return Err(Fault::new("MAP_DUPLICATE_KEY", clash));
                }
                pairs.insert(0, (Arc::from(key), value));
                Ok(())
            })
        }
        (name, Type::Map(..)) if name.starts_with("remove_from_") => {
            let key = args.text(1).to_owned();
            Box::new(move |stored| {
                if let Value::Map(pairs) = stored {
                    pairs.retain(|(known, _)| **known != *key);
                }
                Ok(())
            })
        }
        (name, Type::Set(_)) if name.starts_with("add_") => {
            let value = args.value(1);
            Box::new(move |stored| {
                if let Value::Set(elements) = stored {
                    if !elements.contains(&value) {
                        elements.insert(0, value);
                    }
                }
                Ok(())
            })
        }
        (name, Type::Set(_)) if name.starts_with("remove_") => {
            let value = args.value(1);
            Box::new(move |stored| {
                if let Value::Set(elements) = stored {
                    elements.retain(|element| *element != value);
                }
                Ok(())
            })
        }
        _ => return None,
    };
    Some(write(state, call, class.name(), object, field_name, change).into())
}

/// The queries of a class: everything, by uuid, by name, by expression.
fn query(
    state: &State,
    call: &Call,
    class: &'static str,
    name: &str,
    args: &Args,
) -> Option<Result<Value, Fault>> {
    let database = match state.db(call.host) {
        Ok(database) => database,
        Err(fault) => return Some(Err(fault)),
    };
    Some(match name {
        "get_all" => Ok(Value::texts(database.refs(class))),
        "get_all_records" => {
            let records = database.objects(class);
            Ok(Value::Map(records.map(|row| (row.reference().clone(), row.record())).collect()))
        }
        "get_all_where" | "get_all_records_where" => {
            Filter::parse(args.text(0)).and_then(|filter| {
                let mut found = Vec::new();
                for row in database.objects(class) {
                    if filter.passes(&row)? {
                        found.push(row);
                    }
                }
                let found = found.into_iter();
                Ok(if name == "get_all_where" {
                    Value::texts(found.map(|row| row.reference().clone()))
                } else {
                    Value::Map(found.map(|row| (row.reference().clone(), row.record())).collect())
                })
            })
        }
        "get_record" => database.require(class, args.text(0)).map(|row| row.record()),
        "get_by_uuid" => database
            .by_uuid(class, args.text(0))
            .map(Value::Text)
            .ok_or_else(|| Fault::new("UUID_INVALID", [class, args.text(0)])),
        "get_by_name_label" => Ok(Value::texts(database.by_name_label(class, args.text(0)))),
        _ => return None,
    })
}

/// Makes an object from a record, where that takes no more.
fn create(state: &mut State, call: &Call, class: &str, record: &Value) -> Result<Value, Fault> {
    if !storable(record) {
        return Err(Fault::new("INTERNAL_ERROR", ["Db_exn.Invalid_value"]));
    }
    let (object, uuid, mac) = (state.random.reference(), state.random.uuid(), state.random.mac());
    let values = record.pairs().iter().map(|(field, value)| match &**field {
        "MAC" if value.as_str() == Some("") => ("MAC", Value::text(mac.as_str())),
        field => (field, value.clone()),
    });
    let database = state.db_mut(call.host)?;
    let uuid = std::iter::once(("uuid", Value::text(uuid)));
    database.create(class, &object, values.chain(uuid))?;
    refresh_vm(database, &object);
    Ok(Value::Text(object))
}

fn destroy(state: &mut State, call: &Call, class: &str, object: &str) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    if database.require(class, object)?.flag("currently_attached") {
        return Err(Fault::new("OPERATION_NOT_ALLOWED", ["The device is currently attached"]));
    }
    database.destroy(class, object);
    Ok(())
}

fn write(
    state: &mut State,
    call: &Call,
    class: &str,
    object: &str,
    field: &str,
    change: impl FnOnce(&mut Value) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let old = database.require(class, object)?.get(field);
    let mut new = old.clone();
    change(&mut new)?;
    if !storable(&new) {
        return Err(Fault::new("INTERNAL_ERROR", ["Db_exn.Invalid_value"]));
    }
    // The server writes only what changes something.
    if new == old { Ok(()) } else { database.set(class, object, field, new) }
}

/// Whether the database takes a value: its texts must be fit for XML.
fn storable(value: &Value) -> bool {
    let fit = |text: &str| !text.contains(|c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r'));
    match value {
        Value::Text(text) | Value::Date(text) => fit(text),
        Value::Set(elements) => elements.iter().all(storable),
        Value::Map(pairs) => pairs.iter().all(|(key, value)| fit(key) && storable(value)),
        Value::Bool(_) | Value::Float(_) | Value::Int(_) => true,
    }
}

/// Classes whose objects are made and removed without further ado.
const PLAIN: &[&str] =
    &["secret", "subject", "VBD", "VIF", "VM", "VM_appliance", "VM_group", "VMSS"];
