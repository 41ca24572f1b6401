//! What a join itself loses is in its plan, and needs consent, whatever the plan says of itself.

use serde_json::json;
use xcp_pool::actions::LossKind;
use xcp_pool::client::{Client, Scope};
use xcp_pool::operations::{self, Control};
use xcp_pool::plan::{Choices, Consent, Plan, Purpose};
use xcp_pool::preflight::Options;
use xcp_pool::simulator::database::Value;
use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};

use crate::support::{done, log_in, not_done, requests};

/// `j` is to join the pool of `m`, which has the VM `orig`.
struct Lab {
    world: World,
    pool: Client,
    joiner: Client,
}

impl Lab {
    fn new(joiner: impl FnOnce(PoolSpec) -> PoolSpec) -> Self {
        let release = Release::XcpNg83;
        let pool = PoolSpec::new("lab", release)
            .host("m", "10.0.0.1")
            .vm(VmSpec::halted("orig").disk("Local storage", 1));
        let alone = PoolSpec::new("alone", release).host("j", "10.0.0.2");
        let world = World::builder().pool(pool).pool(joiner(alone)).build().unwrap();
        let [pool, joiner] = ["m", "j"].map(|host| log_in(&world, host));
        Self { world, pool, joiner }
    }

    /// With the VMs `copy`, of which the pool has the original, and `other`.
    fn with_a_copy() -> Self {
        let vm = |name| VmSpec::halted(name).disk("Local storage", 1);
        let lab = Self::new(|pool| pool.vm(vm("copy")).vm(vm("other")));
        let theirs = lab.pool.snapshot(Scope::Preflight).unwrap();
        let orig = theirs.vm.records().find(|vm| vm.name_label == "orig").unwrap();
        lab.give_seed("copy", orig.mac_seed().unwrap());
        lab
    }

    fn give_seed(&self, vm: &str, seed: &str) {
        let own = self.joiner.snapshot(Scope::Preflight).unwrap();
        let (reference, _) = own.vm.iter().find(|(_, one)| one.name_label == vm).unwrap();
        let (reference, seed) = (reference.to_string(), seed.to_owned());
        let edit = self.world.act(|scene| {
            scene.edit("j", |database| {
                let seed = [("mac_seed".into(), Value::text(seed.as_str()))];
                database.set("VM", &reference, "other_config", Value::Map(seed.into()))
            })
        });
        edit.unwrap();
    }

    fn plan(&self, choices: &Choices) -> Plan {
        let report = operations::preflight(&self.pool, &self.joiner, &Options::new()).unwrap();
        report.plan(choices).unwrap()
    }

    fn vms(&self) -> Vec<String> {
        let pool = self.pool.snapshot(Scope::Preflight).unwrap();
        let vms = pool.vm.records().filter(|vm| vm.is_user_vm() && !vm.is_a_template);
        let mut names: Vec<_> = vms.map(|vm| vm.name_label.clone()).collect();
        names.sort();
        names
    }
}

fn join(
    lab: &Lab,
    plan: &Plan,
    consent: &Consent,
) -> xcp_pool::Result<operations::Outcome<operations::Joined>> {
    operations::join(&lab.pool, &lab.joiner, plan.with_consent(consent), &mut Control::new())
}

#[test]
fn vms_that_no_import_brings_are_losses_that_need_consent_and_are_missing_afterwards() {
    let lab = Lab::with_a_copy();
    let plan = lab.plan(&Choices::new());
    let mut lost: Vec<_> = plan.losses().map(|loss| loss.object.name.as_str()).collect();
    lost.sort_unstable();
    assert_eq!(lost, ["copy", "other"], "{plan}");
    assert!(plan.losses().all(|loss| loss.kind == LossKind::Vm));
    assert!(plan.to_string().contains("the settings of VM \"copy\""), "{plan}");

    let why = not_done(join(&lab, &plan, &Consent::to_nothing()));
    assert!(why.contains("nobody agreed") && why.contains("copy"), "{why}");
    assert_eq!(requests(&lab.world, "Async.pool.join"), 0);

    let consent = Consent::to(&plan, plan.losses_digest()).unwrap();
    let joined = done(join(&lab, &plan, &consent));
    for name in ["copy", "other"] {
        let told = joined.missing.iter().any(|line| line.contains(&format!("VM \"{name}\"")));
        assert!(told, "{:?}", joined.missing);
    }
    assert_eq!(lab.vms(), ["orig"]);
}

#[test]
fn the_way_out_of_a_hazard_that_was_chosen_is_gone_and_nothing_is_lost() {
    let lab = Lab::with_a_copy();
    let plain = lab.plan(&Choices::new());
    let plan = lab.plan(&Choices::new().choose("mac-seeds-clash", "new-seed").unwrap());
    assert_ne!(plan.digest(), plain.digest());
    assert_eq!(plan.losses().count(), 0, "{plan}");
    let joined = done(join(&lab, &plan, &Consent::to_nothing()));
    assert_eq!(joined.missing, Vec::<String>::new());
    assert_eq!(lab.vms(), ["copy", "orig", "other"]);
}

#[test]
fn a_plan_that_hides_its_losses_is_held_against_what_is_seen() {
    let lab = Lab::with_a_copy();
    let mut hidden = json!(lab.plan(&Choices::new()));
    for step in hidden["steps"].as_array_mut().unwrap() {
        step["destroys"] = json!([]);
        step["summary"] = json!("look at the weather");
    }
    let plan: Plan = serde_json::from_value(hidden).unwrap();
    assert_eq!(plan.losses().count(), 0);
    let consent = Consent::to(&plan, plan.losses_digest()).unwrap();
    let why = not_done(join(&lab, &plan, &consent));
    assert!(why.contains("nobody agreed") && why.contains("other"), "{why}");
    assert_eq!(requests(&lab.world, "Async.pool.join"), 0);
}

#[test]
fn a_plan_whose_words_were_changed_runs_if_nothing_is_lost() {
    let lab = Lab::new(|pool| pool.vm(VmSpec::halted("mine")));
    let mut edited = json!(lab.plan(&Choices::new()));
    for step in edited["steps"].as_array_mut().unwrap() {
        step["summary"] = json!("look at the weather");
        step["because"] = json!([]);
    }
    let plan: Plan = serde_json::from_value(edited).unwrap();
    let joined = done(join(&lab, &plan, &Consent::to_nothing()));
    assert_eq!(joined.missing, Vec::<String>::new());
}

#[test]
fn what_would_be_lost_only_since_the_plan_was_made_stops_the_join() {
    let lab = Lab::with_a_copy();
    lab.give_seed("copy", "another");
    let plan = lab.plan(&Choices::new());
    assert_eq!(plan.losses().count(), 0, "{plan}");
    let theirs = lab.pool.snapshot(Scope::Preflight).unwrap();
    let orig = theirs.vm.records().find(|vm| vm.name_label == "orig").unwrap();
    lab.give_seed("copy", orig.mac_seed().unwrap());
    let why = not_done(join(&lab, &plan, &Consent::to_nothing()));
    assert!(why.contains("planned: nothing"), "{why}");
    assert_eq!(requests(&lab.world, "Async.pool.join"), 0);
}

#[test]
fn joins_that_bring_other_vms_have_other_digests() {
    let plan = |vms: &[&str]| {
        let add = |pool: PoolSpec, name: &&str| pool.vm(VmSpec::halted(name));
        let lab = Lab::new(|pool| vms.iter().fold(pool, add));
        lab.plan(&Choices::new())
    };
    let brought = |plan: &Plan| match &plan.purpose {
        Purpose::Join { brings, .. } => {
            let vms = brings.iter().filter(|one| one.class == "VM" && one.name.len() == 1);
            vms.map(|one| one.name.clone()).collect::<Vec<_>>()
        }
        _ => panic!("{plan}"),
    };
    let (none, two) = (plan(&[]), plan(&["a", "b"]));
    assert_eq!(brought(&none), Vec::<String>::new());
    let mut names = brought(&two);
    names.sort();
    assert_eq!(names, ["a", "b"]);
    assert!(two.to_string().contains("brings VM"), "{two}");
    let hosts_apart = |plan: &Plan| {
        let mut json = json!(plan);
        let other = json!(none);
        for place in ["pool", "host", "steps"] {
            json[place] = other[place].clone();
        }
        json["purpose"]["options"] = other["purpose"]["options"].clone();
        serde_json::from_value::<Plan>(json).unwrap().digest()
    };
    assert_ne!(hosts_apart(&two), none.digest());
}

#[test]
fn drives_whose_storage_is_forgotten_are_lost_with_the_join() {
    let lab = Lab::new(|pool| {
        let vm = VmSpec::halted("mine").disk("Local storage", 1).disk("Their NFS", 2);
        pool.shared_sr("Their NFS", "nfs").vm(vm)
    });
    let plan = lab.plan(&Choices::new());
    let lost: Vec<_> = plan.losses().map(|loss| (loss.kind, loss.object.class.as_str())).collect();
    assert_eq!(lost, [(LossKind::Record, "VBD")], "{plan}");
    let why = not_done(join(&lab, &plan, &Consent::to_nothing()));
    assert!(why.contains("nothing was begun"), "{why}");
    assert_eq!(requests(&lab.world, "Async.SR.forget"), 0);
    let consent = Consent::to(&plan, plan.losses_digest()).unwrap();
    let joined = done(join(&lab, &plan, &consent));
    assert_eq!(joined.missing.len(), 1, "{:?}", joined.missing);
    assert!(joined.missing[0].contains("drive 1 of VM \"mine\""), "{:?}", joined.missing);
}

#[test]
fn a_host_that_the_pools_licence_leaves_without_a_pool_is_a_loss_that_needs_consent() {
    let release = Release::XcpNg83;
    let pool = PoolSpec::new("lab", release)
        .host("m", "10.0.0.1")
        .host("n", "10.0.0.3")
        .host("o", "10.0.0.4");
    let alone = PoolSpec::new("alone", release).host("j", "10.0.0.2");
    let world = World::builder().pool(pool).pool(alone).build().unwrap();
    let limit = world.act(|scene| {
        scene.edit("m", |database| {
            let limit = [("restrict_pool_size".into(), Value::text("true"))];
            let pool = database.refs("pool").remove(0);
            database.set("pool", &pool, "restrictions", Value::Map(limit.into()))
        })
    });
    limit.unwrap();
    let [pool, joiner] = ["m", "j"].map(|host| log_in(&world, host));
    let lab = Lab { world, pool, joiner };
    let plan = lab.plan(&Choices::new());
    let lost: Vec<_> = plan.losses().map(|loss| (loss.kind, loss.object.name.as_str())).collect();
    assert_eq!(lost[0], (LossKind::Host, "j"), "{plan}");
    // Without its host the pool refuses its connections to storage, too.
    assert!(lost[1..].iter().all(|(kind, _)| *kind == LossKind::Record), "{plan}");
    let why = not_done(join(&lab, &plan, &Consent::to_nothing()));
    assert!(why.contains("nobody agreed"), "{why}");
    assert_eq!(requests(&lab.world, "Async.pool.join"), 0);
}

#[test]
fn what_would_be_lost_is_looked_at_again_just_before_the_call() {
    let vm = |name| VmSpec::halted(name).disk("Local storage", 1);
    let lab = Lab::new(|pool| pool.vm(vm("copy")));
    let plan = lab.plan(&Choices::new());
    assert_eq!(plan.losses().count(), 0, "{plan}");
    let theirs = lab.pool.snapshot(Scope::Preflight).unwrap();
    let orig = theirs.vm.records().find(|vm| vm.name_label == "orig").unwrap();
    let seed = orig.mac_seed().unwrap();

    // All was well when the operation looked; by the time of the join a seed clashes.
    let mut told = 0;
    let mut control = Control::new().observer(|progress| {
        if progress.summary.contains("pool.join") && told == 0 {
            lab.give_seed("copy", seed);
            told += 1;
        }
    });
    let consent = Consent::to_nothing();
    let outcome =
        operations::join(&lab.pool, &lab.joiner, plan.with_consent(&consent), &mut control);
    let why = not_done(outcome);
    drop(control);
    assert_eq!(told, 1);
    assert!(why.contains("nobody agreed") && why.contains("copy"), "{why}");
    assert_eq!(requests(&lab.world, "Async.pool.join"), 0);
}
