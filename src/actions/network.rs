//! Actions on networks.

use super::row::{Row, reference, text};
use super::{Action, Condition, LossKind, Side};
use crate::model::{
    Bond, Network, NetworkPurpose, NetworkSriov, Object, Ref, SdnController, Tunnel, Vlan,
};

pub(super) fn destroy_bond(bond: &Ref<Bond>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("Bond.destroy"),
        arguments: vec![reference(bond)],
        object: Object::at(bond),
        before: vec![],
        after: Condition::gone(bond),
        // Its NICs stay, and it can be made anew.
        destroys: None,
        undo: None,
    }
}

pub(super) fn add_purpose(network: &Ref<Network>, purpose: &NetworkPurpose) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("network.add_purpose"),
        arguments: vec![reference(network), text(purpose.as_str())],
        object: Object::at(network),
        before: vec![],
        after: serves(network, purpose, true),
        destroys: None,
        undo: None,
    }
}

pub(super) fn remove_purpose(network: &Ref<Network>, purpose: &NetworkPurpose) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("network.remove_purpose"),
        arguments: vec![reference(network), text(purpose.as_str())],
        object: Object::at(network),
        before: vec![],
        after: serves(network, purpose, false),
        destroys: None,
        undo: Some(Action::NetworkAddPurpose {
            network: network.clone(),
            purpose: purpose.clone(),
        }),
    }
}

pub(super) fn destroy(network: &Ref<Network>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("network.destroy"),
        arguments: vec![reference(network)],
        object: Object::at(network),
        before: vec![Condition::NetworkUnused { network: network.clone() }],
        after: Condition::gone(network),
        destroys: Some(LossKind::Network),
        undo: None,
    }
}

pub(super) fn destroy_sriov(network_sriov: &Ref<NetworkSriov>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("network_sriov.destroy"),
        arguments: vec![reference(network_sriov)],
        object: Object::at(network_sriov),
        before: vec![],
        after: Condition::gone(network_sriov),
        // The NIC stays, and its virtual functions can be switched on anew.
        destroys: None,
        undo: None,
    }
}

pub(super) fn forget_sdn_controller(sdn_controller: &Ref<SdnController>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("SDN_controller.forget"),
        arguments: vec![reference(sdn_controller)],
        object: Object::at(sdn_controller),
        before: vec![],
        after: Condition::gone(sdn_controller),
        // The controller itself runs on; its address is introduced anew.
        destroys: None,
        undo: None,
    }
}

pub(super) fn destroy_tunnel(tunnel: &Ref<Tunnel>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("tunnel.destroy"),
        arguments: vec![reference(tunnel)],
        object: Object::at(tunnel),
        before: vec![],
        after: Condition::gone(tunnel),
        // Its network stays, and it can be made anew.
        destroys: None,
        undo: None,
    }
}

pub(super) fn destroy_vlan(vlan: &Ref<Vlan>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VLAN.destroy"),
        arguments: vec![reference(vlan)],
        object: Object::at(vlan),
        before: vec![],
        after: Condition::gone(vlan),
        // Its network stays, and it can be made anew.
        destroys: None,
        undo: None,
    }
}

fn serves(network: &Ref<Network>, purpose: &NetworkPurpose, serves: bool) -> Condition {
    Condition::NetworkPurpose { network: network.clone(), purpose: purpose.clone(), serves }
}
