//! Replies: the JSON-RPC envelope and what is in it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Fault, Result};
use crate::text::quoted;

/// Decodes a reply's body into the result's type.
///
/// Takes both envelopes (JSON-RPC 2.0, and 1.0 without a `jsonrpc` member), errors as an object and
/// as an array (`["CODE", …]`, which XAPI sends for whatever it raises before dispatch: emergency
/// mode, invalid UTF-8), any id, and `""` for no result (`()`).
///
/// # Errors
/// `Fault` if the server raised one; `Protocol` for what is no such reply, HTML for example, and
/// for a result of another type.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    match std::str::from_utf8(body) {
        Ok(text) => decode_text(text),
        // Only an unused part may be no text.
        Err(_) => decode_from(serde_json::Deserializer::from_slice(body), body),
    }
}

/// Decodes a reply that is known to be text.
pub(crate) fn decode_text<T: DeserializeOwned>(body: &str) -> Result<T> {
    decode_from(serde_json::Deserializer::from_str(body), body.as_bytes())
}

fn decode_from<'de, R: serde_json::de::Read<'de>, T: DeserializeOwned>(
    mut deserializer: serde_json::Deserializer<R>,
    body: &[u8],
) -> Result<T> {
    let envelope = Envelope(PhantomData)
        .deserialize(&mut deserializer)
        .and_then(|envelope| deserializer.end().map(|()| envelope))
        .map_err(|error| not_a_reply(body, error))?;
    match envelope {
        (_, Some(raised)) => Err(raised.into_error()),
        (Some(result), None) => Ok(result),
        (None, None) => {
            Err(Error::new(ErrorKind::Protocol, "the reply has neither a result nor an error"))
        }
    }
}

/// Says what came instead of a reply, from its first bytes.
pub(crate) fn not_a_reply(start: &[u8], error: serde_json::Error) -> Error {
    let first = start.iter().find(|b| !b.is_ascii_whitespace());
    let message = match first {
        None => "the reply is empty".to_owned(),
        Some(b'<') => format!("the reply is no JSON but markup: {}", quoted(words_of_page(start))),
        Some(b'{') if error.is_data() => "the reply is not of the expected type".to_owned(),
        Some(b'{') if error.is_eof() => "the reply ends in the middle".to_owned(),
        Some(_) => "the reply is no JSON-RPC reply".to_owned(),
    };
    Error::new(ErrorKind::Protocol, message).with_source(error)
}

/// The first words of a page, without its tags.
pub(crate) fn words_of_page(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page.get(..2_000).unwrap_or(page));
    let mut text = String::new();
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if inside => {}
            _ => text.push(c),
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(120).collect()
}

/// The reply's members that matter: result and error, each at most once and not null.
struct Envelope<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Envelope<S> {
    type Value = (Option<S::Value>, Option<Raised>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Envelope<S> {
    type Value = (Option<S::Value>, Option<Raised>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC reply")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut result, mut error, mut seed) = (None, None, Some(self.0));
        while let Some(member) = map.next_key_seed(MemberName)? {
            match member {
                Member::Result => {
                    let seed =
                        seed.take().ok_or_else(|| serde::de::Error::duplicate_field("result"))?;
                    result = map.next_value_seed(Nullable(seed))?;
                }
                Member::Error if error.is_some() => {
                    return Err(serde::de::Error::duplicate_field("error"));
                }
                Member::Error => error = map.next_value()?,
                Member::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((result, error))
    }
}

enum Member {
    Error,
    Other,
    Result,
}

struct MemberName;

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for MemberName {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Member, E> {
        Ok(match name {
            "result" => Member::Result,
            "error" => Member::Error,
            _ => Member::Other,
        })
    }
}

/// A value, or null: JSON-RPC 1.0 has `"result":null` beside an error.
struct Nullable<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(VoidIsEmpty(deserializer)).map(Some)
    }
}

/// An error member, as an object or as an array.
pub(crate) struct Raised {
    /// JSON-RPC's own number; XAPI's is always 1.
    code: i64,
    fault: Fault,
}

impl Raised {
    pub(crate) fn into_error(self) -> Error {
        // JSON-RPC reserves these numbers for servers that could not make sense of a request; XAPI
        // never sends them, so whoever answers is something else.
        if (-32_768..=-32_000).contains(&self.code) {
            return Error::new(
                ErrorKind::Protocol,
                format!("the server refused the request as JSON-RPC error {}", self.code),
            );
        }
        self.fault.into()
    }
}

impl<'de> Deserialize<'de> for Raised {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;

        impl<'de> Visitor<'de> for Shapes {
            type Value = Raised;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error object or array")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raised, A::Error> {
                let (mut code, mut message, mut params) = (1, None, Vec::new());
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "code" => code = map.next_value()?,
                        "message" => message = Some(map.next_value()?),
                        "data" => params = map.next_value::<FaultParams>()?.0,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let message: String =
                    message.ok_or_else(|| serde::de::Error::missing_field("message"))?;
                Ok(Raised { code, fault: Fault { code: message, params } })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raised, A::Error> {
                let code = seq
                    .next_element()?
                    .ok_or_else(|| serde::de::Error::invalid_length(0, &"an error code"))?;
                let mut params = Vec::new();
                while let Some(Text(param)) = seq.next_element()? {
                    params.push(param);
                }
                Ok(Raised { code: 1, fault: Fault { code, params } })
            }
        }

        deserializer.deserialize_any(Shapes)
    }
}

/// An error's `data`: an array of texts; anything else is kept as it is.
struct FaultParams(Vec<String>);

impl<'de> Deserialize<'de> for FaultParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let params = match serde_json::from_str::<Vec<Text>>(raw.get()) {
            Ok(params) => params.into_iter().map(|Text(param)| param).collect(),
            Err(_) if raw.get() == "null" => Vec::new(),
            Err(_) => vec![raw.get().to_owned()],
        };
        Ok(Self(params))
    }
}

/// A text, or the JSON of anything else.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned())))
    }
}

/// Takes `""`, XAPI's form of "nothing", where `()` is wanted.
pub(crate) struct VoidIsEmpty<D>(pub(crate) D);

macro_rules! forward {
    ($($method:ident($($arg:ident: $ty:ty),*))*) => { $(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($arg,)* visitor)
        }
    )* };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for VoidIsEmpty<D> {
    type Error = D::Error;

    forward! {
        deserialize_any() deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32()
        deserialize_i64() deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32()
        deserialize_u64() deserialize_u128() deserialize_f32() deserialize_f64() deserialize_char()
        deserialize_str() deserialize_string() deserialize_bytes() deserialize_byte_buf()
        deserialize_option() deserialize_seq() deserialize_map() deserialize_identifier()
        deserialize_ignored_any() deserialize_tuple(len: usize)
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Void(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_unit(visitor)
    }
}

struct Void<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Void<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no result")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<V::Value, E> {
        match text {
            "" => self.0.visit_unit(),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str("a text"), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Host, Ref};
    use std::collections::BTreeMap;

    fn fault(body: &str) -> Fault {
        decode::<String>(body.as_bytes()).unwrap_err().fault().unwrap().clone()
    }

    #[test]
    fn both_envelopes_carry_results() {
        let v2 = br#"{"jsonrpc":"2.0","result":["OpaqueRef:a"],"id":1}"#;
        let v1 = br#"{"result":["OpaqueRef:a"],"error":null,"id":"x"}"#;
        for body in [&v2[..], v1] {
            assert_eq!(decode::<Vec<Ref<Host>>>(body).unwrap(), [Ref::new("OpaqueRef:a")]);
        }
        assert_eq!(decode::<i64>(br#"{"result":2,"id":-5}"#).unwrap(), 2);
        assert_eq!(
            decode::<BTreeMap<i64, bool>>(br#"{"result":{"5":true}}"#).unwrap(),
            BTreeMap::from([(5, true)])
        );
    }

    #[test]
    fn every_shape_of_an_error_is_a_fault() {
        let expected = Fault::new("HANDLE_INVALID", ["host", "OpaqueRef:x"]);
        for body in [
            r#"{"jsonrpc":"2.0",
                "error":{"code":1,"message":"HANDLE_INVALID","data":["host","OpaqueRef:x"]},
                "id":1}"#,
            r#"{"jsonrpc":"2.0","error":["HANDLE_INVALID","host","OpaqueRef:x"],"id":0}"#,
            r#"{"result":null,"error":["HANDLE_INVALID","host","OpaqueRef:x"],"id":1}"#,
            r#"{"error":["HANDLE_INVALID","host","OpaqueRef:x"],"result":null}"#,
        ] {
            assert_eq!(fault(body), expected, "{body}");
        }
        assert_eq!(fault(r#"{"error":{"message":"X"}}"#), Fault::bare("X"));
        assert_eq!(
            fault(r#"{"error":{"message":"X","data":[1,null,"a\n"]}}"#).params,
            ["1", "null", "a\n"]
        );
        assert_eq!(fault(r#"{"error":{"message":"X","data":"one"}}"#).params, [r#""one""#]);
    }

    #[test]
    fn the_empty_text_is_no_result() {
        decode::<()>(br#"{"jsonrpc":"2.0","result":"","id":1}"#).unwrap();
        assert_eq!(decode::<String>(br#"{"jsonrpc":"2.0","result":"","id":1}"#).unwrap(), "");
        let error = decode::<()>(br#"{"jsonrpc":"2.0","result":"secret","id":1}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn what_is_no_reply_is_a_protocol_error() {
        let message = |body: &str| {
            let error = decode::<i64>(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
            error.to_string()
        };
        assert_eq!(message(" "), "the reply is empty");
        assert_eq!(
            message("<html><body><h1>HTTP 403 forbidden</h1>Access is\n forbidden.</body></html>"),
            "the reply is no JSON but markup: \"HTTP 403 forbidden Access is forbidden.\""
        );
        assert_eq!(message(r#"{"result":"x"}"#), "the reply is not of the expected type");
        assert_eq!(message(r#"{"result":5"#), "the reply ends in the middle");
        assert_eq!(message("[5]"), "the reply is no JSON-RPC reply");
        assert_eq!(message("{}"), "the reply has neither a result nor an error");
        message(r#"{"result":5}x"#);
        message(r#"{"result":5,"result":6}"#);
        message(r#"{"error":[]}"#);
        message(r#"{"error":"x"}"#);
        message("\u{0}\u{1}");
        message(&format!(r#"{{"result":{}}}"#, "[".repeat(100_000)));
        assert!(
            message(r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"no"},"id":1}"#)
                .ends_with("-32601")
        );
    }
}
