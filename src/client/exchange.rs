//! One request and its reply, and what a failure says about the session that was used.

use super::bounds::Bounds;
use super::login::is_out_of_service;
use super::traffic::Told;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::transport::{Endpoint, Request, Transport};
use crate::wire::{Call, HIDDEN, Reply};

/// Sends one request, once, and decodes the reply.
pub(super) fn perform<T>(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    call: &Call,
    bounds: Bounds<'_>,
    mut decode: impl FnMut(Reply) -> Result<T>,
) -> Result<T, Failure> {
    let limits = bounds.limits(transport.clock());
    let request = Request::new(endpoint, call.body(), limits, bounds.cancel);
    let told = Told::begin(transport);
    let result = transport.exchange(&request).and_then(|body| {
        let body = Told::counted(told.as_ref(), body);
        decode(Reply::new(body, limits.max_reply))
    });
    if let Some(told) = told {
        told.end(transport, endpoint, call.method(), &result);
    }
    result.map_err(|error| {
        let what = format!("{} at {endpoint}", call.method());
        match error.fault() {
            None => error.context(what).into(),
            Some(fault) => {
                let scrubbed = call.scrub(fault.clone());
                // The parameter is the session's ref. Another ref is another session, which the
                // server itself was using for what was asked of it.
                let session_lost = fault.is_session_invalid() && scrubbed.params != fault.params;
                let scrubbed = hide_session(scrubbed);
                Failure { error: Error::from(scrubbed).context(what), session_lost }
            }
        }
    })
}

/// Why one exchange failed.
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether the server does not know the session of this very call.
    pub(super) session_lost: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, session_lost: false }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Failure {
    /// What it says about the session that was used, unless that is in order.
    pub(super) fn lost(&self) -> Option<Lost> {
        if self.session_lost {
            return Some(Lost::Session);
        }
        match self.error.fault() {
            Some(fault) if fault.master_address().is_some() => Some(Lost::Role),
            // It has restarted, and forgotten all sessions.
            Some(fault) if is_out_of_service(fault) => Some(Lost::Connection),
            Some(_) => None,
            None => matches!(self.error.kind(), ErrorKind::Transport | ErrorKind::Timeout)
                .then_some(Lost::Connection),
        }
    }
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
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Connection => "does not answer",
            Self::Role => "is not the master any more",
            Self::Session => "does not know the session any more",
        }
    }
}

/// The fault without the ref of a session that it is about, whosever session that is.
fn hide_session(mut fault: Fault) -> Fault {
    if fault.is_session_invalid() {
        let told = fault.params.iter_mut().filter(|param| !param.is_empty());
        told.for_each(|param| *param = HIDDEN.to_owned());
    }
    fault
}
