//! What stays as it was given when a client was made.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::transport::Endpoint;

#[derive(Clone, Debug)]
pub(super) struct Options {
    /// Where hosts really are, by the address that others call them.
    pub(super) addresses: BTreeMap<String, Endpoint>,
    pub(super) originator: String,
    /// How long reads may search for a master.
    pub(super) patience: Duration,
    /// Where the pool was said to be.
    pub(super) start: Vec<Endpoint>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addresses: BTreeMap::new(),
            originator: concat!("xcp_pool/", env!("CARGO_PKG_VERSION")).to_owned(),
            patience: Duration::ZERO,
            start: Vec::new(),
        }
    }
}

impl Options {
    /// Where the host is that another one calls by this address.
    pub(super) fn resolve(&self, named: &str, by: &Endpoint) -> Result<Endpoint> {
        if let Some(real) = self.addresses.get(named) {
            return Ok(real.clone());
        }
        // Only to see whether it is an address at all; XAPI writes IPv6 without brackets.
        let parsed: Endpoint = named.parse().map_err(|error: Error| {
            Error::new(ErrorKind::Protocol, format!("{by} names a master that is no address"))
                .with_source(error)
        })?;
        Ok(by.with_host(parsed.host()))
    }
}
