//! Whether a member came out of its join as it should: ready, and with what was foretold.

use std::collections::{HashMap, HashSet};

use crate::model::{Host, Network, Ref, Snapshot, Uuid, Vm};
use crate::preflight::consequences::Changes;
use crate::text::{plain, quoted};

/// How far a member is after its join.
pub(super) enum Readiness {
    /// This is still to come.
    NotYet(String),
    /// Live and enabled, but these storage repositories are not attached.
    Detached(String),
    /// Live and enabled, with all its storage.
    Ready,
}

pub(super) fn readiness(snapshot: &Snapshot, uuid: &Uuid) -> Readiness {
    let Some((reference, host)) = snapshot.host.by_uuid(uuid) else {
        return Readiness::NotYet(String::from("the host to appear in the pool"));
    };
    if snapshot.is_live(reference) != Some(true) {
        return Readiness::NotYet(format!("{} to be live", host.name_label));
    }
    if !host.enabled {
        return Readiness::NotYet(format!("{} to be enabled", host.name_label));
    }
    match detached(snapshot, reference).as_slice() {
        [] => Readiness::Ready,
        names => Readiness::Detached(names.join(", ")),
    }
}

/// The names of the storage repositories that are not attached on a host, and should be.
pub(super) fn detached<'a>(snapshot: &'a Snapshot, host: &Ref<Host>) -> Vec<&'a str> {
    let own = snapshot.pbd.records().filter(|pbd| pbd.host == *host && !pbd.currently_attached);
    own.map(|pbd| snapshot.get(&pbd.SR).map_or("?", |sr| sr.name_label.as_str())).collect()
}

/// The keys of `software_version` that a member shares with its master.
const SAME_VERSIONS: &[&str] = &["product_version", "platform_version", "xapi", "db_schema"];

/// What of the toolstack differs between a member and its master, a line each.
pub(super) fn differing_versions(after: &Snapshot, member: &Ref<Host>) -> Vec<String> {
    let (Ok((_, master)), Some(member)) = (after.master(), after.get(member)) else {
        return Vec::new();
    };
    SAME_VERSIONS
        .iter()
        .filter(|key| master.software(key) != member.software(key))
        .map(|key| {
            let of = |host: &Host| host.software(key).unwrap_or("none").to_owned();
            format!("{key} is {} and {} at the master", of(member), of(master))
        })
        .collect()
}

/// What was to arrive with the host and is not there, or not as foretold, a line each.
pub(super) fn not_as_foretold(
    changes: &Changes,
    after: &Snapshot,
    member: &Ref<Host>,
) -> Vec<String> {
    let mut missing = Vec::new();
    for sr in changes.added.sr.records().filter(|sr| after.sr.by_uuid(&sr.uuid).is_none()) {
        missing.push(format!("SR {} ({})", quoted(&sr.name_label), sr.uuid));
    }
    for vdi in changes.added.vdi.records().filter(|vdi| after.vdi.by_uuid(&vdi.uuid).is_none()) {
        missing.push(format!("disk {} ({})", quoted(&vdi.name_label), vdi.uuid));
    }
    for pif in changes.added.pif.records() {
        let what = match pif.VLAN {
            -1 => pif.device.clone(),
            tag => format!("{} VLAN {tag}", pif.device),
        };
        let found = after.pif.records().find(|found| {
            found.host == *member && found.device == pif.device && found.VLAN == pif.VLAN
        });
        let bridge = |snapshot: &Snapshot, network| {
            snapshot.get(network).map(|network: &Network| network.bridge.clone())
        };
        let foretold = bridge(after, &pif.network).or_else(|| bridge(&changes.added, &pif.network));
        match found {
            None => missing.push(format!("interface {what}")),
            Some(found) if foretold.is_some() && bridge(after, &found.network) != foretold => {
                missing.push(format!("interface {what} is on another network than foretold"));
            }
            Some(_) => {}
        }
    }
    missing
}

/// The joiner's VMs, and drives of them, that did not arrive, foretold or not, a line each.
pub(super) fn vms_left_out(joiner: &Snapshot, after: &Snapshot) -> Vec<String> {
    let mut missing = Vec::new();
    let mut arrived = HashMap::new();
    for (reference, vm) in joiner.vm.iter().filter(|(_, vm)| moves(vm)) {
        match after.vm.by_uuid(&vm.uuid) {
            None => missing.push(format!("VM {} ({})", quoted(&vm.name_label), vm.uuid)),
            Some((there, _)) => {
                arrived.insert(reference, (there, vm));
            }
        }
    }
    let there: HashSet<_> =
        after.vbd.records().map(|vbd| (&vbd.VM, vbd.userdevice.as_str())).collect();
    for vbd in joiner.vbd.records() {
        let Some((reference, vm)) = arrived.get(&vbd.VM) else { continue };
        if !there.contains(&(*reference, vbd.userdevice.as_str())) {
            let (drive, name) = (plain(&vbd.userdevice), quoted(&vm.name_label));
            missing.push(format!("drive {drive} of VM {name} ({})", vm.uuid));
        }
    }
    missing
}

/// Whether a VM of the joiner's is to come along; each host has a control domain of its own.
fn moves(vm: &Vm) -> bool {
    !vm.is_of_installation() && !vm.is_control_domain
}
