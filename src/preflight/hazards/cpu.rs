//! CPU features: a pool has those that all its hosts have.

use std::collections::BTreeMap;

use super::{about, count, is_active};
use crate::actions::Remedy;
use crate::actions::Side;
use crate::model::object;
use crate::model::{Class, DomainType, Vm};
use crate::preflight::facts::{Check, Facts};
use crate::preflight::set::Preflight;
use crate::rules::{Found, Lost, Reads, Rule, Severity, Which};

/// A set of CPU features, as XAPI writes it: words of hexadecimal digits, separated by dashes.
struct Features(Vec<u32>);

impl Features {
    fn parse(text: &str) -> Option<Self> {
        let words = text.split('-').map(|word| u32::from_str_radix(word, 16).ok());
        words.collect::<Option<_>>().map(Self)
    }

    fn without(&self, other: &Self) -> Self {
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        Self(self.0.iter().zip(others).map(|(mine, others)| mine & !others).collect())
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    fn text(&self) -> String {
        self.0.iter().map(|word| format!("{word:08x}")).collect::<Vec<_>>().join("-")
    }
}

/// The kinds of VMs, with the key of their features in `cpu_info`.
const KINDS: [(&str, &str); 2] = [("HVM", "features_hvm"), ("PV", "features_pv")];

type Info = BTreeMap<String, String>;

/// What the first has and the second lacks, by kind of VM.
fn lacking(first: &Info, second: &Info) -> Vec<(&'static str, &'static str, Features)> {
    let features = |info: &Info, key| info.get(key).and_then(|text| Features::parse(text));
    KINDS
        .into_iter()
        .filter_map(|(kind, key)| {
            let lacking = features(first, key)?.without(&features(second, key)?);
            (lacking.count() > 0).then_some((kind, key, lacking))
        })
        .collect()
}

fn told(lacking: &[(&str, &str, Features)]) -> String {
    let each = lacking.iter().map(|(kind, _, features)| format!("{kind} {}", features.text()));
    each.collect::<Vec<_>>().join(", ")
}

pub(in crate::preflight) const POOL_CPU_LEVEL_DROPS: Check = Rule {
    severity: Severity::Hazard,
    side: Side::Both,
    compares: "the joiner's CPU has all features of the pool's level; else the level goes down, \
               and VMs that run with more cannot migrate to it until they are shut down and \
               started",
    remedy: "by hand: shut the affected VMs down and start them after the join",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["cpu_info"]),
        Reads::pool(Class::Pool, Which::All, &["cpu_info"]),
        Reads::pool(
            Class::Vm,
            Which::Each,
            &["power_state", "is_control_domain", "last_boot_CPU_flags", "domain_type"],
        ),
    ],
    ..Rule::of("pool-cpu-level-drops")
}
.run::<Preflight>(pool_cpu_level_drops);

fn pool_cpu_level_drops(facts: &Facts<'_>, found: &mut Found<'_>) -> Result<(), Lost> {
    let (_, me) = facts.joiner.local()?;
    let (_, pool) = facts.pool.pool()?;
    let lost = lacking(&pool.cpu_info, &me.cpu_info);
    if lost.is_empty() {
        return Ok(());
    }
    let affected = |vm: &Vm| {
        let kind = match vm.domain_type {
            DomainType::Pv => "PV",
            _ => "HVM",
        };
        let lost = lost.iter().find(|(lost, ..)| *lost == kind).map(|(.., features)| features);
        let booted = vm.last_boot_CPU_flags.get("features").and_then(|text| Features::parse(text));
        match (lost, booted) {
            (None, _) => false,
            // Booted with who knows what.
            (Some(_), None) => true,
            (Some(lost), Some(booted)) => {
                booted.0.iter().zip(&lost.0).any(|(booted, lost)| booted & lost != 0)
            }
        }
    };
    let vms = facts
        .pool
        .each::<Vm>()
        .filter(|(_, vm)| is_active(vm) && !vm.is_control_domain && affected(vm));
    let objects: Vec<_> = vms.map(|(reference, vm)| object(reference, vm)).collect();
    let message = match about(facts, objects.clone(), |n, names| {
        format!("{} cannot migrate to the joiner until restarted: {names}", count(n, "VM"))
    }) {
        Some(finding) => finding.message,
        None => "no active VM uses what goes".to_owned(),
    };
    let bits: u32 = lost.iter().map(|(.., features)| features.count()).sum();
    found.push(
        facts.finding(format!(
                "the joiner's CPU lacks {} of the pool's level, which goes down; {message}",
                count(bits as usize, "feature")
            ),
        )
        .objects(objects)
        .expected("all features of the pool")
        .actual(format!("without {}", told(&lost)))
        .remedy(Remedy::by_person(
            "after the join, shut the affected VMs down and start them again: they then run with \
             what all hosts have; the level rises again once the joiner leaves the pool",
        )),
    );
    Ok(())
}

pub(in crate::preflight) const JOINER_CPU_REDUCED: Check = Rule {
    severity: Severity::Notice,
    side: Side::Joiner,
    compares: "the pool's level has all features of the joiner's CPU; else VMs do not see them",
    remedy: "nothing need be done",
    reads: &[
        Reads::joiner(Class::Host, Which::Local, &["cpu_info"]),
        Reads::pool(Class::Pool, Which::All, &["cpu_info"]),
    ],
    ..Rule::of("joiner-cpu-reduced")
}
.run::<Preflight>(|facts, found| {
    let (reference, me) = facts.joiner.local()?;
    let (_, pool) = facts.pool.pool()?;
    let hidden = lacking(&me.cpu_info, &pool.cpu_info);
    if !hidden.is_empty() {
        let bits: u32 = hidden.iter().map(|(.., features)| features.count()).sum();
        found.push(
            facts
                .finding(format!(
                    "VMs will not see {} of the joiner's CPU, which the pool does not have",
                    count(bits as usize, "feature")
                ))
                .objects([object(reference, me)])
                .expected("the pool's level")
                .actual(format!("more by {}", told(&hidden))),
        );
    }
    Ok(())
});
