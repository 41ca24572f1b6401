//! The canonical form of data, which digests are of.
//!
//! It is the data's JSON in another notation, of which there is only one for each value:
//!
//! ```text
//! null, true, false     by these names
//! an integer            i and its decimal digits: i-5
//! another number        f and the 16 hexadecimal digits of its IEEE 754 form, of 64 bits
//! a string              its length in bytes, a colon and its bytes: 4:name
//! a list                [ and how many items it has, then the items: [2
//! an object             { and how many entries it has, then each name and its value: {2
//! ```
//!
//! A line feed ends each of these. Entries are in the order of the bytes of their names. Since
//! lengths and counts come first, no text can pass for the end of one thing and the beginning of
//! another, whatever it has in it.

use std::fmt;

use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

/// A value in canonical form.
///
/// # Errors
/// What a `Serialize` that is written by hand refuses; derived ones refuse nothing.
pub(super) fn canonical(value: &(impl Serialize + ?Sized)) -> Result<String, Refused> {
    value.serialize(Canonical)
}

/// A value that does not want to be serialised.
#[derive(Debug)]
pub(super) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Makes one value's text.
struct Canonical;

/// The items of a list.
#[derive(Default)]
struct Items {
    /// The name of the variant that the list belongs to.
    variant: Option<&'static str>,
    count: usize,
    text: String,
}

/// The entries of an object: the name, which orders them, with the text of name and value.
#[derive(Default)]
struct Entries {
    /// The name of the variant that the object belongs to.
    variant: Option<&'static str>,
    entries: Vec<(String, String)>,
    name: String,
}

impl Items {
    fn add(&mut self, item: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        self.count += 1;
        self.text.push_str(&canonical(item)?);
        Ok(())
    }

    fn finish(self) -> String {
        named(self.variant, format!("[{}\n{}", self.count, self.text))
    }
}

impl Entries {
    fn add(&mut self, name: String, value: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        self.entries.push((name, canonical(value)?));
        Ok(())
    }

    fn finish(mut self) -> String {
        // By names alone: their lengths, which stand before them, do not order them.
        self.entries.sort();
        let mut text = format!("{{{}\n", self.entries.len());
        for (name, value) in &self.entries {
            text.push_str(&string(name));
            text.push_str(value);
        }
        named(self.variant, text)
    }
}

/// A variant with contents is an object of one entry, as in JSON.
fn named(variant: Option<&str>, contents: String) -> String {
    match variant {
        Some(variant) => format!("{{1\n{}{contents}", string(variant)),
        None => contents,
    }
}

fn string(text: &str) -> String {
    format!("{}:{text}\n", text.len())
}

macro_rules! integers {
    ($($name:ident $type:ty),*) => {
        $(fn $name(self, value: $type) -> Result<String, Refused> { Ok(format!("i{value}\n")) })*
    };
}

impl ser::Serializer for Canonical {
    type Ok = String;
    type Error = Refused;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    integers!(serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64);
    integers!(serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64);
    integers!(serialize_i128 i128, serialize_u128 u128);

    fn serialize_bool(self, value: bool) -> Result<String, Refused> {
        Ok(format!("{value}\n"))
    }

    fn serialize_f32(self, value: f32) -> Result<String, Refused> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<String, Refused> {
        Ok(format!("f{:016x}\n", value.to_bits()))
    }

    fn serialize_char(self, value: char) -> Result<String, Refused> {
        Ok(string(value.encode_utf8(&mut [0; 4])))
    }

    fn serialize_str(self, value: &str) -> Result<String, Refused> {
        Ok(string(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<String, Refused> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<String, Refused> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, Refused> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<String, Refused> {
        Ok(String::from("null\n"))
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<String, Refused> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<String, Refused> {
        Ok(string(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<String, Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<String, Refused> {
        Ok(named(Some(variant), canonical(value)?))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Items, Refused> {
        Ok(Items::default())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Items, Refused> {
        Ok(Items::default())
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Items, Refused> {
        Ok(Items::default())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items, Refused> {
        Ok(Items { variant: Some(variant), ..Items::default() })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Entries, Refused> {
        Ok(Entries::default())
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Entries, Refused> {
        Ok(Entries::default())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Entries, Refused> {
        Ok(Entries { variant: Some(variant), ..Entries::default() })
    }
}

/// Lists, whatever they are called.
macro_rules! items {
    ($($trait:ident $add:ident),*) => {
        $(impl $trait for Items {
            type Ok = String;
            type Error = Refused;

            fn $add<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Refused> {
                self.add(item)
            }

            fn end(self) -> Result<String, Refused> {
                Ok(self.finish())
            }
        })*
    };
}

items!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

/// Objects with fields.
macro_rules! fields {
    ($($trait:ident),*) => {
        $(impl $trait for Entries {
            type Ok = String;
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.add(name.to_owned(), value)
            }

            fn end(self) -> Result<String, Refused> {
                Ok(self.finish())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Entries {
    type Ok = String;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        let text = canonical(key)?;
        let name = match text.split_at_checked(1) {
            Some(("i", digits)) => Some(digits),
            _ => text.split_once(':').map(|(_, name)| name),
        };
        let name = name.and_then(|name| name.strip_suffix('\n'));
        self.name =
            name.ok_or_else(|| ser::Error::custom("a name is a string or an integer"))?.to_owned();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let name = std::mem::take(&mut self.name);
        self.add(name, value)
    }

    fn end(self) -> Result<String, Refused> {
        Ok(self.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn text(value: &(impl Serialize + ?Sized)) -> String {
        canonical(value).unwrap()
    }

    #[derive(Serialize)]
    struct Record {
        b: Option<u8>,
        a: Vec<Kind>,
    }

    #[derive(Serialize)]
    enum Kind {
        Unit,
        Newtype(&'static str),
        Tuple(i8, bool),
        Struct { x: char },
    }

    #[test]
    fn every_kind_of_value_has_its_form() {
        let kinds =
            [Kind::Unit, Kind::Newtype("é"), Kind::Tuple(-1, true), Kind::Struct { x: '\n' }];
        let record = Record { b: None, a: kinds.into() };
        let expected = "{2\n1:a\n[4\n4:Unit\n{1\n7:Newtype\n2:é\n{1\n5:Tuple\n[2\ni-1\ntrue\n\
                        {1\n6:Struct\n{1\n1:x\n1:\n\n1:b\nnull\n";
        assert_eq!(text(&record), expected);
        assert_eq!(text(&1.5_f32), "f3ff8000000000000\n");
        assert_eq!(
            text(&HashMap::from([(10, "ten"), (9, "nine")])),
            "{2\n2:10\n3:ten\n1:9\n4:nine\n"
        );
    }

    #[test]
    fn names_that_are_no_names_are_refused() {
        let refused = canonical(&BTreeMap::from([(vec![1], 2)])).unwrap_err();
        assert_eq!(refused.to_string(), "a name is a string or an integer");
    }

    /// Small, so that what differs differs little; with the characters that the form is made of.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2..12_i64).prop_map(Value::from),
            "[a{1:\\n]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a1:\\n]{0,2}", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Reads one value, as the documentation describes it; what is left of the text.
    fn read(text: &str) -> (Value, &str) {
        let (line, rest) = text.split_once('\n').unwrap();
        let string = |text: &str| {
            let (len, rest) = text.split_once(':').unwrap();
            let (string, rest) = rest.split_at(len.parse().unwrap());
            (string.to_owned(), rest[1..].len())
        };
        match line.split_at_checked(1) {
            _ if line == "null" => (Value::Null, rest),
            _ if line == "true" || line == "false" => (json!(line == "true"), rest),
            Some(("i", digits)) => (json!(digits.parse::<i64>().unwrap()), rest),
            Some(("[", count)) => {
                let (mut items, mut rest) = (Vec::new(), rest);
                for _ in 0..count.parse().unwrap() {
                    let (item, left) = read(rest);
                    items.push(item);
                    rest = left;
                }
                (items.into(), rest)
            }
            Some(("{", count)) => {
                let (mut entries, mut rest) = (serde_json::Map::new(), rest);
                for _ in 0..count.parse().unwrap() {
                    let (name, left) = string(rest);
                    let (value, left) = read(&rest[rest.len() - left..]);
                    entries.insert(name, value);
                    rest = left;
                }
                (entries.into(), rest)
            }
            _ => {
                let (string, left) = string(text);
                (string.into(), &text[text.len() - left..])
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_is_read_back_from_its_form(value in value()) {
            // So no two values share one.
            let text = text(&value);
            prop_assert_eq!(read(&text), (value, ""));
        }
    }
}
