//! Steps through JSON of which only the beginning may be there yet.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// Why a step did not succeed.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes at hand end inside what was asked for.
    More,
    /// It is something else, or no JSON.
    Wrong(Cow<'static, str>),
    /// A value of another type, or no JSON.
    Value(serde_json::Error),
}

type Step<T> = Result<T, Stop>;

/// A place in a window onto a JSON text.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    /// The bytes as text, if all of them are: then no string has to be checked again.
    pub(super) text: Option<&'a str>,
    pub(super) at: usize,
    /// Whether the text ends where the window ends.
    pub(super) last: bool,
}

impl<'a> Cursor<'a> {
    /// The next byte that is not white space, which is not taken.
    pub(super) fn peek(&mut self) -> Step<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(Stop::More)
    }

    /// Takes one byte of punctuation.
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Step<()> {
        if self.peek()? != byte {
            return Err(Stop::Wrong(what.into()));
        }
        self.at += 1;
        Ok(())
    }

    /// Takes `{"name":` or `,"name":`, or `}`, which is none.
    pub(super) fn member(&mut self, first: bool) -> Step<Option<Cow<'a, str>>> {
        if first {
            self.expect(b'{', "expected an object")?;
        }
        match self.peek()? {
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            b',' if !first => self.at += 1,
            _ if first => {}
            _ => return Err(Stop::Wrong("expected `,` or `}`".into())),
        }
        let name = self.string()?;
        self.expect(b':', "expected `:`")?;
        Ok(Some(name))
    }

    /// Takes `[` or `,` before an element, or `]`, which is none.
    pub(super) fn element(&mut self, first: bool) -> Step<Option<()>> {
        if first {
            self.expect(b'[', "expected an array")?;
        }
        match self.peek()? {
            b']' => {
                self.at += 1;
                Ok(None)
            }
            b',' if !first => {
                self.at += 1;
                Ok(Some(()))
            }
            _ if first => Ok(Some(())),
            _ => Err(Stop::Wrong("expected `,` or `]`".into())),
        }
    }

    /// Takes a string.
    pub(super) fn string(&mut self) -> Step<Cow<'a, str>> {
        if self.peek()? != b'"' {
            return Err(Stop::Wrong("expected a string".into()));
        }
        let start = self.at;
        let end = self.end_of_string(start)?;
        let quoted = &self.bytes[start..end];
        let inside = &quoted[1..quoted.len() - 1];
        let text = if inside.iter().all(|b| *b != b'\\' && *b >= 0x20) {
            let text = match self.text {
                Some(text) => text.get(start + 1..end - 1),
                None => std::str::from_utf8(inside).ok(),
            };
            Cow::Borrowed(text.ok_or_else(|| Stop::Wrong("a string is not UTF-8".into()))?)
        } else {
            Cow::Owned(serde_json::from_slice(quoted).map_err(Stop::Value)?)
        };
        self.at = end;
        Ok(text)
    }

    /// Takes a value of any type; what is inside is looked at no closer than to find its end.
    pub(super) fn skip(&mut self) -> Step<&'a [u8]> {
        let first = self.peek()?;
        let (start, mut at, mut depth) = (self.at, self.at, 0_usize);
        if !matches!(first, b'{' | b'[' | b'"') {
            while self
                .bytes
                .get(at)
                .is_some_and(|b| !matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
            {
                at += 1;
            }
            if at == self.bytes.len() && !self.last {
                return Err(Stop::More);
            }
            self.at = at;
            return Ok(&self.bytes[start..at]);
        }
        loop {
            match self.bytes.get(at) {
                None => return Err(Stop::More),
                Some(b'"') => at = self.end_of_string(at)?,
                Some(b'{' | b'[') => {
                    depth += 1;
                    at += 1;
                }
                Some(b'}' | b']') => {
                    depth -= 1;
                    at += 1;
                }
                Some(_) => at += 1,
            }
            if depth == 0 {
                self.at = at;
                return Ok(&self.bytes[start..at]);
            }
        }
    }

    /// Takes an object, array or string of a type.
    ///
    /// If it is complete but not of that type, it is not taken, and can be skipped.
    pub(super) fn value<T: DeserializeOwned>(&mut self) -> Step<T> {
        self.peek()?;
        // A place before a value is never inside a character.
        let (value, taken) = match self.text.and_then(|text| text.get(self.at..)) {
            Some(text) => next_of(serde_json::Deserializer::from_str(text).into_iter()),
            None => {
                next_of(serde_json::Deserializer::from_slice(&self.bytes[self.at..]).into_iter())
            }
        };
        match value {
            Some(Ok(value)) => {
                self.at += taken;
                Ok(value)
            }
            None => Err(Stop::More),
            Some(Err(error)) if error.is_eof() => Err(Stop::More),
            // A record names the field in its error, and thereby hides that the text just ended.
            Some(Err(error)) => {
                let start = self.at;
                let complete = self.skip();
                self.at = start;
                complete.and(Err(Stop::Value(error)))
            }
        }
    }

    /// The place after the string that begins at a place.
    fn end_of_string(&self, start: usize) -> Step<usize> {
        let mut at = start + 1;
        loop {
            match self.bytes.get(at) {
                None => return Err(Stop::More),
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
            }
        }
    }
}

/// The first of the values, and how many bytes it took.
fn next_of<'de, R: serde_json::de::Read<'de>, T: DeserializeOwned>(
    mut values: serde_json::StreamDeserializer<'de, R, T>,
) -> (Option<serde_json::Result<T>>, usize) {
    (values.next(), values.byte_offset())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn cursor(text: &str, last: bool) -> Cursor<'_> {
        Cursor { bytes: text.as_bytes(), text: Some(text), at: 0, last }
    }

    #[test]
    fn a_skipped_value_ends_where_it_ends() {
        for value in [r#"{"a":["]",{"b\"":"\\"}]}"#, "[]", r#""x\"]""#, "NaN", "-1.5e9", "true"] {
            let text = format!(" {value} ,5");
            let mut cursor = cursor(&text, true);
            assert_eq!(cursor.skip().unwrap(), value.as_bytes());
            assert_eq!(cursor.peek().unwrap(), b',');
        }
    }

    #[test]
    fn every_cut_asks_for_more() {
        #[derive(Debug, Deserialize)]
        struct Named {
            #[serde(rename = "_a")]
            a: i64,
            #[serde(rename = "_b")]
            b: Vec<String>,
        }
        let text = r#" {"_a":5,"_b":["x\u00e9\"","y"]} "#;
        for end in 0..text.len() - 1 {
            let mut cut = cursor(&text[..end], false);
            assert!(matches!(cut.skip(), Err(Stop::More)), "{end}");
            let mut cut = cursor(&text[..end], false);
            assert!(matches!(cut.value::<Named>(), Err(Stop::More)), "{end}");
            let mut cut = cursor(&text[..end], false);
            let walked = cut.member(true).and_then(|_| cut.skip()).and_then(|_| cut.member(false));
            assert!(end > 13 || matches!(walked, Err(Stop::More)), "{end}");
        }
        let mut whole = cursor(text, false);
        let named = whole.value::<Named>().unwrap();
        assert_eq!((named.a, named.b.len()), (5, 2));
        assert!(matches!(cursor("12", false).skip(), Err(Stop::More)));
        assert_eq!(cursor("12", true).skip().unwrap(), b"12");
    }

    #[test]
    fn a_value_of_another_type_can_be_skipped() {
        let mut cursor = cursor(r#"{"a":5},{}"#, true);
        assert!(matches!(cursor.value::<Vec<i64>>(), Err(Stop::Value(_))));
        assert_eq!(cursor.skip().unwrap(), br#"{"a":5}"#);
    }

    #[test]
    fn what_is_no_json_stops_the_walk() {
        assert!(matches!(cursor("x", true).member(true), Err(Stop::Wrong(_))));
        assert!(matches!(cursor("{5:", true).member(true), Err(Stop::Wrong(_))));
        assert!(matches!(cursor(r#"{"a"5"#, true).member(true), Err(Stop::Wrong(_))));
        assert!(matches!(cursor(r#""b":"#, true).member(false), Err(Stop::Wrong(_))));
        assert!(matches!(cursor("}", true).element(true), Err(Stop::Wrong(_))));
        assert!(matches!(cursor("5", true).element(false), Err(Stop::Wrong(_))));
    }
}
