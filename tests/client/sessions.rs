//! Sessions, trust, queries and tasks of the client against a simulated pool on real sockets, when
//! nothing fails but the caller, the password or the host's identity.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{HOSTS, builder, credentials, endpoint, http, lab, log_in, seconds, times};
use xcp_pool::ErrorKind;
use xcp_pool::client::{Client, Credentials, LoginFailure, OneHost, Scope, TaskEnd};
use xcp_pool::election::HostRole;
use xcp_pool::model::{Host, Ref, Vm};
use xcp_pool::simulator::database::Value;
use xcp_pool::simulator::{Front, Injection, PoolSpec, Release, Trouble, VmSpec, World};
use xcp_pool::transport::{Cancel, Fingerprint, Http, Limits, MemoryPins, PinStore, Trust};

const LOGIN: &str = "session.login_with_password";

fn pem(name: &str) -> String {
    let path = format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn host_named(client: &Client, name: &str) -> Ref<Host> {
    client.call::<Vec<Ref<Host>>>("host.get_by_name_label", &(name,)).unwrap().remove(0)
}

#[test]
fn a_caller_that_panics_or_is_cancelled_leaves_no_session() {
    let world = lab(1);
    let front = Front::builder(&world).https(0).start().unwrap();
    let panics = std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let client = log_in(&front, "phantom", seconds(10));
            client.snapshot(Scope::Overview).unwrap();
            assert_eq!(world.open_sessions(), 1);
            panic!("on purpose");
        });
        caller.join().is_err()
    });
    assert!(panics);
    assert_eq!(world.open_sessions(), 0);

    let cancel = Cancel::new();
    let client = builder(&front, seconds(60)).cancel(cancel.clone());
    let client = client.connect_to(&endpoint(&front, "ignite"), &credentials()).unwrap();
    world.trouble(Injection::new(Trouble::Silence).method("host.get_all"));
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            cancel.cancel();
        });
        let error = client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    });
    drop(client);
    assert!(start.elapsed() < seconds(2), "{:?}", start.elapsed());
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn logins_that_fail_are_told_apart_on_the_wire() {
    let world = lab(2);
    let front = Front::builder(&world).https(0).speed(50.0).start().unwrap();
    let fails = |host: &str, credentials: &Credentials| {
        let error = builder(&front, seconds(5))
            .connect_to(&endpoint(&front, host), credentials)
            .unwrap_err();
        LoginFailure::of(&error)
    };
    for credentials in [Credentials::new("root", "wrong"), Credentials::new("nobody", "xcp-test")] {
        assert_eq!(fails("phantom", &credentials), LoginFailure::BadPassword);
        assert_eq!(fails("ember", &credentials), LoginFailure::BadPassword);
    }
    world.power_off("phantom");
    assert_eq!(fails("phantom", &credentials()), LoginFailure::Unreachable);
    assert_eq!(fails("ignite", &credentials()), LoginFailure::Slave);
    // A member that starts without its master has lost its pool.
    world.act(|scene| scene.restart_toolstack("ignite"));
    let start = Instant::now();
    loop {
        match fails("ignite", &credentials()) {
            LoginFailure::Emergency(fault) => {
                assert_eq!(fault.code, "INTERNAL_ERROR");
                break;
            }
            LoginFailure::Unreachable | LoginFailure::StillBooting => {}
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < seconds(20));
    }
    let other = Trust::pins([Fingerprint::of(b"another")]);
    let client = Client::builder(Http::builder().trust(other).build().unwrap());
    let error = client.connect_to(&endpoint(&front, "ember"), &credentials()).unwrap_err();
    assert_eq!(LoginFailure::of(&error), LoginFailure::Certificate);
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn a_host_at_an_ipv6_address_is_reached_and_led_from() {
    let world = lab(3);
    let at = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let front = match Front::builder(&world).https(0).address(at).start() {
        Ok(front) => front,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("NOT TRIED: this machine has no IPv6: {error}");
            return;
        }
    };
    let url = endpoint(&front, "ignite").to_string();
    assert!(url.starts_with("https://[::1]:"), "{url}");
    let client = builder(&front, seconds(10)).connect(&url, &credentials()).unwrap();
    assert_eq!(client.endpoint(), endpoint(&front, "phantom"));
    assert_eq!(client.snapshot(Scope::Overview).unwrap().host.len(), 3);
}

#[test]
fn the_vms_of_one_host_are_read_by_a_question() {
    let world = lab(4);
    let front = Front::builder(&world).https(0).start().unwrap();
    let client = log_in(&front, "phantom", seconds(10));
    let ignite = host_named(&client, "ignite");
    let on_it =
        format!(r#"field "resident_on"="{ignite}" and not (field "is_control_domain"="true")"#);
    let vms = client.records_where::<Vm>(&on_it).unwrap();
    assert_eq!(vms.records().map(|vm| vm.name_label.as_str()).collect::<Vec<_>>(), ["web"]);
    let all = client.records::<Vm>().unwrap();
    assert!(all.len() > vms.len());
    for (reference, vm) in &vms {
        assert_eq!(all.get(reference), Some(vm));
        assert_eq!(&client.record(reference).unwrap(), vm);
    }
    let error = client.records_where::<Vm>("field").unwrap_err();
    assert!(error.is_fault("INVALID_VALUE"), "{error}");
}

#[test]
fn a_task_tells_its_progress_and_can_be_cancelled() {
    let world = lab(5);
    let front = Front::builder(&world).https(0).speed(10.0).start().unwrap();
    let client = log_in(&front, "phantom", seconds(20));
    let ignite = host_named(&client, "ignite");
    let mut told = Vec::new();
    let end = client.task::<()>("host.evacuate", &(&ignite,), &mut |done| told.push(done));
    assert!(matches!(end, Ok(TaskEnd::Done(()))), "{end:?}");
    assert_eq!(told.first(), Some(&0.0));
    assert_eq!(told.last(), Some(&1.0));
    assert!(told.is_sorted(), "{told:?}");
    assert_eq!(world.count("phantom", "task"), 0, "the task was not removed");

    let web = client.call::<Vec<Ref<Vm>>>("VM.get_by_name_label", &("web",)).unwrap().remove(0);
    let home = client.record(&web).unwrap().resident_on;
    let task = client.start("host.evacuate", &(&home,)).unwrap();
    task.cancel().unwrap();
    let end = task.wait::<()>(&mut |_| {}).unwrap();
    assert!(matches!(end, TaskEnd::Cancelled), "{end:?}");
    assert_eq!(client.record(&web).unwrap().resident_on, home);

    // A failure keeps its code and parameters.
    let end = client.task::<()>("pool.eject", &("OpaqueRef:nope",), &mut |_| {}).unwrap();
    let TaskEnd::Failed(error) = end else { panic!("{end:?}") };
    assert!(error.is_fault("HOST_OFFLINE") || error.is_fault("HANDLE_INVALID"), "{error}");
    assert!(error.fault().unwrap().params.contains(&"OpaqueRef:nope".to_owned()), "{error}");
    client.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}

/// A pool whose hosts are served at their own addresses.
fn pool_at_home(seed: u64) -> World {
    let pool = HOSTS
        .iter()
        .enumerate()
        .fold(PoolSpec::new("lab", Release::XcpNg83), |pool, (number, host)| {
            pool.host(host, &format!("127.0.{seed}.{}", number + 1))
        });
    World::builder().seed(seed).pool(pool.vm(VmSpec::halted("spare"))).build().unwrap()
}

#[test]
fn survivors_are_trusted_as_the_dead_master_vouched_for_them_and_no_impostor_is() {
    let world = pool_at_home(77);
    // Somebody sits at Ember's address with a key of his own.
    let front = Front::builder(&world)
        .at_own_addresses()
        .https(0)
        .speed(50.0)
        .certificate(&pem("xapi.pem"))
        .host_certificate("ember", &pem("other.pem"))
        .start()
        .unwrap();
    let shown = front.fingerprint("phantom").unwrap();
    assert_ne!(front.fingerprint("ember"), Some(shown));
    world.act(|scene| {
        let edit = scene.edit("phantom", |database| {
            for certificate in database.refs("Certificate") {
                let text = Value::text(shown.to_string());
                database.set("Certificate", &certificate, "fingerprint_sha256", text.clone())?;
                database.set("Certificate", &certificate, "fingerprint", text)?;
            }
            Ok(())
        });
        edit.unwrap();
    });
    let store = Arc::new(MemoryPins::default());
    let transport = Http::builder().trust(Trust::first_use(store.clone())).build().unwrap();
    let master = endpoint(&front, "phantom");
    let client = Client::builder(transport.clone()).limits(Limits::within(seconds(5)));
    let client = client.connect_to(&master, &credentials()).unwrap();
    let snapshot = client.snapshot(Scope::Preflight).unwrap();
    assert_eq!(transport.remember_members(&snapshot, master.port()).unwrap(), 3);
    assert_eq!(store.pin(&format!("127.0.77.3:{}", master.port())).unwrap(), Some(shown));

    world.power_off("phantom");
    let logins = times(&world, LOGIN);
    let error = client.call::<Vec<Ref<Host>>>("host.get_all", &()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trust, "{error}");
    // Ignite was asked, and said that it is a member; at Ember's nobody was told the password.
    assert_eq!(times(&world, LOGIN), logins + 1);

    let ignite = endpoint(&front, "ignite");
    let local = OneHost::new(http(&front), ignite.clone(), &credentials())
        .limits(Limits::within(seconds(5)))
        .session();
    local.unwrap().call::<()>("pool.emergency_transition_to_master", &()).unwrap();
    let start = Instant::now();
    while client.call::<Vec<Ref<Host>>>("host.get_all", &()).is_err() {
        assert!(start.elapsed() < seconds(10));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((world.role("ignite"), client.endpoint()), (Some(HostRole::Master), ignite));
    client.close().unwrap();
    assert_eq!(world.open_sessions(), 0);
}
