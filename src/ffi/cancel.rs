//! Cancelling what is going on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::ffi::boundary::{self, Out, call, quiet};
use crate::ffi::error::xcp_error;
use crate::ffi::registry::Object;
use crate::ffi::status::xcp_status;
use crate::transport::{Body, Cancel, Clock, Request, Transport};

/// Ends calls early, from another thread or from a callback.
///
/// Made by `xcp_cancel_new`, freed by `xcp_cancel_free`, given to as many calls as should end
/// together. Threads: may be used by many at once.
pub struct xcp_cancel {
    pub(super) calls: Arc<Calls>,
}

impl Object for xcp_cancel {
    const NAME: &'static str = "xcp_cancel";
}

/// Makes an object that can end calls.
///
/// `*cancel` is freed with `xcp_cancel_free`. From any thread.
///
/// # Safety
/// `cancel` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_cancel_new(
    cancel: *mut *mut xcp_cancel,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_cancel_new", error, |_| {
            Out::new(cancel, "cancel")?.write_object(xcp_cancel { calls: Arc::default() });
            Ok(())
        })
    }
}

/// Ends all calls that were or will be given this object: they fail with XCP_E_CANCELLED.
///
/// A call that waits ends within a fraction of a second, a search for a lost master within seconds. What
/// it asked a server for may have been done. Cannot be taken back. NULL is fine. From any thread, callbacks included.
///
/// # Safety
/// `cancel` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_cancel_cancel(cancel: *const xcp_cancel) {
    quiet((), |call| {
        call.object(cancel, "cancel")?.calls.cancel(true);
        Ok(())
    });
}

/// Frees the object; calls that it was given to go on, and cannot be ended by it any more. NULL is
/// fine.
///
/// From any thread.
///
/// # Safety
/// `cancel` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_cancel_free(cancel: *mut xcp_cancel) {
    boundary::free(cancel);
}

/// Calls that can be ended together.
#[derive(Default)]
pub(super) struct Calls(Mutex<State>);

#[derive(Default)]
struct State {
    cancelled: bool,
    next: u64,
    running: BTreeMap<u64, Cancel>,
}

impl Calls {
    /// Ends what is going on, and what comes later if `for_good`.
    pub(super) fn cancel(&self, for_good: bool) {
        let mut state = self.state();
        state.cancelled |= for_good;
        state.running.values().for_each(Cancel::cancel);
    }

    /// Whether any call is going on.
    pub(super) fn are_running(&self) -> bool {
        !self.state().running.is_empty()
    }

    /// Lets a call be ended with the others until the answer is dropped.
    pub(super) fn join(self: &Arc<Self>, cancel: &Cancel) -> Joined {
        let mut state = self.state();
        if state.cancelled {
            cancel.cancel();
        }
        let key = state.next;
        state.next += 1;
        state.running.insert(key, cancel.clone());
        Joined { calls: self.clone(), key }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call among those that can be ended together.
pub(super) struct Joined {
    calls: Arc<Calls>,
    key: u64,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.calls.state().running.remove(&self.key);
    }
}

thread_local! {
    /// What ends the calls that this thread is in, the innermost last: a callback may call again.
    static CURRENT: RefCell<Vec<Cancel>> = const { RefCell::new(Vec::new()) };
}

/// Runs something that `cancel` ends on this thread, wherever it waits on [`Interruptible`].
pub(super) fn under<T>(cancel: &Cancel, body: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(Vec::pop);
        }
    }
    CURRENT.with_borrow_mut(|current| current.push(cancel.clone()));
    let _leave = Leave;
    body()
}

/// A transport whose requests and waits end with the call that this thread is in.
pub(super) struct Interruptible(pub(super) Arc<dyn Transport>);

/// How a request for the end of a session begins: a session that stays open hurts others, so it is
/// sent also when the call was cancelled.
const LOGOUTS: [&[u8]; 2] = [
    br#"{"jsonrpc":"2.0","method":"session.logout""#,
    br#"{"jsonrpc":"2.0","method":"session.local_logout""#,
];

fn with_current<T>(given: &Cancel, body: impl FnOnce(&Cancel) -> T) -> T {
    let current = CURRENT.with_borrow(|current| current.last().cloned());
    body(current.as_ref().unwrap_or(given))
}

impl Interruptible {
    /// By which [`is_carried_by`] knows the transport inside.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

thread_local! {
    /// The transports, by address, that carry a request on this thread.
    static CARRYING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Whether this thread is in a request that a transport carries: in a callback of it, that is.
pub(super) fn is_carried_by(transport: usize) -> bool {
    CARRYING.with_borrow(|carrying| carrying.contains(&transport))
}

impl Transport for Interruptible {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        struct Carried;
        impl Drop for Carried {
            fn drop(&mut self) {
                CARRYING.with_borrow_mut(Vec::pop);
            }
        }
        CARRYING.with_borrow_mut(|carrying| carrying.push(self.address()));
        let _carried = Carried;
        if LOGOUTS.iter().any(|logout| request.body.starts_with(logout)) {
            return self.0.exchange(request);
        }
        with_current(request.cancel, |cancel| self.0.exchange(&Request { cancel, ..*request }))
    }

    fn clock(&self) -> &dyn Clock {
        self
    }

    fn at_once(&self) -> usize {
        self.0.at_once()
    }
}

impl Clock for Interruptible {
    fn now(&self) -> Duration {
        self.0.clock().now()
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        with_current(cancel, |cancel| self.0.clock().sleep(time, cancel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Endpoint, Limits};
    use crate::wire::{Call, Secret};

    /// Answers whoever is not cancelled.
    struct Patient;

    impl Transport for Patient {
        fn exchange(&self, request: &Request<'_>) -> Result<Body> {
            request.cancel.check().map(|()| Body::Bytes(Vec::new()))
        }
    }

    #[test]
    fn the_ends_of_sessions_are_told_though_the_call_was_cancelled() {
        let (transport, token) = (Interruptible(Arc::new(Patient)), Cancel::new());
        let (endpoint, secret) =
            (Endpoint::https("phantom"), Secret::new("OpaqueRef:s".to_owned()));
        token.cancel();
        let send = |method: &str| {
            let call = Call::new(method, Some(&secret), &()).unwrap();
            let (limits, own) = (Limits::default(), Cancel::new());
            let request = Request::new(&endpoint, call.body(), limits, &own);
            under(&token, || transport.exchange(&request).is_ok())
        };
        assert!(send("session.logout") && send("session.local_logout"));
        assert!(!send("session.get_this_host") && !send("host.get_all"));
    }
}
