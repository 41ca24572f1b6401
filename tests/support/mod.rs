//! A caller of the simulator's hosts that speaks JSON-RPC 2.0 by hand.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod recorded;

use std::time::Duration;

use serde_json::{Value as Json, json};
use xcp_pool::simulator::{World, WorldTransport};
use xcp_pool::transport::{Cancel, Clock, Endpoint, Limits, Request, Transport};
use xcp_pool::{Error, Fault};

/// What a call came to: a result, a fault, or no reply.
#[derive(Debug)]
pub(crate) enum Failed {
    Fault(Fault),
    Lost(Error),
}

impl Failed {
    pub(crate) fn fault(self) -> String {
        match self {
            Self::Fault(fault) => fault.to_string(),
            Self::Lost(error) => panic!("no reply: {error}"),
        }
    }

    pub(crate) fn lost(self) -> Error {
        match self {
            Self::Fault(fault) => panic!("an answer: {fault}"),
            Self::Lost(error) => error,
        }
    }
}

/// Somebody who is logged in at one host.
pub(crate) struct Caller {
    pub transport: WorldTransport,
    pub host: String,
    pub session: String,
}

pub(crate) fn sleep(transport: &WorldTransport, seconds: u64) {
    transport.sleep(Duration::from_secs(seconds), &Cancel::new()).unwrap();
}

/// Calls without a session, or with one among the parameters.
#[expect(clippy::needless_pass_by_value, reason = "it is built where it is given")]
pub(crate) fn raw(
    transport: &WorldTransport,
    host: &str,
    method: &str,
    params: Json,
) -> Result<Json, Failed> {
    let body = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string();
    let endpoint = Endpoint::https(host);
    let (cancel, limits) = (Cancel::new(), Limits::within(Duration::from_secs(600)));
    let request = Request::new(&endpoint, body.as_bytes(), limits, &cancel);
    let reply = transport.exchange(&request).map_err(Failed::Lost)?;
    let reply: Json = serde_json::from_slice(&reply.into_bytes().unwrap()).unwrap();
    let texts = |json: &Json| -> Vec<String> {
        json.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    match &reply["error"] {
        Json::Null => Ok(reply["result"].clone()),
        Json::Array(_) => {
            let all = texts(&reply["error"]);
            Err(Failed::Fault(Fault::new(&all[0], all[1..].to_vec())))
        }
        error => {
            let code = error["message"].as_str().unwrap();
            Err(Failed::Fault(Fault::new(code, texts(&error["data"]))))
        }
    }
}

impl Caller {
    pub(crate) fn login(world: &World, host: &str) -> Self {
        let transport = world.transport();
        let params = json!(["root", "xcp-test", "1.0", "tests"]);
        let session = raw(&transport, host, "session.login_with_password", params).unwrap();
        Self { transport, host: host.to_owned(), session: session.as_str().unwrap().to_owned() }
    }

    pub(crate) fn try_call<const N: usize>(
        &self,
        method: &str,
        params: [Json; N],
    ) -> Result<Json, Failed> {
        let mut all = vec![json!(self.session)];
        all.extend(params);
        raw(&self.transport, &self.host, method, Json::Array(all))
    }

    #[track_caller]
    pub(crate) fn call<const N: usize>(&self, method: &str, params: [Json; N]) -> Json {
        self.try_call(method, params).unwrap_or_else(|failed| panic!("{method}: {failed:?}"))
    }

    /// The fault that a call must raise.
    #[track_caller]
    pub(crate) fn fault<const N: usize>(&self, method: &str, params: [Json; N]) -> String {
        match self.try_call(method, params) {
            Ok(result) => panic!("{method} answered {result}"),
            Err(failed) => failed.fault(),
        }
    }

    /// The only object of a class with a label.
    #[track_caller]
    pub(crate) fn named(&self, class: &str, label: &str) -> Json {
        let found = self.call(&format!("{class}.get_by_name_label"), [json!(label)]);
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), 1, "{class} {label}");
        found[0].clone()
    }

    /// A field of an object.
    #[track_caller]
    pub(crate) fn field(&self, class: &str, object: &Json, field: &str) -> Json {
        self.call(&format!("{class}.get_{field}"), [object.clone()])
    }

    pub(crate) fn sleep(&self, seconds: u64) {
        sleep(&self.transport, seconds);
    }
}
