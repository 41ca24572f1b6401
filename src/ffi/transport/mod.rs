//! Transports as objects.

mod carried;
mod custom;

pub(super) use carried::{Carried, not_in_callback_of};
pub use custom::*;

use std::ffi::c_char;
use std::time::Duration;

use serde::Deserialize;

use crate::ffi::boundary::{self, Out, call, optional_text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json::{self, seconds};
use crate::ffi::registry::Object;
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status;
use crate::ffi::trust::xcp_trust_store;
use crate::transport::{Http, Transport, Trust};

/// The way to hosts: HTTPS, a simulator, or the caller's own.
///
/// Made by `xcp_transport_https`, `xcp_transport_simulator` or `xcp_transport_custom`, freed by
/// `xcp_transport_free`; clients that were connected over it keep what they need. Threads: may be
/// used by many at once, and shared by many clients.
pub struct xcp_transport {
    pub(super) transport: Carried,
    /// The transport once more, if it is HTTPS.
    http: Option<Http>,
}

impl xcp_transport {
    /// A transport that is not HTTPS.
    pub(super) fn other(transport: impl Transport + 'static) -> Self {
        Self { transport: Carried::new(transport), http: None }
    }
}

impl Object for xcp_transport {
    const NAME: &'static str = "xcp_transport";
}

/// Makes a transport to real hosts: JSON-RPC over HTTPS.
///
/// Connections are kept and shared. `trust` says which certificates are trusted; NULL means those
/// of the system's authorities. `options_json` may be NULL. It is `{"connect_timeout": seconds,
/// "stall_timeout": seconds, "timeout": seconds, "proxy_from_environment": bool,
/// "danger_allow_plain_http": bool}`, all optional: how long a connection may take (10), how long a
/// reply may stop in the middle (30), how long any request may take at most (as long as the call
/// allows), and whether the proxy is taken from HTTPS_PROXY and its like (no), and whether
/// addresses with http:// are allowed, on which everybody on the way can read the password (no).
///
/// `*transport` is freed with `xcp_transport_free`. From any thread. Fails with XCP_E_INVALID_INPUT
/// for unknown options, or if the system has no certificate authorities and they are wanted.
///
/// # Safety
/// `options_json` is NULL or ends with NUL; `trust` is NULL or came from this library; `transport`
/// can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_transport_https(
    options_json: *const c_char,
    trust: *const xcp_trust_store,
    transport: *mut *mut xcp_transport,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_transport_https", error, |call| {
            let options = optional_text(options_json, "options_json")?;
            let options: HttpOptions = json::decode_or_default(options, "options_json")?;
            let trust = match trust.is_null() {
                true => Trust::system(),
                false => call.object(trust, "trust")?.trust(),
            };
            let out = Out::new(transport, "transport")?;
            let http = options.build(trust)?;
            out.write_object(xcp_transport {
                transport: Carried::new(http.clone()),
                http: Some(http),
            });
            Ok(())
        })
    }
}

/// Remembers the certificates that a snapshot has of hosts, and counts the hosts.
///
/// For trust on first use: the master, which is trusted already, vouches for its members before one
/// of them has to be asked, in the hour when the master is gone. The snapshot is of scope
/// "preflight" or "everything"; hosts are remembered under their addresses and `port`, 443 for real
/// ones. With any other trust, and for transports that are not HTTPS, there is nothing to remember.
///
/// From any thread. Fails with XCP_E_TRUST if another certificate is remembered of one of the hosts
/// (`xcp_error_mismatch_json`); the others are remembered all the same.
///
/// # Safety
/// `transport` and `snapshot` came from this library; `count` can be written; `error` is NULL or
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_transport_remember_members(
    transport: *const xcp_transport,
    snapshot: *const xcp_snapshot,
    port: u16,
    count: *mut usize,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_transport_remember_members", error, |call| {
            let transport = call.object(transport, "transport")?;
            let snapshot = call.object(snapshot, "snapshot")?;
            let out = Out::new(count, "count")?;
            let remembered = match &transport.http {
                Some(http) => http.remember_members(&snapshot.snapshot, port)?,
                None => 0,
            };
            out.write(remembered);
            Ok(())
        })
    }
}

/// Frees a transport. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `transport` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_transport_free(transport: *mut xcp_transport) {
    boundary::free(transport);
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of options")]
struct HttpOptions {
    #[serde(deserialize_with = "seconds")]
    connect_timeout: Option<Duration>,
    #[serde(deserialize_with = "seconds")]
    stall_timeout: Option<Duration>,
    #[serde(deserialize_with = "seconds")]
    timeout: Option<Duration>,
    proxy_from_environment: bool,
    danger_allow_plain_http: bool,
}

impl HttpOptions {
    fn build(self, trust: Trust) -> Result<Http, Failure> {
        let mut http = Http::builder().trust(trust);
        if let Some(time) = self.connect_timeout {
            http = http.connect_timeout(time);
        }
        if let Some(time) = self.stall_timeout {
            http = http.stall_timeout(time);
        }
        if let Some(time) = self.timeout {
            http = http.timeout(time);
        }
        if self.proxy_from_environment {
            http = http.proxy_from_environment();
        }
        if self.danger_allow_plain_http {
            http = http.danger_allow_plain_http();
        }
        Ok(http.build()?)
    }
}
