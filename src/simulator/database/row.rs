//! One object of a database, to read.

use std::sync::Arc;

use super::reference::Ref;
use super::schema::{Class, Relation};
use super::table::{Cells, Table};
use super::value::{NULL_REF, Value};

/// One object of a database, to read.
///
/// Reading a field that the release lacks answers what is empty for the kind of reading.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    class: &'static Class,
    table: &'a Table,
    reference: &'a Ref,
    row: &'a Cells,
}

impl<'a> Row<'a> {
    pub(super) fn new(
        class: &'static Class,
        table: &'a Table,
        reference: &'a Ref,
        row: &'a Cells,
    ) -> Self {
        Self { class, table, reference, row }
    }

    /// The class's exact name.
    pub fn class(&self) -> &'static str {
        self.class.name()
    }

    /// The object's ref.
    pub fn reference(&self) -> &'a Ref {
        self.reference
    }

    /// The value of a field; the empty text if the release has no such field.
    pub fn get(&self, field: &str) -> Value {
        match self.class.field_index(field) {
            Some(position) => self.at(position),
            None => Value::void(),
        }
    }

    /// A text, ref, enum or date.
    pub fn text(&self, field: &str) -> &'a str {
        self.stored(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A text, ref, enum or date, shared with the database.
    pub fn shared_text(&self, field: &str) -> Ref {
        match self.stored(field) {
            Some(Value::Text(text) | Value::Date(text)) => Arc::clone(text),
            _ => "".into(),
        }
    }

    /// The object that a field names; `None` for the null ref.
    pub fn target(&self, field: &str) -> Option<&'a str> {
        Some(self.text(field)).filter(|target| *target != NULL_REF && !target.is_empty())
    }

    /// Whether the release has the field.
    pub fn has(&self, field: &str) -> bool {
        self.class.field_index(field).is_some()
    }

    /// A boolean.
    pub fn flag(&self, field: &str) -> bool {
        self.stored(field).and_then(Value::as_bool).unwrap_or(false)
    }

    /// An integer.
    pub fn int(&self, field: &str) -> i64 {
        self.stored(field).and_then(Value::as_int).unwrap_or(0)
    }

    /// What a map has under a key, if it is a text.
    pub fn entry(&self, field: &str, key: &str) -> Option<&'a str> {
        self.stored(field)?.at(key)?.as_str()
    }

    /// Whether a map or a set is empty; a set that follows from other objects included.
    pub fn is_empty(&self, field: &str) -> bool {
        match self.get(field) {
            Value::Map(pairs) => pairs.is_empty(),
            Value::Set(elements) => elements.is_empty(),
            _ => true,
        }
    }

    /// The refs or texts of a set, in the server's order.
    pub fn refs(&self, field: &str) -> Vec<Ref> {
        let Some(position) = self.class.field_index(field) else { return Vec::new() };
        if self.class.fields()[position].relation == Relation::Many {
            return self.table.links(position, self.reference).cloned().collect();
        }
        let elements = self.row.values()[position].elements();
        elements.iter().filter_map(Value::as_str).map(Ref::from).collect()
    }

    /// The whole record, in the datamodel's order.
    pub fn record(&self) -> Value {
        let fields = self.class.fields().iter().enumerate();
        Value::Map(fields.map(|(at, field)| (Arc::clone(&field.key), self.at(at))).collect())
    }

    fn at(&self, position: usize) -> Value {
        if self.class.fields()[position].relation == Relation::Many {
            let links = self.table.links(position, self.reference);
            return Value::Set(links.map(Value::from).collect());
        }
        self.row.values()[position].clone()
    }

    fn stored(&self, field: &str) -> Option<&'a Value> {
        self.class.field_index(field).map(|position| &self.row.values()[position])
    }
}
