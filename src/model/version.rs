//! Dotted version numbers.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A dotted version such as `26.1.3` or `8.3.0`, compared number by number.
///
/// Parts that are missing count as 0: `8.3` equals `8.3.0`. What follows the numbers, as in
/// `25.6.0-next`, is kept and does not count.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
    parts: Vec<u64>,
}

impl Version {
    /// The version with these two numbers.
    pub fn of(major: u64, minor: u64) -> Self {
        Self { text: format!("{major}.{minor}"), parts: vec![major, minor] }
    }

    /// The numbers, first to last.
    pub fn parts(&self) -> &[u64] {
        &self.parts
    }

    /// The first number.
    pub fn major(&self) -> u64 {
        self.part(0)
    }

    /// The second number, 0 if there is none.
    pub fn minor(&self) -> u64 {
        self.part(1)
    }

    fn part(&self, n: usize) -> u64 {
        self.parts.get(n).copied().unwrap_or(0)
    }

    fn significant(&self) -> &[u64] {
        let zeros = self.parts.iter().rev().take_while(|part| **part == 0).count();
        &self.parts[..self.parts.len() - zeros]
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = || Error::not_a(text, "version such as 26.1.3");
        let numbers = text.split(['-', '+', ' ']).next().unwrap_or_default();
        let parts = numbers
            .split('.')
            .map(|part| match part.bytes().all(|b| b.is_ascii_digit()) {
                true => part.parse().map_err(|_| error()),
                false => Err(error()),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl TryFrom<String> for Version {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl std::hash::Hash for Version {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.significant().hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.significant().cmp(other.significant())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_number_by_number() {
        let parse = |text: &str| text.parse::<Version>().unwrap();
        assert!(parse("1.249.10") > parse("1.249.9"));
        assert!(parse("24.37.0") < parse("25.6"));
        assert_eq!(parse("8.3"), parse("8.3.0"));
        assert_eq!(parse("25.6.0-next"), parse("25.6"));
        assert_eq!(parse("25.6.0-next").to_string(), "25.6.0-next");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", ".", "1.", "x", "1.x", "-1", "99999999999999999999"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
