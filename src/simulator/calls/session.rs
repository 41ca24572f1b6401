//! Sessions: the pool's, which are rows of the database, and local ones.

use std::time::Duration;

use crate::election::HostRole;
use crate::error::Fault;
use crate::simulator::database::Value;
use crate::simulator::state::{Answer, Call, HostId, State, is_master, seconds_between};

/// `session.logout`.
pub(super) fn log_out(state: &mut State, call: &Call) -> Answer {
    let session = call.session.clone().unwrap_or_default();
    state.host_mut(call.host).legacy.remove(&session);
    state.db_mut(call.host).map(|database| database.destroy("session", &session)).ok();
    Answer::done()
}

/// `session.slave_local_login_with_password`: a session of this xapi alone.
pub(super) fn log_in_locally(state: &mut State, call: &Call, user: &str, password: &str) -> Answer {
    match authenticate(state, call.host, user, password) {
        Err(fault) => Answer::after(AUTHENTICATION_DELAY, Err(fault)),
        Ok(()) => local_session(state, call),
    }
}

/// `session.slave_local_login`: the pool secret opens a session of this xapi alone.
pub(super) fn log_in_by_secret(state: &mut State, call: &Call, secret: &str) -> Answer {
    if secret == state.host(call.host).pool_secret {
        local_session(state, call)
    } else {
        refused("localhost").into()
    }
}

/// `session.slave_login`: the pool secret opens a session of the pool for one of its hosts.
pub(super) fn log_in_host(state: &mut State, call: &Call, host: &str, secret: &str) -> Answer {
    if secret == state.host(call.host).pool_secret {
        create(state, call.host, host, "", true).into()
    } else {
        refused(host).into()
    }
}

/// `session.local_logout`.
pub(super) fn log_out_locally(state: &mut State, call: &Call) -> Answer {
    let session = call.session.clone().unwrap_or_default();
    state.host_mut(call.host).local_sessions.remove(&session);
    Answer::done()
}

/// Why a call does not come to its body.
pub(super) enum Refusal {
    Fault(Fault),
    /// It waits for a database that does not answer.
    Hang,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Whether a session may call at all (`session_check.ml`), a method that needs the database or not.
pub(super) fn check(
    state: &mut State,
    host: HostId,
    session: &str,
    needs_database: bool,
) -> Result<(), Refusal> {
    let invalid = || Refusal::Fault(Fault::new("SESSION_INVALID", [session]));
    let home = state.home(host);
    if state.host(host).local_sessions.contains(session) {
        // A local session may call everything, but what needs the database waits for it.
        return if home.is_some() || !needs_database { Ok(()) } else { Err(Refusal::Hang) };
    }
    let now = state.now;
    let Ok(database) = state.db(host) else { return Err(Refusal::Hang) };
    let row = database.object("session", session).ok_or_else(invalid)?;
    if !is_master(state, host) {
        let pool = state.pool(host);
        let master = database.text("pool", &pool, "master");
        let address = database.text("host", &master, "address");
        return Err(Fault::new("HOST_IS_SLAVE", [&*address]).into());
    }
    let date = state.date();
    let stale = seconds_between(row.text("last_active"), now);
    if stale >= IDLE_LIMIT {
        if let Ok(database) = state.db_mut(host) {
            database.destroy("session", session);
        }
        return Err(invalid());
    }
    if stale >= ACTIVITY_STEP {
        let last_active = Value::Date(date);
        state.db_mut(host).and_then(|db| db.set("session", session, "last_active", last_active))?;
    }
    Ok(())
}

/// `session.login_with_password`: a session of the pool, which its master gives.
pub(in crate::simulator) fn log_in(
    state: &mut State,
    call: &Call,
    user: &str,
    password: &str,
    originator: &str,
) -> Answer {
    if let HostRole::Slave(master) = &state.host(call.host).role {
        return Answer::fault("HOST_IS_SLAVE", [master.clone()]);
    }
    match authenticate(state, call.host, user, password) {
        Err(fault) => Answer::after(AUTHENTICATION_DELAY, Err(fault)),
        Ok(()) => {
            drop_oldest(state, call.host, originator);
            let me = state.me(call.host);
            create(state, call.host, &me, originator, false).into()
        }
    }
}

fn authenticate(state: &State, host: HostId, user: &str, password: &str) -> Result<(), Fault> {
    match state.host(host).users.get(user) {
        Some(known) if known == password => Ok(()),
        Some(_) => Err(failed(user, "Authentication failure")),
        None => Err(failed(user, "User not known to the underlying authentication module")),
    }
}

fn create(
    state: &mut State,
    host: HostId,
    this_host: &str,
    originator: &str,
    internal: bool,
) -> Result<Value, Fault> {
    let session = state.random.reference();
    let uuid = state.random.uuid();
    let date = Value::Date(state.date());
    let user = if internal { "" } else { "root" };
    state.db_mut(host)?.create(
        "session",
        &session,
        [
            ("uuid", Value::text(uuid)),
            ("this_host", Value::text(this_host)),
            ("last_active", date.clone()),
            ("pool", Value::Bool(internal)),
            ("is_local_superuser", Value::Bool(true)),
            ("validation_time", date),
            ("auth_user_name", Value::text(user)),
            ("originator", Value::text(originator)),
        ],
    )?;
    Ok(Value::Text(session))
}

/// Makes room for one more session: the oldest of an originator go when there are too many
/// (`db_gc_util.ml`, `xapi_globs.ml`).
fn drop_oldest(state: &mut State, host: HostId, originator: &str) {
    let limit = if originator.is_empty() { 400 } else { 500 };
    let Ok(database) = state.db_mut(host) else { return };
    if database.count("session") < limit {
        return;
    }
    let mut same: Vec<_> = database
        .objects("session")
        .filter(|session| session.text("originator") == originator)
        .map(|session| (session.shared_text("last_active"), session.reference().clone()))
        .collect();
    same.sort();
    let excess = (same.len() + 1).saturating_sub(limit);
    for (_, session) in same.iter().take(excess) {
        database.destroy("session", session);
    }
}

fn local_session(state: &mut State, call: &Call) -> Answer {
    let session = state.random.reference();
    state.host_mut(call.host).local_sessions.insert(session.clone());
    Answer::Now(Ok(Value::Text(session)))
}

/// `session.change_password`, of `root`.
pub(super) fn change_password(
    state: &mut State,
    call: &Call,
    old: &str,
    new: &str,
) -> Result<Value, Fault> {
    authenticate(state, call.host, "root", old)?;
    let password = new.to_owned();
    // The master distributes the new password to its pool.
    let members: Vec<_> = state.ids().filter(|id| state.home(*id) == Some(call.host)).collect();
    for member in members {
        state.host_mut(member).users.insert("root".to_owned(), password.clone());
    }
    Ok(Value::void())
}

fn failed(user: &str, message: &str) -> Fault {
    Fault::new("SESSION_AUTHENTICATION_FAILED", [user, message])
}

/// The refusal of a pool secret.
fn refused(user: &str) -> Result<Value, Fault> {
    Err(failed(user, "Pool credentials invalid"))
}

/// How long a wrong password takes: recorded 1.4 to 2.7 s.
const AUTHENTICATION_DELAY: Duration = Duration::from_secs(2);

/// After how long without a call a session ends, in seconds (`xapi_globs.ml`).
const IDLE_LIMIT: u64 = 24 * 3600;

/// How old `last_active` must be to be written anew, in seconds (`xapi_globs.ml`).
const ACTIVITY_STEP: u64 = 600;
