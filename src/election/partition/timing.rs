//! The timers of HA, all derived from one base timeout.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::Pool;

/// The timers of the HA daemon, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// t1: how often a heartbeat is sent.
    pub heartbeat_interval: u32,
    /// t2: how often the state file is written and read.
    pub statefile_interval: u32,
    /// T1: a host not heard for so long leaves the heartbeat domain.
    pub heartbeat_timeout: u32,
    /// T2: a host that did not write for so long leaves the state-file domain.
    pub statefile_timeout: u32,
    /// Wh: the hypervisor resets a host whose heartbeat thread is silent for so long.
    pub heartbeat_watchdog_timeout: u32,
    /// Ws: how long the state-file thread may hang, in seconds.
    pub statefile_watchdog_timeout: u32,
    /// How long a starting host tries to join.
    pub boot_join_timeout: u32,
    /// How long hosts wait for each other while HA is being enabled.
    pub enable_join_timeout: u32,
    /// How often the toolstack's health is checked.
    pub xapi_healthcheck_interval: u32,
    /// How long one health check may take.
    pub xapi_healthcheck_timeout: u32,
    /// How often a sick toolstack is restarted before the host fences itself.
    pub xapi_restart_attempts: u32,
    /// How long a restart of the toolstack may take.
    pub xapi_restart_timeout: u32,
}

impl Timing {
    /// The base timeout of a pool that configures none, in seconds.
    pub(crate) const DEFAULT_BASE: u32 = 60;

    /// The smallest base timeout that XAPI's formulas are made for, in seconds.
    pub(crate) const MIN_BASE: u32 = 10;

    /// The least time before a survivor acts, in seconds (`sm.c:985-1017`).
    pub(crate) const MIN_FENCE_WAIT: u32 = 10;

    /// The timers that XAPI configures from a base timeout in seconds.
    ///
    /// As `xapi_ha.ml:234-266`.
    ///
    /// # Errors
    /// `InvalidInput` if the base timeout is under 10 seconds or over a day.
    pub(crate) fn from_base(base: u32) -> Result<Self> {
        if !(Self::MIN_BASE..=86_400).contains(&base) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a base timeout of {base} s is not between 10 s and a day"),
            ));
        }
        Ok(Self {
            heartbeat_interval: ((base + 10) / 10).min(3),
            statefile_interval: (base / 20).max(2),
            heartbeat_timeout: base,
            statefile_timeout: base,
            heartbeat_watchdog_timeout: base,
            statefile_watchdog_timeout: base + 15,
            boot_join_timeout: base + 60,
            enable_join_timeout: base + 60,
            xapi_healthcheck_interval: 60,
            xapi_healthcheck_timeout: 120,
            xapi_restart_attempts: 1,
            xapi_restart_timeout: 300,
        })
    }

    /// The base timeout of a pool, in seconds (`xapi_ha.ml:269-284`).
    ///
    /// It is `ha_configuration["timeout"]`, else `other_config["default_ha_timeout"]`, else 60; a
    /// text that is no number is passed over.
    pub(crate) fn base_of(pool: &Pool) -> u32 {
        let number = |text: Option<&String>| text.and_then(|text| text.trim().parse().ok());
        number(pool.ha_configuration.get("timeout"))
            .or_else(|| number(pool.other_config.get("default_ha_timeout")))
            .unwrap_or(Self::DEFAULT_BASE)
    }

    /// How long a survivor waits before it acts on a death, in seconds.
    ///
    /// As `sm.c:985-1017`.
    ///
    /// The wait covers the losers' watchdogs. `elapsed` counts since the survivor passed a survival
    /// rule; `extended` is set if a host that is still visible somewhere is being removed.
    pub(crate) fn fence_wait(&self, elapsed: u32, extended: bool) -> u32 {
        let timeout = self.heartbeat_timeout.min(self.statefile_timeout);
        let watchdog = self.heartbeat_watchdog_timeout.max(self.statefile_watchdog_timeout);
        let interval = self.heartbeat_interval.max(self.statefile_interval);
        let wait = (watchdog + interval).saturating_sub(timeout).saturating_sub(elapsed);
        (wait + if extended { timeout } else { 0 }).max(Self::MIN_FENCE_WAIT)
    }

    /// How long the hosts try to agree on one view before they repair it, in seconds.
    pub(crate) fn agreement_timeout(&self) -> u32 {
        self.heartbeat_timeout.max(self.statefile_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The daemon's own defaults, which XAPI never uses.
    fn daemon_defaults() -> Timing {
        Timing {
            heartbeat_interval: 4,
            statefile_interval: 4,
            heartbeat_timeout: 30,
            statefile_timeout: 30,
            heartbeat_watchdog_timeout: 30,
            statefile_watchdog_timeout: 45,
            boot_join_timeout: 90,
            enable_join_timeout: 90,
            xapi_healthcheck_interval: 60,
            xapi_healthcheck_timeout: 10,
            xapi_restart_attempts: 1,
            xapi_restart_timeout: 30,
        }
    }

    #[test]
    fn waits_18_or_78_seconds_with_the_default_base_timeout() {
        let timing = Timing::from_base(60).unwrap();
        assert_eq!((timing.heartbeat_interval, timing.statefile_interval), (3, 3));
        assert_eq!(timing.fence_wait(0, false), 18);
        assert_eq!(timing.fence_wait(0, true), 78);
        assert_eq!(timing.fence_wait(15, false), 10);
        let defaults = daemon_defaults();
        assert_eq!((defaults.fence_wait(0, false), defaults.fence_wait(0, true)), (19, 49));
    }

    #[test]
    fn takes_the_base_timeout_from_the_pool() {
        let mut pool = Pool::default();
        assert_eq!(Timing::base_of(&pool), 60);
        pool.other_config.insert("default_ha_timeout".into(), "90".into());
        assert_eq!(Timing::base_of(&pool), 90);
        pool.ha_configuration.insert("timeout".into(), "30".into());
        assert_eq!(Timing::base_of(&pool), 30);
        pool.ha_configuration.insert("timeout".into(), "soon".into());
        assert_eq!(Timing::base_of(&pool), 90);
    }

    #[test]
    fn refuses_a_base_timeout_that_the_formulas_are_not_made_for() {
        for base in [0, 9, 86_401, u32::MAX] {
            assert!(Timing::from_base(base).is_err(), "{base}");
        }
        assert_eq!(Timing::from_base(10).unwrap().heartbeat_interval, 2);
    }
}
