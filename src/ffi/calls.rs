//! Calls on clients: what ends them, and in which callbacks they would wait for themselves.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ffi::boundary::Call;
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::error::Failure;
use crate::ffi::log;
use crate::ffi::status::xcp_status::{XCP_E_CANCELLED, XCP_E_MISUSE};
use crate::ffi::transport::not_in_callback_of;
use crate::transport::Cancel;

/// The calls on a client and its views, which share a session.
pub(super) struct Calls {
    /// The address of the transport.
    pub(super) transport: usize,
    /// Ends those that are going on.
    end: Mutex<Cancel>,
    going_on: AtomicUsize,
}

impl Calls {
    pub(super) fn over(transport: usize) -> Arc<Self> {
        Arc::new(Self { transport, end: Mutex::default(), going_on: AtomicUsize::new(0) })
    }

    /// Ends those that are going on, and none that comes later.
    pub(super) fn cancel(&self) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *end).cancel();
    }

    fn end(&self) -> Cancel {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fails if this thread is in a callback for which a call on the client waits: each would wait
    /// for the other.
    pub(super) fn are_free_here(&self) -> Result<(), Failure> {
        BUSY.with_borrow(|busy| self.not_waited_for(busy))
    }

    fn not_waited_for(&self, busy: &[usize]) -> Result<(), Failure> {
        not_in_callback_of(self.transport)?;
        let message = if busy.contains(&self.address()) {
            "client: a callback cannot call on the client that it works for"
        } else if log::is_telling() && self.going_on.load(Ordering::SeqCst) > 0 {
            // Another thread may be at that call, and wait for this one, which searches the master.
            "client: a callback of the log cannot call on a client that is in a call"
        } else {
            return Ok(());
        };
        Err(Failure::new(XCP_E_MISUSE, message))
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

thread_local! {
    /// The calls, by address, that this thread is in.
    static BUSY: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Calls that this thread is in until this is dropped.
struct Busy<'a>(&'a [&'a Calls]);

impl<'a> Busy<'a> {
    fn with(calls: &'a [&'a Calls]) -> Result<Self, Failure> {
        BUSY.with_borrow_mut(|busy| {
            calls.iter().try_for_each(|calls| calls.not_waited_for(busy))?;
            busy.extend(calls.iter().map(|calls| calls.address()));
            Ok::<_, Failure>(())
        })?;
        for calls in calls {
            calls.going_on.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Self(calls))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        for calls in self.0 {
            calls.going_on.fetch_sub(1, Ordering::SeqCst);
        }
        BUSY.with_borrow_mut(|busy| busy.truncate(busy.len() - self.0.len()));
    }
}

/// Runs something as calls on some clients, under a token that their cancels, the given one and
/// some others end.
///
/// # Safety
/// `cancel` is NULL or came from this library.
pub(super) unsafe fn on_all<T>(
    call: &mut Call,
    calls: &[&Calls],
    others: &[&Cancel],
    cancel: *const xcp_cancel,
    body: impl FnOnce(&Cancel) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let _busy = Busy::with(calls)?;
    let ends: Vec<Cancel> = calls.iter().map(|calls| calls.end()).collect();
    let ends: Vec<&Cancel> = ends.iter().chain(others.iter().copied()).collect();
    // SAFETY: the same promise.
    unsafe { cancellable(call, cancel, &ends, body) }
}

/// Runs something under a token that the given cancel and some others end.
///
/// # Safety
/// `cancel` is NULL or came from this library.
pub(super) unsafe fn cancellable<T>(
    call: &mut Call,
    cancel: *const xcp_cancel,
    others: &[&Cancel],
    body: impl FnOnce(&Cancel) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let given = if cancel.is_null() { None } else { Some(call.object(cancel, "cancel")?) };
    let given = given.as_ref().map(|given| &given.token);
    let token = Cancel::any(given.into_iter().chain(others.iter().copied()));
    token.check()?;
    body(&token).map_err(|failure| match token.is_cancelled() {
        // Whatever broke because of it.
        true if failure.status != XCP_E_CANCELLED => Failure {
            status: XCP_E_CANCELLED,
            message: format!("cancelled by the caller: {}", failure.message),
            ..failure
        },
        _ => failure,
    })
}
