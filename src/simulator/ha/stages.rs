//! How far a daemon has come with what takes several turns: its start, the handling of a fault.

use std::time::Duration;

use crate::election::partition::LocalView;

/// How far a daemon's start has come.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub since: Duration,
    pub stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits to hear and see everybody, for a while.
    Looking,
    /// It waits until nobody takes it for alive any more.
    Forgotten,
    /// It waits for a live set that it may join, or for all to start together.
    Ready,
    /// It waits for everybody's consent.
    Asking { since: Duration },
}

impl Start {
    pub(super) fn new(now: Duration) -> Self {
        Self { since: now, stage: Stage::Looking }
    }
}

/// How far the handling of a fault has come.
pub(super) struct Handling {
    /// When the others were found to have reached this phase.
    pub met: Option<Duration>,
    /// The view to decide on.
    pub view: Option<LocalView>,
    /// When it began to judge.
    pub judging: Duration,
    /// Whether a host is removed that is still visible.
    pub extended: bool,
}
