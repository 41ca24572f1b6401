//! What becomes of the joiner's VMs.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::change::{joined, place};
use super::forecast::Forecast;
use super::import::{Import, Plan, as_vm, power_state_after};
use super::network::{Landing, NetworkFate, Networks};
use super::record;
use crate::actions::Side;
use crate::model::{
    Class, Network, Object, PowerState, Ref, Uuid, Vbd, Vif, Vm, VmGuestMetrics, VmMetrics, object,
};

/// What becomes of the joiner's VMs, its templates, snapshots and control domain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Machines {
    /// How the import ends.
    pub import: Import,
    /// The VMs that are exported.
    pub vms: Vec<VmFate>,
    /// How many default templates stay behind; the pool has its own.
    pub default_templates: usize,
    /// The pool's VMs that are destroyed to make room.
    pub replaced: Vec<Replaced>,
    /// How many `VM_metrics` stay in the pool without a VM, if known.
    pub orphan_metrics: Option<usize>,
}

/// What becomes of a VM of the joiner's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VmFate {
    /// The VM's uuid, which it keeps.
    pub uuid: Uuid,
    /// Its name.
    pub name_label: String,
    /// What it is.
    pub kind: VmKind,
    /// Its power state on the joiner.
    pub power_state: PowerState,
    /// Its power state in the pool, if it arrives.
    pub power_state_after: PowerState,
    /// Its version in the pool, if it arrives: one more than on the joiner.
    pub version: i64,
    /// Whether it arrives.
    pub arrives: bool,
    /// Its interfaces, if it is known where they land.
    pub vifs: Option<Vec<VifFate>>,
    /// How many disks and drives come with it, if known.
    pub drives: Option<usize>,
    /// The drives, by `userdevice`, that are emptied or left out.
    ///
    /// Their disks are not found.
    pub emptied: Vec<String>,
}

/// What a VM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VmKind {
    /// A control domain (dom0).
    ControlDomain,
    /// A snapshot.
    Snapshot,
    /// A template of somebody's own.
    Template,
    /// A VM.
    Vm,
}

/// Where an interface of a VM lands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VifFate {
    /// The VIF's uuid, which it keeps.
    pub uuid: Uuid,
    /// Its number in the VM.
    pub device: String,
    /// Its MAC address, which it keeps.
    #[serde(rename = "MAC")]
    pub mac: String,
    /// The name of its network on the joiner.
    pub network: String,
    /// Where it lands.
    ///
    /// Nowhere if the pool has an interface with this uuid, which is left as it is.
    pub landing: Option<Landing>,
}

/// A VM of the pool that is destroyed, because one of the joiner's has its uuid.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Replaced {
    /// The VM, by its name in the pool.
    #[serde(serialize_with = "as_vm")]
    pub vm: Object,
    /// Its ref in the pool.
    #[serde(rename = "ref")]
    pub reference: Ref<Vm>,
    /// Its version in the pool.
    pub version: i64,
    /// Whether the VM itself goes; if not, it only loses its interfaces and drives.
    pub destroyed: bool,
    /// Whether the joiner's VM comes in its place; if not, it is destroyed for nothing.
    pub by_another: bool,
    /// How many interfaces are destroyed, if known.
    pub vifs: Option<usize>,
    /// How many drives are destroyed, if known; the disks stay.
    pub vbds: Option<usize>,
    /// How many snapshots lose the VM that they are of.
    pub snapshots: usize,
}

/// Export and import of the joiner's VMs (`export_all`, `import.ml`).
pub(super) fn foretell<'a>(
    f: &mut Forecast<'a>,
    networks: Option<(&mut Networks, &mut [NetworkFate])>,
) -> Option<Machines> {
    const HIDES: &str = "which VMs arrive";
    let ours = [
        "uuid",
        "name_label",
        "is_control_domain",
        "suspend_VDI",
        "version",
        "power_state",
        "is_a_template",
        "is_default_template",
        "is_a_snapshot",
        "snapshot_of",
        "other_config",
        "domain_type",
        "HVM_boot_policy",
    ];
    let theirs = [
        "uuid",
        "name_label",
        "version",
        "power_state",
        "is_a_snapshot",
        "snapshot_of",
        "other_config",
    ];
    let known =
        f.knows::<Vm>(Side::Joiner, &ours, HIDES) & f.knows::<Vm>(Side::Pool, &theirs, HIDES);
    if !known {
        return None;
    }
    let lost = ["blocked_operations", "appliance", "VUSBs"];
    f.knows::<Vm>(Side::Joiner, &lost, "what its VMs lose");
    let plan = Plan::new(f, networks.is_some());
    devices_unknown(f, &plan);
    let mut landings = HashMap::new();
    if let (None, Some((networks, fates)), Some(_)) = (&plan.clash, networks, &plan.vifs) {
        landings = land(f, &plan, networks, fates);
    }
    let vms = plan.exported.iter().map(|(id, vm)| fate(f, &plan, &landings, id, vm)).collect();
    let replaced = replace(f, &plan);
    let orphan_metrics = metrics(f, &plan);
    let import = match &plan.clash {
        Some(clash) => {
            f.swallowed.push(clash.fault.clone());
            for (_, vm) in plan.exported.iter().filter(|(_, vm)| !vm.is_control_domain) {
                f.lose(*vm, &vm.name_label, None, clash.fault.told());
            }
            Import::Undone(Box::new(clash.clone()))
        }
        None => {
            let exported = if f.whole { &plan.exported[..] } else { &[] };
            for (id, vm) in exported {
                record::add(f, &plan, &landings, id, vm);
            }
            Import::Complete
        }
    };
    let default_templates = f.joiner.vm.records().filter(|vm| vm.is_of_installation()).count();
    Some(Machines { import, vms, default_templates, replaced, orphan_metrics })
}

/// Notes what hangs on devices that the snapshots do not hold.
fn devices_unknown(f: &mut Forecast<'_>, plan: &Plan<'_>) {
    let exported: HashSet<_> = plan.exported.iter().map(|(reference, _)| *reference).collect();
    if f.joiner.vgpu.records().any(|vgpu| exported.contains(&vgpu.VM)) {
        let hides = "whether the pool has the GPU groups that its VMs need: if not, no VM arrives";
        f.gap(Side::Pool, Class::Pgpu, Some("GPU_group"), hides);
    }
}

/// Finds the pool's network for each network that an exported VM is on (`import.ml`, `Net`).
fn land(
    f: &mut Forecast<'_>,
    plan: &Plan<'_>,
    networks: &mut Networks,
    fates: &mut [NetworkFate],
) -> HashMap<Ref<Network>, Landing> {
    let used: HashSet<&Ref<Network>> =
        plan.vifs.iter().flat_map(HashMap::values).flatten().map(|(_, vif)| &vif.network).collect();
    let joiner = f.joiner;
    let mut landings = HashMap::new();
    for (reference, network) in joiner.network.iter().rev().filter(|(id, _)| used.contains(id)) {
        let landing = networks.land(f, reference, network);
        landings.insert(reference.clone(), landing);
    }
    for fate in fates {
        fate.landing = landings.get(&fate.reference).cloned();
    }
    landings
}

fn fate(
    f: &mut Forecast<'_>,
    plan: &Plan<'_>,
    landings: &HashMap<Ref<Network>, Landing>,
    reference: &Ref<Vm>,
    vm: &Vm,
) -> VmFate {
    let arrives = plan.clash.is_none();
    let vifs = plan.vifs.as_ref().filter(|_| arrives).map(|vifs| {
        let vifs = vifs.get(reference).into_iter().flatten();
        vifs.map(|(_, vif)| {
            let network = f.joiner.network.get(&vif.network);
            let landing = landings.get(&vif.network).filter(|_| plan.vif_there(f, vif).is_none());
            VifFate {
                uuid: vif.uuid.clone(),
                device: vif.device.clone(),
                mac: vif.MAC.clone(),
                network: network.map(|n| n.name_label.clone()).unwrap_or_default(),
                landing: landing.cloned(),
            }
        })
        .collect()
    });
    let drives = plan.vbds.as_ref().map(|vbds| vbds.get(reference).map_or(&[][..], Vec::as_slice));
    let gone = |vbd: &Vbd| !vbd.empty && plan.vdis.get(&vbd.VDI).is_none_or(Vec::is_empty);
    let emptied = drives.unwrap_or_default().iter().filter(|(_, vbd)| gone(vbd));
    let fate = VmFate {
        uuid: vm.uuid.clone(),
        name_label: vm.name_label.clone(),
        kind: kind(vm),
        power_state: vm.power_state.clone(),
        power_state_after: power_state_after(vm),
        version: vm.version.saturating_add(1),
        arrives,
        vifs,
        drives: drives.map(<[_]>::len),
        emptied: emptied.map(|(_, vbd)| vbd.userdevice.clone()).collect(),
    };
    if arrives {
        losses(f, vm);
    }
    fate
}

fn kind(vm: &Vm) -> VmKind {
    if vm.is_control_domain {
        VmKind::ControlDomain
    } else if vm.is_a_snapshot {
        VmKind::Snapshot
    } else if vm.is_a_template {
        VmKind::Template
    } else {
        VmKind::Vm
    }
}

/// What the import leaves out.
fn losses(f: &mut Forecast<'_>, vm: &Vm) {
    let name = &vm.name_label;
    if !vm.blocked_operations.is_empty() {
        f.lose_field(vm, name, "blocked_operations", &vm.blocked_operations);
    }
    if let Some(appliance) = f.joiner.vm_appliance.get(&vm.appliance) {
        f.lose(vm, name, Some("appliance"), appliance.name_label.clone());
    }
    for group in vm.groups.iter().flatten() {
        let group = f.joiner.vm_group.get(group).map(|group| group.name_label.clone());
        f.lose(vm, name, Some("groups"), group.unwrap_or_default());
    }
    if !vm.VUSBs.is_empty() {
        f.lose(vm, name, Some("VUSBs"), vm.VUSBs.len().to_string());
    }
    if vm.power_state == PowerState::Paused {
        f.lose(vm, name, Some("power_state"), vm.power_state.to_string());
    }
}

/// The pool's VMs that make room go with their devices, and stay gone if the import is undone.
fn replace(f: &mut Forecast<'_>, plan: &Plan<'_>) -> Vec<Replaced> {
    if plan.replaced.is_empty() {
        return Vec::new();
    }
    const HIDES: &str = "what goes with the VMs that are replaced";
    f.knows::<Vm>(Side::Pool, &["metrics", "parent"], HIDES);
    let vifs = f.knows::<Vif>(Side::Pool, &["VM"], HIDES).then_some(0);
    let vbds = f.knows::<Vbd>(Side::Pool, &["VM"], HIDES).then_some(0);
    let pool = f.pool;
    let mut order: Vec<_> = plan.replaced.values().collect();
    order.sort_by_key(|replacement| replacement.reference);
    let places: HashMap<_, _> =
        order.iter().enumerate().map(|(n, replacement)| (replacement.reference, n)).collect();
    let mut replaced: Vec<_> = order
        .iter()
        .map(|replacement| Replaced {
            vm: object(replacement.reference, replacement.vm),
            reference: replacement.reference.clone(),
            version: replacement.vm.version,
            destroyed: replacement.destroyed,
            by_another: plan.clash.is_none(),
            vifs,
            vbds,
            snapshots: 0,
        })
        .collect();
    for (reference, vif) in &pool.vif {
        if let Some(n) = places.get(&vif.VM) {
            replaced[*n].vifs = replaced[*n].vifs.map(|count| count + 1);
            f.changes.remove(reference);
        }
    }
    for (reference, vbd) in &pool.vbd {
        if let Some(n) = places.get(&vbd.VM) {
            replaced[*n].vbds = replaced[*n].vbds.map(|count| count + 1);
            f.changes.remove(reference);
        }
    }
    for replacement in order.iter().filter(|replacement| replacement.destroyed) {
        f.changes.remove(replacement.reference);
        if pool.get(&replacement.vm.metrics).is_some() {
            f.changes.remove(&replacement.vm.metrics);
        }
        if pool.get(&replacement.vm.guest_metrics).is_some() {
            f.changes.remove(&replacement.vm.guest_metrics);
        }
    }
    for (reference, vm) in &pool.vm {
        let parent = places.get(&vm.parent).filter(|n| order[**n].destroyed);
        if let Some(n) = parent {
            f.changes.reparented.insert(reference.clone(), order[*n].vm.parent.clone());
        }
        if let Some(n) = places.get(&vm.snapshot_of).filter(|_| vm.is_a_snapshot) {
            replaced[*n].snapshots += 1;
        }
    }
    for (reference, vgpu) in &pool.vgpu {
        if places.get(&vgpu.VM).is_some_and(|n| order[*n].destroyed) {
            f.changes.remove(reference);
        }
    }
    for (reference, vusb) in &pool.vusb {
        if places.get(&vusb.VM).is_some_and(|n| order[*n].destroyed) {
            f.changes.remove(reference);
        }
    }
    replaced
}

/// The records of class `VM_metrics`, which are made before the VMs; returns how many get no VM.
///
/// Those of `VM_guest_metrics` are made with them.
fn metrics(f: &mut Forecast<'_>, plan: &Plan<'_>) -> Option<usize> {
    const HIDES: &str = "which VM_metrics appear";
    let known = f.knows::<Vm>(Side::Joiner, &["metrics"], HIDES)
        & f.knows::<VmMetrics>(Side::Joiner, &[], HIDES);
    let joiner = f.joiner;
    let made = match &plan.clash {
        Some(_) => &plan.exported[plan.orphans_from.min(plan.exported.len())..],
        None => &plan.exported[..],
    };
    let mut count = 0;
    for (_, vm) in made {
        if let Some(metrics) = joiner.vm_metrics.get(&vm.metrics) {
            count += 1;
            if f.whole {
                let mut new = metrics.clone();
                new.absent.insert(place::<VmMetrics>("uuid"));
                new.uuid = Uuid::default();
                f.changes.add(joined(&vm.metrics), new);
            }
        }
        if let Some(guest) = joiner.vm_guest_metrics.get(&vm.guest_metrics).filter(|_| f.whole) {
            let mut new = guest.clone();
            new.absent.insert(place::<VmGuestMetrics>("uuid"));
            new.uuid = Uuid::default();
            f.changes.add(joined(&vm.guest_metrics), new);
        }
    }
    known.then_some(if plan.clash.is_some() { count } else { 0 })
}
