//! The operations that the campaign disturbs, and what is true of their ends.

mod join;
mod master;
mod member;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use xcp_pool::Result;
use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::election::{self, Confirmation, HostRole, PoolEvidence};
use xcp_pool::model::{Host, Ref, Snapshot};
use xcp_pool::operations::{self, Control, Members, OnFailure, Outcome};
use xcp_pool::plan::{self, Choices, Consent, Joins, Plan};
use xcp_pool::preflight::{self, Options};
use xcp_pool::simulator::database::Database;
use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};

use super::Said;
use super::wire::{Caller, Guard};
use join::{Join, JoinMany};
use master::{HandOver, Recover};
use member::{Eject, Maintenance};

/// What is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Eject,
    HandOver,
    Join,
    /// Two hosts join, one after the other.
    JoinMany,
    /// A join that would destroy a VM, to which nobody agreed.
    JoinWithoutConsent,
    /// A member is emptied, rebooted and put back to work.
    Maintenance,
    Recover,
    /// The master is not dead, but cut off from the callers for a while.
    RecoverFromTheLiving,
    /// Nobody agrees to resetting the VMs of the dead host.
    RecoverWithoutConsent,
}

impl Operation {
    pub(crate) const ALL: &[Self] = &[
        Self::Eject,
        Self::HandOver,
        Self::Join,
        Self::JoinMany,
        Self::JoinWithoutConsent,
        Self::Maintenance,
        Self::Recover,
        Self::RecoverFromTheLiving,
        Self::RecoverWithoutConsent,
    ];

    pub(crate) fn case(self, seed: u64) -> Box<dyn Case> {
        match self {
            Self::Eject => Box::new(Eject::new(seed)),
            Self::HandOver => Box::new(HandOver::new(seed)),
            Self::Join => Box::new(Join::new(seed, true)),
            Self::JoinMany => Box::new(JoinMany::new(seed)),
            Self::JoinWithoutConsent => Box::new(Join::new(seed, false)),
            Self::Maintenance => Box::new(Maintenance::new(seed)),
            Self::Recover => Box::new(Recover::new(seed, true, false)),
            Self::RecoverFromTheLiving => Box::new(Recover::new(seed, true, true)),
            Self::RecoverWithoutConsent => Box::new(Recover::new(seed, false, false)),
        }
    }
}

/// An operation in its world.
pub(crate) trait Case {
    fn world(&self) -> &World;
    fn hosts(&self) -> Vec<String>;
    /// Which requests must not be sent as things are.
    fn guard(&self) -> Guard;
    /// One caller's try.
    fn attempt(&mut self, caller: &Caller) -> Said;
    /// Whether the end that was claimed is what is, at rest.
    fn is_true(&self, said: &Said) -> Result<(), String>;
    /// Whether no further caller is needed.
    fn is_over(&mut self, said: &Said) -> bool;
    /// What is gone that nobody agreed to lose.
    fn losses(&self) -> Vec<String>;
}

/// A pool of three, the master first.
const THREE: [&str; 3] = ["alpha", "beta", "gamma"];

pub(crate) fn three_hosts() -> PoolSpec {
    pool(THREE)
}

/// A pool of three whose master, phantom, is to be lost.
pub(crate) fn phantoms_pool() -> PoolSpec {
    pool(["phantom", "alpha", "beta"])
        .vm(VmSpec::running("web", "phantom").disk("NFS", 10))
        .vm(VmSpec::running("db", "beta").disk("NFS", 10))
}

/// Hosts from 10.0.0.1 on, the master first, and storage that they share.
fn pool(hosts: [&str; 3]) -> PoolSpec {
    let mut pool = PoolSpec::new("lab", Release::XcpNg83);
    for (n, host) in hosts.into_iter().enumerate() {
        pool = pool.host(host, &format!("10.0.0.{}", n + 1));
    }
    pool.shared_sr("NFS", "nfs")
}

fn named<'a>(snapshot: &'a Snapshot, host: &str) -> &'a Ref<Host> {
    snapshot.host.iter().find(|(_, row)| row.name_label == host).unwrap().0
}

pub(crate) fn root() -> Credentials {
    Credentials::new("root", "xcp-test")
}

fn connect(caller: &Caller, host: &str) -> Result<Client> {
    Client::builder(caller.clone()).cancel(caller.cancel.clone()).connect(host, &root())
}

/// A quarter of an hour, which is enough for everything in a world at peace.
fn control(caller: &Caller) -> Control<'static> {
    let read = caller.reads();
    Control::new()
        .deadline(Duration::from_secs(900))
        .cancel(caller.operates_until())
        .observer(move |progress| progress.awaited.iter().for_each(|awaited| read(awaited)))
}

fn said<T: std::fmt::Display>(result: Result<Outcome<T>>) -> Said {
    match result {
        Ok(Outcome::Done(done)) => Said::Done(done.to_string()),
        Ok(Outcome::NotDone(why)) => Said::NotDone(why.to_string()),
        Ok(Outcome::Unknown(why)) => Said::Unknown(why.to_string()),
        Err(error) => Said::Failed(error.to_string()),
    }
}

fn slave_of(address: &str) -> Option<HostRole> {
    Some(HostRole::Slave(address.to_owned()))
}

fn has(database: &Database, uuid: &str) -> bool {
    database.by_uuid("host", uuid).is_some()
}

fn uuid_of(world: &World, host: &str) -> String {
    let database = world.database(host).unwrap();
    let row = database.objects("host").find(|row| row.text("hostname") == host);
    row.unwrap().text("uuid").to_owned()
}

fn uuids_of(world: &World, hosts: &[&str]) -> Vec<(String, String)> {
    hosts.iter().map(|host| (host.to_string(), uuid_of(world, host))).collect()
}

/// A member in good order: it follows, the master knows it as live and enabled.
fn assert_member(world: &World, host: &str, uuid: &str, master: &str) -> Result<(), String> {
    let address = world.address(master).unwrap();
    if world.role(host) != slave_of(&address) {
        return Err(format!("{host} is {:?}", world.role(host)));
    }
    if let Some(error) = world.emergency(host) {
        return Err(format!("{host} is in emergency mode: {error}"));
    }
    let database = world.database(master).map_err(|error| error.to_string())?;
    let Some(row) = database.by_uuid("host", uuid) else {
        return Err(format!("{master} does not know {host}"));
    };
    let live = database.flag("host_metrics", &database.text("host", &row, "metrics"), "live");
    match (database.flag("host", &row, "enabled"), live) {
        (true, true) => Ok(()),
        state => Err(format!("{host} is (enabled, live): {state:?}")),
    }
}

/// User VMs and their disks, by class and uuid, of all pools.
fn inventory(world: &World, hosts: &[String]) -> BTreeSet<(&'static str, String)> {
    let mut found = BTreeSet::new();
    for host in hosts {
        let Ok(database) = world.database(host) else { continue };
        let vms = database.objects("VM");
        for vm in vms.filter(|vm| !vm.flag("is_a_template") && !vm.flag("is_control_domain")) {
            found.insert(("VM", vm.text("uuid").to_owned()));
            for vbd in database.objects("VBD").filter(|vbd| vbd.text("VM") == &**vm.reference()) {
                if let Some(vdi) = database.object("VDI", vbd.text("VDI")) {
                    found.insert(("VDI", vdi.text("uuid").to_owned()));
                }
            }
        }
    }
    found
}

/// What was there, is not there, and is not among the losses.
fn missing(
    before: &BTreeSet<(&'static str, String)>,
    world: &World,
    hosts: &[String],
    agreed: &BTreeSet<String>,
) -> Vec<String> {
    let after = inventory(world, hosts);
    let gone = before.difference(&after).filter(|(_, uuid)| !agreed.contains(uuid));
    gone.map(|(class, uuid)| format!("{class} {uuid} is gone, and nobody agreed to it")).collect()
}

fn agreed(plan: &Plan) -> BTreeSet<String> {
    plan.losses().map(|loss| loss.object.uuid.clone()).collect()
}

/// Whether a task of a method is pending in a host's database.
fn is_pending(world: &World, host: &str, method: &str) -> bool {
    world.database(host).is_ok_and(|database| {
        database
            .objects("task")
            .any(|task| task.text("name_label") == method && task.text("status") == "pending")
    })
}

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
