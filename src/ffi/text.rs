//! Texts that cross.

use std::ffi::c_char;

use crate::ffi::boundary;

/// Frees a text that a function of this library wrote to a `char **`. NULL is fine.
///
/// Texts that are returned as `const char *` belong to someone else and are not freed. From any
/// thread.
///
/// # Safety
/// `text` is NULL or came from this library, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_string_free(text: *mut c_char) {
    boundary::free_text(text);
}
