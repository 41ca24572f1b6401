//! VMs of the joiner that the pool knows already: the import is all or nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{VM_KIND, about, exported};
use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, PowerState, Ref, Vm};
use crate::preflight::checks::vms::delete;
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Severity, Which};

/// Joiner's and pool's VM of the same uuid.
type Pair<'a> = ((&'a Ref<Vm>, &'a Vm), (&'a Ref<Vm>, &'a Vm));

const SAME_UUID: &[Reads] = &[
    Reads::joiner(Class::Vm, Which::Each, VM_KIND),
    Reads::joiner(Class::Vm, Which::Each, &["uuid", "version"]),
    Reads::pool(Class::Vm, Which::Each, &["uuid", "version", "power_state"]),
];

fn pairs<'a>(facts: &Facts<'a>) -> impl Iterator<Item = Pair<'a>> + use<'a> {
    let pool = &facts.pool.snapshot.vm;
    exported(facts).filter_map(|mine| Some((mine, pool.by_uuid(&mine.1.uuid)?)))
}

/// Whether the import puts the joiner's VM in the place of the pool's.
fn replaces(mine: &Vm, theirs: &Vm) -> bool {
    theirs.power_state == PowerState::Halted && mine.version > theirs.version
}

fn deleted<'a>(facts: &Facts<'_>, vms: impl Iterator<Item = (&'a Ref<Vm>, &'a Vm)>) -> Choice {
    let choice = Choice::new("delete", "delete the joiner's VM with its disks");
    vms.fold(choice, |choice, (reference, vm)| {
        let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
        let off = (vm.power_state != PowerState::Halted)
            .then(|| Action::VmHardShutdown { vm: reference.clone() });
        let actions = off.into_iter().chain(delete(facts, reference, vm));
        choice.with(&object(reference, vm), pool, joiner, actions)
    })
}

pub(in crate::preflight) const VM_IMPORT_FAILS: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "no VM of the joiner has the uuid of a pool's VM that is not Halted, or whose \
               `version` is not lower; one such VM keeps all VMs of the joiner out",
    remedy: "delete the joiner's VM, or by hand: import it under a new uuid",
    reads: SAME_UUID,
    ..Rule::of("vm-import-fails")
}
.run::<Preflight>(vm_import_fails);

fn vm_import_fails(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let clashing: Vec<_> =
        pairs(facts).filter(|((_, mine), (_, theirs))| !replaces(mine, theirs)).collect();
    let objects = clashing.iter().map(|((reference, vm), _)| object(*reference, *vm)).collect();
    let finding = about(facts, objects, |_, names| {
        format!(
            "the pool has VMs with the uuid of {names}: the join will succeed, and not one VM of \
             the joiner will be in the pool"
        )
    });
    found.extend(finding.map(|finding| {
        let each = |side: fn(&Pair<'_>) -> String| {
            clashing.iter().map(side).collect::<Vec<_>>().join("; ")
        };
        let mine = clashing.iter().map(|(mine, _)| *mine);
        finding
            .expected(each(|(_, (_, vm))| {
                format!("{}: version {}, {}", vm.name_label, vm.version, vm.power_state)
            }))
            .actual(each(|((_, vm), _)| format!("{}: version {}", vm.name_label, vm.version)))
            .remedy(Remedy::default().or(deleted(facts, mine)))
    }));
    Ok(())
}

pub(in crate::preflight) const VM_REPLACES_ANOTHER: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "no VM of the joiner has the uuid of a Halted VM of the pool and a higher `version`; \
               it would take that VM's place",
    remedy: "delete the joiner's VM, or by hand: import it under a new uuid",
    reads: SAME_UUID,
    ..Rule::of("vm-replaces-another")
}
.run::<Preflight>(vm_replaces_another);

fn vm_replaces_another(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let replacing: Vec<_> =
        pairs(facts).filter(|((_, mine), (_, theirs))| replaces(mine, theirs)).collect();
    let objects: Vec<Object> = replacing
        .iter()
        .flat_map(|((mine_ref, mine), (their_ref, theirs))| {
            [object(*mine_ref, *mine), object(*their_ref, *theirs)]
        })
        .collect();
    let finding = about(facts, objects, |n, _| {
        let names: Vec<_> =
            replacing.iter().take(5).map(|(_, (_, vm))| vm.name_label.as_str()).collect();
        format!(
            "{} of the pool will be replaced by the joiner's VMs of the same uuid, without a word: \
             {}",
            super::count(n / 2, "VM"),
            names.join(", ")
        )
    });
    found.extend(finding.map(|finding| {
        finding
            .remedy(Remedy::default().or(deleted(facts, replacing.iter().map(|(mine, _)| *mine))))
    }));
    Ok(())
}

pub(in crate::preflight) const MAC_SEEDS_CLASH: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "no VM of the joiner has the `mac_seed` of a pool's VM with another uuid; one such \
               VM keeps all VMs of the joiner out",
    remedy: "remove the seed from the joiner's VM: the import gives it a new one",
    reads: &[
        Reads::joiner(Class::Vm, Which::Each, VM_KIND),
        Reads::joiner(Class::Vm, Which::Each, &["uuid"]),
        Reads::pool(Class::Vm, Which::Each, &["uuid", "other_config"]),
    ],
    ..Rule::of("mac-seeds-clash")
}
.run::<Preflight>(mac_seeds_clash);

fn mac_seeds_clash(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let mine: HashSet<_> = exported(facts).filter_map(|(_, vm)| vm.mac_seed()).collect();
    if mine.is_empty() {
        return Ok(());
    }
    // Of the pool's VMs with one seed two are enough: a first, and a first with another uuid.
    let mut theirs = HashMap::<&str, (&Vm, Option<&Vm>)>::new();
    for (_, vm) in facts.pool.each::<Vm>() {
        let Some(seed) = vm.mac_seed().filter(|seed| mine.contains(seed)) else { continue };
        let (first, other) = theirs.entry(seed).or_insert((vm, None));
        if other.is_none() && first.uuid != vm.uuid {
            *other = Some(vm);
        }
    }
    let clashing: BTreeMap<_, _> = exported(facts)
        .filter_map(|(reference, vm)| {
            let (first, other) = theirs.get(vm.mac_seed()?)?;
            let clash = if first.uuid == vm.uuid { *other } else { Some(*first) };
            Some((reference, (vm, clash?)))
        })
        .collect();
    let objects = clashing.iter().map(|(reference, (vm, _))| object(*reference, *vm)).collect();
    let finding = about(facts, objects, |_, names| {
        format!(
            "the pool has VMs with the MAC seed of {names}: the join will succeed, and not one VM \
             of the joiner will be in the pool"
        )
    });
    found.extend(finding.map(|finding| {
        let theirs: Vec<_> = clashing.values().map(|(_, vm)| vm.name_label.as_str()).collect();
        let reseed = clashing.iter().fold(
            Choice::new("new-seed", "remove the seed; MAC addresses of existing interfaces stay"),
            |choice, (reference, (vm, _))| {
                let action = Action::VmRemoveMacSeed {
                    vm: (*reference).clone(),
                    seed: vm.mac_seed().unwrap_or_default().to_owned(),
                };
                let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
                choice.with(&object(*reference, *vm), pool, joiner, [action])
            },
        );
        let vms = clashing.iter().map(|(reference, (vm, _))| (*reference, *vm));
        finding
            .actual(format!("the same seed as {}", theirs.join(", ")))
            .remedy(Remedy::default().or(reseed).or(deleted(facts, vms)))
    }));
    Ok(())
}
