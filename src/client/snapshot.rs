//! Snapshots: one cut of the pool, in one request.

use std::time::Duration;

use super::bounds::Bounds;
use super::call::Repeat;
use super::handle::Client;
use super::scope::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::{Class, Record, Snapshot, Table, with_class};
use crate::text::plain;
use crate::wire::{Batch, Event};

/// How often a moving pool is asked again before it is called restless.
const MAX_ROUNDS: usize = 20;

impl Client {
    /// Reads the records of a scope, in one request.
    ///
    /// The server takes the list of objects at once, but reads the records one after another and
    /// leaves out those that vanished meanwhile: the snapshot is *nearly* a cut. Where that
    /// matters, before an act, use [`Self::settled_snapshot`].
    ///
    /// A class that the server's release lacks is not covered. A record that cannot be decoded is
    /// told in [`Snapshot::problems`].
    ///
    /// # Errors
    /// As [`Self::call`]; `State` if the records are of another pool.
    pub fn snapshot(&self, scope: Scope) -> Result<Snapshot> {
        self.snapshot_of(scope.classes())
    }

    /// Reads the records of some classes, in one request.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn snapshot_of(&self, classes: &[Class]) -> Result<Snapshot> {
        let mut snapshot = Snapshot::new();
        match self.first_batch(classes, &mut snapshot, self.bounds()) {
            Ok(_) => Ok(snapshot),
            Err(error) if events_are_refused(&error) => self.snapshot_by_class(classes),
            Err(error) => Err(error),
        }
    }

    /// Reads the records of a scope, and asks again until nothing changes any more.
    ///
    /// All of it has the time of one call.
    ///
    /// # Errors
    /// As [`Self::snapshot`]; `State` if the pool does not come to rest.
    pub fn settled_snapshot(&self, scope: Scope) -> Result<Snapshot> {
        let (classes, bounds) = (scope.classes(), self.bounds());
        let mut snapshot = Snapshot::new();
        let mut batch = match self.first_batch(classes, &mut snapshot, bounds) {
            Ok(batch) => batch,
            Err(error) if events_are_refused(&error) => return self.snapshot_by_class(classes),
            Err(error) => return Err(error),
        };
        for _ in 0..MAX_ROUNDS {
            let since = Since { token: &batch.token, wait: Duration::ZERO };
            batch = self.batch(classes, &since, &mut snapshot, bounds, Repeat::Yes, |_| {})?;
            if batch.events == 0 {
                return Ok(snapshot);
            }
        }
        Err(Error::new(
            ErrorKind::State,
            format!("the pool changed during each of {MAX_ROUNDS} looks at it"),
        ))
    }

    /// Reads the records of some classes, one request a class (`get_all_records`).
    ///
    /// For users whose role forbids `event.from`. Records of different classes are read at
    /// different times. A class that the server's release or the user's role lacks is not covered.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn snapshot_by_class(&self, classes: &[Class]) -> Result<Snapshot> {
        self.bind_without_pool(classes, self.bounds())?;
        let mut snapshot = Snapshot::new();
        for class in classes {
            let method = format!("{class}.get_all_records");
            let bounds = self.bounds();
            let result = self.request_unbound(&method, &(), bounds, Repeat::Yes, |reply| {
                with_class!(*class, T => {
                    T::table_mut(&mut snapshot).clear();
                });
                reply.table(*class, &mut snapshot)
            });
            match result {
                Ok(()) => {}
                Err(error) if class_is_missing(&error) => uncover(&mut snapshot, *class),
                Err(error) => return Err(error),
            }
            if *class == Class::Pool {
                self.check_pool(&snapshot)?;
            }
        }
        self.shared.remember_members(&snapshot);
        tell_problems(&snapshot);
        Ok(snapshot)
    }

    /// The first batch of events: everything there is.
    pub(super) fn first_batch(
        &self,
        classes: &[Class],
        snapshot: &mut Snapshot,
        bounds: Bounds<'_>,
    ) -> Result<Batch> {
        if classes.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a snapshot of no classes"));
        }
        self.bind_without_pool(classes, bounds)?;
        // With an empty token the answer comes at once, unless there is no object at all.
        let since = Since { token: "", wait: Duration::ZERO };
        let batch = self.batch(classes, &since, snapshot, bounds, Repeat::Yes, |_| {})?;
        for class in classes.iter().filter(|class| batch.knows(**class)) {
            with_class!(*class, T => T::table_mut(snapshot).cover());
        }
        self.check_pool(snapshot)?;
        self.shared.remember_members(snapshot);
        tell_problems(snapshot);
        Ok(batch)
    }

    /// One batch of events, applied to a snapshot (`event.from`).
    pub(super) fn batch(
        &self,
        classes: &[Class],
        since: &Since<'_>,
        snapshot: &mut Snapshot,
        bounds: Bounds<'_>,
        repeat: Repeat,
        mut each: impl FnMut(Event),
    ) -> Result<Batch> {
        let names: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
        let params = (names, since.token, since.wait.as_secs_f64());
        self.request_unbound("event.from", &params, bounds, repeat, |reply| {
            if since.token.is_empty() {
                *snapshot = Snapshot::new();
            }
            reply.events(snapshot, &mut each)
        })
    }

    /// Makes sure that it is known which pool this client belongs to, if the records will not say.
    fn bind_without_pool(&self, classes: &[Class], bounds: Bounds<'_>) -> Result<()> {
        if classes.contains(&Class::Pool) { Ok(()) } else { self.bind(bounds) }
    }

    /// Fails if a snapshot is of another pool.
    fn check_pool(&self, snapshot: &Snapshot) -> Result<()> {
        match snapshot.pool.records().next() {
            Some(pool) => self.shared.bind_to(&pool.uuid, &self.endpoint()),
            None => Ok(()),
        }
    }
}

/// Where events begin, and how long to wait for the first.
pub(super) struct Since<'a> {
    pub(super) token: &'a str,
    pub(super) wait: Duration,
}

/// Tells the log of records that could not be decoded.
fn tell_problems(snapshot: &Snapshot) {
    if let [first, others @ ..] = snapshot.problems.as_slice() {
        let (class, reference) = (first.class, plain(&first.reference));
        let others = others.len();
        log::warning!(client, "{class} {reference} and {others} others cannot be decoded");
    }
}

/// Whether a user or a host cannot have events, but may have records.
///
/// A member answers `event.from` with an internal error, "missing table", and still reads records
/// through the master for a local session.
fn events_are_refused(error: &Error) -> bool {
    error.fault().is_some_and(|fault| match fault.code.as_str() {
        "MESSAGE_METHOD_UNKNOWN" | "MESSAGE_REMOVED" | "RBAC_PERMISSION_DENIED" => true,
        "INTERNAL_ERROR" => fault.params.iter().any(|param| param.contains("missing table")),
        _ => false,
    })
}

fn class_is_missing(error: &Error) -> bool {
    error.fault().is_some_and(|fault| {
        matches!(
            fault.code.as_str(),
            "MESSAGE_METHOD_UNKNOWN" | "MESSAGE_REMOVED" | "RBAC_PERMISSION_DENIED"
        )
    })
}

fn uncover(snapshot: &mut Snapshot, class: Class) {
    with_class!(class, T => *T::table_mut(snapshot) = Table::default());
}
