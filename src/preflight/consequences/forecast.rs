//! What the parts of the forecast share while it is made.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::change::Changes;
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{Class, Host, Record, Ref, Snapshot, Sr, Uuid, Vdi, Version};

/// The forecast in the making.
pub(super) struct Forecast<'a> {
    pub pool: &'a Snapshot,
    pub joiner: &'a Snapshot,
    /// The pool's master, if it is known.
    pub master: Option<(&'a Ref<Host>, &'a Host)>,
    /// The host that joins, if it is known.
    pub me: Option<(&'a Ref<Host>, &'a Host)>,
    /// The joiner's host in the pool, or the error that keeps it out.
    pub host: Option<Result<Ref<Host>, Fault>>,
    /// The joiner's SRs to those of the pool.
    pub srs: HashMap<&'a Ref<Sr>, Ref<Sr>>,
    /// Whether the map above is known.
    pub srs_known: bool,
    /// Disks of the pool on SRs that the joiner has too, or that hold ISOs.
    pub old_vdis: Vec<(&'a Ref<Vdi>, &'a Vdi)>,
    /// Disks that appear, with the pool's SR.
    pub new_vdis: Vec<(&'a Ref<Vdi>, &'a Vdi, Ref<Sr>)>,
    pub changes: Changes,
    /// Whether the changes include the records of disks and VMs, which may be many.
    pub whole: bool,
    pub swallowed: Vec<Fault>,
    pub losses: Vec<LostValue>,
    pub gaps: Vec<Gap>,
    /// The fields that some record of a class lacks.
    absent: HashMap<(Side, Class), u128>,
}

/// Something that a snapshot does not say, and what therefore is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Gap {
    /// Whose snapshot.
    pub side: Side,
    /// The class that it says nothing of, or not enough.
    pub class: Class,
    /// The field that records of this class lack, unless the whole class is missing.
    pub field: Option<&'static str>,
    /// What therefore is not known.
    pub hides: Vec<&'static str>,
}

/// Something of the joiner's that is gone after the join, without any error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LostValue {
    /// The class of the object.
    pub class: Class,
    /// The object's uuid.
    pub uuid: Uuid,
    /// The object's name, or what comes nearest.
    pub name: String,
    /// The field whose value is lost, unless the whole object is.
    pub field: Option<&'static str>,
    /// The lost value, readable.
    pub value: String,
    /// What a set or map that is lost has in it, values of the map left out.
    #[serde(skip)]
    pub(crate) keys: Vec<String>,
}

impl<'a> Forecast<'a> {
    pub(super) fn new(pool: &'a Snapshot, joiner: &'a Snapshot, whole: bool) -> Self {
        let mut forecast = Self {
            pool,
            joiner,
            master: pool.master().ok(),
            me: joiner.master().ok(),
            host: None,
            srs: HashMap::new(),
            srs_known: false,
            old_vdis: Vec::new(),
            new_vdis: Vec::new(),
            changes: Changes::default(),
            whole,
            swallowed: Vec::new(),
            losses: Vec::new(),
            gaps: Vec::new(),
            absent: HashMap::new(),
        };
        let known = [(Side::Pool, forecast.master), (Side::Joiner, forecast.me)];
        for (side, host) in known {
            let class =
                if forecast.snapshot(side).the_pool().is_ok() { Class::Host } else { Class::Pool };
            if host.is_none() {
                forecast.gap(side, class, None, "which host is the master");
            }
        }
        forecast
    }

    fn snapshot(&self, side: Side) -> &'a Snapshot {
        match side {
            Side::Pool => self.pool,
            _ => self.joiner,
        }
    }

    /// Whether every record of a class has these fields.
    ///
    /// If not, notes what is not known.
    pub(super) fn knows<T: Record>(
        &mut self,
        side: Side,
        fields: &[&'static str],
        hides: &'static str,
    ) -> bool {
        let Some(class) = Class::from_name(T::CLASS) else { return false };
        let table = T::table(self.snapshot(side));
        if !table.covered() {
            self.gap(side, class, None, hides);
            return false;
        }
        // One pass over the records, however many parts of the forecast ask.
        let lacking = *self.absent.entry((side, class)).or_insert_with(|| {
            table.records().map(|record| record.absent().bits()).fold(0, |all, bits| all | bits)
        });
        let lacks = |field: &&&'static str| {
            super::change::place::<T>(field) < 128
                && lacking >> super::change::place::<T>(field) & 1 == 1
        };
        let field = if lacking == 0 { None } else { fields.iter().find(lacks) };
        if let Some(field) = field {
            self.gap(side, class, Some(field), hides);
        }
        field.is_none()
    }

    pub(super) fn gap(
        &mut self,
        side: Side,
        class: Class,
        field: Option<&'static str>,
        hides: &'static str,
    ) {
        let same = |gap: &&mut Gap| gap.side == side && gap.class == class && gap.field == field;
        match self.gaps.iter_mut().find(same) {
            Some(gap) if gap.hides.contains(&hides) => {}
            Some(gap) => gap.hides.push(hides),
            None => self.gaps.push(Gap { side, class, field, hides: vec![hides] }),
        }
    }

    pub(super) fn lose<T: Record>(
        &mut self,
        record: &T,
        name: &str,
        field: Option<&'static str>,
        value: impl Into<String>,
    ) {
        self.lose_keys(record, name, field, value, Vec::new());
    }

    /// Notes that a field's value is lost, with what a set or map has in it.
    pub(super) fn lose_field<T: Record>(
        &mut self,
        record: &T,
        name: &str,
        field: &'static str,
        value: &impl Show,
    ) {
        self.lose_keys(record, name, Some(field), value.show(), value.parts());
    }

    pub(super) fn lose_keys<T: Record>(
        &mut self,
        record: &T,
        name: &str,
        field: Option<&'static str>,
        value: impl Into<String>,
        keys: Vec<String>,
    ) {
        if let Some(class) = Class::from_name(T::CLASS) {
            let (uuid, name) = (record.uuid().clone(), name.to_owned());
            self.losses.push(LostValue { class, uuid, name, field, value: value.into(), keys });
        }
    }

    /// The pool's counterpart of a SR of the joiner's; null if there is none.
    pub(super) fn sr(&self, reference: &Ref<Sr>) -> Ref<Sr> {
        self.srs.get(reference).cloned().unwrap_or_default()
    }

    /// The name of a SR of the pool, old or new.
    pub(super) fn name_of_sr(&self, reference: &Ref<Sr>) -> String {
        let sr = self.changes.added.sr.get(reference).or_else(|| self.pool.sr.get(reference));
        sr.map_or_else(|| NONE.to_owned(), |sr| sr.name_label.clone())
    }

    /// Whether the joiner's release, which runs the join, is at least this one.
    pub(super) fn joiner_is(&self, major: u64, minor: u64) -> Option<bool> {
        Some(self.me?.1.xapi_version()? >= Version::of(major, minor))
    }
}

/// Objects of which the server takes the first of its list.
#[derive(Clone, Debug)]
pub(super) struct Choice<T> {
    /// The pool's own, the one that the server lists first.
    pub old: Option<Ref<T>>,
    /// Those that the join makes.
    pub new: Vec<Ref<T>>,
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self { old: None, new: Vec::new() }
    }
}

impl<T> Choice<T> {
    /// The one that the server takes, or all that it may take.
    ///
    /// The server lists tables from the last ref to the first (`Db_cache_impl`), and the refs of
    /// new objects are random uuids: between two new ones, or a new and an old one, nobody can
    /// know.
    pub(super) fn first(&self) -> Vec<Ref<T>> {
        const LOWEST: &str = "OpaqueRef:00000000-0000-0000-0000-000000000000";
        const HIGHEST: &str = "OpaqueRef:ffffffff-ffff-ffff-ffff-ffffffffffff";
        match &self.old {
            Some(old) if self.new.is_empty() || *old.text() > *HIGHEST => vec![old.clone()],
            Some(old) if *old.text() > *LOWEST => {
                [old].into_iter().chain(&self.new).cloned().collect()
            }
            _ => self.new.clone(),
        }
    }
}

/// How an empty value is shown.
pub(super) const NONE: &str = "(none)";

/// A field's value for people to read.
pub(super) trait Show {
    fn show(&self) -> String;

    /// What is in a set, or under which keys a map has something.
    fn parts(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Show for String {
    fn show(&self) -> String {
        if self.is_empty() { NONE.to_owned() } else { self.clone() }
    }
}

impl Show for bool {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for i64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for Vec<String> {
    fn show(&self) -> String {
        self.join(", ").show()
    }

    fn parts(&self) -> Vec<String> {
        self.clone()
    }
}

impl Show for BTreeMap<String, String> {
    fn show(&self) -> String {
        let pairs: Vec<_> = self.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.show()
    }

    fn parts(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| NONE.to_owned(), T::show)
    }
}
