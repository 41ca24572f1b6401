//! What time it is on a host.

use std::time::Duration;

use super::handle::Client;
use crate::error::Result;
use crate::model::{Host, Ref, Timestamp};

/// What a host's clock showed, and when that was by the clock of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockReading {
    /// What the host's clock showed, in whole seconds, the rest cut off.
    pub time: Timestamp,
    /// When it showed that, by [`Client::clock`]: half-way between question and answer.
    pub at: Duration,
    /// How far from `at` that may have been: half of the round trip.
    pub within: Duration,
}

impl ClockReading {
    /// What the clock shows at another moment of [`Client::clock`], if it goes right.
    pub fn time_at(&self, moment: Duration) -> Timestamp {
        let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let passed = milliseconds(moment).saturating_sub(milliseconds(self.at));
        Timestamp(self.time.0.saturating_add(passed.saturating_add(500).div_euclid(1000)))
    }
}

impl Client {
    /// Reads a host's clock (`host.get_servertime`).
    ///
    /// The answer is as old as its way here took, of which nobody knows more than the round trip:
    /// it counts as given in the middle of that.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn server_time(&self, host: &Ref<Host>) -> Result<ClockReading> {
        let asked = self.clock().now();
        let time = self.call("host.get_servertime", &(host,))?;
        let within = self.clock().now().saturating_sub(asked) / 2;
        Ok(ClockReading { time, at: asked + within, within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_carried_to_another_moment() {
        let seconds = Duration::from_secs_f64;
        let reading =
            ClockReading { time: Timestamp(1000), at: seconds(50.0), within: seconds(0.5) };
        for (moment, time) in [(50.0, 1000), (50.4, 1000), (50.6, 1001), (62.0, 1012), (48.0, 998)]
        {
            assert_eq!(reading.time_at(seconds(moment)), Timestamp(time), "{moment}");
        }
    }
}
