//! Recorded records of real servers are understood.

mod model;
