//! A world as a transport.

use std::time::Duration;

use super::World;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Body, Cancel, Clock, Request, Transport};

impl World {
    /// A transport to the world's hosts, and the clock that they go by.
    ///
    /// Hosts are reached at their names and at their addresses.
    pub fn transport(&self) -> WorldTransport {
        WorldTransport { world: self.clone() }
    }
}

/// A transport into a [`World`], and its clock.
#[derive(Clone, Debug)]
pub struct WorldTransport {
    world: World,
}

impl Transport for WorldTransport {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        let host = request.endpoint.host();
        let reply = self.world.post(host, request.body, request.limits.overall, request.cancel)?;
        if reply.status != 200 {
            let what = format!("{host} answered with HTTP status {}", reply.status);
            return Err(Error::new(ErrorKind::Transport, what));
        }
        if u64::try_from(reply.body.len()).unwrap_or(u64::MAX) > request.limits.max_reply {
            let what =
                format!("the reply of {host} is larger than {} bytes", request.limits.max_reply);
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        Ok(Body::Bytes(reply.body))
    }

    fn clock(&self) -> &dyn Clock {
        self
    }

    /// One in virtual time: whoever waits moves the clock, so that requests at the same time would
    /// run out of it, and meet hosts at times that depend on the machine.
    fn at_once(&self) -> usize {
        let moves_with_others = self.world.is_driven() || self.world.state().real.is_some();
        if moves_with_others { AT_ONCE } else { 1 }
    }
}

impl Clock for WorldTransport {
    fn now(&self) -> Duration {
        self.world.now()
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        cancel.check()?;
        let state = self.world.state();
        let until = state.now.saturating_add(time);
        self.world.wait(state, until, false, cancel).map(drop)
    }
}

/// As transports have it that do not say.
const AT_ONCE: usize = 8;
