//! The smallest HTTP server that these tests need: it answers as it is told, over TCP or TLS.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use xcp_pool::transport::{Cancel, Endpoint, Fingerprint, Limits, Request};

/// A connection to answer on.
pub(crate) trait Stream: Read + Write + Send {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Asked {
    pub head: String,
    pub body: String,
    /// Which connection it came on, and which request of all it is; both from 0.
    pub connection: usize,
    pub number: usize,
}

pub(crate) struct Server {
    pub address: SocketAddr,
    pub scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
}

/// Answers one request; an error closes the connection.
pub(crate) type Answer = dyn Fn(&Asked, &mut dyn Stream) -> io::Result<()> + Send + Sync;

impl Server {
    pub(crate) fn plain(
        answer: impl Fn(&Asked, &mut dyn Stream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, Arc::new(answer))
    }

    pub(crate) fn tls(
        config: ServerConfig,
        answer: impl Fn(&Asked, &mut dyn Stream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::new(config)), Arc::new(answer))
    }

    fn start(tls: Option<Arc<ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            scheme: if tls.is_some() { "https" } else { "http" },
            asked: Arc::default(),
            connections: Arc::default(),
        };
        let (asked, connections) = (server.asked.clone(), server.connections.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                let (tls, answer, asked) = (tls.clone(), answer.clone(), asked.clone());
                std::thread::spawn(move || {
                    let stream: Box<dyn Stream> = match tls {
                        None => Box::new(socket),
                        Some(config) => Box::new(StreamOwned::new(
                            ServerConnection::new(config).unwrap(),
                            socket,
                        )),
                    };
                    let _ = serve(stream, connection, &*answer, &asked);
                });
            }
        });
        server
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        format!("{}://{}", self.scheme, self.address).parse().unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: Box<dyn Stream>,
    connection: usize,
    answer: &Answer,
    asked: &Mutex<Vec<Asked>>,
) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned)
            })
            .map_or(0, |length| length.trim().parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let request = {
            let mut asked = asked.lock().unwrap();
            let number = asked.len();
            asked.push(Asked { head, body, connection, number });
            asked[number].clone()
        };
        answer(&request, &mut *stream)?;
    }
}

/// Writes a reply with status 200 and this body.
pub(crate) fn ok(stream: &mut dyn Stream, body: &str) -> io::Result<()> {
    respond(stream, "200 OK", "", body)
}

pub(crate) fn respond(
    stream: &mut dyn Stream,
    status: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    stream.write_all(
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}").as_bytes(),
    )?;
    stream.flush()
}

/// An error that makes the server drop the connection.
pub(crate) fn hang_up() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionAborted.into())
}

fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

/// A server's TLS with the certificate of a file in `tests/data/tls`.
pub(crate) fn certificate(
    name: &str,
    version: &'static rustls::SupportedProtocolVersion,
) -> ServerConfig {
    let path = pem(name);
    let chain = CertificateDer::pem_file_iter(&path).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&path).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

pub(crate) fn fingerprint(name: &str) -> Fingerprint {
    Fingerprint::of(&CertificateDer::from_pem_file(pem(name)).unwrap())
}

pub(crate) fn bundle(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| std::fs::read(pem(name)).unwrap()).collect()
}

/// A request with these limits.
pub(crate) fn request<'a>(
    endpoint: &'a Endpoint,
    body: &'a str,
    limits: Limits,
    cancel: &'a Cancel,
) -> Request<'a> {
    Request::new(endpoint, body.as_bytes(), limits, cancel)
}
