//! Which library and which ABI this is.

use std::ffi::{CStr, c_char};

/// The ABI that this header describes; `xcp_abi_version` tells the library's.
///
/// It changes when a function, a number or the meaning of an argument changes or goes, and not when
/// something is added. A program that loads the library at run time compares the two first.
pub const XCP_ABI_VERSION: u32 = 1;

/// The version of the library, as C has it.
const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version holds no NUL"),
    };

/// Returns the library's `XCP_ABI_VERSION`.
///
/// Never fails. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn xcp_abi_version() -> u32 {
    XCP_ABI_VERSION
}

/// Returns the version of the library, such as "0.1.0".
///
/// Static: never freed. Never fails. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn xcp_version() -> *const c_char {
    VERSION.as_ptr()
}
