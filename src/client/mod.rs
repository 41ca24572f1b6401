//! A client of one pool: sessions, the way to the master, snapshots, tasks.
//!
//! ```no_run
//! # fn example(transport: impl xcp_pool::transport::Transport + 'static) -> xcp_pool::error::Result<()> {
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
//! uuid, which only the lost reply had.
//! `session.logout_subject_identifier` would not do: it ends *all* other sessions of a user from a
//! directory, those of other programs included, and a local user such as root is no such subject.
//! The server itself drops a session after 24 hours without a call, and the oldest of an originator
//! beyond 500 (xen-api `Xapi_globs`, `Db_gc_util`). That is why the originator does not differ from
//! login to login: a program that fails again and again is then bounded by its own 500, and costs no
//! other program its sessions.

mod beside;
mod bounds;
mod builder;
mod call;
mod credentials;
mod gate;
mod local;
mod login;
mod policy;
mod probe;
mod scope;
mod search;
mod session;
mod snapshot;
mod task;
mod traffic;
mod watch;

pub(crate) use beside::PROBE;
pub use builder::ClientBuilder;
pub use credentials::Credentials;
pub use local::LocalSession;
pub use login::LoginFailure;
pub(crate) use probe::{Asked, ask};
pub use probe::{Role, probe};
pub use scope::Scope;
pub use task::{TaskEnd, TaskHandle};
pub use watch::Watch;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use crate::error::Result;
use crate::model::Uuid;
use crate::transport::{Clock, Endpoint, Transport};
use builder::Options;
use gate::Gate;
use session::Session;

/// A session with the master of one pool.
///
/// Shared between threads by reference. The session is renewed when the server has lost it, and
/// logged out when the client is closed or dropped.
///
/// A client belongs to one pool, by its uuid: given to the [builder](ClientBuilder::pool_uuid), or
/// learned with the first read. It never follows a redirect or renews its session into another
/// pool.
pub struct Client {
    transport: Arc<dyn Transport>,
    credentials: Credentials,
    options: Options,
    session: Mutex<Arc<Session>>,
    /// Sessions that were replaced, but that the pool may still have.
    retired: Mutex<VecDeque<Arc<Session>>>,
    /// Lets one thread renew the session.
    gate: Gate,
    /// Where the pool's hosts were when they were last seen.
    members: Mutex<Vec<Endpoint>>,
    /// Whether a write got no answer, so that the next one must ask first who is the master.
    suspect: AtomicBool,
    pool_uuid: Mutex<Option<Uuid>>,
    closed: AtomicBool,
}

impl Client {
    /// Logs in at a host, or at the master that the host names.
    ///
    /// # Errors
    /// `InvalidInput` for an address that is none; else see [`LoginFailure`], which tells why a
    /// login failed.
    pub fn connect(
        transport: impl Transport + 'static,
        address: &str,
        credentials: &Credentials,
    ) -> Result<Self> {
        Self::builder(transport).connect(address, credentials)
    }

    /// A client with options.
    pub fn builder(transport: impl Transport + 'static) -> ClientBuilder {
        ClientBuilder::new(Arc::new(transport))
    }

    /// The master's address, as it is known now.
    pub fn endpoint(&self) -> Endpoint {
        self.session().endpoint.clone()
    }

    /// The uuid of the pool that this client belongs to.
    ///
    /// # Errors
    /// As [`Self::call`], if it must be asked for.
    pub fn pool_uuid(&self) -> Result<Uuid> {
        self.bind(self.usual_bounds())?;
        Ok(lock(&self.pool_uuid).clone().unwrap_or_default())
    }

    /// The clock that waits go by.
    pub fn clock(&self) -> &dyn Clock {
        self.transport.clock()
    }

    /// Who is logged in.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Logs out.
    ///
    /// Dropping the client does the same, and ignores errors.
    ///
    /// # Errors
    /// `Transport`, `Timeout` if the server could not be told within 5 s; its session then ends by
    /// itself after a day without use.
    pub fn close(self) -> Result<()> {
        self.log_out()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Nobody is left to tell; the server forgets the session by itself in the end.
        let _ = self.log_out();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint())
            .field("user", &self.credentials.user())
            .finish_non_exhaustive()
    }
}

/// Locks, also after another thread panicked: every value behind these locks is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
