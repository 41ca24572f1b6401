//! Status codes.

use std::ffi::{CStr, c_char};

use crate::error::ErrorKind;

/// How a call ended.
///
/// The numbers never change their meaning. 1 to 99: the caller's mistake; 100 to 199: the world is
/// not as the call needs it; 200 to 299: the way to the other side; 300 to 399: the caller's wish;
/// 900 to 999: a bug in the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum xcp_status {
    /// Done; outputs are written.
    XCP_OK = 0,
    /// A pointer that must not be NULL is.
    XCP_E_NULL = 1,
    /// A text is not UTF-8.
    XCP_E_UTF8 = 2,
    /// A pointer leads to no living object of its type, or a panic spoilt the object.
    XCP_E_MISUSE = 3,
    /// An argument has a value that cannot be; the message names it.
    XCP_E_INVALID_INPUT = 4,
    /// A XAPI server raised a fault; the error has its code and parameters.
    XCP_E_FAULT = 100,
    /// The world is not in the state that the call needs.
    XCP_E_STATE = 101,
    /// An operation was not done, and nothing is under way that would bring it about.
    XCP_E_NOT_DONE = 102,
    /// Whether an operation was done cannot be told; calling it again looks again.
    XCP_E_OUTCOME_UNKNOWN = 103,
    /// No connection, or it broke. A write may have been done.
    XCP_E_TRANSPORT = 200,
    /// The deadline passed. A write may have been done.
    XCP_E_TIMEOUT = 201,
    /// The certificate of the other side is not trusted.
    XCP_E_TRUST = 202,
    /// The other side did not speak the protocol.
    XCP_E_PROTOCOL = 203,
    /// A message was larger than its limit.
    XCP_E_TOO_LARGE = 204,
    /// The caller cancelled.
    XCP_E_CANCELLED = 300,
    /// The library panicked and caught itself: please report it.
    ///
    /// The process goes on; calls with the objects that were in use fail with XCP_E_MISUSE from now
    /// on, and these can only be freed.
    XCP_E_PANIC = 900,
    /// A bug in the library that it noticed: please report it.
    XCP_E_INTERNAL = 901,
}

use xcp_status::*;

impl xcp_status {
    /// All statuses, in the order of their numbers.
    const ALL: &[(Self, &CStr)] = &[
        (XCP_OK, c"XCP_OK"),
        (XCP_E_NULL, c"XCP_E_NULL"),
        (XCP_E_UTF8, c"XCP_E_UTF8"),
        (XCP_E_MISUSE, c"XCP_E_MISUSE"),
        (XCP_E_INVALID_INPUT, c"XCP_E_INVALID_INPUT"),
        (XCP_E_FAULT, c"XCP_E_FAULT"),
        (XCP_E_STATE, c"XCP_E_STATE"),
        (XCP_E_NOT_DONE, c"XCP_E_NOT_DONE"),
        (XCP_E_OUTCOME_UNKNOWN, c"XCP_E_OUTCOME_UNKNOWN"),
        (XCP_E_TRANSPORT, c"XCP_E_TRANSPORT"),
        (XCP_E_TIMEOUT, c"XCP_E_TIMEOUT"),
        (XCP_E_TRUST, c"XCP_E_TRUST"),
        (XCP_E_PROTOCOL, c"XCP_E_PROTOCOL"),
        (XCP_E_TOO_LARGE, c"XCP_E_TOO_LARGE"),
        (XCP_E_CANCELLED, c"XCP_E_CANCELLED"),
        (XCP_E_PANIC, c"XCP_E_PANIC"),
        (XCP_E_INTERNAL, c"XCP_E_INTERNAL"),
    ];

    pub(super) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Cancelled => XCP_E_CANCELLED,
            ErrorKind::Fault => XCP_E_FAULT,
            ErrorKind::InvalidInput => XCP_E_INVALID_INPUT,
            ErrorKind::Internal => XCP_E_INTERNAL,
            ErrorKind::Protocol => XCP_E_PROTOCOL,
            ErrorKind::State => XCP_E_STATE,
            ErrorKind::Timeout => XCP_E_TIMEOUT,
            ErrorKind::TooLarge => XCP_E_TOO_LARGE,
            ErrorKind::Transport => XCP_E_TRANSPORT,
            ErrorKind::Trust => XCP_E_TRUST,
        }
    }

    /// The kind of error that a custom transport may fail with, by its number.
    pub(super) fn kind_of(code: u32) -> Option<ErrorKind> {
        [
            ErrorKind::Cancelled,
            ErrorKind::Protocol,
            ErrorKind::Timeout,
            ErrorKind::TooLarge,
            ErrorKind::Transport,
            ErrorKind::Trust,
        ]
        .into_iter()
        .find(|kind| Self::of(*kind) as u32 == code)
    }
}

/// Returns the name of a status, such as "XCP_E_UTF8".
///
/// "unknown status" for a number that is no status. Static: never freed. Never fails. From any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn xcp_status_name(status: u32) -> *const c_char {
    let name = xcp_status::ALL.iter().find(|(known, _)| *known as u32 == status);
    name.map_or(c"unknown status", |(_, name)| name).as_ptr()
}
