//! A call, and what a host makes of it.

use std::time::Duration;

use super::{HostId, State};
use crate::election::HostRole;
use crate::error::Fault;
use crate::simulator::database::{Ref, Value};

/// A call on its way.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Call {
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
pub(in crate::simulator) enum Answer {
    /// It is done.
    Now(Result<Value, Fault>),
    /// It takes time.
    Later(Job),
}

/// The rest of a call that takes time: asked again and again until it is done.
pub(in crate::simulator) type Job = Box<dyn FnMut(&mut State, &Call) -> Progress + Send>;

/// How far a job has come.
pub(in crate::simulator) enum Progress {
    /// It is done.
    Done(Result<Value, Fault>),
    /// The host's xapi ends over it: the connection breaks.
    Lost,
    /// To be asked again after that time.
    Sleep(Duration),
    /// To be asked again when something has happened, at that time at the latest.
    Watch(Duration),
}

impl Call {
    /// A call that a host makes by itself.
    pub(crate) fn own(state: &State, host: HostId, method: &str) -> Self {
        let incarnation = state.host(host).incarnation;
        Self { host, method: method.to_owned(), session: None, task: None, incarnation }
    }
}

impl Answer {
    /// Nothing to say, but that it is done.
    pub(crate) fn done() -> Self {
        Self::Now(Ok(Value::void()))
    }

    pub(crate) fn fault<P: Into<String>>(code: &str, params: impl IntoIterator<Item = P>) -> Self {
        Self::Now(Err(Fault::new(code, params)))
    }

    /// An answer that comes after a time.
    pub(crate) fn after(delay: Duration, result: Result<Value, Fault>) -> Self {
        Self::once(delay, move |_, _| result)
    }

    /// Does something after a time, and is done.
    pub(crate) fn once(
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

/// Runs `body` for a host record's machine, as the master forwards calls
/// (`message_forwarding.ml`): `HOST_OFFLINE` if it is known to be dead, and after a long wait
/// `CANNOT_CONTACT_HOST` if it does not answer.
pub(in crate::simulator) fn on_host(
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

/// Whether a host's role lets it serve calls that need a session of the pool.
pub(in crate::simulator) fn is_master(state: &State, host: HostId) -> bool {
    state.host(host).role == HostRole::Master
}

/// How long a master tries to reach a host that it takes for alive.
pub(in crate::simulator) const FORWARDING_PATIENCE: Duration = Duration::from_secs(100);
