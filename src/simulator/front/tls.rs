//! TLS, with a certificate of the kind that hosts make for themselves.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::stream::Stream;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Fingerprint;

/// A key for tests, and its certificate; everybody has them, so they protect nothing.
pub(super) const TEST_KEY: &str = include_str!("test-key-not-secret.pem");

/// What a listener with TLS shows.
#[derive(Clone)]
pub(super) struct Identity {
    pub config: Arc<ServerConfig>,
    pub fingerprint: Fingerprint,
}

impl Identity {
    /// Reads a private key and a certificate with its chain, as PEM in one text.
    pub(super) fn read(pem: &str) -> Result<Self> {
        let wrong = |what: &'static str| Error::new(ErrorKind::InvalidInput, what);
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain =
            chain.map_err(|error| wrong("the certificate is not PEM").with_source(error))?;
        let leaf = chain.first().ok_or_else(|| wrong("there is no certificate in the PEM"))?;
        let fingerprint = Fingerprint::of(leaf);
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| wrong("there is no private key in the PEM").with_source(error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unfit = |error: rustls::Error| {
            wrong("the certificate cannot be used for TLS").with_source(error)
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unfit)?;
        Ok(Self { config: Arc::new(config), fingerprint })
    }

    /// The server's end of TLS on a connection; hands are shaken at the first read.
    pub(super) fn wrap(&self, socket: TcpStream) -> Option<TlsStream> {
        let connection = ServerConnection::new(self.config.clone()).ok()?;
        Some(StreamOwned::new(connection, socket))
    }
}

pub(super) type TlsStream = StreamOwned<ServerConnection, TcpStream>;

impl Stream for TlsStream {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn say_goodbye(&mut self) {
        self.conn.send_close_notify();
        self.flush().ok();
    }
}
