//! What the hosts of a pool say of themselves, each asked alone.

use crate::client::{Client, LoginFailure, Role};
use crate::election::{self, Evidence};
use crate::error::{ErrorKind, Result};
use crate::model::Snapshot;

/// Asks every host of a snapshot what it is, one after the other.
///
/// For [`election`](crate::election): who answers, who follows whom, who is in emergency mode. A host
/// that says nothing for certain, as one whose certificate is not trusted, has no evidence. A host
/// that is not there costs 15 s at most.
///
/// # Errors
/// `Cancelled`.
pub fn evidence(pool: &Client, snapshot: &Snapshot) -> Result<Evidence> {
    gather(pool, snapshot, &mut || Ok(()))
}

/// The same, with a look at the deadline between hosts.
pub(super) fn gather(
    pool: &Client,
    snapshot: &Snapshot,
    check: &mut dyn FnMut() -> Result<()>,
) -> Result<Evidence> {
    let mut evidence = Evidence::none();
    for (reference, host) in &snapshot.host {
        check()?;
        let said = pool.role_of(&host.address);
        if let Err(error) = &said {
            if error.kind() == ErrorKind::Cancelled {
                return said.map(|_| evidence);
            }
        }
        let known = evidence.host(reference);
        match said {
            Ok(Role::Master(_)) => {
                known.reachable = Some(true);
                known.emergency_mode = Some(false);
                known.role = Some(election::Role::Master);
            }
            Ok(Role::Member(master)) => {
                known.reachable = Some(true);
                known.emergency_mode = Some(false);
                known.role = Some(election::Role::Slave(master));
            }
            Err(error) => match LoginFailure::of(&error) {
                LoginFailure::Unreachable => known.reachable = Some(false),
                LoginFailure::StillBooting => {
                    known.reachable = Some(true);
                    known.emergency_mode = Some(true);
                }
                LoginFailure::Emergency(fault) => {
                    known.reachable = Some(true);
                    known.emergency_mode = Some(true);
                    if fault.code == "HOST_BROKEN" {
                        known.role = Some(election::Role::Broken);
                    }
                }
                _ => {}
            },
        }
    }
    Ok(evidence)
}
