//! Laws of partition survival, on random pools that keep the daemon's assumptions.
//!
//! `XCP_POOL_CASES` sets the number of pools for each law.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use xcp_pool::election::HostSet;
use xcp_pool::election::partition::{Scenario, Survival, SurvivalRule, Views};

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

fn names(n: usize) -> Vec<String> {
    (0..n).map(|host| format!("{host:02}")).collect()
}

fn outcome(views: &Views) -> Survival {
    Scenario::from_views(names(views.n), views.clone()).unwrap().decide().unwrap()
}

fn survivors(views: &Views) -> HostSet {
    outcome(views).survivors.iter().map(|name| name.parse::<usize>().unwrap()).collect()
}

/// Hosts with storage that run.
fn holders(views: &Views) -> HostSet {
    (0..views.n).filter(|host| !views.sf[*host].is_empty()).collect()
}

/// What a pool is made of; `links` says which pairs hear each other.
fn assemble(
    weights: Vec<u32>,
    fates: &[u8],
    storage: &[bool],
    links: impl Fn(usize, usize) -> bool,
) -> Views {
    let n = weights.len();
    let select = |is: &dyn Fn(usize) -> bool| (0..n).filter(|host| is(*host)).collect::<HostSet>();
    // 0 was shut down, 1 crashed before the fault, 2 crashes, the others run.
    let excluded = select(&|host| fates[host] == 0);
    let running = select(&|host| fates[host] > 2);
    let liveset = select(&|host| fates[host] > 1);
    let with_storage = select(&|host| running.contains(host) && storage[host]);
    let hears = |host: usize| {
        select(&|other| running.contains(other) && (host == other || links(host, other)))
    };
    let of = |set: HostSet, host: usize, domain: HostSet| {
        if set.contains(host) { domain } else { HostSet::EMPTY }
    };
    Views {
        n,
        weights,
        excluded,
        liveset,
        running,
        hb: (0..n).map(|host| of(running, host, hears(host))).collect(),
        sf: (0..n).map(|host| of(with_storage, host, with_storage)).collect(),
        stale_view: liveset,
    }
}

/// A random graph of heartbeats, mostly of equal weights.
fn pools(hosts: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Views> {
    (hosts, any::<bool>(), 0..4_u8).prop_flat_map(|(n, weighted, cut)| {
        let weight = if weighted { 1..4_u32 } else { 1..2_u32 };
        (
            prop::collection::vec(weight, n),
            prop::collection::vec(0..12_u8, n),
            prop::collection::vec(prop::bool::weighted(0.7), n),
            prop::collection::vec(0..5_u8, n * n),
        )
            .prop_map(move |(weights, fates, storage, links)| {
                let n = weights.len();
                assemble(weights, &fates, &storage, |a, b| links[a.min(b) * n + a.max(b)] >= cut)
            })
    })
}

/// Fully connected groups, all of them running: what the closed form is for.
fn groups() -> impl Strategy<Value = (Views, Vec<u8>)> {
    (1..=9_usize).prop_flat_map(|n| {
        (
            prop::collection::vec(1..3_u32, n),
            prop::collection::vec(prop_oneof![1 => Just(0_u8), 6 => Just(3_u8)], n),
            prop::collection::vec(any::<bool>(), n),
            prop::collection::vec(0..3_u8, n),
        )
            .prop_map(|(weights, fates, storage, group)| {
                let sides = group.clone();
                (assemble(weights, &fates, &storage, |a, b| sides[a] == sides[b]), group)
            })
    })
}

/// The closed form: the best group among the holders of storage, or all if all lost it.
fn closed_form(views: &Views, group: &[u8]) -> HostSet {
    let holders = holders(views);
    if holders.is_empty() {
        let whole = |host: &usize| {
            (0..views.n).all(|other| {
                views.excluded.contains(other)
                    || views.running.contains(other) && group[other] == group[*host]
            })
        };
        return views.running.iter().filter(whole).collect();
    }
    (0..3_u8)
        .map(|g| holders.iter().filter(|host| group[*host] == g).collect::<HostSet>())
        .filter(|side| !side.is_empty())
        .max_by_key(|side| {
            let weight: u32 = side.iter().map(|host| views.weights[host]).sum();
            (weight, side.len(), std::cmp::Reverse(side.lowest()))
        })
        .unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_survivors_are_one_group_that_agrees(views in pools(1..=9)) {
        let outcome = outcome(&views);
        let survivors = survivors(&views);
        for host in survivors.iter() {
            prop_assert!(survivors.is_subset(views.hb[host]), "{host} does not hear all: {survivors:?}");
        }
        if !survivors.is_empty() {
            prop_assert_eq!(&outcome.next_live_set, &outcome.survivors);
        }
        prop_assert_eq!(outcome.survivors.len() + outcome.fenced.len(), views.running.len());
        match outcome.rule {
            Some(SurvivalRule::HasStorage) => prop_assert!(survivors.is_subset(holders(&views))),
            Some(SurvivalRule::NobodyHasStorage) => prop_assert!(holders(&views).is_empty()),
            None => prop_assert!(survivors.is_empty()),
        }
    }

    #[test]
    fn somebody_survives_if_anybody_has_storage(views in pools(1..=9)) {
        prop_assert!(holders(&views).is_empty() || !survivors(&views).is_empty());
    }

    #[test]
    fn the_closed_form_agrees((views, group) in groups()) {
        prop_assert_eq!(survivors(&views), closed_form(&views, &group));
    }

    #[test]
    fn equal_weights_may_be_any_weight(views in pools(1..=9), factor in 2..50_u32) {
        let unit = Views { weights: vec![1; views.n], ..views };
        let heavy = Views { weights: vec![factor; unit.n], ..unit.clone() };
        prop_assert_eq!(survivors(&unit), survivors(&heavy));
    }

    #[test]
    fn the_order_in_which_hosts_are_named_does_not_matter(
        (order, away) in (1..=9_usize).prop_flat_map(|n| {
            (Just(names(n)).prop_shuffle(), prop::collection::vec(any::<bool>(), n))
        })
    ) {
        let decide = |order: &[String]| {
            let mut pool = Scenario::new(order.to_vec()).unwrap();
            let side: Vec<&str> =
                order.iter().filter(|name| away[name.parse::<usize>().unwrap()]).map(String::as_str).collect();
            pool.split(&side).unwrap();
            pool.decide().unwrap()
        };
        prop_assert_eq!(decide(&order), decide(&names(order.len())));
    }

    #[test]
    fn large_pools_keep_the_laws(views in pools(10..=64)) {
        let survivors = survivors(&views);
        prop_assert!(survivors.iter().all(|host| survivors.is_subset(views.hb[host])));
        prop_assert!(holders(&views).is_empty() || !survivors.is_empty());
    }

    #[test]
    fn no_input_panics(
        n in 0..70_usize,
        lists in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..70),
        sets in any::<[u64; 4]>(),
    ) {
        let within = |bits| HostSet::from_bits(bits) & HostSet::first(lists.len());
        let views = Views {
            n: if n % 2 == 0 { lists.len() } else { n },
            weights: lists.iter().map(|list| list.0).collect(),
            excluded: within(sets[0]),
            liveset: within(sets[1]),
            running: within(sets[2]),
            hb: lists.iter().map(|list| within(list.1)).collect(),
            sf: lists.iter().map(|list| within(list.2)).collect(),
            stale_view: within(sets[3]),
        };
        let decided = views.decide();
        prop_assert_eq!(decided.is_ok(), views.n == lists.len() && (1..=64).contains(&views.n));
        if let Ok(scenario) = Scenario::from_views(names(views.n), views) {
            let _ = scenario.decide();
        }
    }
}
