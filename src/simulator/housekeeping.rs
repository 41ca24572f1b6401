//! What every master does again and again: it listens for its members, sends them copies of its
//! database, and collects what belongs to nothing any more.

use crate::election::HostRole;
use std::time::Duration;

use super::calls::capacity;
use super::database::{Database, Ref};
use super::state::{HostId, Power, State, seconds_between};
use super::{ha, life};

/// Begins the rounds that every world makes: heartbeats and collection, copies of databases.
pub(super) fn begin(state: &mut State) {
    state.after(ROUND, round);
    state.after(BACKUP, back_up);
}

/// Every 30 s (`db_gc.ml`).
fn round(state: &mut State) {
    for id in state.ids() {
        let host = state.host(id);
        if host.power == Power::Running && host.role == HostRole::Master && host.emergency.is_none()
        {
            listen(state, id);
            collect(state, id);
        }
    }
    state.after(ROUND, round);
}

/// A master hears its members' heartbeats, and gives up the silent ones.
fn listen(state: &mut State, id: HostId) {
    let me = state.me(id);
    // With HA the live set tells who is alive.
    let by_ha = ha::is_armed(state, id) == Some(true);
    let records = state.db(id).map(|database| database.refs("host")).unwrap_or_default();
    for record in records.into_iter().filter(|record| *record != me) {
        let machine = state.machine(id, &record);
        let heard = machine.is_some_and(|machine| {
            let member = state.host(machine);
            state.talks(machine, id)
                && state.home(machine) == Some(id)
                && member.emergency.is_none()
        });
        let now = state.now;
        if heard {
            state.host_mut(id).heartbeats.insert(record.clone(), now);
            let Ok(database) = state.db_mut(id) else { return };
            if !by_ha {
                capacity::set_live(database, &record, true);
            }
            if let (Some(machine), false) = (machine, database.flag("host", &record, "enabled")) {
                life::enable(state, machine, &record);
            }
        } else {
            let last = *state.host_mut(id).heartbeats.entry(record.clone()).or_insert(now);
            if !by_ha && now.saturating_sub(last) >= PATIENCE {
                if let Ok(database) = state.db_mut(id) {
                    capacity::set_live(database, &record, false);
                }
            }
        }
    }
}

/// Removes what belongs to nothing any more (`db_gc.ml`, `db_gc_util.ml`).
fn collect(state: &mut State, id: HostId) {
    let (now, seen) = (state.now, state.host(id).collected);
    let Ok(database) = state.db_mut(id) else { return };
    expire(database, now);
    // Orphans appear only by writes.
    if seen != Some(database.generation()) {
        collect_orphans(database);
        let seen = database.generation();
        state.host_mut(id).collected = Some(seen);
    }
}

fn collect_orphans(database: &mut Database) {
    let orphans = |database: &Database, class: &str, field: &str, owner: &str| -> Vec<Ref> {
        let rows = database.objects(class);
        let lost = rows.filter(|row| !database.contains(owner, row.text(field)));
        lost.map(|row| row.reference().clone()).collect()
    };
    for (class, field, owner) in [
        ("PBD", "host", "host"),
        ("PBD", "SR", "SR"),
        ("PIF", "host", "host"),
        ("host_cpu", "host", "host"),
        ("VIF", "VM", "VM"),
        ("VBD", "VM", "VM"),
        ("VDI", "SR", "SR"),
        ("VLAN", "untagged_PIF", "PIF"),
        ("Bond", "master", "PIF"),
    ] {
        for orphan in orphans(database, class, field, owner) {
            database.destroy(class, &orphan);
        }
    }
    for (class, owner) in [("host_metrics", "host"), ("PIF_metrics", "PIF")] {
        let used: std::collections::BTreeSet<_> =
            database.objects(owner).map(|row| row.shared_text("metrics")).collect();
        for metrics in database.refs(class) {
            if !used.contains(&metrics) {
                database.destroy(class, &metrics);
            }
        }
    }
}

/// Ends sessions that nobody uses, and forgets tasks whose results nobody fetched.
fn expire(database: &mut Database, now: Duration) {
    let old: Vec<_> = database
        .objects("session")
        .filter(|session| seconds_between(session.text("last_active"), now) >= SESSION_LIFE)
        .map(|session| session.reference().clone())
        .collect();
    old.iter().for_each(|session| {
        database.destroy("session", session);
    });
    let done: Vec<_> = database
        .objects("task")
        .filter(|task| {
            let pending = task.text("status") == "pending";
            let since = task.text(if pending { "created" } else { "finished" });
            let life = if pending { SESSION_LIFE } else { TASK_LIFE };
            seconds_between(since, now) >= life
        })
        .map(|task| task.reference().clone())
        .collect();
    done.iter().for_each(|task| {
        database.destroy("task", task);
    });
}

/// Every 300 s each master sends its members a copy of its database (`pool_db_backup.ml`).
fn back_up(state: &mut State) {
    for id in state.ids() {
        let Some(home) = state.home(id).filter(|home| *home != id) else { continue };
        let member = state.host(id);
        if member.power != Power::Running || member.emergency.is_some() {
            continue;
        }
        // A host that has left is sent nothing.
        let known = state.host(home).database.as_ref();
        if known.is_none_or(|known| known.by_uuid("host", &member.uuid).is_none()) {
            continue;
        }
        // Nothing is sent that the member has already.
        let newest = state.host(home).database.as_ref().map(Database::generation);
        if member.backup.as_ref().map(Database::generation) != newest {
            state.host_mut(id).backup = state.host(home).database.clone();
        }
    }
    state.after(BACKUP, back_up);
}

/// Between two rounds of heartbeats and collection.
const ROUND: Duration = Duration::from_secs(30);

/// Between two copies of the database.
const BACKUP: Duration = Duration::from_secs(300);

/// How long a member may be silent before its master takes it for dead (`xapi_globs.ml`).
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a session or a pending task lives without anything happening, in seconds.
const SESSION_LIFE: u64 = 24 * 3600;

/// How long the result of a task can be read, in seconds.
const TASK_LIFE: u64 = 65 * 60;
