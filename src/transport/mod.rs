//! The seam between this crate and the wire: one request body to one endpoint.
//!
//! A [`Transport`] knows nothing of XAPI but its path and content type. Sessions, redirects and
//! retries live in `client`; encoding and decoding in `wire`.

mod clock;
mod endpoint;
#[cfg(feature = "http")]
mod http;
mod scripted;

pub use crate::wire::body::Body;
pub use clock::{Cancel, Clock, SystemClock};
pub use endpoint::{Endpoint, Scheme};
#[cfg(feature = "http")]
pub use http::{FilePins, Fingerprint, Http, HttpBuilder, MemoryPins, Mismatch, PinStore, Trust};
pub use scripted::Scripted;

use std::time::Duration;

use crate::error::Result;

/// Carries one JSON-RPC request to a host and brings back the reply.
///
/// # Errors
/// Implementations map what went wrong to [`ErrorKind`](crate::error::ErrorKind): `Transport` for
/// no or a broken connection and for HTTP statuses other than 200, `Timeout` for a deadline that
/// passed, `Trust` for a certificate, `TooLarge` for a limit, `Cancelled` for a cancelled call.
pub trait Transport: Send + Sync {
    /// Sends the body to `/jsonrpc` of the endpoint; returns the reply's body.
    ///
    /// # Errors
    /// As the trait says.
    fn exchange(&self, request: &Request<'_>) -> Result<Body>;

    /// The clock that waits on this transport go by.
    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }

    /// How many requests to different hosts may be under way at a time; eight if not said.
    ///
    /// A simulator in virtual time may return one, so that a run can be repeated exactly.
    fn at_once(&self) -> usize {
        8
    }
}

impl<T: Transport + ?Sized> Transport for std::sync::Arc<T> {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        (**self).exchange(request)
    }

    fn clock(&self) -> &dyn Clock {
        (**self).clock()
    }

    fn at_once(&self) -> usize {
        (**self).at_once()
    }
}

impl<T: Transport + ?Sized> Transport for &T {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        (**self).exchange(request)
    }

    fn clock(&self) -> &dyn Clock {
        (**self).clock()
    }

    fn at_once(&self) -> usize {
        (**self).at_once()
    }
}

/// One request: where to, what, and under which limits.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The host to ask.
    pub endpoint: &'a Endpoint,
    /// The body, a JSON-RPC request.
    pub body: &'a [u8],
    /// How long it may take and how large the reply may be.
    pub limits: Limits,
    /// Cancels the request from another thread.
    pub cancel: &'a Cancel,
}

impl<'a> Request<'a> {
    /// A request under the given limits.
    pub fn new(endpoint: &'a Endpoint, body: &'a [u8], limits: Limits, cancel: &'a Cancel) -> Self {
        Self { endpoint, body, limits, cancel }
    }
}

/// How long a request may take and how large its reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From the call to the last byte of the reply.
    pub overall: Duration,
    /// The largest reply, in bytes.
    ///
    /// Records that are smaller than what they are decoded into are counted as large as that. Sets
    /// and maps inside a record are not: a reply made to hurt may take some ten times its bytes.
    pub max_reply: u64,
}

impl Limits {
    /// Limits with the default reply size of 512 MiB, eight times a pool of 10,000 VMs.
    pub const fn within(overall: Duration) -> Self {
        Self { overall, max_reply: 512 << 20 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::within(Duration::from_secs(60))
    }
}
