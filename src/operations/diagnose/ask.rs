//! Asking hosts what they are, several at a time.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Contact, HostReport};
use crate::client::{Asked, LocalSession, LoginFailure, ask};
use crate::election::Role;
use crate::error::{Error, Fault, Result};
use crate::model::{Host, Pool, Ref};
use crate::operations::Members;
use crate::transport::{Endpoint, Limits};

/// What a host said, with what only the diagnosis needs.
pub(super) struct Answer {
    pub(super) endpoint: Endpoint,
    pub(super) report: HostReport,
    /// Of a master: its pool's record and its own ref.
    pub(super) master: Option<(Box<Pool>, Ref<Host>)>,
}

/// Asks hosts at the same time, as many as the transport likes; the answers come in their order.
pub(super) fn ask_all(members: &Members, endpoints: &[Endpoint]) -> Result<Vec<Answer>> {
    let at_once = members.transport.at_once().min(endpoints.len());
    if at_once <= 1 {
        return endpoints.iter().map(|endpoint| ask_one(members, endpoint)).collect();
    }
    let next = AtomicUsize::new(0);
    let answers: Vec<Mutex<Option<Result<Answer>>>> =
        endpoints.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(endpoint), Some(place)) = (endpoints.get(n), answers.get(n)) else {
                        return;
                    };
                    let answer = ask_one(members, endpoint);
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                }
            });
        }
    });
    let answers = answers.into_iter();
    answers.filter_map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

pub(super) fn ask_one(members: &Members, endpoint: &Endpoint) -> Result<Answer> {
    members.cancel.check()?;
    let began = members.clock().now();
    let mut report = HostReport::new(endpoint);
    let mut master = None;
    let limits = Limits::within(members.patience);
    match ask(&*members.transport, endpoint, &members.credentials, limits, &members.cancel) {
        Ok(Asked::Master(pool, host)) => {
            report.contact = Contact::Answers;
            report.role = Some(Role::Master);
            report.emergency_mode = Some(false);
            report.pool = Some(pool.uuid.clone());
            report.reference = Some(host.clone());
            master = Some((pool, host));
        }
        Ok(Asked::Busy(error)) => {
            report.contact = Contact::Busy { why: error.to_string() };
            report.role = Some(Role::Master);
        }
        Ok(Asked::Member(address)) => {
            report.contact = Contact::Answers;
            report.role = Some(Role::Slave(address));
            if let Ok(local) = members.local(endpoint) {
                report.emergency_mode = local.is_in_emergency_mode().ok();
                if report.emergency_mode == Some(false) && members.asks_whether_ha_is_armed {
                    report.ha_armed = ask_whether_ha_is_armed(members, &local);
                }
            }
            if report.emergency_mode == Some(true) {
                // What it said was not its own: the host that it follows is no master, and said so.
                let address = report.follows().unwrap_or_default();
                report.emergency_error = Some(Fault::new("HOST_IS_SLAVE", [address]));
                report.role = None;
            }
        }
        Err(error) => understand(error, &mut report)?,
    }
    report.took = members.clock().now().saturating_sub(began);
    Ok(Answer { endpoint: endpoint.clone(), report, master })
}

/// What a failed login says about the host.
fn understand(error: Error, report: &mut HostReport) -> Result<()> {
    let why = error.to_string();
    report.contact = match LoginFailure::of(&error) {
        LoginFailure::Caller => return Err(error),
        LoginFailure::Unreachable if is_refused(&error) => Contact::Refuses { why },
        LoginFailure::Unreachable => Contact::Silent { why },
        LoginFailure::Certificate => Contact::Untrusted { why },
        LoginFailure::NotXapi => Contact::Strange { why },
        LoginFailure::BadPassword => Contact::Forbidden { why },
        LoginFailure::StillBooting => {
            report.emergency_mode = Some(true);
            report.emergency_error = error.fault().cloned();
            Contact::Starting
        }
        LoginFailure::Emergency(fault) => {
            report.emergency_mode = Some(true);
            report.ha_armed = ha_armed(&fault.code);
            // A member that follows a broken host raises the same; neither of them is a master.
            if fault.code == "HOST_BROKEN" {
                report.role = Some(Role::Broken);
            }
            report.emergency_error = Some(fault);
            Contact::Answers
        }
        _ => Contact::Strange { why },
    };
    Ok(())
}

/// What the errors of a start under HA say of the local flag (`xapi_ha.ml:1085-1110`,
/// `xapi.ml:622-640`).
fn ha_armed(code: &str) -> Option<bool> {
    match code {
        "HA_HOST_CANNOT_ACCESS_STATEFILE" | "HA_HEARTBEAT_DAEMON_STARTUP_FAILED" => Some(true),
        "HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED" => Some(false),
        _ => None,
    }
}

/// A machine that is up, without a toolstack that listens.
fn is_refused(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let io = cause.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Asks a member whether HA is armed on it, by a change that changes nothing.
///
/// See [`Members::ask_whether_ha_is_armed`]. A local session ends with the toolstack that it was
/// opened in, and a toolstack that has left emergency mode keeps its role as long as it runs: what
/// the host says *after* the session was opened still holds when the change is asked for over it.
/// A host that is master by then knows no such session.
fn ask_whether_ha_is_armed(members: &Members, local: &LocalSession) -> Option<bool> {
    let limits = Limits::within(members.patience);
    let (transport, cancel) = (&*members.transport, &members.cancel);
    let asked = ask(transport, local.endpoint(), &members.credentials, limits, cancel);
    let Ok(Asked::Member(master)) = asked else { return None };
    match local.call::<serde::de::IgnoredAny>("pool.emergency_reset_master", &(master,)) {
        Ok(_) => Some(false),
        Err(error) if error.is_fault("HA_IS_ENABLED") => Some(true),
        Err(_) => None,
    }
}

/// More hosts than XAPI supports in one pool.
pub(super) const MAX_HOSTS: usize = 128;

/// Seconds, rounded down.
pub(super) fn seconds(time: Option<Duration>) -> Option<u64> {
    time.map(|time| time.as_secs())
}
