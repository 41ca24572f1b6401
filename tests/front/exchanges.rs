//! The front's answers over real sockets against those that the real server gave, byte for byte
//! where two runs can have the same bytes.

use std::net::SocketAddr;

use crate::connection::{Answer, Connection, request};
use crate::support::recorded::{Translation, comparable, exchanges, world};
use serde_json::{Map, Value as Json, json};
use xcp_pool::simulator::{Front, World};

/// Recorded bodies of HTTP errors whose text is that of the server's JSON library.
const OWN_WORDS: &[&str] = &["raw/not_json", "raw/lone_surrogate", "raw/xml_to_jsonrpc"];

const MASTER: &str = "127.0.7.1";

fn serve(world: &World) -> (Front, SocketAddr) {
    let front = Front::builder(world).http(0).speed(100.0).start().unwrap();
    let master = front.hosts().iter().find(|host| host.address == MASTER).unwrap().http.unwrap();
    (front, master)
}

/// A new session, `local` or of the pool.
fn log_in(address: SocketAddr, local: bool) -> String {
    let kind = if local { "slave_local_login" } else { "login" };
    let params = json!(["root", "xcp-test"]);
    let method = format!("session.{kind}_with_password");
    let reply = Connection::open(address).call(&method, &params);
    reply["result"].as_str().unwrap().to_owned()
}

/// The bytes of a recorded body.
fn recorded_bytes(text: &str, translation: &Translation) -> Vec<u8> {
    // One body is recorded as Python prints bytes.
    match text.strip_prefix("b'").and_then(|text| text.strip_suffix('\'')) {
        None => translation.apply(text).into_bytes(),
        Some(text) => {
            let (before, after) = text.split_once(r"\xff\xfe").unwrap();
            [translation.apply(before).as_bytes(), b"\xff\xfe", after.as_bytes()].concat()
        }
    }
}

fn headers_of(exchange: &Json) -> Vec<(String, String)> {
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let headers = exchange["headers"].as_array().unwrap().iter();
    headers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

/// An XML-RPC reply as the JSON-RPC reply that says the same: booleans and floats stay what they
/// are, dates are marked, integers are texts.
fn xml_reply(body: &str) -> Json {
    let rest = body.strip_prefix("<?xml version=\"1.0\"?><methodResponse><params><param>").unwrap();
    let mut rest = rest.strip_suffix("</param></params></methodResponse>").unwrap();
    let mut reply = xml_value(&mut rest);
    assert_eq!(rest, "");
    match reply["Status"].as_str() {
        Some("Success") => json!({"result": reply["Value"].take()}),
        Some("Failure") => json!({"error": reply["ErrorDescription"].take()}),
        _ => json!({"result": reply}),
    }
}

/// One value, taken off the front of a text.
fn xml_value(rest: &mut &str) -> Json {
    let mut value = None;
    assert!(pass(rest, "<value>"), "{rest:.100}");
    if pass(rest, "<array><data>") {
        let mut elements = Vec::new();
        while !pass(rest, "</data></array>") {
            elements.push(xml_value(rest));
        }
        value = Some(Json::Array(elements));
    } else if pass(rest, "<struct>") {
        let mut members = Map::new();
        while !pass(rest, "</struct>") {
            assert!(pass(rest, "<member><name>"), "{rest:.100}");
            let name = xml_text(rest);
            assert!(pass(rest, "</name>"));
            let before = members.insert(name, xml_value(rest));
            assert!(pass(rest, "</member>") && before.is_none());
        }
        value = Some(Json::Object(members));
    }
    for kind in ["boolean", "double", "dateTime.iso8601"] {
        if pass(rest, &format!("<{kind}>")) {
            value = Some(json!({kind: xml_text(rest)}));
            assert!(pass(rest, &format!("</{kind}>")));
        }
    }
    let value = value.unwrap_or_else(|| Json::String(xml_text(rest)));
    assert!(pass(rest, "</value>"), "{rest:.100}");
    value
}

/// The text up to the next tag.
fn xml_text(rest: &mut &str) -> String {
    let (text, tag) = rest.split_at(rest.find('<').unwrap());
    *rest = tag;
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn pass(rest: &mut &str, beginning: &str) -> bool {
    let after = rest.strip_prefix(beginning);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

/// A reply in either form.
fn parse(body: &str) -> Json {
    if body.starts_with('<') { xml_reply(body) } else { serde_json::from_str(body).unwrap() }
}

/// What is wrong with an answer, if anything is.
fn difference(name: &str, exchange: &Json, answer: &Answer) -> Option<String> {
    let expected = exchange["body"].as_str().unwrap();
    let ours = answer.text();
    let status = (u64::from(answer.status), answer.reason.as_str());
    let recorded = (exchange["status"].as_u64().unwrap(), exchange["reason"].as_str().unwrap());
    if status != recorded {
        return Some(format!("status {status:?}, recorded {recorded:?}"));
    }
    let (mut recorded, mut headers) = (headers_of(exchange), answer.headers.clone());
    if expected.len() != ours.len() {
        // Names of the run differ in length, and so do some words.
        for list in [&mut recorded, &mut headers] {
            list.iter_mut().find(|(name, _)| name == "content-length").unwrap().1.clear();
        }
    }
    if headers != recorded {
        return Some(format!("headers {headers:?}\n  recorded {recorded:?}"));
    }
    let differ = if answer.status != 200 && OWN_WORDS.contains(&name) {
        !ours.starts_with(expected.split("Additional information").next().unwrap())
    } else if answer.status != 200 || expected.is_empty() {
        ours != expected
    } else {
        comparable(&parse(&ours)) != comparable(&parse(expected))
    };
    differ.then(|| format!("body     {ours:.700}\n  recorded {expected:.700}"))
}

#[test]
fn every_recorded_call_is_answered_as_recorded() {
    let world = world();
    let (front, address) = serve(&world);
    let mut translation = Translation::default();
    // Sessions that the recording used without showing how they began.
    translation.learn("OpaqueRef:790495ea-e10f-8d16-5ec4-c5e5b3be8eed", &log_in(address, false));
    translation.learn("OpaqueRef:d13b1d52-acd3-ba67-550a-76604837f7c1", &log_in(address, true));
    translation.learn("OpaqueRef:b84073f9-d315-fe32-3fe0-28a92eb8af07", &log_in(address, false));
    let recorded = exchanges("calls-and-errors.json");
    let (mut compared, mut wrong) = (0, Vec::new());
    let mut connection = Connection::open(address);
    for exchange in &recorded {
        let text = |field: &str| exchange[field].as_str().unwrap();
        let name = text("name");
        let body = recorded_bytes(text("request"), &translation);
        let headers: String = exchange["request_headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap()))
            .collect();
        connection.send(&request(text("method"), text("path"), &headers, &body));
        let answer = connection.receive().unwrap_or_else(|error| panic!("{name}: {error}"));
        if answer.status == 200 && !answer.body.is_empty() {
            translation.learn_from(&parse(text("body")), &parse(&answer.text()));
        }
        if let Some(difference) = difference(name, exchange, &answer) {
            wrong.push(format!("{name}\n  {difference}"));
        }
        // What says that it closes closes, what does not can be used again.
        if answer.header("connection") == "close" {
            assert!(connection.is_over(), "{name}");
            connection = Connection::open(address);
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(compared, 225);
    front.stop();
}

#[test]
fn records_of_every_class_come_by_xml_as_recorded() {
    let world = world();
    let (_front, address) = serve(&world);
    let session = log_in(address, false);
    let path =
        format!("{}/tests/data/oracle/records/pool-of-three.json", env!("CARGO_MANIFEST_DIR"));
    let recorded: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut connection = Connection::open(address);
    let (mut compared, mut wrong) = (0, Vec::new());
    for (class, answers) in recorded.as_object().unwrap() {
        // Sessions and tasks are those of the recording.
        let Some(expected) = answers.get("xmlrpc").and_then(Json::as_str) else { continue };
        if class == "session" {
            continue;
        }
        let body = format!(
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>{class}.get_all_records</methodName>\n\
             <params>\n<param>\n<value><string>{session}</string></value>\n</param>\n</params>\n\
             </methodCall>\n"
        );
        let answer = connection.ask("POST", "/", "", body.as_bytes());
        assert_eq!(answer.header("content-type"), "text/xml");
        let (ours, expected) = (comparable(&parse(&answer.text())), comparable(&parse(expected)));
        if ours != expected {
            wrong.push(format!("{class}\n  ours     {ours:.900}\n  recorded {expected:.900}"));
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 60, "{compared}");
}
