//! How long a preflight takes: every rule, its remedies, and the consequences of the join.
//!
//! The minimal pair first; then a clean joiner against a large pool, and one that brings many VMs; then
//! pools of growing size, to see that the time grows with them and no faster. Divide by the records in
//! the name to compare.

use std::sync::Arc;

use divan::{Bencher, black_box};
use xcp_pool::model::Snapshot;
use xcp_pool::preflight::arbitrary::{JoinCase, Offence, Size};
use xcp_pool::preflight::{Options, Report, evaluate};

fn main() {
    divan::main();
}

/// What most joiners have to get rid of.
const USUAL: [Offence; 5] = [
    Offence::HaltedVm,
    Offence::LooseNetwork,
    Offence::RunningVm,
    Offence::SharedStorage,
    Offence::Vlan,
];

fn world(hosts: usize, vms: usize) -> JoinCase {
    JoinCase::new(Size { hosts, nics: 4, vms, srs: 4 }, USUAL)
}

/// A world to evaluate again and again.
struct Shared {
    pool: Arc<Snapshot>,
    joiner: Arc<Snapshot>,
    options: Options,
}

impl Shared {
    fn of(world: JoinCase) -> Self {
        let JoinCase { pool, joiner, options, .. } = world;
        Self { pool: Arc::new(pool), joiner: Arc::new(joiner), options }
    }

    fn report(&self) -> Report {
        evaluate(Arc::clone(&self.pool), Arc::clone(&self.joiner), &self.options)
    }
}

/// Rules and remedies, then the consequences.
fn preflight(bencher: Bencher<'_, '_>, world: JoinCase) {
    let world = Shared::of(world);
    bencher.bench(|| {
        let report = black_box(&world).report();
        let consequences = report.consequences_once_admitted();
        (report, consequences)
    });
}

#[divan::bench]
fn minimal_pair(bencher: Bencher<'_, '_>) {
    preflight(bencher, JoinCase::new(Size { hosts: 1, nics: 1, vms: 0, srs: 0 }, []));
}

#[divan::bench]
fn usual_joiner_and_pool_of_64_hosts_with_10_000_vms(bencher: Bencher<'_, '_>) {
    preflight(bencher, world(64, 10_000));
}

#[divan::bench]
fn joiner_with_2_000_vms_and_pool_of_64_hosts_with_10_000_vms(bencher: Bencher<'_, '_>) {
    preflight(bencher, world(64, 10_000).with_halted_vms(2_000));
}

#[divan::bench(args = [4, 8, 16, 32, 64])]
fn hosts(bencher: Bencher<'_, '_>, hosts: usize) {
    preflight(bencher, world(hosts, 1_000));
}

#[divan::bench(args = [100, 1_000, 10_000, 40_000])]
fn vms_of_the_pool(bencher: Bencher<'_, '_>, vms: usize) {
    preflight(bencher, world(16, vms));
}

#[divan::bench(args = [20, 200, 2_000])]
fn vms_of_the_joiner(bencher: Bencher<'_, '_>, vms: usize) {
    preflight(bencher, world(16, 1_000).with_halted_vms(vms));
}

/// The parts of a preflight, each alone.
#[divan::bench_group]
mod parts {
    use super::*;

    #[divan::bench(args = [100, 1_000, 10_000])]
    fn rules(bencher: Bencher<'_, '_>, vms: usize) {
        let world = Shared::of(world(16, vms));
        bencher.bench(|| world.report());
    }

    #[divan::bench(args = [100, 1_000, 10_000])]
    fn changes(bencher: Bencher<'_, '_>, vms: usize) {
        let report = Shared::of(world(16, vms)).report();
        bencher.bench(|| report.consequences_once_admitted());
    }
}
