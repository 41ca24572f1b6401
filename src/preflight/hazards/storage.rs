//! Storage that comes along, or does not.

use super::{about, count};
use crate::actions::Side;
use crate::actions::{Choice, Remedy};
use crate::model::Object;
use crate::model::object;
use crate::model::{Class, Pbd, Ref, Sr};
use crate::preflight::checks::storage::{destroying, forgetting, pbds};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Severity, Which};

/// Whether an installation makes this SR by itself: the first disks, the drives, the guest tools.
fn is_of_the_installation(sr: &Sr) -> bool {
    match sr.other_config.get("i18n-key").map(String::as_str) {
        Some("local-storage" | "local-hotplug-disk" | "local-hotplug-cd") => true,
        _ => sr.is_tools_sr || sr.r#type == "udev" || sr.name_label == "Local storage",
    }
}

pub(in crate::preflight) const EXTRA_LOCAL_STORAGE: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    documented: true,
    compares: "the joiner has no local SRs but those of its installation; others come along, too",
    remedy: "disconnect and forget the SR (its data stays), or destroy it",
    reads: &[Reads::joiner(
        Class::Sr,
        Which::Each,
        &["shared", "is_tools_sr", "type", "other_config", "name_label"],
    )],
    ..Rule::of("extra-local-storage")
}
.run::<Preflight>(extra_local_storage);

fn extra_local_storage(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let extra: Vec<_> = facts
        .joiner
        .each::<Sr>()
        .filter(|(_, sr)| !sr.shared && !is_of_the_installation(sr))
        .collect();
    let objects = extra.iter().map(|(reference, sr)| object(*reference, *sr)).collect();
    let finding = about(facts, objects, |n, names| {
        format!("{} of the joiner will move into the pool: {names}", count(n, "extra local SR"))
    });
    let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
    found.extend(finding.map(|finding| {
        let forget = extra.iter().fold(
            Choice::new("forget", "disconnect and forget it; the data stays where it is"),
            |choice, (reference, sr)| {
                let actions = forgetting(facts, reference, sr);
                choice.with(&object(*reference, *sr), pool, joiner, actions)
            },
        );
        let destroy = extra.iter().fold(
            Choice::new(
                "destroy",
                "delete its disks and destroy it; forget it where it is not connected",
            ),
            |choice, (reference, sr)| {
                let actions = match pbds(facts, sr).any(|(_, pbd)| pbd.currently_attached) {
                    true => destroying(reference, sr),
                    false => forgetting(facts, reference, sr),
                };
                choice.with(&object(*reference, *sr), pool, joiner, actions)
            },
        );
        finding.remedy(Remedy::default().or(forget).or(destroy))
    }));
    Ok(())
}

pub(in crate::preflight) const STORAGE_SECRETS_LOST: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Joiner,
    compares: "no connection (PBD) of the joiner's SRs has a secret in its `device_config`; it \
               would be lost, and its SR stay unconnected",
    remedy: "by hand: connect the SR again after the join",
    reads: &[
        Reads::joiner(Class::Pbd, Which::Each, &["device_config", "SR"]),
        Reads::joiner(Class::Sr, Which::Each, &["shared"]),
    ],
    ..Rule::of("storage-secrets-lost")
}
.run::<Preflight>(storage_secrets_lost);

fn storage_secrets_lost(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let secret = |pbd: &Pbd| pbd.device_config.keys().any(|key| key.ends_with("_secret"));
    let objects = facts
        .joiner
        .each::<Pbd>()
        .filter(|(_, pbd)| secret(pbd))
        .filter_map(|(reference, pbd)| {
            // A shared SR must go before the join anyhow.
            let sr = facts.joiner.snapshot.get(&pbd.SR).filter(|sr| !sr.shared)?;
            Some(Object::of(reference, pbd, sr.name_label.as_str()))
        })
        .collect();
    let finding = about(facts, objects, |_, names| {
        format!("the pool will know these SRs, but no longer how to connect to them: {names}")
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person(
            "note the credentials, and connect the SR again after the join (xe pbd-create, xe \
             pbd-plug)",
        ))
    }));
    Ok(())
}

pub(in crate::preflight) const STORAGE_ALREADY_KNOWN: Check = Rule {
    severity: Severity::Notice,
    side: Side::Both,
    compares: "the pool knows no SR of the joiner's by uuid; its own record would be used",
    remedy: "by hand: forget the stale record in the pool",
    reads: &[
        Reads::joiner(Class::Sr, Which::Each, &["uuid", "is_tools_sr"]),
        Reads::pool(Class::Sr, Which::All, &["uuid"]),
    ],
    ..Rule::of("storage-already-known")
}
.run::<Preflight>(|facts, found| {
    let known: Vec<(&Ref<Sr>, &Sr)> = facts
        .joiner
        .each::<Sr>()
        .filter(|(_, sr)| !sr.is_tools_sr && !sr.uuid.is_empty())
        .filter_map(|(_, sr)| facts.pool.snapshot.sr.by_uuid(&sr.uuid))
        .collect();
    let objects = known.into_iter().map(|(reference, sr)| object(reference, sr)).collect();
    let finding = about(facts, objects, |_, names| {
        format!("the pool has SRs of the joiner on record, and will use that record: {names}")
    });
    found.extend(finding.map(|finding| {
        finding.remedy(Remedy::by_person(
            "if the records are stale, of an earlier membership say, forget those SRs in the pool \
             first (xe sr-forget)",
        ))
    }));
    Ok(())
});
