//! HA in the simulator: fencing, elections, databases, restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ha_support::{Cut, HaPool};
use crate::support::{Caller, Failed};
use serde_json::{Value as Json, json};
use xcp_pool::election::HostRole;
use xcp_pool::failover::Planner;
use xcp_pool::model::{Host, Ref};
use xcp_pool::simulator::FenceCause;
use xcp_pool::simulator::database::Value;

impl HaPool {
    fn caller(&self) -> Caller {
        Caller::login(&self.world, &self.world.masters()[0])
    }

    fn index(&self, host: &str) -> usize {
        self.hosts.iter().position(|name| name == host).unwrap()
    }

    fn master(&self) -> usize {
        self.index(&self.world.masters()[0])
    }

    /// Any host but the master.
    fn member(&self) -> usize {
        (0..self.hosts.len()).find(|host| *host != self.master()).unwrap()
    }

    fn record(&self, host: usize) -> Ref<Host> {
        let database = self.database();
        let found = database.find("host", |row| row.text("hostname") == self.hosts[host]);
        Ref::from(&*found.unwrap())
    }

    /// Where VMs run once these hosts have failed, by the planner.
    fn foretold(&self, dead: &[usize]) -> BTreeMap<String, String> {
        let snapshot = self.snapshot();
        let failed: Vec<_> = dead.iter().map(|host| self.record(*host)).collect();
        let outcome = Planner::new(&snapshot).unwrap().failure(&failed).unwrap();
        assert!(outcome.complete, "{outcome:?}");
        let mut vms = self.running_vms();
        vms.retain(|_, host| !dead.contains(&self.index(host)));
        for start in outcome.groups.iter().flat_map(|group| &group.starts) {
            let host = &snapshot.host.get(start.host.as_ref().unwrap()).unwrap().hostname;
            vms.insert(snapshot.vm.get(&start.vm).unwrap().name_label.clone(), host.clone());
        }
        vms
    }
}

#[test]
fn enabling_ha_forms_one_live_set_whose_lock_the_master_holds() {
    let pool = HaPool::new(3, 1, 60);
    assert_eq!(pool.world.lock_holders(), pool.world.masters());
    for host in &pool.hosts {
        let ha = pool.world.ha(host).unwrap();
        assert!(ha.armed && ha.online && !ha.handles_fault && !ha.without_storage, "{ha:?}");
        assert_eq!((&ha.live_set, &ha.hears, &ha.sees), (&pool.hosts, &pool.hosts, &pool.hosts));
        assert_eq!(ha.master.as_ref(), pool.world.masters().first());
    }
    assert_eq!(pool.world.fenced(), []);
}

#[test]
fn protected_vms_restart_where_the_planner_says() {
    for (seed, n, dead) in [(2, 3, 1), (3, 4, 1), (4, 5, 2), (5, 8, 2)] {
        for with_master in [false, true] {
            let mut pool = HaPool::new(n, seed, 30);
            let master = pool.master();
            let mut dying: Vec<usize> = (0..n).filter(|host| *host != master).take(dead).collect();
            if with_master {
                dying[0] = master;
            }
            let foretold = pool.foretold(&dying);
            for host in &dying {
                pool.cut(&Cut::Host(*host));
            }
            pool.run(400);
            let mut running = pool.running_vms();
            // What is worth an effort comes on top.
            running.retain(|vm, _| foretold.contains_key(vm) || !vm.starts_with("effort"));
            assert_eq!(running, foretold, "{n} hosts without {dying:?}");
        }
    }
}

#[test]
fn what_is_worth_an_effort_starts_again_and_what_nobody_asked_for_does_not() {
    let mut pool = HaPool::new(3, 6, 30);
    let before = pool.running_vms();
    let dead = pool.member();
    pool.cut(&Cut::Host(dead));
    pool.run(300);
    let after = pool.running_vms();
    let lost = before.iter().filter(|(_, host)| **host == pool.hosts[dead]).map(|(vm, _)| vm);
    for vm in lost {
        assert_eq!(after.contains_key(vm), !vm.starts_with("plain"), "{vm}");
    }
}

#[test]
fn nobody_acts_on_a_death_before_the_earliest_moment() {
    let mut pool = HaPool::new(3, 7, 60);
    let dead = pool.member();
    pool.cut(&Cut::Host(dead));
    let wait = pool.scenario.decide().unwrap().wait.unwrap();
    let start = pool.world.now();
    let master = &pool.hosts[pool.master()].clone();
    while pool.world.ha(master).unwrap().live_set.len() == 3 {
        assert!(pool.world.step(start + Duration::from_secs(600)));
    }
    let took = (pool.world.now() - start).as_secs();
    let earliest = u64::from(wait.earliest);
    // The last sign of life is up to an interval old; phases take a moment each.
    assert!((earliest - 3..earliest + 15).contains(&took), "{took} s, not {earliest}");
}

#[test]
fn a_host_is_fenced_for_the_reason_that_it_has() {
    let mut pool = HaPool::new(3, 8, 60);
    let lonely = pool.member();
    pool.cut(&Cut::Split(vec![lonely]));
    pool.run(300);
    let fenced = pool.world.fenced();
    assert_eq!(fenced.len(), 1, "{fenced:?}");
    assert_eq!((&fenced[0].host, &fenced[0].cause), (&pool.hosts[lonely], &FenceCause::Lost));

    let mut pool = HaPool::new(3, 9, 60);
    let without = pool.member();
    pool.cut(&Cut::Storage(without));
    pool.run(300);
    let fenced = pool.world.fenced();
    assert_eq!(fenced.len(), 1, "{fenced:?}");
    // It hangs on the state file before the others have agreed on what to do.
    assert_eq!((&fenced[0].host, &fenced[0].cause), (&pool.hosts[without], &FenceCause::Watchdog));
}

#[test]
fn a_heartbeat_that_gets_through_one_way_only_counts_for_neither() {
    for forth in [true, false] {
        let pool = HaPool::new(2, 10, 30);
        pool.world.act(|scene| {
            let (from, to) = if forth { ("h0", "h1") } else { ("h1", "h0") };
            scene.cut_one_way(from, to);
        });
        pool.run(300);
        // As if both ways were cut: the lower uuid survives.
        assert_eq!(pool.world.masters(), ["h0"]);
        assert!(pool.world.fenced().iter().all(|fenced| fenced.host == "h1"), "{forth}");
        assert_eq!(pool.world.ha("h0").unwrap().live_set, ["h0"]);
    }
}

#[test]
fn all_live_on_without_storage_and_nobody_takes_over_meanwhile() {
    let mut pool = HaPool::new(3, 11, 60);
    for host in 0..3 {
        pool.cut(&Cut::Storage(host));
    }
    pool.run(400);
    pool.assert_ended_as(&pool.scenario.decide().unwrap());
    assert!(pool.hosts.iter().all(|host| pool.world.ha(host).unwrap().without_storage));
    pool.heal();
    pool.run(100);
    pool.assert_whole();
    assert!(pool.hosts.iter().all(|host| !pool.world.ha(host).unwrap().without_storage));
    assert_eq!(pool.world.fenced(), []);
    // A host that dies while nobody has storage takes all others with it.
    for host in 0..3 {
        pool.cut(&Cut::Storage(host));
    }
    pool.run(200);
    pool.world.power_off(&pool.hosts[pool.member()]);
    pool.run(200);
    assert_eq!(pool.world.masters(), Vec::<String>::new());
    assert_eq!(pool.world.fenced().len(), 2, "{:?}", pool.world.fenced());
    pool.heal();
    pool.run(600);
    pool.assert_whole();
}

#[test]
fn a_new_master_has_every_write_that_reached_the_storage() {
    let write = |pool: &HaPool, name: &str| {
        let caller = pool.caller();
        let own = caller.call("pool.get_all", [])[0].clone();
        caller.call("pool.set_name_label", [own, json!(name)]);
    };
    let name = |pool: &HaPool| {
        pool.database().objects("pool").next().unwrap().text("name_label").to_owned()
    };
    let mut pool = HaPool::new(3, 12, 30);
    write(&pool, "a moment before");
    pool.cut(&Cut::Host(pool.master()));
    pool.run(300);
    assert_eq!(name(&pool), "a moment before");

    // What is written without storage nobody will ever see again.
    let mut pool = HaPool::new(3, 13, 30);
    let old = pool.master();
    write(&pool, "on storage");
    pool.cut(&Cut::Storage(old));
    pool.run(5);
    write(&pool, "nowhere");
    pool.run(300);
    assert_ne!(pool.master(), old);
    assert_eq!(name(&pool), "on storage");
}

#[test]
fn an_old_master_comes_back_as_a_member() {
    let mut pool = HaPool::new(3, 14, 30);
    let old = pool.master();
    pool.cut(&Cut::Host(old));
    pool.run(300);
    let new = pool.master();
    assert_ne!(new, old);
    pool.heal();
    pool.run(300);
    pool.assert_whole();
    assert_eq!(pool.master(), new);
    let address = pool.database().text("host", pool.record(new).text().as_ref(), "address");
    let role = HostRole::Slave(address.to_string());
    assert_eq!(pool.world.role(&pool.hosts[old]), Some(role));
    let database = pool.database();
    assert!(database.objects("host").all(|host| host.flag("enabled")));
    assert!(database.objects("host_metrics").all(|metrics| metrics.flag("live")));
}

#[test]
fn a_host_that_is_shut_down_in_order_does_not_count() {
    let mut pool = HaPool::new(3, 15, 30);
    let away = pool.member();
    let caller = pool.caller();
    let host = json!(pool.record(away).text());
    for vm in pool.running_vms().into_iter().filter(|(_, host)| *host == pool.hosts[away]) {
        caller.call("VM.hard_shutdown", [caller.named("VM", &vm.0)]);
    }
    caller.call("host.disable", [host.clone()]);
    caller.call("host.shutdown", [host]);
    pool.run(200);
    let others: Vec<usize> = (0..3).filter(|host| *host != away).collect();
    for host in &others {
        pool.cut(&Cut::Storage(*host));
    }
    pool.run(300);
    assert_eq!(pool.world.fenced(), [], "by rule 2, without the host that was shut down");
    pool.heal();
    pool.run(300);
    pool.assert_whole();
}

#[test]
fn disabling_ha_fences_nobody_and_sets_everybody_free() {
    let pool = HaPool::new(3, 16, 30);
    let caller = pool.caller();
    caller.call("pool.disable_ha", []);
    assert_eq!(pool.world.ha("h0"), None);
    pool.world.power_off(&pool.hosts[pool.member()]);
    pool.run(600);
    assert_eq!(pool.world.fenced(), []);
    let caller = pool.caller();
    let volumes = caller.call("VDI.get_all_records", []);
    let of_ha = |vdi: &Json| vdi["type"] == "ha_statefile" || vdi["type"] == "redo_log";
    assert!(!volumes.as_object().unwrap().values().any(of_ha));
}

#[test]
fn ha_is_not_enabled_where_a_host_cannot_reach_the_state_file() {
    let pool = HaPool::new(3, 17, 30);
    let caller = pool.caller();
    caller.call("pool.disable_ha", []);
    pool.world.act(|scene| scene.cut_state_file("h1"));
    let before = pool.world.now();
    let fault = caller.fault("pool.enable_ha", [json!([]), json!({"timeout": "30"})]);
    assert_eq!(fault, "HA_FAILED_TO_FORM_LIVESET");
    assert!((pool.world.now() - before).as_secs() < 180);
    assert_eq!(pool.world.ha("h0"), None);
    pool.world.act(|scene| scene.heal_state_file("h1"));
    caller.call("pool.enable_ha", [json!([]), json!({"timeout": "30"})]);
}

#[test]
fn a_promotion_is_refused_until_ha_is_overridden_on_that_host() {
    let mut pool = HaPool::new(3, 18, 30);
    let (member, world) = (pool.hosts[pool.member()].clone(), pool.world.clone());
    let transport = world.transport();
    let promote = || {
        crate::support::raw(
            &transport,
            &member,
            "pool.emergency_transition_to_master",
            local(&world, &member),
        )
    };
    assert_eq!(promote().unwrap_err().fault(), "HA_IS_ENABLED");
    // Nobody has storage and the network falls apart: everybody fences, nobody comes back.
    for host in 0..3 {
        pool.cut(&Cut::Storage(host));
    }
    pool.cut(&Cut::Split(vec![1]));
    pool.cut(&Cut::Split(vec![2]));
    pool.run(300);
    assert_eq!(world.masters(), Vec::<String>::new());
    assert_eq!(promote().unwrap_err().fault(), "HA_IS_ENABLED");
    let mut disable = local(&world, &member);
    disable.as_array_mut().unwrap().push(json!(false));
    crate::support::raw(&transport, &member, "host.emergency_ha_disable", disable).unwrap();
    promote().unwrap();
    pool.run(60);
    assert_eq!(world.masters(), [member]);
}

/// The parameters of a call with a local session.
fn local(world: &xcp_pool::simulator::World, host: &str) -> Json {
    let login = "session.slave_local_login_with_password";
    let session: Result<Json, Failed> =
        crate::support::raw(&world.transport(), host, login, json!(["root", "xcp-test"]));
    json!([session.unwrap()])
}

#[test]
fn the_planner_answers_for_a_pool_with_ha() {
    let pool = HaPool::new(4, 19, 30);
    let caller = pool.caller();
    let own = caller.call("pool.get_all", [])[0].clone();
    let snapshot = pool.snapshot();
    let planner = Planner::new(&snapshot).unwrap();
    let number = |json: Json| json.as_str().map_or_else(|| json.as_i64(), |it| it.parse().ok());
    let maximum = caller.call("pool.ha_compute_max_host_failures_to_tolerate", []);
    assert_eq!(number(maximum), Some(planner.maximum().value));
    assert_eq!(caller.call("pool.ha_failover_plan_exists", [json!(1)]), json!(true));
    caller.call("pool.set_ha_host_failures_to_tolerate", [own.clone(), json!(2)]);
    assert_eq!(number(caller.field("pool", &own, "ha_host_failures_to_tolerate")), Some(2));
    let (host, vm) = (pool.record(pool.member()), caller.named("VM", "protected1"));
    let asked = [json!([host.text()]), json!([vm])];
    let plan = caller.call("pool.ha_compute_vm_failover_plan", asked);
    assert_ne!(plan[vm.as_str().unwrap()]["host"], json!(host.text()));
    // The master notes by itself that one failure more can be survived.
    pool.world
        .act(|scene| {
            scene.edit(&pool.hosts[0], |database| {
                let pool = database.refs("pool")[0].clone();
                database.set("pool", &pool, "ha_plan_exists_for", Value::Int(0))
            })
        })
        .unwrap();
    pool.run(60);
    assert_eq!(number(caller.field("pool", &own, "ha_plan_exists_for")), Some(2));
}

#[test]
fn what_ha_forbids_is_refused() {
    let pool = HaPool::new(3, 20, 30);
    let caller = pool.caller();
    let member = json!(pool.record(pool.member()).text());
    assert_eq!(caller.fault("pool.designate_new_master", [member.clone()]), "HA_IS_ENABLED");
    assert_eq!(caller.fault("pool.eject", [member.clone()]), "HA_IS_ENABLED");
    // Emptying a host for maintenance takes protected VMs along, and names the others.
    let blocked = caller.call("host.get_vms_which_prevent_evacuation", [member]);
    let codes: Vec<_> = blocked.as_object().unwrap().values().map(|why| &why[0]).collect();
    assert_eq!(codes, ["HOST_EVACUATE_VM_NOT_HA_PROTECTED", "HOST_EVACUATE_VM_NOT_HA_PROTECTED"]);
}
