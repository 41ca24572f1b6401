//! Other hosts than the master, with the same transport, credentials and addresses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::builder::ClientBuilder;
use super::credentials::Credentials;
use super::handle::Client;
use super::local::LocalSession;
use super::one_host::{OneHost, Role};
use super::options::Options;
use crate::error::Result;
use crate::transport::{Cancel, Endpoint, Limits, Transport};

/// How long one host may take to say what it is.
pub(crate) const PROBE: Duration = Duration::from_secs(15);

/// What it takes to ask other hosts than the master.
pub(crate) struct Way<'a> {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) credentials: &'a Credentials,
    /// A host of the pool, whose scheme and port the others share.
    pub(crate) endpoint: Endpoint,
    pub(crate) addresses: &'a BTreeMap<String, Endpoint>,
    pub(crate) limits: Limits,
    pub(crate) cancel: &'a Cancel,
}

impl Client {
    /// Where a host is that the pool knows by this address.
    ///
    /// # Errors
    /// `Protocol` for what is no address.
    pub fn locate(&self, address: &str) -> Result<Endpoint> {
        self.shared.options.resolve(address, &self.endpoint())
    }

    /// What it takes to ask other hosts of the pool, each for itself.
    pub(crate) fn way(&self) -> Way<'_> {
        Way {
            transport: self.shared.transport.clone(),
            credentials: self.credentials(),
            endpoint: self.endpoint(),
            addresses: &self.shared.options.addresses,
            limits: self.limits,
            cancel: &self.cancel,
        }
    }

    /// Asks a host what it is, by logging in there and nowhere else.
    ///
    /// In 15 s at most; see [`OneHost::role`].
    ///
    /// # Errors
    /// As [`OneHost::role`] and [`Self::locate`].
    pub fn role_of(&self, address: &str) -> Result<Role> {
        let mut host = self.one(address)?;
        host.limits.overall = host.limits.overall.min(PROBE);
        host.role()
    }

    /// Logs in at another host, or at the master that it names, whatever pool that is.
    ///
    /// The new client has this one's limits, and what cancels this one cancels it, too.
    ///
    /// # Errors
    /// As [`Self::connect`] and [`Self::locate`].
    pub fn beside(&self, address: &str) -> Result<Self> {
        let endpoint = self.locate(address)?;
        let Options { addresses, originator, .. } = self.shared.options.clone();
        let options = Options { addresses, originator, ..Options::default() };
        ClientBuilder::new(self.shared.transport.clone(), options)
            .cancel(self.cancel.clone())
            .limits(self.limits)
            .connect_to(&endpoint, self.credentials())
    }

    /// Opens a session with another host alone, whatever its role.
    ///
    /// See [`LocalSession`].
    ///
    /// It has the client's limits, and what cancels the client cancels it, too.
    ///
    /// # Errors
    /// As [`OneHost::session`] and [`Self::locate`].
    pub fn local(&self, address: &str) -> Result<LocalSession> {
        self.one(address)?.session()
    }

    /// A host that the pool knows by this address, alone.
    fn one(&self, address: &str) -> Result<OneHost> {
        Ok(OneHost {
            transport: self.shared.transport.clone(),
            endpoint: self.locate(address)?,
            credentials: self.credentials().clone(),
            limits: self.limits,
            cancel: self.cancel.clone(),
        })
    }
}
