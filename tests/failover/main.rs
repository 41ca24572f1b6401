//! Where VMs start when hosts fail, and whether all of them can.

mod evacuation;
mod laws;
mod recorded;
mod what_if;
