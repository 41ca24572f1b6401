//! Plans for a host to leave its pool.

use std::collections::BTreeSet;

use super::{Impact, Plan, Purpose, Step, Subject, Unsolved, Work, missing_classes};
use crate::actions::Side;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Object;
use crate::model::{Class, Host, PoolOperation, PowerState, Ref, Snapshot, Sr, Vm};

/// What must be known before anything is said about losses.
const NEEDED: &[Class] = &[
    Class::Pool,
    Class::Host,
    Class::HostMetrics,
    Class::Sr,
    Class::Pbd,
    Class::Vdi,
    Class::Vbd,
    Class::Vm,
];

/// Plans that a host leaves its pool.
///
/// The plan tells what that destroys, and what stands in the way.
///
/// The snapshot is the pool's, of [`Scope::Failover`](crate::client::Scope::Failover) or more.
/// Every precondition of `pool.eject` that does not hold is in [`Plan::unsolved`], all of them at
/// once; [`Purpose::Eject`] tells what goes with the host, [`Plan::losses`] what is destroyed
/// thereby.
///
/// # Errors
/// `InvalidInput` if the snapshot has no single pool with a master, or not this host.
pub fn eject(pool: &Snapshot, host: &Ref<Host>) -> Result<Plan> {
    let (pool_ref, pool_record) = pool.the_pool()?;
    let (_, master) = pool.master()?;
    let record = pool.get(host).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("the snapshot has no host {host}"))
    })?;
    let name = record.name_label.as_str();
    let (impact, losses) = Impact::of(pool, host);
    let mut leave = Step::new(
        Side::Pool,
        Work::Eject { host: host.clone() },
        format!("pool.eject of {name}, which sets itself up anew and reboots"),
    );
    leave.destroys = losses;
    let address = record.address.clone();
    let alone = Step::new(
        Side::Pool,
        Work::Alone { address: address.clone() },
        format!("wait until {name} answers at {address} as a pool of its own"),
    );
    Ok(Plan {
        schema: Plan::SCHEMA,
        purpose: Purpose::Eject { impact },
        pool: Subject::pool(pool_record, pool_ref, master),
        host: Subject::new(record, host, name),
        steps: vec![leave, alone],
        unsolved: refusals(pool, host, record),
    })
}

/// Every reason for which `pool.eject` would refuse, or get stuck half-way (`xapi_pool.ml`,
/// `eject`).
fn refusals(pool: &Snapshot, host: &Ref<Host>, record: &Host) -> Vec<Unsolved> {
    let mut refusals = missing_classes(pool, NEEDED);
    let mut refuse = |rule: &str, message: String, by_person: &str| {
        refusals.push(Unsolved::new(rule, message, by_person));
    };
    let name = record.name_label.as_str();
    let Ok((_, pool_record)) = pool.the_pool() else { return refusals };
    if pool_record.master == *host {
        refuse(
            "host-is-master",
            format!("{name} is the pool's master, which cannot be ejected"),
            "Hand the pool over to another host first.",
        );
    }
    match pool.is_live(host) {
        Some(true) => {}
        Some(false) => refuse(
            "host-not-live",
            format!("{name} is not live, and the host itself has to take part (HOST_OFFLINE)"),
            "Start it; or, if it is gone for good, forget it with host.destroy.",
        ),
        None => refuse(
            "evidence-missing",
            format!("whether {name} is live is not known"),
            "Take a snapshot that has the metrics of the host.",
        ),
    }
    if pool_record.ha_enabled {
        refuse(
            "ha-enabled",
            "HA is on (HA_IS_ENABLED)".to_owned(),
            "Switch HA off with pool.disable_ha, and on again afterwards.",
        );
    }
    if pool_record.current_operations.values().any(|op| *op == PoolOperation::ApplyUpdates) {
        refuse(
            "updates-being-applied",
            "updates are being applied to the pool (NOT_SUPPORTED_DURING_UPGRADE)".to_owned(),
            "Wait until they are.",
        );
    }
    if pool_record.is_psr_pending == Some(true) {
        refuse(
            "secret-rotation-pending",
            "the pool secret is being replaced (POOL_SECRET_ROTATION_PENDING)".to_owned(),
            "Wait until it is, or bring back the hosts that did not take part yet.",
        );
    }
    let residents = residents(pool, host);
    if !residents.is_empty() {
        refuse(
            "vms-resident",
            format!(
                "VMs are on {name} (OPERATION_NOT_ALLOWED, VM resident on host): {}",
                listed(&residents)
            ),
            "Move them away with host.evacuate, suspend them or shut them down.",
        );
    }
    let in_use = disks_in_use(pool, host);
    if !in_use.is_empty() {
        refuse(
            "disks-in-use",
            format!("disks are attached to the control domain (VDI_IN_USE): {}", listed(&in_use)),
            "Wait until the copy or backup that uses them is done, or unplug their VBDs.",
        );
    }
    refusals
}

/// The VMs on a host that are not off, its control domain left out.
fn residents(pool: &Snapshot, host: &Ref<Host>) -> Vec<Object> {
    let on = |reference: &Ref<Vm>, vm: &Vm| {
        vm.resident_on == *host
            && vm.power_state != PowerState::Halted
            && !pool.is_domain_zero(reference, vm)
    };
    let vms = pool.vm.iter().filter(|(reference, vm)| on(reference, vm));
    vms.map(|(reference, vm)| Object::of(reference, vm, &vm.name_label)).collect()
}

/// The disks on the host's storage that its control domain has attached.
fn disks_in_use(pool: &Snapshot, host: &Ref<Host>) -> Vec<Object> {
    let pbds = pool.pbd.records().filter(|pbd| pbd.host == *host);
    let srs: BTreeSet<&Ref<Sr>> = pbds.map(|pbd| &pbd.SR).collect();
    let used = pool.vbd.records().filter(|vbd| {
        vbd.currently_attached
            && pool
                .get(&vbd.VM)
                .is_some_and(|vm| vm.resident_on == *host && pool.is_domain_zero(&vbd.VM, vm))
    });
    let used: BTreeSet<_> = used.map(|vbd| &vbd.VDI).collect();
    let disks = used.into_iter().filter_map(|vdi| Some((vdi, pool.get(vdi)?)));
    let disks = disks.filter(|(_, vdi)| srs.contains(&vdi.SR));
    disks.map(|(reference, vdi)| Object::of(reference, vdi, &vdi.name_label)).collect()
}

fn listed(objects: &[Object]) -> String {
    objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
