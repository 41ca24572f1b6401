//! Plans for a host to join a pool.

use std::collections::{BTreeMap, HashMap};

use super::{Plan, Purpose, Step, Subject, Unsolved, Work};
use crate::actions::Side;
use crate::actions::{Action, Choice};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Snapshot;
use crate::preflight::{Preflight, Report};
use crate::rules::{Finding, RuleCode};
use crate::text::quoted;

/// Which way out is taken where there is more than one.
///
/// Without a choice it is the first, which destroys least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    by_rule: BTreeMap<RuleCode, String>,
    by_object: BTreeMap<(RuleCode, String), String>,
}

impl Choices {
    /// The least destructive way everywhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one way for all objects of a rule.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown rule, with the codes that come near.
    pub fn choose(mut self, rule: &str, choice: &str) -> Result<Self> {
        self.by_rule.insert(RuleCode::of::<Preflight>(rule)?, choice.to_owned());
        Ok(self)
    }

    /// Takes one way for one object of a rule, by its ref.
    ///
    /// # Errors
    /// As [`Self::choose`].
    pub fn choose_for(mut self, rule: &str, object: &str, choice: &str) -> Result<Self> {
        let rule = RuleCode::of::<Preflight>(rule)?;
        self.by_object.insert((rule, object.to_owned()), choice.to_owned());
        Ok(self)
    }

    /// The way out of a finding for one of its objects.
    fn of<'a>(&self, finding: &'a Finding, object: &str) -> Result<Option<&'a Choice>> {
        let chosen = self
            .by_object
            .get(&(finding.rule, object.to_owned()))
            .or_else(|| self.by_rule.get(&finding.rule));
        let Some(code) = chosen else {
            return Ok(finding.remedy.choices.first());
        };
        finding.remedy.choice(code).map(Some).ok_or_else(|| {
            let known: Vec<_> = finding.remedy.choices.iter().map(|choice| choice.code).collect();
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "rule {} has no choice {} here; it has: {}",
                    finding.rule,
                    quoted(code),
                    known.join(", ")
                ),
            )
        })
    }
}

impl Report {
    /// Plans the join that the report was made for: remedies, the join, the wait.
    ///
    /// Findings that stand in the way get the steps of the chosen remedy; those without one, and
    /// those for which evidence is missing, are [`Plan::unsolved`]. Overridden findings get no
    /// steps; if one of them is what only `pool.join_force` passes, the plan calls that.
    ///
    /// # Errors
    /// `InvalidInput` if a snapshot has no single pool with a master, or a choice does not exist.
    pub fn plan(&self, choices: &Choices) -> Result<Plan> {
        let (pool, joiner, options) = (self.pool(), self.joiner(), self.options());
        let (pool_ref, pool_record) = pool.the_pool().map_err(|error| error.context("pool"))?;
        let (_, master) = pool.master().map_err(|error| error.context("pool"))?;
        let (host_ref, host) = match &options.evidence.joiner_host {
            Some(reference) => match joiner.host.get(reference) {
                Some(host) => (reference, host),
                None => {
                    return Err(Error::new(
                        ErrorKind::InvalidInput,
                        format!("joiner: {reference} is no host of the snapshot"),
                    ));
                }
            },
            None => joiner.master().map_err(|error| error.context("joiner"))?,
        };
        let mut plan = Plan {
            schema: Plan::SCHEMA,
            purpose: Purpose::Join { options: options.clone() },
            pool: Subject::pool(pool_record, pool_ref, master),
            host: Subject::new(host, host_ref, &host.name_label),
            steps: Vec::new(),
            unsolved: Vec::new(),
        };
        let missing_evidence = self.findings().iter().filter(|finding| finding.leaves_open());
        let mut planned = HashMap::new();
        for finding in self.blockers().chain(missing_evidence) {
            add_remedy(&mut plan, &mut planned, finding, [pool, joiner], choices)?;
        }
        // Stable: what belongs together stays in its order.
        plan.steps.sort_by_key(|step| match &step.work {
            Work::Act { action } => turn(action),
            _ => Turn::Rest,
        });
        let force = self.needs_force();
        let call = if force { "pool.join_force" } else { "pool.join" };
        plan.steps.push(Step::new(
            Side::Joiner,
            Work::Join { force },
            format!("{call} to {} at {}", master.name_label, master.address),
        ));
        plan.steps.push(Step::new(
            Side::Pool,
            Work::Settle,
            format!("wait until {} is live and enabled with its storage attached", host.name_label),
        ));
        Ok(plan)
    }
}

/// When an action has its turn: whatever uses something goes before what it uses.
///
/// XAPI checks in another order, in which HA keeps its storage, a VM its disks and networks, and
/// the storage of a cluster keeps the cluster (`HA_IS_ENABLED`, `VDI_IN_USE`,
/// `CLUSTER_STACK_IN_USE`).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Ha,
    Vms,
    Storage,
    Rest,
    Restarts,
}

fn turn(action: &Action) -> Turn {
    match action {
        Action::Await { .. } | Action::PoolDisableHa { .. } | Action::TaskCancel { .. } => Turn::Ha,
        Action::VdiDestroy { .. }
        | Action::VmCleanShutdown { .. }
        | Action::VmDestroy { .. }
        | Action::VmHardShutdown { .. }
        | Action::VmMigrateToPool { .. }
        | Action::VmRemoveMacSeed { .. }
        | Action::VmResume { .. }
        | Action::VmStart { .. }
        | Action::VmSuspend { .. }
        | Action::VmUnpause { .. } => Turn::Vms,
        Action::PbdUnplug { .. } | Action::SrDestroy { .. } | Action::SrForget { .. } => {
            Turn::Storage
        }
        Action::BondDestroy { .. }
        | Action::ClusterHostDisable { .. }
        | Action::ClusterHostEnable { .. }
        | Action::HostApplyEdition { .. }
        | Action::HostDestroy { .. }
        | Action::HostDisableExternalAuth { .. }
        | Action::NetworkAddPurpose { .. }
        | Action::NetworkDestroy { .. }
        | Action::NetworkRemovePurpose { .. }
        | Action::NetworkSriovDestroy { .. }
        | Action::PbdPlug { .. }
        | Action::PoolEnableHa { .. }
        | Action::PoolEnableTlsVerification { .. }
        | Action::PoolUninstallCaCertificate { .. }
        | Action::PoolUninstallTrustedCertificate { .. }
        | Action::SdnControllerForget { .. }
        | Action::TunnelDestroy { .. }
        | Action::VlanDestroy { .. } => Turn::Rest,
        Action::HostDisable { .. }
        | Action::HostEnable { .. }
        | Action::HostReboot { .. }
        | Action::HostRestartAgent { .. } => Turn::Restarts,
    }
}

/// Adds the steps of the chosen way out; an action that another rule asked for already is not
/// done twice.
fn add_remedy(
    plan: &mut Plan,
    planned: &mut HashMap<Action, usize>,
    finding: &Finding,
    [pool, joiner]: [&Snapshot; 2],
    choices: &Choices,
) -> Result<()> {
    let rule = finding.rule.to_string();
    let mut solved = !finding.remedy.choices.is_empty();
    // A finding can have thousands of objects, with an action or more for each.
    let mut actions: HashMap<(&str, &str), Vec<&Action>> = HashMap::new();
    for choice in &finding.remedy.choices {
        for (action, object) in choice.actions.iter().zip(&choice.serves) {
            actions.entry((choice.code, object)).or_default().push(action);
        }
    }
    for object in &finding.objects {
        let Some(choice) = choices.of(finding, &object.reference)? else { continue };
        let Some(actions) = actions.get(&(choice.code, object.reference.as_str())) else {
            solved = false;
            continue;
        };
        for action in actions.iter().copied() {
            if let Some(n) = planned.get(action) {
                let because = &mut plan.steps[*n].because;
                if !because.contains(&rule) {
                    because.push(rule.clone());
                }
                continue;
            }
            let method = action.method().unwrap_or("wait");
            let summary = match action.object().class == object.class {
                true => format!("{method} {object}"),
                false => format!("{method} ({object})"),
            };
            let world = if action.side() == Side::Pool { pool } else { joiner };
            planned.insert(action.clone(), plan.steps.len());
            let work = Work::Act { action: action.clone() };
            let mut step = Step::new(action.side(), work, summary);
            step.destroys = action.destroys(world);
            step.because.push(rule.clone());
            plan.steps.push(step);
        }
    }
    if !solved {
        plan.unsolved.push(Unsolved {
            rule,
            message: finding.message.clone(),
            by_person: finding.remedy.by_person.clone().unwrap_or_default(),
        });
    }
    Ok(())
}
