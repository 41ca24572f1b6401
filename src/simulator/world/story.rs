//! The story that this crate is told by: Ignite joins Phantom's pool.

use super::{PoolSpec, VmSpec, World, WorldBuilder};
use crate::simulator::release::Release;

impl World {
    /// *Phantom*, master of a pool with six SRs, and *Ignite*, which should join it.
    ///
    /// Ignite stands in its own way: it has a halted and a running VM, a network on a VLAN and an
    /// NFS SR. Both hosts run XCP-ng 8.3; `root`'s password is `xcp-test`.
    #[expect(clippy::missing_panics_doc, reason = "all that the story names, it has defined")]
    pub fn story(seed: u64) -> Self {
        WorldBuilder::story(seed).build().expect("the story is a valid world")
    }
}

impl WorldBuilder {
    /// The [story](World::story), still open for changes.
    pub fn story(seed: u64) -> Self {
        Self::story_at(seed, "10.0.0.1", "10.0.0.2")
    }

    /// The [story](World::story) with other addresses, still open for changes.
    pub fn story_at(seed: u64, phantom_address: &str, ignite_address: &str) -> Self {
        let phantom = PoolSpec::new("Phantom", Release::XcpNg83)
            .host("phantom", phantom_address)
            .shared_sr("ISO library", "iso")
            .shared_sr("VM storage", "nfs")
            .vm(VmSpec::running("web", "phantom").disk("VM storage", 20))
            .vm(VmSpec::halted("build").disk("VM storage", 40));
        let ignite = PoolSpec::new("", Release::XcpNg83)
            .host("ignite", ignite_address)
            .shared_sr("Ignite NFS", "nfs")
            .vlan("backup", 1, 42)
            .vm(VmSpec::halted("archive").disk("Local storage", 50))
            .vm(VmSpec::running("monitor", "ignite").disk("Local storage", 10));
        Self::new().seed(seed).pool(phantom).pool(ignite)
    }
}
