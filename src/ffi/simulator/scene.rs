//! What happens to a simulated world, and what it looks like from above.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::xcp_simulator;
use crate::error::{Fault, Result as Known};
use crate::ffi::boundary::{Out, call, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json::{self, duration};
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};
use crate::simulator::{FenceCause, Fenced, Peer, Scene};

/// Does something to a world, now or later; several things happen at one moment.
///
/// `act_json` is an act or a list of acts; each may have `"after": seconds`, and then happens when
/// that time has passed. Hosts are named by name or address; where a peer is asked for, null is the
/// tool that looks at the world from outside. An act is one of
/// - `{"act": "power-off", "host"}`, `{"act": "power-on", "host"}`, `{"act": "restart-toolstack",
///   "host"}`;
/// - `{"act": "cut", "one", "other"}`, `{"act": "heal", "one", "other"}`: the network between two,
///   both ways;
/// - `{"act": "cut-one-way", "from", "to"}`: no packet passes from one to the other, but still the
///   other way;
/// - `{"act": "cut-state-file", "host"}`, `{"act": "heal-state-file", "host"}`: the host's way to
///   the state file of HA;
/// - `{"act": "set-network-backend", "host", "backend"}`: what the network daemon uses, without a
///   word in the host's records;
/// - `{"act": "break-bridge-change", "host", "fault": {"code", "params"}}`: the host cannot rename
///   the bridge of its management VLAN, at which its `pool.join` fails with this error;
/// - `{"act": "edit", "host", "database": {class: {ref: {field: value} | null}}}`: writes the
///   fields into the database that the host works on, past all checks; makes objects that are not
///   there, and removes those with null.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for unknown acts, hosts, classes and fields and
/// values of another type; nothing has happened then but what came before an edit that fails. An
/// edit that fails later is not told.
///
/// # Safety
/// `simulator` came from this library; `act_json` ends with NUL; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_act(
    simulator: *const xcp_simulator,
    act_json: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_act", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let acts: Acts = json::decode_any(text(act_json, "act_json")?, "act_json")?;
            let acts = match acts {
                Acts::One(act) => vec![*act],
                Acts::Many(acts) => acts,
            };
            for act in &acts {
                act.act.check(&simulator).map_err(|wrong| wrong.in_argument("act_json"))?;
            }
            let (later, now): (Vec<_>, Vec<_>) =
                acts.into_iter().partition(|act| act.after.is_some());
            simulator.world.act(|scene| now.iter().try_for_each(|act| act.act.play(scene)))?;
            for Timed { after, act } in later {
                let after = after.map_or(Duration::ZERO, |after| after.0);
                // What an edit then finds is not known yet; there is nobody to tell.
                simulator.world.after(after, move |scene| drop(act.play(scene)));
            }
            Ok(())
        })
    }
}

/// Does the next thing that is due in the world, and tells whether there was one.
///
/// `until` is in seconds since the world began (`xcp_simulator_now`). Called until `*done` is false
/// this looks at the world after every single event. From any thread. Fails with
/// XCP_E_INVALID_INPUT for a time that is negative or no number.
///
/// # Safety
/// `simulator` came from this library; `done` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_step(
    simulator: *const xcp_simulator,
    until: f64,
    done: *mut bool,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_step", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let out = Out::new(done, "done")?;
            let until = Duration::try_from_secs_f64(until).map_err(|_| {
                Failure::new(XCP_E_INVALID_INPUT, format!("until: {until} is no time"))
            })?;
            out.write(simulator.world.step(until));
            Ok(())
        })
    }
}

/// Tells the world from above.
///
/// `*state_json` is `{"schema": 1, "now": seconds, "masters": [name...], "lock_holders": [name...],
/// "fenced": [{"at": seconds, "host", "cause": "lost" | "requested" | "watchdog", "by": name |
/// null}...], "requests": {method: number}, "sent", "writes", "sessions": [ref...]}`, freed with
/// `xcp_string_free`: who serves as master (one for each pool, if all is well), who takes itself
/// for the holder of the master lock of HA, whom HA fenced, requests that reached a host by method
/// and those sent to anybody, how often objects were written (sessions and tasks left out), and the
/// sessions that are open, local ones included. From any thread.
///
/// # Safety
/// `simulator` came from this library; `state_json` can be written; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_state_json(
    simulator: *const xcp_simulator,
    state_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_state_json", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let out = Out::new(state_json, "state_json")?;
            let world = &simulator.world;
            out.write_text(json::numbered(WorldText {
                now: world.now().as_secs_f64(),
                masters: world.masters(),
                lock_holders: world.lock_holders(),
                fenced: world.fenced().iter().map(FencedText::from).collect(),
                requests: world.requests(),
                sent: world.sent(),
                writes: world.writes(),
                sessions: world.sessions(),
            })?);
            Ok(())
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an act or a list of acts")]
enum Acts {
    Many(Vec<Timed>),
    One(Box<Timed>),
}

struct Timed {
    after: Option<Seconds>,
    act: Act,
}

#[derive(Deserialize)]
struct Seconds(#[serde(deserialize_with = "duration")] Duration);

impl<'de> Deserialize<'de> for Timed {
    /// Unknown fields are refused, which flattening does not do.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut fields = serde_json::Map::deserialize(deserializer)?;
        let after = fields.remove("after").map(serde_json::from_value).transpose();
        let act = serde_json::from_value(Value::Object(fields)).map_err(D::Error::custom)?;
        Ok(Self { after: after.map_err(D::Error::custom)?, act })
    }
}

#[derive(Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
enum Act {
    BreakBridgeChange { host: String, fault: Fault },
    Cut { one: Option<String>, other: Option<String> },
    CutOneWay { from: Option<String>, to: Option<String> },
    CutStateFile { host: String },
    Edit { host: String, database: Value },
    Heal { one: Option<String>, other: Option<String> },
    HealStateFile { host: String },
    PowerOff { host: String },
    PowerOn { host: String },
    RestartToolstack { host: String },
    SetNetworkBackend { host: String, backend: String },
}

impl Act {
    /// Fails if it names hosts that are not there.
    fn check(&self, simulator: &xcp_simulator) -> Result<(), Failure> {
        match self {
            Self::BreakBridgeChange { host, .. }
            | Self::CutStateFile { host }
            | Self::Edit { host, .. }
            | Self::HealStateFile { host }
            | Self::PowerOff { host }
            | Self::PowerOn { host }
            | Self::RestartToolstack { host }
            | Self::SetNetworkBackend { host, .. } => simulator.host(host).map(drop),
            Self::Cut { one, other }
            | Self::CutOneWay { from: one, to: other }
            | Self::Heal { one, other } => {
                simulator.peer(one.as_deref())?;
                simulator.peer(other.as_deref()).map(drop)
            }
        }
    }

    fn play(&self, scene: &mut Scene<'_>) -> Known<()> {
        let peer = |name: &Option<String>| name.as_deref().map_or(Peer::Tool, Peer::from);
        match self {
            Self::BreakBridgeChange { host, fault } => {
                scene.break_bridge_change(host, fault.clone());
            }
            Self::Cut { one, other } => scene.cut(peer(one), peer(other)),
            Self::CutOneWay { from, to } => scene.cut_one_way(peer(from), peer(to)),
            Self::CutStateFile { host } => scene.cut_state_file(host),
            Self::Edit { host, database } => return scene.patch(host, database),
            Self::Heal { one, other } => scene.heal(peer(one), peer(other)),
            Self::HealStateFile { host } => scene.heal_state_file(host),
            Self::PowerOff { host } => scene.power_off(host),
            Self::PowerOn { host } => scene.power_on(host),
            Self::RestartToolstack { host } => scene.restart_toolstack(host),
            Self::SetNetworkBackend { host, backend } => {
                scene.set_network_backend(host, backend);
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct WorldText {
    now: f64,
    masters: Vec<String>,
    lock_holders: Vec<String>,
    fenced: Vec<FencedText>,
    requests: BTreeMap<String, u64>,
    sent: u64,
    writes: u64,
    sessions: Vec<String>,
}

#[derive(Serialize)]
struct FencedText {
    at: f64,
    host: String,
    cause: &'static str,
    by: Option<String>,
}

impl From<&Fenced> for FencedText {
    fn from(fenced: &Fenced) -> Self {
        let (cause, by) = match &fenced.cause {
            FenceCause::Lost => ("lost", None),
            FenceCause::Requested { by } => ("requested", Some(by.clone())),
            FenceCause::Watchdog => ("watchdog", None),
        };
        Self { at: fenced.at.as_secs_f64(), host: fenced.host.clone(), cause, by }
    }
}
