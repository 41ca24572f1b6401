//! The survival decision of one host, from what it knows itself.

use serde::{Deserialize, Serialize};

use crate::election::hostset::{HostSet, MAX_HOSTS};
#[cfg(any(test, feature = "simulator"))]
use crate::error::{Error, ErrorKind, Result};

/// A host's two domains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Domains {
    /// Whom it hears on the network, itself included.
    pub hb: HostSet,
    /// Whom it sees writing to the state file; empty if it lost the storage.
    pub sf: HostSet,
}

/// What one host knows when it has to decide.
///
/// Other hosts publish their domains twice, in their heartbeats and in the state file, and what
/// arrives may be of different age. [`Views`](super::Views) makes all hosts' local views of one
/// common picture; who simulates the hosts one by one fills them with what each of them received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LocalView {
    /// The host that decides.
    pub me: usize,
    /// The weight that each configured host committed, by host index.
    pub weights: Vec<u32>,
    /// Hosts that were shut down cleanly and do not count.
    pub excluded: HostSet,
    /// The live set.
    pub liveset: HostSet,
    /// The host's own domains.
    pub own: Domains,
    /// The domains in the last heartbeat of each host; the own entry is not used.
    pub heard: Vec<Domains>,
    /// The domains in each host's part of the state file; the own entry is not used.
    pub read: Vec<Domains>,
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

/// The view that a host decides on.
struct Settled {
    agreed: bool,
    own: Domains,
    /// Everybody's domains as the state file has them, repaired if the views did not agree.
    read: Vec<Domains>,
}

/// What is asked of one host alone, by whom nothing was checked before.
#[cfg(any(test, feature = "simulator"))]
impl LocalView {
    /// Whether all whom the host hears or sees publish its own view.
    ///
    /// As the daemon does (`sm.c:2366-2434`).
    ///
    /// As long as they do not, the daemon waits, up to
    /// [`agreement_timeout`](super::Timing::agreement_timeout).
    ///
    /// # Errors
    /// As for [`LocalView::decide`].
    pub(crate) fn agrees(&self) -> Result<bool> {
        self.check_shape()?;
        Ok(self.is_shared())
    }

    /// What the host decides now (`sm.c:1026-1128`).
    ///
    /// A view that is not shared is repaired first.
    ///
    /// # Errors
    /// `InvalidInput` if there are no hosts or more than 64, if the lists differ in length, or if
    /// the host, its domains or its live set name others.
    pub(crate) fn decide(&self) -> Result<HostDecision> {
        self.check_shape()?;
        Ok(self.ruling().decision)
    }

    fn check_shape(&self) -> Result<()> {
        let n = self.weights.len();
        let named = self.own.hb | self.own.sf | self.liveset;
        let lists_fit = self.heard.len() == n && self.read.len() == n;
        if n > MAX_HOSTS || self.me >= n || !lists_fit || !named.is_subset(HostSet::first(n)) {
            let what = format!("host {} does not know {n} hosts", self.me);
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        Ok(())
    }

    /// Whether the host is in the best group as far as it sees: what counts when hosts
    /// start without a live set (`am_I_in_largest_partition`).
    ///
    /// # Errors
    /// As for [`LocalView::decide`].
    pub(crate) fn is_in_best_group(&self) -> Result<bool> {
        self.check_shape()?;
        let own = self.own();
        let read = (0..self.n()).map(|host| if host == self.me { own } else { self.read(host) });
        Ok(self.best_group(own, &read.collect::<Vec<_>>()).0)
    }
}

impl LocalView {
    /// The decision with its reasons; the shape must have been checked.
    pub(super) fn ruling(&self) -> Ruling {
        let settled = self.settle();
        let Domains { hb, sf } = settled.own;
        let (by_rule1, winner) = self.survives_rule1(&settled);
        let against_rule2 = self.against_rule2(hb);
        let by_rule2 = !by_rule1 && against_rule2.is_empty();
        let proposed_liveset = match (by_rule1, by_rule2) {
            (true, _) => self.liveset & hb & sf,
            (false, true) => self.liveset & hb,
            (false, false) => self.liveset,
        };
        let removed = self.liveset - proposed_liveset;
        Ruling {
            decision: HostDecision {
                views_agreed: settled.agreed,
                survives: by_rule1 || by_rule2,
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

    fn n(&self) -> usize {
        self.weights.len()
    }

    /// The host's own domains in the live set.
    fn own(&self) -> Domains {
        self.own.within(self.liveset)
    }

    fn heard(&self, host: usize) -> Domains {
        self.heard[host].within(self.liveset)
    }

    fn read(&self, host: usize) -> Domains {
        self.read[host].within(self.liveset)
    }

    fn is_shared(&self) -> bool {
        let own = self.own();
        self.liveset.without(self.me).iter().filter(|host| *host < self.n()).all(|host| {
            (!own.hb.contains(host) || self.heard(host) == own)
                && (!own.sf.contains(host) || self.read(host) == own)
        })
    }

    fn settle(&self) -> Settled {
        let own = self.own();
        let read =
            (0..self.n()).map(|host| if host == self.me { own } else { self.read(host) }).collect();
        if self.is_shared() { Settled { agreed: true, own, read } } else { self.repair(own, read) }
    }

    /// The daemon's greedy search for a fully connected group (`sm.c:2446-2596`).
    ///
    /// It need not find the largest one. Each round drops the host with the poorest heartbeat
    /// domain, the highest index among equals, until the poorest one hears all that are left.
    fn repair(&self, own: Domains, mut read: Vec<Domains>) -> Settled {
        let sf: HostSet = own
            .sf
            .iter()
            .filter(|host| {
                *host == self.me
                    || !self.read(*host).sf.is_empty() && !self.heard(*host).sf.is_empty()
            })
            .collect();
        let mut left = sf;
        for (host, view) in read.iter_mut().enumerate() {
            view.hb = if left.contains(host) { view.hb & left } else { HostSet::EMPTY };
        }
        let mut score: Vec<u64> = read.iter().map(|view| self.score(view.hb)).collect();
        // `min_by_key` keeps the first of equals: the highest index, as we walk downwards.
        while let Some(poorest) = left.iter().rev().min_by_key(|host| score[*host]) {
            if left.is_subset(read[poorest].hb) {
                break;
            }
            left.remove(poorest);
            read[poorest].hb = HostSet::EMPTY;
            let gone = weight_score(self.weights[poorest]) + SIZE_SCORE;
            for host in left.iter() {
                let hb = &mut read[host].hb;
                if hb.contains(poorest) {
                    hb.remove(poorest);
                    let others = score[host] / SIZE_SCORE * SIZE_SCORE - gone;
                    score[host] = others + index_score(*hb);
                }
            }
        }
        let own = Domains { hb: read[self.me].hb, sf };
        read[self.me] = own;
        Settled { agreed: false, own, read }
    }

    /// How good a heartbeat domain is: heavier, then larger, then with a lower lowest index
    /// (`get_partition_score`).
    fn score(&self, domain: HostSet) -> u64 {
        let weights = domain.iter().filter_map(|host| self.weights.get(host));
        let hosts: u64 = weights.map(|weight| weight_score(*weight) + SIZE_SCORE).sum();
        hosts + index_score(domain)
    }

    fn weight(&self, hosts: HostSet) -> u64 {
        hosts
            .iter()
            .filter_map(|host| self.weights.get(host))
            .map(|weight| u64::from(*weight))
            .sum()
    }

    /// Rule 1: the best group among those who reach the storage (`sm.c:1026-1065, 2033-2138`).
    fn survives_rule1(&self, settled: &Settled) -> (bool, Option<usize>) {
        let own = settled.own;
        if !own.sf.is_empty() && own.sf.is_subset(own.hb) {
            return (true, None);
        }
        self.best_group(own, &settled.read)
    }

    /// Whether the host is in the best group, and around which host that was found.
    fn best_group(&self, own: Domains, read: &[Domains]) -> (bool, Option<usize>) {
        let mut best = None;
        for host in own.sf.iter() {
            let Domains { hb, sf } = read[host];
            let size = 256 * self.weight(hb & sf) + (hb & sf).len() as u64;
            if size > best.map_or(0, |(_, size)| size) {
                best = Some((host, size));
            }
        }
        let Some((winner, _)) = best else { return (false, None) };
        let theirs = read[winner];
        let with_winner = theirs.sf.contains(self.me)
            && theirs.hb.contains(self.me)
            && own.sf.contains(winner)
            && own.hb.contains(winner);
        (winner == self.me || with_winner, Some(winner))
    }

    /// Rule 2 holds if this is empty: all visible and without storage, or excluded
    /// (`sm.c:1063-1090`).
    fn against_rule2(&self, hb: HostSet) -> HostSet {
        (0..self.n())
            .filter(|&host| {
                if !hb.contains(host) {
                    return !self.excluded.contains(host);
                }
                if host == self.me {
                    !self.own.sf.is_empty()
                } else {
                    self.heard(host).sf.contains(host)
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

/// What a host's weight counts in a heartbeat domain.
fn weight_score(weight: u32) -> u64 {
    u64::from(weight) * 0x1_0000
}

/// What the lowest index counts.
fn index_score(domain: HostSet) -> u64 {
    domain.lowest().map_or(0, |lowest| (MAX_HOSTS - lowest) as u64)
}

/// What each host of a heartbeat domain counts beside its weight: more than any index.
const SIZE_SCORE: u64 = 0x100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::FileFailurePersistence;

    use super::*;

    #[test]
    fn a_host_decides_on_what_it_received_itself() {
        let both = HostSet::first(2);
        let all = Domains { hb: both, sf: both };
        let alone = |host| Domains { hb: HostSet::only(host), sf: both };
        // Host 1 no longer hears host 0; what host 0 thinks of that it knows from the state file
        // only.
        let mut view = LocalView {
            me: 1,
            weights: vec![1, 1],
            excluded: HostSet::EMPTY,
            liveset: both,
            own: alone(1),
            heard: vec![all, all],
            read: vec![all, all],
        };
        assert!(!view.agrees().unwrap(), "the file still has the old view of host 0");
        view.read[0] = alone(0);
        assert!(!view.agrees().unwrap(), "each has another view by now");
        let decision = view.decide().unwrap();
        assert!(!decision.survives && !decision.views_agreed);
        // From host 0's side, the same news let it survive.
        let other = LocalView { me: 0, own: alone(0), read: vec![all, alone(1)], ..view };
        let decision = other.decide().unwrap();
        assert!(decision.survives && !decision.by_rule2);
        assert_eq!(decision.proposed_liveset, HostSet::only(0));
    }

    fn config() -> ProptestConfig {
        let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|text| text.parse().ok());
        let cases = cases.unwrap_or(400);
        let found =
            FileFailurePersistence::Direct("tests/data/regressions/election_partition_laws.txt");
        ProptestConfig {
            cases,
            max_global_rejects: cases * 50 + 1000,
            failure_persistence: Some(Box::new(found)),
            ..ProptestConfig::default()
        }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn no_local_view_panics(
            me in 0..70_usize,
            lists in prop::collection::vec(any::<(u32, u64, u64, u64, u64)>(), 0..70),
            sets in any::<[u64; 4]>(),
            bounded in any::<bool>(),
        ) {
            let n = lists.len();
            let known = HostSet::first(if bounded { n } else { 64 });
            let set = |bits| HostSet::from_bits(bits) & known;
            let domains = |hb, sf| Domains { hb: set(hb), sf: set(sf) };
            let view = LocalView {
                me,
                weights: lists.iter().map(|list| list.0).collect(),
                excluded: set(sets[0]),
                liveset: set(sets[1]),
                own: domains(sets[2], sets[3]),
                heard: lists.iter().map(|list| domains(list.1, list.2)).collect(),
                read: lists.iter().map(|list| domains(list.3, list.4)).collect(),
            };
            let known = HostSet::first(n);
            let named = view.own.hb | view.own.sf | view.liveset;
            let decided = view.decide();
            prop_assert_eq!(decided.is_ok(), me < n && n <= 64 && named.is_subset(known));
            prop_assert_eq!(view.agrees().is_ok(), decided.is_ok());
            prop_assert_eq!(view.is_in_best_group().is_ok(), decided.is_ok());
            if let Ok(decision) = decided {
                prop_assert!(decision.proposed_liveset.is_subset(view.liveset));
            }
        }
    }
}
