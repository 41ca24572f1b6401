//! A pool of XAPI hosts in memory, itself a transport.
//!
//! A [`World`] has hosts with complete XAPI databases, a network between them, and a time of its
//! own. It answers XAPI calls over its [transport](World::transport) as the real server was
//! recorded to answer, and lets [trouble](Rule) befall any request.
//!
//! # Where things are
//! * [`Database`]: rows of all classes, with the fields of the [`Release`] that is played;
//! * `calls`: the checks before a call, and the calls, by class;
//! * `life`: power, the start of a master or member, heartbeats, collection of leftovers;
//! * `world`: hosts, time, the way of a request, [pools by what is special about them](PoolSpec).

mod arguments;
mod calls;
mod database;
mod envelope;
mod housekeeping;
mod join;
mod life;
mod lifecycle;
mod release;
mod schema;
mod value;
mod world;
mod xml;

pub use database::{Change, Database, Object, Operation, Ref};
pub use envelope::HttpReply;
pub use release::Release;
pub use schema::{Class, EPOCH, Field, Message, Param, Qualifier, Schema, Type};
pub use value::{NULL_REF, Value};
pub use world::{
    Peer, PoolSpec, Role, Rule, Scene, Timings, Trouble, VmSpec, World, WorldBuilder,
    WorldTransport,
};
