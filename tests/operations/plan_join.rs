//! Plans for a join: what they hold, what they are bound to, and what they refuse.

use xcp_pool::ErrorKind;
use xcp_pool::client::{Client, Credentials, Scope};
use xcp_pool::model::Snapshot;
use xcp_pool::plan::{Choices, Consent, Plan, Work};
use xcp_pool::preflight::{self, Options};
use xcp_pool::rules::Policy;
use xcp_pool::simulator::World;

fn story() -> [Snapshot; 2] {
    let world = World::story(1);
    ["phantom", "ignite"].map(|host| {
        let root = Credentials::new("root", "xcp-test");
        let client = Client::connect(world.transport(), host, &root).unwrap();
        client.snapshot(Scope::Preflight).unwrap()
    })
}

fn planned(options: &Options, choices: &Choices) -> xcp_pool::Result<Plan> {
    let [pool, joiner] = story();
    preflight::evaluate(pool, joiner, options).plan(choices)
}

fn methods(plan: &Plan) -> Vec<&'static str> {
    let method = |work: &Work| match work {
        Work::Act { action } => action.method().unwrap_or("wait"),
        Work::Join { force: false } => "pool.join",
        Work::Join { force: true } => "pool.join_force",
        _ => "settle",
    };
    plan.steps.iter().map(|step| method(&step.work)).collect()
}

#[test]
fn the_plan_removes_what_xapi_refuses_then_joins_then_waits() {
    let plan = planned(&Options::default(), &Choices::new()).unwrap();
    assert_eq!(
        methods(&plan),
        ["VM.clean_shutdown", "PBD.unplug", "SR.forget", "VLAN.destroy", "pool.join", "settle"]
    );
    assert!(plan.is_complete());
    assert_eq!(plan.losses().count(), 0, "{plan}");
    let printed = plan.to_string();
    for words in ["monitor", "Ignite NFS", "nothing is destroyed"] {
        assert!(printed.contains(words), "{printed}");
    }
}

#[test]
fn a_plan_comes_back_from_json_as_it_was() {
    let plan = planned(&Options::default(), &Choices::new()).unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    let back: Plan = serde_json::from_str(&json).unwrap();
    assert_eq!(back, plan);
    assert_eq!(back.digest(), plan.digest());
}

#[test]
fn equal_worlds_give_equal_plans_and_other_choices_other_ones() {
    let plan = planned(&Options::default(), &Choices::new()).unwrap();
    let again = planned(&Options::default(), &Choices::new()).unwrap();
    assert_eq!(plan.digest(), again.digest());
    let suspend = Choices::new().choose("running-vms", "suspend").unwrap();
    let other = planned(&Options::default(), &suspend).unwrap();
    assert_ne!(plan.digest(), other.digest());
    assert_eq!(methods(&other)[0], "VM.suspend");
}

#[test]
fn a_choice_that_does_not_exist_is_refused_with_those_that_do() {
    let choices = Choices::new().choose("running-vms", "pray").unwrap();
    let error = planned(&Options::default(), &choices).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("\"pray\""), "{error}");
    assert!(error.to_string().contains("suspend"), "{error}");
    let error = Choices::new().choose("running-vm", "suspend").unwrap_err();
    assert!(error.to_string().contains("running-vms"), "{error}");
}

#[test]
fn consent_is_bound_to_the_losses_that_were_shown() {
    let mut options = Options::default();
    options.policy = Policy::documented();
    let destroying = Choices::new().choose("running-vms", "delete").unwrap();
    let plan = planned(&options, &destroying).unwrap();
    assert!(plan.losses().count() > 0, "{plan}");
    assert!(plan.to_string().contains(&plan.losses_digest().to_string()));
    Consent::to(&plan, plan.losses_digest()).unwrap();
    let error = Consent::to(&plan, plan.digest()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
}

#[test]
fn an_overridden_finding_gets_no_steps() {
    let policy = Policy::new().overriding("shared-storage", "it is being moved").unwrap();
    let mut options = Options::default();
    options.policy = policy;
    let plan = planned(&options, &Choices::new()).unwrap();
    assert!(!methods(&plan).contains(&"SR.forget"), "{plan}");
}

#[test]
fn what_uses_something_goes_before_what_it_uses() {
    use xcp_pool::preflight::arbitrary::{JoinCase, Offence, Size};

    // A restart of the toolstack, a halted VM on NFS, the NFS, a cluster.
    let size = Size { hosts: 1, nics: 1, vms: 0, srs: 1 };
    let mut world = JoinCase::new(
        size,
        [
            Offence::JoinerGuidance,
            Offence::HaltedVm,
            Offence::SharedStorage,
            Offence::JoinerClustered,
        ],
    );
    let (nfs, _) = world.joiner.sr.iter().find(|(_, sr)| sr.name_label == "NFS").unwrap();
    let nfs = nfs.clone();
    for (_, vdi) in world.joiner.vdi.iter_mut() {
        vdi.SR = nfs.clone();
    }
    world.options.policy = Policy::documented();
    let JoinCase { pool, joiner, options, .. } = world;
    let plan = preflight::evaluate(pool, joiner, &options).plan(&Choices::new()).unwrap();
    assert_eq!(
        methods(&plan),
        [
            "VM.migrate_send",
            "PBD.unplug",
            "SR.forget",
            "Cluster_host.disable",
            "host.restart_agent",
            "pool.join",
            "settle"
        ],
        "{plan}"
    );
}
