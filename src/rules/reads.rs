//! What a rule reads, and since which release there is something to read.

use serde::Serialize;

use crate::actions::Side;
use crate::model::Class;
use crate::model::since::Since;

/// Fields that a rule reads of one class on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reads {
    /// Whose database; never `Both`.
    pub side: Side,
    /// The class.
    pub class: Class,
    /// Of which records.
    pub records: Which,
    /// XAPI's names of the fields.
    pub fields: &'static [&'static str],
    /// The release of XAPI that brought the youngest of the fields.
    ///
    /// Checks of older ones do not read them, and older sides are not asked.
    pub since: Since,
    /// The release of XAPI whose check no longer reads them, where there is one.
    pub until: Option<Since>,
    /// Whether the check asks for the field by a call of its own.
    ///
    /// An older side does not know that call, and refuses it.
    pub by_call: bool,
}

/// Of which records of a class a rule reads fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Which {
    /// Of all; an unreadable record leaves the verdict on the others as it is.
    Each,
    /// Of all, and none may be missing, since the verdict depends on the whole.
    All,
    /// Of the host itself, where the side is a single host, or of the pool's master.
    Local,
    /// Of the management interface of that host.
    Management,
}

impl Reads {
    pub(crate) const fn joiner(
        class: Class,
        records: Which,
        fields: &'static [&'static str],
    ) -> Self {
        Self::of(Side::Joiner, class, records, fields)
    }

    pub(crate) const fn pool(
        class: Class,
        records: Which,
        fields: &'static [&'static str],
    ) -> Self {
        Self::of(Side::Pool, class, records, fields)
    }

    const fn of(side: Side, class: Class, records: Which, fields: &'static [&'static str]) -> Self {
        Self { side, class, records, fields, since: Since::ALWAYS, until: None, by_call: false }
    }

    pub(crate) const fn since(mut self, major: u64, minor: u64, patch: u64) -> Self {
        self.since = Since::of(major, minor, patch);
        self
    }

    pub(crate) const fn until(mut self, major: u64, minor: u64, patch: u64) -> Self {
        self.until = Some(Since::of(major, minor, patch));
        self
    }

    pub(crate) const fn by_call(mut self) -> Self {
        self.by_call = true;
        self
    }
}
