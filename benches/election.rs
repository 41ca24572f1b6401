//! How long it takes to decide a partition, and to rank the hosts of a pool, at 64 hosts.
//!
//! In the daemon each of n hosts repairs a torn view by itself, in up to n rounds; a round scores n
//! hosts by looking at n bits of each: O(n^3) for a host, O(n^4) for the pool. Here a set of hosts
//! is one word and scores are kept from round to round: O(n^2) for a host, O(n^3) for the pool,
//! reasons and the next election included. Beside it stands the daemon's way to count, without
//! the rest of the decision. A view that agrees costs both O(n) comparisons for a host.
//!
//! The server ranks nobody, so there is no reference: it is O(H log H + P) for P PBDs, and all hosts
//! are judged once.

use xcp_pool::election::partition::{Scenario, Views};
use xcp_pool::election::{HostSet, PoolEvidence, emergency, planned};
use xcp_pool::model::{Host, HostMetrics, Pbd, Pool, Ref, Snapshot, Sr, Uuid};

fn main() {
    for percent in [0, 50, 90] {
        assert_same_repair(percent);
    }
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

/// The repair alone, in the daemon's rounds and bit by bit, once for each host.
#[divan::bench(args = [0, 50, 90])]
fn repairs_of_64_hosts_bit_by_bit(bencher: divan::Bencher<'_, '_>, percent: u64) {
    let scenario = torn(percent);
    bencher.bench(|| (0..HOSTS).map(|me| repaired(scenario.views(), me)).collect::<Vec<_>>());
}

fn repaired(views: &Views, me: usize) -> [bool; HOSTS] {
    let mut hears = [[false; HOSTS]; HOSTS];
    for (host, row) in hears.iter_mut().enumerate() {
        for (other, hears) in row.iter_mut().enumerate() {
            *hears = views.hb[host].contains(other);
        }
    }
    let mut removed = [false; HOSTS];
    loop {
        let mut poorest = None;
        for host in (0..HOSTS).rev().filter(|host| !removed[*host]) {
            let (mut weight, mut size, mut lowest) = (0, 0, 0);
            for other in (0..HOSTS).rev().filter(|other| hears[host][*other]) {
                weight += u64::from(views.weights[other]);
                size += 1;
                lowest = 64 - other as u64;
            }
            let score = weight * 0x1_0000 + size * 0x100 + lowest;
            if poorest.is_none_or(|(_, least)| score < least) {
                poorest = Some((host, score));
            }
        }
        let Some((poorest, _)) = poorest else { return hears[me] };
        if (0..HOSTS).all(|host| hears[poorest][host] || removed[host]) {
            return hears[me];
        }
        removed[poorest] = true;
        hears[poorest] = [false; HOSTS];
        for row in &mut hears {
            row[poorest] = false;
        }
    }
}

/// What is measured is the same search: the groups are those of the decision.
fn assert_same_repair(percent: u64) {
    let scenario = torn(percent);
    for (me, decision) in scenario.views().decide().unwrap() {
        let own = repaired(scenario.views(), me);
        let own: HostSet = (0..HOSTS).filter(|host| own[*host]).collect();
        assert_eq!(own, decision.hb_after, "host {me} at {percent} %");
    }
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
    let (snapshot, evidence) = (pool(), PoolEvidence::none());
    bencher.bench(|| planned(&snapshot, &evidence));
}

#[divan::bench]
fn ranking_64_hosts_in_an_emergency(bencher: divan::Bencher<'_, '_>) {
    let (snapshot, evidence) = (pool(), PoolEvidence::none());
    bencher.bench(|| emergency(&snapshot, &evidence));
}
