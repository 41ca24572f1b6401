//! Consent to what a plan destroys.

use std::collections::BTreeMap;

use serde::Serialize;

use super::digest::text;
use super::{Digest, Joins, Plan, Step, Work};
use crate::actions::{Loss, LossKind, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Object, Uuid};

/// Consent to losses by the steps of one plan, and to nothing else.
///
/// Given to the digest that the plan shows. A loss is agreed to as what it is, an object with its
/// name and size, and as the loss of one step: of this work, on this pool and host. If something
/// else would be lost when a step comes to run, or more of it, because the world changed since, the
/// step does not run. A plan that is run again, after a crash for example, needs no new consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// What is agreed to, by its digest, with how many bytes of it.
    agreed: BTreeMap<Digest, Option<i64>>,
}

impl Consent {
    /// Consent to no loss at all: plans that destroy nothing need no other.
    pub fn to_nothing() -> Self {
        Self::default()
    }

    /// Consent to everything that the plan lists, by the digest that was shown.
    ///
    /// # Errors
    /// `State` if the digest is not that of the plan's losses.
    pub fn to(plan: &Plan, digest: Digest) -> Result<Self> {
        Self::given([plan], digest, plan.losses_digest())
    }

    /// Consent to everything that several joins list, by the digest that was shown.
    ///
    /// # Errors
    /// As [`Self::to`].
    pub fn to_all(joins: &Joins, digest: Digest) -> Result<Self> {
        Self::given(&joins.plans, digest, joins.losses_digest())
    }

    fn given<'a>(
        plans: impl IntoIterator<Item = &'a Plan>,
        digest: Digest,
        shown: Digest,
    ) -> Result<Self> {
        if digest != shown {
            let what = format!("consent was given to losses {digest}, the plan has {shown}");
            return Err(Error::new(ErrorKind::State, what));
        }
        let mut agreed = BTreeMap::new();
        for plan in plans {
            for step in &plan.steps {
                let losses = step.destroys.iter();
                agreed.extend(losses.map(|loss| (deed(plan, step, loss), loss.bytes)));
            }
        }
        Ok(Self { agreed })
    }

    /// The losses by a step of a plan that this consent does not cover.
    pub fn missing<'a>(&self, plan: &Plan, step: &Step, losses: &'a [Loss]) -> Vec<&'a Loss> {
        let covers = |loss: &Loss| {
            self.agreed.get(&deed(plan, step, loss)).is_some_and(|agreed| match loss.kind {
                // How much memory a VM happens to use says nothing of what it would lose.
                LossKind::Memory => true,
                _ => match (loss.bytes, agreed) {
                    (Some(now), Some(agreed)) => now <= *agreed,
                    (now, agreed) => now == *agreed,
                },
            })
        };
        losses.iter().filter(|loss| !covers(loss)).collect()
    }
}

/// A plan, or several joins, with what is agreed to be lost by it.
///
/// From [`Plan::with_consent`] or [`Joins::with_consent`].
#[derive(Debug)]
pub struct Agreed<'a, P = Plan> {
    pub(crate) plan: &'a P,
    pub(crate) consent: &'a Consent,
}

impl<P> Clone for Agreed<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Agreed<'_, P> {}

impl Plan {
    /// The plan with a consent, as operations take it.
    pub fn with_consent<'a>(&'a self, consent: &'a Consent) -> Agreed<'a> {
        Agreed { plan: self, consent }
    }
}

impl Joins {
    /// The joins with a consent, as [`join_many`](crate::operations::join_many) takes them.
    pub fn with_consent<'a>(&'a self, consent: &'a Consent) -> Agreed<'a, Self> {
        Agreed { plan: self, consent }
    }
}

/// One loss by one step, all of it but the size.
#[derive(Serialize)]
struct Deed<'a> {
    purpose: &'static str,
    pool: &'a Uuid,
    host: &'a Uuid,
    side: Side,
    work: &'a Work,
    kind: LossKind,
    object: &'a Object,
}

fn deed(plan: &Plan, step: &Step, loss: &Loss) -> Digest {
    let deed = Deed {
        purpose: plan.purpose.kind(),
        pool: &plan.pool.uuid,
        host: &plan.host.uuid,
        side: step.side,
        work: &step.work,
        kind: loss.kind,
        object: &loss.object,
    };
    Digest::of(&text("loss", &deed))
}
