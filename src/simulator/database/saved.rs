//! Databases as JSON: `{"class": {"OpaqueRef:…": {"field": value}}}`.

use std::sync::Arc;

use serde_json::Value as Json;

use super::store::Database;
use super::value::Value;
use crate::error::{Error, ErrorKind};
use crate::simulator::release::Release;
use crate::text::quoted;

impl Database {
    /// Reads a database from the JSON that [`save`](Self::save) writes or that the server's
    /// `get_all_records` gives, class by class.
    ///
    /// Missing fields are completed as [`create`](Self::create) completes them, fields that follow
    /// from others are worked out anew, and classes and fields that the release does not have are
    /// left out.
    ///
    /// # Errors
    /// `InvalidInput`, naming class, ref and field.
    pub fn load(release: Release, saved: &Json) -> Result<Self, Error> {
        let wrong = |what: String| Error::new(ErrorKind::InvalidInput, what);
        let classes = saved
            .as_object()
            .ok_or_else(|| wrong("the database is not an object of classes".to_owned()))?;
        let mut database = Self::new(release);
        let mut known: Vec<_> = classes
            .iter()
            .filter_map(|(class, rows)| Some((database.schema.class_index(class)?, class, rows)))
            .collect();
        known.sort_by_key(|(index, ..)| *index);
        for (_, class, rows) in &known {
            if rows.is_null() {
                continue;
            }
            let rows = rows
                .as_object()
                .ok_or_else(|| wrong(format!("class {class} is not an object of records")))?;
            let mut rows: Vec<_> = rows.iter().collect();
            rows.sort_by_key(|(object, _)| object.as_str());
            for (object, record) in rows {
                database.load_row(class, object, record)?;
            }
        }
        // The server completes the rows that have fields following from others in a second step,
        // and dates them all alike.
        database.generation += 1;
        let completed = database.generation;
        for (class, table) in database.schema.classes().iter().zip(&mut database.tables) {
            if class.fields().iter().any(|field| field.is_many_side()) {
                let rows: Vec<_> = table.rows().map(|(object, _)| object.clone()).collect();
                for object in rows {
                    Arc::make_mut(table).date(&object, completed);
                }
            }
        }
        database.writes = 0;
        Ok(database)
    }

    /// The database as JSON, as asking for each class of records would give.
    ///
    /// Classes without any record are there, too.
    pub fn save(&self) -> Json {
        let classes = self.schema.classes().iter();
        classes
            .filter(|class| class.message("get_all_records").is_some_and(|it| !it.is_removed()))
            .chain(self.schema.class("session"))
            .map(|class| {
                let class = class.name();
                let rows = self.objects(class);
                let rows: Json = rows
                    .map(|row| (row.reference().to_string(), row.record().to_json()))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
                (class.to_owned(), rows)
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Changes the database by JSON in the form of [`save`](Self::save).
    ///
    /// It has the fields to be written of objects that are there, new objects, whose rest is
    /// completed as [`load`](Self::load) does, and `null` for objects that shall not be there.
    ///
    /// # Errors
    /// `InvalidInput`, naming class, ref and field; what came before stays written.
    pub fn patch(&mut self, changes: &Json) -> Result<(), Error> {
        let wrong = |what: String| Error::new(ErrorKind::InvalidInput, what);
        let classes = changes
            .as_object()
            .ok_or_else(|| wrong("the database is not an object of classes".to_owned()))?;
        let schema = self.schema;
        for (class, rows) in classes {
            let known =
                schema.class(class).ok_or_else(|| wrong(format!("no class {}", quoted(class))))?;
            let rows = rows
                .as_object()
                .ok_or_else(|| wrong(format!("class {class} is not an object of records")))?;
            for (object, record) in rows {
                let wrong = |what: String| wrong(format!("{class} {object}: {what}"));
                if record.is_null() {
                    self.destroy(class, object);
                    continue;
                }
                let record = record
                    .as_object()
                    .ok_or_else(|| wrong("the record is not an object".to_owned()))?;
                let unknown = |name: &&String| known.fields().iter().all(|f| f.name() != **name);
                if let Some(name) = record.keys().find(unknown) {
                    return Err(wrong(format!("no field {}", quoted(name))));
                }
                if !self.contains(class, object) {
                    self.load_row(class, object, &Json::Object(record.clone()))?;
                    continue;
                }
                for field in known.fields() {
                    let Some(json) = record.get(field.name()) else { continue };
                    let value = Value::from_json(field.kind(), json)
                        .map_err(|mismatch| wrong(format!("{} {mismatch}", field.name())))?;
                    self.set(class, object, field.name(), value)
                        .map_err(|fault| wrong(fault.to_string()))?;
                }
            }
        }
        Ok(())
    }

    fn load_row(&mut self, class: &str, object: &str, record: &Json) -> Result<(), Error> {
        let wrong =
            |what: String| Error::new(ErrorKind::InvalidInput, format!("{class} {object}: {what}"));
        let record =
            record.as_object().ok_or_else(|| wrong("the record is not an object".to_owned()))?;
        let mut values = Vec::with_capacity(record.len());
        let schema = self.schema;
        let fields = schema.class(class).map_or(&[][..], |class| class.fields());
        for field in fields {
            let value = match record.get(field.name()) {
                Some(json) => Value::from_json(field.kind(), json)
                    .map_err(|mismatch| wrong(format!("{} {mismatch}", field.name())))?,
                None if field.name() == "uuid" => continue,
                None => field.when_missing(),
            };
            values.push((field.name(), value));
        }
        self.create(class, object, values).map_err(|fault| wrong(fault.to_string()))
    }
}
