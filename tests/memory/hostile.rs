//! The client against servers that are broken or mean harm, over real sockets: a typed error, within
//! the deadline, in no more memory than was allowed.

use std::io::{self, Write as _};
use std::time::Duration;

use crate::counting::{ALONE, measured};
use crate::http_server::{Asked, Server, Stream, ok};
use xcp_pool::client::{Client, Credentials, LoginFailure, Scope};
use xcp_pool::model::{Class, Host, Ref, Vm};
use xcp_pool::transport::{Http, Limits};
use xcp_pool::{Error, ErrorKind};

/// The limits of these tests.
const LIMIT: Duration = Duration::from_secs(8);
const MAX_REPLY: isize = 12 << 20;

/// Connections, windows, threads.
const OVERHEAD: isize = 8 << 20;

/// Windows onto a reply grow to twice the largest record.
const LARGEST_WINDOW: isize = 64 << 20;

fn method(asked: &Asked) -> String {
    let call: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    call["method"].as_str().unwrap().to_owned()
}

/// What a good master answers to logins and about its pool.
fn usual(asked: &Asked) -> Option<&'static str> {
    match method(asked).as_str() {
        "session.login_with_password" => {
            Some(r#"{"jsonrpc":"2.0","result":"OpaqueRef:s1","id":1}"#)
        }
        "session.logout" => Some(r#"{"jsonrpc":"2.0","result":"","id":1}"#),
        "pool.get_all_records" => {
            Some(r#"{"jsonrpc":"2.0","result":{"OpaqueRef:p":{"uuid":"pool-1"}},"id":1}"#)
        }
        _ => None,
    }
}

fn http() -> Http {
    Http::builder().danger_allow_plain_http().build().unwrap()
}

fn connect(server: &Server) -> Result<Client, Error> {
    let mut limits = Limits::within(LIMIT);
    limits.max_reply = MAX_REPLY.unsigned_abs() as u64;
    Client::builder(http())
        .limits(limits)
        .connect(&server.endpoint().to_string(), &Credentials::new("root", "hunter2"))
}

/// A client of a server that answers everything but the usual in its own way.
fn against(
    answer: impl Fn(&Asked, &mut dyn Stream) -> io::Result<()> + Send + Sync + 'static,
) -> (Server, Client) {
    let server = Server::plain(move |asked, stream| match usual(asked) {
        Some(reply) => ok(stream, reply),
        None => answer(asked, stream),
    });
    let client = connect(&server).unwrap();
    client.pool_uuid().unwrap();
    (server, client)
}

/// Writes pieces without end, chunked, after a beginning.
fn endless(
    stream: &mut dyn Stream,
    beginning: &str,
    mut piece: impl FnMut(usize, &mut Vec<u8>),
) -> io::Result<()> {
    let mut send = |bytes: &[u8]| {
        stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        stream.write_all(bytes)?;
        stream.write_all(b"\r\n")
    };
    // The head and the first chunk.
    let mut buffer = Vec::with_capacity(70_000);
    send(beginning.as_bytes())?;
    for number in 0.. {
        piece(number, &mut buffer);
        if buffer.len() > 64 << 10 {
            send(&buffer)?;
            buffer.clear();
        }
    }
    Ok(())
}

fn chunked(stream: &mut dyn Stream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// Every way to ask for something.
fn every_call(client: &Client) -> Vec<(&'static str, Error)> {
    let mut errors = Vec::new();
    let mut fails = |name, result: Result<(), Error>| {
        errors.push((name, result.expect_err(name)));
    };
    fails("texts", client.call::<Vec<Ref<Host>>>("host.get_all", &()).map(drop));
    fails("nothing", client.call::<()>("host.disable", &("OpaqueRef:h",)));
    fails("record", client.record::<Vm>(&Ref::new("OpaqueRef:v")).map(drop));
    fails("records", client.records::<Vm>().map(drop));
    fails("snapshot", client.snapshot_of(&[Class::Pool, Class::Vm]).map(drop));
    fails("by class", client.snapshot_by_class(&[Class::Pool, Class::Vm]).map(drop));
    fails("watch", client.watch(Scope::Overview).map(drop));
    fails("task", client.start("host.evacuate", &("OpaqueRef:h",)).map(drop));
    errors
}

#[test]
fn what_is_no_reply_is_a_protocol_error_of_every_call() {
    let _alone = ALONE.lock();
    let deep = |open: &str, close: &str| {
        format!(r#"{{"result":{}{}}}"#, open.repeat(500_000), close.repeat(500_000))
    };
    let bodies = [
        String::new(),
        "<html><body><h1>HTTP 500 internal server error</h1></body></html>".to_owned(),
        "SSH-2.0-OpenSSH_9.2".to_owned(),
        "\u{feff}{}".to_owned(),
        "\0\0\0\0".to_owned(),
        "null".to_owned(),
        "5".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "{\"result\":".to_owned(),
        "{\"result\":null,\"error\":null,\"id\":1}".to_owned(),
        r#"{"result":{"a":5,"b":true} "id":1}"#.to_owned(),
        r#"{"result":5} {"result":5}"#.to_owned(),
        r#"{"error":5}"#.to_owned(),
        r#"{"error":"HOST_IS_SLAVE"}"#.to_owned(),
        r#"{"error":[]}"#.to_owned(),
        r#"{"error":[5,6]}"#.to_owned(),
        r#"{"error":{"code":"x","message":"X"}}"#.to_owned(),
        r#"{"error":{"data":["X"]}}"#.to_owned(),
        r#"{"error":{"code":-32601,"message":"Method not found"}}"#.to_owned(),
        r#"{"result":5,"result":5}"#.to_owned(),
        r#"{"result":{},"result":{}}"#.to_owned(),
        r#"{"error":["X"],"error":["Y"]}"#.to_owned(),
        deep("[", "]"),
        "[".repeat(1_000_000),
        r#"{"a":"#.repeat(200_000),
    ];
    for body in bodies {
        let shown: String = body.chars().take(60).collect();
        let (_server, client) = against(move |_, stream| ok(stream, &body));
        let (errors, took, memory) = measured(|| every_call(&client));
        for (call, error) in errors {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{call} of {shown}: {error}");
        }
        assert!(took < LIMIT, "{shown}: {took:?}");
        assert!(memory < OVERHEAD + (16 << 20), "{shown}: {memory}");
    }
}

#[test]
fn a_record_that_is_too_deep_is_a_problem_of_that_record() {
    let _alone = ALONE.lock();
    let deep = format!("{}{}", r#"{"a":"#.repeat(500_000), "5".to_owned() + &"}".repeat(500_000));
    let body = format!(r#"{{"result":{{"b":{{"uuid":"b"}},"deep":{{"uuid":{deep}}}}}}}"#);
    let (_server, client) = against(move |_, stream| ok(stream, &body));
    let (snapshot, took, _) = measured(|| client.snapshot_by_class(&[Class::Vm]).unwrap());
    assert_eq!((snapshot.vm.len(), snapshot.problems.len()), (1, 1));
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(client.records::<Vm>().unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn a_login_at_what_is_no_xapi_says_so() {
    let _alone = ALONE.lock();
    let bodies =
        ["", "<html>", "[]", r#"{"result":5}"#, r#"{"result":["x"]}"#, r#"{"result":{"a":1}}"#];
    for body in bodies {
        let server = Server::plain(move |_, stream| ok(stream, body));
        let error = connect(&server).unwrap_err();
        assert_eq!(LoginFailure::of(&error), LoginFailure::NotXapi, "{body}: {error}");
    }
    // A login's reply has some hundred bytes; what follows is not waited for.
    let server = Server::plain(|_, stream| {
        chunked(stream)?;
        endless(stream, r#"{"result":""#, |_, out| out.extend_from_slice(&[b'x'; 4096]))
    });
    let (error, took, memory) = measured(|| connect(&server).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert_eq!(LoginFailure::of(&error), LoginFailure::NotXapi);
    assert!(took < LIMIT, "{took:?}");
    assert!(memory < OVERHEAD, "{memory}");
}

#[test]
fn names_that_come_twice_are_refused() {
    let _alone = ALONE.lock();
    let kind = |body: &'static str, call: fn(&Client) -> Result<(), Error>| {
        let (_server, client) = against(move |_, stream| ok(stream, body));
        let error = call(&client).expect_err(body);
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body}: {error}");
        error.to_string()
    };
    let records = |client: &Client| client.records::<Vm>().map(drop);
    let twice = kind(r#"{"result":{"OpaqueRef:a":{},"OpaqueRef:a":{}}}"#, records);
    assert!(twice.ends_with("VM OpaqueRef:a came twice"), "{twice}");
    kind(r#"{"result":{"OpaqueRef:a":{},"OpaqueRef:a":5}}"#, |client| {
        client.snapshot_by_class(&[Class::Vm]).map(drop)
    });
    let twice = kind(r#"{"result":{"OpaqueRef:a":{"uuid":"a","uuid":"b"}}}"#, records);
    assert!(twice.contains("duplicate field `uuid`"), "{twice}");
    kind(r#"{"result":{"uuid":"a","uuid":"b"}}"#, |client| {
        client.record::<Vm>(&Ref::new("OpaqueRef:a")).map(drop)
    });
    for body in [
        r#"{"result":{"events":[],"events":[],"token":"1"}}"#,
        r#"{"result":{"events":[],"token":"1","token":"2"}}"#,
        r#"{"result":{"events":[],"token":"1"},"result":{"events":[],"token":"1"}}"#,
    ] {
        kind(body, |client| client.snapshot_of(&[Class::Vm]).map(drop));
    }
}

#[test]
fn records_of_other_types_lose_nothing_but_themselves() {
    let _alone = ALONE.lock();
    let (_server, client) = against(|_, stream| {
        ok(
            stream,
            r#"{"result":{"events":[
                {"class":"vm","operation":"add","ref":"a","snapshot":{"uuid":"a","VCPUs_max":"many"}},
                {"class":"vm","operation":"add","ref":"b","snapshot":{"uuid":"b"}},
                {"class":"vm","operation":"add","ref":"c","snapshot":[]},
                {"class":"vm","operation":"add","ref":"d","snapshot":{"uuid":"d","uuid":"e"}}],
               "valid_ref_counts":{"vm":4},"token":"1"}}"#,
        )
    });
    let snapshot = client.snapshot_of(&[Class::Vm]).unwrap();
    assert_eq!(snapshot.vm.refs().map(ToString::to_string).collect::<Vec<_>>(), ["b"]);
    let problems: Vec<_> = snapshot.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[2].ends_with("d: duplicate field `uuid`"), "{problems:?}");
}

#[test]
fn two_gibibytes_are_not_read_and_not_held() {
    let _alone = ALONE.lock();
    // With a length, nothing of it is read.
    let (_server, client) = against(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n{\"result\":\"")?;
        loop {
            stream.write_all(&[b'x'; 65536])?;
        }
    });
    let (errors, took, memory) = measured(|| every_call(&client));
    for (call, error) in errors {
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{call}: {error}");
    }
    assert!(took < LIMIT, "{took:?}");
    assert!(memory < OVERHEAD, "{memory}");

    // Without, no more of it than the limit.
    for beginning in [r#"{"result":""#, r#"{"result":["a", "#, r#"{"result": "#, r#"{"x":""#] {
        let (_server, client) = against(move |_, stream| {
            chunked(stream)?;
            let fill = if beginning.ends_with(' ') { b' ' } else { b'x' };
            let mut sent = 0_u64;
            endless(stream, beginning, |_, out| {
                sent += 65_537;
                assert!(sent < 2 << 30, "all of it was read");
                out.resize(65_537, fill);
            })
        });
        let (errors, took, memory) = measured(|| every_call(&client));
        for (call, error) in errors {
            // Whoever decodes as it arrives has seen at once that it is of another type.
            let soon = !matches!(call, "texts" | "nothing" | "record" | "task");
            let expected = [ErrorKind::TooLarge, ErrorKind::Protocol];
            let expected = &expected[..1 + usize::from(soon)];
            assert!(expected.contains(&error.kind()), "{call} of {beginning}: {error}");
        }
        assert!(took < LIMIT * 8, "{beginning}: {took:?}");
        assert!(memory < OVERHEAD + LARGEST_WINDOW, "{beginning}: {memory}");
    }
}

#[test]
fn small_things_that_decode_into_large_ones_are_counted_as_such() {
    let _alone = ALONE.lock();
    // Each of these takes a few bytes, and would become a record of a kB, or a noted problem.
    for record in ["{}", "5", "[]", r#"{"uuid":5}"#, r#"{"uuid":"u"}"#] {
        let (_server, client) = against(move |_, stream| {
            chunked(stream)?;
            endless(stream, r#"{"result":{"#, |number, out| {
                let comma = if number == 0 { "" } else { "," };
                write!(out, r#"{comma}"{number}":{record}"#).unwrap();
            })
        });
        let (error, took, memory) = measured(|| client.records::<Vm>().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{record}: {error}");
        assert!(took < LIMIT, "{record}: {took:?}");
        assert!(memory < OVERHEAD + 2 * MAX_REPLY, "{record}: {memory}");
        let (error, took, memory) =
            measured(|| client.snapshot_by_class(&[Class::Vm]).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{record}: {error}");
        assert!(took < LIMIT, "{record}: {took:?}");
        assert!(memory < OVERHEAD + 2 * MAX_REPLY, "{record}: {memory}");
    }
}

#[test]
fn a_stream_of_events_that_never_ends_is_ended() {
    let _alone = ALONE.lock();
    type Event = fn(usize) -> String;
    let events: [(&str, Event); 6] = [
        ("one object again and again", |_| {
            r#""class":"vm","operation":"mod","ref":"a","snapshot":{"uuid":"a"}"#.to_owned()
        }),
        ("ever new objects", |number| {
            format!(r#""class":"vm","operation":"add","ref":"{number}","snapshot":{{}}"#)
        }),
        ("ever new objects of one uuid", |number| {
            format!(r#""class":"sr","operation":"add","ref":"{number}","snapshot":{{"uuid":"u"}}"#)
        }),
        ("objects that come and go", |number| {
            let n = number / 3;
            match number % 3 {
                0 => format!(
                    r#""class":"sr","operation":"add","ref":"a{n}","snapshot":{{"uuid":"{n}"}}"#
                ),
                1 => format!(
                    r#""class":"sr","operation":"add","ref":"z{n}","snapshot":{{"uuid":"u"}}"#
                ),
                _ => format!(r#""class":"sr","operation":"del","ref":"z{n}""#),
            }
        }),
        ("records that are none", |number| {
            format!(r#""class":"vm","operation":"add","ref":"{number}","snapshot":5"#)
        }),
        ("ever new classes", |number| {
            format!(r#""class":"c{number}","operation":"add","ref":"a","snapshot":{{}}"#)
        }),
    ];
    for (name, event) in events {
        let (_server, client) = against(move |_, stream| {
            chunked(stream)?;
            endless(stream, r#"{"result":{"events":["#, |number, out| {
                let comma = if number == 0 { "" } else { "," };
                write!(out, "{comma}{{{}}}", event(number)).unwrap();
            })
        });
        let (error, took, memory) = measured(|| client.watch_of(&[Class::Vm]).err().unwrap());
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{name}: {error}");
        assert!(took < LIMIT, "{name}: {took:?}");
        assert!(memory < OVERHEAD + 3 * MAX_REPLY, "{name}: {memory}");
    }
    // Slower than the deadline.
    let (_server, client) = against(|_, stream| {
        chunked(stream)?;
        let event = r#"{"class":"vm","operation":"mod","ref":"a","snapshot":{"uuid":"a"}}"#;
        let mut before = r#"{"result":{"events":["#;
        loop {
            let piece = format!("{before}{event}");
            stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes())?;
            stream.flush()?;
            before = ",";
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let (error, took, _) = measured(|| client.watch_of(&[Class::Vm]).err().unwrap());
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(took < LIMIT + Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_server_that_never_waits_is_not_asked_without_pause() {
    let _alone = ALONE.lock();
    let (server, client) = against(|_, stream| {
        ok(stream, r#"{"result":{"events":[],"valid_ref_counts":{"vm":0},"token":"1"}}"#)
    });
    let mut watch = client.watch_of(&[Class::Vm]).unwrap();
    let stop = watch.canceller();
    let before = server.asked().len();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(2500));
            stop.cancel();
        });
        assert!(watch.next().is_none());
    });
    let asked = server.asked().len() - before;
    assert!((2..=4).contains(&asked), "{asked} times in 2.5 s");
}

#[test]
fn headers_without_end_end_a_login() {
    let _alone = ALONE.lock();
    let servers = [
        Server::plain(|_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(b"X-More: and more\r\n")?;
            }
        }),
        Server::plain(|_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }),
        Server::plain(|_, stream| {
            loop {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
        }),
    ];
    for (number, server) in servers.iter().enumerate() {
        let (error, took, memory) = measured(|| connect(server).unwrap_err());
        let kinds = [ErrorKind::Protocol, ErrorKind::TooLarge, ErrorKind::Timeout];
        assert!(kinds.contains(&error.kind()), "{number}: {error}");
        assert!(took < LIMIT + Duration::from_secs(1), "{number}: {took:?}");
        assert!(memory < OVERHEAD, "{number}: {memory}");
    }
}
