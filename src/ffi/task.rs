//! Tasks as objects: calls that run in the server while the program does something else.

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use serde_json::Value;

use crate::client::{Client, TaskEnd, TaskHandle};
use crate::ffi::boundary::{self, Out, c_text, call, optional_text, text};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::{on, params, xcp_client, xcp_task_progress};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::{self, Held, Object};
use crate::ffi::status::xcp_status::{self, XCP_E_FAULT, XCP_E_OUTCOME_UNKNOWN};

/// A call that runs in the server as a task.
///
/// Made by `xcp_client_start`, freed by `xcp_task_free`, which leaves it running; it keeps its client.
/// Threads: may be used by many at once.
pub struct xcp_task {
    task: TaskHandle<'static>,
    reference: CString,
    /// What `task` borrows, which ends after it.
    client: Held<xcp_client>,
}

impl Object for xcp_task {
    const NAME: &'static str = "xcp_task";
}

/// Starts a method of XAPI as a task, and does not wait for it.
///
/// As `xcp_client_task_json`: `method` is named without "Async.". `cancel` may be NULL; it ends this call and
/// not the task. `*task` is freed with `xcp_task_free`; the client may be freed before. From any thread. Fails
/// as `xcp_client_call_json`.
///
/// # Safety
/// As for `xcp_client_call_json`; `task` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_start(
    client: *const xcp_client,
    method: *const c_char,
    params_json: *const c_char,
    cancel: *const xcp_cancel,
    task: *mut *mut xcp_task,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_start", error, |call| {
            let kept = call.object(client, "client")?;
            let method = text(method, "method")?;
            let params = params(optional_text(params_json, "params_json")?)?;
            let out = Out::new(task, "task")?;
            // It does not end before `kept`, which the task is stored with, nor move.
            let borrowed: &'static Client = &*ptr::from_ref(&kept.client);
            let task = on(call, &[&kept], cancel, |_| Ok(borrowed.start(method, &params)?))?;
            let reference = c_text(task.reference().to_string());
            out.write_object(xcp_task { task, reference, client: kept });
            Ok(())
        })
    }
}

/// Returns the task's ref; NULL for NULL and for what is no task.
///
/// Belongs to the task, and lives as long as it. From any thread.
///
/// # Safety
/// `task` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_task_ref(task: *const xcp_task) -> *const c_char {
    // The text lives on in the task, which its owner has not freed.
    registry::hold(task).map_or(ptr::null(), |task| task.reference.as_ptr())
}

/// Tells the task as it stands, in XAPI's names.
///
/// `*record_json` is `{"schema": 1, "status": "pending" | ..., "progress": 0 to 1, ...}`, freed with
/// `xcp_string_free`. `cancel` may be NULL. From any thread. Fails as `xcp_client_call_json`, and with
/// XCP_E_FAULT (HANDLE_INVALID) if the task is gone: its end was seen, or a day has passed.
///
/// # Safety
/// `task` came from this library, `cancel` or is NULL; `record_json` can be written; `error` is NULL or can
/// be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_task_record_json(
    task: *const xcp_task,
    cancel: *const xcp_cancel,
    record_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_task_record_json", error, |call| {
            let held = call.object(task, "task")?;
            let out = Out::new(record_json, "record_json")?;
            let record = on(call, &[&held.client], cancel, |_| Ok(held.task.record()?))?;
            out.write_text(json::numbered(record)?);
            Ok(())
        })
    }
}

/// Asks the server to cancel the task; many operations never look whether they should.
///
/// `cancel` may be NULL; it ends this call. From any thread. Fails as `xcp_client_call_json`.
///
/// # Safety
/// `task` came from this library, `cancel` or is NULL; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_task_cancel(
    task: *const xcp_task,
    cancel: *const xcp_cancel,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_task_cancel", error, |call| {
            let held = call.object(task, "task")?;
            on(call, &[&held.client], cancel, |_| Ok(held.task.cancel()?))
        })
    }
}

/// Waits for the task's end, and removes it from the server then.
///
/// `progress` may be NULL; it is called with `ctx` whenever the task has come further. `cancel` may be NULL;
/// it ends the wait, and leaves the task running: waiting again goes on. `*result_json` is as for
/// `xcp_client_task_json`, freed with `xcp_string_free`.
///
/// From any thread. Fails with XCP_E_FAULT if the task failed, or was cancelled on the server
/// (TASK_CANCELLED), with XCP_E_OUTCOME_UNKNOWN if its end cannot be known any more, for example because the
/// master restarted: read the pool's state; and with XCP_E_CANCELLED.
///
/// # Safety
/// `task` came from this library, `cancel` or is NULL; `progress` can be called with `ctx` until the call
/// returns; `result_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_task_wait_json(
    task: *const xcp_task,
    progress: xcp_task_progress,
    ctx: *mut c_void,
    cancel: *const xcp_cancel,
    result_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_task_wait_json", error, |call| {
            let held = call.object(task, "task")?;
            let out = Out::new(result_json, "result_json")?;
            let mut tell = teller(progress, ctx);
            let result: Value =
                on(call, &[&held.client], cancel, |_| ended(held.task.wait(&mut tell)?))?;
            out.write_text(result.to_string());
            Ok(())
        })
    }
}

/// Frees a task, which goes on in the server. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `task` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_task_free(task: *mut xcp_task) {
    boundary::free(task);
}

/// The result of a task; an end that nobody knows is not taken for a failure.
pub(super) fn ended<T>(end: TaskEnd<T>) -> Result<T, Failure> {
    let status = match &end {
        TaskEnd::Unknown(_) => Some(XCP_E_OUTCOME_UNKNOWN),
        TaskEnd::Failed(_) => Some(XCP_E_FAULT),
        TaskEnd::Cancelled | TaskEnd::Done(_) => None,
    };
    end.into_result().map_err(|error| {
        let failure = Failure::from(error);
        Failure { status: status.unwrap_or(failure.status), ..failure }
    })
}

/// Tells a callback how far a task has come.
///
/// # Safety
/// The callback can be called with its context as long as the answer lives.
pub(super) unsafe fn teller(progress: xcp_task_progress, ctx: *mut c_void) -> impl FnMut(f64) {
    move |done| {
        if let Some(progress) = progress {
            // SAFETY: the caller of this function promised that it can be called.
            unsafe { progress(ctx, done) }
        }
    }
}
