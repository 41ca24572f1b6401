//! Cancelling what is going on.

use crate::ffi::boundary::{self, Out, call, quiet};
use crate::ffi::error::xcp_error;
use crate::ffi::registry::Object;
use crate::ffi::status::xcp_status;
use crate::transport::Cancel;

/// Ends calls early, from another thread or from a callback.
///
/// Made by `xcp_cancel_new`, freed by `xcp_cancel_free`, given to as many calls as should end
/// together. Threads: may be used by many at once.
pub struct xcp_cancel {
    pub(super) token: Cancel,
}

impl Object for xcp_cancel {
    const NAME: &'static str = "xcp_cancel";
}

/// Makes an object that can end calls.
///
/// `*cancel` is freed with `xcp_cancel_free`. From any thread.
///
/// # Safety
/// `cancel` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_cancel_new(
    cancel: *mut *mut xcp_cancel,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_cancel_new", error, |_| {
            Out::new(cancel, "cancel")?.write_object(xcp_cancel { token: Cancel::new() });
            Ok(())
        })
    }
}

/// Ends all calls that were or will be given this object.
///
/// They fail with XCP_E_CANCELLED.
///
/// A call ends within a fraction of a second, in whatever it is: a request, a wait, a search for a
/// lost master. Only a session that it has just opened and must close gets up to five seconds more.
/// What it asked a server for may have been done. Cannot be taken back. NULL is fine. From any
/// thread, callbacks included.
///
/// # Safety
/// `cancel` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_cancel_cancel(cancel: *const xcp_cancel) {
    quiet((), |call| {
        call.object(cancel, "cancel")?.token.cancel();
        Ok(())
    });
}

/// Frees the object; NULL is fine.
///
/// Calls that it was given to go on, and cannot be ended by it any more. From any thread.
///
/// # Safety
/// `cancel` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_cancel_free(cancel: *mut xcp_cancel) {
    boundary::free(cancel);
}
