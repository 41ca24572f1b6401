//! Packing VMs onto hosts by memory, as XAPI's planner does it.
//!
//! Fast, greedy and reproduced bit for bit, oddities included: the answer for several failures may
//! depend on the order of hosts with equal memory, and more memory may turn a yes into a no.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

/// Hosts, VMs and who runs where, by index: what the packer sees of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Free memory of each live host, in bytes; negative if it is overcommitted.
    pub free: Vec<i64>,
    /// Size of each VM, in bytes.
    pub size: Vec<i64>,
    /// VM and host of each VM that is placed.
    pub placement: Vec<(usize, usize)>,
    /// All hosts of the pool, dead ones too.
    ///
    /// Only the choice of the heuristic looks at it.
    pub total_hosts: usize,
}

/// How the packer finds whether any failures can be survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Heuristic {
    /// Pessimistic counting: as if every VM were as large as the largest.
    #[serde(rename = "approx")]
    Approximate,
    /// Every sequence of failures is played through.
    #[serde(rename = "exhaustive")]
    Exhaustive,
}

/// Whether the failures of any so many hosts can be survived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All VMs have a place after any such failures.
    Possible,
    /// Fewer hosts are live than would fail, or none would be left for the VMs.
    TooFewHosts,
    /// Counting pessimistically, hosts cannot take so many VMs (approximate heuristic).
    TooFewSlots {
        /// VMs that would have to move at worst.
        needed: i64,
        /// VMs, each as large as the largest, that fit at worst.
        capacity: i64,
    },
    /// Every VM has no size at all: the server divides by zero.
    NoSize,
    /// If these hosts fail in this order, these VMs of the last one find no place.
    Unplaced {
        /// Hosts that fail, in order.
        failures: Vec<usize>,
        /// VMs without a place.
        vms: Vec<usize>,
    },
}

/// More sequences of failures than this and the packer counts instead (`binpack.ml:388-402`).
const EXHAUSTIVE_LIMIT: u64 = 3500;

/// More hosts than this and the packer counts, whatever the number of failures.
const EXHAUSTIVE_HOSTS: usize = 32;

impl Heuristic {
    /// The heuristic that the server chooses (`Binpack.choose_heuristic`).
    pub(crate) fn choose(total_hosts: usize, failures: usize) -> Self {
        if total_hosts > EXHAUSTIVE_HOSTS {
            return Self::Approximate;
        }
        let mut sequences = 1_u64;
        for n in 0..failures.min(total_hosts + 1) {
            sequences = sequences.saturating_mul((total_hosts - n) as u64);
        }
        if sequences < EXHAUSTIVE_LIMIT { Self::Exhaustive } else { Self::Approximate }
    }
}

impl Verdict {
    /// Whether it is a yes.
    pub(crate) fn is_possible(&self) -> bool {
        *self == Self::Possible
    }
}

impl Packing {
    /// Places VMs, biggest first, each on the host with most free memory.
    ///
    /// As `Binpack.biggest_fit_decreasing`.
    ///
    /// The result pairs VM and host, last placed first as the server lists it; VMs that do not fit
    /// are left out.
    pub(crate) fn plan(&self, vms: &[usize]) -> Vec<(usize, usize)> {
        let hosts = (0..self.free.len()).collect::<Vec<_>>();
        let mut plan = self.fit(&self.free, &hosts, vms).placed;
        plan.reverse();
        plan
    }

    /// The packing after a plan was carried out.
    #[must_use]
    pub(crate) fn apply(&self, plan: &[(usize, usize)]) -> Self {
        let mut after = self.clone();
        let mut moved = vec![false; self.size.len()];
        for &(vm, host) in plan {
            after.charge(vm, host);
            if let Some(moved) = moved.get_mut(vm) {
                *moved = true;
            }
        }
        after.placement.retain(|(vm, _)| moved.get(*vm) != Some(&true));
        after.placement.extend_from_slice(plan);
        after
    }

    /// Takes a VM's memory from a host without placing it.
    pub(crate) fn charge(&mut self, vm: usize, host: usize) {
        let size = self.size.get(vm).copied().unwrap_or(0);
        if let Some(free) = self.free.get_mut(host) {
            *free = free.saturating_sub(size);
        }
    }

    /// Turns the order of the hosts round.
    ///
    /// That must not matter, but does where memory is equal.
    #[must_use]
    pub(crate) fn reversed(&self) -> Self {
        let hosts = self.free.len();
        let turn = |&(vm, host): &(usize, usize)| (vm, hosts.saturating_sub(host + 1));
        Self {
            free: self.free.iter().rev().copied().collect(),
            placement: self.placement.iter().map(turn).collect(),
            ..self.clone()
        }
    }

    /// Whether any `failures` hosts may fail, by the server's choice of heuristic.
    pub(crate) fn survives(&self, failures: usize) -> Verdict {
        self.survives_by(Heuristic::choose(self.total_hosts, failures), failures)
    }

    /// Whether any `failures` hosts may fail, by one heuristic.
    ///
    /// As `plan_always_possible`.
    pub(crate) fn survives_by(&self, heuristic: Heuristic, failures: usize) -> Verdict {
        let hosts = self.free.len();
        if hosts < failures || hosts == failures && !self.size.is_empty() {
            return Verdict::TooFewHosts;
        }
        match heuristic {
            Heuristic::Approximate => self.approximate(failures),
            Heuristic::Exhaustive => self.exhaustive(failures),
        }
    }

    fn approximate(&self, failures: usize) -> Verdict {
        let Some(largest) = self.size.iter().copied().max() else { return Verdict::Possible };
        if largest == 0 {
            return Verdict::NoSize;
        }
        let mut slots: Vec<i64> = self.free.iter().map(|free| free.wrapping_div(largest)).collect();
        let mut counts = vec![0_i64; self.free.len()];
        for &(_, host) in &self.placement {
            if let Some(count) = counts.get_mut(host) {
                *count += 1;
            }
        }
        slots.sort_unstable_by_key(|slots| Reverse(*slots));
        counts.sort_unstable_by_key(|count| Reverse(*count));
        let sum = |list: &[i64]| list.iter().fold(0_i64, |sum, n| sum.saturating_add(*n));
        let capacity = sum(&slots[failures..]);
        let needed = sum(&counts[..failures]);
        if needed <= capacity {
            Verdict::Possible
        } else {
            Verdict::TooFewSlots { needed, capacity }
        }
    }

    fn exhaustive(&self, failures: usize) -> Verdict {
        let mut vms = vec![Vec::new(); self.free.len()];
        for &(vm, host) in &self.placement {
            if let Some(list) = vms.get_mut(host) {
                list.push(vm);
            }
        }
        let hosts = (0..self.free.len()).collect();
        match self.fail(&State { hosts, free: self.free.clone(), vms }, failures, &mut Vec::new()) {
            None => Verdict::Possible,
            Some((failures, vms)) => Verdict::Unplaced { failures, vms },
        }
    }

    /// Lets each host fail in turn, then each of the rest; the first sequence that cannot be
    /// survived.
    ///
    /// The server plays each sequence from the start; sequences with the same start share it here.
    fn fail(
        &self,
        state: &State,
        failures: usize,
        failed: &mut Vec<usize>,
    ) -> Option<(Vec<usize>, Vec<usize>)> {
        if failures == 0 {
            return None;
        }
        for (at, &host) in state.hosts.iter().enumerate() {
            failed.push(host);
            let mut rest = state.hosts.clone();
            rest.remove(at);
            let moved = &state.vms[host];
            let fit = self.fit(&state.free, &rest, moved);
            if fit.placed.len() < moved.len() {
                return Some((failed.clone(), fit.unplaced));
            }
            if failures > 1 {
                let mut next =
                    State { hosts: rest, free: state.free.clone(), vms: state.vms.clone() };
                next.vms[host].clear();
                for (vm, target) in fit.placed {
                    next.free[target] = next.free[target].saturating_sub(self.size[vm]);
                    next.vms[target].push(vm);
                }
                if let Some(found) = self.fail(&next, failures - 1, failed) {
                    return Some(found);
                }
            }
            failed.pop();
        }
        None
    }

    fn fit(&self, free: &[i64], hosts: &[usize], vms: &[usize]) -> Fit {
        let mut order: Vec<(i64, usize)> =
            vms.iter().filter_map(|vm| Some((*self.size.get(*vm)?, *vm))).collect();
        order.sort_by_key(|(size, _)| Reverse(*size));
        let mut room: Vec<(i64, usize)> = hosts.iter().map(|host| (free[*host], *host)).collect();
        room.sort_by_key(|(free, _)| Reverse(*free));
        let mut fit = Fit { placed: Vec::with_capacity(order.len()), unplaced: Vec::new() };
        for (size, vm) in order {
            let Some(&(free, host)) = room.first().filter(|(free, _)| *free >= size) else {
                fit.unplaced.push(vm);
                continue;
            };
            let left = free.saturating_sub(size);
            // Before the first host with as little or less: a tie finds the host used last first.
            let place = room[1..].partition_point(|(free, _)| *free > left);
            room.copy_within(1..=place, 0);
            room[place] = (left, host);
            fit.placed.push((vm, host));
        }
        fit
    }
}

struct Fit {
    /// VM and host, in the order of placing.
    placed: Vec<(usize, usize)>,
    unplaced: Vec<usize>,
}

/// What is left after some failures.
struct State {
    hosts: Vec<usize>,
    free: Vec<i64>,
    /// VMs of each host.
    vms: Vec<Vec<usize>>,
}
