//! Sessions with one host alone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;

use super::bounds::{Bounds, CLOSING};
use super::exchange::{Failure, perform};
use super::one_host::OneHost;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Cancel, Endpoint, Limits, Transport};
use crate::wire::{Call, Params, Reply, Secret};

/// A session with one host, whatever its role.
///
/// Also with a member, also in emergency mode.
///
/// For the calls that a host answers without its pool: `host.is_in_emergency_mode`,
/// `pool.emergency_transition_to_master`, `pool.emergency_reset_master` and their like
/// (xen-api `Datamodel.emergency_calls`). It is never led elsewhere and never renewed.
///
/// Do not read records with it: a member whose master is dead does not answer, and has been seen to
/// fall into emergency mode over the question.
///
/// Clones cost next to nothing and share the session, which ends with the last of them.
#[derive(Clone)]
pub struct LocalSession {
    shared: Arc<Shared>,
    limits: Limits,
    cancel: Cancel,
}

/// What all views of a local session share.
struct Shared {
    transport: Arc<dyn Transport>,
    endpoint: Endpoint,
    reference: Secret,
    closed: AtomicBool,
}

impl OneHost {
    /// Logs in at this very host (`session.slave_local_login_with_password`).
    ///
    /// The host does not end such sessions by itself: one whose reply is lost on its way stays
    /// until its toolstack restarts.
    ///
    /// # Errors
    /// `Fault` with `SESSION_AUTHENTICATION_FAILED` for another password; `Transport`, `Timeout`,
    /// `Trust` if the host does not answer or is not trusted.
    pub fn session(&self) -> Result<LocalSession> {
        let Self { transport, endpoint, credentials, limits, cancel } = self;
        let params = (credentials.user(), credentials.password());
        let call = Call::new("session.slave_local_login_with_password", None, &params)?;
        let bounds = Bounds::new(transport.clock(), *limits, cancel);
        let reference: String = perform(&**transport, endpoint, &call, bounds, Reply::result)?;
        let shared = Shared {
            transport: transport.clone(),
            endpoint: endpoint.clone(),
            reference: Secret::new(reference),
            closed: AtomicBool::new(false),
        };
        Ok(LocalSession { shared: Arc::new(shared), limits: *limits, cancel: cancel.clone() })
    }
}

impl LocalSession {
    /// A view of the session whose calls have other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// A view of the session whose calls are cancelled by a token, too.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self { cancel: Cancel::any([&self.cancel, cancel]), ..self.clone() }
    }

    /// A view of the session whose calls nobody can cancel.
    #[must_use]
    pub fn without_cancel(&self) -> Self {
        Self { cancel: Cancel::new(), ..self.clone() }
    }

    /// The host.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// Calls a method with its parameters, the session left out; sent exactly once.
    ///
    /// # Errors
    /// As [`Client::call`](crate::client::Client::call).
    pub fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Params + ?Sized),
    ) -> Result<T> {
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::State, "the session was closed"));
        }
        Ok(self.shared.send(method, params, self.limits, &self.cancel)?)
    }

    /// Whether the host has lost its pool (`host.is_in_emergency_mode`).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn is_in_emergency_mode(&self) -> Result<bool> {
        self.call("host.is_in_emergency_mode", &())
    }

    /// Logs out, for all clones and views.
    ///
    /// Dropping the last of them does so, too, and ignores errors.
    ///
    /// # Errors
    /// `Transport`, `Timeout` if the host could not be told; the session then lives as long as the
    /// host's toolstack.
    pub fn close(self) -> Result<()> {
        self.shared.close()
    }
}

impl Shared {
    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let (limits, never) = (Limits::within(CLOSING), Cancel::new());
        let say = || self.send::<()>("session.local_logout", &(), limits, &never);
        let said = match say() {
            // Twice is no harm, and nothing else would ever end the session.
            Err(failure) if failure.error.kind() == ErrorKind::Transport => say(),
            said => said,
        };
        match said {
            Err(failure) if !failure.error.is_fault("SESSION_INVALID") => Err(failure.error),
            _ => Ok(()),
        }
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Params + ?Sized),
        limits: Limits,
        cancel: &Cancel,
    ) -> Result<T, Failure> {
        let call = Call::new(method, Some(&self.reference), params)?;
        let transport = &*self.transport;
        let bounds = Bounds::new(transport.clock(), limits, cancel);
        perform(transport, &self.endpoint, &call, bounds, Reply::result)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.close();
    }
}

impl fmt::Debug for LocalSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSession").field("endpoint", self.endpoint()).finish_non_exhaustive()
    }
}
