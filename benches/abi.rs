//! What the C ABI costs: the calls of C, made from Rust, beside the same in Rust.
//!
//! `languages/run` measures the same through C, Python and Go.

use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut};

use divan::{Bencher, black_box};
use xcp_pool::ffi::*;
use xcp_pool::model::Snapshot;
use xcp_pool::preflight::{Options, Report, evaluate};

fn main() {
    divan::main();
}

/// A pool of 64 hosts, and a host that stands in its own way, as the programs in `languages` say it, too.
fn worlds() -> [String; 2] {
    let hosts: Vec<String> =
        (1..=64).map(|n| format!(r#"{{"name": "host{n}", "address": "10.0.1.{n}"}}"#)).collect();
    let spec = format!(
        r#"{{"pools": [{{"name": "large", "hosts": [{}]}},
            {{"hosts": [{{"name": "ignite", "address": "10.0.2.1"}}],
              "shared_srs": [{{"name": "nfs", "type": "nfs"}}],
              "vlans": [{{"name": "lab", "nic": 0, "tag": 7}}],
              "vms": [{{"name": "a"}}, {{"name": "b", "power": "running", "host": "ignite"}}]}}]}}"#,
        hosts.join(", ")
    );
    let spec = c(&spec);
    let mut simulator = null_mut();
    // SAFETY: texts end, outputs can be written, and the simulator lives until it is freed.
    unsafe {
        assert!(xcp_simulator_new(spec.as_ptr(), &mut simulator, null_mut()) == xcp_status::XCP_OK);
        let databases = ["host1", "ignite"].map(|host| {
            let host = c(host);
            text(|out| xcp_simulator_database_json(simulator, host.as_ptr(), out, null_mut()))
        });
        xcp_simulator_free(simulator);
        databases
    }
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// What a call writes as text.
fn text(call: impl FnOnce(*mut *mut c_char) -> xcp_status) -> String {
    let mut out = null_mut();
    assert!(call(&mut out) == xcp_status::XCP_OK);
    // SAFETY: the call wrote a text, which is freed once.
    unsafe {
        let text = CStr::from_ptr(out).to_str().unwrap().to_owned();
        xcp_string_free(out);
        text
    }
}

/// The report of the worlds as an object of the C ABI.
struct Object(*mut xcp_report);

impl Object {
    fn new() -> Self {
        let mut report = null_mut();
        // SAFETY: what is given was made just before, and outputs can be written.
        unsafe {
            let [pool, host] = worlds().map(|world| {
                let (world, mut snapshot) = (c(&world), null_mut());
                let status =
                    xcp_snapshot_from_json(world.as_ptr(), false, &mut snapshot, null_mut());
                assert!(status == xcp_status::XCP_OK);
                snapshot
            });
            assert!(
                xcp_preflight(pool, host, null(), &mut report, null_mut()) == xcp_status::XCP_OK
            );
            xcp_snapshot_free(pool);
            xcp_snapshot_free(host);
        }
        Self(report)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: made by the library, freed once.
        unsafe { xcp_report_free(self.0) }
    }
}

fn report() -> Report {
    let [pool, host] = worlds().map(|world| Snapshot::from_json(world.as_bytes()).unwrap());
    evaluate(pool, host, &Options::default())
}

#[divan::bench_group]
mod a_number_of_an_object {
    use super::*;

    #[divan::bench]
    fn c_abi(bencher: Bencher<'_, '_>) {
        let report = Object::new();
        // SAFETY: the report is alive.
        bencher.bench_local(|| unsafe { xcp_report_finding_count(black_box(report.0)) });
    }

    #[divan::bench]
    fn rust(bencher: Bencher<'_, '_>) {
        let report = report();
        bencher.bench_local(|| black_box(&report).findings().len());
    }
}

#[divan::bench_group]
mod an_error_with_its_message {
    use super::*;

    #[divan::bench]
    fn c_abi(bencher: Bencher<'_, '_>) {
        let wrong = c("[");
        bencher.bench_local(|| {
            let (mut snapshot, mut error) = (null_mut(), null_mut());
            // SAFETY: the text ends, outputs can be written, the error is read before it is freed.
            unsafe {
                xcp_snapshot_from_json(wrong.as_ptr(), false, &mut snapshot, &mut error);
                let length = CStr::from_ptr(xcp_error_message(error)).count_bytes();
                xcp_error_free(error);
                length
            }
        });
    }

    #[divan::bench]
    fn rust(bencher: Bencher<'_, '_>) {
        bencher.bench_local(|| Snapshot::from_json(black_box(b"[")).unwrap_err().to_string().len());
    }
}

#[divan::bench_group]
mod the_report_of_64_hosts_as_json {
    use super::*;

    #[divan::bench]
    fn c_abi(bencher: Bencher<'_, '_>) {
        let report = Object::new();
        bencher.bench_local(|| {
            let mut json = null_mut();
            // SAFETY: the report is alive, and the text is freed once.
            unsafe {
                xcp_report_json(report.0, &mut json, null_mut());
                xcp_string_free(black_box(json));
            }
        });
    }

    #[divan::bench]
    fn rust(bencher: Bencher<'_, '_>) {
        let report = report();
        bencher.bench_local(|| serde_json::to_string(black_box(&report)).unwrap());
    }
}
