//! Finding the master among the hosts that are known.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::bounds::Bounds;
use super::exchange::perform;
use super::session::Session;
use super::shared::{Shared, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::model::{Host, Record, Ref, Snapshot};
use crate::transport::Endpoint;
use crate::wire::{Call, Reply};

/// How long one host may take to say what it is.
const PROBE: Duration = Duration::from_secs(15);

/// More hosts than XAPI supports in one pool.
const MAX_HOSTS: usize = 128;

/// How long the others may still answer once one has said that it is the master: long enough for a
/// second one to be noticed, short enough for a dead one not to matter.
const GRACE: Duration = Duration::from_millis(700);

/// Pauses between two searches.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// What one host said.
struct Answer {
    endpoint: Endpoint,
    outcome: Outcome,
}

impl Answer {
    fn tell(&self) {
        let endpoint = &self.endpoint;
        match &self.outcome {
            Outcome::Master(..) => log::debug!(client, "{endpoint} is the master"),
            Outcome::Member(master) => log::debug!(client, "{endpoint} is a member of {master}"),
            Outcome::Nothing(error) => {
                log::debug!(client, "{endpoint} is no help: {}", log::brief(error));
            }
        }
    }
}

enum Outcome {
    /// It is the master of this client's pool.
    Master(Session, Ref<Host>),
    /// It is a member, and names a master.
    Member(Endpoint),
    /// It is no help, for this reason.
    Nothing(Error),
}

impl Shared {
    /// Searches the master, again and again until the time is over; at least once.
    pub(super) fn find_master(&self, bounds: Bounds<'_>) -> Result<Session> {
        let clock = self.clock();
        let patience = clock.now().saturating_add(self.options.patience);
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.search(bounds) {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            bounds.cancel.check()?;
            let end = patience.min(bounds.deadline);
            if !is_worth_waiting(&error) || clock.now().saturating_add(pause) >= end {
                return Err(error);
            }
            log::debug!(client, "no master was found; the next search is in {} s", pause.as_secs());
            clock.sleep(pause, bounds.cancel)?;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Asks all hosts that are known, at the same time.
    fn search(&self, bounds: Bounds<'_>) -> Result<Session> {
        let mut waiting = self.candidates();
        let mut asked: Vec<Endpoint> = Vec::new();
        let mut answers = Vec::new();
        // Members name masters that were not known.
        while !waiting.is_empty() && asked.len() < MAX_HOSTS {
            asked.extend(waiting.iter().cloned());
            log::debug!(client, "asks {} of its hosts which is the master", waiting.len());
            let new = self.probe_all(&waiting, bounds);
            new.iter().for_each(Answer::tell);
            waiting = Vec::new();
            for answer in &new {
                if let Outcome::Member(master) = &answer.outcome {
                    if !asked.contains(master) && !waiting.contains(master) {
                        waiting.push(master.clone());
                    }
                }
            }
            let found = new.iter().any(|answer| matches!(answer.outcome, Outcome::Master(..)));
            answers.extend(new);
            if found {
                break;
            }
        }
        self.choose(answers, bounds)
    }

    /// Where the master may be: where it was, where it was first looked for, where members are.
    fn candidates(&self) -> Vec<Endpoint> {
        let mut list = vec![self.endpoint()];
        let others = lock(&self.members);
        for endpoint in self.options.start.iter().chain(others.iter()) {
            if !list.contains(endpoint) {
                list.push(endpoint.clone());
            }
        }
        list.truncate(MAX_HOSTS);
        list
    }

    fn probe_all(&self, endpoints: &[Endpoint], bounds: Bounds<'_>) -> Vec<Answer> {
        let stop = bounds.cancel.child();
        let at_once = self.transport.at_once().max(1);
        if at_once == 1 {
            let ask = |endpoint: &Endpoint| Answer {
                endpoint: endpoint.clone(),
                outcome: self.probe(endpoint, Bounds { cancel: &stop, ..bounds }),
            };
            return endpoints.iter().map(ask).collect();
        }
        let (send, receive) = mpsc::channel();
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..endpoints.len().min(at_once) {
                let (send, stop, next) = (send.clone(), &stop, &next);
                scope.spawn(move || {
                    loop {
                        let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some(endpoint) = endpoints.get(n) else { return };
                        let outcome = self.probe(endpoint, Bounds { cancel: stop, ..bounds });
                        let answer = Answer { endpoint: endpoint.clone(), outcome };
                        // The receiver waits until all have been heard.
                        let _ = send.send(answer);
                    }
                });
            }
            drop(send);
            let mut answers = Vec::new();
            let mut until = None;
            loop {
                let wait = until.map_or(Duration::MAX, |until: Instant| {
                    until.saturating_duration_since(Instant::now())
                });
                let answer = match receive.recv_timeout(wait) {
                    Ok(answer) => answer,
                    Err(RecvTimeoutError::Disconnected) => return answers,
                    Err(RecvTimeoutError::Timeout) => {
                        stop.cancel();
                        until = None;
                        continue;
                    }
                };
                if matches!(answer.outcome, Outcome::Master(..)) && until.is_none() {
                    until = Some(Instant::now() + GRACE);
                }
                answers.push(answer);
            }
        })
    }

    /// Asks one host what it is.
    fn probe(&self, endpoint: &Endpoint, bounds: Bounds<'_>) -> Outcome {
        let bounds = bounds.within(self.clock(), PROBE).small();
        let session = match self.login().at(endpoint, bounds) {
            Ok(session) => session,
            Err(error) => {
                let named = error.fault().and_then(|fault| fault.master_address());
                return match named.map(|named| self.options.resolve(named, endpoint)) {
                    Some(Ok(master)) => Outcome::Member(master),
                    Some(Err(error)) => Outcome::Nothing(error),
                    None => Outcome::Nothing(error),
                };
            }
        };
        let known = self.verify_pool(&session, bounds).and_then(|()| {
            let call = Call::new(
                "session.get_this_host",
                Some(&session.reference),
                &(&session.reference,),
            )?;
            Ok(perform(&*self.transport, endpoint, &call, bounds, Reply::result)?)
        });
        match known {
            Ok(host) => Outcome::Master(session, host),
            Err(error) => {
                self.forget(&session, bounds);
                Outcome::Nothing(error)
            }
        }
    }

    /// The one master among the answers.
    fn choose(&self, answers: Vec<Answer>, bounds: Bounds<'_>) -> Result<Session> {
        let mut masters: Vec<(Session, Ref<Host>)> = Vec::new();
        let mut others = Vec::new();
        for answer in answers {
            match answer.outcome {
                Outcome::Master(session, host) => masters.push((session, host)),
                outcome => others.push(Answer { outcome, ..answer }),
            }
        }
        let mut masters = masters.into_iter();
        let Some((first, host)) = masters.next() else {
            return Err(nobody(others, bounds.are_over(self.clock())));
        };
        let mut second = None;
        for (session, other) in masters {
            // One host may be known by two addresses.
            if other != host && second.is_none() {
                second = Some(session.endpoint.clone());
            }
            self.forget(&session, bounds);
        }
        let Some(second) = second else {
            log::info!(client, "the master was found at {}", first.endpoint);
            return Ok(first);
        };
        log::warning!(client, "{} and {second} both say that they are master", first.endpoint);
        self.forget(&first, bounds);
        Err(Error::new(
            ErrorKind::State,
            format!("{} and {second} both say that they are the pool's master", first.endpoint),
        ))
    }

    /// Remembers where the hosts of a snapshot are.
    pub(super) fn remember_members(&self, snapshot: &Snapshot) {
        if !Host::table(snapshot).covered() {
            return;
        }
        let by = self.endpoint();
        let addresses = snapshot.host.records().map(|host| host.address.as_str());
        let known: Vec<Endpoint> = addresses
            .filter(|address| !address.is_empty())
            .filter_map(|address| self.options.resolve(address, &by).ok())
            .take(MAX_HOSTS)
            .collect();
        *lock(&self.members) = known;
    }
}

/// Whether the next search may find what this one did not.
fn is_worth_waiting(error: &Error) -> bool {
    let refused = ["SESSION_AUTHENTICATION_FAILED", "RBAC_PERMISSION_DENIED"];
    !matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::InvalidInput | ErrorKind::Trust)
        && !refused.iter().any(|code| error.is_fault(code))
}

/// The error for a search that found no master.
///
/// If all hosts failed alike in a way that waiting does not mend, it is that one; else it says what
/// each of them answered.
fn nobody(answers: Vec<Answer>, too_late: bool) -> Error {
    let mut answered = false;
    let mut words = Vec::new();
    let mut lasting = None;
    for answer in answers {
        match answer.outcome {
            Outcome::Master(..) => {}
            Outcome::Member(master) => {
                answered = true;
                words.push(format!("{} is a member of {master}", answer.endpoint));
            }
            Outcome::Nothing(error) => {
                answered |= !matches!(error.kind(), ErrorKind::Transport | ErrorKind::Timeout);
                let source = std::error::Error::source(&error).map(|source| format!(" ({source})"));
                words.push(format!("{error}{}", source.unwrap_or_default()));
                if lasting.is_none() && !is_worth_waiting(&error) {
                    lasting = Some(error);
                }
            }
        }
    }
    if let Some(error) = lasting {
        return error;
    }
    let kind = match (answered, too_late) {
        (true, _) => ErrorKind::State,
        (false, true) => ErrorKind::Timeout,
        (false, false) => ErrorKind::Transport,
    };
    Error::new(kind, "no host of the pool says that it is the master")
        .with_source(Answers(words.join("; ")))
}

/// What the hosts said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Answers(String);
