//! A host leaves its pool on the simulator: what goes with it is told before, and seen after.

use std::time::Duration;

use xcp_pool::client::{Client, Scope};
use xcp_pool::election::HostRole;
use xcp_pool::model::Ref;
use xcp_pool::operations::{self, Control, Ejected, Outcome};
use xcp_pool::plan::{self, Consent, DataFate, Plan, Purpose};
use xcp_pool::simulator::database::Database;
use xcp_pool::simulator::{Injection, PoolSpec, Release, Trouble, VmSpec, World};
use xcp_pool::transport::Cancel;
use xcp_pool::{ErrorKind, Fault, Result};

use crate::faults::Drill;
use crate::support::{done, log_in, log_in_wary, named, not_done, rules, three_hosts};

/// A pool of three; the third host has a disk of its own in use by a VM that is off.
fn lab() -> PoolSpec {
    three_hosts().vm(VmSpec::running("web", "alpha").disk("NFS", 10))
}

fn local_storage(database: &Database, host: &str) -> std::sync::Arc<str> {
    let host = database.find("host", |row| row.text("hostname") == host).unwrap();
    let own = |pbd: &std::sync::Arc<str>| *database.text("PBD", pbd, "host") == *host;
    let local = database.find("SR", |sr| {
        sr.text("name_label") == "Local storage" && sr.refs("PBDs").iter().any(own)
    });
    local.unwrap()
}

/// Gives gamma a disk on its local storage, and a VM that uses it.
fn world() -> World {
    let spec = lab().vm(VmSpec::halted("archive").disk("NFS", 5)).edit(|database| {
        let sr = local_storage(database, "gamma");
        let vm = database.find("VM", |vm| vm.text("name_label") == "archive").unwrap();
        let vbd = database.find("VBD", |vbd| vbd.text("VM") == &*vm).unwrap();
        let vdi = database.text("VBD", &vbd, "VDI");
        database.set("VDI", &vdi, "SR", &sr)
    });
    World::builder().seed(3).pool(spec).build().unwrap()
}

fn planned(client: &Client, host: &str) -> Plan {
    let snapshot = client.snapshot(Scope::Failover).unwrap();
    plan::eject(&snapshot, &named(&snapshot, host)).unwrap()
}

fn agreed(plan: &Plan) -> Consent {
    Consent::to(plan, plan.losses_digest()).unwrap()
}

fn eject(client: &Client, plan: &Plan) -> Result<Outcome<Ejected>> {
    operations::eject(client, plan.with_consent(&agreed(plan)), &mut Control::new())
}

/// Gamma is to leave.
pub(crate) struct Eject {
    world: World,
    client: Client,
    plan: Plan,
}

impl Drill for Eject {
    type Done = Ejected;

    const CALLS: &'static [&'static str] = &["Async.pool.eject"];
    const AT: &'static str = "alpha";
    const PLACES: usize = 5;
    const AWAITED: &'static [&'static str] =
        &["pool.eject to end", "gamma to leave", "gamma at 10.0.0.3"];
    const DEADLINES: &'static [(u64, &'static [&'static str])] = &[(30, &["not back"])];

    fn new() -> Self {
        let world = world();
        let client = log_in(&world, "alpha");
        let plan = planned(&client, "gamma");
        Self { world, client, plan }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn run(&self, control: &mut Control<'_>) -> Result<Outcome<Ejected>> {
        operations::eject(&self.client, self.plan.with_consent(&agreed(&self.plan)), control)
    }

    fn come_back(&mut self) {
        self.client = log_in(&self.world, "alpha");
    }

    fn assert_not_done(&self, _: &str, why: &str) {
        assert!(why.contains("still a member"), "{why}");
        assert_eq!(self.world.count("alpha", "host"), 3);
    }

    fn assert_in_order(self, ejected: &Ejected) {
        let Self { world, client, .. } = self;
        assert!(ejected.alone.is_some(), "{ejected}");
        assert_eq!(ejected.after.hosts, ["alpha", "beta"]);
        assert_eq!(world.count("alpha", "host"), 2);
        assert_eq!(world.role("gamma"), Some(HostRole::Master));
        drop(client);
        assert_eq!(world.open_sessions(), 0);
    }
}

fn edit(world: &World, class: &str, field: &str, value: impl Fn(&str) -> Option<bool>) {
    world
        .act(|scene| {
            scene.edit("alpha", |database| {
                for object in database.refs(class) {
                    let name = database.text(class, &object, "name_label").to_string();
                    if let Some(value) = value(&name) {
                        database.set(class, &object, field, value)?;
                    }
                }
                Ok(())
            })
        })
        .unwrap();
}

#[test]
fn the_plan_tells_what_goes_with_the_host_and_comes_back_from_json() {
    let Eject { plan, .. } = Drill::new();
    assert!(plan.is_complete(), "{plan}");
    let Purpose::Eject { impact } = &plan.purpose else { panic!("{plan}") };
    let srs: Vec<_> =
        impact.srs.iter().map(|sr| (sr.sr.name.as_str(), sr.data, sr.disks)).collect();
    assert_eq!(
        srs,
        [
            ("DVD drives", DataFate::None, 0),
            ("Local storage", DataFate::Destroyed, 1),
            ("Removable storage", DataFate::None, 0),
        ]
    );
    assert_eq!(impact.srs[1].bytes, 5 << 30);
    let vms: Vec<_> = impact.vms.iter().map(|vm| (vm.vm.name.as_str(), vm.disks, vm.of)).collect();
    assert_eq!(vms, [("archive", 1, 1)]);
    assert_eq!(impact.ha, None);
    let lost: Vec<_> = plan.losses().map(|loss| (loss.object.class.as_str(), loss.bytes)).collect();
    assert_eq!(lost, [("SR", None), ("VDI", Some(5 << 30))]);
    let printed = plan.to_string();
    for words in ["1 disk of 5 GiB", "\"archive\"", "DESTROYS", "consent to"] {
        assert!(printed.contains(words), "{words:?} is missing in\n{printed}");
    }
    let back: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!((back.digest(), &back), (plan.digest(), &plan));
}

#[test]
fn shared_storage_that_only_the_host_reaches_vanishes_but_is_not_destroyed() {
    let spec = lab().edit(|database| {
        let gamma = database.find("host", |host| host.text("hostname") == "gamma").unwrap();
        let nfs = database.find("SR", |sr| sr.text("name_label") == "NFS").unwrap();
        let others: Vec<_> = database.object("SR", &nfs).unwrap().refs("PBDs");
        for pbd in others {
            if *database.text("PBD", &pbd, "host") != *gamma {
                database.destroy("PBD", &pbd);
            }
        }
        Ok(())
    });
    let world = World::builder().pool(spec).build().unwrap();
    let plan = planned(&log_in(&world, "alpha"), "gamma");
    let Purpose::Eject { impact } = &plan.purpose else { panic!("{plan}") };
    let nfs = impact.srs.iter().find(|sr| sr.sr.name == "NFS").unwrap();
    assert_eq!((nfs.data, nfs.is_default), (DataFate::Stays, true));
    assert!(plan.losses().all(|loss| loss.object.name != "NFS"), "{plan}");
}

#[test]
fn a_host_leaves_and_is_back_as_a_pool_of_its_own() {
    let Eject { world, client, plan } = Drill::new();
    let ejected = done(eject(&client, &plan));
    assert!(!ejected.already_gone);
    assert_eq!(ejected.before.unwrap().hosts.len(), 3);
    assert_eq!(ejected.after.hosts, ["alpha", "beta"]);
    assert_eq!(ejected.after.vms, ["archive", "web"], "records of VMs stay");
    assert_ne!(ejected.alone, Some(plan.pool.uuid.clone()));
    assert!(ejected.notes[0].contains("enable_tls_verification"), "{:?}", ejected.notes);
    assert_eq!(world.role("gamma"), Some(HostRole::Master));
    let own = log_in(&world, "gamma").snapshot(Scope::Overview).unwrap();
    assert_eq!(own.host.len(), 1);
    assert!(own.host.by_uuid(&plan.host.uuid).is_some());
    assert_eq!(ejected.alone.unwrap(), own.the_pool().unwrap().1.uuid);
    drop((client, own));
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn calling_again_with_fresh_clients_sees_that_the_host_has_left() {
    let Eject { world, client, plan } = Drill::new();
    done(eject(&client, &plan));
    drop(client);
    let writes = world.writes();
    let again = done(eject(&log_in(&world, "beta"), &plan));
    assert!(again.already_gone && again.before.is_none() && again.alone.is_some());
    assert_eq!(world.requests()["Async.pool.eject"], 1);
    assert_eq!(world.writes(), writes);
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_caller_that_was_cut_off_goes_on_by_looking() {
    let Eject { world, client, plan } = Drill::new();
    for awaited in ["pool.eject to end", "gamma to leave", "gamma at 10.0.0.3"] {
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let mut control = Control::new().cancel(cancel).observer(move |progress| {
            if progress.awaited.is_some_and(|what| what.starts_with(awaited)) {
                stop.cancel();
            }
        });
        let cut = operations::eject(&client, plan.with_consent(&agreed(&plan)), &mut control);
        assert_eq!(cut.unwrap_err().kind(), ErrorKind::Cancelled, "{awaited}");
    }
    drop(client);
    done(eject(&log_in(&world, "alpha"), &plan));
    assert_eq!(world.requests()["Async.pool.eject"], 1, "ejected once and for all");
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn every_reason_to_refuse_is_told_at_once_with_what_to_do() {
    let spec = lab().vm(VmSpec::running("db", "alpha").disk("NFS", 1)).edit(|database| {
        let pool = database.refs("pool").remove(0);
        database.set("pool", &pool, "ha_enabled", true)?;
        database.set("pool", &pool, "is_psr_pending", true)?;
        database.update("pool", &pool, "current_operations", |operations| {
            *operations =
                xcp_pool::simulator::database::Value::map([("OpaqueRef:t", "apply_updates")]);
        })?;
        let alpha = database.find("host", |host| host.text("hostname") == "alpha").unwrap();
        let metrics = database.text("host", &alpha, "metrics");
        database.set("host_metrics", &metrics, "live", false)
    });
    let world = World::builder().pool(spec).build().unwrap();
    let client = log_in(&world, "alpha");
    let plan = planned(&client, "alpha");
    assert_eq!(
        rules(&plan),
        [
            "host-is-master",
            "host-not-live",
            "ha-enabled",
            "updates-being-applied",
            "secret-rotation-pending",
            "vms-resident",
        ]
    );
    assert!(plan.unsolved.iter().all(|unsolved| !unsolved.by_person.is_empty()), "{plan}");
    let vms = &plan.unsolved[5].message;
    assert!(vms.contains("\"db\"") && vms.contains("\"web\""), "{vms}");
    let error = eject(&client, &plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert_eq!(world.requests().get("Async.pool.eject"), None);
}

/// Attaches the disk of archive to gamma's control domain, as a backup does.
fn attach_to_dom0(database: &mut Database) -> std::result::Result<(), Fault> {
    let gamma = database.find("host", |host| host.text("hostname") == "gamma").unwrap();
    let domain = database.text("host", &gamma, "control_domain");
    let vm = database.find("VM", |vm| vm.text("name_label") == "archive").unwrap();
    let vbd = database.find("VBD", |vbd| vbd.text("VM") == &*vm).unwrap();
    database.set("VBD", &vbd, "VM", &*domain)?;
    database.set("VBD", &vbd, "currently_attached", true)
}

#[test]
fn a_disk_that_the_control_domain_uses_keeps_the_host_in_the_pool() {
    let world = world();
    let client = log_in(&world, "alpha");
    world.act(|scene| scene.edit("alpha", attach_to_dom0)).unwrap();
    assert_eq!(rules(&planned(&client, "gamma")), ["disks-in-use"]);
}

#[test]
fn a_snapshot_without_the_disks_is_not_enough_for_a_plan() {
    let world = world();
    let snapshot = log_in(&world, "alpha").snapshot(Scope::Overview).unwrap();
    let plan = plan::eject(&snapshot, &named(&snapshot, "gamma")).unwrap();
    assert_eq!(rules(&plan), ["evidence-missing"; 3], "{plan}");
    assert!(plan.check().is_err());
    let error = plan::eject(&snapshot, &Ref::new("OpaqueRef:nobody")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_came_into_the_way_since_the_plan_is_seen_before_the_call() {
    let Eject { world, client, plan } = Drill::new();
    edit(&world, "pool", "ha_enabled", |_| Some(true));
    let why = not_done(eject(&client, &plan));
    assert!(why.contains("ha-enabled") && why.contains("disable_ha"), "{why}");
    assert_eq!(world.requests().get("Async.pool.eject"), None);
}

#[test]
fn nothing_is_destroyed_without_consent_or_beyond_it() {
    let Eject { world, client, plan } = Drill::new();
    let refused =
        operations::eject(&client, plan.with_consent(&Consent::to_nothing()), &mut Control::new());
    assert!(not_done(refused).contains("than were agreed to"));
    let consent = agreed(&plan);
    world
        .act(|scene| {
            scene.edit("alpha", |database| {
                let vdi = plan.losses().find(|loss| loss.object.class == "VDI").unwrap();
                database.set("VDI", &vdi.object.reference, "virtual_size", 9_i64 << 30)
            })
        })
        .unwrap();
    let why =
        not_done(operations::eject(&client, plan.with_consent(&consent), &mut Control::new()));
    assert!(why.contains("+ the disk") && why.contains(&(9_i64 << 30).to_string()), "{why}");
    assert!(why.contains("- the disk") && why.contains(&(5_i64 << 30).to_string()), "{why}");
    assert_eq!(world.requests().get("Async.pool.eject"), None);
    done(eject(&client, &planned(&client, "gamma")));
}

#[test]
fn a_refusal_half_way_attaches_the_storage_again() {
    let Eject { world, client, plan } = Drill::new();
    // A backup begins while the request is on its way: some storage is detached before that shows.
    let late = Trouble::Delay(Duration::from_secs(5));
    world.trouble(Injection::new(late).host("alpha").method("Async.pool.eject"));
    world.after(Duration::from_secs(3), |scene| scene.edit("alpha", attach_to_dom0).unwrap());
    let why = not_done(eject(&client, &plan));
    assert!(why.contains("VDI_IN_USE") && why.contains("is attached again"), "{why}");
    let database = world.database("alpha").unwrap();
    let gamma = database.find("host", |host| host.text("hostname") == "gamma").unwrap();
    for pbd in database.object("host", &gamma).unwrap().refs("PBDs") {
        assert!(database.flag("PBD", &pbd, "currently_attached"));
    }
}

#[test]
fn the_ha_budget_is_told_with_and_without_the_host() {
    let spec = lab().edit(|database| {
        let pool = database.refs("pool").remove(0);
        database.set("pool", &pool, "ha_enabled", true)?;
        database.set("pool", &pool, "ha_host_failures_to_tolerate", 2)
    });
    let world = World::builder().pool(spec).build().unwrap();
    let plan = planned(&log_in(&world, "alpha"), "gamma");
    let Purpose::Eject { impact } = &plan.purpose else { panic!("{plan}") };
    let ha = impact.ha.as_ref().unwrap();
    assert_eq!((ha.before, ha.after, ha.wanted), (3, 2, 2));
    assert!(plan.to_string().contains("HA can plan for 3 host failures now, for 2"), "{plan}");
}

#[test]
fn a_master_that_dies_over_the_call_leaves_the_outcome_open_until_it_is_back() {
    for trouble in [Trouble::KillBefore, Trouble::KillAfter] {
        let Eject { world, client, plan } = Drill::new();
        world.trouble(Injection::new(trouble.clone()).host("alpha").method("Async.pool.eject"));
        let mut control = Control::new().deadline(Duration::from_secs(600));
        match operations::eject(&client, plan.with_consent(&agreed(&plan)), &mut control).unwrap() {
            Outcome::Unknown(why) => assert!(why.to_string().contains("cannot be told"), "{why}"),
            other => panic!("{trouble:?}: {other:?}"),
        }
        world.power_on("alpha");
        world.advance(Duration::from_secs(120));
        done(eject(&client, &plan));
        assert_eq!(world.count("alpha", "host"), 2);
    }
}

#[test]
fn a_host_that_somebody_else_took_the_place_of_is_not_taken_for_it() {
    let Eject { world, client, plan } = Drill::new();
    done(eject(&client, &plan));
    world
        .act(|scene| {
            scene.edit("gamma", |database| {
                let host = database.refs("host").remove(0);
                database.set("host", &host, "uuid", "00000000-0000-0000-0000-000000000001")
            })
        })
        .unwrap();
    let again = done(eject(&client, &plan));
    assert_eq!(again.alone, None);
    assert!(again.notes[0].contains("another host"), "{:?}", again.notes);
}

#[test]
fn a_host_that_is_not_trusted_leaves_all_the_same() {
    let world = world();
    let client = log_in_wary(&world);
    let ejected = done(eject(&client, &planned(&client, "gamma")));
    assert_eq!((ejected.alone, ejected.after.hosts.len()), (None, 2));
    assert!(ejected.notes[0].contains("a certificate that nobody knows"), "{:?}", ejected.notes);
}

#[test]
fn the_memory_of_a_suspended_vm_is_lost_with_its_storage() {
    let world = World::builder()
        .pool(lab().vm(VmSpec::suspended("sleeper").disk("NFS", 5)).edit(|database| {
            let sr = local_storage(database, "gamma");
            let vm = database.find("VM", |vm| vm.text("name_label") == "sleeper").unwrap();
            let memory = database.text("VM", &vm, "suspend_VDI");
            database.set("VDI", &memory, "SR", &sr)
        }))
        .build()
        .unwrap();
    let plan = planned(&log_in(&world, "alpha"), "gamma");
    let Purpose::Eject { impact } = &plan.purpose else { panic!("{plan}") };
    assert_eq!((impact.vms[0].disks, impact.vms[0].memory), (0, true));
    let lost: Vec<_> = plan.losses().map(|loss| loss.object.class.as_str()).collect();
    assert_eq!(lost, ["SR", "VDI", "VM"]);
    assert!(plan.to_string().contains("loses its suspended memory"), "{plan}");
}

#[test]
fn hosts_of_every_release_leave() {
    for release in Release::ALL {
        let pool =
            PoolSpec::new("lab", release).host("alpha", "10.0.0.1").host("gamma", "10.0.0.3");
        let world = World::builder().pool(pool).build().unwrap();
        let client = log_in(&world, "alpha");
        let plan = planned(&client, "gamma");
        assert!(done(eject(&client, &plan)).alone.is_some(), "{release:?}");
    }
}

#[test]
fn a_host_that_does_not_take_the_password_any_more_is_told_and_not_waited_for() {
    let Eject { world, client, plan } = Drill::new();
    done(eject(&client, &plan));
    let gamma = log_in(&world, "gamma");
    gamma.call::<()>("session.change_password", &("xcp-test", "another")).unwrap();
    drop(gamma);
    let began = world.now();
    let again = done(eject(&client, &plan));
    assert!(world.now() - began < Duration::from_secs(10));
    assert_eq!(again.alone, None);
    assert!(again.notes[0].contains("SESSION_AUTHENTICATION_FAILED"), "{:?}", again.notes);
}

#[test]
fn a_plan_for_another_pool_or_purpose_is_refused() {
    let Eject { client, plan, .. } = Drill::new();
    let story = World::story(1);
    let error = eject(&log_in(&story, "phantom"), &plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains(&plan.pool.uuid.to_string()), "{error}");
    let error =
        operations::join(&client, &client, plan.with_consent(&agreed(&plan)), &mut Control::new())
            .unwrap_err();
    assert!(error.to_string().contains("the plan is for eject, not for a join"), "{error}");
}
