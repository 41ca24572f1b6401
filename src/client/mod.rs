//! A client of one pool: sessions, the way to the master, snapshots, tasks.
//!
//! ```no_run
//! # fn example(transport: impl xcp_pool::transport::Transport + 'static) -> xcp_pool::Result<()> {
//! use xcp_pool::client::{Client, Credentials, Scope};
//!
//! let pool = Client::connect(transport, "phantom.lan", &Credentials::new("root", "secret"))?;
//! let snapshot = pool.snapshot(Scope::Overview)?;
//! let (_, master) = snapshot.master()?;
//! println!("{} of {} hosts is master", master.name_label, snapshot.host.len());
//! # Ok(()) }
//! ```
//!
//! # What is done again by itself
//! Reads, when the connection breaks, the session is gone or another host is the master now; and of
//! the writes only those that the server refuses before it does anything (see [`Client::call`]). A
//! write whose reply was lost may have been done: its outcome is read from the pool's state, never
//! from a second try.
//!
//! # When the master is gone
//! The pool's hosts are remembered from every snapshot that has them. When the master does not
//! answer a read, they are all asked at the same time, and the one that is master of *this* pool,
//! by its uuid, is followed; two masters are an error. A host that was ejected, or never belonged
//! to the pool, is not followed, and its session is closed at once.
//!
//! # Sessions are closed, but for one case
//! Dropping a client closes its session, and those that were replaced on the way; until then they
//! stay open, since tasks and other threads may still be using them.
//!
//! A login that the server carries out, but whose reply does not arrive (the connection broke, the
//! time was over, the caller cancelled, the search found the master elsewhere meanwhile), leaves a
//! session behind that nobody knows. It cannot be found again: the class `session` has neither
//! `get_all` nor `get_all_records` and sends no events, and a session is addressed by its ref or
//! uuid, which only the lost reply had. `session.logout_subject_identifier` would not do: it ends
//! *all* other sessions of a user from a directory, those of other programs included, and a local
//! user such as root is no such subject. The server itself drops a session after 24 hours without a
//! call, and the oldest of an originator beyond 500 (xen-api `Xapi_globs`, `Db_gc_util`). That is
//! why the originator does not differ from login to login: a program that fails again and again is
//! then bounded by its own 500, and costs no other program its sessions.

mod beside;
mod bounds;
mod builder;
mod call;
mod credentials;
mod exchange;
mod gate;
mod handle;
mod local;
mod login;
mod mark;
mod one_host;
mod options;
mod policy;
mod renew;
mod scope;
mod search;
mod session;
mod shared;
mod snapshot;
mod task;
mod time;
mod traffic;
mod watch;

pub(crate) use beside::PROBE;
pub use builder::ClientBuilder;
pub use credentials::Credentials;
pub use handle::Client;
pub use local::LocalSession;
pub use login::LoginFailure;
pub(crate) use one_host::Asked;
pub use one_host::{OneHost, Role};
pub use scope::Scope;
pub use task::{TaskEnd, TaskHandle};
pub use time::ClockReading;
pub use watch::Watch;
