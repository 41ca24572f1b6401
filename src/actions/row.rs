//! What is known of one kind of action: a row, of which no column has a default.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Action, Condition, LossKind, Side};
use crate::model::{Object, Record, Ref};

/// All that this crate knows of an action. Each action states every column.
pub(super) struct Row {
    /// Whose server is called, or whose database is looked at.
    pub side: Side,
    /// XAPI's name of the method; a wait has none.
    pub method: Option<&'static str>,
    /// The arguments after the session.
    pub arguments: Vec<Argument>,
    /// The object that is acted on.
    pub object: Object,
    /// What must hold before, beside that the object is there.
    pub before: Vec<Condition>,
    /// What holds afterwards.
    pub after: Condition,
    /// What is gone for good afterwards: in this way, the object that is acted on.
    pub destroys: Option<LossKind>,
    /// What takes it back.
    pub undo: Option<Action>,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Argument {
    /// A truth value.
    Bool(bool),
    /// A map.
    Map(BTreeMap<String, String>),
    /// What another call returns, which is made just before.
    ResultOf {
        /// Whose server is called.
        side: Side,
        /// XAPI's name of the method.
        method: &'static str,
        /// Its arguments after the session.
        arguments: Vec<Argument>,
    },
    /// A set.
    Set(Vec<String>),
    /// A text, a ref or the name of an enum's value.
    Text(String),
}

/// A map without entries: no options.
pub(super) fn nothing() -> Argument {
    Argument::Map(BTreeMap::new())
}

pub(super) fn text(text: &str) -> Argument {
    Argument::Text(text.to_owned())
}

pub(super) fn reference<T: Record>(reference: &Ref<T>) -> Argument {
    Argument::Text(reference.to_string())
}

pub(super) fn set<T: Record>(refs: &[Ref<T>]) -> Argument {
    Argument::Set(refs.iter().map(ToString::to_string).collect())
}

pub(super) fn map<K: Record, V: Record>(map: &BTreeMap<Ref<K>, Ref<V>>) -> Argument {
    Argument::Map(map.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}
