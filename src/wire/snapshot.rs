//! Saved snapshots: `{"class": {"OpaqueRef:…": {record}}}` in XAPI's own names.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::unique::no_name_twice;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Class, Problem, Record, Ref, Snapshot, with_class};

impl Snapshot {
    /// Loads a snapshot from its JSON.
    ///
    /// Unknown classes, fields and enum values are tolerated. A record that cannot be decoded is
    /// reported in [`Snapshot::problems`] by class, ref and path, and the others are kept. Nothing
    /// is invented: what the source left out is absent.
    ///
    /// # Errors
    /// `InvalidInput` if the text is no JSON, ends early, is no object of objects, or gives one
    /// name twice in an object: a class, a record or a field.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let mut snapshot = Self::new();
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        no_name_twice(json)
            .and_then(|()| Classes(&mut snapshot).deserialize(&mut deserializer))
            .and_then(|()| deserializer.end())
            .map_err(|error| {
                let what = if error.is_eof() { "the snapshot ends early" } else { "no snapshot" };
                Error::new(ErrorKind::InvalidInput, format!("{what}: {error}"))
            })?;
        Ok(snapshot)
    }

    /// Saves the snapshot as JSON, records in the order of their refs.
    pub fn to_json(&self) -> String {
        // Maps with string keys and finite numbers only: encoding cannot fail.
        serde_json::to_string(&Saved(self)).unwrap_or_default()
    }

    /// Decodes one record into its table, or notes why it cannot be.
    pub(crate) fn load_record(&mut self, class: Class, reference: &str, json: &str) {
        with_class!(class, T => {
            match serde_json::from_str::<T>(json) {
                Ok(record) => {
                    T::table_mut(self).insert(Ref::new(reference), record);
                }
                Err(error) => {
                    self.problems.push(Problem::new(class, reference, without_position(&error)));
                }
            }
        });
    }
}

/// The position inside one record means nothing to who sees the whole.
pub(crate) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

struct Classes<'a>(&'a mut Snapshot);

impl<'de> DeserializeSeed<'de> for Classes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Classes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of XAPI classes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match Class::from_name(&name) {
                Some(class) => {
                    with_class!(class, T => T::table_mut(self.0).cover());
                    map.next_value_seed(Records { snapshot: self.0, class })?;
                }
                None => {
                    self.0.unmodelled.insert(name.into_owned());
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The records of one class, by ref.
pub(crate) struct Records<'a> {
    pub(crate) snapshot: &'a mut Snapshot,
    pub(crate) class: Class,
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of {} records by ref", self.class)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(reference) = map.next_key::<String>()? {
            let record = map.next_value::<&'de RawValue>()?;
            self.snapshot.load_record(self.class, &reference, record.get());
        }
        Ok(())
    }
}

struct Saved<'a>(&'a Snapshot);

impl Serialize for Saved<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for class in Class::ALL {
            with_class!(*class, T => {
                let table = T::table(self.0);
                if table.covered() {
                    map.serialize_entry(class.as_str(), &SavedTable(table))?;
                }
            });
        }
        map.end()
    }
}

struct SavedTable<'a, T>(&'a crate::model::Table<T>);

impl<T: Record + Serialize> Serialize for SavedTable<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PowerState, Uuid};

    #[test]
    fn a_bad_record_is_reported_and_the_others_are_kept() {
        let snapshot = Snapshot::from_json(
            br#"{"VM": {"OpaqueRef:a": {"uuid": "a", "power_state": 7},
                        "OpaqueRef:b": {"uuid": "b", "power_state": "Running", "news": {"x": [1]}},
                        "OpaqueRef:c": []},
                 "Weather": {"OpaqueRef:x": {}}}"#,
        )
        .unwrap();
        let problems: Vec<_> = snapshot.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "VM OpaqueRef:a: power_state: invalid type: integer `7`, expected PowerState",
                "VM OpaqueRef:c: invalid type: sequence, expected a record of class VM",
            ]
        );
        let (_, vm) = snapshot.vm.by_uuid(&Uuid::new("b")).unwrap();
        assert_eq!(vm.power_state, PowerState::Running);
        assert!(vm.has("power_state") && !vm.has("name_label"));
        assert!(snapshot.covers(Class::Vm) && !snapshot.covers(Class::Host));
        assert!(snapshot.unmodelled.contains("Weather"));
    }

    #[test]
    fn a_saved_snapshot_loads_as_it_was() {
        let json = br#"{"pool":{"OpaqueRef:p":{"uuid":"p","master":"OpaqueRef:h"}},"VM":{}}"#;
        let snapshot = Snapshot::from_json(json).unwrap();
        assert_eq!(snapshot.to_json().as_bytes(), json);
        assert_eq!(Snapshot::from_json(snapshot.to_json().as_bytes()).unwrap(), snapshot);
    }

    #[test]
    fn what_is_no_snapshot_is_refused_with_its_place() {
        for (json, why) in [
            (&b"{\"VM\": {\"OpaqueRef:a\""[..], "the snapshot ends early"),
            (b"[]", "expected an object of XAPI classes"),
            (b"{\"VM\": []}", "expected an object of VM records by ref"),
            (b"{} {}", "trailing characters"),
            (b"{\"VM\": {}, \"VM\": {}}", "\"VM\" is given twice"),
            (b"{\"VM\": {\"OpaqueRef:a\": {}, \"OpaqueRef:a\": {}}}", "is given twice"),
            (
                b"{\"VM\": {\"OpaqueRef:a\": {\"uuid\": \"\", \"uuid\": \"\"}}}",
                "\"uuid\" is given twice",
            ),
            (b"\xff", "no snapshot"),
        ] {
            let error = Snapshot::from_json(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn two_pools_in_one_snapshot_are_refused_by_name() {
        let two = br#"{"pool": {"OpaqueRef:p": {}, "OpaqueRef:q": {}}}"#;
        let error = Snapshot::from_json(two).unwrap().the_pool().unwrap_err();
        assert!(error.to_string().contains("OpaqueRef:p and OpaqueRef:q"), "{error}");
    }
}
