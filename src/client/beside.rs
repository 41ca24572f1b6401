//! Other hosts than the master, with the same transport, credentials and addresses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, ClientBuilder, Credentials, LocalSession, Role, probe};
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
        self.options.resolve(address, &self.endpoint())
    }

    /// What it takes to ask other hosts of the pool, each for itself.
    pub(crate) fn way(&self) -> Way<'_> {
        Way {
            transport: self.transport.clone(),
            credentials: &self.credentials,
            endpoint: self.endpoint(),
            addresses: &self.options.addresses,
            limits: self.options.limits,
            cancel: &self.options.cancel,
        }
    }

    /// Asks a host what it is, by logging in there and nowhere else; see [`probe`].
    ///
    /// # Errors
    /// As [`probe`] and [`Self::locate`].
    pub fn role_of(&self, address: &str) -> Result<Role> {
        let endpoint = self.locate(address)?;
        let mut limits = self.options.limits;
        limits.overall = limits.overall.min(PROBE);
        probe(&*self.transport, &endpoint, &self.credentials, limits, &self.options.cancel)
    }

    /// Logs in at another host, or at the master that it names, whatever pool that is.
    ///
    /// # Errors
    /// As [`Self::connect`] and [`Self::locate`].
    pub fn beside(&self, address: &str) -> Result<Self> {
        let endpoint = self.locate(address)?;
        let builder = ClientBuilder::new(self.transport.clone())
            .cancel(self.options.cancel.clone())
            .limits(self.options.limits)
            .originator(self.options.originator.as_str());
        let addresses = self.options.addresses.iter();
        let builder =
            addresses.fold(builder, |builder, (named, real)| builder.address(named, real.clone()));
        builder.connect_to(&endpoint, &self.credentials)
    }

    /// Opens a session with another host alone, whatever its role; see [`LocalSession`].
    ///
    /// # Errors
    /// As [`LocalSession::open`] and [`Self::locate`].
    pub fn local(&self, address: &str) -> Result<LocalSession> {
        let endpoint = self.locate(address)?;
        let limits: Limits = self.options.limits;
        LocalSession::open(self.transport.clone(), &endpoint, &self.credentials, limits)
    }
}
