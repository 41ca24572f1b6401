//! Messages to the administrator.

use crate::error::Fault;
use crate::simulator::arguments::Args;
use crate::simulator::database::{Row, Value};
use crate::simulator::state::{Answer, Call, State};

/// `message.create(name, priority, cls, obj_uuid, body)`; the object must exist
/// (`xapi_message.ml`).
pub(super) fn create(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
    let (class, object) = (args.text(2), args.text(3));
    let database = state.db(call.host)?;
    let mut classes = database.schema().classes().iter().map(|class| class.name());
    let named = classes.find(|name| name.eq_ignore_ascii_case(class)).unwrap_or(class);
    if database.by_uuid(named, object).is_none() {
        return Err(Fault::new("UUID_INVALID", [class, object]));
    }
    let (message, uuid) = (state.random.reference(), state.random.uuid());
    let timestamp = Value::Date(state.date());
    let values = [
        ("uuid", Value::text(uuid)),
        ("name", args.value(0)),
        ("priority", args.value(1)),
        ("cls", args.value(2)),
        ("obj_uuid", args.value(3)),
        ("timestamp", timestamp),
        ("body", args.value(4)),
    ];
    state.db_mut(call.host)?.create("message", &message, values)?;
    Ok(Value::Text(message))
}

/// `message.destroy`; one that is gone already is left alone.
pub(super) fn destroy(state: &mut State, call: &Call, message: &str) -> Answer {
    state.db_mut(call.host).map(|database| database.destroy("message", message)).ok();
    Answer::done()
}

/// `message.get(cls, obj_uuid, since)`.
pub(super) fn about(
    state: &State,
    call: &Call,
    class: &str,
    object: &str,
    since: &str,
) -> Result<Value, Fault> {
    select(state, call, since, |row| row.text("cls") == class && row.text("obj_uuid") == object)
}

/// `message.get_since(since)`.
pub(super) fn newer(state: &State, call: &Call, since: &str) -> Result<Value, Fault> {
    select(state, call, since, |_| true)
}

/// The records of wanted messages that are newer than a date.
fn select(
    state: &State,
    call: &Call,
    since: &str,
    wanted: impl Fn(&Row<'_>) -> bool,
) -> Result<Value, Fault> {
    let messages = state.db(call.host)?.objects("message");
    let newer = messages.filter(|message| message.text("timestamp") > since && wanted(message));
    Ok(Value::Map(newer.map(|message| (message.reference().clone(), message.record())).collect()))
}
