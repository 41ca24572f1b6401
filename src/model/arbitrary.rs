//! Snapshots as no server would send them, for property tests (feature `proptest`).
//!
//! Records with missing fields, refs that lead nowhere or to the wrong object, classes that are not
//! covered: whoever reads snapshots must not panic on any of them.
//!
//! # Example
//! ```
//! use proptest::prelude::*;
//! use xcp_pool::model::arbitrary::snapshot;
//!
//! proptest!(|(snapshot in snapshot())| {
//!     let _ = snapshot.master();
//! });
//! ```

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Absent, Class, Problem, Record, Ref, Snapshot, Table, Timestamp, Uuid, with_class};

/// Any snapshot; it shrinks towards the empty one.
pub fn snapshot() -> impl Strategy<Value = Snapshot> {
    vec(any::<u8>(), 0..2048).prop_map(|bytes| Source::new(&bytes).snapshot())
}

impl Snapshot {
    /// Takes fields away from all records of a class.
    ///
    /// As if the source had not had them.
    pub fn lose_fields(&mut self, class: Class, is_lost: impl Fn(&str) -> bool) {
        with_class!(class, T => {
            let fields = T::FIELDS.iter().enumerate().filter(|(_, field)| is_lost(field));
            let lost = fields.fold(0, |bits, (n, _)| bits | 1_u128 << n);
            let rows = T::table(self).iter();
            let rows: Vec<_> = rows.map(|(r, record)| (r.clone(), record.clone())).collect();
            for (reference, mut record) in rows {
                record.lose(lost);
                T::table_mut(self).insert(reference, record);
            }
        });
    }

    /// Takes a class away, as if the source had not covered it.
    pub fn lose_class(&mut self, class: Class) {
        with_class!(class, T => *T::table_mut(self) = Table::default());
    }
}

/// Values drawn from bytes; nothing but zeros where they have run out.
pub(crate) struct Source<'a>(std::slice::Iter<'a, u8>);

impl<'a> Source<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        // What most depends on comes first, while there are bytes.
        for class in Class::ALL {
            with_class!(*class, T => {
                // Most classes are covered, the first records are the likeliest.
                let table = T::table_mut(&mut snapshot);
                if self.byte() % 8 != 7 {
                    table.cover();
                    for _ in 0..self.byte() % 4 {
                        let reference = Drawn::drawn(self);
                        table.insert(reference, T::drawn(self));
                    }
                }
            });
        }
        for _ in 0..self.byte().saturating_sub(250) {
            let class = Class::ALL[usize::from(self.byte()) % Class::ALL.len()];
            let reference = Ref::<super::Host>::drawn(self).to_string();
            snapshot.problems.push(Problem::new(class, reference, "uuid: invalid type: null"));
        }
        snapshot
    }

    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::from(self.byte()) % values.len()]
    }

    /// Mostly none of `n` fields, else a few.
    pub(crate) fn absent(&mut self, n: usize) -> Absent {
        let mut absent = Absent::default();
        for _ in 0..self.byte().saturating_sub(224) % 4 {
            absent.insert(usize::from(self.byte()) % n);
        }
        absent
    }
}

/// Types whose values can be drawn from bytes.
pub(crate) trait Drawn: Sized {
    fn drawn(source: &mut Source<'_>) -> Self;
}

impl Drawn for bool {
    fn drawn(source: &mut Source<'_>) -> Self {
        source.byte() & 1 == 1
    }
}

impl Drawn for i64 {
    fn drawn(source: &mut Source<'_>) -> Self {
        source.one_of(&[0, -1, 1, 2, 21, 50, 1500, 9000, i64::MAX, i64::MIN])
    }
}

impl Drawn for f64 {
    fn drawn(source: &mut Source<'_>) -> Self {
        source.one_of(&[0.0, 0.5, 1.0, -1.0, f64::MAX])
    }
}

impl Drawn for String {
    fn drawn(source: &mut Source<'_>) -> Self {
        source.one_of(WORDS).to_owned()
    }
}

impl Drawn for Uuid {
    fn drawn(source: &mut Source<'_>) -> Self {
        Self::new(source.one_of(&["", "a", "b", "c", "00000000-0000-4000-8000-000000000001"]))
    }
}

impl Drawn for Timestamp {
    fn drawn(source: &mut Source<'_>) -> Self {
        Self(source.one_of(&[0, 1_767_225_600, 4_102_444_800, -1, i64::MAX, i64::MIN]))
    }
}

impl<T> Drawn for Ref<T> {
    fn drawn(source: &mut Source<'_>) -> Self {
        Self::new(source.one_of(&[
            "OpaqueRef:a",
            "OpaqueRef:b",
            "OpaqueRef:c",
            "OpaqueRef:NULL",
            "OpaqueRef:00000000-0000-4000-8000-000000000001",
            "Ref:12",
            "",
        ]))
    }
}

impl<T: Drawn> Drawn for Vec<T> {
    fn drawn(source: &mut Source<'_>) -> Self {
        (0..source.byte() % 4).map(|_| T::drawn(source)).collect()
    }
}

impl<K: Drawn + Ord, V: Drawn> Drawn for BTreeMap<K, V> {
    fn drawn(source: &mut Source<'_>) -> Self {
        (0..source.byte() % 4).map(|_| (K::drawn(source), V::drawn(source))).collect()
    }
}

impl<T: Drawn> Drawn for Option<T> {
    fn drawn(source: &mut Source<'_>) -> Self {
        (source.byte() % 8 != 7).then(|| T::drawn(source))
    }
}

/// Texts that rules look for, and some that they do not.
const WORDS: &[&str] = &[
    "",
    "true",
    "false",
    "eth0",
    "eth1",
    "bond0",
    "xenbr0",
    "xenbr1",
    "xapi0",
    "xenapi",
    "openvswitch",
    "bridge",
    "GenuineIntel",
    "AuthenticAMD",
    "vendor",
    "features_hvm",
    "features_pv",
    "features",
    "1fcbfbff-80b82221",
    "ffffffff",
    "-",
    "zz",
    "xapi",
    "xapi_build",
    "26.17.0",
    "1.20",
    "99999999999999999999",
    "platform_version",
    "product_brand",
    "git_id",
    "db_schema",
    "network_backend",
    "xs:linux",
    "restrict_pooling",
    "restrict_pool_size",
    "mac_seed",
    "default_template",
    "is_host_internal_management_network",
    "i18n-key",
    "local-storage",
    "cifspassword_secret",
    "rolling_upgrade_in_progress",
    "udev",
    "nfs",
    "iso",
    "AD",
    "corp.example",
    "CORP.example",
    "10.0.0.1",
    "fe80::1/64",
    "É",
];
