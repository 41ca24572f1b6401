//! Real hosts: JSON-RPC over HTTPS.

mod buffers;
mod failure;
mod fingerprint;
mod link;
mod members;
mod pins;
mod resolve;
mod tls;
mod trust;
mod wait;

pub use fingerprint::Fingerprint;
pub use pins::{FilePins, MemoryPins, PinStore};
pub use trust::{Mismatch, Trust};

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::config::{AutoHeaderValue, Config};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};

use crate::error::{Error, ErrorKind, Result};
use crate::text::quoted;
use crate::transport::{Body, Endpoint, Request, Scheme, Transport};
use crate::wire::MAX_REQUEST;

/// A blocking transport to real hosts, by HTTP/1.1 over TLS.
///
/// Connections are kept and shared.
///
/// Clones share their connections; one is enough for a whole program.
///
/// Every wait ends with the request's deadline, or within a fraction of a second after its
/// [`Cancel`](crate::transport::Cancel); only an attempt to connect may take a second to notice. No
/// proxy is taken from the environment unless asked for, and no HTTP redirect is followed.
///
/// ```no_run
/// use std::time::Duration;
/// use xcp_pool::transport::{Http, Trust};
///
/// # fn example() -> xcp_pool::Result<()> {
/// let pin = "SHA256:4B:8F:…".parse()?;
/// let http = Http::builder()
///     .trust(Trust::pins([pin]))
///     .connect_timeout(Duration::from_secs(5))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    /// One a host: an agent's pool of connections takes time by the square of its hosts.
    agents: Mutex<HashMap<Endpoint, Agent>>,
    config: Config,
    tls: tls::TlsConnector,
    buffers: buffers::Lender,
    names: resolve::CachedResolver,
    options: Options,
}

/// Options of [`Http`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpBuilder {
    trust: Trust,
    options: Options,
    environment_proxy: bool,
}

#[derive(Clone, Debug)]
struct Options {
    connect_timeout: Duration,
    stall_timeout: Duration,
    timeout: Option<Duration>,
    plain_http: bool,
}

/// Where XAPI speaks JSON-RPC; its other paths speak XML-RPC (xen-api `Constants.jsonrpc_uri`).
const PATH: &str = "/jsonrpc";

/// XAPI refuses a request line and headers of more than 1024 bytes, with status 431 (xen-api
/// `Xapi_globs`, limits of the HTTP header). The name is in one header; the others take 150 bytes.
const MAX_HOST: usize = 253;

/// Replies up to this size are read at once: no window, no copy.
const AT_ONCE: u64 = 1 << 20;

/// XAPI's replies have some 300 bytes of headers. Less than the buffer, which would else be full
/// before they are found too large.
const MAX_HEADERS: usize = 16 << 10;

/// Connections to one host that are kept for the next request.
const MAX_IDLE: usize = 16;

/// Hosts whose connections are kept; more than anybody talks to at a time.
const MAX_AGENTS: usize = 1024;

/// As good as no limit; ureq panics where a longer one does not fit into its clock.
const FOR_EVER: Duration = Duration::from_secs(366 * 24 * 3600);

/// XAPI itself keeps idle connections for ever; a firewall on the way may not.
const MAX_IDLE_AGE: Duration = Duration::from_secs(60);

impl Http {
    /// A transport with options.
    pub fn builder() -> HttpBuilder {
        HttpBuilder {
            trust: Trust::system(),
            options: Options {
                connect_timeout: Duration::from_secs(10),
                stall_timeout: Duration::from_secs(30),
                timeout: None,
                plain_http: false,
            },
            environment_proxy: false,
        }
    }

    fn agent(&self, endpoint: &Endpoint) -> Agent {
        let mut agents = self.0.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(endpoint) {
            return agent.clone();
        }
        if agents.len() >= MAX_AGENTS {
            // Those in use live on until they are done.
            agents.clear();
        }
        let chain = ().chain(ConnectProxyConnector::default());
        let chain =
            chain.chain(link::LinkConnector(self.0.buffers.clone())).chain(self.0.tls.clone());
        let agent = Agent::with_parts(self.0.config.clone(), chain, self.0.names.clone());
        agents.insert(endpoint.clone(), agent.clone());
        agent
    }

    fn check(&self, request: &Request<'_>) -> Result<()> {
        request.cancel.check()?;
        let endpoint = request.endpoint;
        if endpoint.scheme() == Scheme::Http && !self.0.options.plain_http {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{endpoint} is not HTTPS, and plain HTTP was not allowed"),
            ));
        }
        if endpoint.host().len() > MAX_HOST {
            return Err(Error::new(ErrorKind::InvalidInput, "the host's name is too long"));
        }
        if request.body.len() > MAX_REQUEST {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the request has {} bytes, more than the {MAX_REQUEST} that a server reads",
                    request.body.len()
                ),
            ));
        }
        Ok(())
    }
}

impl Transport for Http {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        self.check(request)?;
        let overall = match self.0.options.timeout {
            Some(timeout) => timeout.min(request.limits.overall),
            None => request.limits.overall,
        };
        let overall = overall.min(FOR_EVER);
        let context = failure::Context {
            what: request.endpoint.to_string(),
            overall,
            cancel: request.cancel.clone(),
        };
        let waiting = wait::enter(request.cancel, None);
        let response = self
            .agent(request.endpoint)
            .post(format!("{}{PATH}", context.what))
            .config()
            .timeout_global(Some(overall))
            .build()
            .header("Content-Type", "application/json")
            .send(request.body)
            .map_err(|error| context.explain(error))?;
        drop(waiting);
        let status = response.status();
        let length = response.body().content_length();
        let mut body = Arriving {
            reader: response.into_body().into_reader(),
            context,
            stall: self.0.options.stall_timeout,
        };
        if status != 200 {
            return Err(body.refused(status.as_u16()));
        }
        let max = request.limits.max_reply;
        match length {
            Some(length) if length > max => Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "{}: the reply has {length} bytes, more than the limit of {max}",
                    body.context.what
                ),
            )),
            Some(length) if length <= AT_ONCE => {
                // One more, so that the end is seen without growing, and the connection kept.
                let length = usize::try_from(length).unwrap_or_default();
                let mut bytes = Vec::with_capacity(length + 1);
                body.read_to_end(&mut bytes).map_err(unwrap)?;
                Ok(Body::Bytes(bytes))
            }
            _ => Ok(Body::Reader(Box::new(body))),
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl HttpBuilder {
    /// Which certificates are trusted; those of the system's authorities if not given.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// How long a connection may take, TLS included; 10 s if not given.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.options.connect_timeout = time;
        self
    }

    /// How long a reply may stop in the middle; 30 s if not given.
    ///
    /// Before its first byte a host may be silent for as long as the request allows: many calls
    /// take minutes.
    pub fn stall_timeout(mut self, time: Duration) -> Self {
        self.options.stall_timeout = time;
        self
    }

    /// How long any exchange may take at most, whatever its request allows.
    ///
    /// Do not make it shorter than a minute if changes are watched: the server holds such a request
    /// until something happens.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.options.timeout = Some(time);
        self
    }

    /// Takes the proxy from the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    pub fn proxy_from_environment(mut self) -> Self {
        self.environment_proxy = true;
        self
    }

    /// Allows endpoints without TLS: everybody on the way can read the password.
    ///
    /// For simulators and tunnels on the same machine.
    pub fn danger_allow_plain_http(mut self) -> Self {
        self.options.plain_http = true;
        self
    }

    /// The transport.
    ///
    /// # Errors
    /// `InvalidInput` if the system's certificate authorities are wanted and there are none.
    pub fn build(self) -> Result<Http> {
        let Self { trust, options, environment_proxy } = self;
        let buffers = buffers::Lender::default();
        let config = Config::builder()
            .proxy(if environment_proxy { ureq::Proxy::try_from_env() } else { None })
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(options.connect_timeout.min(FOR_EVER)))
            .user_agent(concat!("xcp_pool/", env!("CARGO_PKG_VERSION")))
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .max_response_header_size(MAX_HEADERS)
            .max_idle_connections(MAX_IDLE)
            .max_idle_connections_per_host(MAX_IDLE)
            .max_idle_age(MAX_IDLE_AGE)
            .build();
        Ok(Http(Arc::new(Inner {
            agents: Mutex::default(),
            config,
            tls: tls::TlsConnector::new(trust, buffers.clone())?,
            buffers,
            names: resolve::CachedResolver::default(),
            options,
        })))
    }
}

/// A body that is still arriving.
struct Arriving {
    reader: ureq::BodyReader<'static>,
    context: failure::Context,
    stall: Duration,
}

impl Arriving {
    /// The error for a status other than 200, with the first words of the page.
    fn refused(&mut self, status: u16) -> Error {
        let mut page = Vec::new();
        // The words are a help; without them the status has to do.
        let _ = self.take(2_000).read_to_end(&mut page);
        let words = crate::wire::words_of_page(&page);
        let what = &self.context.what;
        let message = match words.as_str() {
            "" => format!("{what} answered with HTTP status {status}"),
            words => format!("{what} answered with HTTP status {status}: {}", quoted(words)),
        };
        Error::new(ErrorKind::Transport, message)
    }
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let _waiting = wait::enter(&self.context.cancel, Some(self.stall));
        self.reader
            .read(buffer)
            .map_err(|error| io::Error::other(self.context.explain(ureq::Error::from(error))))
    }
}

/// The error inside an error of [`Arriving`].
fn unwrap(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(ErrorKind::Transport, "the reply broke off").with_source(error),
    }
}
