//! How long it takes to decide a partition, and to rank the hosts of a pool, at 64 hosts.

use xcp_pool::election::partition::{Scenario, Views};
use xcp_pool::election::{Evidence, HostSet, emergency, planned};
use xcp_pool::model::{Host, HostMetrics, Pbd, Pool, Ref, Snapshot, Sr, Uuid};

fn main() {
    divan::main();
}

const HOSTS: usize = 64;

/// Numbers without a pattern, the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// 64 hosts, all with storage, each pair of which hears each other with a chance of `percent`.
fn torn(percent: u64) -> Scenario {
    let mut noise = Noise(1);
    let mut hb: Vec<HostSet> = (0..HOSTS).map(HostSet::only).collect();
    for a in 0..HOSTS {
        for b in 0..a {
            if noise.next() % 100 < percent {
                hb[a].insert(b);
                hb[b].insert(a);
            }
        }
    }
    let all = HostSet::first(HOSTS);
    let views = Views {
        n: HOSTS,
        weights: vec![1; HOSTS],
        excluded: HostSet::EMPTY,
        liveset: all,
        running: all,
        hb,
        sf: vec![all; HOSTS],
        stale_view: all,
    };
    Scenario::from_views((0..HOSTS).map(|host| format!("{host:02}")), views).unwrap()
}

/// All hosts decide, with reasons; views that do not agree are repaired host by host.
#[divan::bench(args = [0, 50, 90, 100])]
fn partition_of_64_hosts(bencher: divan::Bencher<'_, '_>, percent: u64) {
    let scenario = torn(percent);
    bencher.bench(|| scenario.decide());
}

fn pool() -> Snapshot {
    let mut snapshot = Snapshot::new();
    let name = |class: &str, n: usize| format!("OpaqueRef:{class}-{n}");
    let mut pool = Pool::default();
    pool.master = Ref::from(name("host", 0).as_str());
    snapshot.pool.insert(Ref::from("OpaqueRef:pool"), pool);
    for n in 0..8 {
        let mut sr = Sr::default();
        sr.shared = true;
        snapshot.sr.insert(Ref::from(name("sr", n).as_str()), sr);
    }
    for n in 0..HOSTS {
        let (mut host, mut metrics) = (Host::default(), HostMetrics::default());
        metrics.live = true;
        host.uuid = Uuid::new(&format!("{n:02}"));
        host.enabled = true;
        host.metrics = Ref::from(name("metrics", n).as_str());
        host.software_version.insert("xapi_build".into(), "25.6.0".into());
        snapshot.host_metrics.insert(host.metrics.clone(), metrics);
        let reference = Ref::from(name("host", n).as_str());
        for sr in 0..8 {
            let mut pbd = Pbd::default();
            (pbd.host, pbd.SR) = (reference.clone(), Ref::from(name("sr", sr).as_str()));
            pbd.currently_attached = true;
            snapshot.pbd.insert(Ref::from(name("pbd", n * 8 + sr).as_str()), pbd);
        }
        snapshot.host.insert(reference, host);
    }
    snapshot
}

#[divan::bench]
fn ranking_64_hosts_for_a_hand_over(bencher: divan::Bencher<'_, '_>) {
    let (snapshot, evidence) = (pool(), Evidence::none());
    bencher.bench(|| planned(&snapshot, &evidence));
}

#[divan::bench]
fn ranking_64_hosts_in_an_emergency(bencher: divan::Bencher<'_, '_>) {
    let (snapshot, evidence) = (pool(), Evidence::none());
    bencher.bench(|| emergency(&snapshot, &evidence));
}
