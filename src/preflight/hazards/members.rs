//! The state of the pool itself, and of its members.

use super::{about, count};
use crate::actions::Side;
use crate::actions::{Action, Choice, Condition, Remedy};
use crate::error::Fault;
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, Host, Pool, PoolOperation, Record, newer_than_8_2};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Finding, Found, Lost, Reads, Rule, Severity, Which};
use crate::text::quoted;

pub(in crate::preflight) const HOST_ALREADY_IN_POOL: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Pool,
    compares: "the pool has no member with the joiner's uuid; its stale record would be used, with \
               a second set of interfaces",
    remedy: "forget the stale host in the pool",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["uuid"]),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::All, &["uuid"]),
    ],
    ..Rule::of("host-already-in-pool")
}
.run::<Preflight>(|facts, found| {
    let (_, me) = facts.joiner.local()?;
    let (master, _) = facts.pool.local()?;
    let stale = facts
        .pool
        .each::<Host>()
        .filter(|(reference, host)| host.uuid == me.uuid && *reference != master);
    for (reference, host) in stale {
        let object = object(reference, host);
        let forget = Choice::new("forget", "forget the stale host (host.destroy)").with(
            &object,
            facts.pool.snapshot,
            facts.joiner.snapshot,
            [Action::HostDestroy { host: reference.clone() }],
        );
        found.push(
            facts
                .finding(format!(
                    "the pool has the joiner on record already, as {}: the join would keep that \
                     record's old fields and interfaces",
                    quoted(&host.name_label)
                ))
                .objects([object])
                .expected("no host with this uuid")
                .actual(&host.uuid)
                .remedy(Remedy::default().or(forget)),
        );
    }
    Ok(())
});

pub(in crate::preflight) const POOL_SIZE_LIMIT: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Pool,
    compares: "the master's licence permits one more host; else the join succeeds, and the pool \
               has no record of the joiner",
    remedy: "by hand: apply a licence without this limit to the pool",
    reads: &[
        Reads::pool(Class::Pool, Which::All, &["restrictions"]),
        Reads::pool(Class::Host, Which::All, &["uuid"]),
        Reads::joiner(Class::Host, Which::Local, &["uuid"]),
    ],
    ..Rule::of("pool-size-limit")
}
.run::<Preflight>(|facts, found| {
    let (reference, pool) = facts.pool.pool()?;
    let (_, me) = facts.joiner.local()?;
    let others = facts.pool.snapshot.host.records().filter(|host| host.uuid != me.uuid).count();
    let limit = Pool::RESTRICTED_SIZE;
    if pool.restricts("restrict_pool_size") && others >= limit {
        found.push(
            facts
                .finding(format!(
                    "the pool's licence limits it to {limit} hosts, and it has {others}: the join \
                     would succeed, and leave the joiner without a pool"
                ))
                .objects([object(reference, pool)])
                .expected(format!("restrict_pool_size = false, or fewer than {limit} hosts"))
                .actual(format!("{others} hosts"))
                .remedy(Remedy::by_person(
                    "apply a licence without a limit of pool size to the pool (xe \
                     host-apply-edition)",
                )),
        );
    }
    Ok(())
});

pub(in crate::preflight) const MEMBERS_DEAD: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Pool,
    compares: "all hosts of the pool are live; certificates cannot be given to one that is not",
    remedy: "by hand: bring the host back, or forget it",
    reads: &[
        Reads::pool(Class::Host, Which::Each, &["metrics"]),
        Reads::pool(Class::HostMetrics, Which::Each, &["live"]),
    ],
    ..Rule::of("members-dead")
}
.run::<Preflight>(|facts, found| {
    let (mut dead, mut unknown) = (Vec::new(), Vec::new());
    for (reference, host) in facts.pool.each::<Host>() {
        match facts.pool.snapshot.get(&host.metrics) {
            Some(metrics) if metrics.live => {}
            Some(_) => dead.push(object(reference, host)),
            None => unknown.push(object(reference, host)),
        }
    }
    let finding = about(facts, dead, |n, names| {
        format!(
            "{} of the pool not live: {names}; a member that is not gone for good gets the \
             joiner's certificate later, and one that dies unnoticed costs a join minutes",
            count(n, "host")
        )
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person(
            "bring the hosts back, or forget those that are gone for good (xe host-forget)",
        ))
    }));
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Lost::Unknown {
            message: "hosts of the pool have no host_metrics that say whether they live".into(),
            objects: unknown,
        }),
    }
});

pub(in crate::preflight) const MEMBERS_DISABLED: Check = Rule {
    severity: Severity::Notice,
    side: Side::Pool,
    compares: "all hosts of the pool are enabled",
    remedy: "nothing need be done, or enable the host",
    reads: &[Reads::pool(Class::Host, Which::Each, &["enabled"])],
    ..Rule::of("members-disabled")
}
.run::<Preflight>(|facts, found| {
    let disabled = facts.pool.each::<Host>().filter(|(_, host)| !host.enabled);
    let objects = disabled.map(|(reference, host)| object(reference, host)).collect();
    found.extend(about(facts, objects, |n, names| {
        format!("{} of the pool disabled, for maintenance perhaps: {names}", count(n, "host"))
    }));
    Ok(())
});

pub(in crate::preflight) const MEMBERS_DIFFER: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Pool,
    compares: "all hosts of the pool run the master's software; XAPI looks at the master's only",
    remedy: "by hand: finish updating the pool",
    reads: &[
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Each, &["software_version"]),
    ],
    ..Rule::of("members-differ")
}
.run::<Preflight>(|facts, found| {
    const KEYS: [&str; 6] =
        ["product_brand", "platform_name", "platform_version", "xapi", "git_id", "db_schema"];
    let (_, master) = facts.pool.local()?;
    let level = |host: &Host| KEYS.map(|key| host.software_version.get(key).cloned());
    let theirs = level(master);
    let others: Vec<_> =
        facts.pool.each::<Host>().filter(|(_, host)| level(host) != theirs).collect();
    let objects = others.iter().map(|(reference, host)| object(*reference, *host)).collect();
    let finding = about(facts, objects, |_, names| {
        format!("hosts of the pool do not run the master's software: {names}")
    });
    found.extend(finding.map(|finding| {
        let told = |host: &Host| {
            let values = KEYS.iter().zip(level(host)).filter(|(_, value)| value.is_some());
            let values = values.map(|(key, value)| format!("{key} {}", value.unwrap_or_default()));
            values.collect::<Vec<_>>().join(", ")
        };
        let mut actual: Vec<_> = others.iter().map(|(_, host)| told(host)).collect();
        actual.sort_unstable();
        actual.dedup();
        finding.expected(told(master)).actual(actual.join("; ")).remedy(Remedy::by_person(
            "finish updating the pool, the master first, then every member",
        ))
    }));
    Ok(())
});

pub(in crate::preflight) const ROLLING_UPGRADE: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Pool,
    compares: "no rolling upgrade of the pool is in progress",
    remedy: "by hand: finish the upgrade",
    reads: &[Reads::pool(Class::Pool, Which::All, &["other_config"])],
    ..Rule::of("rolling-upgrade")
}
.run::<Preflight>(|facts, found| {
    let (reference, pool) = facts.pool.pool()?;
    if pool.other_config.contains_key("rolling_upgrade_in_progress") {
        found.push(
            facts
                .finding(
                    "the pool is in the middle of a rolling upgrade; many operations are refused",
                )
                .objects([object(reference, pool)])
                .remedy(Remedy::by_person("finish the upgrade of all hosts before the join")),
        );
    }
    Ok(())
});

pub(in crate::preflight) const POOL_OPERATIONS: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Pool,
    compares: "no operation is in progress in the pool; the join waits for it, up to two hours",
    remedy: "wait until the operations end",
    reads: &[Reads::pool(Class::Pool, Which::All, &["current_operations"])],
    ..Rule::of("pool-operations")
}
.run::<Preflight>(|facts, found| {
    let (reference, pool) = facts.pool.pool()?;
    let operations: Vec<_> = pool
        .current_operations
        .values()
        .filter(|operation| **operation != PoolOperation::ApplyUpdates)
        .map(ToString::to_string)
        .collect();
    if !operations.is_empty() {
        let object = object(reference, pool);
        let wait = Choice::new("wait", "wait until the operations have ended").with(
            &object,
            facts.pool.snapshot,
            facts.joiner.snapshot,
            [Action::Await {
                side: Side::Pool,
                object: object.clone(),
                until: Condition::PoolIdle,
            }],
        );
        found.push(
            facts
                .finding(format!(
                    "the join will wait, for up to two hours, for what is in progress in the pool: \
                     {}",
                    operations.join(", ")
                ))
                .objects([object])
                .expected("no current operation")
                .actual(operations.join(", "))
                .remedy(Remedy::default().or(wait)),
        );
    }
    Ok(())
});

pub(in crate::preflight) const SECRET_ROTATION_PENDING: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Pool,
    compares: "no rotation of the pool secret is pending; the join would pass its checks and then \
               fail",
    remedy: "by hand: finish the rotation",
    reads: &[Reads::pool(Class::Pool, Which::All, &["is_psr_pending"]).since(1, 250, 0)],
    ..Rule::of("secret-rotation-pending")
}
.run::<Preflight>(|facts, found| {
    let (reference, pool) = facts.pool.pool()?;
    if pool.is_psr_pending == Some(true) {
        found.push(
            facts
                .finding(format!(
                    "a rotation of the pool secret is half done: the join would fail with {}",
                    Fault::bare("POOL_SECRET_ROTATION_PENDING")
                ))
                .objects([object(reference, pool)])
                .remedy(Remedy::by_person(
                    "bring all members back and rotate the secret again (xe pool-secret-rotate)",
                )),
        );
    }
    Ok(())
});

pub(in crate::preflight) const MEMBERS_PENDING_GUIDANCE: Check = Rule {
    severity: Severity::Notice,
    side: Side::Pool,
    compares: "no member but the master has mandatory guidance pending; XAPI looks at the master's \
               only",
    remedy: "by hand: restart the members as the guidance asks",
    reads: &[
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Each, &["pending_guidances"]).since(1, 303, 0),
    ],
    ..Rule::of("members-pending-guidance")
}
.run::<Preflight>(|facts, found| {
    let (master, _) = facts.pool.local()?;
    let pending = facts.pool.each::<Host>().filter(|(reference, host)| {
        *reference != master && host.pending_guidances.iter().flatten().next().is_some()
    });
    let objects = pending.map(|(reference, host)| object(reference, host)).collect();
    let finding = about(facts, objects, |n, names| {
        format!("updates of {} are not in force yet: {names}", count(n, "member"))
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person("restart the members as their guidance asks"))
    }));
    Ok(())
});

pub(in crate::preflight) const RECOMMENDED_GUIDANCE: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner has no recommended guidance pending after updates",
    remedy: "nothing need be done, or restart the joiner before",
    reads: &[Reads::joiner(Class::Host, Which::Local, &["pending_guidances_recommended"])
        .since(24, 10, 0)],
    ..Rule::of("recommended-guidance")
}
.run::<Preflight>(|facts, found| {
    let (reference, host) = facts.joiner.local()?;
    let pending = host.pending_guidances_recommended.iter().flatten();
    let pending: Vec<_> = pending.map(ToString::to_string).collect();
    if !pending.is_empty() {
        found.push(
            facts
                .finding(format!(
                    "after its updates the joiner should still do: {}",
                    pending.join(", ")
                ))
                .objects([object(reference, host)])
                .actual(pending.join(", ")),
        );
    }
    Ok(())
});

pub(in crate::preflight) const RELEASE_UNSTATED: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the joiner states its release of XAPI, which decides what checks it makes, and its \
               records are those of that release",
    remedy: "by hand: look what the joiner really runs",
    reads: &[Reads::joiner(Class::Host, Which::Local, &["software_version"])],
    ..Rule::of("release-unstated")
}
.run::<Preflight>(release_unstated);

fn release_unstated(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, host) = facts.joiner.local()?;
    let told = |finding: Finding| {
        finding
            .objects([Object::of(reference, host, host.name_label.as_str())])
            .expected("software_version: xapi")
    };
    let Some(release) = facts.joiner.release() else {
        let message =
            "the joiner does not state its release of XAPI: the checks of the newest are taken";
        let finding = told(facts.finding(message));
        let is_old = facts.pool.release().is_some_and(|release| release.major() <= 1);
        found.push(if is_old { finding.open() } else { finding });
        return Ok(());
    };
    let newer: Vec<_> = newer_than_8_2(Host::CLASS).filter(|field| host.has(field)).collect();
    if release.major() <= 1 && !newer.is_empty() {
        let message = format!(
            "not known: the joiner states release {release} of XAPI, and its record has what only \
             newer ones have ({}): what it checks cannot be told",
            newer.join(", ")
        );
        found.push(told(facts.finding(message).open()));
    }
    Ok(())
}
