//! The types of the datamodel.

use std::fmt;

/// A type of the datamodel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Type {
    /// True or false.
    Bool,
    /// A point in time.
    Date,
    /// An enum, by name.
    Enum(&'static str),
    /// A floating-point number.
    Float,
    /// A signed integer of 64 bits.
    Int,
    /// A map.
    Map(Box<Type>, Box<Type>),
    /// A value that may be missing from a record.
    Optional(Box<Type>),
    /// A record of a class, by name.
    Record(&'static str),
    /// A ref to an object of a class, by name.
    Ref(&'static str),
    /// A set.
    Set(Box<Type>),
    /// A string.
    Text,
}

impl Type {
    /// Reads a type and answers what follows it.
    pub(super) fn parse(text: &'static str) -> Option<(Self, &'static str)> {
        let (first, rest) = text.split_at_checked(1)?;
        let named =
            |rest: &'static str| rest.split_at(rest.find([',', '}', ']']).unwrap_or(rest.len()));
        Some(match first {
            "s" => (Self::Text, rest),
            "i" => (Self::Int, rest),
            "f" => (Self::Float, rest),
            "b" => (Self::Bool, rest),
            "d" => (Self::Date, rest),
            "@" => (Self::Ref(named(rest).0), named(rest).1),
            "=" => (Self::Enum(named(rest).0), named(rest).1),
            "$" => (Self::Record(named(rest).0), named(rest).1),
            "?" => {
                let (inner, rest) = Self::parse(rest)?;
                (Self::Optional(Box::new(inner)), rest)
            }
            "[" => {
                let (element, rest) = Self::parse(rest)?;
                (Self::Set(Box::new(element)), rest.strip_prefix(']')?)
            }
            "{" => {
                let (key, rest) = Self::parse(rest)?;
                let (value, rest) = Self::parse(rest.strip_prefix(',')?)?;
                (Self::Map(Box::new(key), Box::new(value)), rest.strip_prefix('}')?)
            }
            _ => return None,
        })
    }
}

/// As the published datamodel writes types: `(string -> VM ref set) map`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Date => f.write_str("datetime"),
            Self::Enum(name) => write!(f, "enum {name}"),
            Self::Float => f.write_str("float"),
            Self::Int => f.write_str("int"),
            Self::Map(key, value) => write!(f, "({key} -> {value}) map"),
            Self::Optional(inner) => write!(f, "{inner} option"),
            Self::Record(name) => write!(f, "{name} record"),
            Self::Ref(name) => write!(f, "{name} ref"),
            Self::Set(element) => write!(f, "{element} set"),
            Self::Text => f.write_str("string"),
        }
    }
}
