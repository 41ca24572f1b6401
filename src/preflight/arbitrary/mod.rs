//! Joins that a preflight has something to say about, for property tests (feature `proptest`).
//!
//! A [`JoinCase`] is a pool and a joiner that could join it without a word, but for its
//! [`Offence`]s: each is one thing that is wrong, and each alone makes its rule object. Cases
//! shrink towards fewer offences and smaller pools. For snapshots that make no sense at all see
//! [`model::arbitrary`](crate::model::arbitrary).
//!
//! # Example
//! ```
//! use proptest::prelude::*;
//! use xcp_pool::preflight::{arbitrary::join_case, evaluate};
//!
//! proptest!(|(case in join_case())| {
//!     let report = evaluate(case.pool, case.joiner, &case.options);
//!     prop_assert!(case.offences.is_empty() || !report.findings().is_empty());
//! });
//! ```

mod clean;
mod offence;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::Options;
use crate::model::Snapshot;

pub use clean::Size;
pub use offence::Offence;

/// A pool, a host that wants to join it, and what is wrong with them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JoinCase {
    /// The pool's snapshot.
    pub pool: Snapshot,
    /// The joiner's snapshot.
    pub joiner: Snapshot,
    /// Evidence that fits both.
    pub options: Options,
    /// How large the case is.
    pub size: Size,
    /// What is wrong, in the order of [`Offence::ALL`].
    pub offences: Vec<Offence>,
}

impl JoinCase {
    /// The case of this size with these offences.
    pub fn new(size: Size, offences: impl IntoIterator<Item = Offence>) -> Self {
        let size = Size { hosts: size.hosts.max(1), nics: size.nics.max(1), ..size };
        let mut offences: Vec<_> = offences.into_iter().collect();
        offences.sort();
        offences.dedup();
        let mut options = Options::default();
        options.evidence.joiner_time = Some(clean::NOW);
        options.evidence.master_time = Some(clean::NOW);
        let (mut pool, mut joiner) = (clean::pool(&size), clean::joiner(&size));
        for offence in &offences {
            offence.commit(&size, &mut pool, &mut joiner, &mut options.evidence);
        }
        pool.complete();
        joiner.complete();
        Self { pool, joiner, options, size, offences }
    }

    /// Takes one of its offences out of the case.
    #[must_use]
    pub fn without(&self, offence: Offence) -> Self {
        Self::new(self.size, self.offences.iter().copied().filter(|other| *other != offence))
    }

    /// Adds halted VMs to the joiner, each with a disk and an interface.
    #[must_use]
    pub fn with_halted_vms(mut self, vms: usize) -> Self {
        for n in 0..vms {
            clean::vm(&mut self.joiner, &format!("joiner vm {n}"), clean::SR, &clean::network(0));
        }
        self.joiner.complete();
        self
    }
}

/// Any case of up to four hosts, with up to six offences.
pub fn join_case() -> impl Strategy<Value = JoinCase> {
    (size(), subsequence(Offence::ALL, 0..=6))
        .prop_map(|(size, offences)| JoinCase::new(size, offences))
}

/// Any case of up to four hosts that is clean.
pub fn clean_case() -> impl Strategy<Value = JoinCase> {
    size().prop_map(|size| JoinCase::new(size, []))
}

fn size() -> impl Strategy<Value = Size> {
    (1..=4_usize, 1..=3_usize, 0..=4_usize, 0..=2_usize).prop_map(|(hosts, nics, vms, srs)| Size {
        hosts,
        nics,
        vms,
        srs,
    })
}
