//! Simulated hosts on sockets, for programs that know nothing of this library.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::xcp_simulator;
use crate::ffi::boundary::{self, Out, call, optional_text, quiet};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json::{self, duration};
use crate::ffi::registry::Object;
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};
use crate::simulator::{Front, FrontBuilder};

/// A simulated world that is served over HTTP and HTTPS, to any XAPI client.
///
/// Made by `xcp_front_start`, ended and freed by `xcp_front_free`; it keeps its world. Threads: may
/// be used by many at once.
pub struct xcp_front {
    front: Front,
}

impl Object for xcp_front {
    const NAME: &'static str = "xcp_front";
}

/// Serves the hosts of a world on sockets of this machine.
///
/// This ends when the front is freed. Hosts answer as xapi does: JSON-RPC at "/jsonrpc", XML-RPC
/// elsewhere; a host without power refuses connections. As long as it is served the world's time
/// follows real time.
///
/// `options_json` may be NULL. It is `{"http": port, "https": port, "address": ip,
/// "at_own_addresses": bool, "host_addresses": {host: ip}, "speed": number, "header_timeout":
/// seconds, "total_header_timeout": seconds, "certificate": pem, "host_certificates": {host:
/// pem}}`, all optional: the ports (0 is any that is free; if neither is given, both are served at
/// free ones), the address of all hosts (127.0.0.1), whether each is served at the address that it
/// has in the world, or some at addresses of their own; how many seconds pass in the world in a
/// real one (1); how long the head of a first request may take, until its next bytes (10) and in
/// all (60); key and certificate as PEM in one text (a self-signed one whose key is public).
///
/// `*front` is freed with `xcp_front_free`; the simulator may be freed before. From any thread.
/// Fails with XCP_E_TRANSPORT if an address cannot be listened at, with XCP_E_INVALID_INPUT for
/// unknown options and hosts, a speed that is not positive and certificates that cannot be used.
///
/// # Safety
/// `simulator` came from this library; `options_json` is NULL or ends with NUL; `front` can be
/// written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_front_start(
    simulator: *const xcp_simulator,
    options_json: *const c_char,
    front: *mut *mut xcp_front,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_front_start", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let options = optional_text(options_json, "options_json")?;
            let options: Options = json::decode_or_default(options, "options_json")?;
            let out = Out::new(front, "front")?;
            let builder = options.apply(Front::builder(&simulator.world))?;
            out.write_object(xcp_front { front: builder.start()? });
            Ok(())
        })
    }
}

/// Tells where the hosts are served.
///
/// `*hosts_json` is `{"schema": 1, "hosts": [{"name", "address", "http": "ip:port" | null,
/// "https": "ip:port" | null, "url", "fingerprint": "SHA256:..." | null}...],
/// "addresses": {address: url}}`, freed with `xcp_string_free`: "url" is what `xcp_client_connect`
/// takes, "fingerprint" what `xcp_trust_store_pins` takes, and "addresses" what clients take as an
/// option of that name, since hosts name each other by their addresses in the world. From any
/// thread.
///
/// # Safety
/// `front` came from this library; `hosts_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_front_hosts_json(
    front: *const xcp_front,
    hosts_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_front_hosts_json", error, |call| {
            let held = call.object(front, "front")?;
            let out = Out::new(hosts_json, "hosts_json")?;
            out.write_text(json::numbered(ServedHosts::of(&held.front))?);
            Ok(())
        })
    }
}

/// Returns how many calls were served, with those that went wrong.
///
/// 0 for NULL and for what is no front. From any thread.
///
/// # Safety
/// `front` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_front_served(front: *const xcp_front) -> u64 {
    quiet(0, |call| Ok(call.object(front, "front")?.front.served()))
}

/// Returns how many connections are open; 0 for NULL and for what is no front.
///
/// From any thread.
///
/// # Safety
/// `front` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_front_connections(front: *const xcp_front) -> usize {
    quiet(0, |call| Ok(call.object(front, "front")?.front.connections()))
}

/// Ends a front and frees it. NULL is fine.
///
/// Calls that wait are broken off; once this returns the ports are free and its threads have ended.
/// From any thread.
///
/// # Safety
/// `front` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_front_free(front: *mut xcp_front) {
    boundary::free(front);
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of options")]
struct Options {
    http: Option<u16>,
    https: Option<u16>,
    address: Option<IpAddr>,
    at_own_addresses: bool,
    host_addresses: BTreeMap<String, IpAddr>,
    speed: Option<f64>,
    header_timeout: Option<Seconds>,
    total_header_timeout: Option<Seconds>,
    certificate: Option<String>,
    host_certificates: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Seconds(#[serde(deserialize_with = "duration")] Duration);

impl Options {
    fn apply(self, mut front: FrontBuilder) -> Result<FrontBuilder, Failure> {
        if let Some(port) = self.http {
            front = front.http(port);
        }
        if let Some(port) = self.https {
            front = front.https(port);
        }
        if let Some(address) = self.address {
            front = front.address(address);
        }
        if self.at_own_addresses {
            front = front.at_own_addresses();
        }
        for (host, address) in self.host_addresses {
            front = front.host_address(&host, address);
        }
        if let Some(speed) = self.speed {
            front = front.speed(speed);
        }
        front = match (self.header_timeout, self.total_header_timeout) {
            (Some(each), Some(total)) => front.header_timeouts(each.0, total.0),
            (None, None) => front,
            _ => {
                let message = "options_json: one of header_timeout and total_header_timeout alone";
                return Err(Failure::new(XCP_E_INVALID_INPUT, message));
            }
        };
        if let Some(pem) = &self.certificate {
            front = front.certificate(pem);
        }
        for (host, pem) in &self.host_certificates {
            front = front.host_certificate(host, pem);
        }
        Ok(front)
    }
}

#[derive(Serialize)]
struct ServedHosts {
    hosts: Vec<ServedHost>,
    addresses: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct ServedHost {
    name: String,
    address: String,
    http: Option<String>,
    https: Option<String>,
    url: Option<String>,
    fingerprint: Option<String>,
}

impl ServedHosts {
    fn of(front: &Front) -> Self {
        let served = |host: &crate::simulator::Served| ServedHost {
            name: host.name.clone(),
            address: host.address.clone(),
            http: host.http.map(|at| at.to_string()),
            https: host.https.map(|at| at.to_string()),
            url: host.endpoint().map(|at| at.to_string()),
            fingerprint: front.fingerprint(&host.name).map(|print| print.to_string()),
        };
        let addresses = front.addresses().map(|(named, at)| (named.to_owned(), at.to_string()));
        Self { addresses: addresses.collect(), hosts: front.hosts().iter().map(served).collect() }
    }
}
