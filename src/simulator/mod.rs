//! A pool of XAPI hosts in memory.

mod database;
mod release;
mod schema;
mod value;

pub use database::{Change, Database, Object, Operation, Ref};
pub use release::Release;
pub use schema::{Class, EPOCH, Field, Message, Param, Qualifier, Schema, Type};
pub use value::{NULL_REF, Value};
