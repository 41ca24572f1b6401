//! Reading what callers write as JSON.

use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::ffi::error::Failure;
use crate::ffi::status::xcp_status::XCP_E_INVALID_INPUT;
use crate::model::{Host, Record, Ref, Snapshot, Table, Uuid, Vm};
use crate::text::quoted;
use crate::wire::unique::no_name_twice;

/// An argument that is an object, decoded.
pub(in crate::ffi) fn decode<'a, T: Deserialize<'a>>(
    text: &'a str,
    name: &str,
) -> Result<T, Failure> {
    // serde would take a list for the fields of a structure, in their order.
    if text.trim_start().starts_with('[') {
        return Err(wrong(format!("{name}: a list, where an object is expected")));
    }
    decode_any(text, name)
}

/// An argument of any form, decoded.
pub(in crate::ffi) fn decode_any<'a, T: Deserialize<'a>>(
    text: &'a str,
    name: &str,
) -> Result<T, Failure> {
    no_name_twice(text.as_bytes())
        .and_then(|()| serde_json::from_str(text))
        .map_err(|error| Failure::new(XCP_E_INVALID_INPUT, format!("{name}: {error}")))
}

/// An argument that may be left out, decoded.
pub(in crate::ffi) fn decode_or_default<T: DeserializeOwned + Default>(
    text: Option<&str>,
    name: &str,
) -> Result<T, Failure> {
    text.map_or_else(|| Ok(T::default()), |text| decode(text, name))
}

/// A snapshot argument; `complete` fills in what people leave out.
pub(in crate::ffi) fn snapshot(
    text: &str,
    name: &str,
    complete: bool,
) -> Result<Snapshot, Failure> {
    let mut snapshot = Snapshot::from_json(text.as_bytes())
        .map_err(|error| Failure::from(error).in_argument(name))?;
    if complete {
        snapshot.complete();
    }
    Ok(snapshot)
}

/// A snapshot inside an argument, with what was said about it.
#[derive(Deserialize)]
#[serde(expecting = "an object with a snapshot")]
pub(super) struct Given<'a> {
    #[serde(borrow)]
    pub(super) snapshot: &'a RawValue,
    #[serde(default)]
    pub(super) complete_snapshots: bool,
}

impl Given<'_> {
    pub(super) fn load(&self) -> Result<Snapshot, Failure> {
        snapshot(self.snapshot.get(), "input_json.snapshot", self.complete_snapshots)
    }
}

/// The host that a uuid, a ref or an unambiguous name means.
pub(in crate::ffi) fn named_host<'a>(
    snapshot: &'a Snapshot,
    name: &str,
) -> Result<(&'a Ref<Host>, &'a Host), Failure> {
    named(&snapshot.host, name, "host", |host| &host.name_label)
}

/// The VM that a uuid, a ref or an unambiguous name means.
pub(super) fn named_vm<'a>(
    snapshot: &'a Snapshot,
    name: &str,
) -> Result<(&'a Ref<Vm>, &'a Vm), Failure> {
    named(&snapshot.vm, name, "VM", |vm| &vm.name_label)
}

fn named<'a, T: Record>(
    table: &'a Table<T>,
    name: &str,
    noun: &str,
    label: impl Fn(&T) -> &String,
) -> Result<(&'a Ref<T>, &'a T), Failure> {
    if let Some(found) = table.by_uuid(&Uuid::new(name)) {
        return Ok(found);
    }
    if let Some(found) = table.iter().find(|(reference, _)| reference.text() == name) {
        return Ok(found);
    }
    let mut named = table.iter().filter(|(_, record)| label(record) == name);
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found),
        (None, _) => Err(wrong(format!("the snapshot has no {noun} {}", quoted(name)))),
        (Some(_), Some(_)) => Err(wrong(format!("two {noun}s are called {}", quoted(name)))),
    }
}

/// A time in seconds.
pub(in crate::ffi) fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| D::Error::custom(format!("{seconds} is no time in seconds")))
}

/// A time in seconds that may be null.
pub(in crate::ffi) fn seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    struct Time(#[serde(deserialize_with = "duration")] Duration);
    Ok(Option::<Time>::deserialize(deserializer)?.map(|time| time.0))
}

fn wrong(message: String) -> Failure {
    Failure::new(XCP_E_INVALID_INPUT, message)
}
