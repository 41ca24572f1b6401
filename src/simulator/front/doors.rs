//! Listeners and the threads behind them: doors are open while their host runs.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::connection;
use super::http::Head;
#[cfg(feature = "http")]
use super::tls::Identity;
use crate::error::{Error, ErrorKind, Result};
use crate::simulator::state::{HostId, Power};
use crate::simulator::world::World;
use crate::transport::Cancel;

/// A host that is served, and how.
pub(super) struct House {
    pub world: World,
    pub id: HostId,
    pub name: String,
    pub speed: f64,
    /// How long the next bytes of a connection's first head may take.
    pub header_timeout: Duration,
    /// How long a connection's first head may take.
    pub total_header_timeout: Duration,
    pub served: Arc<AtomicU64>,
}

/// Who is served on a connection.
pub(super) struct Guest {
    /// Has the guest leave.
    pub cancel: Cancel,
}

/// A listener of a host.
pub(super) struct Door {
    pub house: Arc<House>,
    pub address: SocketAddr,
    #[cfg(feature = "http")]
    pub identity: Option<Identity>,
    sign: Mutex<Sign>,
    turned: Condvar,
}

/// What hangs at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Closed,
    /// For good.
    Over,
    Open,
}

/// Everybody who is being served.
#[derive(Default)]
pub(super) struct Guests {
    inside: Mutex<Inside>,
    left: Condvar,
}

#[derive(Default)]
struct Inside {
    next: u64,
    present: BTreeMap<u64, Present>,
    /// Threads that are done but for their end.
    gone: Vec<JoinHandle<()>>,
}

struct Present {
    door: SocketAddr,
    host: HostId,
    cancel: Cancel,
    socket: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl House {
    /// How long something takes in reality that takes that long in the world.
    pub fn real(&self, time: Duration) -> Duration {
        Duration::try_from_secs_f64(time.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    /// Counts a call.
    pub fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a request names a session that is open; other credentials are not looked at.
    pub fn admits(&self, head: &Head) -> bool {
        let Some(session) = head.parameter("session_id") else { return false };
        self.world.observe(|state| {
            state.host(self.id).local_sessions.contains(session.as_str())
                || state.db(self.id).is_ok_and(|database| database.contains("session", &session))
        })
    }
}

impl Door {
    pub fn new(house: Arc<House>, address: SocketAddr) -> Self {
        Self {
            house,
            address,
            #[cfg(feature = "http")]
            identity: None,
            sign: Mutex::new(Sign::Open),
            turned: Condvar::new(),
        }
    }

    /// Lets guests in as long as the door is open; with the listener closed nobody gets through.
    pub fn keep(self: &Arc<Self>, listener: TcpListener, guests: &Arc<Guests>) {
        let mut listener = Some(listener);
        loop {
            match self.sign() {
                Sign::Over => return,
                Sign::Closed => {
                    listener = None;
                    self.wait_while(Sign::Closed, None);
                }
                Sign::Open => {
                    let Some(open) =
                        listener.take().or_else(|| TcpListener::bind(self.address).ok())
                    else {
                        // Somebody has the port; perhaps not for long.
                        self.wait_while(Sign::Open, Some(BIND_AGAIN));
                        continue;
                    };
                    guests.wait_for_room(self);
                    match open.accept() {
                        Ok((socket, _)) if self.sign() == Sign::Open => guests.admit(self, socket),
                        Ok(_) => {}
                        Err(_) => self.wait_while(Sign::Open, Some(ACCEPT_AGAIN)),
                    }
                    listener = Some(open);
                }
            }
        }
    }

    pub fn open(&self) {
        self.turn(Sign::Open);
    }

    pub fn close(&self) {
        self.turn(Sign::Closed);
    }

    /// Closes the door for good.
    pub fn end(&self) {
        self.turn(Sign::Over);
    }

    fn turn(&self, sign: Sign) {
        let mut now = self.sign.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == Sign::Over || *now == sign {
            return;
        }
        *now = sign;
        drop(now);
        self.turned.notify_all();
        if sign != Sign::Open {
            // Whoever waits for guests has to look at the sign.
            TcpStream::connect_timeout(&self.address, KNOCK).ok();
        }
    }

    fn sign(&self) -> Sign {
        *self.sign.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, sign: Sign, at_most: Option<Duration>) {
        let now = self.sign.lock().unwrap_or_else(PoisonError::into_inner);
        match at_most {
            Some(time) => drop(self.turned.wait_timeout_while(now, time, |now| *now == sign)),
            None => drop(self.turned.wait_while(now, |now| *now == sign)),
        }
    }
}

impl Guests {
    pub fn count(&self) -> usize {
        self.inside().present.len()
    }

    /// Waits until a door may let another guest in.
    fn wait_for_room(&self, door: &Door) {
        let mut inside = self.inside();
        while door.sign() == Sign::Open
            && inside.present.values().filter(|guest| guest.door == door.address).count()
                >= MAX_GUESTS
        {
            let woken = self.left.wait_timeout(inside, LOOK_FOR_ROOM);
            inside = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Serves a guest in a thread of its own.
    fn admit(self: &Arc<Self>, door: &Arc<Door>, socket: TcpStream) {
        let Ok(handle) = socket.try_clone() else { return };
        if socket.set_nodelay(true).is_err() {
            return;
        }
        let cancel = Cancel::new();
        let present = Present {
            door: door.address,
            host: door.house.id,
            cancel: cancel.clone(),
            socket: handle,
            thread: None,
        };
        let mut inside = self.inside();
        let gone = std::mem::take(&mut inside.gone);
        let number = inside.next;
        inside.next += 1;
        inside.present.insert(number, present);
        drop(inside);
        gone.into_iter().for_each(|thread| drop(thread.join()));
        let leaving = Leaving { guests: self.clone(), number };
        let door = door.clone();
        let thread =
            Builder::new().name(format!("front of {}", door.house.name)).spawn(move || {
                let _leaving = leaving;
                door.serve(socket, &Guest { cancel });
            });
        if let Ok(thread) = thread {
            let mut inside = self.inside();
            match inside.present.get_mut(&number) {
                Some(present) => present.thread = Some(thread),
                None => inside.gone.push(thread),
            }
        }
    }

    /// Has guests leave: `now`, or as soon as they have the reply that is on its way to them.
    pub fn dismiss(&self, which: impl Fn(HostId) -> bool, now: bool) {
        for guest in self.inside().present.values().filter(|guest| which(guest.host)) {
            guest.cancel.cancel();
            let how = if now { Shutdown::Both } else { Shutdown::Read };
            guest.socket.shutdown(how).ok();
        }
    }

    /// Waits until everybody has left; those who linger are shown out. All threads have ended then.
    pub fn wait_until_empty(&self) {
        let mut inside = self.inside();
        let wait = self.left.wait_timeout_while(inside, GRACE, |inside| !inside.present.is_empty());
        drop(wait);
        self.dismiss(|_| true, true);
        inside = self.inside();
        let wait = self.left.wait_while(inside, |inside| !inside.present.is_empty());
        let gone = std::mem::take(&mut wait.unwrap_or_else(PoisonError::into_inner).gone);
        gone.into_iter().for_each(|thread| drop(thread.join()));
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a guest off the list, whatever becomes of its thread.
struct Leaving {
    guests: Arc<Guests>,
    number: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut inside = self.guests.inside();
        let thread = inside.present.remove(&self.number).and_then(|guest| guest.thread);
        inside.gone.extend(thread);
        drop(inside);
        self.guests.left.notify_all();
    }
}

impl Door {
    #[cfg(feature = "http")]
    fn serve(&self, mut socket: TcpStream, guest: &Guest) {
        match &self.identity {
            None => connection::serve(&mut socket, &self.house, guest),
            Some(identity) => {
                if let Some(mut stream) = identity.wrap(socket) {
                    connection::serve(&mut stream, &self.house, guest);
                }
            }
        }
    }

    #[cfg(not(feature = "http"))]
    fn serve(&self, mut socket: TcpStream, guest: &Guest) {
        connection::serve(&mut socket, &self.house, guest);
    }
}

/// Opens and closes doors as hosts come and go, until cancelled.
pub(super) fn mind(world: &World, doors: &[Arc<Door>], guests: &Guests, cancel: &Cancel) {
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
                guests.dismiss(|host| host == id, *power == Power::Off);
            }
            for door in doors.iter().filter(|door| door.house.id == id) {
                if *power == Power::Running { door.open() } else { door.close() }
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

/// How many connections a door of the server serves at a time (`xapi_globs.ml`).
const MAX_GUESTS: usize = 800;

/// How long guests may take to leave by themselves.
const GRACE: Duration = Duration::from_secs(1);

const ACCEPT_AGAIN: Duration = Duration::from_millis(20);
const BIND_AGAIN: Duration = Duration::from_millis(50);
const KNOCK: Duration = Duration::from_millis(200);
const LOOK_FOR_ROOM: Duration = Duration::from_millis(100);

/// How often another port is tried that is free at all addresses.
const COMMON_PORT_TRIES: usize = 100;
