//! What is foretold of a join is what the simulator's join does, on worlds that were made up.
//!
//! The simulator imports by its own code, held against recordings by tests of its own; it knows
//! nothing of what the core foretells. `XCP_POOL_CASES` sets how many worlds are tried.

use crate::simulated::{JOINER, MASTER, cases, editions, simulated, snapshot};
use crate::support::{Caller, Failed};
use crate::world::rule;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value as Json, json};
use xcp_pool::Fault;
use xcp_pool::preflight::arbitrary::{JoinCase, Offence, Size, join_case};
use xcp_pool::preflight::consequences::Changes;
use xcp_pool::preflight::evaluate;
use xcp_pool::simulator;

fn join(world: &simulator::World, force: bool) -> Result<(), Fault> {
    let method = if force { "pool.join_force" } else { "pool.join" };
    let params = [json!("10.0.0.1"), json!("root"), json!("xcp-test")];
    match Caller::login(world, JOINER).try_call(method, params) {
        Ok(_) => Ok(()),
        Err(Failed::Fault(fault)) => Err(fault),
        Err(Failed::Lost(error)) => panic!("no reply: {error}"),
    }
}

/// Faults with lists in their params, which compare as sets.
fn plain(fault: &Fault) -> (String, Vec<String>) {
    let sorted = |param: &String| {
        let mut items: Vec<_> = param.split(['[', ']', ';', ',', ' ']).collect();
        items.sort_unstable();
        items.join(" ")
    };
    // The text of an uncaught exception is nobody's promise.
    let params = if fault.code == "INTERNAL_ERROR" { &[][..] } else { &fault.params };
    (fault.code.clone(), params.iter().map(sorted).collect())
}

/// Whether a fault is the foretold one; some name what the import makes up.
fn same((foretold, actual): (&Fault, &Fault)) -> bool {
    let params = foretold.params.iter().zip(&actual.params);
    foretold.code == actual.code
        && foretold.params.len() == actual.params.len()
        && params
            .into_iter()
            .all(|(foretold, actual)| foretold == actual || foretold == Changes::MADE_AT_JOIN)
}

/// Whether the join succeeded.
fn check(world: &JoinCase, force: bool) -> bool {
    let simulated = simulated(world);
    let (pool, joiner) = (snapshot(&simulated, MASTER), snapshot(&simulated, JOINER));
    let mut options = world.options.clone();
    options.force = force;
    options.evidence.joiner_bridge_backend = simulated.network_backend(JOINER);
    options.evidence.editions = Some(editions());
    let report = evaluate(pool.clone(), joiner, &options);
    let (foretold, changes) = (report.consequences(), report.changes());
    assert_eq!(foretold.unknown, [], "the simulator shows everything");

    let answer = join(&simulated, force);
    assert_eq!(
        answer.as_ref().err().map(plain),
        foretold.refusal.as_ref().map(plain),
        "the answer to the call, on the left"
    );
    let after: Json = simulated.database(MASTER).unwrap().save();
    let refs = crate::left::compare(&pool, &changes, after.as_object().unwrap(), false);
    if answer.is_ok() {
        let swallowed: Vec<_> = foretold
            .swallowed
            .iter()
            .map(|fault| crate::left::with_real_refs(fault, &refs))
            .collect();
        let ignored = simulated.ignored_errors(JOINER);
        assert_eq!(swallowed.len(), ignored.len(), "{swallowed:?} {ignored:?}");
        assert!(swallowed.iter().zip(&ignored).all(same), "{swallowed:?} {ignored:?}");
        let srs = foretold.sr_count.unwrap();
        assert_eq!((srs.before, srs.after), (pool.sr.len(), simulated.count(MASTER, "SR")));
    }
    answer.is_ok()
}

/// Worlds whose join succeeds, whatever it costs.
fn joinable() -> impl Strategy<Value = JoinCase> {
    let harmful = Offence::ALL
        .iter()
        .copied()
        .filter(|offence| rule(offence.rule()).check.is_none() && *offence != Offence::Rotation);
    let size = (1..=4_usize, 1..=3_usize, 0..=4_usize, 0..=2_usize);
    let size = size.prop_map(|(hosts, nics, vms, srs)| Size { hosts, nics, vms, srs });
    (size, subsequence(harmful.collect::<Vec<_>>(), 0..=8), 0..4_usize)
        .prop_map(|(size, offences, vms)| JoinCase::new(size, offences).with_halted_vms(vms))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_join_does_what_was_foretold(world in joinable(), force in any::<bool>()) {
        prop_assert!(check(&world, force), "it was refused");
    }

    #[test]
    fn a_join_is_refused_as_was_foretold(world in join_case(), force in any::<bool>()) {
        check(&world, force);
    }
}

#[test]
fn each_offence_alone_leads_where_it_was_foretold() {
    let size = Size { hosts: 2, nics: 2, vms: 2, srs: 1 };
    let mut wrong = Vec::new();
    for offence in Offence::ALL {
        for force in [false, true] {
            let world = JoinCase::new(size, [*offence]);
            let tried = std::panic::catch_unwind(|| check(&world, force));
            if let Err(panic) = tried {
                let text = panic.downcast::<String>().map_or_else(|_| String::new(), |text| *text);
                wrong.push(format!("{offence:?}, force {force}: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
