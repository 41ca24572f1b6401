//! Names to addresses.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Resolves names, and remembers them for a while.
///
/// ureq asks before each request, also when the connection is there already, and its own resolver
/// starts a thread each time. Addresses, which is how XAPI names hosts, need neither.
#[derive(Clone, Default)]
pub(super) struct CachedResolver {
    system: Arc<DefaultResolver>,
    known: Arc<Mutex<HashMap<String, (Instant, ResolvedSocketAddrs)>>>,
}

/// Shorter than people wait for a changed name to take effect.
const FRESH: Duration = Duration::from_secs(30);

/// More names than any program has pools.
const MAX_NAMES: usize = 4096;

impl Resolver for CachedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some(authority) = uri.authority() else {
            return self.system.resolve(uri, config, timeout);
        };
        if let Some(ip) = ip_of(authority.host()) {
            let plain = uri.scheme_str() == Some("http");
            let port = authority.port_u16().unwrap_or(if plain { 80 } else { 443 });
            let mut addresses = self.empty();
            addresses.push(SocketAddr::new(ip, port));
            return Ok(addresses);
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, addresses)) = known().get(authority.as_str()) {
            if since.elapsed() < FRESH {
                return Ok(addresses.clone());
            }
        }
        let addresses = self.system.resolve(uri, config, timeout)?;
        let mut known = known();
        if known.len() >= MAX_NAMES {
            known.clear();
        }
        known.insert(authority.to_string(), (Instant::now(), addresses.clone()));
        Ok(addresses)
    }
}

fn ip_of(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

impl fmt::Debug for CachedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedResolver").finish_non_exhaustive()
    }
}
