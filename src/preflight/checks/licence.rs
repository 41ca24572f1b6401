//! What licences permit.

use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::error::Fault;
use crate::model::object;
use crate::model::{Class, Host, Pool, Ref, Vm};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::options::Editions;
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Since, Which};
use crate::text::quoted;

const LIMIT: usize = Pool::RESTRICTED_SIZE;

pub(in crate::preflight) const POOLING_UNLICENSED: Check = Rule {
    check: Some("assert_pooling_licensed"),
    error: Some("LICENCE_RESTRICTION"),
    side: Side::Joiner,
    compares: "the joiner's `pool.restrictions` permits pooling: `restrict_pooling` is \"false\"",
    remedy: "by hand: apply a licence that permits pooling",
    reads: &[Reads::joiner(Class::Pool, Which::All, &["restrictions"])],
    ..Rule::of("pooling-unlicensed")
}
.run::<Preflight>(pooling_unlicensed);

fn pooling_unlicensed(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, pool) = facts.joiner.pool()?;
    if pool.restricts("restrict_pooling") {
        found.push(
            facts
                .finding("the joiner's licence does not permit it to be in a pool")
                .refused()
                .objects([object(reference, pool)])
                .expected("restrict_pooling = false")
                .actual(stated(pool, "restrict_pooling"))
                .remedy(Remedy::by_person(
                    "apply a licence that permits pooling to the joiner (xe host-apply-edition)",
                )),
        );
    }
    Ok(())
}

pub(in crate::preflight) const POOL_SIZE_RESTRICTED: Check = Rule {
    check: Some("assert_pool_size_unrestricted"),
    error: Some("LICENCE_RESTRICTION"),
    side: Side::Joiner,
    compares: "the joiner's `pool.restrictions` permits pools of any size, or the pool has fewer \
               than three hosts; before 24.17 the joiner knows its control domain, and one more \
               whose name ends in -CVM lifts the limit",
    remedy: "by hand: apply a licence without this limit",
    reads: &[
        Reads::joiner(Class::Pool, Which::All, &["restrictions"]),
        Reads::joiner(Class::Vm, Which::Each, CONTROL_DOMAIN).until(24, 17, 0),
        Reads::joiner(Class::Host, Which::All, &["control_domain"]).until(24, 17, 0),
        Reads::pool(Class::Host, Which::All, &[]),
    ],
    ..Rule::of("pool-size-restricted")
}
.run::<Preflight>(pool_size_restricted);

const CONTROL_DOMAIN: &[&str] = &["is_control_domain", "resident_on", "name_label"];

fn pool_size_restricted(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    if !facts.checks_as_of(Since::of(24, 17, 0)) && has_storage_vm(facts)? {
        return Ok(());
    }
    let (reference, pool) = facts.joiner.pool()?;
    let hosts = facts.pool.snapshot.host.len();
    if pool.restricts("restrict_pool_size") && hosts >= LIMIT {
        found.push(
            facts
                .finding(format!(
                    "the joiner's licence limits pools to {LIMIT} hosts, and the \
                     pool has {hosts}"
                ))
                .fault(Fault::new("LICENCE_RESTRICTION", ["Pool_size"]))
                .objects([object(reference, pool)])
                .expected(format!("restrict_pool_size = false, or fewer than {LIMIT} hosts"))
                .actual(format!("{}, {hosts} hosts", stated(pool, "restrict_pool_size")))
                .remedy(Remedy::by_person(
                    "apply a licence without a limit of pool size to the joiner (xe \
                     host-apply-edition)",
                )),
        );
    }
    Ok(())
}

/// Whether a control domain beside dom0 is one of a storage appliance, by its name
/// (`Xapi_host.pool_size_is_restricted` before v24.17.0, which first looks up dom0).
fn has_storage_vm(facts: &Facts<'_>) -> Result<bool, Lost> {
    let (host_ref, host) = facts.joiner.local()?;
    let snapshot = facts.joiner.snapshot;
    let mut vms = facts.joiner.each::<Vm>();
    let is_dom0 = |reference: &Ref<Vm>, vm: &Vm| {
        vm.resident_on == *host_ref && snapshot.is_domain_zero(reference, vm)
    };
    let Some((dom0, _)) = vms.clone().find(|(reference, vm)| is_dom0(reference, vm)) else {
        let uuid = snapshot.get(&host.control_domain).map(|vm| vm.uuid.to_string());
        let text = format!("Helpers.No_domain_zero(\"{}\")", uuid.unwrap_or_default());
        return Err(Lost::fault(
            Fault::new("INTERNAL_ERROR", [text]),
            "the joiner's database does not have its control domain, which its release looks up",
        ));
    };
    Ok(vms.any(|(reference, vm)| {
        reference != dom0 && vm.is_control_domain && vm.name_label.ends_with("-CVM")
    }))
}

fn stated(pool: &Pool, key: &str) -> String {
    match pool.restrictions.get(key) {
        Some(value) => format!("{key} = {value}"),
        None => format!("{key} is not set, which forbids"),
    }
}

pub(in crate::preflight) const EDITION_DIFFERS: Check = Rule {
    check: Some("assert_restrictions_match"),
    error: Some("LICENSE_HOST_POOL_MISMATCH"),
    side: Side::Both,
    compares: "all hosts have the same `edition`, or the joiner's ranks with the lowest of the \
               pool in the joiner's licence daemon",
    remedy: "apply the pool's edition to the joiner",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["edition"]),
        Reads::pool(Class::Host, Which::All, &["edition"]),
    ],
    ..Rule::of("edition-differs")
}
.run::<Preflight>(edition_differs);

fn edition_differs(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, me) = facts.joiner.local()?;
    let mine = me.edition.as_str();
    // In the order in which the server walks over its hosts.
    let theirs: Vec<_> =
        facts.pool.each::<Host>().rev().map(|(_, host)| host.edition.as_str()).collect();
    if theirs.iter().all(|edition| *edition == mine) {
        return Ok(());
    }
    let unknown_edition = |edition: &str| {
        Fault::new(
            "LICENSE_HOST_POOL_MISMATCH",
            [format!("Edition \"{edition}\" from pool is not known to v6d.")],
        )
    };
    let (message, fault) = match &facts.evidence.editions {
        None => {
            let stated = theirs.join(", ");
            return Err(Lost::unknown(format!(
                "the editions differ ({stated} in the pool, {mine} on the joiner), and no evidence \
                 says how the joiner's licence daemon ranks them (evidence: editions)"
            )));
        }
        Some(Editions::Unreachable) => (
            "the editions differ, and the joiner's licence daemon cannot be reached".to_owned(),
            Fault::new("INTERNAL_ERROR", ["Unix.Unix_error(Unix.ECONNREFUSED, \"connect\", \"\")"]),
        ),
        Some(Editions::V6dFailure) => (
            "the editions differ, and the joiner's licence daemon fails".to_owned(),
            Fault::new("INTERNAL_ERROR", ["V6_interface.V6_error(S(V6d_failure))"]),
        ),
        Some(Editions::ApiV6dFailure) => (
            "the editions differ, and the joiner's licence daemon fails".to_owned(),
            Fault::new(
                "V6D_FAILURE",
                [format!("The pool uses v6d. Pool edition list = [{}]", theirs.join("; "))],
            ),
        ),
        Some(Editions::Known(editions)) => {
            let rank = |title: &str| {
                editions.iter().find(|edition| edition.title == title).map(|edition| edition.order)
            };
            let mut lowest: Option<(i64, &str)> = None;
            let mut unknown = None;
            for edition in theirs.iter().chain([&mine]) {
                match rank(edition) {
                    None => {
                        unknown.get_or_insert(*edition);
                    }
                    Some(_) if std::ptr::eq(*edition, mine) => {}
                    Some(order) if lowest.is_none_or(|(lowest, _)| order < lowest) => {
                        lowest = Some((order, edition));
                    }
                    Some(_) => {}
                }
            }
            match (unknown, lowest) {
                (Some(edition), _) => (
                    format!(
                        "the joiner's licence daemon does not know the edition {}",
                        quoted(edition)
                    ),
                    unknown_edition(edition),
                ),
                (None, Some((order, edition))) if rank(mine) != Some(order) => (
                    format!("the editions differ: {edition} in the pool, {mine} on the joiner"),
                    Fault::new(
                        "LICENSE_HOST_POOL_MISMATCH",
                        [
                            format!("host edition = \"{mine}\""),
                            format!("pool edition = \"{edition}\""),
                        ],
                    ),
                ),
                _ => return Ok(()),
            }
        }
    };
    let mut editions = theirs.clone();
    editions.sort_unstable();
    editions.dedup();
    let object = object(reference, me);
    let remedy = match editions[..] {
        [edition] if me.editions.is_empty() || me.editions.iter().any(|one| one == edition) => {
            let apply = Action::HostApplyEdition {
                host: reference.clone(),
                edition: edition.to_owned(),
                before: mine.to_owned(),
            };
            Remedy::default().or(Choice::new(
                "apply-edition",
                format!("apply the pool's edition, {}, to the joiner", quoted(edition)),
            )
            .with(&object, facts.pool.snapshot, facts.joiner.snapshot, [apply]))
        }
        _ => Remedy::by_person(
            "the pool's own hosts have different editions: license them alike, then the joiner \
             (xe host-apply-edition)",
        ),
    };
    found.push(
        facts
            .finding(message)
            .fault(fault)
            .objects([object])
            .expected(editions.join(", "))
            .actual(mine)
            .remedy(remedy),
    );
    Ok(())
}
