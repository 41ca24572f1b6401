//! What one host says that it is.

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

/// Asks one host what it is, by logging in there and nowhere else.
///
/// # Errors
/// Whatever keeps the host from saying it: [`LoginFailure::of`](crate::client::LoginFailure::of)
/// tells a host that starts from one that has lost its pool, or is not there.
pub fn probe(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    credentials: &Credentials,
    limits: Limits,
    cancel: &Cancel,
) -> Result<Role> {
    match ask(transport, endpoint, credentials, limits, cancel)? {
        Asked::Busy(error) => Err(error),
        Asked::Master(pool, _) => Ok(Role::Master(pool.uuid)),
        Asked::Member(master) => Ok(Role::Member(master)),
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

/// Asks one host what it is, and of which pool; the limits are those of the whole question.
pub(crate) fn ask(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    credentials: &Credentials,
    limits: Limits,
    cancel: &Cancel,
) -> Result<Asked> {
    let options = Options::default();
    let login = Login { transport, options: &options, credentials };
    let bounds = Bounds::new(transport.clock(), limits, cancel).small();
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
