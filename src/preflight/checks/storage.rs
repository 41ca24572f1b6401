//! Storage that the joiner may not bring.

use crate::actions::Side;
use crate::actions::{Action, Choice, Remedy};
use crate::model::object;
use crate::model::{Class, Pbd, Ref, Sr};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Which};

use super::vms::names;

pub(in crate::preflight) const SHARED_STORAGE: Check = Rule {
    check: Some("assert_no_shared_srs_on_me"),
    error: Some("JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS"),
    side: Side::Joiner,
    compares: "the joiner has no shared SR but that of the guest tools; detached ones count too",
    remedy: "disconnect and forget the SR (its data stays), or destroy it",
    reads: &[Reads::joiner(Class::Sr, Which::Each, &["shared", "is_tools_sr"])],
    ..Rule::of("shared-storage")
}
.run::<Preflight>(shared_storage);

fn shared_storage(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let shared: Vec<_> =
        facts.joiner.each::<Sr>().filter(|(_, sr)| sr.shared && !sr.is_tools_sr).collect();
    if shared.is_empty() {
        return Ok(());
    }
    let (pool, joiner) = (facts.pool.snapshot, facts.joiner.snapshot);
    let forget = shared.iter().fold(
        Choice::new("forget", "disconnect and forget it; the data stays where it is"),
        |choice, (reference, sr)| {
            choice.with(&object(reference, sr), pool, joiner, forgetting(facts, reference, sr))
        },
    );
    let destroy = shared.iter().fold(
        Choice::new(
            "destroy",
            "delete its disks and destroy it, for all hosts that use it; forget it where it is not \
             connected",
        ),
        |choice, (reference, sr)| {
            let actions = match pbds(facts, sr).any(|(_, pbd)| pbd.currently_attached) {
                true => destroying(reference, sr),
                false => forgetting(facts, reference, sr),
            };
            choice.with(&object(reference, sr), pool, joiner, actions)
        },
    );
    let disks: usize = shared.iter().map(|(_, sr)| sr.VDIs.len()).sum();
    let objects = shared.iter().map(|(reference, sr)| object(reference, sr));
    found.push(
        facts
            .finding(format!(
                "the joiner has shared storage: {}; VMs keep no disks on it once it is forgotten \
                 ({disks} {} there)",
                names(objects.clone()),
                if disks == 1 { "disk lies" } else { "disks lie" }
            ))
            .refused()
            .objects(objects)
            .expected("no shared SR beside the guest tools")
            .actual(shared.iter().map(|(_, sr)| sr.r#type.as_str()).collect::<Vec<_>>().join(", "))
            .remedy(Remedy::default().or(forget).or(destroy)),
    );
    Ok(())
}

pub(in crate::preflight) fn pbds<'a>(
    facts: &Facts<'a>,
    sr: &'a Sr,
) -> impl Iterator<Item = (&'a Ref<Pbd>, &'a Pbd)> {
    let snapshot = facts.joiner.snapshot;
    sr.PBDs.iter().filter_map(|pbd| Some((pbd, snapshot.get(pbd)?)))
}

pub(in crate::preflight) fn forgetting(
    facts: &Facts<'_>,
    reference: &Ref<Sr>,
    sr: &Sr,
) -> Vec<Action> {
    pbds(facts, sr)
        .filter(|(_, pbd)| pbd.currently_attached)
        .map(|(pbd, _)| Action::PbdUnplug { pbd: pbd.clone() })
        .chain([Action::SrForget { sr: reference.clone() }])
        .collect()
}

pub(in crate::preflight) fn destroying(reference: &Ref<Sr>, sr: &Sr) -> Vec<Action> {
    sr.VDIs
        .iter()
        .map(|vdi| Action::VdiDestroy { vdi: vdi.clone() })
        .chain([Action::SrDestroy { sr: reference.clone() }])
        .collect()
}
