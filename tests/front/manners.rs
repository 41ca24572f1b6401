//! The front's HTTP manners: limits, timeouts, connections, ports that open and close.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::connection::{Answer, Connection, call, request};
use serde_json::{Value as Json, json};
use xcp_pool::ErrorKind;
use xcp_pool::simulator::{Front, PoolSpec, Release, World};

/// A pool of two, `phantom` the master, and `ignite` alone.
fn world() -> World {
    let pool = PoolSpec::new("lab", Release::XcpNg83)
        .host("phantom", "127.0.7.1")
        .host("member", "127.0.7.3");
    let other = PoolSpec::new("", Release::XcpNg83).host("ignite", "127.0.7.2");
    World::builder().seed(5).pool(pool).pool(other).build().unwrap()
}

fn serve(world: &World) -> (Front, SocketAddr) {
    let front = Front::builder(world).http(0).start().unwrap();
    let phantom = address(&front, "phantom");
    (front, phantom)
}

fn address(front: &Front, name: &str) -> SocketAddr {
    front.hosts().iter().find(|host| host.name == name).unwrap().http.unwrap()
}

/// The server has 1024 bytes for a head, and reads 18 before it looks for the end.
const LARGEST_HEAD: usize = 1006;

/// A call without a session that any host answers.
fn list_methods() -> Vec<u8> {
    call("system.listMethods", &json!([])).into_bytes()
}

/// A request whose head has that many bytes.
fn padded(length: usize) -> Vec<u8> {
    let body = list_methods();
    let bare = request("POST", "/jsonrpc", "X: \r\n", &body).len() - body.len();
    let header = format!("X: {}\r\n", "x".repeat(length - bare));
    request("POST", "/jsonrpc", &header, &body)
}

/// What a request on a connection of its own is answered.
fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut connection = Connection::open(address);
    connection.send(request);
    let answer = connection.receive().unwrap();
    assert_eq!(connection.is_over(), answer.header("connection") == "close");
    answer
}

/// Waits for something, but not for ever.
#[track_caller]
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[test]
fn heads_of_a_kibibyte_are_too_large() {
    let (_front, address) = serve(&world());
    assert_eq!(ask_open(address, &padded(LARGEST_HEAD)).status, 200);
    let answer = ask(address, &padded(LARGEST_HEAD + 1));
    assert_eq!((answer.status, answer.reason.as_str()), (431, "Request Header Fields Too Large"));
    assert_eq!(answer.header("content-type"), "text/html");
    assert_eq!(ask(address, &padded(40_000)).status, 431);
    // The limit holds for every request of a connection.
    let mut connection = Connection::open(address);
    connection.send(&padded(900));
    assert_eq!(connection.receive().unwrap().status, 200);
    connection.send(&padded(LARGEST_HEAD + 1));
    assert_eq!(connection.receive().unwrap().status, 431);
}

/// The answer of a connection that stays open.
fn ask_open(address: SocketAddr, request: &[u8]) -> Answer {
    let mut connection = Connection::open(address);
    connection.send(request);
    let answer = connection.receive().unwrap();
    assert_eq!(answer.header("connection"), "keep-alive");
    answer
}

#[test]
fn bodies_above_300_kib_are_a_server_error() {
    let (_front, address) = serve(&world());
    let sized = |size: usize| {
        let mut body = list_methods();
        body.resize(size, b' ');
        request("POST", "/jsonrpc", "", &body)
    };
    assert_eq!(ask_open(address, &sized(300 << 10)).status, 200);
    let answer = ask(address, &sized((300 << 10) + 1));
    assert_eq!((answer.status, answer.reason.as_str()), (500, "Internal Error"));
    assert!(answer.text().contains("Client_requested_size_over_limit"), "{}", answer.text());
}

#[test]
fn a_body_needs_a_length() {
    let (_front, address) = serve(&world());
    for head in [
        "Host: x\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: many\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999\r\n",
    ] {
        let answer = ask(address, format!("POST /jsonrpc HTTP/1.1\r\n{head}\r\n").as_bytes());
        assert_eq!((answer.status, answer.header("content-type")), (500, "text/html"), "{head}");
    }
}

#[test]
fn other_verbs_and_paths_are_refused() {
    let (_front, address) = serve(&world());
    for (verb, path, status) in [
        ("GET", "/", 403),
        ("GET", "/jsonrpc", 403),
        ("GET", "/index.html", 403),
        ("PUT", "/jsonrpc", 403),
        ("POST", "jsonrpc", 403),
        ("CONNECT", "/console", 403),
        ("DELETE", "/jsonrpc", 501),
        ("HEAD", "/jsonrpc", 501),
        ("GET", "/vm_rrd?uuid=x", 401),
        ("GET", "/export?session_id=OpaqueRef%3Anobody", 401),
    ] {
        let answer = ask(address, &request(verb, path, "", b""));
        assert_eq!(answer.status, status, "{verb} {path}");
    }
    for nonsense in ["hello\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "POST  /  x HTTP/1.1\r\n\r\n"] {
        assert_eq!(ask(address, nonsense.as_bytes()).status, 500, "{nonsense}");
    }
    let session = Connection::open(address).log_in();
    let path = format!("/rrd_updates?start=0&session_id={session}");
    assert_eq!(ask(address, &request("GET", &path, "", b"")).status, 404);
}

#[test]
fn paths_that_begin_with_jsonrpc_speak_it_and_all_others_xml() {
    let (_front, address) = serve(&world());
    let xml = "<methodCall><methodName>system.listMethods</methodName></methodCall>";
    for (path, body, kind) in [
        ("/jsonrpcs", list_methods(), "application/json"),
        ("/jsonrpc/x?y", list_methods(), "application/json"),
        ("/%6asonrpc", list_methods(), "application/json"),
        ("http://phantom/jsonrpc", list_methods(), "application/json"),
        ("/json", xml.as_bytes().to_vec(), "text/xml"),
        ("/RPC2", xml.as_bytes().to_vec(), "text/xml"),
        ("/anything", xml.as_bytes().to_vec(), "text/xml"),
    ] {
        let answer = ask_open(address, &request("POST", path, "", &body));
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{path}");
    }
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    let (_front, address) = serve(&world());
    let old = |headers: &str| {
        let text = String::from_utf8(request("POST", "/jsonrpc", headers, &list_methods()));
        ask(address, text.unwrap().replace("HTTP/1.1", "HTTP/1.0").as_bytes())
    };
    let answer = old("");
    assert_eq!((answer.version.as_str(), answer.header("connection")), ("HTTP/1.0", "close"));
    let kept = ask_open(
        address,
        String::from_utf8(request(
            "POST",
            "/jsonrpc",
            "Connection: keep-alive\r\n",
            &list_methods(),
        ))
        .unwrap()
        .replace("HTTP/1.1", "HTTP/1.0")
        .as_bytes(),
    );
    assert_eq!(kept.version, "HTTP/1.0");
}

#[test]
fn many_requests_share_a_connection_and_may_come_together() {
    let (front, address) = serve(&world());
    let mut connection = Connection::open(address);
    let session = connection.log_in();
    for _ in 0..200 {
        let reply = connection.call("pool.get_all", &json!([session]));
        assert_eq!(reply["result"].as_array().unwrap().len(), 1);
    }
    let two: Vec<u8> = (0..2)
        .flat_map(|id| {
            let body = json!({"method": "host.get_all", "params": [session], "id": id});
            request("POST", "/jsonrpc", "", body.to_string().as_bytes())
        })
        .collect();
    connection.send(&two);
    for id in 0..2 {
        assert_eq!(connection.receive().unwrap().json()["id"], id);
    }
    assert_eq!((front.connections(), front.served()), (1, 203));
}

#[test]
fn a_first_head_that_is_slow_times_out_and_a_later_one_does_not() {
    let short = Duration::from_millis(200);
    let builder = Front::builder(&world()).http(0).header_timeouts(short, short * 3);
    let front = builder.start().unwrap();
    let address = address(&front, "phantom");
    let start = Instant::now();
    let answer = ask(address, b"POST /jsonrpc");
    assert_eq!((answer.status, answer.reason.as_str()), (408, "Request Timeout"));
    assert!(start.elapsed() >= short && start.elapsed() < short * 3, "{:?}", start.elapsed());

    // Bytes that keep dripping in are not waited for either.
    let mut dripping = Connection::open(address);
    let start = Instant::now();
    while start.elapsed() < short * 4 {
        // The server may have closed already.
        let _ = dripping.socket.write_all(b"x");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(dripping.receive().unwrap().status, 408);

    let mut connection = Connection::open(address);
    connection.send(&request("POST", "/jsonrpc", "", &list_methods()));
    assert_eq!(connection.receive().unwrap().status, 200);
    std::thread::sleep(short * 4);
    connection.send(&request("POST", "/jsonrpc", "", &list_methods()));
    assert_eq!(connection.receive().unwrap().status, 200);
}

#[test]
fn a_request_that_does_not_come_whole_is_not_carried_out() {
    let world = world();
    let (front, address) = serve(&world);
    let whole = request("POST", "/jsonrpc", "", &list_methods());
    for length in [0, 10, whole.len() - 1] {
        let mut connection = Connection::open(address);
        connection.send(&whole[..length]);
        connection.socket.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(connection.is_over(), "{length} bytes");
    }
    assert_eq!((world.sent(), front.served()), (0, 0));
}

#[test]
fn options_are_answered_for_browsers() {
    let (_front, address) = serve(&world());
    let mut connection = Connection::open(address);
    let asked = "Access-Control-Request-Headers: Content-Type\r\n";
    let answer = connection.ask("OPTIONS", "/jsonrpc", asked, b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Access-Control-Allow-Headers"), "Content-Type, X-Requested-With");
}

#[test]
fn errors_before_the_dispatch_come_in_their_own_envelope() {
    let world = world();
    let (front, _) = serve(&world);
    // A member that has just started does not know yet whether its master wants it.
    world.act(|scene| scene.restart_toolstack("member"));
    let member = address(&front, "member");
    wait_for("the member's xapi ends", || refuses(member));
    wait_for("the member's xapi starts", || !refuses(member));
    let answer = ask_open(member, &request("POST", "/jsonrpc", "", &list_methods()));
    let error = json!({"jsonrpc": "2.0", "error": ["HOST_STILL_BOOTING"], "id": 0});
    assert_eq!(answer.json(), error);
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("Access-Control")));
    let xml = "<methodCall><methodName>pool.get_all</methodName></methodCall>";
    let answer = ask_open(member, &request("POST", "/", "", xml.as_bytes()));
    assert!(answer.text().contains(
        "<value>Failure</value></member><member><name>ErrorDescription</name><value><array><data>\
         <value>HOST_STILL_BOOTING</value></data></array></value>"
    ));
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("Access-Control")));
}

#[test]
fn a_host_without_power_refuses_connections_until_it_has_booted() {
    let world = world();
    let (front, phantom) = serve(&world);
    let ignite = address(&front, "ignite");
    let mut idle = Connection::open(phantom);
    let session = idle.log_in();
    let mut waiting = Connection::open(phantom);
    let params = json!([session, ["pool"], waiting_token(&mut waiting, &session), 600.0]);
    waiting.send(&request("POST", "/jsonrpc", "", call("event.from", &params).as_bytes()));
    std::thread::sleep(Duration::from_millis(100));
    world.power_off("phantom");
    wait_for("it refuses", || refuses(phantom));
    assert!(idle.receive().is_err() && waiting.receive().is_err());
    assert_eq!(ask_open(ignite, &request("POST", "/jsonrpc", "", &list_methods())).status, 200);
    world.power_on("phantom");
    assert!(refuses(phantom), "it takes a minute to boot");
    world.advance(Duration::from_secs(61));
    wait_for("it answers", || !refuses(phantom));
    Connection::open(phantom).log_in();
}

/// The token of a world in which nothing has happened since.
fn waiting_token(connection: &mut Connection, session: &str) -> Json {
    let reply = connection.call("event.from", &json!([session, ["pool"], "", 1.0]));
    reply["result"]["token"].clone()
}

#[test]
fn events_are_waited_for_in_real_time() {
    let world = world();
    let (_front, address) = serve(&world);
    let mut connection = Connection::open(address);
    let session = connection.log_in();
    let token = waiting_token(&mut connection, &session);
    let start = Instant::now();
    let reply = connection.call("event.from", &json!([session, ["pool"], token, 0.4]));
    assert_eq!(reply["result"]["events"], json!([]));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(3), "{took:?}");

    let (start, token) = (Instant::now(), reply["result"]["token"].clone());
    let changer = std::thread::spawn(move || {
        let mut connection = Connection::open(address);
        let session = connection.log_in();
        let pools = connection.call("pool.get_all", &json!([session]));
        std::thread::sleep(Duration::from_millis(300));
        let params = json!([session, pools["result"][0], "renamed"]);
        connection.call("pool.set_name_label", &params);
    });
    let reply = connection.call("event.from", &json!([session, ["pool"], token, 60.0]));
    changer.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let event = &reply["result"]["events"][0];
    assert_eq!((&event["operation"], &event["class"]), (&json!("mod"), &json!("pool")));
    assert_eq!(event["snapshot"]["name_label"], "renamed");
}

#[test]
fn time_can_pass_faster_than_really() {
    let world = world();
    let front = Front::builder(&world).http(0).speed(600.0).start().unwrap();
    let mut connection = Connection::open(address(&front, "phantom"));
    let session = connection.log_in();
    let token = waiting_token(&mut connection, &session);
    let (start, before) = (Instant::now(), world.now());
    connection.call("event.from", &json!([session, ["pool"], token, 120.0]));
    assert!(world.now() - before >= Duration::from_secs(120));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok).filter(is_front).count()
}

/// Whether a thread is one of a front's; other tests run beside this one.
#[cfg(target_os = "linux")]
fn is_front(task: &std::fs::DirEntry) -> bool {
    let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    name.starts_with("front of stops")
}

#[test]
fn stopping_ends_every_thread_and_frees_the_ports() {
    let pool = PoolSpec::new("lab", Release::XcpNg83).host("stops", "127.0.7.9");
    let world = World::builder().pool(pool).build().unwrap();
    let front = Front::builder(&world).http(0).start().unwrap();
    let address = address(&front, "stops");
    let mut first = Connection::open(address);
    let session = first.log_in();
    let token = waiting_token(&mut first, &session);
    let body = call("event.from", &json!([session, ["pool"], token, 3600.0]));
    let mut waiting: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = Connection::open(address);
            connection.send(&request("POST", "/jsonrpc", "", body.as_bytes()));
            connection
        })
        .collect();
    // Some are idle, some in the middle of a request.
    let mut half = Connection::open(address);
    half.send(b"POST /jsonrpc HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
    wait_for("all are served", || front.connections() == 102 && front.served() == 102);
    #[cfg(target_os = "linux")]
    assert_eq!(threads(), 102);
    let start = Instant::now();
    front.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    #[cfg(target_os = "linux")]
    assert_eq!(threads(), 0);
    for connection in waiting.iter_mut().chain([&mut first, &mut half]) {
        assert!(connection.receive().is_err());
    }
    TcpListener::bind(address).unwrap();
    // The clock is the caller's again.
    let before = world.now();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(world.now(), before);
}

#[test]
fn hosts_can_be_served_at_addresses_and_ports_of_their_own() {
    let world = world();
    let front = Front::builder(&world).http(0).at_own_addresses().start().unwrap();
    let ports: Vec<_> = front.hosts().iter().map(|host| host.http.unwrap().port()).collect();
    for host in front.hosts() {
        assert_eq!(host.http.unwrap().ip().to_string(), host.address);
        assert_eq!(host.endpoint().unwrap().to_string(), format!("http://{}", host.http.unwrap()));
    }
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");

    // A redirect leads somewhere.
    let member = address(&front, "member");
    let mut connection = Connection::open(member);
    let reply = connection.call("session.login_with_password", &json!(["root", "xcp-test"]));
    assert_eq!(reply["error"]["message"], "HOST_IS_SLAVE");
    let master: Ipv4Addr = reply["error"]["data"][0].as_str().unwrap().parse().unwrap();
    Connection::open((master, member.port()).into()).log_in();

    let second =
        Front::builder(&world).http(0).host_address("IGNITE", Ipv4Addr::new(127, 0, 7, 4).into());
    let second = second.start().unwrap();
    assert_eq!(address(&second, "ignite").ip().to_string(), "127.0.7.4");
    assert_eq!(address(&second, "phantom").ip().to_string(), "127.0.0.1");
    let addresses: Vec<_> = second.addresses().map(|(address, _)| address).collect();
    assert_eq!(addresses, ["127.0.7.1", "127.0.7.3", "127.0.7.2"]);
    assert_eq!(second.endpoint("127.0.7.2"), second.endpoint("Ignite"));
}

#[test]
fn what_cannot_be_served_is_refused() {
    let world = world();
    let kind = |builder: xcp_pool::simulator::FrontBuilder| builder.start().unwrap_err().kind();
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let builder = Front::builder(&world).http(0).speed(speed);
        assert_eq!(kind(builder), ErrorKind::InvalidInput, "{speed}");
    }
    let ip = Ipv4Addr::LOCALHOST.into();
    let stranger = Front::builder(&world).http(0).host_address("nobody", ip);
    assert_eq!(kind(stranger), ErrorKind::InvalidInput);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert_eq!(kind(Front::builder(&world).http(port)), ErrorKind::Transport);
    let pool = PoolSpec::new("", Release::XcpNg83).host("named", "named.lan");
    let named = World::builder().pool(pool).build().unwrap();
    assert_eq!(kind(Front::builder(&named).at_own_addresses()), ErrorKind::InvalidInput);
    Front::builder(&named).http(0).start().unwrap();
}
