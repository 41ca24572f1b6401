//! Clustering: off on the joiner, and able to take the joiner in on the pool's side.

use std::collections::BTreeSet;

use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::error::Fault;
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, ClusterHost, Pif};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Which};

pub(in crate::preflight) const JOINER_CLUSTERING_ENABLED: Check = Rule {
    check: Some("clustering_is_not_enabled_on_me"),
    error: Some("CLUSTERING_ENABLED"),
    side: Side::Joiner,
    compares: "the joiner is in no cluster, or its `Cluster_host` is disabled",
    remedy: "disable clustering on the joiner",
    reads: &[Reads::joiner(Class::ClusterHost, Which::Each, &["host", "enabled"])],
    ..Rule::of("joiner-clustering-enabled")
}
.run::<Preflight>(joiner_clustering_enabled);

fn joiner_clustering_enabled(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (me, host) = facts.joiner.local()?;
    let mine: Vec<_> =
        facts.joiner.each::<ClusterHost>().filter(|(_, member)| member.host == *me).collect();
    let objects = mine.iter().map(|(reference, member)| Object::of(*reference, *member, ""));
    let finding = match mine[..] {
        [] => return Ok(()),
        [(_, member)] if !member.enabled => return Ok(()),
        [(reference, member)] => {
            let disable = Choice::new("disable", "disable clustering on the joiner").with(
                &Object::of(reference, member, ""),
                facts.pool.snapshot,
                facts.joiner.snapshot,
                [Action::ClusterHostDisable { cluster_host: reference.clone() }],
            );
            facts.finding("clustering is enabled on the joiner")
                .fault(Fault::new("CLUSTERING_ENABLED", [reference.to_string()]))
                .actual("enabled")
                .remedy(Remedy::default().or(disable))
        }
        _ => facts
            .finding(format!(
                "the joiner's database has {} cluster memberships for it",
                mine.len()
            ))
        .fault(Fault::new(
            "INTERNAL_ERROR",
            [format!("Multiple cluster_hosts found for host {} {me}", host.uuid)],
        ))
        .actual(format!("{} Cluster_host records", mine.len()))
        .remedy(Remedy::by_person(
            "the joiner's database is damaged: leave the cluster and destroy its records on the \
             host (xe cluster-host-force-destroy)",
        )),
    };
    found.push(finding.objects(objects).expected("no enabled Cluster_host"));
    Ok(())
}

/// What is read to find the pool's cluster network.
const CLUSTER_NETWORK: [Reads; 3] = [
    Reads::pool(Class::ClusterHost, Which::All, &["cluster", "PIF"]),
    Reads::pool(Class::Cluster, Which::All, &["pool_auto_join"]),
    Reads::pool(Class::Pif, Which::Each, &["VLAN", "management"]),
];

/// The interface of the cluster that the joiner will be taken into, if there is one.
///
/// Any membership tells the same network, and the server takes the first that it walks over.
fn cluster_pif<'a>(facts: &Facts<'a>) -> Result<Option<(Object, &'a Pif)>, Lost> {
    let Some((_, member)) = facts.pool.snapshot.cluster_host.iter().next_back() else {
        return Ok(None);
    };
    let cluster = facts.pool.read(&member.cluster)?;
    if !cluster.pool_auto_join || member.PIF.is_null() {
        return Ok(None);
    }
    let pif = facts.pool.read(&member.PIF)?;
    Ok(Some((object(&member.PIF, pif), pif)))
}

fn on_a_vlan(pif: &Pif) -> bool {
    pif.VLAN > 0 && !pif.management
}

pub(in crate::preflight) const CLUSTER_NETWORK_ON_VLAN: Check = Rule {
    check: Some("one_ip_configured_on_joining_cluster_network"),
    error: Some("POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK"),
    since: crate::rules::Since::of(25, 8, 0),
    side: Side::Pool,
    compares: "the network of the pool's cluster, if joiners are taken into it, is no VLAN but the \
               management network",
    remedy: "by hand: move the cluster to another network, or stop it for the join",
    reads: &CLUSTER_NETWORK,
    ..Rule::of("cluster-network-on-vlan")
}
.run::<Preflight>(cluster_network_on_vlan);

fn cluster_network_on_vlan(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    if let Some((object, pif)) = cluster_pif(facts)?.filter(|(_, pif)| on_a_vlan(pif)) {
        found.push(
            facts
                .finding(format!(
                    "the pool's cluster runs on VLAN {}, which a joiner does not have",
                    pif.VLAN
                ))
                .fault(Fault::new(
                    "POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK",
                    [pif.VLAN.to_string()],
                ))
                .objects([object])
                .expected("an untagged network, or the management network")
                .actual(format!("VLAN {}", pif.VLAN))
                .remedy(Remedy::by_person(
                    "put the pool's cluster on an untagged network or on the management network: \
                     destroy it (xe cluster-pool-destroy, its GFS2 storage detached) and create it \
                     there",
                )),
        );
    }
    Ok(())
}

pub(in crate::preflight) const CLUSTER_NETWORK_ADDRESS: Check = Rule {
    check: Some("one_ip_configured_on_joining_cluster_network"),
    error: Some("POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK"),
    since: crate::rules::Since::of(25, 8, 0),
    side: Side::Joiner,
    compares: "the joiner has exactly one IP address on the bridges of the pool's cluster network \
               (of the NICs below it, if it is a bond)",
    remedy: "by hand: give exactly one of the joiner's NICs on that network an address",
    reads: &[
        CLUSTER_NETWORK[0],
        CLUSTER_NETWORK[1],
        Reads::pool(Class::Pif, Which::Each, &["VLAN", "management", "network", "bond_master_of"]),
        Reads::pool(Class::Bond, Which::Each, &["slaves"]),
        Reads::pool(Class::Network, Which::Each, &["bridge"]),
        Reads::joiner(Class::Pif, Which::All, &["host", "IP", "network"]),
        Reads::joiner(Class::Network, Which::Each, &["bridge"]),
    ],
    ..Rule::of("cluster-network-address")
}
.run::<Preflight>(cluster_network_address);

fn cluster_network_address(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let Some((cluster_object, pif)) = cluster_pif(facts)? else { return Ok(()) };
    if on_a_vlan(pif) {
        return Ok(());
    }
    let mut bridges = BTreeSet::new();
    for bond in &pif.bond_master_of {
        for slave in &facts.pool.read(bond)?.slaves {
            let network = &facts.pool.read(slave)?.network;
            bridges.insert(facts.pool.read(network)?.bridge.as_str());
        }
    }
    if pif.bond_master_of.is_empty() {
        bridges.insert(facts.pool.read(&pif.network)?.bridge.as_str());
    }
    let mut there = Vec::new();
    let (me, _) = facts.joiner.local()?;
    let mine = |pif: &Pif| pif.host == *me && !pif.IP.is_empty();
    for (reference, pif) in facts.joiner.each::<Pif>().rev().filter(|(_, pif)| mine(pif)) {
        if bridges.contains(facts.joiner.read(&pif.network)?.bridge.as_str()) {
            there.push((reference, pif));
        }
    }
    if there.len() == 1 {
        return Ok(());
    }
    let bridges: Vec<_> = bridges.into_iter().collect();
    let addresses: Vec<_> = there.iter().map(|(_, pif)| pif.IP.as_str()).collect();
    found.push(
        facts
            .finding(format!(
                "the joiner has {} addresses on the pool's cluster network (bridge {}), and must \
                 have one",
                there.len(),
                bridges.join(", ")
            ))
            .refused()
            .objects(there.iter().map(|(reference, pif)| object(reference, *pif)))
            .objects([cluster_object])
            .expected(format!("1 address on bridge {}", bridges.join(", ")))
            .actual(match addresses.is_empty() {
                true => "none".to_owned(),
                false => addresses.join(", "),
            })
            .remedy(Remedy::by_person(
                "give exactly one of the joiner's interfaces on the cluster network an address (xe \
                 pif-reconfigure-ip), and take it from the others",
            )),
    );
    Ok(())
}
