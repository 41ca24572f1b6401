//! HTTP by hand, to see every byte of what the simulator's front answers.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value as Json, json};

/// A reply as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub version: String,
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        &found.unwrap_or_else(|| panic!("no {name}: {self:?}")).1
    }
}

/// A connection over which requests go one after the other.
pub(crate) struct Connection {
    pub socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { socket, buffer: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next reply; an error if the connection ends before it is whole.
    pub(crate) fn receive(&mut self) -> io::Result<Answer> {
        let end = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at,
                None => self.read_more()?,
            }
        };
        let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap().splitn(3, ' ');
        let version = words.next().unwrap().to_owned();
        let status = words.next().unwrap().parse().unwrap();
        let reason = words.next().unwrap().to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer { version, status, reason, headers, body: Vec::new() };
        let length: usize = answer.header("content-length").parse().unwrap();
        while self.buffer.len() < length {
            self.read_more()?;
        }
        answer.body = self.buffer.drain(..length).collect();
        Ok(answer)
    }

    /// Sends a request and waits for its reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.send(&request(method, path, headers, body));
        self.receive().unwrap()
    }

    /// Calls a method by JSON-RPC 2.0.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: &Json) -> Json {
        self.ask("POST", "/jsonrpc", "", call(method, params).as_bytes()).json()
    }

    /// A session of root.
    #[track_caller]
    pub(crate) fn log_in(&mut self) -> String {
        let reply = self.call("session.login_with_password", &json!(["root", "xcp-test"]));
        reply["result"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    /// Whether the other side has closed the connection, without another byte.
    pub(crate) fn is_over(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.socket.read(&mut [0]), Ok(0))
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut piece = [0; 64 << 10];
        match self.socket.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&piece[..count]);
                Ok(())
            }
        }
    }
}

/// A request with `Host` and, if it is not a GET, its length.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = match method {
        "GET" => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}{length}\r\n");
    [head.as_bytes(), body].concat()
}

/// The body of a call by JSON-RPC 2.0.
pub(crate) fn call(method: &str, params: &Json) -> String {
    json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string()
}
