//! The releases of the server that the simulator plays.

/// A release of XCP-ng or XenServer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Release {
    /// XCP-ng 8.2.1, xapi 1.249.
    XcpNg82,
    /// XCP-ng 8.3 with the updates of 2026, xapi 26.1.
    XcpNg83,
    /// The newest server that was recorded, xapi 26.17.
    Newest,
}

impl Release {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::XcpNg82, Self::XcpNg83, Self::Newest];

    /// Whether this release has what came with `since`, a release name of the datamodel.
    ///
    /// Names such as `rio` and `stockholm` all came before 8.2.1; numbers are versions of the xapi
    /// package, which begin after it (datamodel lifecycle, `_data/releases.yml`).
    pub(super) fn has(self, since: &str) -> bool {
        if !since.starts_with(|first: char| first.is_ascii_digit()) {
            return true;
        }
        let mut numbers = since.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        match self {
            Self::XcpNg82 => false,
            Self::XcpNg83 => version <= (26, 1),
            Self::Newest => true,
        }
    }

    /// `API_version_major` and `API_version_minor` of its hosts.
    pub fn api_version(self) -> (i64, i64) {
        match self {
            Self::XcpNg82 => (2, 15),
            Self::XcpNg83 => (2, 21),
            Self::Newest => (2, 23),
        }
    }

    /// `host.software_version` of its hosts.
    ///
    /// From `create_misc.ml`, and the package specs of XCP-ng.
    pub fn software_version(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::XcpNg82 => &[
                ("product_version", "8.2.1"),
                ("product_version_text", "8.2"),
                ("product_version_text_short", "8.2"),
                ("platform_name", "XCP"),
                ("platform_version", "3.2.1"),
                ("product_brand", "XCP-ng"),
                ("build_number", "release/yangtze/master/58"),
                ("hostname", "localhost"),
                ("date", "2022-02-11"),
                ("dbv", "0.0.1"),
                ("xapi", "1.20"),
                ("xen", "4.13.1-9.18.2"),
                ("linux", "4.19.0+1"),
                ("xencenter_min", "2.15"),
                ("xencenter_max", "2.15"),
                ("network_backend", "openvswitch"),
                ("db_schema", "5.603"),
            ],
            Self::XcpNg83 => &[
                ("product_version", "8.3.0"),
                ("product_version_text", "8.3"),
                ("product_version_text_short", "8.3"),
                ("platform_name", "XCP"),
                ("platform_version", "3.4.0"),
                ("product_brand", "XCP-ng"),
                ("build_number", "8.3.0"),
                ("git_id", "3"),
                ("hostname", "localhost"),
                ("date", "2026-05-05"),
                ("dbv", "2026.0202"),
                ("xapi", "26.1"),
                ("xapi_build", "26.1.3"),
                ("xen", "4.17.5-23"),
                ("linux", "4.19.0+1"),
                ("xencenter_min", "2.21"),
                ("xencenter_max", "2.21"),
                ("network_backend", "openvswitch"),
                ("db_schema", "5.793"),
            ],
            Self::Newest => &[
                ("product_version", "8.4.0"),
                ("product_version_text", "8.4"),
                ("product_version_text_short", "8.4"),
                ("platform_name", "XCP"),
                ("platform_version", "3.4.90"),
                ("product_brand", "XCP-ng"),
                ("build_number", "8.4.0"),
                ("git_id", "0"),
                ("hostname", "localhost"),
                ("date", "2026-08-21"),
                ("dbv", "2026.0202"),
                ("xapi", "26.17"),
                ("xapi_build", "26.17.0"),
                ("xen", "4.19.3-1"),
                ("linux", "6.6.98+0"),
                ("xencenter_min", "2.23"),
                ("xencenter_max", "2.23"),
                ("network_backend", "openvswitch"),
                ("db_schema", "5.909"),
            ],
        }
    }

    /// Whether it compares certificates and knows `tls_verification_enabled` (1.290).
    pub fn verifies_tls(self) -> bool {
        self.has("1.290.0")
    }

    /// Whether errors before the dispatch come in the odd 2.0 envelope (24.18).
    pub fn answers_early_errors_as_array(self) -> bool {
        self.has("24.18.0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_names_of_the_datamodel_are_dated() {
        for (since, releases) in [
            ("-", [true, true, true]),
            ("rio", [true, true, true]),
            ("stockholm_psr", [true, true, true]),
            ("1.290.0", [false, true, true]),
            ("24.19.1", [false, true, true]),
            ("26.1.0", [false, true, true]),
            ("26.2.0", [false, false, true]),
            ("26.16.1-next", [false, false, true]),
        ] {
            assert_eq!(Release::ALL.map(|release| release.has(since)), releases, "{since}");
        }
    }
}
