//! Requests: a method and its parameters, as JSON-RPC 2.0.

use std::fmt;
use std::ops::Range;

use crate::error::{Error, ErrorKind, Fault, Result};
use crate::text::quoted;
use crate::wire::writer::Body;
use crate::wire::{ParamWriter, Params, Secret};

/// The largest request that XAPI reads, in bytes; a larger one gets HTTP 500.
///
/// xen-api `ocaml/xapi-consts/constants.ml`, `http_limit_max_rpc_size`.
pub(crate) const MAX_REQUEST: usize = 300 * 1024;

/// A request as bytes: JSON-RPC 2.0 with positional parameters, the session first.
///
/// Its memory is overwritten when it is dropped, since it holds the session ref or a password.
/// Every request has the id 1: XAPI refuses requests without an id, but answers errors that it
/// raises before dispatch with the id 0 whatever was sent, so an id proves nothing.
pub(crate) struct Call {
    method: String,
    body: Body,
    secrets: Vec<Range<usize>>,
}

impl Call {
    /// The request for a method, such as `host.get_enabled` or `Async.pool.join`.
    ///
    /// # Errors
    /// `InvalidInput` for what is no method name, and for parameters that XAPI has no form for
    /// (nulls, NaN, numbers beyond 64 bits); `TooLarge` above [`MAX_REQUEST`].
    pub(crate) fn new<P: Params + ?Sized>(
        method: &str,
        session: Option<&Secret>,
        params: &P,
    ) -> Result<Self> {
        check_method(method)?;
        let mut writer = ParamWriter::new(method);
        writer.raw(b"{\"jsonrpc\":\"2.0\",\"method\":\"");
        writer.raw(method.as_bytes());
        writer.raw(b"\",\"params\":[");
        if let Some(session) = session {
            writer.secret(session)?;
        }
        params.write(&mut writer)?;
        writer.raw(b"],\"id\":1}");
        let (body, secrets) = writer.finish();
        if body.0.len() > MAX_REQUEST {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the request {method} has {} bytes, more than the {MAX_REQUEST} that a server \
                     reads",
                    body.0.len()
                ),
            ));
        }
        Ok(Self { method: method.to_owned(), body, secrets })
    }

    /// The method's name.
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// The JSON text.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body.0
    }

    /// The fault without the secrets of this request, which a server may repeat.
    ///
    /// `SESSION_INVALID` has the session's ref as its parameter, and conversion failures quote what
    /// they could not convert.
    #[must_use]
    pub(crate) fn scrub(&self, mut fault: Fault) -> Fault {
        for range in &self.secrets {
            let Some(quoted) = self.body.0.get(range.clone()) else { continue };
            let Ok(secret) = serde_json::from_slice::<String>(quoted).map(Secret::new) else {
                continue;
            };
            for param in &mut fault.params {
                // A short password is a word of its own: only a whole parameter is hidden.
                if param == secret.reveal() {
                    *param = HIDDEN.to_owned();
                } else if secret.reveal().len() >= 8 && param.contains(secret.reveal()) {
                    *param = param.replace(secret.reveal(), HIDDEN);
                }
            }
        }
        fault
    }
}

/// What stands for a secret that a server repeats.
pub(crate) const HIDDEN: &str = "(secret)";

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

fn check_method(method: &str) -> Result<()> {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let parts = method.split('.').count();
    if method.len() <= 128 && (2..=3).contains(&parts) && method.split('.').all(is_name) {
        return Ok(());
    }
    let shown: String = method.chars().take(64).collect();
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("{} is no method such as host.get_all", quoted(shown)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Host, Ref};
    use std::collections::BTreeMap;

    fn text(call: &Call) -> &str {
        std::str::from_utf8(call.body()).unwrap()
    }

    #[test]
    fn the_session_comes_before_the_parameters() {
        let session = Secret::new("OpaqueRef:s");
        let host = Ref::<Host>::new("OpaqueRef:h");
        let map = BTreeMap::from([("a", "é\"\n")]);
        let call =
            Call::new("host.f", Some(&session), &(&host, true, 5, 0.5, &map, ["x"])).unwrap();
        assert_eq!(
            text(&call),
            concat!(
                r#"{"jsonrpc":"2.0","method":"host.f","params":["OpaqueRef:s","OpaqueRef:h","#,
                r#"true,5,0.5,{"a":"é\"\n"},["x"]],"id":1}"#
            )
        );
        let call = Call::new("system.listMethods", None, &()).unwrap();
        assert_eq!(
            text(&call),
            r#"{"jsonrpc":"2.0","method":"system.listMethods","params":[],"id":1}"#
        );
    }

    #[test]
    fn what_xapi_has_no_form_for_is_refused() {
        let refused = |params: &dyn Fn() -> Result<Call>| {
            assert_eq!(params().unwrap_err().kind(), ErrorKind::InvalidInput);
        };
        refused(&|| Call::new("a.b", None, &(f64::NAN,)));
        refused(&|| Call::new("a.b", None, &(None::<i64>,)));
        refused(&|| Call::new("a.b", None, &(u64::MAX,)));
        refused(&|| Call::new("a.b", None, &(BTreeMap::from([("x", [f64::INFINITY])]),)));
        for method in ["", "a", ".a", "a.", "a b.c", "a.b.c.d", "a.b\"", "a\n.b", "é.x"] {
            refused(&|| Call::new(method, None, &()));
        }
    }

    #[test]
    fn a_request_that_no_server_reads_is_refused() {
        let room = MAX_REQUEST - Call::new("a.b", None, &("",)).unwrap().body().len();
        let fits = "x".repeat(room);
        assert_eq!(Call::new("a.b", None, &(&fits,)).unwrap().body().len(), MAX_REQUEST);
        let error = Call::new("a.b", None, &(fits + "x",)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn a_fault_does_not_repeat_secrets() {
        let session = Secret::new("OpaqueRef:790495ea");
        let call =
            Call::new("pool.join", Some(&session), &("10.0.0.1", "root", &Secret::new("root")))
                .unwrap();
        let fault = call.scrub(Fault::new(
            "X",
            ["OpaqueRef:790495ea", "got 'S(OpaqueRef:790495ea)'", "root", "user root", "10.0.0.1"],
        ));
        assert_eq!(
            fault.params,
            ["(secret)", "got 'S((secret))'", "(secret)", "user root", "10.0.0.1"]
        );
        assert!(!format!("{call:?}").contains("790495ea"));
    }
}
