//! What the server writes to the pool record, and which operations it refuses.

use serde::{Deserialize, Serialize};

use super::planner::{Change, Planner};
use crate::error::{Fault, Result};

/// The HA fields of a pool after the server looked at its plan.
///
/// With the alerts that it raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolStatus {
    /// XAPI's `pool.ha_host_failures_to_tolerate`.
    pub ha_host_failures_to_tolerate: i64,
    /// XAPI's `pool.ha_plan_exists_for`.
    pub ha_plan_exists_for: i64,
    /// XAPI's `pool.ha_overcommitted`.
    pub ha_overcommitted: bool,
    /// Whether the server takes it for a change, and tells who waits for one.
    pub changed: bool,
    /// The body of the alert `HA_POOL_DROP_IN_PLAN_EXISTS_FOR`, if it is raised.
    pub drop_alert: Option<i64>,
    /// Whether the message `HA_POOL_OVERCOMMITTED` is sent.
    pub overcommitted_alert: bool,
}

impl Planner<'_> {
    /// The pool's HA fields as they are.
    pub fn current_status(&self) -> PoolStatus {
        PoolStatus {
            ha_host_failures_to_tolerate: self.pool.ha_host_failures_to_tolerate,
            ha_plan_exists_for: self.pool.ha_plan_exists_for,
            ha_overcommitted: self.pool.ha_overcommitted,
            changed: false,
            drop_alert: None,
            overcommitted_alert: false,
        }
    }

    /// The pool's HA fields after the server's regular look at its plan.
    ///
    /// As `update_pool_status`.
    pub fn updated_status(&self) -> PoolStatus {
        self.update(self.current_status())
    }

    fn update(&self, mut status: PoolStatus) -> PoolStatus {
        let wanted = status.ha_host_failures_to_tolerate;
        if self.plan_for(wanted).exists() {
            status.changed = status.ha_overcommitted || status.ha_plan_exists_for != wanted;
            status.ha_overcommitted = false;
            status.ha_plan_exists_for = wanted;
            return status;
        }
        let maximum = self.maximum().value;
        status.changed = status.ha_plan_exists_for != maximum || !status.ha_overcommitted;
        status.lower_to(maximum);
        status.overcommitted_alert = !status.ha_overcommitted;
        status.ha_overcommitted = true;
        status
    }

    /// The maximum, and what computing it writes: nothing unless HA is on.
    ///
    /// As `pool.ha_compute_max_host_failures_to_tolerate`.
    pub fn recomputed_maximum(&self) -> (i64, PoolStatus) {
        let maximum = self.maximum().value;
        let mut status = self.current_status();
        if self.pool.ha_enabled {
            status.ha_overcommitted = status.ha_host_failures_to_tolerate > maximum;
            status.lower_to(maximum);
            status.changed = status != self.current_status();
        }
        (maximum, status)
    }

    /// The pool's HA fields after `pool.set_ha_host_failures_to_tolerate`.
    ///
    /// # Errors
    /// `Fault` `INVALID_VALUE` for a negative number, `HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN` if
    /// there is a plan now and would be none for the new number.
    pub fn set_failures_to_tolerate(&self, failures: i64) -> Result<PoolStatus> {
        if failures < 0 {
            let value = failures.to_string();
            return Err(
                Fault::new("INVALID_VALUE", ["ha_host_failures_to_tolerate", &value]).into()
            );
        }
        let change = Change { failures: Some(failures), ..Change::default() };
        if self.pool.ha_plan_exists_for > 0 {
            if let Some(fault) = self.refusal(&change) {
                return Err(fault.into());
            }
        }
        let mut status = self.current_status();
        status.ha_host_failures_to_tolerate = failures;
        Ok(self.update(status))
    }

    /// The error by which the server refuses a change that would break the plan.
    ///
    /// Missing if the change goes ahead (`assert_configuration_change_preserves_ha_plan`).
    ///
    /// Only with HA on and overcommitment not allowed, and only if there is a full plan now for
    /// `ha_plan_exists_for` failures: what is broken already cannot get worse.
    pub fn refusal(&self, change: &Change) -> Option<Fault> {
        if !self.pool.ha_enabled || self.pool.ha_allow_overcommit {
            return None;
        }
        let failures = self.pool.ha_plan_exists_for;
        (self.plan_for(failures).exists() && !self.plan_after(change, failures).exists())
            .then(|| Fault::bare("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"))
    }
}

impl PoolStatus {
    fn lower_to(&mut self, maximum: i64) {
        let before = self.ha_plan_exists_for;
        if before != maximum {
            self.ha_plan_exists_for = self.ha_host_failures_to_tolerate.min(maximum);
            self.drop_alert = (maximum < before).then_some(maximum);
        }
    }
}
