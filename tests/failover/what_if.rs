//! What happens to the VMs if a host fails, and to the plan if something changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xcp_pool::failover::{
    NotAgile, NotRestarted, Obstacle, Oddity, PlanStatus, Planner, Target, WhatIf, WhyNot,
};
use xcp_pool::model::{Ref, Snapshot};

const GIB: i64 = 1 << 30;

/// A pool in the making: hosts of so many GiB on one shared SR and one network.
struct World(Value);

impl World {
    fn new(hosts: &[(&str, i64)]) -> Self {
        let mut world = json!({
            "pool": {"OpaqueRef:p": {"master": r("a"), "restrictions": {"restrict_vm_groups": "false"}}},
            "SR": {"OpaqueRef:nfs": {"shared": true}, "OpaqueRef:disk": {}},
            "network": {"OpaqueRef:lan": {}},
        });
        for (name, gib) in hosts {
            let metrics = r(&format!("{name}-metrics"));
            world["host"][r(name)] = json!({
                "enabled": true, "metrics": metrics, "capabilities": ["hvm-3.0-x86_64"],
                "cpu_info": {"cpu_count": "16"}
            });
            world["host_metrics"][metrics] = json!({"live": true, "memory_total": gib * GIB});
            world["PBD"][r(&format!("{name}-nfs"))] =
                json!({"host": r(name), "SR": "OpaqueRef:nfs", "currently_attached": true});
            world["PIF"][r(&format!("{name}-eth0"))] =
                json!({"host": r(name), "network": "OpaqueRef:lan"});
        }
        Self(world)
    }

    /// A protected VM of so many GiB on a host, or off.
    fn vm(mut self, name: &str, host: &str, gib: i64) -> Self {
        let bytes = gib * GIB;
        self.0["VM"][r(name)] = json!({
            "power_state": if host.is_empty() { "Halted" } else { "Running" },
            "resident_on": if host.is_empty() { "OpaqueRef:NULL".into() } else { r(host) },
            "memory_static_max": bytes, "memory_dynamic_max": bytes, "memory_dynamic_min": bytes,
            "domain_type": "pv", "VCPUs_max": 1, "VCPUs_at_startup": 1,
            "ha_always_run": true, "ha_restart_priority": "restart"
        });
        self.0["VBD"][r(&format!("{name}-disk"))] =
            json!({"VM": r(name), "VDI": r(&format!("{name}-vdi"))});
        self.0["VDI"][r(&format!("{name}-vdi"))] = json!({"SR": "OpaqueRef:nfs"});
        self
    }

    fn set(mut self, class: &str, name: &str, field: &str, value: Value) -> Self {
        self.0[class][r(name)][field] = value;
        self
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::from_json(self.0.to_string().as_bytes()).unwrap();
        assert_eq!(snapshot.problems, []);
        snapshot.complete();
        snapshot
    }
}

fn r(name: &str) -> String {
    format!("OpaqueRef:{name}")
}

fn re<T>(name: &str) -> Ref<T> {
    Ref::from(r(name).as_str())
}

/// Three hosts of 16 GiB; `small` and `big` run on the first.
fn three() -> World {
    World::new(&[("a", 16), ("b", 16), ("c", 16)]).vm("big", "a", 8).vm("small", "a", 2)
}

#[test]
fn a_failed_hosts_vms_restart_in_order_groups_biggest_first_on_the_roomiest_host() {
    let snapshot = three()
        .vm("last", "a", 1)
        .set("VM", "last", "order", json!(-1))
        .set("VM", "small", "order", json!(1))
        .set("VM", "small", "start_delay", json!(30))
        .vm("elsewhere", "b", 4)
        .snapshot();
    let outcome = Planner::new(&snapshot).unwrap().failure(&[re("a")]).unwrap();
    assert!(outcome.complete);
    let groups: Vec<_> = outcome
        .groups
        .iter()
        .map(|group| (group.order, group.delay, group.starts[0].vm.to_string()))
        .collect();
    assert_eq!(groups, [(Some(0), 0, r("big")), (Some(1), 30, r("small")), (None, 0, r("last"))]);
    assert_eq!(outcome.host_of(&re("big")), Some(&re("c")));
    assert_eq!(outcome.host_of(&re("small")), Some(&re("b")), "b has 12 GiB left, c not quite 8");
    assert_eq!(outcome.host_of(&re("elsewhere")), None);
}

#[test]
fn vms_without_a_place_are_named_with_what_they_miss() {
    let snapshot =
        World::new(&[("a", 16), ("b", 4)]).vm("big", "a", 8).vm("small", "a", 2).snapshot();
    let planner = Planner::new(&snapshot).unwrap();
    let outcome = planner.failure(&[re("a")]).unwrap();
    assert!(!outcome.complete);
    let needed = planner.vm_restart_memory(&re("big")).unwrap();
    let largest_free = 4 * GIB - planner.vm_restart_memory(&re("small")).unwrap();
    assert_eq!(outcome.not_restarted.len(), 1);
    assert_eq!(outcome.not_restarted[0].why, WhyNot::NoRoom { needed, largest_free });
    // An incomplete plan is dropped: everything starts wherever it fits.
    assert!(outcome.groups.iter().flat_map(|g| &g.starts).all(|start| start.host.is_none()));
    assert_eq!(outcome.groups[0].starts.len(), 2);
    assert_eq!(
        planner.plan_for(1).obstacle,
        Some(Obstacle::Unplaced { hosts: vec![re("a")], vms: vec![re("big")] })
    );
}

#[test]
fn best_effort_and_unprotected_vms_are_told_apart() {
    let snapshot = three()
        .vm("maybe", "a", 1)
        .set("VM", "maybe", "ha_restart_priority", json!("best-effort"))
        .vm("never", "a", 1)
        .set("VM", "never", "ha_restart_priority", json!(""))
        .snapshot();
    let outcome = Planner::new(&snapshot).unwrap().failure(&[re("a")]).unwrap();
    assert_eq!(outcome.best_effort, [re("maybe")]);
    assert_eq!(outcome.stay_off, [re("never")]);
    assert!(Planner::new(&snapshot).unwrap().failure(&[re("nobody")]).is_err());
}

#[test]
fn a_tied_vm_has_its_reason_and_keeps_the_maximum_at_zero() {
    let snapshot = three().set("VDI", "big-vdi", "SR", json!("OpaqueRef:disk")).snapshot();
    let assessment = Planner::new(&snapshot).unwrap().assess();
    let reason = NotAgile::SrNotShared {
        sr: re("disk"),
        shared: false,
        missing_on: vec![re("a"), re("b"), re("c")],
    };
    assert_eq!(assessment.protected[0].not_agile, Some(reason));
    assert_eq!(assessment.maximum.value, 0);
    assert_eq!(assessment.wanted.status, PlanStatus::ExcludingNonAgile);
    assert!(assessment.oddities.contains(&Oddity::TiedVmForbidsAll { vm: re("big") }));
    assert!(assessment.oddities.contains(&Oddity::ZeroIsUntested));
}

#[test]
fn a_tied_vm_that_is_off_means_no_plan_though_it_would_start() {
    let snapshot = three()
        .vm("tied", "", 1)
        .set("VDI", "tied-vdi", "SR", json!("OpaqueRef:disk"))
        .set("PBD", "c-disk", "host", json!("OpaqueRef:c"))
        .set("PBD", "c-disk", "SR", json!("OpaqueRef:disk"))
        .set("PBD", "c-disk", "currently_attached", json!(true))
        .snapshot();
    let assessment = Planner::new(&snapshot).unwrap().assess();
    assert_eq!(assessment.wanted.status, PlanStatus::None);
    assert_eq!(assessment.at_risk(), [&re("tied")]);
    let restart = assessment.restart.unwrap();
    assert_eq!(
        (restart.restarts[0].vm.clone(), restart.restarts[0].host.clone()),
        (re("tied"), re("c"))
    );
    let json = serde_json::to_value(&restart.not_restarted[0]).unwrap();
    assert_eq!(json["vm"], "OpaqueRef:tied");
    assert_eq!(json["why"], "not-agile");
    assert_eq!(json["not_agile"]["reason"], "sr-not-shared");
    assert!(matches!(
        &restart.not_restarted[..],
        [NotRestarted { why: WhyNot::NotAgile { tied_to: Some(host), .. }, .. }] if *host == re("c")
    ));
    let oddity = Oddity::OfflineTiedVm { vm: re("tied"), host: re("c") };
    assert!(assessment.oddities.contains(&oddity));
}

#[test]
fn network_reasons_name_the_hosts_that_miss_it() {
    let mut world = three();
    world.0["VIF"][r("big-vif")] = json!({"VM": r("big"), "network": "OpaqueRef:lan"});
    assert_eq!(Planner::new(&world.snapshot()).unwrap().assess().protected[0].not_agile, None);
    let world = world.set("PIF", "b-eth0", "host", json!("OpaqueRef:c"));
    let reason = NotAgile::NetworkNotShared { network: re("lan"), missing_on: vec![re("b")] };
    assert_eq!(
        Planner::new(&world.snapshot()).unwrap().assess().protected[0].not_agile,
        Some(reason.clone())
    );
    let fault = reason.fault(&re("big"));
    assert_eq!(fault.to_string(), "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED [OpaqueRef:lan]");
}

#[test]
fn a_vm_on_its_way_counts_twice_and_is_named() {
    let snapshot =
        three().set("VM", "big", "scheduled_to_be_resident_on", json!("OpaqueRef:b")).snapshot();
    let planner = Planner::new(&snapshot).unwrap();
    assert_eq!(planner.host_free_memory(&re("a")).unwrap(), 6 * GIB);
    assert_eq!(planner.host_free_memory(&re("b")).unwrap(), 8 * GIB);
    assert!(planner.assess().oddities.contains(&Oddity::CountedTwice { vm: re("big") }));
}

/// `tie-break order A` of the recorded packings, as a pool: 1 there is 1 GiB here.
#[test]
fn an_answer_that_hangs_on_the_order_of_uuids_is_named() {
    let pool = |names: [&str; 4]| {
        let free = [10, 6, 9, 9];
        let vms = [(4, 0), (2, 0), (6, 2), (1, 1), (4, 3), (4, 3)];
        let mut hosts: Vec<(&str, i64)> = names.iter().copied().zip(free).collect();
        for (gib, host) in vms {
            hosts[host].1 += gib;
        }
        let mut world = World::new(&hosts);
        for (n, (gib, host)) in vms.into_iter().enumerate() {
            world = world.vm(&format!("v{n}"), names[host], gib);
        }
        // Sizes without Xen's overhead do not exist; so hosts get a little more for each.
        for (name, gib) in &hosts {
            let metrics = format!("{name}-metrics");
            let total = gib * GIB + 300 * (GIB >> 10);
            world = world.set("host_metrics", &metrics, "memory_total", json!(total));
        }
        world.snapshot()
    };
    let (first, second) = (pool(["a", "b", "c", "d"]), pool(["b", "c", "d", "a"]));
    let answers = [&first, &second].map(|snapshot| {
        let assessment = Planner::new(snapshot).unwrap().assess();
        (assessment.maximum.value, assessment.oddities)
    });
    let oddity = |exists| vec![Oddity::HostOrder { failures: 2, exists }];
    assert_eq!(answers, [(2, oddity(true)), (1, oddity(false))]);
}

#[test]
fn disabling_a_host_is_refused_only_where_it_breaks_a_plan() {
    let calm = three();
    let ask =
        |world: &World| WhatIf::HostDisabled { host: re("c") }.ask(&world.snapshot()).unwrap();
    let outcome = ask(&calm);
    assert_eq!(outcome.refusal, None, "HA is off");
    assert_eq!((outcome.maximum_before, outcome.after.maximum.value), (2, 1));
    let strict = calm.set("pool", "p", "ha_enabled", json!(true)).set(
        "pool",
        "p",
        "ha_plan_exists_for",
        json!(2),
    );
    let refusal = ask(&strict).refusal.unwrap();
    assert_eq!(refusal.to_string(), "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN");
    let one = strict.set("pool", "p", "ha_plan_exists_for", json!(1));
    assert_eq!(ask(&one).refusal, None);
}

#[test]
fn hosts_join_and_leave() {
    let snapshot = three().snapshot();
    let joins = WhatIf::HostJoins { like: re("b"), uuid: "d".into() };
    let outcome = joins.ask(&snapshot).unwrap();
    assert_eq!((outcome.maximum_before, outcome.after.maximum.value), (2, 3));
    assert!(outcome.after.protected.iter().all(|vm| vm.not_agile.is_none()));
    assert_eq!(outcome.after.hosts[3].free, Some(16 * GIB));
    let outcome = WhatIf::HostLeaves { host: re("c") }.ask(&snapshot).unwrap();
    assert_eq!(outcome.after.maximum.value, 1);
    let outcome = WhatIf::HostLeaves { host: re("a") }.ask(&snapshot).unwrap();
    assert_eq!(outcome.after.maximum.value, 1, "its VMs start on b and c");
    assert_eq!(outcome.after.restart.unwrap().restarts.len(), 2);
    assert!(WhatIf::HostLeaves { host: re("z") }.ask(&snapshot).is_err());
    assert!(WhatIf::HostJoins { like: re("z"), uuid: "y".into() }.ask(&snapshot).is_err());
}

#[test]
fn a_starting_vm_takes_room_from_the_plan() {
    let world = World::new(&[("a", 16), ("b", 16)])
        .vm("one", "a", 8)
        .vm("two", "", 8)
        .set("VM", "two", "ha_always_run", json!(false))
        .set("pool", "p", "ha_enabled", json!(true))
        .set("pool", "p", "ha_plan_exists_for", json!(1));
    let start = WhatIf::VmStarts { vm: re("two"), host: re("b") };
    let outcome = start.ask(&world.snapshot()).unwrap();
    assert_eq!((outcome.maximum_before, outcome.after.maximum.value), (1, 0));
    assert_eq!(outcome.refusal.unwrap().code, "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN");
    let world = world.set("VM", "two", "ha_restart_priority", json!(""));
    let outcome = start.ask(&world.snapshot()).unwrap();
    assert!(outcome.refusal.is_some(), "it is not protected, but in the way");
    let running = start.happened(&world.snapshot()).unwrap();
    let outcome = WhatIf::VmStops { vm: re("two") }.ask(&running).unwrap();
    assert_eq!((outcome.maximum_before, outcome.after.maximum.value), (0, 1));
}

#[test]
fn enabling_ha_for_too_many_failures_overcommits_the_pool() {
    let outcome = WhatIf::HaEnabled { failures: 3 }.ask(&three().snapshot()).unwrap();
    assert_eq!(outcome.after.wanted.status, PlanStatus::None);
    let status = outcome.after.status;
    assert!(status.ha_overcommitted && status.overcommitted_alert);
    assert_eq!(status.ha_plan_exists_for, 2);
    let outcome = WhatIf::HaEnabled { failures: 2 }.ask(&three().snapshot()).unwrap();
    assert!(!outcome.after.status.ha_overcommitted);
    assert_eq!(outcome.after.status.ha_plan_exists_for, 2);
}

#[test]
fn a_corosync_cluster_must_keep_its_quorum() {
    let mut world = three();
    world.0["Cluster"][r("cluster")] = json!({});
    assert_eq!(
        Planner::new(&world.snapshot()).unwrap().assess().maximum.limit,
        2 - 3 / 2 + 2,
        "nobody clustered"
    );
    for host in ["a", "b", "c"] {
        world.0["Cluster_host"][r(&format!("{host}-member"))] =
            json!({"cluster": r("cluster"), "host": r(host), "enabled": true});
    }
    let maximum = Planner::new(&world.snapshot()).unwrap().assess().maximum;
    assert_eq!((maximum.limit, maximum.value), (1, 1));
}

#[test]
fn an_unspecified_domain_type_leaves_the_planner_without_an_answer() {
    let snapshot = three().set("VM", "big", "domain_type", json!("unspecified")).snapshot();
    let assessment = Planner::new(&snapshot).unwrap().assess();
    assert!(matches!(assessment.wanted.obstacle, Some(Obstacle::Raised { .. })));
    assert_eq!(assessment.restart, None);
    assert_eq!(assessment.maximum.value, 0);
}

#[test]
fn an_empty_pool_has_an_answer() {
    let mut snapshot = Snapshot::from_json(br#"{"pool": {"OpaqueRef:p": {}}}"#).unwrap();
    snapshot.complete();
    let assessment = Planner::new(&snapshot).unwrap().assess();
    assert_eq!((assessment.maximum.value, assessment.maximum.limit), (0, 0));
    assert_eq!(assessment.wanted.status, PlanStatus::All);
    assert!(Planner::new(&Snapshot::new()).is_err());
}

/// Four hosts; the members of an anti-affinity group run on `a`, which is emptied.
fn group(members: &[(&str, i64)]) -> World {
    let mut world = World::new(&[("a", 64), ("b", 8), ("c", 9), ("d", 32)]);
    for (name, gib) in members {
        world = world.vm(name, "a", *gib).set("VM", name, "groups", json!(["OpaqueRef:g"]));
    }
    world.0["VM_group"][r("g")] = json!({"placement": "anti_affinity"});
    world
}

fn targets(world: &World, vms: &[&str]) -> BTreeMap<String, String> {
    let snapshot = world.snapshot();
    let planner = Planner::new(&snapshot).unwrap();
    let vms: Vec<Ref<_>> = vms.iter().map(|name| re(name)).collect();
    let plan = planner.vm_failover_plan(&[re("a")], &vms).unwrap();
    plan.into_iter()
        .map(|(vm, target)| match target {
            Target::Host(host) => (vm.short().into_owned(), host.short().into_owned()),
            Target::Error(code) => (vm.short().into_owned(), code),
        })
        .collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

#[test]
fn a_group_is_spread_evenly_smallest_host_first() {
    let world = group(&[("x", 1), ("y", 2), ("z", 3)]).vm("other", "a", 10);
    assert_eq!(
        targets(&world, &["x", "y", "z", "other"]),
        map(&[("x", "b"), ("y", "c"), ("z", "d"), ("other", "d")])
    );
    let unlicensed = world.set("pool", "p", "restrictions", json!({}));
    let plan = targets(&unlicensed, &["x", "y", "z"]);
    assert_eq!(plan, map(&[("x", "d"), ("y", "d"), ("z", "d")]));
}

#[test]
fn a_group_that_cannot_be_spread_evenly_is_spread_over_two_hosts() {
    // `other` needs all of d, which evenly would be z's.
    let world = group(&[("x", 2), ("y", 2), ("z", 3)]).vm("other", "a", 31);
    assert_eq!(
        targets(&world, &["x", "y", "z", "other"]),
        map(&[("x", "b"), ("y", "c"), ("z", "c"), ("other", "d")])
    );
    // Here z does not fit beside x or y: the group is forgotten.
    let world = group(&[("x", 3), ("y", 4), ("z", 5)]).vm("other", "a", 31);
    assert_eq!(
        targets(&world, &["x", "y", "z", "other"]),
        map(&[("x", "b"), ("y", "b"), ("z", "c"), ("other", "d")])
    );
}

#[test]
fn the_server_gives_up_when_an_early_vm_of_a_group_fits_nowhere() {
    let world = group(&[("x", 40), ("y", 41)]);
    let snapshot = world.snapshot();
    let planner = Planner::new(&snapshot).unwrap();
    let error = planner.vm_failover_plan(&[re("a")], &[re("x"), re("y")]).unwrap_err();
    assert_eq!(error.fault().unwrap().code, "INTERNAL_ERROR");
    // The last one may fail: then groups are forgotten.
    assert_eq!(
        targets(&group(&[("x", 1), ("y", 41)]), &["x", "y"]),
        map(&[("x", "d"), ("y", "HOST_NOT_ENOUGH_FREE_MEMORY")])
    );
}
