//! The fault campaign in the long run: `campaign [--schedules N] [--seed S] [--single] [--trace]`.
//!
//! Runs N schedules of several faults each, beginning with seed S (20,000 from 1 if not said), and
//! prints those that fail with what it takes to repeat them. `--single` runs one fault of every kind at
//! every request of every operation instead. `--trace` with `--schedules 1` prints every request.

#[path = "../tests/operations/campaign/mod.rs"]
mod campaign;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use campaign::{Operation, Said, describe, from_seed, run_all, single_faults};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let at = words.iter().position(|word| word == name);
        at.and_then(|at| words.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let has = |name: &str| words.iter().any(|word| word == name);
    let seed = number("--seed", 1);
    let schedules: Vec<_> = match has("--single") {
        true => Operation::ALL
            .iter()
            .filter(|one| words.len() < 2 || has(&format!("{one:?}")) || has("--seed"))
            .flat_map(|one| single_faults(*one, seed))
            .collect(),
        false => (seed..seed + number("--schedules", 20_000)).map(from_seed).collect(),
    };
    let began = Instant::now();
    let (requests, sessions) = (AtomicU64::new(0), AtomicUsize::new(0));
    let (done, callers) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = run_all(&schedules, |schedule, run| {
        requests.fetch_add(run.requests, Ordering::Relaxed);
        sessions.fetch_add(run.unknowable_sessions, Ordering::Relaxed);
        callers.fetch_add(run.attempts.len(), Ordering::Relaxed);
        let is_done = matches!(run.attempts.last(), Some(Said::Done(_)));
        done.fetch_add(usize::from(is_done), Ordering::Relaxed);
        if has("--trace") {
            run.trace.iter().for_each(|line| println!("{line}"));
        }
        if !run.violations.is_empty() {
            println!("{}", describe(schedule, run));
        }
    });
    println!(
        "{} schedules, {} callers, {} requests, {} done, {} sessions that nobody could close, {} \
         failed, {:.0} s",
        schedules.len(),
        callers.into_inner(),
        requests.into_inner(),
        done.into_inner(),
        sessions.into_inner(),
        failed.len(),
        began.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
