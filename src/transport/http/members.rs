//! The certificates of a pool's members, as the pool's own database has them.

use crate::error::Result;
use crate::log;
use crate::model::{CertificateType, Snapshot};
use crate::transport::Http;
use crate::transport::http::fingerprint::Fingerprint;
use crate::transport::http::trust::{Kind, Mismatch};

impl Http {
    /// Remembers the certificates of the hosts in a snapshot; returns how many.
    ///
    /// For [`Trust::first_use`](crate::transport::Trust::first_use): the master, which is trusted
    /// already, vouches for its members before one of them has to be asked, in the hour when the
    /// master is gone. Hosts are remembered under `host.address` and `port` (443 for real ones).
    /// With any other trust there is nothing to remember.
    ///
    /// ```no_run
    /// # fn example(http: xcp_pool::transport::Http, pool: xcp_pool::client::Client) -> xcp_pool::Result<()> {
    /// use xcp_pool::client::Scope;
    ///
    /// http.remember_members(&pool.snapshot(Scope::Preflight)?, 443)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Trust` if another certificate is remembered of one of the hosts; the others are remembered
    /// all the same. Whatever the store raises.
    pub fn remember_members(&self, snapshot: &Snapshot, port: u16) -> Result<usize> {
        let Kind::FirstUse(store) = &self.0.tls.trust().0 else { return Ok(0) };
        let (mut count, mut wrong) = (0, None);
        for certificate in snapshot.certificate.records() {
            // Before 8.3 there is no type, and only hosts' certificates.
            if !matches!(certificate.r#type, None | Some(CertificateType::Host)) {
                continue;
            }
            let Some(host) = snapshot.get(&certificate.host) else { continue };
            let newer = certificate.fingerprint_sha256.as_deref().filter(|text| !text.is_empty());
            let Ok(vouched) = newer.unwrap_or(&certificate.fingerprint).parse::<Fingerprint>()
            else {
                continue;
            };
            if host.address.is_empty() {
                continue;
            }
            let name = format!("{}:{port}", host.address);
            let pin = store.remember(&name, vouched)?;
            if pin == vouched {
                count += 1;
            } else {
                log::warning!(transport, "{name} is remembered by {pin}, the pool says {vouched}");
                wrong.get_or_insert(Mismatch { host: name, expected: vec![pin], actual: vouched });
            }
        }
        match wrong {
            None => Ok(count),
            Some(mismatch) => Err(mismatch.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::transport::{MemoryPins, PinStore, Trust};
    use std::sync::Arc;

    #[test]
    fn members_are_trusted_as_their_pool_vouches_for_them() {
        let (a, b) = (Fingerprint::of(b"a").to_string(), Fingerprint::of(b"b").to_string());
        let snapshot = Snapshot::from_json(
            format!(
                r#"{{"host":{{"OpaqueRef:a":{{"address":"10.0.0.1"}},
                          "OpaqueRef:b":{{"address":"10.0.0.2"}}}},
                 "Certificate":{{
                  "OpaqueRef:1":{{"type":"host","host":"OpaqueRef:a",
                                 "fingerprint_sha256":"{}","fingerprint":"x"}},
                  "OpaqueRef:2":{{"type":"host_internal","host":"OpaqueRef:a",
                                 "fingerprint_sha256":"{b}"}},
                  "OpaqueRef:3":{{"host":"OpaqueRef:b","fingerprint":"{b}"}},
                  "OpaqueRef:4":{{"type":"host","host":"OpaqueRef:gone","fingerprint":"{b}"}},
                  "OpaqueRef:5":{{"type":"ca","fingerprint":"{b}"}}}}}}"#,
                &a[7..]
            )
            .as_bytes(),
        )
        .unwrap();
        let store = Arc::new(MemoryPins::default());
        let http = Http::builder().trust(Trust::first_use(store.clone())).build().unwrap();
        assert_eq!(http.remember_members(&snapshot, 443).unwrap(), 2);
        assert_eq!(store.pin("10.0.0.1:443").unwrap(), Some(Fingerprint::of(b"a")));
        assert_eq!(store.pin("10.0.0.2:443").unwrap(), Some(Fingerprint::of(b"b")));

        let other = Arc::new(MemoryPins::default());
        other.remember("10.0.0.1:443", Fingerprint::of(b"c")).unwrap();
        let http = Http::builder().trust(Trust::first_use(other.clone())).build().unwrap();
        let error = http.remember_members(&snapshot, 443).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Trust);
        assert!(error.to_string().contains("10.0.0.1:443"));
        assert_eq!(other.pin("10.0.0.2:443").unwrap(), Some(Fingerprint::of(b"b")));

        let pinned = Http::builder().trust(Trust::pins([])).build().unwrap();
        assert_eq!(pinned.remember_members(&snapshot, 443).unwrap(), 0);
    }
}
