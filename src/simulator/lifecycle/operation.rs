//! Operations on a whole pool, of which some exclude others (`xapi_pool_helpers.ml`).

use std::time::Duration;

use crate::error::Fault;
use crate::simulator::calls::operations::refresh_pool;
use crate::simulator::database::{Database, Ref, Value};
use crate::simulator::release::Release;
use crate::simulator::state::{HostId, State};

/// Whose turn it is.
pub(super) enum Turn {
    /// The operation's: it runs.
    Ours,
    /// That of others: the server waits by itself.
    ///
    /// It asks again after [`RETRY`], with this as the time waited.
    Waiting(Duration),
}

/// Begins an operation on a master's pool in the name of a task.
///
/// Operations of the waiting class (certificates, `eject`) wait for all others; those of the
/// blocking class wait for waiting ones and are refused by each other.
///
/// # Errors
/// The code of the operation that refuses, or `OTHER_OPERATION_IN_PROGRESS [pool, ref]` when all
/// waiting was in vain.
pub(super) fn begin(
    state: &mut State,
    master: HostId,
    operation: &'static str,
    task: &Ref,
    waited: Duration,
) -> Result<Turn, Fault> {
    let database = state.db_mut(master)?;
    let Some(pool) = database.objects("pool").next() else { return Ok(Turn::Ours) };
    let reference = Ref::clone(pool.reference());
    if pool.flag("is_psr_pending") {
        return Err(Fault::bare("POOL_SECRET_ROTATION_PENDING"));
    }
    // An operation whose task was cancelled or is gone runs no more.
    let runs = |task: &str| &*database.text("task", task, "status") == "pending";
    let current = pool.get("current_operations");
    let (running, over): (Vec<_>, Vec<_>) =
        current.pairs().iter().cloned().partition(|(task, _)| runs(task));
    let running: Vec<_> = running.iter().filter_map(|(_, running)| running.as_str()).collect();
    let refusal = running.iter().find_map(|running| blocking_code(running));
    match refusal {
        Some(code) if blocking_code(operation).is_some() => return Err(Fault::bare(code)),
        _ if !running.is_empty() && waited >= PATIENCE => {
            return Err(Fault::new("OTHER_OPERATION_IN_PROGRESS", ["pool", &*reference]));
        }
        _ if !running.is_empty() => return Ok(Turn::Waiting(waited + RETRY)),
        _ => {}
    }
    for (task, _) in over {
        end(database, &task);
    }
    database.update("pool", &reference, "current_operations", |operations| {
        if let Value::Map(operations) = operations {
            operations.insert(0, (Ref::clone(task), operation.into()));
        }
    })?;
    refresh_pool(database);
    Ok(Turn::Ours)
}

/// Whether a master's release knows certificates and `eject` as operations (since 8.3).
pub(super) fn is_modern(state: &State, master: HostId) -> bool {
    state.host(master).release > Release::XcpNg82
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
const PATIENCE: Duration = Duration::from_secs(7200);
