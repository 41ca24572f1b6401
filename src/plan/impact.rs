//! What the ejection of a host does to the pool and to the host, beside the call's own effect.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::actions::{Loss, LossKind};
use crate::failover::WhatIf;
use crate::model::Object;
use crate::model::{Host, Pbd, Ref, Snapshot, Sr, Vdi, Vm};
use crate::text::plain;

/// What goes with a host that is ejected.
///
/// Storage that only this host has is forgotten by the pool (`xapi_pool.ml`, `eject`), and the host
/// sets its local disks up anew at its next boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Impact {
    /// The storage repositories that vanish from the pool, in the order of their names.
    pub srs: Vec<SrImpact>,
    /// The VMs that lose something, in the order of their names. Their records stay.
    pub vms: Vec<VmImpact>,
    /// How many host failures HA can plan for, while HA is on.
    pub ha: Option<HaImpact>,
}

/// A storage repository that vanishes from the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SrImpact {
    /// The storage repository.
    pub sr: Object,
    /// Its driver, such as `ext`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What becomes of what lies on it.
    pub data: DataFate,
    /// How many disks lie on it.
    pub disks: usize,
    /// How large these are together, in bytes.
    pub bytes: i64,
    /// Whether it is where the pool puts new disks.
    pub is_default: bool,
}

/// What becomes of the data on a storage repository that the pool forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DataFate {
    /// The host's own disks are set up anew: it is gone.
    Destroyed,
    /// There is none of its own: drives and removable media.
    None,
    /// It stays on the shared storage, which can be introduced again.
    Stays,
}

/// A VM that loses disks, or its memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VmImpact {
    /// The VM, template or snapshot.
    pub vm: Object,
    /// How many of its disks vanish.
    pub disks: usize,
    /// How many disks it has.
    pub of: usize,
    /// Whether the memory of a suspended VM goes too.
    pub memory: bool,
}

/// How many host failures HA can plan for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HaImpact {
    /// With the host.
    pub before: i64,
    /// Without it.
    pub after: i64,
    /// How many the pool is set to tolerate.
    pub wanted: i64,
}

impl Impact {
    /// What goes with a host, and the losses that need consent.
    pub(super) fn of(pool: &Snapshot, host: &Ref<Host>) -> (Self, Vec<Loss>) {
        let mut by_sr: BTreeMap<&Ref<Sr>, Vec<&Pbd>> = BTreeMap::new();
        for pbd in pool.pbd.records() {
            by_sr.entry(&pbd.SR).or_default().push(pbd);
        }
        let mut disks: BTreeMap<&Ref<Sr>, Vec<(&Ref<Vdi>, &Vdi)>> = BTreeMap::new();
        for (reference, vdi) in &pool.vdi {
            disks.entry(&vdi.SR).or_default().push((reference, vdi));
        }
        let default = pool.the_pool().ok().map(|(_, pool)| &pool.default_SR);
        let (mut srs, mut losses, mut gone) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (reference, pbds) in by_sr {
            let Some(sr) = pool.get(reference) else { continue };
            if pbds.iter().any(|pbd| pbd.host != *host) {
                continue;
            }
            let disks = disks.get(reference).map_or(&[][..], Vec::as_slice);
            gone.extend(disks.iter().map(|(vdi, _)| *vdi));
            let object = Object::of(reference, sr, &sr.name_label);
            let data = fate(sr);
            if data == DataFate::Destroyed {
                losses.push(Loss::new(LossKind::SrContent, object.clone()));
                losses.extend(disks.iter().map(|(reference, vdi)| {
                    let disk = Object::of(reference, *vdi, &vdi.name_label);
                    Loss::new(LossKind::Vdi, disk).bytes(vdi.virtual_size)
                }));
            }
            srs.push(SrImpact {
                sr: object,
                kind: sr.r#type.clone(),
                data,
                disks: disks.len(),
                bytes: disks.iter().map(|(_, vdi)| vdi.virtual_size.max(0)).sum(),
                is_default: default == Some(reference),
            });
        }
        srs.sort_by(|a, b| a.sr.name.cmp(&b.sr.name).then_with(|| a.sr.cmp(&b.sr)));
        let vms = vms(pool, &gone);
        for vm in vms.iter().filter(|vm| vm.memory) {
            losses.push(Loss::new(LossKind::Memory, vm.vm.clone()));
        }
        let is_on = pool.the_pool().is_ok_and(|(_, pool)| pool.ha_enabled);
        (Self { srs, vms, ha: is_on.then(|| ha(pool, host)).flatten() }, losses)
    }
}

/// What becomes of the data of a storage repository whose only host goes.
fn fate(sr: &Sr) -> DataFate {
    match sr.r#type.as_str() {
        "udev" => DataFate::None,
        _ if sr.is_tools_sr => DataFate::None,
        _ if sr.shared => DataFate::Stays,
        _ => DataFate::Destroyed,
    }
}

/// The VMs that lose some of these disks.
fn vms(pool: &Snapshot, gone: &BTreeSet<&Ref<Vdi>>) -> Vec<VmImpact> {
    let mut disks: BTreeMap<&Ref<Vm>, (usize, usize)> = BTreeMap::new();
    for vbd in pool.vbd.records().filter(|vbd| !vbd.VDI.is_null()) {
        let (lost, of) = disks.entry(&vbd.VM).or_default();
        *of += 1;
        *lost += usize::from(gone.contains(&vbd.VDI));
    }
    let lose = pool.vm.iter().filter_map(|(reference, vm)| {
        let (disks, of) = disks.get(reference).copied().unwrap_or_default();
        let memory = gone.contains(&vm.suspend_VDI);
        let vm = Object::of(reference, vm, &vm.name_label);
        (disks > 0 || memory).then_some(VmImpact { vm, disks, of, memory })
    });
    let mut vms: Vec<_> = lose.collect();
    vms.sort_by(|a, b| a.vm.name.cmp(&b.vm.name).then_with(|| a.vm.cmp(&b.vm)));
    vms
}

fn ha(pool: &Snapshot, host: &Ref<Host>) -> Option<HaImpact> {
    let asked = WhatIf::HostLeaves { host: host.clone() }.ask(pool).ok()?;
    Some(HaImpact {
        before: asked.maximum_before,
        after: asked.after.maximum.value,
        wanted: pool.the_pool().ok()?.1.ha_host_failures_to_tolerate,
    })
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sr in &self.srs {
            writeln!(f, "      {sr}")?;
        }
        for vm in &self.vms {
            writeln!(f, "      {vm}")?;
        }
        match &self.ha {
            Some(ha) => writeln!(f, "      {ha}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SrImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) vanishes from the pool", self.sr, plain(&self.kind))?;
        if self.disks > 0 {
            let s = if self.disks == 1 { "" } else { "s" };
            write!(f, " with {} disk{s} of {}", self.disks, Size(self.bytes))?;
        }
        f.write_str(match self.data {
            DataFate::Destroyed => "; what lies on it is destroyed",
            DataFate::None => "",
            DataFate::Stays => "; what lies on it stays there",
        })?;
        f.write_str(if self.is_default { "; it is the pool's default SR" } else { "" })
    }
}

impl fmt::Display for VmImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loses ", self.vm)?;
        match self.disks {
            0 => {}
            disks if disks == self.of => write!(f, "all its disks ({disks})")?,
            disks => write!(f, "{disks} of {} disks", self.of)?,
        }
        match (self.disks, self.memory) {
            (_, false) => Ok(()),
            (0, true) => f.write_str("its suspended memory"),
            (_, true) => f.write_str(" and its suspended memory"),
        }
    }
}

impl fmt::Display for HaImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, after, wanted } = self;
        write!(f, "HA can plan for {before} host failures now, for {after} without it; ")?;
        write!(f, "{wanted} are wanted")
    }
}

/// Bytes as people read them.
struct Size(i64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = self.0 >> 30;
        match self.0 {
            bytes if bytes < 1 << 30 => write!(f, "{} MiB", bytes >> 20),
            _ => write!(f, "{gib} GiB"),
        }
    }
}
