//! The HTTP transport against servers that are slow, broken or hostile: what is sent, how long it
//! takes, which error it is.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http_server::{Asked, Server, Stream, hang_up, ok, request, respond};
use xcp_pool::transport::{Body, Cancel, Endpoint, Http, Limits, Transport};
use xcp_pool::{Error, ErrorKind};

const REPLY: &str = r#"{"jsonrpc":"2.0","result":"","id":1}"#;

/// What a server does with a request.
type Behaviour = &'static (dyn Fn(&mut dyn Stream) -> io::Result<()> + Sync);

fn http() -> Http {
    Http::builder().danger_allow_plain_http().build().unwrap()
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One exchange within a time, its whole body read.
fn exchange(http: &Http, endpoint: &Endpoint, overall: Duration) -> Result<Vec<u8>, Error> {
    let cancel = Cancel::new();
    let body = http.exchange(&request(endpoint, "{}", Limits::within(overall), &cancel))?;
    body.into_bytes().map_err(|error| error.downcast::<Error>().unwrap())
}

/// The kind of error, and how long it took.
fn fails(http: &Http, server: &Server, overall: Duration) -> (ErrorKind, Duration, String) {
    let start = Instant::now();
    let error = exchange(http, &server.endpoint(), overall).unwrap_err();
    (error.kind(), start.elapsed(), error.to_string())
}

fn write_slowly(stream: &mut dyn Stream, text: &str) -> io::Result<()> {
    for byte in text.bytes() {
        stream.write_all(&[byte])?;
        stream.flush()?;
        std::thread::sleep(millis(20));
    }
    Ok(())
}

#[test]
fn requests_share_a_connection_and_have_a_small_header() {
    let server = Server::plain(|_, stream| ok(stream, REPLY));
    let http = http();
    for _ in 0..3 {
        let reply = exchange(&http.clone(), &server.endpoint(), millis(5000)).unwrap();
        assert_eq!(reply, REPLY.as_bytes());
    }
    assert_eq!(server.connections(), 1);
    let head = &server.asked()[0].head;
    assert!(head.starts_with("POST /jsonrpc HTTP/1.1\r\n"), "{head}");
    assert!(head.len() < 300, "{head}");
    let head = head.to_ascii_lowercase();
    for header in
        ["content-type: application/json\r\n", "content-length: 2\r\n", "user-agent: xcp_pool/"]
    {
        assert!(head.contains(header), "{head}");
    }
    for header in ["expect", "accept-encoding", "transfer-encoding", "cookie"] {
        assert!(!head.contains(header), "{head}");
    }
}

#[test]
fn a_connection_that_the_server_closed_is_not_used_again() {
    let server = Server::plain(|_, stream| {
        ok(stream, REPLY)?;
        hang_up()
    });
    let http = http();
    for _ in 0..3 {
        exchange(&http, &server.endpoint(), millis(5000)).unwrap();
        std::thread::sleep(millis(30));
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_request_that_no_server_reads_is_not_sent() {
    let server = Server::plain(|_, stream| ok(stream, REPLY));
    let (endpoint, cancel) = (server.endpoint(), Cancel::new());
    let large = "x".repeat(300 * 1024 + 1);
    let limits = Limits::default();
    let send = |body: &str| http().exchange(&request(&endpoint, body, limits, &cancel)).err();
    assert_eq!(send(&large).unwrap().kind(), ErrorKind::TooLarge);
    assert_eq!(server.connections(), 0);
    assert!(send(&large[1..]).is_none());
    assert_eq!(server.asked()[0].body.len(), 300 * 1024);
}

#[test]
fn plain_http_must_be_allowed() {
    let server = Server::plain(|_, stream| ok(stream, REPLY));
    let http = Http::builder().trust(xcp_pool::transport::Trust::pins([])).build().unwrap();
    let (kind, _, message) = fails(&http, &server, millis(1000));
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(message.contains("not HTTPS"), "{message}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_status_other_than_200_is_told_with_the_page() {
    let page =
        "<html><body><h1>HTTP 500 internal server error</h1>An unexpected error</body></html>";
    let server = Server::plain(move |_, stream| respond(stream, "500 Internal", "", page));
    let (kind, _, message) = fails(&http(), &server, millis(1000));
    assert_eq!(kind, ErrorKind::Transport);
    assert!(
        message.contains("500: \"HTTP 500 internal server error An unexpected error\""),
        "{message}"
    );
}

#[test]
fn redirects_are_not_followed() {
    let target = Arc::new(Server::plain(|_, stream| ok(stream, REPLY)));
    let to = format!("Location: http://{}/jsonrpc\r\n", target.address);
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let to = to.clone();
        let server = Server::plain(move |_, stream| respond(stream, status, &to, ""));
        let (kind, _, message) = fails(&http(), &server, millis(1000));
        assert_eq!(kind, ErrorKind::Transport, "{message}");
        assert!(message.contains(&status[..3]), "{message}");
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn broken_connections_are_transport_errors() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint: Endpoint = format!("http://{nobody}").parse().unwrap();
    let error = exchange(&http(), &endpoint, millis(1000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(error.to_string(), format!("http://{nobody} refuses connections"));

    let answers: [Behaviour; 5] = [
        &|_| Ok(()),
        &|stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le"),
        &|stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\""),
        &|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n{\"jsonrpc\"")
        },
        &|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"json")
        },
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        let server = Server::plain(move |_: &Asked, stream: &mut dyn Stream| {
            answer(stream)?;
            stream.flush()?;
            hang_up()
        });
        let (kind, time, message) = fails(&http(), &server, millis(5000));
        assert_eq!(kind, ErrorKind::Transport, "{n}: {message}");
        assert!(message.ends_with("broke the connection"), "{n}: {message}");
        assert!(time < millis(1000));
        // Nothing is ever sent again by the transport itself.
        assert_eq!(server.asked().len(), 1, "{n}");
    }
}

#[test]
fn what_is_no_http_is_a_protocol_error() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ] {
        let server = Server::plain(move |_, stream| {
            stream.write_all(answer.as_bytes())?;
            hang_up()
        });
        let (kind, _, message) = fails(&http(), &server, millis(2000));
        assert_eq!(kind, ErrorKind::Protocol, "{answer}: {message}");
    }
}

#[test]
fn nothing_takes_longer_than_its_deadline() {
    let slow: [(&str, Behaviour); 4] = [
        ("silence", &|_| {
            std::thread::sleep(millis(10_000));
            Ok(())
        }),
        ("slow headers", &|stream| {
            write_slowly(stream, &format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(500)))
        }),
        ("slow body", &|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
            write_slowly(stream, &"x".repeat(500))
        }),
        ("slow large body", &|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")?;
            write_slowly(stream, &"x".repeat(500))
        }),
    ];
    for (name, answer) in slow {
        let server = Server::plain(move |_: &Asked, stream: &mut dyn Stream| answer(stream));
        let (kind, time, message) = fails(&http(), &server, millis(400));
        assert_eq!(kind, ErrorKind::Timeout, "{name}: {message}");
        assert!(time >= millis(390) && time < millis(900), "{name}: {time:?}");
        assert!(message.contains("more than 0.4 s"), "{name}: {message}");
    }
}

#[test]
fn a_server_that_reads_nothing_does_not_hold_the_writer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint: Endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    // Connections wait in the listener's queue; nobody takes them.
    let body = "x".repeat(300 * 1024);
    let (http, cancel) = (http(), Cancel::new());
    let start = Instant::now();
    let limits = Limits::within(millis(400));
    let error = http.exchange(&request(&endpoint, &body, limits, &cancel)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(start.elapsed() < millis(900), "{:?}", start.elapsed());
}

#[test]
fn a_reply_that_stops_in_the_middle_is_given_up() {
    let server = Server::plain(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")?;
        stream.flush()?;
        std::thread::sleep(millis(10_000));
        Ok(())
    });
    let http =
        Http::builder().danger_allow_plain_http().stall_timeout(millis(300)).build().unwrap();
    let (kind, time, message) = fails(&http, &server, millis(60_000));
    assert_eq!(kind, ErrorKind::Timeout);
    assert!(message.ends_with("stopped in the middle"), "{message}");
    assert!(time < millis(1000), "{time:?}");
    // Before the first byte, silence is no stall.
    let server = Server::plain(|_, stream| {
        std::thread::sleep(millis(700));
        ok(stream, REPLY)
    });
    exchange(&http, &server.endpoint(), millis(60_000)).unwrap();
}

#[test]
fn a_wait_ends_when_it_is_cancelled_from_another_thread() {
    let silent: [Behaviour; 2] = [&|_| Ok(()), &|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n{")
    }];
    for answer in silent {
        let server = Server::plain(move |_: &Asked, stream: &mut dyn Stream| {
            answer(stream)?;
            stream.flush()?;
            std::thread::sleep(millis(10_000));
            Ok(())
        });
        let (endpoint, cancel) = (server.endpoint(), Cancel::new());
        let other = cancel.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(millis(200));
            other.cancel();
        });
        let start = Instant::now();
        let limits = Limits::within(millis(60_000));
        let error = http()
            .exchange(&request(&endpoint, "{}", limits, &cancel))
            .and_then(|body| body.into_bytes().map_err(|error| error.downcast().unwrap()))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(start.elapsed() < millis(700), "{:?}", start.elapsed());
        thread.join().unwrap();
    }
}

#[test]
fn endless_headers_are_refused() {
    let many = Server::plain(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for n in 0..1_000_000 {
            stream.write_all(format!("X-{n}: {}\r\n", "x".repeat(100)).as_bytes())?;
        }
        Ok(())
    });
    let long = Server::plain(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    for (server, expected) in [(many, ErrorKind::Protocol), (long, ErrorKind::TooLarge)] {
        let (kind, time, message) = fails(&http(), &server, millis(10_000));
        assert_eq!(kind, expected, "{message}");
        assert!(time < millis(3000), "{time:?}");
    }
}

#[test]
fn a_body_beyond_the_limit_is_not_read() {
    let server = Server::plain(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n{\"result\":\"")?;
        loop {
            stream.write_all(&[b'x'; 65536])?;
        }
    });
    let (kind, time, message) = fails(&http(), &server, millis(10_000));
    assert_eq!(kind, ErrorKind::TooLarge);
    assert!(message.contains("2147483648 bytes"), "{message}");
    assert!(time < millis(1000));
}

#[test]
fn a_large_body_is_handed_over_as_it_arrives() {
    let server = Server::plain(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")?;
        stream.write_all(&vec![b'x'; 4_000_000])?;
        stream.flush()
    });
    let (http, endpoint, cancel) = (http(), server.endpoint(), Cancel::new());
    for _ in 0..2 {
        let reply = http.exchange(&request(&endpoint, "{}", Limits::default(), &cancel)).unwrap();
        assert!(matches!(reply, Body::Reader(_)));
        assert_eq!(reply.into_bytes().unwrap().len(), 4_000_000);
    }
    assert_eq!(server.connections(), 1);
}

/// Runs this very test again with a proxy in its environment, which nobody answers at.
#[test]
fn a_proxy_in_the_environment_is_not_used() {
    if std::env::var_os("XCP_POOL_TEST_PROXY").is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let name = "http_faults::a_proxy_in_the_environment_is_not_used";
        again.args(["--exact", name]);
        for name in
            ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
        {
            again.env(name, "http://127.0.0.1:1");
        }
        let output = again.env("XCP_POOL_TEST_PROXY", "1").output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains(" 1 passed"), "{told}");
        return;
    }
    let server = Server::plain(|_, stream| ok(stream, REPLY));
    exchange(&http(), &server.endpoint(), millis(2000)).unwrap();
    let asked_for = Http::builder()
        .danger_allow_plain_http()
        .trust(xcp_pool::transport::Trust::pins([]))
        .proxy_from_environment()
        .build()
        .unwrap();
    exchange(&asked_for, &server.endpoint(), millis(2000)).unwrap_err();
}
