//! Clients as objects.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::{Client, Credentials, Scope};
use crate::ffi::arguments::{limits, params};
use crate::ffi::boundary::{self, Call, Out, call, optional_text, quiet, text};
use crate::ffi::calls::{Calls, cancellable, on_all};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json::{self, seconds};
use crate::ffi::registry::Object;
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};
use crate::ffi::transport::xcp_transport;
use crate::model::Class;
use crate::text::quoted;
use crate::transport::{Cancel, Limits};

/// A session with the master of one pool.
///
/// Made by `xcp_client_connect`, freed by `xcp_client_free`. It is led to the master, stays with
/// its pool, and renews its session when the server has lost it. Threads: may be used by many at
/// once. While a call on a client runs a callback, that callback cannot call on the same client,
/// and a transport's callback on no client over that transport: it gets XCP_E_MISUSE.
pub struct xcp_client {
    pub(super) client: Client,
    pub(super) calls: Arc<Calls>,
}

impl Object for xcp_client {
    const NAME: &'static str = "xcp_client";
}

/// Logs in at a host, or at the master that the host names.
///
/// `address` is a name or IP address, with a port or a scheme if need be. `options_json` may be
/// NULL; it is `{"originator": text, "pool_uuid": text, "timeout": seconds, "max_reply": bytes,
/// "addresses": {address: real address}, "members": [address...], "patience": seconds}`, all
/// optional: who the server is told to be talking to, the only pool that is accepted, how long a
/// call may take (60), how large a reply may be (512 MiB), where hosts really are that others call
/// by an address (NAT, tunnels), where else to look for the pool when the master does not answer,
/// and for how long. `cancel` may be NULL.
///
/// `*client` is freed with `xcp_client_free`; `transport` may be freed at once. From any thread.
/// Fails with XCP_E_FAULT for what the server raises (SESSION_AUTHENTICATION_FAILED for a wrong
/// password), XCP_E_TRANSPORT, XCP_E_TIMEOUT, XCP_E_TRUST and XCP_E_PROTOCOL for what keeps the
/// host from being asked, XCP_E_STATE for another pool than `pool_uuid` or if no host says that it
/// is the master.
///
/// # Safety
/// The texts end with NUL, `options_json` or is NULL; `transport` came from this library, `cancel`
/// or is NULL; `client` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_connect(
    transport: *const xcp_transport,
    address: *const c_char,
    user: *const c_char,
    password: *const c_char,
    options_json: *const c_char,
    cancel: *const xcp_cancel,
    client: *mut *mut xcp_client,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_connect", error, |call| {
            let transport = call.object(transport, "transport")?;
            let address = text(address, "address")?;
            let credentials = Credentials::new(text(user, "user")?, text(password, "password")?);
            let options = optional_text(options_json, "options_json")?;
            let options: ClientOptions = json::decode_or_default(options, "options_json")?;
            let out = Out::new(client, "client")?;
            let transport = transport.transport.clone();
            let calls = Calls::over(transport.address());
            let client = cancellable(call, cancel, &[], |token| {
                let builder = options.apply(Client::builder(transport))?.cancel(token.clone());
                builder.connect(address, &credentials).map_err(Failure::of_login)
            })?;
            out.write_object(xcp_client { client: client.without_cancel(), calls });
            Ok(())
        })
    }
}

/// Ends all calls that are going on, on this client and its views.
///
/// They fail with XCP_E_CANCELLED. Later calls are not affected. NULL is fine. From any thread.
///
/// # Safety
/// `client` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_cancel(client: *const xcp_client) {
    quiet((), |call| {
        call.object(client, "client")?.calls.cancel();
        Ok(())
    });
}

/// Tells the master's address as a URL, as it is known now.
///
/// `*url` is freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `client` came from this library; `url` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_endpoint(
    client: *const xcp_client,
    url: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_endpoint", error, |call| {
            let client = call.object(client, "client")?;
            let out = Out::new(url, "url")?;
            out.write_text(client.client.endpoint().to_string());
            Ok(())
        })
    }
}

/// Tells the uuid of the pool that the client belongs to.
///
/// `cancel` may be NULL. `*uuid` is freed with `xcp_string_free`. From any thread. Fails as
/// `xcp_client_call_json`, if the pool must be asked.
///
/// # Safety
/// `client` came from this library, `cancel` or is NULL; `uuid` can be written; `error` is NULL or
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_pool_uuid(
    client: *const xcp_client,
    cancel: *const xcp_cancel,
    uuid: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_pool_uuid", error, |call| {
            let client = call.object(client, "client")?;
            let out = Out::new(uuid, "uuid")?;
            let uuid = client.on(call, cancel, |client| Ok(client.pool_uuid()?))?;
            out.write_text(uuid.to_string());
            Ok(())
        })
    }
}

/// Reads a snapshot of the pool, in one request.
///
/// `scope` is "overview" (hosts, storage and networks), "preflight" (what decides about a join),
/// "election" (who can become master), "failover" (what decides how many hosts may fail) or
/// "everything", or a JSON list of classes, `["pool", "host", "SR"]`. A snapshot is nearly a cut:
/// objects that change while the server reads may be told as they were a moment before or after; if
/// `settled`, the pool is asked again until nothing changes any more, which scopes can be and lists
/// cannot. `cancel` may be NULL.
///
/// `*snapshot` is freed with `xcp_snapshot_free`. From any thread. Fails as `xcp_client_call_json`,
/// and with XCP_E_STATE if the pool does not come to rest.
///
/// # Safety
/// `client` came from this library, `cancel` or is NULL; `scope` ends with NUL; `snapshot` can be
/// written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_snapshot(
    client: *const xcp_client,
    scope: *const c_char,
    settled: bool,
    cancel: *const xcp_cancel,
    snapshot: *mut *mut xcp_snapshot,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_snapshot", error, |call| {
            let client = call.object(client, "client")?;
            let scope = scope_named(text(scope, "scope")?)?;
            let out = Out::new(snapshot, "snapshot")?;
            let snapshot = client.on(call, cancel, |client| {
                Ok(match scope {
                    Extent::Scope(scope) if settled => client.settled_snapshot(scope)?,
                    Extent::Scope(scope) => client.snapshot(scope)?,
                    Extent::Classes(_) if settled => {
                        let message = "settled: only a scope is asked for until it is at rest";
                        return Err(Failure::new(XCP_E_INVALID_INPUT, message));
                    }
                    Extent::Classes(classes) => client.snapshot_of(&classes)?,
                })
            })?;
            out.write_object(xcp_snapshot::from(snapshot));
            Ok(())
        })
    }
}

/// Calls a method of XAPI.
///
/// `method` is XAPI's name, such as "host.get_by_name_label"; `params_json` is a JSON array of the
/// parameters without the session, or NULL for none. `*result_json` is what the server answered, as
/// it is (so without "schema"; an empty text if the method has no result); it is freed with
/// `xcp_string_free`. `cancel` may be NULL.
///
/// Reads are sent once more if the connection breaks, and calls that a server refuses before it
/// does anything if the session is gone; other writes are sent once.
///
/// From any thread. Fails with XCP_E_FAULT for what the server raises; after XCP_E_TRANSPORT,
/// XCP_E_TIMEOUT and XCP_E_CANCELLED a write may have been done: read the pool's state.
///
/// # Safety
/// `client` came from this library, `cancel` or is NULL; the texts end with NUL, `params_json` or
/// is NULL; `result_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_call_json(
    client: *const xcp_client,
    method: *const c_char,
    params_json: *const c_char,
    cancel: *const xcp_cancel,
    result_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_call_json", error, |call| {
            let client = call.object(client, "client")?;
            let method = text(method, "method")?;
            let params = params(optional_text(params_json, "params_json")?)?;
            let out = Out::new(result_json, "result_json")?;
            let result: Box<RawValue> =
                client.on(call, cancel, |client| Ok(client.call(method, &params)?))?;
            out.write_text(result.get());
            Ok(())
        })
    }
}

/// Makes a view of a client: its session, with other limits for calls.
///
/// `options_json` may be NULL; it is `{"timeout": seconds, "max_reply": bytes}`, how long a call
/// may take and how large a reply may be; what is missing is as for `client`. Nobody is asked and
/// nobody logs in. Some calls need more than the usual minute: what a master forwards to a member
/// that has just died fails after 100 s. Others should take less: a program that ends has no minute
/// for a last look.
///
/// `*view` is freed with `xcp_client_free`; `client` may be freed before: the session ends with the
/// last of them. From any thread. Fails with XCP_E_INVALID_INPUT for unknown options.
///
/// # Safety
/// `client` came from this library; `options_json` is NULL or ends with NUL; `view` can be written;
/// `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_view(
    client: *const xcp_client,
    options_json: *const c_char,
    view: *mut *mut xcp_client,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_view", error, |call| {
            let xcp_client { client, calls } = &*call.object(client, "client")?;
            let limits = limits(optional_text(options_json, "options_json")?, client.limits())?;
            let out = Out::new(view, "view")?;
            out.write_object(xcp_client {
                client: client.with_limits(limits),
                calls: calls.clone(),
            });
            Ok(())
        })
    }
}

/// Frees a client, and logs out, unless views, watches or tasks of it are left.
///
/// The server is given five seconds to hear of it. If another thread is in a call on it, it ends
/// when that call does. NULL is fine. From any thread.
///
/// # Safety
/// `client` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_free(client: *mut xcp_client) {
    boundary::free(client);
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of options")]
struct ClientOptions {
    originator: Option<String>,
    pool_uuid: Option<String>,
    #[serde(deserialize_with = "seconds")]
    timeout: Option<Duration>,
    max_reply: Option<u64>,
    addresses: std::collections::BTreeMap<String, String>,
    members: Vec<String>,
    #[serde(deserialize_with = "seconds")]
    patience: Option<Duration>,
}

impl ClientOptions {
    fn apply(
        self,
        mut builder: crate::client::ClientBuilder,
    ) -> Result<crate::client::ClientBuilder, Failure> {
        let mut limits = Limits::default();
        limits.overall = self.timeout.unwrap_or(limits.overall);
        limits.max_reply = self.max_reply.unwrap_or(limits.max_reply);
        builder = builder.limits(limits);
        if let Some(originator) = self.originator {
            builder = builder.originator(originator);
        }
        if let Some(uuid) = &self.pool_uuid {
            builder = builder.pool_uuid(uuid.as_str().into());
        }
        for (named, real) in self.addresses {
            builder = builder.address(named, real.parse()?);
        }
        for member in self.members {
            builder = builder.member(member.parse()?);
        }
        if let Some(patience) = self.patience {
            builder = builder.patience(patience);
        }
        Ok(builder)
    }
}

impl xcp_client {
    /// Runs something on the client, through a view that its own cancel and the given one end.
    ///
    /// # Safety
    /// `cancel` is NULL or came from this library.
    pub(super) unsafe fn on<T>(
        &self,
        call: &mut Call,
        cancel: *const xcp_cancel,
        body: impl FnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let body = |token: &Cancel| body(&self.client.with_cancel(token));
        // SAFETY: the same promise.
        unsafe { on_all(call, &[&*self.calls], &[], cancel, body) }
    }
}

/// What a snapshot covers.
pub(super) enum Extent {
    Scope(Scope),
    Classes(Vec<Class>),
}

impl Extent {
    pub(super) fn classes(&self) -> &[Class] {
        match self {
            Self::Scope(scope) => scope.classes(),
            Self::Classes(classes) => classes,
        }
    }
}

/// A scope by its name, or a list of classes.
pub(super) fn scope_named(name: &str) -> Result<Extent, Failure> {
    let scope = |scope| Ok(Extent::Scope(scope));
    match name {
        "overview" => scope(Scope::Overview),
        "preflight" => scope(Scope::Preflight),
        "election" => scope(Scope::Election),
        "failover" => scope(Scope::Failover),
        "everything" => scope(Scope::Everything),
        list if list.trim_start().starts_with('[') => {
            let names: Vec<String> = json::decode_any(list, "scope")?;
            let class = |name: &String| {
                Class::from_name(name).ok_or_else(|| {
                    Failure::new(XCP_E_INVALID_INPUT, format!("scope: no class {}", quoted(name)))
                })
            };
            let classes: Vec<_> = names.iter().map(class).collect::<Result<_, _>>()?;
            match classes.is_empty() {
                true => Err(Failure::new(XCP_E_INVALID_INPUT, "scope: no classes")),
                false => Ok(Extent::Classes(classes)),
            }
        }
        _ => {
            let message = format!(
                "scope: {} is none of overview, preflight, election, failover and everything",
                quoted(name)
            );
            Err(Failure::new(XCP_E_INVALID_INPUT, message))
        }
    }
}
