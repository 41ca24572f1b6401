//! Why a host should be master, or should not.

use serde::Serialize;

use super::evidence::Confirmation;
use crate::error::Fault;
use crate::model::{Host, PoolOperation, Ref, Snapshot, Sr, Version, labels_at, name_at, names_at};
use crate::text::plain;

/// How much a reason weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "callers sort by it")]
pub enum Weight {
    /// It speaks for the host.
    Prefers,
    /// It speaks against the host, but may be accepted.
    Warns,
    /// Evidence is missing.
    Unknown,
    /// The host cannot or must not be master.
    Blocks,
}

/// A reason for or against a host as master. Their order is that of the enum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// It is the master already: designating it succeeds and does nothing.
    AlreadyMaster,
    /// It says that it is a master, although the pool has another.
    ClaimsMastership,
    /// It has no copy of the database: promoted, it would start an empty pool.
    DatabaseAbsent,
    /// Its copy's schema is newer than its software.
    DatabaseTooNew,
    /// It follows another master than the pool's.
    FollowsAnother {
        /// That master's address.
        address: String,
    },
    /// HA is armed on it.
    HaArmed,
    /// HA is on: the server refuses to change the master.
    HaEnabled,
    /// The database says that it is not live.
    NotLive,
    /// It is proven to be off.
    Off,
    /// It is the master that failed.
    OldMaster,
    /// A member that would have to follow runs a newer version.
    ///
    /// It would refuse to start.
    OlderThanMember {
        /// The newest member.
        member: Ref<Host>,
        /// That member's version.
        newest: Version,
        /// The host's own.
        own: Version,
    },
    /// A member is a master, or follows another one.
    PeerFollowsAnother {
        /// The member.
        member: Ref<Host>,
    },
    /// A member is in emergency mode, so a copy of the database cannot be sent to it.
    PeerInEmergency {
        /// The member.
        member: Ref<Host>,
    },
    /// A member is not live, and all have to take part.
    PeerNotLive {
        /// The member.
        member: Ref<Host>,
    },
    /// A member does not answer, and all have to take part.
    PeerUnreachable {
        /// The member.
        member: Ref<Host>,
    },
    /// An operation runs on the pool that excludes a change of master.
    PoolBusy {
        /// The operation, in XAPI's words.
        operation: String,
    },
    /// It lost its role in a change of master that failed.
    RoleBroken,
    /// The hosts run different versions.
    ///
    /// During a rolling upgrade no database is copied.
    RollingUpgrade,
    /// The pool secret is being replaced and a host did not take part yet.
    SecretRotationPending,
    /// It does not answer.
    Unreachable,
    /// A person rules it out.
    Vetoed,

    /// Whether it has a copy of the database is not known.
    DatabaseUnknown,
    /// Whether HA is armed on it is not known.
    HaArmedUnknown,
    /// Whether it is live is not known.
    LivenessUnknown,
    /// Whether it answers is not known.
    ReachabilityUnknown,
    /// Its version, or a member's, is not known.
    VersionUnknown,

    /// Its address is leased: members note the address of their master.
    AddressMayChange,
    /// It has an operation of its own in progress.
    Busy,
    /// Another host's copy of the database is newer.
    DatabaseBehind {
        /// By so many generations.
        generations: u64,
    },
    /// It is disabled.
    Disabled,
    /// Updates want it to restart.
    GuidancePending,
    /// A member that does not answer runs a newer version.
    ///
    /// It would refuse to start when it is back.
    OlderThanAbsentMember {
        /// The member.
        member: Ref<Host>,
    },
    /// Members that it cannot reach.
    PeersOutOfReach {
        /// The members.
        members: Vec<Ref<Host>>,
    },
    /// An operation runs that a change of master waits for, up to two hours.
    PoolWaiting {
        /// The operation, in XAPI's words.
        operation: String,
    },
    /// Shared storage that it is not attached to; the master manages all of it.
    StorageDetached {
        /// The storage repositories.
        srs: Vec<Ref<Sr>>,
    },

    /// It is attached to all shared storage.
    AllStorageAttached,
    /// No known copy of the database is newer than its own.
    NewestDatabase,
    /// No member runs a newer version.
    NewestVersion,
}

impl Reason {
    /// How much it weighs.
    pub fn weight(&self) -> Weight {
        match self {
            Self::AlreadyMaster
            | Self::ClaimsMastership
            | Self::DatabaseAbsent
            | Self::DatabaseTooNew
            | Self::FollowsAnother { .. }
            | Self::HaArmed
            | Self::HaEnabled
            | Self::NotLive
            | Self::Off
            | Self::OldMaster
            | Self::OlderThanMember { .. }
            | Self::PeerFollowsAnother { .. }
            | Self::PeerInEmergency { .. }
            | Self::PeerNotLive { .. }
            | Self::PeerUnreachable { .. }
            | Self::PoolBusy { .. }
            | Self::RoleBroken
            | Self::RollingUpgrade
            | Self::SecretRotationPending
            | Self::Unreachable
            | Self::Vetoed => Weight::Blocks,
            Self::DatabaseUnknown
            | Self::HaArmedUnknown
            | Self::LivenessUnknown
            | Self::ReachabilityUnknown
            | Self::VersionUnknown => Weight::Unknown,
            Self::AddressMayChange
            | Self::Busy
            | Self::DatabaseBehind { .. }
            | Self::Disabled
            | Self::GuidancePending
            | Self::OlderThanAbsentMember { .. }
            | Self::PeersOutOfReach { .. }
            | Self::PoolWaiting { .. }
            | Self::StorageDetached { .. } => Weight::Warns,
            Self::AllStorageAttached | Self::NewestDatabase | Self::NewestVersion => {
                Weight::Prefers
            }
        }
    }

    /// The error by which the server would refuse, if it would.
    pub fn fault(&self, host: &Ref<Host>) -> Option<Fault> {
        let of = |code: &str, host: &Ref<Host>| Some(Fault::new(code, [host.to_string()]));
        match self {
            Self::HaArmed | Self::HaEnabled => Some(Fault::bare("HA_IS_ENABLED")),
            Self::NotLive => of("HOST_OFFLINE", host),
            Self::PeerNotLive { member } => of("HOST_OFFLINE", member),
            Self::Unreachable => of("CANNOT_CONTACT_HOST", host),
            Self::PeerUnreachable { member } | Self::PeerInEmergency { member } => {
                of("CANNOT_CONTACT_HOST", member)
            }
            Self::PoolBusy { operation } => Some(Fault::bare(in_progress(operation))),
            Self::RollingUpgrade => Some(Fault::bare("RESTORE_INCOMPATIBLE_VERSION")),
            Self::SecretRotationPending => Some(Fault::bare("POOL_SECRET_ROTATION_PENDING")),
            _ => None,
        }
    }

    /// What a person could say to make up for missing evidence.
    pub fn confirmation(&self, host: &Ref<Host>) -> Option<Confirmation> {
        let host = host.clone();
        match self {
            Self::DatabaseUnknown => Some(Confirmation::HasDatabase { host }),
            Self::HaArmedUnknown => Some(Confirmation::HaNotArmed { host }),
            Self::LivenessUnknown | Self::ReachabilityUnknown => {
                Some(Confirmation::Reachable { host })
            }
            Self::VersionUnknown => Some(Confirmation::VersionIsNewest { host }),
            _ => None,
        }
    }

    /// What it says of a host, to stand behind the host's name.
    ///
    /// Names come from the pool's snapshot.
    pub fn describe(&self, pool: &Snapshot) -> String {
        let name = |host: &Ref<Host>| name_at(pool, host);
        let words = match self {
            Self::AlreadyMaster => "is the master already",
            Self::ClaimsMastership => "says that it is a master",
            Self::DatabaseAbsent => "has no copy of the database",
            Self::DatabaseTooNew => "has a database newer than its software",
            Self::FollowsAnother { address } => {
                return format!("follows another master, {}", plain(address));
            }
            Self::HaArmed => "has HA armed",
            Self::HaEnabled => "HA is on in the pool",
            Self::NotLive => "is not live",
            Self::Off => "is off",
            Self::OldMaster => "is the master that failed",
            Self::OlderThanMember { member, newest, own } => {
                return format!("runs {own}, but member {} runs {newest}", name(member));
            }
            Self::PeerFollowsAnother { member } => {
                return format!("member {} is, or follows, another master", name(member));
            }
            Self::PeerInEmergency { member } => {
                return format!("member {} is in emergency mode", name(member));
            }
            Self::PeerNotLive { member } => return format!("member {} is not live", name(member)),
            Self::PeerUnreachable { member } => {
                return format!("member {} does not answer", name(member));
            }
            Self::PoolBusy { operation } => return format!("the pool is busy with {operation}"),
            Self::RoleBroken => "lost its role",
            Self::RollingUpgrade => "the pool is being upgraded",
            Self::SecretRotationPending => "the pool secret is being replaced",
            Self::Unreachable => "does not answer",
            Self::Vetoed => "is ruled out",
            Self::DatabaseUnknown => "may have no copy of the database",
            Self::HaArmedUnknown => "may have HA armed",
            Self::LivenessUnknown => "may not be live",
            Self::ReachabilityUnknown => "may not answer",
            Self::VersionUnknown => "may run an older version than a member",
            Self::AddressMayChange => "has a leased address",
            Self::Busy => "is busy",
            Self::DatabaseBehind { generations } => {
                return format!("has a database {generations} generations behind");
            }
            Self::Disabled => "is disabled",
            Self::GuidancePending => "has to be restarted for updates",
            Self::OlderThanAbsentMember { member } => {
                return format!("runs an older version than {}, which is absent", name(member));
            }
            Self::PeersOutOfReach { members } => {
                return format!("cannot reach {}", names_at(pool, members));
            }
            Self::PoolWaiting { operation } => return format!("has to wait for {operation}"),
            Self::StorageDetached { srs } => {
                return format!("is not attached to {}", labels_at(pool, srs));
            }
            Self::AllStorageAttached => "is attached to all shared storage",
            Self::NewestDatabase => "has the newest known database",
            Self::NewestVersion => "runs the newest version",
        };
        words.to_owned()
    }
}

/// Operations that exclude a change of master, and whether they do so at once
/// (`Xapi_pool_helpers.blocking_ops` and `waiting_ops`).
pub(super) fn excludes(operation: &PoolOperation) -> Option<bool> {
    match operation {
        PoolOperation::HaEnable
        | PoolOperation::HaDisable
        | PoolOperation::ClusterCreate
        | PoolOperation::DesignateNewMaster
        | PoolOperation::TlsVerificationEnable
        | PoolOperation::ConfigureRepositories
        | PoolOperation::SyncUpdates
        | PoolOperation::SyncBundle
        | PoolOperation::ApplyUpdates => Some(true),
        PoolOperation::CertRefresh
        | PoolOperation::ExchangeCertificatesOnJoin
        | PoolOperation::ExchangeCaCertificatesOnJoin
        | PoolOperation::ExchangeCrlsOnJoin
        | PoolOperation::CopyPrimaryHostCerts
        | PoolOperation::Eject
        | PoolOperation::GetUpdates => Some(false),
        _ => None,
    }
}

fn in_progress(operation: &str) -> String {
    format!("{}_IN_PROGRESS", operation.to_uppercase())
}
