//! Which certificates are trusted.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::transport::http::fingerprint::Fingerprint;
use crate::transport::http::pins::PinStore;

/// Which certificates of hosts are trusted.
///
/// XAPI hosts have self-signed certificates unless somebody installed others. For those, know the
/// fingerprint beforehand ([`Trust::pins`]), or remember the one that was seen first
/// ([`Trust::first_use`]). A pin says which certificate it must be; whether that one has expired,
/// is an authority, or names another host is then no question.
#[derive(Clone)]
pub struct Trust(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Any,
    Authorities(Arc<[CertificateDer<'static>]>),
    FirstUse(Arc<dyn PinStore>),
    Pins(Arc<[Fingerprint]>),
    System,
}

impl Trust {
    /// Trusts certificates that an authority of the system's store signed.
    ///
    /// They must be for the name that they are used with.
    ///
    /// The store is the operating system's, so that a company's own authority counts where its
    /// administrators installed it.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// Trusts certificates that one of these authorities signed.
    ///
    /// They must be for the name that they are used with.
    ///
    /// A self-signed host certificate may be given as its own authority.
    ///
    /// # Errors
    /// `InvalidInput` if the text has no certificate in PEM, or one that cannot be read.
    pub fn authorities(pem: &[u8]) -> Result<Self> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "a certificate of the bundle cannot be read")
                .with_source(error)
        })?;
        if certificates.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the bundle has no certificate in PEM form",
            ));
        }
        Ok(Self(Kind::Authorities(certificates.into())))
    }

    /// Authorities from a PEM file.
    ///
    /// # Errors
    /// `InvalidInput` if the file cannot be read, and as [`Self::authorities`].
    pub fn authorities_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let pem = std::fs::read(path).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, format!("{} cannot be read", path.display()))
                .with_source(error)
        })?;
        Self::authorities(&pem).map_err(|error| error.context(path.display()))
    }

    /// Certificates with one of these fingerprints.
    pub fn pins(pins: impl IntoIterator<Item = Fingerprint>) -> Self {
        Self(Kind::Pins(pins.into_iter().collect()))
    }

    /// The certificate that each host showed first, as the store remembers.
    pub fn first_use(store: impl PinStore + 'static) -> Self {
        Self(Kind::FirstUse(Arc::new(store)))
    }

    /// Any certificate: whoever is on the way can be the host, and gets the password.
    pub fn danger_accept_any() -> Self {
        Self(Kind::Any)
    }

    /// Decides about the certificate that a host showed, where that was left to us.
    ///
    /// `host` is name and port.
    pub(super) fn accept(&self, host: &str, actual: Fingerprint) -> Result<()> {
        let expected = match &self.0 {
            Kind::Any | Kind::Authorities(_) | Kind::System => return Ok(()),
            Kind::Pins(pins) => pins.to_vec(),
            Kind::FirstUse(store) => match store.pin(host)? {
                Some(pin) => vec![pin],
                // Another thread may have been first, with another certificate.
                None => {
                    log::warning!(transport, "{host} is seen first, and is remembered by {actual}");
                    vec![store.remember(host, actual)?]
                }
            },
        };
        if expected.contains(&actual) {
            return Ok(());
        }
        log::warning!(transport, "{host} shows {actual}, expected was {}", list(&expected));
        Err(Mismatch { host: host.to_owned(), expected, actual }.into())
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Any => f.write_str("Trust::danger_accept_any"),
            Kind::Authorities(list) => write!(f, "Trust::authorities({})", list.len()),
            Kind::FirstUse(_) => f.write_str("Trust::first_use"),
            Kind::Pins(pins) => f.debug_tuple("Trust::pins").field(pins).finish(),
            Kind::System => f.write_str("Trust::system"),
        }
    }
}

/// A certificate that is not the one that was expected.
///
/// The source of errors of kind `Trust`; [`Mismatch::of`] finds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}, and it is {actual}", list(expected))]
#[non_exhaustive]
pub struct Mismatch {
    /// The host: name or address, and port.
    pub host: String,
    /// The fingerprints that would have been right.
    ///
    /// Empty if an authority should have signed.
    pub expected: Vec<Fingerprint>,
    /// The fingerprint of the certificate that the host showed.
    pub actual: Fingerprint,
}

impl Mismatch {
    /// The mismatch that an error is about.
    pub fn of(error: &Error) -> Option<&Self> {
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            if let Some(mismatch) = inner.downcast_ref() {
                return Some(mismatch);
            }
            source = inner.source();
        }
        None
    }
}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        let host = &mismatch.host;
        let message = format!("the certificate of {host} is not the expected one");
        Self::new(ErrorKind::Trust, message).with_source(mismatch)
    }
}

fn list(fingerprints: &[Fingerprint]) -> String {
    match fingerprints {
        [] => "one that an authority has signed".to_owned(),
        _ => fingerprints.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http::MemoryPins;

    #[test]
    fn a_mismatch_tells_host_expected_and_actual() {
        let (a, b) = (Fingerprint::of(b"a"), Fingerprint::of(b"b"));
        let error = Trust::pins([a]).accept("phantom:443", b).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Trust);
        let mismatch = Mismatch::of(&error).unwrap();
        assert_eq!((mismatch.expected.as_slice(), mismatch.actual), (&[a][..], b));
        assert_eq!(error.to_string(), "the certificate of phantom:443 is not the expected one");
        assert_eq!(mismatch.to_string(), format!("expected {a}, and it is {b}"));
        Trust::pins([a, b]).accept("phantom:443", b).unwrap();
        Trust::pins([]).accept("phantom:443", b).unwrap_err();
    }

    #[test]
    fn what_was_seen_first_is_trusted_from_then_on() {
        let (a, b) = (Fingerprint::of(b"a"), Fingerprint::of(b"b"));
        let trust = Trust::first_use(MemoryPins::default());
        trust.accept("phantom:443", a).unwrap();
        trust.accept("phantom:443", a).unwrap();
        trust.accept("phantom:8443", b).unwrap();
        let error = trust.accept("phantom:443", b).unwrap_err();
        assert_eq!(Mismatch::of(&error).unwrap().expected, [a]);
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        for pem in [&b""[..], b"x", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"]
        {
            let error = Trust::authorities(pem).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        let error = Trust::authorities_file("/nowhere/ca.pem").unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"));
    }
}
