//! Digests by which plans and losses are known.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::canonical::canonical;
use crate::error::{Error, ErrorKind, Result};
use crate::text::quoted;

/// A SHA-256 digest, written as `sha256:` and 64 hexadecimal digits.
///
/// It stands for the data that it is of: nobody can make other data with this digest, whatever
/// names and other words are chosen for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a text.
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// The text that a digest is of: what kind of thing it is of, and that in canonical form.
///
/// The first line keeps one kind's digests from passing for another's, and an older form's for a
/// newer.
pub(super) fn text(kind: &str, value: &(impl Serialize + ?Sized)) -> String {
    // Plans are made of types whose `Serialize` is derived, or writes a string: none refuses.
    let value = canonical(value).expect("all of a plan can be written");
    format!("xcp_pool {kind} v1\n{value}")
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALGORITHM)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = || {
            let text: String = text.chars().take(80).collect();
            let what = format!(
                "{} is no digest, which is {ALGORITHM} and 64 hexadecimal digits",
                quoted(text)
            );
            Error::new(ErrorKind::InvalidInput, what)
        };
        let digits = text.strip_prefix(ALGORITHM).ok_or_else(error)?.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(error());
        }
        for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            let (high, low) = (value(digits[0]), value(digits[1]));
            let (high, low) = high.zip(low).ok_or_else(error)?;
            *byte = u8::try_from(high * 16 + low).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

const ALGORITHM: &str = "sha256:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_published_sha_256_and_comes_back_from_its_text() {
        let abc = Digest::of("abc");
        let published = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(abc.to_string(), published);
        assert_eq!(published.parse::<Digest>().unwrap(), abc);
    }

    #[test]
    fn other_texts_are_no_digests() {
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for text in
            [digits, &format!("sha256:{}", &digits[1..]), &format!("sha256:+{}", &digits[1..])]
        {
            assert_eq!(text.parse::<Digest>().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn what_it_is_of_counts() {
        assert_ne!(text("plan", "x"), text("losses", "x"));
        assert_eq!(text("plan", "x"), "xcp_pool plan v1\n1:x\n");
    }
}
