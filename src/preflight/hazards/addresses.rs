//! Addresses, names and clocks.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::about;
use crate::actions::Remedy;
use crate::actions::Side;
use crate::model::object;
use crate::model::{Class, Host, IpConfigurationMode, Pif};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Severity, View, Which};
use crate::text::quoted;

pub(in crate::preflight) const MANAGEMENT_BY_DHCP: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner's management address is not given by DHCP; the documents want a static \
               one, or a static lease",
    remedy: "by hand: make the address static, or its lease",
    reads: &[
        Reads::joiner(Class::Pif, Which::Each, &["host", "management"]),
        Reads::joiner(Class::Pif, Which::Management, &["ip_configuration_mode"]),
    ],
    ..Rule::of("management-by-dhcp")
}
.run::<Preflight>(|facts, found| {
    let by_dhcp = |pif: &Pif| pif.ip_configuration_mode == IpConfigurationMode::Dhcp;
    let management = facts.joiner.management_pif();
    if let Some((reference, pif)) = management.filter(|(_, pif)| by_dhcp(pif)) {
        let finding =
            facts.finding(format!("the joiner's management address, {}, is given by DHCP", pif.IP));
        found.push(
            finding
                .objects([object(reference, pif)])
                .expected("Static, or a static lease")
                .actual("DHCP")
                .remedy(Remedy::by_person(
                    "make the lease static, or the address (xe pif-reconfigure-ip): members that \
                     change their address lose their pool",
                )),
        );
    }
    Ok(())
});

pub(in crate::preflight) const MANAGEMENT_MTU: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "the management networks of joiner and master have an MTU of 1500; others break \
               joins",
    remedy: "by hand: set the MTU to 1500 for the join",
    reads: &[
        Reads::joiner(Class::Pif, Which::Each, &["host", "management"]),
        Reads::joiner(Class::Pif, Which::Management, &["network"]),
        Reads::joiner(Class::Network, Which::Each, &["MTU"]),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Pif, Which::Each, &["host", "management"]),
        Reads::pool(Class::Pif, Which::Management, &["network"]),
        Reads::pool(Class::Network, Which::Each, &["MTU"]),
    ],
    ..Rule::of("management-mtu")
}
.run::<Preflight>(|facts, found| {
    /// What every switch carries.
    const USUAL: i64 = 1500;
    let network = |view: View<'_>| {
        let (_, pif) = view.management_pif()?;
        let network = view.snapshot.get(&pif.network)?;
        Some((object(&pif.network, network), network.MTU))
    };
    let (theirs, mine) = (network(facts.pool), network(facts.joiner));
    let odd = |side: &Option<(_, i64)>| side.as_ref().is_some_and(|(_, mtu)| *mtu != USUAL);
    if odd(&theirs) || odd(&mine) {
        let told = |side: &Option<(_, i64)>| match side {
            Some((_, mtu)) => mtu.to_string(),
            None => "not known".to_owned(),
        };
        found.push(
            facts
                .finding(format!(
                    "the MTU of the management network is {} in the pool and {} on the joiner; \
                     where they are not 1500, joins were seen to break",
                    told(&theirs),
                    told(&mine)
                ))
                .expected(told(&theirs))
                .actual(told(&mine))
                .objects([mine, theirs].into_iter().flatten().map(|(object, _)| object))
                .remedy(Remedy::by_person(
                    "set the MTU of both management networks to 1500, at least for the join",
                )),
        );
    }
    Ok(())
});

pub(in crate::preflight) const ADDRESSES_CLASH: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "no address of the joiner is an address of a host of the pool",
    remedy: "by hand: give the joiner addresses of its own",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["uuid", "address"]),
        Reads::joiner(Class::Pif, Which::Each, &["host", "IP"]),
        Reads::pool(Class::Host, Which::Each, &["uuid", "address"]),
        Reads::pool(Class::Pif, Which::Each, &["host", "IP"]),
    ],
    ..Rule::of("addresses-clash")
}
.run::<Preflight>(|facts, found| {
    let (me, host) = facts.joiner.local()?;
    let mut theirs = BTreeMap::new();
    for (reference, other) in facts.pool.each::<Host>().filter(|(_, o)| o.uuid != host.uuid) {
        theirs.insert(other.address.as_str(), object(reference, other));
    }
    for (_, pif) in facts.pool.each::<Pif>() {
        let other = facts.pool.snapshot.get(&pif.host);
        if let Some(other) = other.filter(|other| other.uuid != host.uuid) {
            theirs.entry(&pif.IP).or_insert_with(|| object(&pif.host, other));
        }
    }
    let pifs = facts.joiner.each::<Pif>().filter(|(_, pif)| pif.host == *me);
    let mut mine: Vec<_> =
        pifs.map(|(_, pif)| pif.IP.as_str()).chain([host.address.as_str()]).collect();
    mine.sort_unstable();
    mine.dedup();
    let clashing: Vec<_> = mine
        .into_iter()
        .filter(|address| !address.is_empty())
        .filter_map(|address| Some((address, theirs.get(address)?.clone())))
        .collect();
    let addresses: Vec<_> = clashing.iter().map(|(address, _)| *address).collect();
    let objects = clashing.iter().map(|(_, object)| object.clone()).collect();
    let finding = about(facts, objects, |_, names| {
        format!("the joiner has addresses of {names}: {}", addresses.join(", "))
    });
    found.extend(finding.map(|finding| {
        finding.actual(addresses.join(", ")).remedy(Remedy::by_person(
            "give the joiner addresses of its own (xe pif-reconfigure-ip)",
        ))
    }));
    Ok(())
});

pub(in crate::preflight) const HOST_NAME_TAKEN: Check = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "no host of the pool has the joiner's name or hostname",
    remedy: "by hand: rename one of them",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["uuid", "name_label", "hostname"]),
        Reads::pool(Class::Host, Which::Each, &["uuid", "name_label", "hostname"]),
    ],
    ..Rule::of("host-name-taken")
}
.run::<Preflight>(|facts, found| {
    let (_, me) = facts.joiner.local()?;
    let same = |a: &str, b: &str| !a.is_empty() && a.eq_ignore_ascii_case(b);
    let others = facts.pool.each::<Host>().filter(|(_, host)| {
        host.uuid != me.uuid
            && (same(&host.name_label, &me.name_label) || same(&host.hostname, &me.hostname))
    });
    let objects = others.map(|(reference, host)| object(reference, host)).collect();
    let finding = about(facts, objects, |_, names| {
        format!("a host of the pool has the joiner's name or hostname: {names}")
    });
    found.extend(finding.map(|finding| {
        finding.actual(format!("{}, hostname {}", me.name_label, me.hostname)).remedy(
            Remedy::by_person("rename one of them (xe host-set-hostname-live, xe host-param-set)"),
        )
    }));
    Ok(())
});

pub(in crate::preflight) const MASTER_ADDRESS_BY_NAME: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the master's address, as evidence gives it, is an IP address; the joiner resolves a \
               name once and keeps the address",
    remedy: "give the master's management address",
    reads: &[],
    ..Rule::of("master-address-by-name")
}
.run::<Preflight>(|facts, found| {
    let given = facts.evidence.master_address.as_ref();
    if let Some(given) = given.filter(|given| ip(given).is_none()) {
        found.push(
            facts
                .finding(format!(
                    "the joiner must be able to resolve {}, and will keep the address",
                    quoted(given)
                ))
                .expected("an IP address")
                .actual(given)
                .remedy(Remedy::by_person("give the master's management IP address")),
        );
    }
    Ok(())
});

pub(in crate::preflight) const MASTER_ADDRESS_ELSEWHERE: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "the master's address, as evidence gives it, is one of the master's own, not of a \
               forwarder before it",
    remedy: "give the master's management address",
    reads: &[
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Local, &["address"]),
        Reads::pool(Class::Pif, Which::Each, &["host", "IP", "IPv6"]),
    ],
    ..Rule::of("master-address-elsewhere")
}
.run::<Preflight>(|facts, found| {
    let Some(given) = facts.evidence.master_address.as_deref().and_then(ip) else {
        return Ok(());
    };
    let (reference, master) = facts.pool.local()?;
    let pifs = facts.pool.each::<Pif>().filter(|(_, pif)| pif.host == *reference);
    let known = pifs
        .flat_map(|(_, pif)| pif.IPv6.iter().chain([&pif.IP]))
        .chain([&master.address])
        .filter_map(|address| ip(address))
        .any(|address| address == given);
    if !known {
        found.push(
            facts
                .finding(format!(
                    "{given} is no address of the master: the joiner will look for its pool there \
                     from now on"
                ))
                .objects([object(reference, master)])
                .expected(&master.address)
                .actual(given)
                .remedy(Remedy::by_person("give the master's management IP address")),
        );
    }
    Ok(())
});

/// An IP address, also with brackets or a prefix length.
fn ip(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    text.split('/').next()?.parse().ok()
}

pub(in crate::preflight) const CLOCKS_DIFFER: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "the clocks of joiner and master, as evidence gives them, are less than a minute \
               apart",
    remedy: "by hand: let both use the same time servers",
    reads: &[],
    ..Rule::of("clocks-differ")
}
.run::<Preflight>(clocks_differ);

/// Seconds. Certificates made by one host must be valid for the other at once, and domain logins
/// end at five minutes; a minute is far from what hosts with working time servers ever show.
const MOST_SKEW: i64 = 60;

fn clocks_differ(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let evidence = facts.evidence;
    let (Some(theirs), Some(mine)) = (evidence.master_time, evidence.joiner_time) else {
        return Err(Lost::unknown(
            "no evidence gives the clocks of both sides (evidence: master_time, joiner_time), so \
             they cannot be compared",
        ));
    };
    let skew = mine.0.saturating_sub(theirs.0);
    if skew.abs() >= MOST_SKEW {
        let direction = if skew > 0 { "ahead of" } else { "behind" };
        found.push(
            facts
                .finding(format!("the joiner's clock is {} s {direction} the master's", skew.abs()))
                .expected(theirs)
                .actual(mine)
                .remedy(Remedy::by_person(
                    "let both sides use the same time servers, and wait until the clocks agree",
                )),
        );
    }
    Ok(())
}
