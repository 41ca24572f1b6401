//! The fault campaign: operations under faults at every boundary of a request, then resumed.
//!
//! A [`Schedule`] says which operation runs in which world and what goes wrong at which request.
//! It is run by a caller that may die, and is followed by fresh ones until the operation ends; what
//! was said is held against what is. Everything follows from the schedule: the same one gives the
//! same run.
#![allow(dead_code, reason = "test and example use different parts")]

pub(crate) mod cases;
mod wire;
#[path = "../../support/words.rs"]
pub(crate) mod words;

use std::fmt;
use std::time::Duration;

pub(crate) use cases::Operation;
use wire::{Caller, Log};
pub(crate) use wire::{Fault, What};
use words::Names;

/// What happens in which run.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub operation: Operation,
    pub seed: u64,
    pub faults: Vec<Fault>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// What was wrong; nothing if all is well.
    pub violations: Vec<String>,
    /// How each caller ended.
    pub attempts: Vec<Said>,
    /// How many requests were sent.
    pub requests: u64,
    /// Sessions that nobody could close: their logins were not answered, or their logouts not heard.
    pub unknowable_sessions: usize,
    pub trace: Vec<String>,
}

/// How a caller ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Done(String),
    NotDone(String),
    Unknown(String),
    /// An error: nothing is claimed.
    Failed(String),
    /// It died.
    Crashed,
    /// It saw that it must not begin.
    Declined(String),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(what) => write!(f, "done: {what}"),
            Self::NotDone(why) => write!(f, "not done: {why}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Crashed => f.write_str("crashed"),
            Self::Declined(why) => write!(f, "declined: {why}"),
        }
    }
}

/// How many callers try, one after the other.
const CALLERS: usize = 10;

/// After this time all that was broken is mended, and whatever is under way has ended.
const REST: Duration = Duration::from_secs(900);

/// Pauses between two callers.
const PAUSES: [u64; 6] = [0, 1, 7, 30, 200, 900];

/// Runs a schedule.
pub(crate) fn run(schedule: &Schedule) -> Run {
    let mut case = schedule.operation.case(schedule.seed);
    let world = case.world().clone();
    let log = Log::new(schedule, &*case);
    let mut random = Random::new(schedule.seed ^ 0xca11);
    let mut attempts: Vec<Said> = Vec::new();
    let (mut ended, mut names) = (false, Names::unknown());
    while attempts.len() < CALLERS && !ended {
        let caller = Caller::new(&world, &log);
        let said = case.attempt(&caller);
        let said = if caller.is_dead() { Said::Crashed } else { said };
        log.note(&format!("caller {} {said}", attempts.len() + 1));
        if caller.was_cancelled() && matches!(said, Said::Unknown(_)) {
            log.violation(format!("it was cancelled, and claims {said}"));
        }
        names.add_world(&world, &case.hosts());
        log.read(&said.to_string(), &names);
        attempts.push(said.clone());
        match &said {
            Said::Done(_) | Said::NotDone(_) => {
                world.advance(REST);
                log.check_masters("at rest");
                if let Err(wrong) = case.is_true(&said) {
                    log.violation(format!("it said {said:?}, but {wrong}"));
                }
            }
            // The first ones come back soon, the others when all is quiet.
            _ if attempts.len() > CALLERS / 2 => world.advance(REST),
            _ => world.advance(Duration::from_secs(PAUSES[random.below(PAUSES.len())])),
        }
        ended = case.is_over(&said);
    }
    world.advance(REST);
    log.check_masters("in the end");
    if !ended {
        let last = attempts.last().map(ToString::to_string).unwrap_or_default();
        log.violation(format!(
            "{} callers did not bring it to an end; the last: {last}",
            attempts.len()
        ));
    }
    for wrong in case.losses() {
        log.violation(wrong);
    }
    log.finish(attempts)
}

/// One fault of every kind at every request of an undisturbed run, one schedule each.
pub(crate) fn single_faults(operation: Operation, seed: u64) -> Vec<Schedule> {
    let undisturbed = run(&Schedule { operation, seed, faults: Vec::new() });
    assert!(undisturbed.violations.is_empty(), "{:?}", undisturbed.violations);
    let kinds = What::all();
    (0..undisturbed.requests)
        .flat_map(|at| kinds.iter().map(move |what| Fault { at, what: what.clone() }))
        .map(|fault| Schedule { operation, seed, faults: vec![fault] })
        .collect()
}

/// A schedule of several faults, all of it from its seed.
pub(crate) fn from_seed(seed: u64) -> Schedule {
    let mut random = Random::new(seed);
    let operations = Operation::ALL;
    let operation = operations[random.below(operations.len())];
    let kinds = What::all();
    let count = 1 + random.below(5);
    let faults = (0..count).map(|_| Fault {
        at: random.below(130) as u64,
        what: kinds[random.below(kinds.len())].clone(),
    });
    let faults = faults.collect();
    Schedule { operation, seed, faults }
}

/// Runs schedules on all processors; returns the failed ones with what was wrong, and totals.
pub(crate) fn run_all(
    schedules: &[Schedule],
    each: impl Fn(&Schedule, &Run) + Sync,
) -> Vec<(Schedule, Run)> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failed = std::sync::Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(schedule) = schedules.get(n) else { return };
                    let run = run(schedule);
                    each(schedule, &run);
                    if !run.violations.is_empty() {
                        failed.lock().unwrap().push((schedule.clone(), run));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|(schedule, _)| {
        (schedule.seed, schedule.faults.first().map(|fault| fault.at))
    });
    failed
}

/// A failed schedule in words, with what it takes to repeat it.
pub(crate) fn describe(schedule: &Schedule, run: &Run) -> String {
    let faults: Vec<_> = schedule.faults.iter().map(|f| format!("{:?}@{}", f.what, f.at)).collect();
    let mut text =
        format!("{:?} seed {} {}\n", schedule.operation, schedule.seed, faults.join(" "));
    for violation in &run.violations {
        text += &format!("  VIOLATED: {violation}\n");
    }
    let attempts = run.attempts.iter();
    text + &attempts.map(|said| format!("  {said}\n")).collect::<String>()
}

/// Numbers from a seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap()
    }
}
