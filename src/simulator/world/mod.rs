//! A world: hosts, the network between them, and a time of its own.

mod builder;
mod exchange;
mod handle;
mod records;
mod scene;
mod spec;
mod story;
mod transport;
mod vm_spec;

pub use builder::WorldBuilder;
pub use handle::World;
pub use scene::Scene;
pub use spec::PoolSpec;
pub use transport::WorldTransport;
pub use vm_spec::VmSpec;

pub(super) use exchange::{OnTheWay, attend};
