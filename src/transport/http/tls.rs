//! TLS, and who is at the other end of it.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme, StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::text::{plain, quoted};
use crate::transport::http::buffers::{Borrowed, Lender};
use crate::transport::http::fingerprint::Fingerprint;
use crate::transport::http::trust::{Kind, Mismatch, Trust};

/// Wraps connections in TLS, and lets only trusted hosts through.
#[derive(Clone)]
pub(super) struct TlsConnector {
    config: Arc<ClientConfig>,
    trust: Trust,
    buffers: Lender,
}

impl TlsConnector {
    pub(super) fn new(trust: Trust, buffers: Lender) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = match &trust.0 {
            Kind::System => Some(system_roots()?),
            Kind::Authorities(list) => Some(roots(list.iter().cloned())?),
            Kind::Any | Kind::FirstUse(_) | Kind::Pins(_) => None,
        };
        let authorities = match authorities {
            Some(roots) => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|error| {
                        Error::new(ErrorKind::InvalidInput, "the authorities cannot be used")
                            .with_source(error)
                    })?,
            ),
            None => None,
        };
        let verifier =
            Verifier { authorities, algorithms: provider.signature_verification_algorithms };
        let config = config(provider, verifier)?;
        Ok(Self { config: Arc::new(config), trust, buffers })
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Shakes hands, and looks whose hand it was.
    fn wrap<In: Transport>(
        &self,
        details: &ConnectionDetails<'_>,
        transport: In,
    ) -> Result<TlsLink, ureq::Error> {
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            other(
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("{} is no name of a host", quoted(host)),
                )
                .with_source(error),
            )
        })?;
        let mut connection = ClientConnection::new(self.config.clone(), name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        let place = format!("{host}:{}", details.uri.port_u16().unwrap_or(443));
        connection.complete_io(&mut socket).map_err(|error| explain(&place, error))?;
        // Nothing of the request has been sent yet.
        let certificate = connection.peer_certificates().and_then(|chain| chain.first());
        let actual = certificate.map(|certificate| Fingerprint::of(certificate));
        let accepted = match actual {
            Some(actual) => self.trust.accept(&place, actual),
            None => Err(Error::new(ErrorKind::Trust, format!("{place} showed no certificate"))),
        };
        accepted.map_err(other)?;
        Ok(TlsLink {
            buffers: self.buffers.lend(),
            stream: StreamOwned { conn: connection, sock: socket },
        })
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsLink>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        match chained {
            Some(transport) if details.needs_tls() && !transport.is_tls() => {
                self.wrap(details, transport).map(|link| Some(Either::B(link)))
            }
            other => Ok(other.map(Either::A)),
        }
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").field("trust", &self.trust).finish_non_exhaustive()
    }
}

fn config(provider: Arc<CryptoProvider>, verifier: Verifier) -> Result<ClientConfig> {
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| {
        Error::new(ErrorKind::Internal, "TLS cannot be set up").with_source(error)
    })?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn system_roots() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let error = found.errors.into_iter().next();
    roots(found.certs).map_err(|none| {
        let none = none.context("the system's store");
        match error {
            Some(error) => none.with_source(error),
            None => none,
        }
    })
}

/// Those of the certificates that can be used; some of a system's store never can.
fn roots(list: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(list);
    if added == 0 {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "there is no certificate authority that could be trusted",
        ));
    }
    Ok(roots)
}

fn other(error: Error) -> ureq::Error {
    ureq::Error::Other(Box::new(error))
}

/// A handshake that failed: at a certificate, or otherwise.
fn explain(place: &str, error: io::Error) -> ureq::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        None => ureq::Error::from(error),
        Some(rustls::Error::Other(OtherError(inner))) if inner.is::<Unsigned>() => {
            let message = format!("no trusted authority vouches for the certificate of {place}");
            let unsigned = inner.downcast_ref::<Unsigned>().map(|unsigned| Unsigned {
                mismatch: Mismatch { host: place.to_owned(), ..unsigned.mismatch.clone() },
                reason: unsigned.reason.clone(),
            });
            if let Some(unsigned) = &unsigned {
                log::warning!(transport, "{message}: {}", plain(unsigned));
            }
            let error = Error::new(ErrorKind::Trust, message);
            other(match unsigned {
                Some(unsigned) => error.with_source(unsigned),
                None => error,
            })
        }
        Some(rustls::Error::InvalidCertificate(reason)) => {
            log::warning!(transport, "the certificate of {place} is not valid: {}", plain(reason));
            other(
                Error::new(ErrorKind::Trust, format!("the certificate of {place} is not valid"))
                    .with_source(error),
            )
        }
        Some(_) => other(
            Error::new(ErrorKind::Transport, format!("{place} and TLS: no agreement"))
                .with_source(error),
        ),
    }
}

/// A certificate that no authority vouches for, with its fingerprint.
#[derive(Clone, Debug, thiserror::Error)]
#[error("its fingerprint is {}: {reason}", mismatch.actual)]
struct Unsigned {
    #[source]
    mismatch: Mismatch,
    reason: rustls::Error,
}

/// Checks that the host has the key of the certificate that it shows, and, where authorities were
/// given, that one of them has signed it. Pins are compared after the handshake, because then the
/// certificate of a resumed session is compared too.
#[derive(Debug)]
struct Verifier {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        verified.map_err(|reason| {
            let mismatch = Mismatch {
                host: server_name.to_str().into_owned(),
                expected: Vec::new(),
                actual: Fingerprint::of(end_entity),
            };
            rustls::Error::Other(OtherError(Arc::new(Unsigned { mismatch, reason })))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A TLS connection.
pub(super) struct TlsLink {
    buffers: Borrowed,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsLink {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.buffers.get()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.get().output()[..amount];
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.get().input_append_buf())?;
        self.buffers.get().input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.buffers.give_back();
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLink").field("over", &self.stream.sock.inner()).finish_non_exhaustive()
    }
}
