//! All records of one class.

use std::collections::btree_map::{self, BTreeMap};
use std::collections::{HashMap, hash_map};
use std::sync::OnceLock;

use super::{Record, Ref, Uuid};

/// All records of one class, in the order of their refs and indexed by uuid.
///
/// The server walks its tables the other way round, from the last ref to the first (recorded): what
/// it meets first is here the last.
#[derive(Clone, Debug)]
pub struct Table<T> {
    covered: bool,
    /// Boxed: records are large, and a tree moves its rows.
    rows: BTreeMap<Ref<T>, Box<T>>,
    /// Made when first asked, since few readers ask; dropped when it no longer fits.
    by_uuid: OnceLock<HashMap<Uuid, Ref<T>>>,
}

impl<T: Record> Table<T> {
    /// Whether the source covered this class.
    ///
    /// A table that is covered and empty means that there are no such objects.
    pub fn covered(&self) -> bool {
        self.covered
    }

    /// Says that the source covered this class, even if no record follows.
    pub fn cover(&mut self) {
        self.covered = true;
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The record that a ref leads to, unless the ref is null or dangling.
    pub fn get(&self, reference: &Ref<T>) -> Option<&T> {
        self.rows.get(reference).map(Box::as_ref)
    }

    /// The record that a ref leads to, to change.
    ///
    /// Do not change the uuid: insert the record anew instead.
    pub fn get_mut(&mut self, reference: &Ref<T>) -> Option<&mut T> {
        self.rows.get_mut(reference).map(Box::as_mut)
    }

    /// The ref and record with a uuid; of two with one uuid, that with the lower ref.
    pub fn by_uuid(&self, uuid: &Uuid) -> Option<(&Ref<T>, &T)> {
        let index = self.by_uuid.get_or_init(|| {
            let mut index = HashMap::with_capacity(self.rows.len());
            for (reference, record) in &self.rows {
                if let hash_map::Entry::Vacant(entry) = index.entry(record.uuid().clone()) {
                    entry.insert(reference.clone());
                }
            }
            index.remove(&Uuid::default());
            index
        });
        let (reference, record) = self.rows.get_key_value(index.get(uuid)?)?;
        Some((reference, record))
    }

    /// Refs and records, in the order of the refs.
    pub fn iter(&self) -> TableIter<'_, T> {
        TableIter(self.rows.iter())
    }

    /// All records with their refs, to change.
    ///
    /// Do not change uuids: insert such records anew instead.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&Ref<T>, &mut T)> {
        self.rows.iter_mut().map(|(reference, record)| (reference, record.as_mut()))
    }

    /// The refs, in order.
    pub fn refs(&self) -> impl DoubleEndedIterator<Item = &Ref<T>> + ExactSizeIterator + Clone {
        self.rows.keys()
    }

    /// The records, in the order of their refs.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator + Clone {
        self.rows.values().map(Box::as_ref)
    }

    /// Adds or replaces a record; returns the one that it replaced.
    pub fn insert(&mut self, reference: Ref<T>, record: T) -> Option<T> {
        self.covered = true;
        match self.rows.entry(reference) {
            btree_map::Entry::Vacant(entry) => {
                self.by_uuid.take();
                entry.insert(Box::new(record));
                None
            }
            btree_map::Entry::Occupied(mut entry) => {
                if entry.get().uuid() != record.uuid() {
                    self.by_uuid.take();
                }
                Some(std::mem::replace(entry.get_mut().as_mut(), record))
            }
        }
    }

    /// Removes a record.
    pub fn remove(&mut self, reference: &Ref<T>) -> Option<T> {
        let old = self.rows.remove(reference)?;
        self.by_uuid.take();
        Some(*old)
    }

    /// Removes all records; the class stays covered.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.by_uuid.take();
    }
}

/// The refs and records of a table, in the order of the refs.
#[derive(Debug)]
pub struct TableIter<'a, T>(btree_map::Iter<'a, Ref<T>, Box<T>>);

impl<'a, T> Iterator for TableIter<'a, T> {
    type Item = (&'a Ref<T>, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(reference, record)| (reference, record.as_ref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> DoubleEndedIterator for TableIter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(reference, record)| (reference, record.as_ref()))
    }
}

impl<T> ExactSizeIterator for TableIter<'_, T> {}

impl<T> Clone for TableIter<'_, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { covered: false, rows: BTreeMap::new(), by_uuid: OnceLock::new() }
    }
}

impl<T: PartialEq> PartialEq for Table<T> {
    fn eq(&self, other: &Self) -> bool {
        self.covered == other.covered && self.rows == other.rows
    }
}

impl<'a, T> IntoIterator for &'a Table<T> {
    type Item = (&'a Ref<T>, &'a T);
    type IntoIter = TableIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        TableIter(self.rows.iter())
    }
}

impl<T: Record> Extend<(Ref<T>, T)> for Table<T> {
    fn extend<I: IntoIterator<Item = (Ref<T>, T)>>(&mut self, rows: I) {
        for (reference, record) in rows {
            self.insert(reference, record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sr;

    #[test]
    fn the_uuid_index_does_not_depend_on_the_order_of_changes() {
        let sr = |uuid: &str| {
            let mut sr = Sr::default();
            sr.set_uuid(uuid.into());
            sr
        };
        let mut table = Table::default();
        table.insert("OpaqueRef:a".into(), sr("1"));
        table.insert("OpaqueRef:b".into(), sr("1"));
        assert_eq!(table.by_uuid(&"1".into()).unwrap().0, &"OpaqueRef:a".into());
        table.insert("OpaqueRef:a".into(), sr("2"));
        assert_eq!(table.by_uuid(&"1".into()).unwrap().0, &"OpaqueRef:b".into());
        table.remove(&"OpaqueRef:b".into());
        assert_eq!(table.by_uuid(&"1".into()), None);
    }
}
