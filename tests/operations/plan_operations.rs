//! Plans as data: what must hold before each step, what holds afterwards, what takes it back.

use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::election::PoolEvidence;
use xcp_pool::model::{Host, Ref, Snapshot};
use xcp_pool::operations::{self, Control};
use xcp_pool::plan::{self, Consent, Plan};
use xcp_pool::simulator::{PoolSpec, Release, World};

fn world() -> World {
    let pool = PoolSpec::new("lab", Release::XcpNg83)
        .host("alpha", "10.0.0.1")
        .host("beta", "10.0.0.2")
        .shared_sr("NFS", "nfs");
    World::builder().pool(pool).build().unwrap()
}

fn look(world: &World) -> (Client, Snapshot, Ref<Host>) {
    let root = Credentials::new("root", "xcp-test");
    let client = Client::connect(world.transport(), "alpha", &root).unwrap();
    let now = client.snapshot(Scope::Failover).unwrap();
    let beta = now.host.iter().find(|(_, host)| host.name_label == "beta").unwrap().0.clone();
    (client, now, beta)
}

/// For each step with conditions: whether all that it needs holds, and whether its effect does.
fn conditions(plan: &Plan, now: &Snapshot) -> Vec<(bool, Option<bool>)> {
    let holds = |step: &plan::Step| {
        let needs = step.preconditions();
        let ready = needs.iter().all(|needed| needed.holds(now) == Some(true));
        let done = step.effect().and_then(|effect| effect.holds(now));
        (!needs.is_empty() || done.is_some()).then_some((ready, done))
    };
    plan.steps.iter().filter_map(holds).collect()
}

fn switch_ha(world: &World, on: bool) {
    let switched = world.act(|scene| {
        scene.edit("alpha", |database| {
            let pool = database.refs("pool").remove(0);
            database.set("pool", &pool, "ha_enabled", on)
        })
    });
    switched.unwrap();
}

#[test]
fn an_ejection_needs_a_live_host_without_ha_and_its_effect_is_that_the_host_is_gone() {
    let world = world();
    let (client, now, beta) = look(&world);
    let plan = plan::eject(&now, &beta).unwrap();
    assert_eq!(conditions(&plan, &now), [(true, Some(false))]);
    switch_ha(&world, true);
    assert_eq!(conditions(&plan, &look(&world).1), [(false, Some(false))]);
    switch_ha(&world, false);
    let consent = Consent::to(&plan, plan.losses_digest()).unwrap();
    let ejected = operations::eject(&client, plan.with_consent(&consent), &mut Control::new());
    ejected.unwrap().into_result().unwrap();
    let after = client.snapshot(Scope::Failover).unwrap();
    assert_eq!(conditions(&plan, &after), [(false, Some(true))]);
}

#[test]
fn a_hand_over_needs_a_live_host_without_ha() {
    let world = world();
    let (_, now, beta) = look(&world);
    let plan = plan::hand_over(&now, &PoolEvidence::none(), &beta).unwrap();
    assert_eq!(conditions(&plan, &now), [(true, None)]);
    switch_ha(&world, true);
    assert_eq!(conditions(&plan, &look(&world).1), [(false, None)]);
}

#[test]
fn maintenance_disables_before_it_reboots_and_can_take_that_back() {
    let world = world();
    let (_, now, beta) = look(&world);
    let plan = plan::maintenance(&now, &beta).unwrap();
    // Disable, evacuate, reboot, enable: the reboot has to wait for the first.
    let (not_yet, done) = (Some(false), Some(true));
    assert_eq!(
        conditions(&plan, &now),
        [(true, not_yet), (true, None), (false, None), (true, done)]
    );
    let undo: Vec<_> = plan.steps.iter().map(|step| step.undo().is_some()).collect();
    assert_eq!(undo, [true, false, false, false, false]);
    let method = plan.steps[0].undo().and_then(|action| action.method());
    assert_eq!(method, Some("host.enable"));
}
