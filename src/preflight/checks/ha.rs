//! High availability must be off on both sides.

use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::model::object;
use crate::model::{Class, Pool, Ref};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Finding, Found, Lost, Reads, Rule, View, Which};

pub(in crate::preflight) const JOINER_HA_ENABLED: Check = Rule {
    check: Some("ha_is_not_enable_on_me"),
    error: Some("HA_IS_ENABLED"),
    side: Side::Joiner,
    compares: "HA is off on the joiner",
    remedy: "disable HA on the joiner",
    reads: &[Reads::joiner(Class::Pool, Which::All, &["ha_enabled"])],
    ..Rule::of("joiner-ha-enabled")
}
.run::<Preflight>(joiner_ha_enabled);

fn joiner_ha_enabled(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, pool) = facts.joiner.pool()?;
    if pool.ha_enabled {
        let message = "HA is enabled on the joiner itself; a host under HA cannot join";
        found.push(finding(facts, facts.joiner, reference, pool, message));
    }
    Ok(())
}

pub(in crate::preflight) const POOL_HA_ENABLED: Check = Rule {
    check: Some("ha_is_not_enable_on_the_distant_pool"),
    error: Some("HA_IS_ENABLED"),
    side: Side::Pool,
    compares: "HA is off in the pool",
    remedy: "disable HA in the pool, enable it again after the join",
    reads: &[Reads::pool(Class::Pool, Which::All, &["ha_enabled"])],
    ..Rule::of("pool-ha-enabled")
}
.run::<Preflight>(pool_ha_enabled);

fn pool_ha_enabled(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, pool) = facts.pool.pool()?;
    if pool.ha_enabled {
        let message = "HA is enabled in the pool; no host can join until it is off, and its VMs \
                       are not restarted by themselves meanwhile";
        found.push(finding(facts, facts.pool, reference, pool, message));
    }
    Ok(())
}

fn finding(
    facts: &Facts<'_>,
    view: View<'_>,
    reference: &Ref<Pool>,
    pool: &Pool,
    message: &str,
) -> Finding {
    let object = object(reference, pool);
    let mut heartbeat_srs: Vec<_> = pool
        .ha_statefiles
        .iter()
        .filter_map(|vdi| view.snapshot.get(vdi))
        .map(|vdi| vdi.SR.clone())
        .collect();
    heartbeat_srs.sort();
    heartbeat_srs.dedup();
    let disable = Action::PoolDisableHa {
        side: view.side,
        pool: reference.clone(),
        heartbeat_srs,
        configuration: pool.ha_configuration.clone(),
    };
    let choice = Choice::new("disable", format!("disable HA on {}", view.whose())).with(
        &object,
        facts.pool.snapshot,
        facts.joiner.snapshot,
        [disable],
    );
    facts
        .finding(message)
        .refused()
        .objects([object])
        .expected("ha_enabled = false")
        .actual("ha_enabled = true")
        .remedy(Remedy::default().or(choice))
}
