//! Laws of choosing a master, on random pools with random gaps in what is known.
//!
//! `XCP_POOL_CASES` sets the number of pools for each law.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;
use xcp_pool::election::{
    Candidate, DatabaseCopy, Decision, Eligibility, HostEvidence, HostRole, Mode, PoolEvidence,
    Safety, Weight, emergency, planned,
};
use xcp_pool::model::{Host, HostMetrics, Pbd, Pool, Ref, Snapshot, Sr, UpdateGuidance, Uuid};

fn config() -> ProptestConfig {
    let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|text| text.parse().ok());
    let cases = cases.unwrap_or(150);
    let found = FileFailurePersistence::Direct("tests/data/regressions/election_choice_laws.txt");
    ProptestConfig {
        cases,
        max_global_rejects: cases * 50 + 1000,
        failure_persistence: Some(Box::new(found)),
        ..ProptestConfig::default()
    }
}

/// A host of a pool, with what is known of it.
#[derive(Clone, Debug)]
struct Spec {
    enabled: bool,
    live: Option<bool>,
    version: Option<u8>,
    attached: bool,
    guidance: bool,
    evidence: HostEvidence,
}

/// A pool; the host with number n has the n-th uuid, and any ref.
#[derive(Clone, Debug)]
struct World {
    hosts: Vec<Spec>,
    /// Which of the hosts is master; beyond them, none is.
    master: usize,
    /// The refs' order, which must not matter.
    refs: Vec<usize>,
    ha_enabled: bool,
}

fn mostly<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    rare: Vec<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![4 => Just(usual), 1 => prop::sample::select(rare)]
}

fn specs() -> impl Strategy<Value = Spec> {
    let evidence = (
        mostly(Some(true), vec![None, Some(false)]),
        mostly(
            Some(HostRole::Slave("10.0.0.0".into())),
            vec![None, Some(HostRole::Master), Some(HostRole::Broken)],
        ),
        mostly(Some(false), vec![None, Some(true)]),
        mostly(Some(1_u64), vec![None, Some(0), Some(2), Some(9)]),
        mostly(false, vec![true]),
        mostly(None, vec![Some(true), Some(false)]),
    )
        .prop_map(|(reachable, role, ha_armed, copy, vetoed, off)| {
            let is_off = off == Some(true);
            HostEvidence {
                reachable: if is_off { reachable.filter(|up| !up) } else { reachable },
                role: if is_off { None } else { role },
                ha_armed,
                database: copy.map(|number| DatabaseCopy {
                    absent: number == 9,
                    generation: (number != 9).then_some(100 + number),
                    ..DatabaseCopy::default()
                }),
                vetoed,
                powered_off: off,
                ..HostEvidence::default()
            }
        });
    (
        mostly(true, vec![false]),
        mostly(Some(true), vec![None, Some(false)]),
        mostly(Some(6), vec![None, Some(5), Some(7)]),
        mostly(true, vec![false]),
        mostly(false, vec![true]),
        evidence,
    )
        .prop_map(|(enabled, live, version, attached, guidance, evidence)| Spec {
            enabled,
            live,
            version,
            attached,
            guidance,
            evidence,
        })
}

fn worlds() -> impl Strategy<Value = World> {
    (1..=7_usize).prop_flat_map(|n| {
        (
            prop::collection::vec(specs(), n),
            mostly(0, (0..=n).collect()),
            Just((0..n).collect::<Vec<_>>()).prop_shuffle(),
            mostly(false, vec![true]),
        )
            .prop_map(|(hosts, master, refs, ha_enabled)| World {
                hosts,
                master,
                refs,
                ha_enabled,
            })
    })
}

impl World {
    fn reference(&self, host: usize) -> Ref<Host> {
        Ref::from(format!("OpaqueRef:{}", self.refs.get(host).copied().unwrap_or(99)).as_str())
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        let mut pool = Pool::default();
        pool.master = self.reference(self.master);
        pool.ha_enabled = self.ha_enabled;
        snapshot.pool.insert(Ref::from("OpaqueRef:p"), pool);
        let sr = Ref::from("OpaqueRef:nfs");
        let mut nfs = Sr::default();
        nfs.shared = true;
        snapshot.sr.insert(sr.clone(), nfs);
        for (n, spec) in self.hosts.iter().enumerate() {
            let mut host = Host::default();
            host.uuid = Uuid::new(&format!("uuid-{n}"));
            host.address = format!("10.0.0.{n}");
            host.enabled = spec.enabled;
            if let Some(minor) = spec.version {
                host.software_version.insert("xapi_build".into(), format!("25.{minor}.0"));
            }
            host.pending_guidances = Some(vec![UpdateGuidance::RebootHost; spec.guidance.into()]);
            if let Some(live) = spec.live {
                let mut metrics = HostMetrics::default();
                metrics.live = live;
                host.metrics = Ref::from(format!("OpaqueRef:m{n}").as_str());
                snapshot.host_metrics.insert(host.metrics.clone(), metrics);
            }
            let mut pbd = Pbd::default();
            (pbd.host, pbd.SR) = (self.reference(n), sr.clone());
            pbd.currently_attached = spec.attached;
            snapshot.pbd.insert(Ref::from(format!("OpaqueRef:pbd{n}").as_str()), pbd);
            snapshot.host.insert(self.reference(n), host);
        }
        snapshot
    }

    fn evidence(&self) -> PoolEvidence {
        let known = |(n, spec): (usize, &Spec)| (self.reference(n), spec.evidence.clone());
        PoolEvidence {
            hosts: self.hosts.iter().enumerate().map(known).collect(),
            ..PoolEvidence::none()
        }
    }

    fn decide(&self, mode: Mode) -> Decision {
        let decide = match mode {
            Mode::Planned => planned,
            Mode::Emergency => emergency,
        };
        decide(&self.snapshot(), &self.evidence()).unwrap()
    }

    fn number(&self, host: &Ref<Host>) -> usize {
        (0..self.hosts.len()).find(|n| self.reference(*n) == *host).unwrap()
    }

    /// The ranking as numbers of hosts.
    fn order(&self, decision: &Decision) -> Vec<usize> {
        decision.ranked.iter().map(|candidate| self.number(&candidate.host)).collect()
    }

    fn spec(&self, candidate: &Candidate) -> &Spec {
        &self.hosts[self.number(&candidate.host)]
    }

    /// Nothing that makes generations incomparable.
    fn of_one_history(mut self) -> Self {
        for spec in &mut self.hosts {
            spec.evidence.role = Some(HostRole::Slave(format!("10.0.0.{}", self.master)));
        }
        self
    }
}

fn modes() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Planned, Mode::Emergency])
}

fn eligible(decision: &Decision) -> Vec<Ref<Host>> {
    let yes = decision.ranked.iter().filter(|candidate| candidate.eligible == Eligibility::Yes);
    yes.map(|candidate| candidate.host.clone()).collect()
}

/// A change for the worse in what is known of the master that failed: off, silent, unknown, up.
fn darken_master(evidence: &mut HostEvidence) {
    match (evidence.powered_off, evidence.reachable) {
        (Some(true), _) => evidence.powered_off = None,
        (_, Some(false)) => evidence.reachable = None,
        (_, None) => evidence.reachable = Some(true),
        (_, Some(true)) => evidence.role = Some(HostRole::Master),
    }
}

/// A change for the worse in one thing that is known of a member: from good to unknown to bad.
fn darken_member(evidence: &mut HostEvidence, what: u8, master: usize) {
    match what % 4 {
        0 => {
            evidence.ha_armed = if evidence.ha_armed == Some(false) { None } else { Some(true) };
        }
        // That a copy is absent would be good news: no other copy can be newer than it.
        1 if evidence.database.as_ref().is_some_and(|copy| !copy.absent) => {
            evidence.database = None;
        }
        1 => {}
        2 => {
            let follows = Some(HostRole::Slave(format!("10.0.0.{master}")));
            evidence.role = if evidence.role == follows { None } else { Some(HostRole::Master) };
        }
        _ => evidence.vetoed = true,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_host_is_ranked_once_and_eligible_ones_first(world in worlds(), mode in modes()) {
        let decision = world.decide(mode);
        let mut order = world.order(&decision);
        order.sort_unstable();
        prop_assert_eq!(order, (0..world.hosts.len()).collect::<Vec<_>>());
        prop_assert!(decision.ranked.is_sorted_by_key(|candidate| candidate.eligible));
        prop_assert!(decision.ranked.iter().all(|c| c.reasons.is_sorted_by_key(|r| std::cmp::Reverse(r.weight()))));
    }

    #[test]
    fn refs_have_no_say(world in worlds(), mode in modes()) {
        let straight = World { refs: (0..world.hosts.len()).collect(), ..world.clone() };
        let (one, other) = (world.decide(mode), straight.decide(mode));
        prop_assert_eq!(world.order(&one), straight.order(&other));
        prop_assert_eq!(one.verdict, other.verdict);
        prop_assert_eq!(world.decide(mode), one);
    }

    #[test]
    fn only_a_host_beyond_reproach_is_recommended(world in worlds(), mode in modes()) {
        let decision = world.decide(mode);
        let Some(host) = &decision.recommended else { return Ok(()) };
        prop_assert_ne!(decision.verdict, Safety::Unsafe);
        let candidate = decision.candidate(host).unwrap();
        prop_assert_eq!(candidate.eligible, Eligibility::Yes);
        prop_assert_eq!(host, &decision.ranked[0].host);
        prop_assert_ne!(Some(host), decision.old_master.as_ref(), "the master itself");
        let chosen = world.spec(candidate);
        prop_assert_ne!(chosen.evidence.ha_armed, Some(true));
        prop_assert_ne!(chosen.evidence.answers(), Some(false));
        prop_assert_ne!(chosen.evidence.powered_off, Some(true));
        prop_assert!(!chosen.evidence.vetoed);
        for (n, other) in world.hosts.iter().enumerate() {
            let is_old = decision.old_master == Some(world.reference(n));
            let follows = other.evidence.answers() == Some(true) && !is_old;
            prop_assert!(!follows || other.version <= chosen.version || chosen.version.is_none());
        }
    }

    #[test]
    fn doubt_is_never_safe(world in worlds(), mode in modes()) {
        let decision = world.decide(mode);
        if decision.verdict == Safety::Safe {
            let best = &decision.ranked[0];
            prop_assert_eq!(best.count(Weight::Unknown), 0);
            prop_assert_eq!(&decision.confirmations, &[]);
            if mode == Mode::Emergency {
                let recorded = &world.hosts[world.master].evidence;
                match &decision.old_master {
                    Some(old) => prop_assert_eq!(world.evidence().of(old).powered_off, Some(true)),
                    // It said that it leads nobody, and nobody else says that he leads.
                    None => prop_assert!(matches!(recorded.role, Some(HostRole::Broken | HostRole::Slave(_)))),
                }
                prop_assert!(!world.hosts.iter().any(|spec| spec.evidence.claims_mastership()));
            } else {
                prop_assert!(world.hosts.iter().all(|spec| spec.evidence.answers() == Some(true)));
            }
        }
    }

    #[test]
    fn bad_news_of_the_old_master_makes_nothing_safer(world in worlds()) {
        let mut world = world;
        for _ in 0..4 {
            let before = world.decide(Mode::Emergency);
            // Where nobody is master, the old one is a member like others.
            let Some(old) = &before.old_master else { return Ok(()) };
            let old = world.number(old);
            darken_master(&mut world.hosts[old].evidence);
            prop_assert!(world.decide(Mode::Emergency).verdict >= before.verdict);
        }
    }

    #[test]
    fn bad_news_of_a_member_makes_nothing_safer(world in worlds(), who in any::<Index>(), what in any::<u8>()) {
        let mut world = world;
        let member = who.index(world.hosts.len());
        prop_assume!(member != world.master);
        for _ in 0..2 {
            let before = world.decide(Mode::Emergency).verdict;
            darken_member(&mut world.hosts[member].evidence, what, world.master);
            prop_assert!(world.decide(Mode::Emergency).verdict >= before);
        }
    }

    #[test]
    fn a_loser_that_leaves_does_not_change_the_winner(world in worlds(), mode in modes(), who in any::<Index>()) {
        let world = world.of_one_history();
        let before = world.decide(mode);
        let losers: Vec<_> = eligible(&before).into_iter().skip(1).collect();
        prop_assume!(!losers.is_empty());
        let leaver = who.get(&losers);
        let mut snapshot = world.snapshot();
        snapshot.host.remove(leaver);
        let decide = if mode == Mode::Planned { planned } else { emergency };
        let after = decide(&snapshot, &world.evidence()).unwrap();
        prop_assert_eq!(&eligible(&after)[..1], &eligible(&before)[..1]);
    }

    #[test]
    fn a_blemish_never_improves_a_rank(world in worlds(), mode in modes(), who in any::<Index>(), what in 0..4_u8) {
        let mut world = world;
        let n = who.index(world.hosts.len());
        let rank = |world: &World| {
            world.order(&world.decide(mode)).iter().position(|host| *host == n).unwrap()
        };
        let before = rank(&world);
        let spec = &mut world.hosts[n];
        match what {
            0 => spec.enabled = false,
            1 => spec.attached = false,
            2 => spec.guidance = true,
            _ => spec.evidence.vetoed = true,
        }
        prop_assert!(rank(&world) >= before);
    }

    #[test]
    fn news_of_one_host_does_not_reorder_others(world in worlds(), mode in modes(), who in any::<Index>(), news in specs()) {
        let world = world.of_one_history();
        let mut changed = world.clone();
        let n = who.index(world.hosts.len());
        changed.hosts[n].evidence = HostEvidence { role: world.hosts[n].evidence.role.clone(), ..news.evidence };
        let (before, after) = (eligible(&world.decide(mode)), eligible(&changed.decide(mode)));
        let both = |list: &[Ref<Host>], other: &[Ref<Host>]| -> Vec<Ref<Host>> {
            list.iter().filter(|host| other.contains(host) && **host != world.reference(n)).cloned().collect()
        };
        prop_assert_eq!(both(&before, &after), both(&after, &before));
    }
}

#[test]
fn pools_of_none_one_and_sixty_four_hosts_are_decided() {
    let spec = Spec {
        enabled: true,
        live: Some(true),
        version: Some(6),
        attached: true,
        guidance: false,
        evidence: HostEvidence { reachable: Some(true), ..HostEvidence::default() },
    };
    for n in [0, 1, 64] {
        let refs = (0..n).rev().collect();
        let world = World { hosts: vec![spec.clone(); n], master: 0, refs, ha_enabled: false };
        for mode in [Mode::Planned, Mode::Emergency] {
            let decision = world.decide(mode);
            assert_eq!(decision.ranked.len(), n);
            assert_eq!(decision.recommended.is_some(), n == 64 && mode == Mode::Planned);
        }
    }
}
