//! The error object.

use std::ffi::{CStr, CString, c_char};

use serde::Serialize;

use crate::client::LoginFailure;
use crate::error::{Error, Fault};

use crate::ffi::registry::{self, Object, c_text};
use crate::ffi::status::xcp_status;
use crate::operations::Why;
use crate::transport::Mismatch;

/// What went wrong in one call: a status, a message, perhaps a server's fault.
///
/// Threads: immutable; may be read by many at once.
pub struct xcp_error {
    status: xcp_status,
    message: CString,
    fault: Option<FaultText>,
    evidence_json: CString,
    login: Option<&'static CStr>,
    mismatch_json: Option<CString>,
}

struct FaultText {
    code: CString,
    params_json: CString,
}

impl Object for xcp_error {
    const NAME: &'static str = "xcp_error";
}

/// What a call failed with, before C has asked for it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: xcp_status,
    pub(super) message: String,
    pub(super) fault: Option<Fault>,
    pub(super) evidence: Vec<String>,
    /// What it means, if it is a login that failed.
    pub(super) login: Option<Box<LoginFailure>>,
    pub(super) mismatch: Option<Box<Mismatch>>,
}

impl Failure {
    pub(super) fn new(status: xcp_status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            fault: None,
            evidence: Vec::new(),
            login: None,
            mismatch: None,
        }
    }

    /// What a login failed with.
    pub(super) fn of_login(error: Error) -> Self {
        let login = Some(Box::new(LoginFailure::of(&error)));
        Self { login, ..Self::from(error) }
    }

    /// Puts the argument that is wrong before the message.
    pub(super) fn in_argument(mut self, name: &str) -> Self {
        self.message = format!("{name}: {}", self.message);
        self
    }
}

impl From<Error> for Failure {
    /// The message is the error's with those of its causes, since C gets no chain.
    fn from(error: Error) -> Self {
        let fault = error.fault().cloned();
        let mismatch = Mismatch::of(&error).cloned().map(Box::new);
        Self { fault, mismatch, ..Self::new(xcp_status::of(error.kind()), with_causes(&error)) }
    }
}

impl From<(xcp_status, Why)> for Failure {
    fn from((status, why): (xcp_status, Why)) -> Self {
        let mismatch = why.error.as_ref().and_then(Mismatch::of).cloned().map(Box::new);
        let (message, fault) = match &why.error {
            Some(error) => {
                (format!("{}: {}", why.reason, with_causes(error)), error.fault().cloned())
            }
            None => (why.reason, None),
        };
        Self { fault, mismatch, evidence: why.evidence, ..Self::new(status, message) }
    }
}

fn with_causes(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

impl From<Failure> for xcp_error {
    fn from(failure: Failure) -> Self {
        let fault = failure.fault.map(|fault| FaultText {
            code: c_text(fault.code),
            // Texts only: encoding cannot fail.
            params_json: c_text(serde_json::to_string(&fault.params).unwrap_or_default()),
        });
        Self {
            status: failure.status,
            message: c_text(failure.message),
            fault,
            evidence_json: c_text(serde_json::to_string(&failure.evidence).unwrap_or_default()),
            login: failure.login.map(|login| name_of(&login)),
            mismatch_json: failure.mismatch.as_ref().map(|mismatch| {
                let told = MismatchText {
                    host: &mismatch.host,
                    expected: mismatch.expected.iter().map(ToString::to_string).collect(),
                    actual: mismatch.actual.to_string(),
                };
                c_text(serde_json::to_string(&told).unwrap_or_default())
            }),
        }
    }
}

/// Returns the error's status.
///
/// XCP_OK for NULL, XCP_E_MISUSE for what is no error (any more). From any thread.
///
/// # Safety
/// `error` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_error_code(error: *const xcp_error) -> xcp_status {
    match error.is_null() {
        true => xcp_status::XCP_OK,
        false => look(error, xcp_status::XCP_E_MISUSE, |error| error.status),
    }
}

/// Returns what went wrong, in one line.
///
/// "" for NULL and for what is no error (any more). Belongs to the error, and lives as long as it.
/// From any thread.
///
/// # Safety
/// `error` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_error_message(error: *const xcp_error) -> *const c_char {
    look(error, c"".as_ptr(), |error| error.message.as_ptr())
}

/// Returns the code of the fault that a XAPI server raised, letter for letter.
///
/// NULL if no server raised one. Belongs to the error, and lives as long as it. From any thread.
///
/// # Safety
/// `error` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_error_fault_code(error: *const xcp_error) -> *const c_char {
    look(error, std::ptr::null(), |error| {
        error.fault.as_ref().map_or(std::ptr::null(), |fault| fault.code.as_ptr())
    })
}

/// Returns the parameters of the fault as a JSON array of texts.
///
/// "[]" if there is no fault. Belongs to the error, and lives as long as it. From any thread.
///
/// # Safety
/// `error` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_error_fault_params_json(error: *const xcp_error) -> *const c_char {
    look(error, NONE.as_ptr(), |error| {
        error.fault.as_ref().map_or(NONE.as_ptr(), |fault| fault.params_json.as_ptr())
    })
}

/// Returns what was seen that led to XCP_E_NOT_DONE or XCP_E_OUTCOME_UNKNOWN.
///
/// A JSON array of lines, oldest first; "[]" if there is nothing to tell. Belongs to the error, and
/// lives as long as it. From any thread.
///
/// # Safety
/// `error` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_error_evidence_json(error: *const xcp_error) -> *const c_char {
    look(error, NONE.as_ptr(), |error| error.evidence_json.as_ptr())
}

/// Returns what the error means if a login failed with it, else NULL.
///
/// In the order in which a login meets them: "unreachable", "certificate" (the password was not
/// sent), "not-xapi", "still-booting", "emergency" (the host has lost its pool; the fault says
/// why), "slave" (the master that the host names could not be reached), "bad-password",
/// "other-pool", "refused" (anything else that the server raised), "caller" (cancelled, or
/// impossible). Static. From any thread.
///
/// # Safety
/// `error` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_error_login_failure(error: *const xcp_error) -> *const c_char {
    look(error, std::ptr::null(), |error| error.login.map_or(std::ptr::null(), CStr::as_ptr))
}

/// Returns which certificate was shown in place of the trusted one.
///
/// NULL if the error is not about a certificate, else `{"host": "phantom.lan:443", "expected":
/// ["SHA256:..."...], "actual": "SHA256:..."}`; "expected" is empty if an authority should have
/// signed. Belongs to the error, and lives as long as it. From any thread.
///
/// # Safety
/// `error` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_error_mismatch_json(error: *const xcp_error) -> *const c_char {
    look(error, std::ptr::null(), |error| {
        error.mismatch_json.as_ref().map_or(std::ptr::null(), |json| json.as_ptr())
    })
}

/// Frees an error and the texts that belong to it. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `error` is NULL or came from this library, and its texts are not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_error_free(error: *mut xcp_error) {
    registry::free(error);
}

fn name_of(failure: &LoginFailure) -> &'static CStr {
    match failure {
        LoginFailure::Unreachable => c"unreachable",
        LoginFailure::Certificate => c"certificate",
        LoginFailure::NotXapi => c"not-xapi",
        LoginFailure::StillBooting => c"still-booting",
        LoginFailure::Emergency(_) => c"emergency",
        LoginFailure::Slave => c"slave",
        LoginFailure::BadPassword => c"bad-password",
        LoginFailure::OtherPool => c"other-pool",
        LoginFailure::Refused(_) => c"refused",
        LoginFailure::Caller => c"caller",
    }
}

#[derive(Serialize)]
struct MismatchText<'a> {
    host: &'a str,
    expected: Vec<String>,
    actual: String,
}

/// A JSON array of nothing.
const NONE: &CStr = c"[]";

/// What an error says; `otherwise` for NULL and for what is none.
fn look<T>(error: *const xcp_error, otherwise: T, read: impl FnOnce(&xcp_error) -> T) -> T {
    // A text that is read here lives on in the error, which its owner has not freed.
    registry::hold(error).map_or(otherwise, |error| read(&error))
}
