//! Dates in a world.

use std::time::Duration;

use crate::model::Timestamp;

/// `20260101T00:00:00Z`: the seconds of 1970 at which every world begins.
const BEGINNING: u64 = 1_767_225_600;

/// A point in a world's time as a XAPI date.
pub(in crate::simulator) fn date(now: Duration) -> String {
    Timestamp(i64::try_from(unix_seconds(now)).unwrap_or(i64::MAX)).to_string()
}

/// The seconds since 1970 at a point in a world's time.
pub(in crate::simulator) fn unix_seconds(now: Duration) -> u64 {
    BEGINNING.saturating_add(now.as_secs())
}

/// How many seconds a XAPI date is before now; 0 if it is later or no date.
pub(in crate::simulator) fn seconds_between(date: &str, now: Duration) -> u64 {
    let then = date.parse::<Timestamp>().ok().and_then(|then| u64::try_from(then.0).ok());
    then.map_or(0, |then| unix_seconds(now).saturating_sub(then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_on_from_the_beginning() {
        let day = 86_400;
        for (seconds, text) in [
            (0, "20260101T00:00:00Z"),
            (59 + 31 * day, "20260201T00:00:59Z"),
            (58 * day, "20260228T00:00:00Z"),
            (59 * day, "20260301T00:00:00Z"),
            (365 * day - 1, "20261231T23:59:59Z"),
            ((365 * 2 + 59) * day, "20280229T00:00:00Z"),
        ] {
            let then = Duration::from_secs(seconds);
            assert_eq!(date(then), text);
            assert_eq!(seconds_between(text, then + Duration::from_secs(7)), 7);
        }
        assert_eq!(seconds_between("today", Duration::ZERO), 0);
        assert_eq!(seconds_between("20260101T00:00:01Z", Duration::ZERO), 0);
    }
}
