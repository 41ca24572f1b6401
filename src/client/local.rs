//! Sessions with one host alone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::client::Credentials;
use crate::client::call::perform;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Cancel, Endpoint, Limits, Transport};
use crate::wire::{Call, Params, Reply, Secret};

/// A session with one host, whatever its role: also with a member, also in emergency mode.
///
/// For the calls that a host answers without its pool: `host.is_in_emergency_mode`,
/// `pool.emergency_transition_to_master`, `pool.emergency_reset_master` and their like
/// (xen-api `Datamodel.emergency_calls`). It is never led elsewhere and never renewed.
///
/// Do not read records with it: a member whose master is dead does not answer, and has been seen to
/// fall into emergency mode over the question.
pub struct LocalSession {
    transport: Arc<dyn Transport>,
    endpoint: Endpoint,
    reference: Secret,
    limits: Limits,
    closed: AtomicBool,
}

/// As for other sessions.
const LOGOUT: Limits = Limits::within(Duration::from_secs(5));

impl LocalSession {
    /// Logs in at this very host (`session.slave_local_login_with_password`).
    ///
    /// The host does not end such sessions by itself: one whose reply is lost on its way stays until
    /// its toolstack restarts.
    ///
    /// # Errors
    /// `Fault` with `SESSION_AUTHENTICATION_FAILED` for another password; `Transport`, `Timeout`,
    /// `Trust` if the host does not answer or is not trusted.
    pub fn open(
        transport: impl Transport + 'static,
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: Limits,
    ) -> Result<Self> {
        let params = (credentials.user(), credentials.password());
        let call = Call::new("session.slave_local_login_with_password", None, &params)?;
        let reference: String =
            perform(&transport, endpoint, &call, limits, &Cancel::new(), Reply::result)
                .map_err(|failure| failure.error)?;
        Ok(Self {
            transport: Arc::new(transport),
            endpoint: endpoint.clone(),
            reference: Secret::new(reference),
            limits,
            closed: AtomicBool::new(false),
        })
    }

    /// The host.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
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
        self.send(method, params, self.limits)
    }

    /// Whether the host has lost its pool (`host.is_in_emergency_mode`).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn is_in_emergency_mode(&self) -> Result<bool> {
        self.call("host.is_in_emergency_mode", &())
    }

    /// Logs out; dropping the session does the same, and ignores errors.
    ///
    /// # Errors
    /// `Transport`, `Timeout` if the host could not be told; the session then lives as long as the
    /// host's toolstack.
    pub fn close(self) -> Result<()> {
        self.log_out()
    }

    fn log_out(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let say = || self.send::<()>("session.local_logout", &(), LOGOUT);
        let said = match say() {
            // Twice is no harm, and nothing else would ever end the session.
            Err(error) if error.kind() == ErrorKind::Transport => say(),
            said => said,
        };
        match said {
            Err(error) if !error.is_fault("SESSION_INVALID") => Err(error),
            _ => Ok(()),
        }
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Params + ?Sized),
        limits: Limits,
    ) -> Result<T> {
        let call = Call::new(method, Some(&self.reference), params)?;
        let cancel = Cancel::new();
        let result =
            perform(&*self.transport, &self.endpoint, &call, limits, &cancel, Reply::result);
        result.map_err(|failure| -> Error { failure.error })
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.log_out();
    }
}

impl fmt::Debug for LocalSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSession").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
