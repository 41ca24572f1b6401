//! Single hosts: what each is, sessions with one alone, and other hosts beside a client's.

use std::ffi::c_char;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::{Credentials, LocalSession, OneHost, Role};
use crate::ffi::arguments::{limits, params};
use crate::ffi::boundary::{self, Call, Out, call, optional_text, text};
use crate::ffi::calls::{Calls, cancellable};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::xcp_client;
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::Object;
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status;
use crate::ffi::transport::{not_in_callback_of, xcp_transport};
use crate::operations;
use crate::transport::{Cancel, Limits};

/// A session with one host alone: also with a member, also in emergency mode.
///
/// For the calls that a host answers without its pool, such as
/// `pool.emergency_transition_to_master`. It is never led elsewhere and never renewed. Do not read
/// records with it: a member whose master is dead does not answer. Made by `xcp_local_session_open`
/// or `xcp_client_local`, freed by `xcp_local_session_free`. Threads: may be used by many at once.
pub struct xcp_local_session {
    session: LocalSession,
    /// The address of its transport.
    transport: usize,
}

impl Object for xcp_local_session {
    const NAME: &'static str = "xcp_local_session";
}

/// Asks one host what it is, by logging in there and nowhere else.
///
/// `options_json` may be NULL; it is `{"timeout": seconds, "max_reply": bytes}`, the limits of the
/// whole question (60, 512 MiB). `cancel` may be NULL. `*role_json` is `{"schema": 1, "role":
/// "master" | "member", "pool": uuid | null, "master": address | null}`, freed with
/// `xcp_string_free`: "pool" is that of a master (a host of its own is the master of a pool of its
/// own), "master" that of a member, which may be long dead.
///
/// From any thread. Fails with what keeps the host from saying it: `xcp_error_login_failure` tells
/// a host that starts from one that has lost its pool, or is not there.
///
/// # Safety
/// `transport` came from this library, `cancel` or is NULL; the texts end with NUL, `options_json`
/// or is NULL; `role_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_probe_json(
    transport: *const xcp_transport,
    address: *const c_char,
    user: *const c_char,
    password: *const c_char,
    options_json: *const c_char,
    cancel: *const xcp_cancel,
    role_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_probe_json", error, |call| {
            let (host, _) = one_host(call, transport, address, user, password, options_json)?;
            let out = Out::new(role_json, "role_json")?;
            let role = cancellable(call, cancel, &[], |token| {
                host.cancel(token).role().map_err(Failure::of_login)
            })?;
            out.write_text(json::numbered(RoleText::from(role))?);
            Ok(())
        })
    }
}

/// Logs in at one host alone (`session.slave_local_login_with_password`).
///
/// `options_json` may be NULL; it is `{"timeout": seconds, "max_reply": bytes}`, the limits of each
/// call (60, 512 MiB). `cancel` may be NULL. The host does not end such sessions by itself: one
/// whose reply is lost stays until its toolstack restarts.
///
/// `*session` is freed with `xcp_local_session_free`; `transport` may be freed at once. From any
/// thread. Fails with XCP_E_FAULT (SESSION_AUTHENTICATION_FAILED) for another password, and with
/// XCP_E_TRANSPORT, XCP_E_TIMEOUT and XCP_E_TRUST if the host does not answer or is not trusted.
///
/// # Safety
/// `transport` came from this library, `cancel` or is NULL; the texts end with NUL, `options_json`
/// or is NULL; `session` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_local_session_open(
    transport: *const xcp_transport,
    address: *const c_char,
    user: *const c_char,
    password: *const c_char,
    options_json: *const c_char,
    cancel: *const xcp_cancel,
    session: *mut *mut xcp_local_session,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_local_session_open", error, |call| {
            let (host, transport) =
                one_host(call, transport, address, user, password, options_json)?;
            let out = Out::new(session, "session")?;
            let session = cancellable(call, cancel, &[], |token| {
                host.cancel(token).session().map_err(Failure::of_login)
            })?;
            let session = session.without_cancel();
            out.write_object(xcp_local_session { session, transport });
            Ok(())
        })
    }
}

/// Logs in at one host alone, beside a client.
///
/// With the client's transport, credentials, limits and addresses. `address` is the host's as the
/// pool knows it (`host.address`). `cancel` may be NULL. `*session` is freed with
/// `xcp_local_session_free`; the client may be freed before. From any thread. Fails as
/// `xcp_local_session_open`.
///
/// # Safety
/// `client` came from this library, `cancel` or is NULL; `address` ends with NUL; `session` can be
/// written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_local(
    client: *const xcp_client,
    address: *const c_char,
    cancel: *const xcp_cancel,
    session: *mut *mut xcp_local_session,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_local", error, |call| {
            let client = call.object(client, "client")?;
            let address = text(address, "address")?;
            let out = Out::new(session, "session")?;
            let session = client
                .on(call, cancel, |client| client.local(address).map_err(Failure::of_login))?;
            let session = session.without_cancel();
            out.write_object(xcp_local_session { session, transport: client.calls.transport });
            Ok(())
        })
    }
}

/// Tells the host's address as a URL.
///
/// `*url` is freed with `xcp_string_free`. From any thread.
///
/// # Safety
/// `session` came from this library; `url` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_local_session_endpoint(
    session: *const xcp_local_session,
    url: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_local_session_endpoint", error, |call| {
            let held = call.object(session, "session")?;
            let out = Out::new(url, "url")?;
            out.write_text(held.session.endpoint().to_string());
            Ok(())
        })
    }
}

/// Calls a method of XAPI at the host; sent exactly once.
///
/// `method`, `params_json`, `cancel` and `*result_json` are as for `xcp_client_call_json`. From any
/// thread. Fails as that does; nothing is tried again.
///
/// # Safety
/// `session` came from this library, `cancel` or is NULL; the texts end with NUL, `params_json` or
/// is NULL; `result_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_local_session_call_json(
    session: *const xcp_local_session,
    method: *const c_char,
    params_json: *const c_char,
    cancel: *const xcp_cancel,
    result_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_local_session_call_json", error, |call| {
            let held = call.object(session, "session")?;
            let method = text(method, "method")?;
            let params = params(optional_text(params_json, "params_json")?)?;
            let out = Out::new(result_json, "result_json")?;
            let result: Box<RawValue> =
                held.on(call, cancel, |session| Ok(session.call(method, &params)?))?;
            out.write_text(result.get());
            Ok(())
        })
    }
}

/// Tells whether the host has lost its pool (`host.is_in_emergency_mode`).
///
/// `cancel` may be NULL. From any thread. Fails as `xcp_local_session_call_json`.
///
/// # Safety
/// `session` came from this library, `cancel` or is NULL; `emergency` can be written; `error` is
/// NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_local_session_is_in_emergency_mode(
    session: *const xcp_local_session,
    cancel: *const xcp_cancel,
    emergency: *mut bool,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_local_session_is_in_emergency_mode", error, |call| {
            let held = call.object(session, "session")?;
            let out = Out::new(emergency, "emergency")?;
            let said = held.on(call, cancel, |session| Ok(session.is_in_emergency_mode()?))?;
            out.write(said);
            Ok(())
        })
    }
}

/// Frees a local session, and logs out; NULL is fine.
///
/// The host is given five seconds to hear of it. From any thread.
///
/// # Safety
/// `session` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_local_session_free(session: *mut xcp_local_session) {
    boundary::free(session);
}

/// Logs in at another host than the client's, or at the master that it names.
///
/// Whatever pool that host is in; with the transport, credentials, limits and addresses of the
/// client. `address` is the host's as the pool knows it. `cancel` may be NULL. `*other` is freed
/// with `xcp_client_free`; the client may be freed before. From any thread. Fails as
/// `xcp_client_connect`.
///
/// # Safety
/// `client` came from this library, `cancel` or is NULL; `address` ends with NUL; `other` can be
/// written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_beside(
    client: *const xcp_client,
    address: *const c_char,
    cancel: *const xcp_cancel,
    other: *mut *mut xcp_client,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_beside", error, |call| {
            let client = call.object(client, "client")?;
            let address = text(address, "address")?;
            let out = Out::new(other, "other")?;
            let beside = client
                .on(call, cancel, |client| client.beside(address).map_err(Failure::of_login))?;
            let calls = Calls::over(client.calls.transport);
            out.write_object(xcp_client { client: beside.without_cancel(), calls });
            Ok(())
        })
    }
}

/// Asks another host of the pool what it is, in at most 15 s.
///
/// With the transport, credentials and addresses of the client. `address` is the host's as the pool
/// knows it. `cancel` may be NULL. `*role_json` is as there, freed with `xcp_string_free`. From any
/// thread. Fails as `xcp_probe_json`.
///
/// # Safety
/// `client` came from this library, `cancel` or is NULL; `address` ends with NUL; `role_json` can
/// be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_role_json(
    client: *const xcp_client,
    address: *const c_char,
    cancel: *const xcp_cancel,
    role_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_role_json", error, |call| {
            let client = call.object(client, "client")?;
            let address = text(address, "address")?;
            let out = Out::new(role_json, "role_json")?;
            let role = client
                .on(call, cancel, |client| client.role_of(address).map_err(Failure::of_login))?;
            out.write_text(json::numbered(RoleText::from(role))?);
            Ok(())
        })
    }
}

/// Tells where a host really is that the pool knows by an address, as a URL.
///
/// Nobody is asked. `*url` is freed with `xcp_string_free`. From any thread. Fails with
/// XCP_E_PROTOCOL for what is no address.
///
/// # Safety
/// `client` came from this library; `address` ends with NUL; `url` can be written; `error` is NULL
/// or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_locate(
    client: *const xcp_client,
    address: *const c_char,
    url: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_locate", error, |call| {
            let client = call.object(client, "client")?;
            let address = text(address, "address")?;
            let out = Out::new(url, "url")?;
            out.write_text(client.client.locate(address)?.to_string());
            Ok(())
        })
    }
}

/// Asks every host of a snapshot what it is, all at the same time.
///
/// `pool` is a client of the pool that the snapshot is of. `cancel` may be NULL. `*evidence_json`
/// is the "evidence" of `xcp_election_json`, hosts by ref, with `"schema"` beside it: `{"schema":
/// 1, "hosts": {ref: {"reachable", "role", "emergency_mode", ...}}, "confirmed": []}`, freed with
/// `xcp_string_free`. It can be passed on as it is to `xcp_election` and `xcp_plan_hand_over_with`.
/// A host that says nothing for certain has no evidence; one that is not there costs 15 s at most.
///
/// From any thread. Fails with XCP_E_CANCELLED.
///
/// # Safety
/// `pool` and `snapshot` came from this library, `cancel` or is NULL; `evidence_json` can be
/// written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_evidence_json(
    pool: *const xcp_client,
    snapshot: *const xcp_snapshot,
    cancel: *const xcp_cancel,
    evidence_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_evidence_json", error, |call| {
            let pool = call.object(pool, "pool")?;
            let snapshot = call.object(snapshot, "snapshot")?;
            let out = Out::new(evidence_json, "evidence_json")?;
            let evidence =
                pool.on(call, cancel, |pool| Ok(operations::evidence(pool, &snapshot.snapshot)?))?;
            out.write_text(json::numbered(evidence)?);
            Ok(())
        })
    }
}

impl xcp_local_session {
    /// Runs something on the session that the given cancel ends.
    ///
    /// # Safety
    /// `cancel` is NULL or came from this library.
    unsafe fn on<T>(
        &self,
        call: &mut Call,
        cancel: *const xcp_cancel,
        body: impl FnOnce(&LocalSession) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        not_in_callback_of(self.transport)?;
        let body = |token: &Cancel| body(&self.session.with_cancel(token));
        // SAFETY: the same promise.
        unsafe { cancellable(call, cancel, &[], body) }
    }
}

/// The host that the arguments tell of, and the address of its transport.
///
/// # Safety
/// `transport` came from this library; the texts end with NUL, `options_json` or is NULL.
unsafe fn one_host(
    call: &mut Call,
    transport: *const xcp_transport,
    address: *const c_char,
    user: *const c_char,
    password: *const c_char,
    options_json: *const c_char,
) -> Result<(OneHost, usize), Failure> {
    let transport = call.object(transport, "transport")?.transport.clone();
    // SAFETY: the same promise.
    let (address, user, password, options) = unsafe {
        (
            text(address, "address")?,
            text(user, "user")?,
            text(password, "password")?,
            optional_text(options_json, "options_json")?,
        )
    };
    not_in_callback_of(transport.address())?;
    let endpoint = address
        .parse()
        .map_err(|error: crate::Error| Failure::from(error).in_argument("address"))?;
    let address = transport.address();
    let host = OneHost::new(transport, endpoint, &Credentials::new(user, password));
    Ok((host.limits(limits(options, Limits::default())?), address))
}

#[derive(Serialize)]
struct RoleText {
    role: &'static str,
    pool: Option<String>,
    master: Option<String>,
}

impl From<Role> for RoleText {
    fn from(role: Role) -> Self {
        match role {
            Role::Master(pool) => {
                Self { role: "master", pool: Some(pool.to_string()), master: None }
            }
            Role::Member(master) => Self { role: "member", pool: None, master: Some(master) },
        }
    }
}
