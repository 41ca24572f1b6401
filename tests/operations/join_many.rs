//! Several hosts join a pool on the simulator: foretold together, joined one after the other.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use xcp_pool::client::{Client, Scope};
use xcp_pool::election::HostRole;
use xcp_pool::operations::{self, Control, JoinedMany, OnFailure, Outcome};
use xcp_pool::plan::{self, Choices, Consent, Joins};
use xcp_pool::preflight::{self, Options, Report};
use xcp_pool::simulator::{Injection, PoolSpec, Release, Trouble, VmSpec, World, WorldBuilder};
use xcp_pool::transport::Cancel;
use xcp_pool::{ErrorKind, Result};

use crate::support::log_in;

const JOINERS: [&str; 3] = ["ignite", "ember", "spark"];

fn builder() -> WorldBuilder {
    let pool = PoolSpec::new("lab", Release::XcpNg83)
        .host("phantom", "10.0.0.1")
        .shared_sr("NFS", "nfs")
        .vm(VmSpec::running("web", "phantom").disk("NFS", 10));
    let alone = |n: usize, name: &str| {
        PoolSpec::new("", Release::XcpNg83)
            .host(name, &format!("10.0.0.{}", n + 2))
            .vm(VmSpec::halted(&format!("{name} VM")).disk("Local storage", 5))
    };
    JOINERS.iter().enumerate().fold(World::builder().seed(9).pool(pool), |builder, (n, name)| {
        builder.pool(match *name {
            "ember" => alone(n, name).shared_sr("Ember NFS", "nfs"),
            name => alone(n, name),
        })
    })
}

struct Lab {
    world: World,
    pool: Client,
    joiners: Vec<Client>,
    joins: Joins,
}

impl Lab {
    fn new() -> Self {
        let world = builder().build().unwrap();
        let pool = log_in(&world, "phantom");
        let joiners: Vec<_> = JOINERS.iter().map(|host| log_in(&world, host)).collect();
        let joins = planned(&pool, &joiners);
        Self { world, pool, joiners, joins }
    }

    fn join(&self, on_failure: OnFailure, control: Control<'_>) -> Result<JoinedMany> {
        let mut control = control.on_failure(on_failure);
        let consent = Consent::to_all(&self.joins, self.joins.losses_digest()).unwrap();
        let joiners: Vec<_> = self.joiners.iter().collect();
        operations::join_many(&self.pool, &joiners, self.joins.with_consent(&consent), &mut control)
    }

    fn members(&self) -> usize {
        self.world.count("phantom", "host")
    }

    /// All have joined, with their VMs, and no session is left.
    fn assert_all_joined(self) {
        for host in JOINERS {
            let follows = HostRole::Slave("10.0.0.1".to_owned());
            assert_eq!(self.world.role(host), Some(follows), "{host}");
        }
        let after = self.pool.snapshot(Scope::Preflight).unwrap();
        assert!(after.host.records().all(|host| host.enabled));
        let vms = after.vm.records().filter(|vm| vm.is_user_vm()).count();
        assert_eq!((after.host.len(), vms), (4, 4));
        let world = self.world.clone();
        drop(self);
        assert_eq!(world.open_sessions(), 0);
    }
}

/// A report on each joiner alone, all on one snapshot of the pool.
fn reports(pool: &Client, joiners: &[Client]) -> Vec<Report> {
    let pool = Arc::new(pool.snapshot(Scope::Preflight).unwrap());
    let report = |joiner: &Client| {
        let joiner = joiner.snapshot(Scope::Preflight).unwrap();
        preflight::evaluate(Arc::clone(&pool), joiner, &Options::new())
    };
    joiners.iter().map(report).collect()
}

fn planned(pool: &Client, joiners: &[Client]) -> Joins {
    let (reports, choices) = (reports(pool, joiners), Choices::new());
    plan::join_many(reports.iter().map(|report| (report, &choices))).unwrap()
}

#[test]
fn reports_of_two_pools_do_not_go_together() {
    let lab = Lab::new();
    let reports = reports(&lab.pool, &lab.joiners[..2]);
    let mut other = xcp_pool::model::Snapshot::clone(reports[1].pool());
    other.pool.iter_mut().for_each(|(_, pool)| pool.uuid = "another".into());
    let of_other =
        preflight::evaluate(other, Arc::clone(reports[1].joiner()), reports[1].options());
    let choices = Choices::new();
    let error = plan::join_many([(&reports[0], &choices), (&of_other, &choices)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.starts_with("joiner 2: its report is of another pool than "), "{text}");
}

fn ends(joined: &JoinedMany) -> Vec<&'static str> {
    let end = |outcome: &Option<Outcome<_>>| match outcome {
        Some(Outcome::Done(_)) => "done",
        Some(Outcome::NotDone(_)) => "not done",
        Some(Outcome::Unknown(_)) => "unknown",
        None => "not tried",
    };
    joined.hosts.iter().map(|host| end(&host.outcome)).collect()
}

#[test]
fn the_plans_are_for_the_pool_as_it_will_be() {
    let lab = Lab::new();
    assert!(lab.joins.is_complete(), "{}", lab.joins);
    assert_eq!(lab.joins.notes, Vec::<String>::new());
    assert_eq!(lab.joins.plans.len(), 3);
    let printed = lab.joins.to_string();
    for words in ["lab", "ignite", "ember", "spark", "SR.forget", "consent to all losses"] {
        assert!(printed.contains(words), "{words:?} is missing in\n{printed}");
    }
    let json = serde_json::to_string(&lab.joins).unwrap();
    let back: Joins = serde_json::from_str(&json).unwrap();
    assert_eq!((back.digest(), &back), (lab.joins.digest(), &lab.joins));
    let mut other = lab.joins.clone();
    other.plans.swap(0, 1);
    assert_ne!(other.digest(), lab.joins.digest());
    assert!(Consent::to_all(&lab.joins, lab.joins.digest()).is_err());
}

#[test]
fn hosts_that_clash_with_each_other_and_not_with_the_pool_are_found_beforehand() {
    // Both were cloned with the same VM.
    let mut builder =
        World::builder().pool(PoolSpec::new("lab", Release::XcpNg83).host("phantom", "10.0.0.1"));
    for (n, name) in ["ignite", "ember"].into_iter().enumerate() {
        let address = format!("10.0.0.{}", n + 2);
        builder = builder.pool(
            PoolSpec::new("", Release::XcpNg83)
                .host(name, &address)
                .vm(VmSpec::halted("same"))
                .edit(|database| {
                    let vm = database.find("VM", |vm| vm.text("name_label") == "same").unwrap();
                    database.set("VM", &vm, "uuid", "11111111-1111-1111-1111-111111111111")
                }),
        );
    }
    let world = builder.build().unwrap();
    let pool = log_in(&world, "phantom");
    let joiners = ["ignite", "ember"].map(|host| log_in(&world, host));
    let joins = planned(&pool, &joiners);
    assert_eq!(joins.notes.len(), 1, "{joins}");
    assert!(joins.notes[0].starts_with("ember, after those before it: hazard"), "{joins}");
    assert!(joins.to_string().contains("note: ember"), "{joins}");
    let alone = planned(&pool, &joiners[1..]);
    assert_eq!(alone.notes, Vec::<String>::new());
}

#[test]
fn what_cannot_be_foretold_is_said() {
    let world = builder().build().unwrap();
    let pool = log_in(&world, "phantom");
    let joiners = JOINERS.map(|host| log_in(&world, host));
    world
        .act(|scene| {
            scene.edit("ignite", |database| {
                let vm = database.find("VM", |vm| vm.text("name_label") == "ignite VM").unwrap();
                database.set("VM", &vm, "power_state", "Running")
            })
        })
        .unwrap();
    let suspend = Choices::new().choose("running-vms", "suspend").unwrap();
    let (reports, choices) = (reports(&pool, &joiners), Choices::new());
    let joiners = [&choices; 3];
    assert_eq!(plan::join_many(reports.iter().zip(joiners)).unwrap().notes, Vec::<String>::new());
    let joiners = [&suspend, &choices, &choices];
    let notes = plan::join_many(reports.iter().zip(joiners)).unwrap().notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("not foretold after ignite: what follows from \"VM.suspend"));
}

#[test]
fn all_hosts_join_one_after_the_other() {
    let lab = Lab::new();
    let (steps, joining) = (RefCell::new(Vec::new()), RefCell::new(0));
    let control = Control::new().observer(|progress| {
        let mut steps = steps.borrow_mut();
        if steps.last() != Some(&(progress.step, progress.of)) {
            steps.push((progress.step, progress.of));
        }
        let begins = progress.awaited.is_none() && progress.done.is_none();
        if progress.summary.starts_with("pool.join") && begins {
            *joining.borrow_mut() += 1;
            // Whoever came before is settled by now.
            let before = lab.world.database("phantom").unwrap();
            assert!(before.objects("host").all(|host| host.flag("enabled")));
            assert!(before.objects("host_metrics").all(|host| host.flag("live")));
        }
    });
    let joined = lab.join(OnFailure::Stop, control).unwrap();
    assert!(joined.is_done(), "{joined}");
    assert_eq!(joined.to_string(), "ignite joined\nember joined\nspark joined");
    assert_eq!(joining.into_inner(), 3);
    let steps = steps.into_inner();
    let of = steps[0].1;
    let numbers: Vec<_> = steps.iter().map(|(step, _)| *step).collect();
    assert_eq!(numbers, (1..=of).collect::<Vec<_>>(), "each step is told once, in order");
    assert_eq!(lab.world.requests()["Async.pool.join"], 3);
    lab.assert_all_joined();
}

#[test]
fn calling_again_with_fresh_clients_goes_on_where_it_ended() {
    for (host, awaited) in [(1, "pool.join to end"), (1, "ember to be live"), (2, "")] {
        let lab = Lab::new();
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let name = JOINERS[host];
        let control = Control::new().cancel(cancel).observer(move |progress| {
            let at_gate = progress.summary.contains(&format!("before {name} joins"));
            let waits = progress.awaited == Some(awaited) && progress.step > 4;
            if if awaited.is_empty() { at_gate } else { waits } {
                stop.cancel();
            }
        });
        let error = lab.join(OnFailure::Stop, control).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{awaited:?}");
        let Lab { world, pool, joiners, joins } = lab;
        drop((pool, joiners));
        // Who joined answers as a member by then.
        world.advance(Duration::from_secs(120));
        let pool = log_in(&world, "phantom");
        let joiners: Vec<_> = JOINERS.iter().map(|host| log_in(&world, host)).collect();
        let lab = Lab { world, pool, joiners, joins };
        let joined = lab.join(OnFailure::Stop, Control::new()).unwrap();
        assert!(joined.is_done(), "{joined}");
        assert!(joined.to_string().starts_with("ignite was a member"), "{joined}");
        assert_eq!(lab.world.requests()["Async.pool.join"], 3);
        lab.assert_all_joined();
    }
}

#[test]
fn a_host_that_does_not_join_stops_the_others_or_not_as_told() {
    for on_failure in [OnFailure::Stop, OnFailure::Continue] {
        let lab = Lab::new();
        lab.world.trouble(Injection::new(Trouble::Reset).host("ember").method("Async.pool.join"));
        let joined = lab.join(on_failure, Control::new()).unwrap();
        let (expected, members) = match on_failure {
            OnFailure::Stop => (["done", "not done", "not tried"], 2),
            _ => (["done", "not done", "done"], 3),
        };
        assert_eq!((ends(&joined), lab.members()), (expected.to_vec(), members), "{joined}");
        assert!(!joined.is_done());
        let joined = lab.join(on_failure, Control::new()).unwrap();
        assert!(joined.is_done(), "{joined}");
        lab.assert_all_joined();
    }
}

#[test]
fn nobody_joins_if_it_shows_beforehand_that_one_will_not() {
    let lab = Lab::new();
    let spoil = |on: bool| {
        let power = if on { "Running" } else { "Halted" };
        let spoilt = lab.world.act(|scene| {
            scene.edit("spark", |database| {
                let vm = database.find("VM", |vm| vm.text("name_label") == "spark VM").unwrap();
                database.set("VM", &vm, "power_state", power)
            })
        });
        spoilt.unwrap();
    };
    spoil(true);
    let joined = lab.join(OnFailure::Stop, Control::new()).unwrap();
    assert_eq!(ends(&joined), ["not tried", "not tried", "not done"], "{joined}");
    assert!(joined.to_string().contains("running-vms"), "{joined}");
    assert_eq!((lab.members(), lab.world.requests().get("Async.pool.join")), (1, None));
    let joined = lab.join(OnFailure::Continue, Control::new()).unwrap();
    assert_eq!(ends(&joined), ["done", "done", "not done"], "{joined}");
    spoil(false);
    assert!(lab.join(OnFailure::Stop, Control::new()).unwrap().is_done());
    lab.assert_all_joined();
}

#[test]
fn a_lost_reply_changes_nothing_about_the_outcome() {
    for trouble in [Trouble::LoseReply, Trouble::Silence] {
        let lab = Lab::new();
        for host in JOINERS {
            lab.world.trouble(Injection::new(trouble.clone()).host(host).method("Async.pool.join"));
        }
        assert!(lab.join(OnFailure::Stop, Control::new()).unwrap().is_done(), "{trouble:?}");
        assert_eq!(lab.world.requests()["Async.pool.join"], 3, "{trouble:?}");
        lab.assert_all_joined();
    }
}

#[test]
fn nobody_joins_after_a_join_that_may_still_be_under_way() {
    let lab = Lab::new();
    // The first host joins, and its power fails before it is back.
    let world = lab.world.clone();
    let control = Control::new().deadline(Duration::from_secs(1800)).observer(move |progress| {
        if progress.awaited == Some("ignite to be live") {
            world.power_off("ignite");
        }
    });
    let joined = lab.join(OnFailure::Continue, control).unwrap();
    assert_eq!(ends(&joined), ["unknown", "not tried", "not tried"], "{joined}");
    assert!(joined.to_string().contains("no two hosts may join at once"), "{joined}");
    assert_eq!(lab.world.requests()["Async.pool.join"], 1);
    lab.world.power_on("ignite");
    assert!(lab.join(OnFailure::Continue, Control::new()).unwrap().is_done());
    lab.assert_all_joined();
}

#[test]
fn the_deadline_is_that_of_all_joins_together() {
    let lab = Lab::new();
    let control = Control::new().deadline(Duration::from_secs(60));
    let joined = lab.join(OnFailure::Continue, control).unwrap();
    assert!(!joined.is_done() && ends(&joined)[0] == "done", "{joined}");
    assert!(joined.to_string().contains("deadline of 60 s"), "{joined}");
    assert!(lab.join(OnFailure::Stop, Control::new()).unwrap().is_done());
    lab.assert_all_joined();
}

#[test]
fn the_pool_is_at_rest_before_the_next_host_joins() {
    let lab = Lab::new();
    let busy = |operation: Option<&str>| {
        let operations = operation.map(|operation| ("OpaqueRef:t", operation));
        let set = lab.world.act(|scene| {
            scene.edit("phantom", |database| {
                let pool = database.refs("pool").remove(0);
                let operations = xcp_pool::simulator::database::Value::map(operations);
                database.set("pool", &pool, "current_operations", operations)
            })
        });
        set.unwrap();
    };
    let waits = RefCell::new(Vec::new());
    let control = Control::new().observer(|progress| {
        if progress.summary.contains("before ember joins") {
            match progress.awaited {
                None => busy(Some("sync_updates")),
                Some(awaited) => {
                    waits.borrow_mut().push(awaited.to_owned());
                    busy(None);
                }
            }
        }
    });
    assert!(lab.join(OnFailure::Stop, control).unwrap().is_done());
    assert_eq!(*waits.borrow(), ["sync_updates to end"]);
    lab.assert_all_joined();
}

#[test]
fn clients_that_are_not_those_of_the_plans_are_refused() {
    let lab = Lab::new();
    let consent = Consent::to_nothing();
    let call = |joiners: &[&Client]| {
        let control = &mut Control::new();
        operations::join_many(&lab.pool, joiners, lab.joins.with_consent(&consent), control)
            .unwrap_err()
    };
    let [ignite, ember, spark] = [0, 1, 2].map(|n| &lab.joiners[n]);
    assert_eq!(call(&[ignite, ember]).kind(), ErrorKind::InvalidInput);
    let error = call(&[ember, ignite, spark]);
    assert!(error.to_string().contains("the plan is for host"), "{error}");
    assert_eq!(lab.world.requests().get("Async.pool.join"), None);
}
