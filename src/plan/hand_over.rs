//! Plans for another host to become master.

use super::{Member, Plan, Purpose, Step, Subject, Unsolved, Work, missing_classes};
use crate::actions::Side;
use crate::election::{self, Confirmation, PoolEvidence, Reason, Weight};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Class, Host, Ref, Snapshot};

/// What must be known of a pool that is to be handed over.
const NEEDED: &[Class] = &[Class::Pool, Class::Host, Class::HostMetrics];

/// Plans that a host becomes master, while the present one is up.
///
/// The call is `pool.designate_new_master`.
///
/// The snapshot is the pool's, of [`Scope::Overview`](crate::client::Scope::Overview) or more; the
/// evidence is what is known of the hosts beside it, see
/// [`operations::evidence`](crate::operations::evidence). Everything that [`election::planned`]
/// holds against the host and that rules it out is in [`Plan::unsolved`], all of it at once; what
/// only speaks against it is a warning of [`Purpose::HandOver`]. A plan for the present master does
/// nothing.
///
/// # Errors
/// `InvalidInput` if the snapshot has no single pool with a master, or not this host.
pub fn hand_over(pool: &Snapshot, evidence: &PoolEvidence, host: &Ref<Host>) -> Result<Plan> {
    let (pool_ref, pool_record) = pool.the_pool()?;
    let (master_ref, master) = pool.master()?;
    let unknown =
        || Error::new(ErrorKind::InvalidInput, format!("the snapshot has no host {host}"));
    let record = pool.get(host).ok_or_else(unknown)?;
    let decision = election::planned(pool, evidence)?;
    let candidate = decision.candidate(host).ok_or_else(unknown)?;
    let (mut unsolved, mut warnings) = (missing_classes(pool, NEEDED), Vec::new());
    let (name, address) = (record.name_label.as_str(), record.address.as_str());
    for reason in candidate.reasons.iter().filter(|_| master_ref != host) {
        let told = format!("{name}: {}", reason.describe(pool));
        let version = Confirmation::VersionIsNewest { host: host.clone() };
        match reason {
            Reason::VersionUnknown if !evidence.confirmed.contains(&version) => {
                let advice = "Look the versions up, and confirm that none is newer than its own.";
                unsolved.push(Unsolved::new("version-unknown", told, advice));
            }
            _ if reason.weight() == Weight::Blocks => {
                let (rule, advice) = advice(reason);
                let told = match reason.fault(host) {
                    Some(fault) => format!("{told} ({})", fault.code),
                    None => told,
                };
                unsolved.push(Unsolved::new(rule, told, advice));
            }
            _ if reason.weight() == Weight::Warns => warnings.push(told),
            _ => {}
        }
    }
    let mut members: Vec<_> = pool
        .host
        .iter()
        .map(|(reference, host)| Member {
            host: reference.clone(),
            uuid: host.uuid.clone(),
            name: host.name_label.clone(),
            address: host.address.clone(),
            enabled: host.enabled,
        })
        .collect();
    members.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.uuid.cmp(&b.uuid)));
    let mut steps = Vec::new();
    if master_ref != host {
        let from = &master.name_label;
        steps.push(Step::new(
            Side::Pool,
            Work::Designate { host: host.clone() },
            format!("pool.designate_new_master to {name}; {from} becomes a member"),
        ));
    }
    steps.push(Step::new(
        Side::Pool,
        Work::Follow { address: address.to_owned() },
        format!(
            "wait until {name} at {address} is master and all {} hosts are with it",
            members.len()
        ),
    ));
    let confirmed = evidence.confirmed.clone();
    Ok(Plan {
        schema: Plan::SCHEMA,
        purpose: Purpose::HandOver { members, warnings, confirmed },
        pool: Subject::pool(pool_record, pool_ref, master),
        host: Subject::new(record, host, name),
        steps,
        unsolved,
    })
}

/// The stable name of what rules a host out, and what to do about it.
fn advice(reason: &Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::HaEnabled => {
            ("ha-enabled", "Switch HA off with pool.disable_ha, and on again afterwards.")
        }
        Reason::HaArmed => ("ha-armed", "Switch HA off in the pool; see why this host kept it."),
        Reason::NotLive => ("host-not-live", "Start the host, or choose another one."),
        Reason::Off => ("host-off", "Start the host, or choose another one."),
        Reason::Unreachable => {
            ("host-unreachable", "See why it does not answer; the others must reach it too.")
        }
        Reason::OlderThanMember { .. } => {
            ("older-than-member", "Update it first, or choose the host with the newest version.")
        }
        Reason::PeerFollowsAnother { .. } | Reason::FollowsAnother { .. } => (
            "member-follows-another",
            "Find out who is master; point the member back with pool.emergency_reset_master.",
        ),
        Reason::PeerInEmergency { .. } => {
            ("member-in-emergency", "Bring it back to its master first; all hosts must take part.")
        }
        Reason::PeerNotLive { .. } => (
            "member-not-live",
            "Start it, or forget it with host.destroy; all hosts must take part.",
        ),
        Reason::PeerUnreachable { .. } => {
            ("member-unreachable", "See why it does not answer; all hosts must take part.")
        }
        Reason::PoolBusy { .. } => ("pool-busy", "Wait until the operation has ended."),
        Reason::RoleBroken => (
            "role-broken",
            "Point it to its master with pool.emergency_reset_master in a local session.",
        ),
        Reason::RollingUpgrade => (
            "rolling-upgrade",
            "Finish the upgrade of all hosts; the master stays master until then.",
        ),
        Reason::SecretRotationPending => {
            ("secret-rotation-pending", "Bring back the hosts that did not take part yet.")
        }
        Reason::ClaimsMastership => {
            ("two-masters", "Find out which of the two is right before anything else is changed.")
        }
        Reason::Vetoed => ("ruled-out", "Choose another host."),
        _ => ("not-eligible", "Choose another host."),
    }
}
