//! Events: `event.from` with its tokens, and the old `event.next`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Fault;
use crate::simulator::arguments::Args;
use crate::simulator::database::{Change, Database, Operation, Ref, Value};
use crate::simulator::state::{
    Answer, Call, Legacy, Progress, State, Subscription, is_master, unix_seconds,
};

/// How far an `event.from` has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begin,
    Collect,
    Wait,
}

/// `event.from(classes, token, timeout)` (`xapi_event.ml`).
pub(super) fn from(state: &State, args: &Args) -> Answer {
    let wanted = match parse(&args.texts(0)) {
        Ok(wanted) => wanted,
        Err(fault) => return Answer::Now(Err(fault)),
    };
    let Some((since, messages)) = parse_token(args.text(1)) else {
        return Answer::fault("EVENT_FROM_TOKEN_PARSE_FAILURE", [args.text(1)]);
    };
    let timeout = args.float(2);
    // A negative, missing or absurd timeout waits for a day.
    let timeout = if (0.0..86_400.0).contains(&timeout) {
        Duration::from_secs_f64(timeout)
    } else {
        Duration::from_secs(86_400)
    };
    let only_tasks = !wanted.is_empty()
        && wanted.iter().all(|item| match item {
            Subscription::All => false,
            Subscription::Class(class) | Subscription::Object(class, _) => class == "task",
        });
    let batching = if only_tasks { Duration::ZERO } else { BATCHING };
    let deadline = state.now + timeout;
    let mut phase = Phase::Begin;
    Answer::Later(Box::new(move |state, call| {
        if phase == Phase::Begin {
            phase = Phase::Collect;
            return Progress::Sleep(batching);
        }
        if let Some(fault) = invalid(state, call) {
            return Progress::Done(Err(fault));
        }
        if !is_master(state, call.host) {
            // A member has no tables of its own to watch.
            let class = first_class(&wanted);
            return Progress::Done(Err(Fault::new(
                "INTERNAL_ERROR",
                ["missing table", &class, ""],
            )));
        }
        let database = match state.db(call.host) {
            Ok(database) => database,
            Err(fault) => return Progress::Done(Err(fault)),
        };
        let (changes, last) =
            database.changes(since, |class, object| matches(&wanted, class, object));
        if phase == Phase::Wait && !changes.is_empty() {
            phase = Phase::Collect;
            return Progress::Sleep(batching);
        }
        if changes.is_empty() && state.now < deadline {
            phase = Phase::Wait;
            return Progress::Watch(deadline);
        }
        let token = if changes.is_empty() { since } else { last };
        let events = changes.iter().map(|change| event(database, change, "0.0", change.generation));
        let batch = Value::Map(vec![
            ("events".into(), Value::Set(events.collect())),
            ("valid_ref_counts".into(), counts(database)),
            ("token".into(), Value::text(format!("{token:020},{messages:020}"))),
        ]);
        Progress::Done(Ok(batch))
    }))
}

/// Why a waiting call must end: its session is gone.
fn invalid(state: &State, call: &Call) -> Option<Fault> {
    let session = call.session.as_deref().unwrap_or_default();
    let known = state.host(call.host).local_sessions.contains(session)
        || state.db(call.host).is_ok_and(|database| database.contains("session", session));
    (!known).then(|| Fault::new("SESSION_INVALID", [session]))
}

fn event(database: &Database, change: &Change, timestamp: &str, id: u64) -> Value {
    let operation = match change.operation {
        Operation::Add => "add",
        Operation::Delete => "del",
        Operation::Modify => "mod",
    };
    let mut event = vec![
        ("id".into(), Value::text(id.to_string())),
        ("timestamp".into(), Value::text(timestamp)),
        ("class".into(), Value::text(change.class.to_ascii_lowercase())),
        ("operation".into(), Value::text(operation)),
        ("ref".into(), Value::from(&change.object)),
    ];
    if let Some(object) = database.object(change.class, &change.object) {
        event.push(("snapshot".into(), object.record()));
    }
    Value::Map(event)
}

/// How many objects each class has, by class name descending. Messages are not counted.
fn counts(database: &Database) -> Value {
    let mut counts: BTreeMap<&str, i64> = database
        .schema()
        .classes()
        .iter()
        .map(|class| {
            (class.name(), i64::try_from(database.count(class.name())).unwrap_or(i64::MAX))
        })
        .collect();
    counts.insert("message", 0);
    let counts = counts.into_iter().rev();
    Value::map(counts.map(|(class, count)| (class.to_ascii_lowercase(), count)))
}

/// Marks an object as changed; answers a token from before.
pub(super) fn inject(state: &mut State, call: &Call, args: &Args) -> Result<Value, Fault> {
    let database = state.db_mut(call.host)?;
    let class = class_of(database, args.text(0));
    let before = database.generation();
    database.touch(&class, args.text(1))?;
    Ok(Value::text(format!("{before:020},{:020}", 0)))
}

/// The exact name of a class given in any case.
fn class_of(database: &Database, name: &str) -> String {
    let mut classes = database.schema().classes().iter().map(|class| class.name());
    classes.find(|class| class.eq_ignore_ascii_case(name)).unwrap_or(name).to_owned()
}

fn first_class(wanted: &[Subscription]) -> String {
    match wanted.first() {
        Some(Subscription::Class(class) | Subscription::Object(class, _)) => class.clone(),
        _ => "session".to_owned(),
    }
}

/// `"*"`, `"class"` or `"class/ref"`, classes in any case.
fn parse(items: &[Ref]) -> Result<Vec<Subscription>, Fault> {
    items
        .iter()
        .map(|item| match item.split('/').collect::<Vec<_>>().as_slice() {
            ["*"] => Ok(Subscription::All),
            [class] => Ok(Subscription::Class(class.to_ascii_lowercase())),
            [class, object] => {
                Ok(Subscription::Object(class.to_ascii_lowercase(), (*object).to_owned()))
            }
            _ => Err(Fault::new("EVENT_SUBSCRIPTION_PARSE_FAILURE", [&**item])),
        })
        .collect()
}

/// The generations of a token, of the database and of messages; the empty token is the beginning.
fn parse_token(token: &str) -> Option<(u64, u64)> {
    if token.is_empty() {
        return Some((0, 0));
    }
    let (generation, messages) = token.split_once(',')?;
    Some((generation.parse().ok()?, messages.parse().ok()?))
}

fn matches(wanted: &[Subscription], class: &str, object: &str) -> bool {
    !SILENT.contains(&class)
        && wanted.iter().any(|item| match item {
            Subscription::All => true,
            Subscription::Class(name) => name.eq_ignore_ascii_case(class),
            Subscription::Object(name, reference) => {
                reference == object && name.eq_ignore_ascii_case(class)
            }
        })
}

pub(super) fn register(state: &mut State, call: &Call, args: &Args) -> Result<(), Fault> {
    let mut wanted = parse(&args.texts(0))?;
    let generation = state.db(call.host)?.generation();
    let session = call.session.clone().unwrap_or_default();
    let legacy = state
        .host_mut(call.host)
        .legacy
        .entry(session)
        .or_insert_with(|| Legacy { generation, ..Legacy::default() });
    legacy.wanted.append(&mut wanted);
    Ok(())
}

pub(super) fn unregister(state: &mut State, call: &Call, args: &Args) -> Result<(), Fault> {
    let unwanted = parse(&args.texts(0))?;
    let session = call.session.clone().unwrap_or_default();
    if let Some(legacy) = state.host_mut(call.host).legacy.get_mut(&session) {
        legacy.wanted.retain(|item| !unwanted.contains(item));
    }
    Ok(())
}

pub(super) fn next(state: &mut State, call: &Call) -> Answer {
    let session = call.session.clone().unwrap_or_default();
    let registered = state.host(call.host).legacy.get(&session);
    if registered.is_none_or(|legacy| legacy.wanted.is_empty()) {
        return Answer::fault(
            "SESSION_NOT_REGISTERED",
            [format!("trackid={}", track_id(&session))],
        );
    }
    Answer::Later(Box::new(move |state, call| {
        if let Some(fault) = invalid(state, call) {
            return Progress::Done(Err(fault));
        }
        let Some(legacy) = state.host(call.host).legacy.get(&session).cloned() else {
            return Progress::Done(Ok(Value::Set(Vec::new())));
        };
        let database = match state.db(call.host) {
            Ok(database) => database,
            Err(fault) => return Progress::Done(Err(fault)),
        };
        let (changes, last) = database
            .changes(legacy.generation, |class, object| matches(&legacy.wanted, class, object));
        if changes.is_empty() {
            return Progress::Watch(Duration::MAX);
        }
        let timestamp = format!("{}.", unix_seconds(state.now));
        let events: Vec<_> = changes
            .iter()
            .zip(legacy.next_id..)
            .map(|(change, id)| event(database, change, &timestamp, id))
            .collect();
        if let Some(legacy) = state.host_mut(call.host).legacy.get_mut(&session) {
            legacy.generation = last;
            legacy.next_id += u64::try_from(events.len()).unwrap_or(0);
        }
        Progress::Done(Ok(Value::Set(events)))
    }))
}

/// A name for a session that does not give it away.
fn track_id(session: &str) -> String {
    let hash = session.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}{:016x}", hash.rotate_left(31))
}

/// Classes whose objects make no events (`gen_events` of the datamodel).
const SILENT: &[&str] = &["role", "secret", "session", "user"];

/// How long a call gathers events before it answers (`xapi_event.ml`).
const BATCHING: Duration = Duration::from_millis(50);
