//! Listeners and the threads behind them: they listen while their host runs.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::backend::Backend;
use super::connection;
#[cfg(feature = "http")]
use super::tls::Identity;
use crate::error::{Error, ErrorKind, Result};
use crate::simulator::state::{HostId, Power};
use crate::simulator::world::World;
use crate::transport::Cancel;

/// A listener of a host.
pub(super) struct Listener {
    pub backend: Arc<Backend>,
    pub address: SocketAddr,
    #[cfg(feature = "http")]
    pub identity: Option<Identity>,
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

/// What a listener is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Closed,
    /// For good.
    Over,
    Open,
}

/// All connections that are being served.
#[derive(Default)]
pub(super) struct Connections {
    table: Mutex<Table>,
    left: Condvar,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Connection>,
    /// Threads that are done but for their end.
    ended: Vec<JoinHandle<()>>,
}

struct Connection {
    listener: SocketAddr,
    host: HostId,
    cancel: Cancel,
    socket: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    pub(super) fn new(backend: Arc<Backend>, address: SocketAddr) -> Self {
        Self {
            backend,
            address,
            #[cfg(feature = "http")]
            identity: None,
            wanted: Mutex::new(Wanted::Open),
            changed: Condvar::new(),
        }
    }

    /// Accepts connections as long as it shall; while it is closed they are refused.
    pub(super) fn run(self: &Arc<Self>, listener: TcpListener, connections: &Arc<Connections>) {
        let mut listener = Some(listener);
        loop {
            match self.wanted() {
                Wanted::Over => return,
                Wanted::Closed => {
                    listener = None;
                    self.wait_while(Wanted::Closed, None);
                }
                Wanted::Open => {
                    let Some(open) =
                        listener.take().or_else(|| TcpListener::bind(self.address).ok())
                    else {
                        // Somebody has the port; perhaps not for long.
                        self.wait_while(Wanted::Open, Some(BIND_AGAIN));
                        continue;
                    };
                    connections.wait_for_room(self);
                    match open.accept() {
                        Ok((socket, _)) if self.wanted() == Wanted::Open => {
                            connections.accept(self, socket);
                        }
                        Ok(_) => {}
                        Err(_) => self.wait_while(Wanted::Open, Some(ACCEPT_AGAIN)),
                    }
                    listener = Some(open);
                }
            }
        }
    }

    pub(super) fn open(&self) {
        self.want(Wanted::Open);
    }

    pub(super) fn close(&self) {
        self.want(Wanted::Closed);
    }

    /// Closes it for good.
    pub(super) fn end(&self) {
        self.want(Wanted::Over);
    }

    fn want(&self, wanted: Wanted) {
        let mut now = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == Wanted::Over || *now == wanted {
            return;
        }
        *now = wanted;
        drop(now);
        self.changed.notify_all();
        if wanted != Wanted::Open {
            // Its thread waits for connections, and has to look up.
            TcpStream::connect_timeout(&self.address, WAKE).ok();
        }
    }

    fn wanted(&self) -> Wanted {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, wanted: Wanted, at_most: Option<Duration>) {
        let now = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        match at_most {
            Some(time) => drop(self.changed.wait_timeout_while(now, time, |now| *now == wanted)),
            None => drop(self.changed.wait_while(now, |now| *now == wanted)),
        }
    }
}

impl Connections {
    pub(super) fn count(&self) -> usize {
        self.table().open.len()
    }

    /// Waits until a listener may accept another connection.
    fn wait_for_room(&self, listener: &Listener) {
        let mut table = self.table();
        while listener.wanted() == Wanted::Open
            && table
                .open
                .values()
                .filter(|connection| connection.listener == listener.address)
                .count()
                >= MAX_CONNECTIONS
        {
            let woken = self.left.wait_timeout(table, LOOK_FOR_ROOM);
            table = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Serves a connection in a thread of its own.
    fn accept(self: &Arc<Self>, listener: &Arc<Listener>, socket: TcpStream) {
        let Ok(handle) = socket.try_clone() else { return };
        if socket.set_nodelay(true).is_err() {
            return;
        }
        let cancel = Cancel::new();
        let connection = Connection {
            listener: listener.address,
            host: listener.backend.id,
            cancel: cancel.clone(),
            socket: handle,
            thread: None,
        };
        let mut table = self.table();
        let ended = std::mem::take(&mut table.ended);
        let number = table.next;
        table.next += 1;
        table.open.insert(number, connection);
        drop(table);
        ended.into_iter().for_each(|thread| drop(thread.join()));
        let ending = Ending { connections: self.clone(), number };
        let listener = listener.clone();
        let thread =
            Builder::new().name(format!("front of {}", listener.backend.name)).spawn(move || {
                let _ending = ending;
                listener.serve(socket, &cancel);
            });
        if let Ok(thread) = thread {
            let mut table = self.table();
            match table.open.get_mut(&number) {
                Some(connection) => connection.thread = Some(thread),
                None => table.ended.push(thread),
            }
        }
    }

    /// Ends connections: `now`, or when the reply is delivered that is on its way.
    pub(super) fn break_off(&self, which: impl Fn(HostId) -> bool, now: bool) {
        for connection in self.table().open.values().filter(|connection| which(connection.host)) {
            connection.cancel.cancel();
            let how = if now { Shutdown::Both } else { Shutdown::Read };
            connection.socket.shutdown(how).ok();
        }
    }

    /// Waits until all connections have ended, and breaks off those that last.
    ///
    /// All threads have ended then.
    pub(super) fn wait_until_empty(&self) {
        let mut table = self.table();
        let wait = self.left.wait_timeout_while(table, GRACE, |table| !table.open.is_empty());
        drop(wait);
        self.break_off(|_| true, true);
        table = self.table();
        let wait = self.left.wait_while(table, |table| !table.open.is_empty());
        let ended = std::mem::take(&mut wait.unwrap_or_else(PoisonError::into_inner).ended);
        ended.into_iter().for_each(|thread| drop(thread.join()));
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a connection off the table, whatever becomes of its thread.
struct Ending {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        let thread = table.open.remove(&self.number).and_then(|connection| connection.thread);
        table.ended.extend(thread);
        drop(table);
        self.connections.left.notify_all();
    }
}

impl Listener {
    #[cfg(feature = "http")]
    fn serve(&self, mut socket: TcpStream, cancel: &Cancel) {
        match &self.identity {
            None => connection::serve(&mut socket, &self.backend, cancel),
            Some(identity) => {
                if let Some(mut stream) = identity.wrap(socket) {
                    connection::serve(&mut stream, &self.backend, cancel);
                }
            }
        }
    }

    #[cfg(not(feature = "http"))]
    fn serve(&self, mut socket: TcpStream, cancel: &Cancel) {
        connection::serve(&mut socket, &self.backend, cancel);
    }
}

/// Opens and closes listeners as hosts come and go, until cancelled.
pub(super) fn follow(
    world: &World,
    listeners: &[Arc<Listener>],
    connections: &Connections,
    cancel: &Cancel,
) {
    let mut known = Vec::new();
    loop {
        let seen = world.watch(cancel, |state| {
            let hosts = state.ids().map(|id| (state.host(id).power, state.host(id).incarnation));
            let hosts: Vec<_> = hosts.collect();
            (hosts != known).then_some(hosts)
        });
        let Ok(seen) = seen else { return };
        for (number, (power, incarnation)) in seen.iter().enumerate() {
            let id = HostId(number);
            let before = known.get(number);
            if before.is_some_and(|(_, before)| before != incarnation) {
                connections.break_off(|host| host == id, *power == Power::Off);
            }
            for listener in listeners.iter().filter(|listener| listener.backend.id == id) {
                if *power == Power::Running { listener.open() } else { listener.close() }
            }
        }
        known = seen;
    }
}

/// Listens at one port of each address. Where `port` is 0 any free one is taken, the same one at
/// addresses that all differ; where addresses are alike, each gets the port after the last one's.
///
/// # Errors
/// `Transport` if an address cannot be listened at.
pub(super) fn listen(addresses: &[std::net::IpAddr], port: u16) -> Result<Vec<TcpListener>> {
    let distinct: std::collections::BTreeSet<_> = addresses.iter().collect();
    let common = port == 0 && distinct.len() == addresses.len();
    let mut tries = if common { COMMON_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match listen_once(addresses, port, common) {
            Ok(listeners) => return Ok(listeners),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

fn listen_once(
    addresses: &[std::net::IpAddr],
    mut port: u16,
    common: bool,
) -> Result<Vec<TcpListener>> {
    let mut used: BTreeMap<std::net::IpAddr, u16> = BTreeMap::new();
    let mut listeners = Vec::new();
    for ip in addresses {
        let next = used.entry(*ip).or_default();
        let wanted = if port == 0 { 0 } else { port.saturating_add(*next) };
        *next += 1;
        let address = SocketAddr::new(*ip, wanted);
        let listener = TcpListener::bind(address).map_err(|error| {
            Error::new(ErrorKind::Transport, format!("{address} cannot be listened at"))
                .with_source(error)
        })?;
        if common {
            port = local_address(&listener)?.port();
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Where a listener is.
pub(super) fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| {
        Error::new(ErrorKind::Transport, "a listener has no address").with_source(error)
    })
}

/// How many connections a listener of the server serves at a time (`xapi_globs.ml`).
const MAX_CONNECTIONS: usize = 800;

/// How long connections may take to end by themselves.
const GRACE: Duration = Duration::from_secs(1);

const ACCEPT_AGAIN: Duration = Duration::from_millis(20);
const BIND_AGAIN: Duration = Duration::from_millis(50);
const WAKE: Duration = Duration::from_millis(200);
const LOOK_FOR_ROOM: Duration = Duration::from_millis(100);

/// How often another port is tried that is free at all addresses.
const COMMON_PORT_TRIES: usize = 100;
