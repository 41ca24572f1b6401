//! What the log is told of each request: method, host, time, size and how it ended.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Result;
use crate::log;
use crate::transport::{Body, Endpoint, Transport};

/// One request that the log is told of; nothing is measured if nobody listens.
pub(super) struct Told {
    began: Duration,
    bytes: Arc<AtomicU64>,
}

impl Told {
    /// A request that is about to be sent.
    pub(super) fn begin(transport: &dyn Transport) -> Option<Self> {
        log::is_on!(client, Debug)
            .then(|| Self { began: transport.clock().now(), bytes: Arc::default() })
    }

    /// Counts the bytes of the reply, also of one that is still arriving.
    pub(super) fn counted(told: Option<&Self>, body: Body) -> Body {
        match (body, told) {
            (Body::Bytes(bytes), told) => {
                if let Some(told) = told {
                    told.bytes.store(bytes.len() as u64, Ordering::Relaxed);
                }
                Body::Bytes(bytes)
            }
            (Body::Reader(reader), Some(told)) => {
                Body::Reader(Box::new(Counted { reader, bytes: told.bytes.clone() }))
            }
            (Body::Reader(reader), None) => Body::Reader(reader),
        }
    }

    /// Tells how the request ended.
    pub(super) fn end<T>(
        self,
        transport: &dyn Transport,
        endpoint: &Endpoint,
        method: &str,
        result: &Result<T>,
    ) {
        let took = transport.clock().now().saturating_sub(self.began).as_millis();
        let bytes = self.bytes.load(Ordering::Relaxed);
        match result {
            Ok(_) => log::debug!(client, "{method} at {endpoint}: {bytes} bytes after {took} ms"),
            Err(error) => {
                let error = log::brief(error);
                log::debug!(client, "{method} at {endpoint}: failed after {took} ms: {error}");
            }
        }
    }
}

struct Counted {
    reader: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
