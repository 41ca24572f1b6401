//! Completing what people write by hand.

use std::collections::BTreeMap;

use super::since::{has_class, has_field};
use super::snapshot::with_class;
use super::*;

impl Snapshot {
    /// Completes a hand-written snapshot in place.
    ///
    /// Missing fields get the datamodel's default or the empty value of their type, missing uuids
    /// the text after `OpaqueRef:`, the many-sides of relations (`host.PIFs`, `Bond.slaves`,
    /// `host.updates`, …) what follows from their one-sides, and every class counts as covered. If
    /// the master states its release, what that release does not have stays missing. Records of
    /// real servers need none of this, and what is completed is invented: a preflight on it knows
    /// only what was written down.
    pub fn complete(&mut self) {
        let release = match self.master() {
            Ok((_, master)) => master.release(),
            Err(_) => self.host.records().find_map(Host::release),
        };
        for class in Class::ALL {
            with_class!(*class, T => complete_table::<T>(self, release.as_ref()));
        }
        self.relate();
    }

    fn relate(&mut self) {
        macro_rules! many {
            ($one:ident . $field:ident -> $side:ident . $many:ident) => {{
                let mut sides = BTreeMap::<_, Vec<_>>::new();
                for (reference, record) in &self.$one {
                    if !record.$field.is_null() {
                        sides.entry(record.$field.clone()).or_default().push(reference.clone());
                    }
                }
                for (reference, record) in self.$side.iter_mut() {
                    if let Some(refs) = sides.remove(reference) {
                        for one in refs {
                            if !record.$many.contains(&one) {
                                record.$many.push(one);
                            }
                        }
                    }
                }
            }};
        }
        many!(pif.host -> host.PIFs);
        many!(pif.network -> network.PIFs);
        many!(pif.bond_slave_of -> bond.slaves);
        many!(bond.master -> pif.bond_master_of);
        many!(vlan.tagged_PIF -> pif.VLAN_slave_of);
        many!(tunnel.access_PIF -> pif.tunnel_access_PIF_of);
        many!(tunnel.transport_PIF -> pif.tunnel_transport_PIF_of);
        many!(network_sriov.physical_PIF -> pif.sriov_physical_PIF_of);
        many!(network_sriov.logical_PIF -> pif.sriov_logical_PIF_of);
        many!(pbd.host -> host.PBDs);
        many!(pbd.SR -> sr.PBDs);
        many!(vdi.SR -> sr.VDIs);
        many!(vbd.VDI -> vdi.VBDs);
        many!(vbd.VM -> vm.VBDs);
        many!(vif.VM -> vm.VIFs);
        many!(vif.network -> network.VIFs);
        many!(vgpu.VM -> vm.VGPUs);
        many!(vusb.VM -> vm.VUSBs);
        many!(vusb.USB_group -> usb_group.VUSBs);
        many!(pusb.USB_group -> usb_group.PUSBs);
        many!(pusb.host -> host.PUSBs);
        many!(pci.host -> host.PCIs);
        many!(pgpu.host -> host.PGPUs);
        many!(vgpu.resident_on -> pgpu.resident_VGPUs);
        many!(vm.resident_on -> host.resident_VMs);
        many!(vm.appliance -> vm_appliance.VMs);
        many!(certificate.host -> host.certificates);
        many!(feature.host -> host.features);
        many!(cluster_host.cluster -> cluster.cluster_hosts);
        many!(task.subtask_of -> task.subtasks);
        self.relate_lists();
    }

    /// The relations that are lists on both sides; either side may have been written.
    fn relate_lists(&mut self) {
        macro_rules! both {
            ($a:ident . $a_list:ident <-> $b:ident . $b_list:ident) => {{
                let mut of_a = BTreeMap::<_, Vec<_>>::new();
                let mut of_b = BTreeMap::<_, Vec<_>>::new();
                for (reference, record) in &self.$a {
                    for other in record.$a_list.iter() {
                        of_b.entry(other.clone()).or_default().push(reference.clone());
                    }
                }
                for (reference, record) in &self.$b {
                    for other in record.$b_list.iter() {
                        of_a.entry(other.clone()).or_default().push(reference.clone());
                    }
                }
                for (reference, record) in self.$a.iter_mut() {
                    for other in of_a.remove(reference).unwrap_or_default() {
                        if !record.$a_list.contains(&other) {
                            record.$a_list.push(other);
                        }
                    }
                }
                for (reference, record) in self.$b.iter_mut() {
                    for other in of_b.remove(reference).unwrap_or_default() {
                        if !record.$b_list.contains(&other) {
                            record.$b_list.push(other);
                        }
                    }
                }
            }};
        }
        both!(host.updates <-> pool_update.hosts);
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        let mut members = BTreeMap::<_, Vec<_>>::new();
        for (reference, vm) in &self.vm {
            for group in vm.groups.iter().flatten() {
                members.entry(group.clone()).or_default().push(reference.clone());
            }
        }
        for (reference, group) in &self.vm_group {
            for vm in &group.VMs {
                groups.entry(vm.clone()).or_default().push(reference.clone());
            }
        }
        for (reference, group) in self.vm_group.iter_mut() {
            for vm in members.remove(reference).unwrap_or_default() {
                if !group.VMs.contains(&vm) {
                    group.VMs.push(vm);
                }
            }
        }
        for (reference, vm) in self.vm.iter_mut() {
            for group in groups.remove(reference).unwrap_or_default() {
                let list = vm.groups.get_or_insert_default();
                if !list.contains(&group) {
                    list.push(group);
                }
            }
        }
    }
}

fn complete_table<T: Record>(snapshot: &mut Snapshot, release: Option<&Version>) {
    if release.is_some_and(|release| !has_class(release, T::CLASS)) {
        return;
    }
    let mut lacking = Absent::default();
    for (n, field) in T::FIELDS.iter().enumerate() {
        if release.is_some_and(|release| !has_field(release, T::CLASS, field)) {
            lacking.insert(n);
        }
    }
    let table = T::table_mut(snapshot);
    table.cover();
    let refs: Vec<_> = table.refs().cloned().collect();
    for reference in refs {
        if let Some(mut record) = table.remove(&reference) {
            let unnamed = !record.has("uuid");
            record.complete_but(lacking);
            if unnamed {
                record.set_uuid(Uuid::new(&reference.short()));
            }
            table.insert(reference, record);
        }
    }
}
