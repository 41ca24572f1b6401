//! Laws of the failover planner, on random pools small enough to tie often.
//!
//! `XCP_POOL_CASES` sets the number of pools for each law. What is *not* a law: more memory may turn a
//! yes into a no, and so may another order of the hosts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;
use xcp_pool::failover::{PlanStatus, Planner};
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
        let (one, other) = (Planner::new(&one).unwrap().assess(), Planner::new(&other).unwrap().assess());
        prop_assert_eq!(one.maximum.value, other.maximum.value);
        prop_assert_eq!(one.wanted.status, other.wanted.status);
        prop_assert_eq!(one.status, other.status);
    }
}
