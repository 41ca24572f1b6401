//! The client over real sockets: what is sent to whom, and how often, when connections break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::http_server::{Asked, Server, Stream, certificate, fingerprint, hang_up, ok};
use rustls::version::{TLS12, TLS13};
use xcp_pool::client::{Client, Credentials, LoginFailure};
use xcp_pool::model::{Class, Host, Ref};
use xcp_pool::transport::{Http, Limits, MemoryPins, Trust};
use xcp_pool::{Error, ErrorKind};

const VOID: &str = r#"{"jsonrpc":"2.0","result":"","id":1}"#;
const LOGIN: &str = r#"{"jsonrpc":"2.0","result":"OpaqueRef:s1","id":1}"#;
const POOL: &str = r#"{"jsonrpc":"2.0","result":{"OpaqueRef:p":{"uuid":"pool-1"}},"id":1}"#;
const HOSTS: &str = r#"{"jsonrpc":"2.0","result":["OpaqueRef:h"],"id":1}"#;

fn credentials() -> Credentials {
    Credentials::new("root", "hunter2")
}

fn method(asked: &Asked) -> String {
    let call: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    call["method"].as_str().unwrap().to_owned()
}

fn methods(server: &Server) -> Vec<String> {
    server.asked().iter().map(method).collect()
}

/// What a master answers to calls that a test is not about.
fn usual(asked: &Asked) -> Option<&'static str> {
    match method(asked).as_str() {
        "session.login_with_password" => Some(LOGIN),
        "session.logout" => Some(VOID),
        "pool.get_all_records" => Some(POOL),
        _ => None,
    }
}

fn plain() -> Http {
    Http::builder().danger_allow_plain_http().build().unwrap()
}

fn hosts(client: &Client) -> Result<Vec<Ref<Host>>, Error> {
    client.call("host.get_all", &())
}

#[test]
fn a_whole_session_is_one_connection() {
    for version in [&TLS12, &TLS13] {
        let server = Server::tls(certificate("xapi.pem", version), |asked, stream| {
            ok(stream, usual(asked).unwrap_or(HOSTS))
        });
        let http = Http::builder().trust(Trust::pins([fingerprint("xapi.pem")])).build().unwrap();
        let address = server.endpoint().to_string();
        let client = Client::connect(http, &address, &credentials()).unwrap();
        for _ in 0..3 {
            hosts(&client).unwrap();
        }
        client.close().unwrap();
        assert_eq!(server.connections(), 1);
        let host = "host.get_all";
        let expected = [
            "session.login_with_password",
            "pool.get_all_records",
            host,
            host,
            host,
            "session.logout",
        ];
        assert_eq!(methods(&server), expected);
    }
}

#[test]
fn the_password_is_not_sent_to_a_master_whose_certificate_is_not_trusted() {
    let master = Server::tls(certificate("other.pem", &TLS13), |asked, stream| {
        ok(stream, usual(asked).unwrap())
    });
    let slave = r#"{"jsonrpc":"2.0","error":{"code":1,"message":"HOST_IS_SLAVE","data":["10.9.9.9"]},"id":1}"#;
    let member = Server::tls(certificate("xapi.pem", &TLS13), move |_, stream| ok(stream, slave));
    let http = Http::builder().trust(Trust::pins([fingerprint("xapi.pem")])).build().unwrap();
    let connect = |http: Http| {
        Client::builder(http)
            .address("10.9.9.9", master.endpoint())
            .connect(&member.endpoint().to_string(), &credentials())
    };
    let error = connect(http).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trust);
    assert_eq!(LoginFailure::of(&error), LoginFailure::Certificate);
    assert_eq!(methods(&master), Vec::<String>::new());

    let both = Trust::pins([fingerprint("xapi.pem"), fingerprint("other.pem")]);
    let client = connect(Http::builder().trust(both).build().unwrap()).unwrap();
    assert_eq!(client.endpoint(), master.endpoint());
    drop(client);
    assert_eq!(methods(&master), ["session.login_with_password", "session.logout"]);
}

#[test]
fn a_read_is_sent_again_when_its_connection_breaks_and_a_write_is_not() {
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = broken.clone();
    let server = Server::plain(move |asked, stream| match usual(asked) {
        Some(reply) => ok(stream, reply),
        None if breaks.swap(false, Ordering::SeqCst) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"json")?;
            stream.flush()?;
            hang_up()
        }
        None if asked.body.contains("get_all") => ok(stream, HOSTS),
        None => ok(stream, VOID),
    });
    let client = Client::connect(plain(), &server.endpoint().to_string(), &credentials()).unwrap();
    hosts(&client).unwrap();
    broken.store(true, Ordering::SeqCst);
    hosts(&client).unwrap();
    assert_eq!(methods(&server).iter().filter(|method| *method == "host.get_all").count(), 3);
    broken.store(true, Ordering::SeqCst);
    let error = client.call::<()>("pool.eject", &("OpaqueRef:h",)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    client.call::<()>("host.destroy", &("OpaqueRef:h",)).unwrap();
    drop(client);
    let last: Vec<_> = methods(&server).into_iter().rev().take(4).collect();
    assert_eq!(last, ["session.logout", "host.destroy", "pool.get_all_records", "pool.eject"]);
}

#[test]
fn a_watch_that_waits_is_ended_from_another_thread() {
    let server = Server::plain(|asked, stream| match usual(asked) {
        Some(reply) => ok(stream, reply),
        None if asked.body.contains(r#""",0.0"#) => {
            ok(stream, r#"{"result":{"events":[],"valid_ref_counts":{"host":0},"token":"1,0"}}"#)
        }
        None => {
            std::thread::sleep(Duration::from_secs(20));
            hang_up()
        }
    });
    let client = Client::connect(plain(), &server.endpoint().to_string(), &credentials()).unwrap();
    let mut watch = client.watch_of(&[Class::Host]).unwrap();
    let stop = watch.canceller();
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            stop.cancel();
        });
        assert!(watch.next().is_none());
    });
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    drop(watch);
    client.close().unwrap();
    assert_eq!(methods(&server).last().unwrap(), "session.logout");
}

#[test]
fn large_replies_are_decoded_while_they_arrive_and_keep_their_connection() {
    const COUNT: usize = 20_000;
    let server = Server::plain(|asked, stream: &mut dyn Stream| {
        if let Some(reply) = usual(asked) {
            return ok(stream, reply);
        }
        let records: Vec<_> = (0..COUNT)
            .map(|n| {
                format!(r#""OpaqueRef:{n}":{{"uuid":"{n}","name_label":"{}"}}"#, "é".repeat(50))
            })
            .collect();
        let body = format!(r#"{{"jsonrpc":"2.0","result":{{{}}},"id":1}}"#, records.join(","));
        assert!(body.len() > 2 << 20);
        match asked.number % 2 {
            0 => ok(stream, &body),
            // XAPI always knows the length; proxies may not.
            _ => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                for chunk in body.as_bytes().chunks(100_000) {
                    stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
                    stream.write_all(chunk)?;
                    stream.write_all(b"\r\n")?;
                }
                stream.write_all(b"0\r\n\r\n")?;
                stream.flush()
            }
        }
    });
    let client = Client::connect(plain(), &server.endpoint().to_string(), &credentials()).unwrap();
    for _ in 0..4 {
        let table = client.records::<Host>().unwrap();
        assert_eq!(table.len(), COUNT);
        assert_eq!(table.records().last().unwrap().name_label.chars().count(), 50);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_reply_beyond_the_limit_is_refused_while_it_arrives() {
    let server = Server::plain(|asked, stream| {
        if let Some(reply) = usual(asked) {
            return ok(stream, reply);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        stream.write_all(b"c\r\n{\"result\":{ \r\n")?;
        loop {
            stream.write_all(b"1000\r\n")?;
            stream.write_all(&[b' '; 4096])?;
            stream.write_all(b"\r\n")?;
        }
    });
    let mut limits = Limits::within(Duration::from_secs(30));
    limits.max_reply = 20 << 20;
    let client = Client::builder(plain())
        .limits(limits)
        .connect(&server.endpoint().to_string(), &credentials())
        .unwrap();
    let error = client.records::<Host>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[test]
fn login_failures_over_https_are_told_apart() {
    let fails = |http: Http, address: &str| {
        LoginFailure::of(&Client::connect(http, address, &credentials()).unwrap_err())
    };
    let page = "<html><body><h1>HTTP 500 internal server error</h1></body></html>";
    let server = Server::plain(move |_, stream| ok(stream, page));
    assert_eq!(fails(plain(), &server.endpoint().to_string()), LoginFailure::NotXapi);
    let server = Server::plain(|_, stream| {
        ok(stream, r#"{"jsonrpc":"2.0","error":["HOST_STILL_BOOTING"],"id":0}"#)
    });
    assert_eq!(fails(plain(), &server.endpoint().to_string()), LoginFailure::StillBooting);
    let server = Server::tls(certificate("xapi.pem", &TLS13), |_, _| hang_up());
    let http = Http::builder().trust(Trust::pins([fingerprint("other.pem")])).build().unwrap();
    assert_eq!(fails(http, &server.endpoint().to_string()), LoginFailure::Certificate);
    let http = Http::builder().trust(Trust::first_use(MemoryPins::default())).build().unwrap();
    assert_eq!(fails(http, &server.endpoint().to_string()), LoginFailure::Unreachable);
}
