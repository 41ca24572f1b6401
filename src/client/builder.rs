//! How a client is set up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::client::bounds::Bounds;
use crate::client::gate::Gate;
use crate::client::session::Session;
use crate::client::{Client, Credentials, LoginFailure, lock};
use crate::error::Result;
use crate::log;
use crate::model::Uuid;
use crate::transport::{Cancel, Endpoint, Limits, Transport};
use crate::wire::Secret;

/// Options of a [`Client`].
///
/// ```no_run
/// # fn example(transport: impl xcp_pool::transport::Transport + 'static) -> xcp_pool::error::Result<()> {
/// use xcp_pool::client::{Client, Credentials};
///
/// let client = Client::builder(transport)
///     .originator("backup of 4 o'clock")
///     .pool_uuid("790495ea-e10f-8d16-5ec4-c5e5b3be8eed".into())
///     .connect("phantom.lan", &Credentials::new("root", "secret"))?;
/// # Ok(()) }
/// ```
pub struct ClientBuilder {
    transport: Arc<dyn Transport>,
    options: Options,
    pool_uuid: Option<Uuid>,
}

/// What stays as it was given.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) addresses: BTreeMap<String, Endpoint>,
    pub(super) cancel: Cancel,
    pub(super) limits: Limits,
    pub(super) originator: String,
    pub(super) patience: Duration,
    /// Where the pool was said to be.
    pub(super) start: Vec<Endpoint>,
}

impl Options {
    pub(super) fn new(limits: Limits, cancel: Cancel) -> Self {
        Self {
            addresses: BTreeMap::new(),
            cancel,
            limits,
            originator: concat!("xcp_pool/", env!("CARGO_PKG_VERSION")).to_owned(),
            patience: Duration::ZERO,
            start: Vec::new(),
        }
    }
}

impl ClientBuilder {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            options: Options::new(Limits::within(Duration::from_secs(60)), Cancel::new()),
            pool_uuid: None,
        }
    }

    /// Says where a host really is that others call by this address: for NAT and tunnels.
    ///
    /// Hosts are named by bare IP addresses in redirects. Without this, such an address is taken
    /// with the scheme and port of the host that named it.
    #[must_use]
    pub fn address(mut self, named: impl Into<String>, real: Endpoint) -> Self {
        self.options.addresses.insert(named.into(), real);
        self
    }

    /// Cancels whatever the client is doing, from another thread; it still logs out.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.options.cancel = cancel;
        self
    }

    /// How long a call may take, and how large its reply may be; 60 s and 512 MiB if not given.
    ///
    /// Whatever a call needs on its way is within its time: logging in again, following a redirect,
    /// searching the master, being sent a second time. Only a session that has to be closed gets a
    /// second more.
    ///
    /// Some calls need more than the usual minute: what a master forwards to a member that has just
    /// died fails after 100 s, as it was recorded.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// Names another host of the pool, to be asked too when the master is not found.
    ///
    /// The hosts that snapshots show are remembered anyway.
    #[must_use]
    pub fn member(mut self, endpoint: Endpoint) -> Self {
        self.options.start.push(endpoint);
        self
    }

    /// Who the server is told to be talking to; `xcp_pool/` and the version if not given.
    ///
    /// A server keeps 500 sessions of root per originator and drops the oldest beyond (xen-api
    /// `Db_gc_util.timeout_sessions_common`): programs that log in often should have one of their own.
    #[must_use]
    pub fn originator(mut self, originator: impl Into<String>) -> Self {
        self.options.originator = originator.into();
        self
    }

    /// How long reads may search for a master before they fail; one search if not given.
    ///
    /// A master that restarts is away for a minute or two, and so is the pool after a hand-over.
    /// Never longer than the read's own time: see [`Self::limits`].
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.options.patience = time;
        self
    }

    /// Refuses every pool but this one.
    #[must_use]
    pub fn pool_uuid(mut self, uuid: Uuid) -> Self {
        self.pool_uuid = Some(uuid);
        self
    }

    /// Logs in at a host, or at the master that the host names.
    ///
    /// # Errors
    /// As [`Client::connect`]; `State` if it is another pool than was asked for.
    pub fn connect(self, address: &str, credentials: &Credentials) -> Result<Client> {
        self.connect_to(&address.parse()?, credentials)
    }

    /// The same, at an endpoint.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_to(self, endpoint: &Endpoint, credentials: &Credentials) -> Result<Client> {
        let Self { transport, mut options, pool_uuid } = self;
        options.start.insert(0, endpoint.clone());
        let others = options.start.len() > 1;
        let cancel = options.cancel.clone();
        let bounds = Bounds::new(transport.clock(), options.limits, &cancel);
        let logged_in = Session::log_in(&*transport, &options, endpoint, credentials, bounds);
        let (session, error) = match logged_in {
            Ok(session) => (session, None),
            Err(error) if others && LoginFailure::of(&error).may_pass() => {
                // There is no session; the first one that is found takes its place.
                (Session { endpoint: endpoint.clone(), reference: Secret::default() }, Some(error))
            }
            Err(error) => return Err(error),
        };
        let client = Client {
            transport,
            credentials: credentials.clone(),
            options,
            session: Mutex::new(Arc::new(session)),
            retired: Mutex::default(),
            gate: Gate::default(),
            members: Mutex::default(),
            suspect: AtomicBool::new(false),
            pool_uuid: Mutex::new(pool_uuid.clone()),
            closed: AtomicBool::new(error.is_some()),
        };
        if error.is_some() {
            let session = client.find_master(bounds)?;
            *lock(&client.session) = Arc::new(session);
            client.closed.store(false, Ordering::Relaxed);
        } else if pool_uuid.is_some() {
            // From here on, dropping the client logs out.
            client.verify_pool(&client.session(), bounds)?;
        }
        log::info!(client, "logged in at {}", client.endpoint());
        Ok(client)
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("options", &self.options)
            .field("pool_uuid", &self.pool_uuid)
            .finish_non_exhaustive()
    }
}
