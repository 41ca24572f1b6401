//! How much memory the client needs, whoever answers; for that, all that is allocated is counted.

mod counting;
#[cfg(feature = "http")]
mod hostile;
#[cfg(feature = "http")]
#[path = "../support/http_server.rs"]
mod http_server;
mod large;
