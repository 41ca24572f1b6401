//! A simulated pool with HA, its cuts, and the same pool for the decision from outside.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};
use xcp_pool::election::HostRole;
use xcp_pool::election::partition::{Election, Scenario, Survival};
use xcp_pool::model::Snapshot;
use xcp_pool::simulator::database::{Database, Value};
use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};

use crate::support::Caller;

/// A pool of `h0`, `h1`, … in the order of their uuids; the first is master when it begins.
pub(crate) struct HaPool {
    pub world: World,
    /// Names, in the order of uuids.
    pub hosts: Vec<String>,
    pub timeout: u64,
    pub scenario: Scenario,
}

/// What is broken in a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// No heartbeats between two hosts, by index.
    Link(usize, usize),
    /// A host cannot reach the state file.
    Storage(usize),
    /// A host is dead.
    Host(usize),
    /// No heartbeats between these hosts and the others.
    Split(Vec<usize>),
}

/// Hosts with a VM on each, protected where the name says so.
fn spec(n: usize) -> PoolSpec {
    let mut spec = PoolSpec::new("ha", Release::XcpNg83).memory(32).shared_sr("NFS", "nfs");
    for host in 0..n {
        spec = spec.host(&format!("x{host}"), &format!("10.0.0.{}", host + 1));
    }
    for host in 0..n {
        for name in ["protected", "effort", "plain"] {
            let vm = VmSpec::running(&format!("{name}{host}"), &format!("x{host}"));
            spec = spec.vm(vm.memory(1).disk("NFS", 10));
        }
    }
    spec.edit(move |database| {
        let mut uuids: Vec<_> = database.refs("host");
        uuids.sort_by_key(|host| database.text("host", host, "uuid"));
        for (n, host) in uuids.iter().enumerate() {
            // Names follow the order of uuids, for people to read.
            database.set("host", host, "hostname", Value::text(format!("h{n}")))?;
        }
        for vm in database.refs("VM") {
            let name = database.text("VM", &vm, "name_label");
            if name.starts_with("protected") {
                database.set("VM", &vm, "ha_always_run", true)?;
                database.set("VM", &vm, "ha_restart_priority", "restart")?;
            }
            if name.starts_with("effort") {
                database.set("VM", &vm, "ha_restart_priority", "best-effort")?;
            }
        }
        Ok(())
    })
}

impl HaPool {
    /// A pool with HA on, quiet for half a minute.
    pub(crate) fn new(n: usize, seed: u64, timeout: u64) -> Self {
        let world = World::builder().seed(seed).pool(spec(n)).build().unwrap();
        let hosts: Vec<String> = (0..n).map(|host| format!("h{host}")).collect();
        let master = hosts.iter().find(|host| world.role(host) == Some(HostRole::Master)).unwrap();
        let caller = Caller::login(&world, master);
        let configuration = json!({"timeout": timeout.to_string()});
        caller.call("pool.enable_ha", [json!([]), configuration]);
        world.advance(Duration::from_secs(30));
        let database = world.database(master).unwrap();
        let uuids = database.objects("host").map(|host| host.text("uuid").to_owned());
        let mut scenario = Scenario::new(uuids).unwrap();
        scenario.set_base_timeout(u32::try_from(timeout).unwrap());
        let uuid = scenario.hosts()[hosts.iter().position(|host| host == master).unwrap()].clone();
        scenario.set_master(&uuid).unwrap();
        Self { world, hosts, timeout, scenario }
    }

    /// Breaks something, here and in the scenario.
    pub(crate) fn cut(&mut self, cut: &Cut) {
        let uuids = self.scenario.hosts().to_vec();
        let Self { world, hosts, scenario, .. } = self;
        world.act(|scene| match cut {
            Cut::Link(a, b) => {
                scene.cut(&*hosts[*a], &*hosts[*b]);
                scenario.cut(&uuids[*a], &uuids[*b]).unwrap();
            }
            Cut::Storage(host) => {
                scene.cut_state_file(&hosts[*host]);
                scenario.lose_storage(&uuids[*host]).unwrap();
            }
            Cut::Host(host) => {
                scene.power_off(&hosts[*host]);
                scenario.crash(&uuids[*host]).unwrap();
            }
            Cut::Split(side) => {
                for a in side {
                    for b in (0..hosts.len()).filter(|b| !side.contains(b)) {
                        scene.cut(&*hosts[*a], &*hosts[b]);
                    }
                }
                let side: Vec<&str> = side.iter().map(|host| uuids[*host].as_str()).collect();
                scenario.split(&side).unwrap();
            }
        });
    }

    /// Mends everything; hosts without power get it.
    pub(crate) fn heal(&self) {
        self.world.act(|scene| {
            for (n, host) in self.hosts.iter().enumerate() {
                scene.heal_state_file(host);
                scene.power_on(host);
                for other in &self.hosts[n + 1..] {
                    scene.heal(&**host, &**other);
                }
            }
        });
    }

    /// All hosts are in one live set again, with one master.
    pub(crate) fn assert_whole(&self) {
        for host in &self.hosts {
            let ha = self.world.ha(host).unwrap();
            assert_eq!(ha.live_set, self.hosts, "{host} is not back: {ha:?}");
        }
        assert_eq!(self.world.masters().len(), 1, "{:?}", self.world.masters());
        assert_eq!(self.world.lock_holders(), self.world.masters());
    }

    /// Lets time pass event by event; never may there be two masters or two holders of the lock.
    pub(crate) fn run(&self, seconds: u64) {
        let until = self.world.now() + Duration::from_secs(seconds);
        while self.world.step(until) {
            let (masters, holders) = (self.world.masters(), self.world.lock_holders());
            assert!(masters.len() <= 1, "two masters at {:?}: {masters:?}", self.world.now());
            assert!(holders.len() <= 1, "two locks at {:?}: {holders:?}", self.world.now());
        }
    }

    /// The names of hosts by their uuids.
    pub(crate) fn names(&self, uuids: &[String]) -> Vec<String> {
        let index = |uuid: &String| self.scenario.hosts().iter().position(|host| host == uuid);
        uuids.iter().map(|uuid| self.hosts[index(uuid).unwrap()].clone()).collect()
    }

    /// What has become of the pool is what was to be expected.
    pub(crate) fn assert_ended_as(&self, outcome: &Survival) {
        let survivors = self.names(&outcome.survivors);
        let mut fenced: Vec<String> =
            self.world.fenced().into_iter().map(|fenced| fenced.host).collect();
        fenced.sort();
        fenced.dedup();
        assert_eq!(fenced, self.names(&outcome.fenced), "fenced: {:?}", self.world.fenced());
        for host in &survivors {
            let ha = self.world.ha(host).unwrap();
            assert_eq!(ha.live_set, self.names(&outcome.next_live_set), "live set of {host}");
        }
        let masters = self.world.masters();
        match &outcome.election {
            Election::MasterStays { master } => {
                assert_eq!(masters, self.names(std::slice::from_ref(master)));
            }
            Election::Race { may_become_master, .. } => {
                let may = self.names(may_become_master);
                assert_eq!(masters.len(), 1, "nobody took over");
                assert!(may.iter().any(|host| *host == masters[0]), "{masters:?} of {may:?}");
            }
            _ => assert_eq!(masters, Vec::<String>::new(), "nobody can be master"),
        }
    }

    /// The master's database.
    pub(crate) fn database(&self) -> Database {
        let masters = self.world.masters();
        self.world.database(masters.first().expect("a master")).unwrap()
    }

    /// Where each running VM of the users is: host names by VM names.
    pub(crate) fn running_vms(&self) -> BTreeMap<String, String> {
        let database = self.database();
        let running = database
            .objects("VM")
            .filter(|vm| vm.text("power_state") == "Running" && !vm.flag("is_control_domain"));
        running
            .map(|vm| {
                let host = database.text("host", vm.text("resident_on"), "hostname");
                (vm.text("name_label").to_owned(), host.to_string())
            })
            .collect()
    }

    /// What the planner reads.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let saved: Json = self.database().save();
        Snapshot::from_json(saved.to_string().as_bytes()).unwrap()
    }
}
