//! What becomes of physical interfaces, and of a management interface on a VLAN.

use serde::Serialize;

use super::change::{joined, place};
use super::forecast::Forecast;
use super::network::{Carrier, Networks, Place, place_of};
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{Host, Network, Pif, PifMetrics, Ref, Uuid, Vlan};

/// What becomes of an interface of the joiner's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PifFate {
    /// Its uuid on the joiner; the new one gets another.
    pub uuid: Uuid,
    /// Its device, such as `eth0`.
    pub device: String,
    /// Its VLAN tag, -1 if untagged.
    #[serde(rename = "VLAN")]
    pub vlan: i64,
    /// Whether it is the management interface.
    pub management: bool,
    /// What becomes of it.
    pub outcome: PifOutcome,
    /// An interface of this host with that device, which the pool has already.
    ///
    /// The pool keeps it.
    pub twin: Option<Ref<Pif>>,
}

/// What becomes of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PifOutcome {
    /// It appears on this network of the pool.
    Introduced(Place),
    /// It is neither physical nor the management interface, and is not copied.
    NotCopied,
    /// It does not appear; the error, if it has an XAPI code, is swallowed.
    Refused(Option<Fault>),
}

/// Whether management is on a VLAN, and what that entails.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Management {
    /// On a physical interface or a bond.
    Untagged,
    /// On a VLAN, which comes along.
    ///
    /// So do secrets and PVS sites, which do not otherwise.
    Vlan {
        /// The tag.
        tag: i64,
        /// The pool's management network, where the VLAN's interface goes, if known.
        network: Option<Place>,
        /// The bridge on the joiner.
        bridge: String,
        /// The bridge that the joiner renames its own to, as the last step before the restart.
        ///
        /// If that fails, the call fails, and everything foretold here stays in the pool, the host
        /// disabled and not live, while the joiner stays a master with its old database.
        renamed: Option<String>,
    },
}

/// The physical interfaces, and a VLAN that carries management.
pub(super) struct Interfaces {
    pub pifs: Vec<PifFate>,
    pub management: Option<Management>,
}

/// `create_or_get_pif_on_master`, `create_or_get_vlan_on_master`.
pub(super) fn foretell(f: &mut Forecast<'_>, networks: &mut Networks) -> Option<Interfaces> {
    const HIDES: &str = "which PIFs appear";
    let fields = [
        "uuid",
        "device",
        "host",
        "network",
        "VLAN",
        "VLAN_master_of",
        "physical",
        "management",
        "managed",
    ];
    let known = f.knows::<Pif>(Side::Joiner, &fields, HIDES)
        & f.knows::<Pif>(Side::Pool, &["uuid", "device", "host"], HIDES);
    let host = f.host.clone().filter(|_| known)?;
    let joiner = f.joiner;
    let mut pifs = Vec::new();
    for (reference, pif) in joiner.pif.iter().rev() {
        let outcome = if !pif.physical {
            PifOutcome::NotCopied
        } else {
            match physical(f, networks, &host, reference, pif) {
                Ok(network) => PifOutcome::Introduced(place_of(f, &network)),
                Err(fault) => refused(f, fault),
            }
        };
        pifs.push(fate(f, &host, pif, outcome));
    }
    let mut interfaces = Interfaces { pifs, management: None };
    management(f, networks, &host, &mut interfaces);
    Some(interfaces)
}

fn refused(f: &mut Forecast<'_>, fault: Option<Fault>) -> PifOutcome {
    f.swallowed.extend(fault.clone());
    PifOutcome::Refused(fault)
}

fn fate(
    f: &Forecast<'_>,
    host: &Result<Ref<Host>, Fault>,
    pif: &Pif,
    outcome: PifOutcome,
) -> PifFate {
    // Only a host that the pool knows already can have interfaces there.
    let known = host.as_ref().ok().filter(|host| f.pool.host.get(host).is_some());
    let twin = known.and_then(|host| {
        let same = |twin: &Pif| twin.host == *host && twin.device == pif.device;
        let mut twins = f.pool.pif.iter().filter(|(_, twin)| same(twin) && twin.VLAN == pif.VLAN);
        twins.next().map(|(reference, _)| reference.clone())
    });
    PifFate {
        uuid: pif.uuid.clone(),
        device: pif.device.clone(),
        vlan: pif.VLAN,
        management: pif.management,
        outcome,
        twin,
    }
}

/// A physical interface: on the network that its own was merged with, or became.
fn physical(
    f: &mut Forecast<'_>,
    networks: &mut Networks,
    host: &Result<Ref<Host>, Fault>,
    reference: &Ref<Pif>,
    pif: &Pif,
) -> Result<Ref<Network>, Option<Fault>> {
    let host = host.as_ref().map_err(|fault| Some(fault.clone()))?;
    let network = f.joiner.network.get(&pif.network).ok_or(None)?;
    let (there, _) = networks.copy(f, &pif.network, network);
    let there = there?;
    if let Some((_, known)) = f.pool.pif.by_uuid(&pif.uuid) {
        return Ok(known.network.clone());
    }
    let metrics: Ref<PifMetrics> = joined(reference);
    let mut fresh = PifMetrics::default();
    fresh.absent.insert(place::<PifMetrics>("uuid"));
    f.changes.add(metrics.clone(), fresh);
    let new = introduced(pif, host, &there, metrics);
    f.changes.add(joined(reference), new);
    Ok(there)
}

/// `PIF.pool_introduce`.
fn introduced(
    pif: &Pif,
    host: &Ref<Host>,
    network: &Ref<Network>,
    metrics: Ref<PifMetrics>,
) -> Pif {
    let mut new = pif.clone();
    new.absent.insert(place::<Pif>("uuid"));
    new.uuid = Uuid::default();
    new.host = host.clone();
    new.network = network.clone();
    new.metrics = metrics;
    new.currently_attached = false;
    new.bond_slave_of = Ref::null();
    new.bond_master_of.clear();
    new.VLAN_slave_of.clear();
    new.tunnel_access_PIF_of.clear();
    new.tunnel_transport_PIF_of.clear();
    new.sriov_physical_PIF_of.clear();
    new.sriov_logical_PIF_of.clear();
    new.capabilities.clear();
    new.PCI = Ref::null();
    new
}

/// The management interface's VLAN; on a VLAN alone, the rest of `update_non_vm_metadata` runs.
fn management(
    f: &mut Forecast<'_>,
    networks: &mut Networks,
    host: &Result<Ref<Host>, Fault>,
    interfaces: &mut Interfaces,
) {
    let Some((my_ref, _)) = f.me else { return };
    let Some((pif_ref, pif)) = f.joiner.management_pif(my_ref) else { return };
    if pif.VLAN_master_of.is_null() && pif.VLAN < 0 {
        interfaces.management = Some(Management::Untagged);
        networks.carrier = Carrier::Interface;
        return;
    }
    const HIDES: &str = "what becomes of the VLAN that carries management";
    let known = f.knows::<Vlan>(Side::Joiner, &["tagged_PIF", "untagged_PIF", "tag"], HIDES)
        & f.knows::<Pif>(Side::Pool, &["host", "management", "network"], HIDES);
    if !known {
        return;
    }
    let theirs = f.master.and_then(|(master, _)| f.pool.management_pif(master));
    let there = theirs.map(|(_, pif)| pif.network.clone());
    let place = there.as_ref().map(|there| place_of(f, there));
    let ours = f.joiner.network.get(&pif.network);
    let bridge = ours.map(|network| network.bridge.clone()).unwrap_or_default();
    let renamed = place.as_ref().and_then(|place| place.bridge.clone());
    interfaces.management = Some(Management::Vlan {
        tag: pif.VLAN,
        renamed: renamed.filter(|theirs| *theirs != bridge),
        bridge,
        network: place.clone(),
    });
    let (Ok(host), Some(there), Some(place)) = (host, there, place) else { return };
    let Some(vlan) = f.joiner.vlan.get(&pif.VLAN_master_of) else { return };
    let Some(tagged) = f.joiner.pif.get(&vlan.tagged_PIF) else { return };
    let Some(below) = f.joiner.network.get(&tagged.network) else { return };
    let Ok(below) = networks.copy(f, &tagged.network, below).0 else { return };
    let below = interface_on(f, host, &below);
    let vlan_ref: Ref<Vlan> = joined(&pif.VLAN_master_of);
    // The VLAN's interface shares what the one below it measures.
    let metrics = f.changes.added.pif.get(&below).or_else(|| f.pool.pif.get(&below));
    let metrics = metrics.map(|pif| pif.metrics.clone()).unwrap_or_default();
    let mut new = introduced(pif, host, &there, metrics);
    new.VLAN_master_of = vlan_ref.clone();
    f.changes.add(joined(pif_ref), new);
    let mut new = vlan.clone();
    new.absent.insert(super::change::place::<Vlan>("uuid"));
    new.uuid = Uuid::default();
    new.tagged_PIF = below;
    new.untagged_PIF = joined(pif_ref);
    f.changes.add(vlan_ref, new);
    let fate = fate(f, &Ok(host.clone()), pif, PifOutcome::Introduced(place));
    match interfaces.pifs.iter_mut().find(|known| known.uuid == pif.uuid) {
        Some(known) => *known = fate,
        None => interfaces.pifs.push(fate),
    }
    networks.carrier = Carrier::Vlan { ours: pif.network.clone(), theirs: there };
}

/// The host's interface on a network: the new one, if there is one.
fn interface_on(f: &Forecast<'_>, host: &Ref<Host>, network: &Ref<Network>) -> Ref<Pif> {
    let on = |pif: &Pif| pif.host == *host && pif.network == *network;
    let mut new = f.changes.added.pif.iter().chain(f.pool.pif.iter());
    new.find(|(_, pif)| on(pif)).map(|(reference, _)| reference.clone()).unwrap_or_default()
}
