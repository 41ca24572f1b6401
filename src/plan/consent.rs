//! Consent to what a plan destroys.

use std::collections::BTreeSet;

use super::{Digest, Joins, Plan};
use crate::actions::{Loss, LossKind};
use crate::error::{Error, ErrorKind, Result};

/// Consent to a list of losses, and to nothing else.
///
/// Given to the digest that the plan shows. If something else would be lost when a step comes to
/// run, because the world changed since, the step does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    losses: BTreeSet<String>,
}

impl Consent {
    /// Consent to no loss at all: plans that destroy nothing need no other.
    pub fn to_nothing() -> Self {
        Self::default()
    }

    /// Consent to everything that the plan lists, by the digest that was shown.
    ///
    /// # Errors
    /// `State` if the plan would destroy something else than the digest stands for.
    pub fn to(plan: &Plan, digest: Digest) -> Result<Self> {
        if plan.losses_digest() != digest {
            return Err(Error::new(
                ErrorKind::State,
                format!(
                    "consent was given to losses {digest}, the plan has {}",
                    plan.losses_digest()
                ),
            ));
        }
        Ok(Self { losses: plan.losses().map(key).collect() })
    }

    /// Consent to everything that several joins list, by the digest that was shown.
    ///
    /// # Errors
    /// As [`Self::to`].
    pub fn to_all(joins: &Joins, digest: Digest) -> Result<Self> {
        if joins.losses_digest() != digest {
            return Err(Error::new(
                ErrorKind::State,
                format!(
                    "consent was given to losses {digest}, the plans have {}",
                    joins.losses_digest()
                ),
            ));
        }
        Ok(Self { losses: joins.losses().map(key).collect() })
    }

    /// The losses that this consent does not cover.
    pub fn missing<'a>(&self, losses: &'a [Loss]) -> Vec<&'a Loss> {
        losses.iter().filter(|loss| !self.losses.contains(&key(loss))).collect()
    }
}

/// What makes a loss this loss: kind, object and size, but not the object's name, nor how much
/// memory a VM happens to use.
pub(super) fn key(loss: &Loss) -> String {
    let bytes = loss.bytes.filter(|_| loss.kind != LossKind::Memory);
    let object = &loss.object;
    format!("{:?} {} {} {} {bytes:?}", loss.kind, object.class, object.reference, object.uuid)
}
