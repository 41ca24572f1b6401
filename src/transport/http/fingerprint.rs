//! Fingerprints of certificates.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::text::quoted;

/// The SHA-256 of a certificate, by which people compare certificates.
///
/// Written `SHA256:4B:8F:…`, 32 bytes in hexadecimal. Read with or without the prefix, the colons,
/// and in either case: what `openssl x509 -noout -fingerprint -sha256` prints, and XAPI's
/// `Certificate.fingerprint_sha256`, can be pasted as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER form.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let shown: String = text.chars().take(120).collect();
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{} is no SHA-256 fingerprint such as SHA256:4B:8F:… (32 bytes)",
                    quoted(shown)
                ),
            )
        };
        let trimmed = text.trim();
        let hex = match trimmed.split_once('=') {
            Some((_, after)) => after,
            None => match trimmed.get(..7) {
                Some(prefix) if prefix.eq_ignore_ascii_case("SHA256:") => &trimmed[7..],
                _ => trimmed,
            },
        };
        let mut bytes = [0; 32];
        let mut digits = hex.bytes().filter(|byte| *byte != b':');
        for byte in &mut bytes {
            let mut nibble = || {
                let digit = char::from(digits.next()?).to_digit(16)?;
                u8::try_from(digit).ok()
            };
            *byte = nibble().ok_or_else(wrong)? << 4 | nibble().ok_or_else(wrong)?;
        }
        if digits.next().is_some() {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256")?;
        self.0.iter().try_for_each(|byte| write!(f, ":{byte:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_people_copy_them() {
        let fingerprint = Fingerprint::of(b"x");
        let shown = fingerprint.to_string();
        assert!(shown.starts_with("SHA256:2D:71:16:42:B7:26"), "{shown}");
        let bare = &shown[7..];
        for text in [
            shown.clone(),
            bare.to_owned(),
            bare.to_lowercase(),
            bare.replace(':', ""),
            format!("sha256 Fingerprint={bare}\n"),
            format!("sha256:{}", bare.to_lowercase()),
        ] {
            assert_eq!(text.parse::<Fingerprint>().unwrap(), fingerprint, "{text}");
        }
        for text in ["", "SHA256:", &bare[..92], &format!("{bare}:00"), &bare.replace('2', "g")] {
            let error = text.parse::<Fingerprint>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
