//! One pool's XAPI database: complete rows of every class, with the server's bookkeeping.
//!
//! [`Database`] holds rows of [`Value`]s and reads them as [`Row`]s. Which classes, fields and
//! methods a release has is read from the published datamodel.

mod change;
mod reference;
mod row;
mod saved;
mod schema;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub use row::Row;
pub use store::Database;
pub(super) use value::NULL_REF;
pub use value::Value;

pub(super) use change::{Change, Operation};
pub(super) use reference::Ref;
pub(super) use schema::{Class, EPOCH, Field, Message, Qualifier, Schema, accessed_field};
pub(super) use types::Type;
pub(super) use value::write_json_text;
