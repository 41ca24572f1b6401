//! The joiner's network: nothing on top of its NICs but its management VLAN.

use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::error::Fault;
use crate::model::Object;
use crate::model::object_at;
use crate::model::{Bond, Class, Network, NetworkSriov, Pif, Record, Ref, Tunnel, Vlan};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Finding, Found, Lost, Reads, Rule, Which};

use super::vms::names;

pub(in crate::preflight) const MANAGEMENT_INTERFACE_MISSING: Check = Rule {
    check: Some("assert_management_interface_exists"),
    error: Some("HOST_STILL_BOOTING"),
    side: Side::Joiner,
    compares: "the joiner has a management interface",
    remedy: "by hand: wait until the host has started, or configure a management interface",
    reads: &[Reads::joiner(Class::Pif, Which::Each, &["host", "management"])],
    ..Rule::of("management-interface-missing")
}
.run::<Preflight>(management_interface_missing);

fn management_interface_missing(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, host) = facts.joiner.local()?;
    if facts.joiner.management_pif().is_none() {
        found.push(
            facts
                .finding(
                    "the joiner has no management interface: it is still starting, or none is \
                     configured",
                )
                .refused()
                .objects([crate::model::object(reference, host)])
                .expected("one management interface")
                .actual("none")
                .remedy(Remedy::by_person(
                    "wait until the host has started; if that does not help, choose a management \
                     interface on its console (xe host-management-reconfigure)",
                )),
        );
    }
    Ok(())
}

/// The objects of a class, each with a name made from the interface that it rests on.
fn upon<T: Record>(
    facts: &Facts<'_>,
    pif: fn(&T) -> &Ref<Pif>,
    name: fn(&str, &T) -> String,
) -> Vec<(Ref<T>, Object)> {
    facts
        .joiner
        .each::<T>()
        .map(|(reference, record)| {
            let device = facts.joiner.snapshot.get(pif(record)).map_or("", |pif| &pif.device);
            (reference.clone(), Object::of(reference, record, name(device, record)))
        })
        .collect()
}

/// One finding for all objects that must go, with the call that removes each.
fn must_go<T>(
    facts: &Facts<'_>,
    what: &str,
    objects: Vec<(Ref<T>, Object)>,
    choice: Choice,
    remove: fn(Ref<T>) -> Action,
) -> Option<Finding> {
    if objects.is_empty() {
        return None;
    }
    let choice = objects.iter().fold(choice, |choice, (reference, object)| {
        choice.with(object, facts.pool.snapshot, facts.joiner.snapshot, [remove(reference.clone())])
    });
    let count = objects.len();
    let objects = objects.into_iter().map(|(_, object)| object);
    Some(
        facts
            .finding(format!("the joiner has {what}: {}", names(objects.clone())))
            .refused()
            .objects(objects)
            .expected("none")
            .actual(count)
            .remedy(Remedy::default().or(choice)),
    )
}

pub(in crate::preflight) const BONDS: Check = Rule {
    check: Some("assert_no_bonds_on_me"),
    error: Some("POOL_JOINING_HOST_HAS_BONDS"),
    side: Side::Joiner,
    compares: "the joiner has no bond; it gets those of the pool's master after the join",
    remedy: "destroy the bonds",
    reads: &[Reads::joiner(Class::Bond, Which::Each, &[])],
    ..Rule::of("bonds")
}
.run::<Preflight>(|facts, found| {
    let bonds = upon::<Bond>(facts, |bond| &bond.master, |device, _| device.to_owned());
    let choice = Choice::new(
        "destroy",
        "destroy the bonds; addresses and management move to each bond's primary NIC",
    );
    let remove = |bond| Action::BondDestroy { bond };
    found.extend(must_go(facts, "bonds", bonds, choice, remove));
    Ok(())
});

pub(in crate::preflight) const TUNNELS: Check = Rule {
    check: Some("assert_no_tunnels_on_me"),
    error: Some("POOL_JOINING_HOST_HAS_TUNNELS"),
    side: Side::Joiner,
    compares: "the joiner has no tunnel",
    remedy: "destroy the tunnels",
    reads: &[Reads::joiner(Class::Tunnel, Which::Each, &[])],
    ..Rule::of("tunnels")
}
.run::<Preflight>(|facts, found| {
    let tunnels =
        upon::<Tunnel>(facts, |tunnel| &tunnel.transport_PIF, |device, _| device.to_owned());
    let choice = Choice::new("destroy", "destroy the tunnels; their networks stay, unconnected");
    let remove = |tunnel| Action::TunnelDestroy { tunnel };
    found.extend(must_go(facts, "tunnels", tunnels, choice, remove));
    Ok(())
});

pub(in crate::preflight) const SRIOV_NETWORKS: Check = Rule {
    check: Some("assert_no_network_sriovs_on_me"),
    error: Some("POOL_JOINING_HOST_HAS_NETWORK_SRIOVS"),
    side: Side::Joiner,
    compares: "the joiner has no SR-IOV network",
    remedy: "destroy the SR-IOV networks",
    reads: &[Reads::joiner(Class::NetworkSriov, Which::Each, &[])],
    ..Rule::of("sriov-networks")
}
.run::<Preflight>(|facts, found| {
    let sriovs =
        upon::<NetworkSriov>(facts, |sriov| &sriov.physical_PIF, |device, _| device.to_owned());
    let choice = Choice::new(
        "destroy",
        "destroy the SR-IOV networks; some NICs need a reboot of the host for it",
    );
    let remove = |network_sriov| Action::NetworkSriovDestroy { network_sriov };
    found.extend(must_go(facts, "SR-IOV networks", sriovs, choice, remove));
    Ok(())
});

pub(in crate::preflight) const NON_MANAGEMENT_VLANS: Check = Rule {
    check: Some("assert_no_non_management_vlans_on_me"),
    error: Some("POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS"),
    side: Side::Joiner,
    compares: "the interface of each VLAN of the joiner is the management interface",
    remedy: "destroy the VLANs, or the VLANs and their networks",
    reads: &[
        Reads::joiner(Class::Vlan, Which::Each, &["untagged_PIF"]),
        Reads::joiner(Class::Pif, Which::Each, &["management"]),
    ],
    ..Rule::of("non-management-vlans")
}
.run::<Preflight>(non_management_vlans);

fn non_management_vlans(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let snapshot = facts.joiner.snapshot;
    let mut wrong = Vec::new();
    // The server stops at the first VLAN that it walks over and does not like.
    let mut first = None;
    for (reference, vlan) in facts.joiner.each::<Vlan>().rev() {
        let pif = match facts.joiner.read(&vlan.untagged_PIF) {
            Ok(pif) if pif.management => continue,
            Ok(pif) => Some(pif),
            Err(Lost::Fault { fault, .. }) => {
                first.get_or_insert(fault);
                None
            }
            Err(unknown) => return Err(unknown),
        };
        first.get_or_insert_with(|| Fault::bare("POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS"));
        let name = match pif {
            Some(pif) => format!("VLAN {} on {}", vlan.tag, pif.device),
            None => format!("VLAN {}", vlan.tag),
        };
        wrong.push((reference, vlan, pif, Object::of(reference, vlan, name)));
    }
    let Some(fault) = first else { return Ok(()) };
    wrong.reverse();
    let (mut vlans_only, mut with_networks) = (
        Choice::new("destroy-vlans", "destroy the VLANs; their networks stay, unconnected"),
        Choice::new("destroy-networks", "destroy the VLANs and their networks, where no VM is"),
    );
    let mut broken = Vec::new();
    for (reference, _, pif, object) in &wrong {
        let Some(pif) = pif else {
            broken.push(object.clone());
            continue;
        };
        let destroy = Action::VlanDestroy { vlan: (*reference).clone() };
        let network =
            unused_but_for(snapshot, pif).map(|network| Action::NetworkDestroy { network });
        let (pool, joiner) = (facts.pool.snapshot, snapshot);
        vlans_only = vlans_only.with(object, pool, joiner, [destroy.clone()]);
        with_networks =
            with_networks.with(object, pool, joiner, [destroy].into_iter().chain(network));
    }
    let mut remedy = Remedy::default();
    if broken.len() < wrong.len() {
        remedy = remedy.or(vlans_only).or(with_networks);
    }
    if !broken.is_empty() {
        remedy.by_person = Some(format!(
            "the interface of {} is gone: the joiner's database is damaged; restart its toolstack, \
             then remove what is left of the VLAN",
            names(broken.into_iter())
        ));
    }
    let objects = wrong.into_iter().map(|(.., object)| object);
    found.push(
        facts
            .finding(format!(
                "the joiner has VLANs beside its management VLAN: {}; it gets those of the pool's \
                 master after the join",
                names(objects.clone())
            ))
            .fault(fault)
            .objects(objects.clone())
            .expected("none but the management VLAN")
            .actual(objects.len())
            .remedy(remedy),
    );
    Ok(())
}

/// The network of an interface, if no other interface and no VM is on it.
fn unused_but_for(snapshot: &crate::model::Snapshot, pif: &Pif) -> Option<Ref<Network>> {
    let network = snapshot.get(&pif.network)?;
    (network.VIFs.is_empty() && network.PIFs.len() <= 1).then(|| pif.network.clone())
}

const MANAGEMENT: [Reads; 3] = [
    Reads::joiner(Class::Pif, Which::Each, &["host", "management"]),
    Reads::pool(Class::Pool, Which::All, &["master"]),
    Reads::pool(Class::Pif, Which::Each, &["host", "management"]),
];

/// Both management interfaces; XAPI stumbles where one is missing.
fn management_pifs<'a>(facts: &Facts<'a>) -> Result<[(Object, &'a Pif); 2], Lost> {
    let pif = |view: crate::rules::View<'a>| {
        let (reference, pif) = view.management_pif().ok_or_else(|| {
            Lost::fault(
                Fault::new("INTERNAL_ERROR", ["Not_found"]),
                format!(
                    "{} has no management interface",
                    match view.side {
                        Side::Pool => "the pool's master",
                        _ => "the joiner",
                    }
                ),
            )
        })?;
        Ok((object_at(view.snapshot, reference), pif))
    };
    Ok([pif(facts.joiner)?, pif(facts.pool)?])
}

pub(in crate::preflight) const MANAGEMENT_VLAN_DIFFERS: Check = Rule {
    check: Some("assert_management_vlan_are_same"),
    error: Some("POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH"),
    side: Side::Both,
    compares: "the management interfaces of joiner and master have the same VLAN tag (-1: \
               untagged)",
    remedy: "by hand: put the joiner's management interface on the pool's management VLAN",
    reads: &[
        MANAGEMENT[0],
        MANAGEMENT[1],
        MANAGEMENT[2],
        Reads::joiner(Class::Pif, Which::Management, &["VLAN"]),
        Reads::pool(Class::Pif, Which::Management, &["VLAN"]),
    ],
    ..Rule::of("management-vlan-differs")
}
.run::<Preflight>(management_vlan_differs);

fn management_vlan_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let [(my_object, mine), (their_object, theirs)] = management_pifs(facts)?;
    if mine.VLAN == theirs.VLAN {
        return Ok(());
    }
    let told = |tag: i64| match tag {
        -1 => "untagged".to_owned(),
        tag => format!("VLAN {tag}"),
    };
    found.push(
        facts.finding(format!(
                "the management networks differ: {} in the pool, {} on the joiner",
                told(theirs.VLAN),
                told(mine.VLAN)
            ),
        )
        .fault(Fault::new(
            "POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH",
            [mine.VLAN.to_string(), theirs.VLAN.to_string()],
        ))
        .objects([my_object, their_object])
        .expected(told(theirs.VLAN))
        .actual(told(mine.VLAN))
        .remedy(Remedy::by_person(format!(
            "put the joiner's management interface on the pool's management network, {}, from its \
             console: the connection to it is lost meanwhile (xe host-management-reconfigure)",
            told(theirs.VLAN)
        ))),
    );
    Ok(())
}

pub(in crate::preflight) const PRIMARY_ADDRESS_TYPE_DIFFERS: Check = Rule {
    check: Some("assert_homogeneous_primary_address_type"),
    error: Some("OPERATION_NOT_ALLOWED"),
    side: Side::Both,
    compares: "the management interfaces of joiner and master use the same kind of address, IPv4 \
               or IPv6",
    remedy: "by hand: reconfigure the joiner's management interface",
    reads: &[
        MANAGEMENT[0],
        MANAGEMENT[1],
        MANAGEMENT[2],
        Reads::joiner(Class::Pif, Which::Management, &["primary_address_type"]),
        Reads::pool(Class::Pif, Which::Management, &["primary_address_type"]),
    ],
    ..Rule::of("primary-address-type-differs")
}
.run::<Preflight>(primary_address_type_differs);

fn primary_address_type_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let [(my_object, mine), (their_object, theirs)] = management_pifs(facts)?;
    if mine.primary_address_type == theirs.primary_address_type {
        return Ok(());
    }
    found.push(
        facts
            .finding(format!(
                "the pool is managed over {}, the joiner over {}",
                theirs.primary_address_type, mine.primary_address_type
            ))
            .fault(Fault::new("OPERATION_NOT_ALLOWED", ["Primary address type differs"]))
            .objects([my_object, their_object])
            .expected(&theirs.primary_address_type)
            .actual(&mine.primary_address_type)
            .remedy(Remedy::by_person(format!(
                "manage the joiner over {} too (xe pif-set-primary-address-type, then xe \
                 host-management-reconfigure, on its console)",
                theirs.primary_address_type
            ))),
    );
    Ok(())
}
