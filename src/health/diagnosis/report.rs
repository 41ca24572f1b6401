//! What a host says, beside what the records say of it.

use serde::Serialize;

use super::answer::{HostAnswer, LedPool};
use crate::election::HostRole;
use crate::model::{Host, Ref, Snapshot, Uuid};

/// What one host says of itself, and what the records say of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HostReport {
    /// What it says for itself.
    #[serde(flatten)]
    pub said: HostAnswer,
    /// Its name in the records.
    pub name: Option<String>,
    /// Its uuid in the records.
    pub uuid: Option<Uuid>,
    /// Its ref in the records.
    pub reference: Option<Ref<Host>>,
    /// The pool that it belongs to, as far as it can be told from what it says.
    pub pool: Option<Uuid>,
    /// Whether that is the pool that the diagnosis is of.
    pub belongs: Option<bool>,
    /// Its toolstack's version in the records, major and minor.
    pub version: Option<String>,
    /// How old its copy of the database is at most, in seconds, if that is known.
    ///
    /// No call tells. A master's is its own; a member's is refreshed every 300 s for each host.
    pub database_age: Option<u64>,
}

impl HostReport {
    /// Adds what the host said at another of its addresses: what it answered counts.
    fn join(&mut self, mut other: Self) {
        if !self.said.answers() {
            std::mem::swap(self, &mut other);
        }
        self.said.addresses.append(&mut other.said.addresses);
    }

    /// Whether it says that it is the master of this pool.
    pub(super) fn is_master_of(&self, pool: Option<&Uuid>) -> bool {
        self.said.role == Some(HostRole::Master) && pool.is_some() && self.pool.as_ref() == pool
    }

    /// What to call it.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) if !name.is_empty() => name,
            _ => self.said.host(),
        }
    }
}

/// The pool that is meant: that of the records, else that of the master whom most hosts follow.
pub(super) fn pool_meant(answers: &[HostAnswer], records: Option<&Snapshot>) -> Option<Uuid> {
    if let Some(Ok((_, pool))) = records.map(Snapshot::the_pool) {
        return Some(pool.uuid.clone());
    }
    let followers = |(master, _): &(&HostAnswer, &LedPool)| {
        let follows = |answer: &&HostAnswer| answer.follows().is_some_and(|at| master.is_at(at));
        answers.iter().filter(follows).count()
    };
    let masters = answers.iter().filter_map(|answer| Some((answer, answer.leads.as_ref()?)));
    // Of equals the first that was named.
    let (_, led) = masters.rev().max_by_key(followers)?;
    Some(led.uuid.clone())
}

/// The one host that says it is master of the pool that is meant.
///
/// Of two masters neither's records can be trusted; one that was asked at two addresses is one.
pub(crate) fn only_master<'a>(
    answers: &'a [HostAnswer],
    last: Option<&Snapshot>,
) -> Option<(&'a HostAnswer, &'a LedPool)> {
    let pool = pool_meant(answers, last)?;
    let masters = answers.iter().filter_map(|answer| Some((answer, answer.leads.as_ref()?)));
    let mut masters = masters.filter(|(_, led)| led.uuid == pool);
    let first = masters.next()?;
    masters.all(|(_, led)| led.master == first.1.master).then_some(first)
}

/// Puts together what each host said and what the records say of it.
///
/// Those of the pool come first, in the order of its records; a host that was asked at several
/// addresses comes once.
pub(super) fn reports(
    answers: Vec<HostAnswer>,
    pool: Option<&Uuid>,
    records: Option<&Snapshot>,
) -> Vec<HostReport> {
    let pools: Vec<_> =
        answers.iter().map(|answer| pool_of(answer, &answers, pool, records)).collect();
    let mut hosts: Vec<HostReport> = Vec::new();
    for (said, own) in answers.into_iter().zip(pools) {
        let report = report(said, own, pool, records);
        let is_same = |known: &HostReport| {
            known.reference.is_some()
                && known.reference == report.reference
                && known.belongs == report.belongs
        };
        match hosts.iter_mut().find(|known| is_same(known)) {
            Some(known) => known.join(report),
            None => hosts.push(report),
        }
    }
    hosts.sort_by_key(|report| {
        let place = records.zip(report.reference.as_ref());
        let place = place.and_then(|(records, host)| records.host.refs().position(|r| r == host));
        (report.belongs == Some(false), place.unwrap_or(usize::MAX))
    });
    hosts
}

/// The pool that a host is in by its own word: the one that it leads, or that of its master.
fn pool_of(
    answer: &HostAnswer,
    answers: &[HostAnswer],
    pool: Option<&Uuid>,
    records: Option<&Snapshot>,
) -> Option<Uuid> {
    let Some(followed) = answer.follows().filter(|address| !address.is_empty()) else {
        return answer.leads.as_ref().map(|led| led.uuid.clone());
    };
    let leads = answers.iter().filter(|other| other.is_at(followed));
    let led = leads.filter_map(|other| other.leads.as_ref()).next();
    led.map(|led| led.uuid.clone()).or_else(|| {
        // Nobody is there to say it, but the records know the address.
        let (_, master) = records?.master().ok()?;
        let recorded = master.address.as_str();
        let one_place = |other: &HostAnswer| other.is_at(followed) && other.is_at(recorded);
        (followed == recorded || answers.iter().any(one_place)).then(|| pool.cloned())?
    })
}

fn report(
    said: HostAnswer,
    own: Option<Uuid>,
    pool: Option<&Uuid>,
    records: Option<&Snapshot>,
) -> HostReport {
    let reference = said.leads.as_ref().map(|led| &led.master);
    let record = records.and_then(|records| match reference {
        Some(own) => records.host.get(own).map(|host| (own, host)),
        None => records.host.iter().find(|(_, host)| {
            said.is_at(&host.address) || host.hostname.eq_ignore_ascii_case(said.host())
        }),
    });
    let is_master = said.role == Some(HostRole::Master);
    HostReport {
        name: record.map(|(_, host)| host.name_label.clone()),
        uuid: record.map(|(_, host)| host.uuid.clone()),
        version: record.and_then(|(_, host)| Some(host.xapi_version()?.to_string())),
        database_age: (record.is_some() && is_master).then_some(0),
        reference: record.map(|(found, _)| found).or(reference).cloned(),
        belongs: own.as_ref().zip(pool).map(|(own, pool)| own == pool),
        pool: own,
        said,
    }
}
