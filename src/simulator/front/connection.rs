//! One connection: requests are read, answered and delivered until it ends.

use std::io::{self, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::http::{Bad, Head, Reply};
use super::stream::Stream;
use super::xmlrpc;
use crate::simulator::envelope::{Envelope, HttpReply, Unreadable, error_page};
use crate::simulator::world::{OnTheWay, attend};
use crate::transport::Cancel;

/// What becomes of a request.
enum Outcome {
    /// It is answered; something may befall the answer.
    Answer(Reply, Option<OnTheWay>),
    /// The connection ends without a word.
    HangUp,
}

/// How reading a head ended.
enum Reading {
    Head(Head),
    Refused(Reply),
    /// There is nobody any more.
    Over,
}

/// Serves a connection to its end.
pub(super) fn serve(wire: &mut dyn Stream, backend: &Backend, cancel: &Cancel) {
    let mut buffer = Vec::new();
    let mut first = true;
    loop {
        let reading = read_head(wire, &mut buffer, backend, std::mem::take(&mut first));
        let (version, outcome) = match reading {
            Reading::Head(head) => {
                (head.version, answer(wire, &mut buffer, backend, cancel, &head))
            }
            Reading::Refused(reply) => ("1.1", Outcome::Answer(reply, None)),
            Reading::Over => return,
        };
        let Outcome::Answer(reply, trouble) = outcome else {
            wire.socket().shutdown(Shutdown::Both).ok();
            return;
        };
        let cut = trouble == Some(OnTheWay::Cut);
        let delivered = deliver(wire, &reply, version, trouble, backend, cancel);
        if cut || delivered.is_err() {
            wire.socket().shutdown(Shutdown::Both).ok();
            return;
        }
        if reply.close {
            linger(wire);
            return;
        }
    }
}

/// Reads the head of the next request (`http.ml`). Only the first of a connection is waited for
/// with timeouts.
fn read_head(
    wire: &mut dyn Stream,
    buffer: &mut Vec<u8>,
    backend: &Backend,
    first: bool,
) -> Reading {
    let start = Instant::now();
    let patience = first.then_some(backend.header_timeout);
    if wire.socket().set_read_timeout(patience).is_err() {
        return Reading::Over;
    }
    loop {
        let limit = MAX_HEAD.min(buffer.len());
        if let Some(end) = buffer[..limit].windows(4).position(|window| window == b"\r\n\r\n") {
            let head = Head::parse(&buffer[..end + 4]);
            buffer.drain(..end + 4);
            return match head {
                Ok(head) => Reading::Head(head),
                Err(Bad::Head) => {
                    Reading::Refused(server_error("the head of the request cannot be read"))
                }
                Err(Bad::Length) => Reading::Refused(server_error("Failure(\"Int64.of_string\")")),
            };
        }
        if buffer.len() >= MAX_HEAD {
            let words = format!("There are {MAX_HEAD} bytes for the request line and headers.");
            return Reading::Refused(Reply::page(431, "request header fields too large", &words));
        }
        if first && start.elapsed() > backend.total_header_timeout {
            return Reading::Refused(late());
        }
        match read_some(wire, buffer) {
            Ok(0) => return Reading::Over,
            Ok(_) => {}
            Err(error) if is_timeout(&error) => return Reading::Refused(late()),
            Err(_) => return Reading::Over,
        }
    }
}

/// Finds out what a request wants, and does it.
fn answer(
    wire: &mut dyn Stream,
    buffer: &mut Vec<u8>,
    backend: &Backend,
    cancel: &Cancel,
    head: &Head,
) -> Outcome {
    let reply = match (head.method.as_str(), head.path.as_str()) {
        ("POST", path) if path.starts_with('/') => {
            let body = match read_body(wire, buffer, head) {
                Ok(Some(body)) => body,
                Ok(None) => return Outcome::HangUp,
                Err(words) => return Outcome::Answer(server_error(words), None),
            };
            // The longest known beginning of the path counts; all else is XML-RPC.
            return if path.starts_with("/jsonrpc") {
                call(backend, cancel, head, Envelope::read(&body), "application/json")
            } else {
                call(backend, cancel, head, xmlrpc::read(&body), "text/xml")
            };
        }
        ("OPTIONS", path) if path.starts_with('/') => Reply::options(head),
        ("GET", path) if PRIVATE.iter().any(|private| path.starts_with(private)) => {
            let realm = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            match backend.admits(head) {
                false => Reply::unauthorised(realm),
                true => Reply::page(404, "not found", "The simulator keeps nothing here."),
            }
        }
        ("GET" | "PUT" | "POST" | "OPTIONS" | "CONNECT", _) => {
            Reply::page(403, "forbidden", "Access to the requested resource is forbidden.")
        }
        _ => Reply::page(501, "method not implemented", "Only GET, PUT, POST and OPTIONS are."),
    };
    Outcome::Answer(reply, None)
}

/// Has the host carry a call out.
fn call(
    backend: &Backend,
    cancel: &Cancel,
    head: &Head,
    request: Result<Envelope, Unreadable>,
    content_type: &str,
) -> Outcome {
    backend.count();
    match attend(&backend.world, &backend.name, request, Duration::MAX, cancel) {
        Ok((HttpReply { status: 200, body, early }, trouble)) => {
            Outcome::Answer(Reply::api(head, content_type, early, body), trouble)
        }
        Ok((HttpReply { status, body, .. }, trouble)) => {
            Outcome::Answer(Reply::html(status, body), trouble)
        }
        Err(_) => Outcome::HangUp,
    }
}

/// Reads the body of a request; `None` if it does not come whole.
fn read_body(
    wire: &mut dyn Stream,
    buffer: &mut Vec<u8>,
    head: &Head,
) -> Result<Option<Vec<u8>>, &'static str> {
    let length = head.content_length.ok_or("Failure(\"there is no content-length\")")?;
    let length = usize::try_from(length).map_err(|_| "Invalid_argument(\"content-length\")")?;
    if length > MAX_BODY {
        return Err("Http_svr.Client_requested_size_over_limit");
    }
    if wire.socket().set_read_timeout(None).is_err() {
        return Ok(None);
    }
    while buffer.len() < length {
        if !read_some(wire, buffer).is_ok_and(|count| count > 0) {
            return Ok(None);
        }
    }
    let rest = buffer.split_off(length);
    Ok(Some(std::mem::replace(buffer, rest)))
}

/// Sends a reply, as whole as it is meant to arrive.
fn deliver(
    wire: &mut dyn Stream,
    reply: &Reply,
    version: &str,
    trouble: Option<OnTheWay>,
    backend: &Backend,
    cancel: &Cancel,
) -> io::Result<()> {
    let mut bytes = reply.head(version);
    let half = bytes.len() + reply.body.len() / 2;
    bytes.extend_from_slice(&reply.body);
    let send = |wire: &mut dyn Stream, bytes: &[u8]| {
        wire.write_all(bytes)?;
        wire.flush()
    };
    // A connection that is to end is not kept waiting for the rest.
    let wait = |time: Duration| match cancel.wait(backend.real(time)) {
        true => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
        false => Ok(()),
    };
    match trouble {
        None => send(wire, &bytes),
        Some(OnTheWay::Cut) => send(wire, &bytes[..half]),
        Some(OnTheWay::Stalled(time)) => {
            send(wire, &bytes[..half])?;
            wait(time)?;
            send(wire, &bytes[half..])
        }
        Some(OnTheWay::Slow(time)) => {
            let size = bytes.len().div_ceil(PIECES).max(1);
            let pieces = u32::try_from(bytes.len().div_ceil(size)).unwrap_or(1).max(1);
            for piece in bytes.chunks(size) {
                wait(time / pieces)?;
                send(wire, piece)?;
            }
            Ok(())
        }
    }
}

/// Ends a connection so that the reply arrives although not all of the request was read: whoever
/// closes over unread bytes resets the connection.
fn linger(wire: &mut dyn Stream) {
    wire.say_goodbye();
    let socket = wire.socket();
    if socket.shutdown(Shutdown::Write).is_err() || socket.set_read_timeout(Some(LINGER)).is_err() {
        return;
    }
    let start = Instant::now();
    let mut rest = [0; 4096];
    let mut socket = socket;
    while start.elapsed() < LINGER && socket.read(&mut rest).is_ok_and(|count| count > 0) {}
}

/// Reads what there is.
fn read_some(wire: &mut dyn Stream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; 16 << 10];
    loop {
        match wire.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(count) => {
                buffer.extend_from_slice(&piece[..count]);
                return Ok(count);
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// A 500 with the words of an exception.
fn server_error(words: &str) -> Reply {
    let HttpReply { status, body, .. } = error_page(words);
    Reply::html(status, body)
}

fn late() -> Reply {
    Reply::page(408, "request timeout", "The request did not come in time.")
}

/// The largest request line with headers: 1024 bytes less what the server reads before it looks
/// for their end (`xapi_globs.ml`, `http.ml`).
pub(super) const MAX_HEAD: usize = 1024 - "GET / HTTP/1.0\r\n\r\n".len();

/// The largest body (`constants.ml`, `db_globs.ml`).
const MAX_BODY: usize = 300 << 10;

/// Handlers that want to know who asks.
const PRIVATE: &[&str] =
    &["/export", "/host_backup", "/host_rrd", "/rrd_updates", "/sr_rrd", "/vm_rrd"];

/// In how many pieces a slow reply comes.
const PIECES: usize = 40;

/// How long the rest of a request that was refused is read.
const LINGER: Duration = Duration::from_millis(500);
