//! What went wrong, in this crate's words.

use std::io;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::transport::Cancel;

/// What an exchange was about.
pub(super) struct Context {
    pub(super) what: String,
    pub(super) overall: Duration,
    pub(super) cancel: Cancel,
}

impl Context {
    /// This crate's error for one of ureq.
    pub(super) fn explain(&self, error: ureq::Error) -> Error {
        // Whatever else a cancelled wait looks like.
        if let Err(cancelled) = self.cancel.check() {
            return cancelled;
        }
        let what = &self.what;
        let transport = |message: String| Error::new(ErrorKind::Transport, message);
        match error {
            ureq::Error::Other(inner) => match inner.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(other) => {
                    transport(format!("the exchange with {what} failed")).with_source(other)
                }
            },
            ureq::Error::Timeout(reason) => {
                let message = match reason {
                    ureq::Timeout::Connect => format!("no connection to {what} in time"),
                    ureq::Timeout::Resolve => format!("the name of {what} was not found in time"),
                    ureq::Timeout::PerRead => format!("the reply of {what} stopped in the middle"),
                    _ => format!(
                        "the exchange with {what} took more than {} s",
                        self.overall.as_secs_f32()
                    ),
                };
                Error::new(ErrorKind::Timeout, message)
            }
            ureq::Error::HostNotFound => transport(format!("the name of {what} is not known")),
            ureq::Error::LargeResponseHeader(..) => Error::new(
                ErrorKind::TooLarge,
                format!("the headers of the reply of {what} are too large"),
            ),
            ureq::Error::Protocol(error) => {
                Error::new(ErrorKind::Protocol, format!("{what} does not speak HTTP as it should"))
                    .with_source(error)
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Error::new(ErrorKind::InvalidInput, format!("{what} is no address for HTTP"))
                    .with_source(error)
            }
            ureq::Error::Io(error) => self.explain_io(error),
            other => transport(format!("the exchange with {what} failed")).with_source(other),
        }
    }

    fn explain_io(&self, error: io::Error) -> Error {
        let what = &self.what;
        let message = match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("{what} refuses connections"),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => format!("{what} broke the connection"),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("there is no way to {what}")
            }
            _ => format!("the exchange with {what} failed"),
        };
        let kind = match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::Timeout,
            _ => ErrorKind::Transport,
        };
        Error::new(kind, message).with_source(error)
    }
}
