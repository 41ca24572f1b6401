//! Digests by which plans and losses are compared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A digest of 128 bits (FNV-1a), written as 32 hexadecimal digits.
///
/// It tells whether something is still what it was. It is no defence against forgery: whoever can
/// forge a plan can just as well run it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(u128);

/// The text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no digest of 32 hexadecimal digits")]
pub struct NoDigest(String);

impl Digest {
    /// The digest of texts, in order; where one ends and the next begins counts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        let mut state = OFFSET;
        for text in texts {
            // No UTF-8 text has this byte.
            for byte in text.bytes().chain([0xff]) {
                state = (state ^ u128::from(byte)).wrapping_mul(PRIME);
            }
        }
        Self(state)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let error = || NoDigest(text.chars().take(64).collect());
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(error());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| error())
    }
}

impl TryFrom<String> for Digest {
    type Error = NoDigest;

    fn try_from(text: String) -> Result<Self, NoDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_published_fnv_1a_and_comes_back_from_its_text() {
        // The empty input's digest is FNV-1a's offset basis.
        let empty = Digest::of([]);
        assert_eq!(empty.to_string(), "6c62272e07bb014262b821756295c58d");
        assert_eq!(empty.to_string().parse(), Ok(empty));
        assert!("6c62272e07bb014262b821756295c58".parse::<Digest>().is_err());
        assert!("+c62272e07bb014262b821756295c58d".parse::<Digest>().is_err());
    }

    #[test]
    fn where_one_text_ends_counts() {
        assert_ne!(Digest::of(["ab", "c"]), Digest::of(["a", "bc"]));
        assert_ne!(Digest::of(["ab"]), Digest::of(["ab", ""]));
    }
}
