//! A transport that plays a script: for tests of whatever speaks to hosts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Body, Cancel, Clock, Request, Transport};

/// Expects requests in order and plays canned replies.
///
/// Its clock moves only by being waited on.
///
/// Clones share one script. Whatever was not expected fails with `InvalidInput` and is remembered,
/// so that [`verify`](Self::verify) tells it also where the caller swallowed the error.
///
/// ```
/// use xcp_pool::transport::Scripted;
///
/// let script = Scripted::new();
/// script.expect("phantom", "session.login_with_password", r#"{"result":"OpaqueRef:s","id":1}"#);
/// ```
#[derive(Clone, Default)]
pub struct Scripted(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    script: VecDeque<Exchange>,
    requests: Vec<String>,
    surprises: Vec<String>,
    now: Duration,
}

struct Exchange {
    host: String,
    request: String,
    answer: Answer,
}

enum Answer {
    Body(String),
    Fails(ErrorKind, String),
}

impl Scripted {
    /// A transport with an empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects a request whose text contains `request`, and replies with `body`.
    ///
    /// The host is a name or address, or a whole endpoint such as `https://10.0.0.1:8443`.
    pub fn expect(&self, host: &str, request: &str, body: &str) -> &Self {
        self.push(host, request, Answer::Body(body.to_owned()))
    }

    /// Expects a request, and fails as a transport does.
    pub fn fail(&self, host: &str, request: &str, kind: ErrorKind, message: &str) -> &Self {
        self.push(host, request, Answer::Fails(kind, message.to_owned()))
    }

    /// The requests so far, as JSON texts.
    pub fn requests(&self) -> Vec<String> {
        self.with(|state| state.requests.clone())
    }

    /// How many requests of the script have not come.
    pub fn remaining(&self) -> usize {
        self.with(|state| state.script.len())
    }

    /// Fails unless exactly the script was played.
    ///
    /// # Errors
    /// `InvalidInput` that names what came unexpectedly or did not come.
    pub fn verify(&self) -> Result<()> {
        self.with(|state| {
            if let Some(surprise) = state.surprises.first() {
                return Err(Error::new(ErrorKind::InvalidInput, surprise.clone()));
            }
            match state.script.front() {
                None => Ok(()),
                Some(next) => Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "{} requests did not come; the next is {} to {}",
                        state.script.len(),
                        next.request,
                        next.host
                    ),
                )),
            }
        })
    }

    fn push(&self, host: &str, request: &str, answer: Answer) -> &Self {
        self.with(|state| {
            state.script.push_back(Exchange {
                host: host.to_owned(),
                request: request.to_owned(),
                answer,
            });
        });
        self
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Transport for Scripted {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        request.cancel.check()?;
        let text = String::from_utf8_lossy(request.body).into_owned();
        self.with(|state| {
            state.requests.push(text.clone());
            let endpoint = request.endpoint;
            let host = endpoint.host();
            let is_at = |expected: &str| expected == host || expected == endpoint.to_string();
            match state.script.pop_front() {
                Some(next) if is_at(&next.host) && text.contains(&next.request) => {
                    match next.answer {
                        Answer::Body(body) => Ok(Body::Bytes(body.into_bytes())),
                        Answer::Fails(kind, message) => Err(Error::new(kind, message)),
                    }
                }
                next => {
                    let expected = match &next {
                        Some(next) => format!("{} to {}", next.request, next.host),
                        None => "nothing".to_owned(),
                    };
                    if let Some(next) = next {
                        state.script.push_front(next);
                    }
                    // Up to the parameters, which hold secrets.
                    let got = text.split(",\"params\"").next().unwrap_or_default();
                    let surprise =
                        format!("the script expected {expected}, and got {got} to {host}");
                    state.surprises.push(surprise.clone());
                    Err(Error::new(ErrorKind::InvalidInput, surprise))
                }
            }
        })
    }

    fn clock(&self) -> &dyn Clock {
        self
    }
}

impl Clock for Scripted {
    fn now(&self) -> Duration {
        self.with(|state| state.now)
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        cancel.check()?;
        self.with(|state| state.now += time);
        Ok(())
    }
}
