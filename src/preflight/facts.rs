//! What a rule of a join sees: two databases, and the evidence beside.

use super::options::{Evidence, Options};
use super::set::Preflight;
use crate::actions::Side;
use crate::model::Snapshot;
use crate::rules::{Finding, Rule, Sees, Since, View};

/// A rule of a join with what runs it.
pub(super) type Check = crate::rules::Check<Preflight>;

/// Both databases, and what the caller knows beside.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(super) pool: &'a Snapshot,
    pub(super) joiner: &'a Snapshot,
    pub(super) options: &'a Options,
}

/// The world as one rule sees it.
pub(crate) struct Facts<'a> {
    pub(super) pool: View<'a>,
    pub(super) joiner: View<'a>,
    pub(super) evidence: &'a Evidence,
    /// Whether the vendor's documents are binding, so that remedies must leave the joiner empty.
    pub(super) documented: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(world: World<'a>, rule: &'static Rule) -> Self {
        let Options { evidence, policy, .. } = world.options;
        Self {
            pool: View::of_pool(world.pool, rule),
            joiner: View::of_joiner(world.joiner, evidence.joiner_host.as_ref(), rule),
            evidence,
            documented: policy.is_documented(),
        }
    }

    /// Whether the joiner checks as this release and newer ones do; so if its release is not known.
    pub(super) fn checks_as_of(&self, since: Since) -> bool {
        self.joiner.is_as_of(since)
    }

    /// A finding of the rule: its defaults, and this message.
    pub(super) fn finding(&self, message: impl Into<String>) -> Finding {
        self.joiner.finding(message)
    }
}

impl<'a> Sees<'a> for Facts<'a> {
    fn view(&self, side: Side) -> View<'a> {
        match side {
            Side::Pool => self.pool,
            _ => self.joiner,
        }
    }
}
