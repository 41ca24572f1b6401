//! What one host says that it is.

use std::collections::BTreeMap;

use crate::client::Credentials;
use crate::client::builder::Options;
use crate::client::call::perform;
use crate::client::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Pool, Ref, Uuid};
use crate::transport::{Cancel, Endpoint, Limits, Transport};
use crate::wire::{Call, Reply};

/// What a host that answers says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The master of a pool, by its uuid; a stand-alone host is the master of a pool of its own.
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
    let options = Options::new(limits, cancel.clone());
    let session = match Session::log_in_at(transport, &options, endpoint, credentials) {
        Ok(session) => session,
        Err(error) => {
            let member = error.fault().and_then(|fault| fault.master_address());
            return match member.map(str::to_owned) {
                Some(master) => Ok(Role::Member(master)),
                None => Err(error),
            };
        }
    };
    let call = Call::new("pool.get_all_records", Some(&session.reference), &())?;
    let decode = Reply::result::<BTreeMap<Ref<Pool>, Pool>>;
    let pools = perform(transport, endpoint, &call, limits, cancel, decode);
    // What it is has been said, or not; the session is of no further use.
    let _ = session.log_out(transport);
    let pools = pools.map_err(|failure| failure.error)?;
    match pools.into_values().next() {
        Some(pool) => Ok(Role::Master(pool.uuid)),
        None => Err(Error::new(ErrorKind::Protocol, format!("{endpoint} has no pool record"))),
    }
}
