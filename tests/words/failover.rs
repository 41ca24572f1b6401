//! What is said of failures that HA can or cannot survive.

use xcp_pool::failover::{Planner, WhatIf, WhyNot};
use xcp_pool::model::Snapshot;

use crate::words::Names;
use crate::{Reader, pairs};

/// Reads what HA says of a pool, and of what may happen to it.
pub(crate) fn texts(pool: &Snapshot, read: &mut impl FnMut(String)) {
    let mut assessments = Vec::new();
    match Planner::new(pool).map(|planner| planner.assess()) {
        Ok(assessment) => assessments.push((pool.clone(), assessment)),
        Err(error) => read(error.to_string()),
    }
    for (reference, _) in &pool.host {
        for happened in [
            WhatIf::HostDisabled { host: reference.clone() },
            WhatIf::HostLeaves { host: reference.clone() },
            WhatIf::HaEnabled { failures: 1 },
        ] {
            let after = happened.happened(pool).unwrap();
            match happened.ask(pool) {
                Ok(asked) => assessments.push((after, asked.after)),
                Err(error) => read(error.to_string()),
            }
        }
        if let Ok(Ok(outcome)) =
            Planner::new(pool).map(|p| p.failure(std::slice::from_ref(reference)))
        {
            for left in outcome.not_restarted {
                read(left.why.describe(pool));
            }
        }
    }
    for (pool, assessment) in assessments {
        assessment.oddities.iter().for_each(|oddity| read(oddity.describe(&pool)));
        assessment.wanted.obstacle.iter().for_each(|obstacle| read(obstacle.describe(&pool)));
        for vm in &assessment.protected {
            vm.not_agile.iter().for_each(|reason| read(reason.describe(&pool)));
        }
        for left in assessment.restart.iter().flat_map(|plan| &plan.not_restarted) {
            read(left.why.describe(&pool));
            if let WhyNot::NotAgile { reason, .. } = &left.why {
                read(reason.describe(&pool));
            }
        }
    }
}

#[test]
fn what_is_said_of_failures_is_in_words() {
    let mut reader = Reader::default();
    for mut pool in pairs().into_iter().map(|pair| pair.pool) {
        let names = Names::of(&[&pool]);
        texts(&pool, &mut |text| reader.read(&text, &names));
        for (_, record) in pool.pool.iter_mut() {
            (record.ha_enabled, record.ha_host_failures_to_tolerate) = (true, 1);
        }
        for (n, (_, vm)) in pool.vm.iter_mut().enumerate() {
            vm.ha_always_run = true;
            vm.ha_restart_priority = "restart".to_owned();
            vm.memory_static_max <<= 4 * (n % 3);
        }
        texts(&pool, &mut |text| reader.read(&text, &names));
    }
    reader.finish(500);
}
