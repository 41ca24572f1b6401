//! What the pool will look like after a host has joined.
//!
//! [`Report::consequences`](super::Report::consequences) says what `pool.join` will do to the
//! pool's database: which objects appear, merge, are refused or lost, where VMs and their
//! interfaces land, and what nobody is told. XAPI swallows most errors of this phase, so that a
//! join that "succeeded" may have lost every VM (`update_non_vm_metadata`,
//! `Importexport.remote_metadata_export_import`).
//!
//! The rules are held against recordings of real joins. What a snapshot does not say is a
//! [`Gap`], never a guess.
//!
//! # Example
//! ```
//! use xcp_pool::model::Snapshot;
//! use xcp_pool::preflight::{self, Options};
//!
//! let pool = br#"{"pool": {"OpaqueRef:p": {"master": "OpaqueRef:phantom"}},
//!     "host": {"OpaqueRef:phantom": {"name_label": "Phantom"}},
//!     "SR": {"OpaqueRef:nfs": {"name_label": "NFS", "shared": true}},
//!     "PBD": {"OpaqueRef:pbd": {"host": "OpaqueRef:phantom", "SR": "OpaqueRef:nfs"}}}"#;
//! let joiner = br#"{"pool": {"OpaqueRef:q": {"master": "OpaqueRef:ignite"}},
//!     "host": {"OpaqueRef:ignite": {"name_label": "Ignite", "tags": ["rack 4"]}},
//!     "SR": {"OpaqueRef:local": {"name_label": "Local storage", "type": "ext"}}}"#;
//! let mut pool = Snapshot::from_json(pool)?;
//! let mut joiner = Snapshot::from_json(joiner)?;
//! pool.complete();
//! joiner.complete();
//!
//! let report = preflight::evaluate(pool, joiner, &Options::default());
//! let consequences = report.consequences_once_admitted();
//! assert_eq!(consequences.sr_count.map(|srs| (srs.before, srs.after)), Some((1, 2)));
//! assert!(consequences.to_string().contains("\"Local storage\" (ext): appears"));
//!
//! assert_eq!(report.pool_after().host.len(), 2);
//! # Ok::<(), xcp_pool::Error>(())
//! ```

mod change;
mod cpu;
mod cpu_names;
mod forecast;
mod host;
mod import;
mod interface;
mod machine;
mod network;
mod record;
mod render;
mod settings;
mod start;
mod storage;

use serde::Serialize;

use crate::error::Fault;
use crate::model::Snapshot;

pub use change::Changes;
pub use cpu::{Confined, Cpu, CpuFeature, CpuFeatures, CpuLevel};
pub use forecast::{Gap, LostValue};
pub use host::{Cause, FieldChange, HostFate};
pub use import::{Clash, Import};
pub use interface::{Management, PifFate, PifOutcome};
pub use machine::{Machines, Replaced, VifFate, VmFate, VmKind};
pub use network::{LandedBy, Landing, NetworkFate, NetworkOutcome, Place};
pub use settings::Inherited;
pub use start::{AfterStart, BondCopy, SharedSr, VlanCopy};
pub use storage::{CopyOutcome, Count, PbdFate, SrFate, SrOutcome, VdiFate};

/// The call that is about to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    /// Whether it is `pool.join_force`.
    pub(crate) force: bool,
    /// The error that the call will be refused with, if it will.
    ///
    /// The rules of the preflight know.
    pub(crate) refusal: Option<Fault>,
}

/// What a join will do.
///
/// Parts that the snapshots do not suffice for are `None`, and `unknown` says what was missing.
/// Lists are in the server's order, the last ref first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Consequences {
    /// The shape of the serialised form: [`Self::SCHEMA`].
    pub schema: u32,
    /// The call.
    pub call: &'static str,
    /// The error that refuses the call; if there is one, nothing changes.
    pub refusal: Option<Fault>,
    /// The host's own record.
    pub host: Option<HostFate>,
    /// The joiner's networks.
    pub networks: Option<Vec<NetworkFate>>,
    /// The joiner's interfaces.
    pub interfaces: Option<Vec<PifFate>>,
    /// How the joiner is managed, and what that entails.
    pub management: Option<Management>,
    /// The joiner's SRs.
    pub srs: Option<Vec<SrFate>>,
    /// How many SRs the pool has.
    pub sr_count: Option<Count>,
    /// The joiner's PBDs.
    pub pbds: Option<Vec<PbdFate>>,
    /// The joiner's disks.
    pub vdis: Option<Vec<VdiFate>>,
    /// The joiner's VMs.
    pub machines: Option<Machines>,
    /// Settings that become the pool's.
    pub settings: Option<Vec<Inherited>>,
    /// The pool's CPU level.
    pub cpu: Option<Cpu>,
    /// What is lost without any error.
    pub losses: Vec<LostValue>,
    /// Classes of which nothing comes along.
    ///
    /// This crate does not read what the joiner has of them.
    pub left_behind: Vec<&'static str>,
    /// The errors that the join swallows, in order; the caller never sees them.
    pub swallowed: Vec<Fault>,
    /// What the new member does at its start.
    pub after_start: Option<AfterStart>,
    /// What is not known, and why.
    pub unknown: Vec<Gap>,
}

/// Foretells what a join will do, from snapshots of pool and joiner.
///
/// Takes the newest release's rules, and the joiner's release where the rules changed. Linear in
/// the number of objects.
pub(crate) fn foretell(pool: &Snapshot, joiner: &Snapshot, attempt: &Attempt) -> Consequences {
    run(pool, joiner, attempt, false).0
}

/// Foretells what a join will do, and what changes in the pool's database by the time the call
/// returns, record by record.
pub(crate) fn foretell_with_changes(
    pool: &Snapshot,
    joiner: &Snapshot,
    attempt: &Attempt,
) -> (Consequences, Changes) {
    run(pool, joiner, attempt, true)
}

fn run(
    pool: &Snapshot,
    joiner: &Snapshot,
    attempt: &Attempt,
    whole: bool,
) -> (Consequences, Changes) {
    let mut consequences = Consequences::none(attempt);
    consequences.refusal = consequences.refusal.or_else(|| turned_away(pool));
    if consequences.refusal.is_some() {
        return (consequences, Changes::default());
    }
    let mut f = forecast::Forecast::new(pool, joiner, whole);
    // The pool's counterparts of SRs come first, as the host's record names some.
    if let Some((srs, count)) = storage::srs(&mut f) {
        consequences.srs = Some(srs);
        consequences.sr_count = Some(count);
    }
    consequences.host = host::foretell(&mut f);
    consequences.pbds = storage::pbds(&mut f);
    consequences.vdis = storage::vdis(&mut f);
    let mut networks = network::foretell(&mut f);
    if let Some((_, networks)) = &mut networks {
        if let Some(interfaces) = interface::foretell(&mut f, networks) {
            consequences.interfaces = Some(interfaces.pifs);
            consequences.management = interfaces.management;
        }
    }
    let copied = networks.as_mut().map(|(fates, networks)| (networks, &mut fates[..]));
    consequences.machines = machine::foretell(&mut f, copied);
    consequences.settings = settings::foretell(&mut f);
    consequences.cpu = cpu::foretell(&mut f);
    consequences.after_start = start::foretell(&mut f);
    if let Some((fates, _)) = networks {
        network::losses(&mut f, &fates);
        consequences.networks = Some(fates);
    }
    consequences.left_behind = settings::left_behind(consequences.management.as_ref());
    consequences.losses = f.losses;
    consequences.swallowed = f.swallowed;
    consequences.unknown = f.gaps;
    (consequences, f.changes)
}

/// What a master refuses although all checks passed (`Xapi_pool_helpers.assert_no_pool_ops`).
///
/// The exchange of certificates, which releases with TLS verification begin with, takes a turn
/// among the pool's operations.
fn turned_away(pool: &Snapshot) -> Option<Fault> {
    let (_, pool) = pool.the_pool().ok()?;
    let exchanges = pool.tls_verification_enabled.is_some();
    (exchanges && pool.is_psr_pending == Some(true))
        .then(|| Fault::bare("POOL_SECRET_ROTATION_PENDING"))
}

impl Consequences {
    /// The number of the shape in which consequences are serialised.
    pub const SCHEMA: u32 = 1;

    fn none(attempt: &Attempt) -> Self {
        Self {
            schema: Self::SCHEMA,
            call: if attempt.force { "pool.join_force" } else { "pool.join" },
            refusal: attempt.refusal.clone(),
            host: None,
            networks: None,
            interfaces: None,
            management: None,
            srs: None,
            sr_count: None,
            pbds: None,
            vdis: None,
            machines: None,
            settings: None,
            cpu: None,
            losses: Vec::new(),
            left_behind: Vec::new(),
            swallowed: Vec::new(),
            after_start: None,
            unknown: Vec::new(),
        }
    }

    /// The interfaces that land on another network than they should.
    ///
    /// That is, not on the one that takes their own's place.
    pub fn moved(&self) -> impl Iterator<Item = (&VmFate, &VifFate)> {
        let vms = self.machines.iter().flat_map(|machines| &machines.vms);
        let vifs = vms.flat_map(|vm| vm.vifs.iter().flatten().map(move |vif| (vm, vif)));
        vifs.filter(|(_, vif)| vif.landing.as_ref().is_some_and(|l| l.moved != Some(false)))
    }
}
