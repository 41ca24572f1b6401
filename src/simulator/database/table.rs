//! The rows of one class, with what the server remembers about them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::reference::Ref;
use super::schema::Class;
use super::value::{NULL_REF, Value};

/// The rows of one class.
#[derive(Clone, Debug)]
pub(super) struct Table {
    rows: BTreeMap<Ref, Arc<Cells>>,
    by_uuid: HashMap<Ref, Ref>,
    uuid: Option<usize>,
    /// By field: for each object the objects that its field follows from, oldest first.
    many: HashMap<usize, HashMap<Ref, Arc<Links>>>,
    deletions: VecDeque<Deletion>,
}

/// The objects that name one object, in the order in which they began to.
#[derive(Clone, Debug, Default)]
struct Links {
    in_order: BTreeMap<u64, Ref>,
    numbers: HashMap<Ref, u64>,
    next: u64,
}

/// The fields of one object and when it was made and last written.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    values: Vec<Value>,
    created: u64,
    modified: u64,
}

/// An object that is gone.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub object: Ref,
    pub created: u64,
    pub deleted: u64,
}

impl Table {
    pub(super) fn new(class: &Class) -> Self {
        Self {
            rows: BTreeMap::new(),
            by_uuid: HashMap::new(),
            uuid: class.field_index("uuid"),
            many: HashMap::new(),
            deletions: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn row(&self, object: &str) -> Option<&Cells> {
        self.rows.get(object).map(|row| &**row)
    }

    pub(super) fn entry(&self, object: &str) -> Option<(&Ref, &Cells)> {
        self.rows.get_key_value(object).map(|(object, row)| (object, &**row))
    }

    /// Every row, by ref.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = (&Ref, &Cells)> {
        self.rows.iter().map(|(object, row)| (object, &**row))
    }

    pub(super) fn by_uuid(&self, uuid: &str) -> Option<&Ref> {
        self.by_uuid.get(uuid)
    }

    pub(super) fn insert(&mut self, object: Ref, row: Cells) {
        if let Some(uuid) = self.uuid.and_then(|uuid| row.values[uuid].as_str()) {
            self.by_uuid.insert(uuid.into(), Ref::clone(&object));
        }
        self.rows.insert(object, Arc::new(row));
    }

    pub(super) fn remove(&mut self, object: &str, generation: u64) -> Option<Arc<Cells>> {
        let (object, row) = self.rows.remove_entry(object)?;
        if let Some(uuid) = self.uuid.and_then(|uuid| row.values[uuid].as_str()) {
            self.by_uuid.remove(uuid);
        }
        self.deletions.push_back(Deletion { object, created: row.created, deleted: generation });
        if self.deletions.len() > KEPT_DELETIONS {
            self.deletions.drain(..KEPT_DELETIONS / 2);
        }
        Some(row)
    }

    /// Writes a field and returns what it held before.
    pub(super) fn write(
        &mut self,
        object: &str,
        position: usize,
        value: Value,
        generation: u64,
    ) -> Option<Value> {
        let (object, row) = match self.rows.get_mut(object) {
            Some(row) => (object, Arc::make_mut(row)),
            None => return None,
        };
        row.modified = generation;
        let new_uuid = (self.uuid == Some(position)).then(|| value.as_str().map(Ref::from));
        let old = std::mem::replace(&mut row.values[position], value);
        if let Some(Some(uuid)) = new_uuid {
            self.by_uuid.remove(old.as_str().unwrap_or_default());
            self.by_uuid.insert(uuid, object.into());
        }
        Some(old)
    }

    pub(super) fn touch(&mut self, object: &str, generation: u64) {
        if let Some(row) = self.rows.get_mut(object) {
            Arc::make_mut(row).modified = generation;
        }
    }

    /// Sets when the object was made.
    ///
    /// As the server does for rows that it completes while loading.
    pub(super) fn date(&mut self, object: &str, generation: u64) {
        if let Some(row) = self.rows.get_mut(object) {
            let row = Arc::make_mut(row);
            (row.created, row.modified) = (generation, generation);
        }
    }

    pub(super) fn link(&mut self, field: usize, target: &str, object: &Ref) {
        if target == NULL_REF {
            return;
        }
        let links = self.many.entry(field).or_default();
        let links = match links.get_mut(target) {
            Some(links) => links,
            None => links.entry(target.into()).or_default(),
        };
        Arc::make_mut(links).add(object);
    }

    pub(super) fn unlink(&mut self, field: usize, target: &str, object: &Ref) {
        if let Some(links) = self.many.get_mut(&field).and_then(|links| links.get_mut(target)) {
            Arc::make_mut(links).remove(object);
        }
    }

    /// The objects that a field follows from, newest first.
    pub(super) fn links(
        &self,
        field: usize,
        target: &str,
    ) -> impl DoubleEndedIterator<Item = &Ref> {
        let links = self.many.get(&field).and_then(|links| links.get(target));
        links.into_iter().flat_map(|links| links.in_order.values().rev())
    }

    pub(super) fn deletions(&self) -> impl Iterator<Item = &Deletion> {
        self.deletions.iter()
    }

    pub(super) fn forget_deletions(&mut self) {
        self.deletions.clear();
    }
}

impl Links {
    fn add(&mut self, object: &Ref) {
        if !self.numbers.contains_key(object) {
            self.in_order.insert(self.next, Ref::clone(object));
            self.numbers.insert(Ref::clone(object), self.next);
            self.next += 1;
        }
    }

    fn remove(&mut self, object: &Ref) {
        if let Some(number) = self.numbers.remove(object) {
            self.in_order.remove(&number);
        }
    }
}

impl Cells {
    pub(super) fn new(values: Vec<Value>, generation: u64) -> Self {
        Self { values, created: generation, modified: generation }
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    pub(super) fn created(&self) -> u64 {
        self.created
    }

    pub(super) fn modified(&self) -> u64 {
        self.modified
    }
}

/// How many deletions a table remembers before it forgets the older half (`db_cache_types.ml`).
const KEPT_DELETIONS: usize = 512;
