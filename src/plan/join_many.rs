//! Plans for several hosts to join a pool, one after the other.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::text;
use super::foretell::Ahead;
use super::{Choices, Digest, Plan, Work};
use crate::actions::Loss;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Snapshot;
use crate::preflight::consequences::{Attempt, Changes, foretell_with_changes};
use crate::preflight::{Report, evaluate};
use crate::rules::Severity;
use crate::text::{plain, quoted};

/// Plans of several joins, each for the pool as it will be after those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Joins {
    /// The number of this form, as that of [`Plan::schema`].
    pub schema: u32,
    /// The plans, in the order in which they run.
    pub plans: Vec<Plan>,
    /// What the hosts that join before bring about, a line each.
    ///
    /// That is what the preflight finds only because of them, and where the pool as it will be
    /// could not be foretold in full.
    ///
    /// What is not known now is looked at anew before the join in question.
    pub notes: Vec<String>,
}

/// Plans that hosts join a pool, one after the other.
///
/// For each host there is a report, with the choices for it. Each is held against the pool as it
/// will be by then: with the hosts before it as members, and what they bring along. So two joiners
/// that clash with each other, and not with the pool, are found before the first one joins.
///
/// # Errors
/// `InvalidInput` as for [`Report::plan`], or for a report of another pool; the error names the
/// joiner.
pub fn join_many<'a>(
    joiners: impl IntoIterator<Item = (&'a Report, &'a Choices)>,
) -> Result<Joins> {
    let (mut plans, mut notes) = (Vec::<Plan>::new(), Vec::new());
    let mut before: Option<Report> = None;
    for (n, (alone, choices)) in joiners.into_iter().enumerate() {
        let named = |error: Error| error.context(format!("joiner {}", n + 1));
        let report = match (&before, plans.last()) {
            (Some(before), Some(plan)) => {
                if alone.pool().the_pool().map_err(named)?.1.uuid != plan.pool.uuid {
                    let what = format!("its report is of another pool than {}", plan.pool);
                    return Err(named(Error::new(ErrorKind::InvalidInput, what)));
                }
                let (pool, open) = after(before, plan);
                let name = &plan.host.name;
                notes.extend(open.iter().map(|open| format!("not foretold after {name}: {open}")));
                let report = evaluate(pool, Arc::clone(alone.joiner()), alone.options());
                notes.extend(only_then(&report, alone));
                report
            }
            _ => alone.clone(),
        };
        plans.push(report.plan(choices).map_err(named)?);
        before = Some(report);
    }
    Ok(Joins { schema: Plan::SCHEMA, plans, notes })
}

/// What is found of a joiner only because others join before it, a line each.
fn only_then(report: &Report, alone: &Report) -> Vec<String> {
    let name = report.joiner().master().map_or("", |(_, host)| host.name_label.as_str());
    let new = report.findings().iter().filter(|finding| {
        finding.severity <= Severity::Hazard
            && !alone.findings().iter().any(|known| known.rule == finding.rule)
    });
    new.map(|finding| format!("{name}, after those before it: {finding}")).collect()
}

impl Joins {
    /// What is gone for good once all have run.
    pub fn losses(&self) -> impl Iterator<Item = &Loss> {
        self.plans.iter().flat_map(Plan::losses)
    }

    /// The digest of everything that would be lost, to which consent is given.
    ///
    /// The steps by which it would be lost are part of it.
    pub fn losses_digest(&self) -> Digest {
        let losses: Vec<_> = self.plans.iter().map(Plan::as_losses).collect();
        Digest::of(&text("losses of joins", &losses))
    }

    /// The digest of all plans in their order, with the notes.
    ///
    /// Its text is as [`Plan::canonical`] says, and begins with `xcp_pool joins v1`.
    pub fn digest(&self) -> Digest {
        Digest::of(&text("joins", self))
    }

    /// Whether nothing is left to a person.
    pub fn is_complete(&self) -> bool {
        self.plans.iter().all(Plan::is_complete)
    }

    /// Fails unless all plans can run as they are.
    ///
    /// # Errors
    /// As [`Plan::check`], for the first plan that cannot; `InvalidInput` for no or different
    /// pools.
    pub fn check(&self) -> Result<()> {
        let Some(first) = self.plans.first() else {
            return Err(Error::new(ErrorKind::InvalidInput, "the plan has no joins"));
        };
        for plan in &self.plans {
            plan.check().map_err(|error| error.context(&plan.host.name))?;
            if plan.pool.uuid != first.pool.uuid {
                let what = format!("the plan is for two pools, {} and {}", first.pool, plan.pool);
                return Err(Error::new(ErrorKind::InvalidInput, what));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Joins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for plan in &self.plans {
            writeln!(f, "{plan}\n")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {}", plain(note)))?;
        writeln!(f, "consent to all losses: {}", self.losses_digest())?;
        write!(f, "all plans: {}", self.digest())
    }
}

/// The pool after a planned join, and what of it is not known.
fn after(report: &Report, plan: &Plan) -> (Snapshot, Vec<String>) {
    let mut sides = Ahead::of(report);
    let (mut force, mut open) = (false, Vec::new());
    for step in &plan.steps {
        match &step.work {
            Work::Act { action } if !sides.foretell(action) => {
                open.push(format!("what follows from {} is looked at then", quoted(&step.summary)));
            }
            Work::Join { force: yes } => force = *yes,
            _ => {}
        }
    }
    let attempt = Attempt { force, refusal: None };
    let (_, changes) = foretell_with_changes(&sides.pool, &sides.joiner, &attempt);
    let mut after = changes.apply(&sides.pool);
    start(&mut after, &sides.joiner);
    (after, open)
}

/// Lets new members come up: they are live and enabled with their storage before the next host
/// joins.
fn start(after: &mut Snapshot, joiner: &Snapshot) {
    let new: Vec<_> = after.host.refs().filter(|host| Changes::is_new(host)).cloned().collect();
    for reference in new {
        let Some(host) = after.host.get_mut(&reference) else { continue };
        host.enabled = true;
        if let Some((own_ref, own)) = joiner.host.by_uuid(&host.uuid) {
            let own_ones = joiner.certificate.iter().filter(|(_, record)| record.host == *own_ref);
            for (certificate, record) in own_ones {
                let mut record = record.clone();
                record.host = reference.clone();
                after.certificate.insert(certificate.clone(), record);
            }
            host.software_version.clone_from(&own.software_version);
            host.cpu_info.clone_from(&own.cpu_info);
            host.pending_guidances.clone_from(&own.pending_guidances);
        }
        let metrics = host.metrics.clone();
        if let Some(metrics) = after.host_metrics.get_mut(&metrics) {
            metrics.live = true;
        }
        for (_, pbd) in after.pbd.iter_mut().filter(|(_, pbd)| pbd.host == reference) {
            pbd.currently_attached = true;
        }
    }
}
