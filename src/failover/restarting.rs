//! The world in the middle of planning: offline VMs restarted, failures still to come.

use super::agility::NotAgile;
use super::binpack::Packing;
use super::plan::{NotRestarted, WhyNot};
use crate::model::{Host, Ref, Vm};

/// A plan for the offline VMs, and the world once it is carried out.
#[derive(Clone, Debug)]
pub(super) struct Restarting<'a> {
    /// Live hosts and agile VMs, after the restarts.
    pub packing: Packing,
    /// Live hosts, as the packing numbers them.
    pub live: Vec<&'a Ref<Host>>,
    /// Agile VMs, as the packing numbers them.
    pub agile: Vec<&'a Ref<Vm>>,
    /// VMs that are not agile.
    pub tied: Vec<TiedVm<'a>>,
    /// VM and host, those that are tied first.
    pub restarts: Vec<(&'a Ref<Vm>, &'a Ref<Host>)>,
    /// Offline agile VMs without a place, as the packing numbers them.
    pub unplaced: Vec<usize>,
}

/// A protected VM that is not agile.
#[derive(Clone, Debug)]
pub(super) struct TiedVm<'a> {
    pub vm: &'a Ref<Vm>,
    pub reason: NotAgile,
    /// The host that it is taken to be tied to.
    pub host: Option<&'a Ref<Host>>,
    /// Whether it is on no live host.
    pub offline: bool,
    /// Bytes.
    pub size: i64,
}

impl Restarting<'_> {
    /// Offline protected VMs that are not in the agile plan.
    ///
    /// The server counts *every* offline VM that is not agile among them, though it starts those
    /// that it can tie to a host.
    pub(super) fn not_restarted(&self) -> Vec<NotRestarted> {
        let tied = self.tied.iter().filter(|tied| tied.offline).map(|tied| NotRestarted {
            vm: tied.vm.clone(),
            why: WhyNot::NotAgile { reason: tied.reason.clone(), tied_to: tied.host.cloned() },
        });
        let largest_free = self.packing.free.iter().copied().max().unwrap_or(0);
        let homeless = self.unplaced.iter().map(|&vm| NotRestarted {
            vm: self.agile[vm].clone(),
            why: WhyNot::NoRoom { needed: self.packing.size[vm], largest_free },
        });
        tied.chain(homeless).collect()
    }
}
