//! Plans for a host to be emptied, rebooted and put back to work.

use std::collections::{BTreeMap, BTreeSet};

use super::{Move, Plan, Purpose, Step, Subject, Unsolved, Work, missing_classes};
use crate::actions::{Action, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::failover::{Planner, WhatIf};
use crate::model::{
    Class, Host, Network, Object, PowerState, Ref, Snapshot, Sr, Vm, VmOperation, label_at,
};

/// What must be known to say whether a host can be emptied.
const NEEDED: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Vm,
    Class::Vbd,
    Class::Vdi,
    Class::Sr,
    Class::Pbd,
    Class::Vif,
    Class::Network,
    Class::Pif,
];

/// Plans that a member is disabled, emptied, rebooted, awaited and enabled again.
///
/// The snapshot is the pool's, of [`Scope::Failover`](crate::client::Scope::Failover) or more. VMs
/// that cannot move, each with its reason, and whatever else is in the way are in
/// [`Plan::unsolved`], all of it at once. The master has to hand over first. A host that is
/// disabled already stays so afterwards.
///
/// # Errors
/// `InvalidInput` if the snapshot has no single pool with a master, or not this host.
pub fn maintenance(pool: &Snapshot, host: &Ref<Host>) -> Result<Plan> {
    let (pool_ref, pool_record) = pool.the_pool()?;
    let (_, master) = pool.master()?;
    let record = pool.get(host).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("the snapshot has no host {host}"))
    })?;
    let mut unsolved = missing_classes(pool, NEEDED);
    refusals(pool, host, record, &mut unsolved);
    let moves = moves(pool, host, &mut unsolved);
    let name = record.name_label.as_str();
    let act = |action: Action, what: &str| {
        Step::new(Side::Pool, Work::Act { action }, format!("{what} {name}"))
    };
    let step = |work: Work, summary: String| Step::new(Side::Pool, work, summary);
    let (side, own) = (Side::Pool, host.clone());
    let mut steps = Vec::new();
    if record.enabled {
        steps.push(act(Action::HostDisable { side, host: own.clone() }, "host.disable"));
    }
    let boot_time = record.other_config.get("boot_time").cloned();
    let leave = match moves.len() {
        1 => String::from("1 VM leaves"),
        vms => format!("{vms} VMs leave"),
    };
    steps.push(step(
        Work::Evacuate { host: host.clone() },
        format!("host.evacuate: {leave} {name}"),
    ));
    steps.push(step(Work::Reboot { host: host.clone(), boot_time }, format!("host.reboot {name}")));
    steps.push(step(Work::Return, format!("wait until {name} is live with its storage attached")));
    if record.enabled {
        steps.push(act(Action::HostEnable { side, host: own }, "host.enable"));
    }
    Ok(Plan {
        schema: Plan::SCHEMA,
        purpose: Purpose::Maintenance { moves },
        pool: Subject::pool(pool_record, pool_ref, master),
        host: Subject::new(record, host, name),
        steps,
        unsolved,
    })
}

/// What is in the way beside VMs that cannot move.
fn refusals(pool: &Snapshot, host: &Ref<Host>, record: &Host, unsolved: &mut Vec<Unsolved>) {
    let mut refuse = |rule: &str, message: String, by_person: &str| {
        unsolved.push(Unsolved::new(rule, message, by_person));
    };
    let name = &record.name_label;
    if pool.the_pool().is_ok_and(|(_, pool)| pool.master == *host) {
        refuse(
            "host-is-master",
            format!("{name} is the pool's master, without which the pool cannot be managed"),
            "Hand the pool over to another host first.",
        );
    }
    match pool.is_live(host) {
        Some(true) => {}
        Some(false) => refuse(
            "host-not-live",
            format!("{name} is not live (HOST_OFFLINE)"),
            "Start it, and look at what keeps it from its master.",
        ),
        None => refuse(
            "evidence-missing",
            format!("whether {name} is live is not known"),
            "Take a snapshot that has the metrics of the host.",
        ),
    }
    if !record.current_operations.is_empty() {
        let operations: BTreeSet<_> =
            record.current_operations.values().map(ToString::to_string).collect();
        let operations = operations.into_iter().collect::<Vec<_>>().join(", ");
        refuse(
            "host-busy",
            format!("{name} is busy (OTHER_OPERATION_IN_PROGRESS): {operations}"),
            "Wait until that has ended.",
        );
    }
    let disabled = WhatIf::HostDisabled { host: host.clone() }.ask(pool);
    if let Some(fault) = disabled.ok().and_then(|asked| asked.refusal) {
        refuse(
            "ha-would-break",
            format!("HA could not keep its promise without {name} ({})", fault.code),
            "Lower the number of failures to tolerate, or protect fewer VMs.",
        );
    }
}

/// Where the host's VMs go; those that cannot go anywhere are in the way.
fn moves(pool: &Snapshot, host: &Ref<Host>, unsolved: &mut Vec<Unsolved>) -> Vec<Move> {
    let targets: Vec<Ref<Host>> = pool
        .host
        .iter()
        .filter(|(other, record)| {
            *other != host && record.enabled && pool.is_live(other) == Some(true)
        })
        .map(|(other, _)| other.clone())
        .collect();
    let on = |vm: &Vm| vm.resident_on == *host && vm.power_state != PowerState::Halted;
    let residents = pool.vm.iter().filter(|(_, vm)| on(vm) && !vm.is_control_domain);
    let (reach, mut movable) = (Reach::of(pool), Vec::new());
    for (reference, vm) in residents {
        match reach.obstacle(reference, vm, &targets) {
            Some(why) => {
                let vm = Object::of(reference, vm, &vm.name_label);
                let message = format!("{vm} cannot leave the host: {why}");
                let advice = "Shut it down or suspend it, or mend what keeps it.";
                unsolved.push(Unsolved::new("vm-cannot-move", message, advice));
            }
            None => movable.push((reference, vm)),
        }
    }
    let vms: Vec<Ref<Vm>> = movable.iter().map(|(reference, _)| (*reference).clone()).collect();
    let Ok(packed) = Planner::new(pool).and_then(|planner| planner.evacuation(&targets, &vms))
    else {
        return Vec::new();
    };
    let mut moves = Vec::new();
    for (reference, vm) in movable {
        let object = Object::of(reference, vm, &vm.name_label);
        match packed.iter().find(|(packed, _)| packed == reference) {
            Some((_, to)) => {
                let to = pool.get(to).map_or("?", |host| host.name_label.as_str());
                moves.push(Move { vm: object, to: to.to_owned() });
            }
            None => unsolved.push(Unsolved::new(
                "vm-cannot-move",
                format!("{object} cannot leave the host: no host has memory left for it"),
                "Free memory elsewhere, or shut it down.",
            )),
        }
    }
    moves.sort_by(|a, b| a.vm.name.cmp(&b.vm.name).then_with(|| a.vm.cmp(&b.vm)));
    moves
}

/// What VMs need and what hosts have, looked up once.
struct Reach<'a> {
    pool: &'a Snapshot,
    attached: BTreeSet<(&'a Ref<Host>, &'a Ref<Sr>)>,
    connected: BTreeSet<(&'a Ref<Host>, &'a Ref<Network>)>,
    disks: BTreeMap<&'a Ref<Vm>, BTreeSet<&'a Ref<Sr>>>,
    networks: BTreeMap<&'a Ref<Vm>, BTreeSet<&'a Ref<Network>>>,
}

impl<'a> Reach<'a> {
    fn of(pool: &'a Snapshot) -> Self {
        let attached = pool.pbd.records().filter(|pbd| pbd.currently_attached);
        let connected = pool.pif.records().map(|pif| (&pif.host, &pif.network));
        let mut disks: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for vbd in pool.vbd.records() {
            if let Some(vdi) = pool.get(&vbd.VDI) {
                disks.entry(&vbd.VM).or_default().insert(&vdi.SR);
            }
        }
        let mut networks: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for vif in pool.vif.records() {
            // A network that is on no NIC is on every host.
            if pool.get(&vif.network).is_some_and(|network| !network.PIFs.is_empty()) {
                networks.entry(&vif.VM).or_default().insert(&vif.network);
            }
        }
        Self {
            pool,
            attached: attached.map(|pbd| (&pbd.host, &pbd.SR)).collect(),
            connected: connected.collect(),
            disks,
            networks,
        }
    }

    /// Why a VM can go to none of these hosts, if that is so.
    fn obstacle(&self, reference: &Ref<Vm>, vm: &Vm, targets: &[Ref<Host>]) -> Option<String> {
        if targets.is_empty() {
            let why = "there is no other host that is live and enabled (NO_HOSTS_AVAILABLE)";
            return Some(why.to_owned());
        }
        if vm.power_state == PowerState::Paused {
            return Some(String::from("it is paused (VM_BAD_POWER_STATE)"));
        }
        if let Some(code) = vm.blocked_operations.get(VmOperation::PoolMigrate.as_str()) {
            return Some(format!("its migration is blocked (OPERATION_BLOCKED [{code}])"));
        }
        if self.pool.get(&vm.metrics).is_some_and(|metrics| metrics.nomigrate) {
            return Some(String::from("it was started so that it cannot migrate"));
        }
        let mut first = None;
        for target in targets {
            let missing = self.missing(reference, target)?;
            first.get_or_insert(missing);
        }
        first
    }

    /// What a VM needs and a host does not have, if anything.
    fn missing(&self, vm: &Ref<Vm>, host: &Ref<Host>) -> Option<String> {
        let name = self.pool.get(host).map_or("?", |host| host.name_label.as_str());
        let mut srs = self.disks.get(vm).into_iter().flatten();
        if let Some(sr) = srs.find(|sr| !self.attached.contains(&(host, **sr))) {
            let sr = label_at(self.pool, *sr);
            return Some(format!("{name} does not reach {sr} (VM_REQUIRES_SR)"));
        }
        let mut networks = self.networks.get(vm).into_iter().flatten();
        let missing = networks.find(|network| !self.connected.contains(&(host, **network)))?;
        let network = label_at(self.pool, *missing);
        Some(format!("{name} is not on {network} (VM_REQUIRES_NETWORK)"))
    }
}
