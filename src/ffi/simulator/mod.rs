//! The simulator as an object: hosts to try things on, without a rack.

mod front;
mod scene;
mod spec;

pub use front::*;
pub use scene::*;

use std::ffi::c_char;
use std::time::Duration;

use serde::Serialize;

use crate::election::HostRole;
use crate::error::Fault;
use crate::ffi::boundary::{self, Out, call, optional_text, quiet, text};
use crate::ffi::error::{Failure, xcp_error};
use crate::ffi::json;
use crate::ffi::registry::Object;
use crate::ffi::status::xcp_status::{self, XCP_E_INVALID_INPUT};
use crate::ffi::transport::xcp_transport;
use crate::simulator::{HaState, Peer, World};
use crate::text::quoted;

/// A world of hosts in memory that answer XAPI calls as real ones were recorded to.
///
/// Made by `xcp_simulator_story` or `xcp_simulator_new`, freed by `xcp_simulator_free`; transports
/// to it keep it. Its time passes only when somebody waits on it: no program has to. Threads: may
/// be used by many at once.
pub struct xcp_simulator {
    world: World,
}

impl Object for xcp_simulator {
    const NAME: &'static str = "xcp_simulator";
}

impl xcp_simulator {
    /// A host of the world, by the name that it goes by.
    fn host<'a>(&self, name: &'a str) -> Result<&'a str, Failure> {
        match self.world.role(name) {
            Some(_) => Ok(name),
            None => Err(unknown(name)),
        }
    }

    /// A host of the world, or the tool itself if there is no name.
    fn peer(&self, name: Option<&str>) -> Result<Peer, Failure> {
        name.map_or(Ok(Peer::Tool), |name| self.host(name).map(Peer::from))
    }
}

/// Makes the world of the story: the pool of Phantom, which Ignite should join.
///
/// Phantom is the master of a pool with six SRs. Ignite stands in its own way: it has a halted and
/// a running VM, a network on a VLAN and an NFS SR. Both run XCP-ng 8.3, at the addresses "phantom"
/// (10.0.0.1) and "ignite" (10.0.0.2); the password of "root" is "xcp-test". Worlds of one `seed`
/// are alike, ids included.
///
/// `*simulator` is freed with `xcp_simulator_free`. From any thread.
///
/// # Safety
/// `simulator` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_story(
    seed: u64,
    simulator: *mut *mut xcp_simulator,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_story", error, |_| {
            let out = Out::new(simulator, "simulator")?;
            out.write_object(xcp_simulator { world: World::story(seed) });
            Ok(())
        })
    }
}

/// Makes a world from a description.
///
/// `spec_json` is `{"seed": number, "password": text, "driven": bool, "timings": {name: seconds},
/// "story": {"phantom": address, "ignite": address}, "pools": [pool...]}`, all optional; there must
/// be a story or a pool. "seed" and "password" are as for `xcp_simulator_story`, which "story" adds
/// the hosts of, at these addresses. In a "driven" world waiting does not move the clock: another
/// thread does (`xcp_simulator_advance`). "timings" are how long things take: "boot" (60), "fuse"
/// (10), "latency" (0.001), "migrate" (10), "reinstall" (120), "restart" (1), "settle" (0.3),
/// "shutdown" (5), "start" (3), "start_member" (0.9), "start_new_member" (7) and "suspend" (5). A
/// pool is in words, `{"name": text, "release": "8.2" | "8.3" | "newest", "hosts": [{"name",
/// "address"}...], "nics": number, "memory_gib": number, "shared_srs": [{"name", "type"}...],
/// "networks": [name...], "vlans": [{"name", "nic", "tag"}...], "bonds": [{"name", "nics":
/// [number...]}...], "vms": [{"name", "power": "halted" | "running" | "suspended", "host",
/// "memory_gib", "disks": [{"sr", "gib"}...], "networks": [name...]}...], "edit": {class: {ref:
/// {field: value} | null}}}`, of which only the hosts must be there: the first is the master, a
/// host of its own is a pool without a name, and "edit" changes the finished database as
/// `xcp_simulator_act` does. Or it is a database, `{"release", "database": {class: {ref:
/// record}}}`, such as a saved snapshot.
///
/// `*simulator` is freed with `xcp_simulator_free`. From any thread. Fails with XCP_E_INVALID_INPUT
/// if a pool names what it does not have, and for unknown fields.
///
/// # Safety
/// `spec_json` ends with NUL; `simulator` can be written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_new(
    spec_json: *const c_char,
    simulator: *mut *mut xcp_simulator,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_new", error, |_| {
            let spec: spec::WorldSpec = json::decode(text(spec_json, "spec_json")?, "spec_json")?;
            let out = Out::new(simulator, "simulator")?;
            out.write_object(xcp_simulator { world: spec.build()? });
            Ok(())
        })
    }
}

/// Makes a transport to the hosts of a world.
///
/// Hosts are reached at their names and addresses. Waits on it take no real time. `*transport` is
/// freed with `xcp_transport_free`. From any thread.
///
/// # Safety
/// `simulator` came from this library; `transport` can be written; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_transport_simulator(
    simulator: *const xcp_simulator,
    transport: *mut *mut xcp_transport,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_transport_simulator", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let out = Out::new(transport, "transport")?;
            out.write_object(xcp_transport::other(simulator.world.transport()));
            Ok(())
        })
    }
}

/// Returns how many seconds have passed in the world since it began.
///
/// 0 for what is no simulator. From any thread.
///
/// # Safety
/// `simulator` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_now(simulator: *const xcp_simulator) -> f64 {
    quiet(0.0, |call| Ok(call.object(simulator, "simulator")?.world.now().as_secs_f64()))
}

/// Lets time pass in the world; what becomes due happens.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for a time that is negative or no number.
///
/// # Safety
/// `simulator` came from this library; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_advance(
    simulator: *const xcp_simulator,
    seconds: f64,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_advance", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let time = Duration::try_from_secs_f64(seconds).map_err(|_| {
                Failure::new(XCP_E_INVALID_INPUT, format!("seconds: {seconds} is no time"))
            })?;
            simulator.world.advance(time);
            Ok(())
        })
    }
}

/// Cuts a host's power.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host.
///
/// # Safety
/// `simulator` came from this library; `host` ends with NUL; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_power_off(
    simulator: *const xcp_simulator,
    host: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_power_off", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            simulator.world.power_off(simulator.host(text(host, "host")?)?);
            Ok(())
        })
    }
}

/// Gives a host power; it boots.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host.
///
/// # Safety
/// `simulator` came from this library; `host` ends with NUL; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_power_on(
    simulator: *const xcp_simulator,
    host: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_power_on", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            simulator.world.power_on(simulator.host(text(host, "host")?)?);
            Ok(())
        })
    }
}

/// Restarts the toolstack of a host.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host.
///
/// # Safety
/// `simulator` came from this library; `host` ends with NUL; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_restart_toolstack(
    simulator: *const xcp_simulator,
    host: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_restart_toolstack", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let host = simulator.host(text(host, "host")?)?;
            simulator.world.act(|scene| scene.restart_toolstack(host));
            Ok(())
        })
    }
}

/// Cuts the network between two hosts.
///
/// NULL stands for the tool that looks at the world from outside. From any thread. Fails with
/// XCP_E_INVALID_INPUT for an unknown host.
///
/// # Safety
/// `simulator` came from this library; `one` and `other` are NULL or end with NUL; `error` is NULL
/// or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_cut(
    simulator: *const xcp_simulator,
    one: *const c_char,
    other: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_cut", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let one = simulator.peer(optional_text(one, "one")?)?;
            let other = simulator.peer(optional_text(other, "other")?)?;
            simulator.world.act(|scene| scene.cut(one, other));
            Ok(())
        })
    }
}

/// Mends the network between two hosts.
///
/// NULL stands for the tool that looks at the world from outside. From any thread. Fails with
/// XCP_E_INVALID_INPUT for an unknown host.
///
/// # Safety
/// `simulator` came from this library; `one` and `other` are NULL or end with NUL; `error` is NULL
/// or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_heal(
    simulator: *const xcp_simulator,
    one: *const c_char,
    other: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_heal", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let one = simulator.peer(optional_text(one, "one")?)?;
            let other = simulator.peer(optional_text(other, "other")?)?;
            simulator.world.act(|scene| scene.heal(one, other));
            Ok(())
        })
    }
}

/// Has requests go wrong.
///
/// `rule_json` is `{"trouble": trouble, "host": name, "method": name, "skip": number, "times":
/// number}`, all but the first optional: what befalls the next `times` (1) requests to that host
/// (any) of that method (any), after `skip` (0) of them have passed. `trouble` is "kill-before"
/// (the host's power fails before it looks at the request), "kill-after" (before it can answer),
/// "lose-reply" (it is carried out, the connection breaks), "cut-reply" (it breaks in the middle of
/// the reply), "refuse" (the connection is refused), "reset" (it breaks before the request was
/// read), "silence" (it is carried out, no answer comes), `{"delay": seconds}` (it arrives later),
/// `{"slow-reply": seconds}` (the reply comes in small pieces over that time) or `{"stall-reply":
/// seconds}` (half of it comes, and the rest after that time).
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for unknown hosts, troubles and fields.
///
/// # Safety
/// `simulator` came from this library; `rule_json` ends with NUL; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_trouble(
    simulator: *const xcp_simulator,
    rule_json: *const c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_trouble", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let rule: spec::TroubleSpec = json::decode(text(rule_json, "rule_json")?, "rule_json")?;
            if let Some(host) = rule.host() {
                simulator.host(host)?;
            }
            simulator.world.trouble(rule.rule());
            Ok(())
        })
    }
}

/// Counts the objects of a class in the database that a host works on.
///
/// From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host; counts 0 for an unknown
/// class, and if the host cannot reach its master.
///
/// # Safety
/// `simulator` came from this library; `host` and `class_name` end with NUL; `count` can be
/// written; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_count(
    simulator: *const xcp_simulator,
    host: *const c_char,
    class_name: *const c_char,
    count: *mut usize,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_count", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let host = simulator.host(text(host, "host")?)?;
            let class = text(class_name, "class_name")?;
            Out::new(count, "count")?.write(simulator.world.count(host, class));
            Ok(())
        })
    }
}

/// Tells what a host takes itself for, whatever the databases say.
///
/// `*host_json` is `{"schema": 1, "role": "master" | "slave" | "broken", "master": address | null,
/// "emergency": {"code", "params"} | null, "network_backend", "address", "power": bool, "running":
/// bool, "configured": {"role", "master"}, "pool_uuid": uuid | null, "ha": {...} | null,
/// "ignored_errors": [{"code", "params"}...]}`, freed with `xcp_string_free`. "running" is whether
/// its toolstack runs, "configured" is what it will take itself for at its next start, "pool_uuid"
/// is null while it cannot reach its master, "ignored_errors" are those of its last `pool.join`
/// that nobody hears of. "ha", if its pool has HA, is `{"armed", "online", "live_set": [name...],
/// "hears": [name...], "sees": [name...], "handles_fault", "without_storage", "holds_lock",
/// "master": name | null}`. From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host.
///
/// # Safety
/// `simulator` came from this library; `host` ends with NUL; `host_json` can be written; `error` is
/// NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_host_json(
    simulator: *const xcp_simulator,
    host: *const c_char,
    host_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_host_json", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let name = text(host, "host")?;
            let out = Out::new(host_json, "host_json")?;
            let world = &simulator.world;
            let role =
                |role: Option<HostRole>| role.map(RoleText::from).ok_or_else(|| unknown(name));
            out.write_text(json::numbered(Host {
                role: role(world.role(name))?,
                emergency: world.emergency(name),
                network_backend: world.network_backend(name),
                address: world.address(name),
                power: world.has_power(name),
                running: world.is_running(name),
                configured: role(world.configured_role(name))?,
                pool_uuid: world.pool_uuid(name),
                ha: world.ha(name).map(HaText::from),
                ignored_errors: world.ignored_errors(name),
            })?);
            Ok(())
        })
    }
}

/// Tells the whole database that a host works on, as `{class: {ref: record}}`.
///
/// It is a snapshot for `xcp_snapshot_from_json`, and a database for `xcp_simulator_new`.
/// `*database_json` is freed with `xcp_string_free`. From any thread. Fails with
/// XCP_E_INVALID_INPUT for an unknown host, and with XCP_E_FAULT if the host cannot reach its
/// master.
///
/// # Safety
/// `simulator` came from this library; `host` ends with NUL; `database_json` can be written;
/// `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_database_json(
    simulator: *const xcp_simulator,
    host: *const c_char,
    database_json: *mut *mut c_char,
    error: *mut *mut xcp_error,
) -> xcp_status {
    // SAFETY: what the caller promised.
    unsafe {
        call("xcp_simulator_database_json", error, |call| {
            let simulator = call.object(simulator, "simulator")?;
            let host = simulator.host(text(host, "host")?)?;
            let out = Out::new(database_json, "database_json")?;
            out.write_text(simulator.world.database(host)?.save().to_string());
            Ok(())
        })
    }
}

/// Frees a simulator; the world goes on for the transports to it. NULL is fine.
///
/// From any thread.
///
/// # Safety
/// `simulator` is NULL or came from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xcp_simulator_free(simulator: *mut xcp_simulator) {
    boundary::free(simulator);
}

#[derive(Serialize)]
struct Host {
    #[serde(flatten)]
    role: RoleText,
    emergency: Option<Fault>,
    network_backend: Option<String>,
    address: Option<String>,
    power: bool,
    running: bool,
    configured: RoleText,
    pool_uuid: Option<String>,
    ha: Option<HaText>,
    ignored_errors: Vec<Fault>,
}

#[derive(Serialize)]
struct RoleText {
    role: &'static str,
    master: Option<String>,
}

impl From<HostRole> for RoleText {
    fn from(role: HostRole) -> Self {
        let (role, master) = match role {
            HostRole::Broken => ("broken", None),
            HostRole::Master => ("master", None),
            HostRole::Slave(master) => ("slave", Some(master)),
        };
        Self { role, master }
    }
}

/// What HA is to a host.
#[derive(Serialize)]
struct HaText {
    armed: bool,
    online: bool,
    live_set: Vec<String>,
    hears: Vec<String>,
    sees: Vec<String>,
    handles_fault: bool,
    without_storage: bool,
    holds_lock: bool,
    master: Option<String>,
}

impl From<HaState> for HaText {
    fn from(ha: HaState) -> Self {
        Self {
            armed: ha.armed,
            online: ha.online,
            live_set: ha.live_set,
            hears: ha.hears,
            sees: ha.sees,
            handles_fault: ha.handles_fault,
            without_storage: ha.without_storage,
            holds_lock: ha.holds_lock,
            master: ha.master,
        }
    }
}

fn unknown(host: &str) -> Failure {
    Failure::new(XCP_E_INVALID_INPUT, format!("the world has no host {}", quoted(host)))
}
