//! How an operation ended.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::{Snapshot, labels_in};
use crate::plan::Plan;
use crate::text::{line, plain};

/// How an operation ended, as far as it can be known.
#[derive(Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "nobody may overlook an end")]
pub enum Outcome<T> {
    /// What was asked for is the case.
    Done(T),
    /// It is not the case, and nothing is under way that would bring it about.
    NotDone(Why),
    /// It cannot be told; calling again later looks again.
    Unknown(Why),
}

/// Why an operation did not end as it should, with what was seen.
#[derive(Debug)]
#[non_exhaustive]
pub struct Why {
    /// The reason, in one line.
    pub reason: String,
    /// What was seen, a line each, oldest first.
    pub evidence: Vec<String>,
    /// The error behind it, if there is one.
    pub error: Option<Error>,
}

impl<T> Outcome<T> {
    /// The result, or an error that says why there is none.
    ///
    /// # Errors
    /// `State` if it was not done, `Timeout` if that is not known; the fault of a server is kept.
    pub fn into_result(self) -> Result<T> {
        match self {
            Self::Done(value) => Ok(value),
            Self::NotDone(why) => Err(why.into_error(ErrorKind::State)),
            Self::Unknown(why) => Err(why.into_error(ErrorKind::Timeout)),
        }
    }
}

/// Why an operation ends in one of its stages, before it has done what was asked for.
pub(super) enum Stop {
    /// Something could not be asked for, or was cancelled.
    Error(Error),
    /// It is not the case, and nothing is under way that would bring it about.
    NotDone(Why),
    /// It cannot be told.
    Unknown(Why),
}

impl Stop {
    /// With the error of the call that it came to, if that had one.
    ///
    /// What its fault is about is named from the first of these snapshots that knows it.
    pub(super) fn after(self, error: Option<Error>, known: &[&Snapshot]) -> Self {
        match self {
            Self::NotDone(why) => Self::NotDone(why.after(error, known)),
            Self::Unknown(why) => Self::Unknown(why.after(error, known)),
            Self::Error(error) => Self::Error(error),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The end of a stage that waits.
pub(super) trait Stage<T> {
    /// What was awaited; past the deadline nobody knows, for this reason.
    fn or_unknown(self, why: impl FnOnce(Error) -> Why) -> Result<T, Stop>;
}

impl<T, E: Into<Stop>> Stage<T> for Result<T, E> {
    fn or_unknown(self, why: impl FnOnce(Error) -> Why) -> Result<T, Stop> {
        self.map_err(|stop| match stop.into() {
            Stop::Error(late) if late.kind() == ErrorKind::Timeout => Stop::Unknown(why(late)),
            stop => stop,
        })
    }
}

/// Runs an operation to its outcome, and tells the log that it begins and how it ended.
pub(super) fn told<T>(
    plan: &Plan,
    operation: impl FnOnce() -> Result<T, Stop>,
) -> Result<Outcome<T>> {
    let what = || plain(format!("{}: {} and {}", plan.purpose, plan.pool, plan.host));
    log::info!(operations, "{} begins, {} steps", what(), plan.steps.len());
    let outcome = match operation() {
        Ok(done) => Ok(Outcome::Done(done)),
        Err(Stop::NotDone(why)) => Ok(Outcome::NotDone(why)),
        Err(Stop::Unknown(why)) => Ok(Outcome::Unknown(why)),
        Err(Stop::Error(error)) => Err(error),
    };
    match &outcome {
        Ok(Outcome::Done(_)) => log::info!(operations, "{} is done", what()),
        Ok(Outcome::NotDone(why)) => {
            log::warning!(operations, "{} is not done: {}", what(), why.brief());
        }
        Ok(Outcome::Unknown(why)) => {
            log::warning!(operations, "the outcome of {} is unknown: {}", what(), why.brief());
        }
        Err(error) => log::warning!(operations, "{} ends: {}", what(), log::brief(error)),
    }
    outcome
}

impl Why {
    /// For the log.
    fn brief(&self) -> String {
        match &self.error {
            None => plain(&self.reason).to_string(),
            Some(error) => format!("{}: {}", plain(&self.reason), log::brief(error)),
        }
    }

    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: line(reason.into()), evidence: Vec::new(), error: None }
    }

    pub(super) fn seen(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence.into_iter().map(line));
        self
    }

    pub(super) fn error(mut self, error: Error) -> Self {
        self.error = Some(error);
        self
    }

    /// With the error of a call, if it had one, and the names of what its fault is about.
    pub(super) fn after(self, error: Option<Error>, known: &[&Snapshot]) -> Self {
        let Some(error) = error else { return self };
        let names = error.fault().and_then(|fault| {
            known.iter().map(|known| labels_in(known, fault)).find(|names| !names.is_empty())
        });
        let names = names.map(|names| format!("the server means {}", names.join(", ")));
        self.error(error).seen(names)
    }

    fn into_error(self, kind: ErrorKind) -> Error {
        match self.error {
            Some(error) => error.context(self.reason),
            None => Error::new(kind, self.reason),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(error) = &self.error {
            write!(f, ": {error}")?;
        }
        for line in &self.evidence {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}
