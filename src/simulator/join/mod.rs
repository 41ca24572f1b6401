//! What `pool.join` makes of the joiner's objects on the master.
//!
//! The joiner sends its objects to the master one by one, and last its VMs in one piece. Everything
//! but that is best effort: an object that the master refuses is left out and nobody is told
//! (`xapi_pool.ml`, `update_non_vm_metadata`; `import.ml`).

mod export;
mod import;
mod objects;
mod transfer;

pub(super) use transfer::own_secrets;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use self::transfer::{Locations, Transfer};
use super::database::{Database, Ref};
use super::state::Random;
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
    pub(super) fn new(joiner: &Database) -> Self {
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

    /// Sends the next object; returns how long that takes, or `None` at the end.
    pub(super) fn step(
        &mut self,
        pool: &mut Database,
        random: &mut Random,
        now: &Arc<str>,
    ) -> Option<Duration> {
        let step = self.steps.pop_front()?;
        let duration = step.duration();
        let locations = &mut self.locations;
        let mut transfer = Transfer { joiner: &self.joiner, pool, random, now, locations };
        let outcome = match step {
            Step::Host(host) => transfer.host(&host),
            Step::Sr(sr) => transfer.sr(&sr),
            Step::Pbd(pbd) => transfer.pbd(&pbd),
            Step::Vdi(vdi) => transfer.vdi(&vdi),
            Step::Network(network) => transfer.network(&network),
            Step::Pif(pif) => transfer.pif(&pif),
            Step::Vlan(vlan) => transfer.vlan(&vlan),
            Step::PvsSite(site) => transfer.pvs_site(&site),
            Step::PvsCacheStorage(storage) => transfer.pvs_cache_storage(&storage),
            Step::Secret(secret) => transfer.secret(&secret),
            Step::Vms => import::vms(&mut transfer).map(|()| "".into()),
        };
        self.swallowed.extend(outcome.err());
        Some(duration)
    }

    /// The errors so far that the caller of `pool.join` never sees.
    pub(super) fn swallowed(&self) -> &[Fault] {
        &self.swallowed
    }
}

#[cfg(test)]
mod tests;
