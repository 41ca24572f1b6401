//! Refs and uuids: opaque names of objects.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A reference to a XAPI object of one class, as the server wrote it.
///
/// Opaque: only compared, never taken apart. A ref need not lead anywhere: objects vanish between
/// two reads, and imported VMs may carry texts such as `Ref:12`; treat a ref that the snapshot does
/// not know as null (seen in recordings of real joins). Refs are ordered by their text; the server
/// walks its tables from the last to the first.
pub struct Ref<T>(Ident, PhantomData<fn() -> T>);

/// The identifier of an object that outlives a database, as the server wrote it.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(Ident);

const NULL: &str = "OpaqueRef:NULL";
const PREFIX: &str = "OpaqueRef:";

/// A text that is mostly a lower-case RFC 4122 uuid, and then takes 16 bytes instead of 36.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
enum Ident {
    #[default]
    Null,
    /// For a ref: `OpaqueRef:` and this uuid.
    Uuid([u8; 16]),
    Text(Box<str>),
}

impl Ident {
    fn of(text: &str) -> Self {
        match uuid_bytes(text) {
            Some(bytes) => Self::Uuid(bytes),
            None => Self::Text(text.into()),
        }
    }

    fn text(&self, prefix: &str) -> Cow<'_, str> {
        match self {
            Self::Null if prefix.is_empty() => Cow::Borrowed(""),
            Self::Null => Cow::Borrowed(NULL),
            Self::Uuid(bytes) => Cow::Owned(uuid_text(prefix, bytes)),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    fn cmp(&self, other: &Self, prefix: &str) -> Ordering {
        match (self, other) {
            // As one number: no call, and most lookups come here.
            (Self::Uuid(a), Self::Uuid(b)) => u128::from_be_bytes(*a).cmp(&u128::from_be_bytes(*b)),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.text(prefix).cmp(&other.text(prefix)),
        }
    }
}

impl PartialOrd for Ident {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(Ord::cmp(self, other))
    }
}

impl Ord for Ident {
    fn cmp(&self, other: &Self) -> Ordering {
        Self::cmp(self, other, "")
    }
}

fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    const DIGITS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if text[8] != b'-' || text[13] != b'-' || text[18] != b'-' || text[23] != b'-' {
        return None;
    }
    // Snapshots have hundreds of thousands of refs: no branch may depend on a digit.
    let (mut bytes, mut all) = ([0; 16], 0);
    for (byte, at) in bytes.iter_mut().zip(DIGITS) {
        let (high, low) = (NIBBLES[usize::from(text[at])], NIBBLES[usize::from(text[at + 1])]);
        all |= high | low;
        *byte = high << 4 | low & 15;
    }
    (all & NO_DIGIT == 0).then_some(bytes)
}

const NO_DIGIT: u8 = 0x80;

/// The value of each digit; only lower case, so that every text comes back as it was.
static NIBBLES: [u8; 256] = {
    let mut nibbles = [NO_DIGIT; 256];
    let mut value = 0u8;
    while value < 16 {
        nibbles[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    nibbles
};

fn uuid_text(prefix: &str, bytes: &[u8; 16]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(prefix.len() + 36);
    text.push_str(prefix);
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

impl<T> Ref<T> {
    /// The null ref.
    pub const fn null() -> Self {
        Self(Ident::Null, PhantomData)
    }

    /// The ref with this text.
    pub fn new(text: &str) -> Self {
        let ident = match text {
            NULL => Ident::Null,
            _ => match text.strip_prefix(PREFIX).and_then(uuid_bytes) {
                Some(bytes) => Ident::Uuid(bytes),
                None => Ident::Text(text.into()),
            },
        };
        Self(ident, PhantomData)
    }

    /// Whether this is the null ref.
    ///
    /// That is `OpaqueRef:NULL`, or the empty text that some servers write.
    pub fn is_null(&self) -> bool {
        match &self.0 {
            Ident::Null => true,
            Ident::Uuid(_) => false,
            Ident::Text(text) => text.is_empty(),
        }
    }

    /// The ref's text, as the server wrote it.
    pub fn text(&self) -> Cow<'_, str> {
        self.0.text(PREFIX)
    }

    /// The text after `OpaqueRef:`, by which hand-written snapshots name their objects.
    pub fn short(&self) -> Cow<'_, str> {
        match self.text() {
            Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(PREFIX).unwrap_or(text)),
            Cow::Owned(text) => Cow::Owned(text.replacen(PREFIX, "", 1)),
        }
    }

    /// Reads this ref as one to another class, with its text unchanged.
    pub fn cast<U>(&self) -> Ref<U> {
        Ref(self.0.clone(), PhantomData)
    }
}

impl Uuid {
    /// The uuid with this text.
    pub fn new(text: &str) -> Self {
        match text {
            "" => Self(Ident::Null),
            _ => Self(Ident::of(text)),
        }
    }

    /// The uuid's text, as the server wrote it.
    pub fn text(&self) -> Cow<'_, str> {
        self.0.text("")
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0 == Ident::Null
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T> Default for Ref<T> {
    fn default() -> Self {
        Self::null()
    }
}

impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Ref<T> {}

impl<T> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> PartialOrd for Ref<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ref<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0, PREFIX)
    }
}

impl<T> fmt::Display for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl<T> From<&str> for Ref<T> {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Uuid {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<T> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de, T> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText("a ref", Ref::new))
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText("a uuid", Uuid::new))
    }
}

/// Decodes a text without keeping a copy of it.
pub(super) struct FromText<F>(pub(super) &'static str, pub(super) F);

impl<R, F: FnOnce(&str) -> R> Visitor<'_> for FromText<F> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<R, E> {
        Ok(self.1(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Host;

    #[test]
    fn every_text_comes_back_as_it_was() {
        for text in [
            NULL,
            "",
            "OpaqueRef:",
            "OpaqueRef:host-b1",
            "OpaqueRef:790495ea-e10f-8d16-5ec4-c5e5b3be8eed",
            "OpaqueRef:790495EA-e10f-8d16-5ec4-c5e5b3be8eed",
            "OpaqueRef:790495eae10f-8d16-5ec4-c5e5b3be8eed-",
            "Ref:12",
        ] {
            assert_eq!(Ref::<Host>::new(text).text(), text);
            assert_eq!(Uuid::new(text).text(), text);
        }
        assert_eq!(size_of::<Ref<Host>>(), 24);
    }

    #[test]
    fn refs_are_ordered_by_their_text() {
        let texts = [
            "OpaqueRef:790495ea-e10f-8d16-5ec4-c5e5b3be8eed",
            "OpaqueRef:790495ea-e10f-8d16-5ec4-c5e5b3be8eee",
            "OpaqueRef:79",
            "OpaqueRef:8",
            "OpaqueRef:NULL",
            "OpaqueRef:host",
            "Ref:1",
            "",
        ];
        for a in texts {
            for b in texts {
                assert_eq!(Ref::<Host>::new(a).cmp(&Ref::new(b)), a.cmp(b), "{a} {b}");
            }
        }
    }
}
