//! In what state a pool is, also when no master answers: its hosts are asked, each for itself.

use std::collections::BTreeSet;

use super::Members;
use super::ask::ask_all;
use crate::client::Client;
use crate::election::PoolEvidence;
use crate::error::Result;
use crate::health::diagnosis::{self, Diagnosis, HostAnswer, Records};
use crate::model::{Class, Snapshot};
use crate::transport::Endpoint;

/// Says in what state a pool is, also when no master answers.
///
/// Every known host is asked for itself, at the same time, [a while](Members::patience) at most:
/// those that were given, those of the last snapshot, those of the master's records, and the
/// masters that members name. Nothing is changed, and no session is left behind.
///
/// # Errors
/// `Cancelled`. A host that does not answer is part of the diagnosis.
pub fn diagnose(members: &Members) -> Result<Diagnosis> {
    let last = members.last.as_deref();
    let mut answers: Vec<HostAnswer> = Vec::new();
    let mut fresh: Option<Snapshot> = None;
    let mut waiting = members.known();
    loop {
        while !waiting.is_empty() && answers.len() < MAX_HOSTS {
            answers.extend(ask_all(members, &waiting)?);
            let named = answers.iter().filter_map(HostAnswer::follows);
            waiting = unasked(&answers, named.filter_map(|named| members.locate(named)));
        }
        note_addresses(members, &mut answers, fresh.as_ref().or(last));
        if fresh.is_some() {
            break;
        }
        let Some((master, led)) = diagnosis::only_master(&answers, last) else { break };
        members.cancel.check()?;
        let client = master.endpoint.parse().and_then(|at| members.client(&at, &led.uuid));
        let Ok(snapshot) = client.and_then(|client| client.snapshot_of(CLASSES)) else { break };
        let hosts = snapshot.host.records().filter_map(|host| members.locate(&host.address));
        waiting = unasked(&answers, hosts);
        fresh = Some(snapshot);
    }
    let records = match (fresh, last) {
        (Some(fresh), _) => Records::Master { snapshot: Box::new(fresh) },
        (None, Some(last)) => Records::Snapshot {
            age: members.age.map(|age| age.as_secs()),
            snapshot: Box::new(last.clone()),
        },
        (None, None) => Records::None,
    };
    Ok(Diagnosis::of(answers, records))
}

/// Asks every host of a snapshot what it is, all at the same time.
///
/// For [`election`](crate::election): who answers, who follows whom, who is in emergency mode. A
/// host that says nothing for certain, as one whose certificate is not trusted, has no evidence;
/// one that is not there costs 15 s.
///
/// # Errors
/// `Cancelled`.
pub fn evidence(pool: &Client, snapshot: &Snapshot) -> Result<PoolEvidence> {
    let members = Members::beside(pool);
    let hosts = snapshot.host.records().filter_map(|host| members.locate(&host.address));
    let mut answers = ask_all(&members, &unasked(&[], hosts))?;
    note_addresses(&members, &mut answers, Some(snapshot));
    Ok(diagnosis::evidence(answers, snapshot))
}

/// More hosts than XAPI supports in one pool.
const MAX_HOSTS: usize = 128;

/// The classes that a choice of master goes by.
pub(super) const CLASSES: &[Class] =
    &[Class::Pool, Class::Host, Class::HostMetrics, Class::Pif, Class::Sr, Class::Pbd, Class::Vm];

fn unasked(answers: &[HostAnswer], endpoints: impl IntoIterator<Item = Endpoint>) -> Vec<Endpoint> {
    let mut new: Vec<Endpoint> = Vec::new();
    for endpoint in endpoints {
        let text = endpoint.to_string();
        if !new.contains(&endpoint) && answers.iter().all(|answer| answer.endpoint != text) {
            new.push(endpoint);
        }
    }
    new
}

/// Adds to each answer by which addresses the records and other hosts call the host that gave it.
fn note_addresses(members: &Members, answers: &mut [HostAnswer], records: Option<&Snapshot>) {
    let named = answers.iter().filter_map(HostAnswer::follows).map(str::to_owned);
    let recorded = records.into_iter().flat_map(|records| records.host.records());
    let recorded = recorded.map(|host| host.address.clone());
    let names: BTreeSet<String> = named.chain(recorded).collect();
    for name in names {
        let Some(endpoint) = members.locate(&name).map(|endpoint| endpoint.to_string()) else {
            continue;
        };
        for answer in answers.iter_mut().filter(|answer| answer.endpoint == endpoint) {
            answer.addresses.insert(name.clone());
        }
    }
}
