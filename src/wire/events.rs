//! The result of `event.from`: changes, applied to a snapshot as they arrive.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Class, Record, Ref, Snapshot, with_class};
use crate::text::quoted;
use crate::wire::cursor::{Cursor, Stop};
use crate::wire::stream::{Problems, Reply, put, record, twice};

/// What a batch of events says beside its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Where to go on: the token for the next call for these classes.
    pub token: String,
    /// How many objects of each class the server has.
    ///
    /// Classes go by their names in lower case.
    ///
    /// All classes of the server's release, whichever were asked for.
    pub valid_ref_counts: BTreeMap<String, i64>,
    /// How many events the batch had.
    pub events: usize,
}

/// One event: what happened to which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Event {
    /// The object's class.
    pub class: Class,
    /// The object's ref.
    pub reference: String,
    /// What happened to it since the token.
    pub operation: Operation,
}

/// What happened to an object; several changes between two calls are one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// It is new since the token, or there was no token.
    Added,
    /// It is gone.
    Deleted,
    /// It was changed.
    Modified,
}

impl Event {
    pub(crate) fn new(class: Class, reference: String, operation: Operation) -> Self {
        Self { class, reference, operation }
    }
}

impl Batch {
    /// Whether the server's release has a class at all.
    pub(crate) fn knows(&self, class: Class) -> bool {
        self.valid_ref_counts.contains_key(&class.as_str().to_ascii_lowercase())
    }

    /// How many objects of a class the server has.
    pub(crate) fn count(&self, class: Class) -> Option<i64> {
        self.valid_ref_counts.get(&class.as_str().to_ascii_lowercase()).copied()
    }
}

impl Reply {
    /// Decodes the result of `event.from` and applies its events to a snapshot.
    ///
    /// Events of classes that are not modelled are left out. A record that cannot be decoded is
    /// noted in [`Snapshot::problems`], and no longer in its table.
    ///
    /// # Errors
    /// As [`Self::result`]; then the events before the error have been applied. Applying the same
    /// batch again is harmless.
    pub(crate) fn events(
        mut self,
        snapshot: &mut Snapshot,
        mut each: impl FnMut(Event),
    ) -> Result<Batch> {
        let mut batch = Batch::default();
        let (mut events, mut token) = (None, None);
        let mut problems = Problems::of(snapshot);
        let result = self.envelope(|reply| {
            let mut first = true;
            while let Some(name) = reply.member(first)? {
                first = false;
                match name.as_str() {
                    "events" if events.is_some() => return Err(twice("events")),
                    "token" if token.is_some() => return Err(twice("token")),
                    "events" => {
                        events = Some(reply.each_event(snapshot, &mut problems, &mut each)?);
                    }
                    "token" => {
                        token = Some(reply.step(|cursor| Ok(cursor.string()?.into_owned()))?);
                    }
                    "valid_ref_counts" => {
                        batch.valid_ref_counts = reply.step(|cursor| cursor.value())?;
                    }
                    _ => reply.step(|cursor| cursor.skip().map(drop))?,
                }
            }
            Ok(())
        });
        problems.settle(snapshot);
        result?;
        batch.events = events.unwrap_or_default();
        batch.token = token
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the batch of events has no token"))?;
        Ok(batch)
    }

    fn each_event(
        &mut self,
        snapshot: &mut Snapshot,
        problems: &mut Problems,
        each: &mut impl FnMut(Event),
    ) -> Result<usize> {
        let mut count = 0;
        loop {
            let event = self.step(|cursor| {
                let start = cursor.at;
                match cursor.element(count == 0)? {
                    Some(()) => {
                        let change = event(cursor, snapshot, problems)?;
                        Ok(Some((change, cursor.at - start)))
                    }
                    None => Ok(None),
                }
            })?;
            let Some((change, length)) = event else { return Ok(count) };
            if let Some(change) = change {
                if change.operation != Operation::Deleted {
                    self.charge(length, with_class!(change.class, T => size_of::<T>()))?;
                }
                each(change);
            }
            count += 1;
        }
    }
}

/// Takes one event and applies it; returns the change, unless its class is not modelled.
///
/// May be run again for the same event, when more of it has arrived.
fn event(
    cursor: &mut Cursor<'_>,
    snapshot: &mut Snapshot,
    problems: &mut Problems,
) -> Result<Option<Event>, Stop> {
    let (mut class, mut reference, mut operation) = (None, None, None);
    let (mut seen, mut early) = (false, None);
    let mut first = true;
    while let Some(name) = cursor.member(first)? {
        first = false;
        match &*name {
            "class" => class = Some(cursor.string()?),
            "ref" => reference = Some(cursor.string()?),
            "operation" => operation = Some(cursor.string()?),
            "snapshot" => match (&class, &reference) {
                (Some(class), Some(reference)) => {
                    seen = true;
                    apply(cursor, snapshot, problems, class, reference)?;
                }
                // XAPI writes class and ref first, but nothing says that it must.
                _ => early = Some(cursor.skip()?),
            },
            _ => drop(cursor.skip()?),
        }
    }
    let lacks = |what: &str| Stop::Wrong(format!("an event has no {what}").into());
    let class = class.ok_or_else(|| lacks("class"))?;
    let reference = reference.ok_or_else(|| lacks("ref"))?;
    let operation = match operation.as_deref() {
        Some("add") => Operation::Added,
        Some("mod") => Operation::Modified,
        Some("del") => Operation::Deleted,
        Some(other) => {
            let other: String = other.chars().take(32).collect();
            return Err(Stop::Wrong(
                format!("an event has the operation {}", quoted(other)).into(),
            ));
        }
        None => return Err(lacks("operation")),
    };
    if let Some(bytes) = early {
        seen = true;
        let mut cursor = Cursor { bytes, text: None, at: 0, last: true };
        apply(&mut cursor, snapshot, problems, &class, &reference)?;
    }
    let Some(known) = Class::from_name(&class) else {
        if !snapshot.unmodelled.contains(&*class) {
            snapshot.unmodelled.insert(class.into_owned());
        }
        return Ok(None);
    };
    if operation == Operation::Deleted {
        problems.forget(known, &reference);
        with_class!(known, T => {
            T::table_mut(snapshot).remove(&Ref::new(&reference));
        });
    } else if !seen {
        with_class!(known, T => {
            put::<T>(
                snapshot,
                problems,
                known,
                &reference,
                Err("the event has no record".to_owned()),
            );
        });
    }
    Ok(Some(Event { class: known, reference: reference.into_owned(), operation }))
}

fn apply(
    cursor: &mut Cursor<'_>,
    snapshot: &mut Snapshot,
    problems: &mut Problems,
    class: &str,
    reference: &str,
) -> Result<(), Stop> {
    match Class::from_name(class) {
        Some(class) => with_class!(class, T => {
            let record = record::<T>(cursor)?;
            put(snapshot, problems, class, reference, record);
        }),
        None => {
            cursor.skip()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::body::Body;

    fn events(snapshot: &mut Snapshot, text: &str) -> Result<(Batch, Vec<String>)> {
        let mut changes = Vec::new();
        let reply = Reply::new(Body::Bytes(text.as_bytes().to_vec()), 1 << 20);
        let batch = reply.events(snapshot, |change| {
            changes.push(format!("{:?} {} {}", change.operation, change.class, change.reference));
        })?;
        Ok((batch, changes))
    }

    #[test]
    fn events_change_the_snapshot_in_whatever_order_their_members_come() {
        let mut snapshot = Snapshot::new();
        let (batch, changes) = events(
            &mut snapshot,
            r#"{"jsonrpc":"2.0","result":{"events":[
                {"id":"1","timestamp":"0.0","class":"sr","operation":"add",
                 "ref":"OpaqueRef:s","snapshot":{"uuid":"s"}},
                {"snapshot":{"uuid":"p"},"ref":"OpaqueRef:p","operation":"add","class":"pbd"},
                {"id":"2","class":"console","operation":"add",
                 "ref":"OpaqueRef:c","snapshot":{"x":[]}}],
               "valid_ref_counts":{"sr":1,"pbd":1,"console":1},"token":"7,0"},"id":1}"#,
        )
        .unwrap();
        assert_eq!(changes, ["Added SR OpaqueRef:s", "Added PBD OpaqueRef:p"]);
        assert_eq!((batch.token.as_str(), batch.events), ("7,0", 3));
        assert!(batch.knows(Class::Sr) && !batch.knows(Class::Vm));
        assert_eq!((snapshot.sr.len(), snapshot.pbd.len()), (1, 1));
        assert!(snapshot.unmodelled.contains("console"));

        let (_, changes) = events(
            &mut snapshot,
            r#"{"result":{"events":[
                {"class":"sr","operation":"del","ref":"OpaqueRef:s"},
                {"class":"pbd","operation":"mod",
                 "ref":"OpaqueRef:p","snapshot":{"currently_attached":5}}],
               "token":"8,0"}}"#,
        )
        .unwrap();
        assert_eq!(changes, ["Deleted SR OpaqueRef:s", "Modified PBD OpaqueRef:p"]);
        assert_eq!((snapshot.sr.len(), snapshot.pbd.len()), (0, 0));
        assert_eq!(snapshot.problems.len(), 1);

        let repaired = r#"{"result":{"events":[
                {"class":"pbd","operation":"mod","ref":"OpaqueRef:p","snapshot":{"uuid":"p"}}],
               "token":"9,0"}}"#;
        events(&mut snapshot, repaired).unwrap();
        assert_eq!((snapshot.pbd.len(), snapshot.problems.len()), (1, 0));
    }

    #[test]
    fn events_without_what_they_need_are_refused() {
        for (text, why) in [
            (r#"{"result":{"events":[]}}"#, "no token"),
            (r#"{"result":{"events":[{"ref":"x","operation":"add"}],"token":""}}"#, "no class"),
            (r#"{"result":{"events":[{"class":"vm","operation":"add"}],"token":""}}"#, "no ref"),
            (r#"{"result":{"events":[{"class":"vm","ref":"x"}],"token":""}}"#, "no operation"),
            (
                r#"{"result":{"events":[{"class":"vm","ref":"x","operation":"frob"}],"token":""}}"#,
                "frob",
            ),
            (r#"{"result":{"events":[5],"token":""}}"#, "expected an object"),
            (r#"{"result":{"events":{},"token":""}}"#, "expected an array"),
            (r#"{"result":{"events":[],"token":5}}"#, "expected a string"),
        ] {
            let error = events(&mut Snapshot::new(), text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn an_event_without_its_record_is_a_problem_of_that_object() {
        let mut snapshot = Snapshot::new();
        events(
            &mut snapshot,
            r#"{"result":{"events":[{"class":"vm","ref":"x","operation":"add"}],"token":""}}"#,
        )
        .unwrap();
        assert_eq!(snapshot.problems[0].to_string(), "VM x: the event has no record");
    }
}
