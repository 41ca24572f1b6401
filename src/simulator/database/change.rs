//! What events tell of a row.

use super::reference::Ref;

/// What happened to an object after a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Change {
    /// The class's exact name.
    pub class: &'static str,
    /// The object.
    pub object: Ref,
    /// What happened: the newest of it, intermediate states are lost.
    pub operation: Operation,
    /// The generation at which it happened.
    pub generation: u64,
}

/// The three things that can happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Operation {
    /// It was made.
    Add,
    /// It is gone.
    Delete,
    /// A field of it changed.
    Modify,
}
