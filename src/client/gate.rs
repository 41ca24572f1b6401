//! One thread at a time looks for the master; the others wait for what it finds.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Fault, Result};

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    busy: bool,
    round: u64,
    /// How the last round failed, if it did.
    failure: Option<Copied>,
}

/// As much of an error as can be given to several threads.
struct Copied {
    kind: ErrorKind,
    message: String,
    fault: Option<Fault>,
}

impl Gate {
    /// Runs `act`, unless another thread is at it: then waits for its end, and shares its failure.
    ///
    /// None if another thread did it, and succeeded.
    pub(super) fn run<T>(
        &self,
        wait: Duration,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let until = Instant::now() + wait;
        let mut state = self.lock();
        if state.busy {
            let round = state.round;
            while state.round == round {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        "the master was not found in time by the thread that looks for it",
                    ));
                }
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            return match &state.failure {
                None => Ok(None),
                Some(failure) => Err(failure.error()),
            };
        }
        state.busy = true;
        drop(state);
        let mut round = Round { gate: self, failure: None };
        let result = act();
        round.failure = result.as_ref().err().map(Copied::of);
        drop(round);
        result.map(Some)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the round when it is dropped, also by a panic.
struct Round<'a> {
    gate: &'a Gate,
    failure: Option<Copied>,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.busy = false;
        state.round += 1;
        state.failure = self.failure.take();
        self.gate.changed.notify_all();
    }
}

impl Copied {
    fn of(error: &Error) -> Self {
        Self { kind: error.kind(), message: error.to_string(), fault: error.fault().cloned() }
    }

    fn error(&self) -> Error {
        match &self.fault {
            Some(fault) => fault.clone().into(),
            None => Error::new(self.kind, self.message.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

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
                            gate.run(Duration::from_secs(10), || {
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
    fn nobody_waits_longer_than_told() {
        let gate = Gate::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gate.run(Duration::ZERO, || {
                    std::thread::sleep(Duration::from_millis(300));
                    Ok(())
                })
            });
            std::thread::sleep(Duration::from_millis(50));
            let error = gate.run(Duration::from_millis(50), || Ok(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
        });
    }

    #[test]
    fn a_panic_does_not_close_the_gate() {
        let gate = Gate::default();
        let panics = || gate.run(Duration::ZERO, || -> Result<()> { panic!("on purpose") });
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
        assert_eq!(gate.run(Duration::ZERO, || Ok(5)).unwrap(), Some(5));
    }
}
