//! The simulator's hosts, served over HTTP and HTTPS to any XAPI client.

mod backend;
mod connection;
mod http;
mod listeners;
mod stream;
#[cfg(feature = "http")]
mod tls;
mod xmlrpc;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use backend::Backend;
use listeners::{Connections, Listener, listen, local_address};
#[cfg(feature = "http")]
use tls::{Identity, TEST_KEY};

use super::state::HostId;
use super::world::World;
use crate::error::{Error, ErrorKind, Result};
use crate::text::quoted;
#[cfg(feature = "http")]
use crate::transport::Fingerprint;
use crate::transport::{Cancel, Endpoint};

/// A [`World`] that is served on this machine's addresses.
///
/// Until it is stopped or dropped. Each host listens for HTTP, for HTTPS or for both, and answers
/// as xapi does: JSON-RPC at `/jsonrpc`, XML-RPC everywhere else, API errors with status 200, and
/// xapi's limits (about 1 KiB of headers, 300 KiB of body, 800 connections). A host without power
/// refuses connections, and so does one whose xapi restarts; [`Trouble`](super::Trouble) befalls
/// requests on real sockets. Where packets are [cut off](super::Scene::cut) the connection is made
/// all the same, and nobody answers.
///
/// As long as it is served the world's clock follows real time, at the speed that the first of its
/// fronts was given; [`World::advance`] leaps ahead. The calendar begins where it always does.
///
/// Hosts name each other by their simulated addresses. Clients that follow such names either are
/// told where they lead ([`addresses`](Self::addresses)), or the hosts are served at their own
/// addresses ([`FrontBuilder::at_own_addresses`]).
///
/// # Examples
/// ```
/// use xcp_pool::simulator::{Front, World};
///
/// let front = Front::builder(&World::story(1)).http(0).start()?;
/// for host in front.hosts() {
///     println!("{}: {:?}", host.name, host.http);
/// }
/// front.stop();
/// # Ok::<(), xcp_pool::Error>(())
/// ```
pub struct Front {
    world: World,
    hosts: Vec<Served>,
    listeners: Vec<Arc<Listener>>,
    connections: Arc<Connections>,
    served: Arc<AtomicU64>,
    cancel: Cancel,
    threads: Vec<JoinHandle<()>>,
    #[cfg(feature = "http")]
    fingerprints: BTreeMap<String, Fingerprint>,
}

/// A host that is served, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Its name in the world.
    pub name: String,
    /// Its address in the world, by which other hosts name it.
    pub address: String,
    /// Where it speaks HTTP.
    pub http: Option<SocketAddr>,
    /// Where it speaks HTTPS.
    pub https: Option<SocketAddr>,
}

/// How a world is to be served.
#[must_use]
pub struct FrontBuilder {
    world: World,
    http: Option<u16>,
    https: Option<u16>,
    address: IpAddr,
    own_addresses: bool,
    host_addresses: BTreeMap<String, IpAddr>,
    speed: f64,
    header_timeout: Duration,
    total_header_timeout: Duration,
    #[cfg(feature = "http")]
    certificate: String,
    #[cfg(feature = "http")]
    host_certificates: BTreeMap<String, String>,
}

impl Front {
    /// Begins to serve a world.
    pub fn builder(world: &World) -> FrontBuilder {
        FrontBuilder {
            world: world.clone(),
            http: None,
            https: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            own_addresses: false,
            host_addresses: BTreeMap::new(),
            speed: 1.0,
            header_timeout: Duration::from_secs(10),
            total_header_timeout: Duration::from_secs(60),
            #[cfg(feature = "http")]
            certificate: TEST_KEY.to_owned(),
            #[cfg(feature = "http")]
            host_certificates: BTreeMap::new(),
        }
    }

    /// The hosts and where they are served, in the order of the world.
    pub fn hosts(&self) -> &[Served] {
        &self.hosts
    }

    /// Where a host is served, by HTTPS if it has it.
    ///
    /// It is named as in the world, or by its address there.
    pub fn endpoint(&self, host: &str) -> Option<Endpoint> {
        let known =
            |served: &&Served| served.name.eq_ignore_ascii_case(host) || served.address == host;
        self.hosts.iter().find(known).and_then(Served::endpoint)
    }

    /// Where the addresses lead by which hosts name each other: see
    /// [`ClientBuilder::address`](crate::client::ClientBuilder::address).
    pub fn addresses(&self) -> impl Iterator<Item = (&str, Endpoint)> {
        self.hosts.iter().filter_map(|host| Some((host.address.as_str(), host.endpoint()?)))
    }

    /// The fingerprint of the certificate that a host shows.
    #[cfg(feature = "http")]
    pub fn fingerprint(&self, host: &str) -> Option<Fingerprint> {
        self.fingerprints.get(&host.to_ascii_lowercase()).copied()
    }

    /// How many calls were served, with those that went wrong.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Ends it.
    ///
    /// Calls that wait are broken off, replies on their way may arrive. Afterwards the ports are
    /// free and all threads have ended, and the world's clock stands still again.
    pub fn stop(self) {
        drop(self);
    }

    fn end(&mut self) {
        self.cancel.cancel();
        self.listeners.iter().for_each(|listener| listener.end());
        self.connections.break_off(|_| true, false);
        self.world.nudge();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
        // Nothing is accepted any more.
        self.connections.break_off(|_| true, false);
        self.connections.wait_until_empty();
        self.world.leave_real_time();
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = Builder::new().name(name.to_owned()).spawn(run).map_err(|error| {
            Error::new(ErrorKind::Internal, "a thread cannot be started").with_source(error)
        })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Served {
    /// Where it is served, by HTTPS if it has it.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let plain = |address| format!("http://{address}");
        let url = self.https.map(|address| format!("https://{address}"));
        url.or_else(|| self.http.map(plain))?.parse().ok()
    }
}

impl FrontBuilder {
    /// Serves HTTP; at a port of 0 at any that is free.
    ///
    /// Hosts at the same address get one port after the other, hosts at different addresses the
    /// same one, so that a client that changes only the address finds the other host. If neither
    /// this nor [`https`](Self::https) is said, both are served at free ports.
    pub fn http(mut self, port: u16) -> Self {
        self.http = Some(port);
        self
    }

    /// Serves HTTPS, as [`http`](Self::http) does HTTP.
    #[cfg(feature = "http")]
    pub fn https(mut self, port: u16) -> Self {
        self.https = Some(port);
        self
    }

    /// The address at which all hosts are served; 127.0.0.1 if not said.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Serves each host at the address that it has in the world.
    ///
    /// Linux has all of 127.0.0.0/8, such as 127.0.7.1 and 127.0.7.2, on its loopback interface.
    pub fn at_own_addresses(mut self) -> Self {
        self.own_addresses = true;
        self
    }

    /// Serves one host at an address of its own.
    pub fn host_address(mut self, host: &str, address: IpAddr) -> Self {
        self.host_addresses.insert(host.to_ascii_lowercase(), address);
        self
    }

    /// How many seconds pass in the world in a real one; one if not said.
    pub fn speed(mut self, factor: f64) -> Self {
        self.speed = factor;
        self
    }

    /// How long the head of a connection's first request may take.
    ///
    /// `each` is the time until its next bytes. As xapi 10 s, and 60 s in all, if not said; always
    /// real time.
    pub fn header_timeouts(mut self, each: Duration, total: Duration) -> Self {
        self.header_timeout = each;
        self.total_header_timeout = total;
        self
    }

    /// The private key and certificate of all hosts, as PEM in one text.
    ///
    /// If not given it is a self-signed one, RSA with 2048 bits, that comes with this crate: its
    /// key is public.
    #[cfg(feature = "http")]
    pub fn certificate(mut self, pem: &str) -> Self {
        pem.clone_into(&mut self.certificate);
        self
    }

    /// The private key and certificate of one host.
    #[cfg(feature = "http")]
    pub fn host_certificate(mut self, host: &str, pem: &str) -> Self {
        self.host_certificates.insert(host.to_ascii_lowercase(), pem.to_owned());
        self
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// `Transport` if an address cannot be listened at; `InvalidInput` for a speed that is not
    /// positive, a host that the world does not have, a host to be served at its own address that
    /// is none, or a certificate that cannot be used.
    pub fn start(mut self) -> Result<Front> {
        if !(self.speed.is_finite() && self.speed > 0.0) {
            return Err(wrong(format!("time cannot pass at {} times its speed", self.speed)));
        }
        if self.http.is_none() && self.https.is_none() {
            self.http = Some(0);
            self.https = cfg!(feature = "http").then_some(0);
        }
        let hosts = self.world.observe(|state| {
            let hosts = state.ids().map(|id| state.host(id));
            hosts.map(|host| (host.name.clone(), host.address.clone())).collect::<Vec<_>>()
        });
        self.check_names(&hosts)?;
        let addresses = hosts.iter().map(|(name, address)| self.address_of(name, address));
        let addresses = addresses.collect::<Result<Vec<_>>>()?;
        let served = Arc::new(AtomicU64::new(0));
        let backends: Vec<_> = hosts
            .iter()
            .enumerate()
            .map(|(number, (name, _))| {
                Arc::new(Backend {
                    world: self.world.clone(),
                    id: HostId(number),
                    name: name.clone(),
                    speed: self.speed,
                    header_timeout: self.header_timeout,
                    total_header_timeout: self.total_header_timeout,
                    served: served.clone(),
                })
            })
            .collect();
        let mut listeners = Vec::new();
        let http = Self::listen(self.http, &addresses, &backends, &mut listeners)?;
        #[cfg(feature = "http")]
        let plain = listeners.len();
        let https = Self::listen(self.https, &addresses, &backends, &mut listeners)?;
        #[cfg(feature = "http")]
        let fingerprints = self.identify(&mut listeners[plain..])?;
        let hosts = hosts.into_iter().enumerate().map(|(number, (name, address))| Served {
            name,
            address,
            http: http.get(number).copied(),
            https: https.get(number).copied(),
        });
        self.world.follow_real_time(self.speed);
        let mut front = Front {
            world: self.world,
            hosts: hosts.collect(),
            listeners: Vec::new(),
            connections: Arc::default(),
            served,
            cancel: Cancel::new(),
            threads: Vec::new(),
            #[cfg(feature = "http")]
            fingerprints,
        };
        for (listener, socket) in listeners {
            let listener = Arc::new(listener);
            front.listeners.push(listener.clone());
            let connections = front.connections.clone();
            front.spawn("listener", move || listener.run(socket, &connections))?;
        }
        let (world, listeners) = (front.world.clone(), front.listeners.clone());
        let (connections, cancel) = (front.connections.clone(), front.cancel.clone());
        let follow = move || listeners::follow(&world, &listeners, &connections, &cancel);
        front.spawn("listeners", follow)?;
        Ok(front)
    }

    /// Listens for all hosts, if at all; returns where.
    fn listen(
        port: Option<u16>,
        addresses: &[IpAddr],
        backends: &[Arc<Backend>],
        listeners: &mut Vec<(Listener, std::net::TcpListener)>,
    ) -> Result<Vec<SocketAddr>> {
        let Some(port) = port else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (listener, backend) in listen(addresses, port)?.into_iter().zip(backends) {
            let address = local_address(&listener)?;
            found.push(address);
            listeners.push((Listener::new(backend.clone(), address), listener));
        }
        Ok(found)
    }

    /// Gives listeners their certificates; returns the fingerprints by host.
    #[cfg(feature = "http")]
    fn identify(
        &self,
        listeners: &mut [(Listener, std::net::TcpListener)],
    ) -> Result<BTreeMap<String, Fingerprint>> {
        let common = Identity::read(&self.certificate)?;
        let mut fingerprints = BTreeMap::new();
        for (listener, _) in listeners {
            let name = listener.backend.name.to_ascii_lowercase();
            let identity = match self.host_certificates.get(&name) {
                Some(pem) => Identity::read(pem)?,
                None => common.clone(),
            };
            fingerprints.insert(name, identity.fingerprint);
            listener.identity = Some(identity);
        }
        Ok(fingerprints)
    }

    fn check_names(&self, hosts: &[(String, String)]) -> Result<()> {
        let known = |name: &String| hosts.iter().any(|(host, _)| host.eq_ignore_ascii_case(name));
        let named = self.host_addresses.keys();
        #[cfg(feature = "http")]
        let named = named.chain(self.host_certificates.keys());
        match named.into_iter().find(|name| !known(name)) {
            Some(name) => Err(wrong(format!("the world has no host {}", quoted(name)))),
            None => Ok(()),
        }
    }

    /// Where a host is to be served.
    fn address_of(&self, name: &str, address: &str) -> Result<IpAddr> {
        match self.host_addresses.get(&name.to_ascii_lowercase()) {
            Some(address) => Ok(*address),
            None if self.own_addresses => address.parse().map_err(|_| {
                wrong(format!("{}, where {name} is, is no IP address", quoted(address)))
            }),
            None => Ok(self.address),
        }
    }
}

impl fmt::Debug for FrontBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontBuilder").finish_non_exhaustive()
    }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}
