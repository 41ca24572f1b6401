//! What becomes of the host's own record.

use serde::Serialize;

use super::change::{joined, place};
use super::forecast::{Forecast, NONE, Show};
use super::storage::CopyOutcome;
use crate::actions::Side;
use crate::error::Fault;
use crate::model::{Host, HostMetrics, Pool, Record, Ref, Snapshot, Sr, Uuid};

/// What becomes of the joiner's host record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HostFate {
    /// The host's uuid, which it keeps.
    pub uuid: Uuid,
    /// The name that it has in the pool.
    pub name_label: String,
    /// How its record comes about.
    pub outcome: CopyOutcome,
    /// Its fields that will not say what the joiner says.
    pub changes: Vec<FieldChange>,
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// XAPI's name of the field.
    pub field: &'static str,
    /// The joiner's value, readable.
    pub before: String,
    /// The value in the pool, readable.
    pub after: String,
    /// Why it changes.
    pub cause: Cause,
    /// What the joiner's value has in it, if it is a set or a map; values of the map left out.
    #[serde(skip)]
    pub(super) keys: Vec<String>,
}

/// Why a value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// The master's value is taken over.
    Inherited,
    /// The value is not copied.
    Lost,
    /// The value is filled from another field (a slip of the server).
    Slip,
    /// The record was in the pool before, and keeps its old value.
    Stale,
}

/// `create_or_get_host_on_master`, `Xapi_host.create`.
pub(super) fn foretell(f: &mut Forecast<'_>) -> Option<HostFate> {
    const HIDES: &str = "what becomes of the host";
    const CHANGES: &str = "what changes in the host's record";
    let known = f.knows::<Host>(Side::Joiner, &["uuid", "name_label"], HIDES)
        & f.knows::<Host>(Side::Pool, &["uuid"], HIDES);
    f.knows::<Host>(Side::Joiner, &COMPARED, CHANGES);
    f.knows::<Host>(Side::Pool, &COMPARED, CHANGES);
    let (my_ref, me) = f.me.filter(|_| known)?;
    let uuid = me.uuid.clone();
    if let Some((pool_ref, stale)) = f.pool.host.by_uuid(&uuid) {
        f.host = Some(Ok(pool_ref.clone()));
        let changes = differences(f, me, stale, |_| Cause::Stale);
        let name_label = stale.name_label.clone();
        return Some(HostFate { uuid, name_label, outcome: CopyOutcome::Known, changes });
    }
    let name_label = me.name_label.clone();
    if let Some(fault) = refusal(f) {
        f.host = Some(Err(fault.clone()));
        f.swallowed.push(fault.clone());
        let outcome = CopyOutcome::Refused(Some(fault));
        return Some(HostFate { uuid, name_label, outcome, changes: Vec::new() });
    }
    let reference: Ref<Host> = joined(my_ref);
    let metrics: Ref<HostMetrics> = joined(my_ref);
    let record = record(f, me, &metrics);
    let changes = differences(f, me, &record, |field| match field {
        "suspend_image_sr" => Cause::Slip,
        "ssh_enabled"
        | "ssh_enabled_timeout"
        | "console_idle_timeout"
        | "ssh_auto_mode"
        | "tls_verification_enabled" => Cause::Inherited,
        _ => Cause::Lost,
    });
    let set = |change: &&FieldChange| change.cause != Cause::Inherited && change.before != NONE;
    for change in changes.iter().filter(set) {
        let (field, keys) = (Some(change.field), change.keys.clone());
        f.lose_keys(me, &me.name_label, field, change.before.clone(), keys);
    }
    f.changes.add(reference.clone(), record);
    let mut fresh = HostMetrics::default();
    for unknown in ["uuid", "last_updated"] {
        fresh.absent.insert(place::<HostMetrics>(unknown));
    }
    f.changes.add(metrics, fresh);
    f.host = Some(Ok(reference));
    Some(HostFate { uuid, name_label, outcome: CopyOutcome::Created, changes })
}

/// The master's own test of the pool's size (`Xapi_host.create`).
///
/// The joiner tests it too, but with its own licence.
fn refusal(f: &mut Forecast<'_>) -> Option<Fault> {
    let (_, pool) =
        f.pool.the_pool().ok().filter(|_| f.pool.host.len() >= Pool::RESTRICTED_SIZE)?;
    if !f.knows::<Pool>(Side::Pool, &["restrictions"], "whether the master takes one more host") {
        return None;
    }
    pool.restricts("restrict_pool_size").then(|| Fault::new("LICENCE_RESTRICTION", ["Pool_size"]))
}

/// The new record, right after `Host.create` and the copies that follow it.
fn record(f: &mut Forecast<'_>, me: &Host, metrics: &Ref<HostMetrics>) -> Host {
    let mut host = me.clone();
    host.name_description = "Default install".to_owned();
    host.memory_overhead = 0;
    host.current_operations.clear();
    host.enabled = false;
    host.capabilities.clear();
    host.resident_VMs.clear();
    host.logging.clear();
    host.PIFs.clear();
    host.PBDs.clear();
    host.updates.clear();
    host.cpu_info.clear();
    host.metrics = metrics.clone();
    host.tags.clear();
    host.power_on_mode.clear();
    host.power_on_config.clear();
    host.PCIs.clear();
    host.PGPUs.clear();
    host.PUSBs.clear();
    host.virtual_hardware_platform_versions = vec![0];
    host.control_domain = Ref::null();
    host.updates_requiring_reboot.clear();
    host.features.clear();
    host.iscsi_iqn.clear();
    host.multipathing = false;
    host.uefi_certificates.clear();
    host.certificates.clear();
    host.editions.clear();
    host.pending_guidances = host.pending_guidances.map(|_| Vec::new());
    host.local_cache_sr = f.sr(&me.local_cache_sr);
    host.crash_dump_sr = f.sr(&me.crash_dump_sr);
    // The server fills this one from the crash dump SR; a slip, but that is what it does.
    host.suspend_image_sr = host.crash_dump_sr.clone();
    let mut unknown = vec!["allowed_operations"];
    if !f.srs_known {
        unknown.extend(STORAGE);
    } else if !me.has("crash_dump_sr") {
        unknown.push("suspend_image_sr");
    }
    match f.pool.the_pool() {
        Ok((_, pool)) if pool.has("tls_verification_enabled") => {
            host.tls_verification_enabled = pool.tls_verification_enabled;
        }
        _ => unknown.push("tls_verification_enabled"),
    }
    match f.master {
        Some((_, master)) => {
            host.API_version_major = master.API_version_major;
            host.API_version_minor = master.API_version_minor;
            host.API_version_vendor = master.API_version_vendor.clone();
            unknown.extend(API_VERSION.into_iter().filter(|field| !master.has(field)));
        }
        None => unknown.extend(API_VERSION),
    }
    match (f.joiner_is(25, 21), f.master) {
        (Some(true), Some((_, master))) => {
            host.ssh_enabled = master.ssh_enabled;
            host.ssh_enabled_timeout = master.ssh_enabled_timeout;
            host.console_idle_timeout = master.console_idle_timeout;
            host.ssh_auto_mode = master.ssh_auto_mode;
            unknown.extend(SSH.into_iter().filter(|field| !master.has(field)));
        }
        (Some(false), _) => {}
        _ => unknown.extend(SSH),
    }
    for field in unknown {
        host.absent.insert(place::<Host>(field));
    }
    host
}

const API_VERSION: [&str; 3] = ["API_version_major", "API_version_minor", "API_version_vendor"];
const STORAGE: [&str; 3] = ["local_cache_sr", "crash_dump_sr", "suspend_image_sr"];
const SSH: [&str; 4] =
    ["ssh_enabled", "ssh_enabled_timeout", "console_idle_timeout", "ssh_auto_mode"];

/// The fields that [`differences`] compares and that every release has.
const COMPARED: [&str; 20] = [
    "name_label",
    "name_description",
    "hostname",
    "address",
    "tags",
    "other_config",
    "logging",
    "edition",
    "license_params",
    "license_server",
    "software_version",
    "power_on_mode",
    "power_on_config",
    "external_auth_type",
    "external_auth_service_name",
    "iscsi_iqn",
    "multipathing",
    "suspend_image_sr",
    "crash_dump_sr",
    "local_cache_sr",
];

/// The fields that a person set, or goes by, and that differ.
///
/// What the new member fills in at its start (CPU, capabilities, control domain) is left out.
fn differences(
    f: &Forecast<'_>,
    before: &Host,
    after: &Host,
    cause: impl Fn(&str) -> Cause,
) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    macro_rules! compare {
        ($($field:ident),*) => {$(
            let field = stringify!($field);
            if before.has(field) && after.has(field) && before.$field != after.$field {
                changes.push(FieldChange {
                    field,
                    before: before.$field.show(),
                    after: after.$field.show(),
                    cause: cause(field),
                    keys: before.$field.parts(),
                });
            }
        )*};
    }
    compare!(name_label, name_description, hostname, address, tags, other_config, logging, edition);
    compare!(license_params, license_server, software_version, power_on_mode, power_on_config);
    compare!(external_auth_type, external_auth_service_name, iscsi_iqn, multipathing);
    compare!(tls_verification_enabled, https_only, ssh_enabled, ssh_enabled_timeout);
    compare!(console_idle_timeout, ssh_auto_mode);
    let storage = [
        ("suspend_image_sr", &before.suspend_image_sr, &after.suspend_image_sr),
        ("crash_dump_sr", &before.crash_dump_sr, &after.crash_dump_sr),
        ("local_cache_sr", &before.local_cache_sr, &after.local_cache_sr),
    ];
    for (field, ours, theirs) in storage {
        if before.has(field) && after.has(field) && f.sr(ours) != *theirs {
            let (before, after) = (sr_name(f.joiner, ours), f.name_of_sr(theirs));
            let (cause, keys) = (cause(field), Vec::new());
            changes.push(FieldChange { field, before, after, cause, keys });
        }
    }
    changes
}

fn sr_name(snapshot: &Snapshot, reference: &Ref<Sr>) -> String {
    snapshot.get(reference).map_or_else(|| NONE.to_owned(), |sr| sr.name_label.clone())
}
