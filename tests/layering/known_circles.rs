//! The circles between files that wait to be untied.

/// Files that lead to each other. To be untied, so the list only shrinks: a circle that is not here
/// letter for letter fails, and so does one that is here and no more.
pub const KNOWN_CIRCLES: &[&[&str]] = &[
    &["election/partition/local.rs", "election/partition/views.rs"],
    &["election/partition/outcome.rs", "election/partition/scenario.rs"],
    &["failover/boot.rs", "failover/cpu.rs"],
    &["ffi/boundary.rs", "ffi/error.rs"],
    &["ffi/control.rs", "ffi/operations.rs"],
    &["ffi/simulator/mod.rs", "ffi/simulator/scene.rs"],
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
    &["simulator/database/mod.rs", "simulator/database/object.rs", "simulator/database/table.rs"],
    &["simulator/front/connection.rs", "simulator/front/doors.rs", "simulator/front/tls.rs"],
    &["simulator/join/import.rs", "simulator/join/mod.rs", "simulator/join/objects.rs"],
    &["simulator/schema.rs", "simulator/value.rs"],
    &["simulator/world/records.rs", "simulator/world/spec.rs"],
    &["transport/http/pins.rs", "transport/http/trust.rs"],
    &["wire/call.rs", "wire/params.rs"],
];
