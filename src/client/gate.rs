//! One thread at a time looks for the master; the others wait for what it finds.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bounds::Bounds;
use super::mark::OtherPool;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::transport::Clock;

/// How often a thread that waits looks whether it was cancelled.
const GLANCE_AT_CANCEL: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    busy: bool,
    round: u64,
    /// How the last round ended.
    end: End,
}

/// How a round ended.
#[derive(Default)]
enum End {
    #[default]
    Done,
    Failed(Copied),
    /// The thread had no more time, was cancelled or panicked.
    GivenUp,
}

/// As much of an error as can be given to several threads.
struct Copied {
    kind: ErrorKind,
    message: String,
    fault: Option<Fault>,
    other_pool: Option<OtherPool>,
    source: Option<String>,
}

impl Gate {
    /// Runs `act`, unless another thread is at it: then waits for its end, and shares its failure.
    ///
    /// Returns nothing if another thread did it, and succeeded. A thread that ran out of its own
    /// time, or was told to stop, says nothing about the others: then one of those acts.
    pub(super) fn run<T>(
        &self,
        bounds: Bounds<'_>,
        clock: &dyn Clock,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let (start, wait) = (Instant::now(), bounds.left(clock));
        let mut state = self.lock();
        while state.busy {
            let round = state.round;
            while state.round == round {
                bounds.cancel.check()?;
                let left = wait.saturating_sub(start.elapsed());
                if left.is_zero() {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        "the master was not found in time by the thread that looks for it",
                    ));
                }
                let waited = self.changed.wait_timeout(state, left.min(GLANCE_AT_CANCEL));
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            match &state.end {
                End::Done => return Ok(None),
                End::GivenUp => {}
                End::Failed(failure) => return Err(failure.error()),
            }
        }
        state.busy = true;
        drop(state);
        let mut round = Round { gate: self, end: End::GivenUp };
        let result = act();
        round.end = match &result {
            Ok(_) => End::Done,
            Err(error) if is_own(error) || bounds.are_over(clock) => End::GivenUp,
            Err(error) => End::Failed(Copied::of(error)),
        };
        drop(round);
        result.map(Some)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error is that of the thread, and not of the pool.
fn is_own(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout)
}

/// Ends the round when it is dropped, also by a panic.
struct Round<'a> {
    gate: &'a Gate,
    end: End,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.busy = false;
        state.round += 1;
        state.end = std::mem::take(&mut self.end);
        self.gate.changed.notify_all();
    }
}

impl Copied {
    fn of(error: &Error) -> Self {
        let source = std::error::Error::source(error);
        Self {
            kind: error.kind(),
            message: error.to_string(),
            fault: error.fault().cloned(),
            other_pool: source.and_then(|source| source.downcast_ref().cloned()),
            source: source.map(ToString::to_string),
        }
    }

    fn error(&self) -> Error {
        let error = match &self.fault {
            Some(fault) => {
                let error = Error::from(fault.clone());
                match self.message.strip_suffix(&format!(": {error}")) {
                    Some(context) => error.context(context),
                    None => error,
                }
            }
            None => Error::new(self.kind, self.message.clone()),
        };
        match (&self.other_pool, &self.source) {
            (Some(other), _) => error.with_source(other.clone()),
            (None, Some(source)) => error.with_source(source.clone()),
            (None, None) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Cancel, Limits, SystemClock};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Acts as a call of so much time would.
    fn run<T>(
        gate: &Gate,
        time: Duration,
        cancel: &Cancel,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        gate.run(Bounds::new(&SystemClock, Limits::within(time), cancel), &SystemClock, act)
    }

    #[test]
    fn threads_that_come_meanwhile_share_the_outcome() {
        for fails in [false, true] {
            let (gate, runs) = (Gate::default(), AtomicUsize::new(0));
            let outcomes: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|n| {
                        let (gate, runs) = (&gate, &runs);
                        scope.spawn(move || {
                            std::thread::sleep(Duration::from_millis(n * 10));
                            run(gate, Duration::from_secs(10), &Cancel::new(), || {
                                runs.fetch_add(1, Ordering::SeqCst);
                                std::thread::sleep(Duration::from_millis(200));
                                match fails {
                                    true => Err(Error::new(ErrorKind::Transport, "gone")),
                                    false => Ok(()),
                                }
                            })
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(runs.load(Ordering::SeqCst), 1);
            assert_eq!(
                outcomes.iter().filter(|outcome| outcome.is_err()).count(),
                4 * usize::from(fails)
            );
        }
    }

    #[test]
    fn a_shared_failure_says_as_much_as_the_first() {
        let plain = Error::new(ErrorKind::State, "nobody is master").with_source("a: no; b: no");
        let fault = Error::from(Fault::new("X", ["p"])).context("login").context("at a");
        for error in [plain, fault] {
            let copy = Copied::of(&error).error();
            assert_eq!(copy.kind(), error.kind());
            assert_eq!(copy.to_string(), error.to_string());
            assert_eq!(copy.fault(), error.fault());
            let source = |error: &Error| std::error::Error::source(error).map(|it| it.to_string());
            assert_eq!(source(&copy), source(&error));
        }
    }

    #[test]
    fn nobody_waits_longer_than_told() {
        let gate = Gate::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                run(&gate, Duration::ZERO, &Cancel::new(), || {
                    std::thread::sleep(Duration::from_millis(300));
                    Ok(())
                })
            });
            std::thread::sleep(Duration::from_millis(50));
            let error =
                run(&gate, Duration::from_millis(50), &Cancel::new(), || Ok(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
        });
    }

    #[test]
    fn who_is_stopped_or_late_does_not_decide_for_the_others() {
        for kind in [ErrorKind::Cancelled, ErrorKind::Timeout] {
            let gate = Gate::default();
            let wait = Duration::from_secs(10);
            let leader_is_in = std::sync::Barrier::new(2);
            let outcome = std::thread::scope(|scope| {
                scope.spawn(|| {
                    run(&gate, wait, &Cancel::new(), || {
                        leader_is_in.wait();
                        std::thread::sleep(Duration::from_millis(100));
                        Err::<i64, _>(Error::new(kind, "mine alone"))
                    })
                });
                leader_is_in.wait();
                run(&gate, wait, &Cancel::new(), || Ok(5))
            });
            assert_eq!(outcome.unwrap(), Some(5), "{kind:?}");
        }
    }

    #[test]
    fn who_fails_for_want_of_time_does_not_decide_for_the_others() {
        let (gate, leader_is_in) = (Gate::default(), std::sync::Barrier::new(2));
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                run(&gate, Duration::from_millis(100), &Cancel::new(), || {
                    leader_is_in.wait();
                    std::thread::sleep(Duration::from_millis(200));
                    Err::<i64, _>(Error::new(ErrorKind::State, "not all were heard"))
                })
            });
            leader_is_in.wait();
            run(&gate, Duration::from_secs(10), &Cancel::new(), || Ok(5))
        });
        assert_eq!(outcome.unwrap(), Some(5));
    }

    #[test]
    fn a_thread_that_waits_can_be_cancelled() {
        let (gate, cancel) = (Gate::default(), Cancel::new());
        let leader_is_in = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                run(&gate, Duration::MAX, &Cancel::new(), || {
                    leader_is_in.wait();
                    std::thread::sleep(Duration::from_millis(600));
                    Ok(())
                })
            });
            leader_is_in.wait();
            cancel.cancel();
            let start = Instant::now();
            let error = run(&gate, Duration::MAX, &cancel, || Ok(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
        });
    }

    #[test]
    fn a_panic_does_not_close_the_gate() {
        let gate = Gate::default();
        let cancel = Cancel::new();
        let panics =
            || run(&gate, Duration::ZERO, &cancel, || -> Result<()> { panic!("on purpose") });
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
        assert_eq!(run(&gate, Duration::ZERO, &cancel, || Ok(5)).unwrap(), Some(5));
    }
}
