//! Which release of XAPI brought what, and which brought the fields that 8.2 does not have.
//!
//! From the lifecycles of the datamodel. `fingerprint_sha1` and `fingerprint_sha256` are older than
//! these say (24.20.0): v24.19.0 has them.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Version;

/// The release of XAPI that brought something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Since([u64; 3]);

impl Since {
    /// Every release that this crate supports has it (8.2 and later).
    pub const ALWAYS: Self = Self([0; 3]);

    pub(crate) const fn of(major: u64, minor: u64, patch: u64) -> Self {
        Self([major, minor, patch])
    }

    pub(crate) const fn major(self) -> u64 {
        self.0[0]
    }

    /// Whether a release has it.
    pub fn is_in(self, release: &Version) -> bool {
        let mut parts = release.parts().iter().copied().chain(std::iter::repeat(0));
        let release = [(); 3].map(|()| parts.next().unwrap_or(0));
        release >= self.0
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [0, 0, 0] => f.write_str("always"),
            [major, minor, patch] => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

impl Serialize for Since {
    /// As text; null where every supported release has it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self == Self::ALWAYS {
            true => serializer.serialize_none(),
            false => serializer.collect_str(self),
        }
    }
}

/// Class, field (`*` for all), and the first release that has it. Whatever is not here, 8.2 has.
const NEWER: &[(&str, &str, Since)] = &[
    ("tunnel", "protocol", Since::of(1, 250, 0)),
    ("VM", "pending_guidances", Since::of(1, 303, 0)),
    ("VM", "groups", Since::of(24, 19, 1)),
    ("VM_group", "*", Since::of(24, 19, 1)),
    ("pool", "ha_reboot_vm_on_internal_shutdown", Since::of(25, 16, 0)),
    ("pool", "custom_uefi_certificates", Since::of(24, 0, 0)),
    ("pool", "tls_verification_enabled", Since::of(1, 290, 0)),
    ("pool", "client_certificate_auth_enabled", Since::of(1, 318, 0)),
    ("pool", "client_certificate_auth_name", Since::of(1, 318, 0)),
    ("pool", "repository_proxy_url", Since::of(21, 3, 0)),
    ("pool", "migration_compression", Since::of(22, 33, 0)),
    ("pool", "coordinator_bias", Since::of(22, 37, 0)),
    ("pool", "last_update_sync", Since::of(23, 18, 0)),
    ("pool", "recommendations", Since::of(24, 19, 1)),
    ("pool", "license_server", Since::of(25, 6, 0)),
    ("Cluster", "is_quorate", Since::of(24, 3, 0)),
    ("Cluster", "quorum", Since::of(24, 3, 0)),
    ("Cluster", "live_hosts", Since::of(24, 3, 0)),
    ("Cluster_host", "live", Since::of(24, 3, 0)),
    ("host", "pending_guidances", Since::of(1, 303, 0)),
    ("host", "tls_verification_enabled", Since::of(1, 313, 0)),
    ("host", "last_software_update", Since::of(22, 20, 0)),
    ("host", "latest_synced_updates_applied", Since::of(23, 18, 0)),
    ("host", "pending_guidances_recommended", Since::of(24, 10, 0)),
    ("host", "pending_guidances_full", Since::of(24, 10, 0)),
    ("host", "last_update_hash", Since::of(24, 10, 0)),
    ("host", "ssh_enabled", Since::of(25, 21, 0)),
    ("host", "ssh_enabled_timeout", Since::of(25, 21, 0)),
    ("host", "console_idle_timeout", Since::of(25, 21, 0)),
    ("host", "ssh_auto_mode", Since::of(25, 27, 0)),
    ("host", "secure_boot", Since::of(25, 31, 0)),
    ("host", "ntp_mode", Since::of(26, 0, 0)),
    ("host", "timezone", Since::of(26, 0, 0)),
    ("Certificate", "name", Since::of(1, 294, 0)),
    ("Certificate", "type", Since::of(1, 294, 0)),
    ("Certificate", "fingerprint_sha256", Since::of(24, 19, 0)),
    ("Certificate", "fingerprint_sha1", Since::of(24, 19, 0)),
    ("Certificate", "purpose", Since::of(26, 13, 0)),
];

/// Whether a release has a field of a class.
pub(crate) fn has_field(release: &Version, class: &str, field: &str) -> bool {
    let of = |row: &&(&str, &str, _)| row.0 == class && (row.1 == field || row.1 == "*");
    NEWER.iter().find(of).is_none_or(|(.., since)| since.is_in(release))
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
