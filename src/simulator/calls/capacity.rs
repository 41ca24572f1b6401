//! What a host can take: whether it lives and accepts VMs, and how much memory it has left.

use super::operations::refresh_host;
use crate::error::Fault;
use crate::simulator::database::{Database, Row};

/// Writes whether a host accepts VMs, if that changes.
pub(in crate::simulator) fn set_enabled(
    database: &mut Database,
    host: &str,
    enabled: bool,
) -> Result<(), Fault> {
    if database.require("host", host)?.flag("enabled") != enabled {
        database.set("host", host, "enabled", enabled)?;
        refresh_host(database, host);
    }
    Ok(())
}

/// The memory that a host has left for VMs, in bytes.
pub(in crate::simulator) fn free_memory(database: &Database, host: &Row<'_>) -> i64 {
    let metrics = database.object("host_metrics", host.text("metrics"));
    let total = metrics.map_or(0, |metrics| metrics.int("memory_total"));
    let used = host.refs("resident_VMs").into_iter().filter_map(|vm| database.object("VM", &vm));
    total - host.int("memory_overhead") - used.map(|vm| needed_memory(&vm)).sum::<i64>()
}

/// The memory that a VM takes while it runs, in bytes.
pub(in crate::simulator) fn needed_memory(vm: &Row<'_>) -> i64 {
    vm.int("memory_dynamic_max").max(vm.int("memory_static_max")) + vm.int("memory_overhead")
}

/// Whether a host can run new VMs at all.
pub(in crate::simulator) fn is_available(database: &Database, host: &Row<'_>) -> bool {
    host.flag("enabled") && database.flag("host_metrics", host.text("metrics"), "live")
}

/// Writes whether a host is alive, if that changes.
pub(in crate::simulator) fn set_live(database: &mut Database, host: &str, live: bool) {
    let metrics = database.text("host", host, "metrics");
    if database.flag("host_metrics", &metrics, "live") != live
        && database.set("host_metrics", &metrics, "live", live).is_ok()
    {
        refresh_host(database, host);
    }
}
