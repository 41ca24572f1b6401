//! What a reply is read from.

use std::io::{self, Read};

/// The body of a reply: at hand, or readable as it arrives.
#[expect(clippy::exhaustive_enums, reason = "transports make it, and clients take it apart")]
pub enum Body {
    /// The whole body.
    Bytes(Vec<u8>),
    /// A body that is still arriving; reading it may fail or end early.
    Reader(Box<dyn Read + Send>),
}

impl Body {
    /// The whole body, read to its end.
    ///
    /// # Errors
    /// What reading from the connection raises.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Reader(mut reader) => {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}
