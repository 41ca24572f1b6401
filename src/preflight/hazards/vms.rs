//! VMs that move into the pool with their host.

use super::{VM_KIND, about, count, exported};
use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::model::object;
use crate::model::{Class, PowerState, Ref, Vm};
use crate::preflight::checks::vms::{Migration, delete, moving};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Severity, Which};

type Vms<'a> = Vec<(&'a Ref<Vm>, &'a Vm)>;

const VMS: &[Reads] = &[
    Reads::joiner(Class::Vm, Which::Each, VM_KIND),
    Reads::joiner(Class::Vm, Which::Each, &["power_state"]),
];

fn in_state<'a>(facts: &Facts<'a>, state: &PowerState) -> Vms<'a> {
    exported(facts).filter(|(_, vm)| vm.is_user_vm() && vm.power_state == *state).collect()
}

/// A way out, done for each VM.
fn each(
    facts: &Facts<'_>,
    vms: &Vms<'_>,
    choice: Choice,
    actions: impl Fn(&Ref<Vm>, &Vm) -> Vec<Action>,
) -> Choice {
    vms.iter().fold(choice, |choice, (reference, vm)| {
        choice.with(
            &object(*reference, *vm),
            facts.pool.snapshot,
            facts.joiner.snapshot,
            actions(reference, vm),
        )
    })
}

fn deleted(facts: &Facts<'_>, vms: &Vms<'_>) -> Choice {
    each(facts, vms, Choice::new("delete", "delete it with its disks"), |reference, vm| {
        delete(facts, reference, vm)
    })
}

pub(in crate::preflight) const HALTED_VMS: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    documented: true,
    compares: "no VM of the joiner is Halted; such VMs move into the pool under their uuids",
    remedy: "move the VMs into the pool before, or delete them",
    reads: VMS,
    ..Rule::of("halted-vms")
}
.run::<Preflight>(halted_vms);

fn halted_vms(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let vms = in_state(facts, &PowerState::Halted);
    let objects = vms.iter().map(|(reference, vm)| object(*reference, *vm)).collect();
    let Some(finding) = about(facts, objects, |n, names| {
        format!("{} of the joiner will move into the pool, halted: {names}", count(n, "VM"))
    }) else {
        return Ok(());
    };
    let remedy =
        moving(facts, &vms, Migration::Halted).into_iter().fold(Remedy::default(), Remedy::or);
    found.push(finding.remedy(remedy.or(deleted(facts, &vms))));
    Ok(())
}

pub(in crate::preflight) const SUSPENDED_VMS: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    documented: true,
    compares: "no VM of the joiner is Suspended; such a VM resumes only where the CPU is as it was",
    remedy: "resume and shut the VMs down, give up their memory, or delete them",
    reads: VMS,
    ..Rule::of("suspended-vms")
}
.run::<Preflight>(suspended_vms);

fn suspended_vms(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let vms = in_state(facts, &PowerState::Suspended);
    let objects = vms.iter().map(|(reference, vm)| object(*reference, *vm)).collect();
    let finding = about(facts, objects, |n, names| {
        format!(
            "{} of the joiner will move into the pool suspended, and may not resume on another CPU \
             level: {names}",
            count(n, "VM")
        )
    });
    found.extend(finding.map(|finding| {
        let shut_down =
            each(facts, &vms, Choice::new("shut-down", "resume it and shut it down"), |vm, _| {
                vec![
                    Action::VmResume { vm: vm.clone() },
                    Action::VmCleanShutdown { vm: vm.clone() },
                ]
            });
        let discard =
            each(facts, &vms, Choice::new("power-off", "give up its suspended memory"), |vm, _| {
                vec![Action::VmHardShutdown { vm: vm.clone() }]
            });
        let migrate = moving(facts, &vms, Migration::Running);
        let remedy = match facts.documented {
            true => migrate.into_iter().fold(Remedy::default(), Remedy::or),
            false => Remedy::default().or(shut_down).or(discard),
        };
        finding.remedy(remedy.or(deleted(facts, &vms)))
    }));
    Ok(())
}

pub(in crate::preflight) const PAUSED_VMS: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    documented: true,
    compares: "no VM of the joiner is Paused; XAPI lets it pass and makes it Halted",
    remedy: "continue and shut the VMs down, or delete them",
    reads: VMS,
    ..Rule::of("paused-vms")
}
.run::<Preflight>(paused_vms);

fn paused_vms(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let vms = in_state(facts, &PowerState::Paused);
    let objects = vms.iter().map(|(reference, vm)| object(*reference, *vm)).collect();
    let finding = about(facts, objects, |n, names| {
        format!(
            "{} of the joiner will be halted in the pool, without having been shut down: {names}",
            count(n, "paused VM")
        )
    });
    found.extend(finding.map(|finding| {
        let shut_down = each(
            facts,
            &vms,
            Choice::new("shut-down", "let it continue and shut it down"),
            |vm, _| {
                vec![
                    Action::VmUnpause { vm: vm.clone() },
                    Action::VmCleanShutdown { vm: vm.clone() },
                ]
            },
        );
        let off = each(facts, &vms, Choice::new("power-off", "cut the power"), |vm, _| {
            vec![Action::VmHardShutdown { vm: vm.clone() }]
        });
        let gone =
            each(facts, &vms, Choice::new("delete", "delete it with its disks"), |vm, record| {
                let off = Action::VmHardShutdown { vm: vm.clone() };
                [off].into_iter().chain(delete(facts, vm, record)).collect()
            });
        let migrate = moving(facts, &vms, Migration::Running);
        let remedy = match facts.documented {
            true => migrate.into_iter().fold(Remedy::default(), Remedy::or),
            false => Remedy::default().or(shut_down).or(off),
        };
        finding.remedy(remedy.or(gone))
    }));
    Ok(())
}

pub(in crate::preflight) const CUSTOM_TEMPLATES: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner has no templates but those of the installation",
    remedy: "nothing need be done, or delete the templates",
    reads: VMS,
    ..Rule::of("custom-templates")
}
.run::<Preflight>(custom_templates);

fn custom_templates(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let templates: Vms<'_> =
        exported(facts).filter(|(_, vm)| vm.is_a_template && !vm.is_a_snapshot).collect();
    let objects = templates.iter().map(|(reference, vm)| object(*reference, *vm)).collect();
    let finding = about(facts, objects, |n, names| {
        format!("{} of the joiner will move into the pool: {names}", count(n, "template"))
    });
    found.extend(finding);
    Ok(())
}

pub(in crate::preflight) const VM_SNAPSHOTS: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    documented: true,
    compares: "no VM of the joiner has snapshots; their disks lose the link to the disk they are \
               of",
    remedy: "delete the snapshots",
    reads: VMS,
    ..Rule::of("vm-snapshots")
}
.run::<Preflight>(vm_snapshots);

fn vm_snapshots(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let snapshots: Vms<'_> = exported(facts).filter(|(_, vm)| vm.is_a_snapshot).collect();
    let objects = snapshots.iter().map(|(reference, vm)| object(*reference, *vm)).collect();
    let finding = about(facts, objects, |n, names| {
        format!(
            "{} will move into the pool, but `snapshot_of` of their disks will lead nowhere: \
             {names}",
            count(n, "VM snapshot")
        )
    });
    found.extend(
        finding.map(|finding| finding.remedy(Remedy::default().or(deleted(facts, &snapshots)))),
    );
    Ok(())
}

pub(in crate::preflight) const BLOCKED_OPERATIONS_LOST: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "no VM of the joiner has `blocked_operations`; the import empties them",
    remedy: "by hand: set them again after the join",
    reads: &[
        Reads::joiner(Class::Vm, Which::Each, VM_KIND),
        Reads::joiner(Class::Vm, Which::Each, &["blocked_operations"]),
    ],
    ..Rule::of("blocked-operations-lost")
}
.run::<Preflight>(|facts, found| {
    let blocked = exported(facts).filter(|(_, vm)| !vm.blocked_operations.is_empty());
    let objects = blocked.map(|(reference, vm)| object(reference, vm)).collect();
    let finding = about(facts, objects, |n, names| {
        format!("{} will no longer have operations blocked: {names}", count(n, "VM"))
    });
    let how = "set `blocked_operations` again after the join (xe vm-param-set)";
    found.extend(finding.map(|finding| finding.remedy(Remedy::by_person(how))));
    Ok(())
});

pub(in crate::preflight) const APPLIANCES_LOST: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "no VM of the joiner belongs to an appliance (vApp); appliances do not move",
    remedy: "by hand: make the appliance again after the join",
    reads: &[
        Reads::joiner(Class::Vm, Which::Each, VM_KIND),
        Reads::joiner(Class::Vm, Which::Each, &["appliance"]),
    ],
    ..Rule::of("appliances-lost")
}
.run::<Preflight>(|facts, found| {
    let members = exported(facts).filter(|(_, vm)| {
        facts.joiner.snapshot.vm_appliance.get(&vm.appliance).is_some()
            || !vm.appliance.is_null() && !facts.joiner.snapshot.covers(Class::VmAppliance)
    });
    let objects = members.map(|(reference, vm)| object(reference, vm)).collect();
    let finding = about(facts, objects, |n, names| {
        format!("{} will no longer belong to an appliance: {names}", count(n, "VM"))
    });
    let how = "make the appliance again after the join (xe appliance-create)";
    found.extend(finding.map(|finding| finding.remedy(Remedy::by_person(how))));
    Ok(())
});
