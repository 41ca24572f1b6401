//! XAPI's datetime.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::ident::FromText;
use crate::error::Error;

/// A moment, in whole seconds since 1970-01-01 00:00:00 UTC.
///
/// XAPI writes `20250319T04:16:24Z`; its epoch means "never" or "not known".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "it is a number")]
pub struct Timestamp(pub i64);

impl FromStr for Timestamp {
    type Err = Error;

    /// Also reads dashes in the date, fractions of a second (dropped) and a missing `Z`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let error = || Error::not_a(text, "datetime such as 20250319T04:16:24Z");
        parse(text).map(Self).ok_or_else(error)
    }
}

fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let compact: String;
    let date = if date.len() == 10 {
        compact = date.replace('-', "");
        &compact
    } else {
        date
    };
    let time = time.strip_suffix('Z').unwrap_or(time);
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let number = |text: &str| -> Option<i64> {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    if date.len() != 8 || time.len() != 8 {
        return None;
    }
    let (year, month, day) =
        (number(date.get(0..4)?)?, number(date.get(4..6)?)?, number(date.get(6..8)?)?);
    let mut parts = time.split(':');
    let (hour, minute, second) =
        (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && parts.next().is_none();
    valid.then(|| days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, counting years from March so that leap days come last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(86_400) + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let second = self.0.rem_euclid(86_400);
        write!(
            f,
            "{year:04}{month:02}{day:02}T{:02}:{:02}:{:02}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(FromText("a datetime", |text: &str| text.parse()))?
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xapi_datetimes_come_back_as_they_were() {
        for (text, seconds) in [
            ("19700101T00:00:00Z", 0),
            ("20250319T04:16:24Z", 1_742_357_784),
            ("20240229T23:59:59Z", 1_709_251_199),
            ("19691231T23:59:59Z", -1),
        ] {
            let timestamp: Timestamp = text.parse().unwrap();
            assert_eq!((timestamp.0, timestamp.to_string().as_str()), (seconds, text));
        }
    }

    #[test]
    fn what_is_no_datetime_is_refused() {
        for text in
            ["", "T", "20250319", "20250230T00:00:00Z", "2025031xT00:00:00Z", "ééééT00:00:0"]
        {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
