//! Whose certificates the HTTPS transport trusts: five shapes of certificates, both versions of TLS.

use std::sync::Mutex;
use std::time::Duration;

use crate::http_server::{Server, bundle, certificate, fingerprint, hang_up, ok, request};
use rustls::version::{TLS12, TLS13};
use xcp_pool::transport::{
    Cancel, Endpoint, FilePins, Fingerprint, Http, Limits, MemoryPins, Mismatch, PinStore,
    Transport, Trust,
};
use xcp_pool::{Error, ErrorKind};

const REPLY: &str = r#"{"jsonrpc":"2.0","result":"","id":1}"#;

/// As XAPI makes them, with the flag of an authority, expired, without names, with other names.
const SHAPES: [&str; 5] = ["xapi.pem", "ca-true.pem", "expired.pem", "no-san.pem", "other.pem"];

fn server(shape: &str, version: &'static rustls::SupportedProtocolVersion) -> Server {
    Server::tls(certificate(shape, version), |_, stream| ok(stream, REPLY))
}

fn http(trust: Trust) -> Http {
    Http::builder().trust(trust).build().unwrap()
}

fn exchange(http: &Http, endpoint: &Endpoint) -> Result<Vec<u8>, Error> {
    let cancel = Cancel::new();
    let limits = Limits::within(Duration::from_secs(10));
    Ok(http.exchange(&request(endpoint, "{}", limits, &cancel))?.into_bytes().unwrap())
}

#[test]
fn a_pin_takes_every_shape_of_certificate() {
    for shape in SHAPES {
        for version in [&TLS12, &TLS13] {
            let server = server(shape, version);
            let http = http(Trust::pins([fingerprint("signed.pem"), fingerprint(shape)]));
            assert_eq!(exchange(&http, &server.endpoint()).unwrap(), REPLY.as_bytes(), "{shape}");
            exchange(&http, &server.endpoint()).unwrap();
            assert_eq!(server.connections(), 1, "{shape}");
        }
    }
}

#[test]
fn another_certificate_than_the_pinned_one_gets_no_request() {
    for shape in SHAPES {
        for version in [&TLS12, &TLS13] {
            let server = server(shape, version);
            let expected = fingerprint("signed.pem");
            let error = exchange(&http(Trust::pins([expected])), &server.endpoint()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Trust, "{error:?}");
            let mismatch = Mismatch::of(&error).unwrap();
            assert_eq!(mismatch.host, server.address.to_string());
            assert_eq!(mismatch.expected, [expected]);
            assert_eq!(mismatch.actual, fingerprint(shape));
            assert!(error.to_string().contains(&mismatch.host), "{error}");
            assert_eq!(server.asked().len(), 0, "{shape}");
        }
    }
}

#[test]
fn an_authority_vouches_for_names_and_dates() {
    let trusted = [
        // Signed by the authority; or self-signed, without the flag, and given as its own authority.
        ("signed.pem", "authority.crt", true),
        ("xapi.pem", "xapi.pem", true),
        ("xapi.pem", "authority.crt", false),
        ("ca-true.pem", "ca-true.pem", false),
        ("expired.pem", "expired.pem", false),
        ("no-san.pem", "no-san.pem", false),
        ("other.pem", "other.pem", false),
    ];
    for (shape, authority, accepted) in trusted {
        for version in [&TLS12, &TLS13] {
            let server = server(shape, version);
            let trust = Trust::authorities(&bundle(&[authority])).unwrap();
            let result = exchange(&http(trust), &server.endpoint());
            assert_eq!(result.is_ok(), accepted, "{shape} by {authority}: {result:?}");
            let Err(error) = result else { continue };
            assert_eq!(error.kind(), ErrorKind::Trust, "{error:?}");
            // The fingerprint is told, for a person to compare and pin.
            let mismatch = Mismatch::of(&error).unwrap();
            assert_eq!(mismatch.actual, fingerprint(shape));
            assert_eq!(mismatch.host, server.address.to_string());
            assert_eq!(server.asked().len(), 0, "{shape}");
        }
    }
}

#[test]
fn the_systems_authorities_do_not_know_a_self_signed_certificate() {
    let trusting = match Http::builder().build() {
        Ok(http) => http,
        // A machine without any authority has none to trust.
        Err(error) => return assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}"),
    };
    let server = server("xapi.pem", &TLS13);
    let error = exchange(&trusting, &server.endpoint()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trust, "{error:?}");
    assert_eq!(Mismatch::of(&error).unwrap().actual, fingerprint("xapi.pem"));
}

#[test]
fn any_certificate_is_accepted_where_the_caller_says_danger() {
    for shape in SHAPES {
        exchange(&http(Trust::danger_accept_any()), &server(shape, &TLS12).endpoint()).unwrap();
    }
}

#[test]
fn the_first_certificate_is_remembered_in_a_file() {
    let path = std::env::temp_dir().join(format!("xcp_pool-first-use-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server = server("xapi.pem", &TLS13);
    let host = server.address.to_string();
    exchange(&http(Trust::first_use(FilePins::new(&path))), &server.endpoint()).unwrap();
    assert_eq!(FilePins::new(&path).pin(&host).unwrap(), Some(fingerprint("xapi.pem")));
    exchange(&http(Trust::first_use(FilePins::new(&path))), &server.endpoint()).unwrap();

    // The host has got another certificate meanwhile.
    let pins = FilePins::new(&path);
    pins.forget(&host).unwrap();
    pins.remember(&host, fingerprint("other.pem")).unwrap();
    let error = exchange(&http(Trust::first_use(pins)), &server.endpoint()).unwrap_err();
    assert_eq!(Mismatch::of(&error).unwrap().expected, [fingerprint("other.pem")]);
    assert_eq!(server.asked().len(), 2);
    std::fs::remove_file(&path).unwrap();
}

/// A store whose answer changes while the program runs.
struct Changing(Mutex<Fingerprint>);

impl PinStore for &'static Changing {
    fn pin(&self, _: &str) -> Result<Option<Fingerprint>, Error> {
        Ok(Some(*self.0.lock().unwrap()))
    }

    fn remember(&self, _: &str, _: Fingerprint) -> Result<Fingerprint, Error> {
        unreachable!("it always knows one")
    }
}

#[test]
fn a_resumed_session_is_held_against_the_pin_too() {
    for version in [&TLS12, &TLS13] {
        let server = Server::tls(certificate("xapi.pem", version), |_, stream| {
            ok(stream, REPLY)?;
            hang_up()
        });
        let store: &'static Changing =
            Box::leak(Box::new(Changing(Mutex::new(fingerprint("xapi.pem")))));
        let http = http(Trust::first_use(store));
        exchange(&http, &server.endpoint()).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        *store.0.lock().unwrap() = fingerprint("other.pem");
        let error = exchange(&http, &server.endpoint()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Trust, "{error:?}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn a_host_that_does_not_speak_tls_is_a_transport_error() {
    let server = Server::plain(|_, stream| ok(stream, REPLY));
    let endpoint: Endpoint = format!("https://{}", server.address).parse().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let talks: Endpoint = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    std::thread::spawn(move || {
        use std::io::Write;
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        std::thread::sleep(Duration::from_millis(500));
    });
    let http = Http::builder()
        .trust(Trust::first_use(MemoryPins::default()))
        .connect_timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    assert_eq!(exchange(&http, &talks).unwrap_err().kind(), ErrorKind::Transport);
    // This one waits for a request line that never comes.
    assert_eq!(exchange(&http, &endpoint).unwrap_err().kind(), ErrorKind::Timeout);
}

#[test]
fn threads_share_the_transport() {
    let server = server("xapi.pem", &TLS12);
    let http = http(Trust::pins([fingerprint("xapi.pem")]));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    exchange(&http, &server.endpoint()).unwrap();
                }
            });
        }
    });
    assert_eq!(server.asked().len(), 160);
    assert!(server.connections() <= 8, "{}", server.connections());
}
