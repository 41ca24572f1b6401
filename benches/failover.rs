//! How long the failover planner takes for large pools.
//!
//! Beside each answer stands the work that the server puts into it: it computes the restart plan anew
//! for every probe of its search, and plays every sequence of failures from the start. Here the plan
//! is made once, and sequences share their beginnings.
//! - 64 hosts, 4,096 VMs: 6 probes. The server pays 6 plans of O(V log V + V H) and 6 counts of
//!   O(H log H + H V); here it is one plan and 6 counts, so up to 6 times less.
//! - 32 hosts, two failures: 32 + 992 packings instead of 2 x 992, each O(V log V + V H), so 1.9 times
//!   less at least.

use std::cmp::Reverse;

use xcp_pool::failover::Planner;
use xcp_pool::model::{
    DomainType, Host, HostMetrics, Pbd, Pool, PowerState, Ref, Snapshot, Sr, Uuid, Vbd, Vdi, Vm,
};

fn main() {
    divan::main();
}

const GIB: i64 = 1 << 30;

/// Hosts with room to spare for some failures, all VMs protected and on one shared SR.
fn pool(hosts: usize, vms: usize) -> Snapshot {
    let mut snapshot = Snapshot::new();
    let name = |class: &str, n: usize| format!("OpaqueRef:{class}-{n}");
    snapshot.pool.insert(Ref::from("OpaqueRef:pool"), Pool::default());
    let nfs = Ref::from("OpaqueRef:nfs");
    let mut sr = Sr::default();
    sr.shared = true;
    snapshot.sr.insert(nfs.clone(), sr);
    for n in 0..hosts {
        let (mut host, mut metrics, mut pbd) =
            (Host::default(), HostMetrics::default(), Pbd::default());
        (metrics.live, metrics.memory_total) = (true, 1024 * GIB);
        host.uuid = Uuid::new(&format!("{n:04}"));
        host.enabled = true;
        host.metrics = Ref::from(name("metrics", n).as_str());
        snapshot.host_metrics.insert(host.metrics.clone(), metrics);
        let reference = Ref::from(name("host", n).as_str());
        (pbd.host, pbd.SR, pbd.currently_attached) = (reference.clone(), nfs.clone(), true);
        snapshot.pbd.insert(Ref::from(name("pbd", n).as_str()), pbd);
        snapshot.host.insert(reference, host);
    }
    for n in 0..vms {
        let (mut vm, mut vbd, mut vdi) = (Vm::default(), Vbd::default(), Vdi::default());
        vm.uuid = Uuid::new(&format!("{n:06}"));
        (vm.ha_always_run, vm.ha_restart_priority) = (true, "restart".into());
        vm.domain_type = DomainType::Hvm;
        (vm.HVM_shadow_multiplier, vm.VCPUs_max) = (1.0, 4);
        vm.memory_static_max = (1 + n as i64 % 7) * GIB;
        vm.power_state = PowerState::Running;
        vm.resident_on = Ref::from(name("host", n % hosts).as_str());
        vbd.VDI = Ref::from(name("vdi", n).as_str());
        vdi.SR = nfs.clone();
        let reference = Ref::from(name("vbd", n).as_str());
        vm.VBDs.push(reference.clone());
        snapshot.vdi.insert(vbd.VDI.clone(), vdi);
        snapshot.vbd.insert(reference, vbd);
        snapshot.vm.insert(Ref::from(name("vm", n).as_str()), vm);
    }
    snapshot
}

#[divan::bench]
fn maximum_of_64_hosts_and_4096_vms(bencher: divan::Bencher<'_, '_>) {
    let snapshot = pool(64, 4096);
    bencher.bench(|| Planner::new(&snapshot).map(|planner| planner.maximum().value));
}

/// The maximum with a plan made anew for each probe, as the server does it.
#[divan::bench]
fn maximum_of_64_hosts_and_4096_vms_probe_by_probe(bencher: divan::Bencher<'_, '_>) {
    let snapshot = pool(64, 4096);
    bencher.bench(|| {
        let planner = Planner::new(&snapshot).unwrap();
        let (mut low, mut high) = (0, 64);
        while high - low >= 2 {
            let middle = (low + high) / 2;
            if planner.plan_for(middle).exists() { low = middle } else { high = middle }
        }
        if planner.plan_for(high).exists() { high } else { low }
    });
}

#[divan::bench]
fn assessment_of_64_hosts_and_4096_vms(bencher: divan::Bencher<'_, '_>) {
    let snapshot = pool(64, 4096);
    bencher.bench(|| Planner::new(&snapshot).map(|planner| planner.assess()));
}

/// 32 hosts: the most sequences that the server plays through for two failures.
#[divan::bench(args = [256, 4096])]
fn every_pair_of_32_hosts(bencher: divan::Bencher<'_, '_>, vms: usize) {
    let snapshot = pool(32, vms);
    let planner = Planner::new(&snapshot).unwrap();
    assert!(planner.plan_for(2).exists());
    bencher.bench(|| planner.plan_for(2));
}

/// The packing alone, each sequence from the start, as the server plays it.
#[divan::bench(args = [256, 4096])]
fn every_pair_of_32_hosts_from_the_start(bencher: divan::Bencher<'_, '_>, vms: usize) {
    let sizes: Vec<i64> = (0..vms).map(|n| (1 + n as i64 % 7) * GIB).collect();
    bencher.bench(|| {
        (0..32).flat_map(|a| (0..32).map(move |b| (a, b))).filter(|(a, b)| a != b).all(|(a, b)| {
            let mut free: Vec<i64> = (0..32).map(|n| (600 + n) * GIB).collect();
            let mut host_of: Vec<usize> = (0..vms).map(|n| n % 32).collect();
            [a, b].into_iter().all(|failed| {
                // A host without memory takes no VM, so it is as good as gone.
                free[failed] = i64::MIN;
                let mut lost: Vec<usize> = (0..vms).filter(|vm| host_of[*vm] == failed).collect();
                lost.sort_by_key(|vm| Reverse(sizes[*vm]));
                move_away(&lost, &sizes, &mut free, &mut host_of)
            })
        })
    });
}

/// Puts the biggest VM first, each on the host with most free memory; whether all find a place.
fn move_away(lost: &[usize], sizes: &[i64], free: &mut [i64], host_of: &mut [usize]) -> bool {
    let mut room: Vec<(i64, usize)> = free.iter().enumerate().map(|(n, f)| (*f, n)).collect();
    room.sort_by_key(|(free, _)| Reverse(*free));
    lost.iter().all(|vm| {
        let (most, host) = room.remove(0);
        let left = most - sizes[*vm];
        let place = room.partition_point(|(free, _)| *free > left);
        room.insert(place, (left, host));
        (free[host], host_of[*vm]) = (left, host);
        left >= 0
    })
}
