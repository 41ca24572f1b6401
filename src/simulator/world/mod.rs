//! A world: hosts, the network between them, and a time of its own.

mod builder;
mod exchange;
mod handle;
mod records;
mod scene;
mod spec;
mod story;
mod transport;

pub use builder::WorldBuilder;
pub use handle::World;
pub use scene::Scene;
pub use spec::{PoolSpec, VmSpec};
pub use transport::WorldTransport;

pub(super) use exchange::{OnTheWay, attend};
