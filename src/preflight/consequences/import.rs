//! How the import of the joiner's VMs goes: whole, or not at all.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Serialize, Serializer};

use super::change::{Changes, joined};
use super::forecast::{Choice, Forecast};
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{
    Class, DomainType, Object, PowerState, Record, Ref, Sr, Vbd, VbdType, Vdi, Vif, Vm, object,
};

/// How the import of the joiner's VMs ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Import {
    /// Every VM arrives.
    Complete,
    /// One stands against it, and no VM arrives; the join reports success all the same.
    Undone(Box<Clash>),
}

/// What undoes the import.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Clash {
    /// The error, which the caller of `pool.join` never sees.
    pub fault: Fault,
    /// The joiner's VM that it is about.
    #[serde(serialize_with = "as_vm")]
    pub vm: Object,
    /// The pool's VM that it clashes with, if it is one.
    #[serde(serialize_with = "as_vm_if_any")]
    pub with: Option<Object>,
}

/// Writes a VM as its uuid and its name.
pub(super) fn as_vm<S: Serializer>(vm: &Object, serializer: S) -> Result<S::Ok, S::Error> {
    VmText::of(vm).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn as_vm_if_any<S: Serializer>(vm: &Option<Object>, serializer: S) -> Result<S::Ok, S::Error> {
    vm.as_ref().map(VmText::of).serialize(serializer)
}

/// A VM, as people know it.
#[derive(Serialize)]
struct VmText<'a> {
    /// The uuid.
    uuid: &'a str,
    /// The name.
    name_label: &'a str,
}

impl<'a> VmText<'a> {
    fn of(vm: &'a Object) -> Self {
        Self { uuid: &vm.uuid, name_label: &vm.name }
    }
}

/// What the import will do, before anything of it is written down.
pub(super) struct Plan<'a> {
    /// What is exported, in the order in which it is imported.
    pub exported: Vec<(&'a Ref<Vm>, &'a Vm)>,
    /// The interfaces of the exported VMs, if known.
    pub vifs: Option<Devices<'a, Vif>>,
    /// The drives of the exported VMs, in the order of their import, if known.
    pub vbds: Option<Devices<'a, Vbd>>,
    /// The disks that are exported, and those of the pool that they may be.
    pub vdis: BTreeMap<&'a Ref<Vdi>, Vec<Ref<Vdi>>>,
    /// The pool's VMs that make room, by the ref of the joiner's.
    pub replaced: HashMap<&'a Ref<Vm>, Replacement<'a>>,
    /// The refs of those.
    freed: HashSet<&'a Ref<Vm>>,
    pub clash: Option<Clash>,
    /// From which exported VM on metrics stay although the import is undone.
    pub orphans_from: usize,
}

pub(super) type Devices<'a, T> = HashMap<&'a Ref<Vm>, Vec<(&'a Ref<T>, &'a T)>>;

#[derive(Clone, Copy)]
pub(super) struct Replacement<'a> {
    pub reference: &'a Ref<Vm>,
    pub vm: &'a Vm,
    /// Whether the VM itself goes; its devices do in any case.
    pub destroyed: bool,
}

/// The mode that the import gives a VM that has none (`derive_domain_type`).
pub(super) fn domain_type(vm: &Vm) -> DomainType {
    match &vm.domain_type {
        DomainType::Unspecified if vm.HVM_boot_policy.is_empty() => DomainType::Pv,
        DomainType::Unspecified => DomainType::Hvm,
        known => known.clone(),
    }
}

impl<'a> Plan<'a> {
    /// Plans the import of the joiner's VMs (`import.ml`, `handle_all`).
    pub(super) fn new(f: &mut Forecast<'a>, networks_known: bool) -> Self {
        let joiner = f.joiner;
        let exported: Vec<_> =
            joiner.vm.iter().rev().filter(|(_, vm)| !vm.is_of_installation()).collect();
        let orphans_from = exported.len();
        let mut plan = Self {
            exported,
            vifs: None,
            vbds: None,
            vdis: BTreeMap::new(),
            replaced: HashMap::new(),
            freed: HashSet::new(),
            clash: None,
            orphans_from,
        };
        if networks_known
            && f.knows::<Vif>(Side::Joiner, &["uuid", "VM", "network", "device", "MAC"], VIFS)
            && f.knows::<Vif>(Side::Pool, &["uuid", "VM"], VIFS)
        {
            plan.vifs = Some(devices(&plan.exported, joiner.vif.iter(), |vif| &vif.VM));
        }
        if disks_known(f) {
            plan.vbds = Some(devices(&plan.exported, joiner.vbd.iter(), |vbd| &vbd.VM));
        }
        plan.clash = plan.seeds(f);
        if plan.clash.is_some() {
            return plan;
        }
        plan.clash = plan.disks(f).or_else(|| plan.vms(f)).or_else(|| plan.attached(f));
        if plan.clash.is_none() {
            plan.clash = plan.links();
        }
        plan
    }

    /// `assert_can_restore_backup`: a MAC seed belongs to one VM and its snapshots.
    fn seeds(&self, f: &mut Forecast<'_>) -> Option<Clash> {
        let ours: HashSet<_> = self.exported.iter().filter_map(|(_, vm)| vm.mac_seed()).collect();
        let of_ours = |vm: &Vm| f.joiner.vm.get(&vm.snapshot_of).map(|vm| &vm.uuid);
        let of_theirs = |vm: &Vm| f.pool.vm.get(&vm.snapshot_of).map(|vm| &vm.uuid);
        let mut theirs: HashMap<&str, Vec<(&Ref<Vm>, &Vm)>> = HashMap::new();
        // All snapshots of one VM are alike in this, so that one of them is enough.
        let mut alike = HashSet::new();
        if !ours.is_empty() {
            for (reference, vm) in f.pool.vm.iter().rev() {
                let Some(seed) = vm.mac_seed().filter(|seed| ours.contains(seed)) else { continue };
                let whose = if vm.is_a_snapshot { of_theirs(vm) } else { Some(&vm.uuid) };
                if alike.insert((seed, vm.is_a_snapshot, whose)) {
                    theirs.entry(seed).or_default().push((reference, vm));
                }
            }
        }
        let mut unclear = false;
        let mut clash = None;
        'all: for (reference, vm) in &self.exported {
            let Some(seed) = vm.mac_seed() else { continue };
            for (there, other) in theirs.get(seed).into_iter().flatten() {
                let compatible = match (vm.is_a_snapshot, other.is_a_snapshot) {
                    (false, false) => vm.uuid == other.uuid,
                    (true, false) => of_ours(vm) == Some(&other.uuid),
                    (_, true) => match of_theirs(other) {
                        Some(parent) if vm.is_a_snapshot => of_ours(vm) == Some(parent),
                        Some(parent) => *parent == vm.uuid,
                        // The server finds it in metadata that the snapshot does not have.
                        None => {
                            unclear = true;
                            continue;
                        }
                    },
                };
                if !compatible {
                    let fault = Fault::new("DUPLICATE_MAC_SEED", [seed]);
                    let (vm, with) = (object(reference, vm), Some(object(there, other)));
                    clash = Some(Clash { fault, vm, with });
                    break 'all;
                }
            }
        }
        if unclear && clash.is_none() {
            let hides = "whether a snapshot whose VM is gone stands against the import of VMs";
            f.gap(Side::Pool, Class::Vm, Some("snapshot_metadata"), hides);
        }
        clash
    }

    /// The exported disks must be found again in the pool (`import.ml`, `VDI`).
    fn disks(&mut self, f: &Forecast<'a>) -> Option<Clash> {
        let vbds = self.vbds.as_ref()?;
        let (pool, joiner) = (f.pool, f.joiner);
        let mut users: BTreeMap<&Ref<Vdi>, (&Ref<Vm>, &Vm)> = BTreeMap::new();
        for &(reference, vm) in &self.exported {
            let drives = vbds.get(reference).into_iter().flatten();
            let disks = drives.filter(|(_, vbd)| !vbd.empty).map(|(_, vbd)| &vbd.VDI);
            let suspended = (vm.power_state == PowerState::Suspended).then_some(&vm.suspend_VDI);
            for vdi in disks.chain(suspended) {
                if joiner.vdi.get(vdi).is_some() {
                    users.entry(vdi).or_insert((reference, vm));
                }
            }
        }
        let found = Found::new(f, users.keys().filter_map(|vdi| joiner.vdi.get(vdi)));
        let mut clash = None;
        for (reference, (user, vm)) in users.into_iter().rev() {
            let Some(vdi) = joiner.vdi.get(reference) else { continue };
            let sr = joiner.sr.get(&vdi.SR);
            if sr.is_some_and(|sr| sr.content_type == "iso") {
                self.vdis.insert(reference, found.iso(&vdi.location));
                continue;
            }
            // The import looks the SR up by uuid, so that a merged one is not found.
            let there = f.srs.get(&vdi.SR).filter(|there| {
                let known = pool.sr.get(there).or_else(|| f.changes.added.sr.get(there));
                known.map(|known| &known.uuid) == sr.map(|sr| &sr.uuid)
            });
            let fault = match there {
                None => Fault::bare("VDI_CONTENT_ID_MISSING"),
                Some(there) => match found.disk(there, &vdi.location) {
                    Some(disk) => {
                        self.vdis.insert(reference, vec![disk]);
                        continue;
                    }
                    None => {
                        let params = [there.to_string(), vdi.location.clone()];
                        Fault::new("VDI_LOCATION_MISSING", params)
                    }
                },
            };
            clash = clash.or(Some(Clash { fault, vm: object(user, vm), with: None }));
        }
        clash
    }

    /// A VM with the uuid of one in the pool replaces it, or undoes the import (`import.ml`, `VM`).
    fn vms(&mut self, f: &Forecast<'a>) -> Option<Clash> {
        for (n, (reference, vm)) in self.exported.iter().enumerate() {
            let there = f.pool.vm.by_uuid(&vm.uuid);
            let mut fault = None;
            if let Some((id, there)) = there {
                let (replacement, refusal) = existing(id, there, vm);
                fault = refusal;
                if let Some(replacement) = replacement {
                    self.replaced.insert(reference, replacement);
                    self.freed.insert(id);
                }
            }
            if let Some(fault) = fault.or_else(|| self.suspend_image_missing(vm)) {
                self.orphans_from = n;
                let with = there.map(|(id, there)| object(id, there));
                return Some(Clash { fault, vm: object(reference, vm), with });
            }
        }
        None
    }

    fn suspend_image_missing(&self, vm: &Vm) -> Option<Fault> {
        let missing = self.vbds.is_some()
            && vm.power_state == PowerState::Suspended
            && self.vdis.get(&vm.suspend_VDI).is_none_or(Vec::is_empty);
        missing.then(|| Fault::new("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", [Changes::MADE_AT_JOIN]))
    }

    /// Drives that are in use must have their disk (`import.ml`, `VBD`); interfaces, their network.
    fn attached(&self, f: &Forecast<'_>) -> Option<Clash> {
        for (reference, vm) in &self.exported {
            let drives = self.vbds.iter().filter_map(|vbds| vbds.get(reference)).flatten();
            let qemu = domain_type(vm) == DomainType::Hvm;
            for (_, vbd) in drives {
                let missing = vbd.currently_attached
                    && self.vdis.get(&vbd.VDI).is_none_or(Vec::is_empty)
                    && self.vbd_there(f, vbd).is_none();
                if missing && !(vbd.r#type == VbdType::Cd && qemu) {
                    let fault = Fault::bare("IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND");
                    return Some(Clash { fault, vm: object(reference, vm), with: None });
                }
            }
        }
        for (reference, vm) in &self.exported {
            let vifs = self.vifs.iter().filter_map(|vifs| vifs.get(reference)).flatten();
            for (_, vif) in vifs {
                let lost = f.joiner.network.get(&vif.network).is_none();
                if lost && self.vif_there(f, vif).is_none() {
                    let fault =
                        Fault::new("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", [Changes::MADE_AT_JOIN]);
                    return Some(Clash { fault, vm: object(reference, vm), with: None });
                }
            }
        }
        None
    }

    /// A snapshot of nothing cannot be linked (`update_snapshot_and_parent_links`).
    ///
    /// A ref to a VM that is gone does no harm; a null ref does, because the export numbers it.
    fn links(&self) -> Option<Clash> {
        let orphan = |vm: &Vm| vm.is_a_snapshot && vm.snapshot_of.is_null();
        let (reference, vm) = self.exported.iter().find(|(_, vm)| orphan(vm))?;
        let fault = Fault::new("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", [Changes::MADE_AT_JOIN]);
        Some(Clash { fault, vm: object(reference, vm), with: None })
    }

    /// The pool's drive with this uuid, which the import uses instead of making one.
    pub(super) fn vbd_there<'b>(&self, f: &Forecast<'b>, vbd: &Vbd) -> Option<&'b Ref<Vbd>> {
        let (reference, there) = f.pool.vbd.by_uuid(&vbd.uuid)?;
        (!self.freed.contains(&there.VM)).then_some(reference)
    }

    /// The pool's interface with this uuid, which the import uses.
    pub(super) fn vif_there<'b>(&self, f: &Forecast<'b>, vif: &Vif) -> Option<&'b Ref<Vif>> {
        let (reference, there) = f.pool.vif.by_uuid(&vif.uuid)?;
        (!self.freed.contains(&there.VM)).then_some(reference)
    }
}

/// What the pool's VM with the same uuid means for the import.
fn existing<'a>(
    reference: &'a Ref<Vm>,
    there: &'a Vm,
    vm: &Vm,
) -> (Option<Replacement<'a>>, Option<Fault>) {
    let id = reference.to_string();
    if there.power_state != PowerState::Halted {
        let params = [id, "Halted".to_owned(), there.power_state.to_string()];
        return (None, Some(Fault::new("VM_BAD_POWER_STATE", params)));
    }
    if there.version >= vm.version {
        let params = [id, there.version.to_string(), vm.version.to_string()];
        return (None, Some(Fault::new("VM_TO_IMPORT_IS_NOT_NEWER_VERSION", params)));
    }
    // Its devices are destroyed first, the VM next: what protects the VM comes too late for them.
    let refusal = there.blocked_operations.get("destroy");
    let replacement = Replacement { reference, vm: there, destroyed: refusal.is_none() };
    (Some(replacement), refusal.map(|reason| Fault::new("OPERATION_BLOCKED", [&id, reason])))
}

const VIFS: &str = "where the interfaces of its VMs land";
const DISKS: &str = "whether its VMs find their disks";

const VBDS: [&str; 7] = ["uuid", "VM", "VDI", "type", "userdevice", "empty", "currently_attached"];

fn disks_known(f: &mut Forecast<'_>) -> bool {
    f.knows::<Vbd>(Side::Joiner, &VBDS, DISKS)
        & f.knows::<Vbd>(Side::Pool, &["uuid", "VM"], DISKS)
        & f.knows::<Vdi>(Side::Joiner, &["uuid", "SR", "location"], DISKS)
        & f.knows::<Vdi>(Side::Pool, &["uuid", "SR", "location"], DISKS)
        & f.knows::<Sr>(Side::Joiner, &["uuid", "content_type"], DISKS)
        & f.knows::<Sr>(Side::Pool, &["uuid", "content_type", "type"], DISKS)
        & f.srs_known
}

fn devices<'a, T: Record>(
    exported: &[(&'a Ref<Vm>, &'a Vm)],
    all: impl Iterator<Item = (&'a Ref<T>, &'a T)>,
    owner: impl Fn(&'a T) -> &'a Ref<Vm>,
) -> Devices<'a, T> {
    let mut devices: Devices<'a, T> =
        exported.iter().map(|(reference, _)| (*reference, Vec::new())).collect();
    for (reference, device) in all {
        if let Some(list) = devices.get_mut(owner(device)) {
            list.push((reference, device));
        }
    }
    devices
}

/// The pool's disks as they are when the VMs are imported, as far as the import looks for them.
struct Found<'a> {
    disks: HashMap<(Ref<Sr>, &'a str), Ref<Vdi>>,
    isos: HashMap<&'a str, Choice<Vdi>>,
}

impl<'a> Found<'a> {
    fn new(f: &'a Forecast<'_>, wanted: impl Iterator<Item = &'a Vdi>) -> Self {
        let mut srs = HashSet::new();
        let mut iso = false;
        for vdi in wanted {
            srs.extend(f.srs.get(&vdi.SR));
            iso |= f.joiner.sr.get(&vdi.SR).is_some_and(|sr| sr.content_type == "iso");
        }
        let (old, new) = (&f.pool.sr, &f.changes.added.sr);
        let is_library = |sr: &&Sr| sr.content_type == "iso" && sr.r#type != "udev";
        let library =
            |sr: &Ref<Sr>| old.get(sr).or_else(|| new.get(sr)).filter(is_library).is_some();
        let mut found = Self { disks: HashMap::new(), isos: HashMap::new() };
        for (reference, vdi) in &f.old_vdis {
            if srs.contains(&vdi.SR) {
                found.disks.insert((vdi.SR.clone(), &vdi.location), (*reference).clone());
            }
            if iso && library(&vdi.SR) {
                found.isos.entry(&vdi.location).or_default().old = Some((*reference).clone());
            }
        }
        for (reference, vdi, sr) in &f.new_vdis {
            if srs.contains(sr) {
                found.disks.insert((sr.clone(), &vdi.location), joined(reference));
            }
            if iso && library(sr) {
                found.isos.entry(&vdi.location).or_default().new.push(joined(reference));
            }
        }
        found
    }

    fn iso(&self, location: &str) -> Vec<Ref<Vdi>> {
        self.isos.get(location).map(Choice::first).unwrap_or_default()
    }

    fn disk(&self, sr: &Ref<Sr>, location: &str) -> Option<Ref<Vdi>> {
        self.disks.get(&(sr.clone(), location)).cloned()
    }
}

/// Only suspended VMs stay what they are.
pub(super) fn power_state_after(vm: &Vm) -> PowerState {
    match vm.power_state {
        PowerState::Suspended => PowerState::Suspended,
        _ => PowerState::Halted,
    }
}
