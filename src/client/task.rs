//! Tasks: calls that run in the server while the client waits.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::handle::Client;
use crate::error::{Error, Fault, Result};
use crate::model::{Ref, Task, TaskStatus};
use crate::transport::Cancel;
use crate::wire::{Params, decode_task_result};

/// How a task ended.
#[derive(Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "nobody may overlook an end")]
pub enum TaskEnd<T> {
    /// It was done, with this result.
    Done(T),
    /// It was cancelled.
    Cancelled,
    /// It failed, with the fault that it raised.
    Failed(Error),
    /// Nobody knows.
    ///
    /// The task is gone, with a master that restarted for example, or the master is.
    ///
    /// Whether it was done must be read from the pool's state.
    Unknown(Error),
}

impl<T> TaskEnd<T> {
    /// The result, or the error that stands for every other end.
    ///
    /// # Errors
    /// `Fault` if the task failed or was cancelled (`TASK_CANCELLED`); if its end is not known,
    /// whatever kept it from being known.
    pub fn into_result(self) -> Result<T> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Cancelled => Err(Fault::bare("TASK_CANCELLED").into()),
            Self::Failed(error) | Self::Unknown(error) => Err(error),
        }
    }
}

/// A task that was started.
///
/// Once its end is known it is removed from the server; before, dropping the handle leaves it
/// running. It keeps the client's session open.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    client: Client,
    method: String,
    reference: Ref<Task>,
}

/// The first look comes after this time, the next after half as much again, up to the last.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_secs(2);

impl Client {
    /// Runs a method as a task and waits for its end.
    ///
    /// `progress` is told what is done, 0 to 1.
    ///
    /// The method is named without `Async.`: `pool.join`.
    ///
    /// ```no_run
    /// # fn example(client: &xcp_pool::client::Client, host: xcp_pool::model::Ref<xcp_pool::model::Host>) -> xcp_pool::Result<()> {
    /// let end = client.task::<()>("host.evacuate", &(&host,), &mut |done| println!("{done}"))?;
    /// end.into_result()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What keeps the task from being started, as [`Self::call`]; `Cancelled` if the client is
    /// cancelled while it waits, which leaves the task running.
    pub fn task<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Params + ?Sized),
        progress: &mut dyn FnMut(f64),
    ) -> Result<TaskEnd<T>> {
        self.start(method, params)?.wait(progress)
    }

    /// Starts a method as a task.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn start(&self, method: &str, params: &(impl Params + ?Sized)) -> Result<TaskHandle> {
        let reference = self.call(&format!("Async.{method}"), params)?;
        Ok(TaskHandle { client: self.clone(), method: method.to_owned(), reference })
    }
}

impl TaskHandle {
    /// The task's ref.
    pub fn reference(&self) -> &Ref<Task> {
        &self.reference
    }

    /// A handle whose questions and waits are cancelled by a token, too.
    ///
    /// That leaves the task running: [`cancel`](Self::cancel) asks the server to end it.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self { client: self.client.with_cancel(cancel), ..self.clone() }
    }

    /// A handle whose questions and waits nobody can cancel.
    #[must_use]
    pub fn without_cancel(&self) -> Self {
        Self { client: self.client.without_cancel(), ..self.clone() }
    }

    /// The task as it stands.
    ///
    /// # Errors
    /// As [`Client::call`]; the fault `HANDLE_INVALID` if the task is gone.
    pub fn record(&self) -> Result<Task> {
        self.client.record(&self.reference)
    }

    /// Asks the server to cancel the task.
    ///
    /// Many operations never look whether they should.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn cancel(&self) -> Result<()> {
        self.client.call("task.cancel", &(&self.reference,))
    }

    /// Waits for the task's end; `progress` is told what is done, 0 to 1.
    ///
    /// Once the end is known the task is gone, and asking it anything more is `HANDLE_INVALID`.
    ///
    /// # Errors
    /// `Cancelled` if the client is cancelled; the task goes on, and so does waiting again.
    pub fn wait<T: DeserializeOwned>(&self, progress: &mut dyn FnMut(f64)) -> Result<TaskEnd<T>> {
        let clock = self.client.clock();
        let cancel = &self.client.cancel;
        let (mut pause, mut told) = (FIRST_LOOK, None);
        loop {
            let task = match self.record() {
                Ok(task) => task,
                Err(error) => {
                    cancel.check()?;
                    let error = error.context(format!("the end of {} is not known", self.method));
                    return Ok(TaskEnd::Unknown(error));
                }
            };
            if told != Some(task.progress) {
                told = Some(task.progress);
                progress(task.progress);
            }
            if !matches!(task.status, TaskStatus::Pending | TaskStatus::Cancelling) {
                // It would vanish by itself within the hour.
                let _ = self.client.call::<()>("task.destroy", &(&self.reference,));
                return self.end(task);
            }
            clock.sleep(pause, cancel)?;
            pause = (pause * 3 / 2).min(LAST_LOOK);
        }
    }

    fn end<T: DeserializeOwned>(&self, task: Task) -> Result<TaskEnd<T>> {
        if task.status == TaskStatus::Success {
            return Ok(match decode_task_result(&task.result) {
                Ok(value) => TaskEnd::Done(value),
                Err(error) => TaskEnd::Unknown(error.context(&self.method)),
            });
        }
        let mut info = task.error_info.into_iter();
        let code = info.next().unwrap_or_default();
        if task.status == TaskStatus::Cancelled || code == "TASK_CANCELLED" {
            return Ok(TaskEnd::Cancelled);
        }
        let fault = Fault { code, params: info.collect() };
        Ok(TaskEnd::Failed(Error::from(fault).context(&self.method)))
    }
}
