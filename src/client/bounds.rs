//! What one call may take, with everything that is done on its way.

use std::time::Duration;

use crate::transport::{Cancel, Clock, Limits};

/// Until when, how much, and who may end it before.
///
/// A call may have to log in again, follow a redirect, search the master and be sent a second time:
/// all of it has the time of the one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'a> {
    pub(super) deadline: Duration,
    pub(super) max_reply: u64,
    pub(super) cancel: &'a Cancel,
}

/// The largest reply to a login, a logout or a question about the pool itself. A pool's record has
/// some kB; nobody who is not yet known to be the pool gets to send more.
const SMALL_REPLY: u64 = 4 << 20;

/// How long closing a session may take: long enough for a master that is busy, short enough for a
/// program that ends.
pub(super) const CLOSING: Duration = Duration::from_secs(5);

/// A session that has to be closed on the way gets so much beyond the call's own time.
const CLOSING_LATE: Duration = Duration::from_secs(1);

impl<'a> Bounds<'a> {
    /// Those of a call that begins now.
    pub(super) fn new(clock: &dyn Clock, limits: Limits, cancel: &'a Cancel) -> Self {
        Self {
            deadline: clock.now().saturating_add(limits.overall),
            max_reply: limits.max_reply,
            cancel,
        }
    }

    /// What is left for the next exchange.
    pub(super) fn limits(&self, clock: &dyn Clock) -> Limits {
        Limits { overall: self.left(clock), max_reply: self.max_reply }
    }

    pub(super) fn left(&self, clock: &dyn Clock) -> Duration {
        self.deadline.saturating_sub(clock.now())
    }

    pub(super) fn are_over(&self, clock: &dyn Clock) -> bool {
        self.left(clock).is_zero()
    }

    /// These, but no longer than this from now.
    pub(super) fn within(self, clock: &dyn Clock, time: Duration) -> Self {
        Self { deadline: self.deadline.min(clock.now().saturating_add(time)), ..self }
    }

    /// These, for replies that are small if they are what they should be.
    pub(super) fn small(self) -> Self {
        Self { max_reply: self.max_reply.min(SMALL_REPLY), ..self }
    }

    /// For closing a session on the way.
    pub(super) fn closing(&self, clock: &dyn Clock) -> Limits {
        let overall = self.left(clock).clamp(CLOSING_LATE, CLOSING);
        Limits { overall, max_reply: SMALL_REPLY }
    }
}
