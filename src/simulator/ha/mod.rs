//! HA: hosts that watch each other, fence themselves, elect a master and restart VMs.
//!
//! `pool.enable_ha` starts a daemon on every host of a pool. From then on things happen by
//! themselves, in virtual time and host by host, as they do with the real one:
//!
//! * *Links.* Heartbeats go over the network between hosts ([`Scene::cut`],
//!   [`Scene::cut_one_way`]); the state file is reached over a link of its own
//!   ([`Scene::cut_state_file`]). A heartbeat that gets through one way only counts for neither
//!   once a fault is being handled.
//! * *Daemons* (`daemon`, `start`, `fault`). Each keeps its own heartbeat and state-file domain by
//!   the timers of [`Timing`], publishes them in its heartbeats and in its part of the state file
//!   (`statefile`), and handles faults with the others phase by phase. What a host then decides is
//!   [`LocalView::decide`] on the news that this host has received; nobody sees the whole.
//! * *Fencing.* Who loses both survival rules, is asked to by a survivor, or hangs on the state
//!   file for too long, is reset: it boots, and its daemon asks to join again.
//! * *Election* (`agent`). xapi of every member looks every 20 s whether the master is alive. If
//!   not it proposes itself by the [`MasterLock`]: the winner restarts as master with the database
//!   of the highest generation, its own copy or the one that the old master kept on the shared
//!   storage (`redo`); the others follow. A master starts only once it has the lock.
//! * *Restarts* (`restart`). The master writes who is alive, gives up the VMs of the dead, waits
//!   after its own start until all living hosts are enabled again, and restarts protected VMs by
//!   the plan of [`failover`](crate::failover), group by group; then those that are worth an
//!   effort.
//!
//! Left out: xapi is not watched by the daemon, weights are all 1, VMs that fail to start are tried
//! once per round and not counted, and a host that cannot reach the state file when HA is disabled
//! learns of it at once.
//!
//! [`LocalView::decide`]: crate::election::partition::LocalView::decide
//! [`MasterLock`]: crate::election::lock::MasterLock
//! [`Scene::cut`]: super::Scene::cut
//! [`Scene::cut_one_way`]: super::Scene::cut_one_way
//! [`Scene::cut_state_file`]: super::Scene::cut_state_file
//! [`Timing`]: crate::election::partition::Timing

mod agent;
mod course;
mod daemon;
mod daemons;
mod fault;
mod host;
mod pools;
mod redo;
mod restart;
mod stages;
mod start;
mod statefile;
mod watch;

pub use daemon::FenceCause;
pub use pools::Fenced;
pub use watch::HaState;

pub(super) use course::{begin, complete, disarm, end, has_formed};
pub(super) use host::{admits, cut, died, is_armed, leave, reset_vms};
pub(super) use pools::Ha;
pub(super) use redo::newer_database;
pub(super) use restart::write_status;
pub(super) use watch::{holds_lock, view};
