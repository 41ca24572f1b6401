//! Where networks and the VMs on them end up.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fate, Fates, VM_KIND, about, count, exported, is_merged_by_bridge, loose_networks};
use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, Network, Pif, Ref};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Severity, Which};

const NETWORK_FATE: [Reads; 3] = [
    Reads::joiner(Class::Network, Which::Each, &["bridge", "PIFs", "other_config"]),
    Reads::joiner(Class::Pif, Which::Each, &["physical"]),
    Reads::pool(Class::Network, Which::All, &["bridge"]),
];

pub(in crate::preflight) const VIFS_MOVE: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "interfaces of the joiner's VMs stay on their network; the import follows a \
               network's label first, then its bridge",
    remedy: "by hand: give networks labels that say the same on both sides, or move the interfaces \
             after the join",
    reads: &[
        NETWORK_FATE[0],
        NETWORK_FATE[1],
        NETWORK_FATE[2],
        Reads::joiner(Class::Network, Which::Each, &["name_label"]),
        Reads::pool(Class::Network, Which::All, &["name_label"]),
        Reads::joiner(Class::Vm, Which::Each, VM_KIND),
        Reads::joiner(Class::Vm, Which::Each, &["VIFs"]),
        Reads::joiner(Class::Vif, Which::Each, &["network"]),
    ],
    ..Rule::of("vifs-move")
}
.run::<Preflight>(vifs_move);

fn vifs_move(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let fates = Fates::new(facts);
    let (mut by_label, mut by_bridge) = (BTreeMap::new(), BTreeMap::new());
    for (reference, network) in &facts.pool.snapshot.network {
        // The last of a name is the first that the server walks over.
        by_label.insert(network.name_label.as_str(), (reference, network));
        by_bridge.insert(network.bridge.as_str(), (reference, network));
    }
    let elsewhere = |network: &Network| {
        let (home, new) = match fates.of(facts, network) {
            Fate::Merged(home, _) => (Some(home), false),
            Fate::New => (None, true),
            Fate::Refused => (None, false),
        };
        let (landed, theirs) = match by_label.get(network.name_label.as_str()) {
            Some(found) => *found,
            None if new => return None,
            None => *by_bridge.get(network.bridge.as_str())?,
        };
        let same = home == Some(landed)
            || theirs.name_label == network.name_label && theirs.bridge == network.bridge;
        (!same).then_some(theirs)
    };
    let mut landing = BTreeMap::<&Ref<Network>, Option<(&Network, &Network)>>::new();
    let (mut objects, mut from, mut to) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (_, vm) in exported(facts) {
        for vif_ref in &vm.VIFs {
            let Some(vif) = facts.joiner.snapshot.get(vif_ref) else { continue };
            let landed = *landing.entry(&vif.network).or_insert_with(|| {
                let network = facts.joiner.snapshot.get(&vif.network)?;
                Some((network, elsewhere(network)?))
            });
            if let Some((mine, theirs)) = landed {
                let name = format!("{} of {}", vif.device, vm.name_label);
                objects.push(Object::of(vif_ref, vif, name));
                from.insert(format!("{} ({})", mine.name_label, mine.bridge));
                to.insert(format!("{} ({})", theirs.name_label, theirs.bridge));
            }
        }
    }
    let finding = about(facts, objects, |n, names| {
        format!(
            "{} of the joiner will be on another network in the pool: {names}",
            count(n, "VM interface")
        )
    });
    found.extend(finding.map(|finding| {
        let told = |networks: BTreeSet<String>| Vec::from_iter(networks).join(", ");
        finding.expected(told(from)).actual(told(to)).remedy(Remedy::by_person(
            "rename networks so that equal labels mean the same wire on both sides \
             (xe network-param-set), or move the interfaces after the join (xe vif-move)",
        ))
    }));
    Ok(())
}

pub(in crate::preflight) const NETWORKS_LOST: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "the joiner has no unused internal network whose bridge has a name of XAPI's own \
               (`xapi0`), or the name of a bridge in the pool; such a network is not taken over",
    remedy: "by hand: make the network in the pool",
    reads: &[
        NETWORK_FATE[0],
        NETWORK_FATE[1],
        NETWORK_FATE[2],
        Reads::joiner(Class::Vm, Which::Each, VM_KIND),
        Reads::joiner(Class::Vm, Which::Each, &["VIFs"]),
        Reads::joiner(Class::Vif, Which::Each, &["network"]),
    ],
    ..Rule::of("networks-lost")
}
.run::<Preflight>(networks_lost);

fn networks_lost(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let fates = Fates::new(facts);
    let used: BTreeSet<_> = exported(facts)
        .flat_map(|(_, vm)| &vm.VIFs)
        .filter_map(|vif| facts.joiner.snapshot.get(vif))
        .map(|vif| &vif.network)
        .collect();
    let lost = loose_networks(facts).filter(|(reference, network)| {
        !used.contains(reference) && matches!(fates.of(facts, network), Fate::Refused)
    });
    let objects = lost.map(|(reference, network)| object(reference, network)).collect();
    let finding = about(facts, objects, |n, names| {
        format!("{} of the joiner will not be in the pool: {names}", count(n, "internal network"))
    });
    let how = "make the network in the pool if it is needed there (xe network-create)";
    found.extend(finding.map(|finding| finding.remedy(Remedy::by_person(how))));
    Ok(())
}

pub(in crate::preflight) const EXTRA_NETWORKS: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    documented: true,
    compares: "the joiner has no networks but those of its NICs and its own internal one",
    remedy: "destroy the networks",
    reads: &[
        Reads::joiner(Class::Network, Which::Each, &["PIFs", "other_config"]),
        Reads::joiner(Class::Pif, Which::All, &["physical", "management"]),
    ],
    ..Rule::of("extra-networks")
}
.run::<Preflight>(extra_networks);

fn extra_networks(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    // Those of VLANs, bonds and tunnels stay behind when these go, as they must before the join.
    let has = |network: &Network, wanted: fn(&Pif) -> bool| {
        network.PIFs.iter().filter_map(|pif| facts.joiner.snapshot.get(pif)).any(wanted)
    };
    let extra: Vec<_> = facts
        .joiner
        .each::<Network>()
        .filter(|(_, network)| {
            !network.is_host_internal_management()
                && !has(network, |pif| pif.physical || pif.management)
        })
        .collect();
    let objects = extra.iter().map(|(reference, network)| object(*reference, *network)).collect();
    let finding = about(facts, objects, |n, names| {
        format!("the joiner has {} beside those of its NICs: {names}", count(n, "network"))
    });
    found.extend(finding.map(|finding| {
        let destroy = extra.iter().fold(
            Choice::new("destroy", "destroy the networks"),
            |choice, (reference, network)| {
                let action = Action::NetworkDestroy { network: (*reference).clone() };
                let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
                choice.with(&object(*reference, *network), pool, joiner, [action])
            },
        );
        finding.remedy(Remedy::default().or(destroy))
    }));
    Ok(())
}

pub(in crate::preflight) const NETWORKS_INTRODUCED: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the pool has a network for the bridge of each NIC of the joiner; else it gets new \
               networks, on which the other hosts are not",
    remedy: "nothing need be done",
    reads: &NETWORK_FATE,
    ..Rule::of("networks-introduced")
}
.run::<Preflight>(|facts, found| {
    let fates = Fates::new(facts);
    let new = facts.joiner.each::<Network>().filter(|(_, network)| {
        is_merged_by_bridge(facts, network) && matches!(fates.of(facts, network), Fate::New)
    });
    let objects = new.map(|(reference, network)| object(reference, network)).collect();
    let finding = about(facts, objects, |n, names| {
        format!(
            "the pool will get {} on which only the joiner is: {names}",
            count(n, "new network")
        )
    });
    found.extend(finding);
    Ok(())
});

pub(in crate::preflight) const NETWORK_SETTINGS_LOST: Check = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "networks that become one have the same label and MTU; the pool's win",
    remedy: "nothing need be done, or set the pool's network as it should be",
    reads: &[
        NETWORK_FATE[0],
        NETWORK_FATE[1],
        NETWORK_FATE[2],
        Reads::joiner(Class::Network, Which::Each, &["name_label", "MTU"]),
        Reads::pool(Class::Network, Which::All, &["name_label", "MTU"]),
    ],
    ..Rule::of("network-settings-lost")
}
.run::<Preflight>(network_settings_lost);

fn network_settings_lost(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let fates = Fates::new(facts);
    let differing: Vec<_> = facts
        .joiner
        .each::<Network>()
        .filter_map(|(reference, mine)| match fates.of(facts, mine) {
            Fate::Merged(_, theirs)
                if (&theirs.name_label, theirs.MTU) != (&mine.name_label, mine.MTU) =>
            {
                Some((reference, mine, theirs))
            }
            _ => None,
        })
        .collect();
    let objects = differing.iter().map(|(reference, mine, _)| object(*reference, *mine)).collect();
    let finding = about(facts, objects, |n, names| {
        format!("{} of the joiner will have the pool's label and MTU: {names}", count(n, "network"))
    });
    found.extend(finding.map(|finding| {
        let told = |network: &Network| {
            format!("{} {} MTU {}", network.bridge, network.name_label, network.MTU)
        };
        let (theirs, mine): (Vec<_>, Vec<_>) =
            differing.iter().map(|(_, mine, theirs)| (told(theirs), told(mine))).unzip();
        finding.expected(theirs.join("; ")).actual(mine.join("; "))
    }));
    Ok(())
}
