//! What is left to do when a master is lost (`xapi_pool.ml`, `xapi_pool_transition.ml`).

use std::net::IpAddr;
use std::time::Duration;

use crate::election::HostRole;
use crate::error::Fault;
use crate::simulator::database::{Ref, Value};
use crate::simulator::state::{Answer, HostId, Progress, State};
use crate::simulator::{ha, life};

/// Makes a host the master of what its last copy of the database says, at its next start.
///
/// Neither its role nor the old master is looked at: a master just restarts.
pub(in crate::simulator) fn transition(state: &mut State, host: HostId) -> Result<(), Fault> {
    assert_ha_is_off(state, host)?;
    let fuse = state.timings.fuse;
    state.host_mut(host).configured = HostRole::Master;
    life::restart_toolstack(state, host, fuse);
    Ok(())
}

/// Makes a host a member of whoever is at an address; a healthy master, too.
pub(in crate::simulator) fn reset_master(
    state: &mut State,
    host: HostId,
    address: &str,
) -> Result<(), Fault> {
    assert_ha_is_off(state, host)?;
    let known = state.find(address).map(|master| state.host(master).address.clone());
    let literal = || address.parse::<IpAddr>().ok().map(|_| address.to_owned());
    let master = known.or_else(literal).ok_or_else(|| {
        Fault::new("INTERNAL_ERROR", [format!("Couldn't resolve hostname: {address}")])
    })?;
    let fuse = state.timings.fuse;
    let role = HostRole::Slave(master);
    if state.host(host).role != role {
        state.host_mut(host).configured = role;
        life::restart_toolstack(state, host, fuse);
    }
    Ok(())
}

/// Points all other hosts to this one; answers those that could be reached.
pub(in crate::simulator) fn recover_slaves(state: &mut State, host: HostId) -> Answer {
    let address = state.host(host).address.clone();
    let records = match state.db(host) {
        Ok(database) => database.refs("host"),
        Err(fault) => return Answer::Now(Err(fault)),
    };
    let mut waiting = records.into_iter();
    let mut recovered: Vec<Ref> = Vec::new();
    Answer::Later(Box::new(move |state, call| {
        let Some(record) = waiting.next() else {
            let recovered = std::mem::take(&mut recovered).into_iter().rev();
            return Progress::Done(Ok(Value::texts(recovered)));
        };
        let machine = state.machine(call.host, &record).filter(|machine| *machine != call.host);
        let Some(machine) = machine else { return Progress::Sleep(Duration::ZERO) };
        if !state.reaches(state.host(call.host).name.as_str(), machine) {
            return Progress::Sleep(NO_ROUTE);
        }
        if state.talks(call.host, machine) && reset_master(state, machine, &address).is_ok() {
            recovered.push(record);
        }
        Progress::Sleep(Duration::from_millis(50))
    }))
}

/// Refuses what only HA may do. Whether HA is armed is a file on the host, not in the database;
/// a world that began with the database of an HA pool has no such file.
fn assert_ha_is_off(state: &State, host: HostId) -> Result<(), Fault> {
    if let Some(armed) = ha::is_armed(state, host) {
        return if armed { Err(Fault::bare("HA_IS_ENABLED")) } else { Ok(()) };
    }
    let machine = state.host(host);
    let database = match machine.role {
        HostRole::Master => machine.database.as_ref(),
        _ => machine.backup.as_ref(),
    };
    let armed = database
        .is_some_and(|database| database.find("pool", |pool| pool.flag("ha_enabled")).is_some());
    if armed { Err(Fault::bare("HA_IS_ENABLED")) } else { Ok(()) }
}

/// How long a host tries to reach a machine that does not answer at all.
const NO_ROUTE: Duration = Duration::from_secs(30);
