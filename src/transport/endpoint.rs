//! Where a host listens.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::text::plain;

/// A host's address: scheme, name or IP, and port.
///
/// Parsed from `phantom.lan`, `10.0.0.1:8443`, `fd00::1`, `[fd00::1]:443` or
/// `https://phantom.lan`; without a scheme it is HTTPS. XAPI itself names hosts by bare IP
/// addresses, IPv6 without brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
}

/// HTTPS, or HTTP for simulators and tunnels on the same machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scheme {
    /// Plain HTTP, port 80: the password is readable on the way.
    Http,
    /// HTTP over TLS, port 443.
    Https,
}

impl Endpoint {
    /// An HTTPS endpoint at a name or address; an IPv6 literal has no brackets.
    pub fn https(host: impl Into<String>) -> Self {
        Self { scheme: Scheme::Https, host: host.into(), port: None }
    }

    /// Moves the endpoint to another port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Moves the endpoint to another host name or address.
    #[must_use]
    pub fn with_host(&self, host: impl Into<String>) -> Self {
        Self { host: host.into(), ..self.clone() }
    }

    /// HTTP or HTTPS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that was given, else the scheme's.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            Error::new(ErrorKind::InvalidInput, format!("the address \"{}\" {why}", plain(text)))
        };
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Https, text),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(_) => return Err(wrong("has a scheme other than http or https")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let parse_port = |port: &str| match port.parse::<u16>() {
            Ok(0) | Err(_) => Err(wrong("has a port that is no number from 1 to 65535")),
            Ok(port) => Ok(Some(port)),
        };
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, after) =
                bracketed.split_once(']').ok_or_else(|| wrong("has no closing bracket"))?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(wrong("has no IPv6 address between its brackets"));
            }
            match after.strip_prefix(':') {
                Some(port) => (host, parse_port(port)?),
                None if after.is_empty() => (host, None),
                None => return Err(wrong("has text after its closing bracket")),
            }
        } else if rest.parse::<Ipv6Addr>().is_ok() {
            (rest, None)
        } else if let Some((host, port)) = rest.split_once(':') {
            (host, parse_port(port)?)
        } else {
            (rest, None)
        };
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        if !host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':')) {
            return Err(wrong("has a character that no host name has"));
        }
        Ok(Self { scheme, host: host.to_owned(), port })
    }
}

/// As a URL without a path, IPv6 in brackets: `https://[fd00::1]:8443`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
        })?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_and_xapi_write_them() {
        for (text, url, port) in [
            ("phantom.lan", "https://phantom.lan", 443),
            ("10.0.0.1:8443", "https://10.0.0.1:8443", 8443),
            ("fd00::1", "https://[fd00::1]", 443),
            ("[fd00::1]:444", "https://[fd00::1]:444", 444),
            ("https://phantom.lan/", "https://phantom.lan", 443),
            ("http://127.0.0.1", "http://127.0.0.1", 80),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.port()), (url, port), "{text}");
        }
    }

    #[test]
    fn a_wrong_address_is_named_in_the_error() {
        for text in ["", "https://", "ftp://x", "x:0", "x:99999", "[::1", "[x]:1", "a b", "a/b"] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
