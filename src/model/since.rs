//! Which releases of XAPI brought the fields that 8.2 does not have.
//!
//! From the lifecycles of the datamodel. `fingerprint_sha1` and `fingerprint_sha256` are older than
//! these say (24.20.0): v24.19.0 has them.

use super::Version;

/// Class, field (`*` for all), and the first release that has it. Whatever is not here, 8.2 has.
const NEWER: &[(&str, &str, [u64; 3])] = &[
    ("tunnel", "protocol", [1, 250, 0]),
    ("VM", "pending_guidances", [1, 303, 0]),
    ("VM", "groups", [24, 19, 1]),
    ("VM_group", "*", [24, 19, 1]),
    ("pool", "ha_reboot_vm_on_internal_shutdown", [25, 16, 0]),
    ("pool", "custom_uefi_certificates", [24, 0, 0]),
    ("pool", "tls_verification_enabled", [1, 290, 0]),
    ("pool", "client_certificate_auth_enabled", [1, 318, 0]),
    ("pool", "client_certificate_auth_name", [1, 318, 0]),
    ("pool", "repository_proxy_url", [21, 3, 0]),
    ("pool", "migration_compression", [22, 33, 0]),
    ("pool", "coordinator_bias", [22, 37, 0]),
    ("pool", "last_update_sync", [23, 18, 0]),
    ("pool", "recommendations", [24, 19, 1]),
    ("pool", "license_server", [25, 6, 0]),
    ("Cluster", "is_quorate", [24, 3, 0]),
    ("Cluster", "quorum", [24, 3, 0]),
    ("Cluster", "live_hosts", [24, 3, 0]),
    ("Cluster_host", "live", [24, 3, 0]),
    ("host", "pending_guidances", [1, 303, 0]),
    ("host", "tls_verification_enabled", [1, 313, 0]),
    ("host", "last_software_update", [22, 20, 0]),
    ("host", "latest_synced_updates_applied", [23, 18, 0]),
    ("host", "pending_guidances_recommended", [24, 10, 0]),
    ("host", "pending_guidances_full", [24, 10, 0]),
    ("host", "last_update_hash", [24, 10, 0]),
    ("host", "ssh_enabled", [25, 21, 0]),
    ("host", "ssh_enabled_timeout", [25, 21, 0]),
    ("host", "console_idle_timeout", [25, 21, 0]),
    ("host", "ssh_auto_mode", [25, 27, 0]),
    ("host", "secure_boot", [25, 31, 0]),
    ("host", "ntp_mode", [26, 0, 0]),
    ("host", "timezone", [26, 0, 0]),
    ("Certificate", "name", [1, 294, 0]),
    ("Certificate", "type", [1, 294, 0]),
    ("Certificate", "fingerprint_sha256", [24, 19, 0]),
    ("Certificate", "fingerprint_sha1", [24, 19, 0]),
    ("Certificate", "purpose", [26, 13, 0]),
];

/// Whether a release has a field of a class.
pub(crate) fn has_field(release: &Version, class: &str, field: &str) -> bool {
    let of = |row: &&(&str, &str, _)| row.0 == class && (row.1 == field || row.1 == "*");
    let stated = || {
        let mut parts = release.parts().iter().copied().chain(std::iter::repeat(0));
        [(); 3].map(|()| parts.next().unwrap_or(0))
    };
    NEWER.iter().find(of).is_none_or(|(.., since)| stated() >= *since)
}

/// Whether a release has a class.
pub(crate) fn has_class(release: &Version, class: &str) -> bool {
    has_field(release, class, "*")
}

/// The fields of a class that only releases after 8.2 have.
pub(crate) fn newer_than_8_2(class: &str) -> impl Iterator<Item = &'static str> {
    let class = class.to_owned();
    NEWER.iter().filter(move |row| row.0 == class).map(|row| row.1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::model::{Class, fields};

    /// A release's datamodel: class, field, type and default.
    #[derive(Deserialize)]
    struct Datamodel {
        classes: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    }

    #[test]
    fn seven_older_releases_have_just_these_fields() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/oracle/older");
        let mut tried = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let release = name.strip_prefix("fields-v").and_then(|name| name.strip_suffix(".json"));
            let Some(release) = release else { continue };
            let release: Version = release.parse().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let datamodel: Datamodel = serde_json::from_str(&text).unwrap();
            for class in Class::ALL {
                let known = datamodel.classes.get(class.as_str());
                assert_eq!(
                    has_class(&release, class.as_str()),
                    known.is_some(),
                    "{release} {class}"
                );
                for field in fields(*class) {
                    let has = known.is_some_and(|known| known.contains_key(*field));
                    let told = has_field(&release, class.as_str(), field);
                    assert_eq!(told, has, "{release} {class}.{field}");
                }
            }
            tried += 1;
        }
        assert_eq!(tried, 7);
    }
}
