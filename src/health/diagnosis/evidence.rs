//! What hosts said, to choose a master by.

use super::answer::{Contact, HostAnswer};
use super::report::{HostReport, pool_meant, reports};
use crate::election::{DatabaseCopy, PoolEvidence};
use crate::model::Snapshot;

/// What the hosts of a snapshot said, to choose a master by ([`election`](crate::election)).
///
/// A host that says nothing for certain, as one whose certificate is not trusted, has no evidence.
/// That a host is off, or that a person takes responsibility for something, is for the caller to
/// add.
pub fn evidence(answers: Vec<HostAnswer>, snapshot: &Snapshot) -> PoolEvidence {
    let pool = pool_meant(&answers, Some(snapshot));
    of_reports(&reports(answers, pool.as_ref(), Some(snapshot)), Some(snapshot))
}

pub(super) fn of_reports(hosts: &[HostReport], records: Option<&Snapshot>) -> PoolEvidence {
    let mut evidence = PoolEvidence::none();
    for report in hosts.iter().filter(|report| report.belongs != Some(false)) {
        let Some(reference) = &report.reference else { continue };
        let known = evidence.host(reference);
        known.reachable = match &report.said.contact {
            // There is a host, but what it is cannot be asked.
            Contact::Forbidden { .. } | Contact::Strange { .. } | Contact::Untrusted { .. } => None,
            _ => Some(report.said.answers()),
        };
        known.role = report.said.role.clone();
        known.emergency_mode = report.said.emergency_mode;
        known.ha_armed = report.said.ha_armed;
        if let Some(age) = report.database_age {
            known.database = Some(DatabaseCopy { age: Some(age), ..DatabaseCopy::default() });
        }
    }
    // A host that left the pool, or never was in it, cannot be promoted in its name; and where it
    // answers now, the pool's own host does not.
    for stranger in hosts.iter().filter(|report| report.belongs == Some(false)) {
        let recorded = records.into_iter().flat_map(|records| records.host.iter());
        let recorded = recorded.filter(|(reference, host)| {
            stranger.reference.as_ref() == Some(*reference) || stranger.said.is_at(&host.address)
        });
        for (reference, _) in recorded {
            let known = evidence.host(reference);
            known.vetoed = true;
            known.reachable.get_or_insert(false);
        }
    }
    evidence
}
