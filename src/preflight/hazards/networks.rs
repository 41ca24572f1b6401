//! Where networks and the VMs on them end up.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fate, Fates, VM_KIND, about, count, exported, is_merged_by_bridge, loose_networks};
use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, Network, Pif, Ref};
use crate::preflight::engine::{Found, Lost};
use crate::preflight::facts::Facts;
use crate::preflight::finding::Severity;
use crate::preflight::rule::{Reads, Rule, RuleCode, Scope};

const NETWORK_FATE: [Reads; 3] = [
    Reads::joiner(Class::Network, Scope::Each, &["bridge", "PIFs", "other_config"]),
    Reads::joiner(Class::Pif, Scope::Each, &["physical"]),
    Reads::pool(Class::Network, Scope::All, &["bridge"]),
];

pub(in crate::preflight) static VIFS_MOVE: Rule = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "interfaces of the joiner's VMs stay on their network; the import follows a network's \
               label first, then its bridge",
    remedy: "by hand: give networks labels that say the same on both sides, or move the interfaces \
             after the join",
    reads: &[
        NETWORK_FATE[0],
        NETWORK_FATE[1],
        NETWORK_FATE[2],
        Reads::joiner(Class::Network, Scope::Each, &["name_label"]),
        Reads::pool(Class::Network, Scope::All, &["name_label"]),
        Reads::joiner(Class::Vm, Scope::Each, VM_KIND),
        Reads::joiner(Class::Vm, Scope::Each, &["VIFs"]),
        Reads::joiner(Class::Vif, Scope::Each, &["network"]),
    ],
    run: vifs_move,
    ..Rule::of(RuleCode::VifsMove)
};

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
    let finding = about(&VIFS_MOVE, objects, |n, names| {
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

pub(in crate::preflight) static NETWORKS_LOST: Rule = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "the joiner has no unused internal network whose bridge has a name of XAPI's own \
               (`xapi0`), or the name of a bridge in the pool; such a network is not taken over",
    remedy: "by hand: make the network in the pool",
    reads: &[
        NETWORK_FATE[0],
        NETWORK_FATE[1],
        NETWORK_FATE[2],
        Reads::joiner(Class::Vm, Scope::Each, VM_KIND),
        Reads::joiner(Class::Vm, Scope::Each, &["VIFs"]),
        Reads::joiner(Class::Vif, Scope::Each, &["network"]),
    ],
    run: networks_lost,
    ..Rule::of(RuleCode::NetworksLost)
};

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
    let finding = about(&NETWORKS_LOST, objects, |n, names| {
        format!("{} of the joiner will not be in the pool: {names}", count(n, "internal network"))
    });
    let how = "make the network in the pool if it is needed there (xe network-create)";
    found.extend(finding.map(|finding| finding.remedy(Remedy::by_person(how))));
    Ok(())
}

pub(in crate::preflight) static EXTRA_NETWORKS: Rule = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    documented: true,
    compares: "the joiner has no networks but those of its NICs and its own internal one",
    remedy: "destroy the networks",
    reads: &[
        Reads::joiner(Class::Network, Scope::Each, &["PIFs", "other_config"]),
        Reads::joiner(Class::Pif, Scope::All, &["physical", "management"]),
    ],
    run: extra_networks,
    ..Rule::of(RuleCode::ExtraNetworks)
};

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
    let finding = about(&EXTRA_NETWORKS, objects, |n, names| {
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

pub(in crate::preflight) static NETWORKS_INTRODUCED: Rule = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the pool has a network for the bridge of each NIC of the joiner; else it gets new \
               networks, on which the other hosts are not",
    remedy: "nothing need be done",
    reads: &NETWORK_FATE,
    run: |facts, found| {
        let fates = Fates::new(facts);
        let new = facts.joiner.each::<Network>().filter(|(_, network)| {
            is_merged_by_bridge(facts, network) && matches!(fates.of(facts, network), Fate::New)
        });
        let objects = new.map(|(reference, network)| object(reference, network)).collect();
        let finding = about(&NETWORKS_INTRODUCED, objects, |n, names| {
            format!(
                "the pool will get {} on which only the joiner is: {names}",
                count(n, "new network")
            )
        });
        found.extend(finding);
        Ok(())
    },
    ..Rule::of(RuleCode::NetworksIntroduced)
};

pub(in crate::preflight) static NETWORK_SETTINGS_LOST: Rule = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "networks that become one have the same label and MTU; the pool's win",
    remedy: "nothing need be done, or set the pool's network as it should be",
    reads: &[
        NETWORK_FATE[0],
        NETWORK_FATE[1],
        NETWORK_FATE[2],
        Reads::joiner(Class::Network, Scope::Each, &["name_label", "MTU"]),
        Reads::pool(Class::Network, Scope::All, &["name_label", "MTU"]),
    ],
    run: network_settings_lost,
    ..Rule::of(RuleCode::NetworkSettingsLost)
};

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
    let finding = about(&NETWORK_SETTINGS_LOST, objects, |n, names| {
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
