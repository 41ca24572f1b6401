//! VMs on the joiner: none may run, and nothing may be going on with any.

use crate::actions::Side;
use crate::actions::{Action, Choice, Condition, Remedy};
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, PowerState, Record, Ref, VbdType, Vdi, Vm};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Which};
use crate::text::quoted;

pub(in crate::preflight) const RUNNING_VMS: Check = Rule {
    check: Some("assert_no_running_vms_on_me"),
    error: Some("JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"),
    side: Side::Joiner,
    compares: "no VM of the joiner but its control domain is Running; Paused and Suspended ones \
               pass",
    remedy: "shut the VMs down, suspend them, move them into the pool, or delete them",
    reads: &[
        Reads::joiner(Class::Vm, Which::Each, &["power_state", "is_control_domain", "resident_on"]),
        Reads::joiner(Class::Host, Which::All, &["control_domain"]),
    ],
    ..Rule::of("running-vms")
}
.run::<Preflight>(running_vms);

fn running_vms(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let snapshot = facts.joiner.snapshot;
    let running: Vec<_> = facts
        .joiner
        .each::<Vm>()
        .filter(|(reference, vm)| {
            vm.power_state == PowerState::Running && !snapshot.is_domain_zero(reference, vm)
        })
        .collect();
    if running.is_empty() {
        return Ok(());
    }
    let (vms, odd): (Vec<_>, Vec<_>) =
        running.iter().partition(|(reference, vm)| can_be_stopped(facts, reference, vm));
    let mut remedy = Remedy::default();
    if !vms.is_empty() {
        remedy = ways_to_stop(facts, &vms);
    }
    if !odd.is_empty() {
        remedy.by_person = Some(format!(
            "{} cannot be shut down like a VM: a driver domain is stopped on the host; a template, \
             a snapshot or a control domain that is recorded as running by mistake needs its \
             record repaired (xe vm-reset-powerstate, or a restart of the toolstack)",
            names(odd.iter().map(|(reference, vm)| object(reference, vm)))
        ));
    }
    found.push(
        facts
            .finding(match running.len() {
                1 => format!("a VM runs on the joiner: {}", names_of(&running)),
                n => format!("{n} VMs run on the joiner: {}", names_of(&running)),
            })
            .refused()
            .objects(running.iter().map(|(reference, vm)| object(reference, vm)))
            .expected("no VM in power state Running")
            .actual(format!("{} in power state Running", running.len()))
            .remedy(remedy),
    );
    Ok(())
}

fn can_be_stopped(facts: &Facts<'_>, reference: &Ref<Vm>, vm: &Vm) -> bool {
    let dom0 = facts.joiner.snapshot.host.records().any(|host| host.control_domain == *reference);
    vm.is_user_vm() && !dom0 && (vm.domid != 0 || !vm.has("domid"))
}

/// Under the documents a VM must not only stop, but go.
fn ways_to_stop(facts: &Facts<'_>, vms: &[&(&Ref<Vm>, &Vm)]) -> Remedy {
    let each = |choice: Choice, actions: &dyn Fn(&Ref<Vm>, &Vm) -> Vec<Action>| {
        vms.iter().fold(choice, |choice, (reference, vm)| {
            let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
            choice.with(&object(reference, vm), pool, joiner, actions(reference, vm))
        })
    };
    let shut_down = each(
        Choice::new("shut-down", "shut down; imported halted, under the same uuid"),
        &|vm, _| vec![Action::VmCleanShutdown { vm: vm.clone() }],
    );
    let suspend = each(
        Choice::new("suspend", "suspend; imported suspended, with the disk of its memory"),
        &|vm, _| vec![Action::VmSuspend { vm: vm.clone() }],
    );
    let power_off =
        each(Choice::new("power-off", "cut the power, for VMs that do not shut down"), &|vm, _| {
            vec![Action::VmHardShutdown { vm: vm.clone() }]
        });
    let delete = each(Choice::new("delete", "delete it with its disks"), &|reference, vm| {
        let off = Action::VmHardShutdown { vm: reference.clone() };
        [off].into_iter().chain(delete(facts, reference, vm)).collect()
    });
    let vms: Vec<_> = vms.iter().map(|(reference, vm)| (*reference, *vm)).collect();
    let migrate = moving(facts, &vms, Migration::Running);
    if facts.documented {
        return migrate.into_iter().fold(Remedy::default(), Remedy::or).or(delete);
    }
    let remedy = Remedy::default().or(shut_down).or(suspend);
    migrate.into_iter().fold(remedy, Remedy::or).or(power_off).or(delete)
}

/// Moving VMs into the pool, if all that they have finds a place there.
pub(in crate::preflight) fn moving(
    facts: &Facts<'_>,
    vms: &[(&Ref<Vm>, &Vm)],
    state: Migration,
) -> Option<Choice> {
    let summary = "move it, with its disks, to the pool's default storage";
    vms.iter().try_fold(Choice::new("migrate", summary), |choice, (reference, vm)| {
        let first = match vm.power_state {
            PowerState::Suspended => Some(Action::VmResume { vm: (*reference).clone() }),
            PowerState::Paused => Some(Action::VmUnpause { vm: (*reference).clone() }),
            _ => None,
        };
        let route = into_the_pool(facts, reference, vm, state)?;
        let actions = first.into_iter().chain([route]);
        let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
        Some(choice.with(&object(*reference, *vm), pool, joiner, actions))
    })
}

/// What it takes to delete a VM that does not run: its disks go too, unless others have them.
pub(in crate::preflight) fn delete(facts: &Facts<'_>, reference: &Ref<Vm>, vm: &Vm) -> Vec<Action> {
    let disks = own_disks(facts, vm);
    std::iter::once(Action::VmDestroy { vm: reference.clone() })
        .chain(disks.into_iter().map(|vdi| Action::VdiDestroy { vdi }))
        .collect()
}

fn own_disks(facts: &Facts<'_>, vm: &Vm) -> Vec<Ref<Vdi>> {
    let snapshot = facts.joiner.snapshot;
    let mut disks: Vec<_> = vm
        .VBDs
        .iter()
        .filter_map(|vbd| snapshot.get(vbd))
        .filter(|vbd| vbd.r#type != VbdType::Cd && !vbd.empty)
        .map(|vbd| vbd.VDI.clone())
        .chain([vm.suspend_VDI.clone()])
        .filter(|vdi| {
            snapshot.get(vdi).is_some_and(|disk| {
                !disk.sharable
                    && !disk.is_tools_iso
                    && disk.VBDs.iter().all(|vbd| vm.VBDs.contains(vbd))
            })
        })
        .collect();
    disks.sort();
    disks.dedup();
    disks
}

/// In what state a VM moves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::preflight) enum Migration {
    Halted,
    Running,
}

/// The call that moves a VM into the pool, unless something of it has no place to go.
fn into_the_pool(
    facts: &Facts<'_>,
    reference: &Ref<Vm>,
    vm: &Vm,
    state: Migration,
) -> Option<Action> {
    let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
    // Whatever arrives first keeps the uuid.
    if pool.vm.by_uuid(&vm.uuid).is_some() {
        return None;
    }
    let (master_ref, _) = facts.pool.local().ok()?;
    let (_, pif) = facts.pool.management_pif()?;
    let sr = &facts.pool.pool().ok()?.1.default_SR;
    if !pool.get(sr)?.shared {
        return None;
    }
    let network_of = |vif: &crate::model::Vif| {
        let network = joiner.get(&vif.network)?;
        let same = |wanted: &dyn Fn(&crate::model::Network) -> bool| {
            pool.network.iter().find(|(_, other)| wanted(other)).map(|(found, _)| found.clone())
        };
        same(&|other| other.name_label == network.name_label)
            .or_else(|| same(&|other| other.bridge == network.bridge))
    };
    let vif_map = vm
        .VIFs
        .iter()
        .map(|vif| Some((vif.clone(), network_of(joiner.get(vif)?)?)))
        .collect::<Option<_>>()?;
    let vdi_map = own_disks(facts, vm).into_iter().map(|vdi| (vdi, sr.clone())).collect();
    Some(Action::VmMigrateToPool {
        vm: reference.clone(),
        live: state == Migration::Running,
        host: master_ref.clone(),
        network: pif.network.clone(),
        vdi_map,
        vif_map,
    })
}

pub(in crate::preflight) const VM_OPERATIONS: Check = Rule {
    check: Some("assert_no_vms_with_current_ops"),
    error: Some("JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS"),
    side: Side::Joiner,
    compares: "no VM of the joiner, templates, snapshots and its control domain included, has a \
               current operation",
    remedy: "wait until the operations end, or cancel their tasks",
    reads: &[Reads::joiner(Class::Vm, Which::Each, &["current_operations"])],
    ..Rule::of("vm-operations")
}
.run::<Preflight>(vm_operations);

fn vm_operations(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let busy: Vec<_> =
        facts.joiner.each::<Vm>().filter(|(_, vm)| !vm.current_operations.is_empty()).collect();
    if busy.is_empty() {
        return Ok(());
    }
    let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
    let (wait, cancel) = busy.iter().fold(
        (
            Choice::new("wait", "wait until the operations have ended"),
            Choice::new("cancel", "cancel the tasks; the operations may be left half done"),
        ),
        |(wait, cancel), (reference, vm)| {
            let vm_object = object(reference, vm);
            let idle = Action::Await {
                side: Side::Joiner,
                object: vm_object.clone(),
                until: Condition::VmIdle { vm: (*reference).clone() },
            };
            let tasks = vm
                .current_operations
                .keys()
                .map(|task| Action::TaskCancel { task: Ref::new(task), vm: (*reference).clone() });
            let cancels = tasks.chain([idle.clone()]);
            (
                wait.with(&vm_object, pool, joiner, [idle]),
                cancel.with(&vm_object, pool, joiner, cancels),
            )
        },
    );
    let operations: Vec<_> = busy
        .iter()
        .map(|(_, vm)| {
            let operations: Vec<_> =
                vm.current_operations.values().map(ToString::to_string).collect();
            format!("{}: {}", quoted(&vm.name_label), operations.join(", "))
        })
        .collect();
    found.push(
        facts
            .finding(format!("operations are going on with VMs of the joiner: {}", names_of(&busy)))
            .refused()
            .objects(busy.iter().map(|(reference, vm)| object(reference, vm)))
            .expected("no current operation")
            .actual(operations.join("; "))
            .remedy(Remedy::default().or(wait).or(cancel)),
    );
    Ok(())
}

fn names_of(vms: &[(&Ref<Vm>, &Vm)]) -> String {
    names(vms.iter().map(|(reference, vm)| object(reference, vm)))
}

/// The first names of a list, and how many more there are.
pub(in crate::preflight) fn names(objects: impl ExactSizeIterator<Item = Object>) -> String {
    /// So many names fit a line.
    const SHOWN: usize = 5;
    let more = objects.len().saturating_sub(SHOWN);
    let shown: Vec<_> = objects.take(SHOWN).map(|object| object.word().to_string()).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
