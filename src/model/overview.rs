//! What an administrator counts in a pool.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::model::Snapshot;
use crate::text::plain;

/// A pool in a few numbers and names, to compare before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// The master's name.
    pub master: String,
    /// The master's address.
    pub master_address: String,
    /// The hosts' names, the master first.
    pub hosts: Vec<String>,
    /// The storage repositories' names.
    pub srs: Vec<String>,
    /// The networks' names.
    pub networks: Vec<String>,
    /// The names of the VMs, without templates, snapshots and control domains.
    pub vms: Vec<String>,
}

impl Overview {
    /// The classes that it reads: hosts, storage and networks of a pool, without its VMs.
    pub(crate) const CLASSES: &[super::Class] = &[
        super::Class::Pool,
        super::Class::Host,
        super::Class::HostMetrics,
        super::Class::Sr,
        super::Class::Pbd,
        super::Class::Pif,
        super::Class::Network,
    ];

    /// The overview of a pool.
    ///
    /// # Errors
    /// `InvalidInput` if the snapshot has no single pool with a master.
    pub fn of(snapshot: &Snapshot) -> Result<Self> {
        let (master_ref, master) = snapshot.master()?;
        let members = snapshot.host.iter().filter(|(reference, _)| *reference != master_ref);
        let mut hosts = vec![master.name_label.clone()];
        hosts.extend(members.map(|(_, host)| host.name_label.clone()));
        let sorted = |names: &mut dyn Iterator<Item = &String>| {
            let mut names: Vec<_> = names.cloned().collect();
            names.sort_unstable();
            names
        };
        Ok(Self {
            master: master.name_label.clone(),
            master_address: master.address.clone(),
            hosts,
            srs: sorted(&mut snapshot.sr.records().map(|sr| &sr.name_label)),
            networks: sorted(&mut snapshot.network.records().map(|network| &network.name_label)),
            vms: sorted(
                &mut snapshot.vm.records().filter(|vm| vm.is_user_vm()).map(|vm| &vm.name_label),
            ),
        })
    }
}

impl fmt::Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "master    {} at {}", plain(&self.master), plain(&self.master_address))?;
        let mut lines = [
            ("hosts", &self.hosts),
            ("SRs", &self.srs),
            ("networks", &self.networks),
            ("VMs", &self.vms),
        ]
        .into_iter()
        .map(|(what, names)| format!("{what:<9} {}: {}", names.len(), plain(names.join(", "))))
        .map(|line| line.trim_end_matches(": ").to_owned());
        let last = lines.next_back().unwrap_or_default();
        for line in lines {
            writeln!(f, "{line}")?;
        }
        f.write_str(&last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Host, Pool, Sr, Vm};

    #[test]
    fn counts_what_a_person_would_and_names_the_master_first() {
        let mut snapshot = Snapshot::new();
        let pool = Pool { master: "OpaqueRef:2".into(), ..Pool::default() };
        snapshot.pool.insert("OpaqueRef:p".into(), pool);
        for (reference, name) in [("OpaqueRef:1", "alpha"), ("OpaqueRef:2", "beta")] {
            let host =
                Host { name_label: name.into(), address: format!("{name}.lan"), ..Host::default() };
            snapshot.host.insert(reference.into(), host);
        }
        for (reference, name) in [("OpaqueRef:3", "iso"), ("OpaqueRef:4", "disks")] {
            let sr = Sr { name_label: name.into(), ..Sr::default() };
            snapshot.sr.insert(reference.into(), sr);
        }
        for (reference, is_a_template) in [("OpaqueRef:5", false), ("OpaqueRef:6", true)] {
            let vm = Vm { name_label: "web".into(), is_a_template, ..Vm::default() };
            snapshot.vm.insert(reference.into(), vm);
        }
        let overview = Overview::of(&snapshot).unwrap();
        assert_eq!(
            overview.to_string(),
            "master    beta at beta.lan\nhosts     2: beta, alpha\nSRs       2: disks, iso\n\
             networks  0\nVMs       1: web"
        );
    }
}
