//! What a join does to the pool's database, as records.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Class, Record, Ref, Snapshot, Vm, with_class};

const JOINED: &str = "Joined:";

/// What the join adds to, changes in and removes from the pool's database.
///
/// As of the moment when `pool.join` returns: what the new member does at its start comes later,
/// see [`AfterStart`](super::AfterStart).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Changes {
    /// New records. Their refs are made of the joiner's, see [`Self::is_new`].
    ///
    /// A field that cannot be foretold, such as the uuid of a new PBD, is absent. The many-sides of
    /// relations (`host.PIFs`, `SR.VDIs`, …) are filled by [`Self::apply`].
    pub added: Snapshot,
    /// Refs of records that disappear, by class.
    pub removed: BTreeMap<Class, BTreeSet<String>>,
    /// VMs of the pool that get another `parent`, because theirs was replaced.
    pub reparented: BTreeMap<Ref<Vm>, Ref<Vm>>,
}

impl Changes {
    /// The value of a map's key that the server makes up during the join.
    ///
    /// Such as `mac_seed` of a VM that had none, or `import_task`.
    pub const MADE_AT_JOIN: &str = "(made at the join)";

    /// Whether a ref stands for an object that the join will make.
    pub fn is_new<T>(reference: &Ref<T>) -> bool {
        reference.text().starts_with(JOINED)
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.reparented.is_empty()
    }

    /// The pool as it will be.
    ///
    /// Good to ask further questions of, such as how many host failures the larger pool tolerates.
    pub fn apply(&self, pool: &Snapshot) -> Snapshot {
        let mut after = pool.clone();
        unlink(&mut after, &self.removed);
        for (class, refs) in &self.removed {
            with_class!(*class, T => {
                for reference in refs {
                    T::table_mut(&mut after).remove(&Ref::new(reference));
                }
            });
        }
        for class in Class::ALL {
            with_class!(*class, T => {
                let rows = T::table(&self.added).iter();
                let rows = rows.map(|(reference, record)| (reference.clone(), record.clone()));
                T::table_mut(&mut after).extend(rows);
            });
        }
        link(&mut after, &self.added);
        for (vm, parent) in &self.reparented {
            if let Some(vm) = after.vm.get_mut(vm) {
                vm.parent = parent.clone();
            }
        }
        after
    }

    pub(super) fn remove<T: Record>(&mut self, reference: &Ref<T>) {
        if let Some(class) = Class::from_name(T::CLASS) {
            self.removed.entry(class).or_default().insert(reference.text().into_owned());
        }
    }

    pub(super) fn add<T: Record>(&mut self, reference: Ref<T>, record: T) {
        T::table_mut(&mut self.added).insert(reference, record);
    }
}

/// The ref that stands for the object that will be made of, or beside, one of the joiner's.
pub(super) fn joined<T: Record, U>(reference: &Ref<U>) -> Ref<T> {
    Ref::new(&format!("{JOINED}{}:{}", T::CLASS, reference.text()))
}

/// Where a field stands in a record's list of absent fields.
pub(super) fn place<T: Record>(field: &str) -> usize {
    T::FIELDS.iter().position(|known| *known == field).unwrap_or(usize::MAX)
}

/// The relations between records that a join adds or removes.
macro_rules! relations {
    ($apply:ident) => {
        $apply!(Pif pif.host -> host.PIFs);
        $apply!(Pif pif.network -> network.PIFs);
        $apply!(Vlan vlan.tagged_PIF -> pif.VLAN_slave_of);
        $apply!(Pbd pbd.host -> host.PBDs);
        $apply!(Pbd pbd.SR -> sr.PBDs);
        $apply!(Vdi vdi.SR -> sr.VDIs);
        $apply!(Vbd vbd.VDI -> vdi.VBDs);
        $apply!(Vbd vbd.VM -> vm.VBDs);
        $apply!(Vif vif.VM -> vm.VIFs);
        $apply!(Vif vif.network -> network.VIFs);
        $apply!(Vm vm.resident_on -> host.resident_VMs);
        $apply!(Vm vm.appliance -> vm_appliance.VMs);
    };
}

/// Completes the many-sides from the one-sides of what was added.
fn link(after: &mut Snapshot, added: &Snapshot) {
    macro_rules! link {
        ($class:ident $one:ident . $field:ident -> $side:ident . $many:ident) => {
            for (reference, record) in &added.$one {
                if let Some(other) = after.$side.get_mut(&record.$field) {
                    other.$many.push(reference.clone());
                }
            }
        };
    }
    relations!(link);
}

/// Takes what will be removed out of the many-sides.
fn unlink(after: &mut Snapshot, removed: &BTreeMap<Class, BTreeSet<String>>) {
    macro_rules! unlink {
        ($class:ident $one:ident . $field:ident -> $side:ident . $many:ident) => {
            for reference in removed.get(&Class::$class).into_iter().flatten() {
                let reference = Ref::new(reference);
                let Some(record) = after.$one.get(&reference) else { continue };
                if let Some(other) = after.$side.get_mut(&record.$field.clone()) {
                    other.$many.retain(|one| *one != reference);
                }
            }
        };
    }
    relations!(unlink);
}
