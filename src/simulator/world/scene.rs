//! What can be done to a world past all calls.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Fault, Result};
use crate::simulator::calls::operations;
use crate::simulator::database::Database;
use crate::simulator::state::{Peer, State};
use crate::simulator::{ha, life};
use crate::text::quoted;

/// A world while something is done to it.
pub struct Scene<'a> {
    pub(super) state: &'a mut State,
}

impl Scene<'_> {
    /// Cuts a host's power. Its VMs stay where the database has them.
    pub fn power_off(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            life::power_off(self.state, id);
        }
    }

    /// Gives a host power; it boots.
    pub fn power_on(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            life::power_on(self.state, id);
        }
    }

    /// Restarts a host's xapi, at once.
    pub fn restart_toolstack(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            life::restart_toolstack(self.state, id, Duration::ZERO);
        }
    }

    /// Lets no packet pass from one to the other, but still the other way.
    pub fn cut_one_way(&mut self, from: impl Into<Peer>, to: impl Into<Peer>) {
        let (from, to) = (self.state.peer(from.into()), self.state.peer(to.into()));
        self.state.links.cut(from, to);
    }

    /// Lets no packet pass between two.
    pub fn cut(&mut self, one: impl Into<Peer>, other: impl Into<Peer>) {
        let (one, other) = (self.state.peer(one.into()), self.state.peer(other.into()));
        self.state.links.cut(one.clone(), other.clone());
        self.state.links.cut(other, one);
    }

    /// Lets packets pass again, both ways.
    pub fn heal(&mut self, one: impl Into<Peer>, other: impl Into<Peer>) {
        let (one, other) = (self.state.peer(one.into()), self.state.peer(other.into()));
        self.state.links.heal(&one, &other);
        self.state.links.heal(&other, &one);
    }

    /// Lets a host not get at the state file of HA any more; all else goes on.
    pub fn cut_state_file(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            ha::cut(self.state, id, true);
        }
    }

    /// Lets a host get at the state file of HA again.
    pub fn heal_state_file(&mut self, host: &str) {
        if let Some(id) = self.state.find(host) {
            ha::cut(self.state, id, false);
        }
    }

    /// Changes the backend of a host's network daemon, without a word in its records.
    pub fn set_network_backend(&mut self, host: &str, backend: &str) {
        if let Some(id) = self.state.find(host) {
            backend.clone_into(&mut self.state.host_mut(id).network_backend);
        }
    }

    /// Makes a host unable to rename the bridge of its management VLAN.
    ///
    /// A joiner has to do that whose pool names the bridge otherwise: its `pool.join` fails with
    /// this error when all else is done.
    pub fn break_bridge_change(&mut self, host: &str, fault: Fault) {
        if let Some(id) = self.state.find(host) {
            self.state.host_mut(id).bridge_trouble = Some(fault);
        }
    }

    /// Changes the database that a host works on, past all checks.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host, `Fault` from the change or if the host has no database.
    pub fn edit<T>(
        &mut self,
        host: &str,
        change: impl FnOnce(&mut Database) -> Result<T, Fault>,
    ) -> Result<T> {
        self.change(host, |database| change(database).map_err(Error::from))
    }

    /// Changes the database that a host works on by JSON, past all checks.
    ///
    /// See [`Database::patch`].
    ///
    /// # Errors
    /// `InvalidInput` for an unknown host and what the database does not have, `Fault` if the host
    /// has no database.
    pub fn patch(&mut self, host: &str, changes: &serde_json::Value) -> Result<()> {
        self.change(host, |database| database.patch(changes))
    }

    fn change<T>(
        &mut self,
        host: &str,
        change: impl FnOnce(&mut Database) -> Result<T>,
    ) -> Result<T> {
        let id = self.state.find(host).ok_or_else(|| unknown(host))?;
        let database = self.state.db_mut(id)?;
        let result = change(database)?;
        operations::refresh_pool(database);
        Ok(result)
    }
}

/// The error of a host that is not there.
pub(super) fn unknown(host: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the world has no host {}", quoted(host)))
}
