//! Network backends, their controllers, and what networks are for.

use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::error::Fault;
use crate::model::object;
use crate::model::{Class, Network, NetworkPurpose, Ref, SdnController};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, View, Which};
use crate::text::quoted;

const OPENVSWITCH: &str = "openvswitch";

fn pool_backend<'a>(facts: &Facts<'a>) -> Result<&'a str, Lost> {
    let (_, master) = facts.pool.local()?;
    Ok(master.software_version.get("network_backend").map_or("bridge", String::as_str))
}

pub(in crate::preflight) const NETWORK_BACKEND_DIFFERS: Check = Rule {
    check: Some("assert_homogeneous_vswitch_configuration"),
    error: Some("OPERATION_NOT_ALLOWED"),
    side: Side::Both,
    compares: "the joiner's network daemon uses the backend that the master states in \
               `software_version` (missing: bridge)",
    remedy: "by hand: switch the joiner's network backend",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["software_version"]),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Local, &["software_version"]),
    ],
    ..Rule::of("network-backend-differs")
}
.run::<Preflight>(network_backend_differs);

fn network_backend_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let theirs = pool_backend(facts)?;
    let (reference, me) = facts.joiner.local()?;
    // The joiner asks its own network daemon, not its database.
    let stated = me.software_version.get("network_backend").map(String::as_str);
    let Some(mine) = facts.evidence.joiner_bridge_backend.as_deref().or(stated) else {
        return Err(Lost::unknown(
            "the joiner does not state its network backend (host.software_version: \
             network_backend), and no evidence says what its network daemon uses (evidence: \
             joiner_bridge_backend)",
        ));
    };
    if theirs == mine {
        return Ok(());
    }
    found.push(
        facts
            .finding(format!(
                "the network backends differ: {} in the pool, {} on the joiner",
                quoted(theirs),
                quoted(mine)
            ))
            .fault(Fault::new("OPERATION_NOT_ALLOWED", ["Network backends differ"]))
            .objects([object(reference, me)])
            .expected(theirs)
            .actual(mine)
            .remedy(Remedy::by_person(format!(
                "switch the joiner's network backend and reboot it (xe-switch-network-backend \
                 {theirs}, on its console)"
            ))),
    );
    Ok(())
}

pub(in crate::preflight) const SDN_CONTROLLER_DIFFERS: Check = Rule {
    check: Some("assert_homogeneous_vswitch_configuration"),
    error: Some("OPERATION_NOT_ALLOWED"),
    side: Side::Both,
    compares: "if the pool uses openvswitch, the joiner has no SDN controller, or the pool's: same \
               protocol, address and port",
    remedy: "forget the joiner's SDN controller",
    reads: &[
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Local, &["software_version"]),
        Reads::joiner(Class::SdnController, Which::All, &["protocol", "address", "port"]),
        Reads::pool(Class::SdnController, Which::All, &["protocol", "address", "port"]),
    ],
    ..Rule::of("sdn-controller-differs")
}
.run::<Preflight>(sdn_controller_differs);

fn sdn_controller_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    // Where the joiner has another backend, it must get the pool's first, and is then compared.
    if pool_backend(facts)? != OPENVSWITCH {
        return Ok(());
    }
    // The server compares the first that it walks over on each side.
    let Some((_, mine)) = facts.joiner.snapshot.sdn_controller.iter().next_back() else {
        return Ok(());
    };
    let theirs = facts.pool.snapshot.sdn_controller.iter().next_back().map(|(_, theirs)| theirs);
    let same = |theirs: &SdnController| {
        (&theirs.protocol, &theirs.address, theirs.port)
            == (&mine.protocol, &mine.address, mine.port)
    };
    if theirs.is_some_and(same) {
        return Ok(());
    }
    let told = |controller: &SdnController| {
        format!("{}:{}:{}", controller.protocol, controller.address, controller.port)
    };
    let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
    let forget = facts.joiner.each::<SdnController>().fold(
        Choice::new("forget", "forget the joiner's controller; it gets the pool's"),
        |choice, (reference, controller)| {
            let action = Action::SdnControllerForget { sdn_controller: reference.clone() };
            choice.with(&object(reference, controller), pool, joiner, [action])
        },
    );
    found.push(
        facts
            .finding(format!(
                "the joiner is under an SDN controller that is not the pool's: {}",
                told(mine)
            ))
            .fault(Fault::new("OPERATION_NOT_ALLOWED", ["SDN controller differs"]))
            .objects(facts.joiner.each::<SdnController>().map(|(r, sdn)| object(r, sdn)))
            .expected(theirs.map_or("none".to_owned(), told))
            .actual(told(mine))
            .remedy(Remedy::default().or(forget)),
    );
    Ok(())
}

pub(in crate::preflight) const NBD_PURPOSE_DIFFERS: Check = Rule {
    check: Some("assert_compatible_network_purpose"),
    error: Some("OPERATION_NOT_ALLOWED"),
    side: Side::Both,
    compares: "networks of joiner and pool are not for `nbd` on one side and `insecure_nbd` on the \
               other",
    remedy: "take the purpose from the joiner's networks",
    reads: &[
        Reads::joiner(Class::Network, Which::All, &["purpose"]),
        Reads::pool(Class::Network, Which::All, &["purpose"]),
    ],
    ..Rule::of("nbd-purpose-differs")
}
.run::<Preflight>(nbd_purpose_differs);

/// The first purpose of the NBD kind that the server walks over.
fn nbd<'a>(view: View<'a>) -> Option<&'a NetworkPurpose> {
    view.each::<Network>().rev().find_map(|(_, network)| nbd_of(network))
}

fn nbd_of(network: &Network) -> Option<&NetworkPurpose> {
    network
        .purpose
        .iter()
        .find(|purpose| matches!(purpose, NetworkPurpose::Nbd | NetworkPurpose::InsecureNbd))
}

fn nbd_purpose_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (Some(theirs), Some(mine)) = (nbd(facts.pool), nbd(facts.joiner)) else { return Ok(()) };
    if theirs == mine {
        return Ok(());
    }
    let offending: Vec<(&Ref<Network>, &Network)> = facts
        .joiner
        .each::<Network>()
        .filter(|(_, network)| network.purpose.contains(mine))
        .collect();
    let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
    let remove = offending.iter().fold(
        Choice::new("remove-purpose", format!("no longer use the joiner's networks for {mine}")),
        |choice, (reference, network)| {
            let action = Action::NetworkRemovePurpose {
                network: (*reference).clone(),
                purpose: mine.clone(),
            };
            choice.with(&object(*reference, *network), pool, joiner, [action])
        },
    );
    found.push(
        facts
            .finding(format!("networks are for {theirs} in the pool and for {mine} on the joiner"))
            .fault(Fault::new(
                "OPERATION_NOT_ALLOWED",
                ["Incompatible network purposes: nbd and insecure_nbd"],
            ))
            .objects(offending.iter().map(|(reference, network)| object(*reference, *network)))
            .expected(theirs)
            .actual(mine)
            .remedy(Remedy::default().or(remove)),
    );
    Ok(())
}
