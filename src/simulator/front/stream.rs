//! What a connection is read from and written to.

use std::io::{Read, Write};
use std::net::TcpStream;

/// A stream to talk HTTP on.
pub(super) trait Stream: Read + Write {
    /// The socket below.
    fn socket(&self) -> &TcpStream;

    /// Says that nothing follows, where there is a way to say so.
    fn say_goodbye(&mut self) {}
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}
