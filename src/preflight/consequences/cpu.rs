//! The pool's CPU level, and whom its change concerns.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::cpu_names::name;
use super::forecast::Forecast;
use super::import::{as_vm, domain_type};
use crate::actions::Side;
use crate::model::{Class, DomainType, Host, Object, Pool, PowerState, Ref, Snapshot, Vm, object};

/// The pool's CPU level before and after the new member's start.
///
/// XAPI recomputes it from all hosts whenever one starts (`Create_misc.create_pool_cpuinfo`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cpu {
    /// The pool's CPU vendor, as its record says; empty if it does not.
    pub vendor: String,
    /// The joiner's CPU vendor.
    pub joiner_vendor: String,
    /// The sets of features that the pool keeps.
    pub levels: Vec<CpuLevel>,
    /// VMs in the pool that use what the new member lacks.
    ///
    /// They run, or are paused or suspended.
    ///
    /// They go on where they are, and cannot move to the new member before they are restarted
    /// (`Cpuid_helpers.assert_vm_is_compatible`). Missing if that is not known.
    pub confined: Option<Vec<Confined>>,
    /// Suspended VMs of the joiner's that use what some member of the pool lacks.
    ///
    /// They can resume on the new member alone. Missing if that is not known.
    pub bound: Option<Vec<Confined>>,
}

/// One set of CPU features of the pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CpuLevel {
    /// The key of `pool.cpu_info`, such as `features_hvm_host`.
    pub key: String,
    /// The pool's set before.
    pub before: CpuFeatures,
    /// The joiner's own set.
    pub joiner: CpuFeatures,
    /// The pool's set after: what all hosts have.
    pub after: CpuFeatures,
    /// What the pool loses; VMs that start from then on do without.
    pub lost: Vec<CpuFeature>,
    /// What the joiner has and the pool does not use.
    pub unused: Vec<CpuFeature>,
}

/// A VM that cannot go everywhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Confined {
    /// The VM.
    #[serde(serialize_with = "as_vm")]
    pub vm: Object,
    /// Its power state.
    pub power_state: PowerState,
    /// Whether it was started on a CPU of another vendor.
    pub vendor_differs: bool,
    /// The features that it was started with, and that are missing there.
    pub missing: Vec<CpuFeature>,
}

/// A set of CPU features, in words of 32 bits as Xen orders them.
#[derive(Clone, Debug, Default)]
pub struct CpuFeatures(Vec<u32>);

/// One CPU feature, by its place in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a bit has no other place")]
pub struct CpuFeature {
    /// The word, from 0.
    pub word: usize,
    /// The bit in the word, from 0.
    pub bit: u32,
}

impl CpuFeatures {
    /// Reads a set as XAPI writes it: words in hexadecimal, joined by dashes.
    ///
    /// Nothing if the text is no such set.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let word = |word: &str| {
            let hex = word.bytes().all(|digit| digit.is_ascii_hexdigit());
            hex.then(|| u32::from_str_radix(word, 16).ok()).flatten()
        };
        text.split('-').map(word).collect::<Option<_>>().map(Self)
    }

    /// Whether it holds a feature.
    pub fn contains(&self, feature: CpuFeature) -> bool {
        self.0.get(feature.word).is_some_and(|word| word >> feature.bit & 1 == 1)
    }

    /// What it holds and the other does not.
    pub fn without(&self, other: &Self) -> Vec<CpuFeature> {
        let mut features = Vec::new();
        for (word, bits) in self.0.iter().enumerate() {
            let mut rest = bits & !other.0.get(word).copied().unwrap_or(0);
            while rest != 0 {
                features.push(CpuFeature { word, bit: rest.trailing_zeros() });
                rest &= rest - 1;
            }
        }
        features
    }

    /// What both hold.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl PartialEq for CpuFeatures {
    /// Words that are missing count as empty.
    fn eq(&self, other: &Self) -> bool {
        self.without(other).is_empty() && other.without(self).is_empty()
    }
}

impl Eq for CpuFeatures {}

impl fmt::Display for CpuFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, word) in self.0.iter().enumerate() {
            write!(f, "{}{word:08x}", if n > 0 { "-" } else { "" })?;
        }
        Ok(())
    }
}

impl Serialize for CpuFeatures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for CpuFeature {
    /// Its name, or `word:bit` where this crate knows none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(self.word, self.bit) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}:{}", self.word, self.bit),
        }
    }
}

impl Serialize for CpuFeature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const HIDES: &str = "the pool's CPU level";
const VMS: &str = "which VMs the CPU levels confine";

/// Foretells the pool's CPU level.
pub(super) fn foretell(f: &mut Forecast<'_>) -> Option<Cpu> {
    let known = f.knows::<Pool>(Side::Pool, &["cpu_info"], HIDES)
        & f.knows::<Host>(Side::Pool, &["uuid", "cpu_info"], HIDES)
        & f.knows::<Host>(Side::Joiner, &["uuid", "cpu_info"], HIDES);
    let (_, me) = f.me.filter(|_| known)?;
    let (_, pool) = f.pool.the_pool().ok()?;
    let vendor = |map: &BTreeMap<String, String>| map.get("vendor").cloned().unwrap_or_default();
    let members: Vec<&Host> = f.pool.host.records().filter(|host| host.uuid != me.uuid).collect();
    let keys = pool.cpu_info.iter().filter(|(key, _)| key.starts_with("features"));
    let levels: Vec<_> =
        keys.filter_map(|(key, before)| level(f, key, before, &members, me)).collect();
    if levels.is_empty() {
        f.gap(Side::Pool, Class::Pool, Some("cpu_info"), HIDES);
    }
    let (confined, bound) = (confined(f, me), bound(f, &members));
    Some(Cpu {
        vendor: vendor(&pool.cpu_info),
        joiner_vendor: vendor(&me.cpu_info),
        levels,
        confined,
        bound,
    })
}

fn level(
    f: &mut Forecast<'_>,
    key: &str,
    before: &str,
    members: &[&Host],
    me: &Host,
) -> Option<CpuLevel> {
    let set = |host: &Host| host.cpu_info.get(key).and_then(|text| CpuFeatures::parse(text));
    let before = CpuFeatures::parse(before);
    if before.is_none() {
        f.gap(Side::Pool, Class::Pool, Some("cpu_info"), HIDES);
    }
    let joiner = set(me);
    if joiner.is_none() {
        f.gap(Side::Joiner, Class::Host, Some("cpu_info"), HIDES);
    }
    let (before, joiner) = (before?, joiner?);
    // A member whose record lacks the key is left out, as the server does; an empty set is neutral.
    let sets = members.iter().filter_map(|host| set(host)).chain([joiner.clone()]);
    let after = sets.filter(|set| !set.is_empty()).reduce(|all, set| all.and(&set));
    let after = after.unwrap_or_default();
    let (lost, unused) = (before.without(&after), joiner.without(&after));
    Some(CpuLevel { key: key.to_owned(), before, joiner, after, lost, unused })
}

/// What a host offers to VMs that move there.
struct Offer<'a> {
    vendor: Option<&'a str>,
    hvm: Option<CpuFeatures>,
    pv: Option<CpuFeatures>,
}

impl<'a> Offer<'a> {
    fn of(host: &'a Host) -> Self {
        let set = |key| host.cpu_info.get(key).and_then(|text| CpuFeatures::parse(text));
        let vendor = host.cpu_info.get("vendor").map(String::as_str);
        Self { vendor, hvm: set("features_hvm"), pv: set("features_pv") }
    }
}

/// Finds the VMs that cannot go to some host, by what they were started with.
struct Search<'a> {
    snapshot: &'a Snapshot,
    /// The last set that was read, as most VMs were started with the same.
    last: (&'a str, Option<CpuFeatures>),
}

impl<'a> Search<'a> {
    fn confined(
        &mut self,
        (reference, vm): (&Ref<Vm>, &'a Vm),
        offers: &[Offer<'_>],
    ) -> Option<Confined> {
        let text = vm.last_boot_CPU_flags.get("features").map_or("", String::as_str);
        if self.last.0 != text {
            self.last = (text, CpuFeatures::parse(text));
        }
        let features = self.last.1.as_ref();
        let vendor = vm.last_boot_CPU_flags.get("vendor").map(String::as_str);
        let metrics = self.snapshot.vm_metrics.get(&vm.metrics);
        let mode = metrics.map(|metrics| metrics.current_domain_type.clone());
        let mode = mode.filter(|mode| *mode != DomainType::Unspecified);
        let pv = mode.unwrap_or_else(|| domain_type(vm)) == DomainType::Pv;
        offers.iter().find_map(|offer| {
            let vendor_differs = vendor.zip(offer.vendor).is_some_and(|(vm, host)| vm != host);
            let offered = if pv { &offer.pv } else { &offer.hvm };
            let missing = features.zip(offered.as_ref()).map(|(vm, host)| vm.without(host));
            let missing = missing.unwrap_or_default();
            let power_state = vm.power_state.clone();
            (vendor_differs || !missing.is_empty()).then(|| Confined {
                vm: object(reference, vm),
                power_state,
                vendor_differs,
                missing,
            })
        })
    }
}

/// VMs of the pool that the new member is no home for.
fn confined(f: &mut Forecast<'_>, me: &Host) -> Option<Vec<Confined>> {
    if !f.knows::<Vm>(Side::Pool, &["uuid", "power_state", "last_boot_CPU_flags"], VMS) {
        return None;
    }
    let offers = [Offer::of(me)];
    let mut search = Search { snapshot: f.pool, last: ("", None) };
    let vms = f.pool.vm.iter().filter(|(reference, vm)| {
        let up = vm.power_state != PowerState::Halted && !vm.is_a_snapshot;
        up && !f.pool.is_domain_zero(reference, vm)
    });
    Some(vms.filter_map(|vm| search.confined(vm, &offers)).collect())
}

/// Suspended VMs of the joiner's that not every member can resume.
fn bound(f: &mut Forecast<'_>, members: &[&Host]) -> Option<Vec<Confined>> {
    if !f.knows::<Vm>(Side::Joiner, &["uuid", "power_state", "last_boot_CPU_flags"], VMS) {
        return None;
    }
    let offers: Vec<_> = members.iter().map(|host| Offer::of(host)).collect();
    let mut search = Search { snapshot: f.joiner, last: ("", None) };
    let vms = f.joiner.vm.iter();
    let vms = vms.filter(|(_, vm)| vm.power_state == PowerState::Suspended && !vm.is_a_snapshot);
    Some(vms.filter_map(|vm| search.confined(vm, &offers)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_sets_are_read_compared_and_named() {
        let old =
            CpuFeatures::parse("1fcbfbff-80ba2221-2d93fbff-00000001-00000001-00000020").unwrap();
        let new = CpuFeatures::parse("1fcbfbff-80ba2221-2d93fbff-00000001").unwrap();
        let lost: Vec<_> = old.without(&new).iter().map(ToString::to_string).collect();
        assert_eq!(lost, ["xsaveopt", "avx2"]);
        assert_eq!(old.and(&new), new);
        assert!(
            old.contains(CpuFeature { word: 5, bit: 5 })
                && !new.contains(CpuFeature { word: 9, bit: 0 })
        );
        assert_eq!(CpuFeatures::parse("00000000-0"), CpuFeatures::parse(""));
        assert_eq!(old.to_string(), "1fcbfbff-80ba2221-2d93fbff-00000001-00000001-00000020");
        assert_eq!(CpuFeature { word: 14, bit: 3 }.to_string(), "14:3");
    }

    #[test]
    fn what_is_no_feature_set_is_not_read() {
        for text in ["fpu vme", "-", "1fcbfbff-", "1234567890", "+1", "0x1"] {
            assert!(CpuFeatures::parse(text).is_none(), "{text}");
        }
    }
}
