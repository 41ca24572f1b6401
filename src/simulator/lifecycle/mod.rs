//! How hosts become members, masters, and hosts of their own again.

mod eject;
mod emergency;
mod handover;
mod join;
mod member;
mod operation;

use super::arguments::Args;
use super::calls::{Answer, Call};
use super::world::State;

pub(super) use member::bring_up;

/// Answers the calls that change what a host takes itself for.
pub(super) fn call(state: &mut State, call: &Call, args: &Args) -> Option<Answer> {
    let first = args.text(0);
    Some(match call.method.as_str() {
        "pool.join" | "pool.join_force" => join::join(call, args),
        "pool.eject" => eject::eject(first),
        "pool.designate_new_master" => handover::designate(first),
        "pool.emergency_transition_to_master" => emergency::transition(state, call.host).into(),
        "pool.emergency_reset_master" => emergency::reset_master(state, call.host, first).into(),
        "pool.recover_slaves" => emergency::recover_slaves(state, call.host),
        "host.propose_new_master" => handover::propose(state, call.host, first).into(),
        "host.commit_new_master" => handover::commit(state, call.host, first).into(),
        "host.abort_new_master" => handover::abort(state, call.host, first).into(),
        _ => return None,
    })
}
