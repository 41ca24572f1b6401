//! What all connections of a host need to know of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::http::Head;
use crate::simulator::state::HostId;
use crate::simulator::world::World;

/// A host that is served, and how.
pub(super) struct Backend {
    pub world: World,
    pub id: HostId,
    pub name: String,
    pub speed: f64,
    /// How long the next bytes of a connection's first head may take.
    pub header_timeout: Duration,
    /// How long a connection's first head may take.
    pub total_header_timeout: Duration,
    pub served: Arc<AtomicU64>,
}

impl Backend {
    /// How long something takes in reality that takes that long in the world.
    pub(super) fn real(&self, time: Duration) -> Duration {
        Duration::try_from_secs_f64(time.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    /// Counts a call.
    pub(super) fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a request names a session that is open.
    ///
    /// Other credentials are not looked at.
    pub(super) fn admits(&self, head: &Head) -> bool {
        let Some(session) = head.parameter("session_id") else { return false };
        self.world.observe(|state| {
            state.host(self.id).local_sessions.contains(session.as_str())
                || state.db(self.id).is_ok_and(|database| database.contains("session", &session))
        })
    }
}
