//! What licences permit.

use crate::error::Fault;
use crate::model::{Class, Pool};
use crate::preflight::engine::{Found, Lost};
use crate::preflight::facts::{Facts, object};
use crate::preflight::finding::{Finding, Side};
use crate::preflight::remedy::Remedy;
use crate::preflight::rule::{Reads, Rule, RuleCode, Scope};

/// A restricted pool may have so many hosts (`Xapi_globs.restricted_pool_size`).
const RESTRICTED_POOL_SIZE: usize = 3;

pub(in crate::preflight) static POOLING_UNLICENSED: Rule = Rule {
    check: Some("assert_pooling_licensed"),
    error: Some("LICENCE_RESTRICTION"),
    side: Side::Joiner,
    compares: "the joiner's `pool.restrictions` permits pooling: `restrict_pooling` is \"false\"",
    remedy: "by hand: apply a licence that permits pooling",
    reads: &[Reads::joiner(Class::Pool, Scope::All, &["restrictions"])],
    run: pooling_unlicensed,
    ..Rule::of(RuleCode::PoolingUnlicensed)
};

fn pooling_unlicensed(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, pool) = facts.joiner.pool()?;
    if restricted(pool, "restrict_pooling") {
        found.push(
            Finding::new(
                &POOLING_UNLICENSED,
                "the joiner's licence does not permit it to be in a pool",
            )
            .fault(Fault::bare("LICENCE_RESTRICTION"))
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

pub(in crate::preflight) static POOL_SIZE_RESTRICTED: Rule = Rule {
    check: Some("assert_pool_size_unrestricted"),
    error: Some("LICENCE_RESTRICTION"),
    side: Side::Joiner,
    compares: "the joiner's `pool.restrictions` permits pools of any size, or the pool has fewer \
               than three hosts",
    remedy: "by hand: apply a licence without this limit",
    reads: &[
        Reads::joiner(Class::Pool, Scope::All, &["restrictions"]),
        Reads::pool(Class::Host, Scope::All, &[]),
    ],
    run: pool_size_restricted,
    ..Rule::of(RuleCode::PoolSizeRestricted)
};

fn pool_size_restricted(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (reference, pool) = facts.joiner.pool()?;
    let hosts = facts.pool.snapshot.host.len();
    if restricted(pool, "restrict_pool_size") && hosts >= RESTRICTED_POOL_SIZE {
        found.push(
            Finding::new(
                &POOL_SIZE_RESTRICTED,
                format!(
                    "the joiner's licence limits pools to {RESTRICTED_POOL_SIZE} hosts, and the \
                     pool has {hosts}"
                ),
            )
            .fault(Fault::new("LICENCE_RESTRICTION", ["Pool_size"]))
            .objects([object(reference, pool)])
            .expected(format!("restrict_pool_size = false, or fewer than {RESTRICTED_POOL_SIZE} hosts"))
            .actual(format!("{}, {hosts} hosts", stated(pool, "restrict_pool_size")))
            .remedy(Remedy::by_person(
                "apply a licence without a limit of pool size to the joiner (xe host-apply-edition)",
            )),
        );
    }
    Ok(())
}

/// Only the very text "false" permits; a missing key forbids (`Features.of_assoc_list`).
fn restricted(pool: &Pool, key: &str) -> bool {
    pool.restrictions.get(key).map(String::as_str) != Some("false")
}

fn stated(pool: &Pool, key: &str) -> String {
    match pool.restrictions.get(key) {
        Some(value) => format!("{key} = {value}"),
        None => format!("{key} is not set, which forbids"),
    }
}
