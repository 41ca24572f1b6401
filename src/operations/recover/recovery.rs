//! A recovery that runs.

use crate::client::Client;
use crate::error::Result;
use crate::model::{Host, Ref, Snapshot};
use crate::operations::members::Members;
use crate::plan::{Consent, Plan, Purpose};
use crate::transport::Endpoint;

/// A recovery, stage by stage.
pub(super) struct Recovery<'a> {
    pub(super) members: &'a Members,
    pub(super) plan: &'a Plan,
    pub(super) consent: &'a Consent,
    /// The records from before the death.
    pub(super) last: &'a Snapshot,
    pub(super) target: Ref<Host>,
    /// The master that died, unless nobody was master.
    pub(super) old: Option<Ref<Host>>,
    pub(super) address: String,
    pub(super) endpoint: Endpoint,
}

impl Recovery<'_> {
    pub(super) fn name(&self) -> &str {
        &self.plan.host.name
    }

    pub(super) fn old_name(&self) -> &str {
        match &self.plan.purpose {
            Purpose::Recovery { old_master: Some(old), .. } => &old.name,
            _ => "",
        }
    }

    pub(super) fn client(&self) -> Result<Client> {
        self.members.client(&self.endpoint, &self.plan.pool.uuid)
    }
}
