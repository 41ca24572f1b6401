//! HTTP as xapi reads and writes it (`http.ml`, `http_svr.ml`).

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub method: String,
    /// Without the query, percent signs decoded.
    pub path: String,
    pub query: String,
    /// Whether the connection ends after the reply.
    pub close: bool,
    /// The version to answer in.
    pub version: &'static str,
    pub content_length: Option<i64>,
    pub authorization: Option<String>,
    pub cookie: Option<String>,
    /// `Access-Control-Request-Headers`.
    pub wanted_headers: Option<String>,
}

/// What is wrong with a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It cannot be parsed.
    Head,
    /// The content length is no number.
    Length,
}

impl Head {
    /// Reads a head that ends with an empty line.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Bad> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) | Err(_) => return Err(Bad::Head),
        }
        let (Some(method), Some(target), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(Bad::Head);
        };
        let (path, query) = split_target(target);
        let mut head = Self {
            method: method.to_owned(),
            path: decode_percent(path),
            query: query.to_owned(),
            close: minor == 0,
            version: if minor == 0 { "1.0" } else { "1.1" },
            content_length: None,
            authorization: None,
            cookie: None,
            wanted_headers: None,
        };
        for header in request.headers.iter() {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            match header.name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    head.content_length = Some(value.parse().map_err(|_| Bad::Length)?);
                }
                "connection" if value.eq_ignore_ascii_case("close") => head.close = true,
                "connection" if value.eq_ignore_ascii_case("keep-alive") => head.close = false,
                "authorization" => head.authorization = Some(value),
                "cookie" => head.cookie = Some(value),
                "access-control-request-headers" => head.wanted_headers = Some(value),
                _ => {}
            }
        }
        Ok(head)
    }

    /// A parameter of the query, or failing that a cookie.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let find = |text: &str, separator: char| {
            text.split(separator).find_map(|pair| {
                let (key, value) = pair.trim().split_once('=')?;
                (key == name).then(|| decode_percent(value))
            })
        };
        find(&self.query, '&').or_else(|| find(self.cookie.as_deref()?, ';'))
    }
}

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    reason: &'static str,
    headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub close: bool,
}

impl Reply {
    /// A reply to a call: of JSON-RPC or XML-RPC, or if it was refused early.
    pub(super) fn api(head: &Head, content_type: &str, early: bool, body: Vec<u8>) -> Self {
        let mut reply = Self::ok(head, body);
        reply.headers.push(("content-type", content_type.to_owned()));
        if !early {
            reply.headers.push(("Access-Control-Allow-Origin", "*".to_owned()));
            reply.headers.push(("Access-Control-Allow-Headers", ALLOWED_HEADER.to_owned()));
        }
        reply
    }

    /// The reply to `OPTIONS`.
    pub(super) fn options(head: &Head) -> Self {
        let mut reply = Self::ok(head, Vec::new());
        let headers = match &head.wanted_headers {
            Some(wanted) => format!("{wanted}, {ALLOWED_HEADER}"),
            None => ALLOWED_HEADER.to_owned(),
        };
        reply.headers.push(("Access-Control-Allow-Origin", "*".to_owned()));
        reply.headers.push(("Access-Control-Allow-Headers", headers));
        reply.headers.push(("Access-Control-Allow-Methods", "PUT".to_owned()));
        reply
    }

    /// 401.
    pub(super) fn unauthorised(realm: &str) -> Self {
        let mut reply = Self::page(401, "unauthorised", "Please check your credentials and retry.");
        reply.headers.push(("WWW-Authenticate", format!("Basic realm=\"{realm}\"")));
        reply
    }

    /// An HTML page: a title that repeats the status, and words.
    pub(super) fn page(status: u16, title: &str, words: &str) -> Self {
        let body = format!("<html><body><h1>HTTP {status} {title}</h1>{words}</body></html>");
        Self::html(status, body.into_bytes())
    }

    /// A finished HTML page.
    pub(super) fn html(status: u16, body: Vec<u8>) -> Self {
        let headers = vec![
            ("content-type", "text/html".to_owned()),
            ("connection", "close".to_owned()),
            ("cache-control", CACHE_CONTROL.to_owned()),
        ];
        Self { status, reason: reason(status), headers, body, close: true }
    }

    /// The head as it goes over the wire, in the order of the server.
    pub(super) fn head(&self, version: &str) -> Vec<u8> {
        let mut out = format!("HTTP/{version} {} {}\r\n", self.status, self.reason);
        out.push_str(&format!("content-length: {}\r\n", self.body.len()));
        for (name, value) in &self.headers {
            out.push_str(name);
            out.push_str(": ");
            out.push_str(value);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
        out.into_bytes()
    }

    fn ok(head: &Head, body: Vec<u8>) -> Self {
        let connection = if head.close { "close" } else { "keep-alive" };
        let headers = vec![
            ("connection", connection.to_owned()),
            ("cache-control", CACHE_CONTROL.to_owned()),
        ];
        Self { status: 200, reason: reason(200), headers, body, close: head.close }
    }
}

/// The server's words for a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        401 => "Unauthorised",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        501 => "Method not implemented",
        _ => "Internal Error",
    }
}

/// Path and query of a request's target; a whole URL's host is not looked at.
fn split_target(target: &str) -> (&str, &str) {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    path.split_once('?').unwrap_or((path, ""))
}

fn decode_percent(text: &str) -> String {
    let digit = |byte: Option<&u8>| {
        let digit = char::from(*byte?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// More than the largest head has room for.
const MAX_HEADERS: usize = 256;

const ALLOWED_HEADER: &str = "X-Requested-With";

const CACHE_CONTROL: &str = "no-cache, no-store";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_the_server_reads_them() {
        let head = Head::parse(
            b"POST /%6asonrpc?session_id=OpaqueRef%3Aa&x HTTP/1.1\r\nHost: h\r\nCONTENT-LENGTH: \
              7\r\nContent-Length: 12\r\nConnection: Close\r\nCookie: a=b; c=d\r\n\r\n",
        );
        let head = head.unwrap();
        assert_eq!((head.method.as_str(), head.path.as_str()), ("POST", "/jsonrpc"));
        assert_eq!((head.content_length, head.close, head.version), (Some(12), true, "1.1"));
        assert_eq!(head.parameter("session_id").as_deref(), Some("OpaqueRef:a"));
        assert_eq!(head.parameter("c").as_deref(), Some("d"));
        assert_eq!(head.parameter("x"), None);

        let old =
            Head::parse(b"GET http://h:80?q HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").unwrap();
        assert_eq!((old.path.as_str(), old.query.as_str()), ("", "q"));
        assert_eq!((old.close, old.version), (false, "1.0"));
        assert!(Head::parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().close);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for bytes in
            [&b"nonsense\r\n\r\n"[..], b"GET /\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"\xff\r\n\r\n"]
        {
            assert_eq!(Head::parse(bytes), Err(Bad::Head));
        }
        assert_eq!(
            Head::parse(b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n"),
            Err(Bad::Length)
        );
        // Anything may come after a percent sign.
        assert_eq!(decode_percent("%"), "%");
        assert_eq!(decode_percent("%4"), "%4");
        assert_eq!(decode_percent("%é%41"), "%éA");
    }
}
