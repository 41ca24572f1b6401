//! A host is emptied, rebooted and put back to work.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::control::{Control, Look, Run};
use super::outcome::{Outcome, Stop, Why, told};
use super::steps::{self, Heard, Sides, same};
use super::verify::detached;
use crate::actions::Action;
use crate::client::{Client, Scope};
use crate::error::{ErrorKind, Fault, Result};
use crate::model::{
    Host, HostOperation, PowerState, Ref, Snapshot, Uuid, Vm, fault_with_names, label_at,
};
use crate::plan::{self, Consent, Plan, Purpose, Step, Work};
use crate::text::quoted;

/// A host that has been rebooted, and what became of its VMs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Maintained {
    /// The host's uuid.
    pub host: Uuid,
    /// Whether the host had rebooted already when the operation began.
    pub already_rebooted: bool,
    /// The VMs that left the host in this run, each with the host that it is on now.
    ///
    /// They stay there.
    pub moved: Vec<(String, String)>,
    /// What is worth knowing, a line each.
    pub notes: Vec<String>,
}

impl fmt::Display for Maintained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.already_rebooted {
            true => "had rebooted already, and is back",
            false => "rebooted, and is back",
        })?;
        self.moved.iter().try_for_each(|(vm, host)| write!(f, "\n  {vm} is on {host} now"))?;
        self.notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}

/// Empties a member, reboots it and puts it back to work, as planned.
///
/// The member is disabled, its VMs move away, it reboots, is waited for and enabled again.
///
/// `pool` is a client of the pool's master. Before anything is done the server is asked which VMs
/// keep the host from being emptied; it is not rebooted while a VM is on it. If a step before the
/// reboot fails, the host is enabled again; VMs that have moved stay where they are, which is told.
/// Calling again goes on where this ended: whether the host has rebooted is seen by the time of its
/// last boot.
///
/// The outcome is `Done` once the host is back after another boot, live, with its storage attached,
/// and enabled if it was; `NotDone` if it was not rebooted, or cannot be enabled; `Unknown` if the
/// deadline passed while something was under way.
///
/// # Errors
/// `InvalidInput` if the plan is for something else or of another pool, `State` if it leaves
/// something to a person, `Cancelled`; what keeps a server from being asked at all.
pub fn maintenance(
    pool: &Client,
    plan: &Plan,
    control: &mut Control<'_>,
) -> Result<Outcome<Maintained>> {
    let pool = control.over(pool);
    told(plan, || maintain(&pool, plan, control))
}

fn maintain(pool: &Client, plan: &Plan, control: &mut Control<'_>) -> Result<Maintained, Stop> {
    plan.check()?;
    let Purpose::Maintenance { .. } = &plan.purpose else {
        return Err(steps::other_purpose(plan, "maintenance").into());
    };
    let boot_time = steps::said_in(plan, "the plan has no step that reboots", |work| match work {
        Work::Reboot { boot_time, .. } => Some(boot_time.as_deref()),
        _ => None,
    })?;
    let mut run = control.begin(pool.clock(), plan.steps.len());
    let first = pool.settled_snapshot(Scope::Failover)?;
    same("pool", &plan.pool.uuid, &first.the_pool()?.1.uuid)?;
    let Some((reference, record)) = first.host.by_uuid(&plan.host.uuid) else {
        return Err(Stop::NotDone(Why::new("the pool does not know the host any more")));
    };
    let work = Maintenance { pool, plan, host: reference.clone(), boot_time };
    let residents = work.residents(&first);
    let already_rebooted = work.has_rebooted(record);
    if !already_rebooted && !work.is_rebooting(&first) {
        work.bring_down(&mut run).map_err(|stop| match broken_off(stop, &run) {
            Stop::NotDone(why) => {
                let moved = work.moved(&residents).into_iter();
                let moved =
                    moved.map(|(vm, host)| format!("{vm} moved to {host}, and stays there"));
                Stop::NotDone(why.seen(moved).seen(work.take_back(&mut run)))
            }
            stop => stop,
        })?;
    }
    let notes = work.come_back(&mut run).map_err(|stop| broken_off(stop, &run))?;
    Ok(Maintained {
        host: plan.host.uuid.clone(),
        already_rebooted,
        moved: work.moved(&residents),
        notes,
    })
}

/// A host that is emptied and rebooted, stage by stage.
struct Maintenance<'a> {
    pool: &'a Client,
    plan: &'a Plan,
    host: Ref<Host>,
    boot_time: Option<&'a str>,
}

/// What an error in a stage means: a step that failed, or that the time is over while something may
/// be under way.
fn broken_off(stop: Stop, run: &Run<'_, '_>) -> Stop {
    match stop {
        Stop::Error(error)
            if !matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::InvalidInput) =>
        {
            match run.check() {
                Ok(()) => Stop::NotDone(Why::new("a step failed").error(error)),
                Err(_) => {
                    Stop::Unknown(Why::new("the host is not through with it yet").error(error))
                }
            }
        }
        stop => stop,
    }
}

impl Maintenance<'_> {
    /// Disables the host, empties it and has it reboot.
    fn bring_down(&self, run: &mut Run<'_, '_>) -> Result<(), Stop> {
        steps::rest(self.pool, "host.evacuate", run)?;
        let now = self.pool.settled_snapshot(Scope::Failover)?;
        let anew = plan::maintenance(&now, &self.host)?;
        let mut refusals: Vec<_> = anew.unsolved.iter().map(ToString::to_string).collect();
        refusals.extend(self.obstacles(&now)?);
        if !refusals.is_empty() {
            let why = Why::new("the host cannot be emptied as things stand").seen(refusals);
            return Err(Stop::NotDone(why));
        }
        for (n, step) in self.plan.steps.iter().enumerate() {
            match &step.work {
                Work::Act { action } => {
                    run.step(n, &step.summary)?;
                    self.act(step, action, run)?;
                }
                Work::Evacuate { .. } => {
                    run.step(n, &step.summary)?;
                    self.evacuate(run)?;
                }
                Work::Reboot { .. } => {
                    run.step(n, &step.summary)?;
                    return self.reboot(run);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn act(&self, step: &Step, action: &Action, run: &mut Run<'_, '_>) -> Result<()> {
        let consent = Consent::to_nothing();
        steps::act(Sides::only(self.pool, &consent), self.plan, step, action, run).map(drop)
    }

    /// What the server says of VMs that keep the host from being emptied.
    fn obstacles(&self, now: &Snapshot) -> Result<Vec<String>> {
        let asked = self.pool.call::<BTreeMap<Ref<Vm>, Vec<String>>>(PREVENT, &(&self.host,));
        let obstacles = match asked {
            Err(error) if error.is_fault("MESSAGE_METHOD_UNKNOWN") => BTreeMap::new(),
            asked => asked?,
        };
        let line = |(vm, fault): (&Ref<Vm>, &Vec<String>)| {
            let name = label_at(now, vm);
            match fault.split_first() {
                Some((code, params)) => {
                    let fault = Fault::new(code, params.iter().cloned());
                    let fault = fault_with_names(now, &fault);
                    format!("{name} cannot leave the host: the server says {fault}")
                }
                None => format!("{name} cannot leave the host, and the server does not say why"),
            }
        };
        Ok(obstacles.iter().map(line).collect())
    }

    fn evacuate(&self, run: &mut Run<'_, '_>) -> Result<(), Stop> {
        let now = self.pool.snapshot(Scope::Failover)?;
        if self.residents(&now).is_empty() {
            return Ok(());
        }
        let heard = steps::order(self.pool, "host.evacuate", &(&self.host,), run)?;
        let (called, silent) = (run.now(), matches!(heard, Heard::Nothing(_)));
        let left = run.until_answered("the pool's master", |run| {
            let left = self.residents(&self.pool.snapshot(Scope::Failover)?);
            let busy = steps::is_under_way(self.pool, "host.evacuate").unwrap_or(true);
            let young = run.since(called) < steps::SILENCE_GRACE;
            Ok(match left.is_empty() || !(busy || (silent && young)) {
                true => Look::Seen(left),
                false => Look::Awaited(format!("VMs to leave: {}", left.len())),
            })
        })?;
        if left.is_empty() {
            return Ok(());
        }
        let why = Why::new("not all VMs left the host").seen(left.into_values());
        Err(Stop::NotDone(why.after(heard.error(), &[&now])))
    }

    fn reboot(&self, run: &mut Run<'_, '_>) -> Result<(), Stop> {
        let now = self.pool.settled_snapshot(Scope::Failover)?;
        let arrived = self.residents(&now);
        if !arrived.is_empty() {
            let why = Why::new("VMs came to the host meanwhile").seen(arrived.into_values());
            return Err(Stop::NotDone(why));
        }
        let heard = steps::order(self.pool, "host.reboot", &(&self.host,), run)?;
        if matches!(heard, Heard::Done) {
            return Ok(());
        }
        // A reboot shows itself before it happens, by an operation of the host.
        let refused = matches!(heard, Heard::Fault(_));
        let called = run.now();
        let accepted = run.until_answered("the pool's master", |run| {
            let now = self.pool.snapshot(Scope::Overview)?;
            let rebooted = now.get(&self.host).is_some_and(|host| self.has_rebooted(host));
            if rebooted || self.is_rebooting(&now) {
                return Ok(Look::Seen(true));
            }
            Ok(match refused || run.since(called) >= steps::SILENCE_GRACE {
                true => Look::Seen(false),
                false => Look::Awaited(String::from("a sign of the reboot")),
            })
        })?;
        if accepted {
            return Ok(());
        }
        let why = Why::new("the host was not rebooted");
        Err(Stop::NotDone(why.after(heard.error(), &[&now])))
    }

    /// Waits until the host is back, then enables it.
    fn come_back(&self, run: &mut Run<'_, '_>) -> Result<Vec<String>, Stop> {
        let steps = self.plan.steps.iter().enumerate();
        let mut rest = steps.skip_while(|(_, step)| !matches!(step.work, Work::Return));
        let mut notes = Vec::new();
        if let Some((n, step)) = rest.next() {
            run.step(n, &step.summary)?;
            // Without the time of its last boot only its absence shows that it reboots.
            let mut was_away = self.boot_time.is_some();
            let mut live_since = None;
            notes = run.until_answered("the pool's master", |run| {
                let now = self.pool.snapshot(Scope::Overview)?;
                let waits = self.away(&now);
                was_away |= waits.is_some();
                if let Some(awaited) = waits {
                    live_since = None;
                    return Ok(Look::Awaited(awaited));
                }
                if !was_away {
                    return Ok(Look::Awaited(format!("{} to go down", self.plan.host.name)));
                }
                let since = *live_since.get_or_insert_with(|| run.now());
                let detached = detached(&now, &self.host);
                Ok(match detached.is_empty() || run.since(since) >= steps::STORAGE_GRACE {
                    true => {
                        let note = |sr| format!("SR {} is not attached on the host", quoted(sr));
                        Look::Seen(detached.into_iter().map(note).collect())
                    }
                    false => {
                        Look::Awaited(format!("storage to be attached: {}", detached.join(", ")))
                    }
                })
            })?;
        }
        for (n, step) in rest {
            run.step(n, &step.summary)?;
            if let Work::Act { action } = &step.work {
                self.act(step, action, run)
                    .map_err(|error| error.context("the host is back, but could not be enabled"))?;
            }
        }
        Ok(notes)
    }

    /// What keeps the host from being back, if anything does.
    fn away(&self, now: &Snapshot) -> Option<String> {
        let name = &self.plan.host.name;
        let Some(host) = now.get(&self.host) else {
            return Some(format!("{name} to be known to the pool"));
        };
        if self.boot_time.is_some() && !self.has_rebooted(host) {
            return Some(format!("{name} to boot"));
        }
        if now.is_live(&self.host) != Some(true) {
            return Some(format!("{name} to be live"));
        }
        steps::awaited_of_member(self.pool, name, &host.address, |_| true)
    }

    /// Enables the host again, if the plan found it enabled; says what became of that.
    fn take_back(&self, run: &mut Run<'_, '_>) -> Vec<String> {
        let undo = self.plan.steps.iter().find_map(Step::undo);
        let disabled = || {
            let now = self.pool.snapshot(Scope::Overview).ok()?;
            now.get(&self.host).map(|host| !host.enabled)
        };
        match undo {
            Some(_) if disabled() == Some(false) => Vec::new(),
            Some(action) => {
                let consent = Consent::to_nothing();
                let only = Sides::only(self.pool, &consent);
                vec![match steps::perform(only, &action, run) {
                    Ok(()) => String::from("the host is enabled again"),
                    Err(error) => {
                        format!("the host is disabled, and could not be enabled: {error}")
                    }
                }]
            }
            None => Vec::new(),
        }
    }

    fn has_rebooted(&self, host: &Host) -> bool {
        let now = host.other_config.get("boot_time").map(String::as_str);
        self.boot_time.is_some() && now.is_some() && now != self.boot_time
    }

    /// Whether the host is on its way down, or down.
    fn is_rebooting(&self, now: &Snapshot) -> bool {
        now.get(&self.host).is_some_and(|host| {
            let goes = |operation: &HostOperation| {
                matches!(operation, HostOperation::Reboot | HostOperation::Shutdown)
            };
            host.current_operations.values().any(goes)
                || (!host.enabled && now.is_live(&self.host) == Some(false))
        })
    }

    /// The VMs on the host that are not off, by name.
    fn residents(&self, now: &Snapshot) -> BTreeMap<Ref<Vm>, String> {
        let on = now.vm.iter().filter(|(_, vm)| {
            vm.resident_on == self.host
                && vm.power_state != PowerState::Halted
                && !vm.is_control_domain
        });
        on.map(|(reference, vm)| (reference.clone(), vm.name_label.clone())).collect()
    }

    /// Where the VMs are that were on the host and are not any more.
    fn moved(&self, before: &BTreeMap<Ref<Vm>, String>) -> Vec<(String, String)> {
        let Ok(now) = self.pool.snapshot(Scope::Failover) else { return Vec::new() };
        let mut moved: Vec<_> = before
            .keys()
            .filter_map(|vm| now.get(vm))
            .filter(|vm| vm.resident_on != self.host)
            .map(|vm| {
                let host = now.get(&vm.resident_on).map_or("no host", |host| &host.name_label);
                (vm.name_label.clone(), host.to_owned())
            })
            .collect();
        moved.sort_unstable();
        moved
    }
}

const PREVENT: &str = "host.get_vms_which_prevent_evacuation";
