//! Calls: the checks before them, who answers them, and what they do, by class.
//!
//! `table` has a line for each method that has a function of its own: its name, when a host serves
//! it, what it does, and the function. All other methods are those that every class has
//! (`generic`). `dispatch` looks at a request, finds the function and runs it. A call that takes
//! time answers a [`Job`](super::state::Job), which the world runs step by step; between steps time
//! passes and anything may happen to the host.

pub(super) mod capacity;
pub(super) mod clone;
mod dispatch;
mod event;
mod filter;
mod generic;
mod ha;
mod host;
mod message;
mod migrate;
pub(super) mod network;
pub(super) mod operations;
pub(super) mod pool;
pub(super) mod session;
mod settings;
pub(super) mod storage;
mod table;
pub(super) mod task;
pub(super) mod vm;

pub(super) use dispatch::{Begun, begin};
pub(super) use table::methods;
