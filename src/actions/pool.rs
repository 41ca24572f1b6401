//! Actions on a pool as a whole, and waiting.

use std::collections::BTreeMap;

use super::row::{Argument, Row, reference, set, text};
use super::{Action, Condition, LossKind, Side};
use crate::model::{Certificate, Object, Pool, Ref, Sr};

/// No call: waits until something holds.
pub(super) fn wait(side: Side, object: &Object, until: &Condition) -> Row {
    Row {
        side,
        method: None,
        arguments: vec![],
        object: object.clone(),
        before: vec![],
        after: until.clone(),
        destroys: None,
        undo: None,
    }
}

pub(super) fn disable_ha(
    side: Side,
    pool: &Ref<Pool>,
    heartbeat_srs: &[Ref<Sr>],
    configuration: &BTreeMap<String, String>,
) -> Row {
    Row {
        side,
        method: Some("pool.disable_ha"),
        arguments: vec![],
        object: Object::at(pool),
        before: vec![],
        after: Condition::HaEnabled { enabled: false },
        destroys: None,
        undo: Some(Action::PoolEnableHa {
            side,
            pool: pool.clone(),
            heartbeat_srs: heartbeat_srs.to_vec(),
            configuration: configuration.clone(),
        }),
    }
}

pub(super) fn enable_ha(
    side: Side,
    pool: &Ref<Pool>,
    heartbeat_srs: &[Ref<Sr>],
    configuration: &BTreeMap<String, String>,
) -> Row {
    Row {
        side,
        method: Some("pool.enable_ha"),
        arguments: vec![set(heartbeat_srs), Argument::Map(configuration.clone())],
        object: Object::at(pool),
        before: vec![],
        after: Condition::HaEnabled { enabled: true },
        destroys: None,
        undo: None,
    }
}

pub(super) fn enable_tls_verification(side: Side, pool: &Ref<Pool>) -> Row {
    Row {
        side,
        method: Some("pool.enable_tls_verification"),
        arguments: vec![],
        object: Object::at(pool),
        before: vec![],
        after: Condition::TlsVerification { enabled: true },
        destroys: None,
        undo: None,
    }
}

pub(super) fn uninstall_ca_certificate(
    side: Side,
    certificate: &Ref<Certificate>,
    name: &str,
) -> Row {
    Row {
        side,
        method: Some("pool.uninstall_ca_certificate"),
        arguments: vec![text(name), Argument::Bool(false)],
        object: Object::at(certificate),
        before: vec![],
        after: Condition::gone(certificate),
        destroys: Some(LossKind::Certificate),
        undo: None,
    }
}

pub(super) fn uninstall_trusted_certificate(
    side: Side,
    pool: &Ref<Pool>,
    certificate: &Ref<Certificate>,
) -> Row {
    Row {
        side,
        method: Some("pool.uninstall_trusted_certificate"),
        arguments: vec![reference(pool), reference(certificate)],
        object: Object::at(certificate),
        before: vec![],
        after: Condition::gone(certificate),
        destroys: Some(LossKind::Certificate),
        undo: None,
    }
}
