//! Logging in, the way to the master, renewal.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::bounds::{Bounds, CLOSING};
use crate::client::builder::Options;
use crate::client::call::{Repeat, perform};
use crate::client::{Client, Credentials, LoginFailure, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::{Pool, Uuid};
use crate::transport::{Cancel, Endpoint, Limits, Transport};
use crate::wire::{Call, Reply, Secret};

/// A session at one host.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: Endpoint,
    pub(super) reference: Secret,
}

/// Why a session is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The host does not answer.
    Connection,
    /// The host is no longer the master.
    Role,
    /// The host does not know the session.
    Session,
}

impl Lost {
    /// What the host did, after its name.
    fn words(self) -> &'static str {
        match self {
            Self::Connection => "does not answer",
            Self::Role => "is not the master any more",
            Self::Session => "does not know the session any more",
        }
    }
}

/// A pool has one master, and a hand-over in progress has two; longer chains are loops.
const MAX_REDIRECTS: usize = 4;

/// Replaced sessions that are kept to be closed with the client. More than any day has; the oldest
/// beyond are closed at once.
const MAX_RETIRED: usize = 32;

impl Session {
    /// Logs in at a host, or at the master that it leads to.
    pub(super) fn log_in(
        transport: &dyn Transport,
        options: &Options,
        endpoint: &Endpoint,
        credentials: &Credentials,
        bounds: Bounds<'_>,
    ) -> Result<Self> {
        let mut asked = vec![endpoint.clone()];
        loop {
            let endpoint = &asked[asked.len() - 1];
            let error = match Self::log_in_at(transport, options, endpoint, credentials, bounds) {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            let Some(named) = error.fault().and_then(|fault| fault.master_address()) else {
                return Err(match asked.as_slice() {
                    [.., slave, master] => behind(slave, master, error),
                    _ => error,
                });
            };
            let master = options.resolve(named, endpoint)?;
            log::info!(client, "{endpoint} is a member, and its master is {master}");
            if asked.contains(&master) || asked.len() > MAX_REDIRECTS {
                let path: Vec<_> = asked.iter().map(ToString::to_string).collect();
                return Err(Error::new(
                    ErrorKind::State,
                    format!(
                        "no host says that it is the master: {} -> {master}",
                        path.join(" -> ")
                    ),
                ));
            }
            asked.push(master);
        }
    }

    /// Logs in at one host (`session.login_with_password`).
    pub(super) fn log_in_at(
        transport: &dyn Transport,
        options: &Options,
        endpoint: &Endpoint,
        credentials: &Credentials,
        bounds: Bounds<'_>,
    ) -> Result<Self> {
        // The server ignores the version.
        let params =
            (credentials.user(), credentials.password(), "1.0", options.originator.as_str());
        let call = Call::new("session.login_with_password", None, &params)?;
        let limits = bounds.small().limits(transport.clock());
        let reference = perform(transport, endpoint, &call, limits, bounds.cancel, Reply::result)
            .map(|text: String| Secret::new(text))
            .map_err(|failure| failure.error)?;
        Ok(Self { endpoint: endpoint.clone(), reference })
    }

    /// Closes it, also when the client is cancelled: a session that stays open hurts others.
    ///
    /// Told twice if the connection breaks: that changes nothing, and the connection was perhaps an
    /// old one that the server had just closed.
    pub(super) fn log_out(&self, transport: &dyn Transport, limits: Limits) -> Result<()> {
        let call = Call::new("session.logout", Some(&self.reference), &())?;
        let never = Cancel::new();
        let bounds = Bounds::new(transport.clock(), limits, &never);
        let say = || {
            let limits = bounds.limits(transport.clock());
            perform(transport, &self.endpoint, &call, limits, &never, Reply::result::<()>)
        };
        let said = match say() {
            Err(failure) if failure.error.kind() == ErrorKind::Transport => say(),
            said => said,
        };
        match said {
            Err(failure) if !failure.session_lost => Err(failure.error),
            _ => Ok(()),
        }
    }
}

/// An error at the master that a member led to.
fn behind(slave: &Endpoint, master: &Endpoint, error: Error) -> Error {
    match error.kind() {
        kind @ (ErrorKind::Timeout | ErrorKind::Transport) => Error::new(
            kind,
            format!("{slave} is a member, and its master {master} does not answer"),
        )
        .with_source(MasterIsAway(error)),
        _ => error.context(format!("at the master that {slave} names")),
    }
}

/// Marks the error of a login that a member led to a master that does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct MasterIsAway(Error);

/// Marks the error of an answer for another pool.
#[derive(Clone, Debug, thiserror::Error)]
#[error("it belongs to pool {found}, and this client to pool {expected}")]
pub(super) struct OtherPool {
    found: Uuid,
    expected: Uuid,
}

/// The one pool of `pool.get_all_records`; none if there is no record.
pub(super) fn first_pool(reply: Reply) -> Result<Option<Pool>> {
    let (mut pool, mut wrong) = (None, None);
    reply.records::<Pool>(|reference, record| match record {
        Ok(record) if pool.is_none() => pool = Some(record),
        Ok(_) => {}
        Err(why) => {
            wrong.get_or_insert_with(|| format!("pool {reference}: {why}"));
        }
    })?;
    match wrong {
        None => Ok(pool),
        Some(wrong) => Err(Error::new(ErrorKind::Protocol, wrong)),
    }
}

impl Options {
    /// Where the host is that another one calls by this address.
    pub(super) fn resolve(&self, named: &str, by: &Endpoint) -> Result<Endpoint> {
        if let Some(real) = self.addresses.get(named) {
            return Ok(real.clone());
        }
        // Only to see whether it is an address at all; XAPI writes IPv6 without brackets.
        let parsed: Endpoint = named.parse().map_err(|error: Error| {
            Error::new(ErrorKind::Protocol, format!("{by} names a master that is no address"))
                .with_source(error)
        })?;
        Ok(by.with_host(parsed.host()))
    }
}

impl Client {
    /// The session as it is now.
    pub(super) fn session(&self) -> Arc<Session> {
        lock(&self.session).clone()
    }

    /// Replaces a session that is of no use any more, once for all threads that notice.
    ///
    /// The first thread logs in, the others wait for it and take its session.
    pub(super) fn renew(
        &self,
        stale: &Arc<Session>,
        lost: Lost,
        bounds: Bounds<'_>,
    ) -> Result<Arc<Session>> {
        let renewed = self.gate.run(bounds.left(self.clock()), bounds.cancel, || {
            let current = self.session();
            if !Arc::ptr_eq(&current, stale) {
                return Ok(current);
            }
            log::warning!(client, "{} {}: another session is needed", stale.endpoint, lost.words());
            let session = match self.replace(stale, lost, bounds) {
                Ok(session) => Arc::new(session),
                Err(error) => {
                    log::warning!(client, "no other session: {}", log::brief(&error));
                    return Err(error);
                }
            };
            log::info!(client, "session renewed at {}", session.endpoint);
            *lock(&self.session) = session.clone();
            if lost != Lost::Session {
                self.retire(stale.clone(), bounds);
            }
            Ok(session)
        })?;
        Ok(renewed.unwrap_or_else(|| self.session()))
    }

    /// Keeps a session that was replaced without knowing whether the pool still has it.
    ///
    /// It is closed with the client and not before: what another thread or a task is doing with it
    /// would fail half-way.
    fn retire(&self, session: Arc<Session>, bounds: Bounds<'_>) {
        let oldest = {
            let mut retired = lock(&self.retired);
            retired.push_back(session);
            if retired.len() > MAX_RETIRED { retired.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            let oldest = self.where_the_pool_is(&oldest);
            // Nobody is left who would want to know.
            let _ = oldest.log_out(&*self.transport, bounds.closing(self.clock()));
        }
    }

    /// An old session, to be closed at today's master: sessions are the pool's.
    fn where_the_pool_is(&self, old: &Session) -> Session {
        Session { endpoint: self.endpoint(), reference: old.reference.clone() }
    }

    fn replace(&self, stale: &Session, lost: Lost, bounds: Bounds<'_>) -> Result<Session> {
        // As long as nothing was read, any pool would do, and only the host that was named is it.
        let bound = lock(&self.pool_uuid).is_some();
        // A host that answers knows best; of one that does not, the others may know.
        if matches!(lost, Lost::Connection) && bound {
            return self.find_master(bounds);
        }
        let (transport, options) = (&*self.transport, &self.options);
        let found = Session::log_in(transport, options, &stale.endpoint, &self.credentials, bounds);
        let verified = found.and_then(|session| match self.verify_pool(&session, bounds) {
            Ok(()) => Ok(session),
            Err(error) => {
                // The error that matters is the one at hand.
                let _ = session.log_out(transport, bounds.closing(self.clock()));
                Err(error)
            }
        });
        let error = match verified {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let others_may_know = match LoginFailure::of(&error) {
            LoginFailure::BadPassword | LoginFailure::Caller => false,
            LoginFailure::OtherPool => self.knows_others(&stale.endpoint),
            _ => true,
        };
        if bound && others_may_know && !bounds.are_over(self.clock()) {
            self.find_master(bounds)
        } else {
            Err(error)
        }
    }

    fn knows_others(&self, than: &Endpoint) -> bool {
        lock(&self.members).iter().any(|member| member != than)
    }

    /// Fails if a session is with another pool than this client's; learns the pool if it is the
    /// first.
    pub(super) fn verify_pool(&self, session: &Session, bounds: Bounds<'_>) -> Result<()> {
        let call = Call::new("pool.get_all_records", Some(&session.reference), &())?;
        let (limits, cancel) = (bounds.small().limits(self.clock()), bounds.cancel);
        let pool = perform(&*self.transport, &session.endpoint, &call, limits, cancel, first_pool)
            .map_err(|failure| failure.error)?;
        self.bind_to_first(pool, &session.endpoint)
    }

    /// Makes sure that it is known which pool this client belongs to.
    pub(super) fn bind(&self, bounds: Bounds<'_>) -> Result<()> {
        if lock(&self.pool_uuid).is_some() {
            return Ok(());
        }
        self.ask_pool(bounds)
    }

    /// Asks which pool it is, and compares or notes it.
    pub(super) fn ask_pool(&self, bounds: Bounds<'_>) -> Result<()> {
        let pool = self.request_unbound(
            "pool.get_all_records",
            &(),
            bounds.small(),
            Repeat::Yes,
            first_pool,
        )?;
        self.bind_to_first(pool, &self.endpoint())
    }

    fn bind_to_first(&self, pool: Option<Pool>, endpoint: &Endpoint) -> Result<()> {
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

    pub(super) fn log_out(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let clock = self.clock();
        let bounds = Bounds::new(clock, Limits::within(CLOSING), &self.options.cancel).small();
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
