//! Bytes to typed values and back: requests, replies, faults, events, saved snapshots. Pure.

pub(crate) mod body;
mod call;
mod cursor;
mod events;
#[cfg(test)]
mod laws;
mod params;
#[cfg(test)]
mod recorded;
mod reply;
mod secret;
mod snapshot;
mod stream;
pub(crate) mod unique;
mod writer;
mod xml;

#[cfg(feature = "http")]
pub(crate) use call::MAX_REQUEST;
pub(crate) use call::{Call, HIDDEN};
pub(crate) use events::Batch;
pub use events::{Event, Operation};
pub use params::{Param, Params};
#[cfg(test)]
pub(crate) use reply::decode;
#[cfg(feature = "http")]
pub(crate) use reply::words_of_page;
pub use secret::Secret;
pub(crate) use stream::Reply;
pub use writer::ParamWriter;
pub(crate) use xml::decode_task_result;
