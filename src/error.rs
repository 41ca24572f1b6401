//! One opaque error for the whole crate, and the fault that a XAPI server raises.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::text::{plain, quoted};

/// What went wrong, in one line, with its kind, its XAPI fault and its cause.
///
/// The Display form is one lower-case line that does not repeat its source.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    fault: Option<Fault>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of one kind with a lower-case message that names what was wrong.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), fault: None, source: None }))
    }

    /// Adds what caused the error.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Puts words about what was being done before those of the error.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.0.message = format!("{what}: {}", self.0.message).into();
        self
    }

    /// The error for a text that is not what it should be; `what` is that, with an example.
    pub(crate) fn not_a(text: &str, what: &str) -> Self {
        let text: String = text.chars().take(64).collect();
        Self::new(ErrorKind::InvalidInput, format!("{} is no {what}", quoted(text)))
    }

    /// The kind, to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The fault that a XAPI server raised, if one did.
    pub fn fault(&self) -> Option<&Fault> {
        self.0.fault.as_ref()
    }

    /// Whether a XAPI server raised this very error code.
    pub fn is_fault(&self, code: &str) -> bool {
        self.fault().is_some_and(|fault| fault.code == code)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let message = format!("the server answered {fault}");
        Self(Box::new(Inner {
            kind: ErrorKind::Fault,
            message: message.into(),
            fault: Some(fault),
            source: None,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        plain(&self.0.message).fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller cancelled.
    Cancelled,
    /// A XAPI server raised a fault; [`Error::fault`] has it.
    Fault,
    /// An argument, a file or a snapshot from the caller is wrong.
    InvalidInput,
    /// A bug in this crate: please report it.
    Internal,
    /// The other side did not speak the protocol.
    Protocol,
    /// The world is not in the state that the call needs.
    State,
    /// The deadline passed.
    Timeout,
    /// A message was larger than its limit.
    TooLarge,
    /// No connection, or it broke.
    Transport,
    /// The certificate of the other side is not trusted.
    Trust,
}

/// An error as a XAPI server raises it: a code and its parameters, in order.
///
/// Codes and parameters are XAPI's own, letter for letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "XAPI's errors have a code and parameters")]
pub struct Fault {
    /// The error code, such as `HOST_IS_SLAVE`.
    pub code: String,
    /// The parameters; what they mean depends on the code.
    pub params: Vec<String>,
}

impl Fault {
    /// A fault with its parameters.
    pub fn new<P: Into<String>>(
        code: impl Into<String>,
        params: impl IntoIterator<Item = P>,
    ) -> Self {
        Self { code: code.into(), params: params.into_iter().map(Into::into).collect() }
    }

    /// A fault without parameters.
    pub fn bare(code: impl Into<String>) -> Self {
        Self { code: code.into(), params: Vec::new() }
    }

    /// The master's address, if this is `HOST_IS_SLAVE`.
    pub fn master_address(&self) -> Option<&str> {
        (self.code == "HOST_IS_SLAVE").then(|| self.params.first().map(String::as_str)).flatten()
    }

    /// Whether the session is gone (`SESSION_INVALID`).
    pub fn is_session_invalid(&self) -> bool {
        self.code == "SESSION_INVALID"
    }

    /// Whether the object named by a ref is gone or never was (`HANDLE_INVALID`).
    pub fn is_handle_invalid(&self) -> bool {
        self.code == "HANDLE_INVALID"
    }

    /// Whether user or password was refused (`SESSION_AUTHENTICATION_FAILED`).
    pub fn is_authentication_failed(&self) -> bool {
        self.code == "SESSION_AUTHENTICATION_FAILED"
    }

    /// Whether the host is still starting (`HOST_STILL_BOOTING`).
    pub fn is_still_booting(&self) -> bool {
        self.code == "HOST_STILL_BOOTING"
    }
}

impl Fault {
    /// The fault where its objects are named already: without its parameters if these are refs.
    pub(crate) fn told(&self) -> String {
        match self.params.iter().any(|param| param.contains("OpaqueRef:")) {
            true => plain(&self.code).to_string(),
            false => self.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        plain(&self.code).fmt(f)?;
        if !self.params.is_empty() {
            write!(f, " [{}]", plain(self.params.join(", ")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_does_not_repeat_its_source() {
        let error = Error::new(ErrorKind::Protocol, "the reply is not json")
            .with_source("expected value at line 1")
            .context("host.get_all");
        assert_eq!(error.to_string(), "host.get_all: the reply is not json");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "expected value at line 1");
    }

    #[test]
    fn a_fault_keeps_its_code_and_parameters() {
        let error = Error::from(Fault::new("HOST_IS_SLAVE", ["10.0.0.1"]));
        assert_eq!(error.kind(), ErrorKind::Fault);
        assert_eq!(error.fault().unwrap().master_address(), Some("10.0.0.1"));
        assert_eq!(error.to_string(), "the server answered HOST_IS_SLAVE [10.0.0.1]");
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
