//! Plans for a host to join a pool.

use std::collections::{BTreeMap, HashMap};

use super::carried::Carried;
use super::foretell::Ahead;
use super::{Plan, Purpose, Step, Subject, Unsolved, Work};
use crate::actions::Side;
use crate::actions::{Action, Choice};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Object, Snapshot};
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

    /// Fails for what no finding can follow: a way that its rule does not have, or an object that
    /// it does not name. A rule that finds nothing leaves nothing to choose.
    fn check(&self, findings: &[Finding]) -> Result<()> {
        for (rule, code) in &self.by_rule {
            let mut of_rule = findings.iter().filter(|finding| finding.rule == *rule).peekable();
            if of_rule.peek().is_none() {
                continue;
            }
            let findings: Vec<_> = of_rule.collect();
            if findings.iter().all(|finding| finding.remedy.choice(code).is_none()) {
                return Err(no_choice(&findings, code));
            }
        }
        for ((rule, object), code) in &self.by_object {
            let of_object: Vec<_> = findings
                .iter()
                .filter(|finding| finding.rule == *rule)
                .filter(|finding| finding.objects.iter().any(|one| one.reference == *object))
                .collect();
            if of_object.is_empty() {
                let what =
                    format!("rule {rule} found nothing about {} to choose for", quoted(object));
                return Err(Error::new(ErrorKind::InvalidInput, what));
            }
            if of_object.iter().all(|finding| finding.remedy.choice(code).is_none()) {
                return Err(no_choice(&of_object, code));
            }
        }
        Ok(())
    }

    /// Whether a way out of a finding was chosen.
    fn ask_for(&self, finding: &Finding) -> bool {
        let chosen = |object: &Object| self.code(finding, &object.reference).is_some();
        self.by_rule.contains_key(&finding.rule) || finding.objects.iter().any(chosen)
    }

    fn code(&self, finding: &Finding, object: &str) -> Option<&String> {
        self.by_object
            .get(&(finding.rule, object.to_owned()))
            .or_else(|| self.by_rule.get(&finding.rule))
    }

    /// The way out of a finding for one of its objects: the chosen one, or the first.
    fn of<'a>(&self, finding: &'a Finding, object: &str) -> Result<Way<'a>> {
        match self.chosen(finding, object)? {
            Way::NotAsked => Ok(finding.remedy.choices.first().map_or(Way::None, Way::Taken)),
            way => Ok(way),
        }
    }

    /// The way out of a finding for one of its objects that was chosen.
    fn chosen<'a>(&self, finding: &'a Finding, object: &str) -> Result<Way<'a>> {
        let Some(code) = self.code(finding, object) else { return Ok(Way::NotAsked) };
        match finding.remedy.choice(code) {
            Some(choice) => Ok(Way::Taken(choice)),
            // Another finding of the rule has it.
            None if finding.remedy.choices.is_empty() => Ok(Way::None),
            None => Err(no_choice(&[finding], code)),
        }
    }
}

/// The way out for an object of a finding.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// There is none.
    None,
    /// None was chosen.
    NotAsked,
    /// This one.
    Taken(&'a Choice),
}

/// The error for a way that findings of a rule do not have.
fn no_choice(findings: &[&Finding], code: &str) -> Error {
    let rule = findings.first().map_or("", |finding| finding.rule.as_str());
    let mut known: Vec<_> = findings
        .iter()
        .flat_map(|finding| finding.remedy.choices.iter().map(|choice| choice.code))
        .collect();
    known.dedup();
    let known = match known.as_slice() {
        [] => String::from("it has none"),
        known => format!("it has: {}", known.join(", ")),
    };
    let what = format!("rule {rule} has no choice {} here; {known}", quoted(code));
    Error::new(ErrorKind::InvalidInput, what)
}

impl Report {
    /// Plans the join that the report was made for: remedies, the join, the wait.
    ///
    /// Findings that stand in the way get the steps of the chosen remedy; those without one, and
    /// those for which evidence is missing, are [`Plan::unsolved`]. Overridden findings get no
    /// steps; if one of them is what only `pool.join_force` passes, the plan calls that. Whatever
    /// else a way out was chosen for, hazards, notices and overridden findings, gets its steps,
    /// too.
    ///
    /// The plan says what comes along and what stays behind, by name, as
    /// [foretold](Self::consequences_once_admitted) for the joiner as its steps will leave it. What
    /// the join itself loses is among the plan's losses.
    ///
    /// # Errors
    /// `InvalidInput` if a snapshot has no single pool with a master, or a choice does not exist
    /// for its rule or object.
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
            purpose: Purpose::Join {
                options: options.clone(),
                brings: Vec::new(),
                left_behind: Vec::new(),
            },
            pool: Subject::pool(pool_record, pool_ref, master),
            host: Subject::new(host, host_ref, &host.name_label),
            steps: Vec::new(),
            unsolved: Vec::new(),
        };
        choices.check(self.findings())?;
        let missing_evidence = self.findings().iter().filter(|finding| finding.leaves_open());
        let in_the_way: Vec<_> = self.blockers().chain(missing_evidence).collect();
        let asked_for = self.findings().iter().filter(|finding| {
            choices.ask_for(finding)
                && !finding.remedy.choices.is_empty()
                && !in_the_way.iter().any(|one| std::ptr::eq(*one, *finding))
        });
        let mut planned = HashMap::new();
        for finding in &in_the_way {
            add_remedy(&mut plan, &mut planned, finding, [pool, joiner], |object| {
                choices.of(finding, object)
            })?;
        }
        for finding in asked_for {
            add_remedy(&mut plan, &mut planned, finding, [pool, joiner], |object| {
                choices.chosen(finding, object)
            })?;
        }
        // Stable: what belongs together stays in its order.
        plan.steps.sort_by_key(|step| match &step.work {
            Work::Act { action } => turn(action),
            _ => Turn::Rest,
        });
        let force = self.needs_force();
        let call = if force { "pool.join_force" } else { "pool.join" };
        let mut ahead = Ahead::of(self);
        for step in &plan.steps {
            if let Work::Act { action } = &step.work {
                // What is not known of it is looked at again just before the join.
                ahead.foretell(action);
            }
        }
        let carried = Carried::by_join(&ahead.pool, &ahead.joiner, force);
        let mut join = Step::new(
            Side::Joiner,
            Work::Join { force },
            format!("{call} to {} at {}", master.name_label, master.address),
        );
        join.destroys = carried.losses;
        plan.steps.push(join);
        let (options, brings) = (options.clone(), carried.brings);
        plan.purpose = Purpose::Join { options, brings, left_behind: carried.left_behind };
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
fn add_remedy<'c>(
    plan: &mut Plan,
    planned: &mut HashMap<Action, usize>,
    finding: &Finding,
    [pool, joiner]: [&Snapshot; 2],
    way: impl Fn(&str) -> Result<Way<'c>>,
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
        let Way::Taken(choice) = way(&object.reference)? else { continue };
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
