//! From answers and records to a diagnosis.

use super::answer::HostAnswer;
use super::report::{pool_meant, reports};
use super::state::PoolState;
use super::whole::{Diagnosis, Records};
use super::{classify, text};

impl Diagnosis {
    /// What the answers of all hosts come to, beside the pool's records.
    ///
    /// The records say which pool is meant; without any it is that of the master whom most hosts
    /// follow. They should cover pool and hosts, with what was last known if no master answers.
    pub fn of(answers: Vec<HostAnswer>, records: Records) -> Self {
        let snapshot = records.snapshot();
        let pool = pool_meant(&answers, snapshot);
        let mut led = answers.iter().filter_map(|answer| answer.leads.as_ref());
        let led = led.find(|led| Some(&led.uuid) == pool.as_ref());
        let ha_said = led.map(|led| led.ha_enabled);
        let hosts = reports(answers, pool.as_ref(), snapshot);
        let record = snapshot.and_then(|snapshot| snapshot.the_pool().ok());
        let recorded = snapshot.and_then(|snapshot| snapshot.master().ok());
        let master = hosts.iter().find(|host| host.is_master_of(pool.as_ref()));
        let mut diagnosis = Self {
            state: PoolState::NobodyAnswers,
            name: match (&record, &recorded) {
                (Some((_, pool)), _) if !pool.name_label.is_empty() => pool.name_label.clone(),
                (_, Some((_, host))) => format!("the pool of {}", host.name_label),
                _ => String::from("an unknown pool"),
            },
            master: match (master, &recorded) {
                (Some(master), _) => Some(master.said.host().to_owned()),
                (None, Some((_, host))) => Some(host.address.clone()),
                (None, None) => None,
            },
            ha_enabled: ha_said.or_else(|| record.map(|(_, pool)| pool.ha_enabled)),
            pool,
            hosts,
            notes: Vec::new(),
            advice: Vec::new(),
            records,
        };
        diagnosis.state = classify::classify(&diagnosis);
        diagnosis.notes = classify::notes(&diagnosis);
        diagnosis.advice = text::advice(&diagnosis);
        diagnosis
    }
}
