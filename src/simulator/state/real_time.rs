//! A clock that follows real time.

use std::time::{Duration, Instant};

/// A clock that follows real time, at a speed.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) struct RealTime {
    since: Instant,
    base: Duration,
    speed: f64,
}

impl RealTime {
    pub(crate) fn new(base: Duration, speed: f64) -> Self {
        Self { since: Instant::now(), base, speed }
    }

    /// The world's time.
    pub(crate) fn now(&self) -> Duration {
        let passed = Duration::try_from_secs_f64(self.since.elapsed().as_secs_f64() * self.speed);
        self.base.saturating_add(passed.unwrap_or(Duration::MAX))
    }

    /// How long until it is that late in the world.
    pub(crate) fn until(&self, then: Duration) -> Duration {
        let left = then.saturating_sub(self.now()).as_secs_f64() / self.speed;
        Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX)
    }

    /// Leaps ahead.
    pub(crate) fn leap(&mut self, time: Duration) {
        self.base = self.base.saturating_add(time);
    }
}
