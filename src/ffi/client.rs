//! Clients as objects.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::{Client, Credentials, Scope};
use crate::ffi::boundary::{self, Call, Out, call, optional_text, quiet, text};
use crate::ffi::cancel::{Calls, Interruptible, is_carried_by, under, xcp_cancel};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::hosts::limits;
use crate::ffi::json::{self, seconds};
use crate::ffi::log;
use crate::ffi::registry::{Held, Object};
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status::{self, XCP_E_CANCELLED, XCP_E_INVALID_INPUT, XCP_E_MISUSE};
use crate::ffi::task::{ended, teller};
use crate::ffi::transport::xcp_transport;
use crate::model::Class;
use crate::transport::{Cancel, Limits};

/// A session with the master of one pool.
///
/// Made by `xcp_client_connect`, freed by `xcp_client_free`. It is led to the master, stays with its
/// pool, and renews its session when the server has lost it. Threads: may be used by many at once.
/// While a call on a client runs a callback, that callback cannot call on the same client, and a
/// transport's callback on no client over that transport: it gets XCP_E_MISUSE.
pub struct xcp_client {
    pub(super) client: Client,
    pub(super) calls: Arc<Calls>,
    /// The address of its transport.
    pub(super) transport: usize,
}

impl Object for xcp_client {
    const NAME: &'static str = "xcp_client";
}

/// Logs in at a host, or at the master that the host names.
///
/// `address` is a name or IP address, with a port or a scheme if need be. `options_json` may be NULL;
/// it is `{"originator": text, "pool_uuid": text, "timeout": seconds, "max_reply": bytes, "addresses":
/// {address: real address}, "members": [address...], "patience": seconds}`, all optional: who the server
/// is told to be talking to, the only pool that is accepted, how long a call may take (60), how large a
/// reply may be (512 MiB), where hosts really are that others call by an address (NAT, tunnels), where
/// else to look for the pool when the master does not answer, and for how long. `cancel` may be NULL.
///
/// `*client` is freed with `xcp_client_free`; `transport` may be freed at once. From any thread. Fails
/// with XCP_E_FAULT for what the server raises (SESSION_AUTHENTICATION_FAILED for a wrong password),
/// XCP_E_TRANSPORT, XCP_E_TIMEOUT, XCP_E_TRUST and XCP_E_PROTOCOL for what keeps the host from being
/// asked, XCP_E_STATE for another pool than `pool_uuid` or if no host says that it is the master.
///
/// # Safety
/// The texts end with NUL, `options_json` or is NULL; `transport` came from this library, `cancel` or is
/// NULL; `client` can be written; `error` is NULL or can be written.
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
            let transport = Interruptible(transport.transport.clone());
            let address_of_transport = transport.address();
            let client = cancellable(call, cancel, &[], |_| {
                let builder = options.apply(Client::builder(transport))?;
                builder.connect(address, &credentials).map_err(Failure::of_login)
            })?;
            out.write_object(xcp_client {
                client,
                calls: Arc::default(),
                transport: address_of_transport,
            });
            Ok(())
        })
    }
}

/// Ends all calls on this client that are going on: they fail with XCP_E_CANCELLED.
///
/// Later calls are not affected. NULL is fine. From any thread.
///
/// # Safety
/// `client` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_cancel(client: *const xcp_client) {
    quiet((), |call| {
        call.object(client, "client")?.calls.cancel(false);
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
/// `client` came from this library, `cancel` or is NULL; `uuid` can be written; `error` is NULL or can
/// be written.
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
            let uuid = on(call, &[&client], cancel, |_| Ok(client.client.pool_uuid()?))?;
            out.write_text(uuid.to_string());
            Ok(())
        })
    }
}

/// Reads a snapshot of the pool, in one request.
///
/// `scope` is "overview" (hosts, storage and networks), "preflight" (what decides about a join),
/// "election" (who can become master), "failover" (what decides how many hosts may fail) or
/// "everything", or a JSON list of classes, `["pool", "host", "SR"]`. A snapshot is nearly a cut: objects that change while the server reads may be told
/// as they were a moment before or after; if `settled`, the pool is asked again until nothing changes
/// any more, which scopes can be and lists cannot. `cancel` may be NULL.
///
/// `*snapshot` is freed with `xcp_snapshot_free`. From any thread. Fails as `xcp_client_call_json`, and
/// with XCP_E_STATE if the pool does not come to rest.
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
            let snapshot = on(call, &[&client], cancel, |_| {
                let client = &client.client;
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
/// parameters without the session, or NULL for none. `*result_json` is what the server answered, as it
/// is (so without "schema"; an empty text if the method has no result); it is freed with
/// `xcp_string_free`. `cancel` may be NULL.
///
/// Reads are sent once more if the connection breaks, and calls that a server refuses before it does
/// anything if the session is gone; other writes are sent once.
///
/// From any thread. Fails with XCP_E_FAULT for what the server raises; after XCP_E_TRANSPORT,
/// XCP_E_TIMEOUT and XCP_E_CANCELLED a write may have been done: read the pool's state.
///
/// # Safety
/// `client` came from this library, `cancel` or is NULL; the texts end with NUL, `params_json` or is NULL;
/// `result_json` can be written; `error` is NULL or can be written.
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
                on(call, &[&client], cancel, |_| Ok(client.client.call(method, &params)?))?;
            out.write_text(result.get());
            Ok(())
        })
    }
}

/// Calls a method of XAPI as `xcp_client_call_json` does, under other limits than the client's.
///
/// `options_json` may be NULL; it is `{"timeout": seconds, "max_reply": bytes}`, how long this call may take (60)
/// and how large its reply may be (512 MiB). Some calls need more than the usual minute: what a master
/// forwards to a member that has just died fails after 100 s.
///
/// From any thread. Fails as `xcp_client_call_json`.
///
/// # Safety
/// As for `xcp_client_call_json`; `options_json` is NULL or ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_call_within_json(
    client: *const xcp_client,
    method: *const c_char,
    params_json: *const c_char,
    options_json: *const c_char,
    cancel: *const xcp_cancel,
    result_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_call_within_json", error, |call| {
            let client = call.object(client, "client")?;
            let method = text(method, "method")?;
            let params = params(optional_text(params_json, "params_json")?)?;
            let options = optional_text(options_json, "options_json")?;
            let limits = limits(options, Limits::default())?;
            let out = Out::new(result_json, "result_json")?;
            let result: Box<RawValue> = on(call, &[&client], cancel, |_| {
                Ok(client.client.call_within(limits, method, &params)?)
            })?;
            out.write_text(result.get());
            Ok(())
        })
    }
}

/// Tells how far a call has come: `done` is a number from 0 to 1.
///
/// Called on the thread of the call. To end the call from inside use `xcp_cancel_cancel`.
pub type xcp_task_progress = Option<unsafe extern "C" fn(ctx: *mut c_void, done: f64)>;

/// Runs a method of XAPI as a task and waits for its end.
///
/// As `xcp_client_call_json`, for methods that take long: `method` is named without "Async.". `progress`
/// may be NULL; it is called with `ctx` whenever the task has come further. Cancelling ends the wait, and
/// leaves the task running.
///
/// From any thread. Fails as `xcp_client_call_json`, with XCP_E_FAULT if the task failed, or was
/// cancelled on the server (TASK_CANCELLED), and with XCP_E_OUTCOME_UNKNOWN if its end cannot be known any
/// more, for example because the master restarted: read the pool's state.
///
/// # Safety
/// As for `xcp_client_call_json`; `progress` can be called with `ctx` until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_task_json(
    client: *const xcp_client,
    method: *const c_char,
    params_json: *const c_char,
    progress: xcp_task_progress,
    ctx: *mut c_void,
    cancel: *const xcp_cancel,
    result_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_task_json", error, |call| {
            let client = call.object(client, "client")?;
            let method = text(method, "method")?;
            let params = params(optional_text(params_json, "params_json")?)?;
            let out = Out::new(result_json, "result_json")?;
            let mut tell = teller(progress, ctx);
            let result: Value = on(call, &[&client], cancel, |_| {
                ended(client.client.task(method, &params, &mut tell)?)
            })?;
            out.write_text(result.to_string());
            Ok(())
        })
    }
}

/// Frees a client, and logs out; the server is given five seconds to hear of it. NULL is fine.
///
/// If another thread is in a call on it, it ends when that call does. From any thread.
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

thread_local! {
    /// The clients, by address, whose calls this thread is in.
    static BUSY: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Runs something on clients that their cancels and the given one end.
///
/// # Safety
/// `cancel` is NULL or came from this library.
pub(super) unsafe fn on<T>(
    call: &mut Call,
    clients: &[&Held<xcp_client>],
    cancel: *const xcp_cancel,
    body: impl FnOnce(&Cancel) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // SAFETY: the same promise.
    unsafe { on_with(call, clients, &[], cancel, body) }
}

/// The same, which others can end, too.
///
/// # Safety
/// `cancel` is NULL or came from this library.
pub(super) unsafe fn on_with<T>(
    call: &mut Call,
    clients: &[&Held<xcp_client>],
    others: &[&Arc<Calls>],
    cancel: *const xcp_cancel,
    body: impl FnOnce(&Cancel) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let _busy = Busy::with(clients)?;
    let calls: Vec<_> =
        clients.iter().map(|client| &client.calls).chain(others.iter().copied()).collect();
    // SAFETY: the same promise.
    unsafe { cancellable(call, cancel, &calls, body) }
}

/// Fails if this thread is in a callback of the transport, by address: it would wait for itself.
pub(super) fn not_in_callback_of(transport: usize) -> Result<(), Failure> {
    match is_carried_by(transport) {
        true => {
            let message = "client: a callback cannot call on clients over its own transport";
            Err(Failure::new(XCP_E_MISUSE, message))
        }
        false => Ok(()),
    }
}

/// The clients whose calls this thread is in.
struct Busy(usize);

impl Busy {
    fn with(clients: &[&Held<xcp_client>]) -> Result<Self, Failure> {
        BUSY.with_borrow_mut(|busy| {
            for client in clients {
                client.not_waited_for(busy)?;
            }
            busy.extend(clients.iter().map(|client| client.address()));
            Ok(Self(clients.len()))
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.with_borrow_mut(|busy| busy.truncate(busy.len() - self.0));
    }
}

impl xcp_client {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Fails if this thread is in a callback for which a call on the client waits: each would wait for
    /// the other.
    pub(super) fn is_free_here(&self) -> Result<(), Failure> {
        BUSY.with_borrow(|busy| self.not_waited_for(busy))
    }

    fn not_waited_for(&self, busy: &[usize]) -> Result<(), Failure> {
        not_in_callback_of(self.transport)?;
        let message = if busy.contains(&self.address()) {
            "client: a callback cannot call on the client that it works for"
        } else if log::is_telling() && self.calls.are_running() {
            // Another thread may be at that call, and wait for this one, which searches the master.
            "client: a callback of the log cannot call on a client that is in a call"
        } else {
            return Ok(());
        };
        Err(Failure::new(XCP_E_MISUSE, message))
    }
}

/// Runs something that the given cancel, and those of some objects, end.
///
/// # Safety
/// `cancel` is NULL or came from this library.
pub(super) unsafe fn cancellable<T>(
    call: &mut Call,
    cancel: *const xcp_cancel,
    others: &[&Arc<Calls>],
    body: impl FnOnce(&Cancel) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let given = if cancel.is_null() { None } else { Some(call.object(cancel, "cancel")?) };
    let token = Cancel::new();
    let _joined: Vec<_> = given
        .iter()
        .map(|cancel| &cancel.calls)
        .chain(others.iter().copied())
        .map(|calls| calls.join(&token))
        .collect();
    token.check()?;
    under(&token, || body(&token)).map_err(|failure| match token.is_cancelled() {
        // Whatever broke because of it.
        true if failure.status != XCP_E_CANCELLED => Failure {
            status: XCP_E_CANCELLED,
            message: format!("cancelled by the caller: {}", failure.message),
            ..failure
        },
        _ => failure,
    })
}

/// Parameters of a method as they are written.
pub(super) fn params(json: Option<&str>) -> Result<Vec<Box<RawValue>>, Failure> {
    json.map_or_else(|| Ok(Vec::new()), |json| json::decode_any(json, "params_json"))
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
                    Failure::new(XCP_E_INVALID_INPUT, format!("scope: no class {name:?}"))
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
                "scope: {name:?} is none of overview, preflight, election, failover and everything"
            );
            Err(Failure::new(XCP_E_INVALID_INPUT, message))
        }
    }
}
