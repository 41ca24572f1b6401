//! Dates as the server writes them.

use std::time::Duration;

/// `20260101T00:00:00Z`: the seconds of 1970 at which every world begins.
pub(in crate::simulator) const BEGINNING: u64 = 1_767_225_600;

/// A point in a world's time as a XAPI date.
pub(in crate::simulator) fn date(now: Duration) -> String {
    let seconds = BEGINNING + now.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The seconds since 1970 at a point in a world's time.
pub(in crate::simulator) fn unix_seconds(now: Duration) -> u64 {
    BEGINNING + now.as_secs()
}

/// How many seconds a XAPI date is before now; none if it is later or no date.
pub(in crate::simulator) fn seconds_between(date: &str, now: Duration) -> u64 {
    parse(date).map_or(0, |then| unix_seconds(now).saturating_sub(then))
}

/// The seconds since 1970 of a date such as `20260101T00:00:00Z`.
fn parse(date: &str) -> Option<u64> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(12, 14)?, number(15, 17)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in
            ["", "today", "20261301T00:00:00Z", "2026-01-01T00:00:00Z", "é0260101T00:00:00Z"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("19700101T00:00:00Z"), Some(0));
    }

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
            assert_eq!(date(Duration::from_secs(seconds)), text);
            assert_eq!(parse(text), Some(BEGINNING + seconds), "{text}");
        }
    }
}
