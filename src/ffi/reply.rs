//! What a callback of the caller answers.

use std::ffi::c_char;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::ffi::boundary::{self, call, slice, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::registry::{self, Object};
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT, XCP_E_MISUSE, XCP_E_TOO_LARGE};

/// Takes what a callback answers; it lives until the callback returns.
///
/// Threads: may be used by many at once.
pub struct xcp_reply(Mutex<Answer>);

struct Answer {
    said: Option<Result<Vec<u8>>>,
    max: u64,
}

impl Object for xcp_reply {
    const NAME: &'static str = "xcp_reply";
}

/// Adds bytes to the body of a reply.
///
/// It may be called many times, as the body arrives. The bytes are copied. Call it once with length
/// 0 for a body that is empty. From any thread. Fails with XCP_E_TOO_LARGE beyond the limit of the
/// request, and with XCP_E_MISUSE after `xcp_reply_error`.
///
/// # Safety
/// `reply` came from this library; `length` bytes can be read from `bytes`, which may be NULL if
/// there are none; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_reply_body(
    reply: *const xcp_reply,
    bytes: *const u8,
    length: usize,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_reply_body", error, |call| {
            let reply = call.object(reply, "reply")?;
            let bytes = slice(bytes, length, "bytes")?;
            reply.add(bytes)
        })
    }
}

/// Says that there is no reply, and why.
///
/// What `xcp_reply_body` was given before counts no more. `code` is what the call shall fail with:
/// XCP_E_TRANSPORT, XCP_E_TIMEOUT, XCP_E_TRUST, XCP_E_PROTOCOL, XCP_E_TOO_LARGE or XCP_E_CANCELLED.
/// From any thread. Fails with XCP_E_INVALID_INPUT for another code.
///
/// # Safety
/// `reply` came from this library; `message` ends with NUL; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_reply_error(
    reply: *const xcp_reply,
    code: u32,
    message: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_reply_error", error, |call| {
            let reply = call.object(reply, "reply")?;
            let message = text(message, "message")?;
            let kind = xcp_status::kind_of(code).ok_or_else(|| {
                let message = format!("code: {code} is no reason for an exchange to fail");
                Failure::new(XCP_E_INVALID_INPUT, message)
            })?;
            reply.answer().said = Some(Err(Error::new(kind, message.to_owned())));
            Ok(())
        })
    }
}

impl xcp_reply {
    pub(in crate::ffi) fn new(max: u64) -> Self {
        Self(Mutex::new(Answer { said: None, max }))
    }

    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut answer = self.answer();
        let max = answer.max;
        let too_large = || format!("the reply has more than {max} bytes");
        match answer.said.get_or_insert_with(|| Ok(Vec::new())) {
            Ok(body) if (body.len() + bytes.len()) as u64 > max => {
                answer.said = Some(Err(Error::new(ErrorKind::TooLarge, too_large())));
                Err(Failure::new(XCP_E_TOO_LARGE, too_large()))
            }
            Ok(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
            Err(said) => {
                Err(Failure::new(XCP_E_MISUSE, format!("the reply has failed already: {said}")))
            }
        }
    }

    /// Has a callback answer, and tells what it said; nothing at all is an error, too.
    pub(in crate::ffi) fn ask(max: u64, callback: impl FnOnce(*const Self)) -> Result<Vec<u8>> {
        let pointer = registry::give(Self::new(max));
        // It is alive until it is taken back, unless the callback should free what is not its own.
        let held = registry::hold(pointer);
        callback(pointer);
        boundary::free(pointer);
        let said = held.ok().and_then(|reply| reply.answer().said.take());
        said.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Transport, "the callback returned without an answer"))
        })
    }
}
