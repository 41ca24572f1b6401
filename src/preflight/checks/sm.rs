//! Storage drivers: the joiner's can do what the pool's can.

use std::collections::BTreeMap;

use crate::actions::Remedy;
use crate::actions::Side;
use crate::error::Fault;
use crate::model::object;
use crate::model::{Class, Sm};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Since, Which};

pub(in crate::preflight) const STORAGE_DRIVERS_DIFFER: Check = Rule {
    check: Some("assert_sm_features_compatible"),
    error: Some("POOL_JOINING_SM_FEATURES_INCOMPATIBLE"),
    since: Since::of(24, 37, 0),
    side: Side::Joiner,
    compares: "for each storage driver of the pool the joiner has exactly one of the same type, \
               with every feature in the same version or a newer one",
    remedy: "by hand: install or update the joiner's storage drivers",
    reads: &[
        Reads::joiner(Class::Sm, Which::All, &["type", "features"]),
        Reads::pool(Class::Sm, Which::Each, &["type", "features"]),
    ],
    ..Rule::of("storage-drivers-differ")
}
.run::<Preflight>(storage_drivers_differ);

fn storage_drivers_differ(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let mut mine = BTreeMap::<&str, Vec<_>>::new();
    for (reference, sm) in facts.joiner.each::<Sm>() {
        mine.entry(&sm.r#type).or_default().push((reference, sm));
    }
    let mut fault = None;
    let (mut objects, mut expected, mut actual) = (Vec::new(), Vec::new(), Vec::new());
    for (reference, theirs) in facts.pool.each::<Sm>().rev() {
        let kind = theirs.r#type.as_str();
        let (counterpart, what) = match mine.get(kind).map_or(&[][..], Vec::as_slice) {
            [(mine_ref, mine)] => {
                let lacking: Vec<_> = theirs
                    .features
                    .iter()
                    .filter(|(feature, version)| {
                        mine.features.get(*feature).is_none_or(|mine| mine < *version)
                    })
                    .collect();
                if lacking.is_empty() {
                    continue;
                }
                let wanted: Vec<_> =
                    lacking.iter().map(|(name, version)| format!("{name} {version}")).collect();
                let there: Vec<_> = lacking
                    .iter()
                    .map(|(name, _)| match mine.features.get(*name) {
                        Some(version) => format!("{name} {version}"),
                        None => format!("no {name}"),
                    })
                    .collect();
                objects.push(object(*mine_ref, *mine));
                (mine_ref.to_string(), (wanted.join(", "), there.join(", ")))
            }
            several => {
                objects.push(object(reference, theirs));
                let there = match several.len() {
                    0 => "none".to_owned(),
                    n => n.to_string(),
                };
                (String::new(), ("one driver".to_owned(), there))
            }
        };
        expected.push(format!("{kind}: {}", what.0));
        actual.push(format!("{kind}: {}", what.1));
        fault.get_or_insert_with(|| {
            Fault::new(
                "POOL_JOINING_SM_FEATURES_INCOMPATIBLE",
                [reference.to_string(), counterpart],
            )
        });
    }
    let Some(fault) = fault else { return Ok(()) };
    found.push(
        facts.finding(format!(
                "the joiner's storage drivers cannot do what the pool's can: {}",
                actual.join("; ")
            ),
        )
        .fault(fault)
        .objects(objects)
        .expected(expected.join("; "))
        .actual(actual.join("; "))
        .remedy(Remedy::by_person(
            "install the missing storage drivers on the joiner, or update it to the pool's level",
        )),
    );
    Ok(())
}
