//! In what state a pool is, also when no master answers.

mod ask;
mod classify;
mod text;

pub use classify::PoolState;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Members;
use crate::client::Client;
use crate::election::{DatabaseCopy, Evidence, Role};
use crate::error::{Fault, Result};
use crate::model::{Class, Host, Ref, Snapshot, Uuid};
use crate::transport::Endpoint;
use ask::{Answer, MAX_HOSTS, ask_all, seconds};

/// In what state a pool is, host by host, and what to do about it.
///
/// Prints as text for a person, and serialises to JSON for a program.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What it comes to.
    pub state: PoolState,
    /// The pool's uuid, if it is known.
    pub pool: Option<Uuid>,
    /// The pool's name, or what comes nearest.
    pub name: String,
    /// The master's address: the one that answers, else the one that the records name.
    pub master: Option<String>,
    /// Whether HA is enabled in the pool, by its records; not whether it is armed on a host.
    pub ha_enabled: Option<bool>,
    /// Where the records are from that names, versions and HA were read from.
    pub records: Records,
    /// The hosts, those of the pool in the order of its records, then others.
    pub hosts: Vec<HostReport>,
    /// What else is not as it should be, a line each.
    pub notes: Vec<String>,
    /// What to do, a line each, in order.
    pub advice: Vec<String>,
    /// The records themselves, to decide by.
    #[serde(skip)]
    pub snapshot: Option<Snapshot>,
}

/// Where a diagnosis has the pool's records from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Records {
    /// The master, just now.
    Master,
    /// Nowhere: hosts are known by their addresses alone.
    None,
    /// The snapshot that was given, so many seconds old if that is known.
    Snapshot {
        /// Its age in seconds.
        age: Option<u64>,
    },
}

/// What one host says of itself, and what the records say of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HostReport {
    /// Where it was asked.
    pub endpoint: String,
    /// Its name in the records.
    pub name: Option<String>,
    /// Its uuid in the records.
    pub uuid: Option<Uuid>,
    /// Its ref in the records.
    pub reference: Option<Ref<Host>>,
    /// Whether it answers, or why not.
    pub contact: Contact,
    /// The role that it says it has, and whom it follows.
    pub role: Option<Role>,
    /// Whether it is in emergency mode: it answers nothing but emergency calls.
    pub emergency_mode: Option<bool>,
    /// Why it is in emergency mode.
    pub emergency_error: Option<Fault>,
    /// Whether HA is armed on it, which may differ from the pool's `ha_enabled`.
    pub ha_armed: Option<bool>,
    /// The pool that it belongs to, as far as it can be told from what it says.
    pub pool: Option<Uuid>,
    /// Whether that is the pool that the diagnosis is of.
    pub belongs: Option<bool>,
    /// Its toolstack's version in the records, major and minor.
    pub version: Option<String>,
    /// How old its copy of the database is at most, in seconds; none if that is not known.
    ///
    /// No call tells. A master's is its own; a member's is refreshed every 300 s for each host.
    pub database_age: Option<u64>,
    /// How long it took to answer, or not to; in JSON in seconds.
    #[serde(serialize_with = "in_seconds")]
    pub took: Duration,
}

fn in_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// Whether a host answers, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "contact", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Contact {
    /// Its toolstack answers.
    Answers,
    /// It took the login as a master does, and then did not answer in time.
    Busy {
        /// The error.
        why: String,
    },
    /// It refuses user or password.
    Forbidden {
        /// The error.
        why: String,
    },
    /// The connection is refused: something is up at the address, but no toolstack listens.
    Refuses {
        /// The error.
        why: String,
    },
    /// Nothing comes back: it is off, or cut off from here.
    Silent {
        /// The error.
        why: String,
    },
    /// Its toolstack is starting (`HOST_STILL_BOOTING`).
    Starting,
    /// What answers is no XAPI, or answered something odd.
    Strange {
        /// The error.
        why: String,
    },
    /// Its certificate is not trusted; the password was not sent.
    Untrusted {
        /// The error.
        why: String,
    },
}

/// Says in what state a pool is, also when no master answers.
///
/// Every known host is asked for itself, at the same time, [a while](Members::patience) at most:
/// those that were given, those of the last snapshot, those of the master's records, and the masters
/// that members name. Nothing is changed, and no session is left behind.
///
/// # Errors
/// `Cancelled`. A host that does not answer is part of the diagnosis.
pub fn diagnose(members: &Members) -> Result<Diagnosis> {
    let mut answers: Vec<Answer> = Vec::new();
    let mut fresh = None;
    let mut waiting = members.known();
    loop {
        while !waiting.is_empty() && answers.len() < MAX_HOSTS {
            answers.extend(ask_all(members, &waiting)?);
            let named = answers.iter().filter_map(|answer| answer.report.follows());
            waiting = unasked(&answers, named.filter_map(|named| members.locate(named)).collect());
        }
        if fresh.is_some() {
            break;
        }
        // The records of a single master are the pool's; of two, neither's can be trusted.
        let pool = pool_of(members, &answers);
        let masters = masters_of(&answers, pool.as_ref());
        let ([master], Some(pool)) = (masters.as_slice(), &pool) else { break };
        members.cancel.check()?;
        let Ok(snapshot) = members.client(&master.endpoint, pool).and_then(|client| read(&client))
        else {
            break;
        };
        let hosts = snapshot.host.records().filter_map(|host| members.locate(&host.address));
        waiting = unasked(&answers, hosts.collect());
        fresh = Some(snapshot);
    }
    let pool = pool_of(members, &answers);
    Ok(conclude(members, pool, answers, fresh))
}

/// What one host says of itself.
pub(super) fn look_at(members: &Members, endpoint: &Endpoint) -> Result<HostReport> {
    ask::ask_one(members, endpoint).map(|answer| answer.report)
}

/// The classes that a choice of master goes by.
pub(super) const CLASSES: &[Class] =
    &[Class::Pool, Class::Host, Class::HostMetrics, Class::Pif, Class::Sr, Class::Pbd, Class::Vm];

fn read(client: &Client) -> Result<Snapshot> {
    client.snapshot_of(CLASSES)
}

fn unasked(answers: &[Answer], endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let mut new: Vec<Endpoint> = Vec::new();
    for endpoint in endpoints {
        if !new.contains(&endpoint) && answers.iter().all(|answer| answer.endpoint != endpoint) {
            new.push(endpoint);
        }
    }
    new
}

/// The pool that is meant: the snapshot's, else that of the master that most hosts stand by.
fn pool_of(members: &Members, answers: &[Answer]) -> Option<Uuid> {
    if let Some(Ok((_, pool))) = members.last.as_ref().map(Snapshot::the_pool) {
        return Some(pool.uuid.clone());
    }
    let masters = answers.iter().filter(|answer| answer.master.is_some());
    let followers = |master: &&Answer| {
        let follows = |answer: &&Answer| {
            let named = answer.report.follows().and_then(|named| members.locate(named));
            named.as_ref() == Some(&master.endpoint)
        };
        answers.iter().filter(follows).count()
    };
    // Of equals the first that was named.
    let best = masters.rev().max_by_key(followers)?;
    best.report.pool.clone()
}

/// The hosts that say they are master of a pool, each once however many addresses it has.
fn masters_of<'a>(answers: &'a [Answer], pool: Option<&Uuid>) -> Vec<&'a Answer> {
    let mut masters: Vec<&Answer> = Vec::new();
    for answer in answers.iter().filter(|answer| answer.master.is_some()) {
        let known = masters.iter().any(|master| master.report.reference == answer.report.reference);
        if answer.report.pool.as_ref() == pool && !known {
            masters.push(answer);
        }
    }
    masters
}

fn conclude(
    members: &Members,
    pool: Option<Uuid>,
    answers: Vec<Answer>,
    fresh: Option<Snapshot>,
) -> Diagnosis {
    let records = match (&fresh, &members.last) {
        (Some(_), _) => Records::Master,
        (None, Some(_)) => Records::Snapshot { age: seconds(members.age) },
        (None, None) => Records::None,
    };
    let pools: BTreeMap<Endpoint, Uuid> = answers
        .iter()
        .filter_map(|answer| Some((answer.endpoint.clone(), answer.report.pool.clone()?)))
        .collect();
    let ha_said = answers.iter().find_map(|answer| {
        let (record, _) = answer.master.as_ref()?;
        (Some(&record.uuid) == pool.as_ref()).then_some(record.ha_enabled)
    });
    let snapshot = fresh.or_else(|| members.last.clone());
    let mut hosts: Vec<HostReport> = Vec::new();
    for answer in answers {
        let mut report = answer.report;
        identify(&mut report, &answer.endpoint, members, snapshot.as_ref());
        belong(&mut report, members, pool.as_ref(), &pools, snapshot.as_ref());
        // One host may be known by several addresses.
        let same = hosts.iter_mut().find(|known| {
            known.reference.is_some()
                && known.reference == report.reference
                && known.belongs == report.belongs
        });
        match same {
            Some(known) if known.answers() => {}
            Some(known) => *known = report,
            None => hosts.push(report),
        }
    }
    let order = |report: &HostReport| {
        let place = snapshot.as_ref().zip(report.reference.as_ref());
        let place = place.and_then(|(snapshot, host)| snapshot.host.refs().position(|r| r == host));
        (report.belongs == Some(false), place.unwrap_or(usize::MAX))
    };
    hosts.sort_by_key(order);
    let record = snapshot.as_ref().and_then(|snapshot| snapshot.the_pool().ok());
    let master = hosts.iter().find(|host| host.is_master_of(pool.as_ref()));
    let recorded = snapshot.as_ref().and_then(|snapshot| snapshot.master().ok());
    let mut diagnosis = Diagnosis {
        state: PoolState::NobodyAnswers,
        name: match (&record, &recorded) {
            (Some((_, pool)), _) if !pool.name_label.is_empty() => pool.name_label.clone(),
            (_, Some((_, host))) => format!("the pool of {}", host.name_label),
            _ => String::from("an unknown pool"),
        },
        master: match (master, &recorded) {
            (Some(master), _) => Some(master.host().to_owned()),
            (None, Some((_, host))) => Some(host.address.clone()),
            (None, None) => None,
        },
        ha_enabled: ha_said.or_else(|| record.map(|(_, pool)| pool.ha_enabled)),
        pool,
        records,
        hosts,
        notes: Vec::new(),
        advice: Vec::new(),
        snapshot,
    };
    diagnosis.state = classify::classify(&diagnosis);
    diagnosis.notes = classify::notes(&diagnosis);
    diagnosis.advice = text::advice(&diagnosis);
    diagnosis
}

/// Finds the host's record.
fn identify(
    report: &mut HostReport,
    endpoint: &Endpoint,
    members: &Members,
    snapshot: Option<&Snapshot>,
) {
    let Some(snapshot) = snapshot else { return };
    let found = match &report.reference {
        Some(own) => snapshot.host.get(own).map(|host| (own.clone(), host)),
        None => snapshot
            .host
            .iter()
            .find(|(_, host)| {
                members.locate(&host.address).as_ref() == Some(endpoint)
                    || host.hostname.eq_ignore_ascii_case(endpoint.host())
            })
            .map(|(reference, host)| (reference.clone(), host)),
    };
    let Some((reference, host)) = found else { return };
    report.name = Some(host.name_label.clone());
    report.uuid = Some(host.uuid.clone());
    report.version = host.xapi_version().map(|version| version.to_string());
    report.reference = Some(reference);
    if report.role == Some(Role::Master) {
        report.database_age = Some(0);
    }
}

/// Tells whether the host is one of the pool's.
fn belong(
    report: &mut HostReport,
    members: &Members,
    pool: Option<&Uuid>,
    pools: &BTreeMap<Endpoint, Uuid>,
    snapshot: Option<&Snapshot>,
) {
    if let Some(master) = report.follows().and_then(|named| members.locate(named)) {
        let known = snapshot.and_then(|snapshot| snapshot.master().ok());
        let is_known = known.and_then(|(_, host)| members.locate(&host.address));
        report.pool = pools.get(&master).cloned().or_else(|| {
            // Nobody is there to say it, but the records know the address.
            (is_known.as_ref() == Some(&master)).then(|| pool.cloned()).flatten()
        });
    }
    report.belongs = report.pool.as_ref().zip(pool).map(|(own, pool)| own == pool);
}

impl HostReport {
    fn new(endpoint: &Endpoint) -> Self {
        Self {
            endpoint: endpoint.to_string(),
            name: None,
            uuid: None,
            reference: None,
            contact: Contact::Starting,
            role: None,
            emergency_mode: None,
            emergency_error: None,
            ha_armed: None,
            pool: None,
            belongs: None,
            version: None,
            database_age: None,
            took: Duration::ZERO,
        }
    }

    /// Whether its toolstack answers, if only to say that it starts.
    pub fn answers(&self) -> bool {
        matches!(self.contact, Contact::Answers | Contact::Busy { .. } | Contact::Starting)
    }

    /// The address of the master that it says it follows.
    pub fn follows(&self) -> Option<&str> {
        match &self.role {
            Some(Role::Slave(address)) => Some(address),
            _ => None,
        }
    }

    /// Whether it says that it is the master of this pool.
    fn is_master_of(&self, pool: Option<&Uuid>) -> bool {
        self.role == Some(Role::Master) && self.pool.as_ref() == pool && pool.is_some()
    }

    /// The address at which it was asked, without scheme and port.
    fn host(&self) -> &str {
        let rest = self.endpoint.split_once("://").map_or(&*self.endpoint, |(_, rest)| rest);
        match rest.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').map_or(bracketed, |(host, _)| host),
            None => rest.split_once(':').map_or(rest, |(host, _)| host),
        }
    }

    /// What to call it.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) if !name.is_empty() => name,
            _ => self.host(),
        }
    }
}

impl Diagnosis {
    /// What the diagnosis says of the hosts, to choose a master by
    /// ([`election`](crate::election)).
    ///
    /// That a host is off, or that a person takes responsibility for something, is for the caller
    /// to add.
    pub fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::none();
        for report in self.hosts.iter().filter(|report| report.belongs != Some(false)) {
            let Some(reference) = &report.reference else { continue };
            let known = evidence.host(reference);
            known.reachable = match &report.contact {
                // There is a host, but what it is cannot be asked.
                Contact::Forbidden { .. } | Contact::Strange { .. } | Contact::Untrusted { .. } => {
                    None
                }
                _ => Some(report.answers()),
            };
            known.role = report.role.clone();
            known.emergency_mode = report.emergency_mode;
            known.ha_armed = report.ha_armed;
            if let Some(age) = report.database_age {
                known.database = Some(DatabaseCopy { age: Some(age), ..DatabaseCopy::default() });
            }
        }
        // A host that left the pool, or never was in it, cannot be promoted in its name.
        for report in self.hosts.iter().filter(|report| report.belongs == Some(false)) {
            if let Some(reference) = &report.reference {
                evidence.host(reference).vetoed = true;
            }
        }
        evidence
    }

    /// What was found out of a host, by its ref.
    pub fn host(&self, reference: &Ref<Host>) -> Option<&HostReport> {
        self.hosts.iter().find(|report| report.reference.as_ref() == Some(reference))
    }
}
