//! What all views of a client share: the session, the pool that it is bound to, the way to it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bounds::{Bounds, CLOSING};
use super::credentials::Credentials;
use super::exchange::perform;
use super::gate::Gate;
use super::mark::OtherPool;
use super::options::Options;
use super::session::{Login, Session, first_pool};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Pool, Uuid};
use crate::transport::{Cancel, Clock, Endpoint, Limits, Transport};
use crate::wire::{Call, Secret};

/// A client without the limits and the cancel token of its calls.
pub(super) struct Shared {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) credentials: Credentials,
    pub(super) options: Options,
    session: Mutex<Arc<Session>>,
    /// Whether there is a session that somebody needs.
    open: AtomicBool,
    /// Sessions that were replaced, but that the pool may still have.
    retired: Mutex<VecDeque<Arc<Session>>>,
    /// Lets one thread renew the session.
    pub(super) gate: Gate,
    /// Where the pool's hosts were when they were last seen.
    pub(super) members: Mutex<Vec<Endpoint>>,
    /// Whether a write got no answer, so that the next one must ask first who is the master.
    pub(super) suspect: AtomicBool,
    pool_uuid: Mutex<Option<Uuid>>,
}

/// Replaced sessions that are kept to be closed with the client. More than any day has; the oldest
/// beyond are closed at once.
const MAX_RETIRED: usize = 32;

impl Shared {
    /// One that has no session yet, and first looks for the pool at this endpoint.
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        credentials: &Credentials,
        options: Options,
        endpoint: &Endpoint,
        pool_uuid: Option<Uuid>,
    ) -> Self {
        let nobody = Session { endpoint: endpoint.clone(), reference: Secret::default() };
        Self {
            transport,
            credentials: credentials.clone(),
            options,
            session: Mutex::new(Arc::new(nobody)),
            open: AtomicBool::new(false),
            retired: Mutex::default(),
            gate: Gate::default(),
            members: Mutex::default(),
            suspect: AtomicBool::new(false),
            pool_uuid: Mutex::new(pool_uuid),
        }
    }

    /// Begins with the first session.
    pub(super) fn open(&self, session: Session) {
        self.replace_session(Arc::new(session));
        self.open.store(true, Ordering::SeqCst);
    }

    /// Fails once it was closed.
    pub(super) fn check_open(&self) -> Result<()> {
        match self.open.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::State, "the client was closed")),
        }
    }

    /// The session as it is now.
    pub(super) fn session(&self) -> Arc<Session> {
        lock(&self.session).clone()
    }

    /// The master's address, as it is known now.
    pub(super) fn endpoint(&self) -> Endpoint {
        self.session().endpoint.clone()
    }

    pub(super) fn replace_session(&self, session: Arc<Session>) {
        *lock(&self.session) = session;
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.transport.clock()
    }

    pub(super) fn login(&self) -> Login<'_> {
        Login {
            transport: &*self.transport,
            options: &self.options,
            credentials: &self.credentials,
        }
    }

    pub(super) fn pool_uuid(&self) -> Option<Uuid> {
        lock(&self.pool_uuid).clone()
    }

    /// Fails if a session is with another pool than this client's; learns the pool if it is the
    /// first.
    pub(super) fn verify_pool(&self, session: &Session, bounds: Bounds<'_>) -> Result<()> {
        let call = Call::new("pool.get_all_records", Some(&session.reference), &())?;
        let transport = &*self.transport;
        let pool = perform(transport, &session.endpoint, &call, bounds.small(), first_pool)?;
        self.bind_to_first(pool, &session.endpoint)
    }

    pub(super) fn bind_to_first(&self, pool: Option<Pool>, endpoint: &Endpoint) -> Result<()> {
        match pool {
            Some(pool) => self.bind_to(&pool.uuid, endpoint),
            None => Err(Error::new(ErrorKind::Protocol, format!("{endpoint} has no pool record"))),
        }
    }

    /// Notes the pool's uuid, or compares it with the one that is known.
    pub(super) fn bind_to(&self, uuid: &Uuid, endpoint: &Endpoint) -> Result<()> {
        let mut known = lock(&self.pool_uuid);
        match &*known {
            None => {
                *known = Some(uuid.clone());
                Ok(())
            }
            Some(known) if known == uuid => Ok(()),
            Some(known) => {
                Err(Error::new(ErrorKind::State, format!("{endpoint} is of another pool"))
                    .with_source(OtherPool { found: uuid.clone(), expected: known.clone() }))
            }
        }
    }

    /// Keeps a session that was replaced without knowing whether the pool still has it.
    ///
    /// It is closed with the client and not before: what another thread or a task is doing with it
    /// would fail half-way.
    pub(super) fn retire(&self, session: Arc<Session>, bounds: Bounds<'_>) {
        let oldest = {
            let mut retired = lock(&self.retired);
            retired.push_back(session);
            if retired.len() > MAX_RETIRED { retired.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            // Nobody is left who would want to know.
            self.forget(&self.where_the_pool_is(&oldest), bounds);
        }
    }

    /// Closes a session that is of no use any more; what comes of it does not matter.
    pub(super) fn forget(&self, session: &Session, bounds: Bounds<'_>) {
        let _ = session.log_out(&*self.transport, bounds.closing(self.clock()));
    }

    /// An old session, to be closed at today's master: sessions are the pool's.
    fn where_the_pool_is(&self, old: &Session) -> Session {
        Session { endpoint: self.endpoint(), reference: old.reference.clone() }
    }

    /// Ends the session, and those that were replaced.
    pub(super) fn close(&self) -> Result<()> {
        if !self.open.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let (clock, never) = (self.clock(), Cancel::new());
        let bounds = Bounds::new(clock, Limits::within(CLOSING), &never).small();
        let closed = self.session().log_out(&*self.transport, bounds.limits(clock));
        let retired = std::mem::take(&mut *lock(&self.retired));
        // A master that did not answer the first does not get to hold up the end.
        if closed.is_ok() {
            for old in &retired {
                self.where_the_pool_is(old).log_out(&*self.transport, bounds.limits(clock))?;
            }
        }
        closed
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody is left to tell; the server forgets the session by itself in the end.
        let _ = self.close();
    }
}

/// Locks, also after another thread panicked: every value behind these locks is replaced whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
