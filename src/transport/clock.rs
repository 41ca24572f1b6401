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
pub struct Cancel(Arc<(Mutex<Cancelled>, Condvar)>);

#[derive(Debug, Default)]
struct Cancelled {
    yes: bool,
    /// Tokens that are cancelled with this one.
    children: Vec<Weak<(Mutex<Cancelled>, Condvar)>>,
}

impl Cancel {
    /// A token that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled with this one, or alone.
    pub fn child(&self) -> Self {
        let child = Self::new();
        let mut state = self.lock();
        child.lock().yes = state.yes;
        state.children.retain(|other| other.strong_count() > 0);
        state.children.push(Arc::downgrade(&child.0));
        child
    }

    /// Cancels; cannot be taken back.
    pub fn cancel(&self) {
        let children = {
            let mut state = self.lock();
            state.yes = true;
            std::mem::take(&mut state.children)
        };
        self.0.1.notify_all();
        for child in children.iter().filter_map(Weak::upgrade) {
            Self(child).cancel();
        }
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.lock().yes
    }

    /// Fails once cancelled.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Self::error()) } else { Ok(()) }
    }

    /// Waits until cancelled, `time` at most; answers whether it was cancelled.
    pub fn wait(&self, time: Duration) -> bool {
        let waited = self.0.1.wait_timeout_while(self.lock(), time, |state| !state.yes);
        waited.unwrap_or_else(PoisonError::into_inner).0.yes
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cancelled> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
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
}
