//! `allowed_operations` and `current_operations`: what may be done with an object now.

use crate::error::Fault;
use crate::simulator::database::{Database, Ref, Row, Value};
use crate::simulator::release::Release;
use crate::simulator::state::Call;

/// Whether no operation is running on an object.
///
/// # Errors
/// `OTHER_OPERATION_IN_PROGRESS [class, ref, operation, task]`; before v25.27 only the first two.
pub(super) fn assert_idle(database: &Database, class: &str, object: &str) -> Result<(), Fault> {
    let current = database.require(class, object)?.get("current_operations");
    let Some((task, running)) = current.pairs().first() else { return Ok(()) };
    let mut params = vec![class.to_owned(), object.to_owned()];
    if database.release() > Release::XcpNg82 {
        params.push(running.as_str().unwrap_or_default().to_owned());
        params.push(task.to_string());
    }
    Err(Fault::new("OTHER_OPERATION_IN_PROGRESS", params))
}

/// Begins an operation on an object, unless another one is running on it.
///
/// # Errors
/// As [`assert_idle`].
pub(super) fn begin(
    database: &mut Database,
    call: &Call,
    class: &str,
    object: &str,
    operation: &'static str,
) -> Result<Ref, Fault> {
    assert_idle(database, class, object)?;
    let generation = database.generation();
    let key = call.task.clone();
    let key = key.unwrap_or_else(|| format!("DummyRef:|{generation}|{}", call.method).into());
    database.update(class, object, "current_operations", |operations| {
        if let Value::Map(operations) = operations {
            operations.insert(0, (key.clone(), Value::text(operation)));
        }
    })?;
    database.set(class, object, "allowed_operations", Value::Set(Vec::new()))?;
    Ok(key)
}

/// Ends an operation on an object, if that is still there.
pub(super) fn end(database: &mut Database, class: &str, object: &str, key: &str) {
    let ended = database.update(class, object, "current_operations", |operations| {
        if let Value::Map(operations) = operations {
            operations.retain(|(known, _)| **known != *key);
        }
    });
    if ended.is_ok() {
        match class {
            "VM" => refresh_vm(database, object),
            "host" => refresh_host(database, object),
            _ => {}
        }
    }
}

/// Ends every operation of a task that was cancelled.
pub(in crate::simulator) fn abandon(database: &mut Database, task: &str) {
    for class in ["VM", "host"] {
        let busy: Vec<Ref> = database
            .objects(class)
            .filter(|row| row.entry("current_operations", task).is_some())
            .map(|row| row.reference().clone())
            .collect();
        for object in busy {
            end(database, class, &object, task);
        }
    }
}

/// Works out a host's allowed operations (`xapi_host_helpers.ml`).
pub(in crate::simulator) fn refresh_host(database: &mut Database, host: &str) {
    let Some(row) = database.object("host", host) else { return };
    let mut allowed = vec!["vm_migrate", "provision", "vm_resume"];
    let enabled = row.flag("enabled");
    let modern = database.release() > Release::XcpNg82;
    if modern && !enabled {
        allowed.push("apply_updates");
    }
    if modern {
        allowed.push("enable");
    }
    if !enabled {
        allowed.push("reboot");
    }
    allowed.extend(["evacuate", "vm_start"]);
    if !enabled {
        allowed.push("shutdown");
    }
    if !database.flag("host_metrics", row.text("metrics"), "live") {
        allowed.push("power_on");
    }
    write(database, "host", host, &allowed);
}

/// Works out the pool's allowed operations (`xapi_pool_helpers.ml`): no operation while
/// one runs.
pub(in crate::simulator) fn refresh_pool(database: &mut Database) {
    let Some(pool) = database.refs("pool").into_iter().next() else { return };
    let ha = database.flag("pool", &pool, "ha_enabled");
    let busy =
        database.object("pool", &pool).is_some_and(|pool| !pool.is_empty("current_operations"));
    let mut allowed = Vec::new();
    if !busy {
        allowed.push(if ha { "ha_disable" } else { "ha_enable" });
        if database.count("Cluster") == 0 {
            allowed.push("cluster_create");
        }
        allowed.push("designate_new_master");
        if database.release() > Release::XcpNg82 {
            if !ha {
                allowed.push("tls_verification_enable");
            }
            allowed.extend([
                "configure_repositories",
                "sync_updates",
                "sync_bundle",
                "apply_updates",
                "cert_refresh",
                "exchange_certificates_on_join",
                "exchange_ca_certificates_on_join",
                "copy_primary_host_certs",
                "eject",
                "get_updates",
                "exchange_crls_on_join",
            ]);
        }
    }
    write(database, "pool", &pool, &allowed);
}

/// Works out a VM's allowed operations (`xapi_vm_lifecycle.ml`), the common ones.
pub(in crate::simulator) fn refresh_vm(database: &mut Database, vm: &str) {
    let Some(row) = database.object("VM", vm) else { return };
    let blocked = row.get("blocked_operations");
    let in_appliance = row.target("appliance").is_some();
    let allowed = allowed_for_vm(&row, has_tools(database, &row)).iter().copied();
    let allowed = allowed.filter(|operation| {
        blocked.at(operation).is_none() && !(in_appliance && *operation == "make_into_template")
    });
    let allowed: Vec<_> = allowed.collect();
    write(database, "VM", vm, &allowed);
}

fn allowed_for_vm(vm: &Row<'_>, tools: bool) -> &'static [&'static str] {
    let state = vm.text("power_state");
    if vm.flag("is_control_domain") {
        return match state {
            "Halted" => &[
                "destroy",
                "metadata_export",
                "changing_static_range",
                "changing_dynamic_range",
                "start_on",
                "start",
            ],
            _ => &["metadata_export", "changing_static_range", "changing_dynamic_range"],
        };
    }
    if vm.flag("is_a_snapshot") {
        return match state {
            "Suspended" => &[
                "destroy",
                "metadata_export",
                "export",
                "hard_shutdown",
                "revert",
                "copy",
                "clone",
            ],
            _ => &["destroy", "metadata_export", "export", "revert", "copy", "clone"],
        };
    }
    if vm.flag("is_default_template") {
        return &[
            "metadata_export",
            "export",
            "changing_NVRAM",
            "changing_shadow_memory",
            "changing_static_range",
            "changing_dynamic_range",
            "provision",
            "copy",
            "clone",
        ];
    }
    if vm.flag("is_a_template") {
        return &[
            "destroy",
            "metadata_export",
            "export",
            "changing_NVRAM",
            "changing_shadow_memory",
            "changing_static_range",
            "changing_dynamic_range",
            "migrate_send",
            "provision",
            "copy",
            "clone",
        ];
    }
    match state {
        "Halted" => &[
            "create_vtpm",
            "destroy",
            "metadata_export",
            "export",
            "make_into_template",
            "changing_NVRAM",
            "changing_shadow_memory",
            "changing_static_range",
            "changing_dynamic_range",
            "migrate_send",
            "start_on",
            "start",
            "copy",
            "clone",
            "snapshot",
        ],
        "Running" if tools => &[
            "sysprep",
            "metadata_export",
            "changing_dynamic_range",
            "migrate_send",
            "pool_migrate",
            "suspend",
            "hard_reboot",
            "hard_shutdown",
            "clean_reboot",
            "clean_shutdown",
            "pause",
            "checkpoint",
            "snapshot",
        ],
        "Running" => &[
            "sysprep",
            "metadata_export",
            "changing_dynamic_range",
            "hard_reboot",
            "hard_shutdown",
            "pause",
            "snapshot",
        ],
        "Paused" => &["metadata_export", "hard_reboot", "hard_shutdown", "unpause", "snapshot"],
        "Suspended" => &[
            "destroy",
            "metadata_export",
            "export",
            "migrate_send",
            "resume_on",
            "resume",
            "hard_shutdown",
            "checkpoint",
            "snapshot",
        ],
        _ => &[],
    }
}

/// Works out an SR's allowed operations (`xapi_sr_operations.ml`), those that were recorded.
pub(in crate::simulator) fn refresh_sr(database: &mut Database, sr: &str) {
    let Some(row) = database.object("SR", sr) else { return };
    let pbds = row.refs("PBDs");
    let attached = pbds.iter().any(|pbd| database.flag("PBD", pbd, "currently_attached"));
    let can = |feature| has_feature(database, row.text("type"), feature);
    let all = [
        ("vdi_introduce", can("VDI_INTRODUCE")),
        ("destroy", !pbds.is_empty() && !attached),
        ("unplug", true),
        ("plug", true),
        ("pbd_create", true),
        ("pbd_destroy", true),
        ("forget", !attached),
        ("vdi_clone", true),
        ("scan", true),
        ("vdi_snapshot", can("VDI_SNAPSHOT")),
        ("vdi_create", can("VDI_CREATE")),
    ];
    let allowed: Vec<_> =
        all.into_iter().filter(|(_, allowed)| *allowed).map(|(operation, _)| operation).collect();
    write(database, "SR", sr, &allowed);
}

/// Works out a VDI's allowed operations (`xapi_vdi.ml`), those that were recorded.
pub(in crate::simulator) fn refresh_vdi(database: &mut Database, vdi: &str) {
    let Some(row) = database.object("VDI", vdi) else { return };
    let attached =
        row.refs("VBDs").iter().any(|vbd| database.flag("VBD", vbd, "currently_attached"));
    let mut allowed = if attached { Vec::new() } else { vec!["copy", "forget"] };
    if has_feature(database, &database.text("SR", row.text("SR"), "type"), "VDI_SNAPSHOT") {
        allowed.push("snapshot");
    }
    write(database, "VDI", vdi, &allowed);
}

/// Works out a VBD's or a VIF's allowed operations (`xapi_vbd_helpers.ml`), for VMs without tools.
pub(in crate::simulator) fn refresh_device(database: &mut Database, class: &str, device: &str) {
    let Some(row) = database.object(class, device) else { return };
    let state = database.text("VM", row.text("VM"), "power_state");
    let medium = match (row.text("type"), row.flag("empty")) {
        ("CD", true) => Some("insert"),
        ("CD", false) => Some("eject"),
        _ => None,
    };
    let mut allowed = Vec::new();
    if matches!(&*state, "Halted" | "Suspended") {
        allowed.push("attach");
    }
    allowed.extend(medium.filter(|_| &*state == "Halted"));
    write(database, class, device, &allowed);
}

/// Whether the driver of a type of SR has a feature.
fn has_feature(database: &Database, kind: &str, feature: &str) -> bool {
    let driver = database.objects("SM").find(|driver| driver.text("type") == kind);
    driver.is_some_and(|driver| driver.get("features").at(feature).is_some())
}

/// Whether the VM's system says that it obeys (`feature-shutdown`, `feature-suspend`, …).
pub(super) fn has_tools(database: &Database, vm: &Row<'_>) -> bool {
    let guest = vm.target("guest_metrics");
    let guest = guest.and_then(|guest| database.object("VM_guest_metrics", guest));
    guest.is_some_and(|guest| guest.entry("other", "feature-shutdown") == Some("1"))
}

fn write(database: &mut Database, class: &str, object: &str, allowed: &[&str]) {
    let allowed = Value::texts(allowed.iter().copied());
    if database.get(class, object, "allowed_operations") != allowed {
        // The object was there a moment ago.
        database.set(class, object, "allowed_operations", allowed).ok();
    }
}
