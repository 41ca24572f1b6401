//! The operations that the campaign disturbs, and what is true of their ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::election::{self, Confirmation, Evidence};
use xcp_pool::error::Result;
use xcp_pool::model::Snapshot;
use xcp_pool::operations::{self, Control, Members, OnFailure, Outcome};
use xcp_pool::plan::{self, Choices, Consent, Joiner, Joins, Plan};
use xcp_pool::preflight::{self, Options};
use xcp_pool::simulator::{Database, PoolSpec, Release, Role, VmSpec, World};

use super::Said;
use super::wire::{Caller, Guard};

/// What is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
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
    pub const ALL: &[Self] = &[
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

    pub fn case(self, seed: u64) -> Box<dyn Case> {
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
pub trait Case {
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

fn root() -> Credentials {
    Credentials::new("root", "xcp-test")
}

fn connect(caller: &Caller, host: &str) -> Result<Client> {
    Client::builder(caller.clone()).cancel(caller.cancel.clone()).connect(host, &root())
}

/// A quarter of an hour, which is enough for everything in a world at peace.
fn control(caller: &Caller) -> Control<'static> {
    Control::new().deadline(Duration::from_secs(900)).cancel(caller.cancel.clone())
}

fn said<T: std::fmt::Debug>(result: Result<Outcome<T>>) -> Said {
    match result {
        Ok(Outcome::Done(_)) => Said::Done(String::new()),
        Ok(Outcome::NotDone(why)) => Said::NotDone(why.to_string()),
        Ok(Outcome::Unknown(why)) => Said::Unknown(why.to_string()),
        Err(error) => Said::Failed(error.to_string()),
    }
}

fn slave_of(address: &str) -> Option<Role> {
    Some(Role::Slave { master: address.to_owned() })
}

fn has(database: &Database, uuid: &str) -> bool {
    database.by_uuid("host", uuid).is_some()
}

fn uuid_of(world: &World, host: &str) -> String {
    let database = world.database(host).unwrap();
    let row = database.objects("host").find(|row| row.text("hostname") == host);
    row.unwrap().text("uuid").to_owned()
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

struct Join {
    world: World,
    uuid: String,
    plan: Plan,
    consent: Consent,
    consents: bool,
    before: BTreeSet<(&'static str, String)>,
    refused: usize,
}

impl Join {
    fn new(seed: u64, consents: bool) -> Self {
        let world = World::story(seed);
        let log_in = |host| Client::connect(world.transport(), host, &root()).unwrap();
        let (phantom, ignite) = (log_in("phantom"), log_in("ignite"));
        let pool = phantom.snapshot(Scope::Preflight).unwrap();
        let host = ignite.snapshot(Scope::Preflight).unwrap();
        let options = Options::default();
        let report = preflight::evaluate_with(&pool, &host, &options);
        let mut choices = Choices::new();
        if !consents {
            choices = choices.choose("running-vms", "delete").unwrap();
        }
        let plan = plan::join(&pool, &host, &options, &report, &choices).unwrap();
        let before = inventory(&world, &hosts(&["phantom", "ignite"]));
        let uuid = uuid_of(&world, "ignite");
        let consent = Consent::to_nothing();
        Self { world: world.clone(), uuid, plan, consent, consents, before, refused: 0 }
    }

    fn is_left_behind(&self) -> bool {
        self.world.role("ignite") == Some(Role::Master)
            && self.world.database("phantom").is_ok_and(|database| has(&database, &self.uuid))
    }
}

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl Case for Join {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["phantom", "ignite"])
    }

    fn guard(&self) -> Guard {
        let uuid = self.uuid.clone();
        Arc::new(move |world, _, host, method| {
            if !method.contains("pool.join") {
                return None;
            }
            let known = world.database("phantom").is_ok_and(|database| has(&database, &uuid));
            if host != "ignite" {
                Some(String::from("it is no joiner"))
            } else if world.configured_role(host) != Some(Role::Master) {
                Some(String::from("it has joined"))
            } else if known {
                Some(String::from("the pool knows it already"))
            } else if is_pending(world, host, "Async.pool.join") {
                Some(String::from("it is joining"))
            } else {
                None
            }
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        let run = || {
            let pool = connect(caller, "10.0.0.1")?;
            let joiner = connect(caller, "10.0.0.2")?;
            operations::join(&pool, &joiner, &self.plan, &self.consent, &mut control(caller))
        };
        said(run())
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        match said {
            Said::Done(_) => assert_member(&self.world, "ignite", &self.uuid, "phantom"),
            _ if self.world.configured_role("ignite") != Some(Role::Master) => {
                Err(String::from("ignite has joined"))
            }
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        match said {
            Said::Done(_) => true,
            Said::NotDone(why) if !self.consents => why.contains("nobody agreed"),
            // A join that broke off left records behind, which only a person may remove.
            Said::NotDone(_) | Said::Unknown(_) if self.is_left_behind() => {
                self.refused += 1;
                self.refused > 1
            }
            _ => false,
        }
    }

    fn losses(&self) -> Vec<String> {
        let none = BTreeSet::new();
        let mut losses = missing(&self.before, &self.world, &self.hosts(), &none);
        if !self.consents && self.world.role("ignite") != Some(Role::Master) {
            losses.push(String::from("ignite joined although nobody agreed to what that costs"));
        }
        losses
    }
}

struct Eject {
    world: World,
    uuid: String,
    plan: Plan,
    before: BTreeSet<(&'static str, String)>,
    pool: String,
    refused: usize,
}

impl Eject {
    fn new(seed: u64) -> Self {
        let spec = PoolSpec::new("lab", Release::XcpNg83)
            .host("alpha", "10.0.0.1")
            .host("beta", "10.0.0.2")
            .host("gamma", "10.0.0.3")
            .shared_sr("NFS", "nfs")
            .vm(VmSpec::running("web", "alpha").disk("NFS", 10))
            .vm(VmSpec::halted("build").disk("NFS", 5));
        let world = World::builder().seed(seed).pool(spec).build().unwrap();
        let client = Client::connect(world.transport(), "alpha", &root()).unwrap();
        let snapshot = client.snapshot(Scope::Failover).unwrap();
        let uuid = uuid_of(&world, "gamma");
        let gamma = snapshot.host.iter().find(|(_, host)| host.name_label == "gamma").unwrap().0;
        let plan = plan::eject(&snapshot, gamma).unwrap();
        let before = inventory(&world, &hosts(&["alpha"]));
        let pool = world.pool_uuid("alpha").unwrap();
        Self { world: world.clone(), uuid, plan, before, pool, refused: 0 }
    }
}

impl Case for Eject {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["alpha", "beta", "gamma"])
    }

    fn guard(&self) -> Guard {
        let uuid = self.uuid.clone();
        Arc::new(move |world, _, host, method| {
            if !method.contains("pool.eject") {
                return None;
            }
            let known = world.database("alpha").is_ok_and(|database| has(&database, &uuid));
            if host != "alpha" || !world.is_running("alpha") {
                None
            } else if !known || world.role("gamma") == Some(Role::Master) {
                // Not as long as the restart fuse burns: a master that dies over its own call leaves a
                // host behind that still says, and is said, to be a member.
                Some(String::from("the host has left"))
            } else if is_pending(world, "alpha", "Async.pool.eject") {
                Some(String::from("it is leaving"))
            } else {
                None
            }
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        let consent = Consent::to(&self.plan, self.plan.losses_digest()).unwrap();
        let run = || {
            let pool = connect(caller, "10.0.0.1")?;
            operations::eject(&pool, &self.plan, &consent, &mut control(caller))
        };
        said(run())
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        let database = self.world.database("alpha").map_err(|error| error.to_string())?;
        let (known, role) = (has(&database, &self.uuid), self.world.role("gamma"));
        let alone = role == Some(Role::Master)
            && self.world.pool_uuid("gamma").is_some_and(|pool| pool != self.pool);
        match said {
            Said::Done(_) if known || !alone => Err(format!("known: {known}, gamma is {role:?}")),
            Said::NotDone(_) if alone && !known => Err(String::from("gamma has left")),
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        match said {
            Said::Done(_) => true,
            // A master that dies before it forgets the host leaves that to a person.
            Said::NotDone(_) if self.world.configured_role("gamma") == Some(Role::Master) => {
                self.refused += 1;
                self.refused > 1
            }
            _ => false,
        }
    }

    fn losses(&self) -> Vec<String> {
        missing(&self.before, &self.world, &hosts(&["alpha"]), &agreed(&self.plan))
    }
}

const JOINERS: [&str; 2] = ["ignite", "ember"];

struct JoinMany {
    world: World,
    joins: Joins,
    uuids: Vec<String>,
    before: BTreeSet<(&'static str, String)>,
    refused: usize,
}

impl JoinMany {
    fn new(seed: u64) -> Self {
        let pool = PoolSpec::new("lab", Release::XcpNg83)
            .host("phantom", "10.0.0.1")
            .shared_sr("NFS", "nfs")
            .vm(VmSpec::running("web", "phantom").disk("NFS", 10));
        let mut builder = World::builder().seed(seed).pool(pool);
        for (n, name) in JOINERS.into_iter().enumerate() {
            let vm = VmSpec::halted(&format!("{name} VM")).disk("Local storage", 5);
            let spec = PoolSpec::new("", Release::XcpNg83);
            builder = builder.pool(spec.host(name, &format!("10.0.0.{}", n + 2)).vm(vm));
        }
        let world = builder.build().unwrap();
        let snapshot = |host: &str| {
            let client = Client::connect(world.transport(), host, &root()).unwrap();
            client.snapshot(Scope::Preflight).unwrap()
        };
        let (options, choices) = (Options::default(), Choices::new());
        let snapshots = JOINERS.map(snapshot);
        let joiners: Vec<_> = snapshots
            .iter()
            .map(|snapshot| Joiner { snapshot, options: &options, choices: &choices })
            .collect();
        let joins = plan::join_many(&snapshot("phantom"), &joiners).unwrap();
        let uuids = JOINERS.iter().map(|host| uuid_of(&world, host)).collect();
        let before = inventory(&world, &hosts(&["phantom", "ignite", "ember"]));
        Self { world, joins, uuids, before, refused: 0 }
    }
}

impl Case for JoinMany {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["phantom", "ignite", "ember"])
    }

    fn guard(&self) -> Guard {
        let uuids = self.uuids.clone();
        Arc::new(move |world, _, host, method| {
            if !method.contains("pool.join") {
                return None;
            }
            let Some(n) = JOINERS.iter().position(|joiner| *joiner == host) else {
                return Some(String::from("it is no joiner"));
            };
            let known = world.database("phantom").is_ok_and(|database| has(&database, &uuids[n]));
            if world.configured_role(host) != Some(Role::Master) || known {
                return Some(String::from("it has joined, or is known already"));
            }
            let joining = |host: &&str| is_pending(world, host, "Async.pool.join");
            JOINERS.into_iter().find(joining).map(|host| format!("{host} is joining"))
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        let consent = Consent::to_nothing();
        let run = || {
            let pool = connect(caller, "10.0.0.1")?;
            let (ignite, ember) = (connect(caller, "10.0.0.2")?, connect(caller, "10.0.0.3")?);
            let mut control = control(caller);
            let (joiners, stop) = ([&ignite, &ember], OnFailure::Stop);
            operations::join_many(&pool, &joiners, &self.joins, &consent, stop, &mut control)
        };
        match run() {
            Err(error) => Said::Failed(error.to_string()),
            Ok(joined) => {
                let told = joined.to_string();
                let mut outcomes = joined.hosts.into_iter().map(|host| host.outcome);
                let worst = outcomes.find(|outcome| !matches!(outcome, Some(Outcome::Done(_))));
                match worst {
                    None => Said::Done(String::new()),
                    Some(Some(Outcome::Unknown(_)) | None) => Said::Unknown(told),
                    Some(_) => Said::NotDone(told),
                }
            }
        }
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        let mut joined = JOINERS.iter().zip(&self.uuids);
        let joined: Result<(), String> =
            joined.try_for_each(|(host, uuid)| assert_member(&self.world, host, uuid, "phantom"));
        match said {
            Said::Done(_) => joined,
            _ if joined.is_ok() => Err(String::from("both have joined")),
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        let left_behind = JOINERS.iter().zip(&self.uuids).any(|(host, uuid)| {
            self.world.role(host) == Some(Role::Master)
                && self.world.database("phantom").is_ok_and(|database| has(&database, uuid))
        });
        match said {
            Said::Done(_) => true,
            Said::NotDone(_) | Said::Unknown(_) if left_behind => {
                self.refused += 1;
                self.refused > 1
            }
            _ => false,
        }
    }

    fn losses(&self) -> Vec<String> {
        missing(&self.before, &self.world, &self.hosts(), &BTreeSet::new())
    }
}

struct Maintenance {
    world: World,
    plan: Plan,
    uuid: String,
    before: BTreeSet<(&'static str, String)>,
}

impl Maintenance {
    fn new(seed: u64) -> Self {
        let spec = PoolSpec::new("lab", Release::XcpNg83)
            .host("alpha", "10.0.0.1")
            .host("beta", "10.0.0.2")
            .host("gamma", "10.0.0.3")
            .shared_sr("NFS", "nfs")
            .vm(VmSpec::running("web", "gamma").disk("NFS", 10));
        let world = World::builder().seed(seed).pool(spec).build().unwrap();
        let client = Client::connect(world.transport(), "alpha", &root()).unwrap();
        let snapshot = client.snapshot(Scope::Failover).unwrap();
        let gamma = snapshot.host.iter().find(|(_, host)| host.name_label == "gamma").unwrap().0;
        let plan = plan::maintenance(&snapshot, gamma).unwrap();
        let before = inventory(&world, &hosts(&["alpha"]));
        let uuid = uuid_of(&world, "gamma");
        Self { world: world.clone(), plan, uuid, before }
    }
}

impl Case for Maintenance {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["alpha", "beta", "gamma"])
    }

    fn guard(&self) -> Guard {
        let uuid = self.uuid.clone();
        Arc::new(move |world, _, _, method| {
            if !method.ends_with("host.reboot") {
                return None;
            }
            let database = world.database("alpha").ok()?;
            let row = database.by_uuid("host", &uuid)?;
            let stays = |vm: &str| database.flag("VM", vm, "is_control_domain");
            let resident = database.object("host", &row)?.refs("resident_VMs");
            let runs = resident.iter().any(|vm| !stays(vm));
            runs.then(|| String::from("VMs run on the host"))
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        let run = || {
            let pool = connect(caller, "10.0.0.1")?;
            operations::maintenance(&pool, &self.plan, &mut control(caller))
        };
        said(run())
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        match said {
            Said::Done(_) => assert_member(&self.world, "gamma", &self.uuid, "alpha"),
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        matches!(said, Said::Done(_))
    }

    fn losses(&self) -> Vec<String> {
        missing(&self.before, &self.world, &hosts(&["alpha"]), &BTreeSet::new())
    }
}

struct HandOver {
    world: World,
    plan: Plan,
    uuids: Vec<(String, String)>,
    before: BTreeSet<(&'static str, String)>,
}

impl HandOver {
    fn new(seed: u64) -> Self {
        let spec = PoolSpec::new("lab", Release::XcpNg83)
            .host("alpha", "10.0.0.1")
            .host("beta", "10.0.0.2")
            .host("gamma", "10.0.0.3")
            .shared_sr("NFS", "nfs")
            .vm(VmSpec::running("web", "alpha").disk("NFS", 10));
        let world = World::builder().seed(seed).pool(spec).build().unwrap();
        let client = Client::connect(world.transport(), "alpha", &root()).unwrap();
        let snapshot = client.snapshot(Scope::Overview).unwrap();
        let evidence = operations::evidence(&client, &snapshot).unwrap();
        let beta = snapshot.host.iter().find(|(_, host)| host.name_label == "beta").unwrap().0;
        let plan = plan::hand_over(&snapshot, &evidence, beta).unwrap();
        let names = ["alpha", "beta", "gamma"];
        let uuids = names.iter().map(|host| (host.to_string(), uuid_of(&world, host))).collect();
        let before = inventory(&world, &hosts(&["alpha"]));
        Self { world: world.clone(), plan, uuids, before }
    }

    fn is_broken(&self) -> bool {
        self.hosts().iter().any(|host| {
            self.world.configured_role(host) == Some(Role::Broken)
                || self.world.emergency(host).is_some_and(|error| error.code == "HOST_BROKEN")
        })
    }
}

impl Case for HandOver {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["alpha", "beta", "gamma"])
    }

    fn guard(&self) -> Guard {
        Arc::new(move |world, _, host, method| {
            if !method.contains("designate_new_master") || !world.is_running(host) {
                return None;
            }
            let changing = ["alpha", "beta", "gamma"]
                .into_iter()
                .find(|host| world.role(host) != world.configured_role(host));
            if let Some(changing) = changing {
                return Some(format!("{changing} is changing its role"));
            }
            is_pending(world, "alpha", "Async.pool.designate_new_master")
                .then(|| String::from("a hand-over is under way"))
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        // Whoever takes over knows all hosts, not who is master.
        let run = || {
            let builder = Client::builder(caller.clone()).cancel(caller.cancel.clone());
            let member = |address: &str| address.parse().unwrap();
            let pool = builder
                .member(member("10.0.0.2"))
                .member(member("10.0.0.3"))
                .connect("10.0.0.1", &root())?;
            operations::hand_over(&pool, &self.plan, &mut control(caller))
        };
        said(run())
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        let beta = self.world.role("beta");
        match said {
            Said::Done(_) => {
                if beta != Some(Role::Master) {
                    return Err(format!("beta is {beta:?}"));
                }
                let mut others = self.uuids.iter().filter(|(host, _)| host != "beta");
                others.try_for_each(|(host, uuid)| assert_member(&self.world, host, uuid, "beta"))
            }
            Said::NotDone(_) if beta == Some(Role::Master) => Err(String::from("beta is master")),
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        match said {
            Said::Done(_) => true,
            _ => self.is_broken(),
        }
    }

    fn losses(&self) -> Vec<String> {
        match self.is_broken() {
            true => Vec::new(),
            false => {
                let hosts = self.hosts();
                missing(&self.before, &self.world, &hosts, &BTreeSet::new())
            }
        }
    }
}

struct Recover {
    world: World,
    last: Snapshot,
    plans: Vec<Plan>,
    consents: bool,
    is_alive: bool,
    uuids: Vec<(String, String)>,
    before: BTreeSet<(&'static str, String)>,
}

impl Recover {
    fn new(seed: u64, consents: bool, is_alive: bool) -> Self {
        let spec = PoolSpec::new("lab", Release::XcpNg83)
            .host("phantom", "10.0.0.1")
            .host("alpha", "10.0.0.2")
            .host("beta", "10.0.0.3")
            .shared_sr("NFS", "nfs")
            .vm(VmSpec::running("web", "phantom").disk("NFS", 10))
            .vm(VmSpec::running("db", "beta").disk("NFS", 10));
        let world = World::builder().seed(seed).pool(spec).build().unwrap();
        let client = Client::connect(world.transport(), "phantom", &root()).unwrap();
        let last = client.snapshot(Scope::Failover).unwrap();
        client.close().unwrap();
        let names = ["phantom", "alpha", "beta"];
        let uuids = names.iter().map(|host| (host.to_string(), uuid_of(&world, host))).collect();
        let before = inventory(&world, &hosts(&["phantom"]));
        if is_alive {
            world.act(|scene| scene.cut(xcp_pool::simulator::Peer::Tool, "phantom"));
            world.after(Duration::from_secs(400), |scene| {
                scene.heal(xcp_pool::simulator::Peer::Tool, "phantom");
            });
        } else {
            world.power_off("phantom");
        }
        Self { world: world.clone(), last, plans: Vec::new(), consents, is_alive, uuids, before }
    }

    fn members(&self, caller: &Caller) -> Members {
        Members::new(caller.clone(), &root())
            .cancel(caller.cancel.clone())
            .snapshot(self.last.clone(), None)
            .ask_whether_ha_is_armed()
    }

    fn name(&self, host: &xcp_pool::model::Ref<xcp_pool::model::Host>) -> String {
        self.last.get(host).unwrap().name_label.clone()
    }

    /// Confirms what is true, as somebody who goes and looks.
    fn confirm(&self, evidence: &mut Evidence) -> Result<()> {
        let decision = election::emergency(&self.last, evidence)?;
        let is_true = |open: &Confirmation| match open {
            Confirmation::OldMasterIsOff { .. } => !self.is_alive,
            Confirmation::NoOtherMaster { hosts } => hosts
                .iter()
                .all(|host| self.world.configured_role(&self.name(host)) != Some(Role::Master)),
            _ => true,
        };
        evidence.confirmed.extend(decision.confirmations.into_iter().filter(is_true));
        Ok(())
    }

    /// The plan to go on with: that for the host that is master, or was promoted.
    fn plan(&mut self, caller: &Caller) -> Result<Option<Plan>> {
        let diagnosis = operations::diagnose(&self.members(caller))?;
        let master = diagnosis
            .hosts
            .iter()
            .find(|host| host.role == Some(election::Role::Master) && host.belongs != Some(false));
        if let Some(master) = master {
            let uuid = master.uuid.clone().unwrap_or_default();
            return Ok(self.plans.iter().rev().find(|plan| plan.host.uuid == uuid).cloned());
        }
        let mut evidence = diagnosis.evidence();
        self.confirm(&mut evidence)?;
        let decision = election::emergency(&self.last, &evidence)?;
        let plan = plan::recovery(&self.last, &evidence, &decision)?;
        if plan.check().is_err() {
            return Ok(None);
        }
        self.plans.push(plan.clone());
        Ok(Some(plan))
    }

    fn run(&mut self, caller: &Caller) -> Result<Said> {
        let Some(plan) = self.plan(caller)? else {
            return Ok(Said::Declined(String::from("nobody may be promoted")));
        };
        let consent = match self.consents {
            true => Consent::to(&plan, plan.losses_digest())?,
            false => Consent::to_nothing(),
        };
        let outcome =
            operations::recover(&self.members(caller), &plan, &consent, &mut control(caller))?;
        Ok(match outcome {
            Outcome::Done(recovered) => {
                let follows = recovered.members.iter().filter(|member| member.follows);
                let names: Vec<_> = follows.map(|member| member.name.as_str()).collect();
                Said::Done(format!("{}:{}", plan.host.name, names.join(",")))
            }
            outcome => said(Ok(outcome)),
        })
    }
}

impl Case for Recover {
    fn world(&self) -> &World {
        &self.world
    }

    fn hosts(&self) -> Vec<String> {
        hosts(&["phantom", "alpha", "beta"])
    }

    fn guard(&self) -> Guard {
        let is_alive = self.is_alive;
        Arc::new(move |world, books, host, method| {
            let all = ["phantom", "alpha", "beta"];
            match method {
                "pool.emergency_transition_to_master" => {
                    let times = |host: &str| {
                        let key = (host.to_owned(), method.to_owned());
                        books.carried_out.get(&key).copied().unwrap_or(0)
                    };
                    let rules = |other: &&str| {
                        world.has_power(other)
                            && (world.role(other) == Some(Role::Master)
                                || world.configured_role(other) == Some(Role::Master))
                    };
                    if let Some(other) = all.into_iter().filter(|other| *other != host).find(rules)
                    {
                        return Some(format!("{other} is, or becomes, master"));
                    }
                    let rules = world.configured_role(host) == Some(Role::Master);
                    if times(host) > 0 && rules {
                        return Some(String::from("it was promoted before"));
                    }
                    is_alive.then(|| String::from("the old master lives"))
                }
                // Also asked with the master that it follows, which changes nothing.
                "pool.emergency_reset_master" | "pool.recover_slaves" => {
                    let rules = method.ends_with("reset_master")
                        && world.is_running(host)
                        && world.role(host) == Some(Role::Master);
                    rules.then(|| String::from("it is a master, which would obey"))
                }
                _ if method.ends_with("host.declare_dead") && world.has_power("phantom") => {
                    Some(String::from("the host is not off"))
                }
                _ => None,
            }
        })
    }

    fn attempt(&mut self, caller: &Caller) -> Said {
        match self.run(caller) {
            Ok(said) => said,
            Err(error) => Said::Failed(error.to_string()),
        }
    }

    fn is_true(&self, said: &Said) -> Result<(), String> {
        match said {
            Said::Done(what) => {
                let (master, members) = what.split_once(':').unwrap();
                if self.world.role(master) != Some(Role::Master) {
                    return Err(format!("{master} is {:?}", self.world.role(master)));
                }
                let follows = |host: &str| members.split(',').any(|member| member == host);
                let mut members = self.uuids.iter().filter(|(host, _)| follows(host));
                members.try_for_each(|(host, uuid)| assert_member(&self.world, host, uuid, master))
            }
            Said::NotDone(_) => {
                let plan = self.plans.last().map(|plan| plan.host.name.clone()).unwrap_or_default();
                match self.world.role(&plan) {
                    Some(Role::Master) => Err(format!("{plan} is master")),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn is_over(&mut self, said: &Said) -> bool {
        match said {
            // Members that were away at the end are for the next caller.
            Said::Done(what) => what.ends_with("alpha") || what.ends_with("beta"),
            Said::Declined(_) => self.is_alive,
            _ => false,
        }
    }

    fn losses(&self) -> Vec<String> {
        let mut losses = missing(&self.before, &self.world, &self.hosts(), &BTreeSet::new());
        let master = ["alpha", "beta", "phantom"].into_iter().find(|host| {
            self.world.is_running(host) && self.world.role(host) == Some(Role::Master)
        });
        if let Some(database) = master.and_then(|master| self.world.database(master).ok()) {
            let state = |name: &str| {
                let vm = database.objects("VM").find(|vm| vm.text("name_label") == name);
                vm.map(|vm| vm.text("power_state").to_owned()).unwrap_or_default()
            };
            if !self.consents && state("web") != "Running" {
                losses.push(format!("web was reset to {} without consent", state("web")));
            }
        }
        losses
    }
}
