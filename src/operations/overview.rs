//! What an administrator counts.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::model::Snapshot;

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
        writeln!(f, "master    {} at {}", self.master, self.master_address)?;
        let mut lines = [
            ("hosts", &self.hosts),
            ("SRs", &self.srs),
            ("networks", &self.networks),
            ("VMs", &self.vms),
        ]
        .into_iter()
        .map(|(what, names)| format!("{what:<9} {}: {}", names.len(), names.join(", ")))
        .map(|line| line.trim_end_matches(": ").to_owned());
        let last = lines.next_back().unwrap_or_default();
        for line in lines {
            writeln!(f, "{line}")?;
        }
        f.write_str(&last)
    }
}
