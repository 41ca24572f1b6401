//! Asking hosts what they are, each for itself, several at a time.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Members;
use crate::client::{Asked, LocalSession, LoginFailure};
use crate::election::HostRole;
use crate::error::{Error, Fault, Result};
use crate::health::diagnosis::{Contact, HostAnswer, LedPool};
use crate::transport::Endpoint;

/// Asks hosts at the same time, as many as the transport likes; the answers come in their order.
///
/// # Errors
/// `Cancelled`. What keeps a host from answering is its answer.
pub(super) fn ask_all(members: &Members, endpoints: &[Endpoint]) -> Result<Vec<HostAnswer>> {
    let at_once = members.transport.at_once().min(endpoints.len());
    if at_once <= 1 {
        return endpoints.iter().map(|endpoint| ask_one(members, endpoint)).collect();
    }
    let next = AtomicUsize::new(0);
    let answers: Vec<Mutex<Option<Result<HostAnswer>>>> =
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

/// Asks one host what it is, and whether it is in emergency mode.
///
/// # Errors
/// `Cancelled`.
pub(super) fn ask_one(members: &Members, endpoint: &Endpoint) -> Result<HostAnswer> {
    members.cancel.check()?;
    let began = members.clock().now();
    let mut answer = HostAnswer::new(endpoint.to_string(), Contact::Answers);
    // Who calls it how is seen once all have been asked.
    answer.addresses.clear();
    let host = members.one(endpoint);
    match host.ask() {
        Ok(Asked::Master(pool, host)) => {
            answer.role = Some(HostRole::Master);
            answer.emergency_mode = Some(false);
            let ha_enabled = pool.ha_enabled;
            answer.leads = Some(LedPool { uuid: pool.uuid, master: host, ha_enabled });
        }
        Ok(Asked::Busy(error)) => {
            answer.contact = Contact::Busy { why: error.to_string() };
            answer.role = Some(HostRole::Master);
        }
        Ok(Asked::Member(address)) => {
            if let Ok(local) = host.session() {
                answer.emergency_mode = local.is_in_emergency_mode().ok();
                if answer.emergency_mode == Some(false) && members.asks_whether_ha_is_armed {
                    answer.ha_armed = ask_whether_ha_is_armed(members, &local);
                }
            }
            if answer.emergency_mode == Some(true) {
                // What it said was not its own: the host that it follows is no master, and said so.
                answer.emergency_error = Some(Fault::new("HOST_IS_SLAVE", [address]));
            } else {
                answer.role = Some(HostRole::Slave(address));
            }
        }
        Err(error) => understand(error, &mut answer)?,
    }
    // What was broken off says nothing of the host.
    members.cancel.check()?;
    answer.took = members.clock().now().saturating_sub(began);
    Ok(answer)
}

/// What a failed login says about the host.
fn understand(error: Error, answer: &mut HostAnswer) -> Result<()> {
    let why = error.to_string();
    answer.contact = match LoginFailure::of(&error) {
        LoginFailure::Caller => return Err(error),
        LoginFailure::Unreachable if is_refused(&error) => Contact::Refuses { why },
        LoginFailure::Unreachable => Contact::Silent { why },
        LoginFailure::Certificate => Contact::Untrusted { why },
        LoginFailure::NotXapi => Contact::Strange { why },
        LoginFailure::BadPassword => Contact::Forbidden { why },
        LoginFailure::StillBooting => {
            answer.emergency_mode = Some(true);
            answer.emergency_error = error.fault().cloned();
            Contact::Starting
        }
        LoginFailure::Emergency(fault) => {
            answer.emergency_mode = Some(true);
            answer.ha_armed = ha_armed(&fault.code);
            // A member that follows a broken host raises the same; neither of them is a master.
            if fault.code == "HOST_BROKEN" {
                answer.role = Some(HostRole::Broken);
            }
            answer.emergency_error = Some(fault);
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
    let asked = members.one(local.endpoint()).ask();
    let Ok(Asked::Member(master)) = asked else { return None };
    match local.call::<serde::de::IgnoredAny>("pool.emergency_reset_master", &(master,)) {
        Ok(_) => Some(false),
        Err(error) if error.is_fault("HA_IS_ENABLED") => Some(true),
        Err(_) => None,
    }
}
