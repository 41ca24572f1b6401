//! A session at one host: logging in, there or at the master that it leads to, and out.

use super::bounds::Bounds;
use super::credentials::Credentials;
use super::exchange::perform;
use super::mark::MasterIsAway;
use super::options::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::Pool;
use crate::transport::{Cancel, Endpoint, Limits, Transport};
use crate::wire::{Call, Reply, Secret};

/// A session at one host.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: Endpoint,
    pub(super) reference: Secret,
}

/// A pool has one master, and a hand-over in progress has two; longer chains are loops.
const MAX_REDIRECTS: usize = 4;

/// Who logs in, over what and how.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) options: &'a Options,
    pub(super) credentials: &'a Credentials,
}

impl Login<'_> {
    /// Logs in at a host, or at the master that it leads to.
    pub(super) fn led_from(self, endpoint: &Endpoint, bounds: Bounds<'_>) -> Result<Session> {
        let mut asked = vec![endpoint.clone()];
        loop {
            let endpoint = &asked[asked.len() - 1];
            let error = match self.at(endpoint, bounds) {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            let Some(named) = error.fault().and_then(|fault| fault.master_address()) else {
                return Err(match asked.as_slice() {
                    [.., slave, master] => behind(slave, master, error),
                    _ => error,
                });
            };
            let master = self.options.resolve(named, endpoint)?;
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
    pub(super) fn at(self, endpoint: &Endpoint, bounds: Bounds<'_>) -> Result<Session> {
        // The server ignores the version.
        let (credentials, originator) = (self.credentials, self.options.originator.as_str());
        let params = (credentials.user(), credentials.password(), "1.0", originator);
        let call = Call::new("session.login_with_password", None, &params)?;
        let reference: String =
            perform(self.transport, endpoint, &call, bounds.small(), Reply::result)?;
        Ok(Session { endpoint: endpoint.clone(), reference: Secret::new(reference) })
    }
}

impl Session {
    /// Closes it, also when the call is cancelled: a session that stays open hurts others.
    ///
    /// Told twice if the connection breaks: that changes nothing, and the connection was perhaps an
    /// old one that the server had just closed.
    pub(super) fn log_out(&self, transport: &dyn Transport, limits: Limits) -> Result<()> {
        let call = Call::new("session.logout", Some(&self.reference), &())?;
        let never = Cancel::new();
        let bounds = Bounds::new(transport.clock(), limits, &never);
        let say = || perform(transport, &self.endpoint, &call, bounds, Reply::result::<()>);
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

/// The one pool of `pool.get_all_records`, if there is a record.
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
