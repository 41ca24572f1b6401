//! Who joins whom: one pool, and a joiner that stands alone.

use crate::actions::Remedy;
use crate::actions::Side;
use crate::error::Fault;
use crate::model::Class;
use crate::model::object;
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Since, Which};

/// The release from which the joiner insists on one pool record before anything else.
pub(super) const ONE_POOL: Since = Since::of(1, 297, 0);

pub(in crate::preflight) const POOL_UNREADABLE: Check = Rule {
    check: Some("get_pool"),
    error: Some("INTERNAL_ERROR"),
    since: ONE_POOL,
    side: Side::Pool,
    compares: "the pool's database has exactly one pool record; nothing else is checked otherwise",
    remedy: "by hand: take a snapshot of one pool; a server that answers so is damaged",
    ends_checks: true,
    reads: &[Reads::pool(Class::Pool, Which::All, &[])],
    ..Rule::of("pool-unreadable")
}
.run::<Preflight>(pool_unreadable);

fn pool_unreadable(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let pools = &facts.pool.snapshot.pool;
    let refs: Vec<_> = pools.refs().rev().map(ToString::to_string).collect();
    let (message, text) = match refs.len() {
        1 => return Ok(()),
        0 => (
            "the pool's database has no pool record".to_owned(),
            "Remote host does not belong to a pool.".to_owned(),
        ),
        n => (
            format!("the pool's database has {n} pool records"),
            format!("Should get only one pool, but got {n}: {}", refs.join(",")),
        ),
    };
    found.push(
        facts
            .finding(match facts.checks_as_of(ONE_POOL) {
                true => format!("{message}; nothing else can be checked"),
                false => message,
            })
            .fault(Fault::new("INTERNAL_ERROR", [text]))
            .objects(pools.iter().map(|(reference, pool)| object(reference, pool)))
            .expected("1 pool record")
            .actual(format!("{} pool records", refs.len()))
            .remedy(Remedy::by_person(
                "take a snapshot of one pool only, from its master; if a server answers so, its \
                 database is damaged",
            )),
    );
    Ok(())
}

pub(in crate::preflight) const JOINING_ITSELF: Check = Rule {
    check: Some("assert_not_joining_myself"),
    error: Some("OPERATION_NOT_ALLOWED"),
    side: Side::Both,
    compares: "the joiner's uuid is not that of the pool's master",
    remedy: "by hand: give the address of another pool's master",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["uuid"]),
        Reads::joiner(Class::Host, Which::Each, &[]),
        Reads::pool(Class::Pool, Which::All, &["master"]),
        Reads::pool(Class::Host, Which::Local, &["uuid"]),
    ],
    ..Rule::of("joining-itself")
}
.run::<Preflight>(joining_itself);

fn joining_itself(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (_, master) = facts.pool.local()?;
    let (reference, joiner) = facts.joiner.local()?;
    if joiner.uuid != master.uuid {
        return Ok(());
    }
    let (message, text) = match facts.joiner.snapshot.host.len() {
        0 | 1 => {
            ("the joiner is the master that it is to join", "Host cannot become slave of itself")
        }
        _ => ("the joiner is the master of this very pool", "Host is already part of a pool"),
    };
    found.push(
        facts
            .finding(message)
            .fault(Fault::new("OPERATION_NOT_ALLOWED", [text]))
            .objects([object(reference, joiner)])
            .expected("two different hosts")
            .actual(format!("host {} on both sides", joiner.uuid))
            .remedy(Remedy::by_person(
                "connect to the host that is to join, and give it the address of another pool's \
                 master",
            )),
    );
    Ok(())
}

pub(in crate::preflight) const JOINER_HAS_OTHER_HOSTS: Check = Rule {
    check: Some("assert_i_know_of_no_other_hosts"),
    error: Some("JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS"),
    side: Side::Joiner,
    compares: "the joiner's database has one host only",
    remedy: "by hand: eject the other hosts, which wipes their local disks, or choose another \
             joiner",
    reads: &[Reads::joiner(Class::Host, Which::Each, &[])],
    ..Rule::of("joiner-has-other-hosts")
}
.run::<Preflight>(joiner_has_other_hosts);

fn joiner_has_other_hosts(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let hosts = &facts.joiner.snapshot.host;
    if hosts.len() <= 1 {
        return Ok(());
    }
    let me = facts.joiner.local()?.0;
    let others = hosts.iter().filter(|(reference, _)| *reference != me);
    found.push(
        facts.finding(format!("the joiner is the master of a pool with {} hosts", hosts.len()),
        )
        .refused()
        .objects(others.map(|(reference, host)| object(reference, host)))
        .expected("1 host")
        .actual(format!("{} hosts", hosts.len()))
        .remedy(Remedy::by_person(
            "eject the other hosts first (xe pool-eject): each reboots with empty local disks, so \
             move their VMs away before; hosts that are dead and gone: xe host-forget",
        )),
    );
    Ok(())
}
