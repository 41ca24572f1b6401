//! `pool.join`, as the joiner carries it out (`xapi_pool.ml`, `join_common`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value as Json;

use super::operation::{self, Turn};
use crate::election::HostRole;
use crate::error::Fault;
use crate::model::Snapshot;
use crate::preflight::{Edition, Editions, Options, RULES, evaluate};
use crate::simulator::arguments::Args;
use crate::simulator::calls::{session, storage, task};
use crate::simulator::database::{Database, Ref, Row, Value};
use crate::simulator::join::Merge;
use crate::simulator::life;
use crate::simulator::state::{Answer, Call, HostId, Job, Power, Progress, State};

/// Makes the host that is asked a member of the pool of the master at an address.
pub(in crate::simulator) fn join(call: &Call, args: &Args) -> Answer {
    let mut join = Join {
        address: args.text(0).to_owned(),
        user: args.text(1).to_owned(),
        password: args.text(2).to_owned(),
        force: call.method == "pool.join_force",
        stage: Stage::Connect,
        master: None,
    };
    Answer::Later(Box::new(move |state, call| match join.advance(state, call) {
        Ok(Next::Stage(stage, pause)) => {
            join.stage = stage;
            Progress::Sleep(pause)
        }
        Ok(Next::Done) => Progress::Done(Ok(Value::void())),
        Err(fault) => {
            join.log_out(state);
            Progress::Done(Err(fault))
        }
    }))
}

struct Join {
    address: String,
    user: String,
    password: String,
    force: bool,
    stage: Stage,
    master: Option<Login>,
}

/// A session on the master.
struct Login {
    host: HostId,
    incarnation: u64,
    session: Ref,
}

/// What comes next.
enum Stage {
    /// Reaches for the master, without looking at its certificate.
    Connect,
    /// Waits for the answer to the login.
    Login(HostId, Box<Call>, Job),
    /// Has found out that it will not work.
    Fail(Fault),
    /// Looks for objections.
    Check,
    /// Waits until the pool is free for an operation.
    Begin(Operation, Duration),
    /// Waits for an operation to end.
    End(Operation),
    /// Logs in anew, over verified TLS, and takes the master's settings over.
    Adopt,
    /// Sends its objects, one by one.
    Merge(Box<Merge>),
    /// Detaches its storage.
    Detach,
    /// Becomes a member.
    Switch,
}

/// An operation on the pool for the joiner's sake.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Certificates,
    CaCertificates,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Certificates => "exchange_certificates_on_join",
            Self::CaCertificates => "exchange_ca_certificates_on_join",
        }
    }

    /// What follows when it is over, or where the release does not know it.
    fn next(self) -> (Stage, Duration) {
        match self {
            Self::Certificates => {
                (Stage::Begin(Self::CaCertificates, Duration::ZERO), Duration::from_millis(400))
            }
            Self::CaCertificates => (Stage::Adopt, Duration::from_millis(600)),
        }
    }
}

enum Next {
    Stage(Stage, Duration),
    Done,
}

impl Join {
    fn advance(&mut self, state: &mut State, call: &Call) -> Result<Next, Fault> {
        let joiner = call.host;
        match std::mem::replace(&mut self.stage, Stage::Connect) {
            Stage::Connect => self.connect(state, joiner),
            Stage::Login(master, login, mut job) => match job(state, &login) {
                Progress::Done(result) => self.logged_in(state, master, result),
                Progress::Lost => Err(Fault::bare("JOINING_HOST_CONNECTION_FAILED")),
                Progress::Sleep(pause) => Ok(Next::Stage(Stage::Login(master, login, job), pause)),
                Progress::Watch(until) => {
                    let pause = until.saturating_sub(state.now);
                    Ok(Next::Stage(Stage::Login(master, login, job), pause))
                }
            },
            Stage::Fail(fault) => Err(fault),
            Stage::Check => {
                let master = self.master(state, joiner)?;
                match objection(state, joiner, master, self.force) {
                    Some(fault) => Err(fault),
                    None => {
                        let first = Stage::Begin(Operation::Certificates, Duration::ZERO);
                        Ok(Next::Stage(first, Duration::from_millis(1300)))
                    }
                }
            }
            Stage::Begin(operation, waited) => self.begin(state, joiner, operation, waited),
            Stage::End(operation) => {
                let master = self.master(state, joiner)?;
                if operation == Operation::CaCertificates {
                    exchange_ca_certificates(state, joiner, master)?;
                }
                let (stage, pause) = operation.next();
                Ok(Next::Stage(stage, pause))
            }
            Stage::Adopt => {
                let master = self.master(state, joiner)?;
                adopt_settings(state, joiner, master)?;
                let merge = Merge::new(state.db(joiner)?);
                Ok(Next::Stage(Stage::Merge(Box::new(merge)), Duration::from_millis(200)))
            }
            Stage::Merge(mut merge) => {
                let master = self.master(state, joiner)?;
                let now = state.date();
                let State { hosts, random, .. } = state;
                let pool = hosts[master.0].database.as_mut();
                let pause = pool.and_then(|pool| merge.step(pool, random, &now));
                match pause {
                    Some(pause) => Ok(Next::Stage(Stage::Merge(merge), pause)),
                    None => {
                        state.host_mut(joiner).ignored = merge.swallowed().to_vec();
                        self.log_out(state);
                        Ok(Next::Stage(Stage::Detach, Duration::ZERO))
                    }
                }
            }
            Stage::Detach => {
                let detached = detach(state, joiner)?;
                Ok(Next::Stage(Stage::Switch, Duration::from_millis(20) * detached))
            }
            Stage::Switch => self.switch(state, joiner).map(|()| Next::Done),
        }
    }

    /// Steps b and c of the facts: the licence, then the login.
    fn connect(&mut self, state: &mut State, joiner: HostId) -> Result<Next, Fault> {
        let pool = state.pool(joiner);
        let restriction = state.db(joiner)?.require("pool", &pool)?;
        if restriction.entry("restrictions", "restrict_pooling") != Some("false") {
            return Err(Fault::bare("LICENCE_RESTRICTION"));
        }
        let master = match reach(state, joiner, &self.address) {
            Ok(master) => master,
            Err((pause, fault)) => return Ok(Next::Stage(Stage::Fail(fault), pause)),
        };
        if let Some(emergency) = &state.host(master).emergency {
            return Err(emergency.clone());
        }
        let login = Call::own(state, master, "session.login_with_password");
        match session::log_in(state, &login, &self.user, &self.password, ORIGINATOR) {
            Answer::Now(result) => self.logged_in(state, master, result),
            Answer::Later(job) => {
                Ok(Next::Stage(Stage::Login(master, Box::new(login), job), Duration::ZERO))
            }
        }
    }

    fn logged_in(
        &mut self,
        state: &State,
        master: HostId,
        session: Result<Value, Fault>,
    ) -> Result<Next, Fault> {
        let session = session?.as_str().unwrap_or_default().into();
        let incarnation = state.host(master).incarnation;
        self.master = Some(Login { host: master, incarnation, session });
        Ok(Next::Stage(Stage::Check, Duration::from_millis(250)))
    }

    /// The master, if it can still be asked.
    fn master(&self, state: &State, joiner: HostId) -> Result<HostId, Fault> {
        let lost = || Fault::new("INTERNAL_ERROR", [CONNECTION_REFUSED]);
        let login = self.master.as_ref().ok_or_else(lost)?;
        if !state.talks(joiner, login.host) {
            return Err(lost());
        }
        let master = state.host(login.host);
        if let Some(emergency) = &master.emergency {
            return Err(emergency.clone());
        }
        let known = |database: &Database| database.contains("session", &login.session);
        if master.incarnation != login.incarnation || !master.database.as_ref().is_some_and(known) {
            return Err(Fault::new("SESSION_INVALID", [&*login.session]));
        }
        Ok(login.host)
    }

    fn begin(
        &self,
        state: &mut State,
        joiner: HostId,
        which: Operation,
        waited: Duration,
    ) -> Result<Next, Fault> {
        let master = self.master(state, joiner)?;
        if !operation::is_modern(state, master) {
            let (stage, pause) = which.next();
            return Ok(Next::Stage(stage, pause));
        }
        let task = task::create(state, master, &format!("pool.{}", which.name()), "")?;
        match operation::begin(state, master, which.name(), &task, waited) {
            Ok(Turn::Ours) => {
                let mut duration = Duration::from_millis(130);
                if which == Operation::Certificates {
                    // Sent to each member, then each member is told to rebuild its bundle.
                    duration += 2 * UNREACHABLE * unreachable_members(state, master, joiner);
                }
                end_operation_after(state, master, task, duration);
                Ok(Next::Stage(Stage::End(which), duration))
            }
            Ok(Turn::Waiting(waited)) => {
                state.db_mut(master)?.destroy("task", &task);
                Ok(Next::Stage(Stage::Begin(which, waited), operation::RETRY))
            }
            Err(fault) => {
                state.db_mut(master)?.destroy("task", &task);
                Err(fault)
            }
        }
    }

    /// Ends the session; what was made for the joiner stays, whatever comes of the join.
    fn log_out(&self, state: &mut State) {
        let Some(login) = &self.master else { return };
        if let Some(database) = &mut state.host_mut(login.host).database {
            database.destroy("session", &login.session);
        }
    }

    /// The bridge of a management VLAN is named as in the pool, then the role changes. The joiner
    /// goes on as before until the fuse has burnt down.
    fn switch(&mut self, state: &mut State, joiner: HostId) -> Result<(), Fault> {
        let Some(login) = &self.master else { return Ok(()) };
        let (master, pool) = (login.host, state.host(login.host));
        let (address, secret) = (pool.address.clone(), pool.pool_secret.clone());
        let bridge = pool.database.as_ref().and_then(management_network);
        let bridge = bridge.map(|network| network.text("bridge").to_owned());
        let own = state.db(joiner)?;
        let vlan = management_pif(own).and_then(|pif| pif.target("VLAN_master_of")).is_some();
        let network = management_network(own)
            .map(|network| (Ref::clone(network.reference()), network.text("bridge").to_owned()));
        if let (true, Some(wanted), Some((network, bridge))) = (vlan, bridge, network) {
            if wanted != bridge {
                state.db_mut(joiner)?.set("network", &network, "bridge", wanted)?;
                if let Some(fault) = &state.host(joiner).bridge_trouble {
                    return Err(fault.clone());
                }
            }
        }
        let fuse = state.timings.fuse;
        let backup = state.host(master).database.clone();
        let host = state.host_mut(joiner);
        host.pool_secret = secret;
        host.backup = backup;
        host.is_new_member = true;
        host.configured = HostRole::Slave(address);
        life::restart_toolstack(state, joiner, fuse);
        Ok(())
    }
}

/// The host at an address, or why there is none and how long it takes to find out.
fn reach(state: &State, from: HostId, address: &str) -> Result<HostId, (Duration, Fault)> {
    let failed = |text: &str| Fault::new("INTERNAL_ERROR", [text]);
    let quick = Duration::from_millis(20);
    match state.find(address) {
        Some(host) if !state.reaches(state.host(from).name.as_str(), host) => {
            Err((NO_ROUTE, failed("Connection failed: no route to host.")))
        }
        Some(host) if state.host(host).power != Power::Running => {
            Err((quick, failed(CONNECTION_REFUSED)))
        }
        Some(host) => Ok(host),
        None if address.parse::<IpAddr>().is_ok() => Err((quick, failed(CONNECTION_REFUSED))),
        None => Err((quick, Fault::bare("JOINING_HOST_CONNECTION_FAILED"))),
    }
}

/// The first objection of the checks that a joiner makes, with those of its release.
fn objection(state: &State, joiner: HostId, master: HostId, force: bool) -> Option<Fault> {
    let pool = evidence(state.db(master).ok()?)?;
    let host = evidence(state.db(joiner).ok()?)?;
    let mut options = Options { force, ..Options::default() };
    options.evidence.joiner_bridge_backend = Some(state.host(joiner).network_backend.clone());
    // XCP-ng's licence daemon knows one edition.
    let edition = Edition { title: "xcp-ng".to_owned(), order: 100 };
    options.evidence.editions = Some(Editions::Known(vec![edition]));
    evaluate(pool, host, &options).predicted_fault().cloned()
}

/// What the checks read of a database: of VMs, of which there may be many, only those fields.
fn evidence(database: &Database) -> Option<Snapshot> {
    let mut read: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let checks = RULES.iter().filter(|rule| rule.check.is_some());
    for reads in checks.flat_map(|rule| rule.reads) {
        read.entry(reads.class.as_str()).or_default().extend(reads.fields);
    }
    let classes = read.into_iter().map(|(class, fields)| {
        let row = |object: Row<'_>| {
            let record = match class {
                "VM" => {
                    let fields = fields.iter().chain(&["uuid", "name_label"]);
                    let fields = fields.map(|field| ((*field).to_owned(), object.get(field)));
                    Json::Object(fields.map(|(field, value)| (field, value.to_json())).collect())
                }
                _ => object.record().to_json(),
            };
            (object.reference().to_string(), record)
        };
        (class.to_owned(), Json::Object(database.objects(class).map(row).collect()))
    });
    Snapshot::from_json(Json::Object(classes.collect()).to_string().as_bytes()).ok()
}

/// The master ends its operation by itself, whatever becomes of the joiner.
fn end_operation_after(state: &mut State, master: HostId, task: Ref, duration: Duration) {
    let incarnation = state.host(master).incarnation;
    state.after(duration, move |state| {
        let master = state.host_mut(master);
        if let (true, Some(database)) = (master.incarnation == incarnation, &mut master.database) {
            operation::end(database, &task);
            database.destroy("task", &task);
        }
    });
}

/// How many members a master takes for alive that do not answer it, the joiner left out.
fn unreachable_members(state: &State, master: HostId, joiner: HostId) -> u32 {
    let Ok(database) = state.db(master) else { return 0 };
    let uuid = &state.host(joiner).uuid;
    let silent = database.objects("host").filter(|host| {
        let machine = state.machine(master, host.reference());
        database.flag("host_metrics", host.text("metrics"), "live")
            && host.text("uuid") != uuid
            && !machine.is_some_and(|machine| state.talks(master, machine))
    });
    u32::try_from(silent.count()).unwrap_or(u32::MAX)
}

/// The joiner's CA certificates in the pool's database; those of the same name or fingerprint are
/// there already.
fn exchange_ca_certificates(
    state: &mut State,
    joiner: HostId,
    master: HostId,
) -> Result<(), Fault> {
    let own = state.db(joiner)?;
    let trusted =
        own.objects("Certificate").filter(|row| matches!(row.text("type"), "ca" | "pinned"));
    let trusted: Vec<_> = trusted.map(|row| row.record()).collect();
    for certificate in trusted {
        let text = |field: &str| certificate.at(field).and_then(Value::as_str).unwrap_or_default();
        let (name, print) = (text("name"), text("fingerprint_sha256"));
        let same = |row: &Row<'_>| match name {
            "" => row.text("fingerprint_sha256") == print && row.text("name").is_empty(),
            name => row.text("name") == name,
        };
        let (reference, uuid) = (state.random.reference(), state.random.uuid());
        let database = state.db_mut(master)?;
        if database.find("Certificate", same).is_none() {
            let values = certificate.pairs().iter().map(|(field, value)| (&**field, value.clone()));
            let values = values.chain([("uuid", uuid.into()), ("host", Value::null_ref())]);
            database.create("Certificate", &reference, values)?;
        }
    }
    Ok(())
}

/// What the joiner takes over from the master before it sends its own record: firmware keys of the
/// pool, and how long shells and consoles stay open.
fn adopt_settings(state: &mut State, joiner: HostId, master: HostId) -> Result<(), Fault> {
    let theirs = state.db(master)?.clone();
    let (pool, coordinator) = (state.pool(master), state.me(master));
    let (own_pool, me) = (state.pool(joiner), state.me(joiner));
    let own = state.db_mut(joiner)?;
    for field in ["uefi_certificates", "custom_uefi_certificates"] {
        own.set("pool", &own_pool, field, theirs.get("pool", &pool, field))?;
    }
    for field in SSH_FIELDS {
        own.set("host", &me, field, theirs.get("host", &coordinator, field))?;
    }
    state.host_mut(joiner).backup = Some(theirs);
    Ok(())
}

/// Detaches all storage of a host, as far as that works; returns how many PBDs.
fn detach(state: &mut State, host: HostId) -> Result<u32, Fault> {
    let me = state.me(host);
    let pbds = state.db(host)?.require("host", &me)?.refs("PBDs");
    let call = Call::own(state, host, "PBD.unplug");
    for pbd in &pbds {
        storage::unplug(state, &call, pbd).ok();
    }
    Ok(u32::try_from(pbds.len()).unwrap_or(u32::MAX))
}

/// The management interface of a pool's master.
fn management_pif(database: &Database) -> Option<Row<'_>> {
    let master = database.objects("pool").next()?.text("master");
    database.objects("PIF").find(|pif| pif.flag("management") && pif.text("host") == master)
}

/// The network of the management interface of a pool's master.
fn management_network(database: &Database) -> Option<Row<'_>> {
    database.object("network", management_pif(database)?.text("network"))
}

/// Settings of the master that a joiner makes its own (v25.21 and later).
const SSH_FIELDS: [&str; 4] =
    ["console_idle_timeout", "ssh_auto_mode", "ssh_enabled", "ssh_enabled_timeout"];

/// What the joiner names itself at its login.
const ORIGINATOR: &str = "xapi";

/// What a port without a listener looks like.
const CONNECTION_REFUSED: &str = "Connection failed: connection refused.";

/// How long a host tries to reach a machine that does not answer at all.
const NO_ROUTE: Duration = Duration::from_secs(30);

/// How long a master waits for a member that it takes for alive (recorded twice 100 s a member).
const UNREACHABLE: Duration = Duration::from_secs(100);
