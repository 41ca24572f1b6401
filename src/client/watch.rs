//! A snapshot that is kept up to date.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::call::Repeat;
use super::handle::Client;
use super::scope::Scope;
use super::session::Session;
use super::snapshot::Since;
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::{Class, Record, Snapshot, with_class};
use crate::transport::Cancel;
use crate::wire::{Batch, Event, Operation};

/// Follows a pool: a snapshot, and the changes to it as they happen.
///
/// An iterator over changes; [`snapshot`](Self::snapshot) is the pool as it was after the change
/// that came last, or a little later: the server sends changes in batches, and leaves out what was
/// undone within one. It ends when its [`canceller`](Self::canceller) is cancelled, from any
/// thread.
///
/// An error does not end it: the next item is the next try, after a pause that grows. When the
/// session or the master changed, or the server lost track of what was deleted, the whole is read
/// again, and the differences are the changes.
///
/// ```no_run
/// # fn example(client: &xcp_pool::client::Client) -> xcp_pool::Result<()> {
/// use xcp_pool::client::Scope;
///
/// let mut watch = client.watch(Scope::Overview)?;
/// while let Some(change) = watch.next() {
///     let change = change?;
///     println!("{:?} {} {}", change.operation, change.class, change.reference);
///     println!("{} hosts", watch.snapshot().host.len());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Watch {
    client: Client,
    classes: Vec<Class>,
    snapshot: Snapshot,
    /// Where to go on; unset if the whole must be read again.
    batch: Option<Batch>,
    session: Arc<Session>,
    changes: VecDeque<Event>,
    /// Whether the last batch did not add up.
    doubtful: bool,
    /// Whether the last answer said nothing, and did not wait for anything either.
    in_haste: bool,
    /// How long the server may hold a request.
    hold: Duration,
    /// How long to wait before the next question.
    pause: Duration,
}

/// How long the server holds a request when nothing happens.
const WAIT: Duration = Duration::from_secs(30);

/// Every call waits that long at least (xen-api `Xapi_event`, batching); a server that says at once
/// that nothing happened would else be asked thousands of times a second.
const SHORTEST_WAIT: Duration = Duration::from_millis(40);

/// Pauses after errors.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

impl Client {
    /// Takes a snapshot of a scope, and follows it.
    ///
    /// # Errors
    /// As [`Self::snapshot`]; the fault `RBAC_PERMISSION_DENIED` if the user may not have events.
    pub fn watch(&self, scope: Scope) -> Result<Watch> {
        self.watch_of(scope.classes())
    }

    /// Takes a snapshot of some classes, and follows it.
    ///
    /// # Errors
    /// As [`Self::watch`].
    pub fn watch_of(&self, classes: &[Class]) -> Result<Watch> {
        self.watch_with(self, classes)
    }

    /// A watch that goes on under other limits and tokens than those of its first snapshot.
    pub(crate) fn watch_with(&self, first: &Self, classes: &[Class]) -> Result<Watch> {
        let mut snapshot = Snapshot::new();
        let batch = first.first_batch(classes, &mut snapshot, first.bounds())?;
        Ok(Watch {
            client: self.with_cancel(&Cancel::new()),
            classes: classes.to_vec(),
            snapshot,
            batch: Some(batch),
            session: self.shared.session(),
            changes: VecDeque::new(),
            doubtful: false,
            in_haste: false,
            hold: WAIT,
            pause: Duration::ZERO,
        })
    }
}

impl Watch {
    /// The pool as far as its changes are known.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Ends the watch, from any thread.
    pub fn canceller(&self) -> Cancel {
        self.client.cancel.clone()
    }

    /// How long the server may hold a request when nothing happens.
    ///
    /// Half a minute if not given.
    ///
    /// That is also how long [`poll`](Self::poll) waits, and how much later than the client's
    /// [limits](crate::client::ClientBuilder::limits) a host that has fallen silent is noticed.
    #[must_use]
    pub fn hold(mut self, time: Duration) -> Self {
        self.hold = time;
        self
    }

    /// Waits for changes, half a minute at most, and returns how many there are now.
    ///
    /// # Errors
    /// As [`Client::snapshot`]; the watch goes on with the next call.
    pub fn poll(&mut self) -> Result<usize> {
        self.ask(&self.client.clone())
    }

    /// Waits for changes as [`poll`](Self::poll) does, but no longer than until `cancel` is
    /// cancelled.
    ///
    /// That ends this wait alone; nothing that happens meanwhile is lost.
    ///
    /// # Errors
    /// `Cancelled`, and as [`poll`](Self::poll).
    pub fn poll_under(&mut self, cancel: &Cancel) -> Result<usize> {
        self.ask(&self.client.with_cancel(cancel))
    }

    /// Returns the next change, but waits no longer than until `cancel` is cancelled.
    ///
    /// That ends this wait alone, with the error `Cancelled`; nothing that happens meanwhile is
    /// lost.
    pub fn next_under(&mut self, cancel: &Cancel) -> Option<Result<Event>> {
        loop {
            if self.client.cancel.is_cancelled() {
                return None;
            }
            if let Some(change) = self.changes.pop_front() {
                return Some(Ok(change));
            }
            match self.poll_under(cancel) {
                Ok(_) => {}
                Err(_) if self.client.cancel.is_cancelled() => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Asks for changes through a view of the client.
    fn ask(&mut self, client: &Client) -> Result<usize> {
        if !self.pause.is_zero() {
            client.clock().sleep(self.pause, &client.cancel)?;
        }
        let result = match self.batch.take() {
            Some(batch) if self.has_session_of(client) => self.go_on(client, batch),
            // Another session, perhaps another master: its tokens count from elsewhere.
            _ => self.read_again(client),
        };
        self.pause = match &result {
            Ok(()) if std::mem::take(&mut self.in_haste) => FIRST_PAUSE,
            Ok(()) => Duration::ZERO,
            Err(error) if error.kind() == ErrorKind::Cancelled => Duration::ZERO,
            Err(_) => (self.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE),
        };
        result.map(|()| self.changes.len())
    }

    fn has_session_of(&self, client: &Client) -> bool {
        Arc::ptr_eq(&self.session, &client.shared.session())
    }

    fn go_on(&mut self, client: &Client, batch: Batch) -> Result<()> {
        let wait = if self.doubtful { Duration::ZERO } else { self.hold };
        let since = Since { token: &batch.token, wait };
        let (clock, mut bounds) = (client.clock(), client.bounds());
        bounds.deadline = bounds.deadline.saturating_add(wait);
        let start = clock.now();
        let (snapshot, changes) = (&mut self.snapshot, &mut self.changes);
        let next = client.batch(&self.classes, &since, snapshot, bounds, Repeat::No, |change| {
            changes.push_back(change);
        });
        match next {
            Ok(next) => {
                self.in_haste =
                    next.events == 0 && !wait.is_zero() && clock.now() < start + SHORTEST_WAIT;
                // The server forgets deletions after some hundred others. But it also counts
                // after it has looked: what is still missing a moment later is lost.
                let complete = self.is_complete(&next);
                if complete || !self.doubtful {
                    self.batch = Some(next);
                }
                self.doubtful = !complete && self.batch.is_some();
                Ok(())
            }
            Err(error) if is_lost(&error) => self.read_again(client),
            Err(error) if !self.has_session_of(client) => {
                client.cancel.check().map_err(|_| error)?;
                self.read_again(client)
            }
            Err(error) => {
                // Nothing is lost: the token still says where to go on.
                self.batch = Some(batch);
                Err(error)
            }
        }
    }

    /// Whether the snapshot has as many objects as the server.
    fn is_complete(&self, batch: &Batch) -> bool {
        self.classes.iter().all(|class| match batch.count(*class) {
            None => true,
            Some(count) => {
                let known = with_class!(*class, T => T::table(&self.snapshot).len());
                let problems = self.snapshot.problems.iter();
                let undecoded = problems.filter(|problem| problem.class == *class).count();
                count == (known + undecoded) as i64
            }
        })
    }

    /// Reads the whole, and finds the changes by comparing.
    fn read_again(&mut self, client: &Client) -> Result<()> {
        client.cancel.check()?;
        log::info!(client, "the watch reads the whole again: it lost its place in the events");
        let mut fresh = Snapshot::new();
        let batch = client.first_batch(&self.classes, &mut fresh, client.bounds())?;
        self.session = client.shared.session();
        for class in &self.classes {
            let changes = &mut self.changes;
            with_class!(*class, T => differences::<T>(*class, &self.snapshot, &fresh, changes));
        }
        self.snapshot = fresh;
        self.batch = Some(batch);
        self.doubtful = false;
        Ok(())
    }
}

/// The changes that make one table of another.
fn differences<T: Record>(
    class: Class,
    before: &Snapshot,
    after: &Snapshot,
    changes: &mut VecDeque<Event>,
) {
    let (before, after) = (T::table(before), T::table(after));
    for (reference, record) in after {
        let operation = match before.get(reference) {
            None => Operation::Added,
            Some(known) if known != record => Operation::Modified,
            Some(_) => continue,
        };
        changes.push_back(Event::new(class, reference.to_string(), operation));
    }
    for reference in before.refs().filter(|reference| after.get(reference).is_none()) {
        changes.push_back(Event::new(class, reference.to_string(), Operation::Deleted));
    }
}

/// Whether the server can make nothing of the token.
fn is_lost(error: &Error) -> bool {
    error.is_fault("EVENT_FROM_TOKEN_PARSE_FAILURE") || error.is_fault("EVENTS_LOST")
}

impl Iterator for Watch {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_under(&Cancel::new())
    }
}
