//! What becomes of networks.

use std::collections::HashMap;

use serde::Serialize;

use super::change::{joined, place};
use super::forecast::{Choice, Forecast, Show};
use super::host::{Cause, FieldChange};
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{Network, Pif, Record, Ref, Uuid};

/// What becomes of a network of the joiner's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NetworkFate {
    /// The network's ref in the joiner's database.
    #[serde(rename = "ref")]
    pub reference: Ref<Network>,
    /// Its uuid on the joiner; no network keeps its uuid.
    pub uuid: Uuid,
    /// Its name on the joiner.
    pub name_label: String,
    /// Its bridge on the joiner.
    pub bridge: String,
    /// What becomes of it.
    pub outcome: NetworkOutcome,
    /// Where the VMs on it land, if any are on it and that is known.
    pub landing: Option<Landing>,
    /// What will be different on the pool's network that takes its place.
    pub changes: Vec<FieldChange>,
}

/// What becomes of a network, apart from the VMs on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NetworkOutcome {
    /// A new network like it, of the pool's own: same bridge, another uuid.
    Created,
    /// A new network for its physical interfaces: same bridge, another uuid.
    Introduced,
    /// The pool's network takes its place, because the bridge has the same name.
    Merged(Place),
    /// It does not appear; the error, if it has an XAPI code, is swallowed.
    Refused(Option<Fault>),
}

/// A network of the pool, old or new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The network's ref; see [`Changes::is_new`](super::Changes::is_new).
    #[serde(rename = "ref")]
    pub reference: Ref<Network>,
    /// Its name.
    pub name_label: String,
    /// Its bridge, unless the master makes up a name.
    pub bridge: Option<String>,
    /// Whether the join makes it.
    pub new: bool,
}

/// The network of the pool that the VMs on a network of the joiner's land on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Landing {
    /// How it is found.
    pub by: LandedBy,
    /// The network, or several.
    ///
    /// Then the choice among them depends on refs that are not made yet.
    pub places: Vec<Place>,
    /// Whether that is another network than the one that takes the joiner's place.
    ///
    /// Missing if it depends on the choice among several, or is not known.
    pub moved: Option<bool>,
}

/// How the import of a VM finds the network for its interface, in this order.
///
/// As `import.ml`, `Net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LandedBy {
    /// It has the same name.
    Label,
    /// Its bridge has the same name.
    Bridge,
    /// There was none: the import makes it.
    Created,
}

/// The networks of the pool as they become, while the join goes on.
pub(super) struct Networks {
    bridges: HashMap<String, Ref<Network>>,
    labels: HashMap<String, Choice<Network>>,
    /// What became of each of the joiner's networks when it was copied.
    copied: HashMap<Ref<Network>, Result<Ref<Network>, Option<Fault>>>,
    /// How management is carried.
    pub carrier: Carrier,
}

/// What carries the joiner's management.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Carrier {
    /// An interface that has no VLAN.
    Interface,
    Unknown,
    /// A VLAN, whose network on the joiner the pool's takes the place of.
    Vlan {
        ours: Ref<Network>,
        theirs: Ref<Network>,
    },
}

const LONGEST_BRIDGE: usize = 15;

/// `create_or_get_network_on_master` for each of the joiner's networks.
pub(super) fn foretell(f: &mut Forecast<'_>) -> Option<(Vec<NetworkFate>, Networks)> {
    const HIDES: &str = "which networks merge or appear";
    let fields = ["uuid", "bridge", "name_label", "other_config"];
    let known = f.knows::<Network>(Side::Joiner, &fields, HIDES)
        & f.knows::<Pif>(Side::Joiner, &["network", "physical"], HIDES)
        & f.knows::<Network>(Side::Pool, &["bridge", "name_label"], HIDES);
    if !known {
        return None;
    }
    for side in [Side::Joiner, Side::Pool] {
        let compared = ["name_label", "name_description", "MTU", "other_config", "tags"];
        f.knows::<Network>(side, &compared, "what networks lose");
    }
    let joiner = f.joiner;
    let mut networks = Networks::new(f);
    let mut fates = Vec::new();
    for (reference, network) in joiner.network.iter().rev() {
        let (copied, outcome) = networks.copy(f, reference, network);
        let mut changes = Vec::new();
        match (&outcome, &copied) {
            (NetworkOutcome::Merged(_), Ok(there)) => {
                if let Some(merged) = f.pool.network.get(there) {
                    changes = differences(network, merged);
                }
            }
            (NetworkOutcome::Introduced, _) if !network.tags.is_empty() => {
                f.lose_field(network, &network.name_label, "tags", &network.tags);
            }
            (NetworkOutcome::Refused(fault), _) => f.swallowed.extend(fault.clone()),
            _ => {}
        }
        networks.copied.insert(reference.clone(), copied);
        fates.push(NetworkFate {
            reference: reference.clone(),
            uuid: network.uuid.clone(),
            name_label: network.name_label.clone(),
            bridge: network.bridge.clone(),
            outcome,
            landing: None,
            changes,
        });
    }
    Some((fates, networks))
}

impl Networks {
    fn new(f: &Forecast<'_>) -> Self {
        let mut networks = Self {
            bridges: HashMap::new(),
            labels: HashMap::new(),
            copied: HashMap::new(),
            carrier: Carrier::Unknown,
        };
        // The server lists its tables from the last ref to the first, and takes the head of the
        // list.
        for (reference, network) in &f.pool.network {
            networks.bridges.insert(network.bridge.clone(), reference.clone());
            let labelled = networks.labels.entry(network.name_label.clone()).or_default();
            labelled.old = Some(reference.clone());
        }
        networks
    }

    fn add(&mut self, f: &mut Forecast<'_>, reference: Ref<Network>, network: Network) {
        if network.has("bridge") {
            self.bridges.insert(network.bridge.clone(), reference.clone());
        }
        self.labels.entry(network.name_label.clone()).or_default().new.push(reference.clone());
        f.changes.add(reference, network);
    }

    /// The copy of one network, or what takes its place.
    ///
    /// The server runs this again for the network of each physical interface.
    pub(super) fn copy(
        &mut self,
        f: &mut Forecast<'_>,
        reference: &Ref<Network>,
        network: &Network,
    ) -> (Result<Ref<Network>, Option<Fault>>, NetworkOutcome) {
        let Some(physical) = is_physical(f, reference, network) else {
            return (Err(None), NetworkOutcome::Refused(None));
        };
        let there = self.bridges.get(&network.bridge).cloned();
        if physical || network.is_host_internal_management() {
            if let Some(there) = there {
                let outcome = NetworkOutcome::Merged(place_of(f, &there));
                return (Ok(there), outcome);
            }
            let mut new = fresh(network);
            new.tags.clear();
            self.add(f, joined(reference), new);
            return (Ok(joined(reference)), NetworkOutcome::Introduced);
        }
        let reserved = network.has_reserved_bridge();
        let fault = if network.bridge.is_empty() {
            None
        } else if reserved || network.bridge.len() > LONGEST_BRIDGE {
            Some(Fault::new("INVALID_VALUE", ["bridge", &network.bridge]))
        } else {
            there.map(|_| Fault::new("BRIDGE_NAME_EXISTS", [&network.bridge]))
        };
        if let Some(fault) = fault {
            return (Err(Some(fault.clone())), NetworkOutcome::Refused(Some(fault)));
        }
        self.add(f, joined(reference), created(network));
        (Ok(joined(reference)), NetworkOutcome::Created)
    }

    /// Where the import of VMs puts the interfaces on one of the joiner's networks.
    pub(super) fn land(
        &mut self,
        f: &mut Forecast<'_>,
        reference: &Ref<Network>,
        network: &Network,
    ) -> Landing {
        let (by, found) = match self.labels.get(&network.name_label) {
            Some(labelled) => (LandedBy::Label, labelled.first()),
            None => match self.bridges.get(&network.bridge) {
                Some(there) => (LandedBy::Bridge, vec![there.clone()]),
                None => {
                    let mut new = created(network);
                    let task = super::Changes::MADE_AT_JOIN.to_owned();
                    new.other_config.insert("import_task".to_owned(), task);
                    self.add(f, joined(reference), new);
                    (LandedBy::Created, vec![joined(reference)])
                }
            },
        };
        let moved = self.counterpart(reference, network).and_then(|counterpart| {
            match (by, found.as_slice(), counterpart) {
                // A network without interfaces: as an internal one was, but not one of management.
                (LandedBy::Created, _, counterpart) => Some(counterpart.is_some()),
                (_, [one], counterpart) => Some(counterpart != Some(one)),
                (_, many, Some(counterpart)) if many.contains(counterpart) => None,
                _ => Some(true),
            }
        });
        let places = found.iter().map(|there| place_of(f, there)).collect();
        Landing { by, places, moved }
    }

    /// The pool's network that takes the place of one of the joiner's, if one does.
    ///
    /// Missing if that is not known.
    fn counterpart(
        &self,
        reference: &Ref<Network>,
        network: &Network,
    ) -> Option<Option<&Ref<Network>>> {
        let copied = self.copied.get(reference).and_then(|copied| copied.as_ref().ok());
        match &self.carrier {
            Carrier::Vlan { ours, theirs } if ours == reference => Some(Some(theirs)),
            Carrier::Unknown if copied.is_none() => {
                let internal = network.has("PIFs") && network.PIFs.is_empty();
                internal.then_some(None)
            }
            _ => Some(copied),
        }
    }
}

/// A network of the pool as it is after the join.
pub(super) fn place_of(f: &Forecast<'_>, reference: &Ref<Network>) -> Place {
    let added = f.changes.added.network.get(reference);
    let network = added.or_else(|| f.pool.network.get(reference));
    Place {
        reference: reference.clone(),
        name_label: network.map(|network| network.name_label.clone()).unwrap_or_default(),
        bridge: network.filter(|n| n.has("bridge")).map(|network| network.bridge.clone()),
        new: added.is_some(),
    }
}

/// Whether the first interface on a network is a physical one, if it leads anywhere.
fn is_physical(f: &Forecast<'_>, reference: &Ref<Network>, network: &Network) -> Option<bool> {
    if network.has("PIFs") {
        return match network.PIFs.first() {
            None => Some(false),
            Some(first) => f.joiner.pif.get(first).map(|pif| pif.physical),
        };
    }
    let mut pifs = f.joiner.pif.records().filter(|pif| pif.network == *reference);
    Some(pifs.any(|pif| pif.physical))
}

fn fresh(network: &Network) -> Network {
    let mut new = network.clone();
    new.absent.insert(place::<Network>("uuid"));
    new.uuid = Uuid::default();
    new.VIFs.clear();
    new.PIFs.clear();
    new
}

/// `Network.create`.
fn created(network: &Network) -> Network {
    let mut new = fresh(network);
    new.purpose.clear();
    if new.MTU <= 0 {
        new.MTU = 1500;
    }
    if new.bridge.is_empty() {
        new.absent.insert(place::<Network>("bridge"));
    }
    new
}

/// What the pool's network says otherwise than the one that it takes the place of.
fn differences(ours: &Network, theirs: &Network) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    macro_rules! compare {
        ($($field:ident),*) => {$(
            let field = stringify!($field);
            if ours.has(field) && theirs.has(field) && ours.$field != theirs.$field {
                let (before, after) = (ours.$field.show(), theirs.$field.show());
                let (cause, keys) = (Cause::Inherited, ours.$field.parts());
                changes.push(FieldChange { field, before, after, cause, keys });
            }
        )*};
    }
    compare!(name_label, name_description, MTU, other_config, tags);
    changes
}

/// The networks that are nowhere in the pool in the end, not even for a VM.
pub(super) fn losses(f: &mut Forecast<'_>, fates: &[NetworkFate]) {
    let joiner = f.joiner;
    for fate in fates {
        let made = matches!(&fate.landing, Some(landing) if landing.by == LandedBy::Created);
        if let (NetworkOutcome::Refused(_), false) = (&fate.outcome, made) {
            if let Some(network) = joiner.network.get(&fate.reference) {
                f.lose(network, &network.name_label, None, network.bridge.show());
            }
        }
    }
}
