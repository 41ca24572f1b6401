//! The race of survivors for the master lock.

use std::ffi::c_char;

use serde::{Deserialize, Serialize};

use super::{input, numbered};
use crate::election::HostSet;
use crate::election::lock::{Block, MasterLock, Proposal};
use crate::ffi::boundary::{Out, call, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::status::xcp_status;

/// Plays one host's side of the master lock of HA: what it writes, whom it grants.
///
/// For simulations.
///
/// `input_json` is `{"me": index, "n": number of hosts, "online": hosts, "events": [event...]}`;
/// sets of hosts are numbers with bit k for host k. An event is `"propose"` (this host wants to be
/// master), `{"read": {"host": index, "request": bool, "grants": hosts}}` (what another host has in
/// the state file), `"update"` (the rules are applied to what was read), `{"online": hosts}` (the
/// live set changed) or `"lose-state-file"`. It is played from the beginning with each call.
///
/// `*state_json` is `{"schema": 1, "block": {"request": bool, "grants": hosts}, "proposal",
/// "holder": index | null, "proposals": [proposal...]}`: what the host writes to the state file,
/// where its own proposal stands ("none", "pending", "granted" or "refused"), who holds the lock as
/// far as it knows, and where the proposal stood after each event. It is freed with
/// `xcp_string_free`.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for input of another form and more than 64
/// hosts.
///
/// # Safety
/// `input_json` ends with NUL; `state_json` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_master_lock_json(
    input_json: *const c_char,
    state_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_master_lock_json", error, |_| {
            let input = text(input_json, "input_json")?;
            let out = Out::new(state_json, "state_json")?;
            out.write_text(play(input)?);
            Ok(())
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with me, n, online and events")]
struct Game {
    me: usize,
    n: usize,
    online: HostSet,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Event {
    LoseStateFile,
    Online(HostSet),
    Propose,
    Read(Read),
    Update,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    host: usize,
    request: bool,
    grants: HostSet,
}

#[derive(Serialize)]
struct State {
    block: Block,
    proposal: Proposal,
    holder: Option<usize>,
    proposals: Vec<Proposal>,
}

fn play(json: &str) -> Result<String, Failure> {
    let game: Game = input::decode(json, "input_json")?;
    let mut lock = MasterLock::new(game.me, game.n, game.online)?;
    let mut proposals = Vec::with_capacity(game.events.len());
    for event in game.events {
        match event {
            Event::LoseStateFile => {
                lock.lose_state_file();
            }
            Event::Online(hosts) => lock.set_online(hosts),
            Event::Propose => {
                lock.propose();
            }
            Event::Read(Read { host, request, grants }) => {
                lock.read(host, Block { request, grants });
            }
            Event::Update => {
                lock.update();
            }
        }
        proposals.push(lock.proposal());
    }
    let (block, proposal, holder) = (lock.block(), lock.proposal(), lock.holder());
    numbered(State { block, proposal, holder, proposals })
}
