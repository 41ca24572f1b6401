//! JSON-RPC as the server reads and writes it: two versions, odd errors, HTTP 500 for nonsense; and
//! its replies to XML-RPC.
//!
//! The other side of what [`wire`](crate::wire) does: that writes requests and reads replies, this
//! reads requests and writes replies. Nothing is shared on purpose: what both misunderstood alike
//! would go unseen. And a server's reader has to be odd where this client's has to be strict.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::database::{Value, write_json_text};
use super::release::Release;
use super::xml;
use crate::error::Fault;

/// What a host answers to a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// The HTTP status: 200 for every API reply, errors included.
    pub status: u16,
    /// The body: JSON, or the HTML page of an HTTP error.
    pub body: Vec<u8>,
    /// Whether it was refused before the dispatch; such replies lack some headers.
    pub(super) early: bool,
}

/// A request that could be read.
#[derive(Debug)]
pub(super) struct Envelope {
    pub method: String,
    pub params: Vec<Json>,
    version: Version,
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
    /// XML-RPC, which has no id.
    Xml,
}

/// Why a body is no request.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The page of an HTTP 500, with what it says.
    Http(String),
    /// An error before the dispatch (`api_server.ml`).
    Early(Fault),
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

impl Envelope {
    /// Reads a body (`rpc/jsonrpc.ml`).
    pub(super) fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let text = marked_text(body);
        let value: Json = serde_json::from_str(&text).map_err(|error| {
            let what = if text.trim().is_empty() {
                "Blank input data".to_owned()
            } else {
                error.to_string()
            };
            Unreadable::Http(format!("Yojson__Common.Json_error({what:?})"))
        })?;
        let malformed =
            |what: &str| Unreadable::Http(format!("Jsonrpc.Malformed_method_request({what:?})"));
        let field = |name: &str| malformed(&format!("Invalid field '{name}' in request body"));
        if !value.is_object() {
            return Err(malformed("Invalid request body"));
        }
        let members: Members<'_> =
            serde_json::from_str(&text).map_err(|_| malformed("Invalid request body"))?;
        let version = match members.jsonrpc.map(RawValue::get) {
            None => Version::One,
            Some("\"2.0\"") => Version::Two,
            Some(_) => return Err(field("jsonrpc")),
        };
        let method = members.method.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let method = method.ok_or_else(|| field("method"))?;
        let id = match members.id.map(RawValue::get) {
            Some(text) if text.starts_with('"') => text.to_owned(),
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                let number = text.parse::<i64>().ok();
                number
                    .ok_or_else(|| Unreadable::Http("Failure(\"Int64.of_string\")".to_owned()))?;
                text.to_owned()
            }
            _ => return Err(field("id")),
        };
        let params = match (members.params.map(|_| &value["params"]), version) {
            (Some(Json::Array(params)), _) => params.clone(),
            (None | Some(Json::Null), Version::Two) => Vec::new(),
            (Some(object @ Json::Object(_)), Version::Two) => vec![object.clone()],
            _ => return Err(field("params")),
        };
        if std::str::from_utf8(body).is_err() {
            let broken = params.iter().find_map(broken_text).unwrap_or_default();
            let what = ["Invalid UTF-8 string in parameter".to_owned(), format!("S({broken})")];
            return Err(Unreadable::Early(Fault::new("INVALID_VALUE", what)));
        }
        Ok(Self { method, params, version, id })
    }

    /// A request that came as XML-RPC.
    pub(super) fn xml(method: String, params: Vec<Json>) -> Self {
        Self { method, params, version: Version::Xml, id: String::new() }
    }

    /// The reply to it.
    pub(super) fn reply(&self, result: &Result<Value, Fault>) -> HttpReply {
        let mut body = Vec::new();
        match (result, self.version) {
            (_, Version::Xml) => return self.xml_reply(result, false),
            (Ok(value), Version::One) => {
                body.extend_from_slice(b"{\"result\":");
                value.write_json(&mut body);
                body.extend_from_slice(b",\"error\":null");
            }
            (Ok(value), Version::Two) => {
                body.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"result\":");
                value.write_json(&mut body);
            }
            (Err(fault), Version::One) => {
                body.extend_from_slice(b"{\"result\":null,\"error\":");
                write_fault(fault, &mut body);
            }
            (Err(fault), Version::Two) => {
                body.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":");
                write_json_text(&fault.code, &mut body);
                body.extend_from_slice(b",\"data\":");
                Value::texts(fault.params.iter().map(String::as_str)).write_json(&mut body);
                body.push(b'}');
            }
        }
        body.extend_from_slice(b",\"id\":");
        body.extend_from_slice(self.id.as_bytes());
        body.push(b'}');
        HttpReply { status: 200, body, early: false }
    }

    /// The reply if it is refused before it is looked at.
    pub(super) fn early_reply(&self, fault: &Fault, release: Release) -> HttpReply {
        match self.version {
            Version::Xml => self.xml_reply(&Err(fault.clone()), true),
            Version::One | Version::Two => early_error(fault, release),
        }
    }

    fn xml_reply(&self, result: &Result<Value, Fault>, early: bool) -> HttpReply {
        let body = match result {
            Ok(methods) if self.method == "system.listMethods" => xml::bare_response(methods),
            result => xml::response(result),
        };
        HttpReply { status: 200, body: body.into_bytes(), early }
    }
}

impl Unreadable {
    /// The reply to a body that is no request.
    pub(super) fn reply(&self, release: Release) -> HttpReply {
        match self {
            Self::Early(fault) => {
                let mut reply = early_error(fault, release);
                reply.body = unmarked(&reply.body);
                reply
            }
            Self::Http(what) => error_page(what),
        }
    }
}

/// The page of an HTTP 500 with the text of an exception.
pub(super) fn error_page(what: &str) -> HttpReply {
    let what = what
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&apos;")
        .replace('"', "&quot;");
    let body = format!(
        "<html><body><h1>HTTP 500 internal server error</h1>An unexpected error occurred; please \
         wait a while and try again. If the problem persists, please contact your support \
         representative.<h1> Additional information </h1>{what}</body></html>"
    );
    HttpReply { status: 500, body: body.into_bytes(), early: false }
}

/// The reply to a call that is refused before it is looked at: an array and the id 0, whatever
/// version and id the caller sent (`api_server.ml`).
fn early_error(fault: &Fault, release: Release) -> HttpReply {
    let mut body = Vec::new();
    if release.answers_early_errors_as_array() {
        body.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"error\":");
    } else {
        body.extend_from_slice(b"{\"result\":null,\"error\":");
    }
    write_fault(fault, &mut body);
    body.extend_from_slice(b",\"id\":0}");
    HttpReply { status: 200, body, early: true }
}

/// A fault as one array, code first.
fn write_fault(fault: &Fault, out: &mut Vec<u8>) {
    let texts = std::iter::once(&fault.code).chain(&fault.params);
    Value::texts(texts.map(String::as_str)).write_json(out);
}

/// The first text that was not UTF-8.
fn broken_text(json: &Json) -> Option<&str> {
    match json {
        Json::String(text) => text.contains(|c| BROKEN.contains(&c)).then_some(text),
        Json::Array(elements) => elements.iter().find_map(broken_text),
        Json::Object(pairs) => pairs.values().find_map(broken_text),
        _ => None,
    }
}

/// A body as text, bytes that are not UTF-8 as [`BROKEN`] characters: the server sends them back.
fn marked_text(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let mut marked = String::new();
    for chunk in body.utf8_chunks() {
        marked.push_str(chunk.valid());
        let broken = chunk.invalid().iter();
        marked.extend(broken.filter_map(|byte| BROKEN.clone().nth(usize::from(*byte))));
    }
    Cow::Owned(marked)
}

/// The reverse of [`marked_text`].
fn unmarked(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in String::from_utf8_lossy(text).chars() {
        match u8::try_from(u32::from(character).wrapping_sub(u32::from(*BROKEN.start()))) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// Characters that nobody uses, one a byte.
const BROKEN: RangeInclusive<char> = '\u{10fe00}'..='\u{10feff}';

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: &HttpReply) -> &str {
        std::str::from_utf8(&reply.body).unwrap()
    }

    #[test]
    fn replies_are_in_the_version_of_the_request() {
        let one = Envelope::read(br#"{"method":"m","params":[],"id":7}"#).unwrap();
        let two = Envelope::read(br#"{"jsonrpc":"2.0","method":"m","id":"x"}"#).unwrap();
        let fault = Err(Fault::new("CODE", ["a\"b"]));
        assert_eq!(text(&one.reply(&Ok(Value::Int(1)))), r#"{"result":1,"error":null,"id":7}"#);
        assert_eq!(
            text(&two.reply(&Ok(Value::Int(1)))),
            r#"{"jsonrpc":"2.0","result":1,"id":"x"}"#
        );
        assert_eq!(text(&one.reply(&fault)), r#"{"result":null,"error":["CODE","a\"b"],"id":7}"#);
        assert_eq!(
            text(&two.reply(&fault)),
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"CODE","data":["a\"b"]},"id":"x"}"#
        );
        let booting = Fault::bare("HOST_STILL_BOOTING");
        assert_eq!(
            text(&early_error(&booting, Release::XcpNg83)),
            r#"{"jsonrpc":"2.0","error":["HOST_STILL_BOOTING"],"id":0}"#
        );
        assert_eq!(
            text(&early_error(&booting, Release::XcpNg82)),
            r#"{"result":null,"error":["HOST_STILL_BOOTING"],"id":0}"#
        );
    }

    #[test]
    fn nonsense_is_an_http_error() {
        for (body, says) in [
            ("", "Blank input data"),
            ("{not json", "Json_error"),
            ("[]", "Invalid request body"),
            (r#"{"method":"m","params":[]}"#, "Invalid field &apos;id&apos; in request body"),
            (r#"{"method":"m","params":[],"id":null}"#, "&apos;id&apos;"),
            (r#"{"method":"m","params":[],"id":1.5}"#, "&apos;id&apos;"),
            (r#"{"method":"m","params":[],"id":1180591620717411303424}"#, "Int64.of_string"),
            (r#"{"jsonrpc":"1.0","method":"m","params":[],"id":1}"#, "&apos;jsonrpc&apos;"),
            (r#"{"method":"m","id":1}"#, "&apos;params&apos;"),
            (r#"{"method":5,"params":[],"id":1}"#, "&apos;method&apos;"),
        ] {
            let reply = Envelope::read(body.as_bytes()).unwrap_err().reply(Release::Newest);
            assert_eq!(reply.status, 500, "{body}");
            assert!(text(&reply).contains(says), "{body}: {}", text(&reply));
        }
        let early =
            Envelope::read(b"{\"method\":\"m\",\"params\":[\"\xff\"],\"id\":1}").unwrap_err();
        let reply = early.reply(Release::Newest);
        assert_eq!(reply.status, 200);
        let says = b"\"INVALID_VALUE\",\"Invalid UTF-8 string in parameter\",\"S(\xff)\"]";
        assert!(reply.body.windows(says.len()).any(|window| window == says));
    }
}
