//! What the world remembers of HA: its pools, their daemons, and what their hosts are at.

use std::collections::BTreeSet;
use std::time::Duration;

use super::daemon::FenceCause;
use super::daemons::Daemons;
use crate::simulator::database::{Database, Ref};
use crate::simulator::state::{HostId, Peer};

/// All HA of a world.
#[derive(Default)]
pub(in crate::simulator) struct Ha {
    /// Pools that have it; `None` takes the place of one where it was disabled.
    pub(super) pools: Vec<Option<HaPool>>,
    /// Hosts that cannot reach their state file.
    pub(super) cut: BTreeSet<HostId>,
    pub fenced: Vec<Fenced>,
}

/// A pool with HA.
pub(super) struct HaPool {
    pub daemons: Daemons,
    /// By host index, in the order of uuids.
    pub members: Vec<Member>,
    /// The copy of the database on the shared storage.
    pub metadata: Option<Database>,
}

/// A host of an HA pool.
pub(super) struct Member {
    pub id: HostId,
    pub peer: Peer,
    /// Whether its xapi takes HA for enabled (`ha_armed`).
    pub armed: bool,
    pub agent: Agent,
    pub duties: Duties,
}

/// Where a host is: its pool, and its place in it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub pool: usize,
    pub host: usize,
}

impl Ha {
    /// Where a host is, if its pool has HA.
    pub(super) fn place(&self, id: HostId) -> Option<Place> {
        self.pools.iter().enumerate().find_map(|(pool, it)| {
            let host = it.as_ref()?.members.iter().position(|member| member.id == id)?;
            Some(Place { pool, host })
        })
    }

    pub(super) fn pool(&self, place: Place) -> Option<&HaPool> {
        self.pools.get(place.pool)?.as_ref()
    }

    pub(super) fn pool_mut(&mut self, place: Place) -> Option<&mut HaPool> {
        self.pools.get_mut(place.pool)?.as_mut()
    }
}

/// What a host's xapi does about HA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    /// It does not run.
    Down,
    /// It waits for the daemon before it starts, and starts that itself by then.
    Gate { retry_at: Duration },
    /// It proposes itself as master, again at this time if it was refused.
    Race { at_gate: bool, retry_at: Duration },
    /// It runs, and looks after its master at this time.
    Running { look_at: Duration },
}

impl Agent {
    /// Whether xapi runs, and not only waits to do so.
    pub(super) fn runs(self) -> bool {
        matches!(self, Self::Running { .. } | Self::Race { at_gate: false, .. })
    }

    /// Whether xapi waits for HA before it starts.
    pub(super) fn is_waiting(self) -> bool {
        matches!(self, Self::Gate { .. } | Self::Race { at_gate: true, .. })
    }
}

/// Where a master stands with its duties.
#[derive(Default)]
pub(super) struct Duties {
    /// Until then it waits for the living hosts to be enabled again.
    pub patience: Option<Duration>,
    /// The database's generation at the last plan.
    pub planned: Option<u64>,
    /// Whether VMs are being started.
    pub starting: bool,
    /// Lost VMs that are worth an effort.
    pub best_effort: BTreeSet<Ref>,
}

impl Duties {
    /// Forgets what an earlier xapi did.
    pub(super) fn begin(&mut self, now: Duration) {
        *self = Self { patience: Some(now + PATIENCE), ..Self::default() };
    }
}

/// A host that was fenced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fenced {
    /// When, since the world began.
    pub at: Duration,
    /// The host's name.
    pub host: String,
    /// Why.
    pub cause: FenceCause,
}

/// How long a new master waits for the living hosts to be enabled again (`xapi_globs.ml:749`).
const PATIENCE: Duration = Duration::from_secs(1800);
