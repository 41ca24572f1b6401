//! Settings that the host takes over from the pool, and what its own pool record loses.

use serde::Serialize;

use super::forecast::{Forecast, NONE, Show};
use super::interface::Management;
use crate::actions::Side;
use crate::model::{Class, Host, Pool, Record, Ref, Snapshot, Sr, VmAppliance};

/// A setting that becomes the pool's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inherited {
    /// What it is, as XAPI names it: `pool.default_SR`.
    pub name: &'static str,
    /// The joiner's value, readable, if it is known.
    pub before: Option<String>,
    /// The pool's value, readable, if it is known.
    pub after: Option<String>,
}

impl Inherited {
    /// Whether it changes, if both values are known.
    pub fn changes(&self) -> Option<bool> {
        Some(self.before.as_ref()? != self.after.as_ref()?)
    }
}

/// What the joiner's pool record may lose.
const OURS: [&str; 9] = [
    "name_label",
    "name_description",
    "tags",
    "other_config",
    "gui_config",
    "default_SR",
    "suspend_image_SR",
    "crash_dump_SR",
    "uefi_certificates",
];

/// The release whose join first copies the pool's UEFI certificates, SSH settings, LDAPS flag.
const UEFI: (u64, u64) = (22, 16);
const SSH: (u64, u64) = (25, 21);
const LDAPS: (u64, u64) = (26, 16);

/// What the joiner takes over (`join_common`), and what `update_non_vm_metadata` leaves behind.
pub(super) fn foretell(f: &mut Forecast<'_>) -> Option<Vec<Inherited>> {
    const HIDES: &str = "which settings change";
    let known = f.knows::<Pool>(Side::Joiner, &["uuid"], HIDES)
        & f.knows::<Pool>(Side::Pool, &["uuid"], HIDES);
    if !known {
        return None;
    }
    let (_, ours) = f.joiner.the_pool().ok()?;
    let (_, theirs) = f.pool.the_pool().ok()?;
    f.knows::<Pool>(Side::Joiner, &OURS, "what its pool record loses");
    f.knows::<Pool>(Side::Pool, &["default_SR", "uefi_certificates"], HIDES);
    f.knows::<Sr>(Side::Joiner, &["name_label"], HIDES);
    f.knows::<Sr>(Side::Pool, &["name_label"], HIDES);
    f.knows::<VmAppliance>(Side::Joiner, &["uuid", "name_label"], "what its VMs lose");
    let mut settings = Vec::new();
    let mut add = |name, before: Option<String>, after: Option<String>| {
        // What neither release has is no setting.
        if before.is_some() || after.is_some() {
            settings.push(Inherited { name, before, after });
        }
    };
    add("pool.default_SR", default_sr(f.joiner, ours), default_sr(f.pool, theirs));
    let pools = |field: &str, show: &dyn Fn(&Pool) -> String| {
        let value = |pool: &Pool| pool.has(field).then(|| show(pool));
        (value(ours), value(theirs))
    };
    let (before, after) = pools("tls_verification_enabled", &|p| p.tls_verification_enabled.show());
    add("pool.tls_verification_enabled", before, after);
    if f.joiner_is(UEFI.0, UEFI.1) == Some(true) {
        let (before, after) = pools("uefi_certificates", &|p| certificates(&p.uefi_certificates));
        add("pool.uefi_certificates", before, after);
        let (before, after) = pools("custom_uefi_certificates", &|p| {
            p.custom_uefi_certificates.as_ref().map_or_else(|| NONE.to_owned(), |c| certificates(c))
        });
        add("pool.custom_uefi_certificates", before, after);
    }
    let (me, master) = (f.me.map(|(_, host)| host), f.master.map(|(_, host)| host));
    let hosts = |field: &str, show: &dyn Fn(&Host) -> String| {
        let value = |host: Option<&Host>| host.filter(|host| host.has(field)).map(show);
        (value(me), value(master))
    };
    if f.joiner_is(SSH.0, SSH.1) == Some(true) {
        let (before, after) = hosts("ssh_enabled", &|h| h.ssh_enabled.show());
        add("host.ssh_enabled", before, after);
        let (before, after) = hosts("ssh_enabled_timeout", &|h| h.ssh_enabled_timeout.show());
        add("host.ssh_enabled_timeout", before, after);
        let (before, after) = hosts("ssh_auto_mode", &|h| h.ssh_auto_mode.show());
        add("host.ssh_auto_mode", before, after);
        let (before, after) = hosts("console_idle_timeout", &|h| h.console_idle_timeout.show());
        add("host.console_idle_timeout", before, after);
    }
    if f.joiner_is(LDAPS.0, LDAPS.1) == Some(true) {
        let (before, after) = hosts("external_auth_configuration", &|h| ldaps(h).show());
        add("host.external_auth_configuration:ldaps", before, after);
    }
    if f.joiner_is(0, 0).is_none() {
        f.gap(Side::Joiner, Class::Host, Some("software_version"), HIDES);
    }
    pool_losses(f, ours);
    Some(settings)
}

/// The name of a pool's default SR; `(none)` if it has none.
fn default_sr(snapshot: &Snapshot, pool: &Pool) -> Option<String> {
    (pool.has("default_SR") && snapshot.sr.covered()).then(|| name(snapshot, &pool.default_SR))
}

fn name(snapshot: &Snapshot, sr: &Ref<Sr>) -> String {
    snapshot.get(sr).map_or_else(|| NONE.to_owned(), |sr| sr.name_label.clone())
}

fn certificates(text: &str) -> String {
    match text.len() {
        0 => NONE.to_owned(),
        length => format!("{length} bytes, checksum {:08x}", checksum(text)),
    }
}

/// Tells two texts apart that are too long to show (FNV-1a).
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// `Helpers.ldaps_enabled_in_config`.
fn ldaps(host: &Host) -> bool {
    host.external_auth_configuration.get("ldaps").is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// What `update_non_vm_metadata` copies nothing of, or only for a management VLAN's sake.
pub(super) fn left_behind(management: Option<&Management>) -> Vec<&'static str> {
    let mut classes = vec!["subject"];
    if management == Some(&Management::Untagged) {
        classes.extend(["secret", "PVS_site"]);
    }
    classes
}

/// The joiner's own pool record is gone after the join.
fn pool_losses(f: &mut Forecast<'_>, ours: &Pool) {
    let name = ours.name_label.clone();
    macro_rules! lose {
        ($($field:ident),*) => {$(
            if ours.$field.show() != NONE {
                f.lose_field(ours, &name, stringify!($field), &ours.$field);
            }
        )*};
    }
    lose!(name_label, name_description, tags, other_config, gui_config);
    let joiner = f.joiner;
    for (field, sr) in [
        ("default_SR", &ours.default_SR),
        ("suspend_image_SR", &ours.suspend_image_SR),
        ("crash_dump_SR", &ours.crash_dump_SR),
    ] {
        if let Some(sr) = joiner.sr.get(sr) {
            f.lose(ours, &name, Some(field), sr.name_label.clone());
        }
    }
    for appliance in joiner.vm_appliance.records() {
        f.lose(appliance, &appliance.name_label, None, "");
    }
    for group in joiner.vm_group.records() {
        f.lose(group, &group.name_label, None, "");
    }
}
