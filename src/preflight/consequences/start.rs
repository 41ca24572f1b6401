//! What the new member does at its start, after the join returned.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::forecast::Forecast;
use crate::actions::Side;
use crate::model::{Bond, Network, Pbd, Pif, Ref, Sr, Uuid, Vlan};

/// What the new member does at its start, some minutes after the join returned.
///
/// Read from XAPI's code (`Create_storage`, `Sync_networking`, `Dbsync_slave`); recordings of joins
/// end before.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AfterStart {
    /// The pool's shared SRs that it gets connected to, if known.
    pub connected: Option<Vec<SharedSr>>,
    /// The pool's shared SRs that it does not get connected to.
    ///
    /// The master itself is not connected to them.
    pub not_connected: Option<Vec<SharedSr>>,
    /// The master's bonds, made again from the member's interfaces, if known.
    pub bonds: Option<Vec<BondCopy>>,
    /// The master's VLANs, made again where the interface below exists, if known.
    pub vlans: Option<Vec<VlanCopy>>,
}

/// A shared SR of the pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SharedSr {
    /// The SR's uuid.
    pub uuid: Uuid,
    /// Its name.
    pub name_label: String,
    /// Its type.
    pub r#type: String,
    /// What the new PBD will say; empty without one.
    ///
    /// Secrets get copies of their own.
    pub device_config: BTreeMap<String, String>,
}

/// A bond of the master's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BondCopy {
    /// The name of its network.
    pub network: String,
    /// The devices of the master's bond that the member has too.
    pub members: Vec<String>,
    /// The devices that the member lacks: its bond is smaller, or there is none.
    pub missing: Vec<String>,
}

/// A VLAN of the master's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VlanCopy {
    /// The name of its network.
    pub network: String,
    /// The tag.
    pub tag: i64,
    /// Whether the member has an interface, or gets a bond, on the network below.
    pub possible: bool,
}

/// Foretells the new member's start.
pub(super) fn foretell(f: &mut Forecast<'_>) -> Option<AfterStart> {
    let (master, _) = f.master?;
    let master = master.clone();
    let host = f.host.clone()?.ok()?;
    let mut start = AfterStart { connected: None, not_connected: None, bonds: None, vlans: None };
    const SRS: &str = "which shared SRs the new member gets connected to";
    let known = f.knows::<Sr>(Side::Pool, &["uuid", "shared", "name_label", "type"], SRS)
        & f.knows::<Pbd>(Side::Pool, &["host", "SR", "device_config"], SRS);
    if known {
        // The server takes the first that it lists, which is the last by ref.
        let of_master: BTreeMap<_, _> = f
            .pool
            .pbd
            .records()
            .filter(|pbd| pbd.host == master)
            .map(|pbd| (&pbd.SR, pbd))
            .collect();
        let all = f.pool.pbd.records().chain(f.changes.added.pbd.records());
        let has: BTreeSet<_> = all.filter(|pbd| pbd.host == host).map(|pbd| &pbd.SR).collect();
        let (mut connected, mut not_connected) = (Vec::new(), Vec::new());
        for (reference, sr) in f.pool.sr.iter().filter(|(id, sr)| sr.shared && !has.contains(id)) {
            match of_master.get(reference) {
                Some(pbd) => {
                    let mut device_config = pbd.device_config.clone();
                    device_config.remove("SRmaster");
                    connected.push(shared(sr, device_config));
                }
                None => not_connected.push(shared(sr, BTreeMap::new())),
            }
        }
        start.connected = Some(connected);
        start.not_connected = Some(not_connected);
    }
    const NETWORKS: &str = "which bonds and VLANs the new member gets";
    let pifs = ["host", "network", "device", "physical", "VLAN"];
    let known = f.knows::<Network>(Side::Pool, &["name_label"], NETWORKS)
        & f.knows::<Bond>(Side::Pool, &["master", "slaves"], NETWORKS)
        & f.knows::<Vlan>(Side::Pool, &["tagged_PIF", "untagged_PIF", "tag"], NETWORKS)
        & f.knows::<Pif>(Side::Pool, &pifs, NETWORKS)
        & f.knows::<Pif>(Side::Joiner, &pifs, NETWORKS);
    if known {
        networks(f, &master, &host, &mut start);
    }
    Some(start)
}

fn shared(sr: &Sr, device_config: BTreeMap<String, String>) -> SharedSr {
    SharedSr {
        uuid: sr.uuid.clone(),
        name_label: sr.name_label.clone(),
        r#type: sr.r#type.clone(),
        device_config,
    }
}

fn networks(
    f: &Forecast<'_>,
    master: &Ref<crate::model::Host>,
    host: &Ref<crate::model::Host>,
    start: &mut AfterStart,
) {
    let pool = f.pool;
    let mine: Vec<&Pif> = pool
        .pif
        .records()
        .chain(f.changes.added.pif.records())
        .filter(|pif| pif.host == *host)
        .collect();
    let devices: BTreeSet<&str> =
        mine.iter().filter(|pif| pif.physical).map(|pif| pif.device.as_str()).collect();
    let mut on: BTreeSet<_> = mine.iter().map(|pif| pif.network.clone()).collect();
    let tagged: BTreeSet<_> = mine.iter().map(|pif| (pif.network.clone(), pif.VLAN)).collect();
    let name = |pif: &Pif| {
        pool.get(&pif.network).map(|network| network.name_label.clone()).unwrap_or_default()
    };
    let mut bonds = Vec::new();
    for bond in pool.bond.records() {
        let Some(over) = pool.get(&bond.master).filter(|pif| pif.host == *master) else { continue };
        let slaves = bond.slaves.iter().filter_map(|slave| pool.get(slave));
        let slaves = slaves.map(|pif| pif.device.clone());
        let (members, missing): (Vec<_>, Vec<_>) =
            slaves.partition(|device| devices.contains(device.as_str()));
        if !members.is_empty() {
            on.insert(over.network.clone());
        }
        bonds.push(BondCopy { network: name(over), members, missing });
    }
    let mut vlans = Vec::new();
    for vlan in pool.vlan.records() {
        let (Some(over), Some(below)) = (pool.get(&vlan.untagged_PIF), pool.get(&vlan.tagged_PIF))
        else {
            continue;
        };
        if over.host == *master && !tagged.contains(&(over.network.clone(), over.VLAN)) {
            let possible = on.contains(&below.network);
            vlans.push(VlanCopy { network: name(over), tag: vlan.tag, possible });
        }
    }
    start.bonds = Some(bonds);
    start.vlans = Some(vlans);
}
