//! A host joins a pool on the simulator: the outcome is what the hosts show, whatever was replied.

use std::time::Duration;

use xcp_pool::client::{Client, Scope};
use xcp_pool::election::HostRole;
use xcp_pool::operations::{self, Control, Joined, Outcome};
use xcp_pool::plan::{Choices, Consent, Plan};
use xcp_pool::preflight::{self, Options};
use xcp_pool::simulator::{Injection, Trouble, World};
use xcp_pool::transport::Cancel;
use xcp_pool::{ErrorKind, Result};

use crate::faults::Drill;
use crate::support::{done, log_in, not_done};

/// Ignite is to join Phantom's pool.
pub(crate) struct Story {
    world: World,
    phantom: Client,
    ignite: Client,
    plan: Plan,
}

impl Story {
    fn with(choices: &Choices) -> Self {
        let world = World::story(1);
        let [phantom, ignite] = ["phantom", "ignite"].map(|host| log_in(&world, host));
        let pool = phantom.snapshot(Scope::Preflight).unwrap();
        let host = ignite.snapshot(Scope::Preflight).unwrap();
        let plan = preflight::evaluate(pool, host, &Options::new()).plan(choices).unwrap();
        Self { world, phantom, ignite, plan }
    }

    fn join(&self) -> Result<Outcome<Joined>> {
        let consent = Consent::to(&self.plan, self.plan.losses_digest()).unwrap();
        self.join_with(&consent, Control::new())
    }

    fn join_with(&self, consent: &Consent, mut control: Control<'_>) -> Result<Outcome<Joined>> {
        operations::join(&self.phantom, &self.ignite, self.plan.with_consent(consent), &mut control)
    }

    fn is_member(&self) -> bool {
        matches!(self.world.role("ignite"), Some(HostRole::Slave(_)))
            && self.world.count("phantom", "host") == 2
    }
}

impl Drill for Story {
    type Done = Joined;

    const CALLS: &'static [&'static str] = &["Async.pool.join"];
    const AT: &'static str = "ignite";
    const PLACES: usize = 9;
    const AWAITED: &'static [&'static str] = &["pool.join to end", "ignite to be live"];
    const DEADLINES: &'static [(u64, &'static [&'static str])] = &[(20, &["not ready yet"])];

    fn new() -> Self {
        Self::with(&Choices::new())
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn run(&self, control: &mut Control<'_>) -> Result<Outcome<Joined>> {
        let consent = Consent::to_nothing();
        operations::join(&self.phantom, &self.ignite, self.plan.with_consent(&consent), control)
    }

    fn come_back(&mut self) {
        self.phantom = log_in(&self.world, "phantom");
    }

    fn assert_not_done(&self, _: &str, why: &str) {
        assert!(why.contains("still is the master"), "{why}");
        assert!(!self.is_member());
    }

    fn assert_in_order(self, joined: &Joined) {
        assert_eq!(joined.after.srs.len(), 9);
        assert!(self.is_member());
        let Self { world, phantom, ignite, .. } = self;
        drop((phantom, ignite));
        assert_eq!(world.open_sessions(), 0);
    }
}

#[test]
fn ignite_becomes_a_live_member_and_nothing_is_missing() {
    let story = Story::new();
    let joined = done(story.join());
    assert_eq!(joined.missing, Vec::<String>::new());
    assert!(!joined.already_member);
    let before = joined.before.unwrap();
    assert_eq!((before.srs.len(), joined.after.srs.len()), (6, 9));
    assert_eq!((before.hosts.len(), joined.after.hosts.len()), (1, 2));
    assert_eq!(joined.after.vms, ["archive", "build", "monitor", "web"]);
    assert!(story.is_member());
    let led = log_in(&story.world, "ignite");
    assert_eq!(led.endpoint().host(), "10.0.0.1");
}

#[test]
fn no_session_is_left_when_all_clients_are_gone() {
    let story = Story::new();
    done(story.join());
    let world = story.world.clone();
    drop(story);
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn calling_again_sees_that_the_host_is_a_member_already() {
    let story = Story::new();
    done(story.join());
    let writes = story.world.writes();
    let joined = done(story.join());
    assert!(joined.already_member && joined.before.is_none());
    assert_eq!(story.world.requests()["Async.pool.join"], 1);
    assert_eq!(story.world.writes(), writes, "nothing is written the second time");
}

#[test]
fn calling_again_goes_on_where_a_run_was_cut_off() {
    let story = Story::new();
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let control = Control::new().cancel(cancel).observer(move |progress| {
        if progress.summary.starts_with("SR.forget") {
            stop.cancel();
        }
    });
    let error = story.join_with(&Consent::to_nothing(), control).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    done(story.join());
    let requests = story.world.requests();
    assert_eq!(requests["Async.VM.clean_shutdown"], 1);
    assert_eq!(requests["Async.SR.forget"] + requests.get("SR.forget").unwrap_or(&0), 1);
}

#[test]
fn nothing_is_destroyed_without_consent() {
    let delete = Choices::new().choose("running-vms", "delete").unwrap();
    let story = Story::with(&delete);
    assert!(story.plan.losses().count() >= 2);
    let vms = story.world.count("ignite", "VM");
    match story.join_with(&Consent::to_nothing(), Control::new()).unwrap() {
        Outcome::NotDone(why) => assert!(why.to_string().contains("nobody agreed"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(story.world.count("ignite", "VM"), vms);
    assert_eq!(story.world.requests().get("Async.pool.join"), None);
    done(story.join());
    assert!(!story.world.database("phantom").unwrap().refs("VM").is_empty());
}

#[test]
fn what_changed_since_the_plan_is_not_destroyed() {
    let delete = Choices::new().choose("running-vms", "delete").unwrap();
    let story = Story::with(&delete);
    let vdi = story.plan.losses().find(|loss| loss.object.class == "VDI").unwrap();
    let reference = vdi.object.reference.clone();
    story
        .world
        .act(|scene| {
            scene.edit("ignite", |database| {
                database.set("VDI", &reference, "virtual_size", 99 << 30)
            })
        })
        .unwrap();
    let why = not_done(story.join());
    assert!(why.contains("would destroy"), "{why}");
    assert_eq!(story.world.count("ignite", "VDI"), log_in_count(&story));
}

fn log_in_count(story: &Story) -> usize {
    story.ignite.snapshot(Scope::Preflight).unwrap().vdi.len()
}

#[test]
fn a_refused_join_takes_back_what_was_done_for_it() {
    let story = Story::new();
    story.world.trouble(Injection::new(Trouble::Reset).host("ignite").method("Async.SR.forget"));
    let why = not_done(story.join());
    assert!(why.contains("taken back"), "{why}");
    let host = story.ignite.snapshot(Scope::Preflight).unwrap();
    assert!(host.pbd.records().all(|pbd| pbd.currently_attached), "the NFS SR is attached again");
    let monitor = host.vm.records().find(|vm| vm.name_label == "monitor").unwrap();
    assert_eq!(monitor.power_state.as_str(), "Running");
}

#[test]
fn records_that_a_broken_join_left_behind_are_not_waited_for() {
    let story = Story::new();
    let own = story.world.database("ignite").unwrap();
    let record = own.object("host", &own.refs("host")[0]).unwrap().record();
    let left = story.world.act(|scene| {
        scene.edit("phantom", |database| {
            let fields = record.pairs().iter().filter(|(field, _)| &**field != "metrics");
            let fields = fields.map(|(field, value)| (&**field, value.clone()));
            database.create("host", "OpaqueRef:left-behind", fields)
        })
    });
    left.unwrap();
    let began = story.world.now();
    let why = not_done(story.join());
    assert!(why.contains("host.destroy"), "{why}");
    assert!(story.world.now() - began < Duration::from_secs(600));
    assert_eq!(story.world.requests().get("Async.pool.join"), None);
}

#[test]
fn a_plan_for_another_pool_is_refused_by_name() {
    let story = Story::new();
    let swapped = operations::join(
        &story.ignite,
        &story.phantom,
        story.plan.with_consent(&Consent::to_nothing()),
        &mut Control::new(),
    );
    let error = swapped.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains(&story.plan.pool.uuid.to_string()), "{error}");
}

#[test]
fn a_caller_that_comes_back_waits_for_the_join_that_is_under_way() {
    let story = Story::new();
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let control = Control::new().cancel(cancel).observer(move |progress| {
        // The join runs as a task by now.
        if progress.awaited.is_some_and(|awaited| awaited.starts_with("pool.join")) {
            stop.cancel();
        }
    });
    let error = story.join_with(&Consent::to_nothing(), control).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(!story.is_member());
    let mut waited = false;
    let control = Control::new().observer(|progress| {
        waited |= progress.awaited == Some("another pool.join of the host to end");
    });
    assert!(done(story.join_with(&Consent::to_nothing(), control)).already_member);
    assert!(waited);
    assert_eq!(story.world.requests()["Async.pool.join"], 1);
}
