//! How a pool is: what follows from what its hosts say and its records show.
//!
//! Nothing here asks anybody: [`operations::diagnose`](crate::operations::diagnose) does, and hands
//! what it heard to [`diagnosis`], which finds the pool's state and says what to do.

pub mod diagnosis;
