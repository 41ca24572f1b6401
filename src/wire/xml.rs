//! Task results: XML-RPC values as text.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use crate::error::{Error, ErrorKind, Result};

/// Decodes the `result` of a task that succeeded.
///
/// It is an XML-RPC value: `<value></value>` for no result (`()`), `<value>OpaqueRef:…</value>` for
/// a ref, arrays for sets, structs for maps and records, integers as text.
///
/// # Errors
/// `Protocol` for what is no XML-RPC value, or one of another type.
pub(crate) fn decode_task_result<T: DeserializeOwned>(text: &str) -> Result<T> {
    let wrong = |why: Wrong| {
        Error::new(ErrorKind::Protocol, "the task's result is not of the expected type")
            .with_source(why)
    };
    // Some operations leave the result empty, where others say <value></value>.
    if text.trim().is_empty() {
        return T::deserialize(Value::Text(String::new())).map_err(wrong);
    }
    let mut parser = Parser { rest: text };
    let value = parser.value(0).map_err(wrong)?;
    if !parser.rest.trim().is_empty() {
        return Err(wrong(Wrong("there is text after the value".into())));
    }
    T::deserialize(value).map_err(wrong)
}

/// What is wrong with a value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(Box<str>);

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

enum Value {
    Array(Vec<Value>),
    Struct(Vec<(String, Value)>),
    /// A text, or a scalar in its textual form.
    Text(String),
}

/// Nothing that XAPI returns is deeper.
const MAX_DEPTH: usize = 64;

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Wrong> {
        if depth > MAX_DEPTH {
            return Err(Wrong("the value is nested too deeply".into()));
        }
        if self.empty("value") {
            return Ok(Value::Text(String::new()));
        }
        self.open("value")?;
        let value = self.content(depth)?;
        self.close("value")?;
        Ok(value)
    }

    fn content(&mut self, depth: usize) -> Result<Value, Wrong> {
        let trimmed = self.rest.trim_start();
        if !trimmed.starts_with('<') || trimmed.starts_with("</") {
            return Ok(Value::Text(self.text()?));
        }
        self.rest = trimmed;
        if self.starts("array") {
            self.open("array")?;
            let mut items = Vec::new();
            if !self.empty("data") {
                self.open("data")?;
                while self.starts("value") {
                    items.push(self.value(depth + 1)?);
                }
                self.close("data")?;
            }
            self.close("array")?;
            return Ok(Value::Array(items));
        }
        if self.empty("struct") {
            return Ok(Value::Struct(Vec::new()));
        }
        if self.starts("struct") {
            self.open("struct")?;
            let mut members = Vec::new();
            while self.starts("member") {
                self.open("member")?;
                let name = if self.empty("name") {
                    String::new()
                } else {
                    self.open("name")?;
                    let name = self.text()?;
                    self.close("name")?;
                    name
                };
                members.push((name, self.value(depth + 1)?));
                self.close("member")?;
            }
            self.close("struct")?;
            return Ok(Value::Struct(members));
        }
        for tag in ["string", "int", "i4", "i8", "boolean", "double", "dateTime.iso8601"] {
            if self.empty(tag) {
                return Ok(Value::Text(String::new()));
            }
            if self.starts(tag) {
                self.open(tag)?;
                let text = self.text()?;
                self.close(tag)?;
                return Ok(Value::Text(text));
            }
        }
        Err(Wrong("there is an element that no XML-RPC value has".into()))
    }

    /// The element's tag without its bracket, if the text goes on with that element.
    fn after(&self, tag: &str) -> Option<&'a str> {
        self.rest.trim_start().strip_prefix('<')?.strip_prefix(tag)
    }

    fn starts(&self, tag: &str) -> bool {
        self.after(tag).is_some_and(|rest| rest.starts_with(['>', '/', ' ']))
    }

    /// Takes `<tag/>`.
    fn empty(&mut self, tag: &str) -> bool {
        match self.after(tag).and_then(|rest| rest.trim_start().strip_prefix("/>")) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn open(&mut self, tag: &str) -> Result<(), Wrong> {
        let rest = self.after(tag).and_then(|rest| rest.strip_prefix('>'));
        self.rest = rest.ok_or_else(|| Wrong(format!("<{tag}> is missing").into()))?;
        Ok(())
    }

    fn close(&mut self, tag: &str) -> Result<(), Wrong> {
        let rest = self.rest.trim_start().strip_prefix("</").and_then(|rest| {
            rest.strip_prefix(tag).and_then(|rest| rest.trim_start().strip_prefix('>'))
        });
        self.rest = rest.ok_or_else(|| Wrong(format!("</{tag}> is missing").into()))?;
        Ok(())
    }

    fn text(&mut self) -> Result<String, Wrong> {
        let end = self.rest.find('<').ok_or_else(|| Wrong("the text has no end".into()))?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        unescape(text)
    }
}

fn unescape(text: &str) -> Result<String, Wrong> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (name, after) =
            after.split_once(';').ok_or_else(|| Wrong("an entity has no end".into()))?;
        let number =
            |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let c = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match name.strip_prefix('#') {
                Some(digits) => match digits.strip_prefix('x') {
                    Some(digits) => number(digits, 16),
                    None => number(digits, 10),
                },
                None => None,
            },
        };
        out.push(c.ok_or_else(|| Wrong("there is an unknown entity".into()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

impl<'de> IntoDeserializer<'de, Wrong> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident $ty:ty),* $(,)?) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match &self {
                Self::Text(text) => match text.trim().parse::<$ty>() {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => self.deserialize_any(visitor),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )* };
}

impl<'de> Deserializer<'de> for Value {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Struct(members) => visitor.visit_map(MapDeserializer::new(members.into_iter())),
            Self::Text(text) => visitor.visit_string(text),
        }
    }

    scalars! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_u128 visit_u128 u128,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self {
            Self::Text(text) => match text.trim() {
                "1" | "true" => visitor.visit_bool(true),
                "0" | "false" => visitor.visit_bool(false),
                _ => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self {
            Self::Text(text) if text.is_empty() => visitor.visit_unit(),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            Self::Text(text) => {
                StringDeserializer::new(text).deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ref, Vm};
    use std::collections::BTreeMap;

    #[test]
    fn void_refs_sets_and_maps_are_typed() {
        decode_task_result::<()>("<value></value>").unwrap();
        decode_task_result::<()>("<value/>").unwrap();
        decode_task_result::<()>("").unwrap();
        assert_eq!(
            decode_task_result::<Ref<Vm>>("<value>OpaqueRef:x</value>").unwrap(),
            Ref::new("OpaqueRef:x")
        );
        let set = "<value><array><data><value>a</value><value><string>&lt;b&#233;&gt;</string>\
                   </value></data></array></value>";
        assert_eq!(decode_task_result::<Vec<String>>(set).unwrap(), ["a", "<bé>"]);
        let map = "<value><struct><member><name>k</name><value>5</value></member><member>\
                   <name>l</name><value><int>-6</int></value></member></struct></value>";
        assert_eq!(
            decode_task_result::<BTreeMap<String, i64>>(map).unwrap(),
            BTreeMap::from([("k".to_owned(), 5), ("l".to_owned(), -6)])
        );
        assert!(decode_task_result::<bool>("<value><boolean>1</boolean></value>").unwrap());
        assert_eq!(decode_task_result::<f64>("<value><double>0.5</double></value>").unwrap(), 0.5);
        assert_eq!(decode_task_result::<String>("<value> a </value>").unwrap(), " a ");
        let none: Vec<String> =
            decode_task_result("<value><array><data/></array></value>").unwrap();
        assert!(none.is_empty());
        let none: BTreeMap<String, String> =
            decode_task_result("<value><struct/></value>").unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn what_is_no_value_is_a_protocol_error() {
        let deep = "<value><array><data>".repeat(10_000);
        for text in [
            "OpaqueRef:x",
            "<value>",
            "<value>x",
            "<value>x</value>y",
            "<value>&unknown;</value>",
            "<value>&#xD800;</value>",
            "<value>&lt</value>",
            "<value><frob>x</frob></value>",
            "<value><array><value>x</value></array></value>",
            "<value><struct><member><value>x</value></member></struct></value>",
            "<value><array><data></data></array></value>",
            &deep,
        ] {
            let error = decode_task_result::<String>(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{text:.80}");
        }
    }
}
