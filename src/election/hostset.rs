//! Sets of hosts, by index.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

use serde::{Deserialize, Serialize};

/// The most hosts that the HA daemon knows (`MAX_HOST_NUM`).
pub(super) const MAX_HOSTS: usize = 64;

/// A set of host indices from 0 to 63; as data, an integer with bit k for host k.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostSet(u64);

impl HostSet {
    /// The set without hosts.
    pub const EMPTY: Self = Self(0);

    /// The set with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The first `n` hosts; all 64 if `n` is larger.
    pub const fn first(n: usize) -> Self {
        Self(if n >= 64 { u64::MAX } else { (1 << n) - 1 })
    }

    /// The set of one host; empty for an index above 63.
    pub const fn only(host: usize) -> Self {
        Self(if host < 64 { 1 << host } else { 0 })
    }

    /// The set as an integer with bit k for host k.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether a host is in the set.
    pub const fn contains(self, host: usize) -> bool {
        host < 64 && self.0 & 1 << host != 0
    }

    /// Whether every host of this set is in the other.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the set has no host.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many hosts are in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The lowest index in the set.
    pub const fn lowest(self) -> Option<usize> {
        if self.0 == 0 { None } else { Some(self.0.trailing_zeros() as usize) }
    }

    /// The highest index in the set.
    pub const fn highest(self) -> Option<usize> {
        if self.0 == 0 { None } else { Some(63 - self.0.leading_zeros() as usize) }
    }

    /// Adds a host; an index above 63 changes nothing.
    pub fn insert(&mut self, host: usize) {
        self.0 |= Self::only(host).0;
    }

    /// Takes a host out.
    pub fn remove(&mut self, host: usize) {
        self.0 &= !Self::only(host).0;
    }

    /// The set without one host.
    #[must_use]
    pub const fn without(self, host: usize) -> Self {
        Self(self.0 & !Self::only(host).0)
    }

    /// The hosts of the set, lowest index first.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = usize> {
        Iter(self)
    }
}

impl BitAnd for HostSet {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for HostSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Sub for HostSet {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<usize> for HostSet {
    fn from_iter<I: IntoIterator<Item = usize>>(hosts: I) -> Self {
        hosts.into_iter().fold(Self::EMPTY, |set, host| set | Self::only(host))
    }
}

impl fmt::Debug for HostSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Walks a [`HostSet`], lowest index first.
struct Iter(HostSet);

impl Iterator for Iter {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let host = self.0.lowest()?;
        self.0.remove(host);
        Some(host)
    }
}

impl DoubleEndedIterator for Iter {
    fn next_back(&mut self) -> Option<usize> {
        let host = self.0.highest()?;
        self.0.remove(host);
        Some(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_the_indices_0_to_63() {
        let set: HostSet = [63, 0, 5, 64, 1000].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(set.iter().rev().collect::<Vec<_>>(), [63, 5, 0]);
        assert_eq!((set.lowest(), set.highest(), set.len()), (Some(0), Some(63), 3));
        assert!(!set.contains(64) && set.without(63).is_subset(HostSet::first(6)));
        assert_eq!(HostSet::first(64), HostSet::first(usize::MAX));
        assert_eq!(HostSet::EMPTY.lowest(), None);
    }
}
