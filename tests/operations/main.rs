//! Plans and operations on the simulator: what is done, and what is said of it.
#![cfg(feature = "simulator")]

mod campaign;
mod diagnose;
mod eject;
mod faults;
mod hand_over;
mod join;
mod join_losses;
mod join_many;
mod maintenance;
mod plan_join;
mod plan_operations;
mod readiness;
mod recover;
mod support;
mod under_faults;

use campaign::words;
