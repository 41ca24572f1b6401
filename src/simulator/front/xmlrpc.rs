//! XML-RPC requests (`rpc/xmlrpc.ml`).

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use serde_json::{Map, Value as Json};

use crate::simulator::envelope::{Envelope, Unreadable};

/// Reads the body of a call.
pub(super) fn read(body: &[u8]) -> Result<Envelope, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| xml_error("malformed character stream"))?;
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
        return Err(Unreadable::Http("Xmlm.Error(1:1, \"expected root element\")".to_owned()));
    }
    let mut parser = Parser::new(text)?;
    parser.open("methodCall")?;
    let method = parser.text_of("methodName")?;
    let mut params = Vec::new();
    if parser.at_open("params") {
        parser.open("params")?;
        while parser.at_open("param") {
            parser.open("param")?;
            params.push(parser.value(0)?);
            parser.close("param")?;
        }
        parser.close("params")?;
    }
    parser.close("methodCall")?;
    match parser.next {
        Token::End => Ok(Envelope::xml(method, params)),
        _ => Err(xml_error("expected end of input")),
    }
}

/// A piece of XML.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Close(String),
    End,
    Open(String),
    Text(String),
}

/// Looks one token ahead. White space between tags is left out, but for the text of a value.
struct Parser<'a> {
    reader: Reader<&'a [u8]>,
    next: Token,
    /// The tag that ended the last text.
    after: Option<Token>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Unreadable> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut parser = Self { reader, next: Token::End, after: None };
        parser.advance()?;
        parser.skip_space()?;
        Ok(parser)
    }

    /// One value, in its element.
    fn value(&mut self, depth: usize) -> Result<Json, Unreadable> {
        if depth > MAX_DEPTH {
            return Err(xml_error("too deeply nested"));
        }
        self.expect("value")?;
        let mut text = String::new();
        if let Token::Text(found) = &mut self.next {
            text = std::mem::take(found);
            self.advance()?;
        }
        let kind = match &self.next {
            Token::Open(kind) if text.trim().is_empty() => kind.clone(),
            // Without a type it is a string.
            _ => {
                self.close("value")?;
                return Ok(Json::String(text));
            }
        };
        let value = match kind.as_str() {
            "array" => self.array(depth)?,
            "struct" => self.members(depth)?,
            "nil" => {
                self.text_of("nil")?;
                Json::Null
            }
            kind => scalar(kind, self.text_of(kind)?)?,
        };
        self.close("value")?;
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Json, Unreadable> {
        self.open("array")?;
        self.open("data")?;
        let mut elements = Vec::new();
        while self.at_open("value") {
            elements.push(self.value(depth + 1)?);
        }
        self.close("data")?;
        self.close("array")?;
        Ok(Json::Array(elements))
    }

    fn members(&mut self, depth: usize) -> Result<Json, Unreadable> {
        self.open("struct")?;
        let mut members = Map::new();
        while self.at_open("member") {
            self.open("member")?;
            let name = self.text_of("name")?;
            let value = self.value(depth + 1)?;
            members.insert(name, value);
            self.close("member")?;
        }
        self.close("struct")?;
        Ok(Json::Object(members))
    }

    /// The text of an element that has nothing else.
    fn text_of(&mut self, name: &str) -> Result<String, Unreadable> {
        self.expect(name)?;
        let mut text = String::new();
        if let Token::Text(found) = &mut self.next {
            text = std::mem::take(found);
            self.advance()?;
        }
        self.close(name)?;
        Ok(text)
    }

    fn at_open(&self, name: &str) -> bool {
        matches!(&self.next, Token::Open(found) if found == name)
    }

    /// Passes an opening tag and the white space behind it.
    fn open(&mut self, name: &str) -> Result<(), Unreadable> {
        self.expect(name)?;
        self.skip_space()
    }

    /// Passes an opening tag.
    fn expect(&mut self, name: &str) -> Result<(), Unreadable> {
        if self.at_open(name) {
            return self.advance();
        }
        Err(self.unexpected(&format!("open_tag({name})")))
    }

    /// Passes a closing tag and the white space around it.
    fn close(&mut self, name: &str) -> Result<(), Unreadable> {
        self.skip_space()?;
        if !matches!(&self.next, Token::Close(found) if found == name) {
            return Err(self.unexpected(&format!("close_tag({name})")));
        }
        self.advance()?;
        self.skip_space()
    }

    fn skip_space(&mut self) -> Result<(), Unreadable> {
        match &self.next {
            Token::Text(text) if text.trim().is_empty() => self.advance(),
            _ => Ok(()),
        }
    }

    fn unexpected(&self, wanted: &str) -> Unreadable {
        let found = match &self.next {
            Token::Close(name) => format!("close_tag({name})"),
            Token::End => "end".to_owned(),
            Token::Open(name) => format!("open_tag({name})"),
            Token::Text(_) => "text".to_owned(),
        };
        Unreadable::Http(format!("Xmlrpc.Parse_error({found:?}, {wanted:?}, _)"))
    }

    fn advance(&mut self) -> Result<(), Unreadable> {
        self.next = match self.after.take() {
            Some(token) => token,
            None => {
                let (text, token) = self.read()?;
                if text.is_empty() {
                    token
                } else {
                    self.after = Some(token);
                    Token::Text(text)
                }
            }
        };
        Ok(())
    }

    /// The text up to the next tag, and the tag.
    fn read(&mut self) -> Result<(String, Token), Unreadable> {
        let mut text = String::new();
        loop {
            let event = self.reader.read_event().map_err(|_| xml_error("malformed"))?;
            match event {
                Event::Text(piece) => text.push_str(&piece.decode().map_err(|_| not_utf8())?),
                Event::CData(piece) => text.push_str(&piece.decode().map_err(|_| not_utf8())?),
                Event::GeneralRef(entity) => {
                    match entity.resolve_char_ref().map_err(|_| xml_error("illegal reference"))? {
                        Some(character) => text.push(character),
                        None => {
                            let name = entity.decode().map_err(|_| not_utf8())?;
                            let known = resolve_xml_entity(&name);
                            text.push_str(known.ok_or_else(|| xml_error("unknown entity"))?);
                        }
                    }
                }
                Event::Start(tag) => return Ok((text, Token::Open(name_of(tag.name().as_ref())?))),
                Event::End(tag) => return Ok((text, Token::Close(name_of(tag.name().as_ref())?))),
                Event::Eof => return Ok((text, Token::End)),
                // Expanded to both of its tags.
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) => {}
                Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }
}

/// A scalar of a type.
fn scalar(kind: &str, text: String) -> Result<Json, Unreadable> {
    let failure = |what: &str| Unreadable::Http(format!("Failure({what:?})"));
    Ok(match kind {
        "string" | "dateTime.iso8601" | "base64" => Json::String(text),
        "int" | "i4" | "i8" => {
            Json::from(text.trim().parse::<i64>().map_err(|_| failure("Int64.of_string"))?)
        }
        "double" => {
            let number = text.trim().parse::<f64>().map_err(|_| failure("float_of_string"))?;
            Json::from(number)
        }
        "boolean" => Json::Bool(match text.trim() {
            "1" | "true" => true,
            "0" | "false" => false,
            _ => return Err(failure("bool_of_string")),
        }),
        other => {
            let found = format!("open_tag({other})");
            return Err(Unreadable::Http(format!("Xmlrpc.Parse_error({found:?}, \"value\", _)")));
        }
    })
}

fn name_of(bytes: &[u8]) -> Result<String, Unreadable> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| not_utf8())
}

fn not_utf8() -> Unreadable {
    xml_error("malformed character stream")
}

fn xml_error(what: &str) -> Unreadable {
    Unreadable::Http(format!("Xmlm.Error({what:?})"))
}

/// Nothing that XAPI takes is deeper.
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(values: &str) -> Result<Vec<Json>, Unreadable> {
        let params = format!("<params>{values}</params>");
        let text = format!("<methodCall><methodName>m</methodName>{params}</methodCall>");
        read(text.as_bytes()).map(|envelope| envelope.params)
    }

    #[test]
    fn every_type_of_value_is_read() {
        for (text, value) in [
            ("<string>a &lt;b&gt; &#65;&amp;</string>", json!("a <b> A&")),
            ("<string/>", json!("")),
            ("<string> a </string>", json!(" a ")),
            ("plain", json!("plain")),
            ("  ", json!("  ")),
            ("", json!("")),
            ("<![CDATA[<raw>]]>", json!("<raw>")),
            ("<int>-5</int>", json!(-5)),
            (" <i4>5</i4> ", json!(5)),
            ("<double>60.1</double>", json!(60.1)),
            ("<boolean>1</boolean>", json!(true)),
            ("<boolean>0</boolean>", json!(false)),
            ("<nil/>", json!(null)),
            (
                "<dateTime.iso8601>20260101T00:00:00Z</dateTime.iso8601>",
                json!("20260101T00:00:00Z"),
            ),
            ("<array><data></data></array>", json!([])),
            ("<array> <data/> </array>", json!([])),
            (
                "<array><data> <value>a</value> <value><int>1</int></value></data></array>",
                json!(["a", 1]),
            ),
            ("<struct></struct>", json!({})),
            ("<struct><member><name>k</name><value>v</value></member></struct>", json!({"k": "v"})),
        ] {
            let read = params(&format!("<param><value>{text}</value></param>"));
            assert_eq!(read.unwrap(), [value], "{text}");
        }
    }

    #[test]
    fn a_call_may_be_laid_out_freely() {
        let text = "<?xml version='1.0'?>\n<!-- a call -->\n<methodCall>\n \
                    <methodName>host.get_all</methodName>\n <params>\n  <param>\n   \
                    <value><string>x</string></value>\n  </param>\n </params>\n</methodCall>\n";
        let envelope = read(text.as_bytes()).unwrap();
        assert_eq!((envelope.method.as_str(), envelope.params), ("host.get_all", vec![json!("x")]));
        let bare = "<methodCall><methodName>m</methodName></methodCall>";
        assert!(read(bare.as_bytes()).unwrap().params.is_empty());
    }

    #[test]
    fn what_is_no_call_is_an_http_error() {
        let says = |text: &[u8]| match read(text) {
            Err(Unreadable::Http(what)) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(says(b"{}"), "Xmlm.Error(1:1, \"expected root element\")");
        assert_eq!(
            says(b"<params>\n</params>\n"),
            "Xmlrpc.Parse_error(\"open_tag(params)\", \"open_tag(methodCall)\", _)"
        );
        for text in [
            &b"<methodCall>"[..],
            b"<methodCall><methodName>m</methodCall>",
            b"<methodCall><methodName>m</methodName></methodCall><x/>",
            b"<methodCall><methodName>m</methodName></methodCall> and more",
            b"<methodCall><methodName>\xff</methodName></methodCall>",
            b"<methodCall><methodName>&x;</methodName></methodCall>",
            b"<methodCall><methodName>m</methodName><params><param></param></params></methodCall>",
            b"<a b",
            b"<",
            b"<!DOCTYPE x [<!ENTITY a '1'>]><methodCall><methodName>&a;</methodName></methodCall>",
        ] {
            says(text);
        }
        for value in ["<int>x</int>", "<boolean>yes</boolean>", "<double>a</double>", "<tree/>"] {
            assert!(params(&format!("<param><value>{value}</value></param>")).is_err(), "{value}");
        }
        let deep = "<value><array><data>".repeat(10_000);
        assert!(params(&format!("<param>{deep}</param>")).is_err());
    }
}
