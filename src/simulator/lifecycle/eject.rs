//! A host leaves its pool (`xapi_pool.ml`, `eject`).

use std::time::Duration;

use super::member::level_cpus;
use super::operation::{self, Turn};
use crate::election::HostRole;
use crate::error::Fault;
use crate::simulator::calls::{storage, vm};
use crate::simulator::database::{Database, Ref, Value};
use crate::simulator::life;
use crate::simulator::state::{Answer, Call, FORWARDING_PATIENCE, HostId, Power, Progress, State};
use crate::simulator::world::PoolSpec;

/// Makes a member a host of its own again. It is told so at once, and reinstalls itself when the
/// fuse has burnt down: what lay on its local disks is lost.
pub(in crate::simulator) fn eject(host: &str) -> Answer {
    let host = Ref::from(host);
    let mut stage = Stage::Begin(Duration::ZERO);
    Answer::Later(Box::new(move |state, call| {
        let next = match std::mem::replace(&mut stage, Stage::Begin(Duration::ZERO)) {
            Stage::Begin(waited) => begin(state, call, &host, waited),
            Stage::Fail(fault) => Err(fault),
            Stage::Unplug(machine) => leave(state, call, machine, &host),
            Stage::Forget => forget(state, call, &host).map(|()| None),
        };
        match next {
            Ok(Some((next, pause))) => {
                stage = next;
                Progress::Sleep(pause)
            }
            Ok(None) => {
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
    /// Waits until the pool is free, then looks whether the host may leave.
    Begin(Duration),
    /// Has found out that it will not work.
    Fail(Fault),
    /// The host cuts its ties.
    Unplug(HostId),
    /// The others forget it.
    Forget,
}

type Next = Option<(Stage, Duration)>;

fn begin(state: &mut State, call: &Call, host: &Ref, waited: Duration) -> Result<Next, Fault> {
    let modern = operation::is_modern(state, call.host);
    if let Some(task) = call.task.as_ref().filter(|_| modern) {
        let turn = operation::begin(state, call.host, "eject", task, waited)?;
        if let Turn::Waiting(waited) = turn {
            return Ok(Some((Stage::Begin(waited), operation::RETRY)));
        }
    }
    if *state.me(call.host) == **host {
        return Err(Fault::new("INTERNAL_ERROR", ["Xapi_pool.Cannot_eject_master"]));
    }
    let database = state.db(call.host)?;
    let record = database.object("host", host);
    let live =
        record.is_some_and(|record| database.flag("host_metrics", record.text("metrics"), "live"));
    if !live {
        return Err(Fault::new("HOST_OFFLINE", [&**host]));
    }
    let machine = state.machine(call.host, host);
    let machine = machine.filter(|machine| {
        state.talks(call.host, *machine) && state.host(*machine).emergency.is_none()
    });
    let Some(machine) = machine else {
        let fault = Fault::new("CANNOT_CONTACT_HOST", [&**host]);
        return Ok(Some((Stage::Fail(fault), FORWARDING_PATIENCE)));
    };
    assert_may_leave(database, host)?;
    Ok(Some((Stage::Unplug(machine), Duration::from_millis(300))))
}

/// The conditions, in the order in which they are looked at.
fn assert_may_leave(database: &Database, host: &Ref) -> Result<(), Fault> {
    for pool in database.objects("pool") {
        if pool.flag("ha_enabled") {
            return Err(Fault::bare("HA_IS_ENABLED"));
        }
        let running = pool.get("current_operations");
        if running.pairs().iter().any(|(_, operation)| operation.as_str() == Some("apply_updates"))
        {
            return Err(Fault::bare("NOT_SUPPORTED_DURING_UPGRADE"));
        }
    }
    let control = database.text("host", host, "control_domain");
    let resident = database.find("VM", |vm| {
        vm.text("resident_on") == &**host
            && !(vm.flag("is_control_domain") && **vm.reference() == *control)
            && vm.text("power_state") != "Halted"
    });
    match resident {
        Some(_) => Err(Fault::new("OPERATION_NOT_ALLOWED", ["VM resident on host"])),
        None => Ok(()),
    }
}

/// The host detaches its storage, and what no other host had goes from the pool; then it changes
/// its role. PBDs that were detached before an error stay detached.
fn leave(state: &mut State, call: &Call, machine: HostId, host: &Ref) -> Result<Next, Fault> {
    let database = state.db(call.host)?;
    let pbds = database.require("host", host)?.refs("PBDs");
    let own: Vec<_> = pbds
        .iter()
        .map(|pbd| database.text("PBD", pbd, "SR"))
        .filter(|sr| database.object("SR", sr).is_some_and(|sr| sr.refs("PBDs").len() == 1))
        .collect();
    for pbd in &pbds {
        storage::unplug(state, call, pbd)?;
    }
    for sr in &own {
        let uuid = state.db(call.host)?.text("SR", sr, "uuid");
        storage::forget(state, call, sr)?;
        state.stores.remove(&*uuid);
    }
    let database = state.db(call.host)?;
    let installation = Installation::of(database, host, &state.host(machine).name);
    let control: Vec<_> = database
        .objects("VM")
        .filter(|vm| vm.flag("is_control_domain") && vm.text("resident_on") == &**host)
        .map(|vm| Ref::clone(vm.reference()))
        .collect();
    let database = state.db_mut(call.host)?;
    for domain in control {
        vm::remove(database, &domain);
    }
    let silent = unreachable_others(state, call, host);
    let reinstall = state.timings.fuse;
    let leaving = state.host_mut(machine);
    leaving.configured = HostRole::Master;
    leaving.backup = None;
    state.after(reinstall, move |state| reinstall_when_on(state, machine, installation));
    Ok(Some((Stage::Forget, Duration::from_millis(500) + FORWARDING_PATIENCE * silent)))
}

/// A host that has left reinstalls itself, whatever happens to it: a machine that lost its power
/// does so when it has power again.
fn reinstall_when_on(state: &mut State, machine: HostId, installation: Installation) {
    if state.host(machine).power == Power::Off {
        state.after(POWER_CHECK, move |state| reinstall_when_on(state, machine, installation));
    } else {
        installation.begin(state, machine);
    }
}

/// The master removes the host's record and certificates.
fn forget(state: &mut State, call: &Call, host: &Ref) -> Result<(), Fault> {
    let database = state.db_mut(call.host)?;
    let certificates: Vec<_> = database
        .objects("Certificate")
        .filter(|certificate| certificate.text("host") == &**host)
        .map(|certificate| Ref::clone(certificate.reference()))
        .collect();
    for certificate in certificates {
        database.destroy("Certificate", &certificate);
    }
    database.destroy("host", host);
    level_cpus(database);
    state.host_mut(call.host).heartbeats.remove(host);
    Ok(())
}

/// How many of the other members take their time because they do not answer.
fn unreachable_others(state: &State, call: &Call, leaving: &Ref) -> u32 {
    let Ok(database) = state.db(call.host) else { return 0 };
    let silent = database.objects("host").filter(|host| {
        let machine = state.machine(call.host, host.reference());
        **host.reference() != **leaving
            && database.flag("host_metrics", host.text("metrics"), "live")
            && !machine.is_some_and(|machine| state.talks(call.host, machine))
    });
    u32::try_from(silent.count()).unwrap_or(u32::MAX)
}

fn finish(state: &mut State, call: &Call) {
    if let (Some(task), Ok(database)) = (&call.task, state.db_mut(call.host)) {
        operation::end(database, task);
    }
}

/// What a machine keeps through its reinstallation: hardware, name and address.
struct Installation {
    name: String,
    address: String,
    memory: i64,
    nics: Vec<(String, Value)>,
    host: Vec<(&'static str, Value)>,
}

impl Installation {
    fn of(database: &Database, host: &str, name: &str) -> Self {
        let record = database.object("host", host);
        let metrics = database.text("host", host, "metrics");
        let mut nics: Vec<_> = database
            .objects("PIF")
            .filter(|pif| pif.text("host") == host && pif.flag("physical"))
            .map(|pif| (pif.text("device").to_owned(), pif.get("MAC")))
            .collect();
        nics.sort_by(|(left, _), (right, _)| left.cmp(right));
        nics.dedup_by(|(left, _), (right, _)| left == right);
        let kept = ["uuid", "cpu_info", "capabilities", "bios_strings", "chipset_info"];
        Self {
            name: name.to_owned(),
            address: database.text("host", host, "address").to_string(),
            memory: database.get("host_metrics", &metrics, "memory_total").as_int().unwrap_or(0),
            nics,
            host: kept
                .into_iter()
                .filter_map(|field| Some((field, record.as_ref()?.get(field))))
                .collect(),
        }
    }

    /// Reboots the machine into a fresh installation.
    fn begin(self, state: &mut State, machine: HostId) {
        life::power_off(state, machine);
        let spec = PoolSpec::new("", state.host(machine).release)
            .host(&self.name, &self.address)
            .nics(self.nics.len())
            .memory(self.memory >> 30);
        // A plain host on its own: there is nothing in it that could not be built.
        if let Ok(mut database) = spec.build(&mut state.random) {
            self.adapt(&mut database);
            for sr in database.objects("SR").filter(|sr| sr.int("physical_size") > 0) {
                let sizes = (sr.int("physical_size"), sr.int("physical_utilisation"));
                state.stores.insert(sr.text("uuid").to_owned(), sizes);
            }
            let host = state.host_mut(machine);
            host.database = Some(database);
            // Its old master may have sent it one more copy of the pool's.
            host.backup = None;
        }
        let secret = [state.random.uuid(), state.random.uuid()].join("/");
        state.host_mut(machine).pool_secret = secret;
        let pause = state.timings.reinstall;
        state.after(pause, move |state| life::power_on(state, machine));
    }

    /// Gives a new database the machine, and does not verify certificates.
    ///
    /// Until somebody turns that on again.
    fn adapt(&self, database: &mut Database) {
        for host in database.refs("host") {
            for (field, value) in &self.host {
                database.set("host", &host, field, value.clone()).ok();
            }
            database.set("host", &host, "tls_verification_enabled", false).ok();
        }
        for pool in database.refs("pool") {
            database.set("pool", &pool, "tls_verification_enabled", false).ok();
        }
        for (device, mac) in &self.nics {
            if let Some(pif) = database.find("PIF", |pif| pif.text("device") == device) {
                database.set("PIF", &pif, "MAC", mac.clone()).ok();
            }
        }
    }
}

/// How often a machine without power is looked at that has to reinstall itself.
const POWER_CHECK: Duration = Duration::from_secs(5);
