//! The contract at the top of the header: results, texts, objects, threads.

#![cfg(feature = "ffi")]

#[path = "ffi/support/mod.rs"]
mod ffi_support;

use std::ffi::c_char;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ffi_support::{borrowed, c, done, json, text};
use xcp_pool::ffi::xcp_status::*;
use xcp_pool::ffi::*;

const POOL: &str = r#"{"pool": {"OpaqueRef:p": {"master": "OpaqueRef:h"}}, "host": {"OpaqueRef:h": {}},
                       "SR": {"OpaqueRef:s": {}, "OpaqueRef:t": {}}}"#;

/// Held by tests that free twice: another test's object could take the address in between. So this is
/// a binary of its own.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn snapshot(json: &str, complete: bool) -> *mut xcp_snapshot {
    let (json, mut snapshot) = (c(json), ptr::null_mut());
    // SAFETY: the text lives during the call, the places are on this stack.
    done(|error| unsafe { xcp_snapshot_from_json(json.as_ptr(), complete, &mut snapshot, error) })
        .unwrap();
    assert!(!snapshot.is_null());
    snapshot
}

#[test]
fn versions_and_names_are_told() {
    assert_eq!(xcp_abi_version(), XCP_ABI_VERSION);
    assert_eq!(borrowed(xcp_version()), env!("CARGO_PKG_VERSION"));
    assert_eq!(borrowed(xcp_status_name(XCP_E_UTF8 as u32)), "XCP_E_UTF8");
    assert_eq!(borrowed(xcp_status_name(77)), "unknown status");
}

#[test]
fn a_null_that_must_not_be_is_named() {
    let empty = c("{}");
    let mut out: *mut c_char = ptr::null_mut();
    // SAFETY: NULLs are what is tested; the rest lives during the call.
    unsafe {
        for (refusal, name) in [
            (done(|e| xcp_partition_json(ptr::null(), &mut out, e)), "input_json"),
            (done(|e| xcp_partition_json(empty.as_ptr(), ptr::null_mut(), e)), "outcome_json"),
            (
                done(|e| xcp_preflight_json(ptr::null(), empty.as_ptr(), ptr::null(), &mut out, e)),
                "pool_snapshot_json",
            ),
            (
                done(|e| xcp_preflight_json(empty.as_ptr(), ptr::null(), ptr::null(), &mut out, e)),
                "host_snapshot_json",
            ),
            (done(|e| xcp_snapshot_to_json(ptr::null(), &mut out, e)), "snapshot"),
            (
                done(|e| xcp_snapshot_from_json(empty.as_ptr(), false, ptr::null_mut(), e)),
                "snapshot",
            ),
            (done(|e| xcp_report_json(ptr::null(), &mut out, e)), "report"),
        ] {
            let refusal = refusal.unwrap_err();
            assert_eq!(refusal.status, XCP_E_NULL);
            assert_eq!(refusal.message, format!("{name} is NULL"));
        }
        // Nobody has to take the error.
        assert_eq!(xcp_partition_json(ptr::null(), &mut out, ptr::null_mut()), XCP_E_NULL);
    }
    assert!(out.is_null(), "an output was written on failure");
}

#[test]
fn null_is_an_object_that_says_nothing() {
    // SAFETY: NULL is what is tested.
    unsafe {
        assert_eq!(xcp_error_code(ptr::null()), XCP_OK);
        assert_eq!(borrowed(xcp_error_message(ptr::null())), "");
        assert!(xcp_error_fault_code(ptr::null()).is_null());
        assert_eq!(borrowed(xcp_error_fault_params_json(ptr::null())), "[]");
        assert_eq!(xcp_report_verdict(ptr::null()), xcp_verdict::XCP_VERDICT_NONE);
        assert_eq!(xcp_report_blocking_count(ptr::null()), 0);
        assert_eq!(xcp_report_finding_count(ptr::null()), 0);
        xcp_error_free(ptr::null_mut());
        xcp_string_free(ptr::null_mut());
        xcp_snapshot_free(ptr::null_mut());
        xcp_report_free(ptr::null_mut());
        xcp_joins_free(ptr::null_mut());
        xcp_local_session_free(ptr::null_mut());
        xcp_task_free(ptr::null_mut());
        xcp_front_free(ptr::null_mut());
    }
}

#[test]
fn a_text_that_is_not_utf8_is_refused_with_its_place() {
    let mut out = ptr::null_mut();
    // SAFETY: the text ends with NUL and lives during the call.
    let refusal = done(|error| unsafe {
        xcp_partition_json(c"{\"hosts\": [\"\xff\"]}".as_ptr(), &mut out, error)
    })
    .unwrap_err();
    assert_eq!(refusal.status, XCP_E_UTF8);
    assert_eq!(refusal.message, "input_json is not UTF-8 from byte 12 on");
}

#[test]
fn what_was_freed_or_is_something_else_is_misuse() {
    let _alone = alone();
    let pool = snapshot(POOL, true);
    let other = snapshot(POOL, true);
    let mut report = ptr::null_mut();
    // SAFETY: nothing is read through pointers that the library does not know; that is tested.
    unsafe {
        xcp_snapshot_free(other);
        xcp_snapshot_free(other);
        let gone = done(|e| xcp_preflight(pool, other, ptr::null(), &mut report, e)).unwrap_err();
        assert_eq!(gone.status, XCP_E_MISUSE);
        assert_eq!(gone.message, "host is no xcp_snapshot, or was freed");
        let wrong = text(|out, e| xcp_report_json(pool.cast(), out, e)).unwrap_err();
        assert_eq!(wrong.status, XCP_E_MISUSE);
        assert_eq!(xcp_report_verdict(pool.cast()), xcp_verdict::XCP_VERDICT_NONE);
        assert_eq!(xcp_error_code(pool.cast()), XCP_E_MISUSE);
        // Neither of these frees the snapshot.
        xcp_report_free(pool.cast());
        xcp_string_free(pool.cast());
        let local = 7_u64;
        xcp_snapshot_free(ptr::from_ref(&local).cast_mut().cast());
        assert!(text(|out, e| xcp_snapshot_to_json(pool, out, e)).is_ok());
        xcp_snapshot_free(pool);
    }
}

#[test]
fn a_snapshot_object_is_loaded_counted_and_saved() {
    let _alone = alone();
    let pool = snapshot(POOL, false);
    let mut count = 77_usize;
    // SAFETY: the snapshot lives until it is freed below.
    unsafe {
        done(|e| xcp_snapshot_count(pool, c"SR".as_ptr(), &mut count, e)).unwrap();
        assert_eq!(count, 2);
        count = 77;
        let refusal =
            done(|e| xcp_snapshot_count(pool, c"VM".as_ptr(), &mut count, e)).unwrap_err();
        assert_eq!(refusal.status, XCP_E_STATE);
        assert_eq!(refusal.message, "the snapshot does not cover class VM");
        let refusal =
            done(|e| xcp_snapshot_count(pool, c"Sr".as_ptr(), &mut count, e)).unwrap_err();
        assert_eq!(refusal.status, XCP_E_INVALID_INPUT);
        assert_eq!(count, 77);
        let saved = json(|out, e| xcp_snapshot_to_json(pool, out, e)).unwrap();
        assert_eq!(saved, serde_json::from_str::<serde_json::Value>(POOL).unwrap());
        xcp_snapshot_free(pool);
    }
    let broken = snapshot(r#"{"VM": {"OpaqueRef:a": {"power_state": 7}}}"#, true);
    // SAFETY: the snapshot lives until it is freed here.
    let problems = unsafe {
        let problems = json(|out, e| xcp_snapshot_problems_json(broken, out, e)).unwrap();
        xcp_snapshot_free(broken);
        problems
    };
    assert_eq!(problems["schema"], 1);
    assert_eq!(problems["problems"][0]["class"], "VM");
    assert_eq!(problems["problems"][0]["ref"], "OpaqueRef:a");
}

#[test]
fn a_report_object_says_what_its_json_says() {
    let _alone = alone();
    let (pool, host) = (snapshot(POOL, true), snapshot(POOL, true));
    let mut report = ptr::null_mut();
    // SAFETY: the objects live until they are freed below.
    unsafe {
        let options = c(r#"{"evidence": {"editions": []}}"#);
        done(|e| xcp_preflight(pool, host, options.as_ptr(), &mut report, e)).unwrap();
        // The report needs its snapshots no more.
        xcp_snapshot_free(pool);
        xcp_snapshot_free(host);
        let said = json(|out, e| xcp_report_json(report, out, e)).unwrap();
        let findings = said["findings"].as_array().unwrap();
        assert_eq!(said["verdict"], "blocked", "a pool cannot join itself");
        assert_eq!(xcp_report_verdict(report), xcp_verdict::XCP_VERDICT_BLOCKED);
        assert_eq!(xcp_report_finding_count(report), findings.len());
        let blocking = findings
            .iter()
            .filter(|f| f["severity"] == "blocker" || f["severity"] == "forceable")
            .count();
        assert!(blocking > 0);
        assert_eq!(xcp_report_blocking_count(report), blocking);
        let lines = text(|out, e| xcp_report_text(report, out, e)).unwrap();
        assert!(lines.starts_with("blocked"), "{lines}");
        let markdown = text(|out, e| xcp_report_markdown(report, out, e)).unwrap();
        assert!(markdown.starts_with("# Preflight: blocked"), "{markdown}");
        xcp_report_free(report);
    }
}

#[test]
fn many_threads_use_one_object_while_another_frees_it() {
    let _alone = alone();
    struct Shared(*mut xcp_snapshot);
    // SAFETY: the contract says that objects may be used from every thread.
    unsafe impl Sync for Shared {}

    for _ in 0..50 {
        let shared = &Shared(snapshot(POOL, true));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    let shared = shared;
                    for round in 0..20 {
                        let mut count = 0;
                        // SAFETY: the snapshot came from the library; that it may be freed in the
                        // meantime is what is tested.
                        let result = done(|e| unsafe {
                            if thread == 7 && round == 3 {
                                xcp_snapshot_free(shared.0);
                            }
                            xcp_snapshot_count(shared.0, c"SR".as_ptr(), &mut count, e)
                        });
                        match result {
                            Ok(()) => assert_eq!(count, 2),
                            Err(refusal) => assert_eq!(refusal.status, XCP_E_MISUSE),
                        }
                    }
                });
            }
        });
    }
}
