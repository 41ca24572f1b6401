//! Pools described by what is special about them.

use super::records::Records;
use super::vm_spec::{VmSpec, bytes};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::simulator::database::{Database, Ref};
use crate::simulator::release::Release;
use crate::simulator::state::Random;
use crate::text::quoted;

type Edit = Box<dyn FnOnce(&mut Database) -> Result<(), Fault>>;

/// A pool by what is special about it.
///
/// Everything else is as a fresh installation has it.
///
/// Each host has "Local storage", "DVD drives" and "Removable storage"; the pool has the tools SR,
/// a network for each NIC, the host internal management network and a default template.
pub struct PoolSpec {
    name: String,
    release: Release,
    hosts: Vec<(String, String)>,
    nics: usize,
    memory: i64,
    items: Vec<Item>,
}

enum Item {
    Bond(String, Vec<usize>),
    Edit(Edit),
    Internal(String),
    Patch(serde_json::Value),
    SharedSr(String, String),
    Vlan(String, usize, i64),
    Vm(VmSpec),
}

impl PoolSpec {
    /// A pool without hosts yet. A host of its own has a pool without a name.
    pub fn new(name: &str, release: Release) -> Self {
        Self {
            name: name.to_owned(),
            release,
            hosts: Vec::new(),
            nics: 2,
            memory: 64 << 30,
            items: Vec::new(),
        }
    }

    /// Adds a host; the first is the master.
    #[must_use]
    pub fn host(mut self, name: &str, address: &str) -> Self {
        self.hosts.push((name.to_owned(), address.to_owned()));
        self
    }

    /// How many NICs each host has, two if not said.
    ///
    /// The first one is the management interface.
    #[must_use]
    pub fn nics(mut self, nics: usize) -> Self {
        self.nics = nics.max(1);
        self
    }

    /// The memory of each host in GiB, 64 if not said.
    #[must_use]
    pub fn memory(mut self, gib: i64) -> Self {
        self.memory = bytes(gib);
        self
    }

    /// Adds an SR that every host has attached, such as `nfs`, `lvmoiscsi` or `iso`.
    #[must_use]
    pub fn shared_sr(self, label: &str, kind: &str) -> Self {
        self.item(Item::SharedSr(label.to_owned(), kind.to_owned()))
    }

    /// Adds a network that is on no NIC.
    #[must_use]
    pub fn internal_network(self, label: &str) -> Self {
        self.item(Item::Internal(label.to_owned()))
    }

    /// Adds a network on a VLAN of each host's NIC, counted from zero.
    #[must_use]
    pub fn vlan(self, label: &str, nic: usize, tag: i64) -> Self {
        self.item(Item::Vlan(label.to_owned(), nic, tag))
    }

    /// Adds a network on a bond of each host's NICs, counted from zero.
    #[must_use]
    pub fn bond(self, label: &str, nics: &[usize]) -> Self {
        self.item(Item::Bond(label.to_owned(), nics.to_vec()))
    }

    /// Adds a VM. SRs and networks that it names must have been added before.
    #[must_use]
    pub fn vm(self, vm: VmSpec) -> Self {
        self.item(Item::Vm(vm))
    }

    /// Changes the finished database.
    #[must_use]
    pub fn edit(self, edit: impl FnOnce(&mut Database) -> Result<(), Fault> + 'static) -> Self {
        self.item(Item::Edit(Box::new(edit)))
    }

    /// Changes the finished database by JSON: see [`Database::patch`].
    #[must_use]
    pub fn patch(self, changes: serde_json::Value) -> Self {
        self.item(Item::Patch(changes))
    }

    fn item(mut self, item: Item) -> Self {
        self.items.push(item);
        self
    }

    pub(in crate::simulator) fn build(self, random: &mut Random) -> Result<Database> {
        if self.hosts.is_empty() {
            let what = format!("the pool {} has no hosts", quoted(&self.name));
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        if self.nics > MAX_NICS {
            let what = format!("hosts with {} NICs: {MAX_NICS} is the most", self.nics);
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        check_size("the memory of a host", self.memory)?;
        let mut records = Records::new(self.release, random);
        let pool = records.pool(&self.name)?;
        records.drivers()?;
        let mut networks = Vec::new();
        for nic in 0..self.nics {
            let label = format!("Pool-wide network associated with eth{nic}");
            networks.push(records.network(&label, &format!("xenbr{nic}"))?);
        }
        records.internal_management_network()?;
        let tools = records.tools_sr()?;
        let mut hosts: Vec<(Ref, Vec<Ref>)> = Vec::new();
        for (number, (name, address)) in self.hosts.iter().enumerate() {
            let host = records.host(name, address, self.memory)?;
            let mut pifs = Vec::new();
            for (nic, network) in networks.iter().enumerate() {
                let address = (nic == 0).then_some(address.as_str());
                pifs.push(records.pif(&host, network, nic, address)?);
            }
            records.local_srs(&host)?;
            records.pbd(&host, &tools, &[("location", "/opt/xensource/packages/iso")])?;
            if number == 0 {
                records.database.set("pool", &pool, "master", &host).map_err(Error::from)?;
                let cpus = records.database.get("host", &host, "cpu_info");
                records.database.set("pool", &pool, "cpu_info", cpus).map_err(Error::from)?;
            }
            hosts.push((host, pifs));
        }
        records.template("Debian Bookworm 12")?;
        for item in self.items {
            match item {
                Item::SharedSr(label, kind) => {
                    let sr = records.sr(&label, &kind, true, 1 << 40)?;
                    let config = shared_config(&kind, &label);
                    for (host, _) in &hosts {
                        records.pbd(host, &sr, &config)?;
                    }
                    if kind != "iso" {
                        records.default_sr(&pool, &sr)?;
                    }
                }
                Item::Internal(label) => {
                    records.internal_network(&label)?;
                }
                Item::Vlan(label, nic, tag) => {
                    let network = records.internal_network(&label)?;
                    for (_, pifs) in &hosts {
                        records.vlan(pif_at(pifs, nic)?, &network, tag)?;
                    }
                }
                Item::Bond(label, nics) => {
                    let network = records.internal_network(&label)?;
                    for (_, pifs) in &hosts {
                        let slaves: Result<Vec<_>> =
                            nics.iter().map(|nic| pif_at(pifs, *nic).cloned()).collect();
                        records.bond(&slaves?, &network)?;
                    }
                }
                Item::Vm(vm) => {
                    check_size(&format!("the memory of {}", vm.name), vm.memory)?;
                    for (_, size) in &vm.disks {
                        check_size(&format!("a disk of {}", vm.name), *size)?;
                    }
                    records.vm(&vm)?;
                }
                Item::Edit(edit) => edit(&mut records.database)?,
                Item::Patch(changes) => records.database.patch(&changes)?,
            }
        }
        Ok(records.database)
    }
}

/// A size in bytes from a GiB to a PiB: sums of many stay numbers that databases can hold.
fn check_size(what: &str, size: i64) -> Result<()> {
    if (1 << 30..=1 << 50).contains(&size) {
        return Ok(());
    }
    let what = format!("{what} is neither a GiB nor a PiB nor between: {} GiB", size >> 30);
    Err(Error::new(ErrorKind::InvalidInput, what))
}

fn pif_at(pifs: &[Ref], nic: usize) -> Result<&Ref> {
    pifs.get(nic).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("the hosts have no NIC number {nic}"))
    })
}

/// How many NICs a simulated host may have: sixteen times as many as XenServer supports.
const MAX_NICS: usize = 256;

/// A device configuration that a driver would take.
fn shared_config(kind: &str, label: &str) -> Vec<(&'static str, &'static str)> {
    // The label does not matter to the driver, but two exports differ.
    let path = if label.len() % 2 == 0 { "/export/vms" } else { "/export/isos" };
    match kind {
        "nfs" => vec![("server", "10.0.0.100"), ("serverpath", path)],
        "iso" => vec![("location", "10.0.0.100:/export/isos"), ("type", "nfs_iso")],
        "lvmoiscsi" => vec![
            ("target", "10.0.0.101"),
            ("targetIQN", "iqn.2026-01.example:pool"),
            ("SCSIid", "360000000000000000e00000000010001"),
        ],
        _ => Vec::new(),
    }
}
