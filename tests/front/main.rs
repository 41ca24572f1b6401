//! The simulator's front: hosts over real sockets.
#![cfg(feature = "simulator")]

#[cfg(feature = "http")]
mod client;
mod connection;
mod exchanges;
mod manners;
#[path = "../support/mod.rs"]
mod support;
