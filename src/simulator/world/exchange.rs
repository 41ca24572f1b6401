//! A request on its way to a host, and what comes back.

use std::sync::MutexGuard;
use std::time::Duration;

use super::World;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::simulator::calls::{self, Begun, operations, task};
use crate::simulator::database::Value;
use crate::simulator::envelope::{Envelope, HttpReply, Unreadable};
use crate::simulator::life;
use crate::simulator::state::{Answer, Call, HostId, Job, Peer, Power, Progress, State, Trouble};
use crate::text::quoted;
use crate::transport::Cancel;

impl World {
    /// Posts a body to a host's `/jsonrpc` from outside, as [`transport`](Self::transport) does.
    ///
    /// # Errors
    /// `Transport` for no or a broken connection, `Timeout`, `Cancelled`.
    pub fn post(
        &self,
        host: &str,
        body: &[u8],
        overall: Duration,
        cancel: &Cancel,
    ) -> Result<HttpReply> {
        let deadline = self.state().now.saturating_add(overall);
        let (reply, trouble) = attend(self, host, Envelope::read(body), deadline, cancel)?;
        match trouble {
            None => Ok(reply),
            Some(OnTheWay::Cut) => {
                let what = format!("{host} closed the connection in the middle of its reply");
                Err(Error::new(ErrorKind::Transport, what))
            }
            Some(OnTheWay::Slow(time) | OnTheWay::Stalled(time)) => {
                let state = self.state();
                let arrival = state.now.saturating_add(time);
                drop(self.wait(state, arrival.min(deadline), false, cancel)?);
                if arrival > deadline { Err(timed_out(host)) } else { Ok(reply) }
            }
        }
    }
}

/// What befalls a reply on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum OnTheWay {
    /// Half of it arrives.
    Cut,
    /// It comes in small pieces over that time.
    Slow(Duration),
    /// Half of it comes, the rest after that time.
    Stalled(Duration),
}

/// Brings a request to a host and the host's reply back, with what befalls the reply on its way.
pub(in crate::simulator) fn attend(
    world: &World,
    name: &str,
    request: Result<Envelope, Unreadable>,
    deadline: Duration,
    cancel: &Cancel,
) -> Result<(HttpReply, Option<OnTheWay>)> {
    let result = bring(world, name, request, deadline, cancel);
    // Whatever it came to, others may have waited for it.
    world.nudge();
    result
}

fn bring(
    world: &World,
    name: &str,
    request: Result<Envelope, Unreadable>,
    deadline: Duration,
    cancel: &Cancel,
) -> Result<(HttpReply, Option<OnTheWay>)> {
    cancel.check()?;
    let mut state = world.state();
    state.counters.sent += 1;
    let method = request.as_ref().map_or("", |request| request.method.as_str());
    if !world.is_driven() && state.real.is_none() {
        let latency = state.timings.latency;
        state = travel(world, state, latency, deadline, cancel)?;
    }

    let Some(host) = state.find(name) else {
        return Err(Error::new(
            ErrorKind::Transport,
            format!("the name {} does not resolve", quoted(name)),
        ));
    };
    let trouble = strike(&mut state, host, method);
    if let Some(Trouble::Delay(delay)) = trouble {
        state = travel(world, state, delay, deadline, cancel)?;
    }
    match trouble {
        Some(Trouble::Refuse) => return Err(refused(name)),
        Some(Trouble::Reset) => return Err(reset(name)),
        Some(Trouble::KillBefore) => {
            life::power_off(&mut state, host);
            return Err(reset(name));
        }
        _ => {}
    }
    if !state.reaches(Peer::Tool, host) {
        // Packets vanish: the connection is never made.
        let patience = deadline.min(state.now.saturating_add(CONNECT_PATIENCE));
        let timeout = patience < deadline;
        drop(world.wait(state, patience, false, cancel)?);
        return Err(if timeout { no_route(name) } else { timed_out(name) });
    }
    if state.host(host).power != Power::Running {
        return Err(refused(name));
    }
    let release = state.host(host).release;
    let request = match request {
        Ok(request) => request,
        Err(unreadable) => return Ok((unreadable.reply(release), None)),
    };
    *state.counters.requests.entry(request.method.clone()).or_default() += 1;

    let (reply, mut state) = serve(world, state, host, &request, deadline, cancel)?;
    match trouble {
        Some(Trouble::KillAfter) => {
            life::power_off(&mut state, host);
            Err(reset(name))
        }
        Some(Trouble::LoseReply) => Err(reset(name)),
        Some(Trouble::Silence) => {
            drop(world.wait(state, deadline, false, cancel)?);
            Err(timed_out(name))
        }
        _ if !state.reaches(Peer::Tool, host) => {
            // The network was cut, or the power, while the call ran.
            drop(world.wait(state, deadline, false, cancel)?);
            Err(timed_out(name))
        }
        _ => {
            let on_the_way = match trouble {
                Some(Trouble::CutReply) => Some(OnTheWay::Cut),
                Some(Trouble::SlowReply(time)) => Some(OnTheWay::Slow(time)),
                Some(Trouble::StallReply(time)) => Some(OnTheWay::Stalled(time)),
                _ => None,
            };
            Ok((reply, on_the_way))
        }
    }
}

/// Lets a packet take its time.
fn travel<'a>(
    world: &'a World,
    state: MutexGuard<'a, State>,
    time: Duration,
    deadline: Duration,
    cancel: &Cancel,
) -> Result<MutexGuard<'a, State>> {
    let arrival = state.now.saturating_add(time);
    if arrival > deadline {
        drop(world.wait(state, deadline, false, cancel)?);
        return Err(Error::new(ErrorKind::Timeout, "the request did not arrive in time"));
    }
    world.wait(state, arrival, false, cancel)
}

/// The first trouble that befalls a request.
fn strike(state: &mut State, host: HostId, method: &str) -> Option<Trouble> {
    let name = state.host(host).name.clone();
    let rule = state
        .injections
        .iter_mut()
        .find_map(|rule| rule.strikes(&name, method).then(|| rule.trouble.clone()));
    state.injections.retain(|rule| !rule.is_spent());
    rule
}

/// Has a host serve a request that it has read.
fn serve<'a>(
    world: &'a World,
    mut state: MutexGuard<'a, State>,
    host: HostId,
    request: &Envelope,
    deadline: Duration,
    cancel: &Cancel,
) -> Result<(HttpReply, MutexGuard<'a, State>)> {
    let (call, answer) = match calls::begin(&mut state, host, request) {
        Begun::Early(fault) => {
            let release = state.host(host).release;
            return Ok((request.early_reply(&fault, release), state));
        }
        Begun::Task(call, task, answer) => {
            run_in_background(&mut state, call, answer);
            return Ok((request.reply(&Ok(Value::Text(task))), state));
        }
        Begun::Running(call, answer) => (call, answer),
    };
    let result = match answer {
        Answer::Now(result) => result,
        Answer::Later(mut job) => loop {
            let name = state.host(host).name.clone();
            if state.host(host).incarnation != call.incarnation {
                // A machine without power sends no farewell.
                if state.host(host).power == Power::Off {
                    drop(world.wait(state, deadline, false, cancel)?);
                    return Err(timed_out(&name));
                }
                return Err(reset(&name));
            }
            let (until, watch) = match step(&mut state, &call, &mut job) {
                Progress::Done(result) => break result,
                Progress::Lost => return Err(reset(&name)),
                Progress::Sleep(time) => {
                    world.nudge();
                    (state.now.saturating_add(time), false)
                }
                Progress::Watch(until) => (until, true),
            };
            if until > deadline && (!watch || state.now >= deadline) {
                // The caller gives up; the call goes on without it.
                if !watch {
                    carry_on(&mut state, until, call, job);
                }
                drop(world.wait(state, deadline, false, cancel)?);
                return Err(timed_out(&name));
            }
            state = world.wait(state, until.min(deadline), watch, cancel)?;
        },
    };
    finish(&mut state, &call, &result);
    Ok((request.reply(&result), state))
}

/// One step of a job; a call whose task was cancelled ends here.
fn step(state: &mut State, call: &Call, job: &mut Job) -> Progress {
    if let Some(task) = &call.task {
        if task::is_cancelled(state, call.host, task) {
            let fault = Fault::new("TASK_CANCELLED", [&**task]);
            if let Ok(database) = state.db_mut(call.host) {
                operations::abandon(database, task);
            }
            return Progress::Done(Err(fault));
        }
    }
    job(state, call)
}

/// Writes down the end of a call in its task: kept for `Async.`, removed otherwise.
fn finish(state: &mut State, call: &Call, result: &std::result::Result<Value, Fault>) {
    let Some(task) = &call.task else { return };
    let background = state
        .db(call.host)
        .is_ok_and(|database| database.text("task", task, "name_label").starts_with("Async."));
    if background {
        task::finish(state, call.host, task, result);
    } else if let Ok(database) = state.db_mut(call.host) {
        database.destroy("task", task);
    }
}

/// Runs a call that nobody waits for.
fn run_in_background(state: &mut State, call: Call, answer: Answer) {
    match answer {
        Answer::Now(result) => finish(state, &call, &result),
        Answer::Later(job) => {
            let now = state.now;
            carry_on(state, now, call, job);
        }
    }
}

/// Asks a job again at a point in time, and so on until it is done.
fn carry_on(state: &mut State, at: Duration, call: Call, mut job: Job) {
    let delay = at.saturating_sub(state.now);
    state.after(delay, move |state| {
        if state.host(call.host).incarnation != call.incarnation {
            return;
        }
        let next = match step(state, &call, &mut job) {
            Progress::Done(result) => return finish(state, &call, &result),
            Progress::Lost => return,
            Progress::Sleep(time) => state.now.saturating_add(time),
            Progress::Watch(until) => until.min(state.now + GLANCE),
        };
        carry_on(state, next, call, job);
    });
}

fn refused(name: &str) -> Error {
    Error::new(ErrorKind::Transport, format!("{name} refused the connection"))
        .with_source(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
}

fn reset(name: &str) -> Error {
    Error::new(ErrorKind::Transport, format!("{name} closed the connection without a reply"))
}

fn no_route(name: &str) -> Error {
    Error::new(ErrorKind::Transport, format!("{name} cannot be reached"))
}

fn timed_out(name: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{name} did not answer in time"))
}

/// How long a connection is tried before it is given up.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// How often a background job that watches is asked again.
const GLANCE: Duration = Duration::from_millis(100);
