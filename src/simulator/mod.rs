//! A pool of XAPI hosts in memory, itself a transport.
//!
//! A [`World`] has hosts with complete XAPI databases, a network between them, and a time of its
//! own. It answers XAPI calls over its [transport](World::transport) as the real server was
//! recorded to answer, and lets [trouble](Injection) befall any request.
//!
//! ```
//! use xcp_pool::simulator::World;
//! use xcp_pool::transport::{Cancel, Endpoint, Limits, Request, Transport};
//!
//! let world = World::story(1);
//! let (ignite, cancel) = (Endpoint::https("ignite"), Cancel::new());
//! let body = br#"{"jsonrpc": "2.0", "method": "session.login_with_password",
//!                 "params": ["root", "wrong"], "id": 1}"#;
//! let reply = world
//!     .transport()
//!     .exchange(&Request::new(&ignite, body, Limits::default(), &cancel))?
//!     .into_bytes()
//!     .map_err(|error| xcp_pool::Error::new(xcp_pool::ErrorKind::Transport, error.to_string()))?;
//! assert!(String::from_utf8_lossy(&reply).contains("SESSION_AUTHENTICATION_FAILED"));
//! // It took the two seconds that the real server was recorded to take, of the world's time.
//! assert_eq!(world.now().as_secs(), 2);
//! # Ok::<(), xcp_pool::Error>(())
//! ```
//!
//! # What it is held against
//! Recordings of the real server (xapi 26.17), in tests: every record of two databases and of the
//! databases before and after twenty joins, field by field; 154 calls and errors and 76 events and
//! tasks, envelopes and times included; twenty joins by what they make of the master's database,
//! what they ignore, how long they take and how the joiner is seen meanwhile; hundreds of refused
//! joins by their error; two lives of a pool, step by step.
//!
//! # What it does not reproduce
//! * *Calls.* Those that the datamodel knows and [`World::methods`] does not list raise
//!   `NOT_IMPLEMENTED [method]`: backups and exports, snapshots, updates, RRDs, GPUs, PVS, workload
//!   balancing, clustering beyond `Cluster_host.enable` and `disable`.
//! * *Hypervisor.* VMs have no insides: guest tools work from the start to the end of a VM's life,
//!   nothing crashes, memory is what the records say. A VM whose `domain_type` is `unspecified`
//!   starts nowhere, as recorded.
//! * *HA* leaves out what the module `ha` says: xapi's health, weights, other cluster stacks.
//! * *Roles.* Everybody is a local superuser; `role` has no rows, `RBAC_PERMISSION_DENIED` never
//!   comes. There are users of the host only, no external directory.
//! * *Joins.* The VMs arrive at one moment, where the real master is seen to make them one by one.
//!   GPUs, USB devices and PVS proxies of imported VMs are left out, certificate revocation lists
//!   and the `ldaps` setting are not exchanged, no messages are made. The ids by which dangling
//!   refs (`Ref:12`) are counted begin anew at each join.
//! * *Starts of members.* Tunnels and SR-IOV networks of the pool are not made again on a new
//!   member, nor are its GPUs and USB devices described. A host whose role is `broken` does not
//!   restart itself time and again.
//! * *Lives that differ from the recorded ones* for reasons of that set-up: an ejected host reboots
//!   into a fresh installation instead of going on, a master's start disables all hosts until they
//!   are back, and nobody is enabled but by its own start.
//! * *Messages* have rows like all else: their events carry the database's generation, not one of
//!   their own, and come where the datamodel has the class, not first.
//! * *Words.* The texts of exceptions (`INTERNAL_ERROR`, HTTP 500) are those that were recorded;
//!   where none was, they are made up.
//! * *`allowed_operations`* are the usual ones of a state, not worked out device by device.
//! * *Certificates* and `tls_verification_enabled` are records; only a [`Front`] has TLS.
//!
//! # Where things are
//! From the ground up; nothing names what stands above it.
//! * [`database`]: rows of all classes, with the fields of the [`Release`] that is played;
//! * `state`: hosts, time, what is due; a call, and what comes of it;
//! * `calls`: what each class's methods do; `calls/table.rs` says which function answers which
//!   method;
//! * `ha`: daemons that watch each other, fencing, the master lock, restarts of VMs;
//! * `life`, `housekeeping`: power, the start of a master or member, heartbeats, collection;
//! * `join`, `lifecycle`: what a join makes of two databases; joins, ejects, changes of master;
//! * `world`: the way of a request, troubles, [pools by what is special about them](PoolSpec);
//! * [`Front`]: the hosts served over HTTP and HTTPS, to clients that know nothing of this crate.

mod arguments;
mod calls;
pub mod database;
mod envelope;
mod evidence;
mod front;
mod ha;
mod housekeeping;
mod join;
mod life;
mod lifecycle;
mod release;
mod state;
mod world;
mod xml;

pub use envelope::HttpReply;
pub use front::{Front, FrontBuilder, Served};
pub use ha::{FenceCause, Fenced, HaState};
pub use release::Release;
pub use state::{Injection, Peer, Timings, Trouble};
pub use world::{PoolSpec, Scene, VmSpec, World, WorldBuilder, WorldTransport};
