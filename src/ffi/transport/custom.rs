//! Transports that the caller implements.

use std::ffi::{c_char, c_void};

use crate::error::Result;
use crate::ffi::boundary::{self, Out, call, quiet};
use crate::ffi::callback::{Context, table};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::registry::{self, Object};
use crate::ffi::reply::xcp_reply;
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};
use crate::ffi::transport::xcp_transport;
use crate::transport::{Body, Cancel, Request, Transport};

/// A request that a custom transport is to carry.
///
/// It lives until the callback returns. Threads: immutable; may be used by many at once.
pub struct xcp_request {
    url: std::ffi::CString,
    body: Vec<u8>,
    timeout_ms: u64,
    max_reply: u64,
    cancel: Cancel,
}

impl Object for xcp_request {
    const NAME: &'static str = "xcp_request";
}

/// The caller's own transport.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct xcp_transport_callbacks {
    /// `sizeof(xcp_transport_callbacks)`: what lies beyond is not read.
    pub size: usize,
    /// Passed to the callbacks as it is.
    pub ctx: *mut c_void,
    /// Carries the request, and says what came of it.
    ///
    /// Posts the body of the request to its URL with the content type application/json, and calls
    /// `xcp_reply_body` or `xcp_reply_error` before it returns.
    ///
    /// Called on whatever thread needs a reply, on many at once if many use the transport, threads
    /// of the library included. It must not call on clients over this transport (they return
    /// XCP_E_MISUSE), and must not let an exception of C++ pass.
    pub exchange: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            request: *const xcp_request,
            reply: *const xcp_reply,
        ),
    >,
    /// Called once, on any thread, when nobody needs `ctx` any more; may be NULL.
    pub release: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// Makes a transport of the caller's callbacks.
///
/// The table is copied. If the function fails, `release` is not called, and `ctx` stays the
/// caller's.
///
/// `*transport` is freed with `xcp_transport_free`. From any thread. Fails with XCP_E_INVALID_INPUT
/// for a table without `exchange` or with a wrong size.
///
/// # Safety
/// `callbacks` leads to as many bytes as its `size` says; the callbacks can be called with `ctx`
/// from every thread until `release` was; `transport` can be written; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_transport_custom(
    callbacks: *const xcp_transport_callbacks,
    transport: *mut *mut xcp_transport,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_transport_custom", error, |_| {
            let out = Out::new(transport, "transport")?;
            let callbacks = table(callbacks, "callbacks")?;
            let exchange = callbacks
                .exchange
                .ok_or_else(|| Failure::new(XCP_E_INVALID_INPUT, "callbacks: exchange is NULL"))?;
            let context = Context::new(callbacks.ctx, callbacks.release);
            let custom = Custom { exchange, context };
            out.write_object(xcp_transport::other(custom));
            Ok(())
        })
    }
}

/// Returns where the request is to be posted, such as "https://10.0.0.1/jsonrpc".
///
/// NULL for what is no request (any more). Belongs to the request. From any thread.
///
/// # Safety
/// `request` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_request_url(request: *const xcp_request) -> *const c_char {
    quiet(std::ptr::null(), |call| Ok(call.object(request, "request")?.url.as_ptr()))
}

/// Returns the bytes to post, and how many there are in `*length`.
///
/// NULL for what is no request (any more). They do not end with NUL. They may hold a password: do
/// not log them. Belongs to the request. From any thread.
///
/// # Safety
/// `request` is NULL or came from this library; `length` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_request_body(
    request: *const xcp_request,
    length: *mut usize,
) -> *const u8 {
    // SAFETY: what the caller promised.
    quiet(std::ptr::null(), |call| unsafe {
        let request = call.object(request, "request")?;
        Out::new(length, "length")?.write(request.body.len());
        Ok(request.body.as_ptr())
    })
}

/// Returns how many milliseconds the exchange may take from now on.
///
/// To the last byte of the reply; 0 for what is no request (any more). From any thread.
///
/// # Safety
/// `request` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_request_timeout_ms(request: *const xcp_request) -> u64 {
    quiet(0, |call| Ok(call.object(request, "request")?.timeout_ms))
}

/// Returns how many bytes the reply may have; 0 for what is no request (any more).
///
/// From any thread.
///
/// # Safety
/// `request` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_request_max_reply(request: *const xcp_request) -> u64 {
    quiet(0, |call| Ok(call.object(request, "request")?.max_reply))
}

/// Returns whether the call was cancelled that needs the reply: then give up.
///
/// True for what is no request (any more). From any thread.
///
/// # Safety
/// `request` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_request_is_cancelled(request: *const xcp_request) -> bool {
    quiet(true, |call| Ok(call.object(request, "request")?.cancel.is_cancelled()))
}

struct Custom {
    exchange: unsafe extern "C" fn(*mut c_void, *const xcp_request, *const xcp_reply),
    context: Context,
}

impl Transport for Custom {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        request.cancel.check()?;
        let limits = request.limits;
        let given = registry::give(xcp_request {
            url: boundary::c_text(format!("{}/jsonrpc", request.endpoint)),
            body: request.body.to_vec(),
            timeout_ms: u64::try_from(limits.overall.as_millis()).unwrap_or(u64::MAX),
            max_reply: limits.max_reply,
            cancel: request.cancel.clone(),
        });
        let body = xcp_reply::ask(limits.max_reply, |reply| {
            // SAFETY: who made the transport promised that the callback can be called with its
            // context from every thread; request and reply are alive until it returns.
            unsafe { (self.exchange)(self.context.get(), given, reply) }
        });
        boundary::free(given);
        request.cancel.check()?;
        body.map(Body::Bytes)
    }
}

impl Drop for xcp_request {
    /// It may hold a password or a session.
    fn drop(&mut self) {
        self.body.fill(0);
        std::hint::black_box(&self.body);
    }
}
