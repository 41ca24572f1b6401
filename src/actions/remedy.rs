//! Ways out of a finding: choices of actions, or advice to a person.

use serde::Serialize;

use super::{Action, Loss, Side};
use crate::model::{Object, Snapshot};
use crate::text::line;

/// What can be done about a finding.
///
/// Either there are choices, the least destructive first, or only a person can help. Neither means
/// that nothing needs to be done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Remedy {
    /// The ways out, each enough if done for all objects of the finding.
    pub choices: Vec<Choice>,
    /// What only a person can do, and how.
    pub by_person: Option<String>,
}

/// One way out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// The stable name of this way, such as `shut-down` or `forget`.
    ///
    /// It is unique within its finding's rule.
    pub code: &'static str,
    /// What it means, in one line.
    pub summary: String,
    /// The calls, in order.
    pub actions: Vec<Action>,
    /// The ref of the finding's object that each action serves.
    ///
    /// In the order of the actions.
    pub serves: Vec<String>,
    /// What is lost for good.
    pub destroys: Vec<Loss>,
}

impl Remedy {
    /// Nothing but these words of advice.
    pub fn by_person(how: impl Into<String>) -> Self {
        Self { choices: Vec::new(), by_person: Some(line(how.into())) }
    }

    /// One more way out.
    #[must_use]
    pub fn or(mut self, choice: Choice) -> Self {
        self.choices.push(choice);
        self
    }

    /// The way out with this code.
    pub fn choice(&self, code: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.code == code)
    }
}

impl Choice {
    /// A way out without actions yet.
    pub fn new(code: &'static str, summary: impl Into<String>) -> Self {
        let (actions, serves, destroys) = Default::default();
        Self { code, summary: line(summary.into()), actions, serves, destroys }
    }

    /// Adds actions for an object of the finding, on snapshots of both sides.
    #[must_use]
    pub fn with(
        mut self,
        object: &Object,
        pool: &Snapshot,
        joiner: &Snapshot,
        actions: impl IntoIterator<Item = Action>,
    ) -> Self {
        for action in actions {
            let world = match action.side() {
                Side::Pool => pool,
                Side::Both | Side::Joiner => joiner,
            };
            self.destroys.extend(action.destroys(world));
            self.actions.push(action);
            self.serves.push(object.reference.clone());
        }
        self
    }
}
