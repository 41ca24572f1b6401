//! The rows of all classes, and what a write brings with it.

use std::sync::Arc;

use super::change::{Change, Operation};
use super::reference::Ref;
use super::row::Row;
use super::schema::{Class, Field, Relation, Schema};
use super::table::{Cells, Table};
use super::value::Value;
use crate::error::Fault;
use crate::simulator::release::Release;

/// A pool's database, as its master holds it.
///
/// Rows have every field that the database's release has, and no other: reading a field that the
/// release lacks answers the empty value, writing one does nothing. Fields that follow from other
/// objects (`host.PBDs` from `PBD.host`) are kept by the database and cannot be written.
///
/// Every write moves the generation, marks the row (and the rows whose fields follow from it) as
/// modified, and is seen by `event.from`. A clone is a backup: it shares its rows
/// until one side changes them.
///
/// # Examples
/// ```
/// use xcp_pool::simulator::Release;
/// use xcp_pool::simulator::database::{Database, Value};
///
/// let mut database = Database::new(Release::XcpNg83);
/// database.create("host", "OpaqueRef:h", [("name_label", Value::text("phantom"))])?;
/// database.create("SR", "OpaqueRef:s", [("type", Value::text("nfs")), ("shared", true.into())])?;
/// database.create("PBD", "OpaqueRef:p", [
///     ("host", Value::text("OpaqueRef:h")),
///     ("SR", Value::text("OpaqueRef:s")),
/// ])?;
/// database.set("PBD", "OpaqueRef:p", "currently_attached", true)?;
///
/// let host = database.object("host", "OpaqueRef:h").expect("it was just made");
/// assert_eq!(host.refs("PBDs"), ["OpaqueRef:p".into()]);
/// let shared = database.objects("SR").filter(|sr| sr.flag("shared")).count();
/// assert_eq!(shared, 1);
/// # Ok::<(), xcp_pool::Fault>(())
/// ```
#[derive(Clone, Debug)]
pub struct Database {
    release: Release,
    pub(super) schema: &'static Schema,
    pub(super) tables: Vec<Arc<Table>>,
    pub(super) generation: u64,
    pub(super) writes: u64,
}

impl Database {
    /// An empty database of a release.
    pub fn new(release: Release) -> Self {
        let schema = Schema::of(release);
        let tables = schema.classes().iter().map(|class| Arc::new(Table::new(class))).collect();
        Self { release, schema, tables, generation: 0, writes: 0 }
    }

    /// The release whose fields it has.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The exact names of its classes, in the datamodel's order.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = &'static str> + use<> {
        self.schema.classes().iter().map(Class::name)
    }

    /// The names of a class's fields, in the order in which records have them.
    pub fn fields(&self, class: &str) -> impl ExactSizeIterator<Item = &'static str> + use<> {
        let fields = self.schema.class(class).map_or(&[][..], Class::fields);
        fields.iter().map(Field::name)
    }

    /// The datamodel that its rows follow.
    pub(in crate::simulator) fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// The number of writes so far, in this and earlier lives of the database.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How often objects were written, but for sessions and tasks.
    ///
    /// Since the database was made or loaded.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// How many objects a class has.
    pub fn count(&self, class: &str) -> usize {
        self.table(class).map_or(0, |(_, table)| table.len())
    }

    /// Whether the object exists.
    pub fn contains(&self, class: &str, object: &str) -> bool {
        self.table(class).is_some_and(|(_, table)| table.row(object).is_some())
    }

    /// The object, to read fields of.
    pub fn object<'a>(&'a self, class: &str, object: &str) -> Option<Row<'a>> {
        let (class, table) = self.table(class)?;
        let (reference, row) = table.entry(object)?;
        Some(Row::new(class, table, reference, row))
    }

    /// The object, or the error that the server gives for a ref without one.
    ///
    /// # Errors
    /// `HANDLE_INVALID [class, ref]`.
    pub fn require<'a>(&'a self, class: &str, object: &str) -> Result<Row<'a>, Fault> {
        self.object(class, object).ok_or_else(|| handle_invalid(class, object))
    }

    /// Every object of a class, in the server's order: refs descending.
    pub fn objects<'a>(
        &'a self,
        class: &str,
    ) -> impl DoubleEndedIterator<Item = Row<'a>> + use<'a> {
        self.table(class).into_iter().flat_map(|(class, table)| {
            table.rows().rev().map(move |(object, row)| Row::new(class, table, object, row))
        })
    }

    /// The refs of every object of a class, in the server's order: descending.
    pub fn refs(&self, class: &str) -> Vec<Ref> {
        self.objects(class).map(|object| Ref::clone(object.reference())).collect()
    }

    /// The first object of a class, in the server's order, for which `wanted` holds.
    pub fn find(&self, class: &str, wanted: impl Fn(&Row<'_>) -> bool) -> Option<Ref> {
        self.objects(class).find(wanted).map(|object| Ref::clone(object.reference()))
    }

    /// The object with a uuid.
    pub fn by_uuid(&self, class: &str, uuid: &str) -> Option<Ref> {
        self.table(class)?.1.by_uuid(uuid).cloned()
    }

    /// The objects with a `name_label`, in the server's order.
    pub fn by_name_label(&self, class: &str, label: &str) -> Vec<Ref> {
        self.objects(class)
            .filter(|object| object.text("name_label") == label)
            .map(|object| Ref::clone(object.reference()))
            .collect()
    }

    /// A field's value; the empty text where object or field do not exist.
    pub fn get(&self, class: &str, object: &str, field: &str) -> Value {
        self.object(class, object).map_or_else(Value::void, |object| object.get(field))
    }

    /// A text, ref or enum field; empty where object or field do not exist.
    pub fn text(&self, class: &str, object: &str, field: &str) -> Ref {
        self.object(class, object).map_or_else(|| "".into(), |object| object.shared_text(field))
    }

    /// A boolean field; false where object or field do not exist.
    pub fn flag(&self, class: &str, object: &str, field: &str) -> bool {
        self.object(class, object).is_some_and(|object| object.flag(field))
    }

    /// Writes a field.
    ///
    /// A field that the release lacks or that follows from others is left alone.
    ///
    /// # Errors
    /// `HANDLE_INVALID [class, ref]`.
    pub fn set(
        &mut self,
        class: &str,
        object: &str,
        field: &str,
        value: impl Into<Value>,
    ) -> Result<(), Fault> {
        let (index, reference) = self.locate(class, object)?;
        let Some(position) = self.schema.classes()[index].field_index(field) else {
            return Ok(());
        };
        self.count_write(index);
        self.write(index, &reference, position, value.into());
        Ok(())
    }

    /// Changes a field in place. What [`set`](Self::set) says of fields holds here as well.
    ///
    /// # Errors
    /// `HANDLE_INVALID [class, ref]`.
    pub fn update(
        &mut self,
        class: &str,
        object: &str,
        field: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<(), Fault> {
        let mut value = self.require(class, object)?.get(field);
        change(&mut value);
        self.set(class, object, field, value)
    }

    /// Makes an object.
    ///
    /// Fields that are not given begin with the datamodel's default, else with the empty value of
    /// their type; a uuid that is not given is the text after `OpaqueRef:`.
    ///
    /// # Errors
    /// `DB_UNIQUENESS_CONSTRAINT_VIOLATION [class, "_ref" or "uuid", value]`.
    pub fn create<'v>(
        &mut self,
        class: &str,
        object: &str,
        values: impl IntoIterator<Item = (&'v str, Value)>,
    ) -> Result<(), Fault> {
        let Some(index) = self.schema.class_index(class) else {
            let text = format!("Db_exn.DBCache_NotFound(\"missing table\", \"{class}\", \"\")");
            return Err(Fault::new("INTERNAL_ERROR", [text]));
        };
        let description = &self.schema.classes()[index];
        let mut row: Vec<Value> =
            description.fields().iter().map(|field| field.default().clone()).collect();
        let uuid = description.field_index("uuid");
        if let Some(uuid) = uuid {
            row[uuid] = Value::text(object.strip_prefix("OpaqueRef:").unwrap_or(object));
        }
        for (name, value) in values {
            if let Some(position) = description.field_index(name) {
                if description.fields()[position].relation != Relation::Many {
                    row[position] = value;
                }
            }
        }
        let clash = |field: &str, value: &str| {
            Fault::new("DB_UNIQUENESS_CONSTRAINT_VIOLATION", [class, field, value])
        };
        let table = &self.tables[index];
        if table.row(object).is_some() {
            return Err(clash("_ref", object));
        }
        let uuid = uuid.and_then(|uuid| row[uuid].as_str());
        if let Some(uuid) = uuid.filter(|uuid| table.by_uuid(uuid).is_some()) {
            return Err(clash("uuid", uuid));
        }
        self.count_write(index);
        let reference: Ref = object.into();
        for (position, value) in row.iter().enumerate() {
            self.link(index, position, value, &reference);
        }
        Arc::make_mut(&mut self.tables[index]).insert(reference, Cells::new(row, self.generation));
        Ok(())
    }

    /// Removes an object, if it is there; returns whether it was.
    ///
    /// Refs to it stay, dangling.
    pub fn destroy(&mut self, class: &str, object: &str) -> bool {
        let Ok((index, reference)) = self.locate(class, object) else { return false };
        self.count_write(index);
        let Some(row) = Arc::make_mut(&mut self.tables[index]).remove(&reference, self.generation)
        else {
            return false;
        };
        for (position, value) in row.values().iter().enumerate() {
            self.unlink(index, position, value, &reference);
        }
        true
    }

    /// Marks an object as modified, as `event.inject` does.
    ///
    /// # Errors
    /// `HANDLE_INVALID [class, ref]`.
    pub fn touch(&mut self, class: &str, object: &str) -> Result<(), Fault> {
        let (index, reference) = self.locate(class, object)?;
        self.generation += 1;
        Arc::make_mut(&mut self.tables[index]).touch(&reference, self.generation);
        Ok(())
    }

    /// Forgets what a restart of the server loses.
    ///
    /// Sessions, tasks and the log of deletions.
    pub fn restart(&mut self) {
        for class in VOLATILE {
            for object in self.refs(class) {
                self.destroy(class, &object);
            }
        }
        for table in &mut self.tables {
            Arc::make_mut(table).forget_deletions();
        }
    }

    /// What happened to the wanted objects after a generation, and the generation to ask with next.
    ///
    /// Additions come first, then modifications, then deletions, each by class in the datamodel's
    /// order and by ref (`xapi_event.ml`). What was made and removed in between is not there.
    pub(in crate::simulator) fn changes(
        &self,
        since: u64,
        wanted: impl Fn(&'static str, &str) -> bool,
    ) -> (Vec<Change>, u64) {
        let (mut added, mut modified, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = since;
        for (class, table) in self.schema.classes().iter().zip(&self.tables) {
            let class = class.name();
            for (object, row) in table.rows() {
                if row.modified() <= since || !wanted(class, object) {
                    continue;
                }
                last = last.max(row.modified());
                let change = |operation, generation| Change {
                    class,
                    object: Ref::clone(object),
                    operation,
                    generation,
                };
                if row.created() > since {
                    added.push(change(Operation::Add, row.created()));
                } else {
                    modified.push(change(Operation::Modify, row.modified()));
                }
            }
            for deletion in table.deletions() {
                if deletion.deleted > since
                    && deletion.created <= since
                    && wanted(class, &deletion.object)
                {
                    last = last.max(deletion.deleted);
                    deleted.push(Change {
                        class,
                        object: Ref::clone(&deletion.object),
                        operation: Operation::Delete,
                        generation: deletion.deleted,
                    });
                }
            }
        }
        added.append(&mut modified);
        added.append(&mut deleted);
        (added, last)
    }

    /// Moves the generation for a write to a class.
    fn count_write(&mut self, index: usize) {
        self.generation += 1;
        if !VOLATILE.contains(&self.schema.classes()[index].name()) {
            self.writes += 1;
        }
    }

    fn table(&self, class: &str) -> Option<(&'static Class, &Table)> {
        let index = self.schema.class_index(class)?;
        Some((&self.schema.classes()[index], &self.tables[index]))
    }

    fn locate(&self, class: &str, object: &str) -> Result<(usize, Ref), Fault> {
        let index = self.schema.class_index(class);
        index
            .and_then(|index| Some((index, Ref::clone(self.tables[index].entry(object)?.0))))
            .ok_or_else(|| handle_invalid(class, object))
    }

    /// Writes one field of an existing row, at the current generation.
    fn write(&mut self, index: usize, object: &Ref, position: usize, value: Value) {
        let field = &self.schema.classes()[index].fields()[position];
        match field.relation {
            Relation::Many => {}
            Relation::None => {
                Arc::make_mut(&mut self.tables[index]).write(
                    object,
                    position,
                    value,
                    self.generation,
                );
            }
            Relation::One { .. } => {
                let old = Arc::make_mut(&mut self.tables[index]).write(
                    object,
                    position,
                    value.clone(),
                    self.generation,
                );
                if let Some(old) = old.filter(|old| *old != value) {
                    self.unlink(index, position, &old, object);
                    self.link(index, position, &value, object);
                }
            }
        }
    }

    /// Adds `object` to the fields that follow from its field, which now has `value`.
    fn link(&mut self, index: usize, position: usize, value: &Value, object: &Ref) {
        self.relate(index, position, value, |table, many, target, generation| {
            table.link(many, target, object);
            table.touch(target, generation);
        });
    }

    /// Takes `object` out of the fields that followed from its field, which had `value`.
    fn unlink(&mut self, index: usize, position: usize, value: &Value, object: &Ref) {
        self.relate(index, position, value, |table, many, target, generation| {
            table.unlink(many, target, object);
            table.touch(target, generation);
        });
    }

    fn relate(
        &mut self,
        index: usize,
        position: usize,
        value: &Value,
        act: impl Fn(&mut Table, usize, &str, u64),
    ) {
        let field = &self.schema.classes()[index].fields()[position];
        let Relation::One { class, field } = field.relation else { return };
        let single = std::slice::from_ref(value);
        let targets = if let Value::Set(targets) = value { targets.as_slice() } else { single };
        for target in targets.iter().filter_map(Value::as_str) {
            act(Arc::make_mut(&mut self.tables[class]), field, target, self.generation);
        }
    }
}

/// The classes whose objects do not outlive the server.
const VOLATILE: &[&str] = &["session", "task"];

/// The error that the server gives for a ref without an object.
pub(in crate::simulator) fn handle_invalid(class: &str, object: &str) -> Fault {
    Fault::new("HANDLE_INVALID", [class, object])
}
