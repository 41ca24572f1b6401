//! Laws of the packer, on random packings small enough to tie often.
//!
//! `XCP_POOL_CASES` sets how many are tried for each law. What is *not* a law: more memory may turn
//! a yes into a no, and so may another order of the hosts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;

use super::binpack::{Heuristic, Packing, Verdict};

fn config() -> ProptestConfig {
    let cases = std::env::var("XCP_POOL_CASES").ok().and_then(|text| text.parse().ok());
    let cases = cases.unwrap_or(150);
    let found = FileFailurePersistence::Direct("tests/data/regressions/failover_laws.txt");
    ProptestConfig {
        cases,
        max_global_rejects: cases * 50 + 1000,
        failure_persistence: Some(Box::new(found)),
        ..ProptestConfig::default()
    }
}

/// Live hosts, VMs that are placed or not, and some dead hosts.
fn packings() -> impl Strategy<Value = Packing> {
    (1..=6_usize, 0..=9_usize).prop_flat_map(|(hosts, vms)| {
        (
            prop::collection::vec(0..30_i64, hosts),
            prop::collection::vec((0..10_i64, prop::option::of(0..hosts)), vms),
            prop_oneof![3 => 0..3_usize, 1 => 30..40_usize],
        )
            .prop_map(|(free, vms, dead)| Packing {
                total_hosts: free.len() + dead,
                free,
                size: vms.iter().map(|(size, _)| *size).collect(),
                placement: vms
                    .iter()
                    .enumerate()
                    .filter_map(|(vm, (_, host))| Some((vm, (*host)?)))
                    .collect(),
            })
    })
}

/// The packer once more, written for nothing but to be read.
///
/// Lists, and every sequence from scratch.
mod plain {
    use super::Packing;

    pub(super) fn plan(hosts: &[(usize, i64)], vms: &[(usize, i64)]) -> Vec<(usize, usize)> {
        let (mut hosts, mut vms) = (hosts.to_vec(), vms.to_vec());
        hosts.sort_by_key(|(_, free)| -free);
        vms.sort_by_key(|(_, size)| -size);
        let mut plan = Vec::new();
        for (vm, size) in vms {
            if hosts.is_empty() || hosts[0].1 < size {
                continue;
            }
            let (host, free) = hosts.remove(0);
            let left = free - size;
            let at = hosts.iter().position(|(_, free)| *free <= left).unwrap_or(hosts.len());
            hosts.insert(at, (host, left));
            plan.insert(0, (vm, host));
        }
        plan
    }

    pub(super) fn survives(packing: &Packing, failures: usize) -> bool {
        sequences(packing.free.len(), failures).iter().all(|sequence| {
            let mut hosts: Vec<(usize, i64)> = packing.free.iter().copied().enumerate().collect();
            let mut placement = packing.placement.clone();
            sequence.iter().all(|failed| {
                hosts.retain(|(host, _)| host != failed);
                let lost: Vec<(usize, i64)> = placement
                    .iter()
                    .filter(|(_, host)| host == failed)
                    .map(|(vm, _)| (*vm, packing.size[*vm]))
                    .collect();
                let plan = plan(&hosts, &lost);
                placement.retain(|(_, host)| host != failed);
                for (vm, target) in &plan {
                    let host = hosts.iter_mut().find(|(host, _)| host == target).unwrap();
                    host.1 -= packing.size[*vm];
                }
                placement.splice(0..0, plan.iter().copied());
                plan.len() == lost.len()
            })
        })
    }

    fn sequences(hosts: usize, length: usize) -> Vec<Vec<usize>> {
        if length == 0 {
            return vec![Vec::new()];
        }
        let mut longer = Vec::new();
        for start in sequences(hosts, length - 1) {
            for host in (0..hosts).filter(|host| !start.contains(host)) {
                longer.push([&start[..], &[host]].concat());
            }
        }
        longer
    }
}

fn yes(packing: &Packing, by: Heuristic, failures: usize) -> bool {
    packing.survives_by(by, failures).is_possible()
}

fn heuristics() -> impl Strategy<Value = Heuristic> {
    prop::sample::select(vec![Heuristic::Approximate, Heuristic::Exhaustive])
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_plain_packer_agrees(packing in packings(), failures in 0..4_usize) {
        let everything: Vec<usize> = (0..packing.size.len()).collect();
        let hosts: Vec<(usize, i64)> = packing.free.iter().copied().enumerate().collect();
        let vms: Vec<(usize, i64)> = packing.size.iter().copied().enumerate().collect();
        prop_assert_eq!(packing.plan(&everything), plain::plan(&hosts, &vms));
        let verdict = packing.survives_by(Heuristic::Exhaustive, failures);
        if verdict != Verdict::TooFewHosts {
            prop_assert_eq!(verdict.is_possible(), plain::survives(&packing, failures));
        }
    }

    #[test]
    fn a_plan_fits(packing in packings()) {
        let everything: Vec<usize> = (0..packing.size.len()).collect();
        let plan = packing.plan(&everything);
        let distinct: BTreeSet<usize> = plan.iter().map(|(vm, _)| *vm).collect();
        prop_assert_eq!(distinct.len(), plan.len());
        let after = packing.apply(&plan);
        prop_assert!(after.free.iter().all(|free| *free >= 0));
        let stayed = packing.placement.iter().filter(|(vm, _)| !distinct.contains(vm)).count();
        prop_assert_eq!(after.placement.len(), plan.len() + stayed);
        let largest = after.free.iter().max().unwrap();
        let left_out = everything.iter().filter(|vm| !distinct.contains(vm));
        prop_assert!(left_out.into_iter().all(|vm| packing.size[*vm] > *largest));
    }

    #[test]
    fn fewer_failures_are_survived_too(
        packing in packings(),
        by in heuristics(),
        failures in 1..5_usize,
    ) {
        prop_assert!(!yes(&packing, by, failures) || yes(&packing, by, failures - 1));
    }

    #[test]
    fn what_counting_allows_works_out(packing in packings(), failures in 0..5_usize) {
        let counted = yes(&packing, Heuristic::Approximate, failures);
        prop_assert!(!counted || yes(&packing, Heuristic::Exhaustive, failures));
    }

    #[test]
    fn one_vm_less_or_smaller_does_no_harm(
        packing in packings(),
        by in heuristics(),
        failures in 0..4_usize,
        who in any::<Index>(),
    ) {
        prop_assume!(!packing.size.is_empty() && yes(&packing, by, failures));
        let vm = who.index(packing.size.len());
        let mut smaller = packing.clone();
        smaller.size[vm] -= 1.min(smaller.size[vm]);
        let no_size = smaller.survives_by(by, failures) == Verdict::NoSize;
        prop_assert!(no_size || yes(&smaller, by, failures));
        let mut gone = packing;
        gone.placement.retain(|(placed, _)| *placed != vm);
        prop_assert!(yes(&gone, by, failures));
    }

    #[test]
    fn the_order_of_vms_does_not_matter(
        packing in packings(),
        by in heuristics(),
        failures in 0..4_usize,
    ) {
        let mut turned = packing.clone();
        let last = packing.size.len().saturating_sub(1);
        turned.size.reverse();
        for (vm, _) in &mut turned.placement {
            *vm = last - *vm;
        }
        prop_assert_eq!(yes(&turned, by, failures), yes(&packing, by, failures));
        turned.placement.reverse();
        prop_assert_eq!(yes(&turned, by, failures), yes(&packing, by, failures));
    }

    #[test]
    fn another_host_does_no_harm_to_the_same_heuristic(
        packing in packings(),
        by in heuristics(),
        failures in 0..4_usize,
        free in 0..30_i64,
    ) {
        prop_assume!(yes(&packing, by, failures));
        let mut more = packing;
        more.free.push(free);
        prop_assert!(yes(&more, by, failures));
    }

    #[test]
    fn no_numbers_panic(
        free in prop::collection::vec(any::<i64>(), 0..6),
        size in prop::collection::vec(any::<i64>(), 0..8),
        placement in prop::collection::vec((0..9_usize, 0..7_usize), 0..8),
        total_hosts in prop_oneof![0..8_usize, any::<usize>()],
        failures in prop_oneof![0..8_usize, any::<usize>()],
    ) {
        let packing = Packing { free, size, placement, total_hosts };
        let everything: Vec<usize> = (0..9).collect();
        let plan = packing.plan(&everything);
        let _ = packing.apply(&plan).survives(failures.min(3));
        let _ = Heuristic::choose(total_hosts, failures);
        if failures > packing.free.len() {
            prop_assert_eq!(packing.survives(failures), Verdict::TooFewHosts);
        }
    }
}
