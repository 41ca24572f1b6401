//! What a host answers to a call: the checks before it, then the call's own file.
//!
//! Each file of calls has one `call` function: it looks at [`Call::method`], answers the calls that
//! are its own and `None` to all others. Calls that take time answer a [`Job`], which the world
//! runs step by step; between steps time passes and anything may happen to the host.

pub(super) mod clone;
mod event;
mod filter;
mod generic;
mod ha;
pub(super) mod host;
mod message;
mod migrate;
pub(super) mod network;
pub(super) mod operations;
pub(super) mod pool;
mod session;
mod settings;
pub(super) mod storage;
pub(super) mod task;
pub(super) mod vm;

pub(super) use event::Legacy;

use std::time::Duration;

use serde_json::Value as Json;

use super::arguments::{Args, Kind, implicit_kinds, text_argument};
use super::database::Ref;
use super::envelope::Envelope;
use super::schema::{Class, Message, Schema};
use super::value::Value;
use super::world::{HostId, Role, State};
use crate::error::Fault;

/// A call on its way.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The host that was asked.
    pub host: HostId,
    /// The full method, `Async.` left out.
    pub method: String,
    /// The session, of calls that take one.
    pub session: Option<Ref>,
    /// The task that stands for the call, if it has one.
    pub task: Option<Ref>,
    /// Which life of the host's xapi serves it.
    pub incarnation: u64,
}

/// What a call came to.
pub(super) enum Answer {
    /// It is done.
    Now(Result<Value, Fault>),
    /// It takes time.
    Later(Job),
}

/// The rest of a call that takes time: asked again and again until it is done.
pub(super) type Job = Box<dyn FnMut(&mut State, &Call) -> Progress + Send>;

/// How far a job has come.
pub(super) enum Progress {
    /// It is done.
    Done(Result<Value, Fault>),
    /// The host's xapi ends over it: the connection breaks.
    Lost,
    /// To be asked again after that time.
    Sleep(Duration),
    /// To be asked again when something has happened, at that time at the latest.
    Watch(Duration),
}

/// What becomes of a request.
pub(super) enum Begun {
    /// An error before the dispatch, in its own envelope.
    Early(Fault),
    /// The call runs; the reply is its result.
    Running(Call, Answer),
    /// The call runs in a task; the reply is the task's ref.
    Task(Call, Ref, Answer),
}

impl Answer {
    /// Nothing to say, but that it is done.
    pub fn done() -> Self {
        Self::Now(Ok(Value::void()))
    }

    pub fn fault<P: Into<String>>(code: &str, params: impl IntoIterator<Item = P>) -> Self {
        Self::Now(Err(Fault::new(code, params)))
    }

    /// The same answer, but only after a time.
    pub fn after(delay: Duration, result: Result<Value, Fault>) -> Self {
        Self::once(delay, move |_, _| result)
    }

    /// Does something after a time, and is done.
    pub fn once(
        delay: Duration,
        act: impl FnOnce(&mut State, &Call) -> Result<Value, Fault> + Send + 'static,
    ) -> Self {
        let (mut act, mut waited) = (Some(act), false);
        Self::Later(Box::new(move |state, call| {
            if !std::mem::replace(&mut waited, true) {
                return Progress::Sleep(delay);
            }
            act.take().map_or(Progress::Lost, |act| Progress::Done(act(state, call)))
        }))
    }
}

impl From<Result<(), Fault>> for Answer {
    fn from(result: Result<(), Fault>) -> Self {
        Self::Now(result.map(|()| Value::void()))
    }
}

impl From<Result<Value, Fault>> for Answer {
    fn from(result: Result<Value, Fault>) -> Self {
        Self::Now(result)
    }
}

/// Looks at a request and begins its call (`api_server.ml`, `gen_server.ml`): emergency mode, then
/// the number of arguments, their types, the session, and then the call itself.
pub(super) fn begin(state: &mut State, host: HostId, request: &Envelope) -> Begun {
    let emergency = state.host(host).emergency.clone();
    if let Some(fault) = emergency {
        if !EMERGENCY_CALLS.contains(&request.method.as_str()) {
            return Begun::Early(fault);
        }
    }
    let (method, is_async) = match request.method.strip_prefix("Async.") {
        Some(method) => (method, true),
        None => (request.method.as_str(), false),
    };
    let mut call = Call {
        host,
        method: method.to_owned(),
        session: None,
        task: None,
        incarnation: state.host(host).incarnation,
    };
    match prepare(state, &mut call, &request.params, is_async) {
        Err(Refusal::Fault(fault)) => Begun::Running(call, Answer::Now(Err(fault))),
        Err(Refusal::Hang) => Begun::Running(call, hang()),
        Ok(Prepared::Methods(methods)) => Begun::Running(call, Answer::Now(Ok(methods))),
        Ok(Prepared::Call(target, args)) if is_async => {
            let name = format!("Async.{}", call.method);
            match task::create(state, host, &name, "") {
                Err(fault) => Begun::Running(call, Answer::Now(Err(fault))),
                Ok(task) => {
                    call.task = Some(Ref::clone(&task));
                    // The body begins after the reply: what it answers is the task's.
                    let (mut target, mut rest) = (Some((target, args)), None::<Job>);
                    let body: Job = Box::new(move |state, call| {
                        if let Some((target, args)) = target.take() {
                            match run(state, call, target, &args) {
                                Answer::Now(result) => return Progress::Done(result),
                                Answer::Later(job) => rest = Some(job),
                            }
                        }
                        rest.as_mut().map_or(Progress::Lost, |job| job(state, call))
                    });
                    Begun::Task(call, task, Answer::Later(body))
                }
            }
        }
        Ok(Prepared::Call(target, args)) => {
            let answer = run(state, &call, target, &args);
            if let (Answer::Later(_), true) = (&answer, target.has_async()) {
                // Seen by others as long as the call runs.
                call.task = task::create(state, host, &call.method, "").ok();
            }
            Begun::Running(call, answer)
        }
    }
}

/// What a call is about: a class and one of its messages.
#[derive(Clone, Copy)]
struct Target {
    schema: &'static Schema,
    class: &'static Class,
    message: &'static Message,
}

enum Prepared {
    Call(Target, Args),
    Methods(Value),
}

/// Why a call does not come to its body.
enum Refusal {
    Fault(Fault),
    /// It waits for a database that does not answer.
    Hang,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Target {
    /// The class and message of a method: `class.message`, or `class_message`.
    fn find(schema: &'static Schema, method: &str) -> Option<Self> {
        if let Some((class, message)) = method.split_once('.') {
            let class = schema.class(class)?;
            return Some(Self { schema, class, message: class.message(message)? });
        }
        schema.classes().iter().find_map(|class| {
            let message = method.strip_prefix(class.name())?.strip_prefix('_')?;
            Some(Self { schema, class, message: class.message(message)? })
        })
    }

    fn full_name(self) -> String {
        format!("{}.{}", self.class.name(), self.message.name())
    }

    /// Whether `Async.` may stand before it.
    fn has_async(self) -> bool {
        if SYNCHRONOUS_CLASSES.contains(&self.class.name()) {
            return false;
        }
        if self.message.is_implicit() {
            return matches!(self.message.name(), "create" | "destroy");
        }
        let name = self.full_name();
        !EMERGENCY_CALLS.contains(&name.as_str()) && !SYNCHRONOUS_CALLS.contains(&name.as_str())
    }

    /// Converts the arguments, after counting them; `params` has no session any more.
    fn convert(self, params: &[Json], received: i64) -> Result<Args, Fault> {
        let published = self.message.params();
        let kinds: Vec<Kind<'_>> = if self.message.is_implicit() {
            implicit_kinds(self.schema, self.class.name(), self.message)
        } else if let Some(published) = published {
            published.iter().map(|param| Kind::Known(param.kind())).collect()
        } else {
            return Ok(Args::unconverted(params));
        };
        let optional = published
            .map_or(0, |params| params.iter().filter(|param| !param.is_required()).count());
        let required = i64::try_from(kinds.len() - optional).unwrap_or(i64::MAX);
        if received < required || (optional == 0 && received > required) {
            let what = [self.full_name(), required.to_string(), received.to_string()];
            return Err(Fault::new("MESSAGE_PARAMETER_COUNT_MISMATCH", what));
        }
        let kinds: Vec<_> = kinds.iter().map(Kind::get).collect();
        Args::convert(self.schema, &kinds, params)
    }
}

/// Everything that is checked before a call's body.
fn prepare(
    state: &mut State,
    call: &mut Call,
    params: &[Json],
    is_async: bool,
) -> Result<Prepared, Refusal> {
    let schema = Schema::of(state.host(call.host).release);
    if call.method == "system.listMethods" {
        return Ok(Prepared::Methods(methods(schema)));
    }
    let Some(target) = Target::find(schema, &call.method) else {
        // The session comes first, where there is one.
        if let Some(session) = params.first().and_then(Json::as_str) {
            session::check(state, call.host, session, &call.method)?;
        }
        return Err(Fault::new("MESSAGE_METHOD_UNKNOWN", [call.method.clone()]).into());
    };
    call.method = target.full_name();
    let takes_session = target.message.takes_session();
    let received = i64::try_from(params.len()).unwrap_or(i64::MAX);
    // A session that is missing counts as one argument too few.
    let received = if takes_session { received - 1 } else { received };
    let args = match (takes_session, params.split_first()) {
        (false, _) => target.convert(params, received)?,
        (true, None) => {
            target.convert(&[], received)?;
            let what = [target.full_name(), "0".to_owned(), received.to_string()];
            return Err(Fault::new("MESSAGE_PARAMETER_COUNT_MISMATCH", what).into());
        }
        (true, Some((session, params))) => {
            // Arity is looked at before the session's type.
            let args = target.convert(params, received);
            let counted = matches!(&args, Err(fault) if fault.code.starts_with("MESSAGE_"));
            if !counted {
                call.session = Some(text_argument(session)?.into());
            }
            args?
        }
    };
    if let Some(session) = &call.session {
        session::check(state, call.host, session, &call.method)?;
    }
    if target.message.is_removed() {
        return Err(Fault::bare("MESSAGE_REMOVED").into());
    }
    if is_async && !target.has_async() {
        let what = format!("No async mode for this operation (rpc: {})", target.full_name());
        return Err(Fault::new("Fault", [what]).into());
    }
    Ok(Prepared::Call(target, args))
}

/// Runs a call's body.
fn run(state: &mut State, call: &Call, target: Target, args: &Args) -> Answer {
    session::call(state, call, args)
        .or_else(|| event::call(state, call, args))
        .or_else(|| task::call(state, call, args))
        .or_else(|| message::call(state, call, args))
        .or_else(|| host::call(state, call, args))
        .or_else(|| super::lifecycle::call(state, call, args))
        .or_else(|| pool::call(state, call, args))
        .or_else(|| storage::call(state, call, args))
        .or_else(|| network::call(state, call, args))
        .or_else(|| vm::call(state, call, args))
        .or_else(|| clone::call(state, call, args))
        .or_else(|| migrate::call(state, call, args))
        .or_else(|| ha::call(state, call, args))
        .or_else(|| settings::call(state, call, args))
        .or_else(|| generic::call(state, call, target.class, target.message, args))
        .unwrap_or_else(|| Answer::fault("NOT_IMPLEMENTED", [call.method.clone()]))
}

/// What a member does that cannot reach its master's database: it waits, then its xapi restarts
/// (`master_connection.ml`; seen to take 12 s).
fn hang() -> Answer {
    let mut waited = false;
    Answer::Later(Box::new(move |state, call| {
        if !std::mem::replace(&mut waited, true) {
            return Progress::Sleep(DATABASE_PATIENCE);
        }
        super::life::restart_toolstack(state, call.host, Duration::ZERO);
        Progress::Lost
    }))
}

/// Runs `body` for a host record's machine, as the master forwards calls
/// (`message_forwarding.ml`): `HOST_OFFLINE` if it is known to be dead, and after a long wait
/// `CANNOT_CONTACT_HOST` if it does not answer.
pub(super) fn on_host(
    state: &mut State,
    call: &Call,
    host: &str,
    body: impl FnOnce(&mut State, &Call) -> Result<Value, Fault>,
) -> Answer {
    let checked = (|| {
        let database = state.db(call.host)?;
        let record = database.require("host", host)?;
        let live = database.flag("host_metrics", record.text("metrics"), "live");
        let own = *state.me(call.host) == *host;
        if live || own { Ok(own) } else { Err(Fault::new("HOST_OFFLINE", [host])) }
    })();
    match checked {
        Err(fault) => Answer::Now(Err(fault)),
        Ok(true) => body(state, call).into(),
        Ok(false) => {
            let machine = state.machine(call.host, host);
            let ready = machine.is_some_and(|machine| {
                state.talks(call.host, machine) && state.host(machine).emergency.is_none()
            });
            if ready {
                body(state, call).into()
            } else {
                let fault = Fault::new("CANNOT_CONTACT_HOST", [host]);
                Answer::after(FORWARDING_PATIENCE, Err(fault))
            }
        }
    }
}

/// Every method, in the order of `system.listMethods`.
fn methods(schema: &'static Schema) -> Value {
    let names = schema.classes().iter().flat_map(|class| {
        class.messages().iter().map(|message| format!("{}.{}", class.name(), message.name()))
    });
    Value::texts(names)
}

/// The calls that a host answers in emergency mode, names compared letter for letter
/// (`datamodel.ml`, `emergency_calls`).
pub(super) const EMERGENCY_CALLS: &[&str] = &[
    "host.abort_new_master",
    "host.commit_new_master",
    "host.emergency_clear_mandatory_guidance",
    "host.emergency_disable_tls_verification",
    "host.emergency_ha_disable",
    "host.emergency_reenable_tls_verification",
    "host.emergency_reset_server_certificate",
    "host.get_system_status_capabilities",
    "host.ha_xapi_healthcheck",
    "host.is_in_emergency_mode",
    "host.local_assert_healthy",
    "host.local_management_reconfigure",
    "host.management_disable",
    "host.propose_new_master",
    "host.shutdown_agent",
    "host.signal_networking_change",
    "host.update_firewalld_service_status",
    "pool.emergency_reset_master",
    "pool.emergency_transition_to_master",
    "pool.is_slave",
    "session.local_logout",
    "session.slave_local_login",
    "session.slave_local_login_with_password",
];

/// Classes without `Async.` calls.
const SYNCHRONOUS_CLASSES: &[&str] = &["auth", "event", "message", "session", "task"];

/// Other calls that have no `Async.` form.
const SYNCHRONOUS_CALLS: &[&str] = &[
    "host.ha_disable_failover_decisions",
    "host.ha_disarm_fencing",
    "host.ha_join_liveset",
    "host.ha_release_resources",
    "host.ha_stop_daemon",
    "host.ha_wait_for_shutdown_via_statefile",
    "host.preconfigure_ha",
    "host.request_backup",
    "host.request_config_file_sync",
    "host.tickle_heartbeat",
    "pool.ha_compute_hypothetical_max_host_failures_to_tolerate",
    "pool.ha_compute_max_host_failures_to_tolerate",
    "pool.ha_compute_vm_failover_plan",
    "pool.ha_failover_plan_exists",
    "pool.hello",
    "pool.initial_auth",
];

/// How long a member waits for its master's database before its xapi restarts.
const DATABASE_PATIENCE: Duration = Duration::from_secs(12);

/// How long a master tries to reach a host that it takes for alive.
pub(super) const FORWARDING_PATIENCE: Duration = Duration::from_secs(100);

/// Whether a call works without any database.
pub(super) fn is_local(method: &str) -> bool {
    EMERGENCY_CALLS.contains(&method) && method != "pool.is_slave"
}

/// Whether a host's role lets it serve calls that need a session of the pool.
pub(super) fn is_master(state: &State, host: HostId) -> bool {
    state.host(host).role == Role::Master
}
