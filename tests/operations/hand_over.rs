//! Another host becomes master on the simulator: once, for certain, with everybody behind it.

use std::time::Duration;

use xcp_pool::client::{Client, Scope};
use xcp_pool::election::{self, Confirmation, HostRole, PoolEvidence};
use xcp_pool::operations::{self, Control, HandedOver, Outcome};
use xcp_pool::plan::{self, Plan, Purpose};
use xcp_pool::simulator::database::Value;
use xcp_pool::simulator::{Injection, PoolSpec, Release, Trouble, VmSpec, World};
use xcp_pool::transport::Cancel;
use xcp_pool::{ErrorKind, Result};

use crate::faults::Drill;
use crate::support::{done, log_in, log_in_wary, named, not_done, rules, three_hosts, unknown};

const CALL: &str = "Async.pool.designate_new_master";

fn lab() -> PoolSpec {
    three_hosts()
        .vm(VmSpec::running("web", "alpha").disk("NFS", 10))
        .vm(VmSpec::running("db", "gamma").disk("NFS", 10))
}

fn world() -> World {
    World::builder().seed(5).pool(lab()).build().unwrap()
}

fn planned(client: &Client, host: &str) -> Plan {
    let snapshot = client.snapshot(Scope::Overview).unwrap();
    let evidence = operations::evidence(client, &snapshot).unwrap();
    plan::hand_over(&snapshot, &evidence, &named(&snapshot, host)).unwrap()
}

fn hand_over(client: &Client, plan: &Plan) -> Result<Outcome<HandedOver>> {
    operations::hand_over(client, plan, &mut Control::new())
}

fn edit_pool(world: &World, field: &'static str, value: Value) {
    let edited = world.act(|scene| {
        scene.edit("alpha", |database| {
            let pool = database.refs("pool").remove(0);
            database.set("pool", &pool, field, value)
        })
    });
    edited.unwrap();
}

/// All VMs run where they ran, and everybody follows the master.
fn assert_in_order(world: &World, master: &str, address: &str) {
    let database = world.database(master).unwrap();
    for (vm, host) in [("web", "alpha"), ("db", "gamma")] {
        let vm = database.find("VM", |row| row.text("name_label") == vm).unwrap();
        assert_eq!(&*database.text("VM", &vm, "power_state"), "Running");
        let resident = database.text("VM", &vm, "resident_on");
        assert_eq!(&*database.text("host", &resident, "hostname"), host);
    }
    for host in ["alpha", "beta", "gamma"] {
        let follows = Some(HostRole::Slave(address.to_owned()));
        assert_eq!(world.role(host), if host == master { Some(HostRole::Master) } else { follows });
    }
}

/// Beta is to become master.
pub(crate) struct HandOver {
    world: World,
    client: Client,
    plan: Plan,
}

impl Drill for HandOver {
    type Done = HandedOver;

    const CALLS: &'static [&'static str] = &[CALL];
    const AT: &'static str = "alpha";
    const PLACES: usize = 4;
    const AWAITED: &'static [&'static str] = &["pool.designate_new_master to end"];
    const DEADLINES: &'static [(u64, &'static [&'static str])] =
        &[(5, &["who is master", "says that it is master"])];

    fn new() -> Self {
        let world = world();
        let client = log_in(&world, "alpha");
        let plan = planned(&client, "beta");
        Self { world, client, plan }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn run(&self, control: &mut Control<'_>) -> Result<Outcome<HandedOver>> {
        operations::hand_over(&self.client, &self.plan, control)
    }

    /// While there is no master there is nobody to log in at: the same client looks for it.
    fn come_back(&mut self) {}

    fn assert_not_done(&self, _: &str, why: &str) {
        assert!(why.contains("the old master still is master"), "{why}");
        assert_in_order(&self.world, "alpha", "10.0.0.1");
    }

    fn assert_in_order(self, handed: &HandedOver) {
        let Self { world, client, .. } = self;
        assert_eq!(handed.after.master, "beta");
        assert_in_order(&world, "beta", "10.0.0.2");
        drop(client);
        assert_eq!(world.open_sessions(), 0);
    }
}

#[test]
fn the_plan_names_who_has_to_follow_and_comes_back_from_json() {
    let HandOver { client, plan, .. } = Drill::new();
    assert!(plan.is_complete(), "{plan}");
    let Purpose::HandOver { members, .. } = &plan.purpose else { panic!("{plan}") };
    let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["alpha", "beta", "gamma"]);
    let printed = plan.to_string();
    for words in ["hand-over: lab", "designate_new_master to beta", "all 3 hosts", "nothing is des"]
    {
        assert!(printed.contains(words), "{words:?} is missing in\n{printed}");
    }
    let back: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!((back.digest(), &back), (plan.digest(), &plan));
    assert_ne!(plan.digest(), planned(&client, "gamma").digest());
}

#[test]
fn evidence_is_what_each_host_says_of_itself() {
    let world = world();
    let client = log_in(&world, "alpha");
    let snapshot = client.snapshot(Scope::Overview).unwrap();
    world.power_off("gamma");
    let evidence = operations::evidence(&client, &snapshot).unwrap();
    let of = |name| evidence.of(&named(&snapshot, name));
    assert_eq!(of("alpha").role, Some(election::HostRole::Master));
    assert_eq!(of("beta").role, Some(election::HostRole::Slave("10.0.0.1".to_owned())));
    assert_eq!((of("beta").reachable, of("beta").emergency_mode), (Some(true), Some(false)));
    assert_eq!((of("gamma").reachable, of("gamma").role), (Some(false), None));
    drop(client);
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_host_becomes_master_and_everybody_follows_it() {
    let HandOver { world, client, plan } = Drill::new();
    let handed = done(hand_over(&client, &plan));
    assert!(!handed.already_master);
    assert_eq!(
        (handed.host.clone(), handed.address.as_str()),
        (plan.host.uuid.clone(), "10.0.0.2")
    );
    assert_eq!(handed.before.unwrap().master, "alpha");
    assert_eq!((handed.after.master.as_str(), handed.after.vms.len()), ("beta", 2));
    assert_eq!(handed.notes, Vec::<String>::new());
    assert_in_order(&world, "beta", "10.0.0.2");
    drop(client);
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn nothing_is_called_for_a_host_that_is_master_already() {
    let world = world();
    let client = log_in(&world, "alpha");
    let plan = planned(&client, "alpha");
    assert!(plan.is_complete() && plan.steps.len() == 1, "{plan}");
    assert!(done(hand_over(&client, &plan)).already_master);
    assert_eq!(world.requests().get(CALL), None);
    let plan = planned(&client, "beta");
    done(hand_over(&client, &plan));
    drop(client);
    let again = done(hand_over(&log_in(&world, "gamma"), &plan));
    assert!(again.already_master && again.before.is_none());
    assert_eq!(world.requests()[CALL], 1);
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_second_caller_waits_until_a_fresh_hand_over_has_shown() {
    let world = world();
    let client = log_in(&world, "alpha");
    let (to_beta, to_gamma) = (planned(&client, "beta"), planned(&client, "gamma"));
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let mut control = Control::new().cancel(cancel).observer(move |progress| {
        if progress.awaited == Some("beta to be master") {
            stop.cancel();
        }
    });
    assert!(operations::hand_over(&client, &to_beta, &mut control).is_err());
    // Both hosts still have their old roles.
    assert_eq!(world.role("alpha"), Some(HostRole::Master));
    let other = log_in(&world, "alpha");
    let mut waits = Vec::new();
    let mut control = Control::new().observer(|progress| {
        waits.extend(progress.awaited.map(str::to_owned));
    });
    let handed = operations::hand_over(&other, &to_gamma, &mut control);
    drop(control);
    assert_eq!(done(handed).before.unwrap().master, "beta");
    assert!(waits[0].contains("change their roles"), "{waits:?}");
    assert_in_order(&world, "gamma", "10.0.0.3");
}

#[test]
fn every_reason_to_refuse_is_told_at_once_with_what_to_do() {
    let spec = lab().edit(|database| {
        let pool = database.refs("pool").remove(0);
        database.set("pool", &pool, "ha_enabled", true)?;
        database.set("pool", &pool, "is_psr_pending", true)?;
        database.update("pool", &pool, "current_operations", |operations| {
            *operations = Value::map([("OpaqueRef:t", "cluster_create")]);
        })?;
        for (host, field) in [("beta", "xapi_build"), ("gamma", "platform_version")] {
            let host = database.find("host", |row| row.text("hostname") == host).unwrap();
            database.update("host", &host, "software_version", |versions| {
                if let Value::Map(versions) = versions {
                    versions.retain(|(key, _)| &**key != field);
                    versions.push((field.into(), "1.2.3".into()));
                }
            })?;
        }
        let gamma = database.find("host", |row| row.text("hostname") == "gamma").unwrap();
        let metrics = database.text("host", &gamma, "metrics");
        database.set("host_metrics", &metrics, "live", false)
    });
    let world = World::builder().pool(spec).build().unwrap();
    let client = log_in(&world, "alpha");
    world.power_off("gamma");
    let plan = planned(&client, "beta");
    let mut found = rules(&plan);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "ha-enabled",
            "member-not-live",
            "member-unreachable",
            "older-than-member",
            "pool-busy",
            "rolling-upgrade",
            "secret-rotation-pending",
        ]
    );
    let printed = plan.to_string();
    assert!(printed.contains("member gamma is not live (HOST_OFFLINE)"), "{printed}");
    assert!(!printed.contains("OpaqueRef"), "{printed}");
    assert!(plan.unsolved.iter().all(|unsolved| !unsolved.by_person.is_empty()));
    assert_eq!(hand_over(&client, &plan).unwrap_err().kind(), ErrorKind::State);
    let target = planned(&client, "gamma");
    let found = rules(&target);
    assert!(found.contains(&"host-not-live") && found.contains(&"host-unreachable"), "{target}");
    assert_eq!(world.requests().get(CALL), None);
}

#[test]
fn a_version_that_is_not_known_has_to_be_confirmed() {
    let spec = lab().edit(|database| {
        let beta = database.find("host", |row| row.text("hostname") == "beta").unwrap();
        database.update("host", &beta, "software_version", |versions| {
            if let Value::Map(versions) = versions {
                versions.retain(|(key, _)| !key.starts_with("xapi"));
            }
        })
    });
    let world = World::builder().pool(spec).build().unwrap();
    let client = log_in(&world, "alpha");
    let snapshot = client.snapshot(Scope::Overview).unwrap();
    let beta = named(&snapshot, "beta");
    let mut evidence = PoolEvidence::none();
    let plan = plan::hand_over(&snapshot, &evidence, &beta).unwrap();
    assert_eq!(rules(&plan), ["version-unknown"]);
    evidence.confirmed.insert(Confirmation::VersionIsNewest { host: beta.clone() });
    let plan = plan::hand_over(&snapshot, &evidence, &beta).unwrap();
    let told = "confirmed: no member runs a newer version than beta\n";
    assert!(plan.is_complete() && plan.to_string().contains(told), "{plan}");
    done(hand_over(&client, &plan));
}

#[test]
fn that_a_host_takes_part_which_is_not_trusted_has_to_be_confirmed() {
    let world = world();
    let client = log_in_wary(&world);
    let plan = planned(&client, "beta");
    assert!(plan.is_complete(), "{plan}");
    let why = not_done(hand_over(&client, &plan));
    assert!(why.contains("not known, to be confirmed: every member answers"), "{why}");
    assert_eq!(world.requests().get(CALL), None);
    let snapshot = client.snapshot(Scope::Overview).unwrap();
    let mut evidence = operations::evidence(&client, &snapshot).unwrap();
    evidence.confirmed.insert(Confirmation::AllMembersAnswer);
    let plan = plan::hand_over(&snapshot, &evidence, &named(&snapshot, "beta")).unwrap();
    done(hand_over(&client, &plan));
    assert_in_order(&world, "beta", "10.0.0.2");
}

#[test]
fn pools_of_every_release_are_handed_over() {
    for release in Release::ALL {
        let pool = PoolSpec::new("lab", release).host("alpha", "10.0.0.1").host("beta", "10.0.0.2");
        let world = World::builder().pool(pool).build().unwrap();
        let client = log_in(&world, "alpha");
        let handed = done(hand_over(&client, &planned(&client, "beta")));
        assert_eq!(handed.after.master, "beta", "{release:?}");
    }
}

#[test]
fn what_came_into_the_way_since_the_plan_is_seen_before_the_call() {
    let HandOver { world, client, plan } = Drill::new();
    edit_pool(&world, "ha_enabled", true.into());
    let why = not_done(hand_over(&client, &plan));
    assert!(why.contains("ha-enabled") && why.contains("disable_ha"), "{why}");
    edit_pool(&world, "ha_enabled", false.into());
    world.act(|scene| scene.cut(xcp_pool::simulator::Peer::Tool, "gamma"));
    let why = not_done(hand_over(&client, &plan));
    assert!(why.contains("member gamma does not answer"), "{why}");
    assert_eq!(world.requests().get(CALL), None);
}

#[test]
fn a_refusal_in_the_first_phase_leaves_everything_as_it_was() {
    let HandOver { world, client, plan } = Drill::new();
    // A member agreed to another master a moment ago.
    let gamma = client.local("10.0.0.3").unwrap();
    gamma.call::<()>("host.propose_new_master", &("10.0.0.9", true)).unwrap();
    gamma.close().unwrap();
    let why = not_done(hand_over(&client, &plan));
    assert!(why.contains("HA_ABORT_NEW_MASTER") && why.contains("old master still"), "{why}");
    assert_in_order(&world, "alpha", "10.0.0.1");
}

#[test]
fn a_hand_over_that_breaks_half_way_is_recognised_with_the_way_out() {
    let HandOver { world, client, plan } = Drill::new();
    // A member dies between the two phases.
    let fault = world.clone();
    let mut control = Control::new().observer(move |progress| {
        if progress.awaited == Some("pool.designate_new_master to end") {
            fault.after(Duration::from_millis(440), |scene| scene.power_off("gamma"));
        }
    });
    let why = not_done(operations::hand_over(&client, &plan, &mut control));
    drop(control);
    assert_eq!(world.emergency("beta").unwrap().code, "HOST_BROKEN");
    for words in ["failed half-way", "nobody is master", "emergency_transition_to_master on beta"] {
        assert!(why.contains(words), "{words:?} is missing in {why}");
    }
    // Calling again sees the same, and makes nothing worse.
    let why = not_done(hand_over(&client, &plan));
    assert!(why.contains("HOST_BROKEN"), "{why}");
    assert_eq!(world.requests()[CALL], 1);
    // The way out leads out.
    let beta = client.local("10.0.0.2").unwrap();
    beta.call::<()>("pool.emergency_transition_to_master", &()).unwrap();
    drop(beta);
    world.power_on("gamma");
    world.advance(Duration::from_secs(180));
    client.snapshot(Scope::Overview).unwrap();
    let _: Vec<String> = client.call("pool.recover_slaves", &()).unwrap();
    let again = done(hand_over(&client, &plan));
    assert!(again.already_master);
    assert_in_order(&world, "beta", "10.0.0.2");
}

#[test]
fn a_master_that_dies_over_the_call_leaves_the_outcome_open_until_it_is_back() {
    for trouble in [Trouble::KillBefore, Trouble::KillAfter] {
        let HandOver { world, client, plan } = Drill::new();
        world.trouble(Injection::new(trouble.clone()).host("alpha").method(CALL));
        let mut control = Control::new().deadline(Duration::from_secs(600));
        let why = unknown(operations::hand_over(&client, &plan, &mut control));
        assert!(why.contains("beta follows 10.0.0.1"), "{trouble:?}: {why}");
        world.power_on("alpha");
        done(hand_over(&client, &plan));
        assert_in_order(&world, "beta", "10.0.0.2");
    }
}
