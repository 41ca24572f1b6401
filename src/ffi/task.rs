//! Tasks as objects: calls that run in the server while the program does something else.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use serde_json::Value;

use crate::client::{TaskEnd, TaskHandle};
use crate::ffi::arguments::params;
use crate::ffi::boundary::{self, Call, Out, c_text, call, optional_text, text};
use crate::ffi::calls::{Calls, on_all};
use crate::ffi::cancel::xcp_cancel;
use crate::ffi::client::xcp_client;
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::{self, Object};
use crate::ffi::status::xcp_status::{self, XCP_E_FAULT, XCP_E_OUTCOME_UNKNOWN};
use crate::transport::Cancel;

/// A call that runs in the server as a task.
///
/// Made by `xcp_client_start`, freed by `xcp_task_free`, which leaves it running; it keeps its
/// client. Threads: may be used by many at once.
pub struct xcp_task {
    task: TaskHandle,
    reference: CString,
    calls: Arc<Calls>,
}

impl Object for xcp_task {
    const NAME: &'static str = "xcp_task";
}

/// Tells how far a call has come: `done` is a number from 0 to 1.
///
/// Called on the thread of the call. To end the call from inside use `xcp_cancel_cancel`.
pub type xcp_task_progress = Option<unsafe extern "C" fn(ctx: *mut c_void, done: f64)>;

/// Runs a method of XAPI as a task and waits for its end.
///
/// As `xcp_client_call_json`, for methods that take long: `method` is named without "Async.".
/// `progress` may be NULL; it is called with `ctx` whenever the task has come further. Cancelling
/// ends the wait, and leaves the task running.
///
/// From any thread. Fails as `xcp_client_call_json`, with XCP_E_FAULT if the task failed, or was
/// cancelled on the server (TASK_CANCELLED), and with XCP_E_OUTCOME_UNKNOWN if its end cannot be
/// known any more, for example because the master restarted: read the pool's state.
///
/// # Safety
/// As for `xcp_client_call_json`; `progress` can be called with `ctx` until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_client_task_json(
    client: *const xcp_client,
    method: *const c_char,
    params_json: *const c_char,
    progress: xcp_task_progress,
    ctx: *mut c_void,
    cancel: *const xcp_cancel,
    result_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_client_task_json", error, |call| {
            let client = call.object(client, "client")?;
            let method = text(method, "method")?;
            let params = params(optional_text(params_json, "params_json")?)?;
            let out = Out::new(result_json, "result_json")?;
            let mut tell = teller(progress, ctx);
            let result: Value = client
                .on(call, cancel, |client| ended(client.task(method, &params, &mut tell)?))?;
            out.write_text(result.to_string());
            Ok(())
        })
    }
}

/// Starts a method of XAPI as a task, and does not wait for it.
///
/// As `xcp_client_task_json`: `method` is named without "Async.". `cancel` may be NULL; it ends
/// this call and not the task. `*task` is freed with `xcp_task_free`; the client may be freed
/// before. From any thread. Fails as `xcp_client_call_json`.
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
            let client = call.object(client, "client")?;
            let method = text(method, "method")?;
            let params = params(optional_text(params_json, "params_json")?)?;
            let out = Out::new(task, "task")?;
            let task = client.on(call, cancel, |client| Ok(client.start(method, &params)?))?;
            let task = task.without_cancel();
            let reference = c_text(task.reference().to_string());
            out.write_object(xcp_task { task, reference, calls: client.calls.clone() });
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
/// `*record_json` is `{"schema": 1, "status": "pending" | ..., "progress": 0 to 1, ...}`, freed
/// with `xcp_string_free`. `cancel` may be NULL. From any thread. Fails as `xcp_client_call_json`,
/// and with XCP_E_FAULT (HANDLE_INVALID) if the task is gone: its end was seen, or a day has
/// passed.
///
/// # Safety
/// `task` came from this library, `cancel` or is NULL; `record_json` can be written; `error` is
/// NULL or can be written.
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
            let record = held.on(call, cancel, |task| Ok(task.record()?))?;
            out.write_text(json::numbered(record)?);
            Ok(())
        })
    }
}

/// Asks the server to cancel the task.
///
/// Many operations never look whether they should end. `cancel` may be NULL; it ends this call.
/// From any thread. Fails as `xcp_client_call_json`.
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
            held.on(call, cancel, |task| Ok(task.cancel()?))
        })
    }
}

/// Waits for the task's end, and removes it from the server then.
///
/// `progress` may be NULL; it is called with `ctx` whenever the task has come further. `cancel` may
/// be NULL; it ends the wait, and leaves the task running: waiting again goes on. `*result_json` is
/// as for `xcp_client_task_json`, freed with `xcp_string_free`.
///
/// From any thread. Fails with XCP_E_FAULT if the task failed, or was cancelled on the server
/// (TASK_CANCELLED), with XCP_E_OUTCOME_UNKNOWN if its end cannot be known any more, for example
/// because the master restarted: read the pool's state; and with XCP_E_CANCELLED.
///
/// # Safety
/// `task` came from this library, `cancel` or is NULL; `progress` can be called with `ctx` until
/// the call returns; `result_json` can be written; `error` is NULL or can be written.
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
            let result: Value = held.on(call, cancel, |task| ended(task.wait(&mut tell)?))?;
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

impl xcp_task {
    /// Runs something on the task, as a call on its client that the given cancel ends.
    ///
    /// # Safety
    /// `cancel` is NULL or came from this library.
    unsafe fn on<T>(
        &self,
        call: &mut Call,
        cancel: *const xcp_cancel,
        body: impl FnOnce(&TaskHandle) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let body = |token: &Cancel| body(&self.task.with_cancel(token));
        // SAFETY: the same promise.
        unsafe { on_all(call, &[&*self.calls], &[], cancel, body) }
    }
}

/// The result of a task; an end that nobody knows is not taken for a failure.
fn ended<T>(end: TaskEnd<T>) -> Result<T, Failure> {
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
unsafe fn teller(progress: xcp_task_progress, ctx: *mut c_void) -> impl FnMut(f64) {
    move |done| {
        if let Some(progress) = progress {
            // SAFETY: the caller of this function promised that it can be called.
            unsafe { progress(ctx, done) }
        }
    }
}
