//! Actions on storage.

use super::row::{Row, reference};
use super::{Action, Condition, LossKind, Side};
use crate::model::{Object, Pbd, Ref, Sr, Vdi};

pub(super) fn plug(pbd: &Ref<Pbd>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("PBD.plug"),
        arguments: vec![reference(pbd)],
        object: Object::at(pbd),
        before: vec![],
        after: Condition::PbdAttached { pbd: pbd.clone(), attached: true },
        destroys: None,
        undo: None,
    }
}

pub(super) fn unplug(pbd: &Ref<Pbd>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("PBD.unplug"),
        arguments: vec![reference(pbd)],
        object: Object::at(pbd),
        before: vec![],
        after: Condition::PbdAttached { pbd: pbd.clone(), attached: false },
        destroys: None,
        undo: Some(Action::PbdPlug { pbd: pbd.clone() }),
    }
}

pub(super) fn destroy(sr: &Ref<Sr>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("SR.destroy"),
        arguments: vec![reference(sr)],
        object: Object::at(sr),
        before: vec![
            Condition::SrAttached { sr: sr.clone(), attached: true },
            Condition::SrEmpty { sr: sr.clone() },
        ],
        after: Condition::gone(sr),
        destroys: Some(LossKind::SrContent),
        undo: None,
    }
}

pub(super) fn forget(sr: &Ref<Sr>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("SR.forget"),
        arguments: vec![reference(sr)],
        object: Object::at(sr),
        before: vec![Condition::SrAttached { sr: sr.clone(), attached: false }],
        after: Condition::gone(sr),
        // The data stays on the storage, which can be introduced again.
        destroys: None,
        undo: None,
    }
}

pub(super) fn destroy_vdi(vdi: &Ref<Vdi>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VDI.destroy"),
        arguments: vec![reference(vdi)],
        object: Object::at(vdi),
        before: vec![],
        after: Condition::gone(vdi),
        destroys: Some(LossKind::Vdi),
        undo: None,
    }
}
