//! What `pool.join` accepts and people regret: one file a family.
//!
//! Sources: what the join was seen to do to objects (recordings of real joins), what the vendor's
//! documents demand, and what users were hit by.

pub(super) mod addresses;
pub(super) mod certificates;
pub(super) mod clashes;
pub(super) mod cpu;
pub(super) mod members;
pub(super) mod networks;
pub(super) mod nics;
pub(super) mod settings;
pub(super) mod storage;
pub(super) mod vms;

use std::collections::BTreeMap;

use super::checks::vms::names;
use super::facts::Facts;
use crate::model::Object;
use crate::model::{Network, PowerState, Ref, Timestamp, Vm};
use crate::rules::Finding;

/// A finding about some objects, if there are any; the message takes their names.
fn about(
    facts: &Facts<'_>,
    objects: Vec<Object>,
    message: impl FnOnce(usize, &str) -> String,
) -> Option<Finding> {
    if objects.is_empty() {
        return None;
    }
    let names = names(objects.iter().cloned());
    Some(facts.finding(message(objects.len(), &names)).objects(objects))
}

/// "1 VM", "2 VMs".
fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// The fields that tell what kind of VM one is, for [`exported`].
const VM_KIND: &[&str] =
    &["is_a_template", "is_default_template", "is_a_snapshot", "is_control_domain", "other_config"];

/// The joiner's VMs that a join takes into the pool, the control domain left out: all but default
/// templates (`Export.export_all`).
fn exported<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (&'a Ref<Vm>, &'a Vm)> + use<'a> {
    facts.joiner.each::<Vm>().filter(|(_, vm)| !vm.is_control_domain && !vm.is_of_installation())
}

fn is_active(vm: &Vm) -> bool {
    matches!(vm.power_state, PowerState::Running | PowerState::Paused | PowerState::Suspended)
}

/// The present, as evidence tells it, or as the pool's measurements were last written.
fn now(facts: &Facts<'_>) -> Option<Timestamp> {
    let evidence = facts.evidence;
    let measured =
        || facts.pool.snapshot.host_metrics.records().map(|metrics| metrics.last_updated).max();
    evidence.master_time.or(evidence.joiner_time).or_else(measured).filter(|time| time.0 > 0)
}

/// How a joiner's network comes into the pool (`Xapi_pool.create_or_get_network_on_master`).
enum Fate<'a> {
    /// It becomes one with this network of the pool, which has the same bridge.
    Merged(&'a Ref<Network>, &'a Network),
    /// It is made anew under its own label and bridge.
    New,
    /// Nothing is made.
    ///
    /// XAPI refuses its bridge's name, or the pool has that bridge already.
    Refused,
}

/// Whether a network is on a physical NIC, or the host-internal management network.
fn is_merged_by_bridge(facts: &Facts<'_>, network: &Network) -> bool {
    let first = network.PIFs.first().and_then(|pif| facts.joiner.snapshot.get(pif));
    first.is_some_and(|pif| pif.physical) || network.is_host_internal_management()
}

/// The pool's networks by bridge, to tell the fates of many.
struct Fates<'a>(BTreeMap<&'a str, (&'a Ref<Network>, &'a Network)>);

impl<'a> Fates<'a> {
    fn new(facts: &Facts<'a>) -> Self {
        // The last of a bridge is the first that the server walks over.
        let networks = facts.pool.snapshot.network.iter();
        let named = networks.filter(|(_, network)| !network.bridge.is_empty());
        Self(
            named
                .map(|(reference, network)| (network.bridge.as_str(), (reference, network)))
                .collect(),
        )
    }

    fn of(&self, facts: &Facts<'_>, network: &Network) -> Fate<'a> {
        match (is_merged_by_bridge(facts, network), self.0.get(network.bridge.as_str())) {
            (true, Some((reference, theirs))) => Fate::Merged(reference, theirs),
            (true, None) => Fate::New,
            (false, Some(_)) => Fate::Refused,
            (false, None) if network.has_reserved_bridge() => Fate::Refused,
            (false, None) => Fate::New,
        }
    }
}

/// The joiner's networks that rest on no interface and are not the host's own.
fn loose_networks<'a>(
    facts: &Facts<'a>,
) -> impl Iterator<Item = (&'a Ref<Network>, &'a Network)> + use<'a> {
    let networks = facts.joiner.each::<Network>();
    networks
        .filter(|(_, network)| network.PIFs.is_empty() && !network.is_host_internal_management())
}
