//! What a rule sees of the two databases: only what it declared, and never a missing fact as `false`.

use super::engine::Lost;
use super::policy::{Evidence, Options};
use super::rule::{Rule, Scope};
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{Class, Host, Pif, Pool, Problem, Record, Ref, Snapshot, Table, Version};

/// The world as one rule sees it.
pub(super) struct Facts<'a> {
    pub(super) pool: View<'a>,
    pub(super) joiner: View<'a>,
    pub(super) evidence: &'a Evidence,
    /// Whether the vendor's documents are binding, so that remedies must leave the joiner empty.
    pub(super) documented: bool,
}

/// One side's database as one rule sees it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) side: Side,
    rule: &'static Rule,
    localhost: Option<&'a Ref<Host>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        pool: &'a Snapshot,
        joiner: &'a Snapshot,
        options: &'a Options,
        rule: &'static Rule,
    ) -> Self {
        let Options { evidence, policy, .. } = options;
        let localhost = evidence.joiner_host.as_ref();
        Self {
            pool: View { snapshot: pool, side: Side::Pool, rule, localhost: None },
            joiner: View { snapshot: joiner, side: Side::Joiner, rule, localhost },
            evidence,
            documented: policy.is_documented(),
        }
    }

    pub(super) fn side(&self, side: Side) -> View<'a> {
        match side {
            Side::Pool => self.pool,
            _ => self.joiner,
        }
    }
}

impl<'a> View<'a> {
    /// The pool record that the server works with: the first that it walks over.
    pub(super) fn pool(&self) -> Result<(&'a Ref<Pool>, &'a Pool), Lost> {
        if let Some(first) = self.snapshot.pool.iter().next_back() {
            return Ok(first);
        }
        self.must_cover(Class::Pool)?;
        Err(Lost::fault(
            Fault::new("INTERNAL_ERROR", ["Failure(\"Helpers.get_pool: No pool available\")"]),
            format!("{} has no pool record: its database is damaged", self.whose()),
        ))
    }

    /// The joiner itself, or the pool's master.
    pub(super) fn local(&self) -> Result<(&'a Ref<Host>, &'a Host), Lost> {
        let hosts = &self.snapshot.host;
        if let Some(host) = self.localhost.and_then(|host| hosts.iter().find(|(r, _)| *r == host)) {
            return Ok(host);
        }
        let master = self.snapshot.pool.iter().next_back().map(|(_, pool)| &pool.master);
        if let Some(host) = master.and_then(|master| hosts.iter().find(|(r, _)| *r == master)) {
            return Ok(host);
        }
        self.must_cover(Class::Host)?;
        match self.side {
            // The joiner knows which host it is, whatever its database says.
            Side::Joiner => self
                .host_with_its_control_domain()
                .or_else(|| hosts.iter().next())
                .ok_or_else(|| Lost::unknown("the joiner's database has no host")),
            _ => {
                let (reference, pool) = self.pool()?;
                self.must_not_be_unreadable(&pool.master)?;
                Err(Lost::dangling(&pool.master).because(format!(
                    "host {} does not exist, to which `master` of pool {reference} leads: the pool \
                     is changing its master, or its database is damaged",
                    pool.master
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

    /// The management interface of the joiner, or of the pool's master.
    pub(super) fn management_pif(&self) -> Option<(&'a Ref<Pif>, &'a Pif)> {
        let (host, _) = self.local().ok()?;
        self.snapshot.management_pif(host)
    }

    /// The records of a class that can be read as far as the rule needs, in the order of their refs.
    pub(super) fn each<T: Record>(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&'a Ref<T>, &'a T)> + use<'a, T> {
        let needed = self.needed::<T>();
        let table: &'a Table<T> = self.snapshot.table();
        table.iter().filter(move |(_, record)| record.absent().bits() & needed == 0)
    }

    /// The record that a ref leads to, as the server would read it.
    pub(super) fn read<T: Record>(&self, reference: &Ref<T>) -> Result<&'a T, Lost> {
        if let Some(record) = self.snapshot.get(reference) {
            return match record.absent().bits() & self.needed::<T>() {
                0 => Ok(record),
                _ => Err(Lost::unknown(format!(
                    "{} {reference} of {} lacks fields",
                    T::CLASS,
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

    /// The release of XAPI that this side runs, if it says so.
    pub(super) fn release(&self) -> Option<Version> {
        release(self.local().ok()?.1)
    }

    /// "the joiner" or "the pool".
    pub(super) fn whose(&self) -> &'static str {
        match self.side {
            Side::Pool => "the pool",
            _ => "the joiner",
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
            problem.class.as_str() == T::CLASS && problem.reference == reference.as_str()
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
            .filter(|reads| matches!(reads.scope, Scope::All | Scope::Each))
            .fold(0, |bits, reads| bits | field_bits(reads.class, reads.fields))
    }
}

/// The release of XAPI that a host runs.
///
/// 8.2 and older say "1.20" or less, whatever they are; they are taken for 1.249.
pub(super) fn release(host: &Host) -> Option<Version> {
    let stated = host.xapi_version()?;
    match stated.parts() {
        [1, minor, ..] if *minor <= 20 => Some(Version::of(1, 249)),
        _ => Some(stated),
    }
}

/// The places of fields in a record's set of absent fields.
pub(super) fn field_bits(class: Class, fields: &[&str]) -> u128 {
    let known = crate::model::fields(class);
    known
        .iter()
        .enumerate()
        .filter(|(_, known)| fields.contains(known))
        .fold(0, |bits, (n, _)| bits | 1 << n)
}
