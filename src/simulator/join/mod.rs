//! What `pool.join` makes of the joiner's objects on the master.
//!
//! The joiner sends its objects to the master one by one, and last its VMs in one piece. Everything
//! but that is best effort: an object that the master refuses is left out and nobody is told
//! (`xapi_pool.ml`, `update_non_vm_metadata`; `import.ml`).

mod export;
mod import;
mod objects;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::database::{Database, Object, Ref};
use super::state::Random;
use super::value::Value;
use crate::error::Fault;

/// The copy of a joiner's objects into the pool's database, step by step.
///
/// A step is what the joiner asks of the master in one go, so that the world can let time pass
/// between any two.
#[derive(Debug)]
pub(in crate::simulator) struct Merge {
    joiner: Database,
    steps: VecDeque<Step>,
    swallowed: Vec<Fault>,
    locations: Locations,
}

/// Where VDIs lie in the pool's SRs, read when the first VDI of an SR is sent.
type Locations = HashMap<Ref, HashSet<Ref>>;

/// An object to send, or all VMs.
#[derive(Debug)]
enum Step {
    Host(Ref),
    Sr(Ref),
    Pbd(Ref),
    Vdi(Ref),
    Network(Ref),
    Pif(Ref),
    Vlan(Ref),
    PvsSite(Ref),
    PvsCacheStorage(Ref),
    Secret(Ref),
    Vms,
}

impl Step {
    /// How long the master is seen to take over it.
    fn duration(&self) -> Duration {
        Duration::from_millis(match self {
            Self::Host(_) => 250,
            Self::Pbd(_) | Self::Pif(_) | Self::Vlan(_) => 150,
            Self::Network(_) | Self::Sr(_) => 30,
            Self::PvsCacheStorage(_) | Self::PvsSite(_) | Self::Secret(_) | Self::Vdi(_) => 10,
            Self::Vms => 150,
        })
    }
}

impl Merge {
    /// The copy that a joiner with this database begins.
    pub fn new(joiner: &Database) -> Self {
        let all = |class| joiner.refs(class).into_iter();
        let physical = joiner.objects("PIF").filter(|pif| pif.flag("physical"));
        let mut steps: VecDeque<_> = all("host").map(Step::Host).collect();
        steps.extend(all("SR").map(Step::Sr));
        steps.extend(all("PBD").map(Step::Pbd));
        steps.extend(all("VDI").map(Step::Vdi));
        steps.extend(all("network").map(Step::Network));
        steps.extend(physical.map(|pif| Step::Pif(Ref::clone(pif.reference()))));
        let management = joiner.objects("PIF").find(|pif| pif.flag("management"));
        let vlan = management.and_then(|pif| pif.target("VLAN_master_of"));
        // These four hang on the management VLAN only because of where the code stands.
        if let Some(vlan) = vlan {
            steps.push_back(Step::Vlan(vlan.into()));
            steps.extend(all("PVS_site").map(Step::PvsSite));
            steps.extend(all("PVS_cache_storage").map(Step::PvsCacheStorage));
            steps.extend(all("secret").map(Step::Secret));
        }
        steps.push_back(Step::Vms);
        Self { joiner: joiner.clone(), steps, swallowed: Vec::new(), locations: Locations::new() }
    }

    /// Sends the next object; answers how long that takes, or `None` if there was none.
    pub fn step(
        &mut self,
        pool: &mut Database,
        random: &mut Random,
        now: &Arc<str>,
    ) -> Option<Duration> {
        let step = self.steps.pop_front()?;
        let duration = step.duration();
        let locations = &mut self.locations;
        let mut desk = Desk { joiner: &self.joiner, pool, random, now, locations };
        let outcome = match step {
            Step::Host(host) => desk.host(&host),
            Step::Sr(sr) => desk.sr(&sr),
            Step::Pbd(pbd) => desk.pbd(&pbd),
            Step::Vdi(vdi) => desk.vdi(&vdi),
            Step::Network(network) => desk.network(&network),
            Step::Pif(pif) => desk.pif(&pif),
            Step::Vlan(vlan) => desk.vlan(&vlan),
            Step::PvsSite(site) => desk.pvs_site(&site),
            Step::PvsCacheStorage(storage) => desk.pvs_cache_storage(&storage),
            Step::Secret(secret) => desk.secret(&secret),
            Step::Vms => import::vms(&mut desk).map(|()| "".into()),
        };
        self.swallowed.extend(outcome.err());
        Some(duration)
    }

    /// The errors so far that the caller of `pool.join` never sees.
    pub fn swallowed(&self) -> &[Fault] {
        &self.swallowed
    }
}

/// The two databases of a join, and what a new object needs.
struct Desk<'a> {
    joiner: &'a Database,
    pool: &'a mut Database,
    random: &'a mut Random,
    now: &'a Arc<str>,
    locations: &'a mut Locations,
}

impl Desk<'_> {
    /// Makes an object in the pool, with a new uuid unless one is given.
    fn create(&mut self, class: &str, values: Vec<(&str, Value)>) -> Result<Ref, Fault> {
        let reference = self.random.reference();
        let uuid = [("uuid", Value::text(self.random.uuid()))];
        self.pool.create(class, &reference, uuid.into_iter().chain(values))?;
        Ok(reference)
    }

    /// Whether the pool's licence has a feature: its restriction must be there and say `false`.
    fn licensed(&self, restriction: &str) -> bool {
        let allows = |pool: &Object<'_>| pool.entry("restrictions", restriction) == Some("false");
        self.pool.find("pool", allows).is_some()
    }
}

/// A device config in which every secret is a copy of the secret of that uuid in this database
/// (`xapi_secret.ml`).
///
/// # Errors
/// `UUID_INVALID [secret, uuid]` for a secret that is not there.
pub(in crate::simulator) fn own_secrets(
    database: &mut Database,
    random: &mut Random,
    config: &Value,
) -> Result<Value, Fault> {
    let mut pairs = config.pairs().to_vec();
    for (key, value) in &mut pairs {
        if !key.ends_with("password_secret") {
            continue;
        }
        let uuid = value.as_str().unwrap_or_default();
        let secret = database.by_uuid("secret", uuid);
        let secret = secret.ok_or_else(|| Fault::new("UUID_INVALID", ["secret", uuid]))?;
        let (copy, uuid) = (random.reference(), random.uuid());
        let values = [
            ("uuid", Value::text(uuid.as_str())),
            ("value", database.get("secret", &secret, "value")),
        ];
        database.create("secret", &copy, values)?;
        *value = uuid.into();
    }
    Ok(Value::Map(pairs))
}

/// These fields of an object, to make another one with.
fn copied<'f>(object: &Object<'_>, fields: &[&'f str]) -> Vec<(&'f str, Value)> {
    fields.iter().map(|field| (*field, object.get(field))).collect()
}

/// A map with a pair in front, in place of what it has under that key.
fn with_pair(map: &Value, key: &str, value: &str) -> Value {
    let kept = map.pairs().iter().filter(|(name, _)| **name != *key).cloned();
    Value::Map(std::iter::once((key.into(), value.into())).chain(kept).collect())
}

#[cfg(test)]
mod tests;
