//! Laws of the failover planner, on random pools small enough to tie often.
//!
//! `XCP_POOL_CASES` sets the number of pools for each law. What is *not* a law: more memory may turn a
//! yes into a no, and so may another order of the hosts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;
use xcp_pool::failover::binpack::{Heuristic, Packing, Verdict};
use xcp_pool::failover::{PlanStatus, Planner, assess};
use xcp_pool::model::{DomainType, Host, HostMetrics, Pool, PowerState, Ref, Snapshot, Uuid, Vm};

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

/// The packer once more, written for nothing but to be read: lists, and every sequence from scratch.
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
        prop_assert_eq!(after.placement.len(), plan.len() + packing.placement.iter().filter(|(vm, _)| !distinct.contains(vm)).count());
        let largest = after.free.iter().max().unwrap();
        let left_out = everything.iter().filter(|vm| !distinct.contains(vm));
        prop_assert!(left_out.into_iter().all(|vm| packing.size[*vm] > *largest));
    }

    #[test]
    fn fewer_failures_are_survived_too(packing in packings(), by in heuristics(), failures in 1..5_usize) {
        prop_assert!(!yes(&packing, by, failures) || yes(&packing, by, failures - 1));
    }

    #[test]
    fn what_counting_allows_works_out(packing in packings(), failures in 0..5_usize) {
        let counted = yes(&packing, Heuristic::Approximate, failures);
        prop_assert!(!counted || yes(&packing, Heuristic::Exhaustive, failures));
    }

    #[test]
    fn one_vm_less_or_smaller_does_no_harm(packing in packings(), by in heuristics(), failures in 0..4_usize, who in any::<Index>()) {
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
    fn the_order_of_vms_does_not_matter(packing in packings(), by in heuristics(), failures in 0..4_usize) {
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
    fn another_host_does_no_harm_to_the_same_heuristic(packing in packings(), by in heuristics(), failures in 0..4_usize, free in 0..30_i64) {
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

const GIB: i64 = 1 << 30;

/// A host: GiB, enabled, live. A VM: GiB, and the host that it is on.
type Hosts = Vec<(i64, bool, bool)>;
type Vms = Vec<(i64, Option<usize>, bool)>;

fn snapshot(hosts: &Hosts, vms: &Vms, refs: &[usize]) -> Snapshot {
    let mut snapshot = Snapshot::new();
    snapshot.pool.insert(Ref::from("OpaqueRef:p"), Pool::default());
    let host_ref = |n: usize| Ref::from(format!("OpaqueRef:h{}", refs[n]).as_str());
    for (n, (gib, enabled, live)) in hosts.iter().enumerate() {
        let (mut host, mut metrics) = (Host::default(), HostMetrics::default());
        host.uuid = Uuid::new(&format!("h{n}"));
        host.enabled = *enabled;
        host.metrics = Ref::from(format!("OpaqueRef:m{n}").as_str());
        (metrics.live, metrics.memory_total) = (*live, gib * GIB);
        snapshot.host_metrics.insert(host.metrics.clone(), metrics);
        snapshot.host.insert(host_ref(n), host);
    }
    for (n, (gib, on, protected)) in vms.iter().enumerate() {
        let mut vm = Vm::default();
        vm.uuid = Uuid::new(&format!("v{n}"));
        vm.domain_type = DomainType::Pv;
        (vm.memory_static_max, vm.VCPUs_max) = (gib * GIB, 1);
        vm.ha_always_run = *protected;
        vm.ha_restart_priority = "restart".into();
        if let Some(host) = on.filter(|host| *host < hosts.len()) {
            vm.power_state = PowerState::Running;
            vm.resident_on = host_ref(host);
        }
        snapshot.vm.insert(Ref::from(format!("OpaqueRef:v{n}").as_str()), vm);
    }
    snapshot
}

fn worlds() -> impl Strategy<Value = (Hosts, Vms, Vec<usize>)> {
    (0..=7_usize).prop_flat_map(|n| {
        (
            prop::collection::vec(
                (8..40_i64, prop::bool::weighted(0.9), prop::bool::weighted(0.9)),
                n,
            ),
            prop::collection::vec(
                (1..8_i64, prop::option::weighted(0.8, 0..=n), prop::bool::weighted(0.8)),
                0..10,
            ),
            Just((0..n).collect::<Vec<_>>()).prop_shuffle(),
        )
    })
}

/// The maximum by definition: recursive halving, asking nothing twice.
fn halve(planner: &Planner<'_>, low: i64, high: i64) -> i64 {
    let exists = |failures| planner.plan_for(failures).status == PlanStatus::All;
    if high - low < 2 {
        return if exists(high) { high } else { low };
    }
    let middle = (low + high) / 2;
    if exists(middle) { halve(planner, middle, high) } else { halve(planner, low, middle) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_maximum_is_what_halving_finds((hosts, vms, refs) in worlds()) {
        let snapshot = snapshot(&hosts, &vms, &refs);
        let planner = Planner::new(&snapshot).unwrap();
        let maximum = planner.maximum();
        prop_assert_eq!(maximum.limit, hosts.len() as i64);
        prop_assert_eq!(maximum.value, halve(&planner, 0, maximum.limit));
        prop_assert!((0..=maximum.limit).contains(&maximum.value));
        prop_assert!(maximum.value == 0 || planner.plan_for(maximum.value).exists());
        if vms.iter().all(|(_, _, protected)| !protected) {
            let usable = hosts.iter().filter(|(_, enabled, live)| *enabled && *live).count();
            prop_assert!(maximum.value <= usable as i64);
        }
    }

    #[test]
    fn no_failure_at_all_needs_only_room_for_what_is_off((hosts, vms, refs) in worlds()) {
        let snapshot = snapshot(&hosts, &vms, &refs);
        let planner = Planner::new(&snapshot).unwrap();
        let left_out = planner.restart_plan().unwrap().not_restarted;
        let usable = hosts.iter().any(|(_, enabled, live)| *enabled && *live);
        let nobody = vms.iter().all(|(_, _, protected)| !protected);
        prop_assert_eq!(planner.plan_for(0).exists(), left_out.is_empty() && (usable || nobody));
    }

    #[test]
    fn restarts_fit_and_failures_restart_what_they_hit((hosts, vms, refs) in worlds(), who in any::<Index>()) {
        let snapshot = snapshot(&hosts, &vms, &refs);
        let planner = Planner::new(&snapshot).unwrap();
        let all: Vec<Ref<Host>> = snapshot.host.refs().cloned().collect();
        prop_assume!(!all.is_empty());
        let failed = who.get(&all).clone();
        let outcome = planner.failure(std::slice::from_ref(&failed)).unwrap();
        let lost = snapshot.vm.iter().filter(|(_, vm)| vm.ha_always_run && vm.resident_on == failed);
        let started: BTreeSet<&Ref<Vm>> =
            outcome.groups.iter().flat_map(|group| &group.starts).map(|start| &start.vm).collect();
        for (reference, _) in lost {
            prop_assert!(started.contains(reference));
        }
        let mut room: Vec<(&Ref<Host>, i64)> =
            all.iter().map(|host| (host, planner.host_planning_memory(host).unwrap())).collect();
        for start in outcome.groups.iter().flat_map(|group| &group.starts) {
            if let Some(host) = &start.host {
                prop_assert_ne!(host, &failed);
                let left = room.iter_mut().find(|(known, _)| *known == host).unwrap();
                left.1 -= planner.vm_restart_memory(&start.vm).unwrap();
                prop_assert!(left.1 >= 0);
            }
        }
        prop_assert_eq!(outcome.complete, outcome.not_restarted.is_empty());
    }

    #[test]
    fn refs_have_no_say((hosts, vms, refs) in worlds()) {
        let straight: Vec<usize> = (0..hosts.len()).collect();
        let (one, other) = (snapshot(&hosts, &vms, &refs), snapshot(&hosts, &vms, &straight));
        let (one, other) = (assess(&one).unwrap(), assess(&other).unwrap());
        prop_assert_eq!(one.maximum.value, other.maximum.value);
        prop_assert_eq!(one.wanted.status, other.wanted.status);
        prop_assert_eq!(one.status, other.status);
    }
}
