//! What to do, as data: steps that can be printed, reviewed, hashed, saved and replayed.
//!
//! A [`Plan`] decides everything beforehand: running it leaves no choice open. What stands in its
//! way is listed as [`Unsolved`], all of it at once, and so is what it destroys: nothing of that
//! happens without a [`Consent`] to that very list.
//!
//! | to | plan | operation |
//! |---|---|---|
//! | make a host a member | [`Report::plan`](crate::preflight::Report::plan), by [`Choices`] | [`operations::join`](crate::operations::join) |
//! | make several hosts members | [`join_many`](join_many()) | [`operations::join_many`](crate::operations::join_many) |
//! | have a host leave | [`eject`](eject()) | [`operations::eject`](crate::operations::eject) |
//! | reboot a host without its VMs | [`maintenance`](maintenance()) | [`operations::maintenance`](crate::operations::maintenance) |
//! | have another host be master | [`hand_over`](hand_over()) | [`operations::hand_over`](crate::operations::hand_over) |
//! | replace a master that died | [`recovery`](recovery()), of an emergency [`Decision`](crate::election::Decision) | [`operations::recover`](crate::operations::recover) |

mod canonical;
mod carried;
mod consent;
mod digest;
mod eject;
mod foretell;
mod hand_over;
mod impact;
mod join;
mod join_many;
mod losses;
mod maintenance;
mod purpose;
mod recovery;
mod step;

pub use carried::LeftBehind;
pub(crate) use carried::losses_of_join;
pub use consent::{Agreed, Consent};
pub use digest::Digest;
pub use eject::eject;
pub(crate) use foretell::losses_ahead;
pub use hand_over::hand_over;
pub use impact::{DataFate, HaImpact, Impact, SrImpact, VmImpact};
pub use join::Choices;
pub use join_many::{Joins, join_many};
pub use maintenance::maintenance;
pub use purpose::{Member, Move, Purpose, Subject};
pub use recovery::recovery;
pub(crate) use recovery::resets;
pub use step::{Step, Unsolved, Work};

use std::fmt;

use serde::{Deserialize, Serialize};

use losses::Losses;

use crate::actions::Loss;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Class, Snapshot};

/// Steps in order, with what they are for.
///
/// Also what they destroy, and what they leave to a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The number of this form; it changes when a field changes its meaning or goes.
    pub schema: u32,
    /// What the plan is for.
    pub purpose: Purpose,
    /// The pool.
    pub pool: Subject,
    /// The host.
    pub host: Subject,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What stands in the way and has no step: the plan cannot run.
    pub unsolved: Vec<Unsolved>,
}

impl Plan {
    /// The number of the form that this crate writes and reads.
    pub const SCHEMA: u32 = 1;

    /// What is gone for good once the plan has run, in the order of its steps.
    pub fn losses(&self) -> impl Iterator<Item = &Loss> {
        self.steps.iter().flat_map(|step| &step.destroys)
    }

    /// The digest of everything that would be lost, to which consent is given.
    ///
    /// The steps by which it would be lost are part of it.
    ///
    /// Plans with equal ones lose the same by the same calls, in one pool and on one host.
    pub fn losses_digest(&self) -> Digest {
        Digest::of(&digest::text("losses", &self.as_losses()))
    }

    fn as_losses(&self) -> Losses<'_> {
        Losses::of(&self.purpose, &self.pool, &self.host, &self.steps)
    }

    /// The digest of the whole plan.
    ///
    /// Plans with equal digests do the same to the same objects.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }

    /// The text that the plan's digest is of: everything that it says, in one way only.
    ///
    /// Its first line is `xcp_pool plan v1`. What follows is the plan's JSON in another notation,
    /// each part on a line of its own: `null`, `true` or `false`; an integer as `i` and its digits;
    /// a string as its length in bytes, a colon and its bytes; a list as `[` and how many items it
    /// has, then the items; an object as `{` and how many entries it has, then their names and
    /// values, in the order of the names' bytes.
    pub fn canonical(&self) -> String {
        digest::text("plan", self)
    }

    /// Whether nothing is left to a person.
    pub fn is_complete(&self) -> bool {
        self.unsolved.is_empty()
    }

    /// Fails unless the plan can run as it is.
    ///
    /// # Errors
    /// `InvalidInput` for a form that this crate does not know, `State` if something stands in the
    /// way that the plan does not solve.
    pub fn check(&self) -> Result<()> {
        if self.schema != Self::SCHEMA {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the plan has schema {}, this is {}", self.schema, Self::SCHEMA),
            ));
        }
        match self.unsolved.first() {
            None => Ok(()),
            Some(first) => Err(Error::new(
                ErrorKind::State,
                format!(
                    "the plan leaves {} to a person; the first is {}: {}",
                    self.unsolved.len(),
                    first.rule,
                    first.message
                ),
            )),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} and {}", self.purpose, self.pool, self.host)?;
        self.purpose.details(f)?;
        for (n, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>4}. {step}", n + 1)?;
        }
        for unsolved in &self.unsolved {
            writeln!(f, "   -  {unsolved}")?;
        }
        let losses: Vec<_> = self.losses().collect();
        if losses.is_empty() {
            writeln!(f, "nothing is destroyed")?;
        } else {
            writeln!(f, "destroyed for good:")?;
            for loss in losses {
                writeln!(f, "      {loss}")?;
            }
            writeln!(f, "consent to {}", self.losses_digest())?;
        }
        write!(f, "plan {}", self.digest())
    }
}

/// What a snapshot would have to cover for a plan to know what it does.
fn missing_classes(snapshot: &Snapshot, needed: &[Class]) -> Vec<Unsolved> {
    let missing = needed.iter().filter(|class| !snapshot.covers(**class)).map(|class| {
        let message = format!("the snapshot has no records of class {class}");
        Unsolved::new("evidence-missing", message, "Take a snapshot that has them.")
    });
    let unreadable = snapshot.problems.iter().filter(|problem| needed.contains(&problem.class));
    let unreadable = unreadable.map(|problem| {
        let message = format!("a record cannot be read: {problem}");
        Unsolved::new("evidence-missing", message, "Look at the object by hand.")
    });
    missing.chain(unreadable).collect()
}
