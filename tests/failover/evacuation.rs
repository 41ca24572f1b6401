//! What keeps a host from being emptied, one obstacle at a time.

use serde_json::{Value, json};
use xcp_pool::failover::{HostEvacuation, Planner};
use xcp_pool::model::Snapshot;

const GIB: i64 = 1 << 30;

/// Hosts a, b and c with 16 GiB; on a, the VM v of 2 GiB that can go anywhere.
fn pool() -> Value {
    let host = |name: &str| {
        json!({
            "enabled": true, "metrics": format!("OpaqueRef:m{name}"),
            "capabilities": ["hvm-3.0-x86_64"],
            "cpu_info": {"cpu_count": "8", "vendor": "GenuineIntel", "features_hvm": "0000ff0f-1"},
            "software_version": {"platform_version": "3.4.0", "xapi_build": "26.17.0", "xen": "4.17.5-3"},
        })
    };
    let metrics = json!({"live": true, "memory_total": 16 * GIB});
    json!({
        "pool": {"OpaqueRef:p": {"master": "OpaqueRef:a"}},
        "host": {"OpaqueRef:a": host("a"), "OpaqueRef:b": host("b"), "OpaqueRef:c": host("c")},
        "host_metrics": {"OpaqueRef:ma": metrics, "OpaqueRef:mb": metrics, "OpaqueRef:mc": metrics},
        "VM": {"OpaqueRef:v": {
            "power_state": "Running", "resident_on": "OpaqueRef:a", "domain_type": "hvm",
            "metrics": "OpaqueRef:vm", "guest_metrics": "OpaqueRef:vg",
            "VCPUs_max": 2, "VCPUs_at_startup": 2,
            "memory_static_max": 2 * GIB, "memory_dynamic_max": 2 * GIB, "memory_dynamic_min": 2 * GIB,
            "last_boot_CPU_flags": {"vendor": "GenuineIntel", "features": "0000ff00"},
        }},
        "VM_metrics": {"OpaqueRef:vm": {"current_domain_type": "hvm"}},
        "VM_guest_metrics": {"OpaqueRef:vg": {"other": {"feature-suspend": "1"}}},
    })
}

/// The evacuation of host a after one change.
fn evacuated(change: impl FnOnce(&mut Value)) -> HostEvacuation {
    let mut pool = pool();
    change(&mut pool);
    let mut snapshot = Snapshot::from_json(pool.to_string().as_bytes()).unwrap();
    assert!(snapshot.problems.is_empty(), "{:?}", snapshot.problems);
    snapshot.complete();
    Planner::new(&snapshot).unwrap().host_evacuation(&"OpaqueRef:a".into()).unwrap()
}

/// Why the VM v stays after one change, code first.
fn why(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let plan = evacuated(change);
    assert!(plan.moves.is_empty(), "{plan:?}");
    let fault = plan.obstacles[&"OpaqueRef:v".into()].clone();
    std::iter::once(fault.code).chain(fault.params).collect()
}

/// Why it stays if a field of it is set.
fn why_with(field: &str, value: Value) -> Vec<String> {
    why(|pool| pool["VM"]["OpaqueRef:v"][field] = value)
}

#[test]
fn a_vm_that_can_go_anywhere_goes() {
    let plan = evacuated(|_| {});
    assert!(plan.obstacles.is_empty(), "{plan:?}");
    assert_ne!(plan.moves[&"OpaqueRef:v".into()], "OpaqueRef:a".into());
}

#[test]
fn without_another_enabled_host_of_the_same_software_nobody_goes() {
    const NOWHERE: [&str; 2] = ["NO_HOSTS_AVAILABLE", "OpaqueRef:v"];
    let disabled = why(|pool| {
        for host in ["OpaqueRef:b", "OpaqueRef:c"] {
            pool["host"][host]["enabled"] = json!(false);
        }
    });
    assert_eq!(disabled, NOWHERE);
    let older = |key: &str, version: &str| {
        evacuated(|pool| {
            for host in ["OpaqueRef:b", "OpaqueRef:c"] {
                pool["host"][host]["software_version"][key] = json!(version);
            }
        })
    };
    for (key, version) in
        [("platform_version", "3.3.9"), ("xapi_build", "26.9.0"), ("xen", "4.17.5-2")]
    {
        assert_eq!(older(key, version).obstacles.len(), 1, "{key} {version}");
    }
    for (key, version) in [("platform_version", "3.10.0"), ("xen", "4.17.5-12")] {
        assert_eq!(older(key, version).moves.len(), 1, "{key} {version}");
    }
}

#[test]
fn with_ha_only_protected_vms_go() {
    let on = |pool: &mut Value| pool["pool"]["OpaqueRef:p"]["ha_enabled"] = json!(true);
    assert_eq!(why(on), ["HOST_EVACUATE_VM_NOT_HA_PROTECTED", "OpaqueRef:v"]);
    let plan = evacuated(|pool| {
        on(pool);
        pool["VM"]["OpaqueRef:v"]["ha_always_run"] = json!(true);
        pool["VM"]["OpaqueRef:v"]["ha_restart_priority"] = json!("restart");
    });
    assert_eq!(plan.moves.len(), 1);
}

#[test]
fn a_vm_must_be_able_to_migrate() {
    let v = "OpaqueRef:v";
    assert_eq!(
        why_with("blocked_operations", json!({"pool_migrate": "NO"})),
        ["OPERATION_BLOCKED", v, "NO"]
    );
    assert_eq!(
        why_with("power_state", json!("Paused")),
        ["VM_BAD_POWER_STATE", v, "running", "paused"]
    );
    assert_eq!(
        why_with("current_operations", json!({"OpaqueRef:t": "snapshot"})),
        ["OTHER_OPERATION_IN_PROGRESS", "VM", v, "snapshot", "OpaqueRef:t"]
    );
    assert_eq!(why_with("is_a_template", json!(true)), ["VM_IS_TEMPLATE", v, "pool_migrate"]);
    assert_eq!(why_with("attached_PCIs", json!(["OpaqueRef:pci"])), ["VM_HAS_PCI_ATTACHED", v]);
    assert_eq!(why_with("guest_metrics", json!("OpaqueRef:NULL")), ["VM_LACKS_FEATURE", v]);
    let immobile = why(|pool| pool["VM_metrics"]["OpaqueRef:vm"]["nested_virt"] = json!(true));
    assert_eq!(immobile, ["VM_IS_IMMOBILE", v]);
    let reluctant = why(|pool| {
        pool["VM_guest_metrics"]["OpaqueRef:vg"]["other"]["data-cant-suspend-reason"] =
            json!("Storage");
    });
    assert_eq!(reluctant, ["VM_NON_SUSPENDABLE", v, "Storage"]);
}

#[test]
fn drivers_or_paravirtualisation_do_instead_of_the_feature() {
    for change in [
        |pool: &mut Value| {
            let version = json!({"major": "9", "minor": "3", "micro": "3", "build": "-1"});
            pool["VM_guest_metrics"]["OpaqueRef:vg"] = json!({"PV_drivers_version": version});
        },
        |pool: &mut Value| {
            pool["VM_guest_metrics"] = json!({});
            pool["VM_metrics"]["OpaqueRef:vm"]["current_domain_type"] = json!("pvh");
        },
    ] {
        assert_eq!(evacuated(change).moves.len(), 1);
    }
}

#[test]
fn every_other_host_must_do_for_a_vm() {
    let vendor =
        why(|pool| pool["host"]["OpaqueRef:c"]["cpu_info"]["vendor"] = json!("AuthenticAMD"));
    assert_eq!(vendor[..3], ["VM_INCOMPATIBLE_WITH_THIS_HOST", "OpaqueRef:v", "OpaqueRef:c"]);
    let features =
        why(|pool| pool["host"]["OpaqueRef:b"]["cpu_info"]["features_hvm"] = json!("0000fe00"));
    assert_eq!(features[..3], ["VM_INCOMPATIBLE_WITH_THIS_HOST", "OpaqueRef:v", "OpaqueRef:b"]);
    let dead = why(|pool| pool["host_metrics"]["OpaqueRef:mb"]["live"] = json!(false));
    assert_eq!(dead, ["HOST_NOT_LIVE"]);
    // What keeps it from migrating at all is said first.
    let both = why(|pool| {
        pool["host_metrics"]["OpaqueRef:mb"]["live"] = json!(false);
        pool["VM"]["OpaqueRef:v"]["is_a_template"] = json!(true);
    });
    assert_eq!(both[0], "VM_IS_TEMPLATE");
}

#[test]
fn a_lack_of_memory_is_said_first() {
    let plan = why(|pool| {
        pool["VM"]["OpaqueRef:v"]["is_a_template"] = json!(true);
        for metrics in ["OpaqueRef:mb", "OpaqueRef:mc"] {
            pool["host_metrics"][metrics]["memory_total"] = json!(GIB);
        }
    });
    assert_eq!(plan, ["HOST_NOT_ENOUGH_FREE_MEMORY", "OpaqueRef:v"]);
}

#[test]
fn an_unknown_host_is_an_error() {
    let snapshot = Snapshot::from_json(pool().to_string().as_bytes()).unwrap();
    let planner = Planner::new(&snapshot).unwrap();
    let error = planner.host_evacuation(&"OpaqueRef:x".into()).unwrap_err();
    assert!(error.fault().unwrap().is_handle_invalid(), "{error}");
}
