//! Watches as objects.

use std::ffi::c_char;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::Watch;
use crate::ffi::boundary::{self, Call, Out, call, optional_text, quiet, text};
use crate::ffi::calls::{Calls, on_all};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::{scope_named, xcp_client};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json::{self, seconds};
use crate::ffi::registry::Object;
use crate::ffi::snapshot::xcp_snapshot;
use crate::ffi::status::xcp_status::{self, XCP_E_CANCELLED};
use crate::transport::Cancel;
use crate::wire::{Event, Operation};

/// Follows a pool: a snapshot, and the changes to it as they happen.
///
/// Made by `xcp_client_watch`, freed by `xcp_watch_free`; it keeps its client. Threads: may be used
/// by many at once, but one waits for changes at a time, and the others for it.
pub struct xcp_watch {
    watch: Mutex<Watch>,
    canceller: Cancel,
    calls: Arc<Calls>,
}

impl Object for xcp_watch {
    const NAME: &'static str = "xcp_watch";
}

/// Takes a snapshot of the pool, and follows it.
///
/// `scope` is as for `xcp_client_snapshot`. `cancel` may be NULL. `*watch` is freed with
/// `xcp_watch_free`; the client may be freed before. From any thread. Fails as
/// `xcp_client_snapshot`.
///
/// # Safety
/// `client` came from this library, `cancel` or is NULL; `scope` ends with NUL; `watch` can be
/// written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_watch(
    client: *const xcp_client,
    scope: *const c_char,
    cancel: *const xcp_cancel,
    watch: *mut *mut xcp_watch,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: the same promises.
    unsafe { xcp_client_watch_with(client, scope, ptr::null(), cancel, watch, error) }
}

/// Takes a snapshot of the pool, and follows it, with options.
///
/// As `xcp_client_watch`. `options_json` may be NULL; it is `{"hold": seconds}`, how long the
/// server may hold a request when nothing happens (30).
///
/// # Safety
/// As for `xcp_client_watch`; `options_json` is NULL or ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_watch_with(
    client: *const xcp_client,
    scope: *const c_char,
    options_json: *const c_char,
    cancel: *const xcp_cancel,
    watch: *mut *mut xcp_watch,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_watch", error, |call| {
            let client = call.object(client, "client")?;
            let scope = scope_named(text(scope, "scope")?)?;
            let options = optional_text(options_json, "options_json")?;
            let options: Options = json::decode_or_default(options, "options_json")?;
            let out = Out::new(watch, "watch")?;
            let watch = client
                .on(call, cancel, |view| Ok(client.client.watch_with(view, scope.classes())?))?;
            let watch = match options.hold {
                Some(time) => watch.hold(time),
                None => watch,
            };
            out.write_object(xcp_watch {
                canceller: watch.canceller(),
                watch: Mutex::new(watch),
                calls: client.calls.clone(),
            });
            Ok(())
        })
    }
}

/// Waits for changes until some are there or a while has passed, and counts them.
///
/// So many times `xcp_watch_next` will not wait. The wait is as long as the server holds a request
/// ("hold" of `xcp_client_watch_with`). `cancel` may be NULL. From any thread. Fails as
/// `xcp_watch_next`.
///
/// # Safety
/// `watch` came from this library, `cancel` or is NULL; `count` can be written; `error` is NULL or
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_watch_poll(
    watch: *const xcp_watch,
    cancel: *const xcp_cancel,
    count: *mut usize,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_watch_poll", error, |call| {
            let held = call.object(watch, "watch")?;
            let out = Out::new(count, "count")?;
            let count = held.on(call, cancel, |watch, token| Ok(watch.poll_under(token)?))?;
            out.write(count);
            Ok(())
        })
    }
}

/// Waits for the next change.
///
/// `*change_json` is `{"schema": 1, "class", "ref", "operation": "added" | "modified" |
/// "deleted"}`, freed with `xcp_string_free`. `cancel` may be NULL; it ends this wait and not the
/// watch.
///
/// From any thread. Fails with XCP_E_CANCELLED once `xcp_watch_cancel` was called, and as
/// `xcp_client_snapshot`; such an error does not end the watch: the next call tries again, after a
/// pause that grows.
///
/// # Safety
/// `watch` came from this library, `cancel` or is NULL; `change_json` can be written; `error` is
/// NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_watch_next(
    watch: *const xcp_watch,
    cancel: *const xcp_cancel,
    change_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_watch_next", error, |call| {
            let held = call.object(watch, "watch")?;
            let out = Out::new(change_json, "change_json")?;
            let change = held.on(call, cancel, |watch, token| match watch.next_under(token) {
                Some(change) => Ok(change?),
                None => Err(Failure::new(XCP_E_CANCELLED, "the watch was ended")),
            })?;
            out.write_text(json::numbered(ChangeText::from(&change))?);
            Ok(())
        })
    }
}

/// Copies the pool as it was after the change that came last, or a little later.
///
/// Waits while another thread is in `xcp_watch_next`, but fails with XCP_E_MISUSE inside of a
/// callback that works for it. `*snapshot` is freed with `xcp_snapshot_free`. From any thread.
///
/// # Safety
/// `watch` came from this library; `snapshot` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_watch_snapshot(
    watch: *const xcp_watch,
    snapshot: *mut *mut xcp_snapshot,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_watch_snapshot", error, |call| {
            let held = call.object(watch, "watch")?;
            let out = Out::new(snapshot, "snapshot")?;
            let watch = match held.at_once() {
                Some(watch) => watch,
                None => {
                    held.calls.are_free_here()?;
                    held.watch.lock().unwrap_or_else(PoisonError::into_inner)
                }
            };
            let copy = watch.snapshot().clone();
            out.write_object(xcp_snapshot::from(copy));
            Ok(())
        })
    }
}

/// Ends a watch; NULL is fine.
///
/// Whoever waits in `xcp_watch_next`, or will, gets XCP_E_CANCELLED. From any thread.
///
/// # Safety
/// `watch` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_watch_cancel(watch: *const xcp_watch) {
    quiet((), |call| {
        call.object(watch, "watch")?.canceller.cancel();
        Ok(())
    });
}

/// Ends and frees a watch. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `watch` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_watch_free(watch: *mut xcp_watch) {
    // SAFETY: the same promise.
    unsafe { xcp_watch_cancel(watch) };
    boundary::free(watch);
}

impl xcp_watch {
    /// Runs something on the watch, as a call on its client, as soon as no other thread does.
    ///
    /// # Safety
    /// `cancel` is NULL or came from this library.
    unsafe fn on<T>(
        &self,
        call: &mut Call,
        cancel: *const xcp_cancel,
        body: impl FnOnce(&mut Watch, &Cancel) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let body = |token: &Cancel| body(&mut *self.in_turn(token)?, token);
        // SAFETY: the same promise.
        unsafe { on_all(call, &[&*self.calls], &[&self.canceller], cancel, body) }
    }

    /// The watch, once no other thread waits for its changes.
    fn in_turn(&self, token: &Cancel) -> Result<MutexGuard<'_, Watch>, Failure> {
        loop {
            if let Some(watch) = self.at_once() {
                return Ok(watch);
            }
            token.wait(GLANCE);
            token.check()?;
        }
    }

    /// The watch, unless another thread waits for its changes.
    fn at_once(&self) -> Option<MutexGuard<'_, Watch>> {
        match self.watch.try_lock() {
            Ok(watch) => Some(watch),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// How often a thread looks whether another one is done with the watch.
const GLANCE: Duration = Duration::from_millis(20);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of options")]
struct Options {
    #[serde(deserialize_with = "seconds")]
    hold: Option<Duration>,
}

#[derive(Serialize)]
struct ChangeText<'a> {
    class: &'static str,
    #[serde(rename = "ref")]
    reference: &'a str,
    operation: &'static str,
}

impl<'a> From<&'a Event> for ChangeText<'a> {
    fn from(change: &'a Event) -> Self {
        let operation = match change.operation {
            Operation::Added => "added",
            Operation::Deleted => "deleted",
            Operation::Modified => "modified",
        };
        Self { class: change.class.as_str(), reference: &change.reference, operation }
    }
}
