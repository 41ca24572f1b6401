//! Calling the C functions as C does, and taking apart what they answer.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod world;

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use serde_json::Value;
use xcp_pool::ffi::{
    xcp_consequences_json, xcp_error, xcp_error_code, xcp_error_fault_code,
    xcp_error_fault_params_json, xcp_error_free, xcp_error_message, xcp_preflight_json, xcp_status,
    xcp_string_free,
};

/// What an error object said before it was freed.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub status: xcp_status,
    pub message: String,
    pub fault: Option<(String, Value)>,
}

/// A call that only has a status.
pub(crate) fn done(call: impl FnOnce(*mut *mut xcp_error) -> xcp_status) -> Result<(), Refusal> {
    let mut error = ptr::null_mut();
    let status = call(&mut error);
    if status == xcp_status::XCP_OK {
        assert!(error.is_null(), "an error was written on success");
        return Ok(());
    }
    assert!(!error.is_null(), "no error was written on failure");
    // SAFETY: the error was just written, and is freed after the last look.
    unsafe {
        assert_eq!(xcp_error_code(error), status);
        let fault = xcp_error_fault_code(error);
        let params = serde_json::from_str(&borrowed(xcp_error_fault_params_json(error))).unwrap();
        let refusal = Refusal {
            status,
            message: borrowed(xcp_error_message(error)),
            fault: (!fault.is_null()).then(|| (borrowed(fault), params)),
        };
        xcp_error_free(error);
        Err(refusal)
    }
}

/// A call that writes a text.
pub(crate) fn text(
    call: impl FnOnce(*mut *mut c_char, *mut *mut xcp_error) -> xcp_status,
) -> Result<String, Refusal> {
    let untouched = ptr::without_provenance_mut(1);
    let mut out: *mut c_char = untouched;
    let result = done(|error| call(&mut out, error));
    match result {
        Ok(()) => {
            // SAFETY: the text was just written, and is freed after the copy.
            unsafe {
                let text = borrowed(out);
                xcp_string_free(out);
                Ok(text)
            }
        }
        Err(refusal) => {
            assert_eq!(out, untouched, "an output was written on failure");
            Err(refusal)
        }
    }
}

/// A call that writes JSON.
pub(crate) fn json(
    call: impl FnOnce(*mut *mut c_char, *mut *mut xcp_error) -> xcp_status,
) -> Result<Value, Refusal> {
    text(call).map(|text| serde_json::from_str(&text).unwrap())
}

/// A pure function from JSON to JSON.
pub(crate) type Pure =
    unsafe extern "C" fn(*const c_char, *mut *mut c_char, *mut *mut xcp_error) -> xcp_status;

pub(crate) fn pure(function: Pure, input: &str) -> Result<Value, Refusal> {
    let input = c(input);
    // SAFETY: the text lives during the call, the places are on this stack.
    json(|out, error| unsafe { function(input.as_ptr(), out, error) })
}

/// A pure function of two snapshots and options.
type OfJoin = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const c_char,
    *mut *mut c_char,
    *mut *mut xcp_error,
) -> xcp_status;

fn of_join(
    function: OfJoin,
    pool: &str,
    host: &str,
    options: Option<&str>,
) -> Result<Value, Refusal> {
    let (pool, host, options) = (c(pool), c(host), options.map(c));
    let options = options.as_ref().map_or(ptr::null(), |options| options.as_ptr());
    // SAFETY: the texts live during the call, the places are on this stack.
    json(|out, error| unsafe { function(pool.as_ptr(), host.as_ptr(), options, out, error) })
}

pub(crate) fn preflight(pool: &str, host: &str, options: Option<&str>) -> Result<Value, Refusal> {
    of_join(xcp_preflight_json, pool, host, options)
}

pub(crate) fn consequences(
    pool: &str,
    host: &str,
    options: Option<&str>,
) -> Result<Value, Refusal> {
    of_join(xcp_consequences_json, pool, host, options)
}

pub(crate) fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// A copy of a text that someone else owns.
pub(crate) fn borrowed(text: *const c_char) -> String {
    assert!(!text.is_null());
    // SAFETY: the library ends its texts with NUL, and the owner is alive.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}
