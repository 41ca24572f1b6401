//! A planned change of the master, in two phases (`xapi_pool_transition.ml`, `xapi_ha.ml`).

use std::time::Duration;

use super::operation::{self, Turn};
use crate::election::HostRole;
use crate::error::Fault;
use crate::simulator::calls::pool;
use crate::simulator::database::{EPOCH, Ref, Value};
use crate::simulator::life;
use crate::simulator::state::{Answer, Call, FORWARDING_PATIENCE, HostId, Progress, State, date};

/// Hands the pool over to another host: the answer comes long before the hosts change their roles.
pub(in crate::simulator) fn designate(target: &str) -> Answer {
    let target = Ref::from(target);
    let mut stage = Stage::Begin(Duration::ZERO);
    Answer::Later(Box::new(move |state, call| {
        let next = match std::mem::replace(&mut stage, Stage::Begin(Duration::ZERO)) {
            Stage::Begin(waited) => begin(state, call, &target, waited),
            Stage::Fail(fault) => Err(fault),
            Stage::Propose(target) => propose_to_all(state, call, target),
            Stage::Commit(target) => commit_to_all(state, call, target),
        };
        match next {
            Ok(Next::Stage(next, pause)) => {
                stage = next;
                Progress::Sleep(pause)
            }
            Ok(Next::Done) => {
                finish(state, call);
                Progress::Done(Ok(Value::void()))
            }
            Err(fault) => {
                finish(state, call);
                Progress::Done(Err(fault))
            }
        }
    }))
}

enum Stage {
    /// Waits until the pool is free.
    Begin(Duration),
    /// Has found out that it will not work.
    Fail(Fault),
    /// Phase 1: every host must agree.
    Propose(HostId),
    /// Phase 2: every host takes its new role for the next start.
    Commit(HostId),
}

enum Next {
    Stage(Stage, Duration),
    Done,
}

fn begin(state: &mut State, call: &Call, target: &Ref, waited: Duration) -> Result<Next, Fault> {
    if let Some(task) = &call.task {
        let turn = operation::begin(state, call.host, "designate_new_master", task, waited)?;
        if let Turn::Waiting(waited) = turn {
            return Ok(Next::Stage(Stage::Begin(waited), operation::RETRY));
        }
    }
    let database = state.db(call.host)?;
    let record = database.require("host", target)?;
    if *state.me(call.host) == **target {
        return Ok(Next::Done);
    }
    if !database.flag("host_metrics", record.text("metrics"), "live") {
        return Err(Fault::new("HOST_OFFLINE", [&**target]));
    }
    let unreachable = |host: &Ref| {
        let machine = state.machine(call.host, host);
        !machine.is_some_and(|machine| answers(state, call.host, machine))
    };
    let fail = |host: &Ref| {
        let fault = Fault::new("CANNOT_CONTACT_HOST", [&**host]);
        Ok(Next::Stage(Stage::Fail(fault), FORWARDING_PATIENCE))
    };
    if unreachable(target) {
        return fail(target);
    }
    let pool = state.pool(call.host);
    if database.flag("pool", &pool, "ha_enabled") {
        return Err(Fault::bare("HA_IS_ENABLED"));
    }
    // The database is sent to every host first, so that all of them must be up.
    let hosts = database.refs("host");
    let dead = |host: &&Ref| {
        !database.flag("host_metrics", &database.text("host", host, "metrics"), "live")
    };
    if let Some(dead) = hosts.iter().find(dead) {
        return Err(Fault::new("HOST_OFFLINE", [&**dead]));
    }
    if let Some(silent) = hosts.iter().find(|host| unreachable(host)) {
        return fail(silent);
    }
    let machine = state.machine(call.host, target).unwrap_or(call.host);
    let never = Value::Date(EPOCH.into());
    state.db_mut(call.host)?.set("pool", &pool, "last_update_sync", never)?;
    pool::sync_database(state, call)?;
    Ok(Next::Stage(Stage::Propose(machine), Duration::from_millis(400)))
}

/// Asks the others and last the target itself; whoever agreed is told if one does not.
fn propose_to_all(state: &mut State, call: &Call, target: HostId) -> Result<Next, Fault> {
    let address = state.host(target).address.clone();
    let mut agreed = Vec::new();
    for host in peers(state, call, target).into_iter().chain([target]) {
        let answer = if answers(state, target, host) {
            propose(state, host, &address)
        } else {
            Err(Fault::new("INTERNAL_ERROR", [CONNECTION_REFUSED]))
        };
        if let Err(fault) = answer {
            for host in agreed {
                // Only they know whether it still matters to them.
                abort(state, host, &address).ok();
            }
            return Err(fault);
        }
        agreed.push(host);
    }
    Ok(Next::Stage(Stage::Commit(target), Duration::from_millis(100)))
}

/// Has everybody take the new role; whoever fails now leaves a pool without a master.
fn commit_to_all(state: &mut State, call: &Call, target: HostId) -> Result<Next, Fault> {
    let address = state.host(target).address.clone();
    let old_master = state.host(call.host).incarnation;
    state.host_mut(target).configured = HostRole::Broken;
    let mut failed = false;
    for host in peers(state, call, target) {
        failed |= !answers(state, target, host) || commit(state, host, &address).is_err();
    }
    if failed {
        life::restart_toolstack(state, target, Duration::ZERO);
        let target = state.db(call.host)?.by_uuid("host", &state.host(target).uuid);
        return Err(Fault::new("CANNOT_CONTACT_HOST", [&*target.unwrap_or_default()]));
    }
    state.host_mut(target).configured = HostRole::Master;
    follow(state, target, call.host, old_master);
    Ok(Next::Done)
}

/// The new master restarts when its connection to the old one breaks.
fn follow(state: &mut State, target: HostId, old_master: HostId, incarnation: u64) {
    let own = state.host(target).incarnation;
    state.after(GLANCE, move |state| {
        if state.host(target).incarnation != own {
            return;
        }
        if state.host(old_master).incarnation == incarnation {
            follow(state, target, old_master, incarnation);
        } else {
            life::restart_toolstack(state, target, CONNECTION_LOSS);
        }
    });
}

fn finish(state: &mut State, call: &Call) {
    if let (Some(task), Ok(database)) = (&call.task, state.db_mut(call.host)) {
        operation::end(database, task);
    }
}

/// The machines of the pool but one, the master first.
fn peers(state: &State, call: &Call, target: HostId) -> Vec<HostId> {
    let records = state.db(call.host).map(|database| database.refs("host")).unwrap_or_default();
    let mut peers: Vec<_> = records
        .iter()
        .filter_map(|record| state.machine(call.host, record))
        .filter(|machine| *machine != target)
        .collect();
    peers.sort_by_key(|machine| *machine != call.host);
    peers
}

/// Whether a host's xapi takes calls that work without a database.
fn answers(state: &State, from: HostId, to: HostId) -> bool {
    state.talks(from, to)
}

/// `host.propose_new_master`: a host agrees to one address at a time, for ten minutes.
pub(in crate::simulator) fn propose(
    state: &mut State,
    host: HostId,
    address: &str,
) -> Result<(), Fault> {
    let now = state.now;
    if let Some((agreed, since)) = &state.host(host).proposal {
        let age = now.saturating_sub(*since);
        if agreed != address && age < AGREEMENT {
            let (since, age) = (date(*since), age.as_secs());
            let reason = format!(
                "Already agreed to commit host address '{agreed}' at {since} ('{age}' secs ago)"
            );
            return Err(Fault::new("HA_ABORT_NEW_MASTER", [reason]));
        }
    }
    state.host_mut(host).proposal = Some((address.to_owned(), now));
    Ok(())
}

/// `host.commit_new_master`: the host restarts in its new role when the fuse has burnt down.
pub(in crate::simulator) fn commit(
    state: &mut State,
    host: HostId,
    address: &str,
) -> Result<(), Fault> {
    let complaint = match &state.host(host).proposal {
        Some((agreed, _)) if agreed == address => None,
        Some((agreed, _)) => Some(format!("but previously received proposal for {agreed}")),
        None => Some("but never received a proposal".to_owned()),
    };
    if let Some(complaint) = complaint {
        let reason = format!("Received commit_new_master({address}) {complaint}");
        return Err(Fault::new("HA_ABORT_NEW_MASTER", [reason]));
    }
    let fuse = state.timings.fuse;
    let machine = state.host_mut(host);
    machine.proposal = None;
    machine.configured = if machine.address == address {
        HostRole::Master
    } else {
        HostRole::Slave(address.to_owned())
    };
    life::restart_toolstack(state, host, fuse);
    Ok(())
}

/// `host.abort_new_master`.
pub(in crate::simulator) fn abort(
    state: &mut State,
    host: HostId,
    address: &str,
) -> Result<(), Fault> {
    let machine = state.host_mut(host);
    if machine.proposal.as_ref().is_some_and(|(agreed, _)| agreed == address) {
        machine.proposal = None;
    }
    Ok(())
}

/// How long a host stands by what it agreed to.
const AGREEMENT: Duration = Duration::from_secs(600);

/// How often the new master looks after the old one.
const GLANCE: Duration = Duration::from_millis(100);

/// From the end of the old master to that of the new one's xapi.
const CONNECTION_LOSS: Duration = Duration::from_secs(1);

const CONNECTION_REFUSED: &str = "Connection failed: connection refused.";
