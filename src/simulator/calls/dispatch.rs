//! A request to a host: the checks before its call, then the call itself.

use std::time::Duration;

use serde_json::Value as Json;

use super::session::{self, Refusal};
use super::{generic, table, task};
use crate::error::Fault;
use crate::simulator::arguments::{Args, Kind, implicit_kinds, text_argument};
use crate::simulator::database::{Class, Message, Ref, Schema, Value};
use crate::simulator::envelope::Envelope;
use crate::simulator::life;
use crate::simulator::state::{Answer, Call, HostId, Job, Progress, State};

/// What becomes of a request.
pub(in crate::simulator) enum Begun {
    /// An error before the dispatch, in its own envelope.
    Early(Fault),
    /// The call runs; the reply is its result.
    Running(Call, Answer),
    /// The call runs in a task; the reply is the task's ref.
    Task(Call, Ref, Answer),
}

/// Looks at a request and begins its call (`api_server.ml`, `gen_server.ml`): emergency mode, then
/// the number of arguments, their types, the session, and then the call itself.
pub(in crate::simulator) fn begin(state: &mut State, host: HostId, request: &Envelope) -> Begun {
    let emergency = state.host(host).emergency.clone();
    if let Some(fault) = emergency {
        if !table::serves_in_emergency(&request.method) {
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
        !table::serves_in_emergency(&name) && !SYNCHRONOUS_CALLS.contains(&name.as_str())
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
            session::check(state, call.host, session, table::needs_database(&call.method))?;
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
        session::check(state, call.host, session, table::needs_database(&call.method))?;
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

/// Runs a call's body: the method's own function, else what every class has.
fn run(state: &mut State, call: &Call, target: Target, args: &Args) -> Answer {
    match table::find(&call.method) {
        Some(method) => (method.run)(state, call, args),
        None => generic::perform(state, call, target.class, target.message, args)
            .unwrap_or_else(|| table::not_implemented(call)),
    }
}

/// What a member does that cannot reach its master's database: it waits, then its xapi restarts
/// (`master_connection.ml`; seen to take 12 s).
fn hang() -> Answer {
    let mut waited = false;
    Answer::Later(Box::new(move |state, call| {
        if !std::mem::replace(&mut waited, true) {
            return Progress::Sleep(DATABASE_PATIENCE);
        }
        life::restart_toolstack(state, call.host, Duration::ZERO);
        Progress::Lost
    }))
}

/// Every method, in the order of `system.listMethods`.
fn methods(schema: &'static Schema) -> Value {
    let names = schema.classes().iter().flat_map(|class| {
        class.messages().iter().map(|message| format!("{}.{}", class.name(), message.name()))
    });
    Value::texts(names)
}

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
