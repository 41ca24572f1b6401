//! How records are declared, decoded and completed.

use std::collections::BTreeMap;
use std::fmt;

use super::{Ref, Snapshot, Table, Timestamp, Uuid};

/// A record of a XAPI class.
pub trait Record: Clone + Default + fmt::Debug + PartialEq + Sized + 'static {
    /// XAPI's name of the class, such as `host` or `PIF`.
    const CLASS: &'static str;

    /// XAPI's names of the fields that this crate knows, in the order of [`Absent`].
    const FIELDS: &'static [&'static str];

    /// The object's unique identifier.
    fn uuid(&self) -> &Uuid;

    /// Sets the object's unique identifier.
    fn set_uuid(&mut self, uuid: Uuid);

    /// Which known fields the source did not have.
    fn absent(&self) -> Absent;

    /// Gives each absent field its default, but for those that are to stay absent.
    fn complete_but(&mut self, lacking: Absent);

    /// Gives each absent field the datamodel's default, or the empty value of its type.
    fn complete(&mut self) {
        self.complete_but(Absent::default());
    }

    /// The table of this class in a snapshot.
    fn table(snapshot: &Snapshot) -> &Table<Self>;

    /// The table of this class in a snapshot, to change.
    fn table_mut(snapshot: &mut Snapshot) -> &mut Table<Self>;

    /// Whether the source had this field; true for fields that this crate does not know.
    fn has(&self, field: &str) -> bool {
        match Self::FIELDS.iter().position(|known| *known == field) {
            Some(n) => !self.absent().contains(n),
            None => true,
        }
    }
}

/// The fields that the source of a record did not have.
///
/// A field goes by its place in [`Record::FIELDS`].
///
/// Empty for what a server sends, but for fields that its release lacks (those are `None`).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Absent(u128);

impl Absent {
    /// All of the first `n` fields.
    pub(crate) const fn all(n: usize) -> Self {
        Self(if n >= 128 { u128::MAX } else { (1 << n) - 1 })
    }

    /// Whether the n-th field is absent.
    pub const fn contains(self, n: usize) -> bool {
        n < 128 && self.0 & (1 << n) != 0
    }

    /// Whether no field is absent.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The fields as bits, the first lowest, to ask for several at once.
    pub(crate) const fn bits(self) -> u128 {
        self.0
    }

    /// The fields that both have.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn insert(&mut self, n: usize) {
        if n < 128 {
            self.0 |= 1 << n;
        }
    }

    pub(crate) fn remove(&mut self, n: usize) {
        self.0 &= !(1 << n);
    }
}

impl fmt::Debug for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..128).filter(|n| self.contains(*n))).finish()
    }
}

/// The value that a hand-written record means by leaving a field out.
pub(crate) trait Completed {
    fn completed() -> Self;
}

macro_rules! completed_by_default {
    ($($ty:ty),*) => { $(impl Completed for $ty {
        fn completed() -> Self { Self::default() }
    })* };
}
pub(crate) use completed_by_default;

completed_by_default!(bool, i64, f64, String, Uuid, Timestamp);

impl<T> Completed for Ref<T> {
    fn completed() -> Self {
        Self::null()
    }
}

impl<T> Completed for Vec<T> {
    fn completed() -> Self {
        Self::new()
    }
}

impl<K, V> Completed for BTreeMap<K, V> {
    fn completed() -> Self {
        Self::new()
    }
}

impl<T: Completed> Completed for Option<T> {
    fn completed() -> Self {
        Some(T::completed())
    }
}

/// How a field is written: a release's missing field is left out.
pub(crate) trait Written {
    fn is_written(&self) -> bool {
        true
    }
}

/// Declares a record: `Struct, "class", table { field: Type = default, … }`.
///
/// A default after `=` is the datamodel's, where it differs from the empty value of the type.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $name:ident, $class:literal, $table:ident {
            $(
                $(#[$fmeta:meta])*
                $field:ident $(as $wire:literal)? : $ty:ty $(= $default:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Default)]
        #[allow(non_snake_case, reason = "the names are XAPI's")]
        #[non_exhaustive]
        pub struct $name {
            $(
                #[doc = concat!(
                    "XAPI's `", $class, ".",
                    $crate::model::record::wire_name!($field $(as $wire)?), "`."
                )]
                #[doc = ""]
                $(#[$fmeta])*
                pub $field: $ty,
            )*
            /// Which of the fields above the source did not have.
            pub absent: $crate::model::Absent,
        }

        impl $crate::model::Record for $name {
            const CLASS: &'static str = $class;
            const FIELDS: &'static [&'static str] =
                &[$($crate::model::record::wire_name!($field $(as $wire)?)),*];

            fn uuid(&self) -> &$crate::model::Uuid {
                &self.uuid
            }

            fn set_uuid(&mut self, uuid: $crate::model::Uuid) {
                self.uuid = uuid;
                if let Some(n) = Self::FIELDS.iter().position(|field| *field == "uuid") {
                    self.absent.remove(n);
                }
            }

            fn absent(&self) -> $crate::model::Absent {
                self.absent
            }

            fn complete_but(&mut self, lacking: $crate::model::Absent) {
                #[allow(
                    non_camel_case_types,
                    clippy::upper_case_acronyms,
                    reason = "the names are XAPI's"
                )]
                enum Field { $($field),* }
                $(
                    if self.absent.contains(Field::$field as usize)
                        && !lacking.contains(Field::$field as usize)
                    {
                        self.$field = $crate::model::record::default_of!($ty $(, $default)?);
                    }
                )*
                self.absent = self.absent.and(lacking);
            }

            fn table(snapshot: &$crate::model::Snapshot) -> &$crate::model::Table<Self> {
                &snapshot.$table
            }

            fn table_mut(
                snapshot: &mut $crate::model::Snapshot,
            ) -> &mut $crate::model::Table<Self> {
                &mut snapshot.$table
            }
        }

        #[cfg(any(test, feature = "proptest"))]
        impl $crate::model::arbitrary::Drawn for $name {
            fn drawn(source: &mut $crate::model::arbitrary::Source<'_>) -> Self {
                #[allow(
                    non_camel_case_types,
                    clippy::upper_case_acronyms,
                    reason = "the names are XAPI's"
                )]
                enum Field { $($field),* }
                let absent = source.absent(<Self as $crate::model::Record>::FIELDS.len());
                Self {
                    $($field: match absent.contains(Field::$field as usize) {
                        true => Default::default(),
                        false => $crate::model::arbitrary::Drawn::drawn(source),
                    },)*
                    absent,
                }
            }
        }

        #[cfg(any(test, feature = "proptest"))]
        impl $name {
            /// Takes away fields, given as bits, as if the source had not had them.
            pub(crate) fn lose(&mut self, fields: u128) {
                #[allow(
                    non_camel_case_types,
                    clippy::upper_case_acronyms,
                    reason = "the names are XAPI's"
                )]
                enum Field { $($field),* }
                $(
                    if fields & (1 << Field::$field as usize) != 0 {
                        self.$field = Default::default();
                        self.absent.insert(Field::$field as usize);
                    }
                )*
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(
                    non_camel_case_types,
                    clippy::upper_case_acronyms,
                    reason = "the names are XAPI's"
                )]
                #[derive(Clone, Copy)]
                enum Field { $($field,)* Unknown__ }

                impl<'de> serde::Deserialize<'de> for Field {
                    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                        use $crate::model::{ident::FromText, record::wire_name};
                        let field = |name: &str| match name {
                            $(wire_name!($field $(as $wire)?) => Field::$field,)*
                            _ => Field::Unknown__,
                        };
                        d.deserialize_identifier(FromText("a field name", field))
                    }
                }

                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a record of class ", $class))
                    }

                    fn visit_map<A>(self, mut map: A) -> Result<$name, A::Error>
                    where
                        A: serde::de::MapAccess<'de>,
                    {
                        let mut record = $name {
                            absent: $crate::model::Absent::all(Field::Unknown__ as usize),
                            ..$name::default()
                        };
                        while let Some(field) = map.next_key::<Field>()? {
                            let n = field as usize;
                            let known = 128.min(Field::Unknown__ as usize);
                            if n < known && !record.absent.contains(n) {
                                let name = <$name as $crate::model::Record>::FIELDS[n];
                                return Err(serde::de::Error::duplicate_field(name));
                            }
                            match field {
                                $(Field::$field => {
                                    record.$field = map.next_value().map_err(|error| {
                                        $crate::model::record::at_field(
                                            $crate::model::record::wire_name!($field $(as $wire)?),
                                            error,
                                        )
                                    })?;
                                })*
                                Field::Unknown__ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                    continue;
                                }
                            }
                            record.absent.remove(n);
                        }
                        Ok(record)
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                #[allow(
                    non_camel_case_types,
                    clippy::upper_case_acronyms,
                    reason = "the names are XAPI's"
                )]
                enum Field { $($field),* }
                let mut map = serializer.serialize_map(None)?;
                $(
                    if !self.absent.contains(Field::$field as usize)
                        && $crate::model::record::Written::is_written(&self.$field)
                    {
                        map.serialize_entry(
                            $crate::model::record::wire_name!($field $(as $wire)?),
                            &self.$field,
                        )?;
                    }
                )*
                map.end()
            }
        }
    };
}
pub(crate) use record;

macro_rules! wire_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident as $wire:literal) => {
        $wire
    };
}
pub(crate) use wire_name;

macro_rules! default_of {
    ($ty:ty) => {
        <$ty as $crate::model::record::Completed>::completed()
    };
    ($ty:ty, $default:expr) => {
        $default.into()
    };
}
pub(crate) use default_of;

/// An error with the field that it happened in, before the parser's own words.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(crate) fn at_field<E: serde::de::Error>(field: &str, error: E) -> E {
    E::custom(format_args!("{field}: {error}"))
}

macro_rules! always_written {
    ($($ty:ty),*) => { $(impl Written for $ty {})* };
}
pub(crate) use always_written;

always_written!(bool, i64, f64, String, Uuid, Timestamp);

impl<T> Written for Ref<T> {}
impl<T> Written for Vec<T> {}
impl<K, V> Written for BTreeMap<K, V> {}

impl<T> Written for Option<T> {
    fn is_written(&self) -> bool {
        self.is_some()
    }
}
