//! The survival decision of every host, from what every host knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::local::{Domains, HostDecision, LocalView, Ruling};
use crate::election::hostset::{HostSet, MAX_HOSTS};
use crate::error::{Error, ErrorKind, Result};

/// What every host of an HA pool knows at the moment of a fault, by host index.
///
/// Hosts are in the order of their uuids without dashes; every tie is broken by this order. The
/// field names are those of the recorded vectors. This is the raw form that takes any view;
/// [`Scenario`](super::Scenario) refuses what cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is input, written out by whoever replays a recording"
)]
pub struct Views {
    /// How many hosts are configured.
    pub n: usize,
    /// Weight of each host; 1 unless someone set more by hand, as XAPI never does.
    pub weights: Vec<u32>,
    /// Hosts that were shut down cleanly and do not count.
    pub excluded: HostSet,
    /// The live set before the fault.
    pub liveset: HostSet,
    /// Hosts that run, and therefore decide.
    pub running: HostSet,
    /// Heartbeat domain of each host: whom it hears, itself included.
    pub hb: Vec<HostSet>,
    /// State-file domain of each host: whom it sees writing.
    ///
    /// Empty if it lost the storage.
    pub sf: Vec<HostSet>,
    /// What is still known of a host that cannot be heard or read now.
    ///
    /// It stands for both domains.
    pub stale_view: HostSet,
}

impl Views {
    /// What each running host decides, by host index.
    ///
    /// All hosts first settle their views, then decide on what the others published, as the daemon
    /// does (`sm.c:923-1128`).
    ///
    /// # Errors
    /// `InvalidInput` if there are no hosts or more than 64, if a list is not `n` long, or if a set
    /// names a host that is not configured.
    ///
    /// # Example
    /// ```
    /// use xcp_pool::election::{HostSet, partition::Views};
    ///
    /// let both = HostSet::first(2);
    /// let cut = Views {
    ///     n: 2,
    ///     weights: vec![1, 1],
    ///     excluded: HostSet::EMPTY,
    ///     liveset: both,
    ///     running: both,
    ///     hb: vec![HostSet::only(0), HostSet::only(1)],
    ///     sf: vec![both, both],
    ///     stale_view: both,
    /// };
    /// let decisions = cut.decide()?;
    /// assert!(decisions[&0].survives && !decisions[&1].survives);
    /// # Ok::<(), xcp_pool::Error>(())
    /// ```
    pub fn decide(&self) -> Result<BTreeMap<usize, HostDecision>> {
        self.check_shape()?;
        Ok(self.rulings().into_iter().map(|(host, ruling)| (host, ruling.decision)).collect())
    }

    /// The decisions with their reasons; the shape must have been checked.
    pub(super) fn rulings(&self) -> BTreeMap<usize, Ruling> {
        self.running.iter().map(|me| (me, self.of(me).ruling())).collect()
    }

    /// What one host knows: of whom it neither hears nor reads, what it knew before.
    fn of(&self, me: usize) -> LocalView {
        let stale = Domains { hb: self.stale_view, sf: self.stale_view };
        let known = |domain: HostSet| {
            let of = |host| if domain.contains(host) { self.raw(host) } else { stale };
            (0..self.n).map(of).collect()
        };
        LocalView {
            me,
            weights: self.weights.clone(),
            excluded: self.excluded,
            liveset: self.liveset,
            own: self.raw(me),
            heard: known(self.hb[me]),
            read: known(self.sf[me]),
        }
    }

    fn raw(&self, host: usize) -> Domains {
        Domains { hb: self.hb[host], sf: self.sf[host] }
    }

    pub(super) fn check_shape(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        if self.n == 0 || self.n > MAX_HOSTS {
            return wrong(format!("{} hosts: HA knows 1 to {MAX_HOSTS}", self.n));
        }
        for (list, len) in
            [("weights", self.weights.len()), ("hb", self.hb.len()), ("sf", self.sf.len())]
        {
            if len != self.n {
                return wrong(format!("{list} has {len} entries for {} hosts", self.n));
            }
        }
        let named = [self.excluded, self.liveset, self.running, self.stale_view];
        let all = named.iter().chain(&self.hb).chain(&self.sf).fold(HostSet::EMPTY, |a, b| a | *b);
        match (all - HostSet::first(self.n)).lowest() {
            Some(host) => wrong(format!("host {host} is not one of the {} configured", self.n)),
            None => Ok(()),
        }
    }
}
