//! Actions on hosts.

use super::row::{Argument, Row, nothing, reference, text};
use super::{Action, Condition, Side};
use crate::model::{ClusterHost, Host, Object, Ref};

pub(super) fn apply_edition(host: &Ref<Host>, edition: &str, before: &str) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("host.apply_edition"),
        arguments: vec![reference(host), text(edition), Argument::Bool(false)],
        object: Object::at(host),
        before: vec![],
        after: Condition::HostEdition { host: host.clone(), edition: edition.to_owned() },
        destroys: None,
        undo: Some(Action::HostApplyEdition {
            host: host.clone(),
            edition: before.to_owned(),
            before: edition.to_owned(),
        }),
    }
}

pub(super) fn destroy(host: &Ref<Host>) -> Row {
    Row {
        side: Side::Pool,
        method: Some("host.destroy"),
        arguments: vec![reference(host)],
        object: Object::at(host),
        before: vec![
            Condition::HaEnabled { enabled: false },
            Condition::HostLive { host: host.clone(), live: false },
        ],
        after: Condition::gone(host),
        // The pool forgets a host that is dead; its disks keep what lies on them.
        destroys: None,
        undo: None,
    }
}

pub(super) fn disable(side: Side, host: &Ref<Host>) -> Row {
    Row {
        side,
        method: Some("host.disable"),
        arguments: vec![reference(host)],
        object: Object::at(host),
        before: vec![],
        after: accepts_vms(host, false),
        destroys: None,
        undo: Some(Action::HostEnable { side, host: host.clone() }),
    }
}

pub(super) fn enable(side: Side, host: &Ref<Host>) -> Row {
    Row {
        side,
        method: Some("host.enable"),
        arguments: vec![reference(host)],
        object: Object::at(host),
        before: vec![],
        after: accepts_vms(host, true),
        destroys: None,
        undo: None,
    }
}

pub(super) fn disable_external_auth(host: &Ref<Host>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("host.disable_external_auth"),
        arguments: vec![reference(host), nothing(), Argument::Bool(false)],
        object: Object::at(host),
        before: vec![],
        after: Condition::HostNotInDomain { host: host.clone() },
        // The domain stays, which the host can enter again.
        destroys: None,
        undo: None,
    }
}

pub(super) fn reboot(side: Side, host: &Ref<Host>) -> Row {
    Row {
        side,
        method: Some("host.reboot"),
        arguments: vec![reference(host)],
        object: Object::at(host),
        // XAPI shuts down the VMs that are on the host, by force after a minute.
        before: vec![accepts_vms(host, false), Condition::HostEmpty { host: host.clone() }],
        after: Condition::NoPendingGuidance { host: host.clone() },
        destroys: None,
        undo: None,
    }
}

pub(super) fn restart_agent(side: Side, host: &Ref<Host>) -> Row {
    Row {
        side,
        method: Some("host.restart_agent"),
        arguments: vec![reference(host)],
        object: Object::at(host),
        before: vec![],
        after: Condition::NoPendingGuidance { host: host.clone() },
        destroys: None,
        undo: None,
    }
}

pub(super) fn disable_cluster_host(cluster_host: &Ref<ClusterHost>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("Cluster_host.disable"),
        arguments: vec![reference(cluster_host)],
        object: Object::at(cluster_host),
        before: vec![],
        after: clusters(cluster_host, false),
        destroys: None,
        undo: Some(Action::ClusterHostEnable { cluster_host: cluster_host.clone() }),
    }
}

pub(super) fn enable_cluster_host(cluster_host: &Ref<ClusterHost>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("Cluster_host.enable"),
        arguments: vec![reference(cluster_host)],
        object: Object::at(cluster_host),
        before: vec![],
        after: clusters(cluster_host, true),
        destroys: None,
        undo: None,
    }
}

fn accepts_vms(host: &Ref<Host>, enabled: bool) -> Condition {
    Condition::HostEnabled { host: host.clone(), enabled }
}

fn clusters(cluster_host: &Ref<ClusterHost>, enabled: bool) -> Condition {
    Condition::ClusterHostEnabled { cluster_host: cluster_host.clone(), enabled }
}
