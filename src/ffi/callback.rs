//! Callbacks of the caller's, and what they are called with.

use std::ffi::c_void;
use std::ptr::NonNull;

use crate::ffi::error::Failure;
use crate::ffi::status::xcp_status::{XCP_E_INVALID_INPUT, XCP_E_NULL};

/// A pointer of the caller's that is passed to callbacks, and released in the end.
pub(super) struct Context {
    ctx: *mut c_void,
    release: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the pointer is only passed on, and who gave it promised that the callbacks may be called
// with it from every thread.
unsafe impl Send for Context {}
// SAFETY: the same.
unsafe impl Sync for Context {}

impl Context {
    pub(super) fn new(
        ctx: *mut c_void,
        release: Option<unsafe extern "C" fn(*mut c_void)>,
    ) -> Self {
        Self { ctx, release }
    }

    pub(super) fn get(&self) -> *mut c_void {
        self.ctx
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: who gave it promised that it may be called once from any thread.
            unsafe { release(self.ctx) }
        }
    }
}

/// A copy of a table of callbacks.
///
/// # Safety
/// The pointer is NULL or leads to a `usize` that says how many bytes follow from there on; `T` is
/// made of that number first and of pointers that may be NULL.
pub(super) unsafe fn table<T: Copy>(pointer: *const T, name: &str) -> Result<T, Failure> {
    let Some(place) = NonNull::new(pointer.cast_mut()) else {
        return Err(Failure::new(XCP_E_NULL, format!("{name} is NULL")));
    };
    // SAFETY: not NULL, and the caller promised that a size is there.
    let size = unsafe { place.cast::<usize>().read() };
    if size < size_of::<T>() {
        let message = format!("{name}: a size of {size} is not that of the table");
        return Err(Failure::new(XCP_E_INVALID_INPUT, message));
    }
    // SAFETY: the caller promised that so many bytes are there, and that all of them are a `T`.
    Ok(unsafe { place.read() })
}
