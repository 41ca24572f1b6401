//! Bytes to typed values and back: requests, replies, faults, events, saved snapshots. Pure.

mod call;
mod cursor;
mod events;
#[cfg(test)]
mod laws;
mod params;
mod reply;
mod secret;
mod snapshot;
mod stream;
mod xml;

pub(crate) use call::HIDDEN;
pub use call::{Call, MAX_REQUEST, ParamWriter};
pub use events::{Batch, Change, Operation};
pub use params::{Param, Params};
pub use reply::decode;
#[cfg(feature = "http")]
pub(crate) use reply::words_of_page;
pub use secret::Secret;
pub use stream::{Reply, Source};
pub use xml::decode_task_result;
