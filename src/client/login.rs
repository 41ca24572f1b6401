//! Why a login failed.

use super::mark::{MasterIsAway, OtherPool};
use crate::error::{Error, ErrorKind, Fault};

/// What an error of [`Client::connect`](crate::client::Client::connect) means.
///
/// Variants are in the order in which a login meets them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginFailure {
    /// Nothing answers at the address, or not in time.
    Unreachable,
    /// The host's certificate is not trusted; the password was not sent.
    Certificate,
    /// Something answers that is no XAPI.
    NotXapi,
    /// The host has just started and is not ready (`HOST_STILL_BOOTING`).
    StillBooting,
    /// The host is in emergency mode, for this reason.
    ///
    /// As xen-api `Xapi_globs.emergency_mode_error`.
    Emergency(Fault),
    /// The host is a member, and its master could not be reached or found.
    Slave,
    /// The user or the password was refused.
    BadPassword,
    /// The host belongs to another pool than was asked for.
    OtherPool,
    /// Anything else that the server raised.
    Refused(Fault),
    /// The caller cancelled, or asked for what is impossible.
    Caller,
}

/// What a host that lost its pool raises for every call (xen-api `Xapi`, `Xapi_ha`).
const EMERGENCIES: &[&str] = &[
    "HA_HEARTBEAT_DAEMON_STARTUP_FAILED",
    "HA_HOST_CANNOT_ACCESS_STATEFILE",
    "HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED",
    "HOST_BROKEN",
    "HOST_HAS_NO_MANAGEMENT_IP",
    "HOST_ITS_OWN_SLAVE",
    "HOST_MASTER_CANNOT_TALK_BACK",
    "HOST_UNKNOWN_TO_MASTER",
    "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR",
];

/// Whether a host raised this instead of answering a call, because it starts or has lost its pool.
///
/// A member that cannot reach its master stores the error of the attempt, and raises it for every
/// call: `INTERNAL_ERROR ["INTERNAL_ERROR: [ Connection failed: … ]"]`, as it was recorded.
pub(super) fn is_out_of_service(fault: &Fault) -> bool {
    fault.is_still_booting()
        || EMERGENCIES.contains(&fault.code.as_str())
        || fault.code == "INTERNAL_ERROR"
            && fault.params.iter().any(|param| param.starts_with("INTERNAL_ERROR: ["))
}

impl LoginFailure {
    /// Tells what an error of a login means.
    pub fn of(error: &Error) -> Self {
        let source = std::error::Error::source(error);
        if source.is_some_and(|source| source.is::<MasterIsAway>()) {
            return Self::Slave;
        }
        if source.is_some_and(|source| source.is::<OtherPool>()) {
            return Self::OtherPool;
        }
        match error.kind() {
            ErrorKind::Transport | ErrorKind::Timeout => Self::Unreachable,
            ErrorKind::Trust => Self::Certificate,
            ErrorKind::Protocol | ErrorKind::TooLarge => Self::NotXapi,
            ErrorKind::State => Self::Slave,
            _ => match error.fault() {
                None => Self::Caller,
                Some(fault) if fault.is_authentication_failed() => Self::BadPassword,
                Some(fault) if fault.is_still_booting() => Self::StillBooting,
                Some(fault) if fault.master_address().is_some() => Self::Slave,
                Some(fault) if EMERGENCIES.contains(&fault.code.as_str()) => {
                    Self::Emergency(fault.clone())
                }
                // A master has no reason to fail here: this is what a member has stored.
                Some(fault) if fault.code == "INTERNAL_ERROR" => Self::Emergency(fault.clone()),
                Some(fault) => Self::Refused(fault.clone()),
            },
        }
    }

    /// Whether the host may well answer otherwise in a minute or two.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable | Self::StillBooting | Self::Slave => true,
            Self::Emergency(fault) => {
                !matches!(fault.code.as_str(), "HOST_BROKEN" | "HOST_ITS_OWN_SLAVE")
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_failures_are_told_apart() {
        let fault = |code: &str| LoginFailure::of(&Fault::new(code, ["x"]).into());
        assert_eq!(fault("SESSION_AUTHENTICATION_FAILED"), LoginFailure::BadPassword);
        assert_eq!(fault("HOST_STILL_BOOTING"), LoginFailure::StillBooting);
        assert_eq!(fault("HOST_IS_SLAVE"), LoginFailure::Slave);
        assert_eq!(fault("HOST_BROKEN"), LoginFailure::Emergency(Fault::new("HOST_BROKEN", ["x"])));
        assert_eq!(fault("X"), LoginFailure::Refused(Fault::new("X", ["x"])));
        let kind = |kind| LoginFailure::of(&Error::new(kind, "x"));
        assert_eq!(kind(ErrorKind::Trust), LoginFailure::Certificate);
        assert_eq!(kind(ErrorKind::Timeout), LoginFailure::Unreachable);
        assert_eq!(kind(ErrorKind::Cancelled), LoginFailure::Caller);
        assert!(fault("HOST_STILL_BOOTING").may_pass() && !fault("HOST_BROKEN").may_pass());
    }
}
