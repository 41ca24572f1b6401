//! The client as callers hold it: what is shared, with the limits and the end of their calls.

use std::fmt;
use std::sync::Arc;

use super::bounds::Bounds;
use super::credentials::Credentials;
use super::shared::Shared;
use crate::error::Result;
use crate::transport::{Cancel, Clock, Endpoint, Limits};

/// A session with the master of one pool.
///
/// Shared between threads by reference, or by clones, which cost next to nothing and share the
/// session. The session is renewed when the server has lost it, and logged out when the client is
/// closed or the last clone dropped.
///
/// A client belongs to one pool, by its uuid: given to the
/// [builder](crate::client::ClientBuilder::pool_uuid), or learned with the first read. It never
/// follows a redirect or renews its session into another pool.
///
/// # Other limits, and an end, for some calls
/// [`with_limits`](Self::with_limits) and [`with_cancel`](Self::with_cancel) give views: clones
/// whose calls have other limits, or end with a cancel token. Whatever a call leads to is under
/// them: a renewed login, a redirect, the search for a new master, the wait for another thread that
/// is searching already. Nobody else who uses the session is disturbed.
///
/// ```no_run
/// # fn example(client: &xcp_pool::client::Client) -> xcp_pool::Result<()> {
/// use std::time::Duration;
/// use xcp_pool::client::Scope;
/// use xcp_pool::transport::{Cancel, Limits};
///
/// let stop = Cancel::new();
/// let hasty = client.with_limits(Limits::within(Duration::from_secs(5))).with_cancel(&stop);
/// hasty.snapshot(Scope::Overview)?;
/// client.snapshot(Scope::Everything)?; // with the client's own limits
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Limits,
    pub(super) cancel: Cancel,
}

impl Client {
    /// A view of the client whose calls have other limits.
    ///
    /// The limits are those of each call, as [`ClientBuilder::limits`] says.
    ///
    /// [`ClientBuilder::limits`]: crate::client::ClientBuilder::limits
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// A view of the client whose calls are cancelled by a token, too.
    ///
    /// What cancels this client cancels the view as well. A call that is cancelled fails with
    /// `Cancelled` and may have been done; the view can only fail from then on, the client and its
    /// session are as before.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self { cancel: Cancel::any([&self.cancel, cancel]), ..self.clone() }
    }

    /// A view of the client whose calls nobody can cancel.
    ///
    /// As for what has to be tidied up.
    #[must_use]
    pub fn without_cancel(&self) -> Self {
        Self { cancel: Cancel::new(), ..self.clone() }
    }

    /// The limits of a call.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The master's address, as it is known now.
    pub fn endpoint(&self) -> Endpoint {
        self.shared.endpoint()
    }

    /// The clock that waits go by.
    pub fn clock(&self) -> &dyn Clock {
        self.shared.clock()
    }

    /// Who is logged in.
    pub fn credentials(&self) -> &Credentials {
        &self.shared.credentials
    }

    /// Logs out, for all clones and views.
    ///
    /// What they are asked to do later fails with `State`.
    ///
    /// Dropping the last of them logs out, too, and ignores errors.
    ///
    /// # Errors
    /// `Transport`, `Timeout` if the server could not be told within 5 s; its session then ends by
    /// itself after a day without use.
    pub fn close(self) -> Result<()> {
        self.shared.close()
    }

    /// The bounds of a call that begins now.
    pub(super) fn bounds(&self) -> Bounds<'_> {
        Bounds::new(self.clock(), self.limits, &self.cancel)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint())
            .field("user", &self.credentials().user())
            .finish_non_exhaustive()
    }
}
