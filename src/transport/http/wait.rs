//! What a wait on this thread must look out for.
//!
//! ureq hands a transport deadlines, but nothing of its caller's. An exchange runs on the thread
//! that asked for it, so what belongs to the exchange is kept with the thread.

use std::cell::RefCell;
use std::time::Duration;

use crate::transport::Cancel;

thread_local! {
    static CURRENT: RefCell<Option<Waiting>> = const { RefCell::new(None) };
}

#[derive(Clone)]
struct Waiting {
    cancel: Cancel,
    stall: Option<Duration>,
}

/// Puts back what was there before, when it is dropped.
pub(super) struct Guard(Option<Waiting>);

/// From now on, waits of this thread end when `cancel` is cancelled, or nothing came for `stall`.
pub(super) fn enter(cancel: &Cancel, stall: Option<Duration>) -> Guard {
    let waiting = Waiting { cancel: cancel.clone(), stall };
    Guard(CURRENT.with(|current| current.borrow_mut().replace(waiting)))
}

/// Whether the current wait was cancelled.
pub(super) fn is_cancelled() -> bool {
    CURRENT.with(|current| {
        current.borrow().as_ref().is_some_and(|waiting| waiting.cancel.is_cancelled())
    })
}

/// How long nothing may come.
pub(super) fn stall() -> Option<Duration> {
    CURRENT.with(|current| current.borrow().as_ref().and_then(|waiting| waiting.stall))
}

impl Drop for Guard {
    fn drop(&mut self) {
        CURRENT.with(|current| *current.borrow_mut() = self.0.take());
    }
}
