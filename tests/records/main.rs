//! Recorded replies and records of real servers are understood.

mod model;
mod wire;
