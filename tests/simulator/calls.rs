//! What the simulator's hosts do, and what they refuse, call by call.

use crate::support::Caller;
use serde_json::{Value as Json, json};
use xcp_pool::simulator::database::Value;
use xcp_pool::simulator::{PoolSpec, Release, VmSpec, World};

/// A pool of two with a shared SR, and VMs of each kind.
fn pool() -> World {
    let spec = PoolSpec::new("lab", Release::XcpNg83)
        .host("phantom", "10.0.0.1")
        .host("member", "10.0.0.2")
        .nics(3)
        .shared_sr("NFS", "nfs")
        .internal_network("private")
        .vm(VmSpec::running("web", "member").disk("NFS", 10).memory(4))
        .vm(VmSpec::running("local", "phantom").disk("Local storage", 10))
        .vm(VmSpec::halted("build").disk("NFS", 10))
        .vm(VmSpec::suspended("asleep").disk("NFS", 10));
    World::builder().seed(5).pool(spec).build().unwrap()
}

fn host(caller: &Caller, name: &str) -> Json {
    caller.named("host", name)
}

/// The only element of a set.
#[track_caller]
fn only(set: &Json) -> Json {
    let set = set.as_array().unwrap();
    assert_eq!(set.len(), 1, "{set:?}");
    set[0].clone()
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap()
}

#[test]
fn the_story_begins_with_six_and_with_five_srs() {
    let world = World::story(1);
    let phantom = Caller::login(&world, "phantom");
    assert_eq!(phantom.call("SR.get_all", []).as_array().unwrap().len(), 6);
    let ignite = Caller::login(&world, "10.0.0.2");
    assert_eq!(ignite.call("SR.get_all", []).as_array().unwrap().len(), 5);
    let running = r#"field "power__state" = "Running" and field "is_control_domain" = "false""#;
    let running = ignite.call("VM.get_all_records_where", [json!(running)]);
    assert_eq!(running.as_object().unwrap().len(), 1);
    assert_eq!(world.open_sessions(), 2);
    ignite.call("session.logout", []);
    assert_eq!(world.open_sessions(), 1);
}

#[test]
fn a_shared_sr_is_disconnected_and_forgotten() {
    let world = World::story(1);
    let ignite = Caller::login(&world, "ignite");
    let sr = ignite.named("SR", "Ignite NFS");
    let pbd = only(&ignite.field("SR", &sr, "PBDs"));
    assert_eq!(ignite.fault("SR.forget", [sr.clone()]), format!("SR_HAS_PBD [{}]", text(&sr)));
    assert_eq!(
        ignite.fault("PBD.destroy", [pbd.clone()]),
        "OPERATION_NOT_ALLOWED [PBD is currently attached]"
    );
    ignite.call("PBD.unplug", [pbd.clone()]);
    ignite.call("PBD.unplug", [pbd.clone()]);
    assert_eq!(ignite.field("PBD", &pbd, "currently_attached"), json!(false));
    ignite.call("SR.forget", [sr.clone()]);
    assert_eq!(
        ignite.fault("PBD.get_record", [pbd.clone()]),
        format!("HANDLE_INVALID [PBD, {}]", text(&pbd))
    );
    assert_eq!(world.count("ignite", "SR"), 4);
    assert_eq!(world.count("phantom", "SR"), 6);
}

#[test]
fn a_disk_in_use_keeps_its_sr_attached() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let (member, sr) = (host(&caller, "member"), caller.named("SR", "NFS"));
    let pbds = caller.field("SR", &sr, "PBDs");
    let of_member =
        pbds.as_array().unwrap().iter().find(|pbd| caller.field("PBD", pbd, "host") == member);
    let pbd = of_member.unwrap().clone();
    let web = caller.named("VM", "web");
    let vbd = only(&caller.field("VM", &web, "VBDs"));
    let vdi = caller.field("VBD", &vbd, "VDI");
    assert_eq!(caller.fault("PBD.unplug", [pbd.clone()]), format!("VDI_IN_USE [{}]", text(&vdi)));
    assert_eq!(
        caller.fault("VDI.destroy", [vdi.clone()]),
        format!("VDI_IN_USE [{}, destroy]", text(&vdi))
    );
    caller.call("VM.clean_shutdown", [web.clone()]);
    caller.call("PBD.unplug", [pbd]);
    caller.call("VDI.destroy", [vdi]);
    assert_eq!(caller.field("VM", &web, "VBDs"), json!([]));
}

#[test]
fn pbds_are_made_once_per_host_and_sr_and_plugged_where_that_can_be() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let (phantom, member) = (host(&caller, "phantom"), host(&caller, "member"));
    let locals = caller.call("SR.get_by_name_label", [json!("Local storage")]);
    let local = locals.as_array().unwrap().iter().find(|sr| {
        let pbd = only(&caller.field("SR", sr, "PBDs"));
        caller.field("PBD", &pbd, "host") == phantom
    });
    let local = local.unwrap().clone();
    let pbd = only(&caller.field("SR", &local, "PBDs"));
    let record = |host: &Json, config: Json| json!({"host": host, "SR": local, "device_config": config, "other_config": {"a": "b"}});
    assert_eq!(
        caller.fault("PBD.create", [record(&phantom, json!({}))]),
        format!("PBD_EXISTS [{}, {}, {}]", text(&local), text(&phantom), text(&pbd))
    );
    let fault = caller.fault("PBD.create", [record(&member, json!({"SRmaster": "true"}))]);
    assert!(fault.starts_with("VALUE_NOT_SUPPORTED [device_config, SRmaster"), "{fault}");
    let second = caller.call("PBD.create", [record(&member, json!({"device": "/dev/sdb"}))]);
    assert_eq!(caller.field("PBD", &second, "other_config"), json!({}));
    assert_eq!(
        caller.fault("PBD.plug", [second]),
        format!("SR_NOT_SHARABLE [{}, {}]", text(&local), text(&member))
    );
    assert!(
        caller.fault("SR.set_shared", [local, json!(false)]).starts_with("SR_HAS_MULTIPLE_PBDS")
    );
}

#[test]
fn an_sr_is_destroyed_only_when_it_is_empty_and_attached_once() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let nfs = caller.named("SR", "NFS");
    assert!(caller.fault("SR.destroy", [nfs]).starts_with("SR_HAS_PBD"));
    let phantom = host(&caller, "phantom");
    let args = [
        phantom,
        json!({"device": "/dev/sdc"}),
        json!("0"),
        json!("scratch"),
        json!(""),
        json!("ext"),
        json!("user"),
        json!(false),
        json!({}),
    ];
    let scratch = caller.call("SR.create", args);
    let disk = json!({
        "name_label": "d", "name_description": "", "SR": scratch, "virtual_size": 1, "type": "user",
        "sharable": false, "read_only": false, "other_config": {},
    });
    let disk = caller.call("VDI.create", [disk]);
    assert_eq!(caller.fault("SR.destroy", [scratch.clone()]), "SR_NOT_EMPTY");
    caller.call("VDI.destroy", [disk]);
    let mark = [scratch.clone(), json!("indestructible"), json!("true")];
    caller.call("SR.add_to_other_config", mark);
    assert!(caller.fault("SR.destroy", [scratch.clone()]).starts_with("SR_INDESTRUCTIBLE"));
    caller.call("SR.remove_from_other_config", [scratch.clone(), json!("indestructible")]);
    caller.call("SR.destroy", [scratch.clone()]);
    assert!(caller.fault("SR.scan", [scratch]).starts_with("HANDLE_INVALID"));
}

#[test]
fn an_introduced_sr_knows_its_size_once_it_is_attached() {
    let world = World::story(1);
    let ignite = Caller::login(&world, "ignite");
    let sr = ignite.named("SR", "Ignite NFS");
    let uuid = ignite.field("SR", &sr, "uuid");
    let introduce = |kind: &str| {
        let texts = [uuid.clone(), json!("again"), json!(""), json!(kind), json!("user")];
        let [a, b, c, d, e] = texts;
        [a, b, c, d, e, json!(true)]
    };
    assert_eq!(
        ignite.fault("SR.introduce", introduce("nfs")),
        format!("SR_UUID_EXISTS [{}]", text(&uuid))
    );
    let pbd = only(&ignite.field("SR", &sr, "PBDs"));
    let (me, config) = (host(&ignite, "ignite"), ignite.field("PBD", &pbd, "device_config"));
    ignite.call("PBD.unplug", [pbd]);
    ignite.call("SR.forget", [sr]);
    assert_eq!(ignite.fault("SR.introduce", introduce("odd")), "SR_UNKNOWN_DRIVER [odd]");
    let sr = ignite.call("SR.introduce", introduce("nfs"));
    assert_eq!(ignite.field("SR", &sr, "physical_size"), json!(-1));
    assert!(ignite.fault("SR.scan", [sr.clone()]).starts_with("SR_NOT_ATTACHED"));
    let pbd = json!({"host": me, "SR": sr, "device_config": config, "other_config": {}});
    let pbd = ignite.call("PBD.create", [pbd]);
    ignite.call("PBD.plug", [pbd]);
    assert_eq!(ignite.field("SR", &sr, "physical_size"), json!(1_i64 << 40));
}

#[test]
fn networks_go_only_when_nothing_is_on_them() {
    let world = World::story(1);
    let ignite = Caller::login(&world, "ignite");
    let backup = ignite.named("network", "backup");
    let pif = only(&ignite.field("network", &backup, "PIFs"));
    assert_eq!(
        ignite.fault("network.destroy", [backup.clone()]),
        format!("NETWORK_CONTAINS_PIF [{}]", text(&pif))
    );
    let vlan = ignite.field("PIF", &pif, "VLAN_master_of");
    ignite.call("VLAN.destroy", [vlan]);
    ignite.call("network.destroy", [backup]);

    let eth0 = ignite.named("network", "Pool-wide network associated with eth0");
    let fault = ignite.fault("network.destroy", [eth0]);
    assert!(fault.starts_with("NETWORK_CONTAINS_VIF"), "{fault}");
    let system = ignite.named("network", "Host internal management network");
    let fault = ignite.fault("network.destroy", [system.clone()]);
    assert_eq!(fault, format!("CANNOT_DESTROY_SYSTEM_NETWORK [{}]", text(&system)));
}

#[test]
fn networks_get_a_bridge_of_their_own() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let create = |bridge: &str| {
        json!({
            "name_label": "n", "name_description": "", "MTU": 1500, "other_config": {},
            "bridge": bridge, "managed": true, "tags": [],
        })
    };
    for reserved in ["xenbr7", "xapi7", "vif1.0", "tap0", "eth5"] {
        let fault = caller.fault("network.create", [create(reserved)]);
        assert_eq!(fault, format!("INVALID_VALUE [bridge, {reserved}]"));
    }
    let own = caller.call("network.create", [create("br-own")]);
    assert_eq!(caller.field("network", &own, "bridge"), "br-own");
    assert_eq!(caller.fault("network.create", [create("br-own")]), "BRIDGE_NAME_EXISTS [br-own]");
    // The pool's "private" network has xapi0.
    let next = caller.call("network.create", [create("")]);
    assert_eq!(caller.field("network", &next, "bridge"), "xapi1");
}

#[test]
fn vlans_bonds_and_tunnels_come_and_go() {
    let world = World::story(1);
    let ignite = Caller::login(&world, "ignite");
    let networks = ["one", "two", "three"].map(|label| {
        let record = json!({
            "name_label": label, "name_description": "", "MTU": 1500, "other_config": {}, "tags": [],
        });
        ignite.call("network.create", [record])
    });
    let pif_of = |label: &str| {
        let network = ignite.named("network", label);
        only(&ignite.field("network", &network, "PIFs"))
    };
    let eth0 = pif_of("Pool-wide network associated with eth0");
    let eth1 = pif_of("Pool-wide network associated with eth1");
    let vlan = |tag: i64| [eth1.clone(), json!(tag), networks[0].clone()];
    assert_eq!(ignite.fault("VLAN.create", vlan(4095)), "VLAN_TAG_INVALID [4095]");
    assert_eq!(ignite.fault("VLAN.create", vlan(42)), "PIF_VLAN_EXISTS [eth1]");
    let made = ignite.call("VLAN.create", vlan(7));
    let untagged = ignite.field("VLAN", &made, "untagged_PIF");
    assert_eq!(ignite.field("PIF", &untagged, "VLAN"), json!(7));
    let me = host(&ignite, "ignite");
    assert_eq!(
        ignite.fault("VLAN.create", vlan(8)),
        format!("NETWORK_ALREADY_CONNECTED [{}, {}]", text(&me), text(&untagged))
    );
    let on_vlan = [untagged.clone(), json!(9), networks[1].clone()];
    assert_eq!(ignite.fault("VLAN.create", on_vlan), format!("PIF_IS_VLAN [{}]", text(&untagged)));

    let members = json!([eth0, eth1]);
    let bond = [networks[1].clone(), members, json!(""), json!("active-backup")];
    let bond = ignite.call("Bond.create", bond);
    let master = ignite.field("Bond", &bond, "master");
    assert_eq!(ignite.field("PIF", &master, "management"), json!(true));
    assert_eq!(ignite.field("PIF", &master, "IP"), "10.0.0.2");
    assert_eq!(ignite.field("PIF", &eth0, "IP"), "");
    let management = ignite.call("host.get_management_interface", [me]);
    assert_eq!(management, master);
    let slave = [eth0.clone(), json!(9), networks[2].clone()];
    assert!(ignite.fault("VLAN.create", slave).starts_with("CANNOT_ADD_VLAN_TO_BOND_SLAVE"));
    ignite.call("Bond.destroy", [bond]);
    assert_eq!(ignite.field("PIF", &eth0, "management"), json!(true));
    assert_eq!(ignite.field("PIF", &eth0, "IP"), "10.0.0.2");

    let tunnel = ignite.call("tunnel.create", [eth1.clone(), networks[2].clone()]);
    assert!(ignite.fault("PIF.forget", [eth1.clone()]).starts_with("PIF_TUNNEL_STILL_EXISTS"));
    ignite.call("tunnel.destroy", [tunnel]);
    assert!(ignite.fault("PIF.forget", [eth1]).starts_with("PIF_VLAN_STILL_EXISTS"));
    assert!(ignite.fault("PIF.unplug", [eth0]).starts_with("PIF_IS_MANAGEMENT_INTERFACE"));
    assert_eq!(world.count("ignite", "tunnel") + world.count("ignite", "Bond"), 0);
}

#[test]
fn a_pool_vlan_is_made_on_every_host() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let phantom = host(&caller, "phantom");
    let pif = caller.call("host.get_management_interface", [phantom]);
    let network = caller.named("network", "private");
    let args = [pif, network.clone(), json!(12)];
    let pifs = caller.call("pool.create_VLAN_from_PIF", args);
    assert_eq!(pifs.as_array().unwrap().len(), 2);
    assert_eq!(world.count("phantom", "VLAN"), 2);
}

#[test]
fn vms_go_through_their_power_states() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let vm = caller.named("VM", "build");
    let power = || caller.field("VM", &vm, "power_state");
    assert_eq!(
        caller.fault("VM.resume", [vm.clone(), json!(false), json!(false)]),
        format!("VM_BAD_POWER_STATE [{}, suspended, halted]", text(&vm))
    );
    let before = world.now();
    caller.call("VM.start", [vm.clone(), json!(false), json!(false)]);
    assert_eq!((world.now() - before).as_secs(), 3);
    assert_eq!(power(), "Running");
    let vbd = only(&caller.field("VM", &vm, "VBDs"));
    assert_eq!(caller.field("VBD", &vbd, "currently_attached"), json!(true));
    caller.call("VM.pause", [vm.clone()]);
    assert_eq!(power(), "Paused");
    caller.call("VM.unpause", [vm.clone()]);
    caller.call("VM.suspend", [vm.clone()]);
    assert_eq!(power(), "Suspended");
    let image = caller.field("VM", &vm, "suspend_VDI");
    assert_eq!(caller.field("VDI", &image, "type"), "suspend");
    assert_eq!(caller.field("VM", &vm, "resident_on"), "OpaqueRef:NULL");
    caller.call("VM.resume", [vm.clone(), json!(false), json!(false)]);
    assert!(caller.fault("VDI.get_record", [image]).starts_with("HANDLE_INVALID"));
    assert_eq!(
        caller.fault("VM.destroy", [vm.clone()]),
        format!("VM_BAD_POWER_STATE [{}, halted, suspended, running]", text(&vm))
    );
    caller.call("VM.shutdown", [vm.clone()]);
    assert_eq!(power(), "Halted");
    assert_eq!(
        caller.fault("VM.hard_shutdown", [vm.clone()]),
        format!("VM_BAD_POWER_STATE [{}, paused, suspended, running, halted]", text(&vm))
    );
    let disks = world.count("phantom", "VDI");
    caller.call("VM.destroy", [vm.clone()]);
    assert_eq!(
        caller.fault("VM.get_record", [vm.clone()]),
        format!("HANDLE_INVALID [VM, {}]", text(&vm))
    );
    assert_eq!(world.count("phantom", "VDI"), disks, "the disks stay");
}

#[test]
fn what_is_no_ordinary_vm_is_left_alone() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let template = caller.named("VM", "Debian Bookworm 12");
    let start = |vm: &Json| [vm.clone(), json!(false), json!(false)];
    assert_eq!(
        caller.fault("VM.start", start(&template)),
        format!("VM_IS_TEMPLATE [{}, start]", text(&template))
    );
    assert_eq!(caller.fault("VM.destroy", [template]), "VM_CANNOT_DELETE_DEFAULT_TEMPLATE");
    let dom0 = caller.named("VM", "Control domain on host: phantom");
    assert!(caller.fault("VM.clean_shutdown", [dom0.clone()]).starts_with("OPERATION_NOT_ALLOWED"));
    assert_eq!(
        caller.fault("VM.power_state_reset", [dom0.clone()]),
        format!("CANNOT_RESET_CONTROL_DOMAIN [{}]", text(&dom0))
    );
    let build = caller.named("VM", "build");
    caller.call("VM.set_blocked_operations", [build.clone(), json!({"start": "NO_REASON"})]);
    assert_eq!(
        caller.fault("VM.start", start(&build)),
        format!("OPERATION_BLOCKED [{}, NO_REASON]", text(&build))
    );
    caller.call("VM.remove_from_blocked_operations", [build.clone(), json!("start")]);
    caller.call("VM.set_memory_static_max", [build.clone(), json!(1_i64 << 50)]);
    assert_eq!(caller.fault("VM.start", start(&build)), "NO_HOSTS_AVAILABLE");
}

#[test]
fn a_vm_moves_to_a_host_that_can_take_it() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let (phantom, member) = (host(&caller, "phantom"), host(&caller, "member"));
    let (web, local) = (caller.named("VM", "web"), caller.named("VM", "local"));
    let to = |vm: &Json, host: &Json| [vm.clone(), host.clone(), json!({})];
    let fault = caller.fault("VM.pool_migrate", to(&local, &member));
    assert!(fault.starts_with("VM_REQUIRES_SR"), "{fault}");
    caller.call("VM.pool_migrate", to(&web, &phantom));
    assert_eq!(caller.field("VM", &web, "resident_on"), phantom);
    caller.call("host.disable", [member.clone()]);
    let fault = caller.fault("VM.pool_migrate", to(&web, &member));
    assert_eq!(fault, format!("HOST_DISABLED [{}]", text(&member)));
    let halted = caller.named("VM", "build");
    let fault = caller.fault("VM.pool_migrate", to(&halted, &phantom));
    assert_eq!(fault, format!("VM_BAD_POWER_STATE [{}, running, halted]", text(&halted)));
}

#[test]
fn a_host_is_evacuated_or_says_what_stays() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let (phantom, member) = (host(&caller, "phantom"), host(&caller, "member"));
    let (web, local) = (caller.named("VM", "web"), caller.named("VM", "local"));
    caller.call("host.assert_can_evacuate", [member.clone()]);
    caller.call("host.evacuate", [member.clone()]);
    assert_eq!(caller.field("VM", &web, "resident_on"), phantom);
    assert_eq!(caller.field("host", &member, "enabled"), json!(true), "it is not disabled by that");

    let vbd = only(&caller.field("VM", &local, "VBDs"));
    let vdi = caller.field("VBD", &vbd, "VDI");
    let sr = caller.field("VDI", &vdi, "SR");
    let why = json!(["VM_REQUIRES_SR", local, sr]);
    let obstacles = caller.call("host.get_vms_which_prevent_evacuation", [phantom.clone()]);
    assert_eq!(obstacles, json!({ text(&local): why }));
    let packed = format!("VM_REQUIRES_SR,{},{}", text(&local), text(&sr));
    assert_eq!(
        caller.fault("host.assert_can_evacuate", [phantom.clone()]),
        format!("CANNOT_EVACUATE_HOST [{packed}]")
    );
    let fault = caller.fault("host.evacuate", [phantom.clone()]);
    assert_eq!(fault, format!("VM_REQUIRES_SR [{}, {}]", text(&local), text(&sr)));
    caller.call("host.disable", [member]);
    let fault = caller.fault("host.evacuate", [phantom]);
    assert!(fault.starts_with("NO_HOSTS_AVAILABLE ["), "{fault}");
}

#[test]
fn maintenance_needs_a_disabled_host() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let member = host(&caller, "member");
    assert_eq!(caller.fault("host.reboot", [member.clone()]), "HOST_NOT_DISABLED");
    caller.call("host.disable", [member.clone()]);
    caller.call("host.disable", [member.clone()]);
    let allowed = caller.field("host", &member, "allowed_operations");
    assert!(allowed.as_array().unwrap().contains(&json!("reboot")), "{allowed}");
    caller.call("host.enable", [member.clone()]);
    let guidance = |database: &mut xcp_pool::simulator::database::Database| {
        let member = database.by_name_label("host", "member").remove(0);
        database.set("host", &member, "enabled", false)?;
        database.set("host", &member, "pending_guidances", Value::texts(["reboot_host"]))
    };
    world.act(|scene| scene.edit("phantom", guidance)).unwrap();
    assert_eq!(
        caller.fault("host.enable", [member.clone()]),
        format!("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY [{}]", text(&member))
    );
    assert_eq!(
        caller.fault("host.power_on", [member.clone()]),
        format!("HOST_IS_LIVE [{}]", text(&member))
    );
}

#[test]
fn a_living_host_is_not_forgotten() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    for name in ["member", "phantom"] {
        let host = host(&caller, name);
        let live = format!("HOST_IS_LIVE [{}]", text(&host));
        assert_eq!(caller.fault("host.destroy", [host.clone()]), live);
        assert_eq!(caller.fault("host.declare_dead", [host]), live);
    }
}

#[test]
fn a_dead_host_is_declared_so_and_forgotten() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let (member, web) = (host(&caller, "member"), caller.named("VM", "web"));
    world.power_off("member");
    assert_eq!(
        caller.fault("host.destroy", [member.clone()]),
        format!("HOST_HAS_RESIDENT_VMS [{}]", text(&member))
    );
    caller.call("host.declare_dead", [member.clone()]);
    assert_eq!(caller.field("VM", &web, "power_state"), "Halted");
    assert_eq!(
        caller.fault("host.disable", [member.clone()]),
        format!("HOST_OFFLINE [{}]", text(&member))
    );
    let (pifs, srs) = (world.count("phantom", "PIF"), world.count("phantom", "SR"));
    caller.call("host.destroy", [member]);
    assert_eq!(world.count("phantom", "host"), 1);
    caller.sleep(31);
    assert_eq!(world.count("phantom", "PIF"), pifs / 2, "its PIFs are collected");
    assert_eq!(world.count("phantom", "SR"), srs, "its SRs are not forgotten");
}

#[test]
fn setters_keep_maps_and_sets_as_the_server_does() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let pool = only(&caller.call("pool.get_all", []));
    for tag in ["a", "b", "a"] {
        caller.call("pool.add_tags", [pool.clone(), json!(tag)]);
    }
    assert_eq!(caller.field("pool", &pool, "tags"), json!(["b", "a"]));
    caller.call("pool.remove_tags", [pool.clone(), json!("b")]);
    assert_eq!(caller.field("pool", &pool, "tags"), json!(["a"]));
    let writes = world.writes();
    caller.call("pool.set_tags", [pool.clone(), json!(["a"])]);
    assert_eq!(world.writes(), writes, "nothing is written that changes nothing");
    caller.call("SR.set_name_label", [caller.named("SR", "NFS"), json!("NAS")]);
    caller.named("SR", "NAS");
    assert_eq!(
        caller.fault("VM.snapshot", [json!("x"), json!("y")]),
        "NOT_IMPLEMENTED [VM.snapshot]"
    );
}

#[test]
fn an_old_release_lacks_fields_and_calls() {
    let spec = PoolSpec::new("", Release::XcpNg82).host("old", "10.0.0.9");
    let world = World::builder().pool(spec).build().unwrap();
    let caller = Caller::login(&world, "old");
    let host = host(&caller, "old");
    let record = caller.call("host.get_record", [host.clone()]);
    assert!(record.get("pending_guidances").is_none());
    assert_eq!(record["software_version"]["db_schema"], "5.603");
    assert_eq!(
        caller.fault("host.get_pending_guidances", [host.clone()]),
        "MESSAGE_METHOD_UNKNOWN [host.get_pending_guidances]"
    );
    assert_eq!(
        caller.fault("host.evacuate", [host.clone(), json!("OpaqueRef:NULL")]),
        "MESSAGE_PARAMETER_COUNT_MISMATCH [host.evacuate, 1, 2]"
    );
    let allowed = caller.field("host", &host, "allowed_operations");
    assert!(!allowed.as_array().unwrap().contains(&json!("enable")), "{allowed}");
}

#[test]
fn a_running_vm_moves_to_another_pool_with_its_disks() {
    let world = World::story(1);
    let (phantom, ignite) = (Caller::login(&world, "phantom"), Caller::login(&world, "ignite"));
    let vm = ignite.named("VM", "monitor");
    let (uuid, vif) = (ignite.field("VM", &vm, "uuid"), only(&ignite.field("VM", &vm, "VIFs")));
    let vbd = only(&ignite.field("VM", &vm, "VBDs"));
    let (vdi, mac) = (ignite.field("VBD", &vbd, "VDI"), ignite.field("VIF", &vif, "MAC"));
    let network = phantom.named("network", "Pool-wide network associated with eth0");
    let (target, sr) = (host(&phantom, "phantom"), phantom.named("SR", "VM storage"));
    let receive = [target.clone(), network.clone(), json!({})];
    let there = phantom.call("host.migrate_receive", receive);
    let send =
        |vdis: Json, vifs: Json| [vm.clone(), there.clone(), json!(true), vdis, vifs, json!({})];
    let vifs = json!({ text(&vif): network });
    let fault = ignite.fault("VM.migrate_send", send(json!({}), vifs.clone()));
    assert_eq!(fault, format!("VDI_NOT_IN_MAP [{}]", text(&vdi)));
    let vdis = json!({ text(&vdi): sr });
    let fault = ignite.fault("VM.migrate_send", send(vdis.clone(), json!({})));
    assert_eq!(fault, format!("VIF_NOT_IN_MAP [{}]", text(&vif)));
    let arrived = ignite.call("VM.migrate_send", send(vdis, vifs));
    assert!(ignite.fault("VM.get_record", [vm]).starts_with("HANDLE_INVALID"));
    assert!(ignite.fault("VDI.get_record", [vdi]).starts_with("HANDLE_INVALID"));
    let record = phantom.call("VM.get_record", [arrived]);
    assert_eq!((record["uuid"].clone(), record["power_state"].clone()), (uuid, json!("Running")));
    assert_eq!(record["resident_on"], target);
    let vif = only(&record["VIFs"]);
    assert_eq!(phantom.field("VIF", &vif, "MAC"), mac);
    let disk = phantom.field("VBD", &only(&record["VBDs"]), "VDI");
    assert_eq!(phantom.field("VDI", &disk, "SR"), sr);
}

#[test]
fn ha_needs_shared_storage_and_stands_in_the_way_of_destroying_hosts() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let pool = only(&caller.call("pool.get_all", []));
    assert_eq!(caller.fault("pool.disable_ha", []), "HA_NOT_ENABLED");
    let locals = caller.call("SR.get_by_name_label", [json!("Local storage")]);
    let local = locals[0].clone();
    let fault = caller.fault("pool.enable_ha", [json!([local]), json!({})]);
    assert_eq!(fault, format!("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED [{}]", text(&local)));
    caller.call("pool.enable_ha", [json!([]), json!({})]);
    assert_eq!(caller.fault("pool.enable_ha", [json!([]), json!({})]), "HA_IS_ENABLED");
    let statefile = only(&caller.field("pool", &pool, "ha_statefiles"));
    let sr = caller.field("VDI", &statefile, "SR");
    assert_eq!(sr, caller.named("SR", "NFS"));
    let allowed = caller.field("pool", &pool, "allowed_operations");
    assert!(allowed.as_array().unwrap().contains(&json!("ha_disable")), "{allowed}");
    let pbd = caller.field("SR", &sr, "PBDs")[0].clone();
    for vm in ["web", "local"] {
        caller.call("VM.shutdown", [caller.named("VM", vm)]);
    }
    assert_eq!(caller.fault("PBD.unplug", [pbd]), "HA_IS_ENABLED");
    let member = host(&caller, "member");
    world.power_off("member");
    caller.call("host.declare_dead", [member.clone()]);
    assert_eq!(caller.fault("host.destroy", [member]), "HA_IS_ENABLED");
    caller.call("pool.disable_ha", []);
    assert_eq!(caller.field("pool", &pool, "ha_enabled"), json!(false));
    assert_eq!(
        caller
            .field("SR", &sr, "VDIs")
            .as_array()
            .unwrap()
            .iter()
            .position(|vdi| *vdi == statefile),
        None
    );
}

#[test]
fn what_stands_in_a_joins_way_can_be_set_right() {
    let edit = |database: &mut xcp_pool::simulator::database::Database| {
        let ignite = database.by_name_label("host", "ignite").remove(0);
        database.set("host", &ignite, "external_auth_type", "AD")?;
        database.set("host", &ignite, "edition", "odd")?;
        database.set("host", &ignite, "editions", Value::texts(["xcp-ng", "odd"]))?;
        database.set(
            "host",
            &ignite,
            "pending_guidances",
            Value::texts(["restart_toolstack", "reboot_host"]),
        )?;
        let pool = database.refs("pool").remove(0);
        database.set("pool", &pool, "tls_verification_enabled", false)?;
        let ca = [("type", Value::text("ca")), ("name", Value::text("own.pem"))];
        database.create("Certificate", "OpaqueRef:ca", ca)?;
        database.create("Cluster_host", "OpaqueRef:cluster-host", [("enabled", true.into())])
    };
    let spec = PoolSpec::new("", Release::Newest).host("ignite", "10.0.0.2").edit(edit);
    let world = World::builder().pool(spec).build().unwrap();
    let caller = Caller::login(&world, "ignite");
    let (ignite, pool) = (host(&caller, "ignite"), only(&caller.call("pool.get_all", [])));
    caller.call("host.disable_external_auth", [ignite.clone(), json!({}), json!(false)]);
    assert_eq!(caller.field("host", &ignite, "external_auth_type"), "");
    let edition = |edition: &str| [ignite.clone(), json!(edition), json!(false)];
    assert_eq!(caller.fault("host.apply_edition", edition("gold")), "INVALID_EDITION [gold]");
    caller.call("host.apply_edition", edition("xcp-ng"));
    assert_eq!(caller.field("host", &ignite, "edition"), "xcp-ng");
    caller.call("pool.enable_tls_verification", []);
    assert_eq!(caller.field("pool", &pool, "tls_verification_enabled"), json!(true));
    let certificate = |name: &str| [json!(name), json!(false)];
    let fault = caller.fault("pool.uninstall_ca_certificate", certificate("x.pem"));
    assert_eq!(fault, "CERTIFICATE_DOES_NOT_EXIST [x.pem]");
    caller.call("pool.uninstall_ca_certificate", certificate("own.pem"));
    caller.call("Cluster_host.disable", [json!("OpaqueRef:cluster-host")]);
    let enabled = caller.field("Cluster_host", &json!("OpaqueRef:cluster-host"), "enabled");
    assert_eq!(enabled, json!(false));
    let controller = [json!("ssl"), json!("10.0.0.50"), json!(6632)];
    let controller = caller.call("SDN_controller.introduce", controller);
    caller.call("SDN_controller.forget", [controller]);
    let network = caller.named("network", "Pool-wide network associated with eth1");
    caller.call("network.add_purpose", [network.clone(), json!("nbd")]);
    assert_eq!(caller.field("network", &network, "purpose"), json!(["nbd"]));
    caller.call("network.remove_purpose", [network.clone(), json!("nbd")]);
    assert_eq!(caller.field("network", &network, "purpose"), json!([]));

    let guidances = |caller: &Caller| caller.field("host", &ignite, "pending_guidances");
    caller.call("host.restart_agent", [ignite.clone()]);
    caller.sleep(30);
    let caller = Caller::login(&world, "ignite");
    assert_eq!(guidances(&caller), json!(["reboot_host"]));
    caller.call("host.disable", [ignite.clone()]);
    caller.call("host.reboot", [ignite.clone()]);
    caller.sleep(120);
    let caller = Caller::login(&world, "ignite");
    assert_eq!(guidances(&caller), json!([]));
    assert_eq!(caller.field("host", &ignite, "enabled"), json!(true));
}

#[test]
fn vms_are_made_by_hand_and_by_cloning() {
    let world = pool();
    let caller = Caller::login(&world, "phantom");
    let build = caller.named("VM", "build");
    let clone = caller.call("VM.clone", [build.clone(), json!("copy")]);
    let (a, b) = (
        caller.call("VM.get_record", [build.clone()]),
        caller.call("VM.get_record", [clone.clone()]),
    );
    assert_eq!(b["name_label"], "copy");
    assert_ne!(a["uuid"], b["uuid"]);
    assert_ne!(a["other_config"]["mac_seed"], b["other_config"]["mac_seed"]);
    let disk = |vm: &Json| caller.field("VBD", &only(&vm["VBDs"]), "VDI");
    assert_ne!(disk(&a), disk(&b));
    caller.call("VM.start", [clone, json!(false), json!(false)]);
    let web = caller.named("VM", "web");
    let fault = caller.fault("VM.clone", [web.clone(), json!("x")]);
    assert_eq!(fault, format!("VM_BAD_POWER_STATE [{}, halted, running]", text(&web)));

    let secret = caller.call("secret.create", [json!({"value": "x", "other_config": {}})]);
    assert_eq!(caller.field("secret", &secret, "value"), "x");
    caller.call("secret.destroy", [secret]);
    let fault = caller.fault("secret.create", [json!({"other_config": {}})]);
    assert_eq!(fault, "INTERNAL_ERROR [Failure(\"Field value not present in rpc\")]");
    let network = caller.named("network", "private");
    let vif = json!({
        "device": "1", "network": network, "VM": build, "MAC": "", "MTU": 1500, "other_config": {},
        "qos_algorithm_type": "", "qos_algorithm_params": {},
    });
    let vif = caller.call("VIF.create", [vif]);
    assert!(text(&caller.field("VIF", &vif, "MAC")).starts_with("02:"));
    caller.call("VIF.destroy", [vif]);
    let vif = only(&caller.field("VM", &web, "VIFs"));
    assert!(caller.fault("VIF.destroy", [vif]).starts_with("OPERATION_NOT_ALLOWED"));
}
