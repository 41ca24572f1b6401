//! Which of the joiner's objects go along with its VMs, and under which ids (`export.ml`).

use std::collections::HashMap;

use crate::simulator::database::{Database, NULL_REF, Ref, Row};

/// The objects of an export, by their ref in the joiner's database.
///
/// The exporter gives an id to every ref that it passes, the null ref included. Refs to objects
/// that are not imported keep that id, `Ref:12`, for good.
pub(super) struct Export<'a> {
    joiner: &'a Database,
    ids: HashMap<Ref, usize>,
}

impl<'a> Export<'a> {
    /// Every VM but the default templates, with all that belongs to them.
    pub(super) fn of_all_vms(joiner: &'a Database) -> Self {
        let mut export = Self { joiner, ids: HashMap::new() };
        for vm in joiner.objects("VM").filter(|vm| !is_default_template(vm)) {
            export.add_vm(vm.reference(), true);
        }
        export
    }

    /// The exported objects of a class, in the server's order.
    pub(super) fn objects(&self, class: &str) -> impl Iterator<Item = Row<'a>> {
        self.joiner.objects(class).filter(|object| self.ids.contains_key(object.reference()))
    }

    /// What a ref reads as in the export: an id, or null for what is not in it.
    pub(super) fn id(&self, reference: &str) -> String {
        match self.ids.get(reference) {
            Some(id) => format!("Ref:{id}"),
            None => NULL_REF.to_owned(),
        }
    }

    fn add(&mut self, reference: impl Into<Ref>) {
        let next = self.ids.len();
        self.ids.entry(reference.into()).or_insert(next);
    }

    fn add_vdi(&mut self, vdi: &str) {
        self.add(vdi);
        if let Some(vdi) = self.joiner.object("VDI", vdi) {
            self.add(vdi.text("SR"));
        }
    }

    /// A VM; its snapshots and its parent, which bring no further ones along.
    fn add_vm(&mut self, vm: &str, with_relatives: bool) {
        let Some(vm) = self.joiner.object("VM", vm) else { return };
        if self.ids.contains_key(vm.reference()) {
            return;
        }
        self.add(Ref::clone(vm.reference()));
        for vif in vm.refs("VIFs") {
            self.add(Ref::clone(&vif));
            self.add(self.joiner.text("VIF", &vif, "network"));
        }
        for vbd in vm.refs("VBDs") {
            self.add(Ref::clone(&vbd));
            if !self.joiner.flag("VBD", &vbd, "empty") {
                self.add_vdi(&self.joiner.text("VBD", &vbd, "VDI"));
            }
        }
        for vtpm in vm.refs("VTPMs") {
            self.add(vtpm);
        }
        if with_relatives {
            for snapshot in vm.refs("snapshots") {
                self.add_vm(&snapshot, false);
            }
        }
        let suspend = vm.text("suspend_VDI");
        if vm.text("power_state") == "Suspended" && self.joiner.contains("VDI", suspend) {
            self.add_vdi(suspend);
        }
        for field in ["metrics", "guest_metrics", "resident_on", "affinity"] {
            self.add(vm.text(field));
        }
        if with_relatives {
            self.add_vm(vm.text("parent"), false);
        }
    }
}

/// A template that the server makes itself on every host.
///
/// The core says so too; the simulator is a witness of its own.
fn is_default_template(vm: &Row<'_>) -> bool {
    vm.flag("is_default_template")
        || (vm.flag("is_a_template")
            && vm.entry("other_config", "default_template") == Some("true"))
}
