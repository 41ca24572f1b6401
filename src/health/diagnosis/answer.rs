//! What one host says for itself.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::election::HostRole;
use crate::error::{Fault, Result};
use crate::model::{Host, Ref, Uuid};

/// What one host says for itself, or what keeps it from saying anything.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "it is input")]
pub struct HostAnswer {
    /// Where it was asked.
    pub endpoint: String,
    /// The addresses by which the pool's records and other hosts call it.
    #[serde(skip)]
    pub addresses: BTreeSet<String>,
    /// Whether it answers, or why not.
    pub contact: Contact,
    /// The role that it says it has, and whom it follows.
    pub role: Option<HostRole>,
    /// Whether it is in emergency mode: it answers nothing but emergency calls.
    pub emergency_mode: Option<bool>,
    /// Why it is in emergency mode.
    pub emergency_error: Option<Fault>,
    /// Whether HA is armed on it, which may differ from the pool's `ha_enabled`.
    pub ha_armed: Option<bool>,
    /// The pool that it is master of, in its own words.
    #[serde(skip)]
    pub leads: Option<LedPool>,
    /// How long it took to answer, or not to; in JSON in seconds.
    #[serde(serialize_with = "in_seconds")]
    pub took: Duration,
}

/// What a master says of its pool and of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is input")]
pub struct LedPool {
    /// The pool's uuid.
    pub uuid: Uuid,
    /// The master's own ref.
    pub master: Ref<Host>,
    /// Whether HA is enabled in the pool.
    pub ha_enabled: bool,
}

/// Whether a host answers, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "contact", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Contact {
    /// Its toolstack answers.
    Answers,
    /// It took the login as a master does, and then did not answer in time.
    Busy {
        /// The error.
        why: String,
    },
    /// It refuses user or password.
    Forbidden {
        /// The error.
        why: String,
    },
    /// The connection is refused.
    ///
    /// Something is up at the address, but no toolstack listens.
    Refuses {
        /// The error.
        why: String,
    },
    /// Nothing comes back: it is off, or cut off from here.
    Silent {
        /// The error.
        why: String,
    },
    /// Its toolstack is starting (`HOST_STILL_BOOTING`).
    Starting,
    /// What answers is no XAPI, or answered something odd.
    Strange {
        /// The error.
        why: String,
    },
    /// Its certificate is not trusted; the password was not sent.
    Untrusted {
        /// The error.
        why: String,
    },
}

impl HostAnswer {
    /// A host that was asked at this endpoint, and said no more than this.
    pub fn new(endpoint: impl Into<String>, contact: Contact) -> Self {
        let endpoint = endpoint.into();
        Self {
            addresses: BTreeSet::from([host_of(&endpoint).to_owned()]),
            endpoint,
            contact,
            role: None,
            emergency_mode: None,
            emergency_error: None,
            ha_armed: None,
            leads: None,
            took: Duration::ZERO,
        }
    }

    /// Whether its toolstack answers, if only to say that it starts.
    pub fn answers(&self) -> bool {
        matches!(self.contact, Contact::Answers | Contact::Busy { .. } | Contact::Starting)
    }

    /// The address of the master that it says it follows.
    pub fn follows(&self) -> Option<&str> {
        match &self.role {
            Some(HostRole::Slave(address)) => Some(address),
            _ => None,
        }
    }

    /// Whether the pool's records or other hosts call it by this address.
    pub fn is_at(&self, address: &str) -> bool {
        self.addresses.contains(address)
    }

    /// Whether it is in emergency mode because HA's daemon does not run there, though it should.
    pub(super) fn tells_of_ha(&self) -> bool {
        const REASONS: [&str; 2] =
            ["HA_HOST_CANNOT_ACCESS_STATEFILE", "HA_HEARTBEAT_DAEMON_STARTUP_FAILED"];
        let error = self.emergency_error.as_ref();
        error.is_some_and(|error| REASONS.contains(&error.code.as_str()))
    }

    /// The name or address at which it was asked, without scheme and port.
    pub(super) fn host(&self) -> &str {
        host_of(&self.endpoint)
    }
}

fn host_of(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').map_or(bracketed, |(host, _)| host),
        None => rest.split_once(':').map_or(rest, |(host, _)| host),
    }
}

fn in_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
