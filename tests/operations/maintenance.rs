//! A host is emptied, rebooted and put back to work on the simulator.

use std::time::Duration;

use xcp_pool::client::{Client, Scope};
use xcp_pool::election::HostRole;
use xcp_pool::operations::{self, Control, Maintained, Outcome};
use xcp_pool::plan::{self, Plan, Purpose};
use xcp_pool::simulator::database::Value;
use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};
use xcp_pool::{ErrorKind, Result};

use crate::faults::Drill;
use crate::support::{done, log_in, named, not_done, requests, rules, three_hosts, unknown};

fn lab() -> PoolSpec {
    three_hosts()
        .vm(VmSpec::running("web", "gamma").disk("NFS", 10))
        .vm(VmSpec::running("db", "gamma").disk("NFS", 10))
        .vm(VmSpec::halted("archive").disk("NFS", 10))
}

fn world() -> World {
    World::builder().seed(7).pool(lab()).build().unwrap()
}

fn planned(client: &Client, host: &str) -> Plan {
    let snapshot = client.snapshot(Scope::Failover).unwrap();
    plan::maintenance(&snapshot, &named(&snapshot, host)).unwrap()
}

fn maintain(client: &Client, plan: &Plan) -> Result<Outcome<Maintained>> {
    operations::maintenance(client, plan, &mut Control::new())
}

fn set(world: &World, class: &'static str, name: &str, field: &'static str, value: Value) {
    let set = world.act(|scene| {
        scene.edit("alpha", |database| {
            let object = database.find(class, |row| row.text("name_label") == name).unwrap();
            database.set(class, &object, field, value)
        })
    });
    set.unwrap();
}

/// Gamma is back at work, all VMs run, and no session is left.
fn assert_in_order(world: &World, client: Client) {
    let now = client.snapshot(Scope::Failover).unwrap();
    let gamma = named(&now, "gamma");
    assert!(now.host.get(&gamma).unwrap().enabled);
    assert_eq!(now.is_live(&gamma), Some(true));
    assert!(now.pbd.records().all(|pbd| pbd.currently_attached));
    let running =
        now.vm.records().filter(|vm| vm.is_user_vm() && vm.power_state.as_str() == "Running");
    assert_eq!(running.count(), 2);
    assert_eq!(world.role("gamma"), Some(HostRole::Slave("10.0.0.1".to_owned())));
    drop(client);
    assert_eq!(world.open_sessions(), 0);
}

/// Gamma is to be rebooted.
pub(crate) struct Maintenance {
    world: World,
    client: Client,
    plan: Plan,
}

impl Drill for Maintenance {
    type Done = Maintained;

    const CALLS: &'static [&'static str] =
        &["Async.host.disable", "Async.host.evacuate", "Async.host.reboot"];
    const AT: &'static str = "alpha";
    const PLACES: usize = 7;
    const AWAITED: &'static [&'static str] = &["host.evacuate to end", "gamma to boot"];
    const DEADLINES: &'static [(u64, &'static [&'static str])] =
        &[(8, &["deadline of 8 s"]), (30, &["deadline of 30 s"]), (60, &["deadline of 60 s"])];

    fn new() -> Self {
        let world = world();
        let client = log_in(&world, "alpha");
        let plan = planned(&client, "gamma");
        Self { world, client, plan }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn run(&self, control: &mut Control<'_>) -> Result<Outcome<Maintained>> {
        operations::maintenance(&self.client, &self.plan, control)
    }

    fn come_back(&mut self) {
        self.client = log_in(&self.world, "alpha");
    }

    /// What was done before the call is taken back, but for VMs that moved.
    fn assert_not_done(&self, call: &str, why: &str) {
        let now = self.client.snapshot(Scope::Failover).unwrap();
        assert!(now.host.get(&named(&now, "gamma")).unwrap().enabled, "{call}: {why}");
        if call != "Async.host.disable" {
            assert!(why.contains("the host is enabled again"), "{call}: {why}");
        }
        if call == "Async.host.reboot" {
            assert!(why.contains("web moved to"), "{why}");
        }
    }

    fn assert_in_order(self, _: &Maintained) {
        assert_eq!(requests(&self.world, "Async.host.reboot"), 1);
        assert_in_order(&self.world, self.client);
    }
}

#[test]
fn the_plan_tells_what_moves_and_comes_back_from_json() {
    let world = world();
    let plan = planned(&log_in(&world, "alpha"), "gamma");
    assert!(plan.is_complete(), "{plan}");
    let Purpose::Maintenance { moves } = &plan.purpose else { panic!("{plan}") };
    let vms: Vec<_> = moves.iter().map(|vm| vm.vm.name.as_str()).collect();
    assert_eq!(vms, ["db", "web"]);
    assert_eq!(plan.steps.len(), 5);
    assert!(plan.steps[0].undo().is_some() && plan.steps[1].undo().is_none());
    let printed = plan.to_string();
    for words in ["host.disable gamma", "2 VMs leave", "host.reboot gamma", "host.enable gamma"] {
        assert!(printed.contains(words), "{words:?} is missing in\n{printed}");
    }
    let back: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!((back.digest(), &back), (plan.digest(), &plan));
}

#[test]
fn a_host_is_emptied_rebooted_and_enabled_again() {
    let Maintenance { world, client, plan } = Drill::new();
    let maintained = done(maintain(&client, &plan));
    assert!(!maintained.already_rebooted);
    let vms: Vec<_> = maintained.moved.iter().map(|(vm, _)| vm.as_str()).collect();
    assert_eq!(vms, ["db", "web"]);
    assert!(maintained.moved.iter().all(|(_, host)| host != "gamma"), "{maintained}");
    assert_eq!(maintained.notes, Vec::<String>::new());
    assert_eq!(requests(&world, "Async.host.reboot"), 1);
    assert_in_order(&world, client);
}

#[test]
fn a_host_that_was_disabled_stays_for_somebody_to_enable() {
    let world = world();
    let client = log_in(&world, "alpha");
    set(&world, "host", "gamma", "enabled", false.into());
    let plan = planned(&client, "gamma");
    assert_eq!(plan.steps.len(), 3, "{plan}");
    done(maintain(&client, &plan));
    assert_eq!(requests(&world, "Async.host.enable") + requests(&world, "Async.host.disable"), 0);
}

#[test]
fn calling_again_with_fresh_clients_sees_that_the_host_has_rebooted() {
    let Maintenance { world, client, plan } = Drill::new();
    done(maintain(&client, &plan));
    drop(client);
    let client = log_in(&world, "beta");
    let again = done(maintain(&client, &plan));
    assert!(again.already_rebooted && again.moved.is_empty(), "{again}");
    assert_eq!(requests(&world, "Async.host.reboot"), 1);
    // A new plan is for a new reboot.
    let anew = planned(&client, "gamma");
    assert_ne!(anew.digest(), plan.digest());
    done(maintain(&client, &anew));
    assert_eq!(requests(&world, "Async.host.reboot"), 2);
    assert_in_order(&world, client);
}

#[test]
fn a_vm_that_does_not_arrive_keeps_the_host_up() {
    let Maintenance { world, client, plan } = Drill::new();
    // The storage of beta and alpha breaks while VMs are on their way.
    let fault = world.clone();
    let mut control = Control::new().observer(move |progress| {
        if progress.awaited == Some("host.evacuate to end") {
            let broken = fault.act(|scene| {
                scene.edit("alpha", |database| {
                    let vm = database.find("VM", |vm| vm.text("name_label") == "web").unwrap();
                    database.set("VM", &vm, "power_state", "Paused")?;
                    let vm = database.find("VM", |vm| vm.text("name_label") == "db").unwrap();
                    database.set("VM", &vm, "power_state", "Paused")
                })
            });
            broken.unwrap();
        }
    });
    let why = not_done(operations::maintenance(&client, &plan, &mut control));
    drop(control);
    assert!(why.contains("not all VMs left") && why.contains("enabled again"), "{why}");
    assert_eq!(requests(&world, "Async.host.reboot"), 0);
}

#[test]
fn a_host_is_not_rebooted_over_a_vm_that_came_meanwhile() {
    let Maintenance { world, client, plan } = Drill::new();
    let other = world.clone();
    let mut control = Control::new().observer(move |progress| {
        if progress.summary.starts_with("host.reboot") && progress.awaited.is_none() {
            let started = other.act(|scene| {
                scene.edit("alpha", |database| {
                    let gamma = database.find("host", |host| host.text("hostname") == "gamma");
                    let vm = database.find("VM", |vm| vm.text("name_label") == "archive").unwrap();
                    database.set("VM", &vm, "resident_on", gamma.unwrap())?;
                    database.set("VM", &vm, "power_state", "Running")
                })
            });
            started.unwrap();
        }
    });
    let why = not_done(operations::maintenance(&client, &plan, &mut control));
    drop(control);
    assert!(why.contains("VMs came to the host meanwhile\n  archive"), "{why}");
    assert!(why.contains("the host is enabled again"), "{why}");
    assert_eq!(requests(&world, "Async.host.reboot"), 0);
}

#[test]
fn a_host_that_does_not_come_back_is_not_called_done() {
    let Maintenance { world, client, plan } = Drill::new();
    let fault = world.clone();
    let mut control =
        Control::new().deadline(Duration::from_secs(1200)).observer(move |progress| {
            if progress.awaited == Some("gamma to boot") {
                fault.after(Duration::from_secs(20), |scene| scene.power_off("gamma"));
            }
        });
    let why = unknown(operations::maintenance(&client, &plan, &mut control));
    drop(control);
    assert!(why.contains("waits for gamma"), "{why}");
    world.power_on("gamma");
    done(maintain(&client, &plan));
    assert_eq!(requests(&world, "Async.host.reboot"), 1);
    assert_in_order(&world, client);
}

#[test]
fn the_master_has_to_hand_over_first() {
    let world = world();
    let client = log_in(&world, "alpha");
    let plan = planned(&client, "alpha");
    assert_eq!(rules(&plan), ["host-is-master"]);
    assert!(plan.unsolved[0].by_person.contains("Hand the pool over"), "{plan}");
    assert_eq!(maintain(&client, &plan).unwrap_err().kind(), ErrorKind::State);
}

#[test]
fn each_vm_that_cannot_move_is_told_with_its_reason() {
    let spec = lab()
        .vm(VmSpec::running("local", "gamma").disk("Local storage", 1))
        .vm(VmSpec::running("huge", "gamma").memory(60).disk("NFS", 1))
        .vm(VmSpec::running("paused", "gamma").disk("NFS", 1))
        .vm(VmSpec::running("blocked", "gamma").disk("NFS", 1))
        .vm(VmSpec::running("wired", "gamma").disk("NFS", 1))
        .vm(VmSpec::running("filler", "alpha").memory(20).disk("NFS", 1))
        .vm(VmSpec::running("filler 2", "beta").memory(20).disk("NFS", 1))
        .edit(|database| {
            let vm =
                |name: &str| database.find("VM", |row| row.text("name_label") == name).unwrap();
            let (paused, blocked, wired) = (vm("paused"), vm("blocked"), vm("wired"));
            database.set("VM", &paused, "power_state", "Paused")?;
            let blocks = Value::map([("pool_migrate", "VM_HAS_VGPU")]);
            database.set("VM", &blocked, "blocked_operations", blocks)?;
            // Its network is on gamma's second NIC only.
            let network = database.find("network", |row| row.text("bridge") == "xenbr1").unwrap();
            let gamma = database.find("host", |row| row.text("hostname") == "gamma").unwrap();
            let vif = database.find("VIF", |row| row.text("VM") == &*wired).unwrap();
            database.set("VIF", &vif, "network", &network)?;
            for pif in database.object("network", &network).unwrap().refs("PIFs") {
                if *database.text("PIF", &pif, "host") != *gamma {
                    database.destroy("PIF", &pif);
                }
            }
            Ok(())
        });
    let world = World::builder().pool(spec).build().unwrap();
    let plan = planned(&log_in(&world, "alpha"), "gamma");
    let told: Vec<_> = plan.unsolved.iter().map(|unsolved| unsolved.message.as_str()).collect();
    for (vm, why) in [
        ("local", "does not reach SR \"Local storage\""),
        ("huge", "no host has memory left"),
        ("paused", "it is paused"),
        ("blocked", "OPERATION_BLOCKED [VM_HAS_VGPU]"),
        ("wired", "is not on network \"Pool-wide network associated with eth1\""),
    ] {
        let told = told.iter().find(|told| told.contains(&format!("{vm:?}")));
        assert!(told.is_some_and(|told| told.contains(why)), "{vm}: {told:?} in\n{plan}");
    }
    assert_eq!(told.len(), 5, "{plan}");
}

#[test]
fn whatever_else_is_in_the_way_is_told_too() {
    let world = world();
    let client = log_in(&world, "alpha");
    for other in ["alpha", "beta"] {
        set(&world, "host", other, "enabled", false.into());
    }
    let operations = Value::map([("OpaqueRef:t", "vm_start")]);
    set(&world, "host", "gamma", "current_operations", operations);
    let plan = planned(&client, "gamma");
    assert_eq!(rules(&plan), ["host-busy", "vm-cannot-move", "vm-cannot-move"]);
    assert!(plan.to_string().contains("NO_HOSTS_AVAILABLE"), "{plan}");
    world.power_off("gamma");
    world.advance(Duration::from_secs(900));
    assert!(rules(&planned(&client, "gamma")).contains(&"host-not-live"));
}

#[test]
fn ha_that_could_not_keep_its_promise_is_told_before_the_host_is_disabled() {
    let spec = lab().edit(|database| {
        let pool = database.refs("pool").remove(0);
        database.set("pool", &pool, "ha_enabled", true)?;
        database.set("pool", &pool, "ha_plan_exists_for", 3)?;
        database.set("pool", &pool, "ha_host_failures_to_tolerate", 3)
    });
    let world = World::builder().pool(spec).build().unwrap();
    let plan = planned(&log_in(&world, "alpha"), "gamma");
    assert_eq!(rules(&plan), ["ha-would-break"], "{plan}");
    assert!(plan.to_string().contains("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"), "{plan}");
}

#[test]
fn what_only_the_server_knows_of_a_vm_stops_it_before_the_host_is_disabled() {
    let Maintenance { world, client, plan } = Drill::new();
    let edited = world.act(|scene| {
        scene.edit("alpha", |database| {
            let vm = database.find("VM", |vm| vm.text("name_label") == "web").unwrap();
            let guest = database.text("VM", &vm, "guest_metrics");
            database.set("VM_guest_metrics", &guest, "other", Value::Map(Vec::new()))
        })
    });
    edited.unwrap();
    assert!(planned(&client, "gamma").is_complete());
    let why = not_done(maintain(&client, &plan));
    assert!(why.contains("VM \"web\" cannot leave") && why.contains("VM_LACKS_FEATURE"), "{why}");
    assert_eq!(requests(&world, "Async.host.disable"), 0);
}

#[test]
fn hosts_of_every_release_are_rebooted() {
    for release in Release::ALL {
        let pool = PoolSpec::new("lab", release)
            .host("alpha", "10.0.0.1")
            .host("gamma", "10.0.0.3")
            .shared_sr("NFS", "nfs")
            .vm(VmSpec::running("web", "gamma").disk("NFS", 1));
        let world = World::builder().pool(pool).build().unwrap();
        let client = log_in(&world, "alpha");
        let maintained = done(maintain(&client, &planned(&client, "gamma")));
        assert_eq!(maintained.moved, [("web".to_owned(), "alpha".to_owned())], "{release:?}");
    }
}

#[test]
fn a_master_that_dies_meanwhile_is_waited_for() {
    let Maintenance { world, client, plan } = Drill::new();
    let fault = world.clone();
    let mut control = Control::new().observer(move |progress| {
        if progress.awaited == Some("gamma to boot") {
            fault.power_off("alpha");
            fault.after(Duration::from_secs(300), |scene| scene.power_on("alpha"));
        }
    });
    done(operations::maintenance(&client, &plan, &mut control));
    drop(control);
    assert_eq!(requests(&world, "Async.host.reboot"), 1);
    assert_in_order(&world, client);
}
