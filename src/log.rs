//! What the shell tells the program's log, through the facade crate `log`; nothing without the
//! feature.
//!
//! For transport, client and operations; the core decides and says nothing. Each macro takes the
//! room first, whose name is the target's: `debug!(client, "…")` is told under `xcp_pool::client`.
//! Method names, endpoints, times and error codes may be told; parameters, replies, session refs,
//! passwords and pool secrets never. Whatever a server or a person wrote goes through [`plain`] or
//! [`brief`].

use std::fmt;

use crate::error::{Error, Fault};
use crate::text::plain;

#[cfg(feature = "log")]
macro_rules! say {
    ($room:ident, $level:ident, $($text:tt)+) => {
        ::log::log!(
            target: concat!("xcp_pool::", stringify!($room)), ::log::Level::$level, $($text)+
        )
    };
}

/// Types are checked, and what is named counts as used; nothing is evaluated.
#[cfg(not(feature = "log"))]
macro_rules! say {
    ($room:ident, $level:ident, $($text:tt)+) => {
        if false {
            let _ = format_args!($($text)+);
        }
    };
}

/// Whether somebody listens to a room at a level, to save what only the log needs.
#[cfg(feature = "log")]
macro_rules! is_on {
    ($room:ident, $level:ident) => {
        ::log::log_enabled!(target: concat!("xcp_pool::", stringify!($room)), ::log::Level::$level)
    };
}

#[cfg(not(feature = "log"))]
macro_rules! is_on {
    ($room:ident, $level:ident) => {
        false
    };
}

macro_rules! debug {
    ($room:ident, $($text:tt)+) => { $crate::log::say!($room, Debug, $($text)+) };
}

macro_rules! info {
    ($room:ident, $($text:tt)+) => { $crate::log::say!($room, Info, $($text)+) };
}

macro_rules! warning {
    ($room:ident, $($text:tt)+) => { $crate::log::say!($room, Warn, $($text)+) };
}

pub(crate) use {debug, info, is_on, say, warning};

/// An error in a few words: the code of a fault without its parameters, else the error's own line.
pub(crate) fn brief(error: &Error) -> impl fmt::Display + '_ {
    Brief(error)
}

struct Brief<'a>(&'a Error);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.fault() {
            Some(fault) => f.write_str(code(fault)),
            None => plain(self.0).fmt(f),
        }
    }
}

/// A fault's code, if it is one; whoever answers could have put anything there.
fn code(fault: &Fault) -> &str {
    let is_code = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.');
    match fault.code.len() <= 80 && fault.code.bytes().all(is_code) {
        true => &fault.code,
        false => "an odd fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_error_is_told_without_the_parameters_of_its_fault() {
        let fault = |code: &str| Error::from(Fault::new(code, ["OpaqueRef:session"])).context("x");
        assert_eq!(brief(&fault("SESSION_INVALID")).to_string(), "SESSION_INVALID");
        assert_eq!(brief(&fault("pass word")).to_string(), "an odd fault");
        assert_eq!(brief(&fault(&"A".repeat(81))).to_string(), "an odd fault");
        let error = Error::new(ErrorKind::Transport, "a refuses\nconnections");
        assert_eq!(brief(&error).to_string(), "a refuses\\nconnections");
    }
}
