//! Operations on a whole pool, of which some exclude others (`xapi_pool_helpers.ml`).

use std::time::Duration;

use crate::error::Fault;
use crate::simulator::calls::operations::refresh_pool;
use crate::simulator::database::{Database, Ref};
use crate::simulator::value::Value;

/// Why an operation cannot begin.
pub(super) enum Obstacle {
    /// The server refuses it.
    Refused(Fault),
    /// The server waits by itself until others have ended.
    Busy,
}

/// Begins an operation in the name of a task.
///
/// Operations of the waiting class (certificates, `eject`) wait for all others; those of the
/// blocking class wait for waiting ones and are refused by each other.
pub(super) fn begin(
    database: &mut Database,
    operation: &'static str,
    task: &Ref,
) -> Result<(), Obstacle> {
    let Some(pool) = database.objects("pool").next() else { return Ok(()) };
    let reference = Ref::clone(pool.reference());
    if pool.flag("is_psr_pending") {
        return Err(Obstacle::Refused(Fault::bare("POOL_SECRET_ROTATION_PENDING")));
    }
    // An operation whose task was cancelled or is gone runs no more.
    let runs = |task: &str| &*database.text("task", task, "status") == "pending";
    let current = pool.get("current_operations");
    let (running, over): (Vec<_>, Vec<_>) =
        current.pairs().iter().cloned().partition(|(task, _)| runs(task));
    let running: Vec<_> = running.iter().filter_map(|(_, running)| running.as_str()).collect();
    let refusal = running.iter().find_map(|running| blocking_code(running));
    match refusal {
        Some(code) if blocking_code(operation).is_some() => {
            return Err(Obstacle::Refused(Fault::bare(code)));
        }
        _ if !running.is_empty() => return Err(Obstacle::Busy),
        _ => {}
    }
    for (task, _) in over {
        end(database, &task);
    }
    let begun = database.update("pool", &reference, "current_operations", |operations| {
        if let Value::Map(operations) = operations {
            operations.insert(0, (Ref::clone(task), operation.into()));
        }
    });
    begun.map_err(Obstacle::Refused)?;
    refresh_pool(database);
    Ok(())
}

/// Ends the operation of a task.
pub(super) fn end(database: &mut Database, task: &str) {
    for pool in database.refs("pool") {
        let running = database.get("pool", &pool, "current_operations");
        if running.at(task).is_none() {
            continue;
        }
        let kept = running.pairs().iter().filter(|(key, _)| **key != *task).cloned().collect();
        // The pool was read a moment ago.
        database.set("pool", &pool, "current_operations", Value::Map(kept)).ok();
    }
    refresh_pool(database);
}

/// The error by which an operation of the blocking class refuses others of that class.
fn blocking_code(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "ha_enable" => "HA_ENABLE_IN_PROGRESS",
        "ha_disable" => "HA_DISABLE_IN_PROGRESS",
        "cluster_create" => "CLUSTER_CREATE_IN_PROGRESS",
        "designate_new_master" => "DESIGNATE_NEW_MASTER_IN_PROGRESS",
        "tls_verification_enable" => "TLS_VERIFICATION_ENABLE_IN_PROGRESS",
        "configure_repositories" => "CONFIGURE_REPOSITORIES_IN_PROGRESS",
        "sync_updates" => "SYNC_UPDATES_IN_PROGRESS",
        "sync_bundle" => "SYNC_BUNDLE_IN_PROGRESS",
        "apply_updates" => "APPLY_UPDATES_IN_PROGRESS",
        _ => return None,
    })
}

/// How often the server looks whether a busy pool has become free.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// After how long of that it gives up (`helpers.ml`).
pub(super) const PATIENCE: Duration = Duration::from_secs(7200);
