//! What a plan destroys, as the digest is of it that consent is given to.

use serde::Serialize;

use super::{Purpose, Step, Subject, Work};
use crate::actions::{Loss, Side};
use crate::model::Uuid;

/// Each step of a plan that destroys something, with that.
#[derive(Serialize)]
pub(super) struct Losses<'a> {
    purpose: &'static str,
    pool: &'a Uuid,
    host: &'a Uuid,
    steps: Vec<LossyStep<'a>>,
}

#[derive(Serialize)]
struct LossyStep<'a> {
    side: Side,
    work: &'a Work,
    destroys: &'a [Loss],
}

impl<'a> Losses<'a> {
    pub(super) fn of(
        purpose: &Purpose,
        pool: &'a Subject,
        host: &'a Subject,
        steps: &'a [Step],
    ) -> Self {
        let lossy = steps.iter().filter(|step| !step.destroys.is_empty());
        let steps = lossy.map(|step| LossyStep {
            side: step.side,
            work: &step.work,
            destroys: &step.destroys,
        });
        Self { purpose: purpose.kind(), pool: &pool.uuid, host: &host.uuid, steps: steps.collect() }
    }
}
