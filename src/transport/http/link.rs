//! TCP connections whose waits end when they are cancelled.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::time::Duration as Limit;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

use crate::transport::http::buffers::{Borrowed, Lender};
use crate::transport::http::wait;

/// How long a wait does not look whether it was cancelled.
const SLICE: Duration = Duration::from_millis(100);

/// How long an attempt to connect does not look. A kernel sends its first packet again after a
/// second, so that an attempt that is started anew by then has lost nothing.
const CONNECT_SLICE: Duration = Duration::from_secs(1);

/// Opens TCP connections, unless a proxy already has.
#[derive(Debug)]
pub(super) struct LinkConnector(pub(super) Lender);

impl<In: Transport> Connector<In> for LinkConnector {
    type Out = Either<In, Link>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let stream = connect(&details.addrs, deadline(details.timeout))?;
        stream.set_nodelay(true)?;
        Ok(Some(Either::B(Link {
            stream,
            buffers: self.0.lend(),
            read_timeout: None,
            write_timeout: None,
        })))
    }
}

/// Connects to the first address that answers; each gets its share of the time.
fn connect(addresses: &[SocketAddr], deadline: Option<Instant>) -> Result<TcpStream, Error> {
    let mut last = Error::Timeout(Timeout::Connect);
    for (n, address) in addresses.iter().enumerate() {
        let share = deadline.map(|deadline| {
            let now = Instant::now();
            let left = u32::try_from(addresses.len() - n).unwrap_or(u32::MAX);
            now + deadline.saturating_duration_since(now) / left
        });
        match connect_one(address, share) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
        if wait::is_cancelled() {
            break;
        }
    }
    Err(last)
}

fn connect_one(address: &SocketAddr, deadline: Option<Instant>) -> Result<TcpStream, Error> {
    loop {
        let slice = left(deadline).min(CONNECT_SLICE);
        if slice.is_zero() || wait::is_cancelled() {
            return Err(Error::Timeout(Timeout::Connect));
        }
        match TcpStream::connect_timeout(address, slice) {
            Err(error) if is_timeout(&error) => {}
            result => return Ok(result?),
        }
    }
}

/// A TCP connection.
pub(super) struct Link {
    stream: TcpStream,
    buffers: Borrowed,
    /// As the socket has them, so that they are only set when they change.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Transport for Link {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.buffers.get()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let deadline = deadline(timeout);
        let mut rest = &self.buffers.get().output()[..amount];
        while !rest.is_empty() {
            let slice = slice(deadline, timeout.reason)?;
            if self.write_timeout != Some(slice) {
                self.stream.set_write_timeout(Some(slice))?;
                self.write_timeout = Some(slice);
            }
            match self.stream.write(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(n) => rest = &rest[n..],
                Err(error) if is_timeout(&error) => check_cancel()?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let deadline = deadline(timeout);
        let stalled = wait::stall().and_then(|stall| Instant::now().checked_add(stall));
        loop {
            let slice = slice(deadline, timeout.reason)?;
            if self.read_timeout != Some(slice) {
                self.stream.set_read_timeout(Some(slice))?;
                self.read_timeout = Some(slice);
            }
            match self.stream.read(self.buffers.get().input_append_buf()) {
                Ok(n) => {
                    self.buffers.get().input_appended(n);
                    return Ok(n > 0);
                }
                Err(error) if is_timeout(&error) => {
                    check_cancel()?;
                    if stalled.is_some_and(|stalled| Instant::now() >= stalled) {
                        return Err(Error::Timeout(Timeout::PerRead));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asked before and after a connection is idle. One that has bytes to read before anything was
    /// asked is not in order either.
    fn is_open(&mut self) -> bool {
        self.buffers.give_back();
        let open = self.stream.set_nonblocking(true).is_ok()
            && self.stream.peek(&mut [0]).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
        open && self.stream.set_nonblocking(false).is_ok()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.stream.peer_addr().ok()).finish_non_exhaustive()
    }
}

fn deadline(timeout: NextTimeout) -> Option<Instant> {
    match timeout.after {
        Limit::Exact(after) => Instant::now().checked_add(after),
        Limit::NotHappening => None,
    }
}

fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}

/// How long to wait before the next look.
fn slice(deadline: Option<Instant>, reason: Timeout) -> Result<Duration, Error> {
    let slice = left(deadline).min(SLICE);
    if slice.is_zero() { Err(Error::Timeout(reason)) } else { Ok(slice) }
}

fn check_cancel() -> Result<(), Error> {
    match wait::is_cancelled() {
        // Who waits knows that it was cancelled; only the wait has to end.
        true => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        false => Ok(()),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
