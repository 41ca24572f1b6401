//! What the old `event.next` remembers between two calls.

/// What a session that uses `event.next` has subscribed to, and how far it has read.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct Legacy {
    pub wanted: Vec<Subscription>,
    pub generation: u64,
    pub next_id: u64,
}

/// One item of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Subscription {
    All,
    /// A class, in lower case.
    Class(String),
    /// One object of a class.
    Object(String, String),
}
