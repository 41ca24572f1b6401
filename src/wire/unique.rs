//! JSON in which no object has one name twice.
//!
//! Decoders keep one of the two values, silently; which one is meant, nobody knows.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::text::quoted;

/// Refuses a text in which an object, however deep, has one name twice, and what is no JSON.
pub(crate) fn no_name_twice(json: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<Once>(json).map(|Once| ())
}

/// A value that was looked through.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Once, A::Error> {
        while elements.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut seen = HashSet::new();
        while let Some(Name(name)) = map.next_key()? {
            if seen.contains(&name) {
                return Err(A::Error::custom(format!("{} is given twice", quoted(&name))));
            }
            seen.insert(name);
            map.next_value::<Once>()?;
        }
        Ok(Once)
    }
}

/// A name in an object, borrowed where no escape is in it.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_twice_is_refused_wherever_it_is() {
        for (json, name) in [
            (r#"{"a":1,"a":1}"#, "a"),
            (r#"{"a":{"b":null,"c":2,"b":[]}}"#, "b"),
            (r#"[{"x":1},{"x":1},[{"y":1.5,"z":"","y":true}]]"#, "y"),
            (r#"{"a\u0062":1,"ab":-1}"#, "ab"),
        ] {
            let error = no_name_twice(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(&format!("\"{name}\" is given twice")), "{error}");
        }
        for json in ["{}", "[]", "1", "null", r#"{"a":{"a":{"a":[{"a":1},{"a":2}]}}}"#] {
            no_name_twice(json.as_bytes()).unwrap();
        }
        for json in ["", "{", r#"{"a"}"#, "[1,]", "{} {}"] {
            no_name_twice(json.as_bytes()).unwrap_err();
        }
    }
}
