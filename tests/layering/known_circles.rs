//! The circles between files that wait to be untied.

/// Files that lead to each other. To be untied, so the list only shrinks: a circle that is not here
/// letter for letter fails, and so does one that is here and no more.
pub(crate) const KNOWN_CIRCLES: &[&[&str]] = &[
    &["ffi/control.rs", "ffi/operations.rs"],
    &["ffi/transport/custom.rs", "ffi/transport/mod.rs", "ffi/trust.rs"],
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
    &[
        "plan/consent.rs",
        "plan/hand_over.rs",
        "plan/join.rs",
        "plan/join_many.rs",
        "plan/maintenance.rs",
        "plan/mod.rs",
        "plan/step.rs",
    ],
    &[
        "preflight/arbitrary/clean.rs",
        "preflight/arbitrary/mod.rs",
        "preflight/arbitrary/offence.rs",
    ],
    &["transport/http/pins.rs", "transport/http/trust.rs"],
    &["wire/call.rs", "wire/params.rs"],
];
