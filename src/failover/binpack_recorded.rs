//! Packing VMs onto hosts: held against recorded answers of the server's packer.

use super::binpack::{Heuristic, Packing, Verdict};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    name: String,
    hosts: Vec<(u64, i64)>,
    vms: Vec<(u64, i64)>,
    placement: Vec<(u64, u64)>,
    total_hosts: usize,
    failed_vms: Vec<u64>,
    by_failures: Vec<Answer>,
    specific_plan_for_failed_vms: Vec<(u64, u64)>,
}

#[derive(Deserialize)]
struct Answer {
    r: usize,
    heuristic: Heuristic,
    plan_always_possible: bool,
}

impl Vector {
    fn host(&self, id: u64) -> usize {
        self.hosts.iter().position(|(host, _)| *host == id).unwrap()
    }

    fn vm(&self, id: u64) -> usize {
        self.vms.iter().position(|(vm, _)| *vm == id).unwrap()
    }

    fn packing(&self) -> Packing {
        Packing {
            free: self.hosts.iter().map(|(_, free)| *free).collect(),
            size: self.vms.iter().map(|(_, size)| *size).collect(),
            placement: self.placement.iter().map(|(v, h)| (self.vm(*v), self.host(*h))).collect(),
            total_hosts: self.total_hosts,
        }
    }
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../tests/data/oracle/binpack-vectors.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_recorded_answer_is_reproduced() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 284);
    for vector in vectors {
        let packing = vector.packing();
        for answer in &vector.by_failures {
            let chosen = Heuristic::choose(vector.total_hosts, answer.r);
            assert_eq!(chosen, answer.heuristic, "{} r={}", vector.name, answer.r);
            let verdict = packing.survives(answer.r);
            assert_eq!(
                verdict.is_possible(),
                answer.plan_always_possible,
                "{} r={} {verdict:?}",
                vector.name,
                answer.r
            );
        }
    }
}

#[test]
fn every_recorded_plan_is_reproduced_in_its_order() {
    for vector in vectors() {
        let failed: Vec<usize> = vector.failed_vms.iter().map(|vm| vector.vm(*vm)).collect();
        let plan: Vec<(u64, u64)> = vector
            .packing()
            .plan(&failed)
            .into_iter()
            .map(|(vm, host)| (vector.vms[vm].0, vector.hosts[host].0))
            .collect();
        assert_eq!(plan, vector.specific_plan_for_failed_vms, "{}", vector.name);
    }
}

#[test]
fn a_no_names_the_failures_and_the_vms_without_a_place() {
    let packing = Packing {
        free: vec![10, 4, 0],
        size: vec![6, 5, 3],
        placement: vec![(0, 1), (1, 2), (2, 2)],
        total_hosts: 3,
    };
    assert_eq!(packing.survives(1), Verdict::Possible);
    // Host 1 fails first: VM 0 leaves 4 free on host 0, too little for what host 2 then loses.
    assert_eq!(
        packing.survives(2),
        Verdict::Unplaced { failures: vec![0, 1], vms: vec![0] },
        "host 0 fails empty, then nobody has 6 free"
    );
    assert_eq!(packing.survives(3), Verdict::TooFewHosts);
}

#[test]
fn counting_is_pessimistic_and_says_what_it_counted() {
    let packing = Packing {
        free: vec![10; 40],
        size: (0..40).map(|_| 4).collect(),
        placement: (0..40).map(|n| (n, 0)).collect(),
        total_hosts: 40,
    };
    // 40 VMs on one host; 39 hosts of two slots each are left.
    assert_eq!(packing.survives(1), Verdict::Possible);
    assert_eq!(packing.survives(21), Verdict::TooFewSlots { needed: 40, capacity: 38 });
}

#[test]
fn vms_without_size_break_the_count_as_in_the_server() {
    let packing =
        Packing { free: vec![1; 33], size: vec![0], placement: vec![(0, 0)], total_hosts: 33 };
    assert_eq!(packing.survives(1), Verdict::NoSize);
    assert_eq!(Packing { size: vec![], ..packing }.survives(1), Verdict::Possible);
}

#[test]
fn exhaustive_up_to_3499_sequences_of_at_most_32_hosts() {
    for (hosts, failures) in [(32, 2), (16, 3), (9, 4), (7, 5), (6, 6), (3, 9), (0, 5)] {
        assert_eq!(Heuristic::choose(hosts, failures), Heuristic::Exhaustive);
    }
    for (hosts, failures) in [(33, 0), (17, 3), (10, 4), (8, 5), (7, 6), (7, 7), (32, 32)] {
        assert_eq!(Heuristic::choose(hosts, failures), Heuristic::Approximate);
    }
}

#[test]
fn a_plan_leaves_out_what_does_not_fit_and_goes_on() {
    let packing =
        Packing { free: vec![5, 5], size: vec![9, 5, 4, 3], placement: vec![], total_hosts: 2 };
    assert_eq!(packing.plan(&[0, 1, 2, 3]), [(2, 1), (1, 0)]);
    assert_eq!(packing.apply(&[(2, 1), (1, 0)]).free, [0, 1]);
    // Indices that do not exist are no VMs.
    assert!(packing.plan(&[7]).is_empty());
}
