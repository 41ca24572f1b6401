//! The client: what it asks whom, and what it concludes, whatever hosts and networks do.

#[cfg(all(feature = "http", feature = "simulator"))]
mod faults;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_faults;
#[cfg(feature = "http")]
#[path = "../support/http_server.rs"]
mod http_server;
#[cfg(feature = "http")]
mod http_trust;
mod lives;
mod memory;
#[cfg(feature = "simulator")]
#[path = "../support/preflight_cases.rs"]
mod preflight_cases;
#[cfg(feature = "simulator")]
#[path = "../preflight/world.rs"]
mod rule_cases;
#[cfg(feature = "simulator")]
mod scopes;
mod scripted;
mod search;
#[cfg(all(feature = "http", feature = "simulator"))]
mod sessions;
#[cfg(all(feature = "http", feature = "simulator"))]
mod support;
mod views;
#[cfg(all(feature = "http", feature = "simulator"))]
mod watch;
