//! One host alone, and what it says that it is.

use std::fmt;
use std::sync::Arc;

use super::bounds::Bounds;
use super::credentials::Credentials;
use super::exchange::perform;
use super::options::Options;
use super::session::{Login, Session, first_pool};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Host, Pool, Ref, Uuid};
use crate::transport::{Cancel, Endpoint, Limits, Transport};
use crate::wire::{Call, Reply};

/// What a host that answers says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The master of a pool, by the uuid of the pool.
    ///
    /// A stand-alone host is the master of a pool of its own.
    Master(Uuid),
    /// A member, whose master is at this address. The master may be long dead.
    Member(String),
}

/// One host, to be spoken to alone: whatever its role, and never led elsewhere.
///
/// # Example
/// ```no_run
/// # fn check(http: xcp_pool::transport::Scripted, root: &xcp_pool::client::Credentials) -> xcp_pool::Result<()> {
/// use std::time::Duration;
/// use xcp_pool::client::{OneHost, Role};
/// use xcp_pool::transport::{Endpoint, Limits};
///
/// let ignite = OneHost::new(http, Endpoint::https("ignite.lan"), root)
///     .limits(Limits::within(Duration::from_secs(15)));
/// if let Role::Member(master) = ignite.role()? {
///     println!("it follows {master}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OneHost {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) endpoint: Endpoint,
    pub(super) credentials: Credentials,
    pub(super) limits: Limits,
    pub(super) cancel: Cancel,
}

impl OneHost {
    /// The host at an endpoint, under the default [`Limits`].
    pub fn new(
        transport: impl Transport + 'static,
        endpoint: Endpoint,
        credentials: &Credentials,
    ) -> Self {
        Self {
            transport: Arc::new(transport),
            endpoint,
            credentials: credentials.clone(),
            limits: Limits::default(),
            cancel: Cancel::new(),
        }
    }

    /// The limits of a question, and of each call of a session.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What cancels questions, and whatever a session is doing; it still logs out.
    #[must_use]
    pub fn cancel(self, cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..self }
    }

    /// Asks the host what it is, by logging in there and nowhere else.
    ///
    /// # Errors
    /// Whatever keeps the host from saying it:
    /// [`LoginFailure::of`](crate::client::LoginFailure::of) tells a host that starts from one that
    /// has lost its pool, or is not there.
    pub fn role(&self) -> Result<Role> {
        match self.ask()? {
            Asked::Busy(error) => Err(error),
            Asked::Master(pool, _) => Ok(Role::Master(pool.uuid)),
            Asked::Member(master) => Ok(Role::Member(master)),
        }
    }

    /// Asks the host what it is, and of which pool; the limits are those of the whole question.
    pub(crate) fn ask(&self) -> Result<Asked> {
        let Self { transport, endpoint, credentials, limits, cancel } = self;
        let transport = &**transport;
        let options = Options::default();
        let login = Login { transport, options: &options, credentials };
        let bounds = Bounds::new(transport.clock(), *limits, cancel).small();
        let session = match login.at(endpoint, bounds) {
            Ok(session) => session,
            Err(error) => {
                let member = error.fault().and_then(|fault| fault.master_address());
                return match member.map(str::to_owned) {
                    Some(master) => Ok(Asked::Member(master)),
                    None => Err(error),
                };
            }
        };
        let answer = read(transport, endpoint, &session, bounds);
        // What it is has been said, or not; the session is of no further use.
        let _ = session.log_out(transport, bounds.closing(transport.clock()));
        match answer {
            Ok((pool, host)) => Ok(Asked::Master(pool, host)),
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => Ok(Asked::Busy(error)),
        }
    }
}

/// What one host answered to a login and to the reads after it.
pub(crate) enum Asked {
    /// It took the login, as only masters do, and then did not answer.
    Busy(Error),
    /// It is the master of this pool, and this is its own ref.
    Master(Box<Pool>, Ref<Host>),
    /// It is a member, whose master is at this address.
    Member(String),
}

fn read(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    session: &Session,
    bounds: Bounds<'_>,
) -> Result<(Box<Pool>, Ref<Host>)> {
    let call = Call::new("pool.get_all_records", Some(&session.reference), &())?;
    let pool = perform(transport, endpoint, &call, bounds, first_pool)?;
    let call =
        Call::new("session.get_this_host", Some(&session.reference), &(&session.reference,))?;
    let host = perform(transport, endpoint, &call, bounds, Reply::result)?;
    match pool {
        Some(pool) => Ok((Box::new(pool), host)),
        None => Err(Error::new(ErrorKind::Protocol, format!("{endpoint} has no pool record"))),
    }
}

impl fmt::Debug for OneHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneHost").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
