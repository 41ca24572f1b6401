//! What goes wrong in a simulated world goes wrong as on a real network, at virtual times.

use std::time::Duration;

use crate::support::{Caller, Failed, raw, sleep};
use serde_json::{Value as Json, json};
use xcp_pool::ErrorKind;
use xcp_pool::election::HostRole;
use xcp_pool::simulator::{Injection, Peer, PoolSpec, Release, Trouble, VmSpec, World};
use xcp_pool::transport::{Cancel, Clock, Endpoint, Limits, Request, Transport};

fn pool(seed: u64) -> World {
    let spec = PoolSpec::new("lab", Release::XcpNg83)
        .host("phantom", "10.0.0.1")
        .host("member", "10.0.0.2")
        .shared_sr("NFS", "nfs")
        .vm(VmSpec::running("web", "member").disk("NFS", 10))
        .vm(VmSpec::halted("build").disk("NFS", 10));
    World::builder().seed(seed).pool(spec).build().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A call under a deadline.
#[expect(clippy::needless_pass_by_value, reason = "it is built where it is given")]
fn call_within(
    world: &World,
    limit: Duration,
    host: &str,
    method: &str,
    params: Json,
) -> Result<Json, ErrorKind> {
    let body = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string();
    let (endpoint, cancel) = (Endpoint::https(host), Cancel::new());
    let request = Request::new(&endpoint, body.as_bytes(), Limits::within(limit), &cancel);
    let reply = world.transport().exchange(&request).map_err(|error| error.kind())?;
    Ok(serde_json::from_slice(&reply.into_bytes().unwrap()).unwrap())
}

fn rename(caller: &Caller, name: &str) -> Result<Json, Failed> {
    let pool = caller.call("pool.get_all", [])[0].clone();
    caller.try_call("pool.set_name_label", [pool, json!(name)])
}

fn name(caller: &Caller) -> String {
    let pool = caller.call("pool.get_all", [])[0].clone();
    caller.field("pool", &pool, "name_label").as_str().unwrap().to_owned()
}

#[test]
fn a_request_that_does_not_arrive_is_not_carried_out() {
    for trouble in [Trouble::Refuse, Trouble::Reset] {
        let world = pool(1);
        let caller = Caller::login(&world, "phantom");
        world.trouble(Injection::new(trouble.clone()).method("pool.set_name_label"));
        let error = rename(&caller, "new").unwrap_err().lost();
        assert_eq!(error.kind(), ErrorKind::Transport, "{trouble:?}");
        assert_eq!(name(&caller), "lab");
        rename(&caller, "new").unwrap();
        assert_eq!(name(&caller), "new", "it befalls one request only");
    }
}

#[test]
fn a_lost_reply_says_nothing_about_the_call() {
    for (trouble, kind) in
        [(Trouble::LoseReply, ErrorKind::Transport), (Trouble::Silence, ErrorKind::Timeout)]
    {
        let world = pool(1);
        let caller = Caller::login(&world, "phantom");
        world.trouble(Injection::new(trouble.clone()).method("pool.set_name_label"));
        let error = rename(&caller, "new").unwrap_err().lost();
        assert_eq!(error.kind(), kind, "{trouble:?}");
        assert_eq!(name(&caller), "new");
    }
}

#[test]
fn power_fails_before_or_after_a_call() {
    for (trouble, label) in [(Trouble::KillBefore, "lab"), (Trouble::KillAfter, "new")] {
        let world = pool(1);
        let caller = Caller::login(&world, "phantom");
        world.trouble(Injection::new(trouble.clone()).method("pool.set_name_label"));
        let error = rename(&caller, "new").unwrap_err().lost();
        assert_eq!(error.kind(), ErrorKind::Transport, "{trouble:?}");
        world.power_on("phantom");
        sleep(&caller.transport, 120);
        assert_eq!(
            caller.fault("pool.get_all", []),
            format!("SESSION_INVALID [{}]", caller.session)
        );
        assert_eq!(name(&Caller::login(&world, "phantom")), label, "{trouble:?}");
    }
}

#[test]
fn the_third_request_of_all_can_be_the_one_that_fails() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    world.trouble(Injection::new(Trouble::Reset).skip(2));
    let results: Vec<_> = (0..4).map(|_| caller.try_call("pool.get_all", []).is_ok()).collect();
    assert_eq!(results, [true, true, false, true]);
}

#[test]
fn a_late_request_may_be_too_late() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    world.trouble(Injection::new(Trouble::Delay(seconds(20))).times(2));
    let before = world.now();
    caller.call("pool.get_all", []);
    assert_eq!((world.now() - before).as_secs(), 20);
    let params = json!([caller.session]);
    let result = call_within(&world, seconds(5), "phantom", "pool.get_all", params);
    assert_eq!(result, Err(ErrorKind::Timeout));
    assert_eq!((world.now() - before).as_secs(), 25);
}

#[test]
fn a_cut_network_swallows_requests_until_it_is_mended() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    for one_way in [false, true] {
        world.act(|scene| {
            if one_way {
                scene.cut_one_way("phantom", Peer::Tool);
            } else {
                scene.cut(Peer::Tool, "phantom");
            }
        });
        let params = || json!([caller.session]);
        let result = call_within(&world, seconds(5), "phantom", "pool.get_all", params());
        assert_eq!(result, Err(ErrorKind::Timeout));
        let before = world.now();
        let result = call_within(&world, seconds(500), "phantom", "pool.get_all", params());
        assert_eq!(result, Err(ErrorKind::Transport), "a connection is not tried for ever");
        assert_eq!((world.now() - before).as_secs(), 30);
        assert!(raw(&caller.transport, "member", "session.logout", params()).is_err());
        world.act(|scene| scene.heal(Peer::Tool, "phantom"));
        caller.call("pool.get_all", []);
    }
}

#[test]
fn a_network_that_is_cut_during_a_call_takes_the_reply() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let vm = caller.named("VM", "build");
    world.after(seconds(1), |scene| scene.cut(Peer::Tool, "phantom"));
    let params = json!([caller.session, vm, false, false]);
    let result = call_within(&world, seconds(60), "phantom", "VM.start", params);
    assert_eq!(result, Err(ErrorKind::Timeout));
    world.act(|scene| scene.heal(Peer::Tool, "phantom"));
    assert_eq!(caller.field("VM", &vm, "power_state"), "Running");
}

#[test]
fn a_host_that_dies_during_a_call_does_not_finish_it() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let vm = caller.named("VM", "build");
    world.after(seconds(1), |scene| scene.power_off("phantom"));
    let params = json!([caller.session, vm, false, false]);
    let result = call_within(&world, seconds(60), "phantom", "VM.start", params);
    assert_eq!(result, Err(ErrorKind::Timeout), "a machine without power sends no farewell");
    world.power_on("phantom");
    world.advance(seconds(120));
    let caller = Caller::login(&world, "phantom");
    assert_eq!(caller.field("VM", &vm, "power_state"), "Halted");
    let running = caller.field("VM", &vm, "current_operations");
    assert_eq!(running, json!({}), "operations of a server that is gone are over");
}

#[test]
fn a_caller_that_gives_up_does_not_stop_the_call() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let (vm, phantom) = (caller.named("VM", "web"), caller.named("host", "phantom"));
    let params = json!([caller.session, vm, phantom, {}]);
    let result = call_within(&world, seconds(2), "phantom", "VM.pool_migrate", params);
    assert_eq!(result, Err(ErrorKind::Timeout));
    let busy = caller.fault("VM.clean_shutdown", [vm.clone()]);
    assert!(busy.starts_with("OTHER_OPERATION_IN_PROGRESS [VM, "), "{busy}");
    assert!(busy.contains(", pool_migrate, OpaqueRef:"), "{busy}");
    caller.sleep(10);
    assert_eq!(caller.field("VM", &vm, "resident_on"), phantom);
    assert_eq!(world.count("phantom", "task"), 0, "its task goes with it");
}

#[test]
fn a_task_is_cancelled_between_two_steps() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let (vm, phantom) = (caller.named("VM", "web"), caller.named("host", "phantom"));
    let args = [vm.clone(), phantom.clone(), json!({})];
    let task = caller.call("Async.VM.pool_migrate", args);
    assert_eq!(caller.field("task", &task, "status"), "pending");
    caller.call("task.cancel", [task.clone()]);
    caller.sleep(30);
    let record = caller.call("task.get_record", [task.clone()]);
    assert_eq!(record["status"], "cancelled");
    assert_eq!(record["error_info"], json!(["TASK_CANCELLED", task]));
    assert_ne!(caller.field("VM", &vm, "resident_on"), phantom);
    assert_eq!(caller.field("VM", &vm, "current_operations"), json!({}));
    caller.sleep(70 * 60);
    let gone = caller.fault("task.get_record", [task.clone()]);
    assert_eq!(gone, format!("HANDLE_INVALID [task, {}]", task.as_str().unwrap()));
}

#[test]
fn a_waiting_caller_is_woken_by_what_happens() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let batch = caller.call("event.from", [json!(["VM"]), json!(""), json!(30.0)]);
    let token = batch["token"].clone();
    assert_eq!(batch["valid_ref_counts"]["vm"], json!(world.count("phantom", "VM")));
    let (vm, before) = (caller.named("VM", "build"), world.now());
    let start = [vm.clone(), json!(false), json!(false)];
    caller.call("Async.VM.start", start);
    let first = caller.call("event.from", [json!(["vm"]), token, json!(30.0)]);
    assert_eq!(first["events"][0]["operation"], "mod");
    assert_eq!(first["events"][0]["snapshot"]["power_state"], "Halted");
    let second = caller.call("event.from", [json!(["vm"]), first["token"].clone(), json!(30.0)]);
    assert_eq!(second["events"][0]["snapshot"]["power_state"], "Running");
    assert_eq!((world.now() - before).as_secs(), 3);
    let nothing = caller.call("event.from", [json!(["vm"]), second["token"].clone(), json!(30.0)]);
    assert_eq!(
        (nothing["events"].clone(), nothing["token"].clone()),
        (json!([]), second["token"].clone())
    );
    assert_eq!((world.now() - before).as_secs(), 33);
}

#[test]
fn in_a_driven_world_a_wait_ends_when_somebody_moves_the_clock() {
    let spec = PoolSpec::new("", Release::XcpNg83).host("phantom", "10.0.0.1");
    let world = World::builder().pool(spec).driven().build().unwrap();
    let caller = Caller::login(&world, "phantom");
    let sleeper = world.transport();
    let waiting = std::thread::spawn(move || sleeper.sleep(seconds(3600), &Cancel::new()));
    caller.call("pool.get_all", []);
    assert_eq!(world.now(), Duration::ZERO, "nobody has moved the clock");
    while !waiting.is_finished() {
        world.advance(seconds(600));
    }
    waiting.join().unwrap().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = caller.transport.sleep(seconds(1), &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn worlds_of_one_seed_are_alike() {
    let transcript = |seed| {
        let world = pool(seed);
        let caller = Caller::login(&world, "phantom");
        let vm = caller.named("VM", "build");
        caller.call("Async.VM.start", [vm, json!(false), json!(false)]);
        world.after(seconds(5), |scene| scene.power_off("member"));
        caller.sleep(1000);
        let batch = caller.call("event.from", [json!(["*"]), json!(""), json!(0.0)]);
        format!("{} {batch}", caller.session)
    };
    assert_eq!(transcript(7), transcript(7));
    assert_ne!(transcript(7), transcript(8));
}

#[test]
fn a_toolstack_restart_costs_sessions_and_a_moment() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let phantom = caller.named("host", "phantom");
    caller.call("host.restart_agent", [phantom]);
    caller.call("pool.get_all", []);
    caller.sleep(1);
    let error = caller.try_call("pool.get_all", []).unwrap_err().lost();
    assert_eq!(error.kind(), ErrorKind::Transport);
    caller.sleep(60);
    assert_eq!(caller.fault("pool.get_all", []), format!("SESSION_INVALID [{}]", caller.session));
    let caller = Caller::login(&world, "phantom");
    for name in ["phantom", "member"] {
        let host = caller.named("host", name);
        assert_eq!(caller.field("host", &host, "enabled"), json!(true), "{name}");
    }
}

#[test]
fn a_member_passes_through_emergency_mode() {
    let world = pool(1);
    let transport = world.transport();
    let login =
        || raw(&transport, "member", "session.login_with_password", json!(["root", "xcp-test"]));
    assert_eq!(login().unwrap_err().fault(), "HOST_IS_SLAVE [10.0.0.1]");
    let wrong =
        raw(&transport, "member", "session.slave_local_login_with_password", json!(["root", "x"]));
    assert_eq!(
        wrong.unwrap_err().fault(),
        "SESSION_AUTHENTICATION_FAILED [root, Authentication failure]"
    );
    world.act(|scene| scene.restart_toolstack("member"));
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..400 {
        let now = match login().unwrap_err() {
            Failed::Fault(fault) => fault.to_string(),
            Failed::Lost(error) => format!("{:?}", error.kind()),
        };
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        transport.sleep(Duration::from_millis(100), &Cancel::new()).unwrap();
    }
    assert_eq!(seen, ["Transport", "HOST_STILL_BOOTING", "HOST_IS_SLAVE [10.0.0.1]"]);
    let caller = Caller::login(&world, "phantom");
    let member = caller.named("host", "member");
    assert_eq!(caller.field("host", &member, "enabled"), json!(true));
}

#[test]
fn in_emergency_mode_only_emergency_calls_are_answered() {
    let world = pool(1);
    world.power_off("phantom");
    world.act(|scene| scene.restart_toolstack("member"));
    world.advance(seconds(30));
    assert_eq!(world.role("member"), Some(HostRole::Slave("10.0.0.1".to_owned())));
    let stored = world.emergency("member").unwrap();
    let text = "INTERNAL_ERROR: [ Connection failed: connection refused. ]";
    assert_eq!(stored.to_string(), format!("INTERNAL_ERROR [{text}]"));
    let post = |method: &str, params: Json| {
        // Version 1 of the protocol, as the caller's choice.
        let body = json!({"method": method, "params": params, "id": 9}).to_string();
        let reply = world.post("member", body.as_bytes(), seconds(60), &Cancel::new()).unwrap();
        serde_json::from_slice::<Json>(&reply.body).unwrap()
    };
    let error = json!({"jsonrpc": "2.0", "error": [stored.code, stored.params[0]], "id": 0});
    assert_eq!(post("host.get_all", json!(["x"])), error);
    assert_eq!(post("Async.host.is_in_emergency_mode", json!(["x"])), error);
    let login = post("session.slave_local_login_with_password", json!(["root", "xcp-test"]));
    let session = login["result"].clone();
    assert_eq!(post("host.is_in_emergency_mode", json!([session]))["result"], json!(true));
    assert_eq!(post("session.local_logout", json!([session]))["result"], json!(""));
}

#[test]
fn a_member_waits_for_its_dead_master_and_then_restarts() {
    let world = pool(1);
    let transport = world.transport();
    let login = raw(
        &transport,
        "member",
        "session.slave_local_login_with_password",
        json!(["root", "xcp-test"]),
    );
    let session = login.unwrap();
    let read = || raw(&transport, "member", "pool.get_all", json!([session]));
    assert_eq!(read().unwrap().as_array().unwrap().len(), 1);
    world.power_off("phantom");
    let before = world.now();
    let emergency = raw(&transport, "member", "host.is_in_emergency_mode", json!([session]));
    assert_eq!(emergency.unwrap(), json!(false), "it has not noticed");
    let error = read().unwrap_err().lost();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!((world.now() - before).as_secs(), 12);
    world.advance(seconds(30));
    assert!(world.emergency("member").is_some());
}

#[test]
fn a_silent_host_is_taken_for_alive_for_ten_minutes() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let member = caller.named("host", "member");
    let metrics = caller.field("host", &member, "metrics");
    let live = || caller.field("host_metrics", &metrics, "live");
    world.power_off("member");
    let before = world.now();
    let fault = caller.fault("host.disable", [member.clone()]);
    assert_eq!(fault, format!("CANNOT_CONTACT_HOST [{}]", member.as_str().unwrap()));
    assert_eq!((world.now() - before).as_secs(), 100);
    assert_eq!(live(), json!(true));
    caller.sleep(560);
    assert_eq!(live(), json!(false));
    let fault = caller.fault("host.disable", [member.clone()]);
    assert_eq!(fault, format!("HOST_OFFLINE [{}]", member.as_str().unwrap()));
    world.power_on("member");
    caller.sleep(150);
    assert_eq!(live(), json!(true));
    assert_eq!(caller.field("host", &member, "enabled"), json!(true));
}

#[test]
fn a_host_that_shuts_down_says_so() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let member = caller.named("host", "member");
    let web = caller.named("VM", "web");
    caller.call("VM.clean_shutdown", [web]);
    caller.call("host.disable", [member.clone()]);
    caller.call("host.shutdown", [member.clone()]);
    let metrics = caller.field("host", &member, "metrics");
    assert_eq!(caller.field("host_metrics", &metrics, "live"), json!(true));
    caller.sleep(11);
    assert_eq!(caller.field("host_metrics", &metrics, "live"), json!(false));
    assert_eq!(caller.fault("host.power_on", [member]), "HOST_POWER_ON_MODE_DISABLED");
}

#[test]
fn sessions_end_after_a_day_without_a_call() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    for _ in 0..3 {
        caller.sleep(23 * 3600);
        caller.call("pool.get_all", []);
    }
    caller.sleep(24 * 3600 + 700);
    assert_eq!(caller.fault("pool.get_all", []), format!("SESSION_INVALID [{}]", caller.session));
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn too_many_sessions_cost_the_oldest() {
    let world = pool(1);
    let first = Caller::login(&world, "phantom");
    first.sleep(1);
    let others: Vec<_> = (0..500).map(|_| Caller::login(&world, "phantom")).collect();
    assert_eq!(first.fault("pool.get_all", []), format!("SESSION_INVALID [{}]", first.session));
    others[0].call("pool.get_all", []);
    assert_eq!(world.open_sessions(), 500);
}

#[test]
fn a_world_counts_what_it_is_asked() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let (writes, sent) = (world.writes(), world.sent());
    caller.call("pool.get_all", []);
    caller.call("pool.get_all", []);
    assert_eq!((world.writes(), world.sent()), (writes, sent + 2));
    assert_eq!(world.requests()["pool.get_all"], 2);
    rename(&caller, "x").unwrap();
    assert!(world.writes() > writes);
    let error = raw(&caller.transport, "nowhere", "pool.get_all", json!([])).unwrap_err().lost();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(error.to_string(), "the name \"nowhere\" does not resolve");
}

#[test]
fn a_reply_that_is_too_large_is_not_delivered() {
    let world = pool(1);
    let caller = Caller::login(&world, "phantom");
    let body = json!({"jsonrpc": "2.0", "method": "host.get_all_records", "params": [caller.session], "id": 1});
    let (body, endpoint, cancel) = (body.to_string(), Endpoint::https("phantom"), Cancel::new());
    let mut limits = Limits::default();
    limits.max_reply = 100;
    let request = Request::new(&endpoint, body.as_bytes(), limits, &cancel);
    let error = caller.transport.exchange(&request).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn worlds_that_contradict_themselves_are_refused() {
    let pool = |name: &str, address: &str| PoolSpec::new("", Release::XcpNg83).host(name, address);
    let build = |specs: Vec<PoolSpec>| {
        let world = specs.into_iter().fold(World::builder(), |world, spec| world.pool(spec));
        world.build().map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(build(vec![pool("a", "10.0.0.1"), pool("b", "10.0.0.2")]), Ok(()));
    let same = build(vec![pool("a", "10.0.0.1"), pool("b", "10.0.0.1")]);
    assert_eq!(same, Err("the hosts a and b have the same address".to_owned()));
    let empty = build(vec![PoolSpec::new("void", Release::XcpNg83)]);
    assert_eq!(empty, Err("the pool \"void\" has no hosts".to_owned()));
    let vm = VmSpec::halted("x").disk("nowhere", 1);
    let unknown = build(vec![pool("a", "10.0.0.1").vm(vm)]);
    assert_eq!(unknown, Err("the pool has no SR named \"nowhere\"".to_owned()));
    let nic = build(vec![pool("a", "10.0.0.1").vlan("v", 9, 1)]);
    assert_eq!(nic, Err("the hosts have no NIC number 9".to_owned()));
}
