//! Rules by their codes, and the sets that they are of.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Serialize, Serializer};

use super::rule::Rule;
use crate::error::{Error, ErrorKind, Result};
use crate::text::quoted;

/// An ordered table of rules about one question.
///
/// Its types are markers, such as [`Preflight`](crate::preflight::Preflight).
pub trait RuleSet: 'static {
    /// The set's name, in one word.
    const NAME: &'static str;

    /// All rules of the set, in the order of reports.
    fn rules() -> &'static [&'static Rule];
}

/// The stable name of a rule, and a handle to what it stands for.
///
/// Codes of one set are ordered as its reports are; a code compares with a text by its name.
#[derive(Clone, Copy)]
pub struct RuleCode(&'static Rule);

impl RuleCode {
    /// The code of a rule of this set, by its name.
    ///
    /// # Errors
    /// `InvalidInput` that names the codes that come near.
    pub fn of<S: RuleSet>(code: &str) -> Result<Self> {
        match S::rules().iter().find(|rule| rule.code == code) {
            Some(rule) => Ok(Self(rule)),
            None => Err(Error::new(ErrorKind::InvalidInput, no_such_rule::<S>(code))),
        }
    }

    /// The code as it is written.
    pub const fn as_str(self) -> &'static str {
        self.0.code
    }

    /// The rule with this code.
    pub const fn rule(self) -> &'static Rule {
        self.0
    }
}

impl From<&'static Rule> for RuleCode {
    fn from(rule: &'static Rule) -> Self {
        Self(rule)
    }
}

impl PartialEq for RuleCode {
    fn eq(&self, other: &Self) -> bool {
        self.0.place == other.0.place
    }
}

impl Eq for RuleCode {}

impl PartialEq<str> for RuleCode {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for RuleCode {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for RuleCode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RuleCode {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.place.cmp(&other.0.place)
    }
}

impl Hash for RuleCode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.place.hash(state);
    }
}

impl fmt::Display for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for RuleCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What to say of a code that no rule of a set has: which ones come near.
fn no_such_rule<S: RuleSet>(code: &str) -> String {
    let mut near: Vec<_> = S::rules()
        .iter()
        .map(|rule| (distance(code, rule.code), rule.code))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
        .collect();
    near.sort_unstable();
    let near: Vec<_> = near.into_iter().take(3).map(|(_, known)| known).collect();
    let code: String = code.chars().take(64).collect();
    match near.is_empty() {
        true => format!("there is no rule {}", quoted(code)),
        false => format!("there is no rule {}: did you mean {}?", quoted(code), near.join(" or ")),
    }
}

/// How many letters must change to make one text the other; what both have in common counts less
/// than where they stand, so whole words in another order are near, too.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 128 {
        return usize::MAX;
    }
    let words = |text: &str| {
        let mut words: Vec<_> = text.split(['-', '_', ' ']).map(str::to_ascii_lowercase).collect();
        words.sort_unstable();
        words.join("-")
    };
    levenshtein(&a.to_ascii_lowercase(), b).min(levenshtein(&words(a), &words(b)))
}

fn levenshtein(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (n, letter) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = n + 1;
        for (m, other) in b.iter().enumerate() {
            let change = corner + usize::from(letter != *other);
            corner = row[m + 1];
            row[m + 1] = change.min(corner + 1).min(row[m] + 1);
        }
    }
    row[b.len()]
}
