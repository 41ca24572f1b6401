//! Operations under faults at every boundary of a request: each ends, and says the truth.

use crate::campaign::{Operation, What, describe, from_seed, run, run_all, single_faults};

/// How many schedules of several faults are run (CI runs thousands, optimised); `XCP_POOL_CASES` asks for others, and for all single
/// faults.
fn cases() -> u64 {
    let asked = std::env::var("XCP_POOL_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(400)
}

#[track_caller]
fn assert_all_well(schedules: &[crate::campaign::Schedule]) {
    let failed = run_all(schedules, |_, _| {});
    let told: Vec<_> =
        failed.iter().take(8).map(|(schedule, run)| describe(schedule, run)).collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), schedules.len(), told.join("\n"));
}

#[test]
fn single_faults_at_every_request_are_survived() {
    // All of them take minutes without optimisation: `examples/campaign.rs --single` runs them in CI,
    // and here every forty-first, of which the kinds and the requests take turns.
    let step = if std::env::var_os("XCP_POOL_CASES").is_some() { 1 } else { 41 };
    for operation in Operation::ALL {
        let all = single_faults(*operation, 1);
        assert!(all.len() >= 200, "{operation:?}: {}", all.len());
        assert_all_well(&all.into_iter().step_by(step).collect::<Vec<_>>());
    }
}

#[test]
fn an_operation_that_is_cancelled_at_any_request_sends_no_other() {
    for operation in Operation::ALL {
        let all = single_faults(*operation, 1);
        let cancelled: Vec<_> =
            all.into_iter().filter(|one| one.faults[0].what == What::Cancel).collect();
        let step = if std::env::var_os("XCP_POOL_CASES").is_some() { 1 } else { 5 };
        assert!(cancelled.len() >= 10, "{operation:?}: {}", cancelled.len());
        assert_all_well(&cancelled.into_iter().step_by(step).collect::<Vec<_>>());
    }
}

#[test]
fn schedules_of_several_faults_are_survived() {
    let schedules: Vec<_> = (1..=cases()).map(from_seed).collect();
    assert_all_well(&schedules);
}

#[test]
fn a_schedule_can_be_repeated_to_the_letter() {
    for seed in [3, 14, 15, 92] {
        let (once, again) = (run(&from_seed(seed)), run(&from_seed(seed)));
        assert_eq!(once.trace, again.trace);
        assert!(once.requests > 10);
    }
}
