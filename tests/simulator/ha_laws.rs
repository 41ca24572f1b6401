//! What happens to a simulated pool with HA, host by host and second by second, is what
//! `election::partition` and `failover` say beforehand; and never are there two masters.
//!
//! `XCP_POOL_CASES` sets the number of random pools.

use crate::ha_support::{Cut, HaPool};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

fn config() -> ProptestConfig {
    let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|text| text.parse().ok());
    let found = FileFailurePersistence::Direct("tests/data/regressions/simulator_ha_laws.txt");
    ProptestConfig {
        cases: cases.unwrap_or(30),
        failure_persistence: Some(Box::new(found)),
        ..ProptestConfig::default()
    }
}

/// Every link, every host's storage, every host, and every way to split the network in two.
fn single_cuts(n: usize) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for a in 0..n {
        cuts.push(Cut::Storage(a));
        cuts.push(Cut::Host(a));
        cuts.extend((a + 1..n).map(|b| Cut::Link(a, b)));
    }
    // Host 0 is on one side; the other side is not empty.
    for away in 1..1_usize << (n - 1) {
        cuts.push(Cut::Split((1..n).filter(|host| away >> (host - 1) & 1 == 1).collect()));
    }
    cuts
}

/// Cuts a pool and lets it run until all is decided and done.
fn try_cut(n: usize, cut: &Cut) {
    let seed = n as u64 * 1000;
    let mut pool = HaPool::new(n, seed, 20);
    pool.cut(cut);
    pool.run(180);
    pool.assert_ended_as(&pool.scenario.decide().unwrap());
}

macro_rules! pools {
    ($($name:ident $n:literal)*) => {$(
        #[test]
        fn $name() {
            for cut in single_cuts($n) {
                println!("{cut:?}");
                try_cut($n, &cut);
            }
        }
    )*};
}

pools! {
    every_single_cut_of_two_hosts_ends_as_foretold 2
    every_single_cut_of_three_hosts_ends_as_foretold 3
    every_single_cut_of_four_hosts_ends_as_foretold 4
    every_single_cut_of_five_hosts_ends_as_foretold 5
    every_single_cut_of_six_hosts_ends_as_foretold 6
    every_single_cut_of_seven_hosts_ends_as_foretold 7
    every_single_cut_of_eight_hosts_ends_as_foretold 8
}

fn cuts(n: usize) -> impl Strategy<Value = Cut> {
    prop_oneof![
        4 => (0..n, 1..n).prop_map(move |(a, away)| Cut::Link(a, (a + away) % n)),
        2 => (0..n).prop_map(Cut::Storage),
        1 => (0..n).prop_map(Cut::Host),
        1 => prop::collection::btree_set(1..n, 1..n)
            .prop_map(|side| Cut::Split(side.into_iter().collect())),
    ]
}

/// A pool's size and seed, and what happens to it after how many seconds.
fn troubles() -> impl Strategy<Value = (usize, u64, Vec<(u64, Cut)>)> {
    (2..=6_usize).prop_flat_map(|n| {
        let trouble = (0..90_u64, cuts(n));
        (Just(n), any::<u64>(), prop::collection::vec(trouble, 1..6))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn many_cuts_at_once_end_as_foretold((n, seed, troubles) in troubles()) {
        let mut pool = HaPool::new(n, seed, 30);
        for (_, cut) in &troubles {
            pool.cut(cut);
        }
        pool.run(300);
        pool.assert_ended_as(&pool.scenario.decide().unwrap());
    }

    #[test]
    fn whatever_happens_when_a_pool_that_is_mended_is_whole_again((n, seed, troubles) in troubles()) {
        let mut pool = HaPool::new(n, seed, 30);
        for (after, cut) in &troubles {
            pool.run(*after);
            pool.cut(cut);
        }
        pool.run(200);
        pool.heal();
        pool.run(900);
        pool.assert_whole();
    }
}
