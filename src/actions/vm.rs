//! Actions on VMs.

use std::collections::BTreeMap;

use super::row::{Argument, Row, map, nothing, reference, text};
use super::{Action, Condition, LossKind, Side};
use crate::model::{Host, Network, Object, PowerState, Ref, Sr, Task, Vdi, Vif, Vm};

pub(super) fn cancel_task(task: &Ref<Task>, vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("task.cancel"),
        arguments: vec![reference(task)],
        object: Object::at(task),
        before: vec![],
        after: Condition::VmIdle { vm: vm.clone() },
        destroys: None,
        undo: None,
    }
}

pub(super) fn clean_shutdown(vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VM.clean_shutdown"),
        arguments: vec![reference(vm)],
        object: Object::at(vm),
        before: vec![power(vm, &[PowerState::Running])],
        after: power(vm, &[PowerState::Halted]),
        destroys: None,
        undo: Some(Action::VmStart { vm: vm.clone() }),
    }
}

pub(super) fn destroy(vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VM.destroy"),
        arguments: vec![reference(vm)],
        object: Object::at(vm),
        before: vec![power(vm, &[PowerState::Halted, PowerState::Suspended])],
        after: Condition::gone(vm),
        destroys: Some(LossKind::Vm),
        undo: None,
    }
}

pub(super) fn hard_shutdown(vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VM.hard_shutdown"),
        arguments: vec![reference(vm)],
        object: Object::at(vm),
        before: vec![power(vm, &[PowerState::Paused, PowerState::Running, PowerState::Suspended])],
        after: power(vm, &[PowerState::Halted]),
        destroys: Some(LossKind::Memory),
        undo: None,
    }
}

/// `host` and `network` are the pool's.
pub(super) fn migrate_to_pool(
    vm: &Ref<Vm>,
    live: bool,
    host: &Ref<Host>,
    network: &Ref<Network>,
    vdi_map: &BTreeMap<Ref<Vdi>, Ref<Sr>>,
    vif_map: &BTreeMap<Ref<Vif>, Ref<Network>>,
) -> Row {
    let token = Argument::ResultOf {
        side: Side::Pool,
        method: "host.migrate_receive",
        arguments: vec![reference(host), reference(network), nothing()],
    };
    Row {
        side: Side::Joiner,
        method: Some("VM.migrate_send"),
        arguments: vec![
            reference(vm),
            token,
            Argument::Bool(live),
            map(vdi_map),
            map(vif_map),
            nothing(),
        ],
        object: Object::at(vm),
        before: vec![match live {
            true => power(vm, &[PowerState::Running]),
            false => power(vm, &[PowerState::Halted]),
        }],
        after: Condition::gone(vm),
        // It is in the pool then, with its disks.
        destroys: None,
        undo: None,
    }
}

pub(super) fn remove_mac_seed(vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VM.remove_from_other_config"),
        arguments: vec![reference(vm), text("mac_seed")],
        object: Object::at(vm),
        before: vec![],
        after: Condition::VmWithoutMacSeed { vm: vm.clone() },
        // The VM gets another seed; addresses that were made of this one stay.
        destroys: None,
        undo: None,
    }
}

pub(super) fn resume(vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VM.resume"),
        arguments: vec![reference(vm), Argument::Bool(false), Argument::Bool(false)],
        object: Object::at(vm),
        before: vec![power(vm, &[PowerState::Suspended])],
        after: power(vm, &[PowerState::Running]),
        destroys: None,
        undo: None,
    }
}

pub(super) fn start(vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VM.start"),
        arguments: vec![reference(vm), Argument::Bool(false), Argument::Bool(false)],
        object: Object::at(vm),
        before: vec![power(vm, &[PowerState::Halted])],
        after: power(vm, &[PowerState::Running]),
        destroys: None,
        undo: None,
    }
}

pub(super) fn suspend(vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VM.suspend"),
        arguments: vec![reference(vm)],
        object: Object::at(vm),
        before: vec![power(vm, &[PowerState::Running])],
        after: power(vm, &[PowerState::Suspended]),
        destroys: None,
        undo: Some(Action::VmResume { vm: vm.clone() }),
    }
}

pub(super) fn unpause(vm: &Ref<Vm>) -> Row {
    Row {
        side: Side::Joiner,
        method: Some("VM.unpause"),
        arguments: vec![reference(vm)],
        object: Object::at(vm),
        before: vec![power(vm, &[PowerState::Paused])],
        after: power(vm, &[PowerState::Running]),
        destroys: None,
        undo: None,
    }
}

fn power(vm: &Ref<Vm>, states: &[PowerState]) -> Condition {
    Condition::VmPower { vm: vm.clone(), states: states.to_vec() }
}
