//! Laws of decoding: nothing panics, whatever comes; and what comes in pieces is what comes at
//! once.

use std::io::{self, Read};

use crate::error::{Error, ErrorKind};
use crate::model::{Class, Snapshot};
use crate::wire::body::Body;
use crate::wire::{Reply, decode, decode_task_result};
use proptest::prelude::*;

/// Hands out bytes in pieces of changing sizes.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    sizes: Vec<usize>,
    turn: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()];
        self.turn += 1;
        let n = size.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn replies() -> Vec<Vec<u8>> {
    let vm = |reference: &str, name: &str| {
        format!(
            r#""OpaqueRef:{reference}":{{"uuid":"{reference}","name_label":"{name}",
               "power_state":"Running","VCPUs_max":4,"VBDs":["OpaqueRef:x","OpaqueRef:y"],
               "other_config":{{"a":"b","c":"{name}"}},
               "start_delay":0,"NVRAM":{{"EFI-variables":"AAAA"}},"HVM_shadow_multiplier":1.0}}"#
        )
    };
    let table = format!(
        r#"{{"jsonrpc":"2.0","result":{{{},{}}},"id":1}}"#,
        vm("1", "é😀\\\""),
        vm("2", "")
    );
    let events = r#"{"jsonrpc":"2.0","result":{"events":[
        {"id":"1","timestamp":"0.0","class":"vm","operation":"add",
         "ref":"OpaqueRef:1","snapshot":{"uuid":"1","tags":["a"]}},
        {"id":"2","timestamp":"0.0","class":"console","operation":"mod",
         "ref":"OpaqueRef:2","snapshot":{"x":[{},[]]}},
        {"id":"3","timestamp":"0.0","class":"vm","operation":"del","ref":"OpaqueRef:1"}],
        "valid_ref_counts":{"vm":0,"console":1},"token":"1,2"},"id":1}"#;
    let fault = r#"{"jsonrpc":"2.0",
        "error":{"code":1,"message":"HANDLE_INVALID","data":["VM","x"]},"id":1}"#;
    vec![table.into_bytes(), events.as_bytes().to_vec(), fault.as_bytes().to_vec()]
}

/// Everything that a reply can be decoded as, in one text.
fn outcome(window: usize, source: impl Fn() -> Body) -> String {
    let reply = || Reply::new(source(), 1 << 20).with_window(window);
    let mut table = Snapshot::new();
    let as_table = reply().table(Class::Vm, &mut table);
    let mut events = Snapshot::new();
    let mut changes = Vec::new();
    let as_events = reply().events(&mut events, |change| changes.push(change));
    let as_text = reply().result::<serde_json::Value>();
    let words = |error: &Error| format!("{:?} {error}", error.kind());
    format!(
        "{:?} {} {:?} {} {changes:?} {:?}",
        as_table.map_err(|error| words(&error)),
        table.to_json(),
        as_events.map_err(|error| words(&error)),
        events.to_json(),
        as_text.map_err(|error| error.kind()),
    )
}

fn changed() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<Option<u8>>());
    (0..3_usize, prop::collection::vec(change, 0..4), any::<prop::sample::Index>(), any::<bool>())
        .prop_map(|(which, changes, cut, is_cut)| {
            let mut bytes = replies().swap_remove(which);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                match byte {
                    Some(byte) => bytes[at] = byte,
                    None => drop(bytes.remove(at)),
                }
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn pieces_decode_as_the_whole(
        bytes in changed(),
        sizes in prop::collection::vec(1..200_usize, 1..6),
        window in 1..300_usize,
    ) {
        let whole = outcome(1, || Body::Bytes(bytes.clone()));
        let pieces = outcome(window, || {
            let bytes = bytes.clone();
            Body::Reader(Box::new(Pieces { bytes, at: 0, sizes: sizes.clone(), turn: 0 }))
        });
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn nothing_that_comes_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = outcome(1, || Body::Bytes(bytes.clone()));
        let _ = decode::<()>(&bytes);
        let _ = decode_task_result::<Vec<String>>(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_task_result_panics(
        text in "(</?(value|array|data|struct|member|name|int|boolean)/?>\
            |&(lt|#x?[0-9]{1,8});|[a&<> ]){0,30}",
    ) {
        let _ = decode_task_result::<Vec<i64>>(&text);
        let _ = decode_task_result::<std::collections::BTreeMap<String, String>>(&text);
    }
}

#[test]
fn hostile_replies_end_in_an_error() {
    let deep = format!(
        r#"{{"result":{{"OpaqueRef:a":{}1{}}}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    let mut snapshot = Snapshot::new();
    Reply::new(Body::Bytes(deep.into_bytes()), 1 << 24).table(Class::Vm, &mut snapshot).unwrap();
    // Deeper than any record: a problem of that record alone.
    assert_eq!(snapshot.problems.len(), 1);
    let twice = br#"{"result":{"OpaqueRef:a":{"uuid":"1"},"OpaqueRef:a":{"uuid":"2"}},"result":5}"#;
    let mut snapshot = Snapshot::new();
    let error = Reply::new(Body::Bytes(twice.to_vec()), 1 << 20).table(Class::Vm, &mut snapshot);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Protocol);

    struct Endless;
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b' ');
            Ok(buffer.len())
        }
    }
    let reply = Reply::new(Body::Reader(Box::new(Endless)), 10 << 20);
    let error = reply.table(Class::Vm, &mut Snapshot::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
