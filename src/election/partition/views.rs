//! The survival decision of every host, from what every host knows.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::election::HostSet;
use crate::error::{Error, ErrorKind, Result};

/// The most hosts that the HA daemon knows (`MAX_HOST_NUM`).
pub const MAX_HOSTS: usize = 64;

/// What every host of an HA pool knows at the moment of a fault, by host index.
///
/// Hosts are in the order of their uuids without dashes; every tie is broken by this order. The
/// field names are those of the recorded vectors. This is the raw form that takes any view;
/// [`Scenario`](super::Scenario) refuses what cannot be.
// Exhaustive: it is input, written out by whoever replays a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// State-file domain of each host: whom it sees writing; empty if it lost the storage.
    pub sf: Vec<HostSet>,
    /// What is still known, as both domains, of a host that cannot be heard or read now.
    pub stale_view: HostSet,
}

/// What one running host decides; field names are those of the recorded vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostDecision {
    /// Whether the views agreed, so that nothing was repaired.
    pub views_agreed: bool,
    /// Whether the host stays alive.
    pub survives: bool,
    /// Whether it survives by rule 2: everybody visible, everybody without storage.
    pub by_rule2: bool,
    /// Its heartbeat domain in the live set, repaired if the views did not agree.
    pub hb_after: HostSet,
    /// Its state-file domain in the live set, repaired likewise.
    pub sf_after: HostSet,
    /// The live set that it proposes; unchanged for a host that fences itself.
    pub proposed_liveset: HostSet,
}

/// A decision with what led to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ruling {
    pub decision: HostDecision,
    /// The host around which rule 1 saw the best group, if it had to look.
    pub winner: Option<usize>,
    /// Hosts that keep rule 2 from holding.
    pub against_rule2: HostSet,
    /// Whether a host is removed that is still visible in a domain.
    pub removes_visible: bool,
}

/// A host's two domains.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Domains {
    hb: HostSet,
    sf: HostSet,
}

struct Settled {
    domains: Domains,
    agreed: bool,
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
        let settled: BTreeMap<usize, Settled> =
            self.running.iter().map(|me| (me, self.settle(me))).collect();
        let published: Vec<Domains> = (0..self.n)
            .map(|host| settled.get(&host).map_or_else(|| self.raw(host), |own| own.domains))
            .collect();
        settled.iter().map(|(me, own)| (*me, self.rule(*me, own, &published))).collect()
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

    fn raw(&self, host: usize) -> Domains {
        Domains { hb: self.hb[host], sf: self.sf[host] }.within(self.liveset)
    }

    fn stale(&self) -> Domains {
        Domains { hb: self.stale_view, sf: self.stale_view }.within(self.liveset)
    }

    /// What `me` knows of a host from its heartbeat.
    fn heard(&self, me: usize, host: usize) -> Domains {
        if self.hb[me].contains(host) { self.raw(host) } else { self.stale() }
    }

    /// What `me` knows of a host from its block of the state file.
    fn read(&self, me: usize, host: usize) -> Domains {
        if self.sf[me].contains(host) { self.raw(host) } else { self.stale() }
    }

    /// The view that `me` decides on: its own if the others share it, else repaired.
    fn settle(&self, me: usize) -> Settled {
        let own = self.raw(me);
        let agreed = self.liveset.without(me).iter().all(|host| {
            (!own.hb.contains(host) || self.heard(me, host) == own)
                && (!own.sf.contains(host) || self.read(me, host) == own)
        });
        let domains = if agreed { own } else { self.repair(me, own) };
        Settled { domains, agreed }
    }

    /// The daemon's greedy search for a fully connected group (`sm.c:2446-2596`).
    ///
    /// It need not find the largest one. Each round drops the host with the poorest heartbeat
    /// domain, the highest index among equals, until the poorest one hears all that are left.
    fn repair(&self, me: usize, own: Domains) -> Domains {
        let sf: HostSet = own
            .sf
            .iter()
            .filter(|host| {
                *host == me
                    || !self.read(me, *host).sf.is_empty() && !self.heard(me, *host).sf.is_empty()
            })
            .collect();
        let mut left = sf;
        let mut hb: Vec<HostSet> = (0..self.n)
            .map(|host| if host == me { own } else { self.read(me, host) })
            .enumerate()
            .map(|(host, view)| if left.contains(host) { view.hb & left } else { HostSet::EMPTY })
            .collect();
        let mut weight: Vec<u64> = hb.iter().map(|domain| self.weight(*domain)).collect();
        // `min_by_key` keeps the first of equals: the highest index, as we walk downwards.
        while let Some(poorest) =
            left.iter().rev().min_by_key(|host| (weight[*host], richness(hb[*host])))
        {
            if left.is_subset(hb[poorest]) {
                break;
            }
            left.remove(poorest);
            hb[poorest] = HostSet::EMPTY;
            for host in left {
                if hb[host].contains(poorest) {
                    hb[host].remove(poorest);
                    weight[host] -= u64::from(self.weights[poorest]);
                }
            }
        }
        Domains { hb: hb[me], sf }
    }

    fn weight(&self, hosts: HostSet) -> u64 {
        hosts.iter().map(|host| u64::from(self.weights[host])).sum()
    }

    fn rule(&self, me: usize, own: &Settled, published: &[Domains]) -> Ruling {
        let Domains { hb, sf } = own.domains;
        let (by_rule1, winner) = self.survives_rule1(me, own.domains, published);
        let against_rule2 = self.against_rule2(me, hb);
        let by_rule2 = !by_rule1 && against_rule2.is_empty();
        let survives = by_rule1 || by_rule2;
        let proposed_liveset = match (by_rule1, by_rule2) {
            (true, _) => self.liveset & hb & sf,
            (false, true) => self.liveset & hb,
            (false, false) => self.liveset,
        };
        let removed = self.liveset - proposed_liveset;
        Ruling {
            decision: HostDecision {
                views_agreed: own.agreed,
                survives,
                by_rule2,
                hb_after: hb,
                sf_after: sf,
                proposed_liveset,
            },
            winner,
            against_rule2,
            removes_visible: !(removed & (hb | sf)).is_empty(),
        }
    }

    /// Rule 1: the best group among those who reach the storage (`sm.c:1026-1065, 2033-2138`).
    fn survives_rule1(
        &self,
        me: usize,
        own: Domains,
        published: &[Domains],
    ) -> (bool, Option<usize>) {
        if !own.sf.is_empty() && own.sf.is_subset(own.hb) {
            return (true, None);
        }
        let domains = |host: usize| {
            if host == me {
                own
            } else if self.sf[me].contains(host) {
                published[host]
            } else {
                self.stale()
            }
        };
        let size = |host: usize| {
            let Domains { hb, sf } = domains(host);
            256 * self.weight(hb & sf) + (hb & sf).len() as u64
        };
        let mut best = None;
        for host in own.sf {
            let size = size(host);
            if size > best.map_or(0, |(_, size)| size) {
                best = Some((host, size));
            }
        }
        let Some((winner, _)) = best else { return (false, None) };
        let theirs = domains(winner);
        let with_winner = theirs.sf.contains(me)
            && theirs.hb.contains(me)
            && own.sf.contains(winner)
            && own.hb.contains(winner);
        (winner == me || with_winner, Some(winner))
    }

    /// Rule 2 holds if this is empty: all visible and without storage, or excluded (`sm.c:1063-1090`).
    fn against_rule2(&self, me: usize, hb: HostSet) -> HostSet {
        (0..self.n)
            .filter(|&host| {
                if !hb.contains(host) {
                    return !self.excluded.contains(host);
                }
                if host == me {
                    !self.sf[me].is_empty()
                } else {
                    self.heard(me, host).sf.contains(host)
                }
            })
            .collect()
    }
}

impl Domains {
    fn within(self, set: HostSet) -> Self {
        Self { hb: self.hb & set, sf: self.sf & set }
    }
}

/// How good a heartbeat domain is beyond its weight: larger, then with a lower lowest index.
fn richness(domain: HostSet) -> (usize, Reverse<Option<usize>>) {
    (domain.len(), Reverse(domain.lowest()))
}
