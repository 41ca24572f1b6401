//! The circles between files that are meant to be.

/// Files that lead to each other. A circle that is not here letter for letter fails, and so does one
/// that is here and no more.
pub(crate) const KNOWN_CIRCLES: &[&[&str]] = &[
    // XAPI's classes name each other: a VM has the ref of its host, a host those of its VMs. And a
    // ref is of a record, which knows its table in the snapshot that holds all tables, so that
    // `snapshot.get(&vm.resident_on)` is a host and no other class. Cutting that would cost the types
    // of the refs. Strategies for these records stand at the records, and so in the circle.
    &[
        "model/arbitrary.rs",
        "model/enums.rs",
        "model/gpu.rs",
        "model/host.rs",
        "model/network.rs",
        "model/pool.rs",
        "model/record.rs",
        "model/snapshot.rs",
        "model/storage.rs",
        "model/table.rs",
        "model/vm.rs",
    ],
];
