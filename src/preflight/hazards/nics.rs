//! The joiner's NICs against the master's: after the join they carry the same networks by name.

use std::collections::BTreeMap;

use super::{about, count};
use crate::actions::Remedy;
use crate::actions::Side;
use crate::model::Object;
use crate::model::object;
use crate::model::{Bond, Class, Host, Pif, Ref, Vlan};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Lost, Reads, Rule, Severity, View, Which};

const NICS: [Reads; 3] = [
    Reads::joiner(Class::Pif, Which::All, &["host", "device", "physical"]),
    Reads::pool(Class::Pool, Which::All, &["master"]),
    Reads::pool(Class::Pif, Which::All, &["host", "device", "physical"]),
];

type Nics<'a> = BTreeMap<&'a str, (&'a Ref<Pif>, &'a Pif)>;

/// The physical interfaces of a host, by device.
fn nics<'a>(view: View<'a>, host: &Ref<Host>) -> Nics<'a> {
    view.each::<Pif>()
        .filter(|(_, pif)| pif.physical && pif.host == *host)
        .map(|(reference, pif)| (pif.device.as_str(), (reference, pif)))
        .collect()
}

/// The joiner's and the master's NICs.
fn both<'a>(facts: &Facts<'a>) -> Result<(Nics<'a>, Nics<'a>), Lost> {
    let (me, _) = facts.joiner.local()?;
    let (master, _) = facts.pool.local()?;
    Ok((nics(facts.joiner, me), nics(facts.pool, master)))
}

pub(in crate::preflight) const NICS_MISSING: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "the joiner has a NIC for each NIC of the master, by device name; else it is not on \
               networks that VMs need",
    remedy: "by hand: install the NIC, or name the joiner's NICs like the master's",
    reads: &NICS,
    ..Rule::of("nics-missing")
}
.run::<Preflight>(|facts, found| {
    let (mine, theirs) = both(facts)?;
    let missing = theirs.iter().filter(|(device, _)| !mine.contains_key(*device));
    let objects = missing.map(|(_, (reference, pif))| object(*reference, *pif)).collect();
    let finding = about(facts, objects, |_, names| {
        format!(
            "the joiner has no {names}, which the master has: VMs on those networks will not run \
             on it"
        )
    });
    found.extend(finding.map(|finding| {
        let told = |nics: &Nics<'_>| nics.keys().copied().collect::<Vec<_>>().join(", ");
        finding.expected(told(&theirs)).actual(told(&mine)).remedy(Remedy::by_person(
            "install the missing NIC; if it is there under another name, order the joiner's NICs \
             like the master's (interface-rename, then a reboot)",
        ))
    }));
    Ok(())
});

pub(in crate::preflight) const NIC_BRIDGES_DIFFER: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "the same NIC is on the same bridge on joiner and master; networks become one by \
               bridge, whatever the NIC",
    remedy: "by hand: order the joiner's NICs like the master's",
    reads: &[
        NICS[0],
        NICS[1],
        NICS[2],
        Reads::joiner(Class::Pif, Which::Each, &["network"]),
        Reads::pool(Class::Pif, Which::Each, &["network"]),
        Reads::joiner(Class::Network, Which::Each, &["bridge"]),
        Reads::pool(Class::Network, Which::Each, &["bridge"]),
    ],
    ..Rule::of("nic-bridges-differ")
}
.run::<Preflight>(|facts, found| {
    let (mine, theirs) = both(facts)?;
    let bridge = |view: View<'_>, pif: &Pif| {
        view.snapshot.get(&pif.network).map(|network| network.bridge.clone())
    };
    let (mut objects, mut expected, mut actual) = (Vec::new(), Vec::new(), Vec::new());
    for (device, (reference, pif)) in &mine {
        let Some((_, their_pif)) = theirs.get(device) else { continue };
        let bridges = bridge(facts.joiner, pif).zip(bridge(facts.pool, their_pif));
        if let Some((mine, theirs)) = bridges.filter(|(mine, theirs)| mine != theirs) {
            objects.push(object(*reference, *pif));
            expected.push(format!("{device} on {theirs}"));
            actual.push(format!("{device} on {mine}"));
        }
    }
    let finding = about(facts, objects, |_, names| {
        format!("{names} of the joiner will be on another network than the master's")
    });
    found.extend(finding.map(|finding| {
        finding.expected(expected.join(", ")).actual(actual.join(", ")).remedy(Remedy::by_person(
            "order the joiner's NICs like the master's (interface-rename, then a reboot), or check \
             the wires of those networks",
        ))
    }));
    Ok(())
});

pub(in crate::preflight) const BONDS_CANNOT_FOLLOW: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "the joiner has the NICs of each bond of the master, so that it gets the bond too",
    remedy: "by hand: install the NICs",
    reads: &[
        NICS[0],
        NICS[1],
        NICS[2],
        Reads::pool(Class::Bond, Which::Each, &["master", "slaves"]),
    ],
    ..Rule::of("bonds-cannot-follow")
}
.run::<Preflight>(|facts, found| {
    let (mine, theirs) = both(facts)?;
    let pool = facts.pool.snapshot;
    let (mut objects, mut missing) = (Vec::new(), Vec::new());
    for (reference, bond) in facts.pool.each::<Bond>() {
        let slaves = theirs.values().filter(|(pif, _)| bond.slaves.contains(pif));
        let lacking: Vec<_> = slaves
            .map(|(_, pif)| pif.device.as_str())
            .filter(|device| !mine.contains_key(device))
            .collect();
        if !lacking.is_empty() {
            let name = pool.get(&bond.master).map_or("", |pif| pif.device.as_str());
            objects.push(Object::of(reference, bond, name));
            missing.push(format!("{name}: no {}", lacking.join(", ")));
        }
    }
    let finding = about(facts, objects, |_, names| {
        format!("the joiner lacks NICs for the master's bonds: {names}")
    });
    found.extend(finding.map(|finding| {
        finding.actual(missing.join("; ")).remedy(Remedy::by_person(
            "install the missing NICs before the join, or make the bond by hand afterwards",
        ))
    }));
    Ok(())
});

pub(in crate::preflight) const VLANS_CANNOT_FOLLOW: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "the joiner has the NIC below each VLAN of the master, so that it gets the VLAN too",
    remedy: "by hand: install the NIC",
    reads: &[NICS[0], NICS[1], NICS[2], Reads::pool(Class::Vlan, Which::Each, &["tagged_PIF"])],
    ..Rule::of("vlans-cannot-follow")
}
.run::<Preflight>(|facts, found| {
    let (mine, theirs) = both(facts)?;
    let mut objects = Vec::new();
    for (reference, vlan) in facts.pool.each::<Vlan>() {
        let below = theirs.values().find(|(pif, _)| **pif == vlan.tagged_PIF);
        if let Some((_, pif)) = below.filter(|(_, pif)| !mine.contains_key(pif.device.as_str())) {
            let name = format!("VLAN {} on {}", vlan.tag, pif.device);
            objects.push(Object::of(reference, vlan, name));
        }
    }
    let finding = about(facts, objects, |_, names| {
        format!("the joiner lacks the NIC for {names}: VMs on them will not run on it")
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person(
            "install the missing NIC before the join, or make the VLAN by hand afterwards",
        ))
    }));
    Ok(())
});

const NIC_METRICS: [Reads; 7] = [
    NICS[0],
    NICS[1],
    NICS[2],
    Reads::joiner(Class::Pif, Which::Each, &["metrics"]),
    Reads::pool(Class::Pif, Which::Each, &["metrics"]),
    Reads::joiner(Class::PifMetrics, Which::Each, &["carrier", "speed"]),
    Reads::pool(Class::PifMetrics, Which::Each, &["carrier", "speed"]),
];

pub(in crate::preflight) const NICS_WITHOUT_LINK: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "each NIC of the joiner has a link where the master's has one",
    remedy: "by hand: check the cable",
    reads: &NIC_METRICS,
    ..Rule::of("nics-without-link")
}
.run::<Preflight>(|facts, found| {
    let (mine, theirs) = both(facts)?;
    let carrier =
        |view: View<'_>, pif: &Pif| view.snapshot.get(&pif.metrics).map(|metrics| metrics.carrier);
    let dark = mine.iter().filter(|(device, (_, pif))| {
        carrier(facts.joiner, pif) == Some(false)
            && theirs.get(*device).is_some_and(|(_, pif)| carrier(facts.pool, pif) == Some(true))
    });
    let objects = dark.map(|(_, (reference, pif))| object(*reference, *pif)).collect();
    let finding = about(facts, objects, |_, names| {
        format!("{names} of the joiner has no link, and the master's has one")
    });
    found.extend(
        finding.map(|finding| {
            finding.remedy(Remedy::by_person("check the cable and the switch port"))
        }),
    );
    Ok(())
});

pub(in crate::preflight) const NIC_SPEEDS_DIFFER: Check = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "NICs with a link have the same speed on joiner and master",
    remedy: "by hand: check cable, switch port and order of the NICs",
    reads: &NIC_METRICS,
    ..Rule::of("nic-speeds-differ")
}
.run::<Preflight>(|facts, found| {
    let (mine, theirs) = both(facts)?;
    let speed = |view: View<'_>, pif: &Pif| {
        let metrics = view.snapshot.get(&pif.metrics)?;
        (metrics.carrier && metrics.speed > 0).then_some(metrics.speed)
    };
    let (mut objects, mut expected, mut actual) = (Vec::new(), Vec::new(), Vec::new());
    for (device, (reference, pif)) in &mine {
        let Some((_, their_pif)) = theirs.get(device) else { continue };
        let speeds = speed(facts.joiner, pif).zip(speed(facts.pool, their_pif));
        if let Some((mine, theirs)) = speeds.filter(|(mine, theirs)| mine != theirs) {
            objects.push(object(*reference, *pif));
            expected.push(format!("{device} {theirs} Mbit/s"));
            actual.push(format!("{device} {mine} Mbit/s"));
        }
    }
    let finding = about(facts, objects, |n, names| {
        format!("{} at another speed than the master's: {names}", count(n, "NIC of the joiner"))
    });
    found.extend(finding.map(|finding| {
        finding
            .expected(expected.join(", "))
            .actual(actual.join(", "))
            .remedy(Remedy::by_person("check cables, switch ports and the order of the NICs"))
    }));
    Ok(())
});

pub(in crate::preflight) const SECONDARY_ADDRESSES_MISSING: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "the joiner has an address on each network, beside the management network, on which \
               the master has one, for storage say",
    remedy: "by hand: give the joiner addresses there, before or after the join",
    reads: &[
        Reads::joiner(Class::Pif, Which::All, &["host", "IP", "network"]),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Pif, Which::All, &["host", "IP", "network", "management", "device"]),
        Reads::joiner(Class::Network, Which::Each, &["bridge"]),
        Reads::pool(Class::Network, Which::Each, &["bridge"]),
    ],
    ..Rule::of("secondary-addresses-missing")
}
.run::<Preflight>(|facts, found| {
    let (me, _) = facts.joiner.local()?;
    let (master, _) = facts.pool.local()?;
    let bridge = |view: View<'_>, pif: &Pif| {
        view.snapshot.get(&pif.network).map(|network| network.bridge.clone())
    };
    let mine: Vec<_> = facts
        .joiner
        .each::<Pif>()
        .filter(|(_, pif)| pif.host == *me && !pif.IP.is_empty())
        .filter_map(|(_, pif)| bridge(facts.joiner, pif))
        .collect();
    let missing = facts.pool.each::<Pif>().filter(|(_, pif)| {
        pif.host == *master
            && !pif.management
            && !pif.IP.is_empty()
            && bridge(facts.pool, pif).is_some_and(|bridge| !mine.contains(&bridge))
    });
    let objects = missing.map(|(reference, pif)| object(reference, pif)).collect();
    let finding = about(facts, objects, |_, names| {
        format!(
            "the joiner has no address on the network of the master's {names}; storage that is \
             reached over it will not attach"
        )
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person(
            "give the joiner's interface on that network an address (xe pif-reconfigure-ip); on \
             bonds and VLANs that it gets by the join, afterwards",
        ))
    }));
    Ok(())
});
