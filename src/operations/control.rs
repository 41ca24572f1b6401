//! Watching an operation, and stopping it.

use std::time::Duration;

use super::members::Members;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::plan::Plan;
use crate::text::plain;
use crate::transport::{Cancel, Clock};

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The number of the step, from 1.
    pub step: usize,
    /// How many steps there are.
    pub of: usize,
    /// What the step does.
    pub summary: &'a str,
    /// How far the step is, 0 to 1, where the server tells.
    pub done: Option<f64>,
    /// What is waited for, if anything is.
    pub awaited: Option<&'a str>,
    /// Time since the operation began.
    pub elapsed: Duration,
}

/// What happens to the hosts after one that did not join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// They are tried.
    Continue,
    /// They are left alone; and nobody joins if it shows beforehand that one will not.
    #[default]
    Stop,
}

/// How long an operation may take, who may cancel it, who is told of it.
pub struct Control<'a> {
    pub(super) on_failure: OnFailure,
    deadline: Duration,
    cancel: Cancel,
    observer: Box<dyn FnMut(&Progress<'_>) + 'a>,
}

impl Default for Control<'_> {
    /// An hour, which a host with much memory and a long self-test needs to restart.
    fn default() -> Self {
        Self {
            on_failure: OnFailure::default(),
            deadline: Duration::from_secs(3_600),
            cancel: Cancel::new(),
            observer: Box::new(|_| {}),
        }
    }
}

impl<'a> Control<'a> {
    /// An hour, nobody cancels, nobody is told.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the operation may take in all.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What [`join_many`](super::join_many) does after a host that did not join.
    ///
    /// It stops by default.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// What cancels it, in waits and in calls; what was done until then stays done.
    ///
    /// What cancels its clients ends it as well.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Who is told of its progress.
    #[must_use]
    pub fn observer(mut self, observer: impl FnMut(&Progress<'_>) + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// A view of a client whose calls end with the operation.
    pub(super) fn over(&self, client: &Client) -> Client {
        client.with_cancel(&self.cancel)
    }

    /// Hosts of which each is asked until the operation ends.
    pub(super) fn over_members(&self, members: &Members) -> Members {
        members.clone().cancel(Cancel::any([&members.cancel, &self.cancel]))
    }

    pub(super) fn begin<'c>(&'c mut self, clock: &'c dyn Clock, of: usize) -> Run<'c, 'a> {
        let began = clock.now();
        let (summary, awaited) = Default::default();
        let (before, step) = Default::default();
        Run { control: self, clock, began, of, before, step, step_began: began, summary, awaited }
    }
}

/// One run of an operation under its control.
pub(super) struct Run<'c, 'a> {
    control: &'c mut Control<'a>,
    clock: &'c dyn Clock,
    began: Duration,
    of: usize,
    /// How many steps came before those of the part that runs now.
    before: usize,
    step: usize,
    step_began: Duration,
    summary: String,
    /// What is waited for, empty if nothing is.
    awaited: String,
}

/// How long to wait between two looks: short at first, since much is done at once.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What one look showed.
pub(super) enum Look<T> {
    /// What was awaited.
    Seen(T),
    /// Not yet; this is still awaited.
    Awaited(String),
}

impl<T> Look<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Look<U> {
        match self {
            Self::Seen(value) => Look::Seen(f(value)),
            Self::Awaited(what) => Look::Awaited(what),
        }
    }
}

impl Run<'_, '_> {
    /// Says that a step begins.
    pub(super) fn step(&mut self, n: usize, summary: &str) -> Result<()> {
        let step = self.before + n + 1;
        if step != self.step || summary != self.summary {
            self.end_step();
            self.step_began = self.now();
            log::info!(operations, "step {step} of {} begins: {}", self.of, plain(summary));
        }
        self.step = step;
        summary.clone_into(&mut self.summary);
        self.awaited.clear();
        self.tell(None, None);
        self.check()
    }

    /// Says that a step of the plan begins.
    pub(super) fn step_of(&mut self, plan: &Plan, n: usize) -> Result<()> {
        self.step(n, plan.steps.get(n).map_or("", |step| step.summary.as_str()))
    }

    /// Says that the last step of the plan begins, in which its end is awaited.
    pub(super) fn last_step_of(&mut self, plan: &Plan) -> Result<()> {
        self.step_of(plan, plan.steps.len().saturating_sub(1))
    }

    /// Tells the log that the step that runs, if one does, has come to its end.
    fn end_step(&self) {
        if self.step > 0 {
            let took = self.now().saturating_sub(self.step_began).as_secs_f32();
            log::info!(operations, "step {} of {} ended after {took:.1} s", self.step, self.of);
        }
    }

    /// Tells the log that there is nothing to do in the step that runs.
    pub(super) fn skip(&self) {
        log::info!(
            operations,
            "step {} of {}: nothing to do, its effect holds already",
            self.step,
            self.of
        );
    }

    /// Says that a part begins before which there were so many steps.
    pub(super) fn part(&mut self, before: usize) {
        self.before = before;
    }

    /// Says that the step before those of this part begins.
    pub(super) fn gate(&mut self, summary: &str) -> Result<()> {
        self.before = self.before.saturating_sub(1);
        let begun = self.step(0, summary);
        self.before += 1;
        begun
    }

    /// The number of the step that runs, from 1.
    pub(super) fn step_number(&self) -> usize {
        self.step
    }

    /// Says how far the step is.
    pub(super) fn tell(&mut self, done: Option<f64>, awaited: Option<&str>) {
        let progress = Progress {
            step: self.step,
            of: self.of,
            summary: &self.summary,
            done,
            awaited,
            elapsed: self.elapsed(),
        };
        (self.control.observer)(&progress);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.began)
    }

    /// Fails once cancelled or past the deadline.
    pub(super) fn check(&self) -> Result<()> {
        self.control.cancel.check()?;
        match self.elapsed() < self.control.deadline {
            true => Ok(()),
            false => {
                let awaited = match self.awaited.as_str() {
                    "" => String::new(),
                    awaited => format!(", which waits for {awaited}"),
                };
                Err(Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "the deadline of {} s passed in step {} of {}: {}{awaited}",
                        self.control.deadline.as_secs(),
                        self.step,
                        self.of,
                        self.summary
                    ),
                ))
            }
        }
    }

    /// Looks again and again until what is awaited is seen.
    pub(super) fn until<T>(
        &mut self,
        mut look: impl FnMut(&mut Self) -> Result<Look<T>>,
    ) -> Result<T> {
        let mut pause = FIRST_PAUSE;
        self.awaited.clear();
        loop {
            let looked = look(self)?;
            // Who is cancelled in the middle of a look has not seen anything for certain.
            self.control.cancel.check()?;
            match looked {
                Look::Seen(value) => {
                    self.awaited.clear();
                    return Ok(value);
                }
                Look::Awaited(awaited) if awaited != self.awaited => {
                    log::debug!(operations, "waits for {}", plain(&awaited));
                    self.tell(None, Some(&awaited));
                    self.awaited = awaited;
                }
                Look::Awaited(_) => {}
            }
            self.check()?;
            let left = self.control.deadline.saturating_sub(self.elapsed());
            self.clock.sleep(pause.min(left), &self.control.cancel)?;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
        }
    }

    /// Looks again and again until what is awaited is seen, also while who is looked at is away.
    pub(super) fn until_answered<T>(
        &mut self,
        whom: &str,
        mut look: impl FnMut(&mut Self) -> Result<Look<T>>,
    ) -> Result<T> {
        self.until(|run| look(run).or_else(|error| awaited(error, whom)))
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    pub(super) fn since(&self, then: Duration) -> Duration {
        self.now().saturating_sub(then)
    }
}

/// What passes by itself while hosts restart is waited for; the rest ends the operation.
pub(super) fn awaited<T>(error: Error, whom: &str) -> Result<Look<T>> {
    match error.kind() {
        ErrorKind::Transport | ErrorKind::Timeout | ErrorKind::Fault | ErrorKind::State => {
            Ok(Look::Awaited(format!("{whom} to answer ({error})")))
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::SystemClock;

    #[test]
    fn what_was_seen_while_cancelled_does_not_count() {
        let cancel = Cancel::new();
        let mut control = Control::new().cancel(cancel.clone());
        let mut run = control.begin(&SystemClock, 1);
        let seen = run.until(|_| {
            cancel.cancel();
            // As from a question that was broken off.
            Ok(Look::Seen("nobody is master"))
        });
        assert_eq!(seen.unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
