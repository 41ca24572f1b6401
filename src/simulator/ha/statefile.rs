//! The state file: what all daemons of a pool share on its storage.

use crate::election::HostSet;
use crate::election::lock::Block;
use crate::election::partition::Domains;

/// The state file of an HA pool.
pub(super) struct StateFile {
    pub pool: PoolState,
    /// Who won the lock last; it stays when that host dies.
    pub master: Option<usize>,
    /// Each host's own part, by host index.
    pub parts: Vec<Part>,
}

/// Whether the pool has HA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolState {
    /// It is being enabled: the first live set must have every host.
    Init,
    /// It has.
    Active,
}

/// A host's part of the state file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Counts its writes: who changes it is alive.
    pub sequence: u64,
    pub report: Report,
    pub weight: u32,
    /// It was shut down in order, and does not count.
    pub excluded: bool,
    /// It has not joined the live set yet.
    pub starting: bool,
    pub lock: Block,
}

/// What a host publishes of itself, in its heartbeats and in the state file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Report {
    pub phase: Phase,
    pub domains: Domains,
    pub liveset: HostSet,
    pub proposed: HostSet,
}

/// A heartbeat.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heartbeat {
    pub report: Report,
    /// It asks to join.
    pub joining: bool,
    /// It lives by rule 2.
    pub rule2: bool,
    /// Whoever is not in its proposed live set shall fence itself.
    pub fence_request: bool,
}

/// Where a daemon stands (`SM_PHASE`), in the order of fault handling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    #[default]
    Starting,
    /// All is well.
    Started,
    /// It noticed a fault.
    Ready,
    /// It waits until nobody is late any more.
    Stabilising,
    Stable,
    /// It waits until all have the same view.
    Agreeing,
    Agreed,
    /// It applies the survival rules.
    Judging,
    Judged,
    /// It waits until the losers must be dead.
    Fencing,
    Fenced,
}

impl StateFile {
    pub(super) fn new(n: usize) -> Self {
        let part = Part {
            sequence: 0,
            report: Report::default(),
            weight: 1,
            excluded: false,
            starting: true,
            lock: Block::default(),
        };
        Self { pool: PoolState::Init, master: None, parts: vec![part; n] }
    }
}

impl Phase {
    /// The next one; after the last, all is well again.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Starting | Self::Fenced => Self::Started,
            Self::Started => Self::Ready,
            Self::Ready => Self::Stabilising,
            Self::Stabilising => Self::Stable,
            Self::Stable => Self::Agreeing,
            Self::Agreeing => Self::Agreed,
            Self::Agreed => Self::Judging,
            Self::Judging => Self::Judged,
            Self::Judged => Self::Fencing,
            Self::Fencing => Self::Fenced,
        }
    }
}
