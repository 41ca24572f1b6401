//! Writes the C header to OUT_DIR, and tells the tests where it is.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "ffi")]
    header();
}

/// What declares something for C, in the order of the header.
#[cfg(feature = "ffi")]
const SOURCES: &[&str] = &[
    "version.rs",
    "status.rs",
    "text.rs",
    "error.rs",
    "snapshot.rs",
    "report.rs",
    "plan.rs",
    "steps.rs",
    "json/preflight.rs",
    "json/consequences.rs",
    "json/rules.rs",
    "json/partition.rs",
    "json/lock.rs",
    "json/election.rs",
    "json/failover.rs",
    "json/packing.rs",
    "log.rs",
    "cancel.rs",
    "reply.rs",
    "trust.rs",
    "transport/mod.rs",
    "simulator/mod.rs",
    "client.rs",
    "task.rs",
    "hosts.rs",
    "watch.rs",
    "control.rs",
    "operations.rs",
    "joins.rs",
    "rescue.rs",
];

#[cfg(feature = "ffi")]
fn header() {
    use std::path::PathBuf;

    println!("cargo::rerun-if-changed=src/ffi");
    let folder = |name| PathBuf::from(std::env::var_os(name).expect("cargo sets it"));
    let ffi = folder("CARGO_MANIFEST_DIR").join("src/ffi");
    let config = cbindgen::Config::from_file(ffi.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(ffi.join(source));
    }
    let mut header = Vec::new();
    builder.generate().expect("src/ffi declares what C can express").write(&mut header);
    let header = String::from_utf8(header).expect("the sources are UTF-8");
    // rustdoc's heading means nothing to C; a trailing space in a blank line means nothing at all.
    let header = header.replace(" * # Safety\n", " * Safety:\n").replace(" * \n", " *\n");
    let path = folder("OUT_DIR").join("xcp_pool.h");
    std::fs::write(&path, header).expect("cargo made the folder");
    println!("cargo::rustc-env=XCP_POOL_HEADER={}", path.display());
}
