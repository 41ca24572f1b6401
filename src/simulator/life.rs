//! The life of a host: power, the start of its xapi as master or member, heartbeats, collection of
//! what was left over.

use std::time::Duration;

use crate::election::HostRole;
use crate::error::Fault;

use super::calls::capacity::{set_enabled, set_live};
use super::calls::{operations, storage};
use super::database::{Database, Ref, Value};
use super::ha;
use super::lifecycle;
use super::state::{Call, HostId, Power, State, unix_seconds};

/// Cuts a host's power. Nothing is said to anybody; its VMs stay where the database has them.
pub(super) fn power_off(state: &mut State, host: HostId) {
    ha::died(state, host);
    end_xapi(state, host);
    state.host_mut(host).power = Power::Off;
}

/// Shuts a host down in order: the master hears of it at once.
pub(super) fn shut_down(state: &mut State, host: HostId) {
    if let Some(home) = state.home(host).filter(|home| *home != host) {
        let record = state.me(host);
        if let Ok(database) = state.db_mut(home) {
            set_live(database, &record, false);
        }
        state.host_mut(home).heartbeats.remove(&record);
    }
    ha::leave(state, host);
    power_off(state, host);
}

/// Gives a host power, if it has none: its machine boots, then its xapi starts.
pub(super) fn power_on(state: &mut State, host: HostId) {
    if state.host(host).power != Power::Off {
        return;
    }
    state.host_mut(host).power = Power::Stopped;
    state.host_mut(host).rebooted = true;
    let boot = state.timings.boot;
    start_after(state, host, boot);
}

/// Ends a host's xapi after a time (the fuse) and starts it again.
///
/// What the new one takes itself for is what `pool.conf` says then ([`Host::configured`]).
///
/// [`Host::configured`]: super::state::Host::configured
pub(super) fn restart_toolstack(state: &mut State, host: HostId, fuse: Duration) {
    let incarnation = state.host(host).incarnation;
    state.after(fuse, move |state| {
        if state.host(host).incarnation != incarnation || state.host(host).power != Power::Running {
            return;
        }
        end_xapi(state, host);
        let pause = state.timings.restart;
        start_after(state, host, pause);
    });
}

/// Ends a host's xapi: calls, sessions and tasks that only it knew are gone.
fn end_xapi(state: &mut State, host: HostId) {
    let host = state.host_mut(host);
    host.incarnation += 1;
    host.power = Power::Stopped;
    host.emergency = None;
    host.local_sessions.clear();
    host.legacy.clear();
    host.heartbeats.clear();
    host.proposal = None;
    host.disabled_by_user = false;
    if let (HostRole::Master, Some(database)) = (&host.role, &mut host.database) {
        database.restart();
    }
}

fn start_after(state: &mut State, host: HostId, delay: Duration) {
    let incarnation = state.host(host).incarnation;
    state.after(delay, move |state| {
        let now = state.host(host);
        if now.incarnation == incarnation && now.power == Power::Stopped {
            start_xapi(state, host);
        }
    });
}

/// Starts a host's xapi; with HA only once the daemon is in a live set.
fn start_xapi(state: &mut State, id: HostId) {
    if ha::admits(state, id) {
        begin_xapi(state, id);
    }
}

/// Starts a host's xapi in the role that its `pool.conf` says.
pub(super) fn begin_xapi(state: &mut State, id: HostId) {
    let host = state.host_mut(id);
    host.power = Power::Running;
    host.emergency = None;
    let before = std::mem::replace(&mut host.role, host.configured.clone());
    if host.role == HostRole::Master && before != HostRole::Master {
        // A member that becomes master knows what it was last sent (`xapi_pool_transition.ml`).
        host.database = host.backup.take().or_else(|| host.database.take());
        if let Some(newer) = ha::newer_database(state, id, state.host(id).database.as_ref()) {
            state.host_mut(id).database = Some(newer);
        }
        let host = state.host_mut(id);
        if let Some(database) = &mut host.database {
            database.restart();
        }
    }
    match state.host(id).role.clone() {
        HostRole::Master => start_master(state, id),
        HostRole::Slave(_) => {
            let host = state.host_mut(id);
            host.emergency = Some(Fault::bare("HOST_STILL_BOOTING"));
            let boot = if host.is_new_member {
                state.timings.start_new_member
            } else {
                state.timings.start_member
            };
            say_hello_after(state, id, boot);
        }
        HostRole::Broken => state.host_mut(id).emergency = Some(Fault::bare("HOST_BROKEN")),
    }
}

/// A master starts: it looks whether somebody took its place, then takes its pool over.
fn start_master(state: &mut State, id: HostId) {
    let Some(database) = &state.host(id).database else {
        state.host_mut(id).emergency = Some(Fault::bare("HOST_BROKEN"));
        return;
    };
    // Any known host that says it is no slave is the master now (`xapi.ml`).
    let known: Vec<_> = database.refs("host");
    let usurper = known.iter().find_map(|record| {
        let machine = state.machine(id, record)?;
        let other = state.host(machine);
        let rules = machine != id
            && state.talks(id, machine)
            && other.role == HostRole::Master
            && other.database.as_ref().is_some_and(|database| {
                database.count("host") > 1
                    && database.by_uuid("host", &state.host(id).uuid).is_some()
            });
        rules.then(|| other.address.clone())
    });
    if let Some(master) = usurper {
        let role = HostRole::Slave(master);
        state.host_mut(id).configured = role;
        restart_toolstack(state, id, Duration::ZERO);
        return;
    }
    let me = state.me(id);
    let pool = state.pool(id);
    if let Ok(database) = state.db_mut(id) {
        // Every host is disabled until it is back in contact.
        for record in known {
            set_enabled(database, &record, false).ok();
        }
        if *database.text("pool", &pool, "master") != *me {
            database.set("pool", &pool, "master", &me).ok();
        }
        clear_operations(database);
        set_live(database, &me, true);
        operations::refresh_pool(database);
    }
    ha::reset_vms(state, id, &me);
    fulfil_guidances(state, id);
    plug_all(state, id);
    enable(state, id, &me);
}

/// Operations of a server that is gone are over.
fn clear_operations(database: &mut Database) {
    for class in ["pool", "host", "VM", "SR", "VDI"] {
        for object in database.refs(class) {
            if database
                .object(class, &object)
                .is_some_and(|row| !row.is_empty("current_operations"))
            {
                database.set(class, &object, "current_operations", Value::Map(Vec::new())).ok();
            }
        }
    }
}

fn say_hello_after(state: &mut State, id: HostId, delay: Duration) {
    let incarnation = state.host(id).incarnation;
    state.after(delay, move |state| {
        if state.host(id).incarnation == incarnation {
            say_hello(state, id);
        }
    });
}

/// A member looks for its master, again and again until it is welcome (`xapi.ml`).
fn say_hello(state: &mut State, id: HostId) {
    let (fault, retry) = match greet(state, id) {
        Ok(()) => return,
        Err(refusal) => refusal,
    };
    state.host_mut(id).emergency = Some(fault);
    say_hello_after(state, id, retry);
}

/// Says hello once; what went wrong, and when to try again.
fn greet(state: &mut State, id: HostId) -> Result<(), (Fault, Duration)> {
    let HostRole::Slave(address) = state.host(id).role.clone() else { return Ok(()) };
    let (own, uuid) = (state.host(id).address.clone(), state.host(id).uuid.clone());
    let soon = |fault| (fault, RETRY_SOON);
    let later = |fault| (fault, RETRY_LATER);
    if address == own || address == "127.0.0.1" {
        return Err(later(Fault::bare("HOST_ITS_OWN_SLAVE")));
    }
    let failed = |text: &str| soon(Fault::new("INTERNAL_ERROR", [text]));
    let reachable = |master: &HostId| state.reaches(state.host(id).name.as_str(), *master);
    let master = state.find(&address).filter(reachable).ok_or_else(|| failed(REFUSED))?;
    if state.host(master).power != Power::Running {
        // Its port is open, but nobody serves what comes in.
        return Err(failed(REJECTED));
    }
    if let Some(emergency) = &state.host(master).emergency {
        return Err(soon(emergency.clone()));
    }
    match &state.host(master).role {
        HostRole::Master => {}
        HostRole::Slave(master) => {
            return Err(soon(Fault::new("HOST_IS_SLAVE", [master.clone()])));
        }
        HostRole::Broken => return Err(soon(Fault::bare("HOST_BROKEN"))),
    }
    let record = state.db(master).ok().and_then(|database| database.by_uuid("host", &uuid));
    let trusted = state.host(master).pool_secret == state.host(id).pool_secret;
    let record = record
        .filter(|_| trusted)
        .ok_or_else(|| later(Fault::new("HOST_UNKNOWN_TO_MASTER", [uuid])))?;
    if !state.talks(master, id) {
        return Err(soon(Fault::new("HOST_MASTER_CANNOT_TALK_BACK", [own])));
    }
    welcome(state, master, &record, &own).map_err(soon)?;
    let settle = state.timings.settle;
    let incarnation = state.host(id).incarnation;
    state.after(settle, move |state| {
        if state.host(id).incarnation == incarnation {
            settle_in(state, id, &record);
        }
    });
    Ok(())
}

/// The master's part of a member's hello: it is live, but not enabled yet (`xapi_pool.ml`).
pub(super) fn welcome(
    state: &mut State,
    master: HostId,
    record: &str,
    address: &str,
) -> Result<(), Fault> {
    let now = state.now;
    let database = state.db_mut(master)?;
    if *database.text("host", record, "address") != *address {
        database.set("host", record, "address", address)?;
    }
    set_enabled(database, record, false)?;
    set_live(database, record, true);
    // What its last xapi was at is over (`cancel_tasks.ml`).
    if !database.get("host", record, "current_operations").pairs().is_empty() {
        database.set("host", record, "current_operations", Value::Map(Vec::new()))?;
        operations::refresh_host(database, record);
    }
    state.host_mut(master).heartbeats.insert(record.into(), now);
    Ok(())
}

/// The rest of a member's start: it brings its records up to date, attaches its storage, leaves
/// emergency mode and enables itself.
fn settle_in(state: &mut State, id: HostId, record: &Ref) {
    if state.home(id).is_none() {
        say_hello(state, id);
        return;
    }
    state.host_mut(id).emergency = None;
    lifecycle::bring_up(state, id, record);
    ha::reset_vms(state, id, record);
    fulfil_guidances(state, id);
    plug_all(state, id);
    enable(state, id, record);
}

/// Attaches every PBD of a host; what does not work stays detached.
fn plug_all(state: &mut State, id: HostId) {
    let me = state.me(id);
    let pbds =
        state.db(id).ok().and_then(|database| Some(database.object("host", &me)?.refs("PBDs")));
    let call = Call::own(state, id, "PBD.plug");
    for pbd in pbds.unwrap_or_default() {
        storage::plug(state, &call, &pbd).ok();
    }
}

/// What updates asked a host to do is done by its restart, or by that of its xapi.
fn fulfil_guidances(state: &mut State, id: HostId) {
    let (me, rebooted) = (state.me(id), std::mem::take(&mut state.host_mut(id).rebooted));
    let now = unix_seconds(state.now);
    let Ok(database) = state.db_mut(id) else { return };
    if rebooted {
        note_boot(database, &me, now);
    }
    let done = |guidance: &Value| {
        let guidance = guidance.as_str().unwrap_or_default();
        guidance == "restart_toolstack" || (rebooted && guidance.starts_with("reboot_host"))
    };
    for field in ["pending_guidances", "pending_guidances_recommended", "pending_guidances_full"] {
        let pending = database.get("host", &me, field);
        if pending.elements().iter().any(done) {
            let left = pending.elements().iter().filter(|guidance| !done(guidance)).cloned();
            // The host was looked up a moment ago.
            database.set("host", &me, field, Value::Set(left.collect())).ok();
        }
    }
}

/// Writes when a host's machine booted (`create_misc.ml`).
fn note_boot(database: &mut Database, host: &str, seconds: u64) {
    let noted = database.update("host", host, "other_config", |config| {
        if let Value::Map(config) = config {
            config.retain(|(key, _)| &**key != "boot_time");
            config.push(("boot_time".into(), format!("{seconds}.").into()));
        }
    });
    // The host was looked up a moment ago.
    noted.ok();
}

/// Enables a host, unless its user or its updates do not want that (`consider_enabling_host`).
pub(super) fn enable(state: &mut State, id: HostId, record: &str) {
    if state.host(id).disabled_by_user || state.host(id).stays_disabled {
        return;
    }
    let Ok(database) = state.db_mut(id) else { return };
    if database.object("host", record).is_some_and(|host| host.is_empty("pending_guidances")) {
        set_enabled(database, record, true).ok();
    }
}

/// Until a member's next hello after an error that may pass.
const RETRY_SOON: Duration = Duration::from_secs(5);

/// Until a member's next hello after an error that a person must mend.
const RETRY_LATER: Duration = Duration::from_secs(60);

/// What a member's hello comes to whose master is not there, as recorded.
const REFUSED: &str = "INTERNAL_ERROR: [ Connection failed: connection refused. ]";

/// What a member's hello comes to whose master is just restarting, as recorded.
const REJECTED: &str = "INTERNAL_ERROR: [ Http_client.Http_request_rejected(\"{ frame = false; \
                        method = POST; path = /jsonrpc; query = [  ]; content_length = [  ]; \
                        transfer encoding = ; version = 1.0; cookie = [ (value filtered) ]; task = \
                        ; subtask_of = ; content-type = ; host = ; user_agent = \
                        xen-api-libs/0.0.dev; }\") ]";
