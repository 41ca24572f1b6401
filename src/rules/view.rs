//! What a rule sees of one database: only what it declared, and never a missing fact as `false`.

use super::finding::Finding;
use super::reads::{Reads, Which};
use super::rule::Rule;
use crate::actions::Side;
use crate::error::Fault;
use crate::model::since::Since;
use crate::model::{
    Class, Host, Object, Pif, Pool, Problem, Record, Ref, Snapshot, Table, Version, object,
    with_class,
};
use crate::text::line;

/// One side's database as one rule sees it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) side: Side,
    rule: &'static Rule,
    local: Local<'a>,
}

/// How a database tells which host is the local one.
#[derive(Clone, Copy)]
enum Local<'a> {
    /// It is the pool's master.
    Master,
    /// The database is that of a host by itself; its ref, if the caller knows it.
    ///
    /// Such a host knows who it is, whatever its database says.
    Own(Option<&'a Ref<Host>>),
}

impl<'a> View<'a> {
    /// What a rule sees of a pool's database.
    pub(crate) fn of_pool(snapshot: &'a Snapshot, rule: &'static Rule) -> Self {
        Self { snapshot, side: Side::Pool, rule, local: Local::Master }
    }

    /// What a rule sees of the own database of a host, whose ref the caller may know.
    pub(crate) fn of_joiner(
        snapshot: &'a Snapshot,
        own: Option<&'a Ref<Host>>,
        rule: &'static Rule,
    ) -> Self {
        Self { snapshot, side: Side::Joiner, rule, local: Local::Own(own) }
    }

    /// A finding of the rule: its defaults, and this message.
    pub(crate) fn finding(&self, message: impl Into<String>) -> Finding {
        Finding::new(self.rule, message)
    }

    /// The pool record that the server works with: the first that it walks over.
    pub(crate) fn pool(&self) -> Result<(&'a Ref<Pool>, &'a Pool), Lost> {
        if let Some(first) = self.snapshot.pool.iter().next_back() {
            return Ok(first);
        }
        self.must_cover(Class::Pool)?;
        Err(Lost::fault(
            Fault::new("INTERNAL_ERROR", ["Failure(\"Helpers.get_pool: No pool available\")"]),
            format!("{} has no pool record: its database is damaged", self.whose()),
        ))
    }

    /// The host itself, where the database is that of a single host, or the pool's master.
    pub(crate) fn local(&self) -> Result<(&'a Ref<Host>, &'a Host), Lost> {
        let hosts = &self.snapshot.host;
        let known = match self.local {
            Local::Own(own) => own,
            Local::Master => None,
        };
        if let Some(host) = known.and_then(|host| hosts.iter().find(|(r, _)| *r == host)) {
            return Ok(host);
        }
        let master = self.snapshot.pool.iter().next_back().map(|(_, pool)| &pool.master);
        if let Some(host) = master.and_then(|master| hosts.iter().find(|(r, _)| *r == master)) {
            return Ok(host);
        }
        self.must_cover(Class::Host)?;
        match self.local {
            Local::Own(_) => {
                let host = self.host_with_its_control_domain().or_else(|| hosts.iter().next());
                let whose = self.whose();
                host.ok_or_else(|| Lost::unknown(format!("{whose}'s database has no host")))
            }
            Local::Master => {
                let (reference, pool) = self.pool()?;
                self.must_not_be_unreadable(&pool.master)?;
                Err(Lost::dangling(&pool.master).because(format!(
                    "the host does not exist to which `master` of {} leads: the pool is changing \
                     its master, or its database is damaged",
                    object(reference, pool).label()
                )))
            }
        }
    }

    fn host_with_its_control_domain(&self) -> Option<(&'a Ref<Host>, &'a Host)> {
        self.snapshot.host.iter().find(|(reference, host)| {
            self.snapshot
                .vm
                .get(&host.control_domain)
                .is_some_and(|vm| vm.resident_on == **reference)
        })
    }

    /// The management interface of the local host.
    pub(crate) fn management_pif(&self) -> Option<(&'a Ref<Pif>, &'a Pif)> {
        let (host, _) = self.local().ok()?;
        self.snapshot.management_pif(host)
    }

    /// The records of a class that can be read as far as the rule needs, in the order of their
    /// refs.
    pub(crate) fn each<T: Record>(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&'a Ref<T>, &'a T)> + Clone + use<'a, T> {
        let needed = self.needed::<T>();
        let table: &'a Table<T> = self.snapshot.table();
        table.iter().filter(move |(_, record)| record.absent().bits() & needed == 0)
    }

    /// The record that a ref leads to, as the server would read it.
    pub(crate) fn read<T: Record>(&self, reference: &Ref<T>) -> Result<&'a T, Lost> {
        if let Some(record) = self.snapshot.get(reference) {
            return match record.absent().bits() & self.needed::<T>() {
                0 => Ok(record),
                _ => Err(Lost::unknown(format!(
                    "{} of {} lacks fields",
                    Object::of(reference, record, "").label(),
                    self.whose()
                ))),
            };
        }
        if let Some(class) = Class::from_name(T::CLASS) {
            self.must_cover(class)?;
        }
        self.must_not_be_unreadable(reference)?;
        Err(Lost::dangling(reference))
    }

    /// Asks for a field by a call of its own, as the check does before it looks at the object.
    ///
    /// The rule declares the field as read [by call](Reads::by_call).
    pub(crate) fn called<T: Record>(&self, field: &str) -> Result<(), Lost> {
        let reads = self.rule.reads.iter().find(|reads| {
            let of = (reads.side, reads.class.as_str());
            of == (self.side, T::CLASS) && reads.by_call && reads.fields.contains(&field)
        });
        if !reads.is_some_and(|reads| self.lacks_call(reads)) {
            return Ok(());
        }
        let call = format!("{}.get_{field}", T::CLASS);
        let why = format!("the release of {} has no {call}, which the check calls", self.whose());
        Err(Lost::fault(Fault::new("MESSAGE_METHOD_UNKNOWN", [call]), why))
    }

    /// Whether no record has what is read by call, and no host says that its release has it.
    pub(super) fn lacks_call(&self, reads: &Reads) -> bool {
        let bits = field_bits(reads.class, reads.fields);
        let lacks = with_class!(reads.class, T => {
            let mut records = self.snapshot.table::<T>().records();
            records.all(|record| record.absent().bits() & bits != 0)
        });
        let mut releases = self.snapshot.host.records().filter_map(Host::release).peekable();
        let has = |release: Version| reads.since.is_in(&release);
        lacks && reads.by_call && releases.peek().is_some() && !releases.any(has)
    }

    /// Whether the server checks as a release and newer ones do; so if its release is not known.
    ///
    /// Its release says so; or, within one major release, its records do, since packagers take
    /// changes in without taking the number: who has the field that came with a change has the
    /// change.
    pub(crate) fn is_as_of(&self, since: Since) -> bool {
        let Some(release) = self.release() else { return true };
        since.is_in(&release)
            || since.major() == release.major()
                && self
                    .rule
                    .reads
                    .iter()
                    .any(|reads| reads.side == self.side && reads.since == since && self.has(reads))
    }

    /// Whether there are records, and all have these fields.
    fn has(&self, reads: &Reads) -> bool {
        let bits = field_bits(reads.class, reads.fields);
        with_class!(reads.class, T => {
            let mut records = self.snapshot.table::<T>().records().peekable();
            records.peek().is_some() && records.all(|record| record.absent().bits() & bits == 0)
        })
    }

    /// The release of XAPI that this side runs, if it says so.
    pub(crate) fn release(&self) -> Option<Version> {
        self.local().ok()?.1.release()
    }

    /// "the joiner" or "the pool".
    pub(crate) fn whose(&self) -> &'static str {
        match self.side {
            Side::Joiner => "the joiner",
            _ => "the pool",
        }
    }

    fn must_cover(&self, class: Class) -> Result<(), Lost> {
        if let Some(problem) = self.problem(|problem| problem.class == class) {
            return Err(Lost::unreadable(self.whose(), problem));
        }
        if self.snapshot.covers(class) {
            return Ok(());
        }
        Err(Lost::unknown(format!("the snapshot of {} has no class {class}", self.whose())))
    }

    fn must_not_be_unreadable<T: Record>(&self, reference: &Ref<T>) -> Result<(), Lost> {
        match self.problem(|problem| {
            problem.class.as_str() == T::CLASS && problem.reference == reference.text()
        }) {
            Some(problem) => Err(Lost::unreadable(self.whose(), problem)),
            None => Ok(()),
        }
    }

    fn problem(&self, wanted: impl Fn(&Problem) -> bool) -> Option<&'a Problem> {
        self.snapshot.problems.iter().find(|problem| wanted(problem))
    }

    /// The fields of a class that the rule declared to read of each or all records, as bits.
    fn needed<T: Record>(&self) -> u128 {
        self.rule
            .reads
            .iter()
            .filter(|reads| reads.side == self.side && reads.class.as_str() == T::CLASS)
            .filter(|reads| matches!(reads.records, Which::All | Which::Each))
            // What only some releases read is looked at by the rule, where it is read.
            .filter(|reads| !self.rule.reads_by_release(reads))
            .fold(0, |bits, reads| bits | field_bits(reads.class, reads.fields))
    }
}

/// The places of fields in a record's set of absent fields.
pub(crate) fn field_bits(class: Class, fields: &[&str]) -> u128 {
    let known = crate::model::fields(class);
    known
        .iter()
        .enumerate()
        .filter(|(_, known)| fields.contains(known))
        .fold(0, |bits, (n, _)| bits | 1 << n)
}

/// Why a rule came to no verdict of its own.
pub(crate) enum Lost {
    /// The server's own check would fail in this way.
    Fault { fault: Fault, message: String },
    /// A fact is missing.
    Unknown { message: String, objects: Vec<Object> },
}

impl Lost {
    pub(crate) fn fault(fault: Fault, message: impl Into<String>) -> Self {
        Self::Fault { fault, message: line(message.into()) }
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::Unknown { message: line(message.into()), objects: Vec::new() }
    }

    /// The ref leads nowhere, and the server would say so.
    pub(crate) fn dangling<T: Record>(reference: &Ref<T>) -> Self {
        Self::fault(
            Fault::new("HANDLE_INVALID", [T::CLASS.to_owned(), reference.to_string()]),
            format!("{} {reference} does not exist", T::CLASS),
        )
    }

    pub(crate) fn unreadable(whose: &str, problem: &Problem) -> Self {
        Self::Unknown {
            message: format!("a record of {whose} cannot be read: {problem}"),
            objects: vec![Object::unnamed(problem.class, &problem.reference)],
        }
    }

    pub(crate) fn because(mut self, reason: String) -> Self {
        match &mut self {
            Self::Fault { message, .. } | Self::Unknown { message, .. } => *message = reason,
        }
        self
    }
}
