//! Tasks: rows of the database that stand for running calls.

use crate::error::Fault;
use crate::simulator::database::{Ref, Value};
use crate::simulator::state::{Call, HostId, State};
use crate::simulator::xml;

/// Makes a pending task.
///
/// # Errors
/// Those of the database.
pub(in crate::simulator) fn create(
    state: &mut State,
    host: HostId,
    name: &str,
    description: &str,
) -> Result<Ref, Fault> {
    let task = state.random.reference();
    let uuid = state.random.uuid();
    let created = Value::Date(state.date());
    let me = state.me(host);
    state.db_mut(host)?.create(
        "task",
        &task,
        [
            ("uuid", Value::text(uuid)),
            ("name_label", Value::text(name)),
            ("name_description", Value::text(description)),
            ("created", created),
            ("resident_on", Value::Text(me)),
            ("type", Value::text("<none/>")),
        ],
    )?;
    Ok(task)
}

/// Writes down how the call of a task ended (`TaskHelper`).
pub(in crate::simulator) fn finish(
    state: &mut State,
    host: HostId,
    task: &str,
    result: &Result<Value, Fault>,
) {
    let finished = Value::Date(state.date());
    let Ok(database) = state.db_mut(host) else { return };
    let (status, field, value) = match result {
        Ok(value) => ("success", "result", Value::text(xml::value_text(value))),
        Err(fault) => {
            let status = if fault.code == "TASK_CANCELLED" { "cancelled" } else { "failure" };
            let info = std::iter::once(&fault.code).chain(&fault.params);
            (status, "error_info", Value::texts(info.map(String::as_str)))
        }
    };
    for (field, value) in [
        (field, value),
        ("status", Value::text(status)),
        ("progress", Value::Float(1.0)),
        ("finished", finished),
        ("allowed_operations", Value::Set(Vec::new())),
        ("current_operations", Value::Map(Vec::new())),
    ] {
        // A task that was destroyed meanwhile is not written.
        if database.set("task", task, field, value).is_err() {
            return;
        }
    }
}

/// Whether somebody asked for the end of a task.
pub(in crate::simulator) fn is_cancelled(state: &State, host: HostId, task: &str) -> bool {
    let database = state.db(host).ok();
    database.and_then(|database| database.object("task", task)).is_some_and(|task| {
        task.get("current_operations").pairs().iter().any(|(_, op)| op.as_str() == Some("cancel"))
    })
}

/// Asks for the end of a task; one that has ended is left alone (`xapi_task.ml`).
pub(super) fn cancel(state: &mut State, call: &Call, task: &str) -> Result<(), Fault> {
    if state.db(call.host)?.require("task", task)?.text("status") != "pending" {
        return Ok(());
    }
    let operation: Ref = format!("DummyRef:|{}|task.cancel", state.random.uuid()).into();
    state.db_mut(call.host)?.update("task", task, "current_operations", |operations| {
        if let Value::Map(operations) = operations {
            operations.insert(0, (operation, Value::text("cancel")));
        }
    })
}

/// Removes a task; a pending one is asked to end and goes away then.
pub(super) fn destroy(state: &mut State, call: &Call, task: &str) -> Result<(), Fault> {
    state.db(call.host)?.require("task", task)?;
    state.db_mut(call.host)?.destroy("task", task);
    Ok(())
}
