//! Large replies, decoded record by record as they arrive.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Read};

use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Class, Problem, Record, Ref, Snapshot, with_class};
use crate::text::quoted;
use crate::wire::body::Body;
use crate::wire::cursor::{Cursor, Stop};
use crate::wire::reply::{Raised, decode, decode_text, not_a_reply};
use crate::wire::snapshot::without_position;

/// A reply to be decoded: at once, or record by record as it arrives.
///
/// Of a reply that is still arriving no more is held than a window of some hundred KiB, or the
/// largest single record.
pub(crate) struct Reply {
    source: Option<Box<dyn Read + Send>>,
    window: Window,
    /// How much of the window has been taken.
    start: usize,
    /// The beginning of a character whose end has not arrived.
    carry: Vec<u8>,
    taken: u64,
    /// What decoded records take beyond their own JSON.
    charged: u64,
    max: u64,
    /// The window's size, to begin with.
    first: usize,
}

/// Text, as every reply should be; bytes, if it is not UTF-8. Then only the records that are not
/// are lost.
enum Window {
    Bytes(Vec<u8>),
    Text(String),
}

/// Large against a record (a few kB), so that few records are cut; small against caches.
const WINDOW: usize = 256 << 10;

/// What is kept of a record that cannot be decoded.
const SMALLEST_CHARGE: usize = 256;

/// A limit below this is one on the reply's bytes alone.
const LEAST_MAX: u64 = 4 << 20;

/// No record is larger. The largest known field, `VM.NVRAM`, is some hundred kB.
const MAX_RECORD: usize = 32 << 20;

impl Reply {
    /// A reply of at most `max` bytes.
    pub(crate) fn new(body: Body, max: u64) -> Self {
        let (source, bytes) = match body {
            Body::Bytes(bytes) => (None, bytes),
            Body::Reader(reader) => (Some(reader), Vec::new()),
        };
        let taken = bytes.len() as u64;
        let carry = Vec::new();
        let mut reply = Self {
            source,
            window: Window::EMPTY,
            start: 0,
            carry,
            taken,
            charged: 0,
            max,
            first: WINDOW,
        };
        reply.look_at(bytes);
        reply
    }

    /// A reader whose window cuts nearly everything.
    #[cfg(test)]
    pub(super) fn with_window(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// Decodes the whole reply into its result.
    ///
    /// # Errors
    /// As [`decode`]; `TooLarge` beyond the limit; whatever reading raises.
    pub(crate) fn result<T: DeserializeOwned>(mut self) -> Result<T> {
        if let Some(mut source) = self.source.take() {
            let bytes = read_all(&mut source, self.max)?;
            self.taken = bytes.len() as u64;
            self.look_at(bytes);
        }
        self.check_size()?;
        match &self.window {
            Window::Bytes(bytes) => decode(bytes),
            Window::Text(text) => decode_text(text),
        }
    }

    /// Decodes the result of `get_all_records`, one ref and record after another.
    ///
    /// A record that is not of the type is given as the words that say why.
    ///
    /// # Errors
    /// As [`Self::result`].
    pub(crate) fn records<T: DeserializeOwned>(
        mut self,
        mut each: impl FnMut(&str, Result<T, String>),
    ) -> Result<()> {
        self.check_size()?;
        self.envelope(|reply| {
            let mut first = true;
            while let Some(length) = reply.step(|cursor| {
                let start = cursor.at;
                let Some(reference) = cursor.member(first)? else { return Ok(None) };
                let record = record(cursor)?;
                // The last thing in this step, which is therefore not taken again.
                each(&reference, record);
                Ok(Some(cursor.at - start))
            })? {
                first = false;
                reply.charge(length, size_of::<T>())?;
            }
            Ok(())
        })
    }

    /// Decodes the result of `get_all_records` into the table of a class.
    ///
    /// The table is covered then.
    ///
    /// # Errors
    /// As [`Self::result`]. Records that cannot be decoded are noted in
    /// [`Snapshot::problems`] instead.
    pub(crate) fn table(self, class: Class, snapshot: &mut Snapshot) -> Result<()> {
        with_class!(class, T => {
            T::table_mut(snapshot).cover();
            let fresh = T::table(snapshot).is_empty();
            let (mut problems, mut count) = (Problems::of(snapshot), 0);
            let result = self.records::<T>(|reference, record| {
                count += 1;
                put(snapshot, &mut problems, class, reference, record);
            });
            let kept = T::table(snapshot).len() + problems.now.len();
            problems.settle(snapshot);
            if fresh && result.is_ok() && kept < count {
                let message = format!("a {class} came twice among the records");
                return Err(Error::new(ErrorKind::Protocol, message));
            }
            result
        })
    }

    /// Walks the envelope; `result` is called where the result begins.
    pub(super) fn envelope<T>(
        &mut self,
        mut result: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let (mut first, mut value, mut raised) = (true, None, None);
        while let Some(name) = self.member(first)? {
            first = false;
            let is_null = self.step(|cursor| cursor.peek().map(|byte| byte == b'n'))?;
            match name.as_str() {
                "result" if value.is_some() => return Err(twice("result")),
                "error" if raised.is_some() => return Err(twice("error")),
                "result" if !is_null => value = Some(result(self)?),
                "error" if !is_null => raised = Some(self.step(|cursor| cursor.value::<Raised>())?),
                _ => self.step(|cursor| cursor.skip().map(drop))?,
            }
        }
        self.finish()?;
        match (value, raised) {
            (_, Some(raised)) => Err(raised.into_error()),
            (Some(value), None) => Ok(value),
            (None, None) => {
                Err(Error::new(ErrorKind::Protocol, "the reply has neither a result nor an error"))
            }
        }
    }

    /// The next member's name in an object.
    pub(super) fn member(&mut self, first: bool) -> Result<Option<String>> {
        self.step(|cursor| Ok(cursor.member(first)?.map(Cow::into_owned)))
    }

    /// Takes one step, reading on as long as it needs more; a step that needs more is tried again
    /// from its beginning.
    pub(super) fn step<T>(
        &mut self,
        mut step: impl FnMut(&mut Cursor<'_>) -> Result<T, Stop>,
    ) -> Result<T> {
        loop {
            let mut cursor = self.cursor();
            match step(&mut cursor) {
                Ok(value) => {
                    let taken = cursor.at;
                    self.start += taken;
                    return Ok(value);
                }
                Err(Stop::More) if self.source.is_some() => self.fill()?,
                Err(stop) => return Err(self.wrong(stop)),
            }
        }
    }

    /// What has not been taken.
    fn cursor(&self) -> Cursor<'_> {
        let last = self.source.is_none();
        match &self.window {
            Window::Bytes(bytes) => Cursor {
                bytes: bytes.get(self.start..).unwrap_or_default(),
                text: None,
                at: 0,
                last,
            },
            Window::Text(text) => {
                let text = text.get(self.start..).unwrap_or_default();
                Cursor { bytes: text.as_bytes(), text: Some(text), at: 0, last }
            }
        }
    }

    /// Takes these bytes for the window, as text if they are.
    fn look_at(&mut self, bytes: Vec<u8>) {
        self.start = 0;
        self.window = match String::from_utf8(bytes) {
            Ok(text) => Window::Text(text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let is_cut = error.utf8_error().error_len().is_none() && self.source.is_some();
                let mut bytes = error.into_bytes();
                if is_cut {
                    self.carry = bytes.split_off(valid);
                }
                // Only what was cut is gone, so that the rest is checked once more, and is text.
                match String::from_utf8(bytes) {
                    Ok(text) => Window::Text(text),
                    Err(error) => Window::Bytes(error.into_bytes()),
                }
            }
        };
    }

    /// Reads until the window is full or the reply ends.
    fn fill(&mut self) -> Result<()> {
        let mut bytes = match std::mem::replace(&mut self.window, Window::EMPTY) {
            Window::Bytes(bytes) => bytes,
            Window::Text(text) => text.into_bytes(),
        };
        let size = bytes.capacity();
        bytes.drain(..self.start);
        bytes.append(&mut self.carry);
        let mut end = bytes.len();
        let size = if end < size / 2 { size } else { (2 * size).max(self.first).max(end + 1) };
        if end > MAX_RECORD {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a record of the reply is larger than {MAX_RECORD} bytes"),
            ));
        }
        bytes.resize(size, 0);
        while let Some(source) = &mut self.source {
            if end == bytes.len() {
                break;
            }
            match source.read(&mut bytes[end..]) {
                Ok(0) => self.source = None,
                Ok(n) => {
                    end += n;
                    self.taken += n as u64;
                    self.check_size()?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error)),
            }
        }
        bytes.truncate(end);
        self.look_at(bytes);
        Ok(())
    }

    /// Makes sure that nothing but white space follows.
    fn finish(&mut self) -> Result<()> {
        loop {
            let mut rest = self.cursor();
            if rest.peek().is_ok() {
                return Err(Error::new(ErrorKind::Protocol, "there is text after the reply"));
            }
            let taken = rest.bytes.len();
            self.start += taken;
            if self.source.is_none() {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Counts what a decoded record takes beyond its own JSON: of a server's record that is
    /// nothing, but `"":{},` would make a kB of six bytes.
    pub(super) fn charge(&mut self, length: usize, size: usize) -> Result<()> {
        self.charged += size.max(SMALLEST_CHARGE).saturating_sub(length) as u64;
        if self.taken.saturating_add(self.charged) <= self.max.max(LEAST_MAX) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!("the reply's records are larger than the limit of {} bytes", self.max),
        ))
    }

    fn check_size(&self) -> Result<()> {
        if self.taken <= self.max {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!("the reply is larger than the limit of {} bytes", self.max),
        ))
    }

    fn wrong(&self, stop: Stop) -> Error {
        let start = self.cursor().bytes;
        let at_start = self.taken == (start.len() + self.carry.len()) as u64;
        match stop {
            _ if at_start && no_object(start) => {
                // Only to have the parser's words for it.
                match serde_json::from_slice::<serde::de::IgnoredAny>(start) {
                    Err(error) => not_a_reply(start, error),
                    Ok(_) => Error::new(ErrorKind::Protocol, "the reply is no JSON-RPC reply"),
                }
            }
            Stop::More => Error::new(ErrorKind::Protocol, "the reply ends in the middle"),
            Stop::Wrong(why) => {
                Error::new(ErrorKind::Protocol, format!("the reply is malformed: {why}"))
            }
            Stop::Value(error) => {
                Error::new(ErrorKind::Protocol, "the reply is not of the expected type")
                    .with_source(error)
            }
        }
    }
}

impl Window {
    const EMPTY: Self = Self::Text(String::new());
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// Reads a reply of at most `max` bytes, and one more to see that it is longer, into no more memory
/// than that.
fn read_all(source: &mut dyn Read, max: u64) -> Result<Vec<u8>> {
    let limit = usize::try_from(max.saturating_add(1)).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let mut end = 0;
    while end < limit {
        if end == bytes.len() {
            let more = (2 * end).max(WINDOW).min(limit);
            bytes.reserve_exact(more - end);
            bytes.resize(more, 0);
        }
        match source.read(&mut bytes[end..]) {
            Ok(0) => break,
            Ok(n) => end += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
    bytes.truncate(end);
    Ok(bytes)
}

pub(super) fn twice(name: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the reply has the member {} twice", quoted(name)))
}

fn no_object(bytes: &[u8]) -> bool {
    bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{')
}

/// Takes one record, or the words that say why it is none.
pub(super) fn record<T: DeserializeOwned>(
    cursor: &mut Cursor<'_>,
) -> Result<Result<T, String>, Stop> {
    // A scalar has no end of its own, and is no record anyway.
    let result = match cursor.peek()? {
        b'{' | b'[' | b'"' => cursor.value::<T>(),
        _ => {
            cursor.skip()?;
            return Ok(Err("it is no record".to_owned()));
        }
    };
    match result {
        Ok(record) => Ok(Ok(record)),
        Err(Stop::Value(error)) => {
            cursor.skip()?;
            Ok(Err(without_position(&error)))
        }
        Err(stop) => Err(stop),
    }
}

/// Puts a record into its table, or notes why it cannot be decoded, in place of what was noted or
/// known of it before.
pub(super) fn put<T: Record>(
    snapshot: &mut Snapshot,
    problems: &mut Problems,
    class: Class,
    reference: &str,
    record: Result<T, String>,
) {
    let reference_typed = Ref::new(reference);
    match record {
        Ok(record) => {
            problems.forget(class, reference);
            T::table_mut(snapshot).insert(reference_typed, record);
        }
        Err(why) => {
            T::table_mut(snapshot).remove(&reference_typed);
            problems.note(class, reference, why);
        }
    }
}

/// A snapshot's problems while a reply is applied to it. Settled once, so that a reply full of them
/// takes no time by the square of their number.
pub(super) struct Problems {
    /// Those that the snapshot had, and that the reply has said nothing about yet.
    before: HashSet<(Class, String)>,
    had: usize,
    /// Those of this reply, with the order in which they came.
    now: HashMap<(Class, String), (usize, String)>,
    count: usize,
}

impl Problems {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let key = |problem: &Problem| (problem.class, problem.reference.clone());
        let before: HashSet<_> = snapshot.problems.iter().map(key).collect();
        Self { had: before.len(), before, now: HashMap::new(), count: 0 }
    }

    /// The object is in order now, or gone.
    pub(super) fn forget(&mut self, class: Class, reference: &str) {
        if self.before.is_empty() && self.now.is_empty() {
            return;
        }
        let key = (class, reference.to_owned());
        self.before.remove(&key);
        self.now.remove(&key);
    }

    fn note(&mut self, class: Class, reference: &str, why: String) {
        let key = (class, reference.to_owned());
        self.before.remove(&key);
        self.now.insert(key, (self.count, why));
        self.count += 1;
    }

    /// Writes them down, in the order in which they came.
    pub(super) fn settle(self, snapshot: &mut Snapshot) {
        if self.before.len() < self.had {
            snapshot.problems.retain(|problem| {
                self.before.contains(&(problem.class, problem.reference.clone()))
            });
        }
        let mut now: Vec<_> = self.now.into_iter().collect();
        now.sort_by_key(|(_, (order, _))| *order);
        let problem = |((class, reference), (_, why)): ((Class, String), (usize, String))| {
            Problem::new(class, reference, why)
        };
        snapshot.problems.extend(now.into_iter().map(problem));
    }
}

/// What reading raised: this crate's own error if a transport wrapped one, else a broken
/// connection.
fn broken(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::Timeout,
        _ => ErrorKind::Transport,
    };
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(kind, "the reply broke off").with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PowerState, Vm};

    /// Hands out bytes in pieces of a size.
    struct Pieces(Vec<u8>, usize, usize);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.2.min(buffer.len()).min(self.0.len() - self.1);
            buffer[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 += n;
            Ok(n)
        }
    }

    fn reply(text: &str, piece: usize) -> Reply {
        let source = match piece {
            0 => Body::Bytes(text.as_bytes().to_vec()),
            _ => Body::Reader(Box::new(Pieces(text.as_bytes().to_vec(), 0, piece))),
        };
        Reply::new(source, 1 << 20).with_window(64)
    }

    const VMS: &str = r#" {"jsonrpc":"2.0","id":1,"result": {
        "OpaqueRef:a":{"uuid":"a","power_state":"Running","name_label":"é\"}"},
        "OpaqueRef:b":{"uuid":"b","power_state":5},
        "OpaqueRef:c":{"uuid":"c","new":{"x":[NaN]}},
        "OpaqueRef:d":7,
        "OpaqueRef:e":{"uuid":"e"} } } "#;

    #[test]
    fn records_are_decoded_as_they_arrive() {
        for piece in [0, 1, 7, 4096] {
            let mut snapshot = Snapshot::new();
            reply(VMS, piece).table(Class::Vm, &mut snapshot).unwrap();
            let uuids: Vec<_> = snapshot.vm.records().map(|vm| vm.uuid.to_string()).collect();
            assert_eq!(uuids, ["a", "e"]);
            let a = snapshot.get(&Ref::<Vm>::new("OpaqueRef:a")).unwrap();
            assert_eq!((&a.power_state, a.name_label.as_str()), (&PowerState::Running, "é\"}"));
            let problems: Vec<_> = snapshot.problems.iter().map(ToString::to_string).collect();
            assert_eq!(
                problems,
                [
                    "VM OpaqueRef:b: power_state: invalid type: integer `5`, expected PowerState",
                    "VM OpaqueRef:c: expected value",
                    "VM OpaqueRef:d: it is no record",
                ]
            );
        }
    }

    #[test]
    fn a_record_larger_than_the_window_is_decoded() {
        let name = "x".repeat(100_000);
        let text = format!(
            r#"{{"result":{{"OpaqueRef:a":{{"uuid":"a","name_label":"{name}"}},
                           "OpaqueRef:b":{{"uuid":"b"}}}}}}"#
        );
        let mut snapshot = Snapshot::new();
        reply(&text, 10_000).table(Class::Vm, &mut snapshot).unwrap();
        assert_eq!(snapshot.vm.len(), 2);
        assert_eq!(snapshot.vm.records().next().unwrap().name_label, name);
    }

    #[test]
    fn a_fault_is_a_fault_also_when_records_were_expected() {
        for text in [
            r#"{"result":null,"error":["X","p"],"id":1}"#,
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"X","data":["p"]},"id":1}"#,
            r#"{"jsonrpc":"2.0","error":["X","p"],"id":0}"#,
        ] {
            for piece in [0, 3] {
                let error = reply(text, piece).table(Class::Vm, &mut Snapshot::new()).unwrap_err();
                assert_eq!(error.fault().unwrap(), &crate::Fault::new("X", ["p"]));
            }
        }
    }

    #[test]
    fn broken_replies_are_protocol_errors() {
        for piece in [0, 5] {
            let message = |text: &str| {
                let error = reply(text, piece).table(Class::Vm, &mut Snapshot::new()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Protocol, "{text}");
                error.to_string()
            };
            for end in 1..VMS.trim_end().len() {
                if VMS.is_char_boundary(end) {
                    let cut = message(&VMS[..end]);
                    assert!(cut == "the reply ends in the middle" || end == 1, "{cut}");
                }
            }
            assert_eq!(message(""), "the reply is empty");
            assert!(message("<html>HTTP 500</html>").contains("HTTP 500"));
            assert_eq!(message(r#"{"result":{}} x"#), "there is text after the reply");
            assert!(message(r#"{"result":[]}"#).contains("expected an object"));
            assert_eq!(message("{}"), "the reply has neither a result nor an error");
        }
    }

    #[test]
    fn a_reply_beyond_its_limit_is_refused() {
        let text = format!(r#"{{"result":{{"OpaqueRef:a":"{}"}}}}"#, "x".repeat(2 << 20));
        for piece in [0, 100_000] {
            let kind = |result: Result<()>| result.unwrap_err().kind();
            assert_eq!(kind(reply(&text, piece).result::<()>()), ErrorKind::TooLarge);
            let mut snapshot = Snapshot::new();
            assert_eq!(
                kind(reply(&text, piece).table(Class::Vm, &mut snapshot)),
                ErrorKind::TooLarge
            );
        }
    }

    #[test]
    fn what_a_transport_raises_while_reading_comes_through() {
        struct Fails(fn() -> io::Error);
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(self.0())
            }
        }
        let kind = |fails: fn() -> io::Error| {
            let reply = Reply::new(Body::Reader(Box::new(Fails(fails))), 100);
            reply.records::<Vm>(|_, _| {}).unwrap_err().kind()
        };
        assert_eq!(kind(|| io::ErrorKind::ConnectionReset.into()), ErrorKind::Transport);
        assert_eq!(kind(|| io::ErrorKind::TimedOut.into()), ErrorKind::Timeout);
        let cancelled = || io::Error::other(Error::new(ErrorKind::Cancelled, "cancelled"));
        assert_eq!(kind(cancelled), ErrorKind::Cancelled);
    }
}
