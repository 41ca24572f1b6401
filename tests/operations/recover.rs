//! A pool whose master died gets a new one, and never two.

use std::time::Duration;

use xcp_pool::client::{Client, Scope};
use xcp_pool::election::{self, Confirmation, HostRole, PoolEvidence};
use xcp_pool::model::Snapshot;
use xcp_pool::operations::{self, Control, Members, Outcome, Recovered, Remaining};
use xcp_pool::plan::{self, Consent, Plan};
use xcp_pool::simulator::{Injection, Peer, Trouble, World};
use xcp_pool::transport::Cancel;
use xcp_pool::{ErrorKind, Result};

use crate::faults::Drill;
use crate::support::{done, log_in_locally, not_done, phantoms_pool, root};

const TRANSITION: &str = "pool.emergency_transition_to_master";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Lab {
    world: World,
    members: Members,
    last: Snapshot,
}

impl Lab {
    /// Three hosts, the master with a VM, and the last snapshot that was taken of them.
    fn new() -> Self {
        let world = World::builder().seed(6).pool(phantoms_pool()).build().unwrap();
        let client = Client::connect(world.transport(), "10.0.0.1", &root()).unwrap();
        let last = client.snapshot(Scope::Failover).unwrap();
        client.close().unwrap();
        let members = Members::new(world.transport(), &root())
            .snapshot(last.clone(), None)
            .ask_whether_ha_is_armed();
        Self { world, members, last }
    }

    fn evidence(&self) -> PoolEvidence {
        operations::diagnose(&self.members).unwrap().evidence()
    }

    /// The plan of somebody who takes responsibility for everything that is asked.
    fn plan(&self) -> Plan {
        let mut evidence = self.evidence();
        let decision = election::emergency(&self.last, &evidence).unwrap();
        evidence.confirmed.extend(decision.confirmations);
        let decision = election::emergency(&self.last, &evidence).unwrap();
        plan::recovery(&self.last, &evidence, &decision).unwrap()
    }

    fn recover(&self, plan: &Plan) -> Result<Outcome<Recovered>> {
        self.recover_with(plan, Control::new())
    }

    fn recover_with(&self, plan: &Plan, mut control: Control<'_>) -> Result<Outcome<Recovered>> {
        let consent = Consent::to(plan, plan.losses_digest()).unwrap();
        operations::recover(&self.members, plan.with_consent(&consent), &mut control)
    }

    fn masters(&self) -> Vec<&'static str> {
        let is_master = |host: &&str| self.world.role(host) == Some(HostRole::Master);
        ["alpha", "beta"].into_iter().filter(is_master).collect()
    }

    fn sent(&self, method: &str) -> u64 {
        self.world.requests().get(method).copied().unwrap_or(0)
    }

    fn is_whole(&self) -> bool {
        let follower = |host| {
            self.world.role(host) == Some(HostRole::Slave("10.0.0.2".into()))
                && self.world.emergency(host).is_none()
        };
        self.masters() == ["alpha"] && follower("beta")
    }
}

fn power_state(world: &World, host: &str, vm: &str) -> String {
    let database = world.database(host).unwrap();
    let found = database.objects("VM").find(|row| row.text("name_label") == vm);
    found.unwrap().text("power_state").to_owned()
}

/// Alpha is to take the place of Phantom, which is off.
pub(crate) struct Recovery {
    lab: Lab,
    plan: Plan,
}

impl Drill for Recovery {
    type Done = Recovered;

    const CALLS: &'static [&'static str] = &[TRANSITION];
    const AT: &'static str = "alpha";
    const PLACES: usize = 9;
    const AWAITED: &'static [&'static str] =
        &["a sign of another promotion", "the members to follow the new master"];
    const DEADLINES: &'static [(u64, &'static [&'static str])] = &[
        (20, &["it cannot be told whether alpha is master"]),
        (60, &["alpha is master, but it cannot be told whether all members follow it"]),
    ];

    fn new() -> Self {
        let lab = Lab::new();
        lab.world.power_off("phantom");
        let plan = lab.plan();
        Self { lab, plan }
    }

    fn world(&self) -> &World {
        &self.lab.world
    }

    fn run(&self, control: &mut Control<'_>) -> Result<Outcome<Recovered>> {
        let consent = Consent::to(&self.plan, self.plan.losses_digest()).unwrap();
        operations::recover(&self.lab.members, self.plan.with_consent(&consent), control)
    }

    /// Everybody is asked anew anyway.
    fn come_back(&mut self) {}

    fn assert_not_done(&self, _: &str, why: &str) {
        assert!(why.contains("got no answer, and it follows 10.0.0.1"), "{why}");
        assert_eq!(self.lab.masters(), Vec::<&str>::new());
    }

    fn assert_in_order(self, recovered: &Recovered) {
        assert!(self.lab.is_whole(), "{recovered}");
        assert_eq!(self.lab.world.open_sessions(), 0);
    }
}

#[test]
fn a_member_takes_the_place_of_a_master_that_is_off() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let plan = lab.plan();
    assert_eq!((plan.host.name.as_str(), plan.steps.len()), ("alpha", 5), "{plan}");
    let recovered = done(lab.recover(&plan));
    assert!(lab.is_whole());
    assert_eq!((recovered.already_master, recovered.address.as_str()), (false, "10.0.0.2"));
    let beta = recovered.members.iter().find(|member| member.name == "beta").unwrap();
    assert!(beta.follows, "{recovered}");
    assert_eq!(recovered.remaining, [Remaining::OldMasterReturns { host: "phantom".into() }]);
    assert_eq!(power_state(&lab.world, "alpha", "web"), "Halted");
    assert_eq!(power_state(&lab.world, "alpha", "db"), "Running");
    assert_eq!(lab.world.open_sessions(), 0);
    assert_eq!(lab.sent(TRANSITION), 1);
}

#[test]
fn the_plan_can_be_saved_and_hashed() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let plan = lab.plan();
    let saved = serde_json::to_string(&plan).unwrap();
    let loaded: Plan = serde_json::from_str(&saved).unwrap();
    assert_eq!((loaded.digest(), &loaded), (plan.digest(), &plan));
    let text = plan.to_string();
    for told in ["recovery from the loss of phantom", "host.declare_dead of phantom", "VM \"web\""]
    {
        assert!(text.contains(told), "{told:?} is missing in\n{text}");
    }
}

#[test]
fn nobody_is_promoted_before_somebody_says_that_the_old_master_is_off() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let mut evidence = lab.evidence();
    let decision = election::emergency(&lab.last, &evidence).unwrap();
    let off = |open: &Confirmation| matches!(open, Confirmation::OldMasterIsOff { .. });
    evidence.confirmed.extend(decision.confirmations.into_iter().filter(|open| !off(open)));
    let decision = election::emergency(&lab.last, &evidence).unwrap();
    let plan = plan::recovery(&lab.last, &evidence, &decision).unwrap();
    assert_eq!(plan.unsolved.len(), 1, "{plan}");
    assert_eq!(plan.unsolved[0].rule, "old-master-is-off");
    assert_eq!(plan.losses().count(), 0, "what may run is not reset");
    let refused = lab.recover_with(&plan, Control::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::State);
    assert_eq!(lab.sent(TRANSITION), 0);
}

#[test]
fn an_old_master_that_answers_after_all_is_not_replaced() {
    let lab = Lab::new();
    lab.world.act(|scene| scene.cut(Peer::Tool, "phantom"));
    let plan = lab.plan();
    lab.world.act(|scene| scene.heal(Peer::Tool, "phantom"));
    let why = not_done(lab.recover(&plan));
    assert!(why.contains("it is not dead"), "{why}");
    // Also one that only boots.
    lab.world.power_off("phantom");
    let plan = lab.plan();
    lab.world.power_on("phantom");
    lab.world.after(seconds(20), |scene| scene.power_off("phantom"));
    lab.world.after(seconds(30), |scene| scene.power_on("phantom"));
    lab.world.advance(seconds(100));
    not_done(lab.recover(&plan));
    assert_eq!(lab.sent(TRANSITION), 0);
}

#[test]
fn a_promotion_that_never_arrived_is_not_done_and_can_be_tried_again() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let plan = lab.plan();
    lab.world.trouble(Injection::new(Trouble::Reset).method(TRANSITION));
    let why = not_done(lab.recover(&plan));
    assert!(why.contains("got no answer, and it follows 10.0.0.1"), "{why}");
    assert_eq!(lab.masters(), Vec::<&str>::new());
    assert!(!done(lab.recover(&plan)).already_master);
    assert!(lab.is_whole());
}

#[test]
fn a_caller_that_comes_back_sees_the_promotion_of_the_one_before() {
    for pause in [0, 5, 60] {
        let lab = Lab::new();
        lab.world.power_off("phantom");
        let plan = lab.plan();
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let control = Control::new().cancel(cancel).observer(move |progress| {
            if progress.step == 2 {
                stop.cancel();
            }
        });
        let error = lab.recover_with(&plan, control).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        lab.world.advance(seconds(pause));
        assert!(done(lab.recover(&plan)).already_master);
        assert!(lab.is_whole());
        assert_eq!(lab.sent(TRANSITION), 1, "after {pause} s");
        let writes = lab.world.writes();
        done(lab.recover(&plan));
        assert_eq!(lab.world.writes(), writes, "nothing is left to do");
    }
}

#[test]
fn somebody_elses_promotion_is_not_met_with_a_second_one() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let plan = lab.plan();
    // A host that is silent would take longer to ask than beta takes to restart.
    lab.world.trouble(Injection::new(Trouble::Refuse).host("phantom").times(10_000));
    let local = log_in_locally(&lab.world, "10.0.0.3");
    // They give the order moments before.
    local.call::<()>(TRANSITION, &()).unwrap();
    let why = not_done(lab.recover(&plan));
    assert!(why.contains("beta says that it is the master"), "{why}");
    assert_eq!(lab.masters(), ["beta"]);
    assert_eq!(lab.sent(TRANSITION), 1);
}

#[test]
fn virtual_machines_are_not_reset_without_consent() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let plan = lab.plan();
    let nothing = Consent::to_nothing();
    let outcome =
        operations::recover(&lab.members, plan.with_consent(&nothing), &mut Control::new());
    let recovered = done(outcome);
    assert!(lab.is_whole());
    let Remaining::VmsOnOldMaster { vms, why, .. } = &recovered.remaining[0] else {
        panic!("{recovered}")
    };
    assert_eq!((vms.len(), vms[0].name.as_str()), (1, "web"));
    assert!(why.contains("nobody agreed"), "{why}");
    assert_eq!(power_state(&lab.world, "alpha", "web"), "Running");
    assert_eq!(lab.sent("Async.host.declare_dead") + lab.sent("host.declare_dead"), 0);
    // Agreed to later, only that is left.
    let recovered = done(lab.recover(&plan));
    assert_eq!(recovered.remaining.len(), 1);
    assert_eq!(power_state(&lab.world, "alpha", "web"), "Halted");
}

#[test]
fn a_member_that_recover_slaves_misses_is_pointed_to_the_master_itself() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let plan = lab.plan();
    lab.world.trouble(Injection::new(Trouble::Reset).method("pool.recover_slaves"));
    let recovered = done(lab.recover(&plan));
    assert!(lab.is_whole(), "{recovered}");
    // No-op questions after HA aside, which carry the old master's address.
    assert_eq!(lab.world.role("beta"), Some(HostRole::Slave("10.0.0.2".into())));
}

#[test]
fn a_member_that_stays_away_remains_to_be_seen_to() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    lab.world.power_off("beta");
    let plan = lab.plan();
    let recovered = done(lab.recover(&plan));
    let Remaining::Astray { host, says } = &recovered.remaining[0] else { panic!("{recovered}") };
    assert_eq!(host, "beta");
    assert!(says.contains("does not answer"), "{says}");
    // Back again it finds nobody at the old address.
    lab.world.power_on("beta");
    lab.world.advance(seconds(120));
    assert!(!lab.is_whole());
    assert!(done(lab.recover(&plan)).already_master);
    assert!(lab.is_whole());
    assert_eq!(lab.sent(TRANSITION), 1);
}

#[test]
fn a_member_that_fell_silent_since_the_plan_stops_it() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let plan = lab.plan();
    lab.world.act(|scene| scene.cut(Peer::Tool, "beta"));
    let why = not_done(lab.recover(&plan));
    let open = "nobody has confirmed that none of these is, or follows, another master: beta\n";
    assert!(why.contains(open), "{why}");
    assert_eq!(lab.sent(TRANSITION), 0);
}

#[test]
fn armed_ha_forbids_a_promotion_by_hand() {
    let lab = Lab::new();
    lab.world
        .act(|scene| {
            scene.edit("phantom", |database| {
                let pool = database.refs("pool")[0].clone();
                database.set("pool", &pool, "ha_enabled", true)
            })
        })
        .unwrap();
    lab.world.advance(seconds(700));
    lab.world.power_off("phantom");
    let plan = lab.plan();
    assert!(plan.unsolved.iter().any(|open| open.rule == "no-candidate"), "{plan}");
    // Somebody who does not ask, and says that it is off.
    let lab = Lab { members: lab.members.clone(), ..lab };
    let mut evidence = PoolEvidence::none();
    for (host, _) in &lab.last.host {
        let known = evidence.host(host);
        known.reachable = Some(lab.last.master().unwrap().0 != host);
        known.ha_armed = Some(false);
    }
    let decision = election::emergency(&lab.last, &evidence).unwrap();
    evidence.confirmed.extend(decision.confirmations);
    let decision = election::emergency(&lab.last, &evidence).unwrap();
    let plan = plan::recovery(&lab.last, &evidence, &decision).unwrap();
    plan.check().unwrap();
    let why = not_done(lab.recover(&plan));
    assert!(why.contains("HA armed"), "{why}");
    assert_eq!(lab.masters(), Vec::<&str>::new());
}

#[test]
fn the_old_master_comes_back_as_a_member() {
    let lab = Lab::new();
    lab.world.power_off("phantom");
    let plan = lab.plan();
    done(lab.recover(&plan));
    lab.world.power_on("phantom");
    lab.world.advance(seconds(180));
    let recovered = done(lab.recover(&plan));
    assert_eq!(recovered.remaining, [Remaining::OldMasterIsBack { host: "phantom".into() }]);
    assert!(recovered.members.iter().all(|member| member.follows), "{recovered}");
}

/// A hand-over to alpha during which beta dies between the two phases: nobody is master.
fn hand_over_half_way(lab: &Lab) {
    let client = Client::connect(lab.world.transport(), "10.0.0.1", &root()).unwrap();
    let snapshot = client.snapshot(Scope::Everything).unwrap();
    let (alpha, _) = snapshot.host.iter().find(|(_, host)| host.name_label == "alpha").unwrap();
    let evidence = operations::evidence(&client, &snapshot).unwrap();
    let plan = plan::hand_over(&snapshot, &evidence, alpha).unwrap();
    let world = lab.world.clone();
    let mut control = Control::new().observer(move |progress| {
        if progress.awaited == Some("pool.designate_new_master to end") {
            world.after(Duration::from_millis(440), |scene| scene.power_off("beta"));
        }
    });
    let outcome = operations::hand_over(&client, &plan, &mut control).unwrap();
    assert!(matches!(outcome, Outcome::NotDone(_)), "{outcome:?}");
    drop(control);
    drop(client);
    assert_eq!(lab.world.emergency("alpha").unwrap().code, "HOST_BROKEN");
    assert_eq!(lab.masters(), Vec::<&str>::new());
}

#[test]
fn leads_out_of_a_hand_over_that_failed_half_way() {
    // Right after it, and long after, when the old master has come to raise what it was answered.
    for later in [0, 3600] {
        let lab = Lab::new();
        hand_over_half_way(&lab);
        lab.world.advance(seconds(later));
        let diagnosis = operations::diagnose(&lab.members).unwrap();
        assert!(diagnosis.to_string().contains("half-way"), "{diagnosis}");
        let plan = lab.plan();
        assert_eq!(plan.purpose.to_string(), "recovery from a hand-over that failed half-way");
        assert!(plan.losses().next().is_none(), "no host is dead: {plan}");
        let recovered = done(lab.recover(&plan));
        let master = recovered.address.as_str();
        assert_eq!(lab.sent(TRANSITION), 1);
        // Beta is off, and nothing else is left to do.
        assert!(
            matches!(recovered.remaining.as_slice(), [Remaining::Astray { host, .. }] if host == "beta"),
            "{recovered}"
        );
        assert_eq!(power_state(&lab.world, "phantom", "web"), "Running");
        lab.world.power_on("beta");
        lab.world.advance(seconds(300));
        let again = done(lab.recover(&plan));
        assert!(again.already_master && again.remaining.is_empty(), "{again}");
        let leads = |host: &&str| lab.world.role(host) == Some(HostRole::Master);
        assert_eq!(["phantom", "alpha", "beta"].into_iter().filter(leads).count(), 1);
        assert_eq!(again.address, master);
        assert_eq!(lab.sent(TRANSITION), 1);
    }
}

#[test]
fn a_host_that_is_master_after_all_stops_the_way_out_of_a_hand_over() {
    let lab = Lab::new();
    hand_over_half_way(&lab);
    let plan = lab.plan();
    // Somebody else was faster.
    let other = if plan.host.name == "alpha" { "10.0.0.1" } else { "10.0.0.2" };
    let local = log_in_locally(&lab.world, other);
    local.call::<()>(TRANSITION, &()).unwrap();
    lab.world.advance(seconds(120));
    let why = not_done(lab.recover(&plan));
    assert!(why.contains("says that it is the master"), "{why}");
    assert_eq!(lab.sent(TRANSITION), 1);
}
