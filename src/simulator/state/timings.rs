//! How long things take.

use std::time::Duration;

/// How long things take in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// From power to the start of xapi.
    pub boot: Duration,
    /// From the decision to restart xapi to its end.
    pub fuse: Duration,
    /// A request and its reply on the wire.
    pub latency: Duration,
    /// The live migration of a VM.
    pub migrate: Duration,
    /// From the end of an ejected host's xapi to the power of its new installation.
    pub reinstall: Duration,
    /// From the end of xapi to its next start.
    pub restart: Duration,
    /// From a member's hello to the end of its emergency mode.
    pub settle: Duration,
    /// The clean shutdown of a VM.
    pub shutdown: Duration,
    /// The start of a VM.
    pub start: Duration,
    /// From the start of a member's xapi to its first hello.
    pub start_member: Duration,
    /// From the start of a new member's xapi to its first hello.
    pub start_new_member: Duration,
    /// Suspending and resuming a VM.
    pub suspend: Duration,
}

impl Default for Timings {
    /// As recorded from real processes; what they could not do is set to the usual.
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(60),
            fuse: Duration::from_secs(10),
            latency: Duration::from_millis(1),
            migrate: Duration::from_secs(10),
            reinstall: Duration::from_secs(120),
            restart: Duration::from_secs(1),
            settle: Duration::from_millis(300),
            shutdown: Duration::from_secs(5),
            start: Duration::from_secs(3),
            start_member: Duration::from_millis(900),
            start_new_member: Duration::from_secs(7),
            suspend: Duration::from_secs(5),
        }
    }
}
