//! How a client is set up.

use std::sync::Arc;
use std::time::Duration;

use super::credentials::Credentials;
use super::handle::Client;
use super::login::LoginFailure;
use super::options::Options;
use super::shared::Shared;
use crate::error::Result;
use crate::log;
use crate::model::Uuid;
use crate::transport::{Cancel, Endpoint, Limits, Transport};

/// Options of a [`Client`].
///
/// ```no_run
/// # fn example(transport: impl xcp_pool::transport::Transport + 'static) -> xcp_pool::Result<()> {
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
    limits: Limits,
    cancel: Cancel,
    pool_uuid: Option<Uuid>,
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
        ClientBuilder::new(Arc::new(transport), Options::default())
    }
}

impl ClientBuilder {
    pub(super) fn new(transport: Arc<dyn Transport>, options: Options) -> Self {
        Self {
            transport,
            options,
            limits: Limits::default(),
            cancel: Cancel::new(),
            pool_uuid: None,
        }
    }

    /// Says where a host really is that others call by this address.
    ///
    /// For NAT and tunnels.
    ///
    /// Hosts are named by bare IP addresses in redirects. Without this, such an address is taken
    /// with the scheme and port of the host that named it.
    #[must_use]
    pub fn address(mut self, named: impl Into<String>, real: Endpoint) -> Self {
        self.options.addresses.insert(named.into(), real);
        self
    }

    /// Cancels whatever the client and its views are doing, from another thread.
    ///
    /// The client still logs out.
    ///
    /// For single calls there is [`Client::with_cancel`].
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// How long a call may take, and how large its reply may be.
    ///
    /// 60 s and 512 MiB if not given.
    ///
    /// Whatever a call needs on its way is within its time: logging in again, following a redirect,
    /// searching the master, being sent a second time. Only a session that has to be closed gets a
    /// second more.
    ///
    /// Some calls need more than the usual minute: what a master forwards to a member that has just
    /// died fails after 100 s, as it was recorded. See [`Client::with_limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
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

    /// Who the server is told to be talking to.
    ///
    /// `xcp_pool/` and the version if not given.
    ///
    /// A server keeps 500 sessions of root per originator and drops the oldest beyond (xen-api
    /// `Db_gc_util.timeout_sessions_common`): programs that log in often should have one of their
    /// own.
    #[must_use]
    pub fn originator(mut self, originator: impl Into<String>) -> Self {
        self.options.originator = originator.into();
        self
    }

    /// How long reads may search for a master before they fail.
    ///
    /// One search if not given.
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

    /// Logs in at the host of an endpoint, or at the master that the host names.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_to(self, endpoint: &Endpoint, credentials: &Credentials) -> Result<Client> {
        let Self { transport, mut options, limits, cancel, pool_uuid } = self;
        options.start.insert(0, endpoint.clone());
        let others = options.start.len() > 1;
        let is_other_refused = pool_uuid.is_some();
        let shared = Shared::new(transport, credentials, options, endpoint, pool_uuid);
        let client = Client { shared: Arc::new(shared), limits, cancel };
        let (shared, bounds) = (&*client.shared, client.bounds());
        match shared.login().led_from(endpoint, bounds) {
            Ok(session) => {
                // From here on, dropping the client logs out.
                shared.open(session);
                if is_other_refused {
                    shared.verify_pool(&shared.session(), bounds)?;
                }
            }
            Err(error) if others && LoginFailure::of(&error).may_pass() => {
                shared.open(shared.find_master(bounds)?);
            }
            Err(error) => return Err(error),
        }
        log::info!(client, "logged in at {}", client.endpoint());
        Ok(client)
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("options", &self.options)
            .field("limits", &self.limits)
            .field("pool_uuid", &self.pool_uuid)
            .finish_non_exhaustive()
    }
}
