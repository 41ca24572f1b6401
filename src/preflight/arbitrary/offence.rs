//! What can be wrong with a join, one thing at a time.

use super::clean::{self, Size, add, blank, map, reference};
use crate::model::*;
use crate::preflight::Evidence;

macro_rules! offences {
    ($( $name:ident => $rule:literal: $what:literal, )*) => {
        /// One thing that is wrong, named by the rule that objects to it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Offence { $( #[doc = $what] $name, )* }

        impl Offence {
            /// All offences, mildest last.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code of the rule that objects.
            pub fn rule(self) -> &'static str {
                match self { $(Self::$name => $rule,)* }
            }
        }
    };
}

offences! {
    PoolingUnlicensed => "pooling-unlicensed": "The joiner's licence forbids pools.",
    PoolSizeRestricted => "pool-size-restricted": "The joiner's licence forbids large pools; the \
                                                   pool has three hosts.",
    JoinerHa => "joiner-ha-enabled": "HA is on on the joiner.",
    JoinerClustered => "joiner-clustering-enabled": "The joiner is in a cluster of its own.",
    ClusterOnVlan => "cluster-network-on-vlan": "The pool's cluster runs on a VLAN.",
    PoolHa => "pool-ha-enabled": "HA is on in the pool.",
    OtherHosts => "joiner-has-other-hosts": "The joiner knows another host.",
    RunningVm => "running-vms": "A VM runs on the joiner.",
    BusyVm => "vm-operations": "A VM of the joiner is being exported.",
    JoinerGuidance => "joiner-pending-guidance": "The joiner waits for a restart of its toolstack.",
    MasterGuidance => "master-pending-guidance": "The master waits for a restart of its toolstack.",
    OtherPlatform => "platform-differs": "The joiner runs another platform.",
    OtherSoftware => "software-version-differs": "The joiner runs another build.",
    OtherVendor => "cpu-vendor-differs": "The joiner has CPUs of another vendor.",
    SharedStorage => "shared-storage": "The joiner uses an NFS share.",
    Bond => "bonds": "The joiner has a bond.",
    Tunnel => "tunnels": "The joiner has a tunnel.",
    Sriov => "sriov-networks": "The joiner has an SR-IOV network.",
    Vlan => "non-management-vlans": "The joiner has a VLAN for VMs.",
    ManagementVlan => "management-vlan-differs": "The joiner is managed on a VLAN.",
    Domain => "external-auth-differs": "The joiner is in a domain.",
    Edition => "edition-differs": "The joiner has another edition, and nobody knows its rank.",
    Backend => "network-backend-differs": "The joiner uses the Linux bridge.",
    Controller => "sdn-controller-differs": "The joiner is under an SDN controller.",
    OtherApi => "api-version-differs": "The joiner has another API.",
    OtherSchema => "db-schema-differs": "The joiner has another database schema.",
    ExtraUpdate => "updates-differ": "The joiner has an update that all hosts must have.",
    Ipv6 => "primary-address-type-differs": "The joiner is managed over IPv6.",
    Nbd => "nbd-purpose-differs": "Networks are for different kinds of NBD.",
    Tls => "tls-verification-differs": "The joiner does not verify certificates.",
    CaCertificate => "ca-certificates-conflict": "Both trust another certificate under one name.",
    TrustedCertificate => "trusted-certificates-conflict": "Both trust a certificate, the pool for \
                                                            more.",
    JoinerUpdating => "joiner-updating": "The joiner is being updated.",
    PoolUpdating => "pool-updating": "The pool is being updated.",
    OldDriver => "storage-drivers-differ": "The joiner's NFS driver is old.",
    HaltedVm => "halted-vms": "The joiner has a halted VM.",
    SuspendedVm => "suspended-vms": "The joiner has a suspended VM.",
    PausedVm => "paused-vms": "The joiner has a paused VM.",
    Template => "custom-templates": "The joiner has a template of its own.",
    SameVm => "vm-import-fails": "The joiner has a copy of a VM of the pool.",
    SameSeed => "mac-seeds-clash": "The joiner has a VM with the MAC seed of one of the pool.",
    LooseNetwork => "extra-networks": "The joiner has an internal network.",
    ExtraNic => "networks-introduced": "The joiner has one NIC more.",
    ExtraStorage => "extra-local-storage": "The joiner has a second local storage.",
    Tag => "tags-lost": "The joiner is tagged.",
    SkewedClock => "clocks-differ": "The joiner's clock is ten minutes ahead.",
    OldCpu => "pool-cpu-level-drops": "The joiner's CPU lacks a feature.",
    NewCpu => "joiner-cpu-reduced": "The joiner's CPU has one feature more.",
    DeadMember => "members-dead": "A member is dead.",
    Expired => "certificates-out-of-date": "The joiner's certificate ran out.",
    Rotation => "secret-rotation-pending": "A rotation of the pool secret is pending.",
}

impl Offence {
    /// Makes a pool and a joiner, or what is known of them beside, wrong in this way.
    pub(super) fn commit(
        self,
        size: &Size,
        pool: &mut Snapshot,
        joiner: &mut Snapshot,
        evidence: &mut Evidence,
    ) {
        let joiner_ref = reference::<Host>("joiner");
        match self {
            Self::PoolingUnlicensed => {
                pool_of(joiner, |pool| {
                    pool.restrictions.remove("restrict_pooling");
                });
            }
            Self::PoolSizeRestricted => {
                pool_of(joiner, |pool| {
                    pool.restrictions.insert("restrict_pool_size".into(), "true".into());
                });
                for n in size.hosts..3 {
                    clean::host(pool, size, &format!("host {n}"), n);
                }
            }
            Self::JoinerHa => pool_of(joiner, |pool| pool.ha_enabled = true),
            Self::PoolHa => pool_of(pool, |pool| pool.ha_enabled = true),
            Self::JoinerClustered => {
                let cluster = add(joiner, "cluster", blank::<Cluster>());
                let member = ClusterHost { cluster, host: joiner_ref, enabled: true, ..blank() };
                add(joiner, "cluster", member);
            }
            Self::ClusterOnVlan => {
                let cluster = add(pool, "cluster", Cluster { pool_auto_join: true, ..blank() });
                let network = clean::loose_network(pool, "cluster network", "br-cluster");
                let host = reference("host 0");
                let pif = add(
                    pool,
                    "cluster",
                    Pif { device: "eth0".into(), VLAN: 9, network, host: host.clone(), ..blank() },
                );
                add(pool, "cluster", ClusterHost { cluster, host, PIF: pif, ..blank() });
            }
            Self::OtherHosts => {
                add(joiner, "another", Host { name_label: "another".into(), ..blank() });
            }
            Self::RunningVm => self.active_vm(joiner, PowerState::Running),
            Self::BusyVm => {
                let task = task(joiner, "export");
                self.vm(joiner, |vm| {
                    vm.is_a_template = true;
                    vm.is_default_template = true;
                    vm.current_operations.insert(task, VmOperation::Export);
                });
            }
            Self::JoinerGuidance => host_of(joiner, "joiner", restart_toolstack),
            Self::MasterGuidance => host_of(pool, "host 0", restart_toolstack),
            Self::OtherPlatform => host_of(joiner, "joiner", |host| {
                host.software_version.insert("platform_version".into(), "3.2.1".into());
            }),
            Self::OtherSoftware => host_of(joiner, "joiner", |host| {
                host.software_version.insert("git_id".into(), "1".into());
            }),
            Self::OtherVendor => host_of(joiner, "joiner", |host| {
                host.cpu_info.insert("vendor".into(), "AuthenticAMD".into());
            }),
            Self::SharedStorage => {
                let sr = add(
                    joiner,
                    "nfs",
                    Sr { name_label: "NFS".into(), r#type: "nfs".into(), shared: true, ..blank() },
                );
                clean::pbd(joiner, "nfs", "joiner", &sr);
            }
            Self::Bond => {
                add(joiner, "bond", blank::<Bond>());
            }
            Self::Tunnel => {
                add(joiner, "tunnel", blank::<Tunnel>());
            }
            Self::Sriov => {
                add(joiner, "sriov", blank::<NetworkSriov>());
            }
            Self::Vlan => {
                let network = clean::loose_network(joiner, "guests", "xapi7");
                let pif = add(
                    joiner,
                    "guests",
                    Pif { device: "eth0".into(), VLAN: 7, network, host: joiner_ref, ..blank() },
                );
                let below = reference("eth0 of joiner");
                let vlan = Vlan { tagged_PIF: below, untagged_PIF: pif, tag: 7, ..blank() };
                add(joiner, "guests", vlan);
            }
            Self::ManagementVlan => pif_of(joiner, |pif| pif.VLAN = 50),
            Self::Domain => host_of(joiner, "joiner", |host| host.external_auth_type = "AD".into()),
            Self::Edition => host_of(joiner, "joiner", |host| host.edition = "another".into()),
            Self::Backend => evidence.joiner_bridge_backend = Some("bridge".into()),
            Self::Controller => {
                add(joiner, "sdn", SdnController { address: "10.0.0.9".into(), ..blank() });
            }
            Self::OtherApi => host_of(joiner, "joiner", |host| host.API_version_minor = 21),
            Self::OtherSchema => host_of(joiner, "joiner", |host| {
                host.software_version.remove("db_schema");
            }),
            Self::ExtraUpdate => {
                let update = PoolUpdate { enforce_homogeneity: true, ..blank() };
                let update = add(joiner, "update", update);
                host_of(joiner, "joiner", |host| host.updates.push(update));
            }
            Self::Ipv6 => pif_of(joiner, |pif| pif.primary_address_type = PrimaryAddressType::Ipv6),
            Self::Nbd => {
                for (side, purpose) in
                    [(joiner, NetworkPurpose::InsecureNbd), (pool, NetworkPurpose::Nbd)]
                {
                    change_of(&mut side.network, &clean::network(0), |network| {
                        network.purpose.push(purpose);
                    });
                }
            }
            Self::Tls => {
                pool_of(joiner, |pool| pool.tls_verification_enabled = Some(false));
                host_of(joiner, "joiner", |host| host.tls_verification_enabled = Some(false));
            }
            Self::CaCertificate => {
                for (side, fingerprint) in [(joiner, "aa"), (pool, "bb")] {
                    certificate(side, "company.pem", |certificate| {
                        certificate.name = Some("company.pem".into());
                        certificate.fingerprint_sha256 = Some(fingerprint.into());
                    });
                }
            }
            Self::TrustedCertificate => {
                use CertificatePurpose::{Ldaps, Licensing};
                for (side, purpose) in [(joiner, vec![Ldaps]), (pool, vec![Ldaps, Licensing])] {
                    certificate(side, "trusted", |certificate| {
                        certificate.fingerprint_sha256 = Some("cc".into());
                        certificate.purpose = Some(purpose.clone());
                    });
                }
            }
            Self::JoinerUpdating => apply_updates(joiner),
            Self::PoolUpdating => apply_updates(pool),
            Self::OldDriver => {
                change_of(&mut joiner.sm, "nfs", |driver| driver.features.clear());
            }
            Self::HaltedVm => self.vm(joiner, |_| {}),
            Self::SuspendedVm => {
                let image = Vdi {
                    name_label: "suspend image".into(),
                    SR: reference(clean::SR),
                    virtual_size: 1 << 30,
                    r#type: VdiType::Suspend,
                    ..blank()
                };
                let image = add(joiner, "suspend image", image);
                self.vm(joiner, |vm| {
                    vm.power_state = PowerState::Suspended;
                    vm.suspend_VDI = image;
                });
            }
            Self::PausedVm => self.active_vm(joiner, PowerState::Paused),
            Self::Template => self.vm(joiner, |vm| vm.is_a_template = true),
            Self::SameVm => {
                let name = "in both";
                clean::vm(pool, name, "local storage of host 0", &clean::network(0));
                clean::vm(joiner, name, clean::SR, &clean::network(0));
            }
            Self::SameSeed => {
                self.vm(joiner, |vm| vm.other_config = map([("mac_seed", "seed")]));
                clean::vm(pool, "original", "local storage of host 0", &clean::network(0));
                change_of(&mut pool.vm, "original", |vm| {
                    vm.other_config = map([("mac_seed", "seed")]);
                });
            }
            Self::LooseNetwork => {
                clean::loose_network(joiner, "lab", "br-lab");
            }
            Self::ExtraNic => {
                let nic = size.nics;
                let network = clean::loose_network(joiner, "extra", &format!("xenbr{nic}"));
                let device = format!("eth{nic}");
                let (host, physical) = (joiner_ref, true);
                add(joiner, "extra", Pif { device, network, host, physical, VLAN: -1, ..blank() });
            }
            Self::ExtraStorage => {
                let name_label = "Second disk".into();
                add(joiner, "second", Sr { name_label, r#type: "ext".into(), ..blank() });
            }
            Self::Tag => host_of(joiner, "joiner", |host| host.tags = vec!["rack 4".into()]),
            Self::SkewedClock => {
                let ahead = |time: Timestamp| Timestamp(time.0 + 600);
                evidence.joiner_time = evidence.joiner_time.map(ahead);
            }
            Self::OldCpu => host_of(joiner, "joiner", |host| {
                let fewer = host.cpu_info.get("features_pv").map(|text| text.replace('8', "0"));
                host.cpu_info.extend(fewer.map(|fewer| ("features_pv".into(), fewer)));
            }),
            Self::NewCpu => host_of(joiner, "joiner", |host| {
                let more = host.cpu_info.get("features_hvm").map(|text| text.replace('2', "3"));
                host.cpu_info.extend(more.map(|more| ("features_hvm".into(), more)));
            }),
            Self::DeadMember => {
                clean::host(pool, size, "dead", 99);
                change_of(&mut pool.host_metrics, "dead", |metrics| metrics.live = false);
            }
            Self::Expired => {
                change_of(&mut joiner.certificate, "joiner", |certificate| {
                    certificate.not_after = Timestamp(1);
                });
            }
            Self::Rotation => pool_of(pool, |pool| pool.is_psr_pending = Some(true)),
        }
    }

    /// Gives the joiner a VM of this offence's own.
    fn vm(self, joiner: &mut Snapshot, change: impl FnOnce(&mut Vm)) {
        let name = format!("{self:?}");
        clean::vm(joiner, &name, clean::SR, &clean::network(0));
        change_of(&mut joiner.vm, &name, change);
    }

    /// A VM on the joiner, whose drivers do what they are asked for.
    fn active_vm(self, joiner: &mut Snapshot, power_state: PowerState) {
        let able = ["feature-shutdown", "feature-suspend"].map(|one| (one.into(), "1".into()));
        let drivers = VmGuestMetrics { other: able.into(), ..blank() };
        let guest_metrics = add(joiner, &format!("drivers of {self:?}"), drivers);
        self.vm(joiner, |vm| {
            vm.power_state = power_state;
            (vm.domid, vm.resident_on) = (7, reference("joiner"));
            (vm.guest_metrics, vm.suspend_SR) = (guest_metrics, reference(clean::SR));
        });
    }
}

fn change_of<T: Record>(table: &mut Table<T>, name: &str, change: impl FnOnce(&mut T)) {
    if let Some(record) = table.get_mut(&reference(name)) {
        change(record);
    }
}

fn pool_of(side: &mut Snapshot, change: impl FnOnce(&mut Pool)) {
    change_of(&mut side.pool, "pool", change);
}

fn host_of(side: &mut Snapshot, name: &str, change: impl FnOnce(&mut Host)) {
    change_of(&mut side.host, name, change);
}

fn pif_of(joiner: &mut Snapshot, change: impl FnOnce(&mut Pif)) {
    change_of(&mut joiner.pif, "eth0 of joiner", change);
}

fn certificate(side: &mut Snapshot, name: &str, change: impl Fn(&mut Certificate)) {
    let mut certificate = Certificate {
        r#type: Some(CertificateType::Ca),
        not_after: Timestamp(clean::NOW.0 + 86_400),
        ..blank()
    };
    change(&mut certificate);
    add(side, name, certificate);
}

fn restart_toolstack(host: &mut Host) {
    host.pending_guidances = Some(vec![UpdateGuidance::RestartToolstack]);
}

fn apply_updates(side: &mut Snapshot) {
    let task = task(side, "update");
    pool_of(side, |pool| {
        pool.current_operations.insert(task, PoolOperation::ApplyUpdates);
    });
}

/// A task that goes on; its ref.
fn task(side: &mut Snapshot, name: &str) -> String {
    let task = Task { name_label: name.into(), status: TaskStatus::Pending, ..blank() };
    add(side, name, task).to_string()
}
