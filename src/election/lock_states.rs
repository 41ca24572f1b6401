//! The master lock never has two holders: every state for two and three hosts.

use std::collections::HashSet;

use super::HostSet;
use super::lock::{Block, MasterLock, Proposal};

/// The state file, writes on their way to it, and every host's side of the lock.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    file: Vec<Block>,
    in_flight: Vec<Option<Block>>,
    hosts: Vec<MasterLock>,
}

/// What may happen next, at any host and in any order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Propose(usize),
    Read(usize, usize),
    Update(usize),
    StartWrite(usize),
    EndWrite(usize),
}

impl World {
    fn new(n: usize) -> Self {
        let all = HostSet::first(n);
        Self {
            file: vec![Block::default(); n],
            in_flight: vec![None; n],
            hosts: (0..n).map(|me| MasterLock::new(me, n, all).unwrap()).collect(),
        }
    }

    fn steps(&self) -> Vec<Step> {
        let n = self.hosts.len();
        let mut steps = Vec::new();
        for me in 0..n {
            if !matches!(self.hosts[me].proposal(), Proposal::Pending | Proposal::Granted) {
                steps.push(Step::Propose(me));
            }
            steps.push(Step::Update(me));
            steps.push(match self.in_flight[me] {
                None => Step::StartWrite(me),
                Some(_) => Step::EndWrite(me),
            });
            steps.extend((0..n).filter(|host| *host != me).map(|host| Step::Read(me, host)));
        }
        steps
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Propose(me) => _ = self.hosts[me].propose(),
            Step::Read(me, host) => self.hosts[me].read(host, self.file[host]),
            Step::Update(me) => _ = self.hosts[me].update(),
            Step::StartWrite(me) => self.in_flight[me] = Some(self.hosts[me].block()),
            Step::EndWrite(me) => {
                if let Some(block) = self.in_flight[me].take() {
                    self.file[me] = block;
                }
            }
        }
    }

    /// Reads everything, applies the rules and writes, at one host.
    fn turn(&mut self, me: usize) -> Proposal {
        for host in 0..self.hosts.len() {
            self.take(Step::Read(me, host));
        }
        self.take(Step::Update(me));
        self.take(Step::StartWrite(me));
        self.take(Step::EndWrite(me));
        self.hosts[me].proposal()
    }

    fn masters(&self) -> HostSet {
        (0..self.hosts.len()).filter(|me| self.hosts[*me].proposal() == Proposal::Granted).collect()
    }
}

/// Walks all states that can be reached, up to a limit; how many there are, and who can win.
fn explore(n: usize, limit: usize) -> (usize, HostSet) {
    let start = World::new(n);
    let mut seen = HashSet::from([start.clone()]);
    let mut open = vec![start];
    let mut winners = HostSet::EMPTY;
    while let Some(world) = open.pop() {
        let masters = world.masters();
        assert!(masters.len() <= 1, "two masters: {masters:?}");
        winners = winners | masters;
        for step in world.steps() {
            let mut next = world.clone();
            next.take(step);
            if seen.len() < limit && !seen.contains(&next) {
                seen.insert(next.clone());
                open.push(next);
            }
        }
    }
    (seen.len(), winners)
}

#[test]
fn two_hosts_never_both_hold_the_lock_in_any_state() {
    let (states, winners) = explore(2, usize::MAX);
    assert_eq!(states, 211, "all of them");
    assert_eq!(winners, HostSet::first(2), "either may win");
}

#[test]
fn three_hosts_never_share_the_lock_in_any_state() {
    let (states, winners) = explore(3, usize::MAX);
    assert_eq!(states, 238_223, "all of them");
    assert_eq!(winners, HostSet::first(3), "each may win");
}

#[test]
fn the_lowest_index_wins_when_all_ask_before_anyone_grants() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut world = World::new(3);
        for me in order {
            assert_eq!(world.hosts[me].propose(), Proposal::Pending);
            world.take(Step::Update(me));
            world.take(Step::StartWrite(me));
        }
        for me in order {
            world.take(Step::EndWrite(me));
        }
        for _ in 0..4 {
            for me in order {
                world.turn(me);
            }
        }
        assert_eq!(world.masters(), HostSet::only(0), "{order:?}");
        for me in [1, 2] {
            assert_eq!(world.hosts[me].proposal(), Proposal::Refused);
            assert_eq!(world.hosts[me].holder(), Some(0));
        }
        assert_eq!(world.hosts[0].propose(), Proposal::Granted, "asking again changes nothing");
    }
}

#[test]
fn a_host_that_asks_alone_wins_whatever_its_index() {
    let mut world = World::new(3);
    world.hosts[2].propose();
    for me in [2, 0, 1] {
        world.turn(me);
    }
    assert_eq!(world.turn(2), Proposal::Granted);
    assert_eq!(world.hosts[0].propose(), Proposal::Pending, "0 did not read 1's grant yet");
    assert_eq!(world.turn(0), Proposal::Refused);
}

#[test]
fn a_host_that_grants_a_higher_index_does_not_ask() {
    let mut world = World::new(2);
    world.hosts[1].propose();
    world.turn(1);
    world.turn(0);
    // It does not know yet that host 1 grants itself, so it sees no holder.
    world.hosts[0].read(1, Block { request: true, ..Block::default() });
    assert_eq!(world.hosts[0].propose(), Proposal::Pending);
    assert_eq!(world.hosts[0].update(), Proposal::Pending);
    assert!(!world.hosts[0].block().request);
}

#[test]
fn a_host_does_not_ask_again_while_a_peer_still_grants_its_last_attempt() {
    let mut world = World::new(2);
    world.hosts[1].propose();
    world.turn(1);
    world.turn(0);
    world.hosts[1].lose_state_file();
    world.hosts[1].propose();
    assert_eq!(world.turn(1), Proposal::Pending);
    assert!(!world.hosts[1].block().request, "0 still grants it in the file");
    world.turn(0);
    world.turn(1);
    assert!(world.hosts[1].block().request, "0 took the grant back");
    world.turn(0);
    assert_eq!(world.turn(1), Proposal::Granted);
}

#[test]
fn the_lock_lapses_when_its_holder_leaves_the_live_set() {
    let mut world = World::new(3);
    world.hosts[0].propose();
    for me in [0, 1, 2, 0, 1, 2] {
        world.turn(me);
    }
    assert_eq!(world.masters(), HostSet::only(0));
    let rest = HostSet::first(3).without(0);
    for me in [1, 2] {
        world.hosts[me].set_online(rest);
        assert_eq!(world.hosts[me].holder(), None);
        assert_eq!(world.hosts[me].propose(), Proposal::Pending);
    }
    for _ in 0..4 {
        world.turn(2);
        world.turn(1);
    }
    assert_eq!(world.hosts[1].holder(), Some(1));
    assert_eq!(world.hosts[2].proposal(), Proposal::Refused);
}

#[test]
fn losing_the_state_file_ends_a_proposal() {
    let mut world = World::new(2);
    world.hosts[1].propose();
    world.turn(1);
    assert_eq!(world.hosts[1].lose_state_file(), Proposal::Refused);
    assert_eq!(world.hosts[1].block(), Block::default());
    assert!(MasterLock::new(2, 2, HostSet::first(2)).is_err());
    assert!(MasterLock::new(0, 65, HostSet::first(2)).is_err());
}
