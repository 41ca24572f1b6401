//! Values as the server keeps and sends them.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use super::types::Type;

/// A ref that names no object.
pub(in crate::simulator) const NULL_REF: &str = "OpaqueRef:NULL";

/// A value of XAPI's datamodel.
///
/// It knows its own wire type (a date is no string, an integer no float), so that it can be written
/// as JSON-RPC or as XML-RPC without looking at the datamodel again. Texts are shared: a clone
/// copies no characters.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "these are the types of the wire")]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A point in time, `20260101T00:00:00Z`.
    Date(Arc<str>),
    /// A floating-point number.
    Float(f64),
    /// A signed integer of 64 bits.
    Int(i64),
    /// A map or a record, in the order in which the server sends it.
    Map(Vec<(Arc<str>, Value)>),
    /// A set, in the order in which the server sends it.
    Set(Vec<Value>),
    /// A string, a ref or an enum value.
    Text(Arc<str>),
}

impl Value {
    /// A string, a ref or an enum value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The result of a call that answers nothing: the empty string.
    pub fn void() -> Self {
        Self::text("")
    }

    /// The ref that names no object.
    pub fn null_ref() -> Self {
        Self::text(NULL_REF)
    }

    /// A set of texts.
    pub fn texts<T: Into<Arc<str>>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Set(texts.into_iter().map(Self::text).collect())
    }

    /// A map from texts to texts.
    pub fn map<K: Into<Arc<str>>, V: Into<Value>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// The characters of a text or a date.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Date(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }

    /// The elements of a set; anything else has no elements.
    pub fn elements(&self) -> &[Value] {
        if let Self::Set(elements) = self { elements } else { &[] }
    }

    /// The pairs of a map; anything else has no pairs.
    pub fn pairs(&self) -> &[(Arc<str>, Value)] {
        if let Self::Map(pairs) = self { pairs } else { &[] }
    }

    /// What a map has under a key.
    pub fn at(&self, key: &str) -> Option<&Value> {
        self.pairs().iter().find(|(name, _)| **name == *key).map(|(_, value)| value)
    }

    /// Whether a set has this text.
    pub fn has_text(&self, text: &str) -> bool {
        self.elements().iter().any(|element| element.as_str() == Some(text))
    }

    /// The value as JSON.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::Text(text) | Self::Date(text) => Json::from(&**text),
            Self::Set(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Map(pairs) => {
                pairs.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect()
            }
        }
    }

    /// Appends the JSON text of this value, in the order that this value has.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Float(value) => out.extend_from_slice(float_text(*value).as_bytes()),
            Self::Text(text) | Self::Date(text) => write_json_text(text, out),
            Self::Set(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    element.write_json(out);
                }
                out.push(b']');
            }
            Self::Map(pairs) => {
                out.push(b'{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_json_text(key, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }

    /// Reads a value of a known type from JSON, as a saved database has it.
    pub(super) fn from_json(kind: &Type, json: &Json) -> Result<Self, Mismatch> {
        let mismatch = || Mismatch { expected: kind.clone() };
        match (kind, json) {
            (Type::Bool, Json::Bool(value)) => Ok(Self::Bool(*value)),
            (Type::Int, Json::Number(number)) => {
                number.as_i64().map(Self::Int).ok_or_else(mismatch)
            }
            (Type::Int, Json::String(text)) => text.parse().map(Self::Int).map_err(|_| mismatch()),
            (Type::Float, Json::Number(number)) => {
                number.as_f64().map(Self::Float).ok_or_else(mismatch)
            }
            (Type::Date, Json::String(text)) => Ok(Self::Date(text.as_str().into())),
            (Type::Text | Type::Ref(_) | Type::Enum(_), Json::String(text)) => {
                Ok(Self::text(text.as_str()))
            }
            (Type::Set(element), Json::Array(elements)) => elements
                .iter()
                .map(|json| Self::from_json(element, json))
                .collect::<Result<_, _>>()
                .map(Self::Set),
            (Type::Map(_, value), Json::Object(pairs)) => pairs
                .iter()
                .map(|(key, json)| Ok((key.as_str().into(), Self::from_json(value, json)?)))
                .collect::<Result<_, _>>()
                .map(Self::Map),
            (Type::Optional(inner), json) => Self::from_json(inner, json),
            _ => Err(mismatch()),
        }
    }
}

/// A JSON value that is not of the type that the datamodel asks for.
#[derive(Debug)]
pub(super) struct Mismatch {
    expected: Type,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is not of type {}", self.expected)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(Arc::clone(text))
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// Appends a text as a JSON string.
pub(in crate::simulator) fn write_json_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            control if (control as u32) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", control as u32).as_bytes());
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// A float as the server prints it: always with a point or an exponent.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        format!("{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_text_reads_back_as_the_same_value() {
        let value = Value::map([
            ("text", Value::text("é \"quoted\" \\ \n\t\u{1} 😀")),
            ("int", Value::Int(9_007_199_254_740_993)),
            ("float", Value::Float(1.0)),
            ("set", Value::Set(vec![Value::Bool(true), Value::Date("20260101T00:00:00Z".into())])),
        ]);
        let mut text = Vec::new();
        value.write_json(&mut text);
        assert_eq!(serde_json::from_slice::<Json>(&text).unwrap(), value.to_json());
        assert!(String::from_utf8(text).unwrap().contains("\"float\":1.0"));
    }

    #[test]
    fn maps_keep_the_order_in_which_they_were_made() {
        let mut text = Vec::new();
        Value::map([("b", "1"), ("a", "2")]).write_json(&mut text);
        assert_eq!(text, br#"{"b":"1","a":"2"}"#);
    }
}
