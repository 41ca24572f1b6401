//! Large replies are decoded as they arrive: reading needs little memory beside what is kept.

use std::io::{self, Read};

use crate::counting::{ALONE, held, measured};
use serde_json::{Value, json};
use xcp_pool::Result;
use xcp_pool::client::{Client, Credentials};
use xcp_pool::model::Vm;
use xcp_pool::transport::{Body, Clock, Endpoint, Request, SystemClock, Transport};

const VMS: usize = 10_000;

/// Answers every login, and all VMs with 7 kB each, made while they are read.
struct Large {
    record: String,
}

impl Large {
    fn new() -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/oracle/joins/01-minimal-fresh-joiner.json"
        );
        let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut record =
            recorded["pool_before"]["VM"].as_object().unwrap().values().next().unwrap().clone();
        let rest = 7_000 - record.to_string().len();
        record["NVRAM"] = json!({"EFI-variables": "x".repeat(rest)});
        Self { record: record.to_string() }
    }
}

impl Transport for Large {
    fn exchange(&self, request: &Request<'_>) -> Result<Body> {
        let call: Value = serde_json::from_slice(request.body).unwrap();
        let reply = match call["method"].as_str().unwrap() {
            "VM.get_all_records" => {
                return Ok(Body::Reader(Box::new(Arriving {
                    record: self.record.clone(),
                    piece: b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {".to_vec(),
                    at: 0,
                    next: 0,
                })));
            }
            "session.login_with_password" => json!("OpaqueRef:session"),
            "session.logout" => json!(""),
            "pool.get_all_records" => {
                json!({"OpaqueRef:pool": {"uuid": "pool", "master": "OpaqueRef:host"}})
            }
            method => panic!("{method} was not expected"),
        };
        Ok(Body::Bytes(json!({"jsonrpc": "2.0", "id": 1, "result": reply}).to_string().into()))
    }

    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }
}

/// The reply, a record at a time.
struct Arriving {
    record: String,
    piece: Vec<u8>,
    at: usize,
    next: usize,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && self.next <= VMS {
            let comma = if self.next == 0 { "" } else { "," };
            self.piece.clear();
            match self.next {
                VMS => self.piece.extend(b"}}"),
                n => {
                    let uuid = format!("{n:08x}-0000-4000-8000-000000000000");
                    let record = format!("{comma}\"OpaqueRef:{uuid}\":{}", self.record);
                    self.piece.extend(record.bytes());
                }
            }
            (self.at, self.next) = (0, self.next + 1);
        }
        let read = (&self.piece[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

#[test]
fn seventy_megabytes_of_vms_need_little_beside_what_is_kept() {
    let _alone = ALONE.lock();
    let endpoint = Endpoint::https("10.0.0.1");
    let client = Client::builder(Large::new())
        .connect_to(&endpoint, &Credentials::new("root", "secret"))
        .unwrap();
    let before = held();
    let (vms, _, most) = measured(|| client.records::<Vm>().unwrap());
    let kept = held() - before;
    assert_eq!(vms.len(), VMS);
    let beside = most - kept;
    println!("{kept} bytes are kept, {beside} were needed beside them");
    assert!(kept > 1 << 20, "the records take memory, so something was counted");
    assert!(beside <= 24 << 20, "{beside} bytes beside the {kept} that are kept");
}
