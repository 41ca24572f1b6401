//! What comes along with a host that joins, what stays behind, and what the join loses.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::actions::{Loss, LossKind};
use crate::model::{Class, Object, Ref, Snapshot, Vbd, VbdType, Vm, object, object_by_uuid};
use crate::preflight::consequences::{
    Attempt, Consequences, CopyOutcome, Import, NetworkOutcome, PifOutcome, Replaced, SrOutcome,
    foretell,
};
use crate::text::{plain, quoted};

/// Something of a joiner's that its pool will not have, by name, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeftBehind {
    /// XAPI's name of the class.
    pub class: String,
    /// The object; missing where no object of the class comes along.
    pub object: Option<Object>,
    /// The field whose value is left behind; missing where it is the whole object.
    pub field: Option<String>,
    /// What is in that field, if it is a set or a map: the items, or the map's keys.
    pub keys: Vec<String>,
}

/// What a join does with what the joiner has.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// The joiner's objects that the pool will have.
    pub brings: Vec<Object>,
    pub left_behind: Vec<LeftBehind>,
    /// What is gone for good.
    pub losses: Vec<Loss>,
}

/// What a join loses that is about to be called, with nothing done before.
pub(crate) fn losses_of_join(pool: &Snapshot, joiner: &Snapshot, force: bool) -> Vec<Loss> {
    Carried::by_join(pool, joiner, force).losses
}

impl Carried {
    /// What `pool.join` makes of both databases as they are, if it is not refused.
    pub(super) fn by_join(pool: &Snapshot, joiner: &Snapshot, force: bool) -> Self {
        let foretold = foretell(pool, joiner, &Attempt { force, refusal: None });
        let mut carried = Self::default();
        carried.host(&foretold, joiner);
        carried.storage(&foretold, joiner);
        carried.networks(&foretold, joiner);
        carried.machines(&foretold, pool, joiner);
        for lost in &foretold.losses {
            let object = object_by_uuid(joiner, lost.class, &lost.uuid, &lost.name);
            match lost.field {
                Some(field) => carried.left_behind.push(LeftBehind {
                    keys: lost.keys.clone(),
                    ..LeftBehind::of(object, Some(field))
                }),
                // No interface and no VM is on it: else the pool would get one like it.
                None if lost.class == Class::Network => {
                    carried.left_behind.push(LeftBehind::of(object, None));
                }
                None if lost.class == Class::Vm => {
                    carried.losses.push(Loss::new(LossKind::Vm, object));
                }
                None => carried.losses.push(Loss::new(LossKind::Record, object)),
            }
        }
        carried.left_behind.extend(foretold.left_behind.iter().map(|class| LeftBehind {
            class: (*class).to_owned(),
            object: None,
            field: None,
            keys: Vec::new(),
        }));
        carried
    }

    fn host(&mut self, foretold: &Consequences, joiner: &Snapshot) {
        let Some(fate) = &foretold.host else { return };
        let host = object_by_uuid(joiner, Class::Host, &fate.uuid, &fate.name_label);
        match fate.outcome {
            CopyOutcome::Created | CopyOutcome::Known => self.brings.push(host),
            CopyOutcome::Refused(_) => self.losses.push(Loss::new(LossKind::Host, host)),
        }
    }

    fn storage(&mut self, foretold: &Consequences, joiner: &Snapshot) {
        for sr in foretold.srs.iter().flatten() {
            // What is refused is the SR of the tools ISO alone, which every installation has.
            if sr.outcome == SrOutcome::Introduced {
                self.brings.push(object_by_uuid(joiner, Class::Sr, &sr.uuid, &sr.name_label));
            }
        }
        for pbd in foretold.pbds.iter().flatten() {
            if pbd.outcome == CopyOutcome::Created {
                self.brings.push(object_by_uuid(joiner, Class::Pbd, &pbd.uuid, &pbd.sr));
            }
        }
        for vdi in foretold.vdis.iter().flatten() {
            let disk = object_by_uuid(joiner, Class::Vdi, &vdi.uuid, &vdi.name_label);
            let is_tools =
                || joiner.vdi.by_uuid(&vdi.uuid).is_some_and(|(_, vdi)| vdi.is_tools_iso);
            match vdi.outcome {
                CopyOutcome::Created => self.brings.push(disk),
                CopyOutcome::Known => {}
                CopyOutcome::Refused(_) if is_tools() => {}
                CopyOutcome::Refused(_) => self.losses.push(Loss::new(LossKind::Record, disk)),
            }
        }
    }

    fn networks(&mut self, foretold: &Consequences, joiner: &Snapshot) {
        for network in foretold.networks.iter().flatten() {
            let new =
                matches!(network.outcome, NetworkOutcome::Created | NetworkOutcome::Introduced);
            if let Some(record) = joiner.network.get(&network.reference).filter(|_| new) {
                self.brings.push(object(&network.reference, record));
            }
        }
        for pif in foretold.interfaces.iter().flatten() {
            let name = match pif.vlan {
                -1 => pif.device.clone(),
                tag => format!("{} VLAN {tag}", pif.device),
            };
            let interface = object_by_uuid(joiner, Class::Pif, &pif.uuid, &name);
            match pif.outcome {
                PifOutcome::Introduced(_) => self.brings.push(interface),
                PifOutcome::NotCopied | PifOutcome::Refused(_) => {
                    self.left_behind.push(LeftBehind::of(interface, None));
                }
            }
        }
    }

    fn machines(&mut self, foretold: &Consequences, pool: &Snapshot, joiner: &Snapshot) {
        let Some(machines) = &foretold.machines else { return };
        self.replaced(&machines.replaced, pool);
        if machines.import != Import::Complete {
            return;
        }
        let mut emptied = HashMap::new();
        for vm in machines.vms.iter().filter(|vm| vm.arrives) {
            let arriving = object_by_uuid(joiner, Class::Vm, &vm.uuid, &vm.name_label);
            if !vm.emptied.is_empty() {
                let devices: HashSet<_> = vm.emptied.iter().map(String::as_str).collect();
                let reference = Ref::<Vm>::new(&arriving.reference);
                emptied.insert(reference, (vm.name_label.as_str(), devices));
            }
            self.brings.push(arriving);
        }
        if emptied.is_empty() {
            return;
        }
        for (reference, vbd) in &joiner.vbd {
            let Some((vm, devices)) = emptied.get(&vbd.VM) else { continue };
            if !devices.contains(vbd.userdevice.as_str()) {
                continue;
            }
            let drive = drive(reference, vbd, vm);
            match vbd.r#type {
                // The import leaves it out; a drive for discs stays, empty.
                VbdType::Disk => self.losses.push(Loss::new(LossKind::Record, drive)),
                _ => self.left_behind.push(LeftBehind::of(drive, Some("VDI"))),
            }
        }
    }

    /// The pool's VMs that make room for the joiner's, or lose their devices for nothing.
    fn replaced(&mut self, replaced: &[Replaced], pool: &Snapshot) {
        let mut bare = HashMap::new();
        for lost in replaced {
            let Some(vm) = pool.vm.get(&lost.reference) else { continue };
            match lost.destroyed {
                true => {
                    self.losses.push(Loss::new(LossKind::Vm, object(&lost.reference, vm)));
                }
                false => {
                    bare.insert(&lost.reference, vm.name_label.as_str());
                }
            }
        }
        if bare.is_empty() {
            return;
        }
        for (reference, vbd) in &pool.vbd {
            if let Some(vm) = bare.get(&vbd.VM) {
                self.losses.push(Loss::new(LossKind::Record, drive(reference, vbd, vm)));
            }
        }
        for (reference, vif) in &pool.vif {
            if let Some(vm) = bare.get(&vif.VM) {
                let name = format!("{} of {vm}", vif.device);
                let interface = Object::of(reference, vif, name);
                self.losses.push(Loss::new(LossKind::Record, interface));
            }
        }
    }
}

/// A drive of a VM, as people know it.
fn drive(reference: &Ref<Vbd>, vbd: &Vbd, vm: &str) -> Object {
    Object::of(reference, vbd, format!("{} of {vm}", vbd.userdevice))
}

impl LeftBehind {
    fn of(object: Object, field: Option<&str>) -> Self {
        Self {
            class: object.class.clone(),
            object: Some(object),
            field: field.map(str::to_owned),
            keys: Vec::new(),
        }
    }
}

/// Writes what comes along and what stays behind, a line for each class or object.
pub(super) fn write(
    brings: &[Object],
    left_behind: &[LeftBehind],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let mut by_class = BTreeMap::<&str, Vec<&Object>>::new();
    for object in brings {
        by_class.entry(&object.class).or_default().push(object);
    }
    for (class, objects) in by_class {
        write!(f, "      brings {} ", plain(class))?;
        for (n, object) in objects.iter().take(SHOWN).enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match object.name.as_str() {
                "" => write!(f, "{comma}{}", plain(&object.uuid))?,
                name => write!(f, "{comma}{}", quoted(name))?,
            }
        }
        match objects.len().saturating_sub(SHOWN) {
            0 => writeln!(f)?,
            more => writeln!(f, " and {more} more")?,
        }
    }
    left_behind.iter().try_for_each(|left| writeln!(f, "      leaves behind {left}"))
}

/// So many names fit a line.
const SHOWN: usize = 5;

impl fmt::Display for LeftBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{} ", plain(field))?;
            if !self.keys.is_empty() {
                let keys: Vec<_> = self.keys.iter().map(|key| quoted(key).to_string()).collect();
                write!(f, "({}) ", keys.join(", "))?;
            }
            f.write_str("of ")?;
        }
        match &self.object {
            Some(object) => write!(f, "{object}"),
            None => write!(f, "all of class {}", plain(&self.class)),
        }
    }
}
