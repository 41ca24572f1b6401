//! Time as the transport has it: the system's, or a simulator's virtual one.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// A clock to wait by.
pub trait Clock: Send + Sync {
    /// Time since an origin of the clock's own choice; never goes back.
    fn now(&self) -> Duration;

    /// Waits for `time`, or until cancelled.
    ///
    /// # Errors
    /// `Cancelled`, as soon as `cancel` is.
    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()>;
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit is how it is made")]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        ORIGIN.get_or_init(Instant::now).elapsed()
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        if cancel.wait(time) { Err(Cancel::error()) } else { Ok(()) }
    }
}

/// Cancels what was started with it, from any thread. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Token>);

#[derive(Debug, Default)]
struct Token {
    state: Mutex<State>,
    changed: Condvar,
    /// Who cancels this one. They live as long: their own parents may be known to nobody else.
    _parents: Vec<Cancel>,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    /// Tokens that are cancelled with this one; most are gone when the next one comes.
    children: Vec<Weak<Token>>,
}

impl Cancel {
    /// A token that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::any([self])
    }

    /// A token that is cancelled with the first of some others, or alone.
    pub fn any<'a>(parents: impl IntoIterator<Item = &'a Self>) -> Self {
        let parents: Vec<_> = parents.into_iter().cloned().collect();
        let child = Self(Arc::new(Token { _parents: parents.clone(), ..Token::default() }));
        for parent in parents {
            let mut state = parent.lock();
            if state.cancelled {
                child.lock().cancelled = true;
                break;
            }
            state.children.retain(|other| other.strong_count() > 0);
            state.children.push(Arc::downgrade(&child.0));
        }
        child
    }

    /// Cancels; cannot be taken back.
    pub fn cancel(&self) {
        let children = {
            let mut state = self.lock();
            state.cancelled = true;
            std::mem::take(&mut state.children)
        };
        self.0.changed.notify_all();
        for child in children.iter().filter_map(Weak::upgrade) {
            Self(child).cancel();
        }
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Fails once cancelled.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Self::error()) } else { Ok(()) }
    }

    /// Waits until cancelled, `time` at most, and returns whether it was cancelled.
    pub fn wait(&self, time: Duration) -> bool {
        let waited = self.0.changed.wait_timeout_while(self.lock(), time, |state| !state.cancelled);
        waited.unwrap_or_else(PoisonError::into_inner).0.cancelled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error() -> Error {
        Error::new(ErrorKind::Cancelled, "cancelled by the caller")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_as_soon_as_it_is_cancelled() {
        let cancel = Cancel::new();
        let other = cancel.clone();
        let thread =
            std::thread::spawn(move || SystemClock.sleep(Duration::from_secs(3600), &other));
        cancel.cancel();
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(cancel.is_cancelled());
    }

    #[test]
    fn a_child_is_cancelled_with_its_parent_and_alone() {
        let parent = Cancel::new();
        let (alone, child) = (parent.child(), parent.child());
        let grandchild = child.child();
        alone.cancel();
        assert!(alone.is_cancelled() && !parent.is_cancelled() && !child.is_cancelled());
        parent.cancel();
        assert!(child.is_cancelled() && grandchild.is_cancelled());
        assert!(parent.child().is_cancelled());
    }

    #[test]
    fn a_token_of_several_is_cancelled_with_the_first_of_them() {
        for n in 0..3 {
            let parents = [Cancel::new(), Cancel::new(), Cancel::new()];
            let child = Cancel::any(&parents);
            assert!(!child.is_cancelled());
            parents[n].cancel();
            assert!(child.is_cancelled() && Cancel::any(&parents).is_cancelled());
            assert_eq!(parents.iter().filter(|parent| parent.is_cancelled()).count(), 1);
        }
        assert!(!Cancel::any([]).is_cancelled());
    }

    #[test]
    fn a_token_between_two_others_may_be_dropped() {
        let first = Cancel::new();
        let last = first.child().child().child();
        first.cancel();
        assert!(last.is_cancelled());
    }

    #[test]
    fn a_token_that_lives_long_does_not_keep_those_that_ended() {
        let (one, other) = (Cancel::new(), Cancel::new());
        for _ in 0..1000 {
            drop(Cancel::any([&one, &other]));
        }
        assert!(one.lock().children.len() <= 1 && other.lock().children.len() <= 1);
    }
}
