//! What the answers of all hosts come to.

use super::answer::Contact;
use super::report::HostReport;
use super::state::PoolState;
use super::whole::Diagnosis;
use crate::election::HostRole;
use crate::model::Version;

pub(super) fn classify(diagnosis: &Diagnosis) -> PoolState {
    let ours = || diagnosis.hosts.iter().filter(|host| host.belongs != Some(false));
    let name = |host: &HostReport| host.label().to_owned();
    let pool = diagnosis.pool.as_ref();
    let masters: Vec<&HostReport> = ours().filter(|host| host.is_master_of(pool)).collect();
    if masters.len() > 1 {
        return PoolState::TwoMasters { masters: masters.into_iter().map(name).collect() };
    }
    if let [master] = masters.as_slice() {
        let members: Vec<String> = ours()
            .filter(|host| !std::ptr::eq(*host, *master))
            .filter(|host| !is_in_order(host, diagnosis))
            .map(name)
            .collect();
        return match members.is_empty() {
            true => PoolState::Healthy,
            false => PoolState::Astray { members },
        };
    }
    let broken: Vec<String> =
        ours().filter(|host| host.said.role == Some(HostRole::Broken)).map(name).collect();
    if !broken.is_empty() {
        return PoolState::HalfHandedOver { broken };
    }
    let named = followed(diagnosis);
    let master = presumed_master(diagnosis);
    let Some(master) = master else {
        return match ours().any(|host| host.said.answers()) {
            true => PoolState::NoMaster { followed: Vec::new() },
            false => nobody(diagnosis),
        };
    };
    let under_ha = ours().any(|host| host.said.ha_armed == Some(true) || host.said.tells_of_ha())
        || diagnosis.ha_enabled == Some(true)
            && !ours().any(|host| host.said.ha_armed == Some(false));
    match (&master.said.contact, &master.said.role) {
        (Contact::Busy { .. } | Contact::Starting | Contact::Refuses { .. }, _) => {
            PoolState::MasterStarting { master: name(master) }
        }
        // HA keeps it from its work, or it from HA's.
        (Contact::Answers, None | Some(HostRole::Master))
            if under_ha && master.said.emergency_mode == Some(true) =>
        {
            PoolState::MasterAwayUnderHa { master: name(master) }
        }
        (Contact::Silent { .. }, _) => match (ours().any(|host| host.said.answers()), under_ha) {
            (false, _) => nobody(diagnosis),
            (true, true) => PoolState::MasterAwayUnderHa { master: name(master) },
            (true, false) => PoolState::MasterAway { master: name(master) },
        },
        (Contact::Answers, _) => {
            PoolState::NoMaster { followed: named.into_iter().map(name).collect() }
        }
        _ => PoolState::NotAsked,
    }
}

/// The hosts that members of the pool follow.
fn followed(diagnosis: &Diagnosis) -> Vec<&HostReport> {
    let ours = || diagnosis.hosts.iter().filter(|host| host.belongs != Some(false));
    let follows = |address: &HostReport| {
        ours().any(|other| other.said.follows().is_some_and(|to| address.said.is_at(to)))
    };
    diagnosis.hosts.iter().filter(|host| follows(host)).collect()
}

/// Who should be the master where nobody is: members know it better than old records.
pub(super) fn presumed_master(diagnosis: &Diagnosis) -> Option<&HostReport> {
    followed(diagnosis).first().copied().or_else(|| {
        let (reference, _) = diagnosis.records.snapshot()?.master().ok()?;
        diagnosis.host(reference)
    })
}

fn nobody(diagnosis: &Diagnosis) -> PoolState {
    let there = |host: &HostReport| !matches!(host.said.contact, Contact::Silent { .. });
    match diagnosis.hosts.iter().any(there) {
        true => PoolState::NotAsked,
        false => PoolState::NobodyAnswers,
    }
}

/// Whether a member is as it should be under a master that answers.
pub(super) fn is_in_order(host: &HostReport, diagnosis: &Diagnosis) -> bool {
    let follows = host.belongs == Some(true) && host.said.follows().is_some();
    let healthy = host.said.emergency_mode != Some(true) && host.said.contact == Contact::Answers;
    // The master's own records must agree that it is one of theirs.
    let known = diagnosis.records.snapshot().is_none() || host.uuid.is_some();
    follows && healthy && known
}

/// What is not as it should be beyond the state.
pub(super) fn notes(diagnosis: &Diagnosis) -> Vec<String> {
    let mut notes = Vec::new();
    for host in diagnosis.hosts.iter().filter(|host| host.belongs == Some(false)) {
        let pool = host.pool.as_ref().map(ToString::to_string).unwrap_or_default();
        notes.push(format!("{} belongs to another pool, {pool}", host.label()));
    }
    for host in &diagnosis.hosts {
        let label = host.label();
        if let Contact::Refuses { .. } = host.said.contact {
            notes.push(format!(
                "{label} refuses connections: something is up at its address, so it may not be off"
            ));
        }
        match (diagnosis.ha_enabled, host.said.ha_armed) {
            (Some(true), Some(false)) => notes.push(format!(
                "HA is enabled in the pool, but not armed on {label}: it takes no part in it"
            )),
            (Some(false), Some(true)) => notes.push(format!(
                "HA is armed on {label}, although the pool's records have it disabled"
            )),
            _ => {}
        }
    }
    notes.extend(version_order(diagnosis));
    notes
}

/// Members must not run a newer toolstack than their master (`xapi.ml:445-485`).
fn version_order(diagnosis: &Diagnosis) -> Vec<String> {
    let version = |host: &HostReport| -> Option<(u64, u64)> {
        let version: Version = host.version.as_ref()?.parse().ok()?;
        Some((version.major(), version.minor()))
    };
    let recorded = diagnosis.records.snapshot().and_then(|snapshot| snapshot.master().ok());
    let claims = diagnosis.hosts.iter().find(|host| host.is_master_of(diagnosis.pool.as_ref()));
    let master = claims.or_else(|| diagnosis.host(recorded.as_ref()?.0));
    let Some((master, own)) = master.and_then(|master| Some((master, version(master)?))) else {
        return Vec::new();
    };
    let newer = diagnosis.hosts.iter().filter(|host| version(host) > Some(own));
    newer
        .map(|host| {
            format!(
                "{} runs a newer toolstack than the master {} and cannot follow it: update the \
                 master first",
                host.label(),
                master.label()
            )
        })
        .collect()
}
