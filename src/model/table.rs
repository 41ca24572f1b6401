//! All records of one class.

use std::collections::btree_map;
use std::collections::{BTreeMap, BTreeSet};

use super::{Record, Ref, Uuid};

/// All records of one class in a snapshot, in the order of their refs, indexed by uuid.
///
/// The server walks its tables in the same order, so "the first" means the same here and there.
#[derive(Clone, Debug)]
pub struct Table<T> {
    covered: bool,
    rows: BTreeMap<Ref<T>, T>,
    by_uuid: BTreeMap<Uuid, Ref<T>>,
    /// The records of each uuid that several have, which only damaged or invented databases show.
    twins: BTreeMap<Uuid, BTreeSet<Ref<T>>>,
}

impl<T: Record> Table<T> {
    /// Whether the source covered this class: an empty table that is covered means "none".
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

    /// The record that a ref leads to; none for null and dangling refs.
    pub fn get(&self, reference: &Ref<T>) -> Option<&T> {
        self.rows.get(reference)
    }

    /// The same, to change. Do not change the uuid: insert the record anew instead.
    pub fn get_mut(&mut self, reference: &Ref<T>) -> Option<&mut T> {
        self.rows.get_mut(reference)
    }

    /// The ref and record with a uuid.
    pub fn by_uuid(&self, uuid: &Uuid) -> Option<(&Ref<T>, &T)> {
        self.by_uuid.get(uuid).and_then(|reference| self.rows.get_key_value(reference))
    }

    /// Refs and records, in the order of the refs.
    pub fn iter(&self) -> btree_map::Iter<'_, Ref<T>, T> {
        self.rows.iter()
    }

    /// The same, to change. Do not change uuids.
    pub fn iter_mut(&mut self) -> btree_map::IterMut<'_, Ref<T>, T> {
        self.rows.iter_mut()
    }

    /// The refs, in order.
    pub fn refs(&self) -> btree_map::Keys<'_, Ref<T>, T> {
        self.rows.keys()
    }

    /// The records, in the order of their refs.
    pub fn records(&self) -> btree_map::Values<'_, Ref<T>, T> {
        self.rows.values()
    }

    /// Adds or replaces a record; answers the one it replaced.
    pub fn insert(&mut self, reference: Ref<T>, record: T) -> Option<T> {
        self.covered = true;
        let uuid = record.uuid().clone();
        let old = self.rows.insert(reference.clone(), record);
        if let Some(old) = old.as_ref().filter(|old| *old.uuid() != uuid) {
            self.forget_uuid(old.uuid(), &reference);
        }
        if !uuid.is_empty() {
            // Of two records with one uuid the first by ref, in whatever order they came.
            match self.by_uuid.entry(uuid) {
                btree_map::Entry::Vacant(place) => drop(place.insert(reference)),
                btree_map::Entry::Occupied(known) if *known.get() == reference => {}
                btree_map::Entry::Occupied(mut known) => {
                    let twins = self.twins.entry(known.key().clone()).or_default();
                    twins.extend([known.get().clone(), reference.clone()]);
                    if reference < *known.get() {
                        known.insert(reference);
                    }
                }
            }
        }
        old
    }

    /// Removes a record.
    pub fn remove(&mut self, reference: &Ref<T>) -> Option<T> {
        let old = self.rows.remove(reference)?;
        self.forget_uuid(old.uuid(), reference);
        Some(old)
    }

    /// A record no longer has this uuid; another may.
    fn forget_uuid(&mut self, uuid: &Uuid, reference: &Ref<T>) {
        let twins = self.twins.get_mut(uuid);
        let twin = twins.and_then(|twins| {
            twins.remove(reference);
            twins.first().cloned()
        });
        if self.by_uuid.get(uuid) != Some(reference) {
            return;
        }
        match twin {
            Some(twin) => drop(self.by_uuid.insert(uuid.clone(), twin)),
            None => drop(self.by_uuid.remove(uuid)),
        }
    }

    /// Removes all records; the class stays covered.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.by_uuid.clear();
        self.twins.clear();
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            covered: false,
            rows: BTreeMap::new(),
            by_uuid: BTreeMap::new(),
            twins: BTreeMap::new(),
        }
    }
}

impl<T: PartialEq> PartialEq for Table<T> {
    fn eq(&self, other: &Self) -> bool {
        self.covered == other.covered && self.rows == other.rows
    }
}

impl<'a, T> IntoIterator for &'a Table<T> {
    type Item = (&'a Ref<T>, &'a T);
    type IntoIter = btree_map::Iter<'a, Ref<T>, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
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
